/* SPDX-License-Identifier: MIT
 * The vocabulary of a tokenizer as constraints look at it. Knows no grammar. */
#ifndef RUN_PIECES_H
#define RUN_PIECES_H

#include "grammar/trie.h"
#include "weir.h"

struct pieces {
    struct trie trie; /* of the tokens that are text and end nothing */
    uint64_t *ends;   /* bits by id: the tokens that end generation */
    uint32_t tokens;
    uint32_t words; /* of bits for all tokens */
    bool has_ends;
};

/* Those of a tokenizer, made when they are first asked for, by any thread, and kept with it. */
enum weir_status pieces_of(const struct weir_tokenizer *tokenizer, const struct pieces **out,
                           struct weir_error *err);

#endif
