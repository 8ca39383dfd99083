/* SPDX-License-Identifier: MIT
 * The rules that every plan keeps. Knows the ops by their letters and the shapes they take. */
#include "plan/validate.h"

#include <string.h>

#include "base/mem.h"

static enum weir_status refuse(const struct plan *plan, const struct op *op, const char *reason,
                               struct weir_error *err)
{
    return err_set(err, WEIR_ERR_UNSUPPORTED, "plan: op %u (%s, %s, layer %d): %s",
                   (unsigned)(op - plan->ops), op_info(op->kind)->name, plan->roles[op->role],
                   op->layer == LAYER_NONE ? -1 : (int)op->layer, reason);
}

static bool letter_takes(char letter, const struct buf *buf)
{
    const bool is_numbers = buf_is_activation(buf) && buf->dtype == DTYPE_F32;
    const bool is_routing = buf->kind == BUF_ACT && buf->dtype == DTYPE_I32;
    switch (letter) {
    case 'w': return buf->kind == BUF_WEIGHT && buf->stack == 1;
    case 'e': return buf->kind == BUF_WEIGHT && buf->rows % buf->stack == 0;
    case 'a': return buf->kind == BUF_SUM && buf->stack == 1;
    case 'u': return buf->kind == BUF_SUM;
    case 'i':
    case 'o': return is_routing;
    case 'x': return is_numbers && buf->kind != BUF_LOGITS;
    case 'y': return is_numbers && buf->kind != BUF_INPUT;
    case 'g': return letter_takes('x', buf) || letter_takes('w', buf);
    case 'f': return buf->kind == BUF_CONST;
    case 's':
    case 'l':
    case 't': return buf->kind == BUF_STATE;
    case 'h': return buf->kind == BUF_RING;
    case 'r': return buf->kind == BUF_RECORD;
    case 'k':
    case 'c': return buf->kind == BUF_KV;
    }
    return false;
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* The operands of one op, for the shape rules. */
struct shapes {
    const struct buf *at[OP_OPERANDS_MAX];
};

static bool same_columns(const struct buf *a, const struct buf *b)
{
    return a->groups == b->groups && a->width == b->width;
}

static bool is_vector(const struct buf *weight, uint32_t width)
{
    return weight->rows == 1 && weight->width == width;
}

/* Columns without gaps, for ops that do not look at groups. */
static bool is_dense(const struct buf *buf)
{
    return buf->groups == 1 || buf->stride == buf->width;
}

/* From its first column on: backends round a buffer once for all products that read it. */
static bool matmul_fits(const struct shapes *s)
{
    return s->at[1]->offset == 0 && is_dense(s->at[1]) && is_dense(s->at[2]) &&
           s->at[0]->width == buf_columns(s->at[1]) && s->at[0]->rows == buf_columns(s->at[2]);
}

/* Rows of x: one for each expert of a row, or one that all share. */
static bool expert_matmul_fits(const struct shapes *s)
{
    const struct buf *w = s->at[0], *routing = s->at[1], *x = s->at[2], *y = s->at[3];
    return (x->groups == routing->width || x->groups == 1) && x->width == w->width &&
           y->groups == routing->width && y->width == w->rows / w->stack &&
           routing->width <= w->stack;
}

static bool expert_scale_fits(const struct shapes *s)
{
    const struct buf *x = s->at[0], *routing = s->at[1], *w = s->at[2];
    return same_columns(x, s->at[3]) && x->groups == routing->width && w->rows == w->stack &&
           w->width == 1;
}

static bool expert_sum_fits(const struct shapes *s)
{
    const struct buf *x = s->at[0], *shares = s->at[1], *y = s->at[2];
    return buf_columns(shares) == x->groups && is_dense(shares) && y->groups == 1 &&
           y->width == x->width;
}

static bool expert_squares_fits(const struct shapes *s)
{
    const struct buf *x = s->at[0], *routing = s->at[1], *sums = s->at[2];
    return (x->groups == routing->width || x->groups == 1) && sums->width == x->width + 1 &&
           routing->width <= sums->stack;
}

static bool concat_fits(const struct shapes *s)
{
    return is_dense(s->at[2]) &&
           buf_columns(s->at[0]) + buf_columns(s->at[1]) == buf_columns(s->at[2]);
}

static bool route_fits(const struct shapes *s)
{
    const struct buf *x = s->at[0], *routing = s->at[1], *shares = s->at[2];
    return is_dense(x) && routing->width <= buf_columns(x) &&
           buf_columns(shares) == routing->width && is_dense(shares);
}

/* q k v decay beta, and Z as rows of key vectors, and the output in heads like v. */
static bool delta_rule_fits(const struct shapes *s, const struct buf *z, const struct buf *y)
{
    const struct buf *q = s->at[0], *k = s->at[1], *v = s->at[2];
    return same_columns(q, k) && same_columns(v, y) && v->groups % q->groups == 0 &&
           buf_columns(s->at[3]) == v->groups && is_dense(s->at[3]) &&
           buf_columns(s->at[4]) == v->groups && is_dense(s->at[4]) && z->rows == buf_columns(v) &&
           z->width == k->width;
}

static bool records_fit(const struct shapes *s)
{
    const struct buf *k = s->at[1], *v = s->at[2], *records = s->at[6];
    return records->groups == v->groups && records->width == k->width + v->width + 1 &&
           records->rows > 0;
}

static bool attend_fits(const struct shapes *s)
{
    const struct buf *q = s->at[0], *k = s->at[1], *v = s->at[2], *y = s->at[3];
    return q->width <= HEAD_WIDTH_MAX && q->width == k->width && same_columns(k, v) &&
           q->groups % k->groups == 0 && same_columns(q, y);
}

static bool conv_fits(const struct shapes *s)
{
    const struct buf *x = s->at[0], *w = s->at[1], *ring = s->at[2], *y = s->at[3];
    return is_dense(x) && is_dense(y) && w->rows == buf_columns(x) && w->width <= CONV_TAPS_MAX &&
           w->width == ring->reach + 1 && ring->reach <= ring->rows &&
           buf_columns(ring) == buf_columns(x) && buf_columns(y) == buf_columns(x);
}

static bool rope_fits(const struct buf *x, const struct buf *f, const struct buf *y)
{
    return same_columns(x, y) && 2 * f->width <= x->width;
}

static bool shapes_fit(enum op_kind kind, const struct shapes *s)
{
    const struct buf *const *at = s->at;
    switch (kind) {
    case OP_EMBED:
    case OP_SELECT: return at[0]->groups == 1 && same_columns(at[0], at[1]);
    case OP_MATMUL: return matmul_fits(s);
    case OP_RMS_NORM: return same_columns(at[0], at[2]) && is_vector(at[1], at[0]->width);
    case OP_L2_NORM:
    case OP_SILU:
    case OP_SIGMOID:
    case OP_SOFTPLUS: return same_columns(at[0], at[1]);
    case OP_ADD:
    case OP_MUL:
    case OP_SIGMOID_MUL:
    case OP_SWIGLU: return same_columns(at[0], at[1]) && same_columns(at[0], at[2]);
    case OP_ADD_WEIGHT:
    case OP_MUL_WEIGHT: return same_columns(at[0], at[2]) && is_vector(at[1], buf_columns(at[0]));
    case OP_MUL_COLUMN: return same_columns(at[0], at[2]) && buf_columns(at[1]) == 1;
    case OP_MUL_SCALAR: return same_columns(at[0], at[2]) && is_vector(at[1], 1);
    case OP_ADD_GATED:
        return same_columns(at[0], at[3]) && same_columns(at[1], at[3]) && buf_columns(at[2]) == 1;
    case OP_COPY: return is_dense(at[1]) && buf_columns(at[0]) == buf_columns(at[1]);
    case OP_CONCAT: return concat_fits(s);
    case OP_ROUTE: return route_fits(s);
    case OP_EXPERT_MATMUL: return expert_matmul_fits(s);
    case OP_EXPERT_SCALE: return expert_scale_fits(s);
    case OP_SUM_SQUARES: return is_dense(at[0]) && at[1]->width == buf_columns(at[0]) + 1;
    case OP_EXPERT_SQUARES: return expert_squares_fits(s);
    case OP_EXPERT_SUM: return expert_sum_fits(s);
    case OP_DECAY:
        return same_columns(at[0], at[3]) && is_vector(at[1], buf_columns(at[0])) &&
               is_vector(at[2], buf_columns(at[0]));
    case OP_ROPE: return rope_fits(at[0], at[1], at[2]);
    case OP_NORM_ROPE: return rope_fits(at[0], at[2], at[3]) && is_vector(at[1], at[0]->width);
    case OP_KV_APPEND: return same_columns(at[0], at[1]);
    case OP_ATTEND: return attend_fits(s);
    case OP_CONV:
    case OP_CONV_SILU: return conv_fits(s);
    case OP_STATE_LOAD:
    case OP_STATE_STORE: return at[0]->rows == at[1]->rows && at[0]->width == at[1]->width;
    case OP_DELTA_RULE:
        return delta_rule_fits(s, at[5], at[7]) && at[5]->rows == at[6]->rows &&
               at[5]->width == at[6]->width;
    case OP_DELTA_RULE_INPLACE: return delta_rule_fits(s, at[5], at[6]);
    case OP_DELTA_RULE_RECORDED: return delta_rule_fits(s, at[5], at[7]) && records_fit(s);
    case OP_GATED_NORM:
        return same_columns(at[0], at[2]) && same_columns(at[0], at[3]) &&
               is_vector(at[1], at[0]->width);
    case OP_ADD_NORM:
        return same_columns(at[0], at[1]) && same_columns(at[0], at[3]) &&
               same_columns(at[0], at[4]) && is_vector(at[2], at[0]->width);
    case OP_COUNT: break;
    }
    return false;
}

/* ---- order of reads and writes --------------------------------------------------------------- */

/* Counts the write of one operand, or checks its read, in `writers`, the number of writes so far
 * of each base buffer. */
static const char *use_operand(const struct buf *buf, char letter, uint8_t *writers)
{
    uint8_t *count = &writers[buf->base];
    if (letter_writes(letter)) {
        if (*count != 0)
            return "an operand has a second writer";
        (*count)++;
    } else if (buf_is_activation(buf) && buf->kind != BUF_INPUT && *count == 0) {
        return "an operand is read before it is written";
    }
    return NULL;
}

static bool view_fits(const struct plan *plan, const struct buf *buf)
{
    const struct buf *base = plan_buf(plan, buf->base);
    if (base->base != buf->base || buf->groups == 0 || buf->width == 0)
        return false;
    const uint64_t end =
        (uint64_t)buf->offset + (uint64_t)(buf->groups - 1) * buf->stride + buf->width;
    return buf->stride >= buf->width && end <= (uint64_t)base->groups * base->width;
}

static enum weir_status validate_op(const struct plan *plan, const struct op *op, uint8_t *writers,
                                    struct weir_error *err)
{
    const char *letters = op_info(op->kind)->operands;
    struct shapes shapes = {{0}};
    for (uint32_t i = 0; letters[i] != 0; i++) {
        if (op->operand[i] >= plan->buf_count)
            return refuse(plan, op, "an operand is not a buffer", err);
        const struct buf *buf = plan_buf(plan, op->operand[i]);
        shapes.at[i] = buf;
        if (!letter_takes(letters[i], buf))
            return refuse(plan, op, "an operand is of the wrong kind", err);
        if (!view_fits(plan, buf))
            return refuse(plan, op, "a view does not fit its base", err);
        const char *problem = use_operand(buf, letters[i], writers);
        if (problem != NULL)
            return refuse(plan, op, problem, err);
    }
    if (!shapes_fit(op->kind, &shapes))
        return refuse(plan, op, "the operands' shapes do not agree", err);
    return WEIR_OK;
}

enum weir_status plan_validate(const struct plan *plan, struct weir_error *err)
{
    if (plan->logits == BUF_NONE)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "plan: no logits");
    if (plan->op_count > PLAN_BUFS_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "plan: too many ops");
    uint8_t *writers = mem_alloc(plan->buf_count, 1, err);
    if (writers == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < plan->op_count && status == WEIR_OK; i++)
        status = validate_op(plan, &plan->ops[i], writers, err);
    if (status == WEIR_OK && writers[plan->logits] == 0)
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "plan: nothing writes the logits");
    mem_free(writers);
    return status;
}
