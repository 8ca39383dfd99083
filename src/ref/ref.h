/* SPDX-License-Identifier: MIT
 * The reference backend from inside: what an op function gets. Only this room and the test that
 * counts touched bytes look here. */
#ifndef REF_REF_H
#define REF_REF_H

#include "backend/backend.h"

/* An operand with its address. Row r of an activation begins at data + r * pitch; of a state, ring
 * or cache, row r of slot s at data + s * slot_bytes + r * pitch. */
struct ref_operand {
    uint8_t *data; /* of a view: its first element in row 0 */
    enum dtype dtype;
    uint64_t rows;  /* in this step; of one slot for states, rings (of caches: 1) */
    uint32_t width; /* elements of a group */
    uint32_t groups;
    uint32_t stride;     /* elements from group to group */
    uint64_t pitch;      /* bytes from row to row */
    uint64_t slot_bytes; /* from slot to slot */
};

struct ref_call {
    const struct op *op;
    const struct step *step;
    struct ref_operand at[OP_OPERANDS_MAX];
    uint64_t rows;  /* that the op computes: of its last operand, or of its first */
    float *scratch; /* the thread's own: see scratch_floats */
};

/* Computes units [first, last) of the op (ref_units says how many there are): independent parts,
 * so that threads can share them and no result depends on how. */
typedef void ref_op_fn(const struct ref_call *call, uint64_t first, uint64_t last);

#define OP(id, function, operands, meaning) ref_op_fn ref_##function;
#include "plan/ops.def"

uint64_t ref_units(const struct ref_call *call);

/* Finds the operands of op number `op` of a prepared plan for this step. */
void ref_resolve(const struct exec *exec, uint32_t op, const struct step *step,
                 struct ref_call *call);
/* Runs all units of one call on the calling thread. */
void ref_run_op(const struct ref_call *call);

/* ---- small helpers of the op functions ------------------------------------------------------- */

/* Group `group` of row `row` of an F32 activation. */
static inline float *ref_group(const struct ref_operand *operand, uint64_t row, uint32_t group)
{
    return (float *)(void *)(operand->data + row * operand->pitch) +
           (uint64_t)group * operand->stride;
}

/* Row `row` of slot `slot` of a state, ring or cache. */
static inline uint8_t *ref_slot_row(const struct ref_operand *operand, uint32_t slot, uint64_t row)
{
    return operand->data + slot * operand->slot_bytes + row * operand->pitch;
}

/* a . b in F32: 16 partial sums, lane l over the elements i with i mod 16 = l in ascending order,
 * then added in pairs. The order is fixed, so the bits depend on nothing but the numbers. */
float ref_dot(const float *a, const float *b, uint32_t n);

/* y = x / sqrt(mean(x^2) + eps) * w; the sum of squares in double. */
void ref_rms_norm_group(const float *x, const float *w, float eps, float *y, uint32_t n);

float ref_sigmoid_of(float x);
float ref_silu_of(float x);
float ref_softplus_of(float x);

#endif
