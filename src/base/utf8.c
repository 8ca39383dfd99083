/* SPDX-License-Identifier: MIT
 * UTF-8. Knows nothing of what characters are. */
#include "base/utf8.h"

#include <string.h>

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

uint32_t utf8_encode(uint32_t code, uint8_t *out)
{
    static const uint8_t leads[5] = {0, 0x00, 0xc0, 0xe0, 0xf0};
    const uint32_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint32_t i = length - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (uint8_t)(leads[length] | code);
    return length;
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
