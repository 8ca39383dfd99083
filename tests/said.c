/* SPDX-License-Identifier: MIT
 * Takes texts apart for tests. Knows nothing of what should come out. */
#include "said.h"

#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "test.h"

#define CUT ", \"cut\""

/* What the events so far allow to come next. */
struct listener {
    struct message *message;
    uint32_t calls;
    bool is_in_call;
};

static void listen(void *user, const struct weir_reply_event *event)
{
    struct listener *listener = user;
    switch (event->kind) {
    case WEIR_REPLY_REASONING:
    case WEIR_REPLY_CONTENT:
        CHECK(event->length > 0);
        CHECK_INT(event->call, listener->calls);
        listener->is_in_call = false;
        break;
    case WEIR_REPLY_CALL:
        CHECK(event->length > 0);
        CHECK_INT(event->call, listener->calls++);
        listener->is_in_call = true;
        break;
    case WEIR_REPLY_ARGUMENTS:
        CHECK(event->length > 0);
        CHECK_INT(event->call, listener->calls - 1);
        CHECK(listener->is_in_call);
        break;
    case WEIR_REPLY_CALL_END:
        CHECK_INT(event->call, listener->calls - 1);
        CHECK(listener->is_in_call);
        listener->is_in_call = false;
        break;
    }
    message_add(listener->message, event);
}

static size_t next_piece(const struct said_options *options, uint64_t index, size_t left)
{
    uint64_t piece = options->piece == 0 ? left : options->piece;
    if (options->piece == SAID_RANDOM)
        piece = 1 + rng_bits(test_seed(), options->stream, index) % 40;
    return piece < left ? (size_t)piece : left;
}

enum weir_status said_message(struct message *out, const char *text, size_t length,
                              const struct said_options *options, struct weir_error *err)
{
    *out = (struct message){0};
    struct listener listener = {.message = out};
    struct weir_reply *reply = NULL;
    struct weir_reply_options reply_options;
    enum weir_status status;
    weir_reply_options_init(&reply_options);
    reply_options.tools = options->tools;
    reply_options.tools_length = options->tools == NULL ? 0 : strlen(options->tools);
    reply_options.in_reasoning = options->in_reasoning;
    reply_options.may_reason = options->may_reason;
    reply_options.calls_first = options->calls_first;
    reply_options.format = options->format;
    reply_options.event = listen;
    reply_options.event_user = &listener;
    TRY(weir_reply_open(&reply, &reply_options, err));
    size_t bytes;
    uint64_t index = 0;
    for (size_t at = 0; at < length; at += bytes) {
        bytes = next_piece(options, index++, length - at);
        TRY(weir_reply_push(reply, text + at, bytes, err));
    }
    TRY(options->is_cut ? weir_reply_cut(reply, err) : weir_reply_finish(reply, err));
    TRY(message_check(out, err));
out:
    weir_reply_close(reply);
    return status;
}

static void add_string(struct bytes *out, const char *begin, const char *text, size_t length)
{
    bytes_add_text(out, begin);
    bytes_add_text(out, "\"");
    json_escape((struct printer){bytes_sink, out}, text, length);
    bytes_add_text(out, "\"");
}

static void add_bytes(struct bytes *out, const char *begin, const struct bytes *text)
{
    add_string(out, begin, text->data, (size_t)text->length);
}

char *said_text(const struct message *message)
{
    struct bytes out = {0};
    add_bytes(&out, "", &message->reasoning);
    add_bytes(&out, ", ", &message->content);
    for (uint64_t i = 0; i < message->calls_count; i++) {
        add_bytes(&out, "; ", &message->calls[i].name);
        add_bytes(&out, ", ", &message->calls[i].arguments);
        bytes_add_text(&out, message->calls[i].is_complete ? "" : CUT);
    }
    return out.data;
}

char *said_of(const char *text, size_t length, const struct said_options *options)
{
    struct message message;
    struct weir_error err = {0};
    CHECK_OK(said_message(&message, text, length, options, &err), &err);
    char *said = said_text(&message);
    message_release(&message);
    return said;
}

static void add_member(struct bytes *out, const char *begin, const struct json *object,
                       const char *key)
{
    const struct json *value = json_get(object, key);
    CHECK(value != NULL && value->kind == JSON_STRING);
    add_string(out, begin, value->text.bytes, value->text.length);
}

char *said_expected(const struct json *expected)
{
    struct bytes out = {0};
    add_member(&out, "", expected, "reasoning_content");
    add_member(&out, ", ", expected, "content");
    const struct json *calls = json_get(expected, "tool_calls");
    CHECK(calls != NULL && calls->kind == JSON_ARRAY);
    for (uint32_t i = 0; i < calls->count; i++) {
        add_member(&out, "; ", &calls->items[i], "name");
        add_member(&out, ", ", &calls->items[i], "arguments");
    }
    return out.data;
}

void said_forget_cuts(char *text)
{
    for (char *cut = strstr(text, CUT); cut != NULL; cut = strstr(cut, CUT))
        memmove(cut, cut + strlen(CUT), strlen(cut + strlen(CUT)) + 1);
}
