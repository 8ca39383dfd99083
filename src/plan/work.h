/* SPDX-License-Identifier: MIT
 * Arithmetic of ops, derived from their kinds, the shapes of their operands and the step. Knows no
 * backend: what one computes besides, as in chunks of the delta rule, does not count. */
#ifndef PLAN_WORK_H
#define PLAN_WORK_H

#include "plan/plan.h"

/* Operations on floats that the op's definition takes in this step. An addition, a multiplication,
 * a division and a value of exp or ln count 1 each, so a multiply-add 2; comparisons, copies and
 * conversions count nothing, nor does what is done once for a group of columns, as the root of a
 * norm. A rewrite of the plan has the count of what it stands for. */
uint64_t op_work(const struct plan *plan, const struct op *op, const struct step *step);

#endif
