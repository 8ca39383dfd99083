/* SPDX-License-Identifier: MIT
 * A session: one timeline of tokens. Cuts long inputs into steps; the engine runs them. */
#include "run/engine.h"

#include <string.h>

#include "base/mem.h"

enum { CHUNK_ALIGNMENT = 64 }; /* positions: chunked kernels may cut sequences only there */

static void session_free(struct weir_session *session)
{
    mem_free(session->tokens);
    mem_free(session->hidden);
    mem_free(session);
}

static enum weir_status session_fill(struct weir_session *session, struct weir_error *err)
{
    const struct weir_engine *engine = session->engine;
    session->tokens = mem_alloc(engine->blueprint.limits.context, sizeof *session->tokens, err);
    if (session->tokens == NULL)
        return WEIR_ERR_MEMORY;
    if (engine->mtp_exec == NULL)
        return WEIR_OK;
    session->hidden = mem_alloc(engine->blueprint.config.width, sizeof *session->hidden, err);
    return session->hidden != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

enum weir_status weir_session_open(struct weir_session **out, struct weir_engine *engine,
                                   struct weir_error *err)
{
    *out = NULL;
    struct weir_session *session = mem_alloc(1, sizeof *session, err);
    if (session == NULL)
        return WEIR_ERR_MEMORY;
    session->engine = engine;
    enum weir_status status = session_fill(session, err);
    if (status == WEIR_OK)
        status = state_take(&engine->state, &session->slot, err);
    if (status != WEIR_OK) {
        session_free(session);
        return status;
    }
    *out = session;
    return WEIR_OK;
}

void weir_session_close(struct weir_session *session)
{
    if (session == NULL)
        return;
    state_give_back(&session->engine->state, session->slot);
    session_free(session);
}

uint32_t weir_session_position(const struct weir_session *session)
{
    return session->position;
}

const int32_t *weir_session_tokens(const struct weir_session *session)
{
    return session->tokens;
}

/* ---- going back ------------------------------------------------------------------------------ */

enum weir_status weir_session_mark(struct weir_session *session, struct weir_error *err)
{
    if (session->engine->options.rewind_max == 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "the engine was opened for sessions that cannot go back");
    session->mark = session->position;
    session->is_marked = true;
    return WEIR_OK;
}

void weir_session_unmark(struct weir_session *session)
{
    session->is_marked = false;
}

void session_forget_origin(struct weir_session *session)
{
    if (session->position < session->origin.position ||
        session->mtp_position < session->origin.mtp_position)
        session->origin = (struct origin){0};
}

enum weir_status weir_session_rewind(struct weir_session *session, uint32_t position,
                                     struct weir_error *err)
{
    const uint32_t least = session->is_marked ? session->mark : session->position;
    if (position < least || position > session->position)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a session cannot go back to %u tokens, expected %u "
                       "to %u",
                       position, least, session->position);
    session->position = position;
    if (session->mtp_position > position)
        session->mtp_position = position;
    session_forget_origin(session);
    return WEIR_OK;
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* A step on a marked session applies what is older than the mark; one on another, all. */
struct step_seq session_step(const struct weir_session *session, uint32_t row_first, uint32_t rows)
{
    const uint32_t pending = session->position - session->settled;
    const uint32_t settle = session->is_marked ? session->mark - session->settled : pending;
    return (struct step_seq){.slot = session->slot,
                             .cached = session->position,
                             .row_first = row_first,
                             .rows = rows,
                             .pending = pending,
                             .settle = settle,
                             .is_recorded = session->is_marked};
}

void session_advance(struct weir_session *session, const int32_t *tokens, uint32_t count)
{
    memcpy(session->tokens + session->position, tokens, count * sizeof *tokens);
    session->position += count;
    session->hidden_position = 0;
    session->settled = session->is_marked ? session->mark : session->position;
}

enum weir_status session_check_rows(const struct weir_session *session, uint32_t count,
                                    struct weir_error *err)
{
    const uint32_t most = session->engine->options.rewind_max;
    const uint32_t held = session->position - session->mark;
    if (!session->is_marked || (held <= most && count <= most - held))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "%u tokens and %u more behind the mark of a session, expected at most %u", held,
                   count, most);
}

void weir_session_reset(struct weir_session *session)
{
    state_clear(&session->engine->state, session->slot);
    session->position = session->settled = session->mtp_position = 0;
    session->is_marked = false;
    session->results = session->mtp_results = (struct results){0};
    session->origin = (struct origin){0};
    session->hidden_position = 0;
}

uint32_t session_step_rows(const struct plan_limits *limits, uint32_t position, uint32_t left)
{
    if (left <= limits->rows)
        return left;
    const uint32_t end = (position + limits->rows) / CHUNK_ALIGNMENT * CHUNK_ALIGNMENT;
    return end > position ? end - position : limits->rows;
}

uint32_t session_steps_max(const struct plan_limits *limits, uint32_t count)
{
    uint32_t most = 1;
    for (uint32_t first = 0; first < CHUNK_ALIGNMENT && count > limits->rows; first++) {
        uint32_t steps = 0;
        for (uint32_t done = 0; done < count; steps++)
            done += session_step_rows(limits, first + done, count - done);
        most = steps > most ? steps : most;
    }
    return most;
}

static enum weir_status check_eval(const struct weir_session *session, const int32_t *tokens,
                                   uint32_t count, enum weir_logits logits, struct weir_error *err)
{
    const enum weir_status status =
        engine_check_logits_rows(&session->engine->blueprint.limits, count, logits, err);
    if (status != WEIR_OK)
        return status;
    if (session_check_rows(session, count, err) != WEIR_OK)
        return WEIR_ERR_ARGUMENT;
    return engine_check_tokens(session->engine, session->position, tokens, count, err);
}

static enum weir_status report(const struct weir_engine *engine, struct weir_error *err)
{
    const struct weir_engine_options *options = &engine->options;
    if (options->progress == NULL || options->progress(options->progress_user, WEIR_STAGE_PREFILL,
                                                       engine->prefill_done, engine->prefill_total))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_CANCELLED, "cancelled after %llu of %llu tokens",
                   (unsigned long long)engine->prefill_done,
                   (unsigned long long)engine->prefill_total);
}

enum weir_status session_eval(struct weir_session *session, const int32_t *tokens, uint32_t count,
                              enum weir_logits logits, session_stepped_fn *stepped, void *user,
                              struct weir_error *err)
{
    struct weir_engine *engine = session->engine;
    enum weir_status status = check_eval(session, tokens, count, logits, err);
    engine->prefill_done = 0;
    engine->prefill_total = count;
    while (status == WEIR_OK && engine->prefill_done < count) {
        const uint32_t done = (uint32_t)engine->prefill_done;
        const uint32_t rows =
            session_step_rows(&engine->blueprint.limits, session->position, count - done);
        const struct weir_step_item item = {.session = session,
                                            .tokens = tokens + done,
                                            .count = rows,
                                            .logits =
                                                done + rows == count ? logits : WEIR_LOGITS_NONE};
        status = engine_run_step(engine, &item, 1, err);
        engine->prefill_done += rows;
        if (status == WEIR_OK && stepped != NULL)
            stepped(user, item.tokens, rows);
        if (status == WEIR_OK)
            status = report(engine, err);
    }
    return status;
}

enum weir_status weir_session_eval(struct weir_session *session, const int32_t *tokens,
                                   uint32_t count, enum weir_logits logits, struct weir_error *err)
{
    return session_eval(session, tokens, count, logits, NULL, NULL, err);
}

const float *weir_session_logits(const struct weir_session *session, uint32_t row)
{
    const struct weir_engine *engine = session->engine;
    const struct results *results = &session->results;
    if (row >= results->logits_rows || results->step != engine->step_count)
        return NULL;
    return engine->blueprint.backend->logits(engine->exec, results->logits_row + row);
}
