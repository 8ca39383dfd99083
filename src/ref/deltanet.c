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
    const uint32_t reach = call->at[1].width - 1; /* taps: oldest first, the current one last */
    const uint32_t places = (uint32_t)ring->rows;
    for (uint32_t i = 0; i < seq->rows; i++) {
        float sum = 0;
        for (uint32_t tap = 0; tap <= reach; tap++)
            sum += taps[tap] * conv_input(call, seq, i, reach - tap, channel);
        host_group(&call->at[3], seq->row_first + i, 0)[channel] =
            with_silu ? ref_silu_of(sum) : sum;
    }
    const uint32_t kept = seq->rows < places ? seq->rows : places;
    for (uint32_t i = seq->rows - kept; i < seq->rows; i++) {
        uint8_t *row = host_slot_row(ring, seq->slot, ((uint64_t)seq->cached + i) % places);
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

static void decay_row(float *m, float decay, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        m[i] *= decay;
}

static void add_key(float *m, const float *k, float delta, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        m[i] += k[i] * delta;
}

/* One row of the step for one v-head. */
struct token {
    const float *q, *k, *v;
    float *out;
    float decay, beta;
};

static struct token token_of(const struct ref_call *call, uint64_t row, uint32_t head,
                             const struct host_operand *y)
{
    const struct host_operand *k = &call->at[1], *v = &call->at[2];
    const uint32_t per_k = v->groups / k->groups;
    const uint32_t k_head =
        call->op->head_map == HEAD_MAP_GROUPED ? head / per_k : head % k->groups;
    return (struct token){
        .q = host_group(&call->at[0], row, k_head),
        .k = host_group(k, row, k_head),
        .v = host_group(v, row, head),
        .out = host_group(y, row, head),
        .decay = expf(host_group(&call->at[3], row, 0)[head]),
        .beta = host_group(&call->at[4], row, 0)[head],
    };
}

/* Row j of the transposed state, a vector over the keys, through one token. Yang, Kautz and
 * Hatamizadeh 2024 (arXiv 2412.06464), equation 10: decay, predict, correct, read. Rows do not
 * depend on each other. Returns what the row gained of the key. */
static float delta_rule_row(const struct ref_call *call, const struct token *token, uint32_t j,
                            float *m)
{
    const uint32_t width = call->at[1].width;
    decay_row(m, token->decay, width);
    const float delta = token->beta * (token->v[j] - ref_dot(m, token->k, width));
    add_key(m, token->k, delta, width);
    token->out[j] = call->op->scale * ref_dot(m, token->q, width);
    return delta;
}

/* One v-head of one sequence through all its rows. `m` is its part of the state, [S value][S key];
 * `y` the output operand, in heads like v. */
static void delta_rule_head(const struct ref_call *call, const struct step_seq *seq, uint32_t head,
                            float *m, const struct host_operand *y)
{
    const struct host_operand *k = &call->at[1], *v = &call->at[2];
    for (uint32_t i = 0; i < seq->rows; i++) {
        const struct token token = token_of(call, seq->row_first + i, head, y);
        for (uint32_t j = 0; j < v->width; j++)
            delta_rule_row(call, &token, j, m + (uint64_t)j * k->width);
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

/* ---- going back ------------------------------------------------------------------------------ */

/* The record of a position for a v-head: key, delta by value, decay. */
static float *record_of(const struct ref_call *call, const struct step_seq *seq, uint32_t head,
                        uint64_t position)
{
    const struct host_operand *records = &call->at[6];
    return (float *)(void *)host_slot_row(records, seq->slot, position % records->rows) +
           (uint64_t)head * records->stride;
}

/* Row j of the state through the pending records, of which the first are settled: written back. */
static void replay_row(const struct ref_call *call, const struct step_seq *seq, uint32_t head,
                       uint32_t j, float *stored, float *m)
{
    const uint32_t width = call->at[1].width, values = call->at[2].width;
    memcpy(m, stored, width * sizeof *m);
    for (uint32_t i = 0; i < seq->pending; i++) {
        const float *record = record_of(call, seq, head, seq->cached - seq->pending + i);
        decay_row(m, record[width + values], width);
        add_key(m, record, record[width + j], width);
        if (i + 1 == seq->settle)
            memcpy(stored, m, width * sizeof *m);
    }
}

/* Row j of the head's state through the step's tokens, which leave records. */
static void record_row(const struct ref_call *call, const struct step_seq *seq, uint32_t head,
                       uint32_t j, float *m)
{
    for (uint32_t i = 0; i < seq->rows; i++) {
        const struct token token = token_of(call, seq->row_first + i, head, &call->at[7]);
        record_of(call, seq, head, (uint64_t)seq->cached + i)[call->at[1].width + j] =
            delta_rule_row(call, &token, j, m);
    }
}

/* Of the step's records, what all values share. */
static void record_keys(const struct ref_call *call, const struct step_seq *seq, uint32_t head)
{
    const uint32_t width = call->at[1].width, values = call->at[2].width;
    for (uint32_t i = 0; i < seq->rows; i++) {
        const struct token token = token_of(call, seq->row_first + i, head, &call->at[7]);
        float *record = record_of(call, seq, head, (uint64_t)seq->cached + i);
        memcpy(record, token.k, width * sizeof *record);
        record[width + values] = token.decay;
    }
}

static void recorded_head(const struct ref_call *call, const struct step_seq *seq, uint32_t head,
                          float *state)
{
    float m[HEAD_WIDTH_MAX];
    const uint32_t width = call->at[1].width;
    for (uint32_t j = 0; j < call->at[2].width; j++) {
        replay_row(call, seq, head, j, state + (uint64_t)j * width, m);
        if (seq->is_recorded)
            record_row(call, seq, head, j, m);
    }
    if (seq->is_recorded)
        record_keys(call, seq, head);
    else
        delta_rule_head(call, seq, head, state, &call->at[7]);
}

void ref_delta_rule_recorded(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const uint32_t heads = call->at[2].groups;
    for (uint64_t unit = first; unit < last; unit++) {
        const struct step_seq *seq = &call->step->seq[unit / heads];
        const uint32_t head = (uint32_t)(unit % heads);
        float *state = (float *)(void *)host_slot_row(&call->at[5], seq->slot, 0);
        recorded_head(call, seq, head, state + head * head_floats(call));
    }
}
