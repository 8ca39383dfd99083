/* SPDX-License-Identifier: MIT
 * Tests of joining pieces into text. Run alone: build/tests/weir-test detokenizer_ */
#include "test.h"

#include <string.h>

#include "base/rng.h"
#include "base/utf8.h"

#define BAD "\xef\xbf\xbd"

enum { TEXT_MAX = 64, OUT_MAX = 3 * TEXT_MAX + 2 * WEIR_DETOKENIZER_SLACK };

/* Pushes the text in pieces of `step` bytes, checking that what comes out is whole characters. */
static size_t join(const char *text, size_t length, size_t step, char *out)
{
    struct weir_detokenizer detokenizer = {0};
    size_t written = 0;
    for (size_t at = 0; at < length; at += step) {
        const size_t bytes = length - at < step ? length - at : step;
        const size_t got = weir_detokenizer_push(&detokenizer, text + at, bytes, out + written);
        CHECK(got <= 3 * bytes + WEIR_DETOKENIZER_SLACK);
        CHECK_INT(utf8_repaired_length((const uint8_t *)out + written, got), got);
        written += got;
    }
    const size_t got = weir_detokenizer_finish(&detokenizer, out + written);
    CHECK(got <= WEIR_DETOKENIZER_SLACK);
    return written + got;
}

TEST(detokenizer_malformed_sequences)
{
    static const struct {
        const char *bytes, *text;
    } cases[] = {
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"\x80", BAD},
        {"a\xc0z", "a" BAD "z"},
        {"\xf5\xff", BAD BAD},
        {"\xe4\xb8", BAD},      /* cut off: one sequence */
        {"\xe4\xb8x", BAD "x"}, /* and in the middle */
        {"\xe4\xb8\xe4\xb8\xad", BAD "\xe4\xb8\xad"},
        {"\xed\xa0\x80", BAD BAD BAD}, /* surrogate: no byte continues another */
        {"\xf0\x9f\x98", BAD},
        {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
        {"\xf4\x90\x80\x80", BAD BAD BAD BAD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[OUT_MAX] = {0};
        out[join(cases[i].bytes, strlen(cases[i].bytes), 1, out)] = 0;
        CHECK_TEXT(out, cases[i].text);
    }
}

TEST(detokenizer_holds_back_only_unfinished_characters)
{
    struct weir_detokenizer detokenizer = {0};
    char out[OUT_MAX];
    CHECK_INT(weir_detokenizer_push(&detokenizer, "a\xf0\x9f", 3, out), 1);
    CHECK_INT(weir_detokenizer_push(&detokenizer, "\x98", 1, out), 0);
    CHECK_INT(weir_detokenizer_push(&detokenizer, "", 0, out), 0);
    CHECK_INT(weir_detokenizer_push(&detokenizer,
                                    "\x80"
                                    "b",
                                    2, out),
              5);
    CHECK(memcmp(out,
                 "\xf0\x9f\x98\x80"
                 "b",
                 5) == 0);
    CHECK_INT(weir_detokenizer_push(&detokenizer, "\xc1", 1, out), 3); /* can begin nothing */
    CHECK_INT(weir_detokenizer_finish(&detokenizer, out), 0);
    CHECK_INT(weir_detokenizer_push(&detokenizer, "\xe4", 1, out), 0);
    CHECK_INT(weir_detokenizer_finish(&detokenizer, out), 3);
    CHECK_INT(weir_detokenizer_finish(&detokenizer, out), 0); /* begins anew */
}

/* Bytes that are often leads and continuations. */
TEST(detokenizer_any_split_gives_the_same_text)
{
    static const uint8_t bytes[] = {'a',  0x00, 0x80, 0x9f, 0xa0, 0xbf, 0xc0, 0xc3, 0xe0,
                                    0xe4, 0xed, 0xef, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
    for (uint64_t round = 0; round < 3000; round++) {
        char text[TEXT_MAX], whole[OUT_MAX], parts[OUT_MAX];
        const size_t length = rng_bits(test_seed(), round, 0) % TEXT_MAX;
        for (size_t i = 0; i < length; i++)
            text[i] = (char)bytes[rng_bits(test_seed(), round, i + 1) % sizeof bytes];
        const size_t expected = join(text, length, TEXT_MAX, whole);
        for (size_t step = 1; step <= 5; step++) {
            CHECK_INT(join(text, length, step, parts), expected);
            CHECK(memcmp(parts, whole, expected) == 0);
        }
    }
}
