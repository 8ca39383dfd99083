/* SPDX-License-Identifier: MIT
 * A test of weir bench that generates by rounds of speculation: drafts, and a step that verifies
 * them. */
#ifndef APP_BENCH_ROUNDS_H
#define APP_BENCH_ROUNDS_H

#include "app/bench_test.h"

/* What the rounds of a test begin with; the test says how many drafts they have. */
struct bench_drafts {
    struct weir_speculator_options options; /* its drafts_max is that of rounds of any length */
    const int32_t *text; /* [depth + 1]: tokens to continue; NULL: random ones. Borrowed */
};

/* Runs `count` tests of a generation, as bench_run, but that each token is the most likely one.
 * They differ in their drafts alone and are to be compared, so a repetition of each is run in turn.
 * Fills in result->rounds of all repetitions and result->bytes of one. */
enum weir_status bench_run_rounds(struct bench_result *results, uint32_t count,
                                  const struct bench_drafts *drafts,
                                  const struct weir_engine *engine, struct weir_session *session,
                                  bool warmup, bench_progress_fn *progress, void *user,
                                  struct weir_error *err);

#endif
