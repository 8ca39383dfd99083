/* SPDX-License-Identifier: MIT
 * Sorts pieces, makes a tree of them, and walks over it in step with an automaton. Knows no
 * tokenizer. */
#include "grammar/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/bits.h"
#include "base/mem.h"

/* ---- order ----------------------------------------------------------------------------------- */

/* What is sorted: the first bytes as a number, so that few pieces are compared byte by byte. */
struct item {
    uint64_t prefix;
    const uint8_t *data;
    uint32_t length;
    int32_t id;
};

enum { PREFIX_BYTES = 8 };

static uint64_t prefix_of(struct span piece)
{
    uint64_t prefix = 0;
    for (size_t i = 0; i < PREFIX_BYTES; i++)
        prefix = prefix << 8 | (i < piece.length ? piece.data[i] : 0);
    return prefix;
}

static int compare_items(const void *a_pointer, const void *b_pointer)
{
    const struct item *a = a_pointer, *b = b_pointer;
    const uint32_t common = a->length < b->length ? a->length : b->length;
    const int order = memcmp(a->data, b->data, common);
    if (order != 0)
        return order;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return a->id < b->id ? -1 : 1;
}

/* A stable sort by one byte of the prefix. */
static void sort_by_byte(const struct item *from, struct item *to, uint32_t count, uint32_t byte)
{
    uint32_t places[257] = {0};
    for (uint32_t i = 0; i < count; i++)
        places[(from[i].prefix >> (8 * byte) & 0xff) + 1]++;
    for (uint32_t value = 0; value < 256; value++)
        places[value + 1] += places[value];
    for (uint32_t i = 0; i < count; i++)
        to[places[from[i].prefix >> (8 * byte) & 0xff]++] = from[i];
}

/* `other` has the same room. The number of bytes is even, so the result is in `items`. */
static void sort_items(struct item *items, struct item *other, uint32_t count)
{
    for (uint32_t byte = 0; byte < PREFIX_BYTES; byte += 2) {
        sort_by_byte(items, other, count, byte);
        sort_by_byte(other, items, count, byte + 1);
    }
    for (uint32_t begin = 0, end; begin < count; begin = end) {
        for (end = begin + 1; end < count && items[end].prefix == items[begin].prefix;)
            end++;
        if (end - begin > 1)
            qsort(items + begin, end - begin, sizeof *items, compare_items);
    }
}

/* ---- tree ------------------------------------------------------------------------------------ */

static uint32_t common_bytes(const struct item *a, const struct item *b)
{
    uint32_t common = 0;
    while (common < a->length && common < b->length && a->data[common] == b->data[common])
        common++;
    return common;
}

/* Adds the nodes of a piece behind those that it shares with the one before. `open` are the nodes
 * of the piece before, by depth. */
static void add_nodes(struct trie *trie, const struct item *item, uint32_t common, uint32_t *open,
                      uint32_t open_count, uint32_t piece)
{
    for (uint32_t depth = common; depth < open_count; depth++)
        trie->nodes[open[depth]].skip = trie->count;
    for (uint32_t depth = common; depth < item->length; depth++) {
        open[depth] = trie->count;
        trie->firsts[trie->count] = piece;
        trie->nodes[trie->count++] =
            (struct trie_node){.depth = (uint16_t)(depth + 1), .byte = item->data[depth]};
    }
}

static void fill(struct trie *trie, const struct item *items, uint32_t count)
{
    uint32_t open[TRIE_PIECE_MAX], open_count = 0, pieces = 0;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t common = i == 0 ? 0 : common_bytes(&items[i - 1], &items[i]);
        add_nodes(trie, &items[i], common, open, open_count, pieces);
        open_count = items[i].length;
        struct trie_node *node = &trie->nodes[open[open_count - 1]];
        if (node->pieces == UINT8_MAX)
            continue;
        node->pieces++;
        trie->ids[pieces++] = items[i].id;
    }
    for (uint32_t depth = 0; depth < open_count; depth++)
        trie->nodes[open[depth]].skip = trie->count;
    trie->firsts[trie->count] = pieces;
}

static enum weir_status build(struct trie *trie, const struct item *items, uint32_t count,
                              struct weir_error *err)
{
    uint64_t nodes = 0;
    for (uint32_t i = 0; i < count; i++) {
        nodes += items[i].length - (i == 0 ? 0 : common_bytes(&items[i - 1], &items[i]));
        trie->depth = items[i].length > trie->depth ? items[i].length : trie->depth;
    }
    trie->nodes = mem_alloc(nodes, sizeof *trie->nodes, err);
    trie->firsts = mem_alloc(nodes + 1, sizeof *trie->firsts, err);
    trie->ids = mem_alloc(count, sizeof *trie->ids, err);
    if (trie->nodes == NULL || trie->firsts == NULL || trie->ids == NULL)
        return WEIR_ERR_MEMORY;
    fill(trie, items, count);
    return WEIR_OK;
}

enum weir_status trie_init(struct trie *trie, const struct span *pieces, uint32_t count,
                           struct weir_error *err)
{
    struct item *items = mem_alloc(count, sizeof *items, err);
    struct item *other = mem_alloc(count, sizeof *other, err);
    enum weir_status status = items == NULL || other == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
    uint32_t taken = 0;
    *trie = (struct trie){0};
    for (uint32_t id = 0; id < count && status == WEIR_OK; id++) {
        if (pieces[id].length > 0 && pieces[id].length <= TRIE_PIECE_MAX)
            items[taken++] = (struct item){prefix_of(pieces[id]), pieces[id].data,
                                           (uint32_t)pieces[id].length, (int32_t)id};
    }
    if (status == WEIR_OK) {
        sort_items(items, other, taken);
        status = build(trie, items, taken, err);
    }
    mem_free(items);
    mem_free(other);
    if (status != WEIR_OK)
        trie_release(trie);
    return status;
}

void trie_release(struct trie *trie)
{
    mem_free(trie->nodes);
    mem_free(trie->firsts);
    mem_free(trie->ids);
    *trie = (struct trie){0};
}

/* ---- walk ------------------------------------------------------------------------------------ */

bool trie_walk(struct trie_walk *walk, struct automaton *automaton, uint64_t *bits)
{
    const struct trie *trie = walk->trie;
    uint32_t *path = walk->path, at = walk->at;
    const int32_t *ids = trie->ids + trie->firsts[at];
    while (at < trie->count) {
        const struct trie_node node = trie->nodes[at];
        const uint32_t next = automaton_step(automaton, path[node.depth - 1], node.byte);
        if (next == AUTOMATON_FULL)
            break;
        if (next <= AUTOMATON_CUT) {
            walk->is_cut |= next == AUTOMATON_CUT;
            at = node.skip;
            ids = trie->ids + trie->firsts[at];
            continue;
        }
        path[node.depth] = next;
        for (uint32_t i = 0; i < node.pieces; i++, ids++)
            bits_set(bits, (uint32_t)*ids);
        at++;
    }
    walk->at = at;
    return at == trie->count;
}
