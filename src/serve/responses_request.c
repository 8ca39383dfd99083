/* SPDX-License-Identifier: MIT
 * OpenAI's responses as a request of chat completions. Knows neither templates nor answers. */
#include "serve/translate.h"

#include "serve/respond.h"

/* ---- messages -------------------------------------------------------------------------------- */

/* A message of the assistant is several items: reasoning, a message, calls. */
struct spoken {
    struct bytes reasoning, content, calls; /* text; JSON; elements of a list */
};

static void put_spoken(struct bytes *out, struct spoken *spoken)
{
    out->has_failed = out->has_failed || spoken->reasoning.has_failed ||
                      spoken->content.has_failed || spoken->calls.has_failed;
    if (spoken->reasoning.length == 0 && spoken->content.length == 0 && spoken->calls.length == 0)
        return;
    put_open(out, NULL, '{');
    put_text(out, "role", "assistant");
    if (spoken->content.length > 0)
        put_json(out, "content", spoken->content.data, spoken->content.length);
    else
        put_text(out, "content", "");
    translate_spoken(out, &spoken->reasoning, &spoken->calls);
    put_close(out, '}');
    bytes_clear(&spoken->reasoning);
    bytes_clear(&spoken->content);
    bytes_clear(&spoken->calls);
}

static enum weir_status refuse_item(uint32_t item, const char *what, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_ARGUMENT, "input[%u]: %s", item, what);
}

/* The content of a message, or what a tool has said: a text, or a list of texts and pictures. */
static enum weir_status put_content(struct bytes *out, const char *key, const struct json *content,
                                    uint32_t item, struct weir_error *err)
{
    if (content != NULL && content->kind == JSON_STRING) {
        put_string(out, key, content->text.bytes, content->text.length);
        return WEIR_OK;
    }
    if (content == NULL || content->kind != JSON_ARRAY)
        return refuse_item(item, "expected a text or a list of parts", err);
    put_open(out, key, '[');
    for (uint32_t i = 0; i < content->count; i++) {
        const struct json *part = &content->items[i];
        const struct json *text = request_member(part, "text");
        if (text == NULL)
            text = request_member(part, "refusal");
        if (json_is(request_member(part, "type"), "input_image"))
            translate_image(out);
        else if (text != NULL && text->kind == JSON_STRING)
            translate_text(out, text->text);
        else
            return refuse_item(item, "a part that is neither a text nor an image", err);
    }
    put_close(out, ']');
    return WEIR_OK;
}

static enum weir_status add_message(struct bytes *out, struct spoken *spoken,
                                    const struct json *message, uint32_t item,
                                    struct weir_error *err)
{
    const struct json *role = request_member(message, "role");
    const struct json *content = request_member(message, "content");
    if (role == NULL || role->kind != JSON_STRING)
        return refuse_item(item, "a message without a role", err);
    if (json_is(role, "assistant")) {
        if (spoken->content.length > 0 || spoken->calls.length > 0)
            put_spoken(out, spoken);
        return put_content(&spoken->content, NULL, content, item, err);
    }
    put_spoken(out, spoken);
    put_open(out, NULL, '{');
    put_string(out, "role", role->text.bytes, role->text.length);
    const enum weir_status status = put_content(out, "content", content, item, err);
    put_close(out, '}');
    return status;
}

static enum weir_status add_reasoning(struct bytes *out, struct spoken *spoken,
                                      const struct json *reasoning, struct weir_error *err)
{
    const struct json *content = request_member(reasoning, "content");
    if (spoken->content.length > 0 || spoken->calls.length > 0)
        put_spoken(out, spoken);
    for (uint32_t i = 0; content != NULL && i < content->count; i++) {
        struct json_text text;
        const enum weir_status status = request_text(&content->items[i], "text", &text, err);
        if (status != WEIR_OK)
            return status;
        if (text.bytes != NULL)
            bytes_add(&spoken->reasoning, text.bytes, text.length);
    }
    return WEIR_OK;
}

static enum weir_status add_output(struct bytes *out, struct spoken *spoken,
                                   const struct json *output, uint32_t item, struct weir_error *err)
{
    const struct json *id = request_member(output, "call_id");
    put_spoken(out, spoken);
    put_open(out, NULL, '{');
    put_text(out, "role", "tool");
    if (id != NULL && id->kind == JSON_STRING)
        put_string(out, "tool_call_id", id->text.bytes, id->text.length);
    const enum weir_status status =
        put_content(out, "content", request_member(output, "output"), item, err);
    put_close(out, '}');
    return status;
}

static enum weir_status add_item(struct bytes *out, struct spoken *spoken, const struct json *value,
                                 uint32_t item, struct weir_error *err)
{
    const struct json *type = request_member(value, "type");
    if (type == NULL || json_is(type, "message"))
        return add_message(out, spoken, value, item, err);
    if (json_is(type, "reasoning"))
        return add_reasoning(out, spoken, value, err);
    if (json_is(type, "function_call_output"))
        return add_output(out, spoken, value, item, err);
    if (!json_is(type, "function_call"))
        return refuse_item(item, "an item of a type that is not supported", err);
    struct json_text arguments;
    const enum weir_status status = request_text(value, "arguments", &arguments, err);
    if (status != WEIR_OK)
        return status;
    translate_call(&spoken->calls, request_member(value, "call_id"), request_member(value, "name"),
                   arguments.bytes != NULL ? arguments : (struct json_text){"{}", 2});
    return WEIR_OK;
}

/* ---- the system text ------------------------------------------------------------------------- */

static bool is_system(const struct json *item)
{
    const struct json *role = request_member(item, "role");
    const struct json *content = request_member(item, "content");
    return (json_is(role, "system") || json_is(role, "developer")) && content != NULL &&
           (content->kind == JSON_STRING || content->kind == JSON_ARRAY);
}

static void add_system_text(struct bytes *text, struct json_text more)
{
    if (text->length > 0)
        bytes_add_text(text, "\n\n");
    bytes_add(text, more.bytes, more.length);
}

/* Instructions and the messages of the system that the input begins with are one message: there is
 * room for one in templates. *taken is the number of those messages. */
static void put_system(struct bytes *out, struct json_text instructions, const struct json *input,
                       uint32_t *taken)
{
    struct bytes text = {0};
    if (instructions.length > 0)
        add_system_text(&text, instructions);
    *taken = 0;
    while (input->kind == JSON_ARRAY && *taken < input->count && is_system(&input->items[*taken])) {
        const struct json *content = request_member(&input->items[(*taken)++], "content");
        if (content->kind == JSON_STRING)
            add_system_text(&text, content->text);
        for (uint32_t i = 0; i < content->count; i++) {
            const struct json *part = request_member(&content->items[i], "text");
            if (part != NULL && part->kind == JSON_STRING)
                add_system_text(&text, part->text);
        }
    }
    if (text.length > 0) {
        put_open(out, NULL, '{');
        put_text(out, "role", "system");
        put_string(out, "content", text.data, text.length);
        put_close(out, '}');
    }
    out->has_failed = out->has_failed || text.has_failed;
    bytes_release(&text);
}

static enum weir_status put_input(struct bytes *out, struct spoken *spoken, const struct json *root,
                                  struct weir_error *err)
{
    const struct json *input = request_member(root, "input");
    struct json_text instructions;
    uint32_t begin;
    enum weir_status status = request_text(root, "instructions", &instructions, err);
    if (status != WEIR_OK)
        return status;
    if (input == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "'input' is required");
    if (input->kind != JSON_STRING && input->kind != JSON_ARRAY)
        return request_refuse_kind("input", "string or array", input, err);
    put_system(out, instructions, input, &begin);
    if (input->kind == JSON_STRING) {
        put_open(out, NULL, '{');
        put_text(out, "role", "user");
        put_string(out, "content", input->text.bytes, input->text.length);
        put_close(out, '}');
        return WEIR_OK;
    }
    for (uint32_t i = begin; i < input->count && status == WEIR_OK; i++)
        status = add_item(out, spoken, &input->items[i], i, err);
    put_spoken(out, spoken);
    return status;
}

/* ---- the rest -------------------------------------------------------------------------------- */

/* Tools of other types run on OpenAI's servers. */
static bool is_clients(const struct json *tool)
{
    return json_is(request_member(tool, "type"), "function");
}

/* "text": {"format": {"type", "schema"}} */
static void put_format(struct bytes *out, const struct json *root)
{
    const struct json *format = request_member(request_member(root, "text"), "format");
    const struct json *type = request_member(format, "type");
    const struct json *schema = request_member(format, "schema");
    if (type == NULL)
        return;
    put_open(out, "response_format", '{');
    put_json(out, "type", type->source.bytes, type->source.length);
    if (schema != NULL) {
        put_open(out, "json_schema", '{');
        put_json(out, "schema", schema->source.bytes, schema->source.length);
        put_close(out, '}');
    }
    put_close(out, '}');
}

/* "include": ["message.output_text.logprobs"], and "top_logprobs", which asks for them too. */
static enum weir_status put_logprobs(struct bytes *out, const struct json *root,
                                     struct weir_error *err)
{
    const struct json *include = request_member(root, "include");
    const struct json *likeliest = request_member(root, "top_logprobs");
    bool wants = likeliest != NULL && !json_text_equals(likeliest->text, "0");
    if (include != NULL && include->kind != JSON_ARRAY)
        return request_refuse_kind("include", "array", include, err);
    for (uint32_t i = 0; include != NULL && i < include->count; i++)
        wants = wants || json_is(&include->items[i], "message.output_text.logprobs");
    if (wants)
        put_bool(out, "logprobs", true);
    return WEIR_OK;
}

/* What stands on OpenAI's servers. */
static enum weir_status check_stored(const struct json *root, struct weir_error *err)
{
    static const struct {
        const char *name, *reason;
    } members[] = {
        {"previous_response_id", "responses are not stored"},
        {"conversation", "conversations are not stored: give what was said as input"},
        {"prompt", "prompts are not stored: give it as instructions and input"},
        {"background", "responses are not stored"},
    };
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const struct json *member = request_member(root, members[i].name);
        if (member != NULL && member->kind != JSON_FALSE)
            return err_set(err, WEIR_ERR_ARGUMENT, "%s is not supported: %s", members[i].name,
                           members[i].reason);
    }
    return WEIR_OK;
}

static enum weir_status put_request(struct bytes *out, struct spoken *spoken,
                                    const struct json *root, struct weir_error *err)
{
    static const char *const others[] = {"input",   "instructions",      "tools",
                                         "text",    "max_output_tokens", "previous_response_id",
                                         "include", "logprobs",          NULL};
    const struct json *tokens = request_member(root, "max_output_tokens");
    enum weir_status status;
    TRY(check_stored(root, err));
    TRY(translate_choices(root, err));
    put_open(out, NULL, '{');
    put_open(out, "messages", '[');
    TRY(put_input(out, spoken, root, err));
    put_close(out, ']');
    TRY(translate_tools(out, root, is_clients, "parameters", err));
    put_format(out, root);
    TRY(put_logprobs(out, root, err));
    if (tokens != NULL)
        put_json(out, "max_completion_tokens", tokens->source.bytes, tokens->source.length);
    translate_rest(out, root, others);
    put_close(out, '}');
    status = bytes_check(out, err);
out:
    return status;
}

enum weir_status translate_responses(struct bytes *out, const char *body, size_t length,
                                     struct weir_error *err)
{
    struct json_document *document;
    struct spoken spoken = {0};
    enum weir_status status = translate_open(&document, body, length, err);
    if (status != WEIR_OK)
        return status;
    status = put_request(out, &spoken, json_root(document), err);
    bytes_release(&spoken.calls);
    bytes_release(&spoken.content);
    bytes_release(&spoken.reasoning);
    json_close(document);
    return status;
}
