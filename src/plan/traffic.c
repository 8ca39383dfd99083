/* SPDX-License-Identifier: MIT
 * Bytes that ops touch, derived from the operands' letters, their shapes and the step. No op has a
 * formula of its own; tests/golden/touched.c compares with what the reference really touches. */
#include "plan/plan.h"

#include <math.h>
#include <string.h>

#include "base/mem.h"

const char *traffic_class_name(enum traffic_class class)
{
    static const char *const names[TRAFFIC_CLASSES] = {
        [TRAFFIC_WEIGHTS] = "weights", [TRAFFIC_EMBEDDING] = "embedding",
        [TRAFFIC_KV] = "kv",           [TRAFFIC_STATE] = "state",
        [TRAFFIC_CONV] = "conv",       [TRAFFIC_ACTIVATIONS] = "activations",
        [TRAFFIC_LOGITS] = "logits",
    };
    return names[class];
}

static enum traffic_class class_of(const struct buf *buf, char letter)
{
    switch ((enum buf_kind)buf->kind) {
    case BUF_WEIGHT: return letter == 'g' ? TRAFFIC_EMBEDDING : TRAFFIC_WEIGHTS;
    case BUF_CONST:
    case BUF_SUM:
    case BUF_ACT:
    case BUF_INPUT:
    case BUF_HIDDEN: return TRAFFIC_ACTIVATIONS;
    case BUF_LOGITS: return TRAFFIC_LOGITS;
    case BUF_STATE:
    case BUF_RECORD: return TRAFFIC_STATE;
    case BUF_RING: return TRAFFIC_CONV;
    case BUF_KV: return TRAFFIC_KV;
    }
    return TRAFFIC_ACTIVATIONS;
}

/* Rows of the op: of its last operand if that is an activation, else of its first. */
static uint64_t op_rows(const struct plan *plan, const struct op *op, const struct step *step)
{
    const struct buf *last = plan_buf(plan, op->operand[op_operands(op) - 1]);
    return buf_rows(buf_is_activation(last) ? last : plan_buf(plan, op->operand[0]), step);
}

/* Rows of a ring that the step writes: each sequence its newest ones. */
static uint64_t ring_rows_written(const struct buf *ring, const struct step *step)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < step->seqs; i++)
        rows += step->seq[i].rows < ring->rows ? step->seq[i].rows : ring->rows;
    return rows;
}

/* How many of the step's states are written: not where tokens are recorded and none settled. */
static uint32_t states_written(const struct step *step)
{
    uint32_t states = 0;
    for (uint32_t i = 0; i < step->seqs; i++)
        states += !step->seq[i].is_recorded || step->seq[i].settle > 0;
    return states;
}

static uint64_t records_read(const struct step *step)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < step->seqs; i++)
        rows += step->seq[i].pending;
    return rows;
}

static uint64_t records_written(const struct step *step)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < step->seqs; i++)
        rows += step->seq[i].is_recorded ? step->seq[i].rows : 0;
    return rows;
}

/* Rows of a KV cache that attention reads: all cached ones and the new ones. */
static uint64_t kv_rows_read(const struct step *step)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < step->seqs; i++)
        rows += (uint64_t)step->seq[i].cached + step->seq[i].rows;
    return rows;
}

/* Experts that `rows` rows of `used` experts each are routed to, of `experts`: if nobody counted,
 * the mean for rows that choose independently of each other, each set of experts alike. */
static uint64_t experts_touched(const struct step *step, uint16_t layer, uint32_t experts,
                                uint32_t used, uint64_t rows)
{
    if (step->experts != NULL)
        return step->experts[layer];
    const double missed = pow(1 - (double)used / experts, (double)rows);
    return (uint64_t)llround(experts * (1 - missed));
}

/* Bytes of a stack that an op touches: the matrices, or sums, of the experts touched. */
static uint64_t stack_bytes(const struct plan *plan, const struct op *op, const struct buf *stack,
                            const struct step *step, uint64_t rows)
{
    const char *letters = op_info(op->kind)->operands;
    const struct buf *routing = plan_buf(plan, op->operand[strchr(letters, 'i') - letters]);
    const uint64_t experts =
        experts_touched(step, op->layer, stack->stack, buf_columns(routing), rows);
    return experts * (stack->rows / stack->stack) * buf_row_bytes(stack);
}

/* Bytes of a whole buffer, all places and positions of it. */
static uint64_t whole_bytes(const struct buf *buf, const struct step *step,
                            const struct plan_limits *limits)
{
    uint64_t rows = buf_rows(buf, step);
    if (buf->extent == EXTENT_SLOT || buf->extent == EXTENT_CONTEXT)
        rows *= limits->slots;
    if (buf->extent == EXTENT_CONTEXT)
        rows *= limits->context;
    return rows * buf_row_bytes(buf);
}

struct operand_traffic op_operand_traffic(const struct plan *plan, const struct op *op, uint32_t i,
                                          const struct step *step, const struct plan_limits *limits)
{
    const char letter = op_info(op->kind)->operands[i];
    const struct buf *buf = plan_buf(plan, op->operand[i]);
    const uint64_t row = buf_row_bytes(buf);
    const uint64_t rows = op_rows(plan, op, step);
    struct operand_traffic touched = {.class = class_of(buf, letter)};
    if (rows == 0)
        return touched;
    touched.operand = whole_bytes(buf, step, limits);
    const uint64_t state = (uint64_t)step->seqs * buf->rows * row;
    const uint64_t reach = (uint64_t)step->seqs * buf->reach * row;
    switch (letter) {
    case 'w':
    case 'f': touched.read = buf->rows * row; break;
    case 'e': touched.read = stack_bytes(plan, op, buf, step, rows); break;
    case 'u': touched.read = touched.written = stack_bytes(plan, op, buf, step, rows); break;
    case 'a': touched.read = touched.written = buf->rows * row; break;
    case 'i':
    case 'x': touched.read = buf_rows(buf, step) * row; break;
    case 'o':
    case 'y': touched.written = buf_rows(buf, step) * row; break;
    case 'g': touched.read = rows * row; break;
    case 's':
        touched.read = state;
        touched.written = states_written(step) * buf->rows * row;
        break;
    case 'r':
        touched.read = records_read(step) * row;
        touched.written = records_written(step) * row;
        break;
    case 'l': touched.read = state; break;
    case 't': touched.written = state; break;
    case 'h':
        touched.read = reach;
        touched.written = ring_rows_written(buf, step) * row;
        break;
    case 'k': touched.written = rows * row; break;
    case 'c': touched.read = kv_rows_read(step) * row; break;
    }
    return touched;
}

void op_traffic(const struct plan *plan, const struct op *op, const struct step *step,
                const struct plan_limits *limits, struct traffic *sum)
{
    for (uint32_t i = 0; i < op_operands(op); i++) {
        const struct operand_traffic touched = op_operand_traffic(plan, op, i, step, limits);
        sum->read[touched.class] += touched.read;
        sum->written[touched.class] += touched.written;
        sum->operand += touched.operand;
    }
}

uint64_t plan_weight_bytes(const struct plan *plan)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        if (buf->kind == BUF_WEIGHT && buf->base == i)
            bytes += buf->rows * buf_row_bytes(buf);
    }
    return bytes;
}
