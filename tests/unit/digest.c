/* SPDX-License-Identifier: MIT
 * Tests of base/digest.h. Run alone: build/tests/weir-test digest_ */
#include "base/digest.h"

#include "base/rng.h"
#include "test.h"

static void check_digest(const void *data, size_t bytes, const char *expected)
{
    struct digester digester;
    char text[DIGEST_TEXT_BYTES + 1];
    digester_init(&digester);
    digester_put(&digester, data, bytes);
    digest_print(digester_digest(&digester), text);
    CHECK_TEXT(text, expected);
}

/* As `xxhsum -H2` of Debian's xxhash prints them: files that are kept depend on it. */
TEST(digest_is_that_of_xxh3)
{
    uint8_t bytes[256];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)i;
    check_digest("", 0, "99aa06d3014798d86001c324468d497f");
    check_digest("abc", 3, "06b05ab6733a618578af5f94892f3950");
    check_digest(bytes, sizeof bytes, "f1f8a93f50849ac39408a4433b952d71");
}

/* However the bytes are cut, and whatever was asked in between. */
TEST(digest_does_not_depend_on_parts)
{
    enum { SIZE = 5000 };
    uint8_t bytes[SIZE];
    struct digester whole, parts;
    uint64_t index = 0;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (uint8_t)rng_bits(test_seed(), 0, i);
    digester_init(&whole);
    digester_init(&parts);
    digester_put(&whole, bytes, SIZE);
    for (size_t done = 0; done < SIZE;) {
        const size_t most = SIZE - done < 700 ? SIZE - done : 700;
        const size_t part = (size_t)(rng_bits(test_seed(), 1, index++) % (most + 1));
        const struct digest before = digester_digest(&parts);
        digester_put(&parts, bytes + done, part);
        CHECK(digest_equals(before, digester_digest(&parts)) == (part == 0));
        done += part;
    }
    CHECK(digest_equals(digester_digest(&whole), digester_digest(&parts)));
}
