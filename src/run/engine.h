/* SPDX-License-Identifier: MIT
 * The engine and its sessions from inside. */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include "run/blueprint.h"
#include "run/loader.h"
#include "run/state.h"

struct weir_engine {
    struct blueprint blueprint;
    struct weir_engine_options options;
    struct loader loader;
    struct device *device;
    struct state state;
    struct exec *exec;
    /* the step being put together: arrays of the size of the limits, taken at open */
    int32_t *token;
    struct step_seq *seq;
    uint32_t *out_row;
    uint64_t step_count; /* steps run, so that a session knows if its logits are still there */
    uint64_t prefill_done, prefill_total; /* tokens of the running eval or step, for progress */
};

struct weir_session {
    struct weir_engine *engine;
    uint32_t slot;
    uint32_t position;    /* tokens it holds */
    uint32_t logits_row;  /* where its logits of step `logits_step` begin */
    uint32_t logits_rows; /* how many there are */
    uint64_t logits_step;
    uint64_t step_mark; /* the step it was last put into, to find it twice */
};

/* weir_engine_step for a caller that has set the numbers of the progress. */
enum weir_status engine_run_step(struct weir_engine *engine, const struct weir_step_item *items,
                                 uint32_t items_count, struct weir_error *err);

/* That `count` tokens are at least one, fit into the session's context, are in the vocabulary. */
enum weir_status engine_check_tokens(const struct weir_engine *engine,
                                     const struct weir_session *session, const int32_t *tokens,
                                     uint32_t count, struct weir_error *err);

#endif
