/* SPDX-License-Identifier: MIT
 * Kernels of full attention: rotary embedding, the KV cache, softmax attention that reads each
 * cached row once for all the heads that share it. */
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
            codec_encode_floats(cache->dtype, host_group(x, row, group), to + group * group_bytes,
                                x->width);
    }
}

/* ---- attention ------------------------------------------------------------------------------- */

enum { KEYS = 64, HEADS_MAX = 8 }; /* cached rows and heads that are worked on at once */

/* Heads of one row that share a head of the cache. */
struct attention {
    const float *q[HEADS_MAX];
    float *out[HEADS_MAX]; /* sums of values, not yet divided */
    float largest[HEADS_MAX], sum[HEADS_MAX];
    uint32_t heads, width;
};

/* LANES elements from `i` on, those from `width` on as 0. */
static vf cached_at(enum dtype dtype, const uint8_t *row, uint32_t i, uint32_t width)
{
    uint8_t some[LANES * sizeof(float)] = {0};
    const uint8_t *at = row + dtype_row_bytes(dtype, i);
    if (i + LANES > width) {
        memcpy(some, at, dtype_row_bytes(dtype, width - i));
        at = some;
    }
    return dtype == DTYPE_F16 ? vf_from_f16(at) : vf_load((const float *)(const void *)at);
}

/* Scores of one key for all heads. */
static void score_key(const struct attention *a, enum dtype dtype, const uint8_t *key, float scale,
                      float scores[HEADS_MAX][KEYS], uint32_t at)
{
    vf sum[HEADS_MAX];
    for (uint32_t h = 0; h < a->heads; h++)
        sum[h] = vf_set(0.0f);
    for (uint32_t i = 0; i < a->width; i += LANES) {
        const vf k = cached_at(dtype, key, i, a->width);
        const uint32_t count = least_of(LANES, a->width - i);
        for (uint32_t h = 0; h < a->heads; h++)
            sum[h] = vf_fma(k, vf_load_some(a->q[h] + i, count), sum[h]);
    }
    for (uint32_t h = 0; h < a->heads; h++)
        scores[h][at] = scale * vf_sum(sum[h]);
}

static void add_value(const struct attention *a, enum dtype dtype, const uint8_t *value,
                      float scores[HEADS_MAX][KEYS], uint32_t at)
{
    for (uint32_t i = 0; i < a->width; i += LANES) {
        const vf v = cached_at(dtype, value, i, a->width);
        const uint32_t count = least_of(LANES, a->width - i);
        for (uint32_t h = 0; h < a->heads; h++) {
            const vf sum = vf_fma(v, vf_set(scores[h][at]), vf_load_some(a->out[h] + i, count));
            vf_store_some(a->out[h] + i, sum, count);
        }
    }
}

static void scale_floats(float *x, float scale, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        x[i] *= scale;
}

/* Scores become weights against the largest score so far; what was summed before is scaled down to
 * it. Milakov and Gimelshein 2018 (arXiv 1805.02867). */
static void weigh(struct attention *a, uint32_t head, float *scores, uint32_t count)
{
    float largest = a->largest[head];
    for (uint32_t i = 0; i < count; i++)
        largest = fmaxf(largest, scores[i]);
    const float shrink = expf(a->largest[head] - largest);
    a->largest[head] = largest;
    a->sum[head] *= shrink;
    scale_floats(a->out[head], shrink, a->width);
    for (uint32_t i = 0; i < count; i++) {
        scores[i] = expf(scores[i] - largest);
        a->sum[head] += scores[i];
    }
}

static const uint8_t *cached_row(const struct host_operand *cache, uint32_t slot, uint64_t position,
                                 uint32_t group)
{
    return host_slot_row(cache, slot, position) +
           group * dtype_row_bytes(cache->dtype, cache->width);
}

/* All keys that the row sees, KEYS at a time from position 0 on. */
static void attend_heads(const struct cpu_call *call, struct attention *a, uint64_t row,
                         uint32_t group)
{
    const struct host_operand *k = &call->at[1], *v = &call->at[2];
    const uint32_t slot = seq_of_row(call->step, row)->slot;
    const uint64_t visible = position_of_row(call->step, row) + 1;
    float scores[HEADS_MAX][KEYS];
    for (uint64_t first = 0; first < visible; first += KEYS) {
        const uint32_t count = visible - first < KEYS ? (uint32_t)(visible - first) : KEYS;
        for (uint32_t i = 0; i < count; i++)
            score_key(a, k->dtype, cached_row(k, slot, first + i, group), call->op->scale, scores,
                      i);
        for (uint32_t h = 0; h < a->heads; h++)
            weigh(a, h, scores[h], count);
        for (uint32_t i = 0; i < count; i++)
            add_value(a, v->dtype, cached_row(v, slot, first + i, group), scores, i);
    }
    for (uint32_t h = 0; h < a->heads; h++)
        scale_floats(a->out[h], 1.0f / a->sum[h], a->width);
}

/* Rows of the part are rows of the step times heads of the cache. */
void KERNEL(attend)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *q = &call->at[0], *k = &call->at[1], *y = &call->at[3];
    const uint32_t per_group = q->groups / k->groups;
    for (uint64_t unit = part->row; unit < part->row_end; unit++) {
        const uint64_t row = unit / k->groups;
        const uint32_t group = (uint32_t)(unit % k->groups);
        for (uint32_t first = 0; first < per_group; first += HEADS_MAX) {
            struct attention a = {.width = q->width,
                                  .heads = least_of(HEADS_MAX, per_group - first)};
            for (uint32_t h = 0; h < a.heads; h++) {
                a.q[h] = host_group(q, row, group * per_group + first + h);
                a.out[h] = host_group(y, row, group * per_group + first + h);
                a.largest[h] = -INFINITY;
                memset(a.out[h], 0, y->width * sizeof(float));
            }
            attend_heads(call, &a, row, group);
        }
    }
}
