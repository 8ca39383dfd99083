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

/* A walk in step with an automaton, from a state, over all that it can read. Set at and is_cut to
 * zero to begin. */
struct trie_walk {
    const struct trie *trie;
    uint32_t *path; /* [depth + 1]: the state it begins in, then those behind each byte */
    uint32_t at;    /* the next node */
    bool is_cut;    /* something was too ambiguous to be followed */
};

/* Sets the bits, by id, of the pieces that the automaton can read. False if its memory is full: the
 * walk goes on when it is called again, and needs the first trie_walk_states of the path. */
bool trie_walk(struct trie_walk *walk, struct automaton *automaton, uint64_t *bits);

static inline uint32_t trie_walk_states(const struct trie_walk *walk)
{
    return walk->trie->nodes[walk->at].depth;
}

/* Leaves out the next node and what goes on from it. */
static inline void trie_walk_skip(struct trie_walk *walk)
{
    walk->at = walk->trie->nodes[walk->at].skip;
    walk->is_cut = true;
}

#endif
