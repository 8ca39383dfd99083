/* SPDX-License-Identifier: MIT
 * What backends share that compute in the host's memory: its blocks, and where the buffers of a
 * plan lie in them. Knows no op. */
#ifndef BACKEND_HOST_H
#define BACKEND_HOST_H

#include "backend/backend.h"

struct memory {
    uint8_t *data;
    uint64_t bytes;
};

enum weir_status host_alloc(struct memory **out, struct device *device, uint64_t bytes,
                            struct weir_error *err);
void host_free(struct memory *memory);
void host_clear(struct memory *memory, uint64_t offset, uint64_t bytes);
void host_fetch(const struct memory *memory, uint64_t offset, void *out, uint64_t bytes);
void host_store(struct memory *memory, uint64_t offset, const void *in, uint64_t bytes);

/* Addresses of a plan's buffers; zeroed to begin. */
struct host_bound {
    const struct plan *plan;
    uint8_t **address;    /* of each buffer's first byte, views included; NULL: not in memory */
    uint64_t *slot_bytes; /* of states, rings and caches */
    float **vectors;      /* converted weights: as many as there are buffers, mostly NULL */
};

/* Binds weights, constants, states, and the activations to `block`, where they lie at `offsets`
 * (plan_place). Weights that are no matrices (norms, biases, taps) are read as floats: one that the
 * file has in another type or unaligned gets a converted copy. `name` is the backend's, for
 * messages. */
enum weir_status host_bind(struct host_bound *bound, const struct backend_bind *bind,
                           const uint64_t *offsets, uint8_t *block, const char *name,
                           struct weir_error *err);
/* Buffer `number`, a matrix, is at another address from now on. */
void host_rebind(struct host_bound *bound, uint32_t number, const void *address);
void host_release(struct host_bound *bound);

/* An operand with its address. Row r of an activation begins at data + r * pitch; of a state, ring
 * or cache, row r of slot s at data + s * slot_bytes + r * pitch. */
struct host_operand {
    uint8_t *data; /* of a view: its first element in row 0 */
    enum dtype dtype;
    uint64_t rows;  /* in this step; of one slot for states, rings (of caches: 1) */
    uint32_t width; /* elements of a group */
    uint32_t groups;
    uint32_t stride;     /* elements from group to group */
    uint64_t pitch;      /* bytes from row to row */
    uint64_t slot_bytes; /* from slot to slot */
};

/* Operand `i` of the op in this step. */
struct host_operand host_operand(const struct host_bound *bound, const struct op *op, uint32_t i,
                                 const struct step *step);

/* Group `group` of row `row` of an F32 activation. */
static inline float *host_group(const struct host_operand *operand, uint64_t row, uint32_t group)
{
    return (float *)(void *)(operand->data + row * operand->pitch) +
           (uint64_t)group * operand->stride;
}

/* Expert numbers of row `row`. */
static inline int32_t *host_routing(const struct host_operand *operand, uint64_t row)
{
    return (int32_t *)(void *)(operand->data + row * operand->pitch);
}

/* Row `row` of slot `slot` of a state, ring or cache. */
static inline uint8_t *host_slot_row(const struct host_operand *operand, uint32_t slot,
                                     uint64_t row)
{
    return operand->data + slot * operand->slot_bytes + row * operand->pitch;
}

/* Row `row` of a result: of the buffers plan.logits and plan.hidden. */
const float *host_result_row(const struct host_bound *bound, uint16_t number, uint32_t row);

#endif
