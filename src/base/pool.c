/* SPDX-License-Identifier: MIT
 * A fixed team of threads. Knows nothing of the jobs.
 *
 * Waiting spins for a while before it sleeps on a futex: a step of a small model has hundreds of
 * barriers that are each shorter than a system call, but idle sessions must not burn a core. */
#include "base/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/mem.h"

enum { SPINS_BEFORE_SLEEP = 4000 };

struct pool_worker {
    struct pool *pool;
    pthread_t id;
    uint32_t thread;
};

struct pool {
    uint32_t threads;
    uint32_t started; /* workers that run, so that a half-made pool can be closed */
    pool_job_fn *fn;
    void *job;
    _Atomic uint32_t generation; /* counts jobs; a worker runs when it changes */
    _Atomic uint32_t arrived;    /* threads at the barrier */
    _Atomic uint32_t phase;      /* counts barriers passed */
    _Atomic bool closing;
    struct pool_worker workers[];
};

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Returns when *word is no longer `old`. */
static void wait_while(_Atomic uint32_t *word, uint32_t old)
{
    for (int spin = 0; spin < SPINS_BEFORE_SLEEP; spin++) {
        if (atomic_load_explicit(word, memory_order_acquire) != old)
            return;
        pause_cpu();
    }
    while (atomic_load_explicit(word, memory_order_acquire) == old)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
}

static void advance(_Atomic uint32_t *word)
{
    atomic_fetch_add_explicit(word, 1, memory_order_release);
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

static void *worker_main(void *argument)
{
    const struct pool_worker *worker = argument;
    struct pool *pool = worker->pool;
    uint32_t seen = 0;
    for (;;) {
        wait_while(&pool->generation, seen);
        seen++;
        if (atomic_load_explicit(&pool->closing, memory_order_acquire))
            return NULL;
        pool->fn(pool->job, worker->thread);
        pool_barrier(pool);
    }
}

enum weir_status pool_open(struct pool **out, uint32_t threads, struct weir_error *err)
{
    *out = NULL;
    struct pool *pool =
        mem_alloc(1, sizeof *pool + (uint64_t)threads * sizeof(struct pool_worker), err);
    if (pool == NULL)
        return WEIR_ERR_MEMORY;
    pool->threads = threads;
    for (uint32_t i = 1; i < threads; i++) {
        struct pool_worker *worker = &pool->workers[i];
        *worker = (struct pool_worker){.pool = pool, .thread = i};
        if (pthread_create(&worker->id, NULL, worker_main, worker) != 0) {
            pool_close(pool);
            return err_set(err, WEIR_ERR_MEMORY, "cannot start thread %u of %u", i + 1, threads);
        }
        pool->started = i;
    }
    *out = pool;
    return WEIR_OK;
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store_explicit(&pool->closing, true, memory_order_release);
    advance(&pool->generation);
    for (uint32_t i = 1; i <= pool->started; i++)
        pthread_join(pool->workers[i].id, NULL);
    mem_free(pool);
}

uint32_t pool_threads(const struct pool *pool)
{
    return pool->threads;
}

void pool_run(struct pool *pool, pool_job_fn *fn, void *job)
{
    pool->fn = fn;
    pool->job = job;
    if (pool->threads > 1)
        advance(&pool->generation);
    fn(job, 0);
    pool_barrier(pool);
}

void pool_barrier(struct pool *pool)
{
    if (pool->threads == 1)
        return;
    const uint32_t phase = atomic_load_explicit(&pool->phase, memory_order_acquire);
    const uint32_t arrived = atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel);
    if (arrived + 1 == pool->threads) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        advance(&pool->phase);
        return;
    }
    wait_while(&pool->phase, phase);
}
