/* SPDX-License-Identifier: MIT
 * The newest tokens of a text, for penalties. Knows no sampler. */
#ifndef RUN_HISTORY_H
#define RUN_HISTORY_H

#include "base/err.h"

struct history {
    int32_t *ids;        /* room for 2 * tokens_max, so that the newest always lie in one piece */
    uint32_t tokens_max; /* how many must be remembered */
    uint64_t end;        /* the newest is ids[end - 1] */
};

/* The newest tokens of a history, oldest first; borrowed until the next push. */
struct history_tail {
    const int32_t *ids;
    uint32_t count;
};

enum weir_status history_init(struct history *history, uint32_t tokens_max, struct weir_error *err);
void history_release(struct history *history);
void history_push(struct history *history, int32_t id);

/* At most `count` tokens, and at most tokens_max. */
struct history_tail history_tail(const struct history *history, uint32_t count);

#endif
