/* SPDX-License-Identifier: MIT
 * The part of weir eval that runs the block of multi-token prediction. */
#ifndef APP_EVAL_MTP_H
#define APP_EVAL_MTP_H

#include "app/loaded.h"
#include "app/output.h"
#include "app/prompt.h"

/* Puts ids->count + `chain` rows of logits: of the block after each token with the hidden state
 * before it, in steps of at most `rows_max`, and then of a chain of drafts that begins with the
 * model's own greedy choice of the next token. The engine must have the block. */
enum weir_status eval_mtp(const struct loaded *loaded, const struct ids *ids, uint32_t rows_max,
                          uint32_t chain, struct output *output, struct log *log,
                          struct weir_error *err);

#endif
