/* SPDX-License-Identifier: MIT
 * Prompts of clients' requests: what a request says becomes a request of a template, and behind
 * its prompt comes what of the answer is there already. Knows no server, and no model. */
#include <string.h>

#include "base/mem.h"
#include "chat/chat_prompt.h"
#include "chat/continuation.h"
#include "chat/fields.h"
#include "chat/request_calls.h"
#include "chat/request_messages.h"
#include "chat/request_variables.h"
#include "chat/template.h"

enum { MESSAGES_MAX = 10000 };

/* What is put together. */
struct assembly {
    const struct weir_template *chat_template;
    const struct json *request, *messages;
    struct continuation continuation;
    bool is_continued;     /* the last message is */
    bool begins_answer;    /* the template writes what an answer begins with */
    bool in_reasoning;     /* of what is continued */
    struct bytes tools;    /* empty: none */
    struct bytes rendered; /* the request of the template */
};

static void assembly_release(struct assembly *a)
{
    continuation_release(&a->continuation);
    bytes_release(&a->tools);
    bytes_release(&a->rendered);
}

/* ---- messages -------------------------------------------------------------------------------- */

/* In the words that clients of this API know. */
static enum weir_status find_messages(struct assembly *a, struct weir_error *err)
{
    a->messages = field_find(a->request, "messages");
    if (a->messages == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "'messages' is required");
    if (a->messages->kind != JSON_ARRAY)
        return err_set(err, WEIR_ERR_ARGUMENT, "Expected 'messages' to be an array");
    if (a->messages->count > MESSAGES_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'messages': %u messages, expected at most %d",
                       a->messages->count, MESSAGES_MAX);
    return WEIR_OK;
}

/* True if the message that stands so far before the end is of the assistant. */
static bool is_assistant(const struct json *messages, uint32_t from_end)
{
    return messages->count > from_end &&
           request_message_is(&messages->items[messages->count - 1 - from_end], "assistant");
}

/* A last message of the assistant is continued, unless the request asks for another answer behind
 * it, or for none. */
static enum weir_status choose_end(struct assembly *a, struct weir_error *err)
{
    static const char begins[] = "add_generation_prompt", continues[] = "continue_final_message";
    enum weir_switch begins_answer, is_continued;
    const bool is_answer = is_assistant(a->messages, 0);
    enum weir_status status;
    TRY(field_get_switch(a->request, begins, &begins_answer, err));
    TRY(field_get_switch(a->request, continues, &is_continued, err));
    if (begins_answer == WEIR_ON && is_continued == WEIR_ON)
        return err_set(err, WEIR_ERR_ARGUMENT, "Cannot set both %s and %s to true.", begins,
                       continues);
    if (is_continued == WEIR_ON && !is_answer)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Field '%s': the last message is not one of the assistant", continues);
    a->is_continued = is_continued == WEIR_ON ||
                      (is_answer && is_continued == WEIR_AUTO && begins_answer == WEIR_AUTO);
    a->begins_answer = a->is_continued || begins_answer != WEIR_OFF;
    if (a->is_continued && is_assistant(a->messages, 1))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Cannot have 2 or more assistant messages at the end of the list.");
out:
    return status;
}

static enum weir_status read_continued(struct assembly *a, struct weir_error *err)
{
    struct weir_error problem = {0};
    const uint32_t last = a->messages->count - 1;
    const enum weir_status status =
        continuation_read(&a->continuation, &a->messages->items[last],
                          template_traits(a->chat_template).has_reasoning, &problem);
    return status == WEIR_OK ? WEIR_OK : request_message_refuse(status, last, &problem, err);
}

/* ---- what the template can be given ---------------------------------------------------------- */

/* What the template makes of one message, without bytes if it refuses it. */
static enum weir_status probe(const struct weir_template *chat_template, const char *request,
                              struct jinja_output *out, struct weir_error *err)
{
    struct json_document *document;
    struct weir_error problem = {0};
    enum weir_status status = template_read_request(&document, request, strlen(request), &problem);
    if (status == WEIR_OK)
        status = template_render(chat_template, json_root(document), out, &problem);
    json_close(document);
    return status == WEIR_ERR_MEMORY ? err_set(err, status, "%s", problem.text) : WEIR_OK;
}

/* Does a text say the same to the template when it comes as a list of one part? Templates that know
 * no lists refuse them, or print them as they are. */
static enum weir_status knows_parts(const struct weir_template *chat_template, bool *out,
                                    struct weir_error *err)
{
    static const char plain[] = "{\"messages\": [{\"role\": \"user\", \"content\": \"text\"}]}";
    static const char parts[] = "{\"messages\": [{\"role\": \"user\", \"content\": "
                                "[{\"type\": \"text\", \"text\": \"text\"}]}]}";
    struct jinja_output expected = {0}, output = {0};
    enum weir_status status;
    TRY(probe(chat_template, plain, &expected, err));
    TRY(probe(chat_template, parts, &output, err));
    *out = output.bytes != NULL && expected.bytes != NULL && output.length == expected.length &&
           memcmp(output.bytes, expected.bytes, output.length) == 0;
out:
    jinja_output_release(&expected);
    jinja_output_release(&output);
    return status;
}

/* ---- the request of the template ------------------------------------------------------------- */

static enum weir_status assemble(struct assembly *a, const struct weir_request_options *options,
                                 struct weir_error *err)
{
    struct bytes *out = &a->rendered;
    struct messages_form form = {.has_developer = template_traits(a->chat_template).has_developer};
    enum weir_status status;
    TRY(find_messages(a, err));
    TRY(choose_end(a, err));
    if (a->is_continued)
        TRY(read_continued(a, err));
    if (request_messages_have_parts(a->messages))
        TRY(knows_parts(a->chat_template, &form.has_parts, err));
    bytes_add_text(out, "{");
    TRY(request_variables_write(a->request, options, out, err));
    TRY(request_tools_write(a->request, &a->tools, err));
    if (a->tools.length > 0) {
        bytes_add_text(out, "\"tools\": ");
        bytes_add(out, a->tools.data, (size_t)a->tools.length);
        bytes_add_text(out, ", ");
    }
    bytes_add_text(out, a->begins_answer ? "\"add_generation_prompt\": true, "
                                         : "\"add_generation_prompt\": false, ");
    bytes_add_text(out, "\"messages\": ");
    TRY(request_messages_write(a->messages, a->messages->count - a->is_continued, form, out, err));
    bytes_add_text(out, "}");
    TRY(bytes_check(out, err));
out:
    return status;
}

static enum weir_status render(struct assembly *a, struct weir_prompt **out, struct weir_error *err)
{
    const struct template_traits traits = template_traits(a->chat_template);
    struct json_document *document;
    struct jinja_output output = {0};
    enum weir_status status;
    TRY(template_read_request(&document, a->rendered.data, (size_t)a->rendered.length, err));
    TRY(template_render(a->chat_template, json_root(document), &output, err));
    if (a->is_continued)
        TRY(continuation_write(&a->continuation, traits.has_reasoning, &output, &a->in_reasoning,
                               err));
    TRY(chat_prompt_open(out, &output, err));
    chat_prompt_set_tools(*out, &a->tools);
    if (a->is_continued)
        chat_prompt_set_in_reasoning(*out, a->in_reasoning);
out:
    jinja_output_release(&output);
    json_close(document);
    return status;
}

enum weir_status weir_template_render_request(const struct weir_template *chat_template,
                                              struct weir_prompt **out, const char *request,
                                              size_t length,
                                              const struct weir_request_options *options,
                                              struct weir_error *err)
{
    struct json_document *document;
    struct assembly a = {.chat_template = chat_template};
    enum weir_status status;
    *out = NULL;
    TRY(template_read_request(&document, request, length, err));
    a.request = json_root(document);
    TRY(assemble(&a, options, err));
    TRY(render(&a, out, err));
out:
    assembly_release(&a);
    json_close(document);
    return status;
}
