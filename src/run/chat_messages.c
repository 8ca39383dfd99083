/* SPDX-License-Identifier: MIT
 * Messages as JSON. Knows not what a template makes of them. */
#include "run/chat_messages.h"

#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"

static void message_free(struct chat_message *message)
{
    mem_free(message->role);
    bytes_release(&message->json);
}

void chat_messages_release(struct chat_messages *messages)
{
    chat_messages_cut(messages, 0);
    mem_free(messages->items);
    *messages = (struct chat_messages){0};
}

bool chat_messages_is(const struct chat_messages *messages, uint64_t number, const char *role)
{
    return number < messages->count && strcmp(messages->items[number].role, role) == 0;
}

uint64_t chat_messages_count(const struct chat_messages *messages, const char *role)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < messages->count; i++)
        count += chat_messages_is(messages, i, role);
    return count;
}

void chat_messages_cut(struct chat_messages *messages, uint64_t count)
{
    while (messages->count > count)
        message_free(&messages->items[--messages->count]);
}

/* ---- adding ---------------------------------------------------------------------------------- */

/* Takes over what the message holds, also if it fails. */
static enum weir_status append(struct chat_messages *messages, struct chat_message *message,
                               struct weir_error *err)
{
    enum weir_status status = message->role == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
    if (status == WEIR_OK)
        status = bytes_check(&message->json, err);
    if (status == WEIR_OK)
        status = mem_grow(&messages->items, &messages->capacity, messages->count + 1,
                          sizeof *messages->items, err);
    if (status == WEIR_OK)
        messages->items[messages->count++] = *message;
    else
        message_free(message);
    *message = (struct chat_message){0};
    return status;
}

static void add_string(struct bytes *json, const char *text, size_t length)
{
    bytes_add_text(json, "\"");
    json_escape((struct printer){bytes_sink, json}, text, length);
    bytes_add_text(json, "\"");
}

static enum weir_status check_utf8(const char *text, size_t length, struct weir_error *err)
{
    const uint8_t *bytes = (const uint8_t *)text;
    for (size_t at = 0; at < length;) {
        const struct utf8_sequence sequence = utf8_sequence(bytes + at, length - at);
        if (sequence.state != UTF8_COMPLETE)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "a message whose byte %llu is 0x%02x, expected UTF-8",
                           (unsigned long long)at, bytes[at]);
        at += sequence.length;
    }
    return WEIR_OK;
}

/* "{"role":"user","content":"Hello"", without the end. */
static void begin_message(struct chat_message *message, const char *role, const char *text,
                          size_t length, struct weir_error *err)
{
    *message = (struct chat_message){.role = mem_copy_text(role, strlen(role), err)};
    bytes_add_text(&message->json, "{\"role\": ");
    add_string(&message->json, role, strlen(role));
    bytes_add_text(&message->json, ", \"content\": ");
    add_string(&message->json, text, length);
}

enum weir_status chat_messages_add(struct chat_messages *messages, const char *role,
                                   const char *text, size_t length, struct weir_error *err)
{
    struct chat_message message;
    enum weir_status status;
    TRY(check_utf8(role, strlen(role), err));
    TRY(check_utf8(text, length, err));
    begin_message(&message, role, text, length, err);
    bytes_add_text(&message.json, "}");
    TRY(append(messages, &message, err));
out:
    return status;
}

static void add_calls(struct bytes *json, const struct message *reply)
{
    bool is_first = true;
    for (uint64_t i = 0; i < reply->calls_count; i++) {
        const struct message_call *call = &reply->calls[i];
        if (!call->is_complete)
            continue;
        bytes_add_text(json, is_first ? ", \"tool_calls\": [" : ", ");
        bytes_add_text(json, "{\"type\": \"function\", \"function\": {\"name\": ");
        add_string(json, call->name.data, (size_t)call->name.length);
        bytes_add_text(json, ", \"arguments\": ");
        bytes_add(json, call->arguments.data, (size_t)call->arguments.length);
        bytes_add_text(json, "}}");
        is_first = false;
    }
    bytes_add_text(json, is_first ? "}" : "]}");
}

enum weir_status chat_messages_add_reply(struct chat_messages *messages,
                                         const struct message *reply, bool is_in_content,
                                         struct weir_error *err)
{
    struct chat_message message;
    enum weir_status status;
    TRY(message_check(reply, err));
    begin_message(&message, "assistant", reply->content.data, (size_t)reply->content.length, err);
    if (reply->reasoning.length > 0 && !is_in_content) {
        bytes_add_text(&message.json, ", \"reasoning_content\": ");
        add_string(&message.json, reply->reasoning.data, (size_t)reply->reasoning.length);
    }
    add_calls(&message.json, reply);
    TRY(append(messages, &message, err));
out:
    return status;
}

void chat_messages_lead(struct chat_messages *messages)
{
    const uint64_t held = messages->count - 1;
    const struct chat_message added = messages->items[held];
    if (chat_messages_is(messages, 0, "system") && held > 0) {
        message_free(&messages->items[0]);
        messages->count--;
    } else {
        memmove(messages->items + 1, messages->items, held * sizeof *messages->items);
    }
    messages->items[0] = added;
}

/* ---- as an array ----------------------------------------------------------------------------- */

void chat_messages_write(const struct chat_messages *messages, struct printer out)
{
    out.write(out.user, "[", 1);
    for (uint64_t i = 0; i < messages->count; i++) {
        const struct bytes *json = &messages->items[i].json;
        if (i > 0)
            out.write(out.user, ", ", 2);
        out.write(out.user, json->data, (size_t)json->length);
    }
    out.write(out.user, "]", 1);
}

static enum weir_status read_message(struct chat_messages *messages, const struct json *value,
                                     struct weir_error *err)
{
    const struct json *role = json_get(value, "role");
    const bool is_role = role != NULL && role->kind == JSON_STRING &&
                         memchr(role->text.bytes, 0, role->text.length) == NULL;
    if (!is_role)
        return err_set(err, WEIR_ERR_ARGUMENT, "message %llu is %s, expected an object with a role",
                       (unsigned long long)messages->count, json_kind_name(value->kind));
    const struct json *content = json_get(value, "content");
    const bool is_content = content == NULL || content->kind == JSON_NULL ||
                            content->kind == JSON_STRING || content->kind == JSON_ARRAY;
    if (!is_content)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "the content of message %llu is %s, expected a text or an array",
                       (unsigned long long)messages->count, json_kind_name(content->kind));
    struct chat_message message = {.role = mem_copy_text(role->text.bytes, role->text.length, err)};
    bytes_add(&message.json, value->source.bytes, value->source.length);
    return append(messages, &message, err);
}

enum weir_status chat_messages_read(struct chat_messages *out, const char *json, size_t length,
                                    struct weir_error *err)
{
    struct json_document *document;
    enum weir_status status = json_open_kind(&document, JSON_ARRAY, json, length, "messages", err);
    if (status != WEIR_OK)
        return status;
    const struct json *root = json_root(document);
    for (uint32_t i = 0; i < root->count; i++)
        TRY(read_message(out, &root->items[i], err));
out:
    json_close(document);
    if (status != WEIR_OK)
        chat_messages_release(out);
    return status;
}
