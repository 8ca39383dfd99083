/* SPDX-License-Identifier: MIT
 * Small made-up vocabularies: the 256 bytes, merges, special tokens. For tests that need no real
 * one. */
#ifndef TESTS_TOY_VOCAB_H
#define TESTS_TOY_VOCAB_H

#include "text/tokenizer.h"

enum { TOY_TOKENS_MAX = 1024, TOY_MERGES_MAX = 768, TOY_TEXT_BYTES = 1 << 16, TOY_WORD_MAX = 16 };

struct toy_merge {
    int32_t left, right, product;
};

struct toy_vocab {
    struct tokenizer_source source;                             /* borrows what follows */
    struct span tokens[TOY_TOKENS_MAX], merges[TOY_MERGES_MAX]; /* spelled */
    struct span raw[TOY_TOKENS_MAX];                            /* as bytes; id of byte b is b */
    struct toy_merge pairs[TOY_MERGES_MAX];
    int32_t types[TOY_TOKENS_MAX];
    uint8_t text[TOY_TEXT_BYTES];
    size_t text_length;
};

/* Begins with the 256 bytes, in their own order. */
void toy_vocab_init(struct toy_vocab *vocab, enum pretokenizer pretokenizer);
/* Adds a token that is no byte and no product. */
int32_t toy_vocab_add(struct toy_vocab *vocab, const char *text, enum token_type type);
/* Adds a merge, and its product if that is no token yet; -1 if there is no room, the product is
 * longer than TOY_WORD_MAX bytes or the merge is known. */
int32_t toy_vocab_merge(struct toy_vocab *vocab, int32_t left, int32_t right);
/* Adds merges that build up `word` from its bytes, left to right. */
void toy_vocab_word(struct toy_vocab *vocab, const char *word);
/* Adds random merges of tokens made of the bytes of `alphabet`. */
void toy_vocab_random(struct toy_vocab *vocab, const char *alphabet, uint32_t count, uint64_t seed);
/* The vocabulary most tests use: words, random merges, the special tokens of Qwen. */
void toy_vocab_usual(struct toy_vocab *vocab, enum pretokenizer pretokenizer);

#endif
