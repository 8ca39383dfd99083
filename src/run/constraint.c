/* SPDX-License-Identifier: MIT
 * Constraints: an automaton and a vocabulary, walked over together, and the masks found so. Knows
 * neither notations nor samplers. */
#include "run/constraint.h"

#include <string.h>

#include "base/mem.h"
#include "grammar/trie.h"

/* About 30 MB, of which what is not used is never touched; the masks of so many states come on
 * top: 16 MB of 248320 tokens. */
static const struct automaton_size constraint_size = {1 << 18, 1 << 15, 1 << 20};
enum { MASKS = 512 };

enum { MASK_NONE = 0 }; /* masks count from 1 */

struct weir_constraint {
    const struct weir_grammar *grammar;
    const struct weir_tokenizer *tokenizer;
    struct automaton *automaton;
    struct trie trie;
    uint32_t tokens; /* of the tokenizer */
    uint32_t words;  /* of a mask */
    uint32_t *path;  /* [trie.depth + 1] */

    uint64_t *masks;       /* [MASKS][words] */
    uint32_t *mask_of;     /* by state: its mask */
    uint32_t *mask_states; /* by mask: whose it is; AUTOMATON_DEAD: nobody's */
    uint32_t mask_next;    /* the one to be used next */
    bool mask_is_cut[MASKS + 1];
    uint64_t *ends; /* the tokens that end generation */

    int32_t *named; /* by terminal of the grammar: the token */
    uint32_t start, start_behind;
    struct constraint_cursor *cursors;
    uint32_t cursors_count;
    bool is_cut;
    uint32_t **kept; /* room for the states of all cursors and both starts */
    uint64_t kept_capacity;
};

/* ---- open and close -------------------------------------------------------------------------- */

static void set_bit(uint64_t *bits, int32_t id)
{
    bits[id / 64] |= 1ull << (id % 64);
}

static bool has_bit(const uint64_t *bits, int32_t id)
{
    return bits[id / 64] >> (id % 64) & 1;
}

static enum weir_status read_tokenizer(struct weir_constraint *constraint, struct weir_error *err)
{
    const struct weir_tokenizer *tokenizer = constraint->tokenizer;
    struct span *pieces = mem_alloc(constraint->tokens, sizeof *pieces, err);
    if (pieces == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < constraint->tokens; i++) {
        const int32_t id = (int32_t)i;
        if (weir_tokenizer_ends_generation(tokenizer, id)) {
            set_bit(constraint->ends, id);
            continue;
        }
        pieces[i].data =
            (const uint8_t *)weir_tokenizer_piece(tokenizer, id, false, &pieces[i].length);
    }
    const enum weir_status status = trie_init(&constraint->trie, pieces, constraint->tokens, err);
    mem_free(pieces);
    return status;
}

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
        if (constraint->named[i] < 0 || (uint32_t)constraint->named[i] >= constraint->tokens)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "grammar: token %d: the vocabulary has %u tokens", token->id,
                           constraint->tokens);
    }
    return WEIR_OK;
}

static enum weir_status take_memory(struct weir_constraint *constraint, struct weir_error *err)
{
    const uint32_t words = constraint->words;
    constraint->masks = mem_alloc((uint64_t)MASKS * words, sizeof *constraint->masks, err);
    constraint->mask_of = mem_alloc(constraint_size.states, sizeof *constraint->mask_of, err);
    constraint->mask_states = mem_alloc(MASKS + 1, sizeof *constraint->mask_states, err);
    constraint->ends = mem_alloc(words, sizeof *constraint->ends, err);
    constraint->named =
        mem_alloc(constraint->grammar->tokens_count, sizeof *constraint->named, err);
    const bool taken = constraint->masks != NULL && constraint->mask_of != NULL &&
                       constraint->mask_states != NULL && constraint->ends != NULL &&
                       constraint->named != NULL;
    return taken ? WEIR_OK : WEIR_ERR_MEMORY;
}

static enum weir_status find_starts(struct weir_constraint *constraint, struct weir_error *err)
{
    struct automaton *automaton = constraint->automaton;
    constraint->start = automaton_start(automaton, constraint->grammar->start);
    constraint->start_behind = automaton_start(automaton, constraint->grammar->start_behind);
    if (constraint->start != AUTOMATON_CUT && constraint->start_behind != AUTOMATON_CUT &&
        !automaton_is_soon_cut(automaton))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "grammar: too ambiguous: a text can begin in more than %d ways", STACKS_MAX);
}

enum weir_status weir_constraint_open(struct weir_constraint **out,
                                      const struct weir_grammar *grammar,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err)
{
    struct weir_constraint *constraint = mem_alloc(1, sizeof *constraint, err);
    enum weir_status status;
    *out = NULL;
    if (constraint == NULL)
        return WEIR_ERR_MEMORY;
    constraint->grammar = grammar;
    constraint->tokenizer = tokenizer;
    constraint->tokens = weir_tokenizer_size(tokenizer);
    constraint->words = constraint->tokens / 64 + 1;
    constraint->mask_next = 1;
    TRY(take_memory(constraint, err));
    TRY(name_tokens(constraint, err));
    TRY(read_tokenizer(constraint, err));
    constraint->path = mem_alloc((uint64_t)constraint->trie.depth + 1, sizeof(uint32_t), err);
    if (constraint->path == NULL)
        TRY(WEIR_ERR_MEMORY);
    TRY(automaton_open(&constraint->automaton, grammar, constraint_size, err));
    TRY(find_starts(constraint, err));
    *out = constraint;
out:
    if (status != WEIR_OK)
        weir_constraint_close(constraint);
    return status;
}

void weir_constraint_close(struct weir_constraint *constraint)
{
    if (constraint == NULL)
        return;
    while (constraint->cursors != NULL)
        constraint_detach(constraint->cursors);
    automaton_close(constraint->automaton);
    trie_release(&constraint->trie);
    mem_free(constraint->path);
    mem_free(constraint->masks);
    mem_free(constraint->mask_of);
    mem_free(constraint->mask_states);
    mem_free(constraint->ends);
    mem_free(constraint->named);
    mem_free(constraint->kept);
    mem_free(constraint);
}

/* ---- cursors --------------------------------------------------------------------------------- */

enum weir_status constraint_attach(struct weir_constraint *constraint,
                                   struct constraint_cursor *cursor, bool behind,
                                   struct weir_error *err)
{
    const uint64_t states = (uint64_t)constraint->cursors_count + 1 + 2;
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
    constraint->is_cut &= constraint->cursors_count > 0;
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

/* Forgets all states but those in use, and all masks. */
static void forget(struct weir_constraint *constraint)
{
    uint32_t count = 0;
    constraint->kept[count++] = &constraint->start;
    constraint->kept[count++] = &constraint->start_behind;
    for (struct constraint_cursor *c = constraint->cursors; c != NULL; c = c->next)
        constraint->kept[count++] = &c->state;
    memset(constraint->mask_of, 0, constraint_size.states * sizeof *constraint->mask_of);
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
        next = named == AUTOMATON_FULL ? named : automaton_join(automaton, next, named);
    }
    return next;
}

static uint32_t read_text(struct constraint_cursor *cursor, const char *text, size_t length)
{
    uint32_t next = step_text(cursor->constraint, cursor->state, text, length);
    if (next == AUTOMATON_FULL) {
        forget(cursor->constraint);
        next = step_text(cursor->constraint, cursor->state, text, length);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_CUT : next;
}

static uint32_t read_token(struct constraint_cursor *cursor, int32_t id)
{
    uint32_t next = step_token(cursor->constraint, cursor->state, id);
    if (next == AUTOMATON_FULL) {
        forget(cursor->constraint);
        next = step_token(cursor->constraint, cursor->state, id);
    }
    return next == AUTOMATON_FULL ? AUTOMATON_CUT : next;
}

void constraint_accept(struct constraint_cursor *cursor, int32_t id)
{
    const struct weir_constraint *constraint = cursor->constraint;
    if (id >= 0 && (uint32_t)id < constraint->tokens && !has_bit(constraint->ends, id))
        cursor->state = read_token(cursor, id);
}

bool constraint_allows(struct constraint_cursor *cursor, int32_t id)
{
    const struct weir_constraint *constraint = cursor->constraint;
    if ((uint32_t)id >= constraint->tokens)
        return false;
    if (has_bit(constraint->ends, id))
        return automaton_is_whole(constraint->automaton, cursor->state);
    return read_token(cursor, id) > AUTOMATON_CUT;
}

void constraint_read(struct constraint_cursor *cursor, const char *text, size_t length)
{
    cursor->state = read_text(cursor, text, length);
}

bool constraint_can_read(struct constraint_cursor *cursor, const char *text, size_t length)
{
    return read_text(cursor, text, length) > AUTOMATON_CUT;
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* Adds the tokens that terminals allow. */
static bool add_named(struct weir_constraint *constraint, uint32_t state, bool hard, uint64_t *mask,
                      bool *is_cut)
{
    const struct weir_grammar *grammar = constraint->grammar;
    for (uint32_t i = 0; i < grammar->tokens_count; i++) {
        const uint32_t next = automaton_step(constraint->automaton, state, RULES_SYMBOL_TOKEN + i);
        if (next == AUTOMATON_FULL && !hard)
            return false;
        *is_cut |= next == AUTOMATON_FULL || next == AUTOMATON_CUT;
        if (next == AUTOMATON_FULL || next <= AUTOMATON_CUT)
            continue;
        for (uint32_t id = 0; id < constraint->tokens; id++) {
            if (names(constraint, i, (int32_t)id) && !has_bit(constraint->ends, (int32_t)id))
                set_bit(mask, (int32_t)id);
        }
    }
    return true;
}

static bool is_empty(const uint64_t *mask, uint32_t words)
{
    for (uint32_t i = 0; i < words; i++) {
        if (mask[i] != 0)
            return false;
    }
    return true;
}

/* *is_cut: the end is allowed only because what could follow is more than can be followed. */
static bool fill_mask(struct weir_constraint *constraint, uint32_t state, bool hard, uint64_t *mask,
                      bool *is_cut)
{
    *is_cut = false;
    memset(mask, 0, constraint->words * sizeof *mask);
    if (!trie_walk(&constraint->trie, constraint->automaton, state, constraint->path, hard, mask,
                   is_cut) ||
        !add_named(constraint, state, hard, mask, is_cut))
        return false;
    const bool is_whole = automaton_is_whole(constraint->automaton, state);
    const bool over = is_whole || is_empty(mask, constraint->words);
    *is_cut &= over && !is_whole;
    for (uint32_t i = 0; i < constraint->words && over; i++)
        mask[i] |= constraint->ends[i];
    return true;
}

static uint64_t *mask_bits(const struct weir_constraint *constraint, uint32_t mask)
{
    return constraint->masks + (size_t)(mask - 1) * constraint->words;
}

/* The mask that was made longest ago is made anew. */
static uint32_t make_mask(struct constraint_cursor *cursor)
{
    struct weir_constraint *constraint = cursor->constraint;
    const uint32_t mask = constraint->mask_next;
    uint64_t *bits = mask_bits(constraint, mask);
    bool *is_cut = &constraint->mask_is_cut[mask];
    constraint->mask_of[constraint->mask_states[mask]] = MASK_NONE;
    if (!fill_mask(constraint, cursor->state, false, bits, is_cut)) {
        forget(constraint);
        fill_mask(constraint, cursor->state, true, bits, is_cut);
    }
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
    *tokens = constraint->tokens;
    constraint->is_cut |= constraint->mask_is_cut[mask];
    return mask_bits(constraint, mask);
}

bool weir_constraint_is_cut(const struct weir_constraint *constraint)
{
    return constraint->is_cut;
}
