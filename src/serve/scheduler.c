/* SPDX-License-Identifier: MIT
 * The scheduler: opened, drained, asked for figures, closed. Knows nothing of how turns are
 * taken. */
#include <stdarg.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/log_line.h"
#include "base/mem.h"
#include "serve/picks.h"

enum {
    ROWS_MAX = 512,    /* tokens of prompts in a step, if the options do not say */
    TEXTS_BESIDE = 32, /* that are known, besides those of slots */
};

void scheduler_say(const struct scheduler *scheduler, enum weir_log_level level, const char *format,
                   ...)
{
    va_list args;
    va_start(args, format);
    log_line_args(scheduler->options.log, scheduler->options.log_user, level, format, args);
    va_end(args);
}

void scheduler_wake(struct scheduler *scheduler)
{
    scheduler->has_news = true;
    pthread_cond_signal(&scheduler->work);
}

/* ---- open and close -------------------------------------------------------------------------- */

/* A step has room for all that generate, few of them with drafts, and for a part of a prompt; of
 * rows of logits also for a few of a prompt of which each is wanted. */
struct weir_engine_options scheduler_engine_options(const struct scheduler_options *options)
{
    const bool has_drafts = options->speculator.kind != WEIR_DRAFT_NONE;
    const uint32_t drafts = has_drafts ? options->speculator.drafts_max : 0;
    const uint32_t rounds = has_drafts ? COMPANY_ROWS : 1; /* rows of slots with drafts */
    struct weir_engine_options engine = options->engine;
    uint32_t rows = engine.step_rows_max > CUT_ROWS_MIN ? engine.step_rows_max : CUT_ROWS_MIN;
    if (engine.step_rows_max == 0)
        rows = ROWS_MAX;
    engine.sessions_max = options->slots;
    const uint32_t alone = options->slots + CUT_ROWS_FEW;
    engine.logits_rows_max = alone > rounds ? alone : rounds;
    engine.step_rows_max = rows + engine.logits_rows_max;
    engine.rewind_max = has_drafts ? drafts + 1 : 0;
    engine.mtp = options->speculator.kind == WEIR_DRAFT_MTP;
    return engine;
}

static enum weir_status open_engine(struct scheduler *scheduler, struct weir_error *err)
{
    const struct scheduler_options *options = &scheduler->options;
    const struct weir_engine_options engine = scheduler_engine_options(options);
    const bool has_drafts = options->speculator.kind != WEIR_DRAFT_NONE;
    if (has_drafts && options->speculator.drafts_max > WEIR_DRAFTS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "drafts of %u tokens, expected 1 to %d",
                       options->speculator.drafts_max, WEIR_DRAFTS_MAX);
    scheduler->rows_max = engine.step_rows_max - engine.logits_rows_max;
    return weir_engine_open(&scheduler->engine, options->model, &engine, err);
}

static enum weir_status open_cache(struct scheduler *scheduler, struct weir_error *err)
{
    const struct scheduler_options *options = &scheduler->options;
    const struct weir_cache_options cache = {
        .bytes_max = options->cache_bytes_max,
        .dir = options->cache_dir,
        .dir_bytes_max = options->cache_dir_bytes_max,
        .log = options->log,
        .log_user = options->log_user,
    };
    if (cache.bytes_max == 0 && cache.dir == NULL)
        return WEIR_OK;
    return weir_cache_open(&scheduler->cache, scheduler->engine, &cache, err);
}

static enum weir_status open_tables(struct scheduler *scheduler, struct weir_error *err)
{
    const uint32_t slots = scheduler->options.slots;
    uint64_t texts;
    scheduler->items = mem_alloc(slots, sizeof *scheduler->items, err);
    scheduler->infos = mem_alloc(slots, sizeof *scheduler->infos, err);
    if (scheduler->items == NULL || scheduler->infos == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < slots; i++)
        scheduler->infos[i] =
            (struct slot_info){.id = i, .context = weir_engine_context(scheduler->engine)};
    if (!size_add(slots, TEXTS_BESIDE, &texts) || texts > UINT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "%u slots", slots);
    return known_texts_open(&scheduler->texts, (uint32_t)texts, err);
}

static enum weir_status start_thread(struct scheduler *scheduler, struct weir_error *err)
{
    scheduler->has_lock = pthread_mutex_init(&scheduler->lock, NULL) == 0;
    scheduler->has_work = scheduler->has_lock && condition_open(&scheduler->work);
    scheduler->has_idle = scheduler->has_work && condition_open(&scheduler->idle);
    scheduler->has_thread = scheduler->has_idle &&
                            pthread_create(&scheduler->thread, NULL, scheduler_run, scheduler) == 0;
    return scheduler->has_thread ? WEIR_OK
                                 : err_set(err, WEIR_ERR_MEMORY, "the scheduler has no thread");
}

enum weir_status scheduler_open(struct scheduler **out, const struct scheduler_options *options,
                                struct weir_error *err)
{
    static const char begin[] = "<|im_start|>";
    enum weir_status status;
    *out = NULL;
    if (options->slots == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "no slots, expected at least 1");
    struct scheduler *scheduler = mem_alloc(1, sizeof *scheduler, err);
    if (scheduler == NULL)
        return WEIR_ERR_MEMORY;
    scheduler->options = *options;
    company_init(&scheduler->company);
    scheduler->piece_max = weir_tokenizer_piece_max(options->tokenizer);
    scheduler->message_begin = weir_tokenizer_find(options->tokenizer, begin, sizeof begin - 1);
    TRY(open_engine(scheduler, err));
    TRY(open_cache(scheduler, err));
    TRY(slots_open(scheduler, err));
    TRY(open_tables(scheduler, err));
    TRY(picks_open(scheduler, err));
    TRY(start_thread(scheduler, err));
    *out = scheduler;
out:
    if (status != WEIR_OK)
        scheduler_close(scheduler);
    return status;
}

static void stop_thread(struct scheduler *scheduler)
{
    pthread_mutex_lock(&scheduler->lock);
    scheduler->is_closing = true;
    pthread_cond_signal(&scheduler->work);
    pthread_mutex_unlock(&scheduler->lock);
    pthread_join(scheduler->thread, NULL);
}

void scheduler_close(struct scheduler *scheduler)
{
    if (scheduler == NULL)
        return;
    if (scheduler->has_thread)
        stop_thread(scheduler);
    if (scheduler->has_idle)
        pthread_cond_destroy(&scheduler->idle);
    if (scheduler->has_work)
        pthread_cond_destroy(&scheduler->work);
    if (scheduler->has_lock)
        pthread_mutex_destroy(&scheduler->lock);
    pool_close(scheduler->picker);
    known_texts_close(&scheduler->texts);
    slots_close(scheduler);
    weir_cache_close(scheduler->cache);
    weir_engine_close(scheduler->engine);
    mem_free(scheduler->items);
    mem_free(scheduler->infos);
    mem_free(scheduler);
}

const struct weir_engine *scheduler_engine(const struct scheduler *scheduler)
{
    return scheduler->engine;
}

uint32_t scheduler_slots(const struct scheduler *scheduler)
{
    return scheduler->options.slots;
}

/* ---- drain ----------------------------------------------------------------------------------- */

static bool is_idle(const struct scheduler *scheduler)
{
    return scheduler->figures.running == 0 && scheduler->figures.waiting == 0;
}

/* Of all jobs, those that wait too. Under the lock. */
static void cancel_all(struct scheduler *scheduler)
{
    for (struct job *job = scheduler->waiting; job != NULL; job = job->next)
        job->is_cancelled = true;
    scheduler->is_cancelling = true;
    scheduler_wake(scheduler);
}

void scheduler_drain(struct scheduler *scheduler, uint64_t deadline_ns)
{
    pthread_mutex_lock(&scheduler->lock);
    scheduler->is_draining = true;
    while (!is_idle(scheduler) && clock_ns() < deadline_ns)
        condition_wait_until(&scheduler->idle, &scheduler->lock, deadline_ns);
    cancel_all(scheduler);
    while (!is_idle(scheduler))
        pthread_cond_wait(&scheduler->idle, &scheduler->lock);
    pthread_mutex_unlock(&scheduler->lock);
}

/* ---- figures --------------------------------------------------------------------------------- */

void scheduler_slot(struct scheduler *scheduler, uint32_t slot, struct slot_info *out)
{
    pthread_mutex_lock(&scheduler->lock);
    *out = scheduler->infos[slot];
    pthread_mutex_unlock(&scheduler->lock);
}

void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *out)
{
    pthread_mutex_lock(&scheduler->lock);
    *out = scheduler->figures;
    for (uint32_t i = 0; i < scheduler->options.slots; i++)
        out->held += scheduler->infos[i].held;
    pthread_mutex_unlock(&scheduler->lock);
    out->room = (uint64_t)scheduler->options.slots * weir_engine_context(scheduler->engine);
}
