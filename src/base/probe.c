/* SPDX-License-Identifier: MIT
 * Measures the machine. Knows the pool and the clock, and no instruction by name. */
#include "base/probe.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/file.h"
#include "base/probe_kernels.h"
#include "base/sort.h"

enum { SAMPLES = 7, SAMPLE_NS = 20000000 };

/* ---- samples --------------------------------------------------------------------------------- */

struct probe_rate probe_summarize(double *samples, uint32_t count)
{
    sort_f64(samples, count);
    const double median = (samples[(count - 1) / 2] + samples[count / 2]) / 2;
    const double width = samples[count - 1 - count / 4] - samples[count / 4];
    return (struct probe_rate){.median = median, .spread = 100 * width / median};
}

/* ---- reading memory -------------------------------------------------------------------------- */

uint64_t probe_memory_bytes(uint32_t cores)
{
    const uint64_t bytes = (uint64_t)cores << 25, least = UINT64_C(512) << 20;
    return bytes < least ? least : bytes;
}

enum { LINE_BYTES = 64, STREAMS = 4 };

/* Adds up the line at `data`, so that no load is dropped. */
static inline void add_line(uint64_t sums[8], const uint8_t *data)
{
    uint64_t words[LINE_BYTES / 8];
    memcpy(words, data, sizeof words);
    for (int i = 0; i < 8; i++)
        sums[i] += words[i];
}

static inline void add_lines(uint64_t sums[8], const uint8_t *data, uint64_t size, uint64_t ahead)
{
    for (uint64_t at = 0; at < size; at += LINE_BYTES) {
        if (ahead > 0)
            __builtin_prefetch(data + at + ahead);
        add_line(sums, data + at);
    }
}

static void add_plain(uint64_t sums[8], const uint8_t *data, uint64_t size)
{
    add_lines(sums, data, size, 0);
}

static void add_ahead_4k(uint64_t sums[8], const uint8_t *data, uint64_t size)
{
    add_lines(sums, data, size, 4096);
}

static void add_ahead_16k(uint64_t sums[8], const uint8_t *data, uint64_t size)
{
    add_lines(sums, data, size, 16384);
}

static void add_streams(uint64_t sums[8], const uint8_t *data, uint64_t size)
{
    const uint64_t stream = size / LINE_BYTES / STREAMS * LINE_BYTES;
    for (uint64_t at = 0; at < stream; at += LINE_BYTES) {
        for (int i = 0; i < STREAMS; i++)
            add_line(sums, data + i * stream + at);
    }
    add_plain(sums, data + STREAMS * stream, size - STREAMS * stream);
}

static const struct {
    const char *name;
    void (*add)(uint64_t sums[8], const uint8_t *data, uint64_t size);
} ways[PROBE_WAYS] = {
    [PROBE_PLAIN] = {"plain", add_plain},
    [PROBE_AHEAD_4K] = {"ahead-4K", add_ahead_4k},
    [PROBE_AHEAD_16K] = {"ahead-16K", add_ahead_16k},
    [PROBE_STREAMS_4] = {"streams-4", add_streams},
};

const char *probe_way_name(enum probe_way way)
{
    return ways[way].name;
}

/* Reads [data, data + size), whole lines, and returns a sum. */
static uint64_t sum_bytes(enum probe_way way, const uint8_t *data, uint64_t size)
{
    uint64_t sums[8] = {0}, sum = 0;
    ways[way].add(sums, data, size);
    for (int i = 0; i < 8; i++)
        sum += sums[i];
    return sum;
}

static uint64_t part_bytes(const struct probe_memory *memory)
{
    return memory->size / memory->threads / 64 * 64;
}

static void read_part(void *job, uint32_t thread)
{
    struct probe_memory *memory = job;
    const uint64_t part = part_bytes(memory);
    if (thread < memory->threads)
        memory->sum += sum_bytes(memory->way, memory->data + thread * part, part);
}

static void fill_part(void *job, uint32_t thread)
{
    const struct probe_memory *memory = job;
    const uint64_t part = part_bytes(memory);
    if (thread < memory->threads)
        memset(memory->data + thread * part, 1, part);
}

void probe_memory_fill(struct probe_memory *memory, struct pool *pool)
{
    pool_run(pool, fill_part, memory);
}

uint64_t probe_memory_read(struct probe_memory *memory, struct pool *pool)
{
    pool_run(pool, read_part, memory);
    return part_bytes(memory) * memory->threads;
}

static enum weir_status check_proceed(bool (*proceed)(void), struct weir_error *err)
{
    if (proceed == NULL || proceed())
        return WEIR_OK;
    return err_set(err, WEIR_ERR_CANCELLED, "cancelled while measuring the machine");
}

static enum weir_status measure_way(struct probe_rate *out, struct probe_memory *memory,
                                    struct pool *pool, bool (*proceed)(void),
                                    struct weir_error *err)
{
    double samples[SAMPLES];
    for (int i = 0; i < SAMPLES; i++) {
        const enum weir_status status = check_proceed(proceed, err);
        if (status != WEIR_OK)
            return status;
        const uint64_t start = clock_ns();
        const uint64_t bytes = probe_memory_read(memory, pool);
        samples[i] = (double)bytes / (double)(clock_ns() - start);
    }
    *out = probe_summarize(samples, SAMPLES);
    return WEIR_OK;
}

/* Reads by `threads` threads of the pool, in the best way. */
static enum weir_status measure_read(struct probe_read *out, struct pool *pool, uint32_t threads,
                                     bool (*proceed)(void), struct weir_error *err)
{
    struct probe_memory memory = {.size = probe_memory_bytes(pool_threads(pool)),
                                  .threads = threads};
    const uint64_t available = pages_available();
    enum weir_status status = WEIR_OK;
    if (available != 0 && available < memory.size)
        return err_set(err, WEIR_ERR_MEMORY, "measuring takes %llu MiB, only %llu MiB are free",
                       (unsigned long long)(memory.size >> 20),
                       (unsigned long long)(available >> 20));
    memory.data = pages_alloc(memory.size, err);
    if (memory.data == NULL)
        return WEIR_ERR_MEMORY;
    probe_memory_fill(&memory, pool);
    *out = (struct probe_read){.threads = threads};
    for (int way = 0; way < PROBE_WAYS; way++) {
        struct probe_rate rate;
        memory.way = (enum probe_way)way;
        TRY(measure_way(&rate, &memory, pool, proceed, err));
        if (rate.median > out->rate.median)
            *out = (struct probe_read){.threads = threads, .way = memory.way, .rate = rate};
    }
out:
    pages_free(memory.data, memory.size);
    return status;
}

static enum weir_status measure_reads(struct probe *out, struct pool *pool, bool (*proceed)(void),
                                      struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    uint32_t threads = 1;
    for (;;) {
        TRY(measure_read(&out->reads[out->reads_count], pool, threads, proceed, err));
        out->reads_count++;
        if (threads == out->threads || out->reads_count == PROBE_READS_MAX)
            break;
        const bool is_last = threads * 2 > out->threads || out->reads_count == PROBE_READS_MAX - 1;
        threads = is_last ? out->threads : threads * 2;
    }
out:
    return status;
}

double probe_read_rate(const struct probe *probe, uint32_t threads)
{
    const struct probe_read *reads = probe->reads;
    uint32_t i = 0;
    while (i < probe->reads_count && reads[i].threads < threads)
        i++;
    if (i == probe->reads_count)
        return reads[i - 1].rate.median;
    if (i == 0 || reads[i].threads == threads)
        return reads[i].rate.median;
    const double part = (double)(threads - reads[i - 1].threads) /
                        (double)(reads[i].threads - reads[i - 1].threads);
    return reads[i - 1].rate.median + part * (reads[i].rate.median - reads[i - 1].rate.median);
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

struct work {
    const struct probe_kernel *kernel;
    uint64_t rounds;
};

static void run_kernel(void *job, uint32_t thread)
{
    const struct work *work = job;
    uint8_t result[PROBE_RESULT_BYTES];
    (void)thread;
    work->kernel->run(work->rounds, result);
}

static uint64_t ns_of_work(const struct work *work, struct pool *pool)
{
    struct work copy = *work;
    const uint64_t start = clock_ns();
    pool_run(pool, run_kernel, &copy);
    return clock_ns() - start;
}

static enum weir_status measure_peak(struct probe_peak *out, const struct probe_kernel *kernel,
                                     struct pool *pool, bool (*proceed)(void),
                                     struct weir_error *err)
{
    double samples[SAMPLES];
    struct work work = {.kernel = kernel, .rounds = 1000};
    while (ns_of_work(&work, pool) < SAMPLE_NS)
        work.rounds *= 2;
    for (int i = 0; i < SAMPLES; i++) {
        const enum weir_status status = check_proceed(proceed, err);
        if (status != WEIR_OK)
            return status;
        const double ops = (double)kernel->ops * (double)work.rounds * pool_threads(pool);
        samples[i] = ops / (double)ns_of_work(&work, pool);
    }
    *out = (struct probe_peak){.rate = probe_summarize(samples, SAMPLES)};
    snprintf(out->type, sizeof out->type, "%s", kernel->type);
    snprintf(out->name, sizeof out->name, "%s", kernel->name);
    return WEIR_OK;
}

/* Of the features, those that may be used now. */
static uint32_t allowed_features(void)
{
    const uint32_t features = cpu_features(), tiles = CPU_AMX_INT8 | CPU_AMX_BF16;
    return (features & tiles) != 0 && !cpu_allow_amx() ? features & ~tiles : features;
}

static enum weir_status measure_peaks(struct probe *out, struct pool *pool, bool (*proceed)(void),
                                      struct weir_error *err)
{
    const uint32_t features = allowed_features();
    enum weir_status status = WEIR_OK;
    for (const struct probe_kernel *kernel = probe_kernels(); kernel->name != NULL; kernel++) {
        if ((kernel->features & features) != kernel->features)
            continue;
        TRY(measure_peak(&out->peaks[out->peaks_count], kernel, pool, proceed, err));
        out->peaks_count++;
    }
out:
    return status;
}

/* ---- the machine ----------------------------------------------------------------------------- */

enum weir_status probe_measure(struct probe *out, uint32_t threads, bool (*proceed)(void),
                               struct weir_error *err)
{
    struct pool *pool = NULL;
    enum weir_status status;
    *out = (struct probe){.threads = threads};
    TRY(pool_open(&pool, threads, err));
    TRY(measure_reads(out, pool, proceed, err));
    TRY(measure_peaks(out, pool, proceed, err));
out:
    pool_close(pool);
    return status;
}
