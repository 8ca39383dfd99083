/* SPDX-License-Identifier: MIT
 * Rows of the room quant: encoding by one thread, in bytes of the floats that are read. A "w" at
 * the end of a name stands for importance weights. */
#include "micro.h"

#include "base/mem.h"
#include "base/rng.h"
#include "quant/encode.h"

enum { COLUMNS = 4096, WEIGHTED = 0x100 /* in a variant, beside the type */ };

struct encode_state {
    enum dtype dtype;
    float *values;
    float *importance; /* NULL: none */
    uint8_t *encoded;
};

static void encode_close(struct bench *bench)
{
    struct encode_state *state = bench->state;
    mem_free(state->values);
    mem_free(state->importance);
    mem_free(state->encoded);
    mem_free(state);
}

/* Weights of a row as models have them, about normal: a sum of four uniform numbers. */
static void fill(struct encode_state *state)
{
    for (uint64_t i = 0; i < COLUMNS; i++) {
        const uint64_t bits = rng_bits(1, 0, i);
        const int sum = (int)(bits & 0xffff) + (int)(bits >> 16 & 0xffff) +
                        (int)(bits >> 32 & 0xffff) + (int)(bits >> 48);
        state->values[i] = (float)(sum - 2 * 0xffff) * 1e-6f;
        if (state->importance != NULL)
            state->importance[i] = 0.1f + (float)(rng_bits(1, 1, i) & 0xff);
    }
}

static enum weir_status encode_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    const bool weighted = (variant & WEIGHTED) != 0;
    struct encode_state *state = mem_alloc(1, sizeof *state, err);
    if (state == NULL)
        return WEIR_ERR_MEMORY;
    bench->state = state;
    bench->amount = COLUMNS * sizeof(float) / 1e6;
    state->dtype = (enum dtype)(variant & ~(uint32_t)WEIGHTED);
    state->values = mem_alloc(COLUMNS, sizeof *state->values, err);
    state->importance = weighted ? mem_alloc(COLUMNS, sizeof *state->importance, err) : NULL;
    state->encoded = mem_alloc(dtype_row_bytes(state->dtype, COLUMNS), 1, err);
    if (state->values == NULL || (weighted && state->importance == NULL) ||
        state->encoded == NULL) {
        encode_close(bench);
        return WEIR_ERR_MEMORY;
    }
    fill(state);
    return WEIR_OK;
}

static void encode_run(struct bench *bench)
{
    const struct encode_state *state = bench->state;
    encode_row(state->dtype, state->values, state->importance, state->encoded, COLUMNS);
}

#define PLAIN(type)                                                                                \
    {                                                                                              \
        "encode." #type, "MB/s", BENCH_RATE, DTYPE_##type, encode_open, encode_run, encode_close   \
    }
#define WEIGHTED(type)                                                                             \
    {                                                                                              \
        "encode." #type ".w", "MB/s", BENCH_RATE, DTYPE_##type | WEIGHTED, encode_open,            \
            encode_run, encode_close                                                               \
    }

const struct bench_row bench_encode_rows[] = {
    PLAIN(F16),        PLAIN(Q8_0),       PLAIN(Q4_0),      WEIGHTED(Q4_0),
    PLAIN(Q4_1),       WEIGHTED(Q4_1),    PLAIN(Q2_K),      WEIGHTED(Q2_K),
    PLAIN(Q3_K),       WEIGHTED(Q3_K),    PLAIN(Q4_K),      WEIGHTED(Q4_K),
    PLAIN(Q5_K),       WEIGHTED(Q5_K),    PLAIN(Q6_K),      WEIGHTED(Q6_K),
    PLAIN(IQ4_NL),     PLAIN(IQ4_XS),     WEIGHTED(IQ4_XS), PLAIN(IQ3_S),
    WEIGHTED(IQ3_S),   WEIGHTED(IQ3_XXS), WEIGHTED(IQ2_S),  WEIGHTED(IQ2_XS),
    WEIGHTED(IQ2_XXS), WEIGHTED(IQ1_S),   WEIGHTED(IQ1_M),  PLAIN(MXFP4),
    PLAIN(NVFP4),      PLAIN(TQ1_0),      PLAIN(Q1_0),      {0},
};
