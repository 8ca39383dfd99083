/* SPDX-License-Identifier: MIT
 * Products of matrices of floats. Packed, a vector holds one column of LANES rows, and a number of
 * the result is the sum over the columns in order. As the file has them, a vector holds LANES
 * columns of one row. */
#include "cpu/kernels/product.h"
#include "cpu/pack.h"
#include "format/codec.h"

enum {
    PREFETCH_BYTES = 2048,             /* as for codes */
    VECTORS = PACK_ROWS / LANES,       /* of a column */
    DIRECT_ROWS = LANES == 16 ? 8 : 4, /* whose sums stay in registers */
    FEW_ROWS = 16, /* in several goes, for which a group of the matrix stays in a near cache */

    /* of a panel, whose sums with X_ROWS rows of activations stay in registers */
    PANEL_GROUPS = LANES == 16 ? 2 : 1,
    PANEL_ROWS = PANEL_GROUPS * PACK_ROWS,
    PANEL_VECTORS = PANEL_ROWS / LANES,
    PANEL_STEPS = 128 * 2 / PANEL_GROUPS, /* 16 KiB: half the first cache */
    X_ROWS = LANES == 16  ? 12
             : LANES == 8 ? 6
                          : 4,
    /* rows and steps of activations that stay in the second cache, or others of that product */
    NEAR_ROWS = 132,
    NEAR_STEPS = 768,
};

/* ---- packed ---------------------------------------------------------------------------------- */

struct group {
    const uint8_t *data;
    uint32_t kept; /* rows of the matrix that it has */
    uint32_t columns;
};

/* LANES elements from `p` on. */
typedef vf load_fn(const uint8_t *p);

INLINE vf load_f32(const uint8_t *p)
{
    return vf_load((const float *)(const void *)p);
}

INLINE vf load_f16(const uint8_t *p)
{
    return vf_from_f16(p);
}

INLINE vf load_bf16(const uint8_t *p)
{
    return vf_from_bf16(p);
}

/* Sums of a group with `rows` rows of activations, a constant where this is compiled. */
INLINE void multiply_columns(load_fn *load, uint32_t bytes, const struct group *group,
                             const float *const x[DIRECT_ROWS], float *const out[DIRECT_ROWS],
                             uint32_t rows)
{
    vf sum[DIRECT_ROWS][VECTORS];
    UNROLL
    for (uint32_t i = 0; i < rows * VECTORS; i++)
        sum[i / VECTORS][i % VECTORS] = vf_set(0.0f);
    for (uint32_t i = 0; i < group->columns; i++) {
        const uint8_t *column = group->data + (uint64_t)i * PACK_ROWS * bytes;
        vf weights[VECTORS];
        __builtin_prefetch(column + PREFETCH_BYTES);
        UNROLL
        for (uint32_t v = 0; v < VECTORS; v++)
            weights[v] = load(column + v * LANES * bytes);
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            UNROLL
            for (uint32_t v = 0; v < VECTORS; v++)
                sum[t][v] = vf_fma(weights[v], vf_set(x[t][i]), sum[t][v]);
        }
    }
    UNROLL
    for (uint32_t t = 0; t < rows; t++) {
        UNROLL
        for (uint32_t v = 0; v < VECTORS; v++) {
            const uint32_t count = kept_lanes(group->kept, v * LANES);
            if (count > 0)
                vf_store_some(out[t] + v * LANES, sum[t][v], count);
        }
    }
}

/* Few rows, which lie as they are; where none of the numbers below is theirs, the last is
 * repeated. */
INLINE void multiply_few(load_fn *load, uint32_t bytes, const struct group *group,
                         const struct meeting *m, uint32_t row, uint32_t rows)
{
    const float *x[DIRECT_ROWS];
    float *out[DIRECT_ROWS];
    for (uint32_t t = 0; t < DIRECT_ROWS; t++) {
        x[t] = m[least_of(t, rows - 1)].x;
        out[t] = m[least_of(t, rows - 1)].out + row;
    }
    if (rows == 1)
        multiply_columns(load, bytes, group, x, out, 1);
    else if (rows == 2)
        multiply_columns(load, bytes, group, x, out, 2);
    else if (rows <= 4)
        multiply_columns(load, bytes, group, x, out, 4);
    else
        multiply_columns(load, bytes, group, x, out, DIRECT_ROWS);
}

static uint32_t element_bytes(enum dtype dtype)
{
    return dtype == DTYPE_F32 ? sizeof(float) : sizeof(uint16_t);
}

static struct group group_at(const struct product *product, uint32_t row)
{
    return (struct group){
        .data = product->matrix + row / PACK_ROWS * product->group_bytes,
        .kept = least_of(PACK_ROWS, product->rows - row),
        .columns = product->width,
    };
}

static void multiply_group(const struct product *product, const struct group *group,
                           const struct meeting *m, uint32_t row, uint32_t count)
{
    switch (product->dtype) {
    case DTYPE_F16: multiply_few(load_f16, 2, group, m, row, count); break;
    case DTYPE_BF16: multiply_few(load_bf16, 2, group, m, row, count); break;
    default: multiply_few(load_f32, 4, group, m, row, count); break;
    }
}

static void multiply_directly(const struct product *product, const struct meeting *m,
                              uint32_t count)
{
    for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
        const struct group group = group_at(product, row);
        for (uint32_t at = 0; at < count; at += DIRECT_ROWS)
            multiply_group(product, &group, m + at, row, least_of(DIRECT_ROWS, count - at));
    }
}

/* ---- panels ---------------------------------------------------------------------------------- */

_Static_assert(NEAR_ROWS % X_ROWS == 0 && NEAR_STEPS % PANEL_STEPS == 0, "whole tiles");
_Static_assert(NEAR_ROWS *NEAR_STEPS * sizeof(float) <= PRODUCT_SCRATCH_BYTES,
               "activations that meet a panel");

/* Steps [first, first + count) of PANEL_GROUPS groups. A step is 32 bits of each row: a float of
 * one column, or two numbers of BF16, of two. */
struct panel {
    float (*steps)[PANEL_ROWS];
    uint32_t first, count;
    uint32_t kept; /* rows of the matrix that it has */
};

/* A step of X_ROWS rows of activations. */
typedef float x_step[X_ROWS];

typedef void fill_fn(const struct product *product, uint32_t row, const struct panel *panel);
typedef void fill_x_fn(const struct meeting *m, uint32_t first, uint32_t steps, uint32_t width,
                       uint32_t t, x_step *to);
typedef void tile_fn(const struct panel *panel, x_step *x, float *const *out, uint32_t count);

/* What the steps are. */
struct form {
    uint32_t columns;  /* of a step */
    fill_fn *fill;     /* a panel; a group that the matrix has not is zeros */
    fill_x_fn *fill_x; /* row `t` of a tile of activations */
    tile_fn *multiply; /* a panel with a tile, `count` rows of which have a result */
};

typedef vf step_fn(vf sum, const float *w, const float *x);

/* Panels of a group are added up in the result. `rows` is a constant where this is compiled. */
INLINE void multiply_tile(step_fn *step, const struct panel *panel, x_step *x, float *const *out,
                          uint32_t rows, uint32_t count)
{
    vf sum[X_ROWS][PANEL_VECTORS];
    UNROLL
    for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
        const uint32_t kept = kept_lanes(panel->kept, v * LANES);
        UNROLL
        for (uint32_t t = 0; t < rows; t++)
            sum[t][v] = panel->first == 0 || kept == 0 ? vf_set(0.0f)
                                                       : vf_load_some(out[t] + v * LANES, kept);
    }
    for (uint32_t i = 0; i < panel->count; i++) {
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            UNROLL
            for (uint32_t v = 0; v < PANEL_VECTORS; v++)
                sum[t][v] = step(sum[t][v], panel->steps[i] + v * LANES, &x[i][t]);
        }
    }
    UNROLL
    for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
        const uint32_t kept = kept_lanes(panel->kept, v * LANES);
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            if (t < count && kept > 0)
                vf_store_some(out[t] + v * LANES, sum[t][v], kept);
        }
    }
}

/* ---- panels of floats ------------------------------------------------------------------------ */

INLINE vf step_float(vf sum, const float *w, const float *x)
{
    return vf_fma(vf_load(w), vf_set(*x), sum);
}

static void fill_floats(const struct product *product, uint32_t row, const struct panel *panel)
{
    const uint32_t bytes = element_bytes(product->dtype);
    for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
        const bool has = v * LANES / PACK_ROWS * PACK_ROWS < panel->kept;
        const struct group group = group_at(product, row + v * LANES);
        const uint8_t *from =
            group.data + (uint64_t)panel->first * PACK_ROWS * bytes + v * LANES % PACK_ROWS * bytes;
        for (uint32_t i = 0; i < panel->count; i++, from += (uint64_t)PACK_ROWS * bytes)
            vf_store(panel->steps[i] + v * LANES, !has                           ? vf_set(0.0f)
                                                  : product->dtype == DTYPE_F16  ? load_f16(from)
                                                  : product->dtype == DTYPE_BF16 ? load_bf16(from)
                                                                                 : load_f32(from));
    }
}

static void fill_x_floats(const struct meeting *m, uint32_t first, uint32_t steps, uint32_t width,
                          uint32_t t, x_step *to)
{
    (void)width;
    for (uint32_t i = 0; i < steps; i++)
        to[i][t] = m->x[first + i];
}

static void multiply_tile_of_floats(const struct panel *panel, x_step *x, float *const *out,
                                    uint32_t count)
{
    if (count > X_ROWS / 2)
        multiply_tile(step_float, panel, x, out, X_ROWS, count);
    else
        multiply_tile(step_float, panel, x, out, X_ROWS / 2, count);
}

static const struct form floats = {1, fill_floats, fill_x_floats, multiply_tile_of_floats};

/* ---- products by panels ---------------------------------------------------------------------- */

/* Steps [first, first + steps) of all rows, tile after tile. The last row fills the last tile. */
static void fill_tiles(const struct form *form, const struct meeting *m, uint32_t count,
                       uint32_t first, uint32_t steps, uint32_t width, x_step *to)
{
    for (uint32_t at = 0; at < count; at += X_ROWS, to += steps) {
        for (uint32_t t = 0; t < X_ROWS; t++)
            form->fill_x(&m[least_of(at + t, count - 1)], first, steps, width, t, to);
    }
}

/* A panel with all rows of activations, which are `pitch` steps from tile to tile. */
static void multiply_tiles(const struct form *form, const struct panel *panel, x_step *x,
                           uint32_t pitch, const struct meeting *meetings, uint32_t row,
                           uint32_t count)
{
    for (uint32_t at = 0; at < count; at += X_ROWS, x += pitch) {
        const uint32_t rows = least_of(X_ROWS, count - at);
        float *out[X_ROWS];
        for (uint32_t t = 0; t < X_ROWS; t++)
            out[t] = meetings[at + least_of(t, rows - 1)].out + row;
        form->multiply(panel, x, out, rows);
    }
}

/* Steps of the groups from `row` on with all rows of activations. A panel stays in the first cache
 * while all of them meet it, the part of the result in the second while panels are added. */
static void multiply_groups(const struct form *form, const struct product *product, uint32_t row,
                            uint32_t first, uint32_t steps, const struct meeting *meetings,
                            uint32_t count)
{
    _Alignas(64) float unpacked[PANEL_STEPS][PANEL_ROWS];
    x_step *x = (x_step *)(void *)product->scratch;
    for (uint32_t at = 0; at < steps; at += PANEL_STEPS) {
        const struct panel panel = {
            .steps = unpacked,
            .first = first + at,
            .count = least_of(PANEL_STEPS, steps - at),
            .kept = least_of(PANEL_ROWS, product->last - row),
        };
        form->fill(product, row, &panel);
        multiply_tiles(form, &panel, x + at, steps, meetings, row, count);
    }
}

/* Activations that are near as a whole are laid out at once, and stay for the calls that follow
 * with other rows of the matrix. */
static void multiply_by_panels(const struct form *form, const struct product *product,
                               const struct meeting *meetings, uint32_t count)
{
    const uint32_t width = (product->width + form->columns - 1) / form->columns; /* in steps */
    const uint64_t rows_laid = (count + X_ROWS - 1) / X_ROWS * X_ROWS;
    const bool is_whole = rows_laid * width <= NEAR_ROWS * NEAR_STEPS;
    const uint32_t near = is_whole ? width : NEAR_STEPS;
    const uint32_t near_rows = is_whole ? count : NEAR_ROWS;
    for (uint32_t at = 0; at < count; at += near_rows) {
        const uint32_t rows = least_of(near_rows, count - at);
        for (uint32_t first = 0; first < width; first += near) {
            const uint32_t steps = least_of(near, width - first);
            if (!is_whole || !product->is_further)
                fill_tiles(form, meetings + at, rows, first, steps, product->width,
                           (x_step *)(void *)product->scratch);
            for (uint32_t row = product->first; row < product->last; row += PANEL_ROWS)
                multiply_groups(form, product, row, first, steps, meetings + at, rows);
        }
    }
}

void KERNEL(multiply_floats)(const struct product *product, const struct meeting *meetings,
                             uint32_t count)
{
    if (count <= FEW_ROWS)
        multiply_directly(product, meetings, count);
    else
        multiply_by_panels(&floats, product, meetings, count);
}

/* ---- panels of halves ------------------------------------------------------------------------ */

#if defined(SIMD_HALVES)

INLINE vf step_halves(vf sum, const float *w, const float *x)
{
    int32_t pair;
    memcpy(&pair, x, sizeof pair);
    return halves_dot(sum, vi_load(w), pair);
}

/* A vector is two columns of a group, which lie end to end; behind the last one is a 0. */
static void fill_halves(const struct product *product, uint32_t row, const struct panel *panel)
{
    for (uint32_t g = 0; g < PANEL_GROUPS; g++) {
        const struct group group = group_at(product, row + g * PACK_ROWS);
        for (uint32_t i = 0; i < panel->count; i++) {
            const uint32_t column = 2 * (panel->first + i);
            const uint32_t halves = least_of(2, group.columns - column) * PACK_ROWS;
            const uint8_t *from = group.data + (uint64_t)column * PACK_ROWS * sizeof(uint16_t);
            const bool has = g * PACK_ROWS < panel->kept;
            vi_store(panel->steps[i] + g * PACK_ROWS,
                     has ? halves_of_columns(from, halves) : vi_set(0));
        }
    }
}

static void fill_x_halves(const struct meeting *m, uint32_t first, uint32_t steps, uint32_t width,
                          uint32_t t, x_step *to)
{
    for (uint32_t i = 0; i < steps; i += LANES) {
        const uint32_t column = 2 * (first + i);
        _Alignas(64) float pairs[LANES];
        vi_store(pairs, halves_of_floats(m->x + column, least_of(2 * LANES, width - column)));
        for (uint32_t k = 0; k < least_of(LANES, steps - i); k++)
            memcpy(&to[i + k][t], &pairs[k], sizeof pairs[k]);
    }
}

static void multiply_tile_of_halves(const struct panel *panel, x_step *x, float *const *out,
                                    uint32_t count)
{
    if (count > X_ROWS / 2)
        multiply_tile(step_halves, panel, x, out, X_ROWS, count);
    else
        multiply_tile(step_halves, panel, x, out, X_ROWS / 2, count);
}

static const struct form halves = {2, fill_halves, fill_x_halves, multiply_tile_of_halves};

void KERNEL(multiply_halves)(const struct product *product, const struct meeting *meetings,
                             uint32_t count)
{
    multiply_by_panels(&halves, product, meetings, count);
}

#endif

/* ---- as in the file -------------------------------------------------------------------------- */

/* A row of the matrix times up to TILE rows of floats. The rest behind the last whole vector comes
 * decoded. */
INLINE void multiply_row(const uint8_t *w, uint32_t width, load_fn *load, uint32_t bytes,
                         const float *rest, const float *const x[TILE], uint32_t rows,
                         float *out[TILE])
{
    vf sum[TILE];
    const uint32_t whole = width - width % LANES;
    for (uint32_t t = 0; t < rows; t++)
        sum[t] = vf_set(0.0f);
    for (uint32_t i = 0; i < whole; i += LANES) {
        const vf weights = load(w + (uint64_t)i * bytes);
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = vf_fma(weights, vf_load(x[t] + i), sum[t]);
    }
    for (uint32_t t = 0; t < rows; t++) {
        if (whole < width)
            sum[t] = vf_fma(vf_load(rest), vf_load_some(x[t] + whole, width - whole), sum[t]);
        *out[t] = vf_sum(sum[t]);
    }
}

INLINE void multiply_some(const uint8_t *w, uint32_t width, load_fn *load, uint32_t bytes,
                          const float *rest, const float *const x[TILE], uint32_t rows,
                          float *out[TILE])
{
    if (rows > 4)
        multiply_row(w, width, load, bytes, rest, x, TILE, out);
    else if (rows > 2)
        multiply_row(w, width, load, bytes, rest, x, 4, out);
    else if (rows == 2)
        multiply_row(w, width, load, bytes, rest, x, 2, out);
    else
        multiply_row(w, width, load, bytes, rest, x, 1, out);
}

static void multiply_any(enum dtype dtype, const uint8_t *w, uint32_t width, const float *rest,
                         const float *const x[TILE], uint32_t rows, float *out[TILE])
{
    switch (dtype) {
    case DTYPE_F16: multiply_some(w, width, load_f16, 2, rest, x, rows, out); break;
    case DTYPE_BF16: multiply_some(w, width, load_bf16, 2, rest, x, rows, out); break;
    default: multiply_some(w, width, load_f32, 4, rest, x, rows, out); break;
    }
}

/* The columns behind the last whole vector, as floats. */
static void decode_rest(enum dtype dtype, const uint8_t *row, uint32_t width, float rest[LANES])
{
    const uint32_t whole = width - width % LANES;
    memset(rest, 0, LANES * sizeof *rest);
    if (whole < width)
        codec_decode_row(dtype, row + dtype_row_bytes(dtype, whole), rest, width - whole);
}

void KERNEL(multiply_plain)(const struct product *product, const struct meeting *meetings,
                            uint32_t count)
{
    const uint64_t pitch = dtype_row_bytes(product->dtype, product->width);
    for (uint32_t row = product->first; row < product->last; row++) {
        const uint8_t *weights = product->matrix + row * pitch;
        float rest[LANES];
        decode_rest(product->dtype, weights, product->width, rest);
        for (uint32_t at = 0; at < count; at += TILE) {
            const uint32_t rows = least_of(TILE, count - at);
            const float *x[TILE];
            float *out[TILE];
            for (uint32_t t = 0; t < TILE; t++) {
                const struct meeting *m = &meetings[at + least_of(t, rows - 1)];
                x[t] = m->x;
                out[t] = m->out + row;
            }
            multiply_any(product->dtype, weights, product->width, rest, x, rows, out);
        }
    }
}
