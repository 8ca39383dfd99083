/* SPDX-License-Identifier: MIT
 * Grammars of tests: each must be readable. Knows not what they say. */
#ifndef TESTS_GRAMMARS_H
#define TESTS_GRAMMARS_H

#include "weir.h"

struct weir_grammar *grammars_open_gbnf(const char *text);
struct weir_grammar *grammars_open_schema(const char *text);
struct weir_grammar *grammars_open_pattern(const char *text);
struct weir_grammar *grammars_open_calls(const char *tools,
                                         const struct weir_calls_options *options);
enum weir_match grammars_match(const struct weir_grammar *grammar, const char *text);

#endif
