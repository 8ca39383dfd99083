/* SPDX-License-Identifier: MIT
 * Whether a text belongs to a grammar. Knows no tokens: a terminal that is one matches no text. */
#include "grammar/automaton.h"

/* Enough for texts nested some thousand deep. */
static const struct automaton_size match_size = {1 << 16, 1 << 13, 1 << 17};

/* One more step; when memory is full, with all but the state forgotten. */
static uint32_t step_or_forget(struct automaton *automaton, uint32_t state, uint8_t byte)
{
    uint32_t next = automaton_step(automaton, state, byte), *kept = &state;
    if (next != AUTOMATON_FULL)
        return next;
    automaton_forget(automaton, &kept, 1);
    return automaton_step(automaton, state, byte);
}

enum weir_status weir_grammar_match(const struct weir_grammar *grammar, const char *text,
                                    size_t length, enum weir_match *out, struct weir_error *err)
{
    struct automaton *automaton;
    enum weir_status status;
    TRY(automaton_open(&automaton, grammar, match_size, err));
    uint32_t state = automaton_start(automaton, grammar->start);
    for (size_t i = 0; i < length && state != AUTOMATON_FULL && state > AUTOMATON_CUT; i++)
        state = step_or_forget(automaton, state, (uint8_t)text[i]);
    if (state == AUTOMATON_CUT)
        status = err_set(err, WEIR_ERR_UNSUPPORTED,
                         "grammar: too ambiguous: the text can be read in more than %d ways",
                         STACKS_MAX);
    else if (state == AUTOMATON_FULL)
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "grammar: the text is nested too deeply");
    else
        *out = state == AUTOMATON_DEAD                ? WEIR_MATCH_NOT
               : automaton_is_whole(automaton, state) ? WEIR_MATCH_WHOLE
                                                      : WEIR_MATCH_PREFIX;
out:
    automaton_close(automaton);
    return status;
}
