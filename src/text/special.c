/* SPDX-License-Identifier: MIT
 * Special tokens, sorted by text and found by narrowing the sorted range byte by byte. Knows
 * nothing of the text between them. */
#include "text/special.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/utf8.h"
#include "text/tokenizer.h"

/* By text, then by id. */
static int special_compare(const void *a_pointer, const void *b_pointer)
{
    const struct special *a = a_pointer, *b = b_pointer;
    const uint32_t common = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->text, b->text, common);
    if (order != 0)
        return order;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

static bool is_special(const struct vocabulary *vocabulary, uint32_t id)
{
    const uint8_t type = vocabulary->types[id];
    return (type == TOKEN_CONTROL || type == TOKEN_USER_DEFINED || type == TOKEN_UNKNOWN) &&
           vocabulary_text(vocabulary, (int32_t)id).length > 0;
}

/* Texts are valid UTF-8 and only ever cut between characters. */
static bool can_be_found(struct span text)
{
    return text.length <= SPECIAL_BYTES_MAX &&
           utf8_repaired_length(text.data, text.length) == text.length;
}

static uint32_t collect(struct special_set *set, const struct vocabulary *vocabulary)
{
    uint32_t skipped = 0;
    for (uint32_t id = 0; id < vocabulary->count; id++) {
        if (!is_special(vocabulary, id))
            continue;
        const struct span text = vocabulary_text(vocabulary, (int32_t)id);
        if (!can_be_found(text)) {
            skipped++;
            continue;
        }
        set->items[set->count++] = (struct special){
            .text = text.data,
            .length = (uint32_t)text.length,
            .id = (int32_t)id,
            .user_defined = vocabulary->types[id] == TOKEN_USER_DEFINED,
        };
    }
    return skipped;
}

/* Of items with the same text keeps the first, which has the lowest id. */
static void remove_duplicates(struct special_set *set)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        const struct special *last = kept > 0 ? &set->items[kept - 1] : NULL;
        const struct special *item = &set->items[i];
        if (last == NULL || last->length != item->length ||
            memcmp(last->text, item->text, item->length) != 0)
            set->items[kept++] = *item;
    }
    set->count = kept;
}

enum weir_status special_set_init(struct special_set *set, const struct vocabulary *vocabulary,
                                  uint32_t *skipped, struct weir_error *err)
{
    *set = (struct special_set){0};
    uint32_t count = 0;
    for (uint32_t id = 0; id < vocabulary->count; id++)
        count += is_special(vocabulary, id);
    set->items = mem_alloc(count, sizeof *set->items, err);
    if (set->items == NULL)
        return WEIR_ERR_MEMORY;
    *skipped = collect(set, vocabulary);
    if (set->count > 0)
        qsort(set->items, set->count, sizeof *set->items, special_compare);
    remove_duplicates(set);
    for (uint32_t i = 0; i < set->count; i++)
        set->firsts[set->items[i].text[0] + 1] = i + 1;
    for (int byte = 0; byte < 256; byte++) {
        if (set->firsts[byte + 1] == 0)
            set->firsts[byte + 1] = set->firsts[byte];
    }
    return WEIR_OK;
}

void special_set_release(struct special_set *set)
{
    mem_free(set->items);
    *set = (struct special_set){0};
}

/* The first of items[low..high), which agree in the bytes before `depth` and are longer, whose byte
 * at `depth` is at least `byte`. */
static uint32_t lower_bound(const struct special *items, uint32_t low, uint32_t high,
                            uint32_t depth, unsigned byte)
{
    while (low < high) {
        const uint32_t middle = low + (high - low) / 2;
        if (items[middle].text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct special *special_match(const struct special_set *set, const uint8_t *text,
                                    size_t length, bool parse)
{
    const struct special *items = set->items, *longest = NULL;
    uint32_t low = set->firsts[text[0]], high = set->firsts[text[0] + 1];
    for (uint32_t depth = 1; low < high; depth++) {
        if (items[low].length == depth) {
            if (parse || items[low].user_defined)
                longest = &items[low];
            low++;
        }
        if (depth == length)
            break;
        low = lower_bound(items, low, high, depth, text[depth]);
        high = lower_bound(items, low, high, depth, text[depth] + 1u);
    }
    return longest;
}
