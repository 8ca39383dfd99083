/* SPDX-License-Identifier: MIT
 * What runs plans: the interface of every backend. A pointer to data appears first in `prepare`;
 * a backend sees a plan, never a model. */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include "plan/plan.h"

struct device; /* threads, or a GPU */
struct memory; /* a block of the device's memory */
struct exec;   /* a plan bound to weights and memory, ready to run */

/* How a weight lies in memory. One that is late will come into the backend's form (`rebind`): until
 * then it is used as if it were in it, to the same bits. */
enum weight_form { WEIGHT_AS_FILE, WEIGHT_LATE, WEIGHT_HELD };

/* What `prepare` binds a plan to. Borrowed until `release`. */
struct backend_bind {
    const struct plan *plan;
    struct plan_limits limits;
    const void *const *weights;   /* host address of each weight of the model, by buf.source */
    const enum weight_form *form; /* by buf.source; NULL: all as in the file */
    struct memory *state;         /* laid out by plan_place_state */
};

/* Rows of a matrix, columns of its product: a thread has whole units of them, since two groups of a
 * packed matrix make one block of 8 bits. */
enum { BACKEND_ROWS_UNIT = 32 };

/* Share `part` of `parts` of `count` things: [*first, *last), in units of `unit`. The thread that
 * brings rows of a matrix into memory is the one that will read them, so that they are near. */
static inline void backend_share(uint64_t count, uint32_t unit, uint32_t part, uint32_t parts,
                                 uint64_t *first, uint64_t *last)
{
    const uint64_t units = (count + unit - 1) / unit;
    *first = units * part / parts * unit;
    *last = units * (part + 1) / parts * unit;
    if (*last > count)
        *last = count;
}

/* Where thread `thread` notes when it begins and ends each op of the plan; NULL: nobody asks. */
static inline struct op_clock *backend_clocks(const struct plan *plan, const struct step *step,
                                              uint32_t thread)
{
    return step->clocks == NULL ? NULL : step->clocks + (uint64_t)thread * plan->op_count;
}

/* What the clock of the step shows; 0 if nobody asks. */
static inline uint64_t backend_time(const struct step *step)
{
    return step->clocks == NULL ? 0 : step->clock();
}

/* Bytes that `prepare` will allocate. */
struct backend_needs {
    uint64_t activations; /* without the logits */
    uint64_t logits;
    uint64_t scratch;
};

struct backend_threads {
    uint32_t count;       /* at least 1 */
    const uint16_t *cpus; /* [count]: where each is to run (pool_open_bound); NULL: anywhere */
};

struct backend {
    const char *name;
    const char *description; /* one line */

    /* `isa` names the best level of instructions that may be used, NULL: any. */
    enum weir_status (*open)(struct device **out, const struct backend_threads *threads,
                             const char *isa, struct weir_error *err);
    void (*close)(struct device *device);
    /* The level of instructions that the device uses. NULL: there is but one. */
    const char *(*isa)(const struct device *device);

    /* Zeroed memory of the device. */
    enum weir_status (*alloc)(struct memory **out, struct device *device, uint64_t bytes,
                              struct weir_error *err);
    void (*free)(struct memory *memory);
    void (*clear)(struct memory *memory, uint64_t offset, uint64_t bytes);
    /* A copy of a range for the host. */
    void (*fetch)(const struct memory *memory, uint64_t offset, void *out, uint64_t bytes);
    /* The way back. */
    void (*store)(struct memory *memory, uint64_t offset, const void *in, uint64_t bytes);

    /* The form in which the backend wants matrices of a type: bytes of a matrix, 0 if as in the
     * file. Both NULL: all as in the file. */
    uint64_t (*held_bytes)(enum dtype dtype, uint64_t rows, uint32_t width);
    /* Brings rows [first, last) of a matrix into that form. `first` is a multiple of
     * BACKEND_ROWS_UNIT, so is `last` but at the end of the matrix; any number of threads may each
     * do some. */
    void (*hold)(enum dtype dtype, const uint8_t *from, uint64_t first, uint64_t last,
                 uint32_t width, uint8_t *to);

    /* Works without a device, so that memory can be estimated. */
    enum weir_status (*measure)(const struct plan *plan, const struct plan_limits *limits,
                                uint32_t threads, struct backend_needs *out,
                                struct weir_error *err);

    /* Refuses a plan with an op or a weight type that the backend lacks, naming it. */
    enum weir_status (*prepare)(struct exec **out, struct device *device,
                                const struct backend_bind *bind, struct weir_error *err);
    void (*release)(struct exec *exec);
    /* Between two runs: a weight that was late is held, at `address`. NULL where `hold` is. */
    void (*rebind)(struct exec *exec, uint32_t weight, const void *address);

    /* Runs one step within the limits. WEIR_ERR_CANCELLED when step->proceed said so. */
    enum weir_status (*run)(struct exec *exec, const struct step *step, struct weir_error *err);
    /* Row `out` of the logits of the last run; host memory, valid until the next run. */
    const float *(*logits)(const struct exec *exec, uint32_t out);
    /* Row `row` of the hidden states of the last run, likewise; only of plans that have them. */
    const float *(*hidden)(const struct exec *exec, uint32_t row);
};

#define BACKEND(id) extern const struct backend id##_backend;
#include "backend/backends.def"

#endif
