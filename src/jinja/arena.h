/* SPDX-License-Identifier: MIT
 * Memory that is taken piece by piece and given back whole. */
#ifndef JINJA_ARENA_H
#define JINJA_ARENA_H

#include "base/err.h"

struct arena {
    struct arena_block *blocks; /* the newest first */
    uint64_t taken, taken_max;  /* bytes; 0: no limit */
};

/* `count` zeroed objects of `size` bytes, aligned for anything; NULL with `err` set: WEIR_ERR_FULL
 * beyond the limit, WEIR_ERR_MEMORY if there is no more. */
void *arena_take(struct arena *arena, uint64_t count, uint64_t size, struct weir_error *err);
void arena_release(struct arena *arena);

#endif
