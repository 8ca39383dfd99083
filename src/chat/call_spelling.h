/* SPDX-License-Identifier: MIT
 * The value of a call, spelled in two ways. A client reads what a model has called and sends it
 * back in its own spelling, or a template has one: other blanks, other numbers, other newlines.
 * Then the text that the model wrote stands for it as well. */
#ifndef CHAT_CALL_SPELLING_H
#define CHAT_CALL_SPELLING_H

#include "json/json.h"

/* A value within the marks of a call: a parameter's, or a call that is one object of JSON. */
struct call_value {
    size_t mark;           /* where the opening begins */
    size_t from, to;       /* the value */
    const char *close;     /* the mark that ends it; NULL: there is no value */
    struct json_text name; /* of the parameter; else NULL */
};

/* What is longer has one spelling. */
enum { CALL_VALUE_BYTES_MAX = 1 << 20 };

/* The value of a call within which byte `at` stands, or that ends there. Its marks are looked for
 * between `from` and the end of the text. */
struct call_value call_value_at(struct json_text text, size_t from, size_t at);

/* The name of the last function that is called between `from` and `to`: true if there is one, and
 * then *mark is where its mark begins. */
bool call_function_at(struct json_text text, size_t from, size_t to, struct json_text *name,
                      size_t *mark);

/* Do two spellings of a value mean the same? `types` (enum value_type) says which JSON a parameter
 * may be: what is a string by them is one text, with or without a newline on either side. False
 * also where there is no memory to tell. */
bool call_value_alike(const struct call_value *value, unsigned types, struct json_text a,
                      struct json_text b);

#endif
