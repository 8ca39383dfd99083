/* SPDX-License-Identifier: MIT
 * Fuzzes the grammar of calls: a byte of options, up to a zero the tools, behind it a text. What
 * the grammar takes, the parser of replies takes apart into complete calls, and if one is required,
 * into nothing else; or if content is held to a schema, into either. */
#include "fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "base/reply_message.h"
#include "base/utf8.h"
#include "json/json.h"
#include "weir.h"

static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_reply(const char *tools, size_t tools_length, const char *text, size_t length,
                        const struct weir_calls_options *calls)
{
    struct weir_reply *reply;
    struct message message = {0};
    struct weir_reply_options options;
    weir_reply_options_init(&options);
    options.tools = tools;
    options.tools_length = tools_length;
    options.calls_first = calls->content != NULL;
    options.event = message_add;
    options.event_user = &message;
    expect(weir_reply_open(&reply, &options, NULL) == WEIR_OK);
    expect(weir_reply_push(reply, text, length, NULL) == WEIR_OK);
    expect(weir_reply_finish(reply, NULL) == WEIR_OK);
    expect(!calls->required || (message.content.length == 0 && message.calls_count > 0));
    expect(calls->content == NULL || (message.content.length == 0) == (message.calls_count > 0));
    for (uint64_t i = 0; i < message.calls_count; i++) {
        const struct message_call *call = &message.calls[i];
        enum json_kind kind;
        expect(call->is_complete && call->name.length > 0);
        expect(json_check(call->arguments.data, call->arguments.length, &kind) &&
               kind == JSON_OBJECT);
    }
    message_release(&message);
    weir_reply_close(reply);
}

/* A string may spell out anything, so a call too. */
static const char content[] =
    "{\"type\":\"array\",\"items\":{\"type\":[\"integer\",\"null\",\"string\"]}}";

int fuzz_calls(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const char *tools = (const char *)data + 1;
    const char *zero = memchr(tools, 0, size - 1);
    const size_t length = zero != NULL ? (size_t)(zero - tools) : size - 1;
    const struct weir_calls_options options = {.required = (data[0] & 1) != 0,
                                               .single = (data[0] & 2) != 0,
                                               .content = (data[0] & 4) != 0 ? content : NULL,
                                               .content_length = sizeof content - 1};
    struct weir_error err = {0};
    struct weir_grammar *grammar;
    enum weir_match result;
    const enum weir_status status =
        weir_grammar_open_calls(&grammar, tools, length, &options, &err);
    expect((status == WEIR_OK) == (err.text[0] == 0) && (status == WEIR_OK) == (grammar != NULL));
    if (grammar != NULL && zero != NULL) {
        const char *text = zero + 1;
        const size_t text_length = size - length - 2;
        if (weir_grammar_match(grammar, text, text_length, &result, NULL) == WEIR_OK &&
            result == WEIR_MATCH_WHOLE) {
            expect(utf8_repaired_length((const uint8_t *)text, text_length) == text_length);
            check_reply(tools, length, text, text_length, &options);
        }
    }
    weir_grammar_close(grammar);
    return 0;
}
