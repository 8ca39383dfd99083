/* SPDX-License-Identifier: MIT
 * A fixed team of threads that run one job together, and the barrier inside a job. */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include "base/err.h"

/* Threads that wait spin for some 50 microseconds, unless there are more of them than processors,
 * and then sleep. */
struct pool;

/* `thread` counts from 0; thread 0 is the caller of pool_run. */
typedef void pool_job_fn(void *job, uint32_t thread);

/* Starts threads - 1 threads. WEIR_ERR_MEMORY when the system refuses one. */
enum weir_status pool_open(struct pool **out, uint32_t threads, struct weir_error *err);
/* Likewise; thread i is bound to processor cpus[i] ([threads]; NULL: to none). The caller is not:
 * pool_run moves it to its place if it is elsewhere and may go there, and leaves its affinity as it
 * was. The other threads keep that place free for it. */
enum weir_status pool_open_bound(struct pool **out, uint32_t threads, const uint16_t *cpus,
                                 struct weir_error *err);
void pool_close(struct pool *pool);

uint32_t pool_threads(const struct pool *pool);

/* Runs `fn` once on every thread and returns when all have. Not reentrant. */
void pool_run(struct pool *pool, pool_job_fn *fn, void *job);

/* Inside a job: waits until every thread is here. What was written before is seen after. */
void pool_barrier(struct pool *pool);

#endif
