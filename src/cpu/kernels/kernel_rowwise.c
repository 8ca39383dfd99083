/* SPDX-License-Identifier: MIT
 * Kernels of ops that work on each row alone: look-ups, elementwise functions, norms. */
#include "cpu/kernels/kernel.h"

#include <math.h>

#include "cpu/pack.h"
#include "format/codec.h"

/* ---- rows ------------------------------------------------------------------------------------ */

static float *row_of(const struct host_operand *operand, uint64_t row)
{
    return host_group(operand, row, 0);
}

void KERNEL(embed)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *table = &call->at[0], *y = &call->at[1];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        const uint64_t token = (uint64_t)call->step->token[row];
        const uint8_t *from = table->data + token * table->pitch;
        if (call->is_packed) {
            uint8_t *taken = (uint8_t *)call->scratch;
            pack_take_row(table->dtype, table->data, token, table->width, taken);
            from = taken;
        }
        codec_decode_row(table->dtype, from, row_of(y, row), table->width);
    }
}

void KERNEL(select)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[1];
    for (uint64_t row = part->row; row < part->row_end; row++)
        memcpy(row_of(y, row), row_of(x, call->step->out_row[row]), y->width * sizeof(float));
}

/* All columns of x, group after group. */
static void put_columns(const struct host_operand *x, uint64_t row, float *out)
{
    for (uint32_t group = 0; group < x->groups; group++)
        memcpy(out + (uint64_t)group * x->width, host_group(x, row, group), x->width * sizeof *out);
}

void KERNEL(copy)(const struct cpu_call *call, const struct part *part)
{
    for (uint64_t row = part->row; row < part->row_end; row++)
        put_columns(&call->at[0], row, row_of(&call->at[1], row));
}

void KERNEL(concat)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *a = &call->at[0];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        float *out = row_of(&call->at[2], row);
        put_columns(a, row, out);
        put_columns(&call->at[1], row, out + (uint64_t)a->groups * a->width);
    }
}

/* ---- elementwise ----------------------------------------------------------------------------- */

/* A run of columns within a group of the result. */
struct run {
    uint32_t group, within, count, flat;
};

/* The run from flat column `column` on, as far as part and group go. */
INLINE struct run run_at(const struct host_operand *y, uint32_t column, const struct part *part)
{
    const uint32_t group = column / y->width, within = column % y->width;
    return (struct run){group, within, least_of(y->width - within, part->column_end - column),
                        column};
}

INLINE float *run_of(const struct host_operand *operand, uint64_t row, const struct run *run)
{
    return host_group(operand, row, run->group) + run->within;
}

typedef vf map_fn(vf x);
typedef vf combine_fn(vf a, vf b);

INLINE void map_run(const float *x, float *y, uint32_t count, map_fn *function)
{
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vf_store(y + i, function(vf_load(x + i)));
    if (i < count)
        vf_store_some(y + i, function(vf_load_some(x + i, count - i)), count - i);
}

INLINE void combine_run(const float *a, const float *b, float *y, uint32_t count,
                        combine_fn *function)
{
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vf_store(y + i, function(vf_load(a + i), vf_load(b + i)));
    if (i < count)
        vf_store_some(y + i,
                      function(vf_load_some(a + i, count - i), vf_load_some(b + i, count - i)),
                      count - i);
}

INLINE void map_part(const struct cpu_call *call, const struct part *part, map_fn *function)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[1];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        struct run run;
        for (uint32_t column = part->column; column < part->column_end; column += run.count) {
            run = run_at(y, column, part);
            map_run(run_of(x, row, &run), run_of(y, row, &run), run.count, function);
        }
    }
}

INLINE void combine_part(const struct cpu_call *call, const struct part *part, combine_fn *function)
{
    const struct host_operand *a = &call->at[0], *b = &call->at[1], *y = &call->at[2];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        struct run run;
        for (uint32_t column = part->column; column < part->column_end; column += run.count) {
            run = run_at(y, column, part);
            combine_run(run_of(a, row, &run), run_of(b, row, &run), run_of(y, row, &run), run.count,
                        function);
        }
    }
}

/* With the same vector for each row. */
INLINE void combine_vector(const struct cpu_call *call, const struct part *part,
                           combine_fn *function)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    const float *w = row_of(&call->at[1], 0);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        struct run run;
        for (uint32_t column = part->column; column < part->column_end; column += run.count) {
            run = run_at(y, column, part);
            combine_run(run_of(x, row, &run), w + column, run_of(y, row, &run), run.count,
                        function);
        }
    }
}

static inline float softplus_of(float x)
{
    return x > 20.0f ? x : log1pf(expf(x));
}

static vf softplus(vf x)
{
    float lane[LANES];
    vf_store(lane, x);
    for (int i = 0; i < LANES; i++)
        lane[i] = softplus_of(lane[i]);
    return vf_load(lane);
}

static void decay_run(const float *x, const float *bias, const float *rate, float *y,
                      uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        y[i] = softplus_of(x[i] + bias[i]) * rate[i];
}

static vf mul_sigmoid(vf a, vf b)
{
    return vf_mul(a, vf_sigmoid(b));
}

static vf mul_silu(vf a, vf b)
{
    return vf_mul(vf_silu(a), b);
}

void KERNEL(silu)(const struct cpu_call *call, const struct part *part)
{
    map_part(call, part, vf_silu);
}

void KERNEL(sigmoid)(const struct cpu_call *call, const struct part *part)
{
    map_part(call, part, vf_sigmoid);
}

void KERNEL(softplus)(const struct cpu_call *call, const struct part *part)
{
    map_part(call, part, softplus);
}

void KERNEL(add)(const struct cpu_call *call, const struct part *part)
{
    combine_part(call, part, vf_add);
}

void KERNEL(mul)(const struct cpu_call *call, const struct part *part)
{
    combine_part(call, part, vf_mul);
}

void KERNEL(sigmoid_mul)(const struct cpu_call *call, const struct part *part)
{
    combine_part(call, part, mul_sigmoid);
}

void KERNEL(swiglu)(const struct cpu_call *call, const struct part *part)
{
    combine_part(call, part, mul_silu);
}

void KERNEL(add_weight)(const struct cpu_call *call, const struct part *part)
{
    combine_vector(call, part, vf_add);
}

void KERNEL(mul_weight)(const struct cpu_call *call, const struct part *part)
{
    combine_vector(call, part, vf_mul);
}

void KERNEL(decay)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[3];
    const float *bias = row_of(&call->at[1], 0), *rate = row_of(&call->at[2], 0);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        struct run run;
        for (uint32_t column = part->column; column < part->column_end; column += run.count) {
            run = run_at(y, column, part);
            decay_run(run_of(x, row, &run), bias + column, rate + column, run_of(y, row, &run),
                      run.count);
        }
    }
}

/* y = x * scale. */
INLINE void scale_run(const float *x, float scale, float *y, uint32_t count)
{
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vf_store(y + i, vf_mul(vf_load(x + i), vf_set(scale)));
    for (; i < count; i++)
        y[i] = x[i] * scale;
}

/* y = a + b * scale, rounded twice like the two ops that this stands for. */
INLINE void add_scaled_run(const float *a, const float *b, float scale, float *y, uint32_t count)
{
    uint32_t i = 0;
    for (; i + LANES <= count; i += LANES)
        vf_store(y + i, vf_add(vf_load(a + i), vf_mul(vf_load(b + i), vf_set(scale))));
    for (; i < count; i++)
        y[i] = a[i] + b[i] * scale;
}

void KERNEL(mul_scalar)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    const float scale = *row_of(&call->at[1], 0);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        struct run run;
        for (uint32_t column = part->column; column < part->column_end; column += run.count) {
            run = run_at(y, column, part);
            scale_run(run_of(x, row, &run), scale, run_of(y, row, &run), run.count);
        }
    }
}

void KERNEL(mul_column)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *a = &call->at[0], *y = &call->at[2];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t group = 0; group < a->groups; group++)
            scale_run(host_group(a, row, group), *row_of(&call->at[1], row),
                      host_group(y, row, group), a->width);
    }
}

void KERNEL(add_gated)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *a = &call->at[0], *b = &call->at[1], *y = &call->at[3];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        float gate[LANES];
        vf_store(gate, vf_sigmoid(vf_set(*row_of(&call->at[2], row))));
        for (uint32_t group = 0; group < a->groups; group++)
            add_scaled_run(host_group(a, row, group), host_group(b, row, group), gate[0],
                           host_group(y, row, group), a->width);
    }
}

/* ---- norms ----------------------------------------------------------------------------------- */

/* Groups of the part: all, or those that its columns are. */
static void groups_of(const struct host_operand *y, const struct part *part, uint32_t *first,
                      uint32_t *last)
{
    *first = part->column / y->width;
    *last = part->column_end / y->width;
}

INLINE void norm_group(const float *x, const float *w, float eps, float *y, uint32_t n)
{
    const float scale = 1.0f / sqrtf(dot_floats(x, x, n) / (float)n + eps);
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        vf_store(y + i, vf_mul(vf_mul(vf_load(x + i), vf_set(scale)), vf_load(w + i)));
    for (; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

void KERNEL(rms_norm)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    uint32_t first, last;
    groups_of(y, part, &first, &last);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t group = first; group < last; group++)
            norm_group(host_group(x, row, group), row_of(&call->at[1], 0), call->op->eps,
                       host_group(y, row, group), x->width);
    }
}

void KERNEL(l2_norm)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[1];
    uint32_t first, last;
    groups_of(y, part, &first, &last);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t group = first; group < last; group++) {
            const float *from = host_group(x, row, group);
            const float length = sqrtf(dot_floats(from, from, x->width));
            scale_run(from, call->op->scale / fmaxf(length, call->op->eps),
                      host_group(y, row, group), x->width);
        }
    }
}

void KERNEL(gated_norm)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *z = &call->at[2], *y = &call->at[3];
    uint32_t first, last;
    groups_of(y, part, &first, &last);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t group = first; group < last; group++) {
            float *to = host_group(y, row, group);
            norm_group(host_group(x, row, group), row_of(&call->at[1], 0), call->op->eps, to,
                       x->width);
            combine_run(host_group(z, row, group), to, to, x->width, mul_silu);
        }
    }
}

void KERNEL(add_norm)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *a = &call->at[0], *b = &call->at[1];
    const struct host_operand *sum = &call->at[3], *y = &call->at[4];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t group = 0; group < a->groups; group++) {
            float *to = host_group(sum, row, group);
            combine_run(host_group(a, row, group), host_group(b, row, group), to, a->width, vf_add);
            norm_group(to, row_of(&call->at[2], 0), call->op->eps, host_group(y, row, group),
                       a->width);
        }
    }
}

/* ---- 8 bits ---------------------------------------------------------------------------------- */

/* The largest magnitude; NaN if one is among them. As whole numbers, the bits of floats without
 * their sign are in the same order, with infinity and NaN at the end. */
static float largest_of(const float x[QUANT_COLUMNS])
{
    int32_t bits[QUANT_COLUMNS], largest_bits = 0;
    float largest;
    memcpy(bits, x, sizeof bits);
    for (uint32_t i = 0; i < QUANT_COLUMNS; i++) {
        const int32_t magnitude = bits[i] & INT32_MAX;
        largest_bits = magnitude > largest_bits ? magnitude : largest_bits;
    }
    memcpy(&largest, &largest_bits, sizeof largest);
    return largest;
}

/* As floats, which so few whole numbers fill without rounding: compilers take them lane by lane. */
static int16_t sum_of(const int32_t code[QUANT_HALF])
{
    vf sum = vf_from_vi(vi_load(code));
    for (uint32_t i = LANES; i < QUANT_HALF; i += LANES)
        sum = vf_add(sum, vf_from_vi(vi_load(code + i)));
    return (int16_t)vf_sum(sum);
}

/* Rounds 32 columns; halves away from zero, as the reference engine's Q8_0 does. The loops are such
 * as compilers make vectors of. Of numbers that are not finite the scale is not either, so that
 * every product says so; of numbers below 1e-36, which have no inverse, all is 0. */
static void quantize_block(const float *x, const struct quants *to, uint64_t row, uint32_t block)
{
    const float largest = largest_of(x);
    const bool is_usual = largest > 1e-36f && largest < INFINITY;
    const float scale = largest / 127, inverse = is_usual ? 127 / largest : 0;
    int8_t *codes = quants_codes(to, row) + block * QUANT_COLUMNS;
    int32_t code[QUANT_COLUMNS];
    for (uint32_t i = 0; i < QUANT_COLUMNS; i++)
        code[i] = is_usual ? (int32_t)(x[i] * inverse + copysignf(0.5f, x[i])) : 0;
    for (uint32_t i = 0; i < QUANT_COLUMNS; i++)
        codes[i] = (int8_t)code[i];
    quants_scales(to, row)[block] = scale;
    for (uint32_t i = 0; i < 2; i++)
        quants_sums(to, row)[2 * block + i] = sum_of(code + i * QUANT_HALF);
}

void KERNEL(quantize)(const struct host_operand *x, const struct quants *to,
                      const struct part *part)
{
    const bool is_flat = x->groups == 1 || x->stride == x->width;
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t column = part->column; column < part->column_end; column += QUANT_COLUMNS) {
            float gathered[QUANT_COLUMNS];
            for (uint32_t i = 0; !is_flat && i < QUANT_COLUMNS; i++)
                gathered[i] = host_group(x, row, (column + i) / x->width)[(column + i) % x->width];
            quantize_block(is_flat ? row_of(x, row) + column : gathered, to, row,
                           column / QUANT_COLUMNS);
        }
    }
}
