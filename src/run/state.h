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

/* Told of a piece of the state memory; what is not WEIR_OK ends the walk. */
typedef enum weir_status state_piece_fn(void *user, uint64_t offset, uint64_t bytes);

/* What a sequence at a position is made of, piece by piece, always in the same order and of the
 * same sizes: the rows of the caches at positions [first, last) ... */
enum weir_status state_each_cached(const struct state *state, uint32_t slot, uint32_t first,
                                   uint32_t last, state_piece_fn *fn, void *user);
/* ... and all else that the next token reads: recurrent states, the last rows of rings, and records
 * of the tokens that are not in the states yet. */
struct state_place {
    uint32_t slot, position;
    uint32_t pending; /* as in struct step_seq */
};
enum weir_status state_each_kept(const struct state *state, const struct state_place *place,
                                 state_piece_fn *fn, void *user);

/* Copies the sums of buffer `number`, all rows, to `out` and makes them zero. */
void state_take_sums(struct state *state, uint16_t number, float *out);

#endif
