/* SPDX-License-Identifier: MIT
 * Where buffers lie: activations share one block of memory by lifetime, states and caches have one
 * of their own. Knows sizes, not addresses. */
#include "plan/plan.h"

#include "base/mem.h"
#include "plan/phases.h"

enum { PLACE_ALIGNMENT = 64 }; /* bytes: a cache line, and the widest vector */

const struct step_seq *step_seq_of_row(const struct step *step, uint64_t row)
{
    const struct step_seq *seq = step->seq;
    while (row >= (uint64_t)seq->row_first + seq->rows)
        seq++;
    return seq;
}

uint64_t step_position_of_row(const struct step *step, uint64_t row)
{
    const struct step_seq *seq = step_seq_of_row(step, row);
    return seq->cached + (row - seq->row_first);
}

uint64_t buf_rows(const struct buf *buf, const struct step *step)
{
    switch ((enum extent)buf->extent) {
    case EXTENT_ONE:
    case EXTENT_SLOT:
    case EXTENT_CONTEXT: return buf->rows;
    case EXTENT_ROWS: return (uint64_t)buf->rows * step->rows;
    case EXTENT_OUTS: return (uint64_t)buf->rows * step->outs;
    case EXTENT_SEQS: return (uint64_t)buf->rows * step->seqs;
    }
    return 0;
}

uint64_t buf_row_bytes(const struct buf *buf)
{
    return dtype_row_bytes(buf->dtype, buf_columns(buf));
}

/* What plan_place works on. */
struct placement {
    const struct plan *plan;
    const struct plan_limits *limits;
    const struct placing *placing;
    uint64_t *offsets;
};

/* Bytes of all rows of a buffer in the largest step, of so many bytes each, rounded up. */
static bool rows_bytes(const struct buf *buf, const struct plan_limits *limits, uint64_t row_bytes,
                       uint64_t *bytes)
{
    const struct step largest = {.rows = limits->rows, .outs = limits->outs, .seqs = limits->seqs};
    uint64_t size;
    if (!size_mul(buf_rows(buf, &largest), row_bytes, &size) ||
        !size_add(size, PLACE_ALIGNMENT, bytes))
        return false;
    *bytes = size_align(size, PLACE_ALIGNMENT);
    return true;
}

uint64_t plan_place_extra(const struct buf *buf, const struct plan_limits *limits)
{
    uint64_t bytes = 0;
    rows_bytes(buf, limits, buf_row_bytes(buf), &bytes);
    return bytes;
}

static bool act_bytes(const struct placement *placement, uint32_t number, uint64_t *bytes)
{
    const struct buf *buf = &placement->plan->bufs[number];
    const uint32_t *extra = placement->placing->extra;
    uint64_t own, more = 0;
    if (!rows_bytes(buf, placement->limits, buf_row_bytes(buf), &own))
        return false;
    if (extra != NULL && !rows_bytes(buf, placement->limits, extra[number], &more))
        return false;
    return size_add(own, more, bytes);
}

/* True if the block of activations has a place for it: for all but views and what is not used. */
static bool is_placed(const struct placement *placement, uint32_t number)
{
    const struct buf *buf = &placement->plan->bufs[number];
    const bool *only = placement->placing->only;
    return buf_is_activation(buf) && buf->kind != BUF_INPUT && buf->base == number &&
           buf->first != BUF_NONE && (only == NULL || only[number]);
}

/* When an op runs, in what lifetimes are counted in. */
static uint32_t time_of(const struct placement *placement, uint32_t op)
{
    const struct turn *turns = placement->placing->turns;
    return turns == NULL || op >= placement->plan->op_count ? op : turns[op].phase;
}

/* The last op that needs it; results are needed beyond. */
static uint32_t last_use(const struct plan *plan, const struct buf *buf)
{
    return buf->kind == BUF_ACT ? buf->last : plan->op_count;
}

/* True if both are needed at some time. */
static bool lifetimes_meet(const struct placement *placement, const struct buf *a,
                           const struct buf *b)
{
    const struct plan *plan = placement->plan;
    return time_of(placement, a->first) <= time_of(placement, last_use(plan, b)) &&
           time_of(placement, b->first) <= time_of(placement, last_use(plan, a));
}

/* The lowest offset at which `number` overlaps none of the buffers before it that live with it. */
static bool place_act(const struct placement *placement, uint32_t number, uint64_t bytes)
{
    const struct buf *bufs = placement->plan->bufs;
    uint64_t offset = 0;
    for (uint32_t other = 0; other < number; other++) {
        uint64_t other_bytes, end, other_end;
        if (!is_placed(placement, other) || !lifetimes_meet(placement, &bufs[number], &bufs[other]))
            continue;
        if (!act_bytes(placement, other, &other_bytes) || !size_add(offset, bytes, &end) ||
            !size_add(placement->offsets[other], other_bytes, &other_end))
            return false;
        if (offset < other_end && placement->offsets[other] < end) {
            offset = other_end;
            other = UINT32_MAX; /* begin again: buffers passed before may be in the way now */
        }
    }
    placement->offsets[number] = offset;
    return true;
}

bool plan_place(const struct plan *plan, const struct plan_limits *limits,
                const struct placing *placing, uint64_t *offsets, uint64_t *total)
{
    const struct placement placement = {plan, limits, placing, offsets};
    *total = 0;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        uint64_t bytes, end;
        offsets[i] = 0;
        if (!is_placed(&placement, i))
            continue;
        if (!act_bytes(&placement, i, &bytes) || !place_act(&placement, i, bytes) ||
            !size_add(offsets[i], bytes, &end))
            return false;
        if (end > *total)
            *total = end;
    }
    return true;
}

bool plan_place_state(const struct plan *plan, const struct plan_limits *limits, uint64_t *offsets,
                      uint64_t *slot_bytes, uint64_t *total)
{
    *total = 0;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        uint64_t rows = buf->rows, bytes;
        offsets[i] = slot_bytes[i] = 0;
        if (buf->kind != BUF_STATE && buf->kind != BUF_RING && buf->kind != BUF_KV &&
            buf->kind != BUF_SUM)
            continue;
        if (buf->extent == EXTENT_CONTEXT && !size_mul(rows, limits->context, &rows))
            return false;
        if (!size_mul(rows, buf_row_bytes(buf), &bytes) || bytes > UINT64_MAX / 2)
            return false;
        slot_bytes[i] = size_align(bytes, PLACE_ALIGNMENT);
        offsets[i] = *total;
        const uint32_t places = buf->kind == BUF_SUM ? 1 : limits->slots;
        if (!size_mul(slot_bytes[i], places, &bytes) || !size_add(*total, bytes, total))
            return false;
    }
    return true;
}
