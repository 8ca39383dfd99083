/* SPDX-License-Identifier: MIT
 * Where a call begins: what is decided before anything of it is told. */
#ifndef CHAT_CALL_OPENING_H
#define CHAT_CALL_OPENING_H

#include "chat/marks.h"
#include "json/json.h"

enum call_opening_kind {
    CALL_OPENING_NONE,
    CALL_OPENING_UNDECIDED,
    CALL_OPENING_FUNCTION, /* "<tool_call> <function=NAME>" */
    CALL_OPENING_OBJECT,   /* "<tool_call> {" */
};

struct call_opening {
    enum call_opening_kind kind;
    size_t length;         /* of a FUNCTION up to its bracket, of an OBJECT up to its brace */
    struct json_text name; /* of a FUNCTION */
};

/* Looks at the beginning of the text. With `may_be_bare`, a function may also begin without
 * <tool_call>, if a mark that belongs to calls follows: so that a function that is only mentioned
 * is none. */
struct call_opening call_opening_find(struct rest rest, bool may_be_bare);

#endif
