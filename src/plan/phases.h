/* SPDX-License-Identifier: MIT
 * Where threads have to wait for each other. A phase is a run of ops without a barrier between
 * them: each thread computes its part of one op after the other, and what it reads of an op before
 * in the same phase is its own part. Derived from the operands, like bytes and lifetimes. */
#ifndef PLAN_PHASES_H
#define PLAN_PHASES_H

#include "plan/plan.h"

/* Steps of up to so many rows repeat what is cheap. */
enum { PHASES_REPEAT_ROWS = 16 };

/* How the threads share an op. */
enum share {
    SHARE_UNITS,     /* in parts of the op's own kind */
    SHARE_EACH,      /* not: each computes all of it, into memory of its own */
    SHARE_ROWS,      /* rows of the result */
    SHARE_COLUMNS,   /* columns of the result */
    SHARE_WIDTH,     /* columns within each group of the result */
    SHARE_EXPERTS,   /* experts, and columns of some: in steps of many rows */
    SHARE_GROUPS,    /* groups of the result: heads, in families */
    SHARE_POSITIONS, /* positions of the cache */
};

const char *share_name(enum share share);

/* When and how an op runs. */
struct turn {
    uint16_t phase;
    uint8_t share;    /* enum share */
    uint8_t head_map; /* enum head_map: which heads of a buffer with more of them a family has */
    bool is_loose;    /* SHARE_COLUMNS: no op of the phase reads the result, so that any thread may
                         compute any column */
    uint16_t
        families; /* SHARE_GROUPS: of the phase; each buffer has a multiple of so many groups */
};

/* The operand that an op's parts are parts of: the last activation that it writes, or else what it
 * keeps. */
uint32_t op_result(const struct plan *plan, const struct op *op);

/* Fills turns[op_count] and returns the number of phases: of barriers, if one ends each. With
 * `repeat` each thread repeats what is cheap and needed whole by a product, as pays in steps of few
 * rows; without it, such ops are phases of their own, shared by rows. */
uint32_t plan_phases(const struct plan *plan, bool repeat, struct turn *turns);

#endif
