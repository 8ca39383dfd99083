/* SPDX-License-Identifier: MIT
 * The profile of an evaluation from inside: what the engine hands its steps to. */
#ifndef RUN_PROFILE_H
#define RUN_PROFILE_H

#include "run/engine.h"

/* Runs a step of the engine with clocks and adds its times to the run under way. */
enum weir_status profile_run_step(struct weir_profile *profile, struct weir_engine *engine,
                                  struct step *step, struct weir_error *err);

#endif
