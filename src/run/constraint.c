/* SPDX-License-Identifier: MIT
 * Constraints: an automaton and a vocabulary, walked over together, and the masks found so. Knows
 * neither notations nor samplers. */
#include "run/constraint.h"

#include <string.h>

#include "base/bits.h"
#include "base/mem.h"
#include "run/pieces.h"

/* Some 10 MB with the classes of most grammars, and 4 MB of masks of 248320 tokens. Of that the
 * system gives what is touched alone: 4 to 8 MB after a few hundred tokens. A server has one for
 * each request. */
static const struct automaton_size constraint_size = {1 << 16, 1 << 14, 1 << 19};
enum { MASKS = 128 };

enum { MASK_NONE = 0 }; /* masks count from 1 */

enum {
    MASK_IS_CUT = 1,    /* the end is allowed only because what follows cannot be followed */
    MASK_IS_NARROW = 2, /* something is left out that may be right */
};

/* How often a mask may take all memory anew until the rest is left out: some 500000 states. */
enum { MASK_FORGETS_MAX = 32 };

struct weir_constraint {
    const struct weir_grammar *grammar;
    const struct weir_tokenizer *tokenizer;
    struct automaton_size size;
    struct automaton *automaton;
    const struct pieces *pieces; /* of the tokenizer */
    uint32_t *path;              /* [depth of the tree + 1] */

    uint64_t *masks;       /* [MASKS][words] */
    uint32_t *mask_of;     /* by state: its mask */
    uint32_t *mask_states; /* by mask: whose it is; AUTOMATON_DEAD: nobody's */
    uint32_t mask_next;    /* the one to be used next */
    uint8_t mask_flags[MASKS + 1];

    int32_t *named; /* by terminal of the grammar: the token */
    uint32_t start, start_behind;
    struct constraint_cursor *cursors;
    uint32_t cursors_count;
    bool is_narrow;
    uint32_t **kept; /* room for the states of all cursors, both starts and a path */
    uint64_t kept_capacity;
};

/* ---- open and close -------------------------------------------------------------------------- */

static enum weir_status name_tokens(struct weir_constraint *constraint, struct weir_error *err)
{
    const struct weir_grammar *grammar = constraint->grammar;
    for (uint32_t i = 0; i < grammar->tokens_count; i++) {
        const struct rules_token *token = &grammar->tokens[i];
        constraint->named[i] =
            token->text == NULL
                ? token->id
                : weir_tokenizer_find(constraint->tokenizer, token->text, token->length);
        if (token->text != NULL && constraint->named[i] < 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "grammar: the vocabulary has no token %.*s",
                           (int)token->length, token->text);
        if (constraint->named[i] < 0 ||
            (uint32_t)constraint->named[i] >= constraint->pieces->tokens)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "grammar: token %d: the vocabulary has %u tokens", token->id,
                           constraint->pieces->tokens);
    }
    return WEIR_OK;
}

/* Else a text that is complete could only be followed by what the grammar forbids. */
static enum weir_status check_ends(const struct pieces *pieces, struct weir_error *err)
{
    if (pieces->has_ends)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "grammar: the vocabulary has no token that ends generation");
}

static enum weir_status take_memory(struct weir_constraint *constraint, struct weir_error *err)
{
    const struct pieces *pieces = constraint->pieces;
    constraint->masks = mem_alloc((uint64_t)MASKS * pieces->words, sizeof *constraint->masks, err);
    constraint->path = mem_alloc((uint64_t)pieces->trie.depth + 1, sizeof *constraint->path, err);
    constraint->mask_of = mem_alloc(constraint->size.states, sizeof *constraint->mask_of, err);
    constraint->mask_states = mem_alloc(MASKS + 1, sizeof *constraint->mask_states, err);
    constraint->named =
        mem_alloc(constraint->grammar->tokens_count, sizeof *constraint->named, err);
    const bool taken = constraint->masks != NULL && constraint->mask_of != NULL &&
                       constraint->mask_states != NULL && constraint->path != NULL &&
                       constraint->named != NULL;
    return taken ? WEIR_OK : WEIR_ERR_MEMORY;
}

static enum weir_status find_starts(struct weir_constraint *constraint, struct weir_error *err)
{
    struct automaton *automaton = constraint->automaton;
    constraint->start = automaton_start(automaton, constraint->grammar->start);
    constraint->start_behind = automaton_start(automaton, constraint->grammar->start_behind);
    const bool fit = constraint->start != AUTOMATON_FULL && constraint->start != AUTOMATON_CUT &&
                     constraint->start_behind != AUTOMATON_FULL &&
                     constraint->start_behind != AUTOMATON_CUT;
    if (fit && !automaton_is_soon_cut(automaton))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "grammar: too ambiguous: a text can begin in more than %d ways", STACKS_MAX);
}

enum weir_status constraint_open(struct weir_constraint **out, const struct weir_grammar *grammar,
                                 const struct weir_tokenizer *tokenizer, struct automaton_size size,
                                 struct weir_error *err)
{
    struct weir_constraint *constraint = mem_alloc(1, sizeof *constraint, err);
    enum weir_status status;
    *out = NULL;
    if (constraint == NULL)
        return WEIR_ERR_MEMORY;
    constraint->grammar = grammar;
    constraint->tokenizer = tokenizer;
    constraint->size = size;
    constraint->mask_next = 1;
    TRY(pieces_of(tokenizer, &constraint->pieces, err));
    TRY(check_ends(constraint->pieces, err));
    TRY(take_memory(constraint, err));
    TRY(name_tokens(constraint, err));
    TRY(automaton_open(&constraint->automaton, grammar, size, err));
    TRY(find_starts(constraint, err));
    *out = constraint;
out:
    if (status != WEIR_OK)
        weir_constraint_close(constraint);
    return status;
}

enum weir_status weir_constraint_open(struct weir_constraint **out,
                                      const struct weir_grammar *grammar,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err)
{
    return constraint_open(out, grammar, tokenizer, constraint_size, err);
}

void weir_constraint_close(struct weir_constraint *constraint)
{
    if (constraint == NULL)
        return;
    while (constraint->cursors != NULL)
        constraint_detach(constraint->cursors);
    automaton_close(constraint->automaton);
    mem_free(constraint->path);
    mem_free(constraint->masks);
    mem_free(constraint->mask_of);
    mem_free(constraint->mask_states);
    mem_free(constraint->named);
    mem_free(constraint->kept);
    mem_free(constraint);
}

/* ---- cursors --------------------------------------------------------------------------------- */

enum weir_status constraint_attach(struct weir_constraint *constraint,
                                   struct constraint_cursor *cursor, bool behind,
                                   struct weir_error *err)
{
    const uint64_t states =
        (uint64_t)constraint->cursors_count + 1 + 2 + constraint->pieces->trie.depth;
    const enum weir_status status = mem_grow(&constraint->kept, &constraint->kept_capacity, states,
                                             sizeof *constraint->kept, err);
    if (status != WEIR_OK)
        return status;
    *cursor = (struct constraint_cursor){
        .constraint = constraint,
        .next = constraint->cursors,
        .state = behind ? constraint->start_behind : constraint->start,
    };
    constraint->cursors = cursor;
    if (constraint->cursors_count == 0)
        constraint->is_narrow = false;
    constraint->cursors_count++;
    return WEIR_OK;
}

void constraint_detach(struct constraint_cursor *cursor)
{
    if (cursor->constraint == NULL)
        return;
    struct constraint_cursor **at = &cursor->constraint->cursors;
    while (*at != cursor)
        at = &(*at)->next;
    *at = cursor->next;
    cursor->constraint->cursors_count--;
    *cursor = (struct constraint_cursor){0};
}

/* Forgets all states but those in use, of which `path_count` are on the path, and all masks. */
static void forget(struct weir_constraint *constraint, uint32_t path_count)
{
    uint32_t count = 0;
    constraint->kept[count++] = &constraint->start;
    constraint->kept[count++] = &constraint->start_behind;
    for (struct constraint_cursor *c = constraint->cursors; c != NULL; c = c->next)
        constraint->kept[count++] = &c->state;
    for (uint32_t i = 0; i < path_count; i++)
        constraint->kept[count++] = &constraint->path[i];
    memset(constraint->mask_of, 0, constraint->size.states * sizeof *constraint->mask_of);
    memset(constraint->mask_states, 0, (MASKS + 1) * sizeof *constraint->mask_states);
    automaton_forget(constraint->automaton, constraint->kept, count);
}

/* ---- steps ----------------------------------------------------------------------------------- */

static uint32_t step_text(struct weir_constraint *constraint, uint32_t state, const char *text,
                          size_t length)
{
    for (size_t i = 0; i < length && state != AUTOMATON_FULL; i++)
        state = automaton_step(constraint->automaton, state, (uint8_t)text[i]);
    return state;
}

/* Whether the terminal allows the token. */
static bool names(const struct weir_constraint *constraint, uint32_t terminal, int32_t id)
{
    const bool is_named = constraint->named[terminal] == id;
    return is_named != constraint->grammar->tokens[terminal].negated;
}

/* The state behind a token, by its text and by its name; or AUTOMATON_FULL. */
static uint32_t step_token(struct weir_constraint *constraint, uint32_t state, int32_t id)
{
    struct automaton *automaton = constraint->automaton;
    size_t length;
    const char *text = weir_tokenizer_piece(constraint->tokenizer, id, false, &length);
    const bool is_text = length > 0 && length <= TRIE_PIECE_MAX;
    uint32_t next = is_text ? step_text(constraint, state, text, length) : AUTOMATON_DEAD;
    for (uint32_t i = 0; i < constraint->grammar->tokens_count && next != AUTOMATON_FULL; i++) {
        if (!names(constraint, i, id))
            continue;
        const uint32_t named = automaton_step(automaton, state, RULES_SYMBOL_TOKEN + i);
        constraint->is_narrow |= next == AUTOMATON_CUT || named == AUTOMATON_CUT;
        next = named == AUTOMATON_FULL ? named : automaton_join(automaton, next, named);
    }
    return next;
}

static uint32_t read_text(struct constraint_cursor *cursor, const char *text, size_t length)
{
    uint32_t next = step_text(cursor->constraint, cursor->state, text, length);
    if (next == AUTOMATON_FULL) {
        forget(cursor->constraint, 0);
        next = step_text(cursor->constraint, cursor->state, text, length);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_CUT : next;
}

static uint32_t read_token(struct constraint_cursor *cursor, int32_t id)
{
    uint32_t next = step_token(cursor->constraint, cursor->state, id);
    if (next == AUTOMATON_FULL) {
        forget(cursor->constraint, 0);
        next = step_token(cursor->constraint, cursor->state, id);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_CUT : next;
}

void constraint_accept(struct constraint_cursor *cursor, int32_t id)
{
    const struct weir_constraint *constraint = cursor->constraint;
    if (id >= 0 && (uint32_t)id < constraint->pieces->tokens &&
        !bits_have(constraint->pieces->ends, (uint32_t)id))
        cursor->state = read_token(cursor, id);
}

/* Whether a state can go on; one that cannot be followed is refused, which is told. */
static bool goes_on(struct weir_constraint *constraint, uint32_t state)
{
    constraint->is_narrow |= state == AUTOMATON_CUT;
    return state > AUTOMATON_CUT;
}

bool constraint_allows(struct constraint_cursor *cursor, int32_t id)
{
    const struct weir_constraint *constraint = cursor->constraint;
    if ((uint32_t)id >= constraint->pieces->tokens)
        return false;
    if (bits_have(constraint->pieces->ends, (uint32_t)id))
        return automaton_is_whole(constraint->automaton, cursor->state);
    return goes_on(cursor->constraint, read_token(cursor, id));
}

void constraint_read(struct constraint_cursor *cursor, const char *text, size_t length)
{
    cursor->state = read_text(cursor, text, length);
}

bool constraint_can_read(struct constraint_cursor *cursor, const char *text, size_t length)
{
    return goes_on(cursor->constraint, read_text(cursor, text, length));
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* Adds the tokens whose text can be read. States that were found are forgotten where there is no
 * room, and found again if need be: what is live is the path alone. */
static void add_texts(struct constraint_cursor *cursor, uint64_t *mask, bool *is_narrow)
{
    struct weir_constraint *constraint = cursor->constraint;
    struct trie_walk walk = {.trie = &constraint->pieces->trie, .path = constraint->path};
    uint32_t forgets = 0, stuck_at = UINT32_MAX;
    walk.path[0] = cursor->state;
    while (!trie_walk(&walk, constraint->automaton, mask)) {
        if (walk.at == stuck_at || forgets == MASK_FORGETS_MAX) {
            trie_walk_skip(&walk);
            continue;
        }
        stuck_at = walk.at;
        forgets++;
        forget(constraint, trie_walk_states(&walk));
    }
    *is_narrow |= walk.is_cut;
}

/* What a terminal makes of the cursor's state. */
static uint32_t step_named(struct constraint_cursor *cursor, uint32_t terminal)
{
    struct automaton *automaton = cursor->constraint->automaton;
    uint32_t next = automaton_step(automaton, cursor->state, RULES_SYMBOL_TOKEN + terminal);
    if (next == AUTOMATON_FULL) {
        forget(cursor->constraint, 0);
        next = automaton_step(automaton, cursor->state, RULES_SYMBOL_TOKEN + terminal);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_CUT : next;
}

/* Adds the tokens that terminals allow. */
static void add_named(struct constraint_cursor *cursor, uint64_t *mask, bool *is_narrow)
{
    const struct weir_constraint *constraint = cursor->constraint;
    const struct pieces *pieces = constraint->pieces;
    for (uint32_t i = 0; i < constraint->grammar->tokens_count; i++) {
        const uint32_t next = step_named(cursor, i);
        *is_narrow |= next == AUTOMATON_CUT;
        for (uint32_t id = 0; id < pieces->tokens && next > AUTOMATON_CUT; id++) {
            if (names(constraint, i, (int32_t)id) && !bits_have(pieces->ends, id))
                bits_set(mask, id);
        }
    }
}

static bool is_empty(const uint64_t *mask, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) {
        if (mask[i] != 0)
            return false;
    }
    return true;
}

/* Fills the mask of the cursor's state; returns its flags. */
static uint8_t fill_mask(struct constraint_cursor *cursor, uint64_t *mask)
{
    const struct pieces *pieces = cursor->constraint->pieces;
    bool is_narrow = false;
    memset(mask, 0, pieces->words * sizeof *mask);
    add_texts(cursor, mask, &is_narrow);
    add_named(cursor, mask, &is_narrow);
    const bool is_whole = automaton_is_whole(cursor->constraint->automaton, cursor->state);
    const bool over = is_whole || is_empty(mask, pieces->words);
    for (uint32_t i = 0; i < pieces->words && over; i++)
        mask[i] |= pieces->ends[i];
    if (!is_narrow)
        return 0;
    return over && !is_whole ? MASK_IS_CUT | MASK_IS_NARROW : MASK_IS_NARROW;
}

static uint64_t *mask_bits(const struct weir_constraint *constraint, uint32_t mask)
{
    return constraint->masks + (size_t)(mask - 1) * constraint->pieces->words;
}

/* The mask that was made longest ago is made anew. */
static uint32_t make_mask(struct constraint_cursor *cursor)
{
    struct weir_constraint *constraint = cursor->constraint;
    const uint32_t mask = constraint->mask_next;
    constraint->mask_of[constraint->mask_states[mask]] = MASK_NONE;
    constraint->mask_flags[mask] = fill_mask(cursor, mask_bits(constraint, mask));
    constraint->mask_next = mask % MASKS + 1;
    constraint->mask_states[mask] = cursor->state;
    constraint->mask_of[cursor->state] = mask;
    return mask;
}

bool constraint_knows_mask(const struct constraint_cursor *cursor)
{
    return cursor->constraint->mask_of[cursor->state] != MASK_NONE;
}

const uint64_t *constraint_mask(struct constraint_cursor *cursor, uint32_t *tokens)
{
    struct weir_constraint *constraint = cursor->constraint;
    uint32_t mask = constraint->mask_of[cursor->state];
    if (mask == MASK_NONE)
        mask = make_mask(cursor);
    *tokens = constraint->pieces->tokens;
    cursor->is_cut |= (constraint->mask_flags[mask] & MASK_IS_CUT) != 0;
    constraint->is_narrow |= (constraint->mask_flags[mask] & MASK_IS_NARROW) != 0;
    return mask_bits(constraint, mask);
}

uint32_t constraint_tokens(const struct weir_constraint *constraint)
{
    return constraint->pieces->tokens;
}

bool weir_constraint_is_narrow(const struct weir_constraint *constraint)
{
    return constraint->is_narrow;
}
