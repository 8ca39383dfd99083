/* SPDX-License-Identifier: MIT
 * Tests of DRY's repetitions and breakers, and of the history they are found in, against naive
 * searches. Run alone: build/tests/weir-test dry_ history_ */
#include "test.h"

#include <string.h>

#include "base/rng.h"
#include "run/dry.h"

enum { ALPHABET = 6, TEXT_MAX = 120 };

static uint32_t random_below(uint64_t stream, uint64_t index, uint32_t limit)
{
    return (uint32_t)(rng_uniform(test_seed(), stream, index) * limit);
}

/* ---- naive definitions ----------------------------------------------------------------------- */

static bool stands_before(const struct dry_breaker *breaker, const int32_t *text, uint32_t end)
{
    if (breaker->tail_length + 1 > end)
        return false;
    const int32_t *at = text + end - breaker->tail_length - 1;
    return at[0] == breaker->head &&
           memcmp(at + 1, breaker->tail, breaker->tail_length * sizeof *at) == 0;
}

/* The nearest head wins, and of its breakers the one that ends last. */
static uint32_t naive_reach(const struct dry_breakers *breakers, const int32_t *text,
                            uint32_t count)
{
    for (uint32_t head = count; head-- > 0;) {
        uint32_t reach = count;
        for (uint64_t i = 0; i < breakers->count; i++) {
            const uint32_t end = head + 1 + breakers->items[i].tail_length;
            if (end <= count && stands_before(&breakers->items[i], text, end) &&
                count - end < reach)
                reach = count - end;
        }
        if (reach < count)
            return reach;
    }
    return count;
}

static void naive_find(uint32_t *excess, const struct dry_breakers *breakers, const int32_t *text,
                       uint32_t count, uint32_t allowed)
{
    const uint32_t reach = naive_reach(breakers, text, count);
    for (uint32_t end = 1; end < count; end++) {
        uint32_t length = 0;
        while (length < end && length < reach && text[end - 1 - length] == text[count - 1 - length])
            length++;
        const int32_t next = text[end];
        if (count <= allowed || length < allowed || dry_breakers_single(breakers, next))
            continue;
        if (excess[next] < length - allowed + 1)
            excess[next] = length - allowed + 1;
    }
}

/* ---- tests ----------------------------------------------------------------------------------- */

/* Up to three random breakers: heads ascend, tails of 0 to 2 tokens. */
static void draw_breakers(struct dry_breakers *breakers, uint64_t round)
{
    struct weir_error err = {0};
    const uint32_t count = random_below(1, round, 4);
    for (uint32_t i = 0; i < count; i++) {
        const int32_t tail[2] = {(int32_t)random_below(2, 8 * round + i, ALPHABET),
                                 (int32_t)random_below(3, 8 * round + i, ALPHABET)};
        const uint32_t tail_length = random_below(4, 8 * round + i, 3);
        CHECK_OK(dry_breakers_add(breakers, (int32_t)(i + 3), tail, tail_length, &err), &err);
    }
}

TEST(dry_find_equals_naive_search)
{
    for (uint64_t round = 0; round < 3000; round++) {
        int32_t text[TEXT_MAX];
        uint32_t excess[ALPHABET] = {0}, expected[ALPHABET] = {0}, lengths[TEXT_MAX];
        struct dry_breakers breakers = {0};
        draw_breakers(&breakers, round);
        const uint32_t count = 1 + random_below(5, round, TEXT_MAX);
        const uint32_t letters = 1 + random_below(6, round, ALPHABET);
        const uint32_t allowed = random_below(7, round, 5);
        for (uint32_t i = 0; i < count; i++)
            text[i] = (int32_t)random_below(8, round * TEXT_MAX + i, letters);
        dry_find(excess, lengths, &breakers, (struct token_history_tail){text, count}, allowed);
        naive_find(expected, &breakers, text, count, allowed);
        for (uint32_t id = 0; id < ALPHABET; id++)
            CHECK_INT(excess[id], expected[id]);
        dry_breakers_release(&breakers);
    }
}

TEST(dry_reach_stops_at_the_nearest_breaker)
{
    struct weir_error err = {0};
    struct dry_breakers breakers = {0};
    const int32_t tail[2] = {7, 8};
    CHECK_OK(dry_breakers_add(&breakers, 5, tail, 2, &err), &err);
    CHECK_OK(dry_breakers_add(&breakers, 5, tail, 1, &err), &err);
    CHECK_OK(dry_breakers_add(&breakers, 9, NULL, 0, &err), &err);
    static const int32_t texts[][6] = {
        {1, 2, 3, 4, 6, 7}, {9, 2, 3, 4, 6, 7}, {1, 9, 3, 5, 7, 8}, {1, 9, 3, 5, 7, 1},
        {1, 9, 3, 5, 6, 7}, {1, 1, 1, 1, 1, 9}, {1, 1, 1, 1, 9, 5},
    };
    static const uint32_t reaches[] = {6, 5, 0, 1, 4, 0, 1};
    for (uint32_t i = 0; i < 7; i++)
        CHECK_INT(dry_reach(&breakers, (struct token_history_tail){texts[i], 6}), reaches[i]);
    CHECK(dry_breakers_single(&breakers, 9));
    CHECK(!dry_breakers_single(&breakers, 5));
    dry_breakers_release(&breakers);
}

/* A text of one token is the worst case of a search that is not linear: 10^5 tokens would take
 * 10^10 comparisons, minutes instead of a millisecond. */
TEST(dry_find_is_linear)
{
    enum { COUNT = 100000 };
    static int32_t text[COUNT];
    static uint32_t lengths[COUNT];
    uint32_t excess[1] = {0};
    const struct dry_breakers none = {0};
    dry_find(excess, lengths, &none, (struct token_history_tail){text, COUNT}, 2);
    CHECK_INT(excess[0], COUNT - 1 - 2 + 1);
}

TEST(history_tail_is_the_newest)
{
    struct weir_error err = {0};
    for (uint32_t max = 0; max < 9; max++) {
        struct token_history history;
        CHECK_OK(token_history_init(&history, max, &err), &err);
        for (int32_t pushed = 0; pushed < 50; pushed++) {
            const uint32_t held = (uint32_t)pushed < max ? (uint32_t)pushed : max;
            for (uint32_t asked = 0; asked < 12; asked++) {
                const struct token_history_tail tail = token_history_tail(&history, asked);
                CHECK_INT(tail.count, asked < held ? asked : held);
                for (uint32_t i = 0; i < tail.count; i++)
                    CHECK_INT(tail.ids[tail.count - 1 - i], pushed - 1 - (int32_t)i);
            }
            token_history_push(&history, pushed);
        }
        token_history_release(&history);
    }
}
