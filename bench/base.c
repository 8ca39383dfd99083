/* SPDX-License-Identifier: MIT
 * Rows of the room base: how fast this machine reads memory, which is the peak that other rows are
 * compared with, and what the thread pool and the random numbers cost. */
#include "micro.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

/* ---- reading memory -------------------------------------------------------------------------- */

enum memory_read { READ_ALL, READ_ONE_THREAD, READ_HEAP };

/* Many times the last-level cache. */
static const uint64_t read_bytes = 512u << 20;

struct read_state {
    uint8_t *memory;
    bool heap;        /* memory from mem_alloc, in small pages; else in huge pages */
    uint32_t threads; /* that read */
    _Atomic uint64_t sum;
};

/* Reads [data, data + size), 64 bytes a step, and returns a sum so that no load is dropped. The
 * prefetch runs PREFETCH_BYTES ahead: past the end of a 4 KiB page, where the hardware's stops. */
static uint64_t sum_bytes(const uint8_t *data, uint64_t size)
{
    enum { PREFETCH_BYTES = 4096 };
    uint64_t sums[8] = {0};
    for (uint64_t at = 0; at < size; at += 64) {
        uint64_t words[8];
        __builtin_prefetch(data + at + PREFETCH_BYTES);
        memcpy(words, data + at, sizeof words);
        for (int i = 0; i < 8; i++)
            sums[i] += words[i];
    }
    uint64_t sum = 0;
    for (int i = 0; i < 8; i++)
        sum += sums[i];
    return sum;
}

static void read_part(void *job, uint32_t thread)
{
    struct read_state *state = job;
    if (thread >= state->threads)
        return;
    const uint64_t part = read_bytes / state->threads / 64 * 64;
    state->sum += sum_bytes(state->memory + thread * part, part);
}

/* Written by the thread that reads it, so that on a machine with several memories it is near. */
static void fill_part(void *job, uint32_t thread)
{
    const struct read_state *state = job;
    if (thread >= state->threads)
        return;
    const uint64_t part = read_bytes / state->threads / 64 * 64;
    memset(state->memory + thread * part, 1, part);
}

static void read_close(struct bench *bench)
{
    struct read_state *state = bench->state;
    if (state->heap)
        mem_free(state->memory);
    else
        pages_free(state->memory, read_bytes);
    mem_free(state);
}

static enum weir_status read_open(struct bench *bench, uint32_t variant, struct weir_error *err)
{
    struct read_state *state = mem_alloc(1, sizeof *state, err);
    if (state == NULL)
        return WEIR_ERR_MEMORY;
    bench->state = state;
    state->threads = variant == READ_ONE_THREAD ? 1 : pool_threads(bench->pool);
    state->heap = variant == READ_HEAP;
    state->memory = state->heap ? mem_alloc(read_bytes, 1, err) : pages_alloc(read_bytes, err);
    if (state->memory == NULL) {
        mem_free(state);
        return WEIR_ERR_MEMORY;
    }
    pool_run(bench->pool, fill_part, state);
    bench->amount = (double)(read_bytes / state->threads / 64 * 64 * state->threads) / 1e9;
    return WEIR_OK;
}

static void read_run(struct bench *bench)
{
    pool_run(bench->pool, read_part, bench->state);
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
