/* SPDX-License-Identifier: MIT
 * Kernels around full attention: rotary embedding, what goes into the KV cache. */
#include "cpu/kernels/kernel.h"

#include <math.h>

#include "format/codec.h"

static const struct step_seq *seq_of_row(const struct step *step, uint64_t row)
{
    const struct step_seq *seq = step->seq;
    while (row >= (uint64_t)seq->row_first + seq->rows)
        seq++;
    return seq;
}

static uint64_t position_of_row(const struct step *step, uint64_t row)
{
    const struct step_seq *seq = seq_of_row(step, row);
    return seq->cached + (row - seq->row_first);
}

/* ---- rotary embedding ------------------------------------------------------------------------ */

/* Cosine and sine of each pair at one position; angles in double, as in the reference. */
struct turn_table {
    float c[HEAD_WIDTH_MAX / 2], s[HEAD_WIDTH_MAX / 2];
    uint32_t pairs;
};

static void turns_at(struct turn_table *turns, const struct host_operand *f, uint64_t position,
                     float magnitude)
{
    const double *frequency = (const double *)(const void *)f->data;
    turns->pairs = f->width;
    for (uint32_t i = 0; i < turns->pairs; i++) {
        const double angle = (double)position * frequency[i];
        turns->c[i] = (float)cos(angle) * magnitude;
        turns->s[i] = (float)sin(angle) * magnitude;
    }
}

static void rotate(const float *x, const struct turn_table *turns, float *y, uint32_t width)
{
    const uint32_t n = turns->pairs;
    for (uint32_t i = 0; i < n; i++) {
        const float low = x[i], high = x[i + n];
        y[i] = low * turns->c[i] - high * turns->s[i];
        y[i + n] = low * turns->s[i] + high * turns->c[i];
    }
    memmove(y + 2 * n, x + 2 * n, (width - 2 * n) * sizeof *y);
}

static void rotate_part(const struct cpu_call *call, const struct part *part, const float *w,
                        const struct host_operand *f, const struct host_operand *y)
{
    const struct host_operand *x = &call->at[0];
    float normed[HEAD_WIDTH_MAX];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        struct turn_table turns;
        turns_at(&turns, f, position_of_row(call->step, row), call->op->scale);
        for (uint32_t group = part->column / y->width; group < part->column_end / y->width;
             group++) {
            const float *from = host_group(x, row, group);
            if (w != NULL) {
                const float squares = dot_floats(from, from, x->width) / (float)x->width;
                const float scale = 1.0f / sqrtf(squares + call->op->eps);
                for (uint32_t i = 0; i < x->width; i++)
                    normed[i] = from[i] * scale * w[i];
                from = normed;
            }
            rotate(from, &turns, host_group(y, row, group), x->width);
        }
    }
}

void KERNEL(rope)(const struct cpu_call *call, const struct part *part)
{
    rotate_part(call, part, NULL, &call->at[1], &call->at[2]);
}

void KERNEL(norm_rope)(const struct cpu_call *call, const struct part *part)
{
    rotate_part(call, part, host_group(&call->at[1], 0, 0), &call->at[2], &call->at[3]);
}

/* ---- the cache ------------------------------------------------------------------------------- */

void KERNEL(kv_append)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *cache = &call->at[1];
    const uint64_t group_bytes = dtype_row_bytes(cache->dtype, cache->width);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        const struct step_seq *seq = seq_of_row(call->step, row);
        uint8_t *to = host_slot_row(cache, seq->slot, position_of_row(call->step, row));
        for (uint32_t group = part->column / x->width; group < part->column_end / x->width; group++)
            codec_encode_row(cache->dtype, host_group(x, row, group), to + group * group_bytes,
                             x->width);
    }
}
