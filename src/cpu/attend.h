/* SPDX-License-Identifier: MIT
 * How the threads share full attention. What a row sees of the cache is cut into chunks by a rule
 * that knows the row's position alone, so its bits depend on nothing else: rows of one sequence
 * that lie side by side form a unit, to read a chunk once for all, and a thread computes a run of
 * chunks, of one unit or of many, so that all have about the same to do. Whoever completes the last
 * chunk of a unit merges the parts, in the order of the chunks. */
#ifndef CPU_ATTEND_H
#define CPU_ATTEND_H

#include <stdatomic.h>

#include "plan/plan.h"

enum {
    ATTEND_KEYS = 64,       /* positions that are weighed at once: chunks begin at multiples */
    ATTEND_CHUNK_MIN = 256, /* positions */
    ATTEND_CHUNKS_MAX = 16, /* of a row */
    ATTEND_VECTORS = 64,    /* query vectors of a unit, or as many as share a head of the cache */
    ATTEND_PAD = 16,        /* floats: widths are rounded up to it, no vector has more lanes */
};

/* Where the parts of a unit lie that several threads compute. Of the units that a thread begins
 * only the last is one, so there is a place for each thread. */
struct attend_place {
    _Atomic uint32_t done; /* chunks */
    uint8_t line[64 - sizeof(uint32_t)];
};

/* What all threads share. */
struct attend_team {
    uint32_t threads;
    struct attend_place *places; /* [threads] */
    float *parts;                /* [threads] of parts_count */
    uint64_t parts_count;
};

/* Rows of one sequence and a head of the cache; chunks of it that a thread computes. */
struct attend_unit {
    uint64_t row;     /* of the step */
    uint64_t visible; /* positions that the first row sees; each row behind it sees one more */
    uint64_t chunk;   /* positions of a chunk */
    uint32_t rows, slot, group;
    uint32_t chunks;                 /* that the last row sees */
    uint32_t chunk_first, chunk_end; /* the thread's */
    uint32_t place;                  /* the thread that begins it */
    bool is_many; /* its rows are many: may be computed in another order than one by one */
};

/* Goes through all units of a step, and stops at those of which the thread has chunks. */
struct attend_walk {
    const struct step *step;
    const struct attend_team *team;
    uint32_t thread, groups, unit_rows;
    uint32_t seq, done; /* rows of the sequence that are behind */
    uint32_t group;
    uint64_t cost, total; /* positions times rows: of the units behind, and of all */
};

/* Positions of a chunk of a row that sees `visible`. */
uint64_t attend_chunk(uint64_t visible);

/* `groups` heads of the cache, each shared by `heads`. */
struct attend_walk attend_begin(const struct step *step, uint32_t groups, uint32_t heads,
                                const struct attend_team *team, uint32_t thread);
/* False if there is no more. */
bool attend_next(struct attend_walk *walk, struct attend_unit *unit);

/* True if the thread has all chunks of the unit. */
static inline bool attend_is_whole(const struct attend_unit *unit)
{
    return unit->chunk_first == 0 && unit->chunk_end == unit->chunks;
}

/* Floats of a row of a tile, of a part of a query vector, and of anything else of that width: a
 * line more than the width, since rows whose distance is a power of 2 compete for the same lines of
 * the first cache. Behind the sums of a part lie its counters. */
static inline uint32_t attend_pitch(uint32_t width)
{
    return (width + ATTEND_PAD - 1) / ATTEND_PAD * ATTEND_PAD + ATTEND_PAD;
}

/* Query vectors that so many have room for: whole vectors of numbers, one for each. */
static inline uint32_t attend_room(uint32_t vectors)
{
    return (vectors + ATTEND_PAD - 1) / ATTEND_PAD * ATTEND_PAD;
}

/* Floats of a team's parts for each thread, and of a thread's scratch, if `heads` share one. */
uint64_t attend_parts_count(uint32_t heads, uint32_t width);
uint64_t attend_scratch_floats(uint32_t heads, uint32_t width);

#endif
