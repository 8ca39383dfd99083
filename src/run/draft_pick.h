/* SPDX-License-Identifier: MIT
 * The token that a draft takes from a row of logits: the most likely one. Knows no sampler. */
#ifndef RUN_DRAFT_PICK_H
#define RUN_DRAFT_PICK_H

#include <stdint.h>

/* The first of the largest of logits[count], at least one and none of them NaN. */
int32_t draft_pick(const float *logits, uint32_t count);

/* How likely token `id`, the largest, is among the ten largest. */
float draft_probability(const float *logits, uint32_t count, int32_t id);

#endif
