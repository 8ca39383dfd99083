/* SPDX-License-Identifier: MIT
 * Runs of one profile on a loaded engine. Knows no form of output. */
#ifndef APP_PROFILE_RUN_H
#define APP_PROFILE_RUN_H

#include "app/profile_report.h"

/* Tokens that the session may hold besides those of the profile: so many decodes can follow each
 * other before the tokens that stand before are evaluated anew. */
enum { PROFILE_DRIFT = 64 };

/* Runs the profile `runs` times, in turn with as many evaluations that no clock is read in, behind
 * one of both that does not count; sets the medians of the result. */
enum weir_status profile_run(struct profile_result *result, struct weir_profile *profile,
                             const struct weir_engine *engine, struct weir_session *session,
                             uint32_t runs, struct weir_error *err);

#endif
