/* SPDX-License-Identifier: MIT
 * Where in a reply a token stands: in its reasoning, in its text, or in the mark between them.
 * Knows neither what is told of tokens nor how the text is taken apart. */
#ifndef SERVE_REPLY_TOKENS_H
#define SERVE_REPLY_TOKENS_H

#include "base/stop.h"

enum token_place {
    TOKEN_REASONING,
    TOKEN_MARK, /* what opens the reasoning; its end and the newlines behind it; what ends the
                   reply */
    TOKEN_TEXT, /* or of calls */
};

/* With `next` TOKEN_TEXT and all else zero it begins with the text. */
struct reply_tokens {
    struct stop mark;
    const char *mark_texts[1];
    enum token_place next; /* where a token of no mark stands */
    bool may_open;         /* so far there was white space, or the beginning of a mark */
    size_t opened;         /* bytes of that */
    uint32_t reasoning;    /* tokens, but for newlines at the end of it */
    uint32_t newlines;     /* tokens of such, of which it is not known yet */
};

/* A reply that begins within its reasoning, or with a mark that opens it. Closed in any case. */
enum weir_status reply_tokens_open(struct reply_tokens *tokens, bool may_open,
                                   struct weir_error *err);
void reply_tokens_close(struct reply_tokens *tokens);

/* The next token's piece, without those of control tokens. */
enum token_place reply_tokens_take(struct reply_tokens *tokens, const char *piece, size_t length);
/* A call has come, which ends the reasoning without a mark. */
void reply_tokens_end_reasoning(struct reply_tokens *tokens);

#endif
