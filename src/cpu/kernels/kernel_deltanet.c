/* SPDX-License-Identifier: MIT
 * Kernels of the gated delta net. A state is held transposed to the reference's: key by key, the
 * values of a key side by side, so that sums over the keys need no sum across a vector. */
#include "cpu/kernels/kernel.h"

#include <math.h>

/* ---- state in and out ------------------------------------------------------------------------ */

/* All sequences, by one thread. */
void KERNEL(state_load)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *state = &call->at[0];
    const uint64_t bytes = state->rows * state->pitch;
    (void)part;
    for (uint32_t s = 0; s < call->step->seqs; s++)
        memcpy(call->at[1].data + s * bytes, host_slot_row(state, call->step->seq[s].slot, 0),
               (size_t)bytes);
}

void KERNEL(state_store)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *state = &call->at[1];
    const uint64_t bytes = state->rows * state->pitch;
    (void)part;
    for (uint32_t s = 0; s < call->step->seqs; s++)
        memcpy(host_slot_row(state, call->step->seq[s].slot, 0), call->at[0].data + s * bytes,
               (size_t)bytes);
}

/* ---- the gated delta rule -------------------------------------------------------------------- */

/* Values of a head that are worked on at once: 16 KiB of state at 128 keys stay in the first cache
 * from the pass that reads to the pass that writes. */
enum { STRIP = 32, STRIP_VECTORS = STRIP / LANES };

/* One token of one head. */
struct token {
    const float *q, *k, *v;
    float *out;
    float decay, beta;
    float match; /* k . q */
};

/* sums[0] += S^T k and sums[1] += S^T q of the values of the strip. */
static void read_strip(const float *state, uint32_t pitch, uint32_t keys, const struct token *token,
                       vf sums[2][STRIP_VECTORS])
{
    for (uint32_t n = 0; n < STRIP_VECTORS; n++)
        sums[0][n] = sums[1][n] = vf_set(0.0f);
    for (uint32_t i = 0; i < keys; i++) {
        const vf k = vf_set(token->k[i]), q = vf_set(token->q[i]);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
            const vf row = vf_load(state + (uint64_t)i * pitch + n * LANES);
            sums[0][n] = vf_fma(row, k, sums[0][n]);
            sums[1][n] = vf_fma(row, q, sums[1][n]);
        }
    }
}

/* S = decay S + k delta^T. */
static void write_strip(float *state, uint32_t pitch, uint32_t keys, const struct token *token,
                        const vf delta[STRIP_VECTORS])
{
    const vf decay = vf_set(token->decay);
    for (uint32_t i = 0; i < keys; i++) {
        const vf k = vf_set(token->k[i]);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
            float *row = state + (uint64_t)i * pitch + n * LANES;
            vf_store(row, vf_fma(k, delta[n], vf_mul(decay, vf_load(row))));
        }
    }
}

/* STRIP values from `first` on through one token. With u = S^T k and p = S^T q of the old state,
 * delta = beta (v - decay u), and what is read of the new one is decay p + (k . q) delta: Yang,
 * Kautz and Hatamizadeh 2024 (arXiv 2412.06464), equation 10, in one pass that reads and one that
 * writes. */
static void rule_strip(float *state, uint32_t pitch, uint32_t keys, const struct token *token,
                       uint32_t first, float scale)
{
    vf sums[2][STRIP_VECTORS], delta[STRIP_VECTORS];
    const vf decay = vf_set(token->decay);
    read_strip(state + first, pitch, keys, token, sums);
    for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
        const vf v = vf_load(token->v + first + n * LANES);
        delta[n] = vf_mul(vf_set(token->beta), vf_sub(v, vf_mul(decay, sums[0][n])));
        const vf read = vf_fma(vf_set(token->match), delta[n], vf_mul(decay, sums[1][n]));
        vf_store(token->out + first + n * LANES, vf_mul(vf_set(scale), read));
    }
    write_strip(state + first, pitch, keys, token, delta);
}

/* A value by itself, where a head has no whole strips. */
static void rule_value(float *state, uint32_t pitch, uint32_t keys, const struct token *token,
                       uint32_t at, float scale)
{
    float u = 0, p = 0;
    for (uint32_t i = 0; i < keys; i++) {
        u += state[(uint64_t)i * pitch + at] * token->k[i];
        p += state[(uint64_t)i * pitch + at] * token->q[i];
    }
    const float delta = token->beta * (token->v[at] - token->decay * u);
    token->out[at] = scale * (token->decay * p + token->match * delta);
    for (uint32_t i = 0; i < keys; i++)
        state[(uint64_t)i * pitch + at] =
            token->decay * state[(uint64_t)i * pitch + at] + token->k[i] * delta;
}

static struct token token_at(const struct cpu_call *call, uint64_t row, uint32_t head,
                             const struct host_operand *y)
{
    const struct host_operand *k = &call->at[1], *v = &call->at[2];
    const uint32_t per_k = v->groups / k->groups;
    const uint32_t k_head =
        call->op->head_map == HEAD_MAP_GROUPED ? head / per_k : head % k->groups;
    struct token token = {
        .q = host_group(&call->at[0], row, k_head),
        .k = host_group(k, row, k_head),
        .v = host_group(v, row, head),
        .out = host_group(y, row, head),
        .decay = expf(host_group(&call->at[3], row, 0)[head]),
        .beta = host_group(&call->at[4], row, 0)[head],
    };
    token.match = dot_floats(token.k, token.q, k->width);
    return token;
}

/* One head of one sequence through all its rows, strip by strip, so that each comes from memory
 * once and goes back once. */
static void rule_head(const struct cpu_call *call, const struct step_seq *seq, uint32_t head,
                      float *state, const struct host_operand *y)
{
    const uint32_t keys = call->at[1].width, values = call->at[2].width;
    const uint32_t whole = values - values % STRIP;
    for (uint32_t first = 0; first < values; first += STRIP) {
        for (uint32_t i = 0; i < seq->rows; i++) {
            const struct token token = token_at(call, seq->row_first + i, head, y);
            if (first < whole)
                rule_strip(state, values, keys, &token, first, call->op->scale);
            for (uint32_t at = first; first >= whole && at < values; at++)
                rule_value(state, values, keys, &token, at, call->op->scale);
        }
    }
}

static uint64_t head_floats(const struct cpu_call *call)
{
    return (uint64_t)call->at[2].width * call->at[1].width;
}

void KERNEL(delta_rule)(const struct cpu_call *call, const struct part *part)
{
    const uint32_t heads = call->at[2].groups;
    const uint64_t floats = head_floats(call);
    const struct host_operand *y = &call->at[7];
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        for (uint32_t head = part->column / y->width; head < part->column_end / y->width; head++) {
            const uint64_t at = ((uint64_t)s * heads + head) * floats;
            float *after = (float *)(void *)call->at[6].data + at;
            memcpy(after, (const float *)(const void *)call->at[5].data + at,
                   floats * sizeof(float));
            rule_head(call, &call->step->seq[s], head, after, y);
        }
    }
}

void KERNEL(delta_rule_inplace)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *y = &call->at[6];
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        const struct step_seq *seq = &call->step->seq[s];
        float *state = (float *)(void *)host_slot_row(&call->at[5], seq->slot, 0);
        for (uint32_t head = part->column / y->width; head < part->column_end / y->width; head++)
            rule_head(call, seq, head, state + head * head_floats(call), y);
    }
}
