/* SPDX-License-Identifier: MIT
 * Reference ops of the gated delta net: causal convolution with its history ring, and the gated
 * delta rule. Units are channels, and sequences times v-heads. */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

/* ---- convolution ----------------------------------------------------------------------------- */

/* The value of channel `channel` at `back` rows before row `i` of the sequence: in the step, or in
 * the ring, where the row of position p lies at index p mod R. A ring begins as zeros, which is
 * the history before position 0. */
static float conv_input(const struct ref_call *call, const struct step_seq *seq, uint32_t i,
                        uint32_t back, uint32_t channel)
{
    if (back <= i)
        return host_group(&call->at[0], seq->row_first + i - back, 0)[channel];
    const struct host_operand *ring = &call->at[2];
    /* position - back may be negative: R is added often enough, back <= R */
    const uint64_t index = ((uint64_t)seq->cached + i + ring->rows - back) % ring->rows;
    const uint8_t *row = host_slot_row(ring, seq->slot, index);
    return ((const float *)(const void *)row)[channel];
}

static void conv_channel(const struct ref_call *call, const struct step_seq *seq, uint32_t channel,
                         bool with_silu)
{
    const struct host_operand *ring = &call->at[2];
    const float *taps = host_group(&call->at[1], channel, 0);
    const uint32_t reach = (uint32_t)ring->rows; /* taps are oldest first, the current one last */
    for (uint32_t i = 0; i < seq->rows; i++) {
        float sum = 0;
        for (uint32_t tap = 0; tap <= reach; tap++)
            sum += taps[tap] * conv_input(call, seq, i, reach - tap, channel);
        host_group(&call->at[3], seq->row_first + i, 0)[channel] =
            with_silu ? ref_silu_of(sum) : sum;
    }
    const uint32_t kept = seq->rows < reach ? seq->rows : reach;
    for (uint32_t i = seq->rows - kept; i < seq->rows; i++) {
        uint8_t *row = host_slot_row(ring, seq->slot, ((uint64_t)seq->cached + i) % reach);
        ((float *)(void *)row)[channel] = host_group(&call->at[0], seq->row_first + i, 0)[channel];
    }
}

static void conv_channels(const struct ref_call *call, uint64_t first, uint64_t last,
                          bool with_silu)
{
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        for (uint64_t channel = first; channel < last; channel++)
            conv_channel(call, &call->step->seq[s], (uint32_t)channel, with_silu);
    }
}

void ref_conv(const struct ref_call *call, uint64_t first, uint64_t last)
{
    conv_channels(call, first, last, false);
}

void ref_conv_silu(const struct ref_call *call, uint64_t first, uint64_t last)
{
    conv_channels(call, first, last, true);
}

/* ---- state in and out ------------------------------------------------------------------------ */

void ref_state_load(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *state = &call->at[0], *copy = &call->at[1];
    const uint64_t bytes = state->rows * state->pitch;
    for (uint64_t s = first; s < last; s++)
        memcpy(copy->data + s * bytes, host_slot_row(state, call->step->seq[s].slot, 0),
               (size_t)bytes);
}

void ref_state_store(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *copy = &call->at[0], *state = &call->at[1];
    const uint64_t bytes = state->rows * state->pitch;
    for (uint64_t s = first; s < last; s++)
        memcpy(host_slot_row(state, call->step->seq[s].slot, 0), copy->data + s * bytes,
               (size_t)bytes);
}

/* ---- the gated delta rule -------------------------------------------------------------------- */

/* Row j of the transposed state, a vector over the keys, through one token. Yang, Kautz and
 * Hatamizadeh 2024 (arXiv 2412.06464), equation 10: decay, predict, correct, read. Rows do not
 * depend on each other. Returns M_j . q of the new row. */
static float delta_rule_row(float *m, const float *q, const float *k, float v, float decay,
                            float beta, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        m[i] *= decay;
    const float delta = beta * (v - ref_dot(m, k, width));
    for (uint32_t i = 0; i < width; i++)
        m[i] += k[i] * delta;
    return ref_dot(m, q, width);
}

/* One v-head of one sequence through all its rows. `m` is its part of the state, [S value][S key];
 * `y` the output operand, in heads like v. */
static void delta_rule_head(const struct ref_call *call, const struct step_seq *seq, uint32_t head,
                            float *m, const struct host_operand *y)
{
    const struct host_operand *q = &call->at[0], *k = &call->at[1], *v = &call->at[2];
    const uint32_t per_k = v->groups / k->groups;
    const uint32_t k_head =
        call->op->head_map == HEAD_MAP_GROUPED ? head / per_k : head % k->groups;
    for (uint32_t i = 0; i < seq->rows; i++) {
        const uint64_t row = seq->row_first + i;
        const float *key = host_group(k, row, k_head), *query = host_group(q, row, k_head);
        const float *value = host_group(v, row, head);
        const float decay = expf(host_group(&call->at[3], row, 0)[head]);
        const float beta = host_group(&call->at[4], row, 0)[head];
        float *out = host_group(y, row, head);
        for (uint32_t j = 0; j < v->width; j++)
            out[j] = call->op->scale * delta_rule_row(m + (uint64_t)j * k->width, query, key,
                                                      value[j], decay, beta, k->width);
    }
}

/* Floats of one v-head's state. */
static uint64_t head_floats(const struct ref_call *call)
{
    return (uint64_t)call->at[2].width * call->at[1].width;
}

void ref_delta_rule(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const uint32_t heads = call->at[2].groups;
    const uint64_t floats = head_floats(call);
    const float *before = (const float *)(const void *)call->at[5].data;
    float *after = (float *)(void *)call->at[6].data;
    for (uint64_t unit = first; unit < last; unit++) {
        memcpy(after + unit * floats, before + unit * floats, (size_t)floats * sizeof(float));
        delta_rule_head(call, &call->step->seq[unit / heads], (uint32_t)(unit % heads),
                        after + unit * floats, &call->at[7]);
    }
}

void ref_delta_rule_inplace(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const uint32_t heads = call->at[2].groups;
    for (uint64_t unit = first; unit < last; unit++) {
        const struct step_seq *seq = &call->step->seq[unit / heads];
        const uint32_t head = (uint32_t)(unit % heads);
        float *state = (float *)(void *)host_slot_row(&call->at[5], seq->slot, 0);
        delta_rule_head(call, seq, head, state + head * head_floats(call), &call->at[6]);
    }
}
