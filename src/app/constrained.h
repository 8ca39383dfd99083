/* SPDX-License-Identifier: MIT
 * The grammar or schema that the flags of a command name, over its tokenizer. */
#ifndef APP_CONSTRAINED_H
#define APP_CONSTRAINED_H

#include "app/log.h"

/* Set to zero to begin. */
struct constrained {
    struct weir_grammar *grammar; /* NULL: any text */
    struct weir_constraint *constraint;
};

/* The grammar alone, NULL if no flag names one. Refuses more than one such flag. */
/* Whether one of the flags of a grammar or schema is given. */
bool constrained_is_given(const struct options *options);
enum weir_status constrained_open_grammar(struct weir_grammar **out, const struct options *options,
                                          struct weir_error *err);
/* Refuses also a grammar without a tokenizer. */
enum weir_status constrained_open(struct constrained *constrained, const struct options *options,
                                  const struct weir_tokenizer *tokenizer, struct weir_error *err);
/* Behind the last sampler. */
void constrained_close(struct constrained *constrained);

/* Holds what the sampler chooses from now on to the grammar, if there is one. */
enum weir_status constrained_begin(struct constrained *constrained, struct weir_sampler *sampler,
                                   struct weir_error *err);

/* An error if the sampler's text had to end before it was complete, since the grammar had become
 * too ambiguous; a warning if texts that are right could not all be chosen. */
enum weir_status constrained_check(const struct constrained *constrained,
                                   const struct weir_sampler *sampler, struct log *log,
                                   struct weir_error *err);

#endif
