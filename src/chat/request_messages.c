/* SPDX-License-Identifier: MIT
 * Rewrites messages member by member: roles, contents, reasoning, calls. Values that need no change
 * are copied as they were written. Knows no template, and nothing of what else a request holds. */
#include "chat/request_messages.h"

#include <string.h>

#include "chat/fields.h"
#include "chat/request_calls.h"

enum weir_status request_message_refuse(enum weir_status status, uint32_t number,
                                        const struct weir_error *problem, struct weir_error *err)
{
    return err_set(err, status, "messages[%u]: %s", number, problem->text);
}

bool request_message_is(const struct json *message, const char *role)
{
    return json_is(json_get(message, "role"), role);
}

static void add_source(struct bytes *out, const struct json *value)
{
    bytes_add(out, value->source.bytes, value->source.length);
}

/* ---- contents -------------------------------------------------------------------------------- */

/* Types of parts that are text, and the member that holds it. */
static const struct {
    const char *type, *member;
} text_parts[] = {
    {"text", "text"},
    {"refusal", "refusal"},
    {"input_text", "text"},
    {"output_text", "text"},
};

/* Types of parts that nothing here can see or hear. Some clients write them as a member. */
static const struct {
    const char *type, *what;
} other_parts[] = {
    {"image", "image"},     {"image_url", "image"}, {"input_image", "image"},
    {"audio", "audio"},     {"audio_url", "audio"}, {"input_audio", "audio"},
    {"video", "video"},     {"video_url", "video"}, {"input_video", "video"},
    {"input_file", "file"}, {"file", "file"},
};

static enum weir_status refuse_other(const struct json *part, const struct json *type,
                                     struct weir_error *err)
{
    for (size_t i = 0; i < sizeof other_parts / sizeof other_parts[0]; i++) {
        const bool is_it = type != NULL ? json_is(type, other_parts[i].type)
                                        : field_find(part, other_parts[i].type) != NULL;
        if (is_it)
            return err_set(err, WEIR_ERR_UNSUPPORTED,
                           "%s parts are not supported: this model reads text alone",
                           other_parts[i].what);
    }
    if (type == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "a part of the content has no type");
    return err_set(err, WEIR_ERR_ARGUMENT, "a part of the content is of type '%.*s', expected text",
                   field_shown(type->text), type->text.bytes);
}

/* The text of a part, which may leave out that it is text. */
static enum weir_status read_part(const struct json *part, const struct json **out,
                                  struct weir_error *err)
{
    const struct json *type;
    const char *member = NULL;
    enum weir_status status;
    *out = NULL;
    if (part->kind != JSON_OBJECT)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a part of the content is %s, expected an object with type and text",
                       json_kind_name(part->kind));
    TRY(field_get(part, "type", JSON_STRING, &type, err));
    for (size_t i = 0; i < sizeof text_parts / sizeof text_parts[0]; i++) {
        if (type != NULL && json_is(type, text_parts[i].type))
            member = text_parts[i].member;
    }
    if (type == NULL && field_find(part, "text") != NULL)
        member = "text";
    if (member == NULL)
        return refuse_other(part, type, err);
    TRY(field_get(part, member, JSON_STRING, out, err));
    if (*out == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field '%s': it is missing", member);
out:
    return status;
}

/* The content, a text or a list; NULL where a message of the assistant needs none. */
static enum weir_status find_content(const struct json *message, const struct json **out,
                                     struct weir_error *err)
{
    const struct json *content = *out = field_find(message, "content");
    if (content == NULL && request_message_is(message, "assistant"))
        return WEIR_OK;
    if (content == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "Field 'content': it is missing or null, expected a text or an array");
    if (content->kind == JSON_STRING || content->kind == JSON_ARRAY)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "Field 'content': expected a text or an array, found %s",
                   json_kind_name(content->kind));
}

enum weir_status request_content_read(const struct json *message, struct bytes *out,
                                      struct weir_error *err)
{
    const struct json *content;
    enum weir_status status;
    TRY(find_content(message, &content, err));
    if (content != NULL && content->kind == JSON_STRING)
        bytes_add(out, content->text.bytes, content->text.length);
    for (uint32_t i = 0; content != NULL && i < content->count; i++) {
        const struct json *text;
        TRY(read_part(&content->items[i], &text, err));
        bytes_add(out, text->text.bytes, text->text.length);
    }
    TRY(bytes_check(out, err));
out:
    return status;
}

static enum weir_status write_parts(const struct json *content, struct bytes *out,
                                    struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    bytes_add_text(out, "[");
    for (uint32_t i = 0; i < content->count; i++) {
        const struct json *text;
        TRY(read_part(&content->items[i], &text, err));
        bytes_add_text(out, i > 0 ? ", {\"type\": \"text\", \"text\": "
                                  : "{\"type\": \"text\", \"text\": ");
        add_source(out, text);
        bytes_add_text(out, "}");
    }
    bytes_add_text(out, "]");
out:
    return status;
}

static enum weir_status write_joined(const struct json *message, struct bytes *out,
                                     struct weir_error *err)
{
    struct bytes text = {0};
    const enum weir_status status = request_content_read(message, &text, err);
    bytes_add_text(out, "\"");
    json_escape((struct printer){bytes_sink, out}, text.data == NULL ? "" : text.data,
                (size_t)text.length);
    bytes_add_text(out, "\"");
    bytes_release(&text);
    return status;
}

static enum weir_status write_content(const struct json *message, struct messages_form form,
                                      struct bytes *out, struct weir_error *err)
{
    const struct json *content;
    const enum weir_status status = find_content(message, &content, err);
    if (status != WEIR_OK)
        return status;
    bytes_add_text(out, ", \"content\": ");
    if (content != NULL && content->kind == JSON_STRING) {
        add_source(out, content);
        return WEIR_OK;
    }
    return content != NULL && form.has_parts ? write_parts(content, out, err)
                                             : write_joined(message, out, err);
}

bool request_messages_have_parts(const struct json *messages)
{
    for (uint32_t i = 0; i < messages->count; i++) {
        const struct json *content = json_get(&messages->items[i], "content");
        if (content != NULL && content->kind == JSON_ARRAY)
            return true;
    }
    return false;
}

/* ---- other members --------------------------------------------------------------------------- */

static const char *const reasoning_names[] = {"reasoning_content", "reasoning", "thinking"};

/* Members that are written anew; others are the template's business, as they are. */
static const char *const rewritten[] = {"role", "content", "tool_calls", "function_call"};

enum weir_status request_reasoning_read(const struct json *message, const struct json **out,
                                        struct weir_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < sizeof reasoning_names / sizeof reasoning_names[0]; i++) {
        const struct json *value;
        const enum weir_status status =
            field_get(message, reasoning_names[i], JSON_STRING, &value, err);
        if (status != WEIR_OK)
            return status;
        *out = *out != NULL ? *out : value;
    }
    return WEIR_OK;
}

static bool is_one_of(struct json_text key, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (json_text_equals(key, names[i]))
            return true;
    }
    return false;
}

static void write_others(const struct json *message, struct bytes *out)
{
    for (uint32_t i = 0; i < message->count; i++) {
        const struct json_text key = message->keys[i];
        if (is_one_of(key, rewritten, sizeof rewritten / sizeof rewritten[0]) ||
            is_one_of(key, reasoning_names, sizeof reasoning_names / sizeof reasoning_names[0]))
            continue;
        bytes_add_text(out, ", \"");
        json_escape((struct printer){bytes_sink, out}, key.bytes, key.length);
        bytes_add_text(out, "\": ");
        add_source(out, &message->items[i]);
    }
}

/* ---- messages -------------------------------------------------------------------------------- */

/* Roles that templates know under another name; the first one, some know as it is. */
static const struct {
    const char *role, *known_as;
} roles[] = {{"developer", "\"system\""}, {"function", "\"tool\""}};

static enum weir_status write_role(const struct json *message, struct messages_form form,
                                   struct bytes *out, struct weir_error *err)
{
    const struct json *role;
    const enum weir_status status = field_get(message, "role", JSON_STRING, &role, err);
    if (status != WEIR_OK)
        return status;
    if (role == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "Field 'role': it is missing");
    bytes_add_text(out, "{\"role\": ");
    for (size_t i = form.has_developer; i < sizeof roles / sizeof roles[0]; i++) {
        if (json_is(role, roles[i].role)) {
            bytes_add_text(out, roles[i].known_as);
            return WEIR_OK;
        }
    }
    add_source(out, role);
    return WEIR_OK;
}

static enum weir_status write_message(const struct json *message, struct messages_form form,
                                      struct bytes *out, struct weir_error *err)
{
    const struct json *reasoning;
    enum weir_status status;
    if (message->kind != JSON_OBJECT)
        return err_set(err, WEIR_ERR_ARGUMENT, "expected an object, found %s",
                       json_kind_name(message->kind));
    TRY(write_role(message, form, out, err));
    TRY(write_content(message, form, out, err));
    TRY(request_reasoning_read(message, &reasoning, err));
    if (reasoning != NULL) {
        bytes_add_text(out, ", \"reasoning_content\": ");
        add_source(out, reasoning);
    }
    TRY(request_calls_write(message, out, err));
    write_others(message, out);
    bytes_add_text(out, "}");
out:
    return status;
}

enum weir_status request_messages_write(const struct json *messages, uint32_t count,
                                        struct messages_form form, struct bytes *out,
                                        struct weir_error *err)
{
    bytes_add_text(out, "[");
    for (uint32_t i = 0; i < count; i++) {
        struct weir_error problem = {0};
        if (i > 0)
            bytes_add_text(out, ", ");
        const enum weir_status status = write_message(&messages->items[i], form, out, &problem);
        if (status != WEIR_OK)
            return request_message_refuse(status, i, &problem, err);
    }
    bytes_add_text(out, "]");
    return bytes_check(out, err);
}
