/* SPDX-License-Identifier: MIT
 * Rows of the largest vocabulary: their surprise, their record, their comparison with one. */
#include "app/logits_row.h"

#include "base/mem.h"
#include "base/rng.h"
#include "micro.h"

enum { VOCAB = 248320, NEXT = 5 };
enum variant { SURPRISE, ENCODE, COMPARE };

struct state {
    float logits[VOCAB], others[VOCAB];
    struct row_powers powers;
    uint8_t *record;
    enum variant variant;
};

static enum weir_status row_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    struct state *state = mem_alloc(1, sizeof *state, err);
    if (state == NULL)
        return WEIR_ERR_MEMORY;
    state->record = mem_alloc(row_record_bytes(VOCAB), 1, err);
    if (state->record == NULL) {
        mem_free(state);
        return WEIR_ERR_MEMORY;
    }
    for (uint64_t i = 0; i < VOCAB; i++) {
        state->logits[i] = (float)(3 * rng_normal(1, 2, i));
        state->others[i] = state->logits[i] + (float)(0.1 * rng_normal(1, 3, i));
    }
    row_powers_init(&state->powers);
    row_encode(state->logits, VOCAB, NEXT, state->record);
    state->variant = (enum variant)variant;
    bench->amount = 1;
    bench->state = state;
    return WEIR_OK;
}

static void row_run(struct bench *bench)
{
    struct state *state = bench->state;
    struct row_distance distance;
    switch (state->variant) {
    case SURPRISE: row_surprise(state->logits, VOCAB, NEXT); break;
    case ENCODE: row_encode(state->logits, VOCAB, NEXT, state->record); break;
    case COMPARE:
        row_compare(state->record, state->others, VOCAB, NEXT, &state->powers, &distance);
        break;
    }
}

static void row_close(struct bench *bench)
{
    struct state *state = bench->state;
    mem_free(state->record);
    mem_free(state);
}

const struct bench_row bench_logits_row_rows[] = {
    {"row.surprise", "us", BENCH_TIME, SURPRISE, row_open, row_run, row_close},
    {"row.encode", "us", BENCH_TIME, ENCODE, row_open, row_run, row_close},
    {"row.compare", "us", BENCH_TIME, COMPARE, row_open, row_run, row_close},
    {0},
};
