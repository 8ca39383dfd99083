/* SPDX-License-Identifier: MIT
 * Finds the end of a reply's reasoning among its tokens. Knows no tokenizer. */
#include "serve/reply_tokens.h"

#include "base/think_marks.h"
#include "json/json.h"

enum weir_status reply_tokens_open(struct reply_tokens *tokens, bool may_open,
                                   struct weir_error *err)
{
    *tokens = (struct reply_tokens){.mark_texts = {MARK_THINK_END},
                                    .next = may_open ? TOKEN_TEXT : TOKEN_REASONING,
                                    .may_open = may_open};
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

/* Bytes of the piece up to the end of the mark that opens reasoning; 0: it does not end here. */
static size_t take_opening(struct reply_tokens *tokens, const char *piece, size_t length)
{
    static const char mark[] = MARK_THINK;
    for (size_t i = 0; i < length && tokens->may_open; i++) {
        if (tokens->opened == 0 && json_is_white(piece[i]))
            continue;
        tokens->may_open = piece[i] == mark[tokens->opened++];
        if (tokens->may_open && tokens->opened == sizeof mark - 1)
            return i + 1;
    }
    return 0;
}

enum token_place reply_tokens_take(struct reply_tokens *tokens, const char *piece, size_t length)
{
    size_t used = take_opening(tokens, piece, length);
    if (used > 0) {
        tokens->may_open = false;
        tokens->next = TOKEN_REASONING;
        if (used == length)
            return TOKEN_MARK;
        piece += used;
        length -= used;
    }
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
