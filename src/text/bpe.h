/* SPDX-License-Identifier: MIT
 * Byte pair encoding: merges the bytes of one pre-token into tokens. */
#ifndef TEXT_BPE_H
#define TEXT_BPE_H

#include "base/text.h"
#include "text/vocabulary.h"

/* What a pair of adjacent symbols merges into: rank << 32 | id of the product. The smaller number
 * goes first. */
#define BPE_NO_MERGE UINT64_MAX

struct bpe_slot {
    uint64_t key; /* left id << 32 | right id, plus 1; 0 is empty */
    uint64_t merge;
};

struct bpe {
    int32_t byte_ids[256]; /* of the tokens of one byte; -1 where there is none */
    uint64_t *byte_merges; /* of two bytes, by left << 8 | right */
    uint64_t *filter;      /* bits by hash: 0 where no pair has it, which most pairs meet */
    struct bpe_slot *slots;
    uint64_t multiplier; /* of the hash: odd, random, so that a file cannot aim at collisions */
    uint32_t shift;
};

/* Reads `merges`, "left right" in the byte-to-Unicode spelling, best rank first. Those whose parts
 * or product are no tokens are left out and counted in *skipped. */
enum weir_status bpe_init(struct bpe *bpe, const struct vocabulary *vocabulary,
                          const struct span *merges, uint32_t merges_count, uint32_t *skipped,
                          struct weir_error *err);
void bpe_release(struct bpe *bpe);

/* Ids that are counted even where there is no room to keep them. */
struct id_list {
    int32_t *ids;
    size_t max, count;
};

static inline void id_list_add(struct id_list *list, int32_t id)
{
    if (list->count < list->max)
        list->ids[list->count] = id;
    list->count++;
}

/* Memory of bpe_encode, kept from one call to the next. Set to zero to begin. */
struct bpe_scratch {
    void *memory;
    uint64_t bytes;
};

void bpe_scratch_release(struct bpe_scratch *scratch);

enum { BPE_SCAN_MAX = 32 };

/* Appends the ids of one pre-token of at least 1 byte. Takes O(n log n) time. Bytes that are no
 * token are left out. Fails only for want of memory, and only above BPE_SCAN_MAX bytes. */
enum weir_status bpe_encode(const struct bpe *bpe, struct bpe_scratch *scratch,
                            const uint8_t *bytes, size_t length, struct id_list *out,
                            struct weir_error *err);

/* The two ways of bpe_encode, which give the same ids: by scanning for the best pair, for at most
 * BPE_SCAN_MAX bytes, and by a heap of pairs. */
void bpe_encode_scan(const struct bpe *bpe, const uint8_t *bytes, size_t length,
                     struct id_list *out);
enum weir_status bpe_encode_heap(const struct bpe *bpe, struct bpe_scratch *scratch,
                                 const uint8_t *bytes, size_t length, struct id_list *out,
                                 struct weir_error *err);

#endif
