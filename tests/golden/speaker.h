/* SPDX-License-Identifier: MIT
 * A session of a crowd that speaks: its speculator, its sampler, and who says what it should choose
 * without drafts: the same sampler, behind the logits of the oracle. */
#ifndef TESTS_GOLDEN_SPEAKER_H
#define TESTS_GOLDEN_SPEAKER_H

#include "weir.h"

struct crowd;
struct place;

struct speaker {
    struct weir_speculator *speculator; /* NULL: the place does not speak */
    enum weir_draft_kind kind;
    struct weir_sampler *sampler, *lone;
    struct weir_session *drafter; /* for drafts by a model */
};

/* Draws who makes drafts, how many, and how tokens are chosen, for an open session. */
void speaker_open(struct crowd *crowd, struct place *place);
void speaker_close(struct place *place);

/* Begins a round of at most `most` tokens with the place's next one; returns how many rows the
 * session's next step has, which are written to tokens[WEIR_ROUND_TOKENS_MAX]. */
uint32_t speaker_draft(struct crowd *crowd, struct place *place, uint32_t most, int32_t *tokens);
/* Ends it behind that step: what is chosen, and the logits behind it, must be those of a lone
 * session. */
void speaker_accept(struct crowd *crowd, struct place *place, const int32_t *tokens, uint32_t rows);
/* Behind a step that was cut short nothing can be accepted. */
void speaker_accept_nothing(const struct crowd *crowd, struct place *place);

#endif
