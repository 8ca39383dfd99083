/* SPDX-License-Identifier: MIT
 * What kernels need besides their operands, op by op. */
#include "cpu/scratch.h"

#include "base/mem.h"
#include "cpu/attend.h"
#include "cpu/kernels.h"
#include "cpu/pack.h"

_Static_assert((int)WEIR_REWIND_MAX <= (int)EXACT_ROWS,
               "what is recorded was computed token by token");

enum { PRODUCT_FLOATS = PRODUCT_SCRATCH_BYTES / sizeof(float) };

/* Heads that share one of the cache. */
static uint32_t heads_of(const struct plan *plan, const struct op *op)
{
    return plan_buf(plan, op->operand[0])->groups / plan_buf(plan, op->operand[1])->groups;
}

/* A matrix may lie as in the file: rows of it are packed behind the rest. */
static uint64_t product_floats(const struct buf *matrix)
{
    if (!pack_knows(matrix->dtype))
        return PRODUCT_FLOATS;
    const uint64_t groups = REPACK_ROWS / PACK_ROWS;
    return PRODUCT_FLOATS + groups * pack_group_bytes(matrix->dtype, matrix->width) / sizeof(float);
}

static uint64_t op_scratch_floats(const struct plan *plan, const struct op *op)
{
    const struct buf *first = plan_buf(plan, op->operand[0]);
    switch (op->kind) {
    case OP_EMBED: return first->width; /* a decoded row */
    case OP_MATMUL:
    case OP_EXPERT_MATMUL: return product_floats(first);
    case OP_ROUTE: return buf_columns(first); /* a probability for each expert */
    case OP_ATTEND: return attend_scratch_floats(heads_of(plan, op), first->width);
    case OP_CONV:
    case OP_CONV_SILU: return plan_buf(plan, op->operand[1])->width * (uint64_t)CONV_BLOCK; // taps
    case OP_DELTA_RULE:
    case OP_DELTA_RULE_RECORDED:
    case OP_DELTA_RULE_INPLACE: return chunk_floats(plan_buf(plan, op->operand[1])->width);
    default: return 0;
    }
}

uint64_t scratch_floats(const struct plan *plan)
{
    uint64_t floats = 0;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const uint64_t own = op_scratch_floats(plan, &plan->ops[i]);
        floats = own > floats ? own : floats;
    }
    return size_align(floats + 16, 16);
}

uint64_t scratch_parts(const struct plan *plan)
{
    uint64_t floats = 0;
    for (uint32_t i = 0; i < plan->op_count; i++) {
        const struct op *op = &plan->ops[i];
        if (op->kind != OP_ATTEND)
            continue;
        const uint64_t own =
            attend_parts_count(heads_of(plan, op), plan_buf(plan, op->operand[0])->width);
        floats = own > floats ? own : floats;
    }
    return size_align(floats, 16);
}
