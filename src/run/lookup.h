/* SPDX-License-Identifier: MIT
 * Prompt lookup: what followed when the newest tokens of a text stood in it before. Knows no
 * model. */
#ifndef RUN_LOOKUP_H
#define RUN_LOOKUP_H

#include <stdint.h>

/* Looks for the last place before the end where the newest `size` tokens of tokens[count], at least
 * 1, stood already, and copies what followed there to drafts[wanted]. Where that reaches the end it
 * goes on with itself, as a text does that repeats. Returns how many: wanted, or 0. */
uint32_t lookup_draft(const int32_t *tokens, uint32_t count, uint32_t size, int32_t *drafts,
                      uint32_t wanted);

#endif
