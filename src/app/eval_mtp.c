/* SPDX-License-Identifier: MIT
 * The logits of the block of multi-token prediction, for command_eval: after each token of a list,
 * then of a greedy chain. Knows nothing of files but to put rows into one. */
#include "app/eval_mtp.h"

#include "app/interrupt.h"
#include "app/logits_row.h"
#include "app/mtp_feed.h"
#include "base/err.h"

/* What goes through the helpers. */
struct mtp_run {
    struct mtp_feed feed;
    struct output *output;
    uint32_t vocab, mtp_vocab; /* floats of a row: of the model, of the block */
};

static enum weir_status eval_rows(struct mtp_run *run, const int32_t *tokens, uint32_t rows,
                                  struct weir_error *err)
{
    enum weir_status status;
    TRY(mtp_feed_step(&run->feed, tokens, rows, WEIR_LOGITS_LAST, WEIR_LOGITS_ALL, err));
    for (uint32_t row = 0; row < rows; row++)
        output_put(run->output, weir_session_mtp_logits(run->feed.session, row),
                   run->mtp_vocab * sizeof(float));
    status = output_failed(run->output, err);
out:
    return status;
}

/* The model's own choice of the next token, then `count` drafts, each made from the one before. */
static enum weir_status eval_chain(const struct mtp_run *run, uint32_t count, struct log *log,
                                   struct weir_error *err)
{
    struct weir_session *session = run->feed.session;
    int32_t token = (int32_t)row_top(weir_session_logits(session, 0), run->vocab);
    const float *before = run->feed.before;
    enum weir_status status = WEIR_OK;
    log_print(log, WEIR_LOG_INFO, "the model's next token: %d", (int)token);
    for (uint32_t i = 0; i < count; i++) {
        TRY(weir_session_mtp_eval(session, &token, before, 1, WEIR_LOGITS_ALL, err));
        const float *logits = weir_session_mtp_logits(session, 0);
        output_put(run->output, logits, run->mtp_vocab * sizeof(float));
        token = (int32_t)row_top(logits, run->mtp_vocab);
        before = weir_session_mtp_hidden(session, 0);
        log_print(log, WEIR_LOG_INFO, "draft %u: %d", i + 1, (int)token);
    }
    status = output_failed(run->output, err);
out:
    return status;
}

enum weir_status eval_mtp(const struct loaded *loaded, const struct ids *ids, uint32_t rows_max,
                          uint32_t chain, struct output *output, struct log *log,
                          struct weir_error *err)
{
    struct mtp_run run = {.output = output,
                          .vocab = weir_engine_vocab(loaded->engine),
                          .mtp_vocab = weir_engine_mtp_vocab(loaded->engine)};
    enum weir_status status;
    TRY(mtp_feed_open(&run.feed, loaded, rows_max, err));
    for (uint64_t done = 0; done < ids->count;) {
        const uint64_t left = ids->count - done;
        const uint32_t rows = left < rows_max ? (uint32_t)left : rows_max;
        if (interrupt_requested()) {
            status = WEIR_ERR_CANCELLED;
            goto out;
        }
        TRY(eval_rows(&run, ids->items + done, rows, err));
        done += rows;
        log_progress_show(log, WEIR_STAGE_PREFILL, done, ids->count);
    }
    TRY(eval_chain(&run, chain, log, err));
out:
    mtp_feed_close(&run.feed);
    return status;
}
