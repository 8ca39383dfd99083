/* SPDX-License-Identifier: MIT
 * Classes of code points. Knows nothing of tokens. */
#include "text/unicode.h"

#include <stddef.h>

/* Where the class changes: the code point from which on it holds, shifted up by CLASS_BITS, and the
 * class. Each range gives its own class at its first code point and OTHER behind its last; where
 * the next range begins right there, its entry follows and, being the larger number, wins. */
enum { CLASS_BITS = 5, CLASS_MASK = (1 << CLASS_BITS) - 1 };

#define RANGE(first, last, class)                                                                  \
    (first) << CLASS_BITS | UNICODE_##class, ((last) + 1) << CLASS_BITS | UNICODE_OTHER,
static const uint32_t class_changes[] = {
    UNICODE_OTHER,
#include "text/unicode.def"
};
#undef RANGE

#define O UNICODE_OTHER
#define L UNICODE_LETTER
#define N UNICODE_NUMBER
#define S UNICODE_SPACE
static const uint8_t ascii_classes[128] = {
    O, O, O, O, O, O, O, O, O, S, S, S, S, S, O, O, /* control codes; tab to CR */
    O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /**/
    S, O, O, O, O, O, O, O, O, O, O, O, O, O, O, O, /* space, punctuation */
    N, N, N, N, N, N, N, N, N, N, O, O, O, O, O, O, /* 0 to 9 */
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* A to Z */
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /**/
    O, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, /* a to z */
    L, L, L, L, L, L, L, L, L, L, L, O, O, O, O, O, /**/
};
#undef O
#undef L
#undef N
#undef S

enum unicode_class unicode_class(uint32_t code)
{
    if (code < 128)
        return (enum unicode_class)ascii_classes[code];
    if (code > 0x10ffff)
        return UNICODE_OTHER;
    const uint32_t key = code << CLASS_BITS | CLASS_MASK;
    const uint32_t *base = class_changes; /* *base <= key: the answer is at base or behind */
    size_t count = sizeof class_changes / sizeof class_changes[0];
    while (count > 1) {
        const size_t half = count / 2;
        base += base[half] <= key ? half : 0;
        count -= half;
    }
    return (enum unicode_class)(*base & CLASS_MASK);
}
