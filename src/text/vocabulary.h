/* SPDX-License-Identifier: MIT
 * The texts of the tokens as raw bytes, by id and by text. */
#ifndef TEXT_VOCABULARY_H
#define TEXT_VOCABULARY_H

#include "base/text.h"

struct vocabulary_slot {
    uint32_t id_plus_1; /* 0: empty */
    uint32_t tag;       /* the upper half of the text's hash: most others are told apart by it */
};

struct vocabulary {
    uint32_t count;
    uint8_t *bytes;                /* all texts, one after the other */
    uint32_t *offsets;             /* count + 1: where each text begins in `bytes` */
    uint8_t *types;                /* enum token_type, never TOKEN_UNDEFINED */
    struct vocabulary_slot *slots; /* open addressing; each text once, by its lowest id */
    uint64_t slots_mask;
    bool has_twins; /* two ids have the same text */
    uint64_t seed;  /* of the hash: a file cannot aim at collisions */
};

/* Takes texts in the byte-to-Unicode spelling; normal tokens are spelled back into raw bytes, all
 * others are kept as they are. `types` may be NULL: all normal. */
enum weir_status vocabulary_init(struct vocabulary *vocabulary, const struct span *tokens,
                                 const int32_t *types, uint32_t count, struct weir_error *err);
void vocabulary_release(struct vocabulary *vocabulary);

/* The bytes of token `id`, which is in range. */
struct span vocabulary_text(const struct vocabulary *vocabulary, int32_t id);

/* The lowest id whose bytes are `text`, or -1. An empty text is never found. */
int32_t vocabulary_find(const struct vocabulary *vocabulary, const uint8_t *text, size_t length);

/* The same, for a text that is probably that of `guess`, which need not be in range: then nothing
 * is searched. */
int32_t vocabulary_find_near(const struct vocabulary *vocabulary, const uint8_t *text,
                             size_t length, uint32_t guess);

/* Writes the raw bytes that `spelled` stands for, or, where a code point is not in the spelling,
 * `spelled` itself. `out` has room for spelled.length bytes. Returns the number written. */
size_t vocabulary_unspell(struct span spelled, uint8_t *out);

/* A hash of the bytes that differs with the seed. */
uint64_t bytes_hash(const uint8_t *bytes, size_t length, uint64_t seed);

#endif
