/* SPDX-License-Identifier: MIT
 * Reads the parameters of a call while they come. Knows nothing of what stands around the call. */
#include "chat/call.h"

#include <string.h>

#include "chat/value_types.h"

/* A value whose JSON depends on all of it is a string if it is longer. */
enum { VALUE_BYTES_MAX = 1 << 22 };

void call_begin(struct call *call, const struct json *parameters, struct bytes *arguments)
{
    const struct bytes value = call->value;
    *call = (struct call){.parameters = parameters, .value = value, .arguments = arguments};
    bytes_clear(&call->value);
    bytes_add_text(arguments, "{");
}

void call_release(struct call *call)
{
    bytes_release(&call->value);
}

/* ---- values ---------------------------------------------------------------------------------- */

static void add_escaped(struct call *call, const char *text, size_t length)
{
    json_escape((struct printer){bytes_sink, call->arguments}, text, length);
}

/* The value that was held is a string after all, perhaps one that goes on. */
static void begin_string(struct call *call)
{
    bytes_add_text(call->arguments, "\"");
    if (call->value.length > 0)
        add_escaped(call, call->value.data, call->value.length);
    bytes_clear(&call->value);
    call->is_held = false;
}

static void begin_value(struct call *call, struct json_text key)
{
    bytes_add_text(call->arguments, call->has_parameters ? ",\"" : "\"");
    add_escaped(call, key.bytes, key.length);
    bytes_add_text(call->arguments, "\":");
    call->types = value_types(call->parameters, key, NULL);
    call->has_parameters = true;
    call->is_in_value = true;
    call->is_at_begin = true;
    call->is_behind_newline = false;
    call->is_held = (call->types & ~(unsigned)VALUE_STRING) != 0;
    if (!call->is_held)
        begin_string(call);
}

static void add_value(struct call *call, const char *text, size_t length)
{
    call->is_behind_newline = false;
    if (!call->is_held) {
        add_escaped(call, text, length);
        return;
    }
    bytes_add(&call->value, text, length);
    if (call->value.length > VALUE_BYTES_MAX)
        begin_string(call);
}

static bool is_held_json(const struct call *call)
{
    return call->is_held && call->value.length > 0 &&
           value_is_json(call->types, call->value.data, call->value.length);
}

static void add_held(struct call *call)
{
    bytes_add(call->arguments, call->value.data, call->value.length);
    bytes_clear(&call->value);
}

static void end_value(struct call *call)
{
    call->is_in_value = false;
    if (is_held_json(call)) {
        add_held(call);
        return;
    }
    if (call->is_held)
        begin_string(call);
    bytes_add_text(call->arguments, "\"");
}

void call_cut(struct call *call)
{
    if (!call->is_in_value || !call->is_held)
        return;
    if (is_held_json(call) || !(call->types & VALUE_STRING))
        add_held(call);
    else
        begin_string(call);
}

/* Does "</parameter>" at `at` end the value? With newlines on both sides it does, as templates
 * write it. Else if a mark follows that may stand behind a parameter, or nothing: what is not
 * followed so stands in the value. So the end is found with little of the text behind it. */
static enum mark_match ends_value(struct rest rest, size_t at, bool is_behind_newline)
{
    const struct rest mark = rest_from(rest, at);
    const enum mark_match match = mark_at(mark, MARK_PARAMETER_END);
    if (match != MARK_WHOLE)
        return match == MARK_MAYBE && rest.is_final ? MARK_NOT : match;
    const struct rest behind = rest_from(mark, strlen(MARK_PARAMETER_END));
    if (is_behind_newline && behind.length > 0 && behind.text[0] == '\n')
        return MARK_WHOLE;
    const enum mark_match next = mark_next_in_call(behind);
    return next == MARK_MAYBE && rest.is_final ? MARK_WHOLE : next;
}

/* At a newline or an angle bracket within a value. */
static enum call_step read_end(struct call *call, struct rest rest, size_t *consumed)
{
    const size_t newline = rest.text[0] == '\n' ? 1 : 0;
    switch (ends_value(rest, newline, newline == 1 || call->is_behind_newline)) {
    case MARK_MAYBE: return CALL_WAITS;
    case MARK_WHOLE:
        *consumed = newline + strlen(MARK_PARAMETER_END);
        end_value(call);
        break;
    case MARK_NOT:
        *consumed = 1;
        add_value(call, rest.text, 1);
        break;
    }
    return CALL_GOES_ON;
}

static enum call_step read_value(struct call *call, struct rest rest, size_t *consumed)
{
    if (call->is_at_begin) {
        call->is_at_begin = false;
        call->is_behind_newline = rest.text[0] == '\n';
        *consumed = call->is_behind_newline ? 1 : 0;
        return CALL_GOES_ON;
    }
    const size_t plain = mark_plain(rest);
    if (plain == 0)
        return read_end(call, rest, consumed);
    *consumed = plain;
    add_value(call, rest.text, plain);
    return CALL_GOES_ON;
}

/* ---- between values -------------------------------------------------------------------------- */

static enum call_step wait_or_break(struct rest rest, bool may_go_on)
{
    return may_go_on && !rest.is_final ? CALL_WAITS : CALL_BREAKS;
}

/* At a mark. */
static enum call_step read_mark(struct call *call, struct rest rest, size_t *consumed)
{
    const enum mark_match parameter = mark_at(rest, MARK_PARAMETER);
    if (parameter == MARK_WHOLE) {
        const struct rest behind = rest_from(rest, strlen(MARK_PARAMETER));
        size_t length;
        const enum mark_match named = mark_name(behind, &length);
        if (named != MARK_WHOLE)
            return wait_or_break(rest, named == MARK_MAYBE);
        *consumed = strlen(MARK_PARAMETER) + length + 1;
        begin_value(call, (struct json_text){behind.text, length});
        return CALL_GOES_ON;
    }
    const enum mark_match function_end = mark_at(rest, MARK_FUNCTION_END);
    const enum mark_match call_end = mark_at(rest, MARK_CALL_END);
    if (function_end != MARK_WHOLE && call_end != MARK_WHOLE)
        return wait_or_break(rest, parameter == MARK_MAYBE || function_end == MARK_MAYBE ||
                                       call_end == MARK_MAYBE);
    *consumed = function_end == MARK_WHOLE ? strlen(MARK_FUNCTION_END) : 0;
    bytes_add_text(call->arguments, "}");
    return CALL_ENDS;
}

enum call_step call_read(struct call *call, struct rest rest, size_t *consumed)
{
    *consumed = 0;
    if (call->is_in_value)
        return read_value(call, rest, consumed);
    const size_t white = mark_white(rest);
    const struct rest mark = rest_from(rest, white);
    if (mark.length == 0 && !rest.is_final)
        return CALL_WAITS;
    size_t read = 0;
    const enum call_step step = mark.length == 0 ? CALL_GOES_ON : read_mark(call, mark, &read);
    const bool is_taken = step == CALL_GOES_ON || step == CALL_ENDS;
    *consumed = is_taken ? white + read : 0;
    return step;
}
