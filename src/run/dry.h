/* SPDX-License-Identifier: MIT
 * DRY ("don't repeat yourself"): which tokens would extend a repetition of the text's end, and by
 * how much. Knows nothing of logits or of the texts of tokens.
 *
 * The method is p-e-w's (text-generation-webui, pull request 5677). */
#ifndef RUN_DRY_H
#define RUN_DRY_H

#include "run/history.h"

enum { DRY_TAIL_MAX = 20 };

/* Token sequences that repetitions do not reach across: a head and the tokens that must follow. */
struct dry_breaker {
    int32_t head;
    uint32_t tail_length; /* 0: the head alone is a breaker */
    int32_t tail[DRY_TAIL_MAX];
};

struct dry_breakers {
    struct dry_breaker *items; /* in ascending order of heads */
    uint64_t count, capacity;
};

/* Adds a breaker of 1 to 1 + DRY_TAIL_MAX tokens, not before the last one added in the order of
 * heads. Starts from a zeroed struct. */
enum weir_status dry_breakers_add(struct dry_breakers *breakers, int32_t head, const int32_t *tail,
                                  uint32_t tail_length, struct weir_error *err);
void dry_breakers_release(struct dry_breakers *breakers);

/* True if `id` alone is a breaker. */
bool dry_breakers_single(const struct dry_breakers *breakers, int32_t id);

/* How many tokens stand behind the nearest breaker before the end; all, if there is none. */
uint32_t dry_reach(const struct dry_breakers *breakers, struct token_history_tail text);

/* For each token that would extend a repetition of at least `allowed` tokens that does not reach
 * across a breaker: sets excess[id], 0 before, to one more than the number of tokens of the
 * longest such repetition beyond `allowed`. lengths[text.count] is scratch. O(text.count). */
void dry_find(uint32_t *excess, uint32_t *lengths, const struct dry_breakers *breakers,
              struct token_history_tail text, uint32_t allowed);

#endif
