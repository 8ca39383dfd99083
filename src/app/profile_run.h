/* SPDX-License-Identifier: MIT
 * Runs of one profile on a loaded engine. Knows no form of output. */
#ifndef APP_PROFILE_RUN_H
#define APP_PROFILE_RUN_H

#include "app/log.h"
#include "app/profile_report.h"

/* Tokens that a session may hold besides those of the profile: so many decodes can follow each
 * other before the tokens that stand before are evaluated anew. */
enum { PROFILE_DRIFT = 64 };

/* The progress of an engine that is profiled: as log_progress, but while a run is timed nothing is
 * written. */
struct profile_progress {
    struct log *log;
    bool is_timed;
};
bool profile_progress_ask(void *user, enum weir_stage stage, uint64_t done, uint64_t total);

/* What profiles are run on: as many sessions as their shapes have sequences, or more. */
struct profile_bench {
    struct weir_engine *engine;
    struct weir_session *const *sessions;
    struct profile_progress *progress; /* of the engine */
    const struct counters *counters;   /* NULL: nothing is counted */
};

/* Runs the profile `runs` times, in turn with as many evaluations that no clock is read in, behind
 * one of both that does not count; sets the times of the result, and what hardware counted in the
 * runs of the profile. */
enum weir_status profile_run(struct profile_result *result, struct weir_profile *profile,
                             const struct profile_bench *bench, uint32_t runs,
                             struct weir_error *err);

#endif
