/* SPDX-License-Identifier: MIT
 * The newest tokens of a text, for penalties. Knows no sampler. */
#ifndef RUN_HISTORY_H
#define RUN_HISTORY_H

#include "base/err.h"

struct token_history {
    int32_t *ids;        /* room for 2 * tokens_max, so that the newest always lie in one piece */
    uint32_t tokens_max; /* how many must be remembered */
    uint64_t end;        /* the newest is ids[end - 1] */
};

/* The newest tokens of a history, oldest first; borrowed until the next push. */
struct token_history_tail {
    const int32_t *ids;
    uint32_t count;
};

enum weir_status token_history_init(struct token_history *history, uint32_t tokens_max,
                                    struct weir_error *err);
void token_history_release(struct token_history *history);
void token_history_push(struct token_history *history, int32_t id);

/* At most `count` tokens, and at most tokens_max. */
struct token_history_tail token_history_tail(const struct token_history *history, uint32_t count);

#endif
