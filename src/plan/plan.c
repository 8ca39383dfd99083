/* SPDX-License-Identifier: MIT
 * Building a plan: the growing arrays of ops, buffers and constants. Knows neither what the ops
 * compute nor which model asks for them. */
#include "plan/plan.h"

#include <string.h>

#include "base/mem.h"
#include "plan/validate.h"

static const struct op_info op_infos[OP_COUNT] = {
#define OP(id, function, operands, shares, meaning) [OP_##id] = {#id, operands, shares, meaning},
#include "plan/ops.def"
};

const struct op_info *op_info(enum op_kind kind)
{
    return &op_infos[kind];
}

bool letter_writes(char letter)
{
    return strchr("yosthkaur", letter) != NULL;
}

uint32_t op_operands(const struct op *op)
{
    return (uint32_t)strlen(op_infos[op->kind].operands);
}

bool op_reads_matrices(const struct op *op)
{
    return op->kind == OP_MATMUL || op->kind == OP_EMBED || op->kind == OP_EXPERT_MATMUL;
}

bool buf_is_activation(const struct buf *buf)
{
    switch ((enum buf_kind)buf->kind) {
    case BUF_ACT:
    case BUF_INPUT:
    case BUF_HIDDEN:
    case BUF_LOGITS: return true;
    case BUF_WEIGHT:
    case BUF_CONST:
    case BUF_STATE:
    case BUF_RING:
    case BUF_RECORD:
    case BUF_KV:
    case BUF_SUM: break;
    }
    return false;
}

const struct buf *plan_buf(const struct plan *plan, uint16_t number)
{
    return &plan->bufs[number];
}

uint32_t buf_columns(const struct buf *buf)
{
    return buf->groups * buf->width;
}

enum weir_status plan_open(struct plan **out, struct weir_error *err)
{
    *out = mem_alloc(1, sizeof **out, err);
    if (*out == NULL)
        return WEIR_ERR_MEMORY;
    (*out)->logits = (*out)->hidden = BUF_NONE;
    return WEIR_OK;
}

void plan_close(struct plan *plan)
{
    if (plan == NULL)
        return;
    mem_free(plan->ops);
    mem_free(plan->bufs);
    mem_free(plan->consts);
    mem_free(plan);
}

static bool plan_failed(struct plan *plan, enum weir_status status)
{
    if (plan->status == WEIR_OK)
        plan->status = status;
    return plan->status != WEIR_OK;
}

static uint8_t plan_role(struct plan *plan, const char *role)
{
    for (uint32_t i = 0; i < plan->role_count; i++) {
        if (strcmp(plan->roles[i], role) == 0)
            return (uint8_t)i;
    }
    if (plan->role_count == PLAN_ROLES_MAX) {
        plan_failed(plan, err_set(&plan->error, WEIR_ERR_UNSUPPORTED, "plan: too many roles"));
        return 0;
    }
    plan->roles[plan->role_count] = role;
    return (uint8_t)plan->role_count++;
}

/* Adds a buffer that is its own base. */
static uint16_t plan_add_buf(struct plan *plan, struct buf buf)
{
    if (plan_failed(plan, WEIR_OK))
        return BUF_NONE;
    const uint64_t count = (uint64_t)plan->buf_count + 1;
    if (count > PLAN_BUFS_MAX) {
        plan_failed(plan, err_set(&plan->error, WEIR_ERR_UNSUPPORTED, "plan: too many buffers"));
        return BUF_NONE;
    }
    if (plan_failed(plan,
                    mem_grow(&plan->bufs, &plan->buf_capacity, count, sizeof buf, &plan->error)))
        return BUF_NONE;
    const uint16_t number = (uint16_t)plan->buf_count++;
    buf.base = number;
    buf.stride = buf.width;
    plan->bufs[number] = buf;
    return number;
}

uint16_t plan_weight(struct plan *plan, const char *role, uint16_t layer, enum dtype dtype,
                     uint32_t rows, uint32_t width, uint32_t source)
{
    return plan_experts(plan, role, layer, dtype, 1, rows, width, source);
}

/* One buffer for all ops that read as many rows of a weight, which are its first. */
uint16_t plan_experts(struct plan *plan, const char *role, uint16_t layer, enum dtype dtype,
                      uint32_t experts, uint32_t rows, uint32_t width, uint32_t source)
{
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        if (buf->kind == BUF_WEIGHT && buf->source == source && buf->rows == experts * rows)
            return (uint16_t)i;
    }
    return plan_add_buf(plan, (struct buf){.kind = BUF_WEIGHT,
                                           .dtype = (uint8_t)dtype,
                                           .role = plan_role(plan, role),
                                           .layer = layer,
                                           .rows = experts * rows,
                                           .groups = 1,
                                           .width = width,
                                           .stack = experts,
                                           .source = source});
}

uint16_t plan_const(struct plan *plan, const double *values, uint32_t count)
{
    const uint32_t first = plan->const_count;
    if (plan_failed(plan, mem_grow(&plan->consts, &plan->const_capacity, (uint64_t)first + count,
                                   sizeof *values, &plan->error)))
        return BUF_NONE;
    memcpy(plan->consts + first, values, count * sizeof *values);
    plan->const_count += count;
    return plan_add_buf(plan, (struct buf){.kind = BUF_CONST,
                                           .dtype = DTYPE_F64,
                                           .role = plan_role(plan, "const"),
                                           .layer = LAYER_NONE,
                                           .rows = 1,
                                           .groups = 1,
                                           .width = count,
                                           .source = first});
}

/* A buffer with rows of the step. */
static uint16_t plan_add_rows(struct plan *plan, enum buf_kind kind, enum dtype dtype,
                              const char *role, enum extent extent, uint32_t groups, uint32_t width)
{
    return plan_add_buf(plan, (struct buf){.kind = (uint8_t)kind,
                                           .dtype = (uint8_t)dtype,
                                           .extent = (uint8_t)extent,
                                           .role = plan_role(plan, role),
                                           .layer = LAYER_NONE,
                                           .rows = 1,
                                           .groups = groups,
                                           .width = width});
}

uint16_t plan_act(struct plan *plan, enum extent extent, uint32_t groups, uint32_t width)
{
    return plan_add_rows(plan, BUF_ACT, DTYPE_F32, "act", extent, groups, width);
}

uint16_t plan_routing(struct plan *plan, enum extent extent, uint32_t count)
{
    return plan_add_rows(plan, BUF_ACT, DTYPE_I32, "act", extent, 1, count);
}

uint16_t plan_input(struct plan *plan, uint32_t width)
{
    return plan_add_rows(plan, BUF_INPUT, DTYPE_F32, "input", EXTENT_ROWS, 1, width);
}

uint16_t plan_hidden(struct plan *plan, uint32_t width)
{
    plan->hidden = plan_add_rows(plan, BUF_HIDDEN, DTYPE_F32, "hidden", EXTENT_ROWS, 1, width);
    return plan->hidden;
}

uint16_t plan_logits(struct plan *plan, uint32_t width)
{
    plan->logits = plan_add_rows(plan, BUF_LOGITS, DTYPE_F32, "logits", EXTENT_OUTS, 1, width);
    return plan->logits;
}

uint16_t plan_state_copy(struct plan *plan, uint16_t state)
{
    if (plan_failed(plan, WEIR_OK))
        return BUF_NONE;
    struct buf copy = plan->bufs[state];
    copy.kind = BUF_ACT;
    copy.extent = EXTENT_SEQS;
    return plan_add_buf(plan, copy);
}

/* F32 rows that a place for a sequence keeps between steps. */
static uint16_t plan_add_kept(struct plan *plan, enum buf_kind kind, const char *role,
                              uint16_t layer, uint32_t rows, uint32_t width)
{
    return plan_add_buf(plan, (struct buf){.kind = (uint8_t)kind,
                                           .dtype = DTYPE_F32,
                                           .extent = EXTENT_SLOT,
                                           .role = plan_role(plan, role),
                                           .layer = layer,
                                           .rows = rows,
                                           .groups = 1,
                                           .width = width});
}

uint16_t plan_state(struct plan *plan, const char *role, uint16_t layer, uint32_t rows,
                    uint32_t width)
{
    return plan_add_kept(plan, BUF_STATE, role, layer, rows, width);
}

uint16_t plan_ring(struct plan *plan, const char *role, uint16_t layer, uint32_t reach,
                   uint32_t rewind, uint32_t width)
{
    const uint16_t ring = plan_add_kept(plan, BUF_RING, role, layer, reach + rewind, width);
    if (ring != BUF_NONE)
        plan->bufs[ring].reach = reach;
    return ring;
}

uint16_t plan_records(struct plan *plan, const char *role, uint16_t layer, uint32_t rewind,
                      uint32_t heads, uint32_t keys, uint32_t values)
{
    return plan_add_buf(plan, (struct buf){.kind = BUF_RECORD,
                                           .dtype = DTYPE_F32,
                                           .extent = EXTENT_SLOT,
                                           .role = plan_role(plan, role),
                                           .layer = layer,
                                           .rows = 2 * rewind,
                                           .groups = heads,
                                           .width = keys + values + 1});
}

uint16_t plan_kv(struct plan *plan, const char *role, uint16_t layer, enum dtype dtype,
                 uint32_t groups, uint32_t width)
{
    return plan_add_buf(plan, (struct buf){.kind = BUF_KV,
                                           .dtype = (uint8_t)dtype,
                                           .extent = EXTENT_CONTEXT,
                                           .role = plan_role(plan, role),
                                           .layer = layer,
                                           .rows = 1,
                                           .groups = groups,
                                           .width = width});
}

uint16_t plan_sum(struct plan *plan, const char *role, uint16_t layer, uint32_t experts,
                  uint32_t columns, uint32_t source)
{
    return plan_add_buf(plan, (struct buf){.kind = BUF_SUM,
                                           .dtype = DTYPE_F32,
                                           .role = plan_role(plan, role),
                                           .layer = layer,
                                           .rows = experts,
                                           .groups = 1,
                                           .width = columns + 1,
                                           .stack = experts,
                                           .source = source});
}

uint16_t plan_view(struct plan *plan, uint16_t base, uint32_t offset, uint32_t groups,
                   uint32_t width, uint32_t stride)
{
    if (plan_failed(plan, WEIR_OK))
        return BUF_NONE;
    struct buf view = plan->bufs[base];
    view.groups = groups;
    view.width = width;
    view.offset = offset;
    const uint16_t number = plan_add_buf(plan, view);
    if (number != BUF_NONE) {
        plan->bufs[number].base = base;
        plan->bufs[number].stride = stride;
    }
    return number;
}

void plan_op(struct plan *plan, const struct op_spec *spec)
{
    if (plan_failed(plan, WEIR_OK) ||
        plan_failed(plan, mem_grow(&plan->ops, &plan->op_capacity, (uint64_t)plan->op_count + 1,
                                   sizeof *plan->ops, &plan->error)))
        return;
    struct op *op = &plan->ops[plan->op_count++];
    *op = (struct op){.kind = (uint8_t)spec->kind,
                      .role = plan_role(plan, spec->role),
                      .head_map = (uint8_t)spec->head_map,
                      .layer = spec->layer,
                      .eps = spec->eps,
                      .scale = spec->scale};
    memcpy(op->operand, spec->operand, sizeof op->operand);
}

static void plan_find_lifetimes(struct plan *plan)
{
    for (uint32_t i = 0; i < plan->buf_count; i++)
        plan->bufs[i].first = BUF_NONE;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        for (uint32_t j = 0; j < op_operands(op); j++) {
            struct buf *base = &plan->bufs[plan->bufs[op->operand[j]].base];
            if (base->first == BUF_NONE)
                base->first = (uint16_t)i;
            base->last = (uint16_t)i;
        }
    }
}

enum weir_status plan_finish(struct plan *plan, struct weir_error *err)
{
    if (plan->status != WEIR_OK)
        return err_set(err, plan->status, "%s", plan->error.text);
    const enum weir_status status = plan_validate(plan, err);
    if (status == WEIR_OK)
        plan_find_lifetimes(plan);
    return status;
}
