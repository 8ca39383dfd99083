/* SPDX-License-Identifier: MIT
 * The speculator from inside: what makes drafts, as it sees them. */
#ifndef RUN_SPECULATE_H
#define RUN_SPECULATE_H

#include "run/draft_length.h"
#include "run/engine.h"

/* What makes drafts. `state` is its own, which close gives back. */
struct draft_source {
    /* Writes up to `wanted` drafts, at least 1, of what follows `last` behind the session's tokens,
     * to drafts[wanted]; *count says how many. */
    enum weir_status (*draft)(void *state, int32_t last, uint32_t wanted, int32_t *drafts,
                              uint32_t *count, struct weir_error *err);
    /* The session holds tokens[count] more, the first of the last step, whose hidden states can be
     * read; or NULL: does not need to know. */
    void (*taken)(void *state, const int32_t *tokens, uint32_t count);
    void (*close)(void *state);
};

/* A speculator with a source of its own, whose state it then owns; on failure it is closed.
 * options->kind does not matter. */
enum weir_status speculator_open(struct weir_speculator **out, struct weir_session *session,
                                 const struct weir_speculator_options *options,
                                 const struct draft_source *source, void *state,
                                 struct weir_error *err);

/* weir_speculator_prompt with somebody else to tell of each step, too. */
enum weir_status speculator_prompt(struct weir_speculator *speculator, const int32_t *tokens,
                                   uint32_t count, enum weir_logits logits,
                                   session_stepped_fn *stepped, void *user, struct weir_error *err);

/* By the block of multi-token prediction: `session` is of an engine that has it. */
extern const struct draft_source draft_mtp;
enum weir_status draft_mtp_open(void **state, struct weir_session *session, float p_min,
                                struct weir_error *err);

/* By another model: its session follows `session`. */
extern const struct draft_source draft_model;
enum weir_status draft_model_open(void **state, struct weir_session *session,
                                  const struct weir_speculator_options *options,
                                  struct weir_error *err);

#endif
