/* SPDX-License-Identifier: MIT
 * The profile of an evaluation from inside: what the engine hands its steps to. Knows no op and no
 * backend, but the clocks of both. */
#ifndef RUN_PROFILE_H
#define RUN_PROFILE_H

#include "run/engine.h"

/* An op in one run. */
struct op_time {
    uint64_t ns;      /* of the step's */
    uint64_t wait_ns; /* of all threads together, behind it */
    uint64_t gap_ns;  /* of `ns`: in which the thread that is last at the barrier waited */
};

/* Adds to times[ops] what each op of a step from `begin` to `end` took, by clocks [threads][ops].
 * Ops between two barriers last as long as on the thread that comes to the second one last, each
 * until the next begins: what another waited for there was one of these ops. A phase ends where the
 * first thread goes on, so all times add up to end - begin. */
void profile_charge(const struct op_clock *clocks, uint32_t threads, uint32_t ops, uint64_t begin,
                    uint64_t end, struct op_time *times);

/* Runs a step of the engine with clocks that the run under way keeps. */
enum weir_status profile_run_step(struct weir_profile *profile, struct weir_engine *engine,
                                  struct step *step, struct weir_error *err);

#endif
