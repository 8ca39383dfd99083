/* SPDX-License-Identifier: MIT
 * Hidden states from the model to its block of multi-token prediction, one token later. */
#include "app/mtp_feed.h"

#include <string.h>

#include "base/err.h"
#include "base/mem.h"

enum weir_status mtp_feed_open(struct mtp_feed *feed, const struct loaded *loaded,
                               uint32_t rows_max, struct weir_error *err)
{
    feed->session = loaded->session;
    feed->width = weir_engine_width(loaded->engine);
    feed->before = mem_alloc((uint64_t)rows_max + 1, feed->width * sizeof *feed->before, err);
    return feed->before != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

void mtp_feed_close(struct mtp_feed *feed)
{
    mem_free(feed->before);
    *feed = (struct mtp_feed){.session = NULL};
}

void mtp_feed_reset(struct mtp_feed *feed)
{
    weir_session_reset(feed->session);
    memset(feed->before, 0, feed->width * sizeof *feed->before);
}

enum weir_status mtp_feed_step(struct mtp_feed *feed, const int32_t *tokens, uint32_t rows,
                               enum weir_logits logits, enum weir_logits mtp_logits,
                               struct weir_error *err)
{
    const size_t row_bytes = feed->width * sizeof *feed->before;
    enum weir_status status;
    TRY(weir_session_eval(feed->session, tokens, rows, logits, err));
    for (uint32_t row = 0; row < rows; row++)
        memcpy(feed->before + (row + 1) * feed->width, weir_session_hidden(feed->session, row),
               row_bytes);
    TRY(weir_session_mtp_eval(feed->session, tokens, feed->before, rows, mtp_logits, err));
    memcpy(feed->before, feed->before + rows * feed->width, row_bytes);
out:
    return status;
}
