/* SPDX-License-Identifier: MIT
 * Prepares a plan: phases, places, addresses. Knows no kernel. */
#include "cpu/exec.h"

#include <assert.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "cpu/pack.h"
#include "cpu/scratch.h"

/* ---- which buffers --------------------------------------------------------------------------- */

/* The operand that a product multiplies its matrix with; OP_OPERANDS_MAX for other ops. */
static uint32_t multiplied_operand(const struct op *op)
{
    switch (op->kind) {
    case OP_MATMUL: return 1;
    case OP_EXPERT_MATMUL: return 2;
    default: return OP_OPERANDS_MAX;
    }
}

/* What experts give and what attention does is not rounded (run.c, compute). No plan multiplies
 * either: a gate or a sum stands between. */
static bool is_rounded(const struct plan *plan, uint16_t base)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        if ((op->kind == OP_ATTEND || op->kind == OP_EXPERT_MATMUL) &&
            plan_buf(plan, op->operand[op_result(plan, op)])->base == base)
            return false;
    }
    return true;
}

/* Bytes of a row in 8 bits for each buffer that a matrix of codes is multiplied with. */
static void find_quants(const struct plan *plan, uint32_t *bytes)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        const uint32_t x = multiplied_operand(op);
        if (x == OP_OPERANDS_MAX)
            continue;
        const uint16_t base = plan_buf(plan, op->operand[x])->base;
        assert(is_rounded(plan, base));
        if (pack_has_codes(plan_buf(plan, op->operand[0])->dtype))
            bytes[base] = (uint32_t)quants_row_bytes(buf_columns(plan_buf(plan, base)));
    }
}

/* Bytes for each row of what is gathered behind a routing. */
static void find_gathered(const struct plan *plan, uint32_t *bytes)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_EXPERT_MATMUL)
            continue;
        const struct buf *routing = plan_buf(plan, op->operand[1]);
        bytes[routing->base] = gather_row_bytes(routing->width);
    }
}

/* Marks the buffers that each thread computes for itself. */
static void find_own(const struct plan *plan, const struct turn *turns, bool *own)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        for (uint32_t j = 0; turns[i].share == SHARE_EACH && j < op_operands(op); j++) {
            if (strchr("yo", op_info(op->kind)->operands[j]) != NULL)
                own[plan_buf(plan, op->operand[j])->base] = true;
        }
    }
}

/* ---- places ---------------------------------------------------------------------------------- */

/* How the activations of a program are placed. */
struct layout {
    struct turn *turns;
    uint32_t *extra_bytes;
    uint64_t *offsets, *own_offsets;
    bool *own;
    uint64_t total, own_total;
};

static void layout_close(struct layout *layout)
{
    mem_free(layout->turns);
    mem_free(layout->extra_bytes);
    mem_free(layout->offsets);
    mem_free(layout->own_offsets);
    mem_free(layout->own);
    *layout = (struct layout){0};
}

static enum weir_status layout_open(struct layout *layout, const struct plan *plan,
                                    const struct plan_limits *limits, bool is_small,
                                    struct weir_error *err)
{
    const uint32_t bufs = plan->buf_count;
    *layout = (struct layout){
        .turns = mem_alloc(plan->op_count, sizeof *layout->turns, err),
        .extra_bytes = mem_alloc(bufs, sizeof *layout->extra_bytes, err),
        .offsets = mem_alloc(bufs, sizeof *layout->offsets, err),
        .own_offsets = mem_alloc(bufs, sizeof *layout->own_offsets, err),
        .own = mem_alloc(bufs, sizeof *layout->own, err),
    };
    if (layout->turns == NULL || layout->extra_bytes == NULL || layout->offsets == NULL ||
        layout->own_offsets == NULL || layout->own == NULL) {
        layout_close(layout);
        return WEIR_ERR_MEMORY;
    }
    plan_phases(plan, is_small, layout->turns);
    find_quants(plan, layout->extra_bytes);
    find_gathered(plan, layout->extra_bytes);
    find_own(plan, layout->turns, layout->own);
    const struct placing all = {.turns = layout->turns, .extra = layout->extra_bytes};
    const struct placing own = {
        .turns = layout->turns, .extra = layout->extra_bytes, .only = layout->own};
    enum weir_status status;
    TRY(plan_place(plan, limits, &all, layout->offsets, &layout->total, err));
    TRY(plan_place(plan, limits, &own, layout->own_offsets, &layout->own_total, err));
    return WEIR_OK;
out:
    layout_close(layout);
    return status;
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

static struct plan_limits program_limits(const struct plan_limits *limits, int program)
{
    struct plan_limits result = *limits;
    if (program == PROGRAM_SMALL) {
        result.rows = least(result.rows, PHASES_REPEAT_ROWS);
        result.outs = least(result.outs, PHASES_REPEAT_ROWS);
        result.seqs = least(result.seqs, PHASES_REPEAT_ROWS);
    }
    return result;
}

/* The large program is there only if there are steps for it. */
static int programs_of(const struct plan_limits *limits)
{
    return limits->rows > PHASES_REPEAT_ROWS || limits->seqs > PHASES_REPEAT_ROWS ? PROGRAMS
                                                                                  : PROGRAM_LARGE;
}

/* Bytes of scratch, parts and places of a thread. */
static uint64_t thread_bytes(const struct plan *plan)
{
    return (scratch_floats(plan) + scratch_parts(plan)) * sizeof(float) +
           sizeof(struct attend_place);
}

enum weir_status exec_measure(const struct plan *plan, const struct plan_limits *limits,
                              uint32_t threads, struct backend_needs *out, struct weir_error *err)
{
    *out = (struct backend_needs){
        .logits = limits->outs * buf_row_bytes(plan_buf(plan, plan->logits)),
        .scratch = threads * thread_bytes(plan),
    };
    uint64_t total = 0;
    for (int i = 0; i < programs_of(limits); i++) {
        const struct plan_limits own_limits = program_limits(limits, i);
        struct layout layout;
        const enum weir_status status =
            layout_open(&layout, plan, &own_limits, i == PROGRAM_SMALL, err);
        if (status != WEIR_OK)
            return status;
        total += layout.total + (threads - 1) * layout.own_total;
        layout_close(&layout);
    }
    out->activations = total - out->logits;
    return WEIR_OK;
}

/* ---- opening --------------------------------------------------------------------------------- */

/* Addresses of one thread: those of the program, but its own block for what it has for itself. */
static void find_addresses(const struct program *program, const struct plan *plan,
                           const struct layout *layout, uint8_t *own_block, uint8_t **address)
{
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        address[i] = program->bound.address[i];
        if (own_block != NULL && buf_is_activation(buf) && layout->own[buf->base])
            address[i] = own_block + layout->own_offsets[buf->base] +
                         dtype_row_bytes(buf->dtype, buf->offset);
    }
}

static enum weir_status open_addresses(struct program *program, const struct plan *plan,
                                       const struct layout *layout, uint32_t threads,
                                       struct weir_error *err)
{
    program->own_bytes = (threads - 1) * layout->own_total;
    program->address = mem_alloc(threads, sizeof *program->address, err);
    if (program->address == NULL)
        return WEIR_ERR_MEMORY;
    program->address[0] =
        mem_alloc((uint64_t)threads * plan->buf_count, sizeof **program->address, err);
    if (program->own_bytes > 0)
        program->own = pages_alloc(program->own_bytes, err);
    if (program->address[0] == NULL || (program->own_bytes > 0 && program->own == NULL))
        return WEIR_ERR_MEMORY;
    for (uint32_t t = 0; t < threads; t++) {
        uint8_t *block =
            t == 0 || program->own == NULL ? NULL : program->own + (t - 1) * layout->own_total;
        program->address[t] = program->address[0] + (uint64_t)t * plan->buf_count;
        find_addresses(program, plan, layout, block, program->address[t]);
    }
    return WEIR_OK;
}

static void program_close(struct program *program)
{
    host_release(&program->bound);
    if (program->address != NULL)
        mem_free(program->address[0]);
    mem_free(program->address);
    pages_free(program->own, program->own_bytes);
    pages_free(program->block, program->block_bytes);
    mem_free(program->turns);
    mem_free(program->extra_bytes);
    *program = (struct program){0};
}

static enum weir_status program_open(struct program *program, const struct backend_bind *bind,
                                     int which, uint32_t threads, struct weir_error *err)
{
    struct layout layout;
    program->limits = program_limits(&bind->limits, which);
    enum weir_status status =
        layout_open(&layout, bind->plan, &program->limits, which == PROGRAM_SMALL, err);
    if (status != WEIR_OK)
        return status;
    program->block_bytes = layout.total;
    program->block = pages_alloc(layout.total, err);
    status = program->block == NULL
                 ? WEIR_ERR_MEMORY
                 : host_bind(&program->bound, bind, layout.offsets, program->block, "cpu", err);
    if (status == WEIR_OK)
        status = open_addresses(program, bind->plan, &layout, threads, err);
    program->turns = layout.turns;
    program->extra_bytes = layout.extra_bytes;
    layout.turns = NULL;
    layout.extra_bytes = NULL;
    layout_close(&layout);
    return status;
}

void exec_close(struct exec *exec)
{
    if (exec == NULL)
        return;
    for (int i = 0; i < PROGRAMS; i++)
        program_close(&exec->program[i]);
    mem_free(exec->form);
    mem_free(exec->taken);
    pages_free(exec->shared, exec->shared_bytes);
    mem_free(exec);
}

/* All counts are whole lines: tiles are stored to aligned addresses, and no thread shall wait for a
 * line that another writes to. */
static bool open_shared(struct exec *exec, uint32_t threads, struct weir_error *err)
{
    struct attend_team *team = &exec->team;
    exec->scratch_count = scratch_floats(exec->plan);
    team->threads = threads;
    team->parts_count = scratch_parts(exec->plan);
    exec->shared_bytes = threads * thread_bytes(exec->plan);
    exec->shared = pages_alloc(exec->shared_bytes, err);
    if (exec->shared == NULL)
        return false;
    team->places = (struct attend_place *)(void *)exec->shared;
    exec->scratch = (float *)(void *)(team->places + threads);
    team->parts = exec->scratch + threads * exec->scratch_count;
    return true;
}

static enum weir_status exec_fill(struct exec *exec, const struct backend_bind *bind,
                                  struct weir_error *err)
{
    const struct plan *plan = bind->plan;
    const uint32_t threads = pool_threads(exec->device->pool);
    exec->plan = plan;
    exec->form = mem_alloc(plan->buf_count, sizeof *exec->form, err);
    exec->taken = mem_alloc(plan->op_count, threads * sizeof *exec->taken, err);
    if (exec->form == NULL || exec->taken == NULL || !open_shared(exec, threads, err))
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < plan->buf_count && bind->form != NULL; i++) {
        if (plan->bufs[i].kind == BUF_WEIGHT)
            exec->form[i] = (uint8_t)bind->form[plan->bufs[i].source];
    }
    for (int i = 0; i < programs_of(&bind->limits); i++) {
        const enum weir_status status = program_open(&exec->program[i], bind, i, threads, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status exec_open(struct exec **out, struct device *device,
                           const struct backend_bind *bind, struct weir_error *err)
{
    *out = NULL;
    struct exec *exec = mem_alloc(1, sizeof *exec, err);
    if (exec == NULL)
        return WEIR_ERR_MEMORY;
    exec->device = device;
    const enum weir_status status = exec_fill(exec, bind, err);
    if (status != WEIR_OK) {
        exec_close(exec);
        return status;
    }
    *out = exec;
    return WEIR_OK;
}

static void rebind(struct program *program, uint32_t threads, uint32_t number, const void *address)
{
    if (program->address == NULL)
        return; /* no step is so large */
    host_rebind(&program->bound, number, address);
    for (uint32_t t = 0; t < threads; t++)
        program->address[t][number] = program->bound.address[number];
}

void exec_rebind(struct exec *exec, uint32_t weight, const void *address)
{
    for (uint32_t i = 0; i < exec->plan->buf_count; i++) {
        const struct buf *buf = &exec->plan->bufs[i];
        if (buf->kind != BUF_WEIGHT || buf->source != weight)
            continue;
        exec->form[i] = WEIGHT_HELD;
        for (int k = 0; k < PROGRAMS; k++)
            rebind(&exec->program[k], pool_threads(exec->device->pool), i, address);
    }
}
