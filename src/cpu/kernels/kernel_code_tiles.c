/* SPDX-License-Identifier: MIT
 * Products of packed codes with activations of 8 bits on tiles of bytes (AMX), to the bits of
 * kernel_codes.c: a tile makes the whole numbers, which are the same in any order, and the floats
 * follow one by one as they do there. 32 columns of a group, unpacked, are a tile as they lie. */
#include "cpu/kernels/tile.h"

#include "cpu/kernels/codes.h"

#if defined(HAS_TILES)

/* From how many rows of activations on tiles are used. In cycles, for a block of 32 columns with
 * all in the first cache: VNNI takes half a cycle for each of the 8 products of a row, and 1.5 to
 * 2 for what makes floats of the sum, so 8 rows (fewer are computed as 8) take 44 or more, and 4
 * rows 22. A tile takes 16 for the product; beside it run, for 8 or 16 rows, 8 to 16 loads and as
 * many stores of lines, and the floats, 16 or 32. So 5 to 8 rows take half the time, and 16 some
 * 40%. Of 4 rows little would be left of the gain, for each product has to be waited for, 52
 * cycles. */
enum { ROWS_MIN = 5 };

enum {
    FEW = TILE_ROWS / 2, /* a tile of so many rows costs less: half the loads, stores and floats */
    /* Blocks whose products are on the way together: enough to cover the wait, and what they take,
     * 28 KiB with the activations, stays in the first cache. */
    STAGE = 8,
};

_Static_assert((int)LANES == PACK_ROWS, "a line is a vector");

/* ---- activations ----------------------------------------------------------------------------- */

/* 32 columns of 16 rows of activations, as a tile and what its sums meet. */
struct x_tile {
    int8_t codes[TILE_ROWS][PACK_COLUMNS];
    int32_t starts[2][TILE_ROWS]; /* of the whole sums: what takes the zeros of the codes off */
    float scales[TILE_ROWS];
    float offsets[2][TILE_ROWS]; /* what mins are multiplied with */
};
_Static_assert(sizeof(struct x_tile) == TILE_ROWS * X_BLOCK_BYTES, "as PANEL_SCRATCH_BYTES counts");

static void fill_x_row(const struct unpacking *unpacking, const struct meeting *m, uint32_t block,
                       uint32_t t, struct x_tile *to)
{
    const struct terms terms = terms_of(unpacking, m, block);
    memcpy(to->codes[t], m->codes + block * PACK_COLUMNS, PACK_COLUMNS);
    to->scales[t] = terms.scale;
    for (uint32_t half = 0; half < 2; half++) {
        to->starts[half][t] = terms.starts[half];
        to->offsets[half][t] = terms.offsets[half];
    }
}

/* Columns of the group's part, of all rows, tile after tile. What the last tile has no rows for is
 * left as it was, but for scales of 0, so that its products, which go nowhere, cost no more. */
static void fill_x(const struct unpacking *unpacking, const struct group *group,
                   const struct meeting *m, uint32_t count, struct x_tile *to)
{
    for (uint32_t at = 0; at < count; at += TILE_ROWS) {
        const uint32_t rows = least_of(TILE_ROWS, count - at);
        for (uint32_t i = 0; i < group->blocks; i++, to++) {
            for (uint32_t t = 0; t < rows; t++)
                fill_x_row(unpacking, &m[at + t], group->first + i, t, to);
            for (uint32_t t = rows; t < TILE_ROWS; t++)
                to->scales[t] = to->offsets[0][t] = to->offsets[1][t] = 0.0f;
        }
    }
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* Registers 0 and 1 for sums of `rows` rows of activations, 2 and 3 for these, 4 and 5 for weights:
 * 32 columns, or 16 where scales are so fine. */
static void open_for_codes(const struct unpacking *unpacking, uint32_t rows)
{
    const uint8_t columns = unpacking->has_halves ? QUANT_HALF : PACK_COLUMNS;
    const struct tile_shape sums = {(uint8_t)rows, TILE_ROW_BYTES};
    const struct tile_shape x = {(uint8_t)rows, columns}, w = {columns / 4, TILE_ROW_BYTES};
    const struct tile_shape shapes[TILES] = {sums, sums, x, x, w, w};
    tiles_open(shapes);
}

/* One product; the next one takes other registers. */
INLINE void dot_even(const int8_t *x, const uint8_t *w, int32_t *dots)
{
    TILE_ZERO(0);
    TILE_LOAD(2, x, PACK_COLUMNS);
    TILE_LOAD(4, w, PACK_LINE);
    TILE_DOT_BYTES(0, 2, 4);
    TILE_STORE(0, dots, TILE_ROW_BYTES);
}

INLINE void dot_odd(const int8_t *x, const uint8_t *w, int32_t *dots)
{
    TILE_ZERO(1);
    TILE_LOAD(3, x, PACK_COLUMNS);
    TILE_LOAD(5, w, PACK_LINE);
    TILE_DOT_BYTES(1, 3, 5);
    TILE_STORE(1, dots, TILE_ROW_BYTES);
}

/* Whole sums of a block with 16 rows of activations, of each half where there are halves. */
typedef int32_t dots[2][TILE_ROWS][PACK_ROWS];

INLINE void dot_stage(const struct unpacking *unpacking, const struct block *blocks,
                      const struct x_tile *x, uint32_t count, dots *to)
{
    for (uint32_t i = 0; i < count; i++) {
        if (i % 2 == 0 || unpacking->has_halves)
            dot_even(x[i].codes[0], blocks[i].codes[0], to[i][0][0]);
        else
            dot_odd(x[i].codes[0], blocks[i].codes[0], to[i][0][0]);
        if (unpacking->has_halves)
            dot_odd(x[i].codes[0] + QUANT_HALF, blocks[i].codes[QUADS / 2], to[i][1][0]);
    }
}

/* The floats, in the order of kernel_codes.c. */
INLINE void add_dots(const struct unpacking *unpacking, const struct block *block,
                     const struct x_tile *x, const dots *of, uint32_t rows, vf sum[TILE_ROWS])
{
    UNROLL
    for (uint32_t half = 0; half <= unpacking->has_halves; half++) {
        const vf scale = vf_load(block->scales[half]);
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            const vi dot = vi_add(vi_load((*of)[half][t]), vi_set(x->starts[half][t]));
            sum[t] = vf_fma(vf_from_vi(dot), vf_mul(scale, vf_set(x->scales[t])), sum[t]);
        }
    }
    if (!unpacking->has_min)
        return;
    UNROLL
    for (uint32_t half = 0; half <= unpacking->has_halves; half++) {
        const vf min = vf_load(block->mins[half]);
        UNROLL
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = vf_fma(min, vf_set(x->offsets[half][t]), sum[t]);
    }
}

INLINE void add_stage(const struct unpacking *unpacking, const struct block *blocks,
                      const struct x_tile *x, uint32_t count, uint32_t rows, vf sum[TILE_ROWS])
{
    _Alignas(64) dots of[STAGE];
    dot_stage(unpacking, blocks, x, count, of);
    for (uint32_t i = 0; i < count; i++)
        add_dots(unpacking, &blocks[i], &x[i], &of[i], rows, sum);
}

/* A whole group, each stage of it unpacked on the way. `rows` is a constant where this is compiled:
 * FEW or all of a tile. */
INLINE void multiply_few(const struct unpacking *unpacking, const struct group *group,
                         const struct x_tile *x, float *const *out, uint32_t count, uint32_t rows)
{
    vf sum[TILE_ROWS];
    UNROLL
    for (uint32_t t = 0; t < rows; t++)
        sum[t] = vf_set(0.0f);
    for (uint32_t first = 0; first < group->blocks; first += STAGE) {
        const uint32_t some = least_of(STAGE, group->blocks - first);
        struct block blocks[STAGE];
        for (uint32_t i = 0; i < some; i++) {
            prefetch_ahead(unpacking, group, first + i);
            unpack_block(unpacking, group, first + i, &blocks[i]);
        }
        add_stage(unpacking, blocks, x + first, some, rows, sum);
    }
    UNROLL
    for (uint32_t t = 0; t < rows; t++) {
        if (t < count)
            vf_store_some(out[t], sum[t], group->kept);
    }
}

/* Part of a group, unpacked, with a tile of rows. Parts are added up in the result. */
INLINE void multiply_panel(const struct unpacking *unpacking, const struct group *group,
                           const struct block *panel, const struct x_tile *x, float *const *out,
                           uint32_t count)
{
    vf sum[TILE_ROWS];
    UNROLL
    for (uint32_t t = 0; t < TILE_ROWS; t++)
        sum[t] = group->first == 0 ? vf_set(0.0f) : vf_load_some(out[t], group->kept);
    for (uint32_t first = 0; first < group->blocks; first += STAGE)
        add_stage(unpacking, panel + first, x + first, least_of(STAGE, group->blocks - first),
                  TILE_ROWS, sum);
    UNROLL
    for (uint32_t t = 0; t < TILE_ROWS; t++) {
        if (t < count)
            vf_store_some(out[t], sum[t], group->kept);
    }
}

/* Codes that stand for signed numbers are bytes from 0 up as the others are. */
static void multiply_any_panel(const struct unpacking *unpacking, const struct group *group,
                               const struct block *panel, const struct x_tile *x, float *const *out,
                               uint32_t count)
{
    static const struct unpacking plain = {0};
    static const struct unpacking with_min = {.has_min = true}, with_halves = {.has_halves = true};
    static const struct unpacking with_both = {.has_min = true, .has_halves = true};
    if (unpacking->has_min && unpacking->has_halves)
        multiply_panel(&with_both, group, panel, x, out, count);
    else if (unpacking->has_min)
        multiply_panel(&with_min, group, panel, x, out, count);
    else if (unpacking->has_halves)
        multiply_panel(&with_halves, group, panel, x, out, count);
    else
        multiply_panel(&plain, group, panel, x, out, count);
}

/* ---- types ----------------------------------------------------------------------------------- */

typedef void few_fn(const struct group *group, const struct x_tile *x, float *const *out,
                    uint32_t count);
typedef void unpack_panel_fn(const struct group *group, struct block *panel);

#define FUNCTIONS(id, ...)                                                                         \
    static const struct unpacking unpacking_##id = {__VA_ARGS__};                                  \
    static void few_##id(const struct group *group, const struct x_tile *x, float *const *out,     \
                         uint32_t count)                                                           \
    {                                                                                              \
        if (count <= FEW)                                                                          \
            multiply_few(&unpacking_##id, group, x, out, count, FEW);                              \
        else                                                                                       \
            multiply_few(&unpacking_##id, group, x, out, count, TILE_ROWS);                        \
    }                                                                                              \
    static void unpack_##id(const struct group *group, struct block *panel)                        \
    {                                                                                              \
        for (uint32_t i = 0; i < group->blocks; i++)                                               \
            unpack_block(&unpacking_##id, group, group->first + i, &panel[i]);                     \
    }
UNPACKINGS(FUNCTIONS)

static const struct type {
    const struct unpacking *unpacking;
    few_fn *few;
    unpack_panel_fn *unpack;
} types[DTYPE_COUNT] = {
#define TYPE(id, ...) [DTYPE_##id] = {&unpacking_##id, few_##id, unpack_##id},
    UNPACKINGS(TYPE)};

/* ---- products -------------------------------------------------------------------------------- */

static void outs_at(const struct meeting *m, uint32_t count, uint32_t row, float *out[TILE_ROWS])
{
    for (uint32_t t = 0; t < TILE_ROWS; t++)
        out[t] = m[least_of(t, count - 1)].out + row;
}

static void multiply_by_few(const struct product *product, const struct meeting *meetings,
                            uint32_t count)
{
    struct x_tile *x = (struct x_tile *)(void *)product->scratch;
    for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
        const struct group group = group_at(product, row);
        float *out[TILE_ROWS];
        if (row == product->first && !product->is_further)
            fill_x(types[product->dtype].unpacking, &group, meetings, count, x);
        outs_at(meetings, count, row, out);
        types[product->dtype].few(&group, x, out, count);
    }
}

static void multiply_rows(const struct product *product, const struct group *group,
                          const struct block *panel, const struct meeting *meetings, uint32_t row,
                          uint32_t count)
{
    const struct x_tile *x = (const struct x_tile *)(const void *)product->scratch;
    for (uint32_t at = 0; at < count; at += TILE_ROWS, x += group->blocks) {
        float *out[TILE_ROWS];
        outs_at(meetings + at, count - at, row, out);
        multiply_any_panel(types[product->dtype].unpacking, group, panel, x, out,
                           least_of(TILE_ROWS, count - at));
    }
}

/* The same columns of all groups in turn, as in kernel_codes.c. */
static void multiply_by_panels(const struct product *product, const struct meeting *meetings,
                               uint32_t count)
{
    const struct type *type = &types[product->dtype];
    const uint32_t blocks = product->width / PACK_COLUMNS;
    struct block panel[PANEL_BLOCKS];
    for (uint32_t first = 0; first < blocks; first += PANEL_BLOCKS) {
        for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
            struct group group = group_at(product, row);
            group.first = first;
            group.blocks = least_of(PANEL_BLOCKS, blocks - first);
            if (row == product->first)
                fill_x(type->unpacking, &group, meetings, count,
                       (struct x_tile *)(void *)product->scratch);
            type->unpack(&group, panel);
            multiply_rows(product, &group, panel, meetings, row, count);
        }
    }
}

bool KERNEL(multiply_code_tiles)(const struct product *product, const struct meeting *meetings,
                                 uint32_t count)
{
    const bool fits = product->width / PACK_COLUMNS <= PANEL_BLOCKS * MEETINGS_MAX / TILE_ROWS;
    const bool are_few = count <= TILE_ROWS && fits;
    if (count < ROWS_MIN)
        return false;
    open_for_codes(types[product->dtype].unpacking, are_few && count <= FEW ? FEW : TILE_ROWS);
    if (are_few)
        multiply_by_few(product, meetings, count);
    else
        multiply_by_panels(product, meetings, count);
    tiles_close();
    return true;
}

#else

bool KERNEL(multiply_code_tiles)(const struct product *product, const struct meeting *meetings,
                                 uint32_t count)
{
    (void)product, (void)meetings, (void)count;
    return false;
}

#endif
