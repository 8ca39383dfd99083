/* SPDX-License-Identifier: MIT
 * Products of packed codes with activations of 8 bits. A number of the result is made in one way:
 * whole numbers summed over 32 columns (16 where scales are so fine), then added as floats in the
 * order of the columns. Few rows of activations multiply the lines as they are unpacked; for many,
 * part of a group is unpacked once, to a panel in the first cache. */
#include "cpu/kernels/product.h"
#include "cpu/kernels/unpack.h"

enum {
    PREFETCH_BYTES = 2048, /* ahead of the line that is unpacked: measured, see BENCHMARKS.md */
    DIRECT_ROWS = 4,
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

/* ---- few rows -------------------------------------------------------------------------------- */

/* A group, or of it the blocks [first, first + blocks). */
struct group {
    const uint8_t *fields, *lines;
    uint32_t kept; /* rows of the matrix that it has */
    uint32_t first, blocks;
};

/* LANES rows of the group from lane `lane` on with `rows` rows of activations, which is a constant
 * where this is compiled, so that the sums stay in registers. */
INLINE void multiply_lanes(const struct recipe *recipe, const struct group *group,
                           const struct meeting *m, uint32_t row, uint32_t rows, uint32_t lane)
{
    const uint32_t count = kept_lanes(group->kept, lane);
    vf sum[DIRECT_ROWS];
    UNROLL
    for (uint32_t t = 0; t < rows; t++)
        sum[t] = vf_set(0.0f);
    for (uint32_t block = 0; block < group->blocks; block++) {
        const uint8_t *lines = group->lines + (uint64_t)block * recipe->code_bytes;
        vi quads[QUADS];
        struct scaling scaling;
        for (uint32_t at = 0; lane == 0 && at < recipe->code_bytes; at += PACK_LINE)
            __builtin_prefetch(lines + PREFETCH_BYTES + at);
        recipe->unpack(lines, lane, quads);
        recipe->scaling(group->fields, block, lane, &scaling);
        UNROLL
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = add_block(recipe, &m[t], block, quads, &scaling, sum[t]);
    }
    for (uint32_t t = 0; t < rows && count > 0; t++)
        vf_store_some(m[t].out + row + lane, sum[t], count);
}

/* Compiled for 1, 2 and 4 rows; of 3, the last is repeated. */
INLINE void multiply_few(const struct recipe *recipe, const struct group *group,
                         const struct meeting *m, uint32_t row, uint32_t rows)
{
    struct meeting four[DIRECT_ROWS];
    for (uint32_t t = 0; t < DIRECT_ROWS; t++)
        four[t] = m[least_of(t, rows - 1)];
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        if (rows == 1)
            multiply_lanes(recipe, group, four, row, 1, lane);
        else if (rows == 2)
            multiply_lanes(recipe, group, four, row, 2, lane);
        else
            multiply_lanes(recipe, group, four, row, 4, lane);
    }
}

/* ---- panels ---------------------------------------------------------------------------------- */

/* Part of a group, unpacked. */
struct panel {
    _Alignas(64) uint8_t codes[PANEL_BLOCKS][QUADS][PACK_LINE];
    float scales[PANEL_BLOCKS][2][PACK_ROWS];
    float mins[PANEL_BLOCKS][PACK_ROWS];
};

/* 32 columns of TILE rows of activations, in the order in which they meet a panel. */
struct x_block {
    int8_t codes[QUADS][TILE][4];
    int32_t starts[2][TILE]; /* of the whole sums: what takes the zeros of the codes off */
    float scales[TILE];
    float offsets[TILE]; /* what mins are multiplied with */
};
_Static_assert(sizeof(struct x_block) == TILE * X_BLOCK_BYTES, "what PANEL_SCRATCH_BYTES counts");

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

static void fill_x_block(const struct recipe *recipe, const struct meeting *m, uint32_t block,
                         uint32_t t, struct x_block *to)
{
    const int8_t *codes = m->codes + block * PACK_COLUMNS;
    const int32_t low = m->sums[2 * block], high = m->sums[2 * block + 1];
    for (uint32_t j = 0; j < QUADS; j++)
        memcpy(to->codes[j][t], codes + 4 * j, 4);
    to->starts[0][t] = -recipe->zero * (recipe->has_halves ? low : low + high);
    to->starts[1][t] = -recipe->zero * high;
    to->scales[t] = m->scales[block];
    to->offsets[t] = m->scales[block] * (float)(low + high);
}

/* Columns of the group's part, of all rows, tile after tile; the last row fills the last tile. */
static void fill_x(const struct recipe *recipe, const struct group *group, const struct meeting *m,
                   uint32_t count, struct x_block *to)
{
    for (uint32_t at = 0; at < count; at += TILE) {
        for (uint32_t t = 0; t < TILE; t++) {
            for (uint32_t i = 0; i < group->blocks; i++)
                fill_x_block(recipe, &m[least_of(at + t, count - 1)], group->first + i, t, &to[i]);
        }
        to += group->blocks;
    }
}

/* dot[t] += quads [4 half, 4 half + last) of a block. */
INLINE void dot_tile(const struct recipe *recipe, const uint8_t codes[QUADS][PACK_LINE],
                     const struct x_block *x, uint32_t first, uint32_t last, uint32_t lane,
                     vi dot[TILE])
{
    UNROLL
    for (uint32_t t = 0; t < TILE; t++)
        dot[t] = vi_set(x->starts[first / 4][t]);
    UNROLL
    for (uint32_t j = first; j < last; j++) {
        const vi quad = vi_load(codes[j] + 4 * lane);
        UNROLL
        for (uint32_t t = 0; t < TILE; t++) {
            const int32_t four = four_codes(x->codes[j][t]);
            dot[t] =
                recipe->is_signed ? vi_dot_signed(dot[t], quad, four) : vi_dot(dot[t], quad, four);
        }
    }
}

INLINE void add_tile(const struct recipe *recipe, const struct panel *panel, uint32_t i,
                     const struct x_block *x, uint32_t lane, vf sum[TILE])
{
    const uint32_t step = recipe->has_halves ? QUADS / 2 : QUADS;
    UNROLL
    for (uint32_t first = 0; first < QUADS; first += step) {
        const vf scale = vf_load(panel->scales[i][first / 4] + lane);
        vi dot[TILE];
        dot_tile(recipe, panel->codes[i], x, first, first + step, lane, dot);
        UNROLL
        for (uint32_t t = 0; t < TILE; t++)
            sum[t] = vf_fma(vf_from_vi(dot[t]), vf_mul(scale, vf_set(x->scales[t])), sum[t]);
    }
    if (recipe->has_min) {
        const vf min = vf_load(panel->mins[i] + lane);
        UNROLL
        for (uint32_t t = 0; t < TILE; t++)
            sum[t] = vf_fma(min, vf_set(x->offsets[t]), sum[t]);
    }
}

/* Parts of a group are added up in the result. */
INLINE void multiply_panel(const struct recipe *recipe, const struct group *group,
                           const struct panel *panel, const struct x_block *x, float *const *out,
                           uint32_t rows)
{
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        const uint32_t count = kept_lanes(group->kept, lane);
        vf sum[TILE];
        UNROLL
        for (uint32_t t = 0; t < TILE; t++)
            sum[t] =
                group->first == 0 || count == 0 ? vf_set(0.0f) : vf_load_some(out[t] + lane, count);
        for (uint32_t i = 0; i < group->blocks; i++)
            add_tile(recipe, panel, i, &x[i], lane, sum);
        for (uint32_t t = 0; t < rows && count > 0; t++)
            vf_store_some(out[t] + lane, sum[t], count);
    }
}

/* ---- types ----------------------------------------------------------------------------------- */

/* Few rows straight from the lines. */
typedef void tile_fn(const struct group *group, const struct meeting *m, uint32_t row,
                     uint32_t rows);
typedef void unpack_panel_fn(const struct group *group, struct panel *panel);

#define FUNCTIONS(id, ...)                                                                         \
    static const struct recipe recipe_##id = {__VA_ARGS__};                                        \
    static void multiply_##id(const struct group *group, const struct meeting *m, uint32_t row,    \
                              uint32_t rows)                                                       \
    {                                                                                              \
        multiply_few(&recipe_##id, group, m, row, rows);                                           \
    }                                                                                              \
    static void unpack_##id(const struct group *group, struct panel *panel)                        \
    {                                                                                              \
        unpack_panel(&recipe_##id, group, panel);                                                  \
    }
RECIPES(FUNCTIONS)

/* Panels differ no longer by type, but by what there is to multiply. */
static void multiply_any_panel(const struct recipe *recipe, const struct group *group,
                               const struct panel *panel, const struct x_block *x,
                               float *const *out, uint32_t rows)
{
    static const struct recipe plain = {0}, with_sign = {.is_signed = true};
    static const struct recipe with_min = {.has_min = true}, with_halves = {.has_halves = true};
    if (recipe->has_min)
        multiply_panel(&with_min, group, panel, x, out, rows);
    else if (recipe->has_halves)
        multiply_panel(&with_halves, group, panel, x, out, rows);
    else if (recipe->is_signed)
        multiply_panel(&with_sign, group, panel, x, out, rows);
    else
        multiply_panel(&plain, group, panel, x, out, rows);
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

/* A panel with all rows of activations. */
static void multiply_rows(const struct product *product, const struct group *group,
                          const struct panel *panel, const struct meeting *meetings, uint32_t row,
                          uint32_t count)
{
    const struct recipe *recipe = types[product->dtype].recipe;
    const struct x_block *x = (const struct x_block *)(const void *)product->scratch;
    for (uint32_t at = 0; at < count; at += TILE, x += group->blocks) {
        float *out[TILE];
        for (uint32_t t = 0; t < TILE; t++)
            out[t] = meetings[least_of(at + t, count - 1)].out + row;
        multiply_any_panel(recipe, group, panel, x, out, least_of(TILE, count - at));
    }
}

/* The same columns of all groups in turn, so that the activations that they meet stay in the second
 * cache. */
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
            if (row == product->first)
                fill_x(type->recipe, &group, meetings, count,
                       (struct x_block *)(void *)product->scratch);
            type->unpack(&group, &panel);
            multiply_rows(product, &group, &panel, meetings, row, count);
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
