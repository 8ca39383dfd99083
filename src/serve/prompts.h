/* SPDX-License-Identifier: MIT
 * The prompts of requests that give them as text or tokens. */
#ifndef SERVE_PROMPTS_H
#define SERVE_PROMPTS_H

#include "serve/api_request.h"

struct prompt_tokens {
    int32_t *ids;
    uint64_t count, capacity;
    struct bytes text; /* what they stand for */
};

struct prompts {
    struct prompt_tokens *items;
    uint32_t count;
};

/* "prompt": a text; a list of ids and texts; a list of such prompts; or {"prompt_string": text}.
 * WEIR_ERR_ARGUMENT for what is none, for ids of no token and for a prompt without tokens. */
enum weir_status prompts_read(struct prompts *out, const struct json *root,
                              const struct weir_tokenizer *tokenizer, struct weir_error *err);
/* Room for so many, which are empty. */
enum weir_status prompts_open(struct prompts *out, uint32_t count, struct weir_error *err);
void prompts_release(struct prompts *prompts);

/* Adds the tokens of a text, with `flags` of weir_tokenizer_encode. */
enum weir_status prompt_add_text(struct prompt_tokens *prompt, const char *text, size_t length,
                                 unsigned flags, const struct weir_tokenizer *tokenizer,
                                 struct weir_error *err);
enum weir_status prompt_add_id(struct prompt_tokens *prompt, int32_t id,
                               const struct weir_tokenizer *tokenizer, struct weir_error *err);

/* A token's number, checked; `name` is the member that it stands in. */
enum weir_status token_read(const struct json *value, const char *name,
                            const struct weir_tokenizer *tokenizer, int32_t *out,
                            struct weir_error *err);

#endif
