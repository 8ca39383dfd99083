/* SPDX-License-Identifier: MIT
 * Tests of characters that come byte by byte: none is lost, whatever stands before it.
 * Run alone: build/tests/weir-test typed_ */
#include "app/typed.h"

#include <string.h>

#include "base/rng.h"
#include "base/utf8.h"
#include "test.h"

enum { BYTES = 64 };

/* What was taken, as UTF-8 again; bytes that wait for others at the end stay out. */
static size_t type(const uint8_t *bytes, size_t length, uint8_t *out)
{
    struct typed typed = {.count = 0};
    size_t used = 0;
    for (size_t i = 0; i < length; i++) {
        uint32_t code;
        CHECK(typed.count < sizeof typed.bytes);
        typed_add(&typed, bytes[i]);
        while (typed_take(&typed, &code))
            used += utf8_encode(code, out + used);
    }
    return used;
}

static void check_typed(const uint8_t *bytes, size_t length)
{
    uint8_t typed[3 * BYTES + 4], expected[3 * BYTES + 4];
    const size_t used = type(bytes, length, typed);
    CHECK_INT(used, utf8_repaired_length(bytes, length));
    utf8_repair(bytes, length, expected);
    CHECK(memcmp(typed, expected, used) == 0);
}

TEST(typed_keys_lose_nothing)
{
    static const char *const texts[] = {
        "a\303\251\346\274\242\360\237\230\200b",
        "\303a",
        "\346\274a",
        "\360\237\230a",
        "\303\303\251",
        "\377a",
        "\200a",
        "\355\240\200a",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check_typed((const uint8_t *)texts[i], strlen(texts[i]));
}

/* The same as all bytes at once, if the last of them is a character. */
TEST(typed_keys_are_the_text_repaired)
{
    static const uint8_t likely[] = {'a',  0x7f, 0x80, 0x9f, 0xa0, 0xbf, 0xc2, 0xc3,
                                     0xe0, 0xe6, 0xed, 0xf0, 0xf1, 0xf4, 0xf5, 0xff};
    for (uint64_t round = 0; round < 20000; round++) {
        uint8_t bytes[BYTES];
        const size_t length = 1 + rng_bits(test_seed(), round, 0) % (BYTES - 1);
        for (size_t i = 0; i < length; i++)
            bytes[i] = likely[rng_bits(test_seed(), round, 1 + i) % sizeof likely];
        bytes[length - 1] = 'z';
        check_typed(bytes, length);
    }
}
