/* SPDX-License-Identifier: MIT
 * UTF-8: where characters begin and end, and what becomes of bytes that are none. */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stddef.h>
#include <stdint.h>

enum utf8_state {
    UTF8_COMPLETE,  /* a whole character */
    UTF8_TRUNCATED, /* all the bytes given are the beginning of a character */
    UTF8_MALFORMED, /* the longest beginning of a character that cannot go on, or a byte that none
                     * can begin with */
};

struct utf8_sequence {
    enum utf8_state state;
    uint32_t length; /* 1 to 4 bytes */
};

/* Looks at the beginning of `length` bytes, at least 1. Overlong forms, surrogates and code points
 * above U+10FFFF are malformed. */
struct utf8_sequence utf8_sequence(const uint8_t *bytes, size_t length);

/* The code point of a complete sequence of `length` bytes. */
uint32_t utf8_decode(const uint8_t *bytes, uint32_t length);

/* Writes the sequence of a code point, 1 to 4 bytes; returns their number. */
uint32_t utf8_encode(uint32_t code, uint8_t *out);

/* Bytes of the text after each byte that is not part of a complete sequence has become U+FFFD. */
uint64_t utf8_repaired_length(const uint8_t *bytes, size_t length);
/* Writes that text to `out`, which has room for utf8_repaired_length bytes. */
void utf8_repair(const uint8_t *bytes, size_t length, uint8_t *out);

enum { UTF8_REPLACEMENT_BYTES = 3 };
/* U+FFFD in UTF-8. */
extern const uint8_t utf8_replacement[UTF8_REPLACEMENT_BYTES];

#endif
