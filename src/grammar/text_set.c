/* SPDX-License-Identifier: MIT
 * A binary tree over the bits of texts. Knows not what they stand for. */
#include "grammar/text_set.h"

#include <string.h>

#include "base/mem.h"

/* A text is read as nine bits a byte: one that says that the byte is there, then its own, the
 * highest first; behind the end all bits are 0. So no text is the beginning of another. */
enum { BITS_A_BYTE = 9 };
#define NO_BIT UINT64_MAX

void text_set_release(struct text_set *set)
{
    mem_free(set->texts);
    mem_free(set->nodes);
    *set = (struct text_set){0};
}

static uint32_t bit_of(struct span text, uint64_t bit)
{
    const uint64_t byte = bit / BITS_A_BYTE, place = bit % BITS_A_BYTE;
    if (byte >= text.length)
        return 0;
    return place == 0 ? 1 : text.data[byte] >> (8 - place) & 1;
}

/* The first bit in which the texts differ, or NO_BIT. */
static uint64_t first_difference(struct span a, struct span b)
{
    const uint64_t common = a.length < b.length ? a.length : b.length;
    uint64_t byte = 0, bit = 1;
    while (byte < common && a.data[byte] == b.data[byte])
        byte++;
    if (byte == common)
        return a.length == b.length ? NO_BIT : byte * BITS_A_BYTE;
    for (unsigned differs = a.data[byte] ^ b.data[byte]; differs < 0x80; differs <<= 1)
        bit++;
    return byte * BITS_A_BYTE + bit;
}

/* What comes next: texts are even, nodes odd. */
static uint32_t text_next(uint64_t text)
{
    return (uint32_t)(2 * text);
}

static uint32_t node_next(uint64_t node)
{
    return (uint32_t)(2 * node + 1);
}

static bool is_node(uint32_t next)
{
    return next % 2 == 1;
}

/* The only text that may be the one, of which there is one at least. */
static uint32_t likeliest(const struct text_set *set, struct span text)
{
    uint32_t next = set->first;
    while (is_node(next)) {
        const struct text_set_node *node = &set->nodes[next / 2];
        next = node->next[bit_of(text, node->bit)];
    }
    return next / 2;
}

uint32_t text_set_find(const struct text_set *set, struct span text)
{
    if (set->count == 0)
        return TEXT_SET_NONE;
    const uint32_t number = likeliest(set, text);
    return first_difference(set->texts[number], text) == NO_BIT ? number : TEXT_SET_NONE;
}

/* Makes room for one text more, and the node that tells it apart. */
static enum weir_status grow(struct text_set *set, struct weir_error *err)
{
    if (set->count == UINT32_MAX / 2)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "grammar: more than %u names", UINT32_MAX / 2);
    const enum weir_status status =
        mem_grow(&set->texts, &set->texts_capacity, set->count + 1, sizeof *set->texts, err);
    return status != WEIR_OK ? status
                             : mem_grow(&set->nodes, &set->nodes_capacity, set->count + 1,
                                        sizeof *set->nodes, err);
}

/* Bits grow on the way down: the new node goes before the first with a later one. */
static void insert(struct text_set *set, struct span text, uint64_t bit)
{
    uint32_t *at = &set->first;
    while (is_node(*at) && set->nodes[*at / 2].bit < bit) {
        struct text_set_node *node = &set->nodes[*at / 2];
        at = &node->next[bit_of(text, node->bit)];
    }
    const uint64_t made = set->count - 1; /* a node for each text but the first */
    const uint32_t side = bit_of(text, bit);
    set->nodes[made].bit = bit;
    set->nodes[made].next[side] = text_next(set->count);
    set->nodes[made].next[1 - side] = *at;
    *at = node_next(made);
}

enum weir_status text_set_add(struct text_set *set, struct span text, uint32_t *number,
                              struct weir_error *err)
{
    uint64_t bit = NO_BIT;
    if (set->count > 0) {
        *number = likeliest(set, text);
        bit = first_difference(set->texts[*number], text);
        if (bit == NO_BIT)
            return WEIR_OK;
    }
    const enum weir_status status = grow(set, err);
    if (status != WEIR_OK)
        return status;
    if (set->count == 0)
        set->first = text_next(0);
    else
        insert(set, text, bit);
    *number = (uint32_t)set->count;
    set->texts[set->count++] = text;
    return WEIR_OK;
}
