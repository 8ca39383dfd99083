/* SPDX-License-Identifier: MIT
 * Sets of code points: put together, turned inside out. Knows no notation. */
#include "grammar/code_set.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/utf8.h"

size_t code_read(const char *text, size_t length, uint32_t *code)
{
    const struct utf8_sequence sequence = utf8_sequence((const uint8_t *)text, length);
    if (sequence.state != UTF8_COMPLETE)
        return 0;
    *code = utf8_decode((const uint8_t *)text, sequence.length);
    return sequence.length;
}

void code_set_release(struct code_set *set)
{
    mem_free(set->ranges);
    *set = (struct code_set){0};
}

enum weir_status code_set_add(struct code_set *set, uint32_t first, uint32_t last,
                              struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&set->ranges, &set->capacity, set->count + 1, sizeof *set->ranges, err);
    if (status == WEIR_OK)
        set->ranges[set->count++] = (struct code_range){first, last};
    return status;
}

static int compare_ranges(const void *a_pointer, const void *b_pointer)
{
    const struct code_range *a = a_pointer, *b = b_pointer;
    return a->first < b->first ? -1 : a->first > b->first;
}

static void sort_and_join(struct code_set *set)
{
    uint64_t kept = 0;
    if (set->count > 0)
        qsort(set->ranges, set->count, sizeof *set->ranges, compare_ranges);
    for (uint64_t i = 0; i < set->count; i++) {
        const struct code_range range = set->ranges[i];
        if (kept > 0 && range.first <= set->ranges[kept - 1].last + 1) {
            if (range.last > set->ranges[kept - 1].last)
                set->ranges[kept - 1].last = range.last;
            continue;
        }
        set->ranges[kept++] = range;
    }
    set->count = kept;
}

/* The complement of ranges that ascend and do not touch. */
static enum weir_status complement(struct code_set *set, struct weir_error *err)
{
    struct code_set other = {0};
    uint32_t next = 0;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < set->count; i++) {
        if (set->ranges[i].first > next)
            TRY(code_set_add(&other, next, set->ranges[i].first - 1, err));
        next = set->ranges[i].last + 1;
    }
    if (next <= CODE_MAX)
        TRY(code_set_add(&other, next, CODE_MAX, err));
    code_set_release(set);
    *set = other;
    return WEIR_OK;
out:
    code_set_release(&other);
    return status;
}

enum weir_status code_set_close(struct code_set *set, bool negated, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    sort_and_join(set);
    if (!negated)
        TRY(complement(set, err));
    TRY(code_set_add(set, 0xd800, 0xdfff, err));
    sort_and_join(set);
    TRY(complement(set, err));
out:
    return status;
}

bool code_set_has(const struct code_set *set, uint32_t code)
{
    for (uint64_t i = 0; i < set->count; i++) {
        if (code >= set->ranges[i].first && code <= set->ranges[i].last)
            return true;
    }
    return false;
}

enum weir_status rules_set(struct rules_builder *builder, uint32_t from, uint32_t to,
                           const struct code_set *set, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < set->count; i++)
        TRY(rules_range(builder, from, to, set->ranges[i], err));
out:
    return status;
}
