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
    PANEL_COLUMNS = 128 * 2 / PANEL_GROUPS, /* 16 KiB: half the first cache */
    X_ROWS = LANES == 16  ? 12
             : LANES == 8 ? 6
                          : 4,
    /* rows and columns of activations that stay in the second cache, or others of that product */
    NEAR_ROWS = 132,
    NEAR_COLUMNS = 768,
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

_Static_assert(NEAR_ROWS % X_ROWS == 0 && NEAR_COLUMNS % PANEL_COLUMNS == 0, "whole tiles");
_Static_assert(NEAR_ROWS *NEAR_COLUMNS * sizeof(float) <= PRODUCT_SCRATCH_BYTES,
               "activations that meet a panel");

/* Columns [first, first + count) of PANEL_GROUPS groups. */
struct panel {
    float (*columns)[PANEL_ROWS];
    uint32_t first, count;
    uint32_t kept; /* rows of the matrix that it has */
};

/* Columns of X_ROWS rows of activations. */
typedef float x_column[X_ROWS];

/* A group that the matrix has not is zeros. */
static void fill_panel(const struct product *product, uint32_t row, const struct panel *panel)
{
    const uint32_t bytes = element_bytes(product->dtype);
    for (uint32_t v = 0; v < PANEL_VECTORS; v++) {
        const bool has = v * LANES / PACK_ROWS * PACK_ROWS < panel->kept;
        const struct group group = group_at(product, row + v * LANES);
        const uint8_t *from =
            group.data + (uint64_t)panel->first * PACK_ROWS * bytes + v * LANES % PACK_ROWS * bytes;
        for (uint32_t i = 0; i < panel->count; i++, from += (uint64_t)PACK_ROWS * bytes)
            vf_store(panel->columns[i] + v * LANES, !has                          ? vf_set(0.0f)
                                                    : product->dtype == DTYPE_F16 ? load_f16(from)
                                                    : product->dtype == DTYPE_BF16
                                                        ? load_bf16(from)
                                                        : load_f32(from));
    }
}

/* Columns [first, first + columns) of all rows, tile after tile. The last row fills the last
 * tile. */
static void fill_tiles(const struct meeting *m, uint32_t count, uint32_t first, uint32_t columns,
                       x_column *to)
{
    for (uint32_t at = 0; at < count; at += X_ROWS, to += columns) {
        for (uint32_t t = 0; t < X_ROWS; t++) {
            const float *x = m[least_of(at + t, count - 1)].x + first;
            for (uint32_t i = 0; i < columns; i++)
                to[i][t] = x[i];
        }
    }
}

/* Panels of a group are added up in the result. `rows` is a constant where this is compiled; of
 * them `count` have a result. */
INLINE void multiply_tile(const struct panel *panel, x_column *x, float *const *out, uint32_t rows,
                          uint32_t count)
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
        vf weights[PANEL_VECTORS];
        UNROLL
        for (uint32_t v = 0; v < PANEL_VECTORS; v++)
            weights[v] = vf_load(panel->columns[i] + v * LANES);
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            UNROLL
            for (uint32_t v = 0; v < PANEL_VECTORS; v++)
                sum[t][v] = vf_fma(weights[v], vf_set(x[i][t]), sum[t][v]);
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

/* A panel with all rows of activations, which are `pitch` columns from tile to tile. */
static void multiply_tiles(const struct panel *panel, x_column *x, uint32_t pitch,
                           const struct meeting *meetings, uint32_t row, uint32_t count)
{
    for (uint32_t at = 0; at < count; at += X_ROWS, x += pitch) {
        const uint32_t rows = least_of(X_ROWS, count - at);
        float *out[X_ROWS];
        for (uint32_t t = 0; t < X_ROWS; t++)
            out[t] = meetings[at + least_of(t, rows - 1)].out + row;
        if (rows > X_ROWS / 2)
            multiply_tile(panel, x, out, X_ROWS, rows);
        else
            multiply_tile(panel, x, out, X_ROWS / 2, rows);
    }
}

/* Columns of the groups from `row` on with all rows of activations. A panel stays in the first
 * cache while all of them meet it, the part of the result in the second while panels are added. */
static void multiply_groups(const struct product *product, uint32_t row, uint32_t first,
                            uint32_t columns, const struct meeting *meetings, uint32_t count)
{
    _Alignas(64) float unpacked[PANEL_COLUMNS][PANEL_ROWS];
    x_column *x = (x_column *)(void *)product->scratch;
    for (uint32_t at = 0; at < columns; at += PANEL_COLUMNS) {
        const struct panel panel = {
            .columns = unpacked,
            .first = first + at,
            .count = least_of(PANEL_COLUMNS, columns - at),
            .kept = least_of(PANEL_ROWS, product->last - row),
        };
        fill_panel(product, row, &panel);
        multiply_tiles(&panel, x + at, columns, meetings, row, count);
    }
}

/* Few rows of activations are laid out whole, and stay for the calls that follow with other rows of
 * the matrix. */
static void multiply_by_panels(const struct product *product, const struct meeting *meetings,
                               uint32_t count)
{
    const uint64_t rows_laid = (count + X_ROWS - 1) / X_ROWS * X_ROWS;
    const bool is_whole = rows_laid * product->width <= NEAR_ROWS * NEAR_COLUMNS;
    const uint32_t near = is_whole ? product->width : NEAR_COLUMNS;
    for (uint32_t at = 0; at < count; at += NEAR_ROWS) {
        const uint32_t rows = least_of(NEAR_ROWS, count - at);
        for (uint32_t first = 0; first < product->width; first += near) {
            const uint32_t columns = least_of(near, product->width - first);
            if (!is_whole || !product->is_further)
                fill_tiles(meetings + at, rows, first, columns,
                           (x_column *)(void *)product->scratch);
            for (uint32_t row = product->first; row < product->last; row += PANEL_ROWS)
                multiply_groups(product, row, first, columns, meetings + at, rows);
        }
    }
}

void KERNEL(multiply_floats)(const struct product *product, const struct meeting *meetings,
                             uint32_t count)
{
    if (count <= FEW_ROWS)
        multiply_directly(product, meetings, count);
    else
        multiply_by_panels(product, meetings, count);
}

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
