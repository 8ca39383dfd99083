/* SPDX-License-Identifier: MIT
 * The choice of tokens behind a step. The samplers of several slots work side by side, since a row
 * of logits may have 250,000 numbers and the engine's processors are idle meanwhile. */
#ifndef SERVE_PICKS_H
#define SERVE_PICKS_H

#include "serve/scheduler_room.h"

/* Threads for the samplers; scheduler->picker, NULL if there is nothing to share. */
enum weir_status picks_open(struct scheduler *scheduler, struct weir_error *err);

/* Chooses, for each slot whose tokens in the step were no round of drafts, from its only row. */
void picks_take(struct scheduler *scheduler);

/* Chooses from a row of the slot, and describes what is chosen: slot->pick. */
void pick_first(struct slot *slot, uint32_t vocab, uint32_t row);
/* Describes a token that was chosen from a row of the slot. */
void pick_describe(struct slot *slot, uint32_t vocab, uint32_t row, int32_t id);

#endif
