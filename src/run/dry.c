/* SPDX-License-Identifier: MIT
 * DRY: repetitions of the end of a text. Knows nothing of logits or of the texts of tokens. */
#include "run/dry.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* ---- breakers -------------------------------------------------------------------------------- */

enum weir_status dry_breakers_add(struct dry_breakers *breakers, int32_t head, const int32_t *tail,
                                  uint32_t tail_length, struct weir_error *err)
{
    assert(tail_length <= DRY_TAIL_MAX);
    assert(breakers->count == 0 || breakers->items[breakers->count - 1].head <= head);
    const enum weir_status status = mem_grow(&breakers->items, &breakers->capacity,
                                             breakers->count + 1, sizeof *breakers->items, err);
    if (status != WEIR_OK)
        return status;
    struct dry_breaker *breaker = &breakers->items[breakers->count++];
    *breaker = (struct dry_breaker){.head = head, .tail_length = tail_length};
    for (uint32_t i = 0; i < tail_length; i++)
        breaker->tail[i] = tail[i];
    return WEIR_OK;
}

void dry_breakers_release(struct dry_breakers *breakers)
{
    mem_free(breakers->items);
    *breakers = (struct dry_breakers){0};
}

/* The index of the first breaker whose head is not below `id`. */
static uint64_t breakers_find(const struct dry_breakers *breakers, int32_t id)
{
    uint64_t low = 0, high = breakers->count;
    while (low < high) {
        const uint64_t middle = low + (high - low) / 2;
        if (breakers->items[middle].head < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool breaker_has_head(const struct dry_breakers *breakers, uint64_t i, int32_t id)
{
    return i < breakers->count && breakers->items[i].head == id;
}

bool dry_breakers_single(const struct dry_breakers *breakers, int32_t id)
{
    for (uint64_t i = breakers_find(breakers, id); breaker_has_head(breakers, i, id); i++) {
        if (breakers->items[i].tail_length == 0)
            return true;
    }
    return false;
}

/* Does the breaker stand in `text` with its head at `at`? */
static bool breaker_stands_at(const struct dry_breaker *breaker, struct token_history_tail text,
                              uint32_t at)
{
    const uint32_t length = breaker->tail_length;
    return length < text.count - at &&
           memcmp(breaker->tail, text.ids + at + 1, length * sizeof *text.ids) == 0;
}

uint32_t dry_reach(const struct dry_breakers *breakers, struct token_history_tail text)
{
    for (uint32_t at = text.count; at-- > 0;) {
        const int32_t id = text.ids[at];
        const uint32_t behind = text.count - 1 - at;
        uint32_t reach = UINT32_MAX;
        for (uint64_t i = breakers_find(breakers, id); breaker_has_head(breakers, i, id); i++) {
            const struct dry_breaker *breaker = &breakers->items[i];
            if (breaker_stands_at(breaker, text, at) && behind - breaker->tail_length < reach)
                reach = behind - breaker->tail_length;
        }
        if (reach != UINT32_MAX)
            return reach;
    }
    return text.count;
}

/* ---- repetitions ----------------------------------------------------------------------------- */

/* The Z-function of the text read backwards: lengths[i], i >= 1, is the length of the longest
 * common suffix of the text and the text without its last i tokens. [low, high) is the match found
 * so far that ends farthest back; inside it earlier results can be reused, so no token is
 * compared twice with success. */
static void suffix_lengths(uint32_t *lengths, struct token_history_tail text)
{
    const int32_t *newest = text.ids + text.count - 1;
    uint32_t low = 0, high = 0;
    lengths[0] = text.count;
    for (uint32_t i = 1; i < text.count; i++) {
        uint32_t length = 0;
        if (i < high)
            length = lengths[i - low] < high - i ? lengths[i - low] : high - i;
        while (i + length < text.count &&
               newest[-(ptrdiff_t)length] == newest[-(ptrdiff_t)(i + length)])
            length++;
        lengths[i] = length;
        if (i + length > high) {
            low = i;
            high = i + length;
        }
    }
}

void dry_find(uint32_t *excess, uint32_t *lengths, const struct dry_breakers *breakers,
              struct token_history_tail text, uint32_t allowed)
{
    if (text.count <= allowed)
        return;
    const uint32_t reach = dry_reach(breakers, text);
    if (reach < allowed)
        return;
    suffix_lengths(lengths, text);
    for (uint32_t i = 1; i < text.count; i++) {
        const uint32_t length = lengths[i] < reach ? lengths[i] : reach;
        const int32_t next = text.ids[text.count - i];
        if (length < allowed || dry_breakers_single(breakers, next))
            continue;
        const uint32_t beyond = length - allowed + 1;
        if (excess[next] < beyond)
            excess[next] = beyond;
    }
}
