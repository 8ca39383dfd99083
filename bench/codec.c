/* SPDX-License-Identifier: MIT
 * Rows of the room format: decoding of block formats to F32 by one thread, in bytes of the encoded
 * side. */
#include "micro.h"

#include "base/mem.h"
#include "base/rng.h"
#include "format/codec.h"

enum { ELEMENTS = 64 * 1024 }; /* decoded: 256 KiB, in the second-level cache */

struct codec_state {
    enum dtype dtype;
    float *decoded;
    uint8_t *encoded;
};

static void codec_close(struct bench *bench)
{
    struct codec_state *state = bench->state;
    mem_free(state->decoded);
    mem_free(state->encoded);
    mem_free(state);
}

/* Random bytes, of which those that are scales may be any number: decoding takes no other time. */
static enum weir_status codec_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    const enum dtype dtype = (enum dtype)variant;
    const uint64_t bytes = dtype_row_bytes(dtype, ELEMENTS);
    struct codec_state *state = mem_alloc(1, sizeof *state, err);
    if (state == NULL)
        return WEIR_ERR_MEMORY;
    bench->state = state;
    bench->amount = (double)bytes / 1e9;
    state->dtype = dtype;
    state->decoded = mem_alloc(ELEMENTS, sizeof *state->decoded, err);
    state->encoded = mem_alloc(bytes, 1, err);
    if (state->decoded == NULL || state->encoded == NULL) {
        codec_close(bench);
        return WEIR_ERR_MEMORY;
    }
    for (uint64_t i = 0; i < bytes; i++)
        state->encoded[i] = (uint8_t)(rng_bits(1, variant, i) & 0x7b); /* no Inf or NaN */
    return WEIR_OK;
}

static void codec_run(struct bench *bench)
{
    const struct codec_state *state = bench->state;
    codec_decode_row(state->dtype, state->encoded, state->decoded, ELEMENTS);
}

#define ROW(type)                                                                                  \
    {                                                                                              \
        "codec." #type, "GB/s", BENCH_RATE, DTYPE_##type, codec_open, codec_run, codec_close       \
    }

const struct bench_row bench_codec_rows[] = {
    ROW(F16),  ROW(BF16), ROW(Q4_0), ROW(Q8_0),   ROW(Q4_K),
    ROW(Q5_K), ROW(Q6_K), ROW(Q2_K), ROW(IQ4_XS), {0},
};
