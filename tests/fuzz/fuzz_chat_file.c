/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of conversations. What it takes is the same when it was written and read once
 * more, and a command is told of it what stands there. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "app/chat_file.h"
#include "run/chat_messages.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void write_all(const struct chat_messages *messages, struct bytes *out)
{
    chat_messages_write(messages, (struct printer){bytes_sink, out});
    expect(bytes_check(out, NULL) == WEIR_OK);
}

static void check_state(const struct chat_messages *messages, const struct bytes *text)
{
    struct chat_state state = {.messages = 0};
    expect(chat_state_read(&state, text->data, (size_t)text->length, NULL) == WEIR_OK);
    expect(state.messages == messages->count);
    const bool is_answered =
        messages->count > 0 && chat_messages_is(messages, messages->count - 1, "assistant");
    expect(state.is_answered == is_answered);
    expect(state.system.length == 0 || chat_messages_is(messages, 0, "system"));
    chat_state_release(&state);
}

static void check_messages(struct json_text source)
{
    struct chat_messages messages = {.count = 0}, again = {.count = 0};
    struct bytes written = {0}, rewritten = {0};
    struct weir_error err = {0};
    const enum weir_status status =
        chat_messages_read(&messages, source.bytes, source.length, &err);
    expect(status == WEIR_OK || status == WEIR_ERR_ARGUMENT);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (status == WEIR_OK) {
        write_all(&messages, &written);
        expect(chat_messages_read(&again, written.data, (size_t)written.length, NULL) == WEIR_OK);
        write_all(&again, &rewritten);
        expect(again.count == messages.count && written.length == rewritten.length &&
               memcmp(written.data, rewritten.data, (size_t)written.length) == 0);
        check_state(&messages, &written);
    }
    chat_messages_release(&messages);
    chat_messages_release(&again);
    bytes_release(&written);
    bytes_release(&rewritten);
}

int fuzz_chat_file(const uint8_t *data, size_t size)
{
    struct json_document *document;
    struct json_text messages;
    struct weir_error err = {0};
    if (json_open(&document, (const char *)data, size, "input", &err) != WEIR_OK)
        return 0;
    const enum weir_status status =
        chat_file_messages(json_root(document), "input", &messages, &err);
    expect(status == WEIR_OK || status == WEIR_ERR_FORMAT);
    if (status == WEIR_OK)
        check_messages(messages);
    json_close(document);
    return 0;
}
