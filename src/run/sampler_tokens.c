/* SPDX-License-Identifier: MIT
 * Opens a sampler for a tokenizer: finds the tokens that end generation, and DRY's sequence
 * breakers as tokens. Knows nothing of logits. */
#include "run/sampler.h"

#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static enum weir_status ban(struct sampler_tokens *tokens, int32_t id, struct weir_error *err)
{
    const enum weir_status status = mem_grow(&tokens->banned, &tokens->banned_capacity,
                                             tokens->banned_count + 1, sizeof *tokens->banned, err);
    if (status == WEIR_OK)
        tokens->banned[tokens->banned_count++] = id;
    return status;
}

static enum weir_status add_end(struct sampler_tokens *tokens, int32_t id, struct weir_error *err)
{
    const enum weir_status status = mem_grow(&tokens->ends, &tokens->ends_capacity,
                                             tokens->ends_count + 1, sizeof *tokens->ends, err);
    if (status == WEIR_OK)
        tokens->ends[tokens->ends_count++] = id;
    return status;
}

/* The caller's own, which are of this vocabulary. */
static enum weir_status add_ends(struct sampler_tokens *tokens,
                                 const struct weir_sampler_options *options, uint32_t vocab,
                                 struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < options->ends_count && status == WEIR_OK; i++) {
        const int32_t id = options->ends[i];
        if (id < 0 || (uint32_t)id >= vocab)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "a text that ends at token %d: the vocabulary has %u tokens", (int)id,
                           vocab);
        status = add_end(tokens, id, err);
    }
    return status;
}

static bool span_ends_with(struct span text, const char *end, size_t length)
{
    return text.length >= length && memcmp(text.data + text.length - length, end, length) == 0;
}

/* Adds token `id` as the beginning of a breaker, if its text ends with the first `length` bytes of
 * `breaker`: the tokens of the rest must follow. */
static enum weir_status add_overlap(struct dry_breakers *breakers,
                                    const struct weir_tokenizer *tokenizer, int32_t id,
                                    struct span piece, const char *breaker, size_t length,
                                    struct weir_error *err)
{
    if (!span_ends_with(piece, breaker, length))
        return WEIR_OK;
    int32_t tail[DRY_TAIL_MAX];
    size_t count;
    enum weir_status status;
    TRY(weir_tokenizer_encode(tokenizer, breaker + length, strlen(breaker + length), 0, tail,
                              DRY_TAIL_MAX, &count, err));
    if (count > DRY_TAIL_MAX)
        count = DRY_TAIL_MAX;
    TRY(dry_breakers_add(breakers, id, tail, (uint32_t)count, err));
out:
    return status;
}

/* Adds what token `id` has to do with `breaker`. */
static enum weir_status add_breaker(struct dry_breakers *breakers,
                                    const struct weir_tokenizer *tokenizer, int32_t id,
                                    struct span piece, const char *breaker, struct weir_error *err)
{
    const size_t breaker_length = strlen(breaker);
    if (memmem(piece.data, piece.length, breaker, breaker_length) != NULL)
        return dry_breakers_add(breakers, id, NULL, 0, err);
    enum weir_status status = WEIR_OK;
    for (size_t length = 1; length < breaker_length && status == WEIR_OK; length++)
        status = add_overlap(breakers, tokenizer, id, piece, breaker, length, err);
    return status;
}

static enum weir_status read_token(struct sampler_tokens *tokens,
                                   const struct weir_sampler_options *options, int32_t id,
                                   const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    size_t length;
    const char *text = weir_tokenizer_piece(tokenizer, id, true, &length);
    const struct span piece = {(const uint8_t *)text, length};
    if (length == 0)
        return WEIR_OK;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < options->dry_breakers_count && status == WEIR_OK; i++)
        status =
            add_breaker(&tokens->breakers, tokenizer, id, piece, options->dry_breakers[i], err);
    return status;
}

static enum weir_status tokens_read(struct sampler_tokens *tokens,
                                    const struct weir_sampler_options *options, uint32_t vocab,
                                    const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    if (tokenizer == NULL)
        return WEIR_OK;
    const bool dry = sampler_dry_window(options, 1) > 0;
    const uint32_t size = weir_tokenizer_size(tokenizer);
    const uint32_t count = vocab < size ? vocab : size;
    const int32_t *suppressed;
    const uint32_t suppressed_count = weir_tokenizer_suppressed(tokenizer, &suppressed);
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < suppressed_count && status == WEIR_OK; i++) {
        if ((uint32_t)suppressed[i] < vocab)
            status = ban(tokens, suppressed[i], err);
    }
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++) {
        const int32_t id = (int32_t)i;
        const bool is_end = weir_tokenizer_ends_generation(tokenizer, id);
        if (options->ignore_eos && is_end)
            status = ban(tokens, id, err);
        if (options->tokens_min > 0 && is_end && status == WEIR_OK)
            status = add_end(tokens, id, err);
        if (dry && status == WEIR_OK)
            status = read_token(tokens, options, id, tokenizer, err);
    }
    return status;
}

static void tokens_release(struct sampler_tokens *tokens)
{
    dry_breakers_release(&tokens->breakers);
    mem_free(tokens->banned);
    mem_free(tokens->ends);
    *tokens = (struct sampler_tokens){0};
}

enum weir_status weir_sampler_open(struct weir_sampler **out,
                                   const struct weir_sampler_options *options, uint32_t vocab,
                                   uint32_t context, const struct weir_tokenizer *tokenizer,
                                   struct weir_error *err)
{
    *out = NULL;
    struct weir_sampler_options defaults;
    struct sampler_tokens tokens = {0};
    weir_sampler_options_init(&defaults);
    const struct weir_sampler_options *wanted = options != NULL ? options : &defaults;
    enum weir_status status;
    TRY(sampler_options_check(wanted, err));
    TRY(add_ends(&tokens, wanted, vocab, err));
    TRY(tokens_read(&tokens, wanted, vocab, tokenizer, err));
    TRY(sampler_open(out, wanted, vocab, context, &tokens, err));
    (*out)->guard.tokenizer = tokenizer;
out:
    tokens_release(&tokens);
    return status;
}
