/* SPDX-License-Identifier: MIT
 * A session: one timeline of tokens. Cuts long inputs into steps; the engine runs them. */
#include "run/engine.h"

#include "base/mem.h"

enum { CHUNK_ALIGNMENT = 64 }; /* positions: chunked kernels may cut sequences only there */

enum weir_status weir_session_open(struct weir_session **out, struct weir_engine *engine,
                                   struct weir_error *err)
{
    *out = NULL;
    struct weir_session *session = mem_alloc(1, sizeof *session, err);
    if (session == NULL)
        return WEIR_ERR_MEMORY;
    session->engine = engine;
    const enum weir_status status = state_take(&engine->state, &session->slot, err);
    if (status != WEIR_OK) {
        mem_free(session);
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
    mem_free(session);
}

uint32_t weir_session_position(const struct weir_session *session)
{
    return session->position;
}

void weir_session_reset(struct weir_session *session)
{
    state_clear(&session->engine->state, session->slot);
    session->position = session->mtp_position = 0;
    session->results = session->mtp_results = (struct results){0};
}

/* Tokens of the next step of `left`: all, or as many as end at a multiple of the alignment. */
static uint32_t chunk_rows(uint32_t position, uint32_t left, uint32_t rows_max)
{
    if (left <= rows_max)
        return left;
    const uint32_t end = (position + rows_max) / CHUNK_ALIGNMENT * CHUNK_ALIGNMENT;
    return end > position ? end - position : rows_max;
}

static enum weir_status check_logits_rows(const struct weir_engine *engine, uint32_t count,
                                          enum weir_logits logits, struct weir_error *err)
{
    const uint32_t outs = engine->blueprint.limits.outs;
    if (logits == WEIR_LOGITS_ALL && count > outs)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "logits of all %u tokens, expected at most %u tokens", count, outs);
    return WEIR_OK;
}

static enum weir_status check_eval(const struct weir_session *session, const int32_t *tokens,
                                   uint32_t count, enum weir_logits logits, struct weir_error *err)
{
    const enum weir_status status = check_logits_rows(session->engine, count, logits, err);
    if (status != WEIR_OK)
        return status;
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

enum weir_status weir_session_eval(struct weir_session *session, const int32_t *tokens,
                                   uint32_t count, enum weir_logits logits, struct weir_error *err)
{
    struct weir_engine *engine = session->engine;
    enum weir_status status = check_eval(session, tokens, count, logits, err);
    engine->prefill_done = 0;
    engine->prefill_total = count;
    while (status == WEIR_OK && engine->prefill_done < count) {
        const uint32_t done = (uint32_t)engine->prefill_done;
        const uint32_t rows =
            chunk_rows(session->position, count - done, engine->blueprint.limits.rows);
        const struct weir_step_item item = {.session = session,
                                            .tokens = tokens + done,
                                            .count = rows,
                                            .logits =
                                                done + rows == count ? logits : WEIR_LOGITS_NONE};
        status = engine_run_step(engine, &item, 1, err);
        engine->prefill_done += rows;
        if (status == WEIR_OK)
            status = report(engine, err);
    }
    return status;
}

const float *weir_session_logits(const struct weir_session *session, uint32_t row)
{
    const struct weir_engine *engine = session->engine;
    const struct results *results = &session->results;
    if (row >= results->logits_rows || results->step != engine->step_count)
        return NULL;
    return engine->blueprint.backend->logits(engine->exec, results->logits_row + row);
}

/* ---- what it would touch --------------------------------------------------------------------- */

_Static_assert((int)WEIR_TRAFFIC_WEIGHTS == TRAFFIC_WEIGHTS &&
                   (int)WEIR_TRAFFIC_EMBEDDING == TRAFFIC_EMBEDDING &&
                   (int)WEIR_TRAFFIC_KV == TRAFFIC_KV && (int)WEIR_TRAFFIC_STATE == TRAFFIC_STATE &&
                   (int)WEIR_TRAFFIC_CONV == TRAFFIC_CONV &&
                   (int)WEIR_TRAFFIC_ACTIVATIONS == TRAFFIC_ACTIVATIONS &&
                   (int)WEIR_TRAFFIC_LOGITS == TRAFFIC_LOGITS &&
                   (int)WEIR_TRAFFIC_CLASSES == TRAFFIC_CLASSES,
               "one is converted to the other");

static void add_step(const struct weir_engine *engine, uint32_t cached, uint32_t rows,
                     uint32_t outs, struct traffic *sum)
{
    const struct blueprint *blueprint = &engine->blueprint;
    const struct step_seq seq = {.cached = cached, .rows = rows};
    const struct step step = {.rows = rows, .seqs = 1, .seq = &seq, .outs = outs};
    for (uint32_t i = 0; i < blueprint->plan->op_count; i++)
        op_traffic(blueprint->plan, &blueprint->plan->ops[i], &step, &blueprint->limits, sum);
}

enum weir_status weir_engine_traffic(const struct weir_engine *engine, uint32_t cached,
                                     uint32_t count, enum weir_logits logits,
                                     struct weir_traffic *sum, struct weir_error *err)
{
    const struct plan_limits *limits = &engine->blueprint.limits;
    struct traffic touched = {0};
    enum weir_status status = check_logits_rows(engine, count, logits, err);
    if (status == WEIR_OK)
        status = engine_check_count(engine, cached, count, err);
    if (status != WEIR_OK)
        return status;
    for (uint32_t done = 0; done < count;) {
        const uint32_t rows = chunk_rows(cached + done, count - done, limits->rows);
        const bool is_last = done + rows == count;
        add_step(engine, cached + done, rows, is_last ? engine_outs(logits, rows) : 0, &touched);
        done += rows;
    }
    for (int class = 0; class < TRAFFIC_CLASSES; class ++) {
        sum->read[class] += touched.read[class];
        sum->written[class] += touched.written[class];
    }
    return WEIR_OK;
}
