/* SPDX-License-Identifier: MIT
 * Kernels of matrix products. A tile is a group of 16 rows of a packed matrix times up to TILE rows
 * of activations of 8 bits; whatever the tile, a number of the result is made in the same way:
 * whole numbers summed over 32 columns (16 where scales are so fine), then added as floats in the
 * order of the columns. So its bits do not depend on the step. */
#include "cpu/kernels/kernel.h"

#include "cpu/pack.h"
#include "format/codec.h"

#define INLINE static inline __attribute__((always_inline))

enum { TILE = 4, QUADS = 8 };

/* One tile: pointers to the rows of the activations, and to where its 16 numbers go for each. */
struct tile {
    const uint8_t *fields, *lines; /* of the group */
    uint32_t width;
    const int8_t *codes[TILE];
    const float *scales[TILE];
    const int16_t *sums[TILE];
    float *out[TILE];
};

/* ---- codes ----------------------------------------------------------------------------------- */

/* The codes of 32 columns of LANES rows, from lane `lane` of the lines on. */
typedef void unpack_fn(const uint8_t *lines, uint32_t lane, vi quads[QUADS]);

INLINE vi line_at(const uint8_t *lines, uint32_t line, uint32_t lane)
{
    return vi_load(lines + line * PACK_LINE + 4 * lane);
}

INLINE void unpack_4(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    const vi low = vi_set(0x0f0f0f0f);
    for (uint32_t j = 0; j < 4; j++) {
        const vi line = line_at(lines, j, lane);
        quads[j] = vi_and(line, low);
        quads[j + 4] = vi_and(vi_shift_right(line, 4), low);
    }
}

INLINE void unpack_5(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    const vi high = line_at(lines, 4, lane);
    unpack_4(lines, lane, quads);
    for (int j = 0; j < QUADS; j++)
        quads[j] =
            vi_or(quads[j], vi_shift_left(vi_and(vi_shift_right(high, j), vi_set(0x01010101)), 4));
}

INLINE void unpack_6(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    unpack_4(lines, lane, quads);
    for (int j = 0; j < QUADS; j++) {
        const vi high = line_at(lines, 4 + (uint32_t)j / 4, lane);
        const vi bits = vi_and(vi_shift_right(high, 2 * (j % 4)), vi_set(0x03030303));
        quads[j] = vi_or(quads[j], vi_shift_left(bits, 4));
    }
}

INLINE void unpack_8(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    for (uint32_t j = 0; j < QUADS; j++)
        quads[j] = vi_xor(line_at(lines, j, lane), vi_set(SIGNED_BIAS ? 0 : (int)0x80808080));
}

INLINE void unpack_table(const uint8_t *lines, uint32_t lane, const int8_t table[16],
                         vi quads[QUADS])
{
    unpack_4(lines, lane, quads);
    for (uint32_t j = 0; j < QUADS; j++)
        quads[j] = vi_lookup(table, quads[j]);
}

#define BIASED(value) (int8_t)(uint8_t)((value) + SIGNED_BIAS)

/* The code book of IQ4_NL and IQ4_XS (format/code_books.h). */
static const int8_t book_nl[16] = {
    BIASED(-127), BIASED(-104), BIASED(-83), BIASED(-65), BIASED(-49), BIASED(-35),
    BIASED(-22),  BIASED(-10),  BIASED(1),   BIASED(13),  BIASED(25),  BIASED(38),
    BIASED(53),   BIASED(69),   BIASED(89),  BIASED(113),
};

/* E2M1, doubled. */
static const int8_t book_mxfp4[16] = {
    BIASED(0), BIASED(1),  BIASED(2),  BIASED(3),  BIASED(4),  BIASED(6),  BIASED(8),  BIASED(12),
    BIASED(0), BIASED(-1), BIASED(-2), BIASED(-3), BIASED(-4), BIASED(-6), BIASED(-8), BIASED(-12),
};

INLINE void unpack_nl(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    unpack_table(lines, lane, book_nl, quads);
}

INLINE void unpack_mxfp4(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    unpack_table(lines, lane, book_mxfp4, quads);
}

/* ---- scales ---------------------------------------------------------------------------------- */

/* What makes numbers of the codes of 32 columns: scale[0] * code + min, or in the second half
 * scale[1] * code. */
struct scaling {
    vf scale[2], min;
};

/* `block` counts 32 columns. */
typedef void scaling_fn(const uint8_t *fields, uint32_t block, uint32_t lane,
                        struct scaling *scaling);

/* Element `at` of the fields, counted in bytes of one row. */
INLINE const uint8_t *field_at(const uint8_t *fields, uint32_t at)
{
    return fields + (uint64_t)at * PACK_ROWS;
}

INLINE vf halves_at(const uint8_t *fields, uint32_t at, uint32_t lane)
{
    return vf_from_f16(field_at(fields, at) + 2 * lane);
}

INLINE void scaling_d(const uint8_t *fields, uint32_t block, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(fields, 2 * block, lane);
}

INLINE void scaling_dm(const uint8_t *fields, uint32_t block, uint32_t lane,
                       struct scaling *scaling)
{
    scaling->scale[0] = halves_at(fields, 4 * block, lane);
    scaling->min = halves_at(fields, 4 * block + 2, lane);
}

INLINE void scaling_e8m0(const uint8_t *fields, uint32_t block, uint32_t lane,
                         struct scaling *scaling)
{
    const uint8_t *exponents = field_at(fields, block) + lane;
    float scale[LANES];
    for (int i = 0; i < LANES; i++)
        scale[i] = codec_from_e8m0_half(exponents[i]);
    scaling->scale[0] = vf_load(scale);
}

/* d, dmin, and 12 bytes of 6-bit scales and mins: see format/blocks_k.c. */
INLINE void scaling_k(const uint8_t *fields, uint32_t block, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(fields, 16 * (block / 8));
    const uint32_t j = block % 8;
    const vi own = vi_from_u8(field_at(super, 4 + j) + lane);
    vi scale, min;
    if (j < 4) {
        scale = vi_and(own, vi_set(63));
        min = vi_and(vi_from_u8(field_at(super, 8 + j) + lane), vi_set(63));
    } else {
        const vi low = vi_from_u8(field_at(super, 8 + j) + lane);
        const vi top = vi_from_u8(field_at(super, j) + lane);
        scale = vi_or(vi_and(low, vi_set(15)), vi_shift_left(vi_shift_right(top, 6), 4));
        min = vi_or(vi_shift_right(low, 4), vi_shift_left(vi_shift_right(own, 6), 4));
    }
    scaling->scale[0] = vf_mul(halves_at(super, 0, lane), vf_from_vi(scale));
    scaling->min = vf_sub(vf_set(0.0f), vf_mul(halves_at(super, 2, lane), vf_from_vi(min)));
}

/* d and a signed scale for each 16 columns. */
INLINE void scaling_6k(const uint8_t *fields, uint32_t block, uint32_t lane,
                       struct scaling *scaling)
{
    const uint8_t *super = field_at(fields, 18 * (block / 8));
    const vf d = halves_at(super, 0, lane);
    for (uint32_t half = 0; half < 2; half++) {
        const uint8_t *scales = field_at(super, 2 + 2 * (block % 8) + half) + lane;
        scaling->scale[half] = vf_mul(d, vf_from_vi(vi_from_i8(scales)));
    }
}

/* d, the upper two bits of 8 scales, their lower nibbles: see format/blocks_iq.c. */
INLINE void scaling_xs(const uint8_t *fields, uint32_t block, uint32_t lane,
                       struct scaling *scaling)
{
    const uint8_t *super = field_at(fields, 8 * (block / 8));
    const int j = (int)(block % 8);
    const vi nibbles = vi_from_u8(field_at(super, 4 + (uint32_t)j / 2) + lane);
    const vi upper = vi_from_u16(field_at(super, 2) + 2 * lane);
    const vi low = vi_and(vi_shift_right(nibbles, 4 * (j % 2)), vi_set(15));
    const vi high = vi_shift_left(vi_and(vi_shift_right(upper, 2 * j), vi_set(3)), 4);
    const vi scale = vi_add(vi_or(low, high), vi_set(-32));
    scaling->scale[0] = vf_mul(halves_at(super, 0, lane), vf_from_vi(scale));
}

/* ---- tiles ----------------------------------------------------------------------------------- */

/* How a type multiplies. */
struct recipe {
    unpack_fn *unpack;
    scaling_fn *scaling;
    uint32_t code_bytes; /* of 32 columns */
    int32_t zero;        /* the code that stands for 0 */
    bool is_signed;      /* products of vi_dot_signed */
    bool has_min;
    bool has_halves; /* a scale for each 16 columns */
};

INLINE int32_t four_codes(const int8_t *codes)
{
    int32_t four;
    memcpy(&four, codes, sizeof four);
    return four;
}

/* Sum over the quads [first, last) of row t, the zeros of the codes taken off. */
INLINE vi dot_quads(const struct recipe *recipe, const vi quads[QUADS], const int8_t *codes,
                    uint32_t first, uint32_t last, int32_t codes_sum)
{
    vi sum = vi_set(-recipe->zero * codes_sum);
    for (uint32_t j = first; j < last; j++)
        sum = recipe->is_signed ? vi_dot_signed(sum, quads[j], four_codes(codes + 4 * j))
                                : vi_dot(sum, quads[j], four_codes(codes + 4 * j));
    return sum;
}

/* 32 columns of row t of the tile added to its sum. */
INLINE vf add_block(const struct recipe *recipe, const struct tile *tile, uint32_t t,
                    uint32_t block, const vi quads[QUADS], const struct scaling *scaling, vf sum)
{
    const int8_t *codes = tile->codes[t] + block * PACK_COLUMNS;
    const int16_t *sums = tile->sums[t] + 2 * block;
    const vf scale = vf_set(tile->scales[t][block]);
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

/* `rows` is a constant where this is compiled, so that the sums stay in registers. */
INLINE void multiply_lanes(const struct recipe *recipe, const struct tile *tile, uint32_t rows,
                           uint32_t lane)
{
    vf sum[TILE];
    for (uint32_t t = 0; t < rows; t++)
        sum[t] = vf_set(0.0f);
    for (uint32_t block = 0; block < tile->width / PACK_COLUMNS; block++) {
        vi quads[QUADS];
        struct scaling scaling;
        recipe->unpack(tile->lines + (uint64_t)block * recipe->code_bytes, lane, quads);
        recipe->scaling(tile->fields, block, lane, &scaling);
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = add_block(recipe, tile, t, block, quads, &scaling, sum[t]);
    }
    for (uint32_t t = 0; t < rows; t++)
        vf_store(tile->out[t] + lane, sum[t]);
}

INLINE void multiply_tile(const struct recipe *recipe, const struct tile *tile, uint32_t rows)
{
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        switch (rows) {
        case 1: multiply_lanes(recipe, tile, 1, lane); break;
        case 2: multiply_lanes(recipe, tile, 2, lane); break;
        case 3: multiply_lanes(recipe, tile, 3, lane); break;
        default: multiply_lanes(recipe, tile, TILE, lane); break;
        }
    }
}

typedef void tile_fn(const struct tile *tile, uint32_t rows);

#define MULTIPLY(id, ...)                                                                          \
    static void multiply_##id(const struct tile *tile, uint32_t rows)                              \
    {                                                                                              \
        static const struct recipe recipe = {__VA_ARGS__};                                         \
        multiply_tile(&recipe, tile, rows);                                                        \
    }
MULTIPLY(Q4_0, unpack_4, scaling_d, 4 * PACK_LINE, .zero = 8)
MULTIPLY(Q4_1, unpack_4, scaling_dm, 4 * PACK_LINE, .has_min = true)
MULTIPLY(Q5_0, unpack_5, scaling_d, 5 * PACK_LINE, .zero = 16)
MULTIPLY(Q5_1, unpack_5, scaling_dm, 5 * PACK_LINE, .has_min = true)
MULTIPLY(Q8_0, unpack_8, scaling_d, 8 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)
MULTIPLY(Q4_K, unpack_4, scaling_k, 4 * PACK_LINE, .has_min = true)
MULTIPLY(Q5_K, unpack_5, scaling_k, 5 * PACK_LINE, .has_min = true)
MULTIPLY(Q6_K, unpack_6, scaling_6k, 6 * PACK_LINE, .zero = 32, .has_halves = true)
MULTIPLY(IQ4_NL, unpack_nl, scaling_d, 4 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)
MULTIPLY(IQ4_XS, unpack_nl, scaling_xs, 4 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)
MULTIPLY(MXFP4, unpack_mxfp4, scaling_e8m0, 4 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)

static tile_fn *const multiply[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = multiply_Q4_0,     [DTYPE_Q4_1] = multiply_Q4_1,
    [DTYPE_Q5_0] = multiply_Q5_0,     [DTYPE_Q5_1] = multiply_Q5_1,
    [DTYPE_Q8_0] = multiply_Q8_0,     [DTYPE_Q4_K] = multiply_Q4_K,
    [DTYPE_Q5_K] = multiply_Q5_K,     [DTYPE_Q6_K] = multiply_Q6_K,
    [DTYPE_IQ4_NL] = multiply_IQ4_NL, [DTYPE_IQ4_XS] = multiply_IQ4_XS,
    [DTYPE_MXFP4] = multiply_MXFP4,
};

/* ---- rows of a product ----------------------------------------------------------------------- */

/* A row of the step that meets a matrix: row and group of the operands. */
struct meeting {
    uint64_t row;
    uint32_t x_group, y_group;
};

/* Rows [first, last) of one packed matrix, `all` being how many it has, with the meetings. */
static void multiply_packed(const struct cpu_call *call, const uint8_t *matrix, uint32_t first,
                            uint32_t last, uint32_t all, const struct host_operand *y,
                            const struct meeting *meetings, uint64_t count)
{
    const struct host_operand *w = &call->at[0];
    const struct quants *x = &call->quants;
    const uint64_t group_bytes = pack_group_bytes(w->dtype, w->width);
    const uint64_t field_bytes = pack_field_bytes(w->dtype, w->width);
    float spare[TILE][PACK_ROWS];
    for (uint32_t from = first; from < last; from += PACK_ROWS) {
        const uint32_t kept = least_of(PACK_ROWS, all - from);
        struct tile tile = {.width = w->width};
        tile.fields = matrix + from / PACK_ROWS * group_bytes;
        tile.lines = tile.fields + field_bytes;
        for (uint64_t at = 0; at < count; at += TILE) {
            const uint32_t rows = count - at < TILE ? (uint32_t)(count - at) : TILE;
            float *out[TILE];
            for (uint32_t t = 0; t < rows; t++) {
                const struct meeting *m = &meetings[at + t];
                const uint32_t column = m->x_group * w->width;
                tile.codes[t] = quants_codes(x, m->row) + column;
                tile.scales[t] = quants_scales(x, m->row) + column / QUANT_COLUMNS;
                tile.sums[t] = quants_sums(x, m->row) + column / QUANT_HALF;
                out[t] = host_group(y, m->row, m->y_group) + from;
                tile.out[t] = kept == PACK_ROWS ? out[t] : spare[t];
            }
            multiply[w->dtype](&tile, rows);
            for (uint32_t t = 0; kept < PACK_ROWS && t < rows; t++)
                memcpy(out[t], spare[t], kept * sizeof(float));
        }
    }
}

/* ---- matrices that are not packed ------------------------------------------------------------ */

typedef vf load_fn(const uint8_t *row, uint32_t column);

INLINE vf load_f32(const uint8_t *row, uint32_t column)
{
    return vf_load((const float *)(const void *)(row + column * sizeof(float)));
}

INLINE vf load_f16(const uint8_t *row, uint32_t column)
{
    return vf_from_f16(row + column * sizeof(uint16_t));
}

INLINE vf load_bf16(const uint8_t *row, uint32_t column)
{
    return vf_from_bf16(row + column * sizeof(uint16_t));
}

/* A row of the matrix times up to TILE rows of floats. The rest behind the last whole vector comes
 * decoded. */
INLINE void multiply_row(const uint8_t *w, uint32_t width, load_fn *load, const float *rest,
                         const float *const x[TILE], uint32_t rows, float *out[TILE])
{
    vf sum[TILE];
    const uint32_t whole = width - width % LANES;
    for (uint32_t t = 0; t < rows; t++)
        sum[t] = vf_set(0.0f);
    for (uint32_t i = 0; i < whole; i += LANES) {
        const vf weights = load(w, i);
        for (uint32_t t = 0; t < rows; t++)
            sum[t] = vf_fma(weights, vf_load(x[t] + i), sum[t]);
    }
    for (uint32_t t = 0; t < rows; t++) {
        if (whole < width)
            sum[t] = vf_fma(vf_load(rest), vf_load_some(x[t] + whole, width - whole), sum[t]);
        *out[t] = vf_sum(sum[t]);
    }
}

INLINE void multiply_some(const uint8_t *w, uint32_t width, load_fn *load, const float *rest,
                          const float *const x[TILE], uint32_t rows, float *out[TILE])
{
    switch (rows) {
    case 1: multiply_row(w, width, load, rest, x, 1, out); break;
    case 2: multiply_row(w, width, load, rest, x, 2, out); break;
    case 3: multiply_row(w, width, load, rest, x, 3, out); break;
    default: multiply_row(w, width, load, rest, x, TILE, out); break;
    }
}

static void multiply_any(enum dtype dtype, const uint8_t *w, uint32_t width, const float *rest,
                         const float *const x[TILE], uint32_t rows, float *out[TILE])
{
    switch (dtype) {
    case DTYPE_F16: multiply_some(w, width, load_f16, rest, x, rows, out); break;
    case DTYPE_BF16: multiply_some(w, width, load_bf16, rest, x, rows, out); break;
    default: multiply_some(w, width, load_f32, rest, x, rows, out); break;
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

/* Rows [first, last) of one matrix as the file has it, `matrix` its first row, with the meetings.
 * Types without a kernel of their own are decoded row by row. */
static void multiply_plain(const struct cpu_call *call, const uint8_t *matrix, uint32_t first,
                           uint32_t last, const struct host_operand *x,
                           const struct host_operand *y, const struct meeting *meetings,
                           uint64_t count)
{
    const struct host_operand *w = &call->at[0];
    const bool is_float = dtype_info(w->dtype)->family == DTYPE_FAMILY_FLOAT;
    const enum dtype dtype = is_float ? w->dtype : DTYPE_F32;
    for (uint32_t row = first; row < last; row++) {
        const uint8_t *weights = matrix + row * w->pitch;
        float rest[LANES];
        if (!is_float) {
            codec_decode_row(w->dtype, weights, call->scratch, w->width);
            weights = (const uint8_t *)call->scratch;
        }
        decode_rest(dtype, weights, w->width, rest);
        for (uint64_t at = 0; at < count; at += TILE) {
            const uint32_t rows = count - at < TILE ? (uint32_t)(count - at) : TILE;
            const float *from[TILE];
            float *out[TILE];
            for (uint32_t t = 0; t < rows; t++) {
                const struct meeting *m = &meetings[at + t];
                from[t] = host_group(x, m->row, m->x_group);
                out[t] = host_group(y, m->row, m->y_group) + row;
            }
            multiply_any(dtype, weights, w->width, rest, from, rows, out);
        }
    }
}

/* ---- ops ------------------------------------------------------------------------------------- */

enum { MEETINGS_MAX = 64 }; /* at a time */

void KERNEL(matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *w = &call->at[0], *x = &call->at[1];
    struct host_operand y = call->at[2];
    struct meeting meetings[MEETINGS_MAX];
    y.width *= y.groups; /* rows of the matrix, whatever groups they make */
    for (uint64_t row = part->row; row < part->row_end; row += MEETINGS_MAX) {
        const uint64_t left = part->row_end - row;
        const uint32_t count = left < MEETINGS_MAX ? (uint32_t)left : MEETINGS_MAX;
        for (uint32_t i = 0; i < count; i++)
            meetings[i] = (struct meeting){.row = row + i};
        if (call->is_packed)
            multiply_packed(call, w->data, part->column, part->column_end, y.width, &y, meetings,
                            count);
        else
            multiply_plain(call, w->data, part->column, part->column_end, x, &y, meetings, count);
    }
}

/* ---- experts --------------------------------------------------------------------------------- */

static const int32_t *routing_row(const struct host_operand *routing, uint64_t row)
{
    return (const int32_t *)(const void *)(routing->data + row * routing->pitch);
}

/* Calls of `multiply` with at most MEETINGS_MAX rows that are routed to one expert. */
static void multiply_expert(const struct cpu_call *call, const struct part *part, uint32_t expert,
                            const struct meeting *meetings, uint64_t count)
{
    const struct host_operand *w = &call->at[0], *x = &call->at[2], *y = &call->at[3];
    if (count == 0)
        return;
    if (call->is_packed) {
        const uint64_t groups = (y->width + PACK_ROWS - 1) / PACK_ROWS;
        const uint8_t *matrix = w->data + expert * groups * pack_group_bytes(w->dtype, w->width);
        multiply_packed(call, matrix, part->column, part->column_end, y->width, y, meetings, count);
    } else {
        multiply_plain(call, w->data + (uint64_t)expert * y->width * w->pitch, part->column,
                       part->column_end, x, y, meetings, count);
    }
}

/* Columns of the part are those within each group of the result. */
void KERNEL(expert_matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *w = &call->at[0], *routing = &call->at[1], *x = &call->at[2];
    const uint32_t experts = (uint32_t)(w->rows / call->at[3].width);
    for (uint32_t expert = 0; expert < experts; expert++) {
        struct meeting meetings[MEETINGS_MAX];
        uint32_t count = 0;
        for (uint64_t row = part->row; row < part->row_end; row++) {
            for (uint32_t j = 0; j < routing->width; j++) {
                if (routing_row(routing, row)[j] != (int32_t)expert)
                    continue;
                meetings[count++] =
                    (struct meeting){.row = row, .x_group = x->groups == 1 ? 0 : j, .y_group = j};
                if (count == MEETINGS_MAX) {
                    multiply_expert(call, part, expert, meetings, count);
                    count = 0;
                }
            }
        }
        multiply_expert(call, part, expert, meetings, count);
    }
}
