/* SPDX-License-Identifier: MIT
 * Products of matrices of floats. Packed, a vector holds one column of LANES rows, and a number of
 * the result is the sum over the columns in order. As the file has them, a vector holds LANES
 * columns of one row. */
#include "cpu/kernels/product.h"
#include "cpu/pack.h"
#include "format/codec.h"

enum {
    PREFETCH_BYTES = 2048,                                  /* as for codes */
    PANEL_COLUMNS = PANEL_SCRATCH_BYTES / MEETINGS_MAX / 4, /* 12 KiB */
    VECTORS = PACK_ROWS / LANES,                            /* of a column */
    DIRECT_ROWS = 4,
};

/* ---- packed ---------------------------------------------------------------------------------- */

/* Columns [first, first + columns) of a group. */
struct group {
    const uint8_t *data; /* column 0 */
    uint32_t kept;       /* rows of the matrix that it has */
    uint32_t first, columns;
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

/* Sums of a group with `rows` rows of activations, a constant where this is compiled: of row t
 * columns [0, columns), `step` floats apart. Parts of a group are added up in the result. */
INLINE void multiply_columns(load_fn *load, uint32_t bytes, const uint8_t *data,
                             const struct group *group, const float *const x[TILE], uint32_t step,
                             float *const out[TILE], uint32_t rows)
{
    vf sum[TILE][VECTORS];
    UNROLL
    for (uint32_t t = 0; t < rows; t++) {
        UNROLL
        for (uint32_t v = 0; v < VECTORS; v++) {
            const uint32_t count = kept_lanes(group->kept, v * LANES);
            sum[t][v] = group->first == 0 || count == 0 ? vf_set(0.0f)
                                                        : vf_load_some(out[t] + v * LANES, count);
        }
    }
    for (uint32_t i = 0; i < group->columns; i++) {
        const uint8_t *column = data + (uint64_t)i * PACK_ROWS * bytes;
        vf weights[VECTORS];
        if (step == 1)
            __builtin_prefetch(column + PREFETCH_BYTES);
        UNROLL
        for (uint32_t v = 0; v < VECTORS; v++)
            weights[v] = load(column + v * LANES * bytes);
        UNROLL
        for (uint32_t t = 0; t < rows; t++) {
            UNROLL
            for (uint32_t v = 0; v < VECTORS; v++)
                sum[t][v] = vf_fma(weights[v], vf_set(x[t][(uint64_t)i * step]), sum[t][v]);
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

/* Few rows, which lie as they are; of 3, the last is repeated. */
INLINE void multiply_few(load_fn *load, uint32_t bytes, const struct group *group,
                         const struct meeting *m, uint32_t row, uint32_t rows)
{
    const float *x[TILE];
    float *out[TILE];
    for (uint32_t t = 0; t < DIRECT_ROWS; t++) {
        x[t] = m[least_of(t, rows - 1)].x;
        out[t] = m[least_of(t, rows - 1)].out + row;
    }
    if (rows == 1)
        multiply_columns(load, bytes, group->data, group, x, 1, out, 1);
    else if (rows == 2)
        multiply_columns(load, bytes, group->data, group, x, 1, out, 2);
    else
        multiply_columns(load, bytes, group->data, group, x, 1, out, DIRECT_ROWS);
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

static void multiply_directly(const struct product *product, const struct meeting *m,
                              uint32_t count)
{
    for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
        const struct group group = group_at(product, row);
        switch (product->dtype) {
        case DTYPE_F16: multiply_few(load_f16, 2, &group, m, row, count); break;
        case DTYPE_BF16: multiply_few(load_bf16, 2, &group, m, row, count); break;
        default: multiply_few(load_f32, 4, &group, m, row, count); break;
        }
    }
}

static void fill_panel(enum dtype dtype, const struct group *group, float *panel)
{
    const uint32_t bytes = element_bytes(dtype), elements = group->columns * PACK_ROWS;
    const uint8_t *from = group->data + (uint64_t)group->first * PACK_ROWS * bytes;
    for (uint32_t i = 0; i < elements; i += LANES) {
        const uint8_t *at = from + (uint64_t)i * bytes;
        vf_store(panel + i, dtype == DTYPE_F16    ? load_f16(at)
                            : dtype == DTYPE_BF16 ? load_bf16(at)
                                                  : load_f32(at));
    }
}

/* Columns of the group's part, of all rows, tile after tile: TILE numbers of a column side by side.
 * The last row fills the last tile. */
static void fill_x(const struct group *group, const struct meeting *m, uint32_t count, float *to)
{
    for (uint32_t at = 0; at < count; at += TILE, to += group->columns * TILE) {
        for (uint32_t t = 0; t < TILE; t++) {
            const float *x = m[least_of(at + t, count - 1)].x + group->first;
            for (uint32_t i = 0; i < group->columns; i++)
                to[i * TILE + t] = x[i];
        }
    }
}

/* A panel with all rows of activations; those that fill the last tile are given a place that nobody
 * reads. */
static void multiply_rows(const struct product *product, const struct group *group,
                          const float *panel, const struct meeting *meetings, uint32_t row,
                          uint32_t count)
{
    const float *filled = product->scratch;
    for (uint32_t at = 0; at < count; at += TILE, filled += group->columns * TILE) {
        const float *x[TILE];
        float *out[TILE], spare[PACK_ROWS] = {0};
        for (uint32_t t = 0; t < TILE; t++) {
            x[t] = filled + t;
            out[t] = at + t < count ? meetings[at + t].out + row : spare;
        }
        multiply_columns(load_f32, sizeof(float), (const uint8_t *)panel, group, x, TILE, out,
                         TILE);
    }
}

/* All rows of activations with one part of a group after the other, which stays in the first
 * cache, and the columns of activations that it meets in the second. */
static void multiply_by_panels(const struct product *product, const struct meeting *meetings,
                               uint32_t count)
{
    _Alignas(64) float panel[PANEL_COLUMNS * PACK_ROWS];
    for (uint32_t first = 0; first < product->width; first += PANEL_COLUMNS) {
        for (uint32_t row = product->first; row < product->last; row += PACK_ROWS) {
            struct group group = group_at(product, row);
            group.first = first;
            group.columns = least_of(PANEL_COLUMNS, product->width - first);
            if (row == product->first)
                fill_x(&group, meetings, count, product->scratch);
            fill_panel(product->dtype, &group, panel);
            multiply_rows(product, &group, panel, meetings, row, count);
        }
    }
}

void KERNEL(multiply_floats)(const struct product *product, const struct meeting *meetings,
                             uint32_t count)
{
    if (count <= DIRECT_ROWS)
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
