/* SPDX-License-Identifier: MIT
 * The marks that replies are divided by, found in text of which more may come. */
#ifndef CHAT_MARKS_H
#define CHAT_MARKS_H

#include "base/text.h"
#include "base/think_marks.h"

#define MARK_CALL          "<tool_call>"
#define MARK_CALL_END      "</tool_call>"
#define MARK_FUNCTION      "<function="
#define MARK_FUNCTION_END  "</function>"
#define MARK_PARAMETER     "<parameter="
#define MARK_PARAMETER_END "</parameter>"

/* White space between two marks, and a name within one: what is longer is none. So what is held
 * back to be decided stays small. */
enum { MARK_WHITE_MAX = 256, MARK_NAME_MAX = 256 };

enum mark_match {
    MARK_NOT,
    MARK_MAYBE, /* the text ends before it is decided */
    MARK_WHOLE,
};

/* Text from which on it is looked at, and whether that is all. */
struct rest {
    const char *text;
    size_t length;
    bool is_final; /* no more will come, so nothing needs to wait */
};

struct rest rest_from(struct rest rest, size_t at);

/* Does the text begin with the mark? An empty one may. */
enum mark_match mark_at(struct rest rest, const char *mark);

/* True for what no name has: a newline, an escape. */
bool is_control_byte(char c);

/* The name that a mark ends with, "NAME>", of at least one byte, none of them an angle bracket or a
 * control character. *length without the bracket, if WHOLE. */
enum mark_match mark_name(struct rest rest, size_t *length);

/* Bytes of white space that the text begins with, at most MARK_WHITE_MAX. */
size_t mark_white(struct rest rest);

/* Newlines that the text begins with. */
size_t mark_newlines(struct rest rest);

/* Bytes before the next newline or angle bracket, where something might begin. */
size_t mark_plain(struct rest rest);

/* Does, behind white space, one of the marks follow that may stand between parameters? WHOLE as
 * well if the final text ends within that, but not if it ends before. */
enum mark_match mark_next_in_call(struct rest rest);

#endif
