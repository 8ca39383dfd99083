/* SPDX-License-Identifier: MIT
 * The places for sequences. Knows which buffers of a plan outlive a step, not what they hold. */
#include "run/state.h"

#include "base/mem.h"

enum weir_status state_open(struct state *out, const struct backend *backend, struct device *device,
                            const struct plan *plan, const struct plan_limits *limits,
                            struct weir_error *err)
{
    *out = (struct state){.backend = backend, .plan = plan, .slots = limits->slots};
    enum weir_status status = WEIR_ERR_MEMORY;
    uint64_t bytes;
    out->offsets = mem_alloc(plan->buf_count, sizeof *out->offsets, err);
    out->slot_bytes = mem_alloc(plan->buf_count, sizeof *out->slot_bytes, err);
    out->taken = mem_alloc(limits->slots, sizeof *out->taken, err);
    if (out->offsets == NULL || out->slot_bytes == NULL || out->taken == NULL)
        goto out;
    if (!plan_place_state(plan, limits, out->offsets, out->slot_bytes, &bytes)) {
        status = err_set(err, WEIR_ERR_MEMORY, "the state of %u sessions does not fit in 64 bits",
                         limits->slots);
        goto out;
    }
    TRY(backend->alloc(&out->memory, device, bytes, err));
    return WEIR_OK;
out:
    state_close(out);
    return status;
}

void state_close(struct state *state)
{
    if (state->memory != NULL)
        state->backend->free(state->memory);
    mem_free(state->offsets);
    mem_free(state->slot_bytes);
    mem_free(state->taken);
    *state = (struct state){0};
}

enum weir_status state_take(struct state *state, uint32_t *slot, struct weir_error *err)
{
    for (uint32_t i = 0; i < state->slots; i++) {
        if (state->taken[i])
            continue;
        state->taken[i] = true;
        state_clear(state, i);
        *slot = i;
        return WEIR_OK;
    }
    return err_set(err, WEIR_ERR_FULL, "all %u sessions of the engine are open", state->slots);
}

void state_give_back(struct state *state, uint32_t slot)
{
    state->taken[slot] = false;
}

void state_clear(struct state *state, uint32_t slot)
{
    for (uint32_t i = 0; i < state->plan->buf_count; i++) {
        const struct buf *buf = plan_buf(state->plan, (uint16_t)i);
        if (buf->kind == BUF_STATE || buf->kind == BUF_RING)
            state->backend->clear(state->memory, state->offsets[i] + slot * state->slot_bytes[i],
                                  state->slot_bytes[i]);
    }
}

/* The `count` rows of a ring before `position`, where the row of position p lies at index p mod the
 * ring's rows. Those before the first token are as state_clear left them. */
static enum weir_status each_of_ring(const struct state *state, uint16_t number,
                                     const struct state_place *place, uint32_t count,
                                     state_piece_fn *fn, void *user)
{
    const struct buf *buf = plan_buf(state->plan, number);
    const uint64_t row_bytes = buf_row_bytes(buf);
    const uint64_t begin = state->offsets[number] + place->slot * state->slot_bytes[number];
    const uint64_t first = (uint64_t)place->position + buf->rows - count;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++)
        status = fn(user, begin + (first + i) % buf->rows * row_bytes, row_bytes);
    return status;
}

enum weir_status state_each_cached(const struct state *state, uint32_t slot, uint32_t first,
                                   uint32_t last, state_piece_fn *fn, void *user)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < state->plan->buf_count && status == WEIR_OK; i++) {
        const uint64_t row_bytes = buf_row_bytes(plan_buf(state->plan, (uint16_t)i));
        const uint64_t begin = state->offsets[i] + slot * state->slot_bytes[i];
        if (plan_buf(state->plan, (uint16_t)i)->kind == BUF_KV && last > first)
            status = fn(user, begin + first * row_bytes, (last - first) * row_bytes);
    }
    return status;
}

enum weir_status state_each_kept(const struct state *state, const struct state_place *place,
                                 state_piece_fn *fn, void *user)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < state->plan->buf_count && status == WEIR_OK; i++) {
        const uint16_t number = (uint16_t)i;
        const struct buf *buf = plan_buf(state->plan, number);
        if (buf->kind == BUF_STATE)
            status = fn(user, state->offsets[i] + place->slot * state->slot_bytes[i],
                        buf->rows * buf_row_bytes(buf));
        else if (buf->kind == BUF_RING)
            status = each_of_ring(state, number, place, buf->reach, fn, user);
        else if (buf->kind == BUF_RECORD)
            status = each_of_ring(state, number, place, place->pending, fn, user);
    }
    return status;
}

void state_take_sums(struct state *state, uint16_t number, float *out)
{
    const struct buf *buf = plan_buf(state->plan, number);
    const uint64_t bytes = buf->rows * buf_row_bytes(buf);
    state->backend->fetch(state->memory, state->offsets[number], out, bytes);
    state->backend->clear(state->memory, state->offsets[number], bytes);
}
