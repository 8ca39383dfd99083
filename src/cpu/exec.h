/* SPDX-License-Identifier: MIT
 * A plan prepared for the CPU: its phases, and where everything lies for each thread. */
#ifndef CPU_EXEC_H
#define CPU_EXEC_H

#include <stdatomic.h>

#include "base/pool.h"
#include "cpu/kernels.h"
#include "plan/phases.h"

struct device {
    struct pool *pool;
    const struct kernels *kernels;
};

/* The plan for steps of some size. */
struct program {
    struct plan_limits limits;
    struct turn *turns;
    uint8_t *block; /* activations */
    uint64_t block_bytes;
    struct host_bound bound;
    uint8_t ***address; /* [threads][buffers]: a thread's own where each computes them */
    uint8_t *own;       /* the activations of threads 1 and on that are theirs alone */
    uint64_t own_bytes;
    uint32_t *extra_bytes; /* behind the rows, for each, by buffer: of a row in 8 bits where a
                              product reads it so, of a routing what is gathered (gather.h) */
};

/* For steps of up to PHASES_REPEAT_ROWS, and for others. */
enum { PROGRAM_SMALL, PROGRAM_LARGE, PROGRAMS };

/* Chunks of a share of an op that threads have begun in this step. */
struct taken {
    _Atomic uint32_t chunks;
};

struct exec {
    struct device *device;
    const struct plan *plan;
    struct program program[PROGRAMS];
    const struct program *last; /* that ran: where the results are */
    uint8_t *form;              /* enum weight_form, by buffer */
    uint8_t *shared;            /* pages of what follows, each part of it in lines of its own */
    uint64_t shared_bytes;
    float *scratch; /* scratch_count floats for each thread */
    uint64_t scratch_count;
    struct attend_team team;
    const struct step *step;
    struct taken *taken;      /* [ops][threads]: of each thread's share */
    _Atomic uint32_t stop_at; /* phase after which the step ends, or UINT32_MAX */
};

/* Bytes that an exec needs for steps of `threads` threads, some KiB of tables aside. */
enum weir_status exec_measure(const struct plan *plan, const struct plan_limits *limits,
                              uint32_t threads, struct backend_needs *out, struct weir_error *err);
enum weir_status exec_open(struct exec **out, struct device *device,
                           const struct backend_bind *bind, struct weir_error *err);
void exec_close(struct exec *exec);
void exec_rebind(struct exec *exec, uint32_t weight, const void *address);

enum weir_status exec_run(struct exec *exec, const struct step *step, struct weir_error *err);

#endif
