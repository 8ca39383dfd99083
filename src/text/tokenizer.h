/* SPDX-License-Identifier: MIT
 * Byte-level BPE tokenizer: text to ids and back. Knows no file format: it is built from spans. */
#ifndef TEXT_TOKENIZER_H
#define TEXT_TOKENIZER_H

#include "base/err.h"
#include "base/text.h"

enum token_type {
    TOKEN_UNDEFINED,
    TOKEN_NORMAL,
    TOKEN_UNKNOWN,
    TOKEN_CONTROL,
    TOKEN_USER_DEFINED,
    TOKEN_UNUSED,
    TOKEN_BYTE,
};

enum pretokenizer { PRETOKENIZER_QWEN2, PRETOKENIZER_QWEN35 };

/* All that a tokenizer is made of; borrowed during tokenizer_open only. An absent id is -1. */
struct tokenizer_source {
    enum pretokenizer pretokenizer;
    const struct span *tokens; /* texts by id, in the byte-to-Unicode spelling */
    const int32_t *types;      /* enum token_type by id; NULL: all normal */
    uint32_t tokens_count;
    const struct span *merges; /* "left right", best rank first */
    uint32_t merges_count;
    int32_t bos, eos, eot, eom;
    bool add_bos, add_eos;
    const int32_t *suppressed; /* ids never to be sampled; those out of range are ignored */
    uint32_t suppressed_count;
    weir_log_fn *log; /* warnings; may be NULL */
    void *log_user;
};

/* The implementation of struct weir_tokenizer; see weir.h for the functions on it. */
enum weir_status tokenizer_open(struct weir_tokenizer **out, const struct tokenizer_source *source,
                                struct weir_error *err);

/* A place for what another room makes of the tokenizer once; released with it. */
struct once *tokenizer_once(const struct weir_tokenizer *tokenizer);

/* ---- text that is trusted in part ------------------------------------------------------------ */

/* Bytes [from, to) of a text. */
struct text_range {
    size_t from, to;
};

/* Goes through the special tokens of a text that is valid UTF-8: control tokens within one of the
 * trusted ranges, user-defined ones anywhere. Ranges are sorted and do not touch. */
struct special_scan {
    const uint8_t *text;
    size_t length;
    const struct text_range *trusted;
    size_t trusted_count;
    size_t at; /* what lies before is done with */
};

/* The next special token, which ends at scan->at then; NULL: there is none up to the end. */
const struct special *tokenizer_scan(const struct weir_tokenizer *tokenizer,
                                     struct special_scan *scan);

/* Encodes what the scan has not yet gone through, as weir_tokenizer_encode does. */
enum weir_status tokenizer_encode_scan(const struct weir_tokenizer *tokenizer,
                                       struct special_scan *scan, int32_t *ids, size_t ids_max,
                                       size_t *ids_count, struct weir_error *err);

#endif
