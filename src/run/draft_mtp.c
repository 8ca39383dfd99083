/* SPDX-License-Identifier: MIT
 * Drafts by the block of multi-token prediction.
 *
 * The block's cache has a row for each token, made from the token and the model's hidden state
 * before it. Tokens that the model has taken wait, with these states, until a draft is wanted; then
 * one step of the block brings them and the newest token into its cache, and its last logits are
 * the first draft. Each further draft is a step on the draft before and the block's own hidden
 * state, and is forgotten again: what was accepted of them comes with true states next time.
 *
 * No more than WINDOW tokens wait. Of a longer stretch without drafts, as a prompt or a text for
 * which they do not help, only the last are kept, and the block's cache begins anew with them: a
 * prompt is not slower for drafts that may never be wanted, a draft that is tried behind a plain
 * stretch takes one step of few rows, and what the block sees of the text before that is in the
 * hidden states. */
#include "run/speculate.h"

#include <string.h>

#include "base/mem.h"
#include "run/draft_pick.h"

enum { WINDOW = 15 }; /* and the newest: rows of which a step reads each weight once */

struct mtp {
    struct weir_session *session;
    size_t width;
    float p_min;
    uint32_t position; /* of the session, behind what was taken */
    uint32_t held;     /* tokens that the block's cache held behind the last draft */
    bool is_lost;      /* the state behind it is not known */
    bool is_fed;       /* the next token to be taken is already in the block's cache */
    bool has_gap;      /* the block's cache does not reach to the first that waits */
    uint32_t count;    /* tokens that wait */
    int32_t tokens[WINDOW + 1];
    float *hidden; /* [WINDOW + 1][width]: the state before each, and behind the last */
};

static float *hidden_row(const struct mtp *mtp, uint32_t row)
{
    return mtp->hidden + row * mtp->width;
}

static void hidden_move(const struct mtp *mtp, uint32_t to, uint32_t from, uint32_t rows)
{
    memmove(hidden_row(mtp, to), hidden_row(mtp, from), rows * mtp->width * sizeof *mtp->hidden);
}

/* ---- what was taken -------------------------------------------------------------------------- */

/* The states begin with that behind row `row` of the session's last step. */
static void begin_anew(struct mtp *mtp, uint32_t row)
{
    memcpy(hidden_row(mtp, 0), weir_session_hidden(mtp->session, row),
           mtp->width * sizeof *mtp->hidden);
    mtp->count = 0;
    mtp->has_gap = true;
    mtp->is_lost = false;
}

static void wait_for(struct mtp *mtp, int32_t token, uint32_t row)
{
    if (mtp->count == WINDOW) { /* half of them, so that not each token moves all */
        mtp->count = WINDOW / 2;
        memmove(mtp->tokens, mtp->tokens + WINDOW - mtp->count, mtp->count * sizeof *mtp->tokens);
        hidden_move(mtp, 0, WINDOW - mtp->count, mtp->count + 1);
        mtp->has_gap = true;
    }
    mtp->tokens[mtp->count++] = token;
    memcpy(hidden_row(mtp, mtp->count), weir_session_hidden(mtp->session, row),
           mtp->width * sizeof *mtp->hidden);
}

/* An empty session has zeros behind its last token. */
static void find_position(struct mtp *mtp, uint32_t position)
{
    if (mtp->position == position &&
        (mtp->has_gap || weir_session_mtp_position(mtp->session) == mtp->held))
        return;
    mtp->position = position;
    mtp->count = 0;
    mtp->is_fed = false;
    mtp->has_gap = true;
    mtp->is_lost = position > 0;
    memset(mtp->hidden, 0, mtp->width * sizeof *mtp->hidden);
}

static void mtp_taken(void *state, const int32_t *tokens, uint32_t count)
{
    struct mtp *mtp = state;
    uint32_t row = 0;
    find_position(mtp, weir_session_position(mtp->session) - count);
    mtp->position += count;
    if (mtp->is_lost || count > WINDOW) {
        row = count > WINDOW ? count - WINDOW : 1;
        begin_anew(mtp, row - 1);
    } else if (mtp->is_fed) {
        begin_anew(mtp, 0);
        mtp->has_gap = false;
        row = 1;
    }
    mtp->is_fed = false;
    for (; row < count; row++)
        wait_for(mtp, tokens[row], row);
}

/* ---- drafts ---------------------------------------------------------------------------------- */

/* The block's step on all that wait and the newest token; as many as it takes. */
static enum weir_status feed(struct mtp *mtp, int32_t last, struct weir_error *err)
{
    const uint32_t rows_max = mtp->session->engine->blueprint.limits.rows;
    enum weir_status status = WEIR_OK;
    if (mtp->has_gap || mtp->is_fed)
        TRY(weir_session_mtp_rewind(
            mtp->session, mtp->has_gap ? 0 : weir_session_mtp_position(mtp->session) - 1, err));
    mtp->has_gap = mtp->is_fed = false;
    mtp->tokens[mtp->count] = last;
    for (uint32_t done = 0, rows; done <= mtp->count; done += rows) {
        const uint32_t left = mtp->count + 1 - done;
        rows = left < rows_max ? left : rows_max;
        TRY(weir_session_mtp_eval(mtp->session, mtp->tokens + done, hidden_row(mtp, done), rows,
                                  rows == left ? WEIR_LOGITS_LAST : WEIR_LOGITS_NONE, err));
    }
    hidden_move(mtp, 0, mtp->count, 1);
    mtp->count = 0;
    mtp->is_fed = true;
out:
    return status;
}

static enum weir_status chain(const struct mtp *mtp, uint32_t wanted, int32_t *drafts,
                              uint32_t *count, struct weir_error *err)
{
    struct weir_session *session = mtp->session;
    const uint32_t vocab = weir_engine_mtp_vocab(session->engine);
    enum weir_status status = WEIR_OK;
    while (*count < wanted) {
        const float *logits = weir_session_mtp_logits(session, 0);
        const int32_t id = draft_pick(logits, vocab);
        if (mtp->p_min > 0 && draft_probability(logits, vocab, id) < mtp->p_min)
            return WEIR_OK;
        drafts[(*count)++] = id;
        if (*count == wanted)
            return WEIR_OK;
        const float *before = weir_session_mtp_hidden(session, session->mtp_results.rows - 1);
        TRY(weir_session_mtp_eval(session, &id, before, 1, WEIR_LOGITS_LAST, err));
    }
out:
    return status;
}

static enum weir_status mtp_draft(void *state, int32_t last, uint32_t wanted, int32_t *drafts,
                                  uint32_t *count, struct weir_error *err)
{
    struct mtp *mtp = state;
    enum weir_status status = WEIR_OK;
    *count = 0;
    find_position(mtp, weir_session_position(mtp->session));
    if (mtp->is_lost)
        return WEIR_OK;
    TRY(feed(mtp, last, err));
    mtp->held = weir_session_mtp_position(mtp->session);
    TRY(chain(mtp, wanted, drafts, count, err));
    TRY(weir_session_mtp_rewind(mtp->session, mtp->held, err));
out:
    return status;
}

/* ---- open and close -------------------------------------------------------------------------- */

static void mtp_close(void *state)
{
    struct mtp *mtp = state;
    mem_free(mtp->hidden);
    mem_free(mtp);
}

/* The block's first step waits for its memory to be cleared, as long as a small model takes for
 * some tokens. So the engine's first is taken here, and not in the middle of a text; but not where
 * weights are late for the sake of the first token. If it fails, so will the first draft. */
static void warm_up(const struct mtp *mtp)
{
    struct weir_session *session = mtp->session;
    const struct weir_engine *engine = session->engine;
    const uint32_t held = session->mtp_position;
    const int32_t any = 0;
    if (engine->mtp_count > 0 || engine->loader.late != NULL)
        return;
    weir_session_mtp_eval(session, &any, mtp->hidden, 1, WEIR_LOGITS_LAST, NULL);
    session->mtp_position = held;
}

enum weir_status draft_mtp_open(void **state, struct weir_session *session, float p_min,
                                struct weir_error *err)
{
    *state = NULL;
    if (session->engine->mtp_exec == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "the engine was opened without the MTP block");
    struct mtp *mtp = mem_alloc(1, sizeof *mtp, err);
    if (mtp == NULL)
        return WEIR_ERR_MEMORY;
    mtp->session = session;
    mtp->width = weir_engine_width(session->engine);
    mtp->p_min = p_min;
    mtp->hidden = mem_alloc(WINDOW + 1, mtp->width * sizeof *mtp->hidden, err);
    if (mtp->hidden == NULL) {
        mtp_close(mtp);
        return WEIR_ERR_MEMORY;
    }
    mtp->has_gap = true;
    mtp->position = weir_session_position(session);
    mtp->is_lost = mtp->position > 0;
    warm_up(mtp);
    *state = mtp;
    return WEIR_OK;
}

const struct draft_source draft_mtp = {mtp_draft, mtp_taken, mtp_close};
