/* SPDX-License-Identifier: MIT
 * The model and its block of multi-token prediction on the same tokens, step by step. */
#ifndef APP_MTP_FEED_H
#define APP_MTP_FEED_H

#include "app/loaded.h"

/* Zeroed to begin. */
struct mtp_feed {
    struct weir_session *session;
    float *before; /* [rows_max + 1][width]: the hidden state before each token of a step; the first
                      row is that behind the step before */
    size_t width;
};

/* For steps of at most `rows_max` tokens of the session of `loaded`, whose engine has the block. */
enum weir_status mtp_feed_open(struct mtp_feed *feed, const struct loaded *loaded,
                               uint32_t rows_max, struct weir_error *err);
void mtp_feed_close(struct mtp_feed *feed);

/* Empties the session. */
void mtp_feed_reset(struct mtp_feed *feed);

/* One step of both; `logits` says which logits of the model are kept, `mtp_logits` which of the
 * block. */
enum weir_status mtp_feed_step(struct mtp_feed *feed, const int32_t *tokens, uint32_t rows,
                               enum weir_logits logits, enum weir_logits mtp_logits,
                               struct weir_error *err);

#endif
