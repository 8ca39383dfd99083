/* SPDX-License-Identifier: MIT
 * The rows of a step by the expert that they are routed to, sorted once behind the routing and read
 * by all products of the layer; and how threads share experts in a step of many rows. Knows no
 * matrices. */
#ifndef CPU_GATHER_H
#define CPU_GATHER_H

#include "backend/host.h"

/* An expert, and which of the entries are its own: [first, last). */
struct gathered_expert {
    uint32_t expert, first, last;
};

/* Place `place` of the routing of row `row`. */
struct gathered_entry {
    uint32_t row, place;
};

/* Lies behind the routing. */
struct gathered {
    uint32_t *count;                 /* of experts that have rows */
    struct gathered_expert *experts; /* in the order in which they first appear */
    struct gathered_entry *entries;  /* of each expert by row, ascending */
};

/* Bytes for each row of the step. */
uint32_t gather_row_bytes(uint32_t used);
/* Where all of it lies of a routing of `rows` rows of `used` experts. */
struct gathered gather_at(uint8_t *memory, uint64_t rows, uint32_t used);
/* Fills it. `counts` is scratch: a number for each of `experts`. */
void gather_routed(const struct gathered *gathered, const struct host_operand *routing,
                   uint32_t experts, uint32_t *counts);

/* Goes through what a thread computes: each of `threads` a run of columns of one expert after the
 * other, all about as much. */
struct gather_walk {
    const struct gathered *gathered;
    uint32_t columns;     /* of each expert */
    uint32_t next;        /* expert to look at */
    uint64_t begun;       /* cost of those behind */
    uint64_t first, last; /* costs that the thread's part begins at and ends before */
};

struct gather_walk gather_begin(const struct gathered *gathered, uint32_t columns, uint32_t thread,
                                uint32_t threads);
/* The next expert that the thread has columns of; false if there is no more. */
bool gather_next(struct gather_walk *walk, uint32_t *expert, uint32_t *column,
                 uint32_t *column_end);

#endif
