/* SPDX-License-Identifier: MIT
 * Byte pair encoding. Knows nothing of special tokens and of how text is cut into pre-tokens.
 *
 * The symbols of a pre-token are its bytes at first. Again and again the adjacent pair of the
 * smallest rank, the leftmost of equals, becomes one symbol, until no pair has a rank. */
#include "text/bpe.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

/* ---- merges ---------------------------------------------------------------------------------- */

enum {
    FILTER_BITS = 2, /* filter bits for one slot, as a power of two: one in nine errs */
    BYTE_PAIRS = 256 * 256,
};

static uint64_t pair_key(int32_t left, int32_t right)
{
    return ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) + 1;
}

static uint64_t pair_hash(const struct bpe *bpe, uint64_t key)
{
    return key * bpe->multiplier;
}

/* The slot of the pair, or the empty one where it would be. */
static struct bpe_slot *pair_slot(const struct bpe *bpe, uint64_t key)
{
    const uint64_t mask = UINT64_MAX >> bpe->shift;
    uint64_t at = pair_hash(bpe, key) >> bpe->shift;
    while (bpe->slots[at].key != 0 && bpe->slots[at].key != key)
        at = (at + 1) & mask;
    return &bpe->slots[at];
}

/* An id of -1 is in no pair. */
static uint64_t pair_merge(const struct bpe *bpe, int32_t left, int32_t right)
{
    const uint64_t key = pair_key(left, right);
    const uint64_t bit = pair_hash(bpe, key) >> (bpe->shift - FILTER_BITS);
    if ((bpe->filter[bit / 64] >> (bit % 64) & 1) == 0)
        return BPE_NO_MERGE;
    const struct bpe_slot *slot = pair_slot(bpe, key);
    return slot->key == 0 ? BPE_NO_MERGE : slot->merge;
}

static void pair_add(struct bpe *bpe, int32_t left, int32_t right, uint64_t merge)
{
    const uint64_t key = pair_key(left, right);
    const uint64_t bit = pair_hash(bpe, key) >> (bpe->shift - FILTER_BITS);
    bpe->filter[bit / 64] |= UINT64_C(1) << (bit % 64);
    struct bpe_slot *slot = pair_slot(bpe, key);
    if (slot->key == 0)
        *slot = (struct bpe_slot){key, merge};
}

/* Merges that have been read, to be added; their slots are on the way from memory. */
struct waiting_merges {
    struct waiting_merge {
        int32_t left, right;
        uint64_t merge;
    } list[16];
    uint32_t count; /* of all that have been read */
};

enum { WAITING_MAX = sizeof((struct waiting_merges){0}.list) / sizeof(struct waiting_merge) };

static void add_waiting(struct bpe *bpe, const struct waiting_merges *waiting, uint32_t number)
{
    const struct waiting_merge *merge = &waiting->list[number % WAITING_MAX];
    pair_add(bpe, merge->left, merge->right, merge->merge);
}

static void let_wait(struct bpe *bpe, struct waiting_merges *waiting, struct waiting_merge merge)
{
    const uint64_t hash = pair_hash(bpe, pair_key(merge.left, merge.right));
    __builtin_prefetch(&bpe->slots[hash >> bpe->shift], 1);
    if (waiting->count >= WAITING_MAX)
        add_waiting(bpe, waiting, waiting->count);
    waiting->list[waiting->count++ % WAITING_MAX] = merge;
}

/* Reads one merge; false if it is none. `text` has room for the merge's bytes. Vocabularies mostly
 * have the products in the order of the merges: *next is the token behind the last product. */
static bool read_merge(struct waiting_merge *out, const struct vocabulary *vocabulary,
                       struct span merge, uint32_t rank, uint8_t *text, uint32_t *next)
{
    const uint8_t *space = merge.length < 3 ? NULL : memchr(merge.data + 1, ' ', merge.length - 1);
    if (space == NULL)
        return false;
    const size_t split = (size_t)(space - merge.data);
    const size_t left_length = vocabulary_unspell((struct span){merge.data, split}, text);
    const size_t right_length =
        vocabulary_unspell((struct span){space + 1, merge.length - split - 1}, text + left_length);
    const int32_t left = vocabulary_find(vocabulary, text, left_length);
    const int32_t right = vocabulary_find(vocabulary, text + left_length, right_length);
    const int32_t product =
        vocabulary_find_near(vocabulary, text, left_length + right_length, *next);
    *next = (uint32_t)product + 1;
    *out = (struct waiting_merge){left, right, (uint64_t)rank << 32 | (uint32_t)product};
    return left >= 0 && right >= 0 && product >= 0;
}

static enum weir_status add_merges(struct bpe *bpe, const struct vocabulary *vocabulary,
                                   const struct span *merges, uint32_t merges_count,
                                   uint32_t *skipped, struct weir_error *err)
{
    size_t longest = 0;
    for (uint32_t rank = 0; rank < merges_count; rank++)
        longest = merges[rank].length > longest ? merges[rank].length : longest;
    uint8_t *text = mem_alloc(longest, 1, err);
    if (text == NULL)
        return WEIR_ERR_MEMORY;
    *skipped = 0;
    struct waiting_merges waiting = {.count = 0};
    uint32_t next = 0;
    for (uint32_t rank = 0; rank < merges_count; rank++) {
        struct waiting_merge merge;
        if (read_merge(&merge, vocabulary, merges[rank], rank, text, &next))
            let_wait(bpe, &waiting, merge);
        else
            (*skipped)++;
    }
    for (uint32_t i = waiting.count < WAITING_MAX ? 0 : waiting.count - WAITING_MAX;
         i < waiting.count; i++)
        add_waiting(bpe, &waiting, i);
    mem_free(text);
    return WEIR_OK;
}

static void index_bytes(struct bpe *bpe, const struct vocabulary *vocabulary)
{
    for (int byte = 0; byte < 256; byte++)
        bpe->byte_ids[byte] = vocabulary_find(vocabulary, &(uint8_t){(uint8_t)byte}, 1);
    for (int pair = 0; pair < BYTE_PAIRS; pair++)
        bpe->byte_merges[pair] =
            pair_merge(bpe, bpe->byte_ids[pair >> 8], bpe->byte_ids[pair & 0xff]);
}

enum weir_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary,
                          const struct span *merges, uint32_t merges_count, uint32_t *skipped,
                          struct weir_error *err)
{
    enum weir_status status = WEIR_ERR_MEMORY;
    uint32_t bits = 6;
    while ((UINT64_C(1) << bits) < (uint64_t)merges_count * 2)
        bits++;
    *bpe = (struct bpe){.multiplier = rng_system_seed() | 1, .shift = 64 - bits};
    bpe->byte_merges = mem_alloc(BYTE_PAIRS, sizeof *bpe->byte_merges, err);
    bpe->filter = mem_alloc(UINT64_C(1) << (bits + FILTER_BITS - 6), sizeof *bpe->filter, err);
    bpe->slots = mem_alloc(UINT64_C(1) << bits, sizeof *bpe->slots, err);
    if (bpe->byte_merges == NULL || bpe->filter == NULL || bpe->slots == NULL)
        goto out;
    TRY(add_merges(bpe, vocabulary, merges, merges_count, skipped, err));
    index_bytes(bpe, vocabulary);
out:
    if (status != WEIR_OK)
        bpe_release(bpe);
    return status;
}

void bpe_release(struct bpe *bpe)
{
    mem_free(bpe->byte_merges);
    mem_free(bpe->filter);
    mem_free(bpe->slots);
    *bpe = (struct bpe){0};
}

/* How two bytes merge. */
static uint64_t byte_merge(const struct bpe *bpe, const uint8_t *bytes)
{
    return bpe->byte_merges[bytes[0] << 8 | bytes[1]];
}

static void add_symbol(struct id_list *out, int32_t id)
{
    if (id >= 0)
        id_list_add(out, id);
}

/* ---- by scanning ----------------------------------------------------------------------------- */

/* Symbols in a row; merges[i] is that of ids[i] and ids[i + 1]. */
struct bpe_row {
    size_t count;
    int32_t ids[BPE_SCAN_MAX];
    uint64_t merges[BPE_SCAN_MAX];
};

static size_t row_best(const struct bpe_row *row)
{
    size_t best = 0;
    for (size_t i = 1; i + 1 < row->count; i++) {
        if (row->merges[i] < row->merges[best])
            best = i;
    }
    return best;
}

static void row_merge(const struct bpe *bpe, struct bpe_row *row, size_t at)
{
    row->ids[at] = (int32_t)(uint32_t)row->merges[at];
    row->count--;
    for (size_t i = at + 1; i < row->count; i++)
        row->ids[i] = row->ids[i + 1];
    for (size_t i = at + 1; i + 1 < row->count; i++)
        row->merges[i] = row->merges[i + 1];
    if (at > 0)
        row->merges[at - 1] = pair_merge(bpe, row->ids[at - 1], row->ids[at]);
    if (at + 1 < row->count)
        row->merges[at] = pair_merge(bpe, row->ids[at], row->ids[at + 1]);
}

void bpe_encode_scan(const struct bpe *bpe, const uint8_t *bytes, size_t length,
                     struct id_list *out)
{
    struct bpe_row row = {.count = length};
    for (size_t i = 0; i < length; i++)
        row.ids[i] = bpe->byte_ids[bytes[i]];
    for (size_t i = 0; i + 1 < length; i++)
        row.merges[i] = byte_merge(bpe, bytes + i);
    while (row.count > 1) {
        const size_t best = row_best(&row);
        if (row.merges[best] == BPE_NO_MERGE)
            break;
        row_merge(bpe, &row, best);
    }
    for (size_t i = 0; i < row.count; i++)
        add_symbol(out, row.ids[i]);
}

/* ---- by a heap -------------------------------------------------------------------------------
 *
 * The pair to merge next ranks lower than the pairs on both sides of it, which overlap with it, so
 * only such pairs need be in the heap. In "aaaa..." that is one at a time, in other text about a
 * third. Entries are not removed when their pair changes: one counts only if it names the rank that
 * its pair has now. */

#define BPE_END UINT32_MAX

/* A symbol at the position of its first byte, in a list over all symbols, and its pair with the
 * next one. */
struct bpe_node {
    uint32_t previous, next; /* BPE_END beyond the first and the last */
    int32_t id;
    int32_t product;
    uint32_t rank; /* BPE_END if the pair does not merge, or this symbol is gone */
    bool queued;   /* the heap has an entry of this rank */
};

/* Entries are rank << 32 | position, so the smallest is the pair to merge next. */
struct bpe_heap {
    uint64_t *entries;
    size_t count;
};

/* Four children a node: half as deep as two, and the four lie in a line of the cache. */
enum { HEAP_CHILDREN = 4 };

/* The smallest of the entries from `first` on that have the same parent. */
static size_t heap_smallest(const struct bpe_heap *heap, size_t first)
{
    const size_t end = first + HEAP_CHILDREN < heap->count ? first + HEAP_CHILDREN : heap->count;
    size_t smallest = first;
    for (size_t i = first + 1; i < end; i++)
        smallest = heap->entries[i] < heap->entries[smallest] ? i : smallest;
    return smallest;
}

static void heap_sink(struct bpe_heap *heap, size_t at, uint64_t entry)
{
    for (;;) {
        const size_t first = at * HEAP_CHILDREN + 1;
        if (first >= heap->count)
            break;
        const size_t child = heap_smallest(heap, first);
        if (heap->entries[child] >= entry)
            break;
        heap->entries[at] = heap->entries[child];
        at = child;
    }
    heap->entries[at] = entry;
}

static void heap_push(struct bpe_heap *heap, uint64_t entry)
{
    size_t at = heap->count++;
    while (at > 0) {
        const size_t parent = (at - 1) / HEAP_CHILDREN;
        if (heap->entries[parent] <= entry)
            break;
        heap->entries[at] = heap->entries[parent];
        at = parent;
    }
    heap->entries[at] = entry;
}

static uint64_t heap_pop(struct bpe_heap *heap)
{
    const uint64_t top = heap->entries[0];
    heap->count--;
    if (heap->count > 0)
        heap_sink(heap, 0, heap->entries[heap->count]);
    return top;
}

static void pair_set(struct bpe_node *node, uint64_t merge)
{
    node->rank = (uint32_t)(merge >> 32);
    node->product = (int32_t)(uint32_t)merge;
    node->queued = false;
}

/* Looks up how the symbol at `at`, if there is one, merges with the next. */
static void pair_update(const struct bpe *bpe, struct bpe_node *nodes, uint32_t at)
{
    if (at == BPE_END)
        return;
    const uint32_t next = nodes[at].next;
    pair_set(&nodes[at],
             next == BPE_END ? BPE_NO_MERGE : pair_merge(bpe, nodes[at].id, nodes[next].id));
}

/* Puts the pair at `at`, if there is one, into the heap if neither neighbour goes before it. */
static void pair_queue(struct bpe_node *nodes, struct bpe_heap *heap, uint32_t at)
{
    if (at == BPE_END || nodes[at].rank == BPE_END || nodes[at].queued)
        return;
    const uint32_t rank = nodes[at].rank, previous = nodes[at].previous;
    if (previous != BPE_END && nodes[previous].rank <= rank)
        return;
    if (nodes[nodes[at].next].rank < rank)
        return;
    nodes[at].queued = true;
    heap_push(heap, (uint64_t)rank << 32 | at);
}

/* Makes one symbol of the one at `at` and its next. */
static void pair_unite(const struct bpe *bpe, struct bpe_node *nodes, struct bpe_heap *heap,
                       uint32_t at)
{
    struct bpe_node *node = &nodes[at], *gone = &nodes[node->next];
    node->id = node->product;
    node->next = gone->next;
    gone->rank = BPE_END;
    if (node->next != BPE_END)
        nodes[node->next].previous = at;
    /* Two pairs have changed; they and the ones beside them may now be next to merge. */
    pair_update(bpe, nodes, node->previous);
    pair_update(bpe, nodes, at);
    if (node->previous != BPE_END)
        pair_queue(nodes, heap, nodes[node->previous].previous);
    pair_queue(nodes, heap, node->previous);
    pair_queue(nodes, heap, at);
    pair_queue(nodes, heap, node->next);
}

static void nodes_init(const struct bpe *bpe, struct bpe_node *nodes, struct bpe_heap *heap,
                       const uint8_t *bytes, uint32_t length)
{
    for (uint32_t i = 0; i < length; i++)
        nodes[i] = (struct bpe_node){.previous = i - 1,
                                     .next = i + 1 < length ? i + 1 : BPE_END,
                                     .id = bpe->byte_ids[bytes[i]]};
    static_assert(UINT32_C(0) - 1 == BPE_END, "the first node's previous is none");
    for (uint32_t i = 0; i < length; i++)
        pair_set(&nodes[i], i + 1 < length ? byte_merge(bpe, bytes + i) : BPE_NO_MERGE);
    for (uint32_t i = 0; i < length; i++)
        pair_queue(nodes, heap, i);
}

/* At least doubles, so that pre-tokens that grow byte by byte do not each allocate. */
static enum weir_status scratch_reserve(struct bpe_scratch *scratch, uint64_t bytes,
                                        struct weir_error *err)
{
    if (bytes <= scratch->bytes)
        return WEIR_OK;
    bytes = bytes < scratch->bytes * 2 ? scratch->bytes * 2 : bytes;
    bpe_scratch_release(scratch);
    scratch->memory = mem_alloc(bytes, 1, err);
    if (scratch->memory == NULL)
        return WEIR_ERR_MEMORY;
    scratch->bytes = bytes;
    return WEIR_OK;
}

void bpe_scratch_release(struct bpe_scratch *scratch)
{
    mem_free(scratch->memory);
    *scratch = (struct bpe_scratch){0};
}

enum weir_status bpe_encode_heap(const struct bpe *bpe, struct bpe_scratch *scratch,
                                 const uint8_t *bytes, size_t length, struct id_list *out,
                                 struct weir_error *err)
{
    /* Each state of a pair gives at most one entry. There are at most `length` pairs at first; each
     * merge takes one entry out and makes two new pairs. */
    const uint64_t entries_bytes = (uint64_t)length * 2 * sizeof(uint64_t);
    const uint64_t nodes_bytes = (uint64_t)length * sizeof(struct bpe_node);
    const enum weir_status status = scratch_reserve(scratch, entries_bytes + nodes_bytes, err);
    if (status != WEIR_OK)
        return status;
    struct bpe_heap heap = {.entries = scratch->memory};
    struct bpe_node *nodes = (struct bpe_node *)(heap.entries + 2 * length);
    nodes_init(bpe, nodes, &heap, bytes, (uint32_t)length);
    while (heap.count > 0) {
        const uint64_t entry = heap_pop(&heap);
        const uint32_t at = (uint32_t)entry;
        if (nodes[at].rank == entry >> 32)
            pair_unite(bpe, nodes, &heap, at);
    }
    for (uint32_t at = 0; at != BPE_END; at = nodes[at].next)
        add_symbol(out, nodes[at].id);
    return WEIR_OK;
}

enum weir_status bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch,
                            const uint8_t *bytes, size_t length, struct id_list *out,
                            struct weir_error *err)
{
    if (length > BPE_SCAN_MAX)
        return bpe_encode_heap(bpe, scratch, bytes, length, out, err);
    bpe_encode_scan(bpe, bytes, length, out);
    return WEIR_OK;
}
