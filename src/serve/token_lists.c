/* SPDX-License-Identifier: MIT
 * Writes tokens into lists side by side. Knows neither choices nor who is told. */
#include "serve/token_lists.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

#include "base/utf8.h"
#include "serve/respond.h"

void token_lists_release(struct token_lists *lists)
{
    bytes_release(&lists->tokens);
    bytes_release(&lists->logprobs);
    bytes_release(&lists->likeliest);
    bytes_release(&lists->offsets);
}

void token_lists_clear(struct token_lists *lists)
{
    bytes_clear(&lists->tokens);
    bytes_clear(&lists->logprobs);
    bytes_clear(&lists->likeliest);
    bytes_clear(&lists->offsets);
}

enum weir_status token_lists_check(const struct token_lists *lists, struct weir_error *err)
{
    enum weir_status status;
    TRY(bytes_check(&lists->tokens, err));
    TRY(bytes_check(&lists->logprobs, err));
    TRY(bytes_check(&lists->likeliest, err));
    TRY(bytes_check(&lists->offsets, err));
out:
    return status;
}

static bool continues_character(char byte)
{
    return ((uint8_t)byte & 0xc0) == 0x80;
}

void token_lists_skip(struct token_lists *lists, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++)
        lists->characters += !continues_character(text[i]);
}

/* A piece that is no text by itself has its bytes for a name, as OpenAI's does, so that no two
 * have one: "bytes:\xe2\x80". */
static void name_token(struct bytes *out, const struct weir_tokenizer *tokenizer, int32_t id)
{
    size_t length = 0;
    const char *piece = weir_tokenizer_piece(tokenizer, id, true, &length);
    if (utf8_repaired_length((const uint8_t *)piece, length) == length) {
        bytes_add(out, piece, length);
        return;
    }
    bytes_add_text(out, "bytes:");
    for (size_t i = 0; i < length; i++) {
        char digits[8];
        snprintf(digits, sizeof digits, "\\x%02x", (uint8_t)piece[i]);
        bytes_add_text(out, digits);
    }
}

static void put_logprob(struct bytes *out, float logprob)
{
    put_float(out, NULL, logprob < -FLT_MAX ? -FLT_MAX : logprob); // JSON has no infinity
}

/* The likeliest tokens by their names, and the one that was chosen; of a token that no other is
 * before, null. */
static void add_likeliest(struct token_lists *lists, const struct weir_tokenizer *tokenizer,
                          const struct job_event *event)
{
    struct bytes *out = &lists->likeliest;
    struct bytes name = {0};
    bool is_there = false;
    if (isnan(event->logprob)) {
        put_null(out, NULL);
        return;
    }
    put_open(out, NULL, '{');
    for (uint32_t i = 0; i < event->likeliest_count || !is_there; i++) {
        const bool is_own = i >= event->likeliest_count;
        const struct job_logprob token =
            is_own ? (struct job_logprob){event->id, event->logprob} : event->likeliest[i];
        is_there = is_there || token.id == event->id;
        bytes_clear(&name);
        name_token(&name, tokenizer, token.id);
        put_string(out, NULL, name.data, name.length);
        bytes_add_text(out, ":");
        put_logprob(out, token.logprob);
    }
    put_close(out, '}');
    out->has_failed = out->has_failed || name.has_failed;
    bytes_release(&name);
}

/* A token that goes on with a character stands where that began. */
static void add_offset(struct token_lists *lists, const char *piece, size_t length)
{
    const bool is_within = length > 0 && continues_character(piece[0]) && lists->characters > 0;
    put_integer(&lists->offsets, NULL, (int64_t)lists->characters - is_within);
    token_lists_skip(lists, piece, length);
}

void token_lists_add(struct token_lists *lists, const struct weir_tokenizer *tokenizer,
                     const struct job_event *event)
{
    struct bytes name = {0};
    size_t length = 0;
    const char *piece = weir_tokenizer_piece(tokenizer, event->id, true, &length);
    name_token(&name, tokenizer, event->id);
    put_string(&lists->tokens, NULL, name.data, name.length);
    put_logprob(&lists->logprobs, event->logprob);
    add_likeliest(lists, tokenizer, event);
    add_offset(lists, piece, length);
    lists->tokens.has_failed = lists->tokens.has_failed || name.has_failed;
    bytes_release(&name);
}

void token_lists_put(const struct token_lists *lists, struct bytes *out)
{
    const struct {
        const char *key;
        const struct bytes *elements;
    } all[] = {{"tokens", &lists->tokens},
               {"token_logprobs", &lists->logprobs},
               {"top_logprobs", &lists->likeliest},
               {"text_offset", &lists->offsets}};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        put_open(out, all[i].key, '[');
        if (all[i].elements->length > 0)
            put_json(out, NULL, all[i].elements->data, all[i].elements->length);
        put_close(out, ']');
    }
}
