/* SPDX-License-Identifier: MIT
 * Where things lie: rows of a step in their sequence, activations in one block of memory that they
 * share by lifetime, states and caches in one of their own. Knows sizes, not addresses. */
#include "plan/plan.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
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

/* An activation that needs a place: when, and how much. */
struct life {
    uint32_t number;
    uint32_t from, to; /* ops, or phases; both are part of it */
    uint64_t bytes, offset;
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

static bool act_bytes(const struct plan *plan, const struct plan_limits *limits,
                      const struct placing *placing, uint32_t number, uint64_t *bytes)
{
    const struct buf *buf = &plan->bufs[number];
    uint64_t own, more = 0;
    if (!rows_bytes(buf, limits, buf_row_bytes(buf), &own))
        return false;
    if (placing->extra != NULL && !rows_bytes(buf, limits, placing->extra[number], &more))
        return false;
    return size_add(own, more, bytes);
}

/* True if the block of activations has a place for it: for all but views and what is not used. */
static bool is_placed(const struct plan *plan, const struct placing *placing, uint32_t number)
{
    const struct buf *buf = &plan->bufs[number];
    return buf_is_activation(buf) && buf->kind != BUF_INPUT && buf->base == number &&
           buf->first != BUF_NONE && (placing->only == NULL || placing->only[number]);
}

/* When an op runs, in what lifetimes are counted in. Results are needed beyond the last. */
static uint32_t time_of(const struct plan *plan, const struct placing *placing, uint32_t op)
{
    return placing->turns == NULL || op >= plan->op_count ? op : placing->turns[op].phase;
}

static bool find_lives(const struct plan *plan, const struct plan_limits *limits,
                       const struct placing *placing, struct life *lives, uint32_t *count)
{
    *count = 0;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        struct life *life = &lives[*count];
        if (!is_placed(plan, placing, i))
            continue;
        life->number = i;
        life->from = time_of(plan, placing, buf->first);
        life->to = time_of(plan, placing, buf->kind == BUF_ACT ? buf->last : plan->op_count);
        if (!act_bytes(plan, limits, placing, i, &life->bytes))
            return false;
        (*count)++;
    }
    return true;
}

/* The largest first, since small ones fit into the gaps between large ones. */
static int compare_lives(const void *a, const void *b)
{
    const struct life *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? 1 : -1;
    return x->number < y->number ? -1 : 1;
}

/* The lowest offset at which life `at` overlaps none of those before it that it meets. */
static bool place_life(struct life *lives, uint32_t at)
{
    struct life *life = &lives[at];
    uint64_t end;
    for (uint32_t i = 0; i < at; i++) {
        const struct life *other = &lives[i];
        if (!size_add(life->offset, life->bytes, &end))
            return false;
        if (life->from <= other->to && other->from <= life->to &&
            life->offset < other->offset + other->bytes && other->offset < end) {
            life->offset = other->offset + other->bytes;
            i = UINT32_MAX; /* begin again: those passed before may be in the way now */
        }
    }
    return size_add(life->offset, life->bytes, &end);
}

static bool place_lives(struct life *lives, uint32_t count, uint64_t *offsets, uint64_t *total)
{
    qsort(lives, count, sizeof *lives, compare_lives);
    for (uint32_t i = 0; i < count; i++) {
        const struct life *life = &lives[i];
        if (!place_life(lives, i))
            return false;
        offsets[life->number] = life->offset;
        if (life->offset + life->bytes > *total)
            *total = life->offset + life->bytes;
    }
    return true;
}

enum weir_status plan_place(const struct plan *plan, const struct plan_limits *limits,
                            const struct placing *placing, uint64_t *offsets, uint64_t *total,
                            struct weir_error *err)
{
    struct life *lives = mem_alloc(plan->buf_count, sizeof *lives, err);
    uint32_t count;
    if (lives == NULL)
        return WEIR_ERR_MEMORY;
    *total = 0;
    memset(offsets, 0, plan->buf_count * sizeof *offsets);
    const bool fits = find_lives(plan, limits, placing, lives, &count) &&
                      place_lives(lives, count, offsets, total);
    mem_free(lives);
    return fits ? WEIR_OK
                : err_set(err, WEIR_ERR_MEMORY, "activations of %u rows do not fit in 64 bits",
                          limits->rows);
}

bool plan_place_state(const struct plan *plan, const struct plan_limits *limits, uint64_t *offsets,
                      uint64_t *slot_bytes, uint64_t *total)
{
    *total = 0;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        uint64_t rows = buf->rows, bytes;
        offsets[i] = slot_bytes[i] = 0;
        if (buf->kind != BUF_STATE && buf->kind != BUF_RING && buf->kind != BUF_RECORD &&
            buf->kind != BUF_KV && buf->kind != BUF_SUM)
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
