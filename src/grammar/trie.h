/* SPDX-License-Identifier: MIT
 * The pieces of a vocabulary as a tree, so that pieces with a common beginning are looked at once.
 * Knows no tokenizer and no grammar but the automaton that walks over it. */
#ifndef GRAMMAR_TRIE_H
#define GRAMMAR_TRIE_H

#include "base/text.h"
#include "grammar/automaton.h"

enum { TRIE_PIECE_MAX = 1 << 12 }; /* bytes; a longer piece is never allowed */

/* Nodes come in the order of pieces, each before those that go on from it. */
struct trie_node {
    uint32_t skip;  /* the next node that does not go on from this one */
    uint16_t depth; /* bytes of its text; at least 1 */
    uint8_t byte;
    uint8_t pieces; /* that end here; more equal ones than 255 are not allowed */
};

struct trie {
    struct trie_node *nodes; /* [count] */
    uint32_t *firsts;        /* [count + 1]: pieces before each node */
    int32_t *ids;            /* of pieces, in their order */
    uint32_t count;
    uint32_t depth; /* of the deepest */
};

/* Of pieces by id; those that are empty are left out. The pieces are not borrowed. */
enum weir_status trie_init(struct trie *trie, const struct span *pieces, uint32_t count,
                           struct weir_error *err);
void trie_release(struct trie *trie);

/* Sets the bits, by id, of the pieces that the automaton can read in a state. `path` has room for
 * depth + 1 states. False if the automaton's memory is full, but with `hard` what there is no
 * memory for is left out. *is_cut becomes true if that was so, or something was too ambiguous. */
bool trie_walk(const struct trie *trie, struct automaton *automaton, uint32_t state, uint32_t *path,
               bool hard, uint64_t *bits, bool *is_cut);

#endif
