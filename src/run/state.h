/* SPDX-License-Identifier: MIT
 * The places for sequences: recurrent state, conv ring and KV cache of each, in one block of the
 * device's memory. This file owns who has which place and that a new sequence starts from zero. */
#ifndef RUN_STATE_H
#define RUN_STATE_H

#include "backend/backend.h"

struct state {
    const struct backend *backend;
    const struct plan *plan;
    struct memory *memory;
    uint64_t *offsets;    /* of each state, ring and cache of slot 0, by buffer number */
    uint64_t *slot_bytes; /* from slot to slot, by buffer number */
    bool *taken;          /* by slot */
    uint32_t slots;
};

enum weir_status state_open(struct state *out, const struct backend *backend, struct device *device,
                            const struct plan *plan, const struct plan_limits *limits,
                            struct weir_error *err);
void state_close(struct state *state);

/* Gives a free slot, cleared; WEIR_ERR_FULL if there is none. */
enum weir_status state_take(struct state *state, uint32_t *slot, struct weir_error *err);
void state_give_back(struct state *state, uint32_t slot);

/* Zeroes the recurrent state and conv history of a slot. The KV cache needs no clearing: a position
 * is written before it is read. */
void state_clear(struct state *state, uint32_t slot);

/* Copies the sums of buffer `number`, all rows, to `out` and makes them zero. */
void state_take_sums(struct state *state, uint16_t number, float *out);

#endif
