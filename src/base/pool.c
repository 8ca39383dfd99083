/* SPDX-License-Identifier: MIT
 * A fixed team of threads. Knows nothing of the jobs.
 *
 * Waiting spins for a while before it sleeps on a futex: a step of a small model has hundreds of
 * barriers that are each shorter than a system call, but idle sessions must not burn a core. */
#include "base/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/mem.h"

enum {
    SPIN_NS = 50000,      /* then a thread that waits sleeps */
    PAUSES_PER_LOOK = 16, /* at the clock: a PAUSE takes 10 to 140 cycles, the clock some 60 */
    LINE_BYTES = 128,     /* two lines of the cache, which are fetched as a pair */
};

struct pool_worker {
    struct pool *pool;
    pthread_t id;
    uint32_t thread;
    int cpu; /* that it is bound to, or -1 */
};

/* What threads wait for: that `count` goes on. */
struct gate {
    _Atomic uint32_t count;
    _Atomic uint32_t sleepers; /* that the kernel may have to wake */
    uint8_t padding[LINE_BYTES - 2 * sizeof(uint32_t)];
};

struct pool {
    struct gate job;          /* counts jobs; a worker runs when it goes on */
    struct gate barrier;      /* counts barriers passed */
    _Atomic uint32_t arrived; /* threads at the barrier */
    uint8_t padding[LINE_BYTES - sizeof(uint32_t)];
    pool_job_fn *fn;
    void *argument;
    uint32_t threads;
    uint32_t started; /* workers that run, so that a half-made pool can be closed */
    int caller_cpu;   /* where thread 0 is to run, or -1 */
    bool spins;       /* there is a processor for each thread */
    _Atomic bool closing;
    struct pool_worker workers[];
};

/* ---- waiting --------------------------------------------------------------------------------- */

static void pause_cpu(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb"); /* `yield` does nothing on most cores */
#endif
}

static bool gate_is_passed(const struct gate *gate, uint32_t old)
{
    return atomic_load_explicit(&gate->count, memory_order_acquire) != old;
}

/* True when the count is no longer `old`, false after SPIN_NS. */
static bool gate_spin(const struct gate *gate, uint32_t old)
{
    uint64_t start = 0;
    for (;;) {
        for (int i = 0; i < PAUSES_PER_LOOK; i++) {
            if (gate_is_passed(gate, old))
                return true;
            pause_cpu();
        }
        const uint64_t now = clock_ns();
        start = start == 0 ? now : start;
        if (now - start > SPIN_NS)
            return false;
    }
}

/* Returns when the count is no longer `old`. A sleeper counts itself before it looks at the count,
 * who goes on looks at the sleepers after: in the one order of all four, one sees the other. */
static void gate_wait(struct gate *gate, uint32_t old, bool spins)
{
    if (gate_is_passed(gate, old) || (spins && gate_spin(gate, old)))
        return;
    atomic_fetch_add(&gate->sleepers, 1);
    while (atomic_load(&gate->count) == old)
        syscall(SYS_futex, &gate->count, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&gate->sleepers, 1);
}

static void gate_advance(struct gate *gate)
{
    atomic_fetch_add(&gate->count, 1);
    if (atomic_load(&gate->sleepers) > 0)
        syscall(SYS_futex, &gate->count, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

/* ---- the team -------------------------------------------------------------------------------- */

/* A refusal, as when the processor was taken from the process since, leaves the thread where it is.
 */
static void bind_thread(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    sched_setaffinity(0, sizeof set, &set);
}

/* The caller's affinity is its own: it is moved and let go. */
static void move_caller(int cpu)
{
    cpu_set_t before;
    if (cpu < 0 || sched_getcpu() == cpu || sched_getaffinity(0, sizeof before, &before) != 0 ||
        !CPU_ISSET(cpu, &before))
        return;
    bind_thread(cpu);
    sched_setaffinity(0, sizeof before, &before);
}

/* True if each thread has a processor to itself. */
static bool has_room(uint32_t threads, const uint16_t *cpus)
{
    cpu_set_t taken;
    CPU_ZERO(&taken);
    for (uint32_t i = 0; cpus != NULL && i < threads; i++)
        CPU_SET(cpus[i], &taken);
    return threads <= (cpus != NULL ? (uint32_t)CPU_COUNT(&taken) : cpu_count());
}

static void *worker_main(void *argument)
{
    const struct pool_worker *worker = argument;
    struct pool *pool = worker->pool;
    uint32_t seen = 0;
    if (worker->cpu >= 0)
        bind_thread(worker->cpu);
    for (;;) {
        gate_wait(&pool->job, seen, pool->spins);
        seen++;
        if (atomic_load_explicit(&pool->closing, memory_order_acquire))
            return NULL;
        pool->fn(pool->argument, worker->thread);
        pool_barrier(pool);
    }
}

enum weir_status pool_open_bound(struct pool **out, uint32_t threads, const uint16_t *cpus,
                                 struct weir_error *err)
{
    *out = NULL;
    struct pool *pool =
        mem_alloc(1, sizeof *pool + (uint64_t)threads * sizeof(struct pool_worker), err);
    if (pool == NULL)
        return WEIR_ERR_MEMORY;
    pool->threads = threads;
    pool->spins = has_room(threads, cpus);
    pool->caller_cpu = cpus != NULL ? cpus[0] : -1;
    for (uint32_t i = 1; i < threads; i++) {
        struct pool_worker *worker = &pool->workers[i];
        *worker =
            (struct pool_worker){.pool = pool, .thread = i, .cpu = cpus != NULL ? cpus[i] : -1};
        if (pthread_create(&worker->id, NULL, worker_main, worker) != 0) {
            pool_close(pool);
            return err_set(err, WEIR_ERR_MEMORY, "cannot start thread %u of %u", i + 1, threads);
        }
        pool->started = i;
    }
    *out = pool;
    return WEIR_OK;
}

enum weir_status pool_open(struct pool **out, uint32_t threads, struct weir_error *err)
{
    return pool_open_bound(out, threads, NULL, err);
}

void pool_close(struct pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store_explicit(&pool->closing, true, memory_order_release);
    gate_advance(&pool->job);
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
    pool->argument = job;
    move_caller(pool->caller_cpu);
    if (pool->threads > 1)
        gate_advance(&pool->job);
    fn(job, 0);
    pool_barrier(pool);
}

void pool_barrier(struct pool *pool)
{
    if (pool->threads == 1)
        return;
    const uint32_t passed = atomic_load_explicit(&pool->barrier.count, memory_order_acquire);
    const uint32_t arrived = atomic_fetch_add_explicit(&pool->arrived, 1, memory_order_acq_rel);
    if (arrived + 1 == pool->threads) {
        atomic_store_explicit(&pool->arrived, 0, memory_order_relaxed);
        gate_advance(&pool->barrier);
        return;
    }
    gate_wait(&pool->barrier, passed, pool->spins);
}
