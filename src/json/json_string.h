/* SPDX-License-Identifier: MIT
 * Strings of JSON, from quote to quote. */
#ifndef JSON_JSON_STRING_H
#define JSON_JSON_STRING_H

#include <stdbool.h>
#include <stddef.h>

struct json_string {
    const char *end;     /* behind the closing quote; NULL: refused */
    const char *refused; /* the byte at which it is wrong */
    const char *reason;  /* what is wrong there; static */
    size_t length;       /* decoded */
    bool is_plain;       /* nothing in it is escaped: decoded, it is its own bytes */
};

/* Reads the string that begins with the quote at `at`. Decodes into `out`, which has room for the
 * bytes of the string as it is written; NULL: only checks. */
struct json_string json_string_read(const char *at, const char *end, char *out);

#endif
