/* SPDX-License-Identifier: MIT
 * Sorts rows by expert and cuts the experts into shares. Knows no matrices. */
#include "cpu/gather.h"

#include <string.h>

/* What a matrix costs besides its rows of activations: to read and unpack a part of it takes about
 * as long as to multiply it with so many. */
enum { COST_ROWS = 8 };

uint32_t gather_row_bytes(uint32_t used)
{
    /* a row has at most so many experts and entries; the count has the room of one for each row */
    return used * (uint32_t)(sizeof(struct gathered_expert) + sizeof(struct gathered_entry)) +
           (uint32_t)sizeof(struct gathered_entry);
}

struct gathered gather_at(uint8_t *memory, uint64_t rows, uint32_t used)
{
    struct gathered gathered = {.count = (uint32_t *)(void *)memory};
    memory += rows * sizeof(struct gathered_entry);
    gathered.experts = (struct gathered_expert *)(void *)memory;
    memory += rows * used * sizeof(struct gathered_expert);
    gathered.entries = (struct gathered_entry *)(void *)memory;
    return gathered;
}

/* Finds the experts and how many rows they have; leaves in `counts` which of the found each is. */
static void find_experts(const struct gathered *gathered, const struct host_operand *routing,
                         uint32_t experts, uint32_t *counts)
{
    uint32_t found = 0, first = 0;
    memset(counts, 0, experts * sizeof *counts);
    for (uint64_t row = 0; row < routing->rows; row++) {
        for (uint32_t j = 0; j < routing->width; j++) {
            const uint32_t expert = (uint32_t)host_routing(routing, row)[j];
            if (counts[expert]++ == 0)
                gathered->experts[found++].expert = expert;
        }
    }
    for (uint32_t i = 0; i < found; i++) {
        struct gathered_expert *of = &gathered->experts[i];
        const uint32_t rows = counts[of->expert];
        of->first = of->last = first;
        counts[of->expert] = i;
        first += rows;
    }
    *gathered->count = found;
}

void gather_routed(const struct gathered *gathered, const struct host_operand *routing,
                   uint32_t experts, uint32_t *counts)
{
    find_experts(gathered, routing, experts, counts);
    for (uint64_t row = 0; row < routing->rows; row++) {
        for (uint32_t j = 0; j < routing->width; j++) {
            const uint32_t found = counts[host_routing(routing, row)[j]];
            gathered->entries[gathered->experts[found].last++] =
                (struct gathered_entry){(uint32_t)row, j};
        }
    }
}

/* ---- shares ---------------------------------------------------------------------------------- */

static uint32_t units_of(uint32_t columns)
{
    return (columns + BACKEND_ROWS_UNIT - 1) / BACKEND_ROWS_UNIT;
}

static uint64_t unit_cost(const struct gathered_expert *of)
{
    return (uint64_t)(of->last - of->first) + COST_ROWS;
}

struct gather_walk gather_begin(const struct gathered *gathered, uint32_t columns, uint32_t thread,
                                uint32_t threads)
{
    struct gather_walk walk = {.gathered = gathered, .columns = columns};
    uint64_t total = 0;
    for (uint32_t i = 0; i < *gathered->count; i++)
        total += unit_cost(&gathered->experts[i]) * units_of(columns);
    backend_share(total, 1, thread, threads, &walk.first, &walk.last);
    return walk;
}

/* Units of an expert that begin before `cost`, if the expert begins at `begun`. */
static uint32_t units_before(uint64_t cost, uint64_t begun, uint64_t each, uint32_t units)
{
    const uint64_t before = cost <= begun ? 0 : (cost - begun + each - 1) / each;
    return before < units ? (uint32_t)before : units;
}

bool gather_next(struct gather_walk *walk, uint32_t *expert, uint32_t *column, uint32_t *column_end)
{
    const uint32_t units = units_of(walk->columns);
    while (walk->next < *walk->gathered->count && walk->begun < walk->last) {
        const uint64_t each = unit_cost(&walk->gathered->experts[walk->next]);
        const uint32_t first = units_before(walk->first, walk->begun, each, units);
        const uint32_t last = units_before(walk->last, walk->begun, each, units);
        *expert = walk->next++;
        walk->begun += each * units;
        if (first == last)
            continue;
        *column = first * BACKEND_ROWS_UNIT;
        *column_end = last == units ? walk->columns : last * BACKEND_ROWS_UNIT;
        return true;
    }
    return false;
}
