/* SPDX-License-Identifier: MIT
 * A borrowed run of bytes, and text printed through a callback. */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include "weir.h"

struct span {
    const uint8_t *data; /* not zero-terminated */
    size_t length;
};

/* The bytes of a zero-terminated text, without the zero. */
struct span span_from(const char *text);

/* True if the span holds exactly the bytes of the zero-terminated `text`. */
bool span_equals(struct span span, const char *text);

/* True if the span begins with the bytes of the zero-terminated `text`. */
bool span_begins(struct span span, const char *text);

/* Makes text from outside fit for one line of a terminal: control characters become '?'. */
void text_clean(char *text);

/* Copies `text` to `out` of `size` bytes. A text that is too long loses its middle, at character
 * boundaries: its beginning (a path) and its end (the reason) stay. */
void text_fit(const char *text, char *out, size_t size);

/* The value of a hexadecimal digit, or -1. */
int hex_value(char digit);

/* Where describing functions print to. */
struct printer {
    weir_write_fn *write;
    void *user;
};

void print(struct printer printer, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
