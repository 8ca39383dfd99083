/* SPDX-License-Identifier: MIT
 * The block of multi-token prediction on a session: which hidden states it begins with, and its
 * place in its own cache. Knows not when a draft is worth its cost. */
#include <string.h>

#include "run/engine.h"

const float *weir_session_hidden(const struct weir_session *session, uint32_t row)
{
    const struct weir_engine *engine = session->engine;
    const struct results *results = &session->results;
    const bool is_there = engine->mtp_exec != NULL && results->step == engine->step_count;
    if (session->hidden_position != 0)
        return row == 0 ? session->hidden : NULL;
    if (!is_there || row >= results->rows)
        return NULL;
    return engine->blueprint.backend->hidden(engine->exec, results->row + row);
}

const float *session_last_hidden(const struct weir_session *session)
{
    if (session->hidden_position != 0)
        return session->hidden;
    return session->position <= session->results.first
               ? NULL
               : weir_session_hidden(session, session->position - session->results.first - 1);
}

enum weir_status engine_check_mtp(const struct weir_engine *engine, uint32_t count,
                                  enum weir_logits logits, struct weir_error *err)
{
    const struct plan_limits *limits = &engine->blueprint.limits;
    if (engine->mtp_exec == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "the engine was opened without the MTP block");
    if ((unsigned)logits > WEIR_LOGITS_ALL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no such choice of logits: %d", (int)logits);
    if (count > limits->rows || engine_outs(logits, count) > limits->outs)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%u tokens with %u rows of logits, expected at most %u and %u", count,
                       engine_outs(logits, count), limits->rows, limits->outs);
    return WEIR_OK;
}

enum weir_status weir_session_mtp_eval(struct weir_session *session, const int32_t *tokens,
                                       const float *hidden, uint32_t count, enum weir_logits logits,
                                       struct weir_error *err)
{
    struct weir_engine *engine = session->engine;
    enum weir_status status;
    TRY(engine_check_mtp(engine, count, logits, err));
    TRY(engine_check_tokens(engine, session->mtp_position, tokens, count, err));
    TRY(weir_engine_repack(engine, err));
    const struct step_seq seq = {
        .slot = session->slot, .cached = session->mtp_position, .rows = count};
    const struct step step = {.rows = count,
                              .token = tokens,
                              .hidden = engine->hidden,
                              .seqs = 1,
                              .seq = &seq,
                              .outs = engine_outs(logits, count),
                              .out_row = engine->out_row};
    /* a copy: `hidden` may be rows of a last step, whose place this one writes to */
    memmove(engine->hidden, hidden,
            (size_t)count * engine->blueprint.config.width * sizeof *hidden);
    for (uint32_t i = 0; i < step.outs; i++)
        engine->out_row[i] = count - step.outs + i;
    engine->mtp_count++;
    TRY(engine->blueprint.backend->run(engine->mtp_exec, &step, err));
    TRY(engine_check_logits(engine, engine->mtp_exec, step.outs, weir_engine_mtp_vocab(engine),
                            err));
    session->mtp_position += count;
    session->mtp_results =
        (struct results){.step = engine->mtp_count, .rows = count, .logits_rows = step.outs};
out:
    return status;
}

uint32_t weir_session_mtp_position(const struct weir_session *session)
{
    return session->mtp_position;
}

enum weir_status weir_session_mtp_rewind(struct weir_session *session, uint32_t position,
                                         struct weir_error *err)
{
    if (position > session->mtp_position)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "the MTP block cannot go back to %u tokens, it holds %u", position,
                       session->mtp_position);
    session->mtp_position = position;
    session_forget_origin(session);
    return WEIR_OK;
}

const float *weir_session_mtp_logits(const struct weir_session *session, uint32_t row)
{
    const struct weir_engine *engine = session->engine;
    const struct results *results = &session->mtp_results;
    if (row >= results->logits_rows || results->step != engine->mtp_count)
        return NULL;
    return engine->blueprint.backend->logits(engine->mtp_exec, row);
}

const float *weir_session_mtp_hidden(const struct weir_session *session, uint32_t row)
{
    const struct weir_engine *engine = session->engine;
    const struct results *results = &session->mtp_results;
    if (row >= results->rows || results->step != engine->mtp_count)
        return NULL;
    return engine->blueprint.backend->hidden(engine->mtp_exec, row);
}
