/* SPDX-License-Identifier: MIT
 * Texts of parameters of which the characters are counted or follow a pattern. */
#ifndef GRAMMAR_CALL_LIMITED_H
#define GRAMMAR_CALL_LIMITED_H

#include "grammar/call_text.h"

/* Paths over such texts, without what ends them. None has the mark that ends parameters in it. One
 * that must not be some JSON begins neither with white space nor as such JSON does. */
enum weir_status call_limited_emit(struct schema *schema, const struct schema_limits *limits,
                                   unsigned nots, uint32_t from, uint32_t to,
                                   struct weir_error *err);

#endif
