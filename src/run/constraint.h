/* SPDX-License-Identifier: MIT
 * A grammar over a tokenizer: which tokens a state allows, and what a token makes of it. Knows no
 * sampler.
 *
 * A token is allowed if its whole text can be read; one that ends generation, if the text may end;
 * a control token never, unless the grammar names it. Where this allows nothing, the text is as
 * good as over, and all tokens that end generation are allowed, of which there is one at least;
 * the cursor's is_cut tells whether that is the grammar's doing or for lack of room. */
#ifndef RUN_CONSTRAINT_H
#define RUN_CONSTRAINT_H

#include "grammar/automaton.h"

/* Where a text is in the language of a constraint, which knows all its cursors. */
struct constraint_cursor {
    struct weir_constraint *constraint; /* NULL: none */
    struct constraint_cursor *next;
    uint32_t state;
    bool is_cut; /* its text was allowed to end for lack of room alone */
};

/* weir_constraint_open with room of another size. */
enum weir_status constraint_open(struct weir_constraint **out, const struct weir_grammar *grammar,
                                 const struct weir_tokenizer *tokenizer, struct automaton_size size,
                                 struct weir_error *err);

/* The tokens that a constraint knows, from 0 on. */
uint32_t constraint_tokens(const struct weir_constraint *constraint);

/* Puts a cursor at the beginning; it stays where it is in memory until it is detached. `behind`:
 * at most two newlines may come first. */
enum weir_status constraint_attach(struct weir_constraint *constraint,
                                   struct constraint_cursor *cursor, bool behind,
                                   struct weir_error *err);
void constraint_detach(struct constraint_cursor *cursor);

/* The rest allocates nothing. */

/* The allowed tokens: bits by id, of so many tokens; borrowed until the next call for the
 * constraint. */
const uint64_t *constraint_mask(struct constraint_cursor *cursor, uint32_t *tokens);

/* Whether the mask was found before, so that it costs nothing; and whether a single token is
 * allowed, which costs little. Where nothing is, the latter allows nothing. */
bool constraint_knows_mask(const struct constraint_cursor *cursor);
bool constraint_allows(struct constraint_cursor *cursor, int32_t id);

/* Reads a token; one that is not allowed leaves the text without a right continuation. */
void constraint_accept(struct constraint_cursor *cursor, int32_t id);

/* The same for bytes that are no whole token; and whether they are allowed. */
void constraint_read(struct constraint_cursor *cursor, const char *text, size_t length);
bool constraint_can_read(struct constraint_cursor *cursor, const char *text, size_t length);

#endif
