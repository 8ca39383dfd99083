/* SPDX-License-Identifier: MIT
 * Tokens as the older form of OpenAI's logprobs has them: parallel lists. Knows neither choices nor
 * who is told. */
#ifndef SERVE_TOKEN_LISTS_H
#define SERVE_TOKEN_LISTS_H

#include "base/bytes.h"
#include "serve/scheduler.h"

/* Elements of lists, as JSON, of tokens that were not told yet. Set to zero to begin. */
struct token_lists {
    struct bytes tokens, logprobs, likeliest, offsets;
    uint64_t characters; /* that have begun before the next token */
};

void token_lists_release(struct token_lists *lists);
void token_lists_clear(struct token_lists *lists);
enum weir_status token_lists_check(const struct token_lists *lists, struct weir_error *err);

/* Text that stands before the tokens: their offsets count it. */
void token_lists_skip(struct token_lists *lists, const char *text, size_t length);
/* The token of an event of the kind JOB_TEXT. */
void token_lists_add(struct token_lists *lists, const struct weir_tokenizer *tokenizer,
                     const struct job_event *event);
/* "tokens", "token_logprobs", "top_logprobs", "text_offset". */
void token_lists_put(const struct token_lists *lists, struct bytes *out);

#endif
