/* SPDX-License-Identifier: MIT
 * The set of candidates and its order. Knows no sampler.
 *
 * Sorting 248320 candidates to find 40 would cost more than all samplers together. So a limit is
 * found that the n best reach and not many others: of few, the n-th largest of the maxima of
 * blocks; of many, an edge of a histogram over the upper half of the logits' bits. Those that reach
 * it are sorted by a stable radix sort: equal logits stay in ascending order of ids. */
#include "run/candidates.h"

#include <assert.h>

#include "base/bits.h"
#include "base/mem.h"

enum {
    BLOCK = 64,
    LANES = 16, /* independent maxima and sums, so that a loop is not one chain of latencies */
    BUCKETS = 1 << 16,
    DIGIT_BITS = 11,
    DIGIT_VALUES = 1 << DIGIT_BITS,
    DIGITS = 3,            /* 33 bits cover the 32 of a key */
    SORT_AT_ONCE = 256,    /* fewest candidates brought to the front */
    SORT_GROWTH = 16,      /* how many times as many the next time */
    SORT_ALL_FRACTION = 4, /* a larger share than one in so many is sorted without a limit */
};

static uint32_t blocks_of(uint32_t count)
{
    return count / BLOCK + (count % BLOCK != 0);
}

/* The number of candidates in the block that begins at `first`. */
static uint32_t block_length(uint32_t first, uint32_t count)
{
    return count - first < BLOCK ? count - first : BLOCK;
}

enum weir_status candidates_init(struct candidates *set, uint32_t vocab, struct weir_error *err)
{
    *set = (struct candidates){
        .vocab = vocab,
        .ids = mem_alloc(vocab, sizeof *set->ids, err),
        .logits = mem_alloc(vocab, sizeof *set->logits, err),
        .scratch = mem_alloc((uint64_t)vocab * 2, sizeof *set->scratch, err),
        .buckets = mem_alloc(BUCKETS, sizeof *set->buckets, err),
        .block_maxima = mem_alloc(blocks_of(vocab), sizeof *set->block_maxima, err),
    };
    if (set->ids != NULL && set->logits != NULL && set->scratch != NULL && set->buckets != NULL &&
        set->block_maxima != NULL)
        return WEIR_OK;
    candidates_release(set);
    return WEIR_ERR_MEMORY;
}

void candidates_release(struct candidates *set)
{
    mem_free(set->ids);
    mem_free(set->logits);
    mem_free(set->scratch);
    mem_free(set->buckets);
    mem_free(set->block_maxima);
    *set = (struct candidates){0};
}

void candidates_fill(struct candidates *set, const float *logits)
{
    int32_t *restrict to_ids = set->ids;
    float *restrict to_logits = set->logits;
    for (uint32_t i = 0; i < set->vocab; i++)
        to_ids[i] = (int32_t)i;
    for (uint32_t i = 0; i < set->vocab; i++)
        to_logits[i] = isnan(logits[i]) ? -INFINITY : logits[i];
    set->count = set->vocab;
    set->sorted = 0;
}

/* ---- limits ---------------------------------------------------------------------------------- */

/* Copies a last block that is shorter, filled up with -inf. */
static const float *whole_block(float *block, const float *logits, uint32_t length)
{
    if (length == BLOCK)
        return logits;
    for (uint32_t i = 0; i < BLOCK; i++)
        block[i] = i < length ? logits[i] : -INFINITY;
    return block;
}

static float block_max(const float *logits, uint32_t length)
{
    float block[BLOCK], max[LANES];
    const float *values = whole_block(block, logits, length);
    for (uint32_t lane = 0; lane < LANES; lane++)
        max[lane] = values[lane];
    for (uint32_t i = LANES; i < BLOCK; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const float a = values[i + lane], b = max[lane];
            max[lane] = a > b ? a : b;
        }
    }
    for (uint32_t lane = 1; lane < LANES; lane++)
        max[0] = max[lane] > max[0] ? max[lane] : max[0];
    return max[0];
}

/* Ascending keys are descending logits: the bits of a float order like an integer once those of
 * negative numbers are inverted. Adding 0 makes -0 equal to 0. */
static uint32_t logit_key(float logit)
{
    const float canonical = logit + 0.0f;
    uint32_t bits;
    memcpy(&bits, &canonical, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7fffffffu;
}

static float key_logit(uint32_t key)
{
    const uint32_t bits = key >> 31 ? key : ~key & 0x7fffffffu;
    float logit;
    memcpy(&logit, &bits, sizeof logit);
    return logit;
}

/* The lower edge of the bucket in which the n-th largest of logits[count] is. */
static float histogram_limit(uint32_t *buckets, const float *logits, uint32_t count, uint32_t n)
{
    memset(buckets, 0, BUCKETS * sizeof *buckets);
    for (uint32_t i = 0; i < count; i++)
        buckets[logit_key(logits[i]) >> 16]++;
    uint32_t bucket = 0;
    for (uint32_t found = buckets[0]; found < n; found += buckets[bucket])
        bucket++;
    const float limit = key_logit(bucket << 16 | 0xffffu);
    return isnan(limit) ? -INFINITY : limit; /* the bucket of -inf ends among the NaNs */
}

/* A logit that at least `n` of logits[count] reach, and not many more do. */
static float nth_best_limit(const struct candidates *set, const float *logits, uint32_t count,
                            uint32_t n)
{
    const uint32_t blocks = blocks_of(count);
    if (n > blocks / SORT_ALL_FRACTION)
        return histogram_limit(set->buckets, logits, count, n);
    for (uint32_t block = 0; block < blocks; block++) {
        const uint32_t first = block * BLOCK;
        set->block_maxima[block] = block_max(logits + first, block_length(first, count));
    }
    return histogram_limit(set->buckets, set->block_maxima, blocks, n);
}

/* ---- order ----------------------------------------------------------------------------------- */

/* What is sorted: a key in the upper half, what goes with it in the lower. */
static uint64_t sort_item(uint32_t key, uint32_t value)
{
    return (uint64_t)key << 32 | value;
}

static uint32_t digit_of(uint64_t item, uint32_t digit)
{
    return (uint32_t)(item >> (32 + digit * DIGIT_BITS)) % DIGIT_VALUES;
}

static void count_digits(uint32_t *counts, const uint64_t *items, uint32_t n)
{
    memset(counts, 0, DIGITS * DIGIT_VALUES * sizeof *counts);
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t digit = 0; digit < DIGITS; digit++)
            counts[digit * DIGIT_VALUES + digit_of(items[i], digit)]++;
    }
}

/* Turns counts into the places where each digit's items begin. */
static void digit_places(uint32_t *counts)
{
    uint32_t place = 0;
    for (uint32_t value = 0; value < DIGIT_VALUES; value++) {
        const uint32_t count = counts[value];
        counts[value] = place;
        place += count;
    }
}

/* Sorts the `n` >= 1 items at the beginning of the scratch memory by ascending key, equal ones as
 * they are. Returns where the result is, somewhere in the scratch memory. */
static const uint64_t *radix_sort(struct candidates *set, uint32_t n)
{
    uint64_t *from = set->scratch, *to = set->scratch + set->vocab;
    count_digits(set->buckets, from, n);
    for (uint32_t digit = 0; digit < DIGITS; digit++) {
        uint32_t *places = set->buckets + digit * DIGIT_VALUES;
        if (places[digit_of(from[0], digit)] == n)
            continue;
        digit_places(places);
        for (uint32_t i = 0; i < n; i++)
            to[places[digit_of(from[i], digit)]++] = from[i];
        uint64_t *const sorted = to;
        to = from;
        from = sorted;
    }
    return from;
}

/* Copies the candidates from index `first` on that reach `limit` to the scratch memory, in order.
 * Returns how many. */
static uint32_t gather(struct candidates *set, uint32_t first, float limit)
{
    uint32_t taken = 0;
    for (uint32_t at = first; at < set->count; at += BLOCK) {
        const uint32_t length = block_length(at, set->count);
        if (block_max(set->logits + at, length) < limit)
            continue;
        for (uint32_t i = at; i < at + length; i++) {
            set->scratch[taken] = sort_item(logit_key(set->logits[i]), (uint32_t)set->ids[i]);
            taken += set->logits[i] >= limit;
        }
    }
    return taken;
}

/* Moves the candidates from index `first` on that are below `limit` to the end, in order. */
static void retreat(struct candidates *set, uint32_t first, float limit)
{
    uint32_t to = set->count;
    for (uint32_t i = set->count; i-- > first;) {
        if (set->logits[i] >= limit)
            continue;
        to--;
        set->logits[to] = set->logits[i];
        set->ids[to] = set->ids[i];
    }
}

/* Sorts the `n` best of the unsorted rest, or some more, to its front. Without `keep_rest` what is
 * behind them is lost. */
static void advance_sorted(struct candidates *set, uint32_t n, bool keep_rest)
{
    const uint32_t first = set->sorted;
    const uint32_t count = set->count - first;
    float limit = -INFINITY;
    if (n <= count / SORT_ALL_FRACTION)
        limit = nth_best_limit(set, set->logits + first, count, n);
    const uint32_t taken = gather(set, first, limit);
    if (keep_rest && taken < count)
        retreat(set, first, limit);
    const uint64_t *items = radix_sort(set, taken);
    for (uint32_t i = 0; i < taken; i++) {
        set->logits[first + i] = key_logit((uint32_t)(items[i] >> 32));
        set->ids[first + i] = (int32_t)(uint32_t)items[i];
    }
    set->sorted += taken;
}

void candidates_sort(struct candidates *set, uint32_t n)
{
    if (set->sorted >= n || set->sorted == set->count)
        return;
    uint64_t wanted = (uint64_t)set->sorted * SORT_GROWTH;
    if (wanted < SORT_AT_ONCE)
        wanted = SORT_AT_ONCE;
    if (wanted < n)
        wanted = n;
    if (wanted > set->count)
        wanted = set->count;
    advance_sorted(set, (uint32_t)wanted - set->sorted, true);
}

void candidates_unsort(struct candidates *set)
{
    if (set->sorted == 0)
        return;
    for (uint32_t i = 0; i < set->count; i++) {
        uint32_t bits;
        memcpy(&bits, &set->logits[i], sizeof bits);
        set->scratch[i] = sort_item((uint32_t)set->ids[i], bits);
    }
    const uint64_t *items = radix_sort(set, set->count);
    for (uint32_t i = 0; i < set->count; i++) {
        const uint32_t bits = (uint32_t)items[i];
        memcpy(&set->logits[i], &bits, sizeof bits);
        set->ids[i] = (int32_t)(items[i] >> 32);
    }
    set->sorted = 0;
}

uint32_t candidates_best(const struct candidates *set)
{
    if (set->sorted > 0)
        return 0;
    uint32_t best = 0;
    float max = -INFINITY;
    for (uint32_t at = 0; at < set->count; at += BLOCK) {
        const float block = block_max(set->logits + at, block_length(at, set->count));
        if (block > max) {
            max = block;
            best = at;
        }
    }
    while (set->logits[best] < max)
        best++;
    return best;
}

/* ---- cuts ------------------------------------------------------------------------------------ */

void candidates_keep_best(struct candidates *set, uint32_t n)
{
    if (n >= set->count)
        return;
    if (n == 1) {
        const uint32_t best = candidates_best(set);
        set->logits[0] = set->logits[best];
        set->ids[0] = set->ids[best];
    } else if (set->sorted < n) {
        advance_sorted(set, n - set->sorted, false);
    }
    set->count = n;
    set->sorted = n;
}

void candidates_keep_above(struct candidates *set, float limit, uint32_t least)
{
    uint32_t reach = 0;
    for (uint32_t i = 0; i < set->count; i++)
        reach += set->logits[i] >= limit;
    if (reach < least) {
        candidates_keep_best(set, least);
        return;
    }
    for (uint32_t i = 0, kept = 0; kept < reach; i++) {
        set->logits[kept] = set->logits[i];
        set->ids[kept] = set->ids[i];
        kept += set->logits[i] >= limit;
    }
    set->count = reach;
    if (set->sorted > reach)
        set->sorted = reach;
}

void candidates_keep_indices(struct candidates *set, const int32_t *indices, uint32_t n)
{
    uint32_t sorted = 0;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t index = (uint32_t)indices[i];
        set->logits[i] = set->logits[index];
        set->ids[i] = set->ids[index];
        sorted += index < set->sorted;
    }
    set->count = n;
    set->sorted = sorted;
}

/* Of candidates by id, bit by bit: branches on each candidate would be as good as random. Bits of
 * no candidate are not set. Returns how many are kept. */
static uint32_t keep_bits_by_id(struct candidates *set, const uint64_t *bits, uint32_t ids)
{
    uint32_t kept = 0;
    for (uint32_t first = 0; first < ids && first < set->count; first += 64) {
        for (uint64_t left = bits[first / 64]; left != 0; left &= left - 1) {
            const uint32_t id = first + (uint32_t)__builtin_ctzll(left);
            if (id >= set->count)
                break;
            set->logits[kept] = set->logits[id];
            set->ids[kept++] = (int32_t)id;
        }
    }
    return kept;
}

void candidates_keep_bits(struct candidates *set, const uint64_t *bits, uint32_t ids)
{
    uint32_t kept = 0, sorted = 0;
    if (candidates_by_id(set)) {
        kept = keep_bits_by_id(set, bits, ids);
    } else {
        for (uint32_t i = 0; i < set->count; i++) {
            const uint32_t id = (uint32_t)set->ids[i];
            if (id >= ids || !bits_have(bits, id))
                continue;
            set->logits[kept] = set->logits[i];
            set->ids[kept++] = (int32_t)id;
            sorted += i < set->sorted;
        }
    }
    assert(kept > 0);
    set->count = kept;
    set->sorted = sorted;
}

void candidates_drop_best(struct candidates *set, uint32_t n)
{
    set->count -= n;
    set->sorted -= n;
    memmove(set->logits, set->logits + n, set->count * sizeof *set->logits);
    memmove(set->ids, set->ids + n, set->count * sizeof *set->ids);
}

/* ---- probabilities --------------------------------------------------------------------------- */

static double block_weight(const float *logits, uint32_t length, float max)
{
    float block[BLOCK], weights[BLOCK];
    const float *values = whole_block(block, logits, length);
    for (uint32_t i = 0; i < BLOCK; i++)
        weights[i] = exp_negative(softmax_distance(max, values[i]));
    double sums[LANES] = {0};
    for (uint32_t i = 0; i < BLOCK; i += LANES) {
        for (uint32_t lane = 0; lane < LANES; lane++)
            sums[lane] += weights[i + lane];
    }
    double sum = 0;
    for (uint32_t lane = 0; lane < LANES; lane++)
        sum += sums[lane];
    return sum;
}

struct softmax candidates_softmax(const struct candidates *set)
{
    struct softmax softmax = {.max = set->logits[candidates_best(set)]};
    for (uint32_t at = 0; at < set->count; at += BLOCK)
        softmax.sum += block_weight(set->logits + at, block_length(at, set->count), softmax.max);
    softmax.log_sum = log(softmax.sum);
    return softmax;
}

double candidates_entropy(const struct candidates *set, struct softmax softmax)
{
    double sum = 0; /* of weight times distance: ln p is distance - ln sum */
    for (uint32_t i = 0; i < set->count; i++) {
        const float weight = softmax_weight(softmax, set->logits[i]);
        if (weight > 0)
            sum += (double)weight * softmax_distance(softmax.max, set->logits[i]);
    }
    return softmax.log_sum - sum / softmax.sum;
}

uint32_t candidates_draw(const struct candidates *set, struct softmax softmax, double u)
{
    const double target = u * softmax.sum;
    double running = 0;
    uint32_t last = 0; /* in case that rounding kept the sum from exceeding the target */
    for (uint32_t at = 0; at < set->count; at += BLOCK) {
        const uint32_t length = block_length(at, set->count);
        const double weight = block_weight(set->logits + at, length, softmax.max);
        if (weight > 0)
            last = at;
        if (running + weight > target)
            break;
        running += weight;
    }
    const uint32_t end = last + block_length(last, set->count);
    for (uint32_t i = last; i < end; i++) {
        const float weight = softmax_weight(softmax, set->logits[i]);
        running += weight;
        if (weight > 0)
            last = i;
        if (running > target)
            break;
    }
    return last;
}
