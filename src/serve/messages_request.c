/* SPDX-License-Identifier: MIT
 * Anthropic's messages as a request of chat completions. Knows neither templates nor answers. */
#include "serve/translate.h"

#include <stdlib.h>
#include <string.h>

#include "serve/respond.h"

static enum weir_status refuse_block(uint32_t message, const char *what, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_ARGUMENT, "messages[%u]: %s", message, what);
}

/* ---- the system text ------------------------------------------------------------------------- */

/* A client of Anthropic's own begins its system text with a line that has a checksum of each
 * request in it. Put as it is, no two prompts would have a beginning in common. */
static void add_masked(struct bytes *out, struct json_text text)
{
    static const char header[] = "x-anthropic-billing-header:", mark[] = "cch=";
    enum { CHECKSUM = 5 };
    const char *at = NULL;
    if (text.length >= sizeof header - 1 && memcmp(text.bytes, header, sizeof header - 1) == 0)
        at = memmem(text.bytes, text.length, mark, sizeof mark - 1);
    const size_t before = at == NULL ? 0 : (size_t)(at - text.bytes) + sizeof mark - 1;
    if (at == NULL || text.length - before < CHECKSUM) {
        bytes_add(out, text.bytes, text.length);
        return;
    }
    bytes_add(out, text.bytes, before);
    bytes_add_text(out, "00000");
    bytes_add(out, text.bytes + before + CHECKSUM, text.length - before - CHECKSUM);
}

static enum weir_status add_system(struct bytes *text, const struct json *system,
                                   struct weir_error *err)
{
    if (system->kind == JSON_STRING) {
        add_masked(text, system->text);
        return WEIR_OK;
    }
    if (system->kind != JSON_ARRAY)
        return request_refuse_kind("system", "string or array", system, err);
    for (uint32_t i = 0; i < system->count; i++) {
        struct json_text part;
        const enum weir_status status = request_text(&system->items[i], "text", &part, err);
        if (status != WEIR_OK)
            return status;
        if (part.bytes != NULL)
            add_masked(text, part);
    }
    return WEIR_OK;
}

static enum weir_status put_system(struct bytes *out, const struct json *root,
                                   struct weir_error *err)
{
    const struct json *system = request_member(root, "system");
    struct bytes text = {0};
    if (system == NULL)
        return WEIR_OK;
    const enum weir_status status = add_system(&text, system, err);
    if (status == WEIR_OK && text.length > 0) {
        put_open(out, NULL, '{');
        put_text(out, "role", "system");
        put_string(out, "content", text.data, text.length);
        put_close(out, '}');
    }
    out->has_failed = out->has_failed || text.has_failed;
    bytes_release(&text);
    return status;
}

/* ---- messages of the user -------------------------------------------------------------------- */

/* A list of texts and pictures. */
static enum weir_status put_parts(struct bytes *out, const char *key, const struct json *content,
                                  uint32_t message, struct weir_error *err)
{
    if (content == NULL || content->kind == JSON_STRING) {
        put_string(out, key, content == NULL ? "" : content->text.bytes,
                   content == NULL ? 0 : content->text.length);
        return WEIR_OK;
    }
    if (content->kind != JSON_ARRAY)
        return refuse_block(message, "expected a text or a list of blocks", err);
    put_open(out, key, '[');
    for (uint32_t i = 0; i < content->count; i++) {
        const struct json *part = request_member(&content->items[i], "text");
        if (json_is(request_member(&content->items[i], "type"), "image"))
            translate_image(out);
        else if (part != NULL && part->kind == JSON_STRING)
            translate_text(out, part->text);
        else
            return refuse_block(message, "a block that is neither a text nor an image", err);
    }
    put_close(out, ']');
    return WEIR_OK;
}

static enum weir_status put_result(struct bytes *out, const struct json *block, uint32_t message,
                                   struct weir_error *err)
{
    const struct json *id = request_member(block, "tool_use_id");
    put_open(out, NULL, '{');
    put_text(out, "role", "tool");
    if (id != NULL && id->kind == JSON_STRING)
        put_string(out, "tool_call_id", id->text.bytes, id->text.length);
    const enum weir_status status =
        put_parts(out, "content", request_member(block, "content"), message, err);
    put_close(out, '}');
    return status;
}

/* Blocks from `begin` on that belong into one message: up to the next result of a tool. */
static enum weir_status put_user_run(struct bytes *out, const struct json *content, uint32_t *begin,
                                     uint32_t message, struct weir_error *err)
{
    put_open(out, NULL, '{');
    put_text(out, "role", "user");
    put_open(out, "content", '[');
    uint32_t i = *begin;
    for (; i < content->count; i++) {
        const struct json *block = &content->items[i];
        const struct json *type = request_member(block, "type");
        const struct json *text = request_member(block, "text");
        if (json_is(type, "tool_result"))
            break;
        if (json_is(type, "image"))
            translate_image(out);
        else if (json_is(type, "text") && text != NULL && text->kind == JSON_STRING)
            translate_text(out, text->text);
        else
            return refuse_block(message, "a block that is no text, image or tool_result", err);
    }
    put_close(out, ']');
    put_close(out, '}');
    *begin = i;
    return WEIR_OK;
}

/* Results of tools become messages of their own, where they stand. */
static enum weir_status put_user(struct bytes *out, const struct json *content, uint32_t message,
                                 struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < content->count && status == WEIR_OK;) {
        if (json_is(request_member(&content->items[i], "type"), "tool_result"))
            status = put_result(out, &content->items[i++], message, err);
        else
            status = put_user_run(out, content, &i, message, err);
    }
    return status;
}

/* ---- messages of the assistant --------------------------------------------------------------- */

struct spoken {
    struct bytes text, reasoning, calls;
};

static enum weir_status add_block(struct spoken *spoken, const struct json *block, uint32_t message,
                                  struct weir_error *err)
{
    const struct json *type = request_member(block, "type");
    const struct json *text = request_member(block, "text");
    const struct json *thinking = request_member(block, "thinking");
    const struct json *input = request_member(block, "input");
    if (json_is(type, "text") && text != NULL && text->kind == JSON_STRING)
        bytes_add(&spoken->text, text->text.bytes, text->text.length);
    else if (json_is(type, "thinking") && thinking != NULL && thinking->kind == JSON_STRING)
        bytes_add(&spoken->reasoning, thinking->text.bytes, thinking->text.length);
    else if (json_is(type, "tool_use"))
        translate_call(&spoken->calls, request_member(block, "id"), request_member(block, "name"),
                       input != NULL ? input->source : (struct json_text){"{}", 2});
    else if (!json_is(type, "redacted_thinking"))
        return refuse_block(message, "a block that is no text, thinking or tool_use", err);
    return WEIR_OK;
}

static void put_spoken(struct bytes *out, const struct spoken *spoken)
{
    put_open(out, NULL, '{');
    put_text(out, "role", "assistant");
    put_string(out, "content", spoken->text.data, spoken->text.length);
    translate_spoken(out, &spoken->reasoning, &spoken->calls);
    put_close(out, '}');
}

static enum weir_status put_assistant(struct bytes *out, const struct json *content,
                                      uint32_t message, struct weir_error *err)
{
    struct spoken spoken = {0};
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < content->count && status == WEIR_OK; i++)
        status = add_block(&spoken, &content->items[i], message, err);
    put_spoken(out, &spoken);
    out->has_failed = out->has_failed || spoken.text.has_failed || spoken.reasoning.has_failed ||
                      spoken.calls.has_failed;
    bytes_release(&spoken.calls);
    bytes_release(&spoken.reasoning);
    bytes_release(&spoken.text);
    return status;
}

static enum weir_status put_messages(struct bytes *out, const struct json *root,
                                     struct weir_error *err)
{
    const struct json *messages = request_member(root, "messages");
    if (messages == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "'messages' is required");
    if (messages->kind != JSON_ARRAY)
        return err_set(err, WEIR_ERR_ARGUMENT, "Expected 'messages' to be an array");
    for (uint32_t i = 0; i < messages->count; i++) {
        const struct json *content = request_member(&messages->items[i], "content");
        const bool is_list = content != NULL && content->kind == JSON_ARRAY;
        const bool is_own = json_is(request_member(&messages->items[i], "role"), "assistant");
        enum weir_status status = WEIR_OK;
        if (!is_own && !json_is(request_member(&messages->items[i], "role"), "user"))
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "messages[%u]: role: expected \"user\" or \"assistant\"", i);
        if (is_list && content->count == 0 && !is_own)
            return refuse_block(i, "there are no blocks in its content", err);
        if (!is_list)
            put_json(out, NULL, messages->items[i].source.bytes, messages->items[i].source.length);
        else if (is_own)
            status = put_assistant(out, content, i, err);
        else
            status = put_user(out, content, i, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* Without a schema it is a tool that Anthropic's servers would call. */
static bool is_clients(const struct json *tool)
{
    return request_member(tool, "input_schema") != NULL;
}

static enum weir_status put_choice(struct bytes *out, const struct json *root,
                                   struct weir_error *err)
{
    static const char *const names[][2] = {{"auto", "auto"}, {"any", "required"}, {"none", "none"}};
    const struct json *choice = request_member(root, "tool_choice");
    const struct json *type = request_member(choice, "type");
    const struct json *name = request_member(choice, "name");
    bool is_single = false;
    if (choice == NULL)
        return WEIR_OK;
    const enum weir_status status =
        request_truth(choice, "disable_parallel_tool_use", &is_single, err);
    if (status != WEIR_OK)
        return status;
    if (is_single)
        put_bool(out, "parallel_tool_calls", false);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (json_is(type, names[i][0])) {
            put_text(out, "tool_choice", names[i][1]);
            return WEIR_OK;
        }
    }
    if (!json_is(type, "tool") || name == NULL || name->kind != JSON_STRING)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "tool_choice: expected auto, any, none, or a tool with its name");
    put_open(out, "tool_choice", '{');
    put_string(out, "name", name->text.bytes, name->text.length);
    put_close(out, '}');
    return WEIR_OK;
}

/* What happens on Anthropic's servers alone. */
static enum weir_status check_others(const struct json *root, struct weir_error *err)
{
    static const char *const names[] = {"container", "mcp_servers"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct json *member = request_member(root, names[i]);
        if (member != NULL && (member->kind != JSON_ARRAY || member->count > 0))
            return err_set(err, WEIR_ERR_ARGUMENT, "%s is not supported: no tool runs here",
                           names[i]);
    }
    return WEIR_OK;
}

/* The schema that the answer is held to, as it was called first and as it is called now. */
static enum weir_status put_format(struct bytes *out, const struct json *root,
                                   const struct json *config, struct weir_error *err)
{
    const struct json *format = request_member(config, "format");
    const struct json *other = request_member(root, "output_format");
    if (format != NULL && other != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Either output_config.format or output_format can be specified, not both");
    format = format != NULL ? format : other;
    if (format == NULL)
        return WEIR_OK;
    const struct json *schema = request_member(format, "schema");
    if (!json_is(request_member(format, "type"), "json_schema") || schema == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: expected the type json_schema, and a schema",
                       format == other ? "output_format" : "output_config.format");
    if (request_member(root, "json_schema") != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Either \"json_schema\" or an output format can be specified, but not both");
    put_json(out, "json_schema", schema->source.bytes, schema->source.length);
    return WEIR_OK;
}

static enum weir_status put_output(struct bytes *out, const struct json *root,
                                   struct weir_error *err)
{
    const struct json *config = request_member(root, "output_config");
    struct json_text effort;
    enum weir_status status;
    if (config != NULL && config->kind != JSON_OBJECT)
        return request_refuse_kind("output_config", "object", config, err);
    TRY(put_format(out, root, config, err));
    TRY(request_text(config, "effort", &effort, err));
    if (effort.bytes != NULL && request_member(root, "reasoning_effort") == NULL)
        put_string(out, "reasoning_effort", effort.bytes, effort.length);
out:
    return status;
}

static enum weir_status put_request(struct bytes *out, const struct json *root,
                                    struct weir_error *err)
{
    static const char *const others[] = {"system",        "messages",       "tools",
                                         "tool_choice",   "stop_sequences", "metadata",
                                         "output_config", "output_format",  NULL};
    enum { TOKENS_MAX = 4096 }; // of requests that do not say, though Anthropic's must
    const struct json *stops = request_member(root, "stop_sequences");
    const struct json *tokens = request_member(root, "max_tokens");
    enum weir_status status;
    if (tokens != NULL && tokens->kind == JSON_NUMBER && strtod(tokens->text.bytes, NULL) < 1)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'max_tokens': at least 1");
    TRY(translate_choices(root, err));
    TRY(check_others(root, err));
    put_open(out, NULL, '{');
    put_open(out, "messages", '[');
    TRY(put_system(out, root, err));
    TRY(put_messages(out, root, err));
    put_close(out, ']');
    TRY(translate_tools(out, root, is_clients, "input_schema", err));
    TRY(put_choice(out, root, err));
    TRY(put_output(out, root, err));
    if (stops != NULL)
        put_json(out, "stop", stops->source.bytes, stops->source.length);
    if (tokens == NULL)
        put_integer(out, "max_tokens", TOKENS_MAX);
    translate_rest(out, root, others);
    put_close(out, '}');
    status = bytes_check(out, err);
out:
    return status;
}

enum weir_status translate_messages(struct bytes *out, const char *body, size_t length,
                                    struct weir_error *err)
{
    struct json_document *document;
    enum weir_status status = translate_open(&document, body, length, err);
    if (status != WEIR_OK)
        return status;
    status = put_request(out, json_root(document), err);
    json_close(document);
    return status;
}
