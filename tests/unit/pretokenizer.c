/* SPDX-License-Identifier: MIT
 * Tests of pre-tokenization. Run alone: build/tests/weir-test pretokenizer_ */
#include "test.h"

#include <jansson.h>
#include <string.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "text/pretokenizer.h"
#include "text/unicode.h"

static void check_pieces(enum pretokenizer rules, const char *text, size_t length,
                         const json_t *pieces)
{
    size_t i, at = 0;
    json_t *piece;
    json_array_foreach(pieces, i, piece)
    {
        CHECK(at < length);
        const size_t bytes = pretoken_length(rules, (const uint8_t *)text + at, length - at);
        if (bytes != json_string_length(piece) ||
            memcmp(text + at, json_string_value(piece), bytes) != 0)
            test_fail(__FILE__, __LINE__, "rules %d, piece %zu of \"%s\" is \"%.*s\", not \"%s\"",
                      (int)rules, i, text, (int)bytes, text + at, json_string_value(piece));
        at += bytes;
    }
    CHECK_INT(at, length);
}

TEST(pretokenizer_vectors)
{
    json_t *file = json_load_file(test_data("tokenizer/pretokens.json"), JSON_ALLOW_NUL, NULL);
    CHECK(file != NULL);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(file, "cases"), i, item)
    {
        const json_t *text = json_object_get(item, "text");
        check_pieces(PRETOKENIZER_QWEN2, json_string_value(text), json_string_length(text),
                     json_object_get(item, "qwen2"));
        check_pieces(PRETOKENIZER_QWEN35, json_string_value(text), json_string_length(text),
                     json_object_get(item, "qwen35"));
    }
    CHECK_INT(i, 132);
    json_decref(file);
}

/* The pieces, joined by '|'. */
static const char *cut(enum pretokenizer rules, const char *text)
{
    static char out[256];
    size_t written = 0;
    for (size_t length = strlen(text); length > 0;) {
        const size_t bytes = pretoken_length(rules, (const uint8_t *)text, length);
        memcpy(out + written, text, bytes);
        written += bytes;
        out[written++] = '|';
        text += bytes;
        length -= bytes;
    }
    out[written > 0 ? written - 1 : 0] = 0;
    return out;
}

TEST(pretokenizer_corner_cases)
{
    static const struct {
        const char *text, *qwen2, *qwen35;
    } cases[] = {
        {"'tis 'Twas it'S", "'t|is| '|Twas| it|'S", "'t|is| '|Twas| it|'S"},
        {"we'll'VE'r", "we|'ll|'VE|'r", "we|'ll|'VE|'r"},
        {"'x' 'l", "'x|'| '|l", "'x|'| '|l"},
        {"'", "'", "'"},
        {"'\xc5\xbf", "'\xc5\xbf", "'\xc5\xbf"}, /* long s is no s */
        {" 12", " |1|2", " |1|2"},
        {");\n\n x", ");\n\n| x", ");\n\n| x"},
        {"  \n  x", "  \n| | x", "  \n| | x"},
        {"\t!", "\t|!", "\t|!"},
        {"e\xcc\x81t", "e|\xcc\x81t", "e\xcc\x81t"},
        {"!\xcc\x81.", "!\xcc\x81.", "!\xcc\x81|."},
        {"\xe3\x80\x80\xe4\xb8\xad", "\xe3\x80\x80\xe4\xb8\xad", "\xe3\x80\x80\xe4\xb8\xad"},
        {"a\r\n\xc2\x85\xe1\xa0\x8e", "a|\r\n|\xc2\x85|\xe1\xa0\x8e",
         "a|\r\n|\xc2\x85|\xe1\xa0\x8e"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CHECK_TEXT(cut(PRETOKENIZER_QWEN2, cases[i].text), cases[i].qwen2);
        CHECK_TEXT(cut(PRETOKENIZER_QWEN35, cases[i].text), cases[i].qwen35);
    }
}

/* Characters of every class and of every length in bytes. */
static const char *const characters[] = {
    "a",
    "Z",
    "'",
    "s",
    "l",
    "1",
    " ",
    "\t",
    "\n",
    "\r",
    "!",
    "<",
    "\xcc\x81",
    "\xc2\xa0",
    "\xc2\xbd",
    "\xce\xb1",
    "\xe4\xb8\xad",
    "\xe0\xb8\xb3",
    "\xe0\xb8\xb4",
    "\xe3\x80\x80",
    "\xef\xbf\xbd",
    "\xf0\x9f\x99\x82",
    "\xf0\x9d\x9f\x98",
    "\xf3\xa0\x84\x80",
};

/* Pieces are not empty, lie end to end, and end with characters. No piece but white space and
 * punctuation holds a newline, and a number is alone. */
TEST(pretokenizer_pieces_cover_any_text)
{
    const size_t kinds = sizeof characters / sizeof characters[0];
    for (uint64_t round = 0; round < 4000; round++) {
        uint8_t text[256];
        size_t length = 0;
        const uint64_t count = 1 + rng_bits(test_seed(), round, 0) % 40;
        for (uint64_t i = 0; i < count; i++) {
            const char *c = characters[rng_bits(test_seed(), round, i + 1) % kinds];
            memcpy(text + length, c, strlen(c));
            length += strlen(c);
        }
        const enum pretokenizer rules = (enum pretokenizer)(round % 2);
        for (size_t at = 0; at < length;) {
            const size_t bytes = pretoken_length(rules, text + at, length - at);
            CHECK(bytes > 0 && bytes <= length - at);
            CHECK(utf8_repaired_length(text + at, bytes) == bytes);
            const struct utf8_sequence first = utf8_sequence(text + at, bytes);
            const enum unicode_class class = unicode_class(utf8_decode(text + at, first.length));
            CHECK(class != UNICODE_NUMBER || bytes == first.length);
            at += bytes;
        }
    }
}
