/* SPDX-License-Identifier: MIT
 * Attention of many rows in products of pairs of BF16: on tiles (AMX), or on vectors where these
 * have such products. Queries, keys, weights and values are rounded to BF16 where they meet; scores
 * and sums are F32, and so is the softmax. A vector of scores has 16 query vectors and one key, so
 * that nothing is summed across lanes. Knows neither units nor chunks: kernel_attend.c does. */
#include "cpu/kernels/attending.h"

#include <float.h>

#if defined(HAS_PAIRS)

enum {
    DEPTH = 2 * LANES, /* columns of a vector of pairs */
    LINE = 64,         /* bytes between rows, beyond the row: see attend_pitch */
    ACROSS = 4,        /* vectors of 16 query vectors, or of 16 columns, that are summed at once */
};

typedef uint32_t pair; /* two numbers in BF16 */

/* Where the operands of a block lie. */
struct block {
    pair *queries; /* [width / 2][room] */
    uint8_t *keys; /* [ATTEND_KEYS]: columns in BF16 */
    float *scores; /* [ATTEND_KEYS][room], */
    pair *weights; /* and of these [ATTEND_KEYS / 2][room], in their place */
    pair *turned;  /* of tiles: [room / 16][ATTEND_KEYS / 32] tiles of the weights, behind these */
    pair *values;  /* [ATTEND_KEYS / 2]: pairs of two rows; where the keys were */
    uint64_t key_bytes, value_bytes; /* from row to row */
};

static struct block block_of(const struct attending *a)
{
    pair *weights = (pair *)(void *)a->weights;
    return (struct block){
        .queries = (pair *)(void *)a->queries,
        .keys = (uint8_t *)a->tile,
        .scores = a->weights,
        .weights = weights,
        .turned = weights + ATTEND_KEYS / 2 * (uint64_t)a->room,
        .values = (pair *)(void *)a->tile,
        .key_bytes = a->width * sizeof(uint16_t) + LINE,
        .value_bytes = a->width * sizeof(pair) + LINE,
    };
}

/* ---- to BF16 --------------------------------------------------------------------------------- */

static void round_row(const float *x, uint32_t width, uint8_t *to)
{
    for (uint32_t i = 0; i < width; i += DEPTH)
        vi_store(to + i * sizeof(uint16_t), halves_of(vf_load(x + i), vf_load(x + i + LANES)));
}

/* Two rows, their numbers side by side. */
static void round_rows(const float *x, const float *y, uint32_t width, pair *to)
{
    for (uint32_t i = 0; i < width; i += LANES)
        vi_store(to + i, halves_paired(halves_of(vf_load(x + i), vf_load(y + i))));
}

/* 16 rows of pairs, `pitch` apart, become 16 columns, `room` apart. */
static void turn(const pair *from, uint64_t pitch, uint32_t pairs, pair *to, uint64_t room)
{
    for (uint32_t i = 0; i < pairs; i += 4) {
        vf columns[4];
        vf_load_columns((const float *)(const void *)(from + i), pitch, columns);
        for (uint32_t n = 0; n < 4; n++)
            vf_store((float *)(void *)(to + (i + n) * room), columns[n]);
    }
}

static void take_queries(const struct attending *a)
{
    const struct host_operand *q = &a->call->at[0];
    const struct block block = block_of(a);
    for (uint32_t first = 0; first < a->room; first += LANES) {
        for (uint32_t i = 0; i < LANES; i++) {
            const uint32_t v = first + i;
            uint8_t *row = block.keys + i * block.key_bytes;
            if (v < a->vectors)
                round_row(host_group(q, a->unit->row + v / a->heads,
                                     a->unit->group * a->heads + v % a->heads),
                          a->width, row);
            else
                memset(row, 0, a->width * sizeof(uint16_t));
        }
        turn((const pair *)(const void *)block.keys, block.key_bytes / sizeof(pair), a->width / 2,
             block.queries + first, a->room);
    }
}

static void take_keys(const struct attending *a, const struct block *block, uint64_t first,
                      uint32_t count)
{
    const struct host_operand *k = &a->call->at[1], *v = &a->call->at[2];
    const struct coming next = coming_from(a, v, first);
    float floats[HEAD_WIDTH_MAX];
    for (uint32_t i = 0; i < count; i++) {
        KERNEL(take_row)(a, k, first + i, &next, i, floats);
        round_row(floats, a->width, block->keys + i * block->key_bytes);
    }
}

/* Whole tiles: what is behind `count` is 0, and meets weights of 0. */
static void take_values(const struct attending *a, const struct block *block, uint64_t first,
                        uint32_t count)
{
    const struct host_operand *k = &a->call->at[1], *v = &a->call->at[2];
    const struct coming next = coming_from(a, k, first + count);
    float floats[2][HEAD_WIDTH_MAX];
    for (uint32_t i = 0; i < count; i += 2) {
        KERNEL(take_row)(a, v, first + i, &next, i, floats[0]);
        if (i + 1 < count)
            KERNEL(take_row)(a, v, first + i + 1, &next, i + 1, floats[1]);
        else
            memset(floats[1], 0, a->width * sizeof floats[1][0]);
        round_rows(floats[0], floats[1], a->width,
                   block->values + i / 2 * (block->value_bytes / sizeof(pair)));
    }
    for (uint32_t i = (count + 1) / 2; i % LANES != 0; i++)
        memset((uint8_t *)block->values + i * block->value_bytes, 0, a->width * sizeof(pair));
}

/* ---- products -------------------------------------------------------------------------------- */

#if defined(HAS_TILES)

enum { DEPTHS = ATTEND_KEYS / DEPTH, TILE_PAIRS = TILE_BYTES / sizeof(pair) };

/* The tile of the weights of 16 query vectors and of 32 keys. */
INLINE pair *turned_at(const struct block *block, uint32_t vector, uint32_t depth)
{
    return block->turned + (vector / LANES * DEPTHS + depth) * (uint64_t)TILE_PAIRS;
}

/* Scores of 32 keys from `key` on, with 16 or 32 query vectors from `vector` on. */
INLINE void score_tiles(const struct attending *a, const struct block *block, uint32_t key,
                        uint32_t vector, bool has_two)
{
    const uint64_t score_bytes = a->room * sizeof(float);
    const uint8_t *keys = block->keys + key * block->key_bytes;
    const pair *queries = block->queries + vector;
    float *scores = block->scores + (uint64_t)key * a->room + vector;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (uint32_t i = 0; i < a->width; i += DEPTH) {
        TILE_LOAD(4, keys, block->key_bytes);
        TILE_LOAD(5, keys + TILE_ROWS * block->key_bytes, block->key_bytes);
        TILE_LOAD(6, queries, a->room * sizeof(pair));
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 5, 6);
        if (has_two) {
            TILE_LOAD(7, queries + LANES, a->room * sizeof(pair));
            TILE_DOT(2, 4, 7);
            TILE_DOT(3, 5, 7);
        }
        keys += DEPTH * sizeof(uint16_t);
        queries += LANES * (uint64_t)a->room;
    }
    TILE_STORE(0, scores, score_bytes);
    TILE_STORE(1, scores + TILE_ROWS * (uint64_t)a->room, score_bytes);
    if (has_two) {
        TILE_STORE(2, scores + LANES, score_bytes);
        TILE_STORE(3, scores + TILE_ROWS * (uint64_t)a->room + LANES, score_bytes);
    }
}

static void score_block(const struct attending *a, const struct block *block, uint32_t count)
{
    for (uint32_t key = 0; key < count; key += 2 * TILE_ROWS) {
        uint32_t vector = 0;
        for (; vector + 2 * LANES <= a->room; vector += 2 * LANES)
            score_tiles(a, block, key, vector, true);
        if (vector < a->room)
            score_tiles(a, block, key, vector, false);
    }
}

/* Sums that do not shrink stay as they are. */
static void shrink_rows(const struct attending *a, uint32_t part, uint32_t vector)
{
    for (uint32_t v = vector; v < vector + LANES; v++) {
        float *row = part_of(a, part, v);
        if (row[a->padded + PART_SHRINK] == 1.0f)
            continue;
        for (uint32_t i = 0; i < a->width; i += LANES)
            vf_store(row + i, vf_mul(vf_load(row + i), vf_set(row[a->padded + PART_SHRINK])));
    }
}

/* 32 columns from `column` on of the sums of 16 or 32 query vectors from `vector` on. */
INLINE void add_tiles(const struct attending *a, const struct block *block, uint32_t part,
                      uint32_t vector, uint32_t column, uint32_t depths, bool has_two)
{
    const uint64_t row_bytes = a->pitch * sizeof(float);
    const uint8_t *values = (const uint8_t *)(block->values + column);
    const pair *weights = turned_at(block, vector, 0);
    float *sums = part_of(a, part, vector) + column, *next = sums + TILE_ROWS * a->pitch;
    TILE_LOAD(0, sums, row_bytes);
    TILE_LOAD(1, sums + LANES, row_bytes);
    if (has_two) {
        TILE_LOAD(2, next, row_bytes);
        TILE_LOAD(3, next + LANES, row_bytes);
    }
    for (uint32_t d = 0; d < depths; d++) {
        TILE_LOAD(4, weights, TILE_ROW_BYTES);
        TILE_LOAD(6, values, block->value_bytes);
        TILE_LOAD(7, values + TILE_ROW_BYTES, block->value_bytes);
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 7);
        if (has_two) {
            TILE_LOAD(5, weights + DEPTHS * TILE_PAIRS, TILE_ROW_BYTES);
            TILE_DOT(2, 5, 6);
            TILE_DOT(3, 5, 7);
        }
        weights += TILE_PAIRS;
        values += LANES * block->value_bytes;
    }
    TILE_STORE(0, sums, row_bytes);
    TILE_STORE(1, sums + LANES, row_bytes);
    if (has_two) {
        TILE_STORE(2, next, row_bytes);
        TILE_STORE(3, next + LANES, row_bytes);
    }
}

static void add_block(const struct attending *a, const struct block *block, uint32_t part,
                      uint32_t count)
{
    const uint32_t depths = (count + DEPTH - 1) / DEPTH;
    for (uint32_t vector = 0; vector < a->room; vector += LANES) {
        shrink_rows(a, part, vector);
        for (uint32_t d = 0; d < depths; d++)
            turn(block->weights + (uint64_t)d * LANES * a->room + vector, a->room, LANES,
                 turned_at(block, vector, d), LANES);
    }
    for (uint32_t column = 0; column < a->width; column += DEPTH) {
        uint32_t vector = 0;
        for (; vector + 2 * LANES <= a->room; vector += 2 * LANES)
            add_tiles(a, block, part, vector, column, depths, true);
        if (vector < a->room)
            add_tiles(a, block, part, vector, column, depths, false);
    }
}

#else

enum { KEYS = 6, ROWS = 4 }; /* whose scores, or sums, stay in registers */

INLINE int32_t pair_at(const void *p)
{
    int32_t two;
    memcpy(&two, p, sizeof two);
    return two;
}

/* Scores of KEYS keys from `key` on, with `vectors` (at most ACROSS) vectors of query vectors: a
 * key that the block has not is its last one again. */
INLINE void score_keys(const struct attending *a, const struct block *block, uint32_t key,
                       uint32_t count, uint32_t first, uint32_t vectors)
{
    const pair *queries = block->queries + first;
    const uint8_t *row[KEYS];
    vf sum[KEYS][ACROSS];
    UNROLL
    for (uint32_t i = 0; i < KEYS; i++)
        row[i] = block->keys + least_of(key + i, count - 1) * block->key_bytes;
    UNROLL
    for (uint32_t i = 0; i < KEYS; i++) {
        UNROLL
        for (uint32_t n = 0; n < vectors; n++)
            sum[i][n] = vf_set(0.0f);
    }
    for (uint32_t at = 0; at < a->width / 2 * sizeof(pair); at += sizeof(pair)) {
        vi q[ACROSS];
        UNROLL
        for (uint32_t n = 0; n < vectors; n++)
            q[n] = vi_load(queries + n * LANES);
        queries += a->room;
        UNROLL
        for (uint32_t i = 0; i < KEYS; i++) {
            const int32_t two = pair_at(row[i] + at);
            UNROLL
            for (uint32_t n = 0; n < vectors; n++)
                sum[i][n] = halves_dot(sum[i][n], q[n], two);
        }
    }
    for (uint32_t i = 0; i < KEYS && key + i < count; i++) {
        float *scores = block->scores + (uint64_t)(key + i) * a->room + first;
        UNROLL
        for (uint32_t n = 0; n < vectors; n++)
            vf_store(scores + n * LANES, sum[i][n]);
    }
}

static void score_block(const struct attending *a, const struct block *block, uint32_t count)
{
    for (uint32_t key = 0; key < count; key += KEYS) {
        for (uint32_t first = 0; first < a->room; first += ACROSS * LANES) {
            switch (least_of(ACROSS, (a->room - first) / LANES)) {
            case 1: score_keys(a, block, key, count, first, 1); break;
            case 2: score_keys(a, block, key, count, first, 2); break;
            case 3: score_keys(a, block, key, count, first, 3); break;
            default: score_keys(a, block, key, count, first, ACROSS); break;
            }
        }
    }
}

/* `vectors` vectors of columns from `column` on, of the sums of ROWS query vectors. */
INLINE void add_rows(const struct attending *a, const struct block *block, uint32_t part,
                     uint32_t vector, uint32_t column, uint32_t vectors, uint32_t pairs)
{
    const uint8_t *values = (const uint8_t *)(block->values + column);
    const pair *weights = block->weights + vector;
    float *sums = part_of(a, part, vector);
    vf sum[ROWS][ACROSS];
    UNROLL
    for (uint32_t i = 0; i < ROWS; i++) {
        const float *row = sums + i * a->pitch;
        const vf shrink = vf_set(row[a->padded + PART_SHRINK]);
        UNROLL
        for (uint32_t n = 0; n < vectors; n++)
            sum[i][n] = vf_mul(vf_load(row + column + n * LANES), shrink);
    }
    for (uint32_t at = 0; at < pairs; at++) {
        vi v[ACROSS];
        UNROLL
        for (uint32_t n = 0; n < vectors; n++)
            v[n] = vi_load(values + n * LANES * sizeof(pair));
        UNROLL
        for (uint32_t i = 0; i < ROWS; i++) {
            const int32_t two = pair_at(weights + i);
            UNROLL
            for (uint32_t n = 0; n < vectors; n++)
                sum[i][n] = halves_dot(sum[i][n], v[n], two);
        }
        values += block->value_bytes;
        weights += a->room;
    }
    UNROLL
    for (uint32_t i = 0; i < ROWS; i++) {
        UNROLL
        for (uint32_t n = 0; n < vectors; n++)
            vf_store(sums + i * a->pitch + column + n * LANES, sum[i][n]);
    }
}

static void add_block(const struct attending *a, const struct block *block, uint32_t part,
                      uint32_t count)
{
    const uint32_t pairs = (count + 1) / 2;
    uint32_t column = 0;
    for (; column + ACROSS * LANES <= a->width; column += ACROSS * LANES) {
        for (uint32_t vector = 0; vector < a->room; vector += ROWS)
            add_rows(a, block, part, vector, column, ACROSS, pairs);
    }
    for (; column < a->width; column += DEPTH) {
        for (uint32_t vector = 0; vector < a->room; vector += ROWS)
            add_rows(a, block, part, vector, column, 2, pairs);
    }
}

#endif

/* ---- weights --------------------------------------------------------------------------------- */

/* How many keys of a block 16 query vectors see. */
static vi seen_by(const struct attending *a, uint32_t vector, uint64_t first, uint32_t count)
{
    int32_t seen[LANES];
    for (uint32_t i = 0; i < LANES; i++) {
        const uint64_t visible = a->unit->visible + (vector + i) / a->heads;
        seen[i] = visible <= first          ? 0
                  : visible - first > count ? (int32_t)count
                                            : (int32_t)(visible - first);
    }
    return vi_load(seen);
}

/* Scores of 16 query vectors become weights against the largest so far, as by weigh of
 * kernel_attend.c. A lane that has not seen a key yet has a largest number too. */
static void weigh_vectors(const struct attending *a, const struct block *block, uint32_t part,
                          uint32_t vector, vi seen, uint32_t count)
{
    const vf scale = vf_set(a->call->op->scale), least = vf_set(-FLT_MAX);
    const uint32_t end = (count + DEPTH - 1) / DEPTH * DEPTH;
    float *counters = part_of(a, part, vector) + a->padded;
    float *score = block->scores + vector;
    pair *weight = block->weights + vector;
    vf before[4], lane[3], most = least, sum = vf_set(0.0f);
    for (uint32_t i = 0; i < count; i++) {
        const __mmask16 sees = _mm512_cmpgt_epi32_mask(seen, vi_set((int32_t)i));
        most = _mm512_mask_max_ps(most, sees, most, vf_load(score + (uint64_t)i * a->room));
    }
    vf_load_columns(counters, a->pitch, before);
    const vf largest = vf_max(before[PART_LARGEST], vf_max(least, vf_mul(most, scale)));
    const vf negative = vf_sub(vf_set(0.0f), largest);
    for (uint32_t i = 0; i < end; i += 2, weight += a->room) {
        vf two[2];
        for (uint32_t k = 0; k < 2; k++) {
            const __mmask16 sees = _mm512_cmpgt_epi32_mask(seen, vi_set((int32_t)(i + k)));
            const float *at = score + (uint64_t)(i + k) * a->room;
            two[k] = _mm512_maskz_mov_ps(sees, vf_exp(vf_fma(vf_load(at), scale, negative)));
            sum = vf_add(sum, two[k]);
        }
        vi_store(weight, halves_paired(halves_of(two[0], two[1])));
    }
    lane[PART_SHRINK] = vf_exp(vf_sub(before[PART_LARGEST], largest));
    lane[PART_SUM] = vf_fma(before[PART_SUM], lane[PART_SHRINK], sum);
    lane[PART_LARGEST] = largest;
    for (uint32_t i = 0; i < 3; i++) {
        float lanes[LANES];
        vf_store(lanes, lane[i]);
        for (uint32_t v = 0; v < LANES; v++)
            counters[v * a->pitch + i] = lanes[v];
    }
}

/* ---- units ----------------------------------------------------------------------------------- */

void KERNEL(begin_pairs)(const struct attending *a)
{
    take_queries(a);
#if defined(HAS_TILES)
    tiles_open_whole();
#endif
}

void KERNEL(end_pairs)(void)
{
#if defined(HAS_TILES)
    tiles_close();
#endif
}

void KERNEL(attend_pairs)(const struct attending *a, uint32_t part, uint64_t first, uint32_t count)
{
    const struct block block = block_of(a);
    take_keys(a, &block, first, count);
    score_block(a, &block, count);
    for (uint32_t vector = 0; vector < a->room; vector += LANES)
        weigh_vectors(a, &block, part, vector, seen_by(a, vector, first, count), count);
    take_values(a, &block, first, count);
    add_block(a, &block, part, count);
}

#else

void KERNEL(begin_pairs)(const struct attending *a)
{
    (void)a;
}

void KERNEL(end_pairs)(void)
{
}

void KERNEL(attend_pairs)(const struct attending *a, uint32_t part, uint64_t first, uint32_t count)
{
    (void)a, (void)part, (void)first, (void)count;
}

#endif
