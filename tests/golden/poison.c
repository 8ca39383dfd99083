/* SPDX-License-Identifier: MIT
 * NaN in all memory of a sequence's place that no rule says to be read again. */
#include "golden/poison.h"

#include <string.h>

#include "backend/host.h"

enum { ALL_ONES = 0xff }; /* in each byte: NaN in all floats, and a scale of blocks that is one */

/* The rows of a slot that belong to positions [first, last); `first` may be before the text, where
 * rings hold zeros. */
struct live {
    int64_t first, last;
};

static bool is_live(const struct live *live, int64_t rows, int64_t row)
{
    return ((row - live->first) % rows + rows) % rows < live->last - live->first;
}

static uint8_t *slot_of(const struct state *state, uint32_t number, uint32_t slot)
{
    return state->memory->data + state->offsets[number] + slot * state->slot_bytes[number];
}

static void poison_rows(const struct state *state, uint32_t number, uint32_t slot, uint32_t rows,
                        const struct live *live)
{
    const uint64_t bytes = buf_row_bytes(plan_buf(state->plan, (uint16_t)number));
    uint8_t *data = slot_of(state, number, slot);
    for (uint32_t row = 0; row < rows; row++) {
        if (!is_live(live, rows, row))
            memset(data + row * bytes, ALL_ONES, bytes);
    }
}

/* What the session at `position` still needs of a state, and what lies before `kept` of caches. */
static void poison_state(const struct state *state, const struct weir_session *session,
                         uint32_t position, uint32_t kept)
{
    const uint32_t context = session->engine->blueprint.limits.context;
    const int64_t least = session->is_marked ? session->mark : position;
    for (uint32_t i = 0; i < state->plan->buf_count; i++) {
        const struct buf *buf = plan_buf(state->plan, (uint16_t)i);
        if (buf->kind == BUF_KV)
            poison_rows(state, i, session->slot, context,
                        &(struct live){0, position > kept ? position : kept});
        if (buf->kind == BUF_RING)
            poison_rows(state, i, session->slot, buf->rows,
                        &(struct live){least - buf->reach, position});
        if (buf->kind == BUF_RECORD)
            poison_rows(state, i, session->slot, buf->rows,
                        &(struct live){session->settled, position});
    }
}

void poison_session(const struct weir_session *session, uint32_t kept)
{
    const struct weir_engine *engine = session->engine;
    poison_state(&engine->state, session, session->position, kept);
    if (engine->mtp_exec != NULL)
        poison_state(&engine->mtp_state, session, session->mtp_position, 0);
}

static void poison_slots(const struct state *state, const bool *taken)
{
    for (uint32_t slot = 0; slot < state->slots; slot++) {
        for (uint32_t i = 0; i < state->plan->buf_count && !taken[slot]; i++) {
            const struct buf *buf = plan_buf(state->plan, (uint16_t)i);
            if (buf->kind == BUF_STATE || buf->kind == BUF_RING || buf->kind == BUF_RECORD ||
                buf->kind == BUF_KV)
                memset(slot_of(state, i, slot), ALL_ONES, state->slot_bytes[i]);
        }
    }
}

void poison_free(const struct weir_engine *engine)
{
    poison_slots(&engine->state, engine->state.taken);
    if (engine->mtp_exec != NULL)
        poison_slots(&engine->mtp_state, engine->state.taken);
}
