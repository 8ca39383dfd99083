/* SPDX-License-Identifier: MIT
 * Decides whether a call begins. Knows nothing of what is in it. */
#include "chat/call_opening.h"

#include <string.h>

static struct call_opening unless_final(struct rest rest)
{
    return (struct call_opening){rest.is_final ? CALL_OPENING_NONE : CALL_OPENING_UNDECIDED};
}

/* "<function=NAME>" at `at`. */
static struct call_opening find_function(struct rest rest, size_t at, bool is_bare)
{
    const struct call_opening none = {CALL_OPENING_NONE};
    const struct rest function = rest_from(rest, at);
    const enum mark_match match = mark_at(function, MARK_FUNCTION);
    if (match != MARK_WHOLE)
        return match == MARK_NOT ? none : unless_final(rest);
    const size_t name_at = at + strlen(MARK_FUNCTION);
    size_t name_length;
    const enum mark_match named = mark_name(rest_from(rest, name_at), &name_length);
    if (named != MARK_WHOLE)
        return named == MARK_NOT ? none : unless_final(rest);
    const size_t end = name_at + name_length + 1;
    const enum mark_match next = is_bare ? mark_next_in_call(rest_from(rest, end)) : MARK_WHOLE;
    if (next != MARK_WHOLE)
        return next == MARK_NOT ? none : unless_final(rest);
    return (struct call_opening){CALL_OPENING_FUNCTION, end, {rest.text + name_at, name_length}};
}

struct call_opening call_opening_find(struct rest rest, bool may_be_bare)
{
    const enum mark_match match = mark_at(rest, MARK_CALL);
    if (match == MARK_MAYBE && !rest.is_final)
        return (struct call_opening){CALL_OPENING_UNDECIDED};
    if (match != MARK_WHOLE)
        return may_be_bare ? find_function(rest, 0, true)
                           : (struct call_opening){CALL_OPENING_NONE};
    const size_t mark = strlen(MARK_CALL);
    const size_t at = mark + mark_white(rest_from(rest, mark));
    if (at < rest.length && rest.text[at] == '{')
        return (struct call_opening){CALL_OPENING_OBJECT, at, {NULL, 0}};
    return find_function(rest, at, false);
}
