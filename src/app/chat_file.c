/* SPDX-License-Identifier: MIT
 * Reads and writes conversations. Messages pass as they are: what is in them is for the library.
 * Knows no session. */
#include "app/chat_file.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"

static const char format[] = "weir.chat/1";
static const uint64_t file_bytes_max = (uint64_t)1 << 30;

enum weir_status chat_file_save(const struct weir_chat *chat, const char *path,
                                struct weir_error *err)
{
    struct bytes text = {0};
    struct file_writer writer = {0};
    enum weir_status status;
    bytes_add_text(&text, "{\"format\": \"");
    bytes_add_text(&text, format);
    bytes_add_text(&text, "\", \"messages\": ");
    TRY(weir_chat_save(chat, bytes_sink, &text, err));
    bytes_add_text(&text, "}\n");
    TRY(bytes_check(&text, err));
    TRY(file_writer_open(&writer, path, err));
    file_writer_make_private(&writer);
    TRY(file_writer_put(&writer, text.data, text.length, err));
    TRY(file_writer_commit(&writer, err));
out:
    file_writer_abandon(&writer);
    bytes_release(&text);
    return status;
}

enum weir_status chat_file_messages(const struct json *root, const char *name,
                                    struct json_text *messages, struct weir_error *err)
{
    const struct json *found = json_get(root, "messages");
    if (!json_is(json_get(root, "format"), format) || found == NULL)
        return err_set(
            err, WEIR_ERR_FORMAT,
            "%s: no conversation of weir chat: an object with \"format\": \"%s\" and \"messages\" "
            "is expected",
            name, format);
    *messages = found->source;
    return WEIR_OK;
}

/* A file that was read. */
struct chat_file {
    uint8_t *data;
    struct json_document *document;
    struct json_text messages; /* a JSON value */
};

/* A conversation that is damaged has a place where it is. */
static bool begins_as_object(const char *text)
{
    return text[strspn(text, " \t\r\n")] == '{';
}

static enum weir_status open_file(struct chat_file *file, const char *path, struct weir_error *err)
{
    size_t size;
    enum weir_status status;
    TRY(file_read_all(path, file_bytes_max, &file->data, &size, err));
    const char *text = (const char *)file->data; /* with a zero behind it */
    if (!begins_as_object(text))
        return err_set(err, WEIR_ERR_FORMAT, "%s: no conversation of weir chat", path);
    TRY(json_open(&file->document, text, size, path, err));
    status = chat_file_messages(json_root(file->document), path, &file->messages, err);
out:
    return status;
}

static void close_file(struct chat_file *file)
{
    json_close(file->document);
    mem_free(file->data);
}

enum weir_status chat_file_check(const char *path, struct weir_error *err)
{
    struct chat_file file = {0};
    struct weir_error why = {0};
    if (!file_exists(path))
        return WEIR_OK;
    if (!file_is_same(path, path))
        return err_set(err, WEIR_ERR_IO, "%s: not a regular file", path);
    const enum weir_status status = open_file(&file, path, &why);
    close_file(&file);
    if (status == WEIR_ERR_FORMAT)
        return err_set(err, status, "%s: not written over: it holds no conversation", path);
    return status == WEIR_OK ? WEIR_OK : err_set(err, status, "%s", why.text);
}

enum weir_status chat_file_load(struct weir_chat *chat, const char *path, struct weir_error *err)
{
    struct chat_file file = {0};
    struct weir_error inner = {0};
    enum weir_status status;
    TRY(open_file(&file, path, err));
    status = weir_chat_load(chat, file.messages.bytes, file.messages.length, &inner);
    if (status != WEIR_OK)
        err_set(err, status, "%s: %s", path, inner.text);
out:
    close_file(&file);
    return status;
}

enum weir_status chat_state_read(struct chat_state *state, const char *text, size_t length,
                                 struct weir_error *err)
{
    struct json_document *document = NULL;
    enum weir_status status;
    TRY(json_open(&document, text, length, "messages", err));
    const struct json *messages = json_root(document);
    state->messages = messages->count;
    state->is_empty = messages->count == 0;
    if (messages->kind != JSON_ARRAY || messages->count == 0)
        goto out;
    const struct json *first = &messages->items[0], *last = &messages->items[messages->count - 1];
    const struct json *content = json_get(first, "content");
    state->is_empty = messages->count == 1 && json_is(json_get(first, "role"), "system");
    state->is_answered = json_is(json_get(last, "role"), "assistant");
    if (json_is(json_get(first, "role"), "system") && content != NULL &&
        content->kind == JSON_STRING)
        bytes_add(&state->system, content->text.bytes, content->text.length);
    status = bytes_check(&state->system, err);
out:
    json_close(document);
    return status;
}

enum weir_status chat_state_take(struct chat_state *state, const struct weir_chat *chat,
                                 struct weir_error *err)
{
    struct bytes text = {0};
    enum weir_status status;
    TRY(weir_chat_save(chat, bytes_sink, &text, err));
    TRY(bytes_check(&text, err));
    status = chat_state_read(state, text.data, (size_t)text.length, err);
out:
    bytes_release(&text);
    return status;
}

void chat_state_release(struct chat_state *state)
{
    bytes_release(&state->system);
}
