/* SPDX-License-Identifier: MIT
 * How much memory of its own a thread needs while it computes. */
#ifndef CPU_SCRATCH_H
#define CPU_SCRATCH_H

#include "plan/plan.h"

/* Floats that the kernels of the plan's ops need at most; a multiple of 16. */
uint64_t scratch_floats(const struct plan *plan);
/* Floats of the parts of attention that each thread begins (attend.h); 0 without attention. */
uint64_t scratch_parts(const struct plan *plan);

#endif
