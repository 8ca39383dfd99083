/* SPDX-License-Identifier: MIT
 * The classes of code points that pre-tokenization distinguishes. */
#ifndef TEXT_UNICODE_H
#define TEXT_UNICODE_H

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

#endif
