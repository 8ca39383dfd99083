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

void state_take_sums(struct state *state, uint16_t number, float *out)
{
    const struct buf *buf = plan_buf(state->plan, number);
    const uint64_t bytes = buf->rows * buf_row_bytes(buf);
    state->backend->fetch(state->memory, state->offsets[number], out, bytes);
    state->backend->clear(state->memory, state->offsets[number], bytes);
}
