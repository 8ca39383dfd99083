/* SPDX-License-Identifier: MIT
 * The snapshots of a crowd: prefix caches and saved sessions, and what each held when it was made.
 * A session that gets one must be, to the bit, the one that was kept. */
#ifndef TESTS_GOLDEN_KEEPER_H
#define TESTS_GOLDEN_KEEPER_H

#include <stdbool.h>
#include <stdint.h>

#include "weir.h"

enum {
    KEEPER_CACHES = 3, /* memory; memory and a folder; the same folder again */
    KEEPER_FILES = 3,  /* of saved sessions */
};

struct crowd;
struct place;
struct kept_life;

struct keeper {
    struct weir_cache *caches[KEEPER_CACHES];
    bool is_roomy;           /* nothing has to go */
    struct kept_life *lives; /* a list of all that was put, the newest first */
    struct kept_life *files[KEEPER_FILES];
    int warnings;
};

/* Opens the caches of an open crowd, their sizes drawn. */
void keeper_open(struct crowd *crowd);
void keeper_close(struct keeper *keeper);

/* Of a place with an open session, as it is now. */
void keeper_put(struct crowd *crowd, struct place *place);
void keeper_save(struct crowd *crowd, struct place *place);

/* Gives up what the session holds, and has it begin with what is kept of a text that somebody had.
 * Returns how many tokens of the text are left, which are written to rest[LIFE_MAX]. */
uint32_t keeper_get(struct crowd *crowd, struct place *place, int32_t *rest);
void keeper_load(struct crowd *crowd, struct place *place);

#endif
