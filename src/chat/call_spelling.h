/* SPDX-License-Identifier: MIT
 * The value of a call, spelled in two ways. A client reads what a model has called and sends it
 * back in its own spelling, or a template has one: other blanks, other numbers, other newlines.
 * Then the text that the model wrote stands for it as well. */
#ifndef CHAT_CALL_SPELLING_H
#define CHAT_CALL_SPELLING_H

#include "json/json.h"

/* A value within the marks of a call: a parameter's, or a call that is one object of JSON. */
struct call_value {
    size_t mark;       /* where the opening begins */
    size_t from, to;   /* the value */
    const char *close; /* the mark that ends it; NULL: there is no value */
};

/* What is longer has one spelling. */
enum { CALL_VALUE_BYTES_MAX = 1 << 20 };

/* The value of a call within which byte `at` stands, or that ends there. */
struct call_value call_value_at(const char *text, size_t length, size_t at);

/* Do two spellings mean the same: JSON that does, or, of a parameter, one text with or without a
 * newline on either side? False also where there is no memory to tell. */
bool call_value_alike(const struct call_value *value, struct json_text a, struct json_text b);

#endif
