/* SPDX-License-Identifier: MIT
 * Arithmetic of ops. Each kind has a formula, from its meaning in ops.def and its definition in
 * src/ref; the switch has no default, so a new kind does not compile without one. */
#include "plan/work.h"

/* Operations for each element. */
enum {
    WORK_NORM = 4,     /* x^2, its sum, the common factor, the weight */
    WORK_L2_NORM = 3,  /* the same without a weight */
    WORK_ROTATION = 3, /* two elements become two: 4 multiplications, 2 additions */
    WORK_SIGMOID = 3,  /* exp, 1 +, 1 / */
    WORK_SILU = 3,     /* exp, 1 +, x / */
    WORK_SOFTPLUS = 3, /* exp, 1 +, ln */
    WORK_SOFTMAX = 4,  /* less the largest, exp, the sum, / */
    WORK_SHARE = 2,    /* the sum, / */
};

/* An op in a step. */
struct call {
    const struct plan *plan;
    const struct op *op;
    const struct step *step;
};

static const struct buf *operand(const struct call *call, uint32_t i)
{
    return plan_buf(call->plan, call->op->operand[i]);
}

static uint64_t elements(const struct call *call, uint32_t i)
{
    return buf_rows(operand(call, i), call->step) * buf_columns(operand(call, i));
}

/* `count` operations for each element of the last operand, which the op writes. */
static uint64_t each(const struct call *call, uint64_t count)
{
    return count * elements(call, op_operands(call->op) - 1);
}

/* The first 2|f| columns of each group of the result, angles being those of the position. */
static uint64_t rotation(const struct call *call, uint32_t f)
{
    const struct buf *y = operand(call, op_operands(call->op) - 1);
    return WORK_ROTATION * buf_rows(y, call->step) * y->groups * 2 * buf_columns(operand(call, f));
}

/* Each row sees what its sequence holds, the rows before it and itself. */
static uint64_t visible_positions(const struct step *step)
{
    uint64_t positions = 0;
    for (uint32_t i = 0; i < step->seqs; i++) {
        const uint64_t rows = step->seq[i].rows;
        positions += rows * step->seq[i].cached + rows * (rows + 1) / 2;
    }
    return positions;
}

/* For each position and query head q k^T and the sum of v: a multiply-add for each element. The
 * softmax between them, a few operations where these are hundreds, does not count. */
static uint64_t attention(const struct call *call)
{
    return 2 * visible_positions(call->step) *
           (uint64_t)(buf_columns(operand(call, 0)) + buf_columns(operand(call, 3)));
}

/* For each row and head, with a state of S_k x S_v (Yang, Kautz and Hatamizadeh 2024, equation 10):
 * 1 S_k S_v to decay it, 2 to predict, 2 to correct, 2 to read; v less the prediction, by beta, and
 * the scale of the result, 1 S_v each. */
static uint64_t delta_rule(const struct call *call)
{
    const struct buf *k = operand(call, 1);
    return elements(call, 2) * (7ull * k->width + 3);
}

/* softmax over all experts, and the shares of those chosen. */
static uint64_t routing(const struct call *call)
{
    return WORK_SOFTMAX * elements(call, 0) + WORK_SHARE * elements(call, 2);
}

/* A square and its sum for each expert of each row and each column, also where all share one x. */
static uint64_t expert_squares(const struct call *call)
{
    return 2 * elements(call, 1) * operand(call, 0)->width;
}

uint64_t op_work(const struct plan *plan, const struct op *op, const struct step *step)
{
    const struct call call = {plan, op, step};
    switch ((enum op_kind)op->kind) {
    case OP_EMBED:
    case OP_SELECT:
    case OP_COPY:
    case OP_CONCAT:
    case OP_KV_APPEND:
    case OP_STATE_LOAD:
    case OP_STATE_STORE: return 0;
    case OP_ADD:
    case OP_MUL:
    case OP_ADD_WEIGHT:
    case OP_MUL_WEIGHT:
    case OP_MUL_COLUMN:
    case OP_MUL_SCALAR:
    case OP_EXPERT_SCALE: return each(&call, 1);
    case OP_MATMUL:
    case OP_EXPERT_MATMUL: return each(&call, 2ull * buf_columns(operand(&call, 0)));
    case OP_RMS_NORM: return each(&call, WORK_NORM);
    case OP_L2_NORM: return each(&call, WORK_L2_NORM);
    case OP_SILU: return each(&call, WORK_SILU);
    case OP_SIGMOID: return each(&call, WORK_SIGMOID);
    case OP_SOFTPLUS: return each(&call, WORK_SOFTPLUS);
    case OP_ROPE: return rotation(&call, 1);
    case OP_ATTEND: return attention(&call);
    case OP_CONV: return each(&call, 2ull * buf_columns(operand(&call, 1)));
    case OP_DELTA_RULE:
    case OP_DELTA_RULE_RECORDED:
    case OP_DELTA_RULE_INPLACE: return delta_rule(&call);
    case OP_ROUTE: return routing(&call);
    case OP_EXPERT_SUM: return 2 * elements(&call, 0);
    case OP_SUM_SQUARES: return 2 * elements(&call, 0);
    case OP_EXPERT_SQUARES: return expert_squares(&call);
    case OP_CONV_SILU: return each(&call, 2ull * buf_columns(operand(&call, 1)) + WORK_SILU);
    case OP_DECAY: return each(&call, 1 + WORK_SOFTPLUS + 1);
    case OP_NORM_ROPE: return each(&call, WORK_NORM) + rotation(&call, 2);
    case OP_GATED_NORM: return each(&call, WORK_NORM + WORK_SILU + 1);
    case OP_SIGMOID_MUL: return each(&call, WORK_SIGMOID + 1);
    case OP_SWIGLU: return each(&call, WORK_SILU + 1);
    case OP_ADD_NORM: return each(&call, 1 + WORK_NORM);
    case OP_ADD_GATED: return each(&call, 2) + WORK_SIGMOID * elements(&call, 2);
    case OP_COUNT: break;
    }
    return 0;
}
