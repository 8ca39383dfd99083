/* SPDX-License-Identifier: MIT
 * Kernels of the gated delta net. A state is held transposed to the reference's: key by key, the
 * values of a key side by side, so that sums over the keys need no sum across a vector. */
#include "cpu/kernels/kernel.h"

#include <math.h>

/* ---- convolution ----------------------------------------------------------------------------- */

/* LANES channels from `channel` on, at `back` rows before row `i` of the sequence: in the step, or
 * in the ring, where the row of position p lies at index p mod its rows. */
static const float *conv_input(const struct cpu_call *call, const struct step_seq *seq, uint32_t i,
                               uint32_t back, uint32_t channel)
{
    const struct host_operand *ring = &call->at[2];
    if (back <= i)
        return host_group(&call->at[0], seq->row_first + i - back, 0) + channel;
    const uint64_t index = ((uint64_t)seq->cached + i + ring->rows - back) % ring->rows;
    return (const float *)(const void *)host_slot_row(ring, seq->slot, index) + channel;
}

/* `count` channels of one sequence: all of a vector but at the end. */
static void conv_lanes(const struct cpu_call *call, const struct step_seq *seq, uint32_t channel,
                       uint32_t count, bool with_silu)
{
    const uint32_t reach = (uint32_t)call->at[2].rows;
    float taps[CONV_TAPS_MAX][LANES] = {{0}};
    for (uint32_t lane = 0; lane < count; lane++) {
        const float *own = host_group(&call->at[1], channel + lane, 0); /* oldest first */
        for (uint32_t tap = 0; tap <= reach; tap++)
            taps[tap][lane] = own[tap];
    }
    for (uint32_t i = 0; i < seq->rows; i++) {
        vf sum = vf_set(0.0f);
        for (uint32_t tap = 0; tap <= reach; tap++)
            sum = vf_fma(vf_load(taps[tap]),
                         vf_load_some(conv_input(call, seq, i, reach - tap, channel), count), sum);
        vf_store_some(host_group(&call->at[3], seq->row_first + i, 0) + channel,
                      with_silu ? vf_silu(sum) : sum, count);
    }
}

/* The step's last rows, as many as the ring has. */
static void keep_rows(const struct cpu_call *call, const struct step_seq *seq, uint32_t channel,
                      uint32_t count)
{
    const struct host_operand *ring = &call->at[2];
    const uint32_t reach = (uint32_t)ring->rows;
    for (uint32_t i = seq->rows - least_of(seq->rows, reach); i < seq->rows; i++) {
        uint8_t *row = host_slot_row(ring, seq->slot, ((uint64_t)seq->cached + i) % reach);
        memcpy((float *)(void *)row + channel,
               host_group(&call->at[0], seq->row_first + i, 0) + channel, count * sizeof(float));
    }
}

static void conv_part(const struct cpu_call *call, const struct part *part, bool with_silu)
{
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        const struct step_seq *seq = &call->step->seq[s];
        for (uint32_t channel = part->column; channel < part->column_end; channel += LANES)
            conv_lanes(call, seq, channel, least_of(LANES, part->column_end - channel), with_silu);
        keep_rows(call, seq, part->column, part->column_end - part->column);
    }
}

void KERNEL(conv)(const struct cpu_call *call, const struct part *part)
{
    conv_part(call, part, false);
}

void KERNEL(conv_silu)(const struct cpu_call *call, const struct part *part)
{
    conv_part(call, part, true);
}

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
