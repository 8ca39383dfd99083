/* SPDX-License-Identifier: MIT
 * Rows of whole steps on a made-up 0.8B Q4_0 model, which is written to a temporary file: tokens a
 * second of decoding and of a prompt, and the weights' bytes a second of decoding. */
#include "micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

enum forward_row { DECODE_TOKENS, DECODE_BYTES, PREFILL_TOKENS };
enum { PROMPT = 16, CONTEXT = 512 };

struct forward_state {
    struct weir_model *model;
    struct weir_engine *engine;
    struct weir_session *session;
    uint32_t rows; /* of a run */
};

static void forward_close(struct bench *bench)
{
    struct forward_state *state = bench->state;
    weir_session_close(state->session);
    weir_engine_close(state->engine);
    weir_model_close(state->model);
    mem_free(state);
}

/* The mapping outlives the name of the file. */
static enum weir_status open_model(struct forward_state *state, struct weir_error *err)
{
    struct weir_synth_options synth;
    char path[64];
    snprintf(path, sizeof path, "/tmp/weir-micro-%ld.gguf", (long)getpid());
    weir_synth_options_init(&synth);
    synth.size = "0.8B";
    synth.type = "q4_0";
    enum weir_status status = weir_synth(path, &synth, err);
    if (status == WEIR_OK)
        status = weir_model_open(&state->model, path, NULL, err);
    unlink(path);
    return status;
}

static enum weir_status forward_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    struct weir_engine_options options;
    struct weir_memory memory;
    enum weir_status status;
    struct forward_state *state = mem_alloc(1, sizeof *state, err);
    if (state == NULL)
        return WEIR_ERR_MEMORY;
    bench->state = state;
    weir_engine_options_init(&options);
    options.backend = "ref"; /* weir bench measures the others */
    options.context = CONTEXT;
    options.threads = pool_threads(bench->pool);
    TRY(open_model(state, err));
    TRY(weir_memory_estimate(state->model, &options, &memory, err));
    TRY(weir_engine_open(&state->engine, state->model, &options, err));
    TRY(weir_session_open(&state->session, state->engine, err));
    state->rows = variant == PREFILL_TOKENS ? PROMPT : 1;
    bench->amount = variant == DECODE_BYTES ? (double)memory.weights / 1e9 : state->rows;
    return WEIR_OK;
out:
    forward_close(bench);
    return status;
}

static void forward_run(struct bench *bench)
{
    const struct forward_state *state = bench->state;
    int32_t tokens[PROMPT];
    if (weir_session_position(state->session) + state->rows > CONTEXT)
        weir_session_reset(state->session);
    for (uint32_t i = 0; i < state->rows; i++)
        tokens[i] = (int32_t)(weir_session_position(state->session) + i);
    weir_session_eval(state->session, tokens, state->rows, WEIR_LOGITS_LAST, NULL);
}

const struct bench_row bench_forward_rows[] = {
    {"ref.decode.0.8B-q4_0", "tok/s", BENCH_RATE, DECODE_TOKENS, forward_open, forward_run,
     forward_close},
    {"ref.decode.0.8B-q4_0.weights", "GB/s", BENCH_RATE, DECODE_BYTES, forward_open, forward_run,
     forward_close},
    {"ref.prefill-16.0.8B-q4_0", "tok/s", BENCH_RATE, PREFILL_TOKENS, forward_open, forward_run,
     forward_close},
    {0},
};
