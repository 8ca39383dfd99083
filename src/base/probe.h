/* SPDX-License-Identifier: MIT
 * Measures what the machine can do at best: bytes read from memory, and operations of types that
 * matter for models. Knows nothing of models. */
#ifndef BASE_PROBE_H
#define BASE_PROBE_H

#include "base/pool.h"

/* ---- samples --------------------------------------------------------------------------------- */

struct probe_rate {
    double median;
    double spread; /* width of the middle half of the samples, in percent of the median */
};

/* Sorts the samples, of which there is at least one. */
struct probe_rate probe_summarize(double *samples, uint32_t count);

/* ---- reading memory -------------------------------------------------------------------------- */

/* Ways to read: how many loads are under way decides how much a core gets, and which way is best
 * differs by processor. All are of memory in huge pages, where the system grants them. */
enum probe_way { PROBE_PLAIN, PROBE_AHEAD_4K, PROBE_AHEAD_16K, PROBE_STREAMS_4, PROBE_WAYS };

/* "plain", "ahead-4K" (prefetching so far ahead), "streams-4" (at four places in turn). */
const char *probe_way_name(enum probe_way way);

/* Memory that threads of a pool read side by side, each its part. */
struct probe_memory {
    uint8_t *data;
    uint64_t size;
    uint32_t threads; /* that read: at most those of the pool */
    enum probe_way way;
    _Atomic uint64_t sum;
};

/* Many times the last-level cache: 32 MiB for each core, at least 512 MiB. */
uint64_t probe_memory_bytes(uint32_t cores);

/* Writes each part by the thread that reads it, so that on a machine with several memories it is
 * near. */
void probe_memory_fill(struct probe_memory *memory, struct pool *pool);

/* Sums up all parts once. Returns the bytes read: `size`, but for less than 64 a thread. */
uint64_t probe_memory_read(struct probe_memory *memory, struct pool *pool);

/* ---- the machine ----------------------------------------------------------------------------- */

enum { PROBE_READS_MAX = 16, PROBE_PEAKS_MAX = 16, PROBE_NAME_MAX = 24 };

struct probe_read {
    uint32_t threads;
    enum probe_way way;     /* the best one */
    struct probe_rate rate; /* GB/s */
};

/* A way to multiply and add, by all threads. */
struct probe_peak {
    char type[PROBE_NAME_MAX]; /* of what is multiplied: "f32", "bf16", "int8" */
    char name[PROBE_NAME_MAX]; /* of the instructions: "AVX512-VNNI" */
    struct probe_rate rate;    /* 10^9 multiplications and additions a second */
};

struct probe {
    uint32_t threads;                         /* of all that is not said to have fewer */
    struct probe_read reads[PROBE_READS_MAX]; /* ascending: 1, 2, 4, ... and `threads` */
    uint32_t reads_count;
    struct probe_peak peaks[PROBE_PEAKS_MAX]; /* only what the processor and the system can do */
    uint32_t peaks_count;
};

/* Measures with up to `threads` threads, for some seconds. `proceed` (may be NULL) is asked between
 * samples; a false is WEIR_ERR_CANCELLED. WEIR_ERR_MEMORY if the memory to read is not free. */
enum weir_status probe_measure(struct probe *out, uint32_t threads, bool (*proceed)(void),
                               struct weir_error *err);

/* What so many threads can read, in GB/s: as measured, or in between what was; more threads than
 * were measured read no more. */
double probe_read_rate(const struct probe *probe, uint32_t threads);

#endif
