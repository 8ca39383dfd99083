/* SPDX-License-Identifier: MIT
 * The engine: opens what a blueprint says, and puts steps of several sessions together. Knows
 * neither files nor ops. */
#include "run/engine.h"

#include <string.h>

#include "base/cpu.h"
#include "base/floats.h"
#include "base/mem.h"
#include "run/profile.h"

void weir_engine_options_init(struct weir_engine_options *options)
{
    *options = (struct weir_engine_options){
        .sessions_max = 1,
        .step_rows_max = 512,
        .logits_rows_max = 16,
        .cache_k = WEIR_CACHE_F16,
        .cache_v = WEIR_CACHE_F16,
    };
}

static enum weir_status engine_prepare(const struct weir_engine *engine, const struct plan *plan,
                                       const struct state *state, struct exec **out,
                                       struct weir_error *err)
{
    const struct backend_bind bind = {.plan = plan,
                                      .limits = engine->blueprint.limits,
                                      .weights = engine->loader.address,
                                      .form = engine->loader.form,
                                      .state = state->memory};
    return engine->blueprint.backend->prepare(out, engine->device, &bind, err);
}

static enum weir_status engine_fill_mtp(struct weir_engine *engine, struct weir_error *err)
{
    const struct blueprint *blueprint = &engine->blueprint;
    const struct plan_limits *limits = &blueprint->limits;
    enum weir_status status = WEIR_ERR_MEMORY;
    engine->hidden =
        mem_alloc((uint64_t)limits->rows * blueprint->config.width, sizeof *engine->hidden, err);
    if (engine->hidden == NULL)
        goto out;
    TRY(state_open(&engine->mtp_state, blueprint->backend, engine->device, blueprint->mtp, limits,
                   err));
    TRY(engine_prepare(engine, blueprint->mtp, &engine->mtp_state, &engine->mtp_exec, err));
out:
    return status;
}

static enum weir_status engine_fill(struct weir_engine *engine, const struct weir_model *model,
                                    struct weir_error *err)
{
    struct blueprint *blueprint = &engine->blueprint;
    enum weir_status status;
    engine->gguf = model->gguf;
    if (model->gguf->is_header)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: is only the header of a model, no weights",
                       gguf_path(model->gguf));
    TRY(blueprint_open(blueprint, model, &engine->options, err));
    TRY(blueprint_check_fits(blueprint, &engine->options, err));
    if (blueprint->threads > cpu_count())
        model_log(model, WEIR_LOG_WARNING,
                  "%u threads, but %u processors: threads that wait for each other take turns",
                  blueprint->threads, cpu_count());
    const struct plan_limits *limits = &blueprint->limits;
    const struct backend *backend = blueprint->backend;
    engine->token = mem_alloc(limits->rows, sizeof *engine->token, err);
    engine->seq = mem_alloc(limits->seqs, sizeof *engine->seq, err);
    engine->out_row = mem_alloc(limits->outs, sizeof *engine->out_row, err);
    if (engine->token == NULL || engine->seq == NULL || engine->out_row == NULL)
        return WEIR_ERR_MEMORY;
    const struct backend_threads threads = {.count = blueprint->threads, .cpus = blueprint->cpus};
    TRY(backend->open(&engine->device, &threads, engine->options.isa, err));
    TRY(state_open(&engine->state, backend, engine->device, blueprint->plan, limits, err));
    const struct loader_task task = {
        .gguf = model->gguf,
        .weights = &blueprint->weights,
        .used = blueprint->used,
        .held = blueprint->held,
        .backend = backend,
        .threads = threads,
    };
    TRY(loader_open(&engine->loader, &task, &engine->options, err));
    TRY(engine_prepare(engine, blueprint->plan, &engine->state, &engine->exec, err));
    if (blueprint->mtp != NULL)
        TRY(engine_fill_mtp(engine, err));
out:
    return status;
}

enum weir_status weir_engine_open(struct weir_engine **out, struct weir_model *model,
                                  const struct weir_engine_options *options, struct weir_error *err)
{
    *out = NULL;
    struct weir_engine *engine = mem_alloc(1, sizeof *engine, err);
    if (engine == NULL)
        return WEIR_ERR_MEMORY;
    weir_engine_options_init(&engine->options);
    if (options != NULL)
        engine->options = *options;
    const enum weir_status status = engine_fill(engine, model, err);
    if (status != WEIR_OK) {
        weir_engine_close(engine);
        return status;
    }
    *out = engine;
    return WEIR_OK;
}

void weir_engine_close(struct weir_engine *engine)
{
    if (engine == NULL)
        return;
    const struct backend *backend = engine->blueprint.backend;
    if (backend != NULL) {
        backend->release(engine->exec);
        backend->release(engine->mtp_exec);
        loader_close(&engine->loader);
        state_close(&engine->state);
        state_close(&engine->mtp_state);
        backend->close(engine->device);
    }
    mem_free(engine->token);
    mem_free(engine->seq);
    mem_free(engine->out_row);
    mem_free(engine->hidden);
    blueprint_close(&engine->blueprint);
    mem_free(engine);
}

static void rebind(void *user, uint32_t weight)
{
    const struct weir_engine *engine = user;
    const struct backend *backend = engine->blueprint.backend;
    backend->rebind(engine->exec, weight, engine->loader.address[weight]);
    if (engine->mtp_exec != NULL)
        backend->rebind(engine->mtp_exec, weight, engine->loader.address[weight]);
}

enum weir_status weir_engine_repack(struct weir_engine *engine, struct weir_error *err)
{
    return loader_hold_late(&engine->loader, &engine->options, rebind, engine, err);
}

uint32_t weir_engine_vocab(const struct weir_engine *engine)
{
    return engine->blueprint.config.vocab;
}

uint32_t weir_engine_mtp_vocab(const struct weir_engine *engine)
{
    const struct plan *mtp = engine->blueprint.mtp;
    return mtp == NULL ? 0 : buf_columns(plan_buf(mtp, mtp->logits));
}

uint32_t weir_engine_width(const struct weir_engine *engine)
{
    return engine->blueprint.config.width;
}

uint32_t weir_engine_context(const struct weir_engine *engine)
{
    return engine->blueprint.limits.context;
}

const char *weir_engine_backend(const struct weir_engine *engine)
{
    return engine->blueprint.backend->name;
}

const char *weir_engine_isa(const struct weir_engine *engine)
{
    const struct backend *backend = engine->blueprint.backend;
    return backend->isa == NULL ? "" : backend->isa(engine->device);
}

uint32_t weir_engine_threads(const struct weir_engine *engine)
{
    return engine->blueprint.threads;
}

/* ---- a step ---------------------------------------------------------------------------------- */

uint32_t engine_outs(enum weir_logits logits, uint32_t count)
{
    switch (logits) {
    case WEIR_LOGITS_NONE: return 0;
    case WEIR_LOGITS_LAST: return 1;
    case WEIR_LOGITS_ALL: return count;
    }
    return 0;
}

static uint32_t item_outs(const struct weir_step_item *item)
{
    return engine_outs(item->logits, item->count);
}

enum weir_status engine_check_count(const struct plan_limits *limits, uint32_t position,
                                    uint32_t count, struct weir_error *err)
{
    const uint32_t context = limits->context;
    if (count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "no tokens to evaluate");
    if (position > context || count > context - position)
        return err_set(err, WEIR_ERR_FULL,
                       "the context is full: %u tokens and %u more, it holds %u", position, count,
                       context);
    return WEIR_OK;
}

enum weir_status engine_check_logits_rows(const struct plan_limits *limits, uint32_t count,
                                          enum weir_logits logits, struct weir_error *err)
{
    if (logits == WEIR_LOGITS_ALL && count > limits->outs)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "logits of all %u tokens, expected at most %u tokens", count, limits->outs);
    return WEIR_OK;
}

enum weir_status engine_check_tokens(const struct weir_engine *engine, uint32_t position,
                                     const int32_t *tokens, uint32_t count, struct weir_error *err)
{
    const uint32_t vocab = engine->blueprint.config.vocab;
    const enum weir_status status =
        engine_check_count(&engine->blueprint.limits, position, count, err);
    if (status != WEIR_OK)
        return status;
    for (uint32_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return err_set(err, WEIR_ERR_ARGUMENT, "token %u of the input is %d, expected 0 to %u",
                           i, (int)tokens[i], vocab - 1);
    }
    return WEIR_OK;
}

enum weir_status engine_check_step(const struct plan_limits *limits, uint32_t seqs, uint64_t rows,
                                   uint64_t outs, struct weir_error *err)
{
    if (seqs == 0 || seqs > limits->seqs)
        return err_set(err, WEIR_ERR_ARGUMENT, "a step of %u sessions, expected 1 to %u", seqs,
                       limits->seqs);
    if (rows > limits->rows)
        return err_set(err, WEIR_ERR_ARGUMENT, "a step of %llu tokens, expected at most %u",
                       (unsigned long long)rows, limits->rows);
    if (outs > limits->outs)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a step with %llu rows of logits, expected at most %u",
                       (unsigned long long)outs, limits->outs);
    return WEIR_OK;
}

static enum weir_status check_item(const struct weir_engine *engine,
                                   const struct weir_step_item *item, struct weir_error *err)
{
    const struct weir_session *session = item->session;
    if (session->engine != engine)
        return err_set(err, WEIR_ERR_ARGUMENT, "a session of another engine is in the step");
    if (session->is_listed)
        return err_set(err, WEIR_ERR_ARGUMENT, "a session is in the step twice");
    if ((unsigned)item->logits > WEIR_LOGITS_ALL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no such choice of logits: %d", (int)item->logits);
    if (session_check_rows(session, item->count, err) != WEIR_OK)
        return WEIR_ERR_ARGUMENT;
    return engine_check_tokens(engine, session->position, item->tokens, item->count, err);
}

/* Checks all items before anything changes, listing their sessions. */
static enum weir_status check_items(struct weir_engine *engine, const struct weir_step_item *items,
                                    uint32_t count, struct weir_error *err)
{
    const struct plan_limits *limits = &engine->blueprint.limits;
    uint64_t rows = 0, outs = 0;
    enum weir_status status = engine_check_step(limits, count, 0, 0, err);
    uint32_t listed = 0;
    for (; listed < count && status == WEIR_OK; listed++) {
        status = check_item(engine, &items[listed], err);
        if (status != WEIR_OK)
            break;
        items[listed].session->is_listed = true;
        rows += items[listed].count;
        outs += item_outs(&items[listed]);
    }
    if (status == WEIR_OK)
        status = engine_check_step(limits, count, rows, outs, err);
    for (uint32_t i = 0; i < listed; i++)
        items[i].session->is_listed = false;
    return status;
}

/* Writes items one after the other into the engine's arrays. */
static struct step gather_step(struct weir_engine *engine, const struct weir_step_item *items,
                               uint32_t count)
{
    struct step step = {.token = engine->token, .seq = engine->seq, .out_row = engine->out_row};
    for (uint32_t i = 0; i < count; i++) {
        const struct weir_step_item *item = &items[i];
        const uint32_t outs = item_outs(item);
        engine->seq[step.seqs++] = session_step(item->session, step.rows, item->count);
        memcpy(engine->token + step.rows, item->tokens, item->count * sizeof *item->tokens);
        step.rows += item->count;
        for (uint32_t j = 0; j < outs; j++)
            engine->out_row[step.outs++] = step.rows - outs + j;
    }
    return step;
}

/* Asked between the ops of a step. */
static bool engine_proceeds(void *user)
{
    const struct weir_engine *engine = user;
    const struct weir_engine_options *options = &engine->options;
    return options->progress(options->progress_user, WEIR_STAGE_PREFILL, engine->prefill_done,
                             engine->prefill_total);
}

/* The step ended somewhere between two ops: the state of its sequences is of no use. */
static void empty_sessions(const struct weir_step_item *items, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        weir_session_reset(items[i].session);
}

/* Hands each session its place after the step. */
static void advance_sessions(struct weir_engine *engine, const struct weir_step_item *items,
                             uint32_t count)
{
    struct results results = {.step = engine->step_count};
    for (uint32_t i = 0; i < count; i++) {
        struct weir_session *session = items[i].session;
        results.first = session->position;
        results.rows = items[i].count;
        results.logits_rows = item_outs(&items[i]);
        session_advance(session, items[i].tokens, items[i].count);
        session->results = results;
        results.row += results.rows;
        results.logits_row += results.logits_rows;
    }
}

/* Sampling from NaN would look like an answer. */
enum weir_status engine_check_logits(const struct weir_engine *engine, const struct exec *exec,
                                     uint32_t rows, uint32_t vocab, struct weir_error *err)
{
    for (uint32_t row = 0; row < rows; row++) {
        if (!floats_are_finite(engine->blueprint.backend->logits(exec, row), vocab))
            return err_set(err, WEIR_ERR_FORMAT,
                           "row %u of the logits is not finite, expected numbers: the model's "
                           "weights may hold Inf or NaN (--check-tensors finds them)",
                           row);
    }
    return WEIR_OK;
}

/* The first step, unless others of its evaluation follow: those want weights held. */
static bool may_be_early(const struct weir_engine *engine, const struct step *step)
{
    return engine->step_count == 0 && engine->prefill_total == step->rows;
}

static enum weir_status run_plan(struct weir_engine *engine, struct step *step,
                                 struct weir_error *err)
{
    if (engine->profile != NULL)
        return profile_run_step(engine->profile, engine, step, err);
    return engine->blueprint.backend->run(engine->exec, step, err);
}

enum weir_status engine_run_step(struct weir_engine *engine, const struct weir_step_item *items,
                                 uint32_t items_count, struct weir_error *err)
{
    enum weir_status status = check_items(engine, items, items_count, err);
    if (status != WEIR_OK)
        return status;
    engine->last = (struct step){.rows = 0}; /* its sequences are written over */
    struct step step = gather_step(engine, items, items_count);
    if (!may_be_early(engine, &step))
        TRY(weir_engine_repack(engine, err));
    if (engine->options.progress != NULL) {
        step.proceed = engine_proceeds;
        step.proceed_user = engine;
    }
    for (uint32_t i = 0; i < items_count; i++)
        session_overwrite(items[i].session);
    engine->step_count++; /* also if it is cut short: it writes over the results of the last */
    status = run_plan(engine, &step, err);
    if (status != WEIR_OK) {
        empty_sessions(items, items_count);
        return status;
    }
    engine->last = step;
    advance_sessions(engine, items, items_count);
    status = engine_check_logits(engine, engine->exec, step.outs, weir_engine_vocab(engine), err);
out:
    return status;
}

enum weir_status weir_engine_step(struct weir_engine *engine, const struct weir_step_item *items,
                                  uint32_t items_count, struct weir_error *err)
{
    engine->prefill_done = engine->prefill_total = 0;
    for (uint32_t i = 0; i < items_count; i++)
        engine->prefill_total += items[i].count;
    return engine_run_step(engine, items, items_count, err);
}
