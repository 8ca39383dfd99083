/* SPDX-License-Identifier: MIT
 * The reference backend from inside: what an op function gets. Only this room and the test that
 * counts touched bytes look here. */
#ifndef REF_REF_H
#define REF_REF_H

#include "backend/host.h"

struct ref_call {
    const struct op *op;
    const struct step *step;
    struct host_operand at[OP_OPERANDS_MAX];
    uint64_t rows;  /* that the op computes: of its last operand, or of its first */
    float *scratch; /* the thread's own: see scratch_floats */
};

/* Computes units [first, last) of the op (ref_units says how many there are): independent parts,
 * so that threads can share them and no result depends on how. */
typedef void ref_op_fn(const struct ref_call *call, uint64_t first, uint64_t last);

#define OP(id, function, operands, shares, meaning) ref_op_fn ref_##function;
#include "plan/ops.def"

uint64_t ref_units(const struct ref_call *call);

/* Finds the operands of op number `op` of a prepared plan for this step. */
void ref_resolve(const struct exec *exec, uint32_t op, const struct step *step,
                 struct ref_call *call);
/* Runs all units of one call on the calling thread. */
void ref_run_op(const struct ref_call *call);

/* ---- small helpers of the op functions ------------------------------------------------------- */

/* a . b in F32: 16 partial sums, lane l over the elements i with i mod 16 = l in ascending order,
 * then added in pairs. The order is fixed, so the bits depend on nothing but the numbers. */
float ref_dot(const float *a, const float *b, uint32_t n);

/* y = x / sqrt(mean(x^2) + eps) * w; the sum of squares in double. */
void ref_rms_norm_group(const float *x, const float *w, float eps, float *y, uint32_t n);

float ref_sigmoid_of(float x);
float ref_silu_of(float x);
float ref_softplus_of(float x);

#endif
