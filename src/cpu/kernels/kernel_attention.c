/* SPDX-License-Identifier: MIT
 * Kernels around full attention: rotary embedding, what goes into the KV cache. */
#include "cpu/kernels/kernel.h"

#include <math.h>

#include "format/codec.h"

/* ---- rotary embedding ------------------------------------------------------------------------ */

/* Cosine and sine of each pair at one position. */
struct turn_table {
    float c[HEAD_WIDTH_MAX / 2], s[HEAD_WIDTH_MAX / 2];
    uint32_t pairs;
};

/* Of angles up to 2^31, in double: less the nearest multiple of pi / 2 (Cody and Waite 1980), in
 * parts of so few bits that the first two products are exact, then Taylor series up to the power at
 * which the next term is below 1e-12. The loop has no branches, so that it becomes vectors. */
static inline void turn_of(double angle, double *c, double *s)
{
    const double shifted = angle * 0x1.45f306dc9c883p-1 + 0x1.8p52; /* the quarter is in its bits */
    const double quarters = shifted - 0x1.8p52;
    const double r =
        angle - quarters * 0x1.921fbp0 - quarters * 0x5.4442p-24 - quarters * 0xd.18469898cc517p-44;
    const double rr = r * r;
    const double s3 = -1.0 / 6 + rr * (1.0 / 120 + rr * (-1.0 / 5040 + rr * (1.0 / 362880)));
    const double s11 = -1.0 / 39916800 + rr * (1.0 / 6227020800);
    const double c2 = -1.0 / 2 + rr * (1.0 / 24 + rr * (-1.0 / 720 + rr * (1.0 / 40320)));
    const double c10 = -1.0 / 3628800 + rr * (1.0 / 479001600);
    const double r4 = rr * rr, sine = r + r * rr * (s3 + r4 * r4 * s11);
    const double cosine = 1 + rr * (c2 + r4 * r4 * c10);
    uint64_t quarter;
    memcpy(&quarter, &shifted, sizeof quarter);
    const double other_c = quarter & 1 ? sine : cosine, other_s = quarter & 1 ? cosine : sine;
    *c = (quarter + 1) & 2 ? -other_c : other_c;
    *s = quarter & 2 ? -other_s : other_s;
}

static void turns_at(struct turn_table *turns, const struct host_operand *f, uint64_t position,
                     float magnitude)
{
    const double *frequency = (const double *)(const void *)f->data;
    turns->pairs = f->width;
    for (uint32_t i = 0; i < turns->pairs; i++) {
        double c, s;
        turn_of((double)position * frequency[i], &c, &s);
        turns->c[i] = (float)c * magnitude;
        turns->s[i] = (float)s * magnitude;
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
        turns_at(&turns, f, step_position_of_row(call->step, row), call->op->scale);
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

/* F16, of which most caches are, in vectors. */
static void encode_group(enum dtype dtype, const float *values, uint8_t *out, uint32_t width)
{
    uint32_t i = 0;
    for (; dtype == DTYPE_F16 && i + LANES <= width; i += LANES)
        vf_to_f16(out + 2 * (uint64_t)i, vf_load(values + i));
    if (i < width)
        codec_encode_row(dtype, values + i, out + dtype_row_bytes(dtype, i), width - i);
}

void KERNEL(kv_append)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *cache = &call->at[1];
    const uint64_t group_bytes = dtype_row_bytes(cache->dtype, cache->width);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        const struct step_seq *seq = step_seq_of_row(call->step, row);
        uint8_t *to = host_slot_row(cache, seq->slot, step_position_of_row(call->step, row));
        for (uint32_t group = part->column / x->width; group < part->column_end / x->width; group++)
            encode_group(cache->dtype, host_group(x, row, group), to + group * group_bytes,
                         x->width);
    }
}
