/* SPDX-License-Identifier: MIT
 * UTF-8 and classes of code points. Knows nothing of tokens. */
#include "text/unicode.h"

#include <string.h>

/* ---- classes --------------------------------------------------------------------------------- */

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

/* ---- UTF-8 ----------------------------------------------------------------------------------- */

const uint8_t utf8_replacement[UTF8_REPLACEMENT_BYTES] = {0xef, 0xbf, 0xbd};

/* The well-formed sequences (The Unicode Standard, table 3-7): the lead bytes up to `lead_last`,
 * the length, and what the second byte may be; all later bytes are 0x80 to 0xbf. */
struct utf8_form {
    uint8_t lead_last, length, second_first, second_last;
};

static const struct utf8_form utf8_forms[] = {
    {0x7f, 1, 0x00, 0x00}, {0xc1, 0, 0x00, 0x00}, {0xdf, 2, 0x80, 0xbf}, {0xe0, 3, 0xa0, 0xbf},
    {0xec, 3, 0x80, 0xbf}, {0xed, 3, 0x80, 0x9f}, {0xef, 3, 0x80, 0xbf}, {0xf0, 4, 0x90, 0xbf},
    {0xf3, 4, 0x80, 0xbf}, {0xf4, 4, 0x80, 0x8f}, {0xff, 0, 0x00, 0x00},
};

struct utf8_sequence utf8_sequence(const uint8_t *bytes, size_t length)
{
    const struct utf8_form *form = utf8_forms;
    while (bytes[0] > form->lead_last)
        form++;
    if (form->length == 0)
        return (struct utf8_sequence){UTF8_MALFORMED, 1};
    for (uint32_t i = 1; i < form->length; i++) {
        if (i == length)
            return (struct utf8_sequence){UTF8_TRUNCATED, i};
        const uint8_t first = i == 1 ? form->second_first : 0x80;
        const uint8_t last = i == 1 ? form->second_last : 0xbf;
        if (bytes[i] < first || bytes[i] > last)
            return (struct utf8_sequence){UTF8_MALFORMED, i};
    }
    return (struct utf8_sequence){UTF8_COMPLETE, form->length};
}

uint32_t utf8_decode(const uint8_t *bytes, uint32_t length)
{
    static const uint8_t lead_masks[5] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t code = bytes[0] & lead_masks[length];
    for (uint32_t i = 1; i < length; i++)
        code = code << 6 | (bytes[i] & 0x3f);
    return code;
}

/* The number of ASCII bytes that the text begins with, counted in steps of 8. */
static size_t ascii_prefix(const uint8_t *bytes, size_t length)
{
    size_t at = 0;
    for (; at + 8 <= length; at += 8) {
        uint64_t word;
        memcpy(&word, bytes + at, sizeof word);
        if ((word & 0x8080808080808080u) != 0)
            break;
    }
    return at;
}

uint64_t utf8_repaired_length(const uint8_t *bytes, size_t length)
{
    uint64_t repaired = length;
    size_t at = 0;
    while (at < length) {
        at += ascii_prefix(bytes + at, length - at);
        if (at == length)
            break;
        const struct utf8_sequence sequence = utf8_sequence(bytes + at, length - at);
        if (sequence.state != UTF8_COMPLETE)
            repaired += (uint64_t)sequence.length * (UTF8_REPLACEMENT_BYTES - 1);
        at += sequence.length;
    }
    return repaired;
}

void utf8_repair(const uint8_t *bytes, size_t length, uint8_t *out)
{
    size_t at = 0;
    while (at < length) {
        const struct utf8_sequence sequence = utf8_sequence(bytes + at, length - at);
        if (sequence.state == UTF8_COMPLETE) {
            memcpy(out, bytes + at, sequence.length);
            out += sequence.length;
        }
        for (uint32_t i = 0; sequence.state != UTF8_COMPLETE && i < sequence.length; i++) {
            memcpy(out, utf8_replacement, UTF8_REPLACEMENT_BYTES);
            out += UTF8_REPLACEMENT_BYTES;
        }
        at += sequence.length;
    }
}
