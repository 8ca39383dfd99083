/* SPDX-License-Identifier: MIT
 * Units, chunks and who has them. Computes nothing. */
#include "cpu/attend.h"

#include "base/mem.h"
#include "cpu/kernels.h"

uint64_t attend_chunk(uint64_t visible)
{
    const uint64_t least = (visible + ATTEND_CHUNKS_MAX - 1) / ATTEND_CHUNKS_MAX;
    return least <= ATTEND_CHUNK_MIN ? ATTEND_CHUNK_MIN : size_align(least, ATTEND_KEYS);
}

static uint32_t rows_of_unit(uint32_t heads)
{
    return heads < ATTEND_VECTORS ? ATTEND_VECTORS / heads : 1;
}

_Static_assert((int)ATTEND_KEYS == (int)CHUNK_ROWS, "one rule, below");

/* True if the step has more than EXACT_ROWS rows of the sequence in the row's ATTEND_KEYS
 * positions: the rule of the delta rule's chunks. A prompt cut at these has the same bits. */
static bool is_many(const struct step_seq *seq, uint32_t row)
{
    const uint64_t begin = (seq->cached + (uint64_t)row) / ATTEND_KEYS * ATTEND_KEYS;
    const uint64_t end = begin + ATTEND_KEYS, step_end = seq->cached + (uint64_t)seq->rows;
    const uint64_t first = begin > seq->cached ? begin : seq->cached;
    return (end < step_end ? end : step_end) - first > EXACT_ROWS;
}

/* The unit at which the walk stands; false behind the last. Its rows have chunks of one size, and
 * are many or not. */
static bool unit_at(const struct attend_walk *walk, struct attend_unit *unit)
{
    if (walk->seq == walk->step->seqs)
        return false;
    const struct step_seq *seq = &walk->step->seq[walk->seq];
    const uint32_t left = seq->rows - walk->done;
    *unit = (struct attend_unit){
        .row = (uint64_t)seq->row_first + walk->done,
        .visible = (uint64_t)seq->cached + walk->done + 1,
        .rows = left < walk->unit_rows ? left : walk->unit_rows,
        .slot = seq->slot,
        .group = walk->group,
    };
    unit->chunk = attend_chunk(unit->visible);
    unit->is_many = is_many(seq, walk->done);
    while (attend_chunk(unit->visible + unit->rows - 1) != unit->chunk ||
           is_many(seq, walk->done + unit->rows - 1) != unit->is_many)
        unit->rows--;
    unit->chunks = (uint32_t)((unit->visible + unit->rows - 1 + unit->chunk - 1) / unit->chunk);
    return true;
}

static void step_over(struct attend_walk *walk, const struct attend_unit *unit)
{
    walk->cost += (unit->visible + unit->rows - 1) * unit->rows;
    walk->group++;
    if (walk->group < walk->groups)
        return;
    walk->group = 0;
    walk->done += unit->rows;
    if (walk->done < walk->step->seq[walk->seq].rows)
        return;
    walk->done = 0;
    walk->seq++;
}

/* The thread that computes what begins at `cost`. */
static uint32_t thread_at(const struct attend_walk *walk, uint64_t cost)
{
    return (uint32_t)(cost * walk->team->threads / walk->total);
}

/* The chunks that are the thread's: those that begin in its part of the cost. */
static void find_chunks(const struct attend_walk *walk, struct attend_unit *unit)
{
    unit->place = thread_at(walk, walk->cost);
    unit->chunk_first = unit->chunk_end = 0;
    for (uint32_t i = 0; i < unit->chunks; i++) {
        const uint32_t thread = thread_at(walk, walk->cost + i * unit->chunk * unit->rows);
        unit->chunk_first += thread < walk->thread;
        unit->chunk_end += thread <= walk->thread;
    }
}

struct attend_walk attend_begin(const struct step *step, uint32_t groups, uint32_t heads,
                                const struct attend_team *team, uint32_t thread)
{
    struct attend_walk walk = {.step = step,
                               .team = team,
                               .thread = thread,
                               .groups = groups,
                               .unit_rows = rows_of_unit(heads)};
    struct attend_walk all = walk;
    struct attend_unit unit;
    while (unit_at(&all, &unit))
        step_over(&all, &unit);
    walk.total = all.cost;
    return walk;
}

bool attend_next(struct attend_walk *walk, struct attend_unit *unit)
{
    while (unit_at(walk, unit)) {
        find_chunks(walk, unit);
        step_over(walk, unit);
        if (unit->chunk_first < unit->chunk_end)
            return true;
    }
    return false;
}

uint64_t attend_parts_count(uint32_t heads, uint32_t width)
{
    return (uint64_t)attend_room(rows_of_unit(heads) * heads) * ATTEND_CHUNKS_MAX *
           attend_pitch(width);
}

/* The query vectors, their weights, two parts, and a tile of the cache. */
uint64_t attend_scratch_floats(uint32_t heads, uint32_t width)
{
    const uint64_t room = attend_room(rows_of_unit(heads) * heads), pitch = attend_pitch(width);
    return room * (3 * pitch + ATTEND_KEYS) + ATTEND_KEYS * pitch;
}
