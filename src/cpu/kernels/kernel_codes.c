/* SPDX-License-Identifier: MIT
 * Products of packed codes with activations of 8 bits. A number of the result is made in one way:
 * whole numbers summed over 32 columns (16 where scales are so fine), then added as floats in the
 * order of the columns. A row of activations by itself meets the lines as they are unpacked; a few,
 * block after block; many, a panel: part of one or two groups that is unpacked once and stays in
 * the first cache. Tiles of AMX do the same (kernel_code_tiles.c). */
#include "cpu/kernels/codes.h"

#include <assert.h>

#include "cpu/kernels/product.h"

enum {
    VECTORS = PACK_ROWS / LANES, /* of a group */
    CHAINS_MAX = 4,

    /* of a panel, whose sums with X_ROWS rows of activations stay in registers */
    PANEL_GROUPS = LANES == 16 ? 2 : 1,
    PANEL_ROWS = PANEL_GROUPS * PACK_ROWS,
    PANEL_VECTORS = PANEL_ROWS / LANES,
    PANEL_LENGTH = PANEL_BLOCKS / PANEL_GROUPS, /* blocks of a group that the first cache holds */
    X_ROWS = LANES == 16                ? 6
             : LANES == 8 && HAS_SHORTS ? 2
                                        : 4,
};

/* ---- activations ----------------------------------------------------------------------------- */

/* 32 columns of 2, 4, 6 or TILE rows of activations, in the order in which they meet a block, and
 * not a byte more: they share the first cache, and the places for its misses, with the matrix that
 * streams by. */
struct x_block {
    int8_t *codes;   /* [QUADS][rows][4] */
    int32_t *starts; /* [2][rows] of the whole sums: what takes the zeros of the codes off */
    float *scales;   /* [rows] */
    float *offsets;  /* [2][rows] what mins are multiplied with */
};

/* Block `number` of a product's scratch memory. */
INLINE struct x_block x_block_at(float *scratch, uint32_t number, uint32_t rows)
{
    float *block = scratch + (uint64_t)number * rows * (X_BLOCK_BYTES / sizeof *block);
    float *starts = block + rows * (PACK_COLUMNS / sizeof *block), *scales = starts + 2 * rows;
    return (struct x_block){(int8_t *)block, (int32_t *)(void *)starts, scales, scales + rows};
}
_Static_assert(PACK_COLUMNS + 2 * sizeof(int32_t) + 3 * sizeof(float) == X_BLOCK_BYTES,
               "what PANEL_SCRATCH_BYTES counts");

INLINE int32_t four_codes(const int8_t *codes)
{
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return four;
}

INLINE vi dot_quad(const struct unpacking *unpacking, vi sum, vi quad, int32_t four)
{
    return unpacking->is_signed ? vi_dot_signed(sum, quad, four) : vi_dot(sum, quad, four);
}

/* ---- a row by itself ------------------------------------------------------------------------- */

/* Sum over the quads [first, last), the zeros of the codes taken off. */
INLINE vi dot_quads(const struct unpacking *unpacking, const vi quads[QUADS], const int8_t *codes,
                    uint32_t first, uint32_t last, int32_t codes_sum)
{
    vi even = vi_set(-unpacking->zero * codes_sum), odd = vi_set(0);
    UNROLL
    for (uint32_t j = first; j < last; j += 2) {
        even = dot_quad(unpacking, even, quads[j], four_codes(codes + 4 * j));
        odd = dot_quad(unpacking, odd, quads[j + 1], four_codes(codes + 4 * j + 4));
    }
    return vi_add(even, odd);
}

INLINE vf add_block(const struct unpacking *unpacking, const struct meeting *m, uint32_t block,
                    const vi quads[QUADS], const struct scaling *scaling, vf sum)
{
    const int8_t *codes = m->codes + block * PACK_COLUMNS;
    const int16_t *sums = m->sums + 2 * block;
    const vf scale = vf_set(m->scales[block]);
    if (unpacking->has_halves) {
        for (uint32_t half = 0; half < 2; half++) {
            const vi dot = dot_quads(unpacking, quads, codes, 4 * half, 4 * half + 4, sums[half]);
            sum = vf_fma(vf_from_vi(dot), vf_mul(scaling->scale[half], scale), sum);
        }
        for (uint32_t half = 0; unpacking->has_min && half < 2; half++)
            sum = vf_fma(scaling->min[half], vf_mul(scale, vf_set((float)sums[half])), sum);
        return sum;
    }
    const int32_t all = sums[0] + sums[1];
    const vi dot = dot_quads(unpacking, quads, codes, 0, QUADS, all);
    sum = vf_fma(vf_from_vi(dot), vf_mul(scaling->scale[0], scale), sum);
    if (unpacking->has_min)
        sum = vf_fma(scaling->min[0], vf_mul(scale, vf_set((float)all)), sum);
    return sum;
}

INLINE void multiply_one(const struct unpacking *unpacking, const struct group *group,
                         const struct meeting *m, float *out)
{
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        const uint32_t count = kept_lanes(group->kept, lane);
        vf sum = vf_set(0.0f);
        for (uint32_t block = 0; block < group->blocks; block++) {
            const struct columns at = columns_at(unpacking, group, block);
            vi quads[QUADS];
            struct scaling scaling;
            if (lane == 0)
                prefetch_ahead(unpacking, group, block);
            unpacking->unpack(&at, lane, quads);
            unpacking->scaling(&at, lane, &scaling);
            sum = add_block(unpacking, m, block, quads, &scaling, sum);
        }
        if (count > 0)
            vf_store_some(out + lane, sum, count);
    }
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* How many rows the tile has that so many, at least 2 and at most TILE, are multiplied as: even
 * numbers alone, since each takes compiled code for each type. */
static uint32_t tile_rows(uint32_t count)
{
    return (count + 1) / 2 * 2;
}

/* Where quad j of row t is among the codes of an x_block. */
#if defined(SIMD_PAIRS)

/* Quads j and j + 1 of rows t and t + 1 are a vector. */
static uint32_t code_place(uint32_t rows, uint32_t j, uint32_t t)
{
    return 4 * ((j - j % 2) * rows + 2 * t + j % 2);
}

#else

static uint32_t code_place(uint32_t rows, uint32_t j, uint32_t t)
{
    return 4 * (j * rows + t);
}

#endif

static void fill_x_block(const struct unpacking *unpacking, const struct meeting *m, uint32_t block,
                         uint32_t rows, uint32_t t, const struct x_block *to)
{
    const int8_t *codes = m->codes + block * PACK_COLUMNS;
    const struct terms terms = terms_of(unpacking, m, block);
    for (uint32_t j = 0; j < QUADS; j++)
        memcpy(to->codes + code_place(rows, j, t), codes + 4 * j, 4);
    to->scales[t] = terms.scale;
    for (uint32_t half = 0; half < 2; half++) {
        to->starts[half * rows + t] = terms.starts[half];
        to->offsets[half * rows + t] = terms.offsets[half];
    }
}

/* All columns. What a tile has no rows for is left as it was: its products go nowhere. */
static void fill_x(const struct unpacking *unpacking, const struct group *group,
                   const struct meeting *m, uint32_t count, float *scratch)
{
    const uint32_t rows = tile_rows(count);
    for (uint32_t i = 0; i < group->blocks; i++) {
        const struct x_block to = x_block_at(scratch, i, rows);
        for (uint32_t t = 0; t < count; t++)
            fill_x_block(unpacking, &m[t], i, rows, t, &to);
    }
}

#if defined(SIMD_PAIRS)

/* `rows` is even, and a constant where this is compiled. */
INLINE void dot_tile(const struct unpacking *unpacking, const vi quads[QUADS],
                     const struct x_block *x, uint32_t first, uint32_t last, uint32_t rows,
                     vi dot[TILE])
{
    vi low[TILE], high[TILE]; /* of two rows of the matrix and of the next two */
    (void)unpacking;
    UNROLL
    for (uint32_t t = 0; t < rows; t += 2)
        low[t] = high[t] = vi_set(0);
    UNROLL
    for (uint32_t j = first; j < last; j += 2) {
        UNROLL
        for (uint32_t t = 0; t < rows; t += 2) {
            const vi pair = vi_load(x->codes + code_place(rows, j, t));
            low[t] = pairs_dot(low[t], quads[j], pair);
            high[t] = pairs_dot(high[t], quads[j + 1], pair);
        }
    }
    UNROLL
    for (uint32_t t = 0; t < rows; t += 2) {
        const int32_t *starts = x->starts + first / 4 * rows;
        dot[t] = vi_add(pairs_first(low[t], high[t]), vi_set(starts[t]));
        dot[t + 1] = vi_add(pairs_second(low[t], high[t]), vi_set(starts[t + 1]));
    }
}

#else

/* `rows` is a constant where this is compiled: 2, 4, 6 or TILE. With few rows each has several sums
 * on the way, since an addition waits for the one before it; whole numbers add up the same. */
INLINE void dot_tile(const struct unpacking *unpacking, const vi quads[QUADS],
                     const struct x_block *x, uint32_t first, uint32_t last, uint32_t rows,
                     vi dot[TILE])
{
    const uint32_t chains = TILE / rows < CHAINS_MAX ? TILE / rows : CHAINS_MAX;
    vi part[CHAINS_MAX][TILE];
    UNROLL
    for (uint32_t t = 0; t < rows; t++) {
        part[0][t] = vi_set(x->starts[first / 4 * rows + t]);
        UNROLL
        for (uint32_t c = 1; c < chains; c++)
            part[c][t] = vi_set(0);
    }
    UNROLL
    for (uint32_t j = first; j < last; j++) {
        UNROLL
        for (uint32_t t = 0; t < rows; t++)
            part[j % chains][t] = dot_quad(unpacking, part[j % chains][t], quads[j],
                                           four_codes(x->codes + code_place(rows, j, t)));
    }
    UNROLL
    for (uint32_t t = 0; t < rows; t++) {
        dot[t] = part[0][t];
        UNROLL
        for (uint32_t c = 1; c < chains; c++)
            dot[t] = vi_add(dot[t], part[c][t]);
    }
}

#endif

INLINE void add_tile(const struct unpacking *unpacking, const vi quads[QUADS],
                     const struct scaling *scaling, const struct x_block *x, uint32_t rows,
                     vf sum[TILE])
{
    const uint32_t step = unpacking->has_halves ? QUADS / 2 : QUADS;
    UNROLL
    for (uint32_t first = 0; first < QUADS; first += step) {
        const vf scale = scaling->scale[first / 4];
        vi dot[TILE];
        dot_tile(unpacking, quads, x, first, first + step, rows, dot);
        UNROLL
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = vf_fma(vf_from_vi(dot[t]), vf_mul(scale, vf_set(x->scales[t])), sum[t]);
    }
    if (!unpacking->has_min)
        return;
    UNROLL
    for (uint32_t first = 0; first < QUADS; first += step) {
        UNROLL
        for (uint32_t t = 0; t < rows; t++)
            sum[t] =
                vf_fma(scaling->min[first / 4], vf_set(x->offsets[first / 4 * rows + t]), sum[t]);
    }
}

/* A whole group, each block of it unpacked on the way, with up to TILE rows. */
INLINE void multiply_few(const struct unpacking *unpacking, const struct group *group,
                         float *scratch, float *const *out, uint32_t count, uint32_t rows)
{
    vf sum[VECTORS][TILE];
    UNROLL
    for (uint32_t i = 0; i < VECTORS * TILE; i++)
        sum[i / TILE][i % TILE] = vf_set(0.0f);
    for (uint32_t i = 0; i < group->blocks; i++) {
        const struct columns at = columns_at(unpacking, group, i);
        const struct x_block x = x_block_at(scratch, i, rows);
        prefetch_ahead(unpacking, group, i);
        UNROLL
        for (uint32_t v = 0; v < VECTORS; v++) {
            vi quads[QUADS];
            struct scaling scaling;
            unpacking->unpack(&at, v * LANES, quads);
            unpacking->scaling(&at, v * LANES, &scaling);
            make_pairs(quads);
            add_tile(unpacking, quads, &scaling, &x, rows, sum[v]);
        }
    }
    UNROLL
    for (uint32_t v = 0; v < VECTORS; v++) {
        const uint32_t kept = kept_lanes(group->kept, v * LANES);
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            if (t < count && kept > 0)
                vf_store_some(out[t] + v * LANES, sum[v][t], kept);
        }
    }
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* 32 columns of X_ROWS rows of activations. */
struct x_tile {
    int8_t codes[X_ROWS][PACK_COLUMNS];
    int32_t starts[2][X_ROWS]; /* as in struct x_block */
    float scales[X_ROWS];
    float offsets[2][X_ROWS];
};
_Static_assert((MEETINGS_MAX + X_ROWS - 1) / X_ROWS * PANEL_BLOCKS * sizeof(struct x_tile) <=
                   PRODUCT_SCRATCH_BYTES,
               "activations that meet a panel");

/* Blocks [first, first + count) of PANEL_GROUPS groups, unpacked: block i of group g at
 * blocks[i * PANEL_GROUPS + g]. */
struct panel {
    const struct block *blocks;
    uint32_t first, count;
    uint32_t kept; /* rows of the matrix that it has */
};

/* Blocks [first, first + blocks) of all rows, tile after tile. What the last tile has no rows for
 * is left as it was: its products go nowhere. */
static void fill_tiles(const struct unpacking *unpacking, const struct meeting *meetings,
                       uint32_t count, uint32_t first, uint32_t blocks, struct x_tile *to)
{
    for (uint32_t at = 0; at < count; at++) {
        const struct meeting *m = &meetings[at];
        const uint32_t t = at % X_ROWS;
        struct x_tile *tile = to + (uint64_t)(at / X_ROWS) * blocks;
        for (uint32_t i = 0; i < blocks; i++, tile++) {
            const uint32_t block = first + i;
            const struct terms terms = terms_of(unpacking, m, block);
            memcpy(tile->codes[t], m->codes + block * PACK_COLUMNS, PACK_COLUMNS);
            tile->scales[t] = terms.scale;
            for (uint32_t half = 0; half < 2; half++) {
                tile->starts[half][t] = terms.starts[half];
                tile->offsets[half][t] = terms.offsets[half];
            }
        }
    }
}

#if defined(SIMD_PAIRS)

/* Whole sums over the quads [first, last). */
INLINE void dot_panel(const struct unpacking *unpacking, const struct block *block,
                      const struct x_tile *x, uint32_t first, uint32_t last,
                      vi dot[PANEL_VECTORS][X_ROWS])
{
    (void)unpacking;
    UNROLL
    for (uint32_t i = 0; i < PANEL_VECTORS * X_ROWS; i += 2) {
        const uint32_t v = i / X_ROWS, t = i % X_ROWS, lane = v % VECTORS * LANES;
        const int32_t *starts = x->starts[first / 4];
        vi low = vi_set(0), high = vi_set(0); /* of two rows of the matrix and of the next two */
        UNROLL
        for (uint32_t j = first; j < last; j += 2) {
            const vi pair = pairs_load(x->codes[t] + 4 * j, x->codes[t + 1] + 4 * j);
            low = pairs_dot(low, vi_load(block[v / VECTORS].codes[j] + 4 * lane), pair);
            high = pairs_dot(high, vi_load(block[v / VECTORS].codes[j + 1] + 4 * lane), pair);
        }
        dot[v][t] = vi_add(pairs_first(low, high), vi_set(starts[t]));
        dot[v][t + 1] = vi_add(pairs_second(low, high), vi_set(starts[t + 1]));
    }
}

#else

INLINE void dot_panel_quad(const struct unpacking *unpacking, const struct block *block,
                           const struct x_tile *x, uint32_t j, vi dot[PANEL_VECTORS][X_ROWS])
{
    vi quad[PANEL_VECTORS];
    UNROLL
    for (uint32_t v = 0; v < PANEL_VECTORS; v++)
        quad[v] = vi_load(block[v / VECTORS].codes[j] + 4 * LANES * (v % VECTORS));
    UNROLL
    for (uint32_t t = 0; t < X_ROWS; t++) {
        const int32_t four = four_codes(x->codes[t] + 4 * j);
        UNROLL
        for (uint32_t v = 0; v < PANEL_VECTORS; v++)
            dot[v][t] = HAS_SHORTS && unpacking->run > 0
                            ? vi_dot_short(dot[v][t], quad[v], four)
                            : dot_quad(unpacking, dot[v][t], quad[v], four);
    }
}

/* The quads [first, last), `run` of them in sums of 16 bits. */
INLINE void dot_shorts(const struct unpacking *unpacking, const struct block *block,
                       const struct x_tile *x, uint32_t first, uint32_t last,
                       vi dot[PANEL_VECTORS][X_ROWS])
{
    ROLLED
    for (uint32_t begin = first; begin < last; begin += unpacking->run) {
        vi shorts[PANEL_VECTORS][X_ROWS];
        UNROLL
        for (uint32_t i = 0; i < PANEL_VECTORS * X_ROWS; i++)
            shorts[i / X_ROWS][i % X_ROWS] = vi_set(0);
        ROLLED
        for (uint32_t j = begin; j < begin + unpacking->run; j++)
            dot_panel_quad(unpacking, block, x, j, shorts);
        UNROLL
        for (uint32_t i = 0; i < PANEL_VECTORS * X_ROWS; i++)
            dot[i / X_ROWS][i % X_ROWS] =
                vi_add_short(dot[i / X_ROWS][i % X_ROWS], shorts[i / X_ROWS][i % X_ROWS]);
    }
}

/* Whole sums over the quads [first, last). */
INLINE void dot_panel(const struct unpacking *unpacking, const struct block *block,
                      const struct x_tile *x, uint32_t first, uint32_t last,
                      vi dot[PANEL_VECTORS][X_ROWS])
{
    UNROLL
    for (uint32_t i = 0; i < PANEL_VECTORS * X_ROWS; i++)
        dot[i / X_ROWS][i % X_ROWS] = vi_set(x->starts[first / 4][i % X_ROWS]);
    if (HAS_SHORTS && unpacking->run > 0) {
        dot_shorts(unpacking, block, x, first, last, dot);
    } else if (HAS_SHORTS) {
        ROLLED
        for (uint32_t j = first; j < last; j++)
            dot_panel_quad(unpacking, block, x, j, dot);
    } else {
        UNROLL
        for (uint32_t j = first; j < last; j++)
            dot_panel_quad(unpacking, block, x, j, dot);
    }
}

#endif

INLINE void add_panel(const struct unpacking *unpacking, const struct block *block,
                      const struct x_tile *x, vf sum[PANEL_VECTORS][X_ROWS])
{
    const uint32_t step = unpacking->has_halves ? QUADS / 2 : QUADS;
    UNROLL
    for (uint32_t first = 0; first < QUADS; first += step) {
        vi dot[PANEL_VECTORS][X_ROWS];
        dot_panel(unpacking, block, x, first, first + step, dot);
        UNROLL
        for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
            const float *scales = block[v / VECTORS].scales[first / 4];
            const vf scale = vf_load(scales + LANES * (v % VECTORS));
            UNROLL
            for (uint32_t t = 0; t < X_ROWS; t++)
                sum[v][t] =
                    vf_fma(vf_from_vi(dot[v][t]), vf_mul(scale, vf_set(x->scales[t])), sum[v][t]);
        }
    }
    if (!unpacking->has_min)
        return;
    UNROLL
    for (uint32_t i = 0; i < PANEL_VECTORS * QUADS / step; i++) {
        const uint32_t v = i % PANEL_VECTORS, half = i / PANEL_VECTORS;
        const vf min = vf_load(block[v / VECTORS].mins[half] + LANES * (v % VECTORS));
        UNROLL
        for (uint32_t t = 0; t < X_ROWS; t++)
            sum[v][t] = vf_fma(min, vf_set(x->offsets[half][t]), sum[v][t]);
    }
}

/* Panels of a group are added up in the result. */
INLINE void multiply_panel(const struct unpacking *unpacking, const struct panel *panel,
                           const struct x_tile *x, float *const *out, uint32_t count)
{
    vf sum[PANEL_VECTORS][X_ROWS];
    UNROLL
    for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
        const uint32_t kept = kept_lanes(panel->kept, v * LANES);
        UNROLL
        for (uint32_t t = 0; t < X_ROWS; t++)
            sum[v][t] = panel->first == 0 || kept == 0 ? vf_set(0.0f)
                                                       : vf_load_some(out[t] + v * LANES, kept);
    }
    for (uint32_t i = 0; i < panel->count; i++)
        add_panel(unpacking, &panel->blocks[i * PANEL_GROUPS], &x[i], sum);
    UNROLL
    for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
        const uint32_t kept = kept_lanes(panel->kept, v * LANES);
        UNROLL
        for (uint32_t t = 0; t < X_ROWS; t++) {
            if (t < count && kept > 0)
                vf_store_some(out[t] + v * LANES, sum[v][t], kept);
        }
    }
}

/* ---- types ----------------------------------------------------------------------------------- */

typedef void one_fn(const struct group *group, const struct meeting *m, float *out);
typedef void few_fn(const struct group *group, float *scratch, float *const *out, uint32_t count);
typedef void unpack_panel_fn(const struct group *group, struct block *blocks);

#define FUNCTIONS(id, ...)                                                                         \
    static const struct unpacking unpacking_##id = {__VA_ARGS__};                                  \
    static void one_##id(const struct group *group, const struct meeting *m, float *out)           \
    {                                                                                              \
        multiply_one(&unpacking_##id, group, m, out);                                              \
    }                                                                                              \
    static void few_##id(const struct group *group, float *scratch, float *const *out,             \
                         uint32_t count)                                                           \
    {                                                                                              \
        const uint32_t rows = tile_rows(count);                                                    \
        if (rows == 2)                                                                             \
            multiply_few(&unpacking_##id, group, scratch, out, count, 2);                          \
        else if (rows == 4)                                                                        \
            multiply_few(&unpacking_##id, group, scratch, out, count, 4);                          \
        else if (TILE > 4 && rows == 6)                                                            \
            multiply_few(&unpacking_##id, group, scratch, out, count, 6);                          \
        else if (TILE > 4)                                                                         \
            multiply_few(&unpacking_##id, group, scratch, out, count, TILE);                       \
    }                                                                                              \
    static void unpack_##id(const struct group *group, struct block *blocks)                       \
    {                                                                                              \
        for (uint32_t i = 0; i < group->blocks; i++)                                               \
            unpack_block(&unpacking_##id, group, group->first + i, &blocks[i * PANEL_GROUPS]);     \
    }
UNPACKINGS(FUNCTIONS)

/* Panels differ no longer by type, but by what there is to multiply. */
static void multiply_any_panel(const struct unpacking *unpacking, const struct panel *panel,
                               const struct x_tile *x, float *const *out, uint32_t count)
{
    static const struct unpacking plain_4 = {.run = 8}, plain_5 = {.run = 4};
    static const struct unpacking min_4 = {.has_min = true, .run = 8};
    static const struct unpacking min_5 = {.has_min = true, .run = 4};
    static const struct unpacking halves = {.has_halves = true, .run = 2};
    static const struct unpacking min_halves = {.has_min = true, .has_halves = true, .run = 4};
    static const struct unpacking sign = {.is_signed = true};
    static const struct unpacking sign_halves = {.is_signed = true, .has_halves = true};
#define PANEL(way)                                                                                 \
    (assert((way).run <= unpacking->run), multiply_panel(&(way), panel, x, out, count))
    if (unpacking->is_signed && unpacking->has_halves)
        PANEL(sign_halves);
    else if (unpacking->is_signed)
        PANEL(sign);
    else if (unpacking->has_min && unpacking->has_halves)
        PANEL(min_halves);
    else if (unpacking->has_halves)
        PANEL(halves);
    else if (unpacking->has_min && unpacking->run == min_4.run)
        PANEL(min_4);
    else if (unpacking->has_min)
        PANEL(min_5);
    else if (unpacking->run == plain_4.run)
        PANEL(plain_4);
    else
        PANEL(plain_5);
#undef PANEL
}

static const struct type {
    const struct unpacking *unpacking;
    one_fn *one;
    few_fn *few;
    unpack_panel_fn *unpack;
} types[DTYPE_COUNT] = {
#define TYPE(id, ...) [DTYPE_##id] = {&unpacking_##id, one_##id, few_##id, unpack_##id},
    UNPACKINGS(TYPE)};

/* ---- products -------------------------------------------------------------------------------- */

static void multiply_by_one(const struct product *product, const struct meeting *m)
{
    for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
        const struct group group = group_at(product, row);
        types[product->dtype].one(&group, m, m->out + row);
    }
}

/* Where the products of up to TILE rows of activations with a group go. */
static void outs_at(const struct meeting *m, uint32_t count, uint32_t row, float *out[TILE])
{
    for (uint32_t t = 0; t < TILE; t++)
        out[t] = m[least_of(t, count - 1)].out + row;
}

static void multiply_by_few(const struct product *product, const struct meeting *meetings,
                            uint32_t count)
{
    const struct type *type = &types[product->dtype];
    float *scratch = product->scratch;
    for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
        const struct group group = group_at(product, row);
        float *out[TILE];
        if (row == product->first && !product->is_further)
            fill_x(type->unpacking, &group, meetings, count, scratch);
        outs_at(meetings, count, row, out);
        type->few(&group, scratch, out, count);
    }
}

/* A group that the matrix has not is its last one again: its products go nowhere. */
static void unpack_panel(const struct product *product, uint32_t row, const struct panel *panel,
                         struct block *blocks)
{
    for (uint32_t g = 0; g < PANEL_GROUPS; g++) {
        const bool has = g * PACK_ROWS < panel->kept;
        struct group group = group_at(product, has ? row + g * PACK_ROWS : row);
        group.first = panel->first;
        group.blocks = panel->count;
        types[product->dtype].unpack(&group, blocks + g);
    }
}

/* Blocks [first, first + blocks) of the groups from `row` on with all rows of activations. The part
 * of the result stays in a near cache while panels are added to it. */
static void multiply_rows(const struct product *product, uint32_t row, uint32_t first,
                          uint32_t blocks, const struct meeting *meetings, uint32_t count)
{
    const struct unpacking *unpacking = types[product->dtype].unpacking;
    struct block unpacked[PANEL_LENGTH * PANEL_GROUPS];
    for (uint32_t at = 0; at < blocks; at += PANEL_LENGTH) {
        const struct x_tile *x = (const struct x_tile *)(const void *)product->scratch + at;
        const struct panel panel = {
            .blocks = unpacked,
            .first = first + at,
            .count = least_of(PANEL_LENGTH, blocks - at),
            .kept = least_of(PANEL_ROWS, product->last - row),
        };
        unpack_panel(product, row, &panel, unpacked);
        for (uint32_t i = 0; i < count; i += X_ROWS, x += blocks) {
            float *out[X_ROWS];
            for (uint32_t t = 0; t < X_ROWS; t++)
                out[t] = meetings[least_of(i + t, count - 1)].out + row;
            multiply_any_panel(unpacking, &panel, x, out, least_of(X_ROWS, count - i));
        }
    }
}

/* The same columns of all groups in turn, so that the activations that they meet stay in the second
 * cache. */
static void multiply_by_panels(const struct product *product, const struct meeting *meetings,
                               uint32_t count)
{
    const struct unpacking *unpacking = types[product->dtype].unpacking;
    const uint32_t blocks = product->width / PACK_COLUMNS;
    for (uint32_t first = 0; first < blocks; first += PANEL_BLOCKS) {
        const uint32_t own = least_of(PANEL_BLOCKS, blocks - first);
        if (!product->is_further || blocks > PANEL_BLOCKS)
            fill_tiles(unpacking, meetings, count, first, own,
                       (struct x_tile *)(void *)product->scratch);
        for (uint32_t row = product->first; row < product->last; row += PANEL_ROWS)
            multiply_rows(product, row, first, own, meetings, count);
    }
}

void KERNEL(multiply_codes)(const struct product *product, const struct meeting *meetings,
                            uint32_t count)
{
    const bool fits = product->width / PACK_COLUMNS <= PANEL_BLOCKS * MEETINGS_MAX / TILE;
    if (count == 1)
        multiply_by_one(product, meetings);
    else if (KERNEL(multiply_code_tiles)(product, meetings, count))
        return;
    else if (count <= TILE && fits)
        multiply_by_few(product, meetings, count);
    else
        multiply_by_panels(product, meetings, count);
}
