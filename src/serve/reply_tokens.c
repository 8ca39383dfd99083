/* SPDX-License-Identifier: MIT
 * Finds the end of a reply's reasoning among its tokens. Knows no tokenizer. */
#include "serve/reply_tokens.h"

#include "base/think_marks.h"

enum weir_status reply_tokens_open(struct reply_tokens *tokens, struct weir_error *err)
{
    *tokens = (struct reply_tokens){.mark_texts = {MARK_THINK_END}, .next = TOKEN_REASONING};
    return stop_open(&tokens->mark, tokens->mark_texts, 1, err);
}

void reply_tokens_close(struct reply_tokens *tokens)
{
    stop_close(&tokens->mark);
}

static bool has_text(const char *piece, size_t length)
{
    for (size_t i = 0; i < length; i++)
        if (piece[i] != '\n')
            return true;
    return false;
}

/* Newlines count when more of the reasoning follows them. */
static void count_reasoning(struct reply_tokens *tokens, bool is_text)
{
    tokens->newlines++;
    if (!is_text)
        return;
    tokens->reasoning += tokens->newlines;
    tokens->newlines = 0;
}

static enum token_place behind_mark(struct reply_tokens *tokens, const char *piece, size_t length)
{
    tokens->next = has_text(piece, length) ? TOKEN_TEXT : TOKEN_MARK;
    return tokens->next;
}

enum token_place reply_tokens_take(struct reply_tokens *tokens, const char *piece, size_t length)
{
    size_t used;
    switch (tokens->next) {
    case TOKEN_REASONING:
        if (stop_feed(&tokens->mark, piece, length, &used))
            return behind_mark(tokens, piece + used, length - used);
        count_reasoning(tokens, has_text(piece, length));
        return TOKEN_REASONING;
    case TOKEN_MARK: return behind_mark(tokens, piece, length);
    case TOKEN_TEXT: break;
    }
    return length > 0 ? TOKEN_TEXT : TOKEN_MARK;
}

void reply_tokens_end_reasoning(struct reply_tokens *tokens)
{
    if (tokens->next == TOKEN_REASONING)
        tokens->next = TOKEN_TEXT;
}
