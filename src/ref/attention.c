/* SPDX-License-Identifier: MIT
 * Reference ops of full attention: rotary embedding, the KV cache, softmax attention. Units are
 * rows, of ATTEND rows times heads. */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

#include "format/codec.h"

/* Rotates pairs (i, i + n) for i < n, n frequencies, by position * frequency[i]; what is beyond
 * 2 n stays. Su et al. 2021 (RoFormer), in the rotate-half order of the NeoX code; angles in
 * double, since an F32 angle is off by 1e-2 at the end of a 262144 context. */
static void rotate_group(const float *x, const double *frequency, uint32_t n, uint64_t position,
                         float magnitude, float *y, uint32_t width)
{
    for (uint32_t i = 0; i < n; i++) {
        const double angle = (double)position * frequency[i];
        const float c = (float)cos(angle) * magnitude, s = (float)sin(angle) * magnitude;
        const float low = x[i], high = x[i + n];
        y[i] = low * c - high * s;
        y[i + n] = low * s + high * c;
    }
    for (uint32_t i = 2 * n; i < width; i++)
        y[i] = x[i];
}

static void rotate_rows(const struct ref_call *call, uint64_t first, uint64_t last, const float *w,
                        const struct host_operand *f, const struct host_operand *y)
{
    const struct host_operand *x = &call->at[0];
    const double *frequency = (const double *)(const void *)f->data;
    for (uint64_t row = first; row < last; row++) {
        const uint64_t position = step_position_of_row(call->step, row);
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *from = host_group(x, row, group);
            if (w != NULL) {
                ref_rms_norm_group(from, w, call->op->eps, call->scratch, x->width);
                from = call->scratch;
            }
            rotate_group(from, frequency, f->width, position, call->op->scale,
                         host_group(y, row, group), x->width);
        }
    }
}

void ref_rope(const struct ref_call *call, uint64_t first, uint64_t last)
{
    rotate_rows(call, first, last, NULL, &call->at[1], &call->at[2]);
}

void ref_norm_rope(const struct ref_call *call, uint64_t first, uint64_t last)
{
    rotate_rows(call, first, last, host_group(&call->at[1], 0, 0), &call->at[2], &call->at[3]);
}

void ref_kv_append(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *cache = &call->at[1];
    const uint64_t group_bytes = dtype_row_bytes(cache->dtype, cache->width);
    for (uint64_t row = first; row < last; row++) {
        const struct step_seq *seq = step_seq_of_row(call->step, row);
        uint8_t *to = host_slot_row(cache, seq->slot, step_position_of_row(call->step, row));
        for (uint32_t group = 0; group < x->groups; group++)
            codec_encode_row(cache->dtype, host_group(x, row, group), to + group * group_bytes,
                             x->width);
    }
}

/* Turns scores into weights that sum to 1, in place; the sum in double. */
static void softmax(float *scores, uint64_t count)
{
    float highest = -INFINITY;
    for (uint64_t i = 0; i < count; i++)
        highest = fmaxf(highest, scores[i]);
    double sum = 0;
    for (uint64_t i = 0; i < count; i++) {
        scores[i] = expf(scores[i] - highest);
        sum += scores[i];
    }
    const float scale = (float)(1.0 / sum);
    for (uint64_t i = 0; i < count; i++)
        scores[i] *= scale;
}

/* Rounds to F16 what meets rows of an F16 cache, as the reference engine does and as products of
 * halves on hardware do; their sums stay F32. Rows of an F32 cache meet F32. */
static void round_like_cache(const struct host_operand *cache, float *values, uint64_t count)
{
    if (cache->dtype != DTYPE_F16)
        return;
    for (uint64_t i = 0; i < count; i++)
        values[i] = codec_from_f16(codec_to_f16(values[i]));
}

/* One cached key or value vector as floats. */
static const float *cached_vector(const struct host_operand *cache, uint32_t slot,
                                  uint64_t position, uint32_t group, float *decoded)
{
    const uint8_t *row = host_slot_row(cache, slot, position);
    codec_decode_row(cache->dtype, row + group * dtype_row_bytes(cache->dtype, cache->width),
                     decoded, cache->width);
    return decoded;
}

void ref_attend(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *q = &call->at[0], *k = &call->at[1], *v = &call->at[2];
    const uint32_t heads_per_kv = q->groups / k->groups;
    float *scores = call->scratch;
    float decoded[HEAD_WIDTH_MAX], query[HEAD_WIDTH_MAX];
    for (uint64_t unit = first; unit < last; unit++) {
        const uint64_t row = unit / q->groups;
        const uint32_t head = (uint32_t)(unit % q->groups);
        const uint32_t slot = step_seq_of_row(call->step, row)->slot;
        const uint64_t visible = step_position_of_row(call->step, row) + 1;
        memcpy(query, host_group(q, row, head), q->width * sizeof *query);
        round_like_cache(k, query, q->width);
        for (uint64_t p = 0; p < visible; p++)
            scores[p] =
                call->op->scale *
                ref_dot(query, cached_vector(k, slot, p, head / heads_per_kv, decoded), q->width);
        softmax(scores, visible);
        round_like_cache(v, scores, visible);
        float *out = host_group(&call->at[3], row, head);
        for (uint32_t i = 0; i < q->width; i++)
            out[i] = 0;
        for (uint64_t p = 0; p < visible; p++) {
            const float *value = cached_vector(v, slot, p, head / heads_per_kv, decoded);
            for (uint32_t i = 0; i < q->width; i++)
                out[i] += scores[p] * value[i];
        }
    }
}
