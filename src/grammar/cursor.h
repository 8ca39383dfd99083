/* SPDX-License-Identifier: MIT
 * A place in a notation that is read, and the marks of a repetition that notations share. Knows
 * none of them. */
#ifndef GRAMMAR_CURSOR_H
#define GRAMMAR_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct cursor {
    const char *text;
    size_t length, at; /* at <= length */
};

static inline bool cursor_at_end(const struct cursor *cursor)
{
    return cursor->at == cursor->length;
}

/* The byte `ahead` of here; 0 behind the end. */
static inline char cursor_peek(const struct cursor *cursor, size_t ahead)
{
    return ahead < cursor->length - cursor->at ? cursor->text[cursor->at + ahead] : 0;
}

/* Goes behind `text` if it comes next. */
static inline bool cursor_take(struct cursor *cursor, const char *text)
{
    const size_t length = strlen(text);
    if (length > cursor->length - cursor->at ||
        memcmp(cursor->text + cursor->at, text, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

struct repeat {
    uint32_t least, most; /* UINT32_MAX: any number */
};

/* Goes behind a mark of one character, which says how often; without one it is once. */
static inline bool cursor_take_repeat(struct cursor *cursor, struct repeat *out)
{
    *out = (struct repeat){1, 1};
    if (cursor_take(cursor, "*"))
        *out = (struct repeat){0, UINT32_MAX};
    else if (cursor_take(cursor, "+"))
        *out = (struct repeat){1, UINT32_MAX};
    else if (cursor_take(cursor, "?"))
        *out = (struct repeat){0, 1};
    else
        return false;
    return true;
}

/* Copies of what is repeated; where any number may follow, the last leads back to itself. */
static inline uint32_t repeat_copies(struct repeat repeat)
{
    if (repeat.most < UINT32_MAX)
        return repeat.most;
    return repeat.least > 0 ? repeat.least : 1;
}

#endif
