/* SPDX-License-Identifier: MIT
 * Tests of UTF-8 and of the classes of code points. Run alone: build/tests/weir-test unicode_ */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/utf8.h"
#include "text/unicode.h"

enum { CODES = 0x110000 };

/* By its own means, so that it checks the library's. */
static uint32_t encode(uint32_t code, uint8_t *out)
{
    static const uint8_t leads[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    const uint32_t length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
    for (uint32_t i = length; i-- > 1; code >>= 6)
        out[i] = (uint8_t)(0x80 | (code & 0x3f));
    out[0] = (uint8_t)(leads[length] | code);
    return length;
}

static bool is_surrogate(uint32_t code)
{
    return code >= 0xd800 && code <= 0xdfff;
}

/* The published ranges, in a file apart from the table in the library. */
TEST(unicode_classes_are_those_of_the_list)
{
    static const char letters[] = "LMNW";
    static const enum unicode_class classes[] = {UNICODE_LETTER, UNICODE_MARK, UNICODE_NUMBER,
                                                 UNICODE_SPACE};
    uint8_t *expected = malloc(CODES);
    CHECK(expected != NULL);
    memset(expected, UNICODE_OTHER, CODES);
    FILE *stream = fopen(test_data("tokenizer/unicode_classes.tsv"), "r");
    CHECK(stream != NULL);
    char line[256];
    unsigned ranges = 0;
    while (fgets(line, sizeof line, stream) != NULL) {
        unsigned first, last;
        char letter;
        if (line[0] == '#' || sscanf(line, "%x %x %c", &first, &last, &letter) != 3)
            continue;
        ranges++;
        for (unsigned code = first; code <= last; code++)
            expected[code] = (uint8_t)classes[strchr(letters, letter) - letters];
    }
    fclose(stream);
    CHECK_INT(ranges, 1117);
    for (uint32_t code = 0; code < CODES; code++) {
        if (unicode_class(code) != expected[code])
            test_fail(__FILE__, __LINE__, "class of U+%04X is %d, expected %d", code,
                      (int)unicode_class(code), expected[code]);
    }
    CHECK_INT(unicode_class(CODES), UNICODE_OTHER);
    CHECK_INT(unicode_class(UINT32_MAX), UNICODE_OTHER);
    free(expected);
}

TEST(unicode_every_code_point_is_one_sequence)
{
    for (uint32_t code = 0; code < CODES; code++) {
        uint8_t bytes[4];
        const uint32_t length = encode(code, bytes);
        const struct utf8_sequence whole = utf8_sequence(bytes, length);
        CHECK_INT(whole.state, is_surrogate(code) ? UTF8_MALFORMED : UTF8_COMPLETE);
        CHECK_INT(whole.length, is_surrogate(code) ? 1 : length);
        if (is_surrogate(code))
            continue;
        CHECK_INT(utf8_decode(bytes, length), code);
        uint8_t again[4];
        CHECK_INT(utf8_encode(code, again), length);
        CHECK(memcmp(again, bytes, length) == 0);
        for (uint32_t cut = 1; cut < length; cut++) {
            const struct utf8_sequence part = utf8_sequence(bytes, cut);
            CHECK_INT(part.state, UTF8_TRUNCATED);
            CHECK_INT(part.length, cut);
        }
    }
}

/* Of all pairs of bytes, those that no character begins with are malformed. */
TEST(unicode_every_pair_of_bytes_has_its_state)
{
    static uint8_t begins[256 * 256]; /* 1: beginning of a character; 2: a whole one */
    memset(begins, 0, sizeof begins);
    for (uint32_t code = 0x80; code < CODES; code++) {
        uint8_t bytes[4];
        const uint32_t length = encode(code, bytes);
        if (!is_surrogate(code))
            begins[bytes[0] << 8 | bytes[1]] = length == 2 ? 2 : 1;
    }
    for (unsigned first = 0x80; first < 256; first++) {
        for (unsigned second = 0; second < 256; second++) {
            const uint8_t bytes[2] = {(uint8_t)first, (uint8_t)second};
            const struct utf8_sequence sequence = utf8_sequence(bytes, 2);
            const uint8_t begin = begins[first << 8 | second];
            CHECK_INT(sequence.state, begin == 2   ? UTF8_COMPLETE
                                      : begin == 1 ? UTF8_TRUNCATED
                                                   : UTF8_MALFORMED);
            CHECK_INT(sequence.length, begin == 0 ? 1 : 2);
        }
    }
}

#define BAD "\xef\xbf\xbd"

TEST(unicode_each_offending_byte_is_replaced)
{
    static const struct {
        const char *text, *repaired;
    } cases[] = {
        {"", ""},
        {"plain ASCII, longer than a word", "plain ASCII, longer than a word"},
        {"\x80", BAD},                                            /* continuation without lead */
        {"a\xff\xfe z", "a" BAD BAD " z"},                        /* never in UTF-8 */
        {"\xc0\xaf", BAD BAD},                                    /* overlong slash */
        {"\xe0\x80\xaf", BAD BAD BAD},                            /* overlong, three bytes */
        {"\xf0\x82\x82\xac", BAD BAD BAD BAD},                    /* overlong euro sign */
        {"\xed\xa0\x80", BAD BAD BAD},                            /* surrogate */
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},                    /* above U+10FFFF */
        {"\xe4\xb8", BAD BAD},                                    /* truncated at the end */
        {"\xe4\xb8x", BAD BAD "x"},                               /* truncated before a letter */
        {"\xf0\x9f\x98\xe4\xb8\xad", BAD BAD BAD "\xe4\xb8\xad"}, /* and before a character */
        {"12345678\xe4\xb8\xad", "12345678\xe4\xb8\xad"},
        {"\xef\xbf\xbd", BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const uint8_t *text = (const uint8_t *)cases[i].text;
        char repaired[64] = {0};
        CHECK_INT(utf8_repaired_length(text, strlen(cases[i].text)), strlen(cases[i].repaired));
        utf8_repair(text, strlen(cases[i].text), (uint8_t *)repaired);
        CHECK_TEXT(repaired, cases[i].repaired);
    }
}
