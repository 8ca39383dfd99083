/* SPDX-License-Identifier: MIT
 * Products of packed codes with activations of 8 bits. A number of the result is made in one way:
 * whole numbers summed over 32 columns (16 where scales are so fine), then added as floats in the
 * order of the columns. Few rows of activations multiply the lines as they are unpacked; for many,
 * part of a group is unpacked once, to a panel in the first cache. */
#include "cpu/kernels/product.h"
#include "cpu/kernels/unpack.h"

enum {
    PREFETCH_BYTES = 2048, /* ahead of the line that is unpacked: measured, see BENCHMARKS.md */
    PANEL_BLOCKS = 32,     /* of 32 columns: 22 KiB */
};

/* ---- blocks ---------------------------------------------------------------------------------- */

INLINE int32_t four_codes(const int8_t *codes)
{
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return four;
}

/* Sum over the quads [first, last), the zeros of the codes taken off. */
INLINE vi dot_quads(const struct recipe *recipe, const vi quads[QUADS], const int8_t *codes,
                    uint32_t first, uint32_t last, int32_t codes_sum)
{
    vi sum = vi_set(-recipe->zero * codes_sum);
    for (uint32_t j = first; j < last; j++)
        sum = recipe->is_signed ? vi_dot_signed(sum, quads[j], four_codes(codes + 4 * j))
                                : vi_dot(sum, quads[j], four_codes(codes + 4 * j));
    return sum;
}

/* 32 columns of one row of activations added to its sum. */
INLINE vf add_block(const struct recipe *recipe, const struct meeting *m, uint32_t block,
                    const vi quads[QUADS], const struct scaling *scaling, vf sum)
{
    const int8_t *codes = m->codes + block * PACK_COLUMNS;
    const int16_t *sums = m->sums + 2 * block;
    const vf scale = vf_set(m->scales[block]);
    if (recipe->has_halves) {
        for (uint32_t half = 0; half < 2; half++) {
            const vi dot = dot_quads(recipe, quads, codes, 4 * half, 4 * half + 4, sums[half]);
            sum = vf_fma(vf_from_vi(dot), vf_mul(scaling->scale[half], scale), sum);
        }
        return sum;
    }
    const int32_t all = sums[0] + sums[1];
    const vi dot = dot_quads(recipe, quads, codes, 0, QUADS, all);
    sum = vf_fma(vf_from_vi(dot), vf_mul(scaling->scale[0], scale), sum);
    if (recipe->has_min)
        sum = vf_fma(scaling->min, vf_mul(scale, vf_set((float)all)), sum);
    return sum;
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* Part of a group, unpacked. */
struct panel {
    _Alignas(64) uint8_t codes[PANEL_BLOCKS][QUADS][PACK_LINE];
    float scales[PANEL_BLOCKS][2][PACK_ROWS];
    float mins[PANEL_BLOCKS][PACK_ROWS];
};

/* A group, and the part of it that is multiplied: blocks [first, first + blocks). */
struct group {
    const uint8_t *fields, *lines;
    uint32_t kept; /* rows of the matrix that it has */
    uint32_t first, blocks;
};

INLINE void unpack_panel(const struct recipe *recipe, const struct group *group,
                         struct panel *panel)
{
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        for (uint32_t i = 0; i < group->blocks; i++) {
            const uint32_t block = group->first + i;
            vi quads[QUADS];
            struct scaling scaling;
            recipe->unpack(group->lines + (uint64_t)block * recipe->code_bytes, lane, quads);
            recipe->scaling(group->fields, block, lane, &scaling);
            for (uint32_t j = 0; j < QUADS; j++)
                vi_store(panel->codes[i][j] + 4 * lane, quads[j]);
            for (uint32_t half = 0; half <= recipe->has_halves; half++)
                vf_store(panel->scales[i][half] + lane, scaling.scale[half]);
            if (recipe->has_min)
                vf_store(panel->mins[i] + lane, scaling.min);
        }
    }
}

INLINE void load_block(const struct recipe *recipe, const struct panel *panel, uint32_t i,
                       uint32_t lane, vi quads[QUADS], struct scaling *scaling)
{
    for (uint32_t j = 0; j < QUADS; j++)
        quads[j] = vi_load(panel->codes[i][j] + 4 * lane);
    for (uint32_t half = 0; half <= recipe->has_halves; half++)
        scaling->scale[half] = vf_load(panel->scales[i][half] + lane);
    if (recipe->has_min)
        scaling->min = vf_load(panel->mins[i] + lane);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* LANES rows of the group from lane `lane` on with `rows` rows of activations, which is a constant
 * where this is compiled, so that the sums stay in registers. Without a panel lines are unpacked on
 * the way. Parts of a group are added up in the result. */
INLINE void multiply_lanes(const struct recipe *recipe, const struct group *group,
                           const struct panel *panel, const struct meeting *const m[TILE],
                           uint32_t rows, uint32_t lane)
{
    const uint32_t count = kept_lanes(group->kept, lane);
    vf sum[TILE];
    if (count == 0)
        return;
    for (uint32_t t = 0; t < rows; t++)
        sum[t] = group->first == 0 ? vf_set(0.0f) : vf_load_some(m[t]->out + lane, count);
    for (uint32_t i = 0; i < group->blocks; i++) {
        const uint32_t block = group->first + i;
        vi quads[QUADS];
        struct scaling scaling;
        if (panel == NULL) {
            const uint8_t *lines = group->lines + (uint64_t)block * recipe->code_bytes;
            for (uint32_t at = 0; lane == 0 && at < recipe->code_bytes; at += PACK_LINE)
                __builtin_prefetch(lines + PREFETCH_BYTES + at);
            recipe->unpack(lines, lane, quads);
            recipe->scaling(group->fields, block, lane, &scaling);
        } else {
            load_block(recipe, panel, i, lane, quads, &scaling);
        }
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = add_block(recipe, m[t], block, quads, &scaling, sum[t]);
    }
    for (uint32_t t = 0; t < rows; t++)
        vf_store_some(m[t]->out + lane, sum[t], count);
}

/* Compiled for 1, 2, 4 and TILE rows; the last row is repeated to fill a tile. */
INLINE void multiply_tile(const struct recipe *recipe, const struct group *group,
                          const struct panel *panel, const struct meeting *m, uint32_t row,
                          uint32_t rows)
{
    struct meeting at[TILE];
    const struct meeting *tile[TILE];
    for (uint32_t t = 0; t < TILE; t++) {
        at[t] = m[least_of(t, rows - 1)];
        at[t].out += row;
        tile[t] = &at[t];
    }
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        if (panel != NULL && rows > TILE / 2)
            multiply_lanes(recipe, group, panel, tile, TILE, lane);
        else if (rows == 1)
            multiply_lanes(recipe, group, panel, tile, 1, lane);
        else if (rows == 2)
            multiply_lanes(recipe, group, panel, tile, 2, lane);
        else
            multiply_lanes(recipe, group, panel, tile, 4, lane);
    }
}

/* ---- types ----------------------------------------------------------------------------------- */

/* Few rows straight from the lines. */
typedef void tile_fn(const struct group *group, const struct meeting *m, uint32_t row,
                     uint32_t rows);
typedef void unpack_panel_fn(const struct group *group, struct panel *panel);

enum { DIRECT_ROWS = 4 };

#define FUNCTIONS(id, ...)                                                                         \
    static const struct recipe recipe_##id = {__VA_ARGS__};                                        \
    static void multiply_##id(const struct group *group, const struct meeting *m, uint32_t row,    \
                              uint32_t rows)                                                       \
    {                                                                                              \
        multiply_tile(&recipe_##id, group, NULL, m, row, rows);                                    \
    }                                                                                              \
    static void unpack_##id(const struct group *group, struct panel *panel)                        \
    {                                                                                              \
        unpack_panel(&recipe_##id, group, panel);                                                  \
    }
RECIPES(FUNCTIONS)

/* Panels differ no longer by type, but by what there is to multiply. */
static void multiply_panel(const struct recipe *recipe, const struct group *group,
                           const struct panel *panel, const struct meeting *m, uint32_t row,
                           uint32_t rows)
{
    const struct recipe plain = {.zero = recipe->zero};
    const struct recipe with_sign = {.zero = recipe->zero, .is_signed = true};
    const struct recipe with_min = {.zero = recipe->zero, .has_min = true};
    const struct recipe with_halves = {.zero = recipe->zero, .has_halves = true};
    if (recipe->has_min)
        multiply_tile(&with_min, group, panel, m, row, rows);
    else if (recipe->has_halves)
        multiply_tile(&with_halves, group, panel, m, row, rows);
    else if (recipe->is_signed)
        multiply_tile(&with_sign, group, panel, m, row, rows);
    else
        multiply_tile(&plain, group, panel, m, row, rows);
}

static const struct type {
    const struct recipe *recipe;
    tile_fn *multiply;
    unpack_panel_fn *unpack;
} types[DTYPE_COUNT] = {
#define TYPE(id, ...) [DTYPE_##id] = {&recipe_##id, multiply_##id, unpack_##id},
    RECIPES(TYPE)};

/* ---- products -------------------------------------------------------------------------------- */

static struct group group_at(const struct product *product, uint32_t row)
{
    const uint64_t number = row / PACK_ROWS;
    struct group group = {
        .fields = product->matrix + number * pack_group_bytes(product->dtype, product->width),
        .kept = least_of(PACK_ROWS, product->rows - row),
        .blocks = product->width / PACK_COLUMNS,
    };
    group.lines = group.fields + pack_field_bytes(product->dtype, product->width);
    return group;
}

static void multiply_directly(const struct product *product, const struct meeting *meetings,
                              uint32_t count)
{
    for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
        const struct group group = group_at(product, row);
        types[product->dtype].multiply(&group, meetings, row, count);
    }
}

/* All rows of activations with one panel after the other: those of the same columns in turn, so
 * that the activations that they meet stay in the second cache. */
static void multiply_by_panels(const struct product *product, const struct meeting *meetings,
                               uint32_t count)
{
    const struct type *type = &types[product->dtype];
    const uint32_t blocks = product->width / PACK_COLUMNS;
    struct panel panel;
    for (uint32_t first = 0; first < blocks; first += PANEL_BLOCKS) {
        for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
            struct group group = group_at(product, row);
            group.first = first;
            group.blocks = least_of(PANEL_BLOCKS, blocks - first);
            type->unpack(&group, &panel);
            for (uint32_t at = 0; at < count; at += TILE)
                multiply_panel(type->recipe, &group, &panel, meetings + at, row,
                               least_of(TILE, count - at));
        }
    }
}

void KERNEL(multiply_codes)(const struct product *product, const struct meeting *meetings,
                            uint32_t count)
{
    if (count <= DIRECT_ROWS)
        multiply_directly(product, meetings, count);
    else
        multiply_by_panels(product, meetings, count);
}
