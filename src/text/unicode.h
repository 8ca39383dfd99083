/* SPDX-License-Identifier: MIT
 * UTF-8, and the classes of code points that pre-tokenization distinguishes. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One bit each, so that a rule can ask for several at once. Every code point has exactly one. */
enum unicode_class {
    UNICODE_OTHER = 1,
    UNICODE_LETTER = 2,
    UNICODE_MARK = 4,
    UNICODE_NUMBER = 8,
    UNICODE_SPACE = 16,
};

enum unicode_class unicode_class(uint32_t code);

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

/* Bytes of the text after each byte that is not part of a complete sequence has become U+FFFD. */
uint64_t utf8_repaired_length(const uint8_t *bytes, size_t length);
/* Writes that text to `out`, which has room for utf8_repaired_length bytes. */
void utf8_repair(const uint8_t *bytes, size_t length, uint8_t *out);

enum { UTF8_REPLACEMENT_BYTES = 3 };
/* U+FFFD in UTF-8. */
extern const uint8_t utf8_replacement[UTF8_REPLACEMENT_BYTES];

#endif
