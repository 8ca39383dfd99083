/* SPDX-License-Identifier: MIT
 * Tests of the candidates' order, cuts and probabilities against a full sort and exact sums. Run
 * alone: build/tests/weir-test candidates_ */
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "run/candidates.h"

enum { VOCAB_MAX = 5000 };

struct pair {
    float logit;
    int32_t id;
};

static int best_first(const void *left, const void *right)
{
    const struct pair *a = left, *b = right;
    if (a->logit != b->logit)
        return a->logit > b->logit ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

/* Logits of one of several kinds: smooth, with many ties, close together, with infinities. */
static void draw_logits(float *logits, uint32_t count, uint64_t stream)
{
    for (uint32_t i = 0; i < count; i++) {
        const double z = rng_normal(test_seed(), stream, i);
        switch (stream % 4) {
        case 0: logits[i] = (float)(3 * z); break;
        case 1: logits[i] = (float)(floor(z) * (z > 1 ? 1 : -0.0)); break;
        case 2: logits[i] = (float)(17 + 0.01 * z); break;
        default: logits[i] = z > 2 ? INFINITY : z < 0 ? -INFINITY : (float)z;
        }
    }
}

static void sort_pairs(struct pair *pairs, const float *logits, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        pairs[i] = (struct pair){logits[i], (int32_t)i};
    qsort(pairs, count, sizeof *pairs, best_first);
}

static void check_prefix(const struct candidates *set, const struct pair *pairs, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++) {
        CHECK_INT(set->ids[i], pairs[i].id);
        CHECK(set->logits[i] == pairs[i].logit);
    }
}

/* The rest: in ascending order of ids, with the logits that these have. */
static void check_rest(const struct candidates *set, const float *logits)
{
    for (uint32_t i = set->sorted; i < set->count; i++) {
        CHECK(i == set->sorted || set->ids[i - 1] < set->ids[i]);
        CHECK(set->logits[i] == logits[set->ids[i]]);
    }
}

static uint32_t random_below(uint64_t stream, uint32_t limit)
{
    return (uint32_t)(rng_uniform(test_seed(), 1000 + stream, 0) * limit);
}

static float logits[VOCAB_MAX];
static struct pair pairs[VOCAB_MAX];

TEST(candidates_sort_equals_full_sort)
{
    struct weir_error err = {0};
    for (uint32_t round = 0; round < 200; round++) {
        const uint32_t vocab = round < 70 ? round + 1 : 1 + random_below(round, VOCAB_MAX);
        struct candidates set;
        CHECK_OK(candidates_init(&set, vocab, &err), &err);
        draw_logits(logits, vocab, round);
        sort_pairs(pairs, logits, vocab);
        candidates_fill(&set, logits);
        CHECK_INT(set.ids[candidates_best(&set)], pairs[0].id);
        for (uint32_t n = 1; n < vocab; n = 3 * n + 1) {
            candidates_sort(&set, n);
            CHECK(set.sorted >= n && set.count == vocab);
            check_prefix(&set, pairs, set.sorted);
            check_rest(&set, logits);
        }
        candidates_unsort(&set);
        CHECK(candidates_by_id(&set));
        check_rest(&set, logits);
        candidates_release(&set);
    }
}

TEST(candidates_keep_best_equals_full_sort)
{
    struct weir_error err = {0};
    for (uint32_t round = 0; round < 300; round++) {
        const uint32_t vocab = 1 + random_below(round, VOCAB_MAX);
        const uint32_t n = 1 + random_below(round + 500, round % 3 == 0 ? vocab : 50);
        struct candidates set;
        CHECK_OK(candidates_init(&set, vocab, &err), &err);
        draw_logits(logits, vocab, round);
        sort_pairs(pairs, logits, vocab);
        candidates_fill(&set, logits);
        if (round % 2 == 0)
            candidates_sort(&set, n / 2);
        candidates_keep_best(&set, n);
        CHECK_INT(set.count, n < vocab ? n : vocab);
        check_prefix(&set, pairs, set.sorted);
        check_rest(&set, logits);
        candidates_release(&set);
    }
}

TEST(candidates_keep_above_is_stable)
{
    struct weir_error err = {0};
    for (uint32_t round = 0; round < 40; round++) {
        const uint32_t vocab = 1 + random_below(round, VOCAB_MAX);
        struct candidates set;
        CHECK_OK(candidates_init(&set, vocab, &err), &err);
        draw_logits(logits, vocab, 4 * round);
        sort_pairs(pairs, logits, vocab);
        candidates_fill(&set, logits);
        candidates_sort(&set, random_below(round + 500, vocab));
        const float limit = pairs[random_below(round + 900, vocab)].logit;
        const uint32_t least = random_below(round, 3) * 100 + 1;
        candidates_keep_above(&set, limit, least);
        uint32_t reach = 0;
        while (reach < vocab && pairs[reach].logit >= limit)
            reach++;
        const uint32_t least_here = least < vocab ? least : vocab;
        CHECK_INT(set.count, reach < least_here ? least_here : reach);
        check_prefix(&set, pairs, set.sorted);
        check_rest(&set, logits);
        candidates_release(&set);
    }
}

/* The bound stands at exp_negative. */
TEST(candidates_exp_is_accurate)
{
    for (uint32_t i = 0; i < 200000; i++) {
        const float x = -87.0f * (float)i / 200000;
        const double exact = exp((double)x);
        CHECK(fabs(exp_negative(x) - exact) < 5e-7 * exact);
    }
    CHECK(exp_negative(0) == 1);
    CHECK(exp_negative(-88) == 0);
    CHECK(exp_negative(-FLT_MAX) == 0);
    CHECK(exp_negative(-INFINITY) == 0);
}

/* Weights are exact to 5e-7 and sums of them add rounding of doubles only. */
TEST(candidates_softmax_equals_exact_sums)
{
    struct weir_error err = {0};
    for (uint32_t vocab = 1; vocab < VOCAB_MAX; vocab = 2 * vocab + 1) {
        struct candidates set;
        CHECK_OK(candidates_init(&set, vocab, &err), &err);
        draw_logits(logits, vocab, 4 * vocab);
        candidates_fill(&set, logits);
        const struct softmax softmax = candidates_softmax(&set);
        double sum = 0, entropy = 0, mass = 0;
        for (uint32_t i = 0; i < vocab; i++)
            sum += exp((double)logits[i] - softmax.max);
        for (uint32_t i = 0; i < vocab; i++) {
            const double log_p = (double)logits[i] - softmax.max - log(sum);
            entropy -= exp(log_p) * log_p;
            mass += softmax_p(softmax, logits[i]);
            CHECK(fabs(softmax_log_p(softmax, logits[i]) - log_p) < 1e-5);
        }
        CHECK(fabs(softmax.sum / sum - 1) < 1e-6);
        CHECK(fabs(mass - 1) < 1e-9);
        /* each term p ln p has p to 1e-6, and |ln p| is at most some 30 here */
        CHECK(fabs(candidates_entropy(&set, softmax) - entropy) < 3e-5);
        candidates_release(&set);
    }
}

TEST(candidates_draw_follows_the_running_sum)
{
    struct weir_error err = {0};
    enum { VOCAB = 300 };
    struct candidates set;
    CHECK_OK(candidates_init(&set, VOCAB, &err), &err);
    for (uint32_t i = 0; i < VOCAB; i++)
        logits[i] = i % 3 == 1 ? -(float)(i % 7) : -INFINITY;
    candidates_fill(&set, logits);
    const struct softmax softmax = candidates_softmax(&set);
    CHECK_INT(candidates_draw(&set, softmax, 0), 1);
    CHECK_INT(candidates_draw(&set, softmax, 1 - 0x1p-53), 298);
    double running = 0;
    for (uint32_t i = 1; i < VOCAB; i += 3) {
        const double p = softmax_p(softmax, logits[i]);
        CHECK_INT(candidates_draw(&set, softmax, running + p / 2), i);
        running += p;
    }
    candidates_release(&set);
}
