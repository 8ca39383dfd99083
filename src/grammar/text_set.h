/* SPDX-License-Identifier: MIT
 * Texts, each once, by number: names of rules and members, values. Knows not what they stand for.
 *
 * A search looks at each bit of a text once at most (Morrison: PATRICIA, 1968), whoever chose the
 * texts: there are no hashes that somebody could make collide. */
#ifndef GRAMMAR_TEXT_SET_H
#define GRAMMAR_TEXT_SET_H

#include "base/err.h"
#include "base/text.h"

#define TEXT_SET_NONE UINT32_MAX

/* Tells two groups of texts apart by one bit. What comes next is a text or a node. */
struct text_set_node {
    uint64_t bit;
    uint32_t next[2];
};

/* Set to zero to begin. The texts are borrowed. */
struct text_set {
    struct span *texts; /* [count], by number, in the order they were added */
    struct text_set_node *nodes;
    uint64_t count, texts_capacity, nodes_capacity;
    uint32_t first; /* what comes first, if count > 0 */
};

void text_set_release(struct text_set *set);
/* The number of a text, or TEXT_SET_NONE. */
uint32_t text_set_find(const struct text_set *set, struct span text);
/* Adds a text that is new: then *number is what the count was. */
enum weir_status text_set_add(struct text_set *set, struct span text, uint32_t *number,
                              struct weir_error *err);

#endif
