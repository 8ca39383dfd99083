/* SPDX-License-Identifier: MIT
 * Rows of the room base: how fast this machine reads memory, which is the peak that other rows are
 * compared with, and what the thread pool and the random numbers cost. */
#include "micro.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/probe.h"
#include "base/rng.h"

/* ---- reading memory -------------------------------------------------------------------------- */

enum memory_read { READ_ALL, READ_ONE_THREAD, READ_HEAP };

struct read_state {
    struct probe_memory memory;
    bool heap; /* memory from mem_alloc, in small pages; else in huge pages */
};

static void read_close(struct bench *bench)
{
    struct read_state *state = bench->state;
    if (state->heap)
        mem_free(state->memory.data);
    else
        pages_free(state->memory.data, state->memory.size);
    mem_free(state);
}

static void read_run(struct bench *bench)
{
    struct read_state *state = bench->state;
    bench->amount = (double)probe_memory_read(&state->memory, bench->pool) / 1e9;
}

static enum weir_status read_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    struct read_state *state = mem_alloc(1, sizeof *state, err);
    if (state == NULL)
        return WEIR_ERR_MEMORY;
    bench->state = state;
    state->heap = variant == READ_HEAP;
    struct probe_memory *memory = &state->memory;
    memory->size = probe_memory_bytes(pool_threads(bench->pool));
    memory->way = PROBE_AHEAD_4K;
    memory->threads = variant == READ_ONE_THREAD ? 1 : pool_threads(bench->pool);
    memory->data = state->heap ? mem_alloc(memory->size, 1, err) : pages_alloc(memory->size, err);
    if (memory->data == NULL) {
        mem_free(state);
        return WEIR_ERR_MEMORY;
    }
    probe_memory_fill(memory, bench->pool);
    return WEIR_OK;
}

/* ---- the thread pool ------------------------------------------------------------------------- */

enum { BARRIERS = 100 };

static void do_nothing(void *job, uint32_t thread)
{
    (void)job, (void)thread;
}

static void pass_barriers(void *job, uint32_t thread)
{
    (void)thread;
    for (int i = 0; i < BARRIERS; i++)
        pool_barrier(job);
}

static enum weir_status pool_row_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    (void)err;
    bench->amount = variant;
    return WEIR_OK;
}

static void pool_row_run(struct bench *bench)
{
    pool_run(bench->pool, do_nothing, NULL);
}

static void barrier_run(struct bench *bench)
{
    pool_run(bench->pool, pass_barriers, bench->pool);
}

static void nothing_close(struct bench *bench)
{
    (void)bench;
}

/* ---- random numbers -------------------------------------------------------------------------- */

enum { NORMALS = 4096 };

static enum weir_status normal_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    (void)variant;
    bench->amount = NORMALS / 1e6;
    bench->state = mem_alloc(NORMALS, sizeof(float), err);
    return bench->state == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static void normal_run(struct bench *bench)
{
    float *values = bench->state;
    for (uint64_t i = 0; i < NORMALS; i++)
        values[i] = (float)rng_normal(1, 2, i);
}

static void normal_close(struct bench *bench)
{
    mem_free(bench->state);
}

const struct bench_row bench_base_rows[] = {
    {"memory.read", "GB/s", BENCH_RATE, READ_ALL, read_open, read_run, read_close},
    {"memory.read.1-thread", "GB/s", BENCH_RATE, READ_ONE_THREAD, read_open, read_run, read_close},
    {"memory.read.heap", "GB/s", BENCH_RATE, READ_HEAP, read_open, read_run, read_close},
    {"pool.run", "us", BENCH_TIME, 1, pool_row_open, pool_row_run, nothing_close},
    {"pool.barrier", "us", BENCH_TIME, BARRIERS, pool_row_open, barrier_run, nothing_close},
    {"rng.normal", "M/s", BENCH_RATE, 0, normal_open, normal_run, normal_close},
    {0},
};
