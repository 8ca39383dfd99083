/* SPDX-License-Identifier: MIT
 * Prompt lookup against its definition, by random texts of few different tokens. Run alone:
 * build/tests/weir-test lookup_ */
#include "run/lookup.h"

#include <string.h>

#include "base/rng.h"
#include "test.h"

enum { TEXT_MAX = 60, WANTED_MAX = 15 };

/* The token at `at` of a text that goes on behind its end with what it drafts. */
static int32_t token_at(const int32_t *text, uint32_t count, const int32_t *drafts, uint32_t at)
{
    return at < count ? text[at] : drafts[at - count];
}

/* By the definition: from the end on, compared token by token. */
static uint32_t expected_draft(const int32_t *text, uint32_t count, uint32_t size, int32_t *drafts,
                               uint32_t wanted)
{
    for (uint32_t back = 1; back + size <= count; back++) {
        bool is_same = true;
        for (uint32_t i = 0; i < size; i++)
            is_same &= text[count - size + i] == text[count - size - back + i];
        for (uint32_t i = 0; is_same && i < wanted; i++)
            drafts[i] = token_at(text, count, drafts, count - back + i);
        if (is_same)
            return wanted;
    }
    return 0;
}

TEST(lookup_finds_the_last_place)
{
    uint64_t found = 0, missed = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        int32_t text[TEXT_MAX], drafts[WANTED_MAX], expected[WANTED_MAX];
        const uint64_t key = rng_key(test_seed(), i);
        const uint32_t count = (uint32_t)(rng_at(key, 0) % TEXT_MAX);
        const uint32_t size = 1 + (uint32_t)(rng_at(key, 1) % 6);
        const uint32_t wanted = 1 + (uint32_t)(rng_at(key, 2) % WANTED_MAX);
        for (uint32_t at = 0; at < count; at++)
            text[at] = (int32_t)(rng_at(key, 3 + at) % 3);
        const uint32_t drafted = lookup_draft(text, count, size, drafts, wanted);
        CHECK_INT(drafted, expected_draft(text, count, size, expected, wanted));
        CHECK(memcmp(drafts, expected, drafted * sizeof *drafts) == 0);
        found += drafted > 0;
        missed += drafted == 0;
    }
    CHECK(found > 1000 && missed > 1000);
}

/* "7 8 9 7 8 9 7" goes on with "8 9 7 8 9 ...", however far. */
TEST(lookup_goes_round_in_a_text_that_repeats)
{
    static const int32_t text[] = {1, 7, 8, 9, 7, 8, 9, 7};
    int32_t drafts[WANTED_MAX];
    CHECK_INT(lookup_draft(text, 8, 3, drafts, WANTED_MAX), WANTED_MAX);
    for (int32_t i = 0; i < WANTED_MAX; i++)
        CHECK_INT(drafts[i], 7 + (i + 1) % 3);
    CHECK_INT(lookup_draft(text, 8, 5, drafts, WANTED_MAX), 0); /* 1 stands there once */
}
