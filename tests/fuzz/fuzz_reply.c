/* SPDX-License-Identifier: MIT
 * Fuzzes the parser of replies: a byte of options, a byte that decides how the text is cut, the
 * text. Whole and in pieces it says the same; no digit and no byte beyond ASCII is lost, of which
 * marks have none; the arguments of complete calls are objects; and what is told of a text that a
 * limit has cut off is the beginning of what is told of it. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "app/message.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "json/json.h"

static const char tools[] =
    "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"s\":{\"type\":\"string\"},\"n\":{\"type\":"
    "[\"integer\",\"null\"]},\"o\":{\"type\":\"object\"},\"u\":{\"anyOf\":[{\"$ref\":\"#\"},"
    "{\"type\":\"string\"}]},\"x\":{}}}}]";

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static enum weir_reasoning_format format_of(uint8_t options)
{
    return (enum weir_reasoning_format)((options & 63) / 4 % 3);
}

/* In pieces of 1 to 16 bytes, drawn from `cut`; 0: whole. */
static void take_apart(struct message *out, const char *text, size_t length, uint8_t options,
                       uint32_t cut)
{
    struct weir_reply *reply;
    struct weir_reply_options reply_options;
    weir_reply_options_init(&reply_options);
    reply_options.tools = (options & 1) != 0 ? tools : NULL;
    reply_options.tools_length = sizeof tools - 1;
    reply_options.in_reasoning = (options & 2) != 0;
    reply_options.may_reason = (options & 128) != 0;
    reply_options.format = format_of(options);
    reply_options.event = message_add;
    reply_options.event_user = out;
    expect(weir_reply_open(&reply, &reply_options, NULL) == WEIR_OK);
    size_t bytes;
    for (size_t at = 0; at < length; at += bytes) {
        const uint32_t piece = 1 + (cut >> 16) % 16;
        bytes = cut == 0 || length - at < piece ? length - at : piece;
        expect(weir_reply_push(reply, text + at, bytes, NULL) == WEIR_OK);
        cut = cut * 1664525 + (cut == 0 ? 0 : 1013904223);
    }
    const bool is_cut = (options & 64) != 0;
    expect((is_cut ? weir_reply_cut(reply, NULL) : weir_reply_finish(reply, NULL)) == WEIR_OK);
    expect(message_check(out, NULL) == WEIR_OK);
    weir_reply_close(reply);
}

static void expect_same(const struct bytes *a, const struct bytes *b)
{
    expect(a->length == b->length && (a->length == 0 || memcmp(a->data, b->data, a->length) == 0));
}

static void check_same(const struct message *a, const struct message *b)
{
    expect_same(&a->reasoning, &b->reasoning);
    expect_same(&a->content, &b->content);
    expect(a->calls_count == b->calls_count);
    for (uint64_t i = 0; i < a->calls_count; i++) {
        expect_same(&a->calls[i].name, &b->calls[i].name);
        expect_same(&a->calls[i].arguments, &b->calls[i].arguments);
        expect(a->calls[i].is_complete == b->calls[i].is_complete);
    }
}

static uint64_t count_kept(const char *text, uint64_t length)
{
    uint64_t count = 0;
    for (uint64_t i = 0; i < length; i++)
        count += (text[i] >= '0' && text[i] <= '9') || (text[i] & 0x80) != 0;
    return count;
}

static uint64_t count_bytes(const struct bytes *bytes)
{
    return count_kept(bytes->data, bytes->length);
}

/* Escapes of JSON add digits, or take some away: texts with such are left out. */
static bool has_escapes(const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        const bool is_short = strchr("\b\f\n\r\t", text[i]) != NULL && text[i] != 0;
        if (text[i] == '\\' || ((unsigned char)text[i] < 0x20 && !is_short))
            return true;
    }
    return false;
}

static void check_message(const struct message *message, const char *text, size_t length,
                          bool is_utf8)
{
    uint64_t kept = count_bytes(&message->reasoning) + count_bytes(&message->content);
    for (uint64_t i = 0; i < message->calls_count; i++) {
        const struct message_call *call = &message->calls[i];
        enum json_kind kind;
        kept += count_bytes(&call->name) + count_bytes(&call->arguments);
        if (call->is_complete && is_utf8)
            expect(json_check(call->arguments.data, call->arguments.length, &kind) &&
                   kind == JSON_OBJECT);
    }
    if (!has_escapes(text, length))
        expect(kept == count_kept(text, length));
}

static void expect_begins(const struct bytes *whole, const struct bytes *begin)
{
    expect(begin->length <= whole->length &&
           (begin->length == 0 || memcmp(begin->data, whole->data, begin->length) == 0));
}

static void check_cut(const struct message *whole, const char *text, size_t length, uint8_t options)
{
    struct message begin = {0};
    take_apart(&begin, text, length, options | 64, 0);
    expect_begins(&whole->reasoning, &begin.reasoning);
    expect_begins(&whole->content, &begin.content);
    expect(begin.calls_count <= whole->calls_count);
    message_release(&begin);
}

int fuzz_reply(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    const char *text = (const char *)data + 2;
    const uint8_t options = data[0] & (63 | 128);
    struct message whole = {0}, pieces = {0};
    take_apart(&whole, text, size - 2, options, 0);
    take_apart(&pieces, text, size - 2, options, 1 + (uint32_t)data[1] * 65537);
    check_same(&whole, &pieces);
    check_cut(&whole, text, (size - 2) * (data[1] % 16) / 16, options);
    const bool is_twice = format_of(options) == WEIR_REASONING_BOTH;
    if (!is_twice)
        check_message(&whole, text, size - 2, utf8_repaired_length(data + 2, size - 2) == size - 2);
    message_release(&pieces);
    message_release(&whole);
    return 0;
}
