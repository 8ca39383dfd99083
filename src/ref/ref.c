/* SPDX-License-Identifier: MIT
 * The reference backend: runs every op in plain scalar C on host memory. It is the definition that
 * other backends are compared with. Knows no model and no kernel. */
#include "ref/ref.h"

#include <stdatomic.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"
#include "format/codec.h"

struct device {
    struct pool *pool;
};

struct exec {
    struct device *device;
    struct host_bound bound;
    uint8_t *activations;
    uint64_t activations_bytes;
    float *scratch; /* scratch_count floats for each thread */
    uint64_t scratch_count;
    const struct step *step;
    /* op after which the step ends, or UINT32_MAX; thread 0 sets it before that op's barrier */
    _Atomic uint32_t stop_at;
};

static ref_op_fn *const functions[OP_COUNT] = {
#define OP(id, function, operands, shares, meaning) [OP_##id] = ref_##function,
#include "plan/ops.def"
};

/* ---- device and memory ----------------------------------------------------------------------- */

static enum weir_status ref_open(struct device **out, const struct backend_threads *threads,
                                 const char *isa, struct weir_error *err)
{
    (void)isa; /* it has no instructions of its own */
    *out = NULL;
    struct device *device = mem_alloc(1, sizeof *device, err);
    if (device == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status =
        pool_open_bound(&device->pool, threads->count, threads->cpus, err);
    if (status != WEIR_OK) {
        mem_free(device);
        return status;
    }
    *out = device;
    return WEIR_OK;
}

static void ref_close(struct device *device)
{
    if (device == NULL)
        return;
    pool_close(device->pool);
    mem_free(device);
}

/* ---- preparing ------------------------------------------------------------------------------- */

/* Floats that one thread needs: a decoded row of the widest matrix, a score for each token, or a
 * probability for each expert. */
static uint64_t scratch_floats(const struct plan *plan, const struct plan_limits *limits)
{
    uint64_t floats = limits->context;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        if (buf->kind == BUF_WEIGHT && buf->width > floats)
            floats = buf->width;
        if (buf->kind == BUF_WEIGHT && buf->stack > floats)
            floats = buf->stack;
    }
    return size_align(floats + 16, 16);
}

static enum weir_status ref_measure(const struct plan *plan, const struct plan_limits *limits,
                                    uint32_t threads, struct backend_needs *out,
                                    struct weir_error *err)
{
    uint64_t *offsets = mem_alloc(plan->buf_count, sizeof *offsets, err);
    if (offsets == NULL)
        return WEIR_ERR_MEMORY;
    uint64_t total;
    const enum weir_status status =
        plan_place(plan, limits, &(struct placing){0}, offsets, &total, err);
    mem_free(offsets);
    if (status != WEIR_OK)
        return status;
    out->logits = limits->outs * buf_row_bytes(plan_buf(plan, plan->logits));
    out->activations = total - out->logits;
    out->scratch = scratch_floats(plan, limits) * sizeof(float) * threads;
    return WEIR_OK;
}

static void ref_release(struct exec *exec)
{
    if (exec == NULL)
        return;
    host_release(&exec->bound);
    mem_free(exec->scratch);
    pages_free(exec->activations, exec->activations_bytes);
    mem_free(exec);
}

static enum weir_status exec_alloc(struct exec *exec, const struct backend_bind *bind,
                                   uint64_t activations_bytes, struct weir_error *err)
{
    const uint32_t threads = pool_threads(exec->device->pool);
    exec->activations_bytes = activations_bytes;
    exec->activations = pages_alloc(activations_bytes, err);
    exec->scratch_count = scratch_floats(bind->plan, &bind->limits);
    exec->scratch = mem_alloc(exec->scratch_count, threads * sizeof(float), err);
    return exec->activations != NULL && exec->scratch != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

static enum weir_status ref_prepare(struct exec **out, struct device *device,
                                    const struct backend_bind *bind, struct weir_error *err)
{
    *out = NULL;
    enum weir_status status = WEIR_ERR_MEMORY;
    uint64_t total;
    uint64_t *offsets = mem_alloc(bind->plan->buf_count, sizeof *offsets, err);
    struct exec *exec = mem_alloc(1, sizeof *exec, err);
    if (offsets == NULL || exec == NULL)
        goto out;
    exec->device = device;
    TRY(plan_place(bind->plan, &bind->limits, &(struct placing){0}, offsets, &total, err));
    TRY(exec_alloc(exec, bind, total, err));
    TRY(host_bind(&exec->bound, bind, offsets, exec->activations, ref_backend.name, err));
    *out = exec;
    exec = NULL;
out:
    ref_release(exec);
    mem_free(offsets);
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

void ref_resolve(const struct exec *exec, uint32_t op, const struct step *step,
                 struct ref_call *call)
{
    const struct plan *plan = exec->bound.plan;
    *call = (struct ref_call){.op = &plan->ops[op], .step = step, .scratch = exec->scratch};
    const uint32_t operands = op_operands(call->op);
    for (uint32_t i = 0; i < operands; i++)
        call->at[i] = host_operand(&exec->bound, call->op, i, step);
    const struct buf *last = plan_buf(plan, call->op->operand[operands - 1]);
    call->rows = call->at[buf_is_activation(last) ? operands - 1 : 0].rows;
}

uint64_t ref_units(const struct ref_call *call)
{
    switch ((enum op_kind)call->op->kind) {
    case OP_MATMUL:
    case OP_EXPERT_MATMUL: return call->rows == 0 ? 0 : call->at[0].rows;
    case OP_SUM_SQUARES: return call->at[1].width;
    case OP_EXPERT_SQUARES: return call->at[2].rows;
    case OP_ATTEND: return call->rows * call->at[0].groups;
    case OP_DELTA_RULE:
    case OP_DELTA_RULE_RECORDED:
    case OP_DELTA_RULE_INPLACE: return (uint64_t)call->step->seqs * call->at[2].groups;
    case OP_CONV:
    case OP_CONV_SILU: return call->at[1].rows;
    case OP_STATE_LOAD:
    case OP_STATE_STORE: return call->step->seqs;
    case OP_EMBED:
    case OP_SELECT:
    case OP_RMS_NORM:
    case OP_L2_NORM:
    case OP_ADD:
    case OP_MUL:
    case OP_ADD_WEIGHT:
    case OP_MUL_WEIGHT:
    case OP_MUL_COLUMN:
    case OP_MUL_SCALAR:
    case OP_COPY:
    case OP_CONCAT:
    case OP_ROUTE:
    case OP_EXPERT_SCALE:
    case OP_EXPERT_SUM:
    case OP_ADD_GATED:
    case OP_SILU:
    case OP_SIGMOID:
    case OP_SOFTPLUS:
    case OP_ROPE:
    case OP_KV_APPEND:
    case OP_DECAY:
    case OP_NORM_ROPE:
    case OP_GATED_NORM:
    case OP_SIGMOID_MUL:
    case OP_SWIGLU:
    case OP_ADD_NORM: return call->rows;
    case OP_COUNT: break;
    }
    return 0;
}

void ref_run_op(const struct ref_call *call)
{
    const uint64_t units = ref_units(call);
    if (units > 0)
        functions[call->op->kind](call, 0, units);
}

/* Every thread walks the whole plan, takes its share of each op, and waits for the others. */
static void run_plan(void *argument, uint32_t thread)
{
    struct exec *exec = argument;
    const uint32_t threads = pool_threads(exec->device->pool);
    struct op_clock *clocks = backend_clocks(exec->bound.plan, exec->step, thread);
    for (uint32_t i = 0; i < exec->bound.plan->op_count; i++) {
        struct ref_call call;
        const uint64_t begin = backend_time(exec->step);
        ref_resolve(exec, i, exec->step, &call);
        call.scratch = exec->scratch + thread * exec->scratch_count;
        const uint64_t units = ref_units(&call);
        const uint64_t first = units * thread / threads, last = units * (thread + 1) / threads;
        if (first < last)
            functions[call.op->kind](&call, first, last);
        if (clocks != NULL)
            clocks[i] = (struct op_clock){begin, backend_time(exec->step)};
        const struct step *step = exec->step;
        if (thread == 0 && step->proceed != NULL && !step->proceed(step->proceed_user))
            exec->stop_at = i;
        pool_barrier(exec->device->pool);
        if (exec->stop_at == i)
            return;
    }
}

static enum weir_status ref_run(struct exec *exec, const struct step *step, struct weir_error *err)
{
    exec->step = step;
    exec->stop_at = UINT32_MAX;
    pool_run(exec->device->pool, run_plan, exec);
    exec->step = NULL;
    return exec->stop_at == UINT32_MAX ? WEIR_OK
                                       : err_set(err, WEIR_ERR_CANCELLED, "the step was cancelled");
}

static const float *ref_logits(const struct exec *exec, uint32_t out)
{
    return host_result_row(&exec->bound, exec->bound.plan->logits, out);
}

static const float *ref_hidden(const struct exec *exec, uint32_t row)
{
    return host_result_row(&exec->bound, exec->bound.plan->hidden, row);
}

const struct backend ref_backend = {
    .name = "ref",
    .description = "every op in plain scalar C: the definition, on any machine",
    .open = ref_open,
    .close = ref_close,
    .alloc = host_alloc,
    .free = host_free,
    .clear = host_clear,
    .fetch = host_fetch,
    .store = host_store,
    .measure = ref_measure,
    .prepare = ref_prepare,
    .release = ref_release,
    .run = ref_run,
    .logits = ref_logits,
    .hidden = ref_hidden,
};
