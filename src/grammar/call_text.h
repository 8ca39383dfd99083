/* SPDX-License-Identifier: MIT
 * Texts in which marks of calls have a meaning, as paths that read them as chat/reply.c and
 * chat/call.c do. */
#ifndef GRAMMAR_CALL_TEXT_H
#define GRAMMAR_CALL_TEXT_H

#include "grammar/schema.h"

/* What ends a parameter, and with it what is read of its value. */
#define CALL_VALUE_END "\n</parameter>\n"

/* Text of a reply that begins no call. It may end anywhere; the marks that begin a call lead to
 * `call`, behind "<tool_call>", and to `function`, behind "<function=". */
enum weir_status call_text_content(struct rules_builder *builder, uint32_t from, uint32_t to,
                                   uint32_t call, uint32_t function, struct weir_error *err);

/* JSON that the value of a parameter must not be: one bit each. */
enum call_text_not {
    CALL_TEXT_NOT_NULL = 1,
    CALL_TEXT_NOT_BOOLEAN = 2,
    CALL_TEXT_NOT_NUMBER = 4,
    CALL_TEXT_NOT_STRING = 8,
    CALL_TEXT_NOT_ARRAY = 16,
    CALL_TEXT_NOT_OBJECT = 32,
    CALL_TEXT_NOTS = 64,
};
/* Characters that such JSON begins with, but for null, true and false: 14 at most, zero-terminated.
 * Returns their number. */
size_t call_text_firsts(unsigned nots, char firsts[16]);

/* Any value that is read back as it is, up to what ends it, that included. A mark within it stays
 * there if what follows the mark says so. */
enum weir_status call_text_value(struct rules_builder *builder, unsigned nots, uint32_t from,
                                 uint32_t to, struct weir_error *err);

/* The inside of a JSON string and its last quote, without the mark that ends parameters. */
enum weir_status call_text_string(struct schema *schema, uint32_t from, uint32_t to,
                                  struct weir_error *err);

/* Whether the mark that ends parameters is in a text. */
bool call_text_has_mark(struct json_text text);

#endif
