/* SPDX-License-Identifier: MIT
 * The prompt of a request that wants the middle of a text. */
#ifndef SERVE_INFILL_H
#define SERVE_INFILL_H

#include "serve/prompts.h"

/* "input_extra", "input_prefix", "input_suffix", "prompt", put together as llama-server does; the
 * marks of files only if the vocabulary has them. WEIR_ERR_UNSUPPORTED if it lacks the others.
 * Released in any case. */
enum weir_status infill_read(struct prompts *out, const struct json *root,
                             const struct weir_tokenizer *tokenizer, struct weir_error *err);

#endif
