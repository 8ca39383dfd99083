/* SPDX-License-Identifier: MIT
 * The pre-tokenizers of Qwen2 and Qwen3.5: a scanner written by hand for the regular expressions
 *
 *   (?i:'s|'t|'re|'ve|'m|'ll|'d)          contraction, in ASCII case only
 *   [^\r\n\p{L}\p{N}]?W+                  word
 *   \p{N}                                 number, one digit each
 *    ?[^\sW\p{N}]+[\r\n]*                 other, with the newlines behind it
 *   \s*[\r\n]+ | \s+(?!\S) | \s+          white space
 *
 * tried in this order, where W is \p{L} for Qwen2 and [\p{L}\p{M}] for Qwen3.5. Knows nothing of
 * vocabularies. */
#include "text/pretokenizer.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

/* The classes of code points that words and other pieces are made of. */
struct rules {
    unsigned word, other;
};

static const struct rules rules_of[] = {
    [PRETOKENIZER_QWEN2] = {UNICODE_LETTER, UNICODE_OTHER | UNICODE_MARK},
    [PRETOKENIZER_QWEN35] = {UNICODE_LETTER | UNICODE_MARK, UNICODE_OTHER},
};

struct character {
    enum unicode_class class;
    uint32_t bytes;
};

static uint32_t character_bytes(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/* The character at `text`, which is valid UTF-8. */
static struct character character_at(const uint8_t *text)
{
    const uint32_t bytes = character_bytes(*text);
    return (struct character){unicode_class(utf8_decode(text, bytes)), bytes};
}

/* The end of the run of characters of `classes` that begins at `at`. */
static size_t run_end(unsigned classes, const uint8_t *text, size_t at, size_t length)
{
    while (at < length) {
        const struct character c = character_at(text + at);
        if ((c.class & classes) == 0)
            break;
        at += c.bytes;
    }
    return at;
}

static bool is_newline(uint8_t byte)
{
    return byte == '\r' || byte == '\n';
}

/* The bytes of a contraction, the apostrophe included, or 0. */
static size_t contraction_length(const uint8_t *text, size_t length)
{
    static const char endings[][3] = {"s", "t", "m", "d", "re", "ve", "ll"};
    if (text[0] != '\'')
        return 0;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const size_t bytes = strlen(endings[i]);
        size_t same = 0;
        while (same < bytes && same + 1 < length && (text[same + 1] | 0x20) == endings[i][same])
            same++;
        if (same == bytes)
            return 1 + bytes;
    }
    return 0;
}

static size_t other_length(const struct rules *rules, const uint8_t *text, size_t length)
{
    const size_t first = text[0] == ' ' ? 1 : 0;
    size_t end = run_end(rules->other, text, first, length);
    if (end == first)
        return 0;
    while (end < length && is_newline(text[end]))
        end++;
    return end;
}

/* Of the run of white space up to its last newline; else, unless the text ends with it, up to but
 * not including its last character, which the next piece may begin with. */
static size_t space_length(const uint8_t *text, size_t length)
{
    size_t end = 0, last = 0, newline_end = 0;
    while (end < length) {
        const struct character c = character_at(text + end);
        if (c.class != UNICODE_SPACE)
            break;
        last = end;
        end += c.bytes;
        if (is_newline(text[last]))
            newline_end = end;
    }
    if (newline_end > 0)
        return newline_end;
    return end == length || last == 0 ? end : last;
}

size_t pretoken_length(enum pretokenizer pretokenizer, const uint8_t *text, size_t length)
{
    const struct rules *rules = &rules_of[pretokenizer];
    const size_t contraction = contraction_length(text, length);
    if (contraction > 0)
        return contraction;

    const struct character first = character_at(text);
    if ((first.class & rules->word) != 0)
        return run_end(rules->word, text, first.bytes, length);
    if (first.class == UNICODE_NUMBER)
        return first.bytes;
    if (!is_newline(text[0])) {
        const size_t end = run_end(rules->word, text, first.bytes, length);
        if (end > first.bytes)
            return end;
    }
    const size_t other = other_length(rules, text, length);
    return other > 0 ? other : space_length(text, length);
}
