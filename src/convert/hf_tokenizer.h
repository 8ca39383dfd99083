/* SPDX-License-Identifier: MIT
 * tokenizer.json of a checkpoint: a byte-level BPE vocabulary, as GGUF files hold it. Knows no
 * model. */
#ifndef CONVERT_HF_TOKENIZER_H
#define CONVERT_HF_TOKENIZER_H

#include "convert/hf_json.h"
#include "format/gguf.h"

struct hf_tokenizer {
    const char *pretokenizer; /* its name in GGUF files; static */
    struct span *tokens;      /* by id, as many as the model has rows of the embedding */
    int32_t *types;           /* of the tokens, as GGUF files number them */
    uint32_t count;
    struct span *merges; /* "left right", best first */
    uint64_t merges_count;
    uint32_t unusual; /* added tokens that swallow blanks or want whole words: not reproduced */
    char *texts;      /* of merges that are pairs, and of padding */
    json_t *json;     /* the other texts are borrowed from it */
};

/* `vocab` is the number of rows of the embedding: ids that no token has become padding. */
enum weir_status hf_tokenizer_parse(struct hf_tokenizer *out, const uint8_t *data, size_t size,
                                    uint32_t vocab, const char *path, struct weir_error *err);
enum weir_status hf_tokenizer_read(struct hf_tokenizer *out, const char *folder, uint32_t vocab,
                                   struct weir_error *err);
void hf_tokenizer_release(struct hf_tokenizer *tokenizer);

/* The id of the token with this text, or -1. */
int64_t hf_tokenizer_find(const struct hf_tokenizer *tokenizer, struct span text);

/* Gives the writer tokens, types and merges. */
enum weir_status hf_tokenizer_write(const struct hf_tokenizer *tokenizer,
                                    struct gguf_writer *writer, struct weir_error *err);

#endif
