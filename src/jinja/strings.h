/* SPDX-License-Identifier: MIT
 * What filters and methods share that work on strings. */
#ifndef JINJA_STRINGS_H
#define JINJA_STRINGS_H

#include "jinja/interpreter.h"

enum strip_side { STRIP_LEFT = 1, STRIP_RIGHT = 2 };
enum letter_case { CASE_LOWER, CASE_UPPER, CASE_CAPITALIZE, CASE_TITLE, CASE_WORDS };

/* Builtins: parameters are chars; old, new, count; none; any. The rows say the variant: sides of
 * enum strip_side, enum letter_case. */
builtin_fn string_strip, string_replace, string_change_case, string_format;

/* The string with its ASCII letters in another case; others stay as they are. */
enum weir_status string_in_case(struct run *run, struct string string, enum letter_case letters,
                                struct string *out);

/* The bytes of the end of a line that stands at `at`, as Python knows them: 0 if there is none. */
uint32_t string_line_end(struct string string, uint32_t at);

/* The argument as a string, or `other` where there is none. */
enum weir_status argument_string(struct run *run, const struct call *call, uint32_t place,
                                 const char *other, struct string *out);
/* The argument as an integer, or `other` where there is none or it is none. */
enum weir_status argument_integer(struct run *run, const struct call *call, uint32_t place,
                                  int64_t other, int64_t *out);
/* The argument as a count: -1, all there are, where it is negative or there is none. */
enum weir_status argument_count(struct run *run, const struct call *call, uint32_t place,
                                int64_t *out);

#endif
