/* SPDX-License-Identifier: MIT
 * The vocabularies of the public models, as text files in a folder vocab: NAME.tokens.txt.xz,
 * NAME.merges.txt.xz and NAME.special.json. For tests and benchmarks. */
#ifndef TESTS_REAL_VOCAB_H
#define TESTS_REAL_VOCAB_H

#include "text/tokenizer.h"

struct real_vocab {
    struct tokenizer_source source; /* borrows what follows */
    uint8_t *tokens_text, *merges_text;
    struct span *tokens, *merges;
    int32_t *types;
    char *padding; /* the texts of the unused ids */
};

/* Loads NAME ("qwen35", "qwen2") with the program xz. NULL, or why it cannot be done. */
const char *real_vocab_load(struct real_vocab *out, const char *folder, const char *name);
void real_vocab_release(struct real_vocab *vocab);

#endif
