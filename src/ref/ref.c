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

struct memory {
    uint8_t *data;
    uint64_t bytes;
};

struct exec {
    struct device *device;
    const struct plan *plan;
    struct plan_limits limits;
    uint8_t **address;    /* of each buffer's first byte, views included */
    uint64_t *slot_bytes; /* of states, rings and caches */
    uint8_t *activations;
    uint64_t activations_bytes;
    float *scratch; /* scratch_count floats for each thread */
    uint64_t scratch_count;
    float **vectors; /* converted weights: as many as there are buffers, mostly NULL */
    const struct step *step;
    /* op after which the step ends, or UINT32_MAX; thread 0 sets it before that op's barrier */
    _Atomic uint32_t stop_at;
};

static ref_op_fn *const functions[OP_COUNT] = {
#define OP(id, function, operands, meaning) [OP_##id] = ref_##function,
#include "plan/ops.def"
};

/* ---- device and memory ----------------------------------------------------------------------- */

static enum weir_status ref_open(struct device **out, uint32_t threads, struct weir_error *err)
{
    *out = NULL;
    struct device *device = mem_alloc(1, sizeof *device, err);
    if (device == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status = pool_open(&device->pool, threads, err);
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

static enum weir_status ref_alloc(struct memory **out, struct device *device, uint64_t bytes,
                                  struct weir_error *err)
{
    (void)device;
    *out = NULL;
    struct memory *memory = mem_alloc(1, sizeof *memory, err);
    if (memory == NULL)
        return WEIR_ERR_MEMORY;
    memory->bytes = bytes;
    memory->data = pages_alloc(bytes, err);
    if (memory->data == NULL) {
        mem_free(memory);
        return WEIR_ERR_MEMORY;
    }
    *out = memory;
    return WEIR_OK;
}

static void ref_free(struct memory *memory)
{
    if (memory == NULL)
        return;
    pages_free(memory->data, memory->bytes);
    mem_free(memory);
}

static void ref_clear(struct memory *memory, uint64_t offset, uint64_t bytes)
{
    memset(memory->data + offset, 0, (size_t)bytes);
}

static void ref_fetch(const struct memory *memory, uint64_t offset, void *out, uint64_t bytes)
{
    memcpy(out, memory->data + offset, (size_t)bytes);
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
    enum weir_status status = WEIR_OK;
    if (!plan_place(plan, limits, offsets, &total))
        status = err_set(err, WEIR_ERR_MEMORY, "activations of %u rows do not fit in 64 bits",
                         limits->rows);
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
    for (uint32_t i = 0; exec->vectors != NULL && i < exec->plan->buf_count; i++)
        mem_free(exec->vectors[i]);
    mem_free(exec->vectors);
    mem_free(exec->scratch);
    pages_free(exec->activations, exec->activations_bytes);
    mem_free(exec->slot_bytes);
    mem_free(exec->address);
    mem_free(exec);
}

/* A weight that is no matrix (norms, biases, taps of the convolution) is read as floats in place;
 * if the file has it in another type or unaligned, a converted copy takes its place. */
static enum weir_status bind_vector(struct exec *exec, uint16_t number, struct weir_error *err)
{
    const struct buf *buf = plan_buf(exec->plan, number);
    uint8_t *data = exec->address[number];
    if ((buf->dtype == DTYPE_F32 && (uintptr_t)data % sizeof(float) == 0) ||
        exec->vectors[number] != NULL)
        return WEIR_OK;
    float *copy = mem_alloc((uint64_t)buf->rows * buf->width, sizeof *copy, err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t row = 0; row < buf->rows; row++)
        codec_decode_row(buf->dtype, data + row * buf_row_bytes(buf), copy + row * buf->width,
                         buf->width);
    exec->vectors[number] = copy;
    exec->address[number] = (uint8_t *)copy;
    return WEIR_OK;
}

static enum weir_status bind_weights(struct exec *exec, struct weir_error *err)
{
    for (uint32_t i = 0; i < exec->plan->op_count; i++) {
        const struct op *op = &exec->plan->ops[i];
        for (uint32_t j = 0; j < op_operands(op); j++) {
            const struct buf *buf = plan_buf(exec->plan, op->operand[j]);
            const enum dtype_family family = dtype_info(buf->dtype)->family;
            if (buf->kind != BUF_WEIGHT)
                continue;
            if (family != DTYPE_FAMILY_FLOAT && family != DTYPE_FAMILY_QUANT)
                return err_set(err, WEIR_ERR_UNSUPPORTED,
                               "backend ref: op %s cannot use weights of type %s",
                               op_info(op->kind)->name, dtype_info(buf->dtype)->name);
            if (op->kind == OP_MATMUL || op->kind == OP_EMBED || op->kind == OP_EXPERT_MATMUL)
                continue;
            const enum weir_status status = bind_vector(exec, op->operand[j], err);
            if (status != WEIR_OK)
                return status;
        }
    }
    return WEIR_OK;
}

static void bind_addresses(struct exec *exec, const struct backend_bind *bind,
                           const uint64_t *offsets, const uint64_t *state_offsets)
{
    const struct plan *plan = exec->plan;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        uint8_t *base = NULL;
        switch ((enum buf_kind)buf->kind) {
        case BUF_WEIGHT: base = (uint8_t *)(uintptr_t)bind->weights[buf->source]; break;
        case BUF_CONST: base = (uint8_t *)(plan->consts + buf->source); break;
        case BUF_INPUT: break; /* comes with the step */
        case BUF_ACT:
        case BUF_HIDDEN:
        case BUF_LOGITS: base = exec->activations + offsets[buf->base]; break;
        case BUF_STATE:
        case BUF_RING:
        case BUF_KV:
        case BUF_SUM: base = bind->state->data + state_offsets[i]; break;
        }
        exec->address[i] = base == NULL ? NULL : base + dtype_row_bytes(buf->dtype, buf->offset);
    }
}

static enum weir_status exec_alloc(struct exec *exec, uint64_t activations_bytes,
                                   struct weir_error *err)
{
    const uint32_t bufs = exec->plan->buf_count;
    const uint32_t threads = pool_threads(exec->device->pool);
    exec->activations_bytes = activations_bytes;
    exec->activations = pages_alloc(activations_bytes, err);
    exec->address = mem_alloc(bufs, sizeof *exec->address, err);
    exec->vectors = mem_alloc(bufs, sizeof *exec->vectors, err);
    exec->slot_bytes = mem_alloc(bufs, sizeof *exec->slot_bytes, err);
    exec->scratch_count = scratch_floats(exec->plan, &exec->limits);
    exec->scratch = mem_alloc(exec->scratch_count, threads * sizeof(float), err);
    const bool has_all = exec->activations != NULL && exec->address != NULL &&
                         exec->vectors != NULL && exec->slot_bytes != NULL && exec->scratch != NULL;
    return has_all ? WEIR_OK : WEIR_ERR_MEMORY;
}

static enum weir_status ref_prepare(struct exec **out, struct device *device,
                                    const struct backend_bind *bind, struct weir_error *err)
{
    *out = NULL;
    enum weir_status status = WEIR_ERR_MEMORY;
    uint64_t total, state_total;
    uint64_t *offsets = mem_alloc(bind->plan->buf_count, 2 * sizeof *offsets, err);
    struct exec *exec = mem_alloc(1, sizeof *exec, err);
    if (offsets == NULL || exec == NULL)
        goto out;
    exec->device = device;
    exec->plan = bind->plan;
    exec->limits = bind->limits;
    if (!plan_place(bind->plan, &bind->limits, offsets, &total)) {
        status = err_set(err, WEIR_ERR_MEMORY, "activations do not fit in 64 bits");
        goto out;
    }
    TRY(exec_alloc(exec, total, err));
    uint64_t *state_offsets = offsets + bind->plan->buf_count;
    if (!plan_place_state(bind->plan, &bind->limits, state_offsets, exec->slot_bytes,
                          &state_total)) {
        status = err_set(err, WEIR_ERR_MEMORY, "state does not fit in 64 bits");
        goto out;
    }
    bind_addresses(exec, bind, offsets, state_offsets);
    TRY(bind_weights(exec, err));
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
    const struct plan *plan = exec->plan;
    *call = (struct ref_call){.op = &plan->ops[op], .step = step, .scratch = exec->scratch};
    const uint32_t operands = op_operands(call->op);
    for (uint32_t i = 0; i < operands; i++) {
        const uint16_t number = call->op->operand[i];
        const struct buf *buf = plan_buf(plan, number);
        const bool is_converted = exec->vectors[number] != NULL;
        call->at[i] = (struct ref_operand){
            .data =
                buf->kind == BUF_INPUT ? (uint8_t *)(uintptr_t)step->hidden : exec->address[number],
            .dtype = is_converted ? DTYPE_F32 : (enum dtype)buf->dtype,
            .rows = buf_rows(buf, step),
            .width = buf->width,
            .groups = buf->groups,
            .stride = buf->stride,
            .pitch = is_converted ? buf->width * sizeof(float)
                                  : buf_row_bytes(plan_buf(plan, buf->base)),
            .slot_bytes = exec->slot_bytes[number],
        };
    }
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
    for (uint32_t i = 0; i < exec->plan->op_count; i++) {
        struct ref_call call;
        ref_resolve(exec, i, exec->step, &call);
        call.scratch = exec->scratch + thread * exec->scratch_count;
        const uint64_t units = ref_units(&call);
        const uint64_t first = units * thread / threads, last = units * (thread + 1) / threads;
        if (first < last)
            functions[call.op->kind](&call, first, last);
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

/* Row `row` of a result of the last run. */
static const float *result_row(const struct exec *exec, uint16_t number, uint32_t row)
{
    const uint64_t row_bytes = buf_row_bytes(plan_buf(exec->plan, number));
    return (const float *)(const void *)(exec->address[number] + row * row_bytes);
}

static const float *ref_logits(const struct exec *exec, uint32_t out)
{
    return result_row(exec, exec->plan->logits, out);
}

static const float *ref_hidden(const struct exec *exec, uint32_t row)
{
    return result_row(exec, exec->plan->hidden, row);
}

const struct backend ref_backend = {
    .name = "ref",
    .description = "every op in plain scalar C: the definition, on any machine",
    .open = ref_open,
    .close = ref_close,
    .alloc = ref_alloc,
    .free = ref_free,
    .clear = ref_clear,
    .fetch = ref_fetch,
    .measure = ref_measure,
    .prepare = ref_prepare,
    .release = ref_release,
    .run = ref_run,
    .logits = ref_logits,
    .hidden = ref_hidden,
};
