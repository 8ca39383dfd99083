/* SPDX-License-Identifier: MIT
 * Sets of code points, and paths over them. Knows no notation. */
#ifndef GRAMMAR_CODE_SET_H
#define GRAMMAR_CODE_SET_H

#include "grammar/rules.h"

enum { CODE_MAX = 0x10ffff };

/* Reads the character that begins at text[0], of `length` >= 1 bytes. Returns its number of bytes,
 * or 0 if it is none. */
size_t code_read(const char *text, size_t length, uint32_t *code);

static inline bool code_is_surrogate(uint32_t code)
{
    return code >= 0xd800 && code <= 0xdfff;
}

/* Set to zero to begin. Once closed, ranges ascend and do not touch, and have no surrogates. */
struct code_set {
    struct code_range *ranges;
    uint64_t count, capacity;
};

void code_set_release(struct code_set *set);
enum weir_status code_set_add(struct code_set *set, uint32_t first, uint32_t last,
                              struct weir_error *err);
/* Sorts, joins, and takes the surrogates away; of the complement if `negated`. */
enum weir_status code_set_close(struct code_set *set, bool negated, struct weir_error *err);
bool code_set_has(const struct code_set *set, uint32_t code);

/* Paths over one character of a closed set. */
enum weir_status rules_set(struct rules_builder *builder, uint32_t from, uint32_t to,
                           const struct code_set *set, struct weir_error *err);

#endif
