/* SPDX-License-Identifier: MIT
 * The set of tokens that may still be chosen: fill, sort as far as needed, cut, softmax. Knows no
 * sampler.
 *
 * "Best first" is one total order, a function of the logits alone: logit descending, id
 * ascending. NaN never gets in: candidates_fill and logit_clean turn it into -inf. */
#ifndef RUN_CANDIDATES_H
#define RUN_CANDIDATES_H

#include <math.h>
#include <string.h>

#include "base/err.h"

/* Candidate i is ids[i] with logits[i]. Two arrays, because most passes read logits only.
 * Invariants: the first `sorted` are the best of all, best first when they were sorted; the rest
 * is in ascending order of ids; count is at least 1 once filled. */
struct candidates {
    int32_t *ids;
    float *logits;
    uint32_t count;
    uint32_t sorted;
    uint32_t vocab;      /* room for so many */
    uint64_t *scratch;   /* [2 * vocab], for sorting */
    uint32_t *buckets;   /* for sorting */
    float *block_maxima; /* [blocks of vocab], for sorting */
};

/* Takes memory for `vocab` candidates, at least 1. */
enum weir_status candidates_init(struct candidates *set, uint32_t vocab, struct weir_error *err);
void candidates_release(struct candidates *set);

/* All ids, with logits[vocab]. */
void candidates_fill(struct candidates *set, const float *logits);

/* True if ids[i] is i for every id. */
static inline bool candidates_by_id(const struct candidates *set)
{
    return set->count == set->vocab && set->sorted == 0;
}

/* Puts the `n` best (or more; or all) in order at the front: O(count) plus the cost of sorting what
 * is taken to the front. Called with a growing n, it takes many times as many each time. */
void candidates_sort(struct candidates *set, uint32_t n);

/* Back to ascending ids: for those who change logits. */
void candidates_unsort(struct candidates *set);

/* The index of the best. */
uint32_t candidates_best(const struct candidates *set);

/* Each removes all but: the `n` best, sorted; those with logit >= limit, or the `least` best if
 * that leaves fewer; those at the `n` indices, which ascend. n and least are at least 1. */
void candidates_keep_best(struct candidates *set, uint32_t n);
void candidates_keep_above(struct candidates *set, float limit, uint32_t least);
void candidates_keep_indices(struct candidates *set, const int32_t *indices, uint32_t n);

/* Removes all whose bit, by id, is not set in the bits of the first `ids`. That of one candidate at
 * least is. */
void candidates_keep_bits(struct candidates *set, const uint64_t *bits, uint32_t ids);

/* Removes the `n` best, which are sorted and not all. */
void candidates_drop_best(struct candidates *set, uint32_t n);

/* ---- probabilities --------------------------------------------------------------------------- */

struct softmax {
    float max;
    double sum; /* of softmax_weight over all candidates */
    double log_sum;
};

struct softmax candidates_softmax(const struct candidates *set);

/* -sum p ln p. */
double candidates_entropy(const struct candidates *set, struct softmax softmax);

/* The index of a random candidate, u uniform in [0, 1): the first at which the running sum of
 * weights exceeds u times their sum. Never one of weight 0. */
uint32_t candidates_draw(const struct candidates *set, struct softmax softmax, double u);

/* `x` if `keep`, else 0, without a branch: compilers do not make vector code of a loop that chooses
 * between floats, since the choice might hide an arithmetic trap. */
static inline float float_if(bool keep, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bits &= -(uint32_t)keep;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x for x <= 0, and 0 below -87; unlike expf it can become vector code. Relative error below
 * 5e-7: x = n ln 2 + r with |r| <= 0.347 leaves r^8 / 8! < 6e-9 of the series, the rest is
 * rounding. */
static inline float exp_negative(float x)
{
    const bool in_range = x >= -87.0f;
    const float y = float_if(in_range, x);
    const int32_t n = (int32_t)(y * 1.44269504f - 0.5f);
    /* ln 2 in two parts; n times the first is exact */
    const float r = y - (float)n * 0.693359375f + (float)n * 2.12194440e-4f;
    const float high = 1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f + r * (1 / 5040.0f)));
    const float series = 1 + r * (1 + r * (1 / 2.0f + r * (1 / 6.0f + r * high)));
    const int32_t bits = (n + 127) * (1 << 23);
    float power;
    memcpy(&power, &bits, sizeof power);
    return float_if(in_range, series * power);
}

/* How far a logit is from the maximum, without NaN: an infinite maximum is 0 from itself. */
static inline float softmax_distance(float max, float logit)
{
    return float_if(logit != max, logit - max);
}

static inline float softmax_weight(struct softmax softmax, float logit)
{
    return exp_negative(softmax_distance(softmax.max, logit));
}

static inline double softmax_p(struct softmax softmax, float logit)
{
    return softmax_weight(softmax, logit) / softmax.sum;
}

/* ln p; -inf for a logit of -inf. */
static inline double softmax_log_p(struct softmax softmax, float logit)
{
    return softmax_distance(softmax.max, logit) - softmax.log_sum;
}

/* The result of arithmetic on logits: NaN (inf - inf) counts as impossible. */
static inline float logit_clean(double logit)
{
    return isnan(logit) ? -INFINITY : (float)logit;
}

#endif
