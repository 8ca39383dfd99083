/* SPDX-License-Identifier: MIT
 * weir template: prints the prompt of a conversation, or takes a model's text apart into a
 * message. Knows not how. */
#include "app/command.h"

#include <string.h>
#include <unistd.h>

#include "app/chat_template.h"
#include "app/loaded.h"
#include "app/message.h"
#include "app/shipped.h"
#include "base/mem.h"
#include "base/think_marks.h"
#include "base/utf8.h"
#include "json/json.h"

/* Of a text and of a list of tools: more than any context holds. */
static const uint64_t file_bytes_max = (uint64_t)64 << 20;

/* ---- replies --------------------------------------------------------------------------------- */

struct text {
    char *bytes;
    size_t length;
};

/* A file as UTF-8: each byte of it that is of no character becomes U+FFFD. */
static enum weir_status read_text(struct text *out, const char *path, struct weir_error *err)
{
    uint8_t *data;
    size_t size;
    const enum weir_status status = file_read_all(path, file_bytes_max, &data, &size, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t length = utf8_repaired_length(data, size);
    out->bytes = mem_alloc(length + 1, 1, err);
    if (out->bytes != NULL) {
        utf8_repair(data, size, (uint8_t *)out->bytes);
        out->length = (size_t)length;
    }
    mem_free(data);
    return out->bytes == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static bool begins_in_reasoning(const struct options *options, const struct text *reply)
{
    if (options->reasoning != WEIR_AUTO)
        return options->reasoning == WEIR_ON;
    return memmem(reply->bytes, reply->length, MARK_THINK_END, strlen(MARK_THINK_END)) != NULL;
}

static enum weir_status take_apart(struct message *message, const struct options *options,
                                   const struct text *text, const struct text *tools,
                                   struct weir_error *err)
{
    struct weir_reply *reply = NULL;
    struct weir_reply_options reply_options;
    enum weir_status status;
    weir_reply_options_init(&reply_options);
    if (strcmp(options->chat.tool_choice, "none") != 0) { /* else marks of calls are text */
        reply_options.tools = tools->bytes;
        reply_options.tools_length = tools->length;
    }
    reply_options.in_reasoning = begins_in_reasoning(options, text);
    reply_options.may_reason = options->reasoning == WEIR_AUTO;
    reply_options.format = options_reasoning_format(options);
    reply_options.event = message_add;
    reply_options.event_user = message;
    TRY(weir_reply_open(&reply, &reply_options, err));
    TRY(weir_reply_push(reply, text->bytes, text->length, err));
    TRY(weir_reply_finish(reply, err));
    TRY(message_check(message, err));
out:
    weir_reply_close(reply);
    return status;
}

static enum weir_status print_message(const struct message *message, struct weir_error *err)
{
    struct output output;
    const enum weir_status status = output_open(&output, NULL, err);
    if (status != WEIR_OK)
        return status;
    message_print(message, &output);
    return output_finish(&output, err);
}

static enum weir_status parse_reply(const struct options *options, struct weir_error *err)
{
    struct text reply = {0}, tools = {0};
    struct message message = {0};
    enum weir_status status;
    TRY(read_text(&reply, options->parse, err));
    if (options->tools != NULL)
        TRY(read_text(&tools, options->tools, err));
    TRY(take_apart(&message, options, &reply, &tools, err));
    TRY(print_message(&message, err));
out:
    message_release(&message);
    mem_free(tools.bytes);
    mem_free(reply.bytes);
    return status;
}

/* ---- prompts --------------------------------------------------------------------------------- */

static enum weir_status print_prompt(const struct weir_prompt *prompt, struct weir_error *err)
{
    struct output output;
    size_t length;
    const char *text = weir_prompt_text(prompt, &length);
    const enum weir_status status = output_open(&output, NULL, err);
    if (status != WEIR_OK)
        return status;
    output_put(&output, text, length);
    return output_finish(&output, err);
}

/* The library would not know the name of the file. */
static enum weir_status check_object(const char *text, size_t length, const char *path,
                                     struct weir_error *err)
{
    const bool is_input = strcmp(path, "-") == 0;
    struct json_document *document;
    const enum weir_status status =
        json_open_kind(&document, JSON_OBJECT, text, length, is_input ? "request" : path, err);
    json_close(document);
    return status;
}

/* The prompt of a request in the form that the flag is for. */
static enum weir_status render(struct weir_prompt **out, const struct weir_template *chat_template,
                               const struct options *options, struct weir_error *err)
{
    const bool is_template_level = options->request != NULL;
    const char *path = is_template_level ? options->request : options->client_request;
    const struct weir_request_options added = {
        .reasoning = (enum weir_switch)options->reasoning,
        .reasoning_preserve = options->chat.reasoning_preserve,
        .variables = options->chat.variables,
    };
    uint8_t *data;
    size_t length;
    enum weir_status status = file_read_all(path, file_bytes_max, &data, &length, err);
    if (status != WEIR_OK)
        return status;
    const char *request = (const char *)data;
    TRY(check_object(request, length, path, err));
    status = is_template_level
                 ? weir_template_render(chat_template, out, request, length, err)
                 : weir_template_render_request(chat_template, out, request, length, &added, err);
out:
    mem_free(data);
    return status;
}

static enum weir_status make_prompt(const struct call *call, struct weir_error *err)
{
    struct options *options = call->options;
    char shipped[SHIPPED_PATH_MAX];
    struct loaded loaded = {0};
    struct weir_template *chat_template = NULL;
    struct weir_prompt *prompt = NULL;
    enum weir_status status;
    if (options->chat_template == NULL) {
        call->log->info_muted = isatty(STDOUT_FILENO) == 0; /* nobody reads but a program */
        TRY(shipped_choose(shipped, options, call->log, err));
        TRY(loaded_open_model(&loaded, options, call->log, err));
    }
    TRY(chat_template_open(&chat_template, options->chat_template, loaded.model, err));
    TRY(render(&prompt, chat_template, options, err));
    TRY(print_prompt(prompt, err));
out:
    weir_prompt_close(prompt);
    weir_template_close(chat_template);
    loaded_close(&loaded);
    return status;
}

/* ---- the command ----------------------------------------------------------------------------- */

/* Refuses two files of the flags that are both standard input. */
static enum weir_status check_standard_input(const char *name, const char *path,
                                             const char *other_name, const char *other_path,
                                             struct weir_error *err)
{
    if (path == NULL || other_path == NULL || strcmp(path, "-") != 0 ||
        strcmp(other_path, "-") != 0)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "only one of %s and %s may be standard input", name,
                   other_name);
}

static enum weir_status check_tool_choice(const char *choice, struct weir_error *err)
{
    if (strcmp(choice, "auto") == 0 || strcmp(choice, "none") == 0)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "--tool-choice: '%s' is neither auto nor none", choice);
}

enum weir_status command_template(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    const int given =
        (options->request != NULL) + (options->client_request != NULL) + (options->parse != NULL);
    enum weir_status status;
    if (given != 1)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%s of --request, --client-request and --parse is needed",
                       given == 0 ? "one" : "only one");
    TRY(check_tool_choice(options->chat.tool_choice, err));
    TRY(check_standard_input("--parse", options->parse, "--tools", options->tools, err));
    TRY(check_standard_input("--request", options->request, "--template", options->chat_template,
                             err));
    TRY(check_standard_input("--client-request", options->client_request, "--template",
                             options->chat_template, err));
    TRY(options->parse != NULL ? parse_reply(options, err) : make_prompt(call, err));
out:
    return status;
}
