/* SPDX-License-Identifier: MIT
 * Kernel of the gated delta rule for sequences that may go back: tokens leave records, and records
 * that are pending are applied while the state is read. */
#include "cpu/kernels/rule.h"

/* ---- records --------------------------------------------------------------------------------- */

/* What a token does to the state of a head. */
struct record {
    float *k, *delta, *decay;
};

/* The records of a sequence for one head. */
struct recorder {
    const struct host_operand *ring;
    const struct step_seq *seq;
    uint32_t number; /* of the head */
};

static struct record record_at(const struct recorder *recorder, const struct head *head,
                               uint64_t position)
{
    const struct host_operand *ring = recorder->ring;
    uint8_t *row = host_slot_row(ring, recorder->seq->slot, position % ring->rows);
    float *k = (float *)(void *)row + (uint64_t)recorder->number * ring->stride;
    return (struct record){k, k + head->keys, k + head->keys + head->values};
}

/* Records of tokens that are pending: settled first. */
struct pending {
    struct record at[EXACT_ROWS];
    uint32_t count, settled;
};

static void find_pending(const struct recorder *recorder, const struct head *head,
                         struct pending *pending)
{
    const struct step_seq *seq = recorder->seq;
    pending->count = seq->pending;
    pending->settled = seq->settle;
    for (uint32_t i = 0; i < seq->pending; i++)
        pending->at[i] = record_at(recorder, head, (uint64_t)seq->cached - seq->pending + i);
}

/* Records that a pass over a strip applies, in registers. */
enum { PASS_RECORDS = 6 };

/* Where a pass reads a strip, and where it puts what it makes of it: to both, if they are two. */
struct pass {
    const float *from;
    float *to, *also;
    const float *ahead; /* fetched meanwhile */
};

/* `count` records on each key of the strip of values from `first` on: what write_strip does for
 * each of these tokens. */
INLINE void replay_keys(const struct pass *pass, uint32_t keys, const struct record *records,
                        uint32_t count, uint32_t first)
{
    vf delta[PASS_RECORDS][STRIP_VECTORS], decay[PASS_RECORDS];
    const float *k[PASS_RECORDS];
    for (uint32_t r = 0; r < count; r++) {
        k[r] = records[r].k;
        decay[r] = vf_set(*records[r].decay);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            delta[r][n] = vf_load(records[r].delta + first + n * LANES);
    }
    for (uint32_t key = 0; key < keys; key++) {
        vf row[STRIP_VECTORS];
        __builtin_prefetch(pass->ahead + key * STRIP, 1);
        __builtin_prefetch(pass->ahead + key * STRIP + STRIP / 2, 1);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            row[n] = vf_load(pass->from + key * STRIP + n * LANES);
        for (uint32_t r = 0; r < count; r++) {
            const vf x = vf_set(k[r][key]);
            for (uint32_t n = 0; n < STRIP_VECTORS; n++)
                row[n] = vf_fma(x, delta[r][n], vf_mul(decay[r], row[n]));
        }
        for (uint32_t n = 0; n < STRIP_VECTORS; n++) {
            vf_store(pass->to + key * STRIP + n * LANES, row[n]);
            vf_store(pass->also + key * STRIP + n * LANES, row[n]);
        }
    }
}

static void replay_pass(const struct pass *pass, uint32_t keys, const struct record *records,
                        uint32_t count, uint32_t first)
{
    switch (count) {
    case 0: replay_keys(pass, keys, records, 0, first); break;
    case 1: replay_keys(pass, keys, records, 1, first); break;
    case 2: replay_keys(pass, keys, records, 2, first); break;
    case 3: replay_keys(pass, keys, records, 3, first); break;
    case 4: replay_keys(pass, keys, records, 4, first); break;
    case 5: replay_keys(pass, keys, records, 5, first); break;
    default: replay_keys(pass, keys, records, PASS_RECORDS, first); break;
    }
}

/* The strip of values from `first` on through what is pending, into `work`; what is settled stays
 * in the strip. */
static void replay_strip(const struct head *head, const struct pending *pending, uint32_t first,
                         const float *ahead, float *work)
{
    float *strip = head->state + (uint64_t)first * head->keys;
    struct pass pass = {strip, work, work, ahead};
    for (uint32_t done = 0; done == 0 || done < pending->count;) {
        const bool is_settled = done < pending->settled;
        const uint32_t end = is_settled ? pending->settled : pending->count;
        const uint32_t count = least_of(end - done, PASS_RECORDS);
        pass.to = is_settled ? strip : work;
        replay_pass(&pass, head->keys, pending->at + done, count, first);
        pass.from = pass.ahead = work;
        done += count;
        if (pending->count == 0)
            break;
    }
}

/* The same of a value by itself: `state` is its part of the state, a number every `pitch`. */
static void replay_value(const struct head *head, const struct pending *pending, uint32_t at,
                         float *state, uint32_t pitch, float *work)
{
    for (uint32_t key = 0; key < head->keys; key++) {
        float s = state[(uint64_t)key * pitch];
        for (uint32_t r = 0; r < pending->count; r++) {
            const struct record *record = &pending->at[r];
            s = *record->decay * s + record->k[key] * record->delta[at];
            if (r + 1 == pending->settled)
                state[(uint64_t)key * pitch] = s;
        }
        work[key] = s;
    }
}

/* All but the last token write: each fetches its share of the next strip. */
static void record_strip(const struct head *head, const struct token *tokens,
                         const struct record *records, uint32_t count, uint32_t first, float *work)
{
    struct ahead ahead = {next_strip(head, first),
                          count > 1 ? (STRIP + count - 2) / (count - 1) : 0};
    for (uint32_t i = 0; i < count; i++) {
        vf delta[STRIP_VECTORS];
        read_token(head, work, &tokens[i], first, delta);
        for (uint32_t n = 0; n < STRIP_VECTORS; n++)
            vf_store(records[i].delta + first + n * LANES, delta[n]);
        if (i + 1 < count)
            write_strip(work, head->keys, &tokens[i], delta, ahead);
        ahead.from += ahead.step * head->keys;
    }
}

/* Tokens that may be taken back: the state is read once, and written, if at all, as it was before
 * them. `work` has room for a strip. */
static void record_tokens(const struct head *head, const struct recorder *recorder,
                          struct token *tokens, uint32_t count, float *work)
{
    const uint32_t whole = whole_strips(head);
    struct pending pending;
    struct record records[EXACT_ROWS];
    find_pending(recorder, head, &pending);
    for (uint32_t i = 0; i < count; i++) {
        records[i] = record_at(recorder, head, (uint64_t)recorder->seq->cached + i);
        memcpy(records[i].k, tokens[i].k, head->keys * sizeof(float));
        *records[i].decay = tokens[i].decay;
    }
    match_tokens(head, tokens, count);
    for (uint32_t first = 0; first < whole; first += STRIP) {
        replay_strip(head, &pending, first, count > 1 ? work : next_strip(head, first), work);
        record_strip(head, tokens, records, count, first, work);
    }
    for (uint32_t at = whole; at < head->values; at++) {
        replay_value(head, &pending, at, head->state + (uint64_t)whole * head->keys + (at - whole),
                     head->values - whole, work);
        for (uint32_t i = 0; i < count; i++)
            records[i].delta[at] = rule_value(head, &tokens[i], at, work, 1);
    }
}

/* Brings the stored state up to the tokens that the sequence holds. */
static void settle_head(const struct head *head, const struct recorder *recorder, float *work)
{
    const uint32_t whole = whole_strips(head);
    struct pending pending;
    find_pending(recorder, head, &pending);
    for (uint32_t first = 0; first < whole; first += STRIP)
        replay_strip(head, &pending, first, next_strip(head, first), work);
    for (uint32_t at = whole; at < head->values; at++)
        replay_value(head, &pending, at, head->state + (uint64_t)whole * head->keys + (at - whole),
                     head->values - whole, work);
}

/* ---- heads ----------------------------------------------------------------------------------- */

/* One head of one sequence. */
static void recorded_head(const struct cpu_call *call, const struct step_seq *seq, uint32_t number,
                          float *state)
{
    const struct head head = head_of(call, state);
    const struct recorder recorder = {&call->at[6], seq, number};
    const struct host_operand *y = &call->at[7];
    struct token tokens[EXACT_ROWS];
    if (!seq->is_recorded) {
        if (seq->pending > 0)
            settle_head(&head, &recorder, call->scratch);
        KERNEL(rule_head)(call, seq, number, state, y);
        return;
    }
    find_tokens(call, seq->row_first, number, y, tokens, seq->rows);
    record_tokens(&head, &recorder, tokens, seq->rows, call->scratch);
}

void KERNEL(delta_rule_recorded)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *y = &call->at[7];
    for (uint32_t s = 0; s < call->step->seqs; s++) {
        const struct step_seq *seq = &call->step->seq[s];
        float *state = (float *)(void *)host_slot_row(&call->at[5], seq->slot, 0);
        for (uint32_t head = part->column / y->width; head < part->column_end / y->width; head++)
            recorded_head(call, seq, head, state + head * head_floats(call));
    }
}
