/* SPDX-License-Identifier: MIT
 * The prompt of a request that wants the middle of a text. */
#ifndef SERVE_INFILL_H
#define SERVE_INFILL_H

#include "serve/prompts.h"

/* "input_extra", "input_prefix", "prompt", "input_suffix", put together as llama-server does: its
 * code has the prompt, the line up to the cursor, before the suffix, and not at the end as its
 * README says. The marks of files only if the vocabulary has them. WEIR_ERR_UNSUPPORTED if it lacks
 * the others. Released in any case. */
enum weir_status infill_read(struct prompts *out, const struct json *root,
                             const struct weir_tokenizer *tokenizer, struct weir_error *err);

#endif
