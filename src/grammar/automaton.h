/* SPDX-License-Identifier: MIT
 * Where a text may be within a grammar: states, and what the next symbol makes of them. Knows no
 * tokens.
 *
 * A place in a grammar is a node and the nodes to return to, a stack. A stack is a cell: its top
 * and the cell below; equal stacks are one cell, so stacks share what they have in common. A state
 * is a set of stacks, and equal sets are one state, whose next states are kept once they were
 * found. So the automaton becomes a deterministic one where it was used, and a step is the look-up
 * of a number.
 *
 * Memory is taken at open and does not grow. When it is full, automaton_forget keeps only what is
 * needed for the states that are still in use. */
#ifndef GRAMMAR_AUTOMATON_H
#define GRAMMAR_AUTOMATON_H

#include "grammar/rules.h"

enum {
    AUTOMATON_DEAD = 0,   /* the state of texts that nothing makes right */
    AUTOMATON_CUT = 1,    /* the state of texts that may be right, in too many ways to follow */
    STACKS_MAX = 1 << 13, /* of a state; a grammar that needs more is too ambiguous */
    FOUND_MAX = 1 << 15,  /* with those that read nothing themselves */
};
#define AUTOMATON_FULL UINT32_MAX /* no state: no memory for it */

struct automaton_size {
    uint32_t cells, states, members; /* at most; cells and states are powers of two */
};

struct automaton_cell {
    uint32_t node; /* RULES_NONE: the end of the text */
    uint32_t below;
};

struct automaton_state {
    uint32_t first, count; /* its cells in `members`, ascending */
    bool is_whole;         /* the text may end here */
};

struct automaton {
    const struct weir_grammar *grammar;
    struct automaton_size size;
    struct automaton_cell *cells;   /* a cell lies behind those below it; 0 is the empty stack */
    struct automaton_state *states; /* the first two are DEAD and CUT */
    uint32_t *members;
    uint32_t *next;        /* [states][classes]: state + 1, or 0 if it is not known */
    uint32_t *cell_slots;  /* [2 * cells]: hash table of cells; 0 is free */
    uint32_t *state_slots; /* [2 * states] */
    uint32_t cells_count, states_count, members_count;
    uint32_t *seen; /* by cell: the number of the last search that came upon it */
    uint32_t search;
    uint32_t *found; /* [FOUND_MAX], of the search that goes on */
    uint32_t found_count;
    bool is_too_ambiguous; /* the search has found more */
};

enum weir_status automaton_open(struct automaton **out, const struct weir_grammar *grammar,
                                struct automaton_size size, struct weir_error *err);
void automaton_close(struct automaton *automaton);

/* The state at the beginning of a node of the grammar, with nothing to return to; or
 * AUTOMATON_FULL. */
uint32_t automaton_start(struct automaton *automaton, uint32_t node);

/* What a symbol makes of a state, or AUTOMATON_FULL. */
uint32_t automaton_find_step(struct automaton *automaton, uint32_t state, uint32_t symbol);

static inline uint32_t automaton_step(struct automaton *automaton, uint32_t state, uint32_t symbol)
{
    const struct weir_grammar *grammar = automaton->grammar;
    const uint32_t class = grammar->classes[symbol];
    const uint32_t next = automaton->next[(size_t)state * grammar->classes_count + class];
    return next != 0 ? next - 1 : automaton_find_step(automaton, state, symbol);
}

/* The state of all stacks of both, or AUTOMATON_FULL. */
uint32_t automaton_join(struct automaton *automaton, uint32_t a, uint32_t b);

static inline bool automaton_is_whole(const struct automaton *automaton, uint32_t state)
{
    return automaton->states[state].is_whole;
}

/* Follows all symbols from the first states, as far as that costs little. True if one of them leads
 * to AUTOMATON_CUT. */
bool automaton_is_soon_cut(struct automaton *automaton);

/* Forgets all but what the given states need: changes their numbers, and the order of `states`.
 * True if there is now room worth going on with. */
bool automaton_forget(struct automaton *automaton, uint32_t **states, uint32_t count);

#endif
