/* SPDX-License-Identifier: MIT
 * Kernel of softmax attention. Query vectors that share a head of the cache meet a block of
 * positions together: scores in tiles of a few vectors times a few keys, weights against the
 * largest score so far, sums of values in registers, strip by strip. What a row gets does not
 * depend on which rows it is computed with: a tile has vectors of one row, and what it does not see
 * of a block it leaves out.
 *
 * Rows of floats are read from the cache as they lie there, if one row of queries wants them and
 * vectors divide them; otherwise a block of the cache is made a tile of F32 first. Both give the
 * same numbers. Bytes: each cached row that a unit sees, once. Of many rows, kernel_attend_pairs.c
 * has the blocks. */
#include "cpu/kernels/attending.h"

#include <math.h>

#include "base/mem.h"
#include "format/codec.h"

enum {
    HEADS = 4,                   /* query vectors of a tile */
    TILE_KEYS = LANES / HEADS,   /* so that a tile of scores is a vector */
    STRIP = LANES == 16 ? 4 : 2, /* vectors of a strip of values */
    LINE = 64,                   /* bytes */
    NEAR_KEYS = 16,              /* whose tile the first cache holds */
};

/* Heads of a tile: about as many in each, at most HEADS. */
static uint32_t heads_of_tile(const struct attending *a)
{
    const uint32_t tiles = (a->heads + HEADS - 1) / HEADS;
    return (a->heads + tiles - 1) / tiles;
}

/* Positions of a block that row `row` of the unit sees: [first, first + count) of all. */
static uint32_t seen_by(const struct attending *a, uint32_t row, uint64_t first, uint32_t count)
{
    const uint64_t visible = a->unit->visible + row;
    if (visible <= first)
        return 0;
    return visible - first < count ? (uint32_t)(visible - first) : count;
}

/* ---- rows of the cache ----------------------------------------------------------------------- */

/* A block of the cache, or the tile made of it. */
struct block {
    const uint8_t *rows;
    uint64_t pitch; /* bytes */
    uint32_t count;
    enum dtype dtype;
    struct coming next;
};

typedef vf load_fn(const uint8_t *row, uint64_t i);

INLINE vf load_f32(const uint8_t *row, uint64_t i)
{
    return vf_load((const float *)(const void *)row + i);
}

INLINE vf load_f16(const uint8_t *row, uint64_t i)
{
    return vf_from_f16(row + 2 * i);
}

INLINE vf load_bf16(const uint8_t *row, uint64_t i)
{
    return vf_from_bf16(row + 2 * i);
}

INLINE void decode_floats(load_fn *load, const uint8_t *row, float *out, uint32_t width)
{
    for (uint32_t i = 0; i < width; i += LANES)
        vf_store(out + i, load(row, i));
}

/* Block for block as the format has it: a scale of F16, 32 numbers of 8 bits. */
static void decode_q8_0(const uint8_t *row, float *out, uint32_t width)
{
    for (uint32_t i = 0; i < width; i += 32, row += 34) {
        uint16_t bits;
        memcpy(&bits, row, sizeof bits);
        const vf scale = vf_set(codec_from_f16(bits));
        for (uint32_t j = 0; j < 32; j += LANES)
            vf_store(out + i + j, vf_mul(vf_from_vi(vi_from_i8(row + 2 + j)), scale));
    }
}

static void decode_row(enum dtype dtype, const uint8_t *row, float *out, uint32_t width)
{
    const bool is_whole = width % LANES == 0;
    if (dtype == DTYPE_F16 && is_whole)
        decode_floats(load_f16, row, out, width);
    else if (dtype == DTYPE_BF16 && is_whole)
        decode_floats(load_bf16, row, out, width);
    else if (dtype == DTYPE_Q8_0)
        decode_q8_0(row, out, width);
    else
        codec_decode_row(dtype, row, out, width);
}

void KERNEL(take_row)(const struct attending *a, const struct host_operand *cache,
                      uint64_t position, const struct coming *next, uint32_t i, float *out)
{
    const uint64_t next_bytes = next->step * a->padded / LANES;
    for (uint64_t at = 0; at < next_bytes; at += LINE)
        __builtin_prefetch(next->rows + i * next->pitch + at);
    decode_row(cache->dtype, cached_row(a, cache, position), out, a->width);
    memset(out + a->width, 0, (a->padded - a->width) * sizeof *out);
}

/* `count` positions of `cache` from `first` on. */
static struct block block_of(const struct attending *a, const struct host_operand *cache,
                             uint64_t first, uint32_t count, const struct coming *next)
{
    const bool is_read_once = a->unit->rows == 1 || cache->dtype == DTYPE_F32;
    if (dtype_is_float(cache->dtype) && is_read_once && a->width == a->padded)
        return (struct block){cached_row(a, cache, first), cache->pitch, count, cache->dtype,
                              *next};
    for (uint32_t i = 0; i < count; i++)
        KERNEL(take_row)(a, cache, first + i, next, i, a->tile + i * a->pitch);
    return (struct block){
        (const uint8_t *)a->tile, a->pitch * sizeof(float), count, DTYPE_F32, {0}};
}

/* ---- scores ---------------------------------------------------------------------------------- */

/* Scores of `heads` vectors (at most HEADS) and TILE_KEYS keys from `at` on: a key that the block
 * has not is its last one again. */
INLINE void score_keys(const struct attending *a, load_fn *load, const struct block *block,
                       uint32_t vector, uint32_t heads, uint32_t at)
{
    const float *q = a->queries + vector * a->pitch;
    const uint8_t *key[TILE_KEYS];
    const bool is_far = load != load_f32; /* tiles are near */
    const uint8_t *next = is_far ? block->next.rows + at * block->next.pitch : block->rows;
    vf sum[LANES];
    float lane[LANES];
    for (uint32_t i = 0; i < TILE_KEYS; i++)
        key[i] = block->rows + least_of(at + i, block->count - 1) * block->pitch;
    for (uint32_t i = 0; i < LANES; i++)
        sum[i] = vf_set(0.0f);
    for (uint64_t i = 0; i < a->padded; i += LANES) {
        vf k[TILE_KEYS];
        for (uint32_t j = 0; j < TILE_KEYS; j++) {
            k[j] = load(key[j], i);
            if (is_far)
                __builtin_prefetch(next + j * block->next.pitch);
        }
        next += is_far ? block->next.step : 0;
        for (uint32_t h = 0; h < heads; h++) {
            const vf x = vf_load(q + h * a->pitch + i);
            for (uint32_t j = 0; j < TILE_KEYS; j++)
                sum[h * TILE_KEYS + j] = vf_fma(k[j], x, sum[h * TILE_KEYS + j]);
        }
    }
    vf_store(lane, vf_mul(vf_sums(sum), vf_set(a->call->op->scale)));
    for (uint32_t h = 0; h < heads; h++)
        memcpy(a->weights + (uint64_t)(vector + h) * ATTEND_KEYS + at, lane + h * TILE_KEYS,
               TILE_KEYS * sizeof *lane);
}

INLINE void score_heads(const struct attending *a, load_fn *load, const struct block *block,
                        uint32_t vector, uint32_t heads, uint32_t at, uint32_t end)
{
    for (; at < end; at += TILE_KEYS) {
        switch (heads) {
        case 1: score_keys(a, load, block, vector, 1, at); break;
        case 2: score_keys(a, load, block, vector, 2, at); break;
        case 3: score_keys(a, load, block, vector, 3, at); break;
        default: score_keys(a, load, block, vector, HEADS, at); break;
        }
    }
}

static void score_heads_of(const struct attending *a, const struct block *block, uint32_t vector,
                           uint32_t heads, uint32_t at, uint32_t end)
{
    if (block->dtype == DTYPE_F32)
        score_heads(a, load_f32, block, vector, heads, at, end);
    else if (block->dtype == DTYPE_F16)
        score_heads(a, load_f16, block, vector, heads, at, end);
    else
        score_heads(a, load_bf16, block, vector, heads, at, end);
}

static void score_block(const struct attending *a, const struct block *block, uint64_t first)
{
    const uint32_t heads = heads_of_tile(a);
    for (uint32_t at = 0; at < block->count; at += NEAR_KEYS) {
        for (uint32_t row = 0; row < a->unit->rows; row++) {
            const uint32_t end = least_of(at + NEAR_KEYS, seen_by(a, row, first, block->count));
            for (uint32_t h = 0; h < a->heads && at < end; h += heads)
                score_heads_of(a, block, row * a->heads + h, least_of(heads, a->heads - h), at,
                               end);
        }
    }
}

/* ---- weights --------------------------------------------------------------------------------- */

static float larger(float a, float b)
{
    return a > b ? a : b;
}

static float largest_of(const float *x, uint32_t count)
{
    float lane[LANES];
    vf most = vf_load(x);
    for (uint32_t i = LANES; i < count; i += LANES)
        most = vf_max(most, vf_load(x + i));
    vf_store(lane, most);
    for (uint32_t half = LANES / 2; half > 0; half /= 2) {
        for (uint32_t i = 0; i < half; i++)
            lane[i] = larger(lane[i], lane[i + half]);
    }
    return lane[0];
}

static float exp_of(float x)
{
    float lane[LANES];
    vf_store(lane, vf_exp(vf_set(x)));
    return lane[0];
}

/* Scores become weights against the largest score so far; what was summed before has to shrink.
 * Milakov and Gimelshein 2018 (arXiv 1805.02867). */
static void weigh(float *scores, uint32_t count, float *counters)
{
    const uint32_t end = (count + LANES - 1) / LANES * LANES;
    for (uint32_t i = count; i < end; i++)
        scores[i] = -INFINITY;
    const float largest = larger(counters[PART_LARGEST], largest_of(scores, end));
    vf sum = vf_set(0.0f);
    for (uint32_t i = 0; i < end; i += LANES)
        vf_store(scores + i, vf_exp(vf_sub(vf_load(scores + i), vf_set(largest))));
    memset(scores + count, 0, (end - count) * sizeof *scores);
    for (uint32_t i = 0; i < end; i += LANES)
        sum = vf_add(sum, vf_load(scores + i));
    counters[PART_SHRINK] = exp_of(counters[PART_LARGEST] - largest);
    counters[PART_LARGEST] = largest;
    counters[PART_SUM] = counters[PART_SUM] * counters[PART_SHRINK] + vf_sum(sum);
}

/* ---- values ---------------------------------------------------------------------------------- */

/* Adds `count` weighted values to the sums of `heads` vectors (at most HEADS): `vectors` vectors of
 * columns from `column` on. */
INLINE void add_strip(const struct attending *a, load_fn *load, const struct block *block,
                      float *part, const float *weights, uint32_t heads, uint32_t vectors,
                      uint32_t column, uint32_t count)
{
    const bool is_far = load != load_f32;
    const uint8_t *next =
        is_far ? block->next.rows + column / LANES * block->next.step : block->rows;
    vf sum[HEADS][STRIP];
    for (uint32_t h = 0; h < heads; h++) {
        const float *from = part + h * a->pitch;
        const vf shrink = vf_set(from[a->padded + PART_SHRINK]);
        for (uint32_t i = 0; i < vectors; i++)
            sum[h][i] = vf_mul(vf_load(from + column + i * LANES), shrink);
    }
    for (uint64_t key = 0; key < count; key++) {
        const uint8_t *row = block->rows + key * block->pitch;
        vf value[STRIP];
        for (uint32_t i = 0; i < vectors; i++) {
            value[i] = load(row, column + i * LANES);
            if (is_far)
                __builtin_prefetch(next + i * block->next.step);
        }
        next += is_far ? block->next.pitch : 0;
        for (uint32_t h = 0; h < heads; h++) {
            const vf weight = vf_set(weights[h * ATTEND_KEYS + key]);
            for (uint32_t i = 0; i < vectors; i++)
                sum[h][i] = vf_fma(value[i], weight, sum[h][i]);
        }
    }
    for (uint32_t h = 0; h < heads; h++) {
        for (uint32_t i = 0; i < vectors; i++)
            vf_store(part + h * a->pitch + column + i * LANES, sum[h][i]);
    }
}

/* `vectors` is a constant where this is inlined. */
INLINE void add_heads(const struct attending *a, load_fn *load, const struct block *block,
                      float *part, const float *weights, uint32_t heads, uint32_t vectors,
                      uint32_t column, uint32_t count)
{
    switch (heads) {
    case 1: add_strip(a, load, block, part, weights, 1, vectors, column, count); break;
    case 2: add_strip(a, load, block, part, weights, 2, vectors, column, count); break;
    case 3: add_strip(a, load, block, part, weights, 3, vectors, column, count); break;
    default: add_strip(a, load, block, part, weights, HEADS, vectors, column, count); break;
    }
}

INLINE void add_columns(const struct attending *a, load_fn *load, const struct block *block,
                        uint32_t part, uint64_t first, uint32_t vectors, uint32_t column)
{
    const uint32_t heads = heads_of_tile(a);
    for (uint32_t row = 0; row < a->unit->rows; row++) {
        const uint32_t count = seen_by(a, row, first, block->count);
        for (uint32_t h = 0; h < a->heads && count > 0; h += heads) {
            const uint32_t vector = row * a->heads + h;
            add_heads(a, load, block, part_of(a, part, vector),
                      a->weights + (uint64_t)vector * ATTEND_KEYS, least_of(heads, a->heads - h),
                      vectors, column, count);
        }
    }
}

INLINE void add_block(const struct attending *a, load_fn *load, const struct block *block,
                      uint32_t part, uint64_t first)
{
    uint32_t column = 0;
    for (; column + STRIP * LANES <= a->padded; column += STRIP * LANES)
        add_columns(a, load, block, part, first, STRIP, column);
    for (; column < a->padded; column += LANES)
        add_columns(a, load, block, part, first, 1, column);
}

/* ---- chunks ---------------------------------------------------------------------------------- */

static void attend_block(const struct attending *a, uint32_t part, uint64_t first, uint32_t count)
{
    if (a->has_pairs) {
        KERNEL(attend_pairs)(a, part, first, count);
        return;
    }
    const struct host_operand *k = &a->call->at[1], *v = &a->call->at[2];
    const struct coming next_values = coming_from(a, v, first);
    const struct coming next_keys = coming_from(a, k, first + ATTEND_KEYS);
    const struct block keys = block_of(a, k, first, count, &next_values);
    score_block(a, &keys, first);
    for (uint32_t i = 0; i < a->vectors; i++) {
        const uint32_t seen = seen_by(a, i / a->heads, first, count);
        if (seen > 0)
            weigh(a->weights + (uint64_t)i * ATTEND_KEYS, seen, part_of(a, part, i) + a->padded);
    }
    const struct block values = block_of(a, v, first, count, &next_keys);
    if (values.dtype == DTYPE_F32)
        add_block(a, load_f32, &values, part, first);
    else if (values.dtype == DTYPE_F16)
        add_block(a, load_f16, &values, part, first);
    else
        add_block(a, load_bf16, &values, part, first);
}

/* Computes chunk `chunk` into part `part`. */
static void attend_chunk_of(const struct attending *a, uint32_t chunk, uint32_t part)
{
    const struct attend_unit *unit = a->unit;
    const uint64_t end = unit->visible + unit->rows - 1, begin = chunk * unit->chunk;
    const uint64_t chunk_end = begin + unit->chunk < end ? begin + unit->chunk : end;
    memset(part_of(a, part, 0), 0, a->room * a->pitch * sizeof(float));
    for (uint32_t v = 0; v < a->room; v++)
        part_of(a, part, v)[a->padded + PART_LARGEST] = -INFINITY;
    for (uint64_t first = begin; first < chunk_end; first += ATTEND_KEYS)
        attend_block(a, part, first,
                     chunk_end - first < ATTEND_KEYS ? (uint32_t)(chunk_end - first) : ATTEND_KEYS);
}

/* ---- merging --------------------------------------------------------------------------------- */

/* Adds one part of a vector to another, both brought to the same largest score. */
static void merge_vector(const struct attending *a, float *to, const float *from)
{
    float *own = to + a->padded;
    const float *other = from + a->padded;
    const float largest = larger(own[PART_LARGEST], other[PART_LARGEST]);
    const float own_factor = exp_of(own[PART_LARGEST] - largest);
    const float other_factor = exp_of(other[PART_LARGEST] - largest);
    for (uint32_t i = 0; i < a->padded; i += LANES) {
        const vf sum = vf_mul(vf_load(to + i), vf_set(own_factor));
        vf_store(to + i, vf_fma(vf_load(from + i), vf_set(other_factor), sum));
    }
    own[PART_LARGEST] = largest;
    own[PART_SUM] = own[PART_SUM] * own_factor + other[PART_SUM] * other_factor;
}

/* Adds chunk `chunk`, which is part `part`, to part 0: for the rows that see of it. */
static void merge_chunk(const struct attending *a, uint32_t chunk, uint32_t part)
{
    for (uint32_t v = 0; v < a->vectors; v++) {
        if (seen_by(a, v / a->heads, chunk * a->unit->chunk, 1) > 0)
            merge_vector(a, part_of(a, 0, v), part_of(a, part, v));
    }
}

static void put_rows(const struct attending *a)
{
    const struct host_operand *y = &a->call->at[3];
    for (uint32_t v = 0; v < a->vectors; v++) {
        const float *sums = part_of(a, 0, v);
        float *out =
            host_group(y, a->unit->row + v / a->heads, a->unit->group * a->heads + v % a->heads);
        const vf scale = vf_set(1.0f / sums[a->padded + PART_SUM]);
        for (uint32_t i = 0; i < a->width; i += LANES)
            vf_store_some(out + i, vf_mul(vf_load(sums + i), scale), least_of(LANES, a->width - i));
    }
}

/* ---- units ----------------------------------------------------------------------------------- */

static void take_queries(const struct attending *a)
{
    const struct host_operand *q = &a->call->at[0];
    for (uint32_t v = 0; v < a->vectors; v++) {
        float *to = a->queries + v * a->pitch;
        memcpy(to,
               host_group(q, a->unit->row + v / a->heads, a->unit->group * a->heads + v % a->heads),
               a->width * sizeof *to);
        memset(to + a->width, 0, (a->padded - a->width) * sizeof *to);
    }
}

static void attend_whole(const struct attending *a)
{
    for (uint32_t i = 0; i < a->unit->chunks; i++) {
        attend_chunk_of(a, i, i > 0);
        if (i > 0)
            merge_chunk(a, i, 1);
    }
    put_rows(a);
}

/* The thread's chunks; who completes the unit merges all. */
static void attend_some(const struct attending *a)
{
    const struct attend_unit *unit = a->unit;
    struct attend_place *place = &a->call->team->places[unit->place];
    const uint32_t computed = unit->chunk_end - unit->chunk_first;
    for (uint32_t i = unit->chunk_first; i < unit->chunk_end; i++)
        attend_chunk_of(a, i, i);
    if (atomic_fetch_add_explicit(&place->done, computed, memory_order_acq_rel) + computed <
        unit->chunks)
        return;
    atomic_store_explicit(&place->done, 0, memory_order_relaxed);
    for (uint32_t i = 1; i < unit->chunks; i++)
        merge_chunk(a, i, i);
    put_rows(a);
}

static void attend_unit_of(const struct cpu_call *call, const struct attend_unit *unit)
{
    const struct host_operand *q = &call->at[0];
    const struct attend_team *team = call->team;
    struct attending a = {
        .call = call,
        .unit = unit,
        .pitch = attend_pitch(q->width),
        .heads = q->groups / call->at[1].groups,
        .width = q->width,
    };
    a.vectors = unit->rows * a.heads;
    a.padded = (uint32_t)a.pitch - ATTEND_PAD;
    a.has_pairs = unit->is_many && pairs_fit(call);
    a.room = a.has_pairs ? attend_room(a.vectors) : a.vectors;
    a.queries = call->scratch;
    a.tile = a.queries + a.room * a.pitch;
    a.parts = a.tile + ATTEND_KEYS * a.pitch;
    a.weights = a.parts + 2 * a.room * a.pitch;
    if (!attend_is_whole(unit))
        a.parts = team->parts + unit->place * team->parts_count;
    if (a.has_pairs)
        KERNEL(begin_pairs)(&a);
    else
        take_queries(&a);
    if (attend_is_whole(unit))
        attend_whole(&a);
    else
        attend_some(&a);
    if (a.has_pairs)
        KERNEL(end_pairs)();
}

/* Of the part nothing is read: the threads share by attend.h. */
void KERNEL(attend)(const struct cpu_call *call, const struct part *part)
{
    const uint32_t groups = call->at[1].groups;
    (void)part;
    struct attend_walk walk =
        attend_begin(call->step, groups, call->at[0].groups / groups, call->team, call->thread);
    struct attend_unit unit;
    while (attend_next(&walk, &unit))
        attend_unit_of(call, &unit);
}
