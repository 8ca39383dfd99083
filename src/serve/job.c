/* SPDX-License-Identifier: MIT
 * Jobs: made of what was asked for, and what a sampler must know. */
#include "serve/job.h"

#include <string.h>

#include "base/condition.h"
#include "base/mem.h"
#include "serve/prompt_cuts.h"

/* ---- copies ---------------------------------------------------------------------------------- */

static enum weir_status copy_text(char **out, const char *text, struct weir_error *err)
{
    *out = text == NULL ? NULL : mem_copy_text(text, strlen(text), err);
    return text == NULL || *out != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

static enum weir_status copy_stops(struct job *job, struct weir_error *err)
{
    const uint32_t count = job->options.stops_count;
    enum weir_status status = WEIR_OK;
    job->own.stops = mem_alloc(count, sizeof *job->own.stops, err);
    if (job->own.stops == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++)
        status = copy_text(&job->own.stops[i], job->options.stops[i], err);
    job->options.stops = (const char *const *)job->own.stops;
    return status;
}

static enum weir_status copy_ids(int32_t **own, const int32_t **ids, uint32_t count,
                                 struct weir_error *err)
{
    *own = mem_alloc(count, sizeof **own, err);
    if (*own == NULL)
        return WEIR_ERR_MEMORY;
    if (count > 0)
        memcpy(*own, *ids, count * sizeof **own);
    *ids = *own;
    return WEIR_OK;
}

static enum weir_status copy_options(struct job *job, struct weir_error *err)
{
    struct job_options *options = &job->options;
    enum weir_status status;
    TRY(copy_ids(&job->own.ids, &options->ids, options->count, err));
    TRY(copy_ids(&job->own.ends, &options->ends, options->ends_count, err));
    TRY(copy_stops(job, err));
    TRY(copy_text(&job->own.behind, options->constraint_behind, err));
    TRY(copy_text(&job->own.mark, options->reasoning_mark, err));
    TRY(copy_text(&job->own.closing, options->reasoning_closing, err));
    options->constraint_behind = job->own.behind;
    options->reasoning_mark = job->own.mark;
    options->reasoning_closing = job->own.closing;
out:
    return status;
}

static void free_copies(struct job *job)
{
    for (uint32_t i = 0; i < job->options.stops_count && job->own.stops != NULL; i++)
        mem_free(job->own.stops[i]);
    mem_free(job->own.stops);
    mem_free(job->own.ids);
    mem_free(job->own.ends);
    mem_free(job->own.behind);
    mem_free(job->own.mark);
    mem_free(job->own.closing);
}

/* ---- jobs ------------------------------------------------------------------------------------ */

/* What would end a step that others are part of is refused now. */
static enum weir_status check_prompt(const struct job_options *options,
                                     const struct weir_engine *engine, struct weir_error *err)
{
    const uint32_t context = weir_engine_context(engine), vocab = weir_engine_vocab(engine);
    if (options->count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "a prompt of no tokens, expected at least 1");
    if (options->count > context)
        return err_set(err, WEIR_ERR_ARGUMENT, "a prompt of %u tokens, but a slot holds %u",
                       options->count, context);
    for (uint32_t i = 0; i < options->count; i++) {
        if (options->ids[i] < 0 || (uint32_t)options->ids[i] >= vocab)
            return err_set(err, WEIR_ERR_ARGUMENT, "token %u of the prompt is %d, expected 0 to %u",
                           i, (int)options->ids[i], vocab - 1);
    }
    return WEIR_OK;
}

static enum weir_status check_reasoning(const struct job_options *options, struct weir_error *err)
{
    if (options->reasoning_budget < 0 ||
        (options->reasoning_mark != NULL && options->reasoning_closing != NULL))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "a budget of reasoning without what marks its end and closes it");
}

static enum weir_status make_parts(struct job *job, const struct weir_engine *engine,
                                   const struct weir_tokenizer *tokenizer, size_t piece_max,
                                   struct weir_error *err)
{
    struct job_options *options = &job->options;
    const uint32_t vocab = weir_engine_vocab(engine);
    enum weir_status status;
    options->logprobs = options->logprobs < vocab ? options->logprobs : vocab;
    options->sampler.ends = options->ends;
    options->sampler.ends_count = options->ends_count;
    TRY(weir_sampler_open(&job->sampler, &options->sampler, vocab, weir_engine_context(engine),
                          tokenizer, err));
    TRY(job_text_open(&job->text, tokenizer, piece_max, options->stops, options->stops_count,
                      options->reasoning_mark, err));
    TRY(job_events_open(&job->events, job->text.room, options->logprobs, err));
    job->likeliest = mem_alloc(options->logprobs, sizeof *job->likeliest, err);
    job->chances = mem_alloc(options->logprobs, sizeof *job->chances, err);
    status = job->likeliest != NULL && job->chances != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
out:
    return status;
}

enum weir_status job_make(struct job **out, const struct job_options *options,
                          const struct weir_engine *engine, const struct weir_tokenizer *tokenizer,
                          size_t piece_max, struct weir_error *err)
{
    enum weir_status status;
    *out = NULL;
    TRY(check_prompt(options, engine, err));
    TRY(check_reasoning(options, err));
    struct job *job = mem_alloc(1, sizeof *job, err);
    if (job == NULL)
        return WEIR_ERR_MEMORY;
    job->ready = options->ready;
    if (job->ready == NULL && !condition_open(&job->own_ready)) {
        mem_free(job);
        return err_set(err, WEIR_ERR_MEMORY, "no condition to wait for");
    }
    if (job->ready == NULL)
        job->ready = &job->own_ready;
    job->options = *options;
    job->options.no_cache = options->no_cache || options->wants_prompt;
    job->options.wants_logprobs = options->wants_logprobs || options->wants_prompt;
    status = copy_options(job, err);
    if (status == WEIR_OK)
        status = make_parts(job, engine, tokenizer, piece_max, err);
    if (status == WEIR_OK)
        *out = job;
    else
        job_free(job);
out:
    return status;
}

void job_free(struct job *job)
{
    weir_sampler_close(job->sampler);
    job_text_close(&job->text);
    job_events_close(&job->events);
    mem_free(job->likeliest);
    mem_free(job->chances);
    if (job->ready == &job->own_ready)
        pthread_cond_destroy(&job->own_ready);
    free_copies(job);
    mem_free(job);
}

bool job_ends_at(const struct job *job, int32_t id)
{
    for (uint32_t i = 0; i < job->options.ends_count; i++)
        if (job->options.ends[i] == id)
            return true;
    return weir_tokenizer_ends_generation(job->text.tokenizer, id);
}

uint32_t job_events_wanted(const struct job *job)
{
    return WEIR_ROUND_TOKENS_MAX + (job->options.wants_prompt ? CUT_ROWS_FEW : 0);
}

/* ---- the reply ------------------------------------------------------------------------------- */

enum weir_status job_begin_reply(struct job *job, struct weir_error *err)
{
    const struct job_options *options = &job->options;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < options->count; i++)
        weir_sampler_accept(job->sampler, options->ids[i]);
    if (options->constraint != NULL)
        TRY(weir_sampler_constrain(job->sampler, options->constraint, options->constraint_behind,
                                   err));
    if (options->reasoning_budget >= 0)
        TRY(weir_sampler_limit_reasoning(job->sampler, (uint32_t)options->reasoning_budget,
                                         options->reasoning_mark, options->reasoning_closing, err));
out:
    return status;
}

void job_release(struct job *job)
{
    weir_sampler_constrain(job->sampler, NULL, NULL, NULL); /* cannot fail: it takes nothing */
}

/* What is being closed already, because the budget was used up or somebody asked before, must not
 * begin to be closed anew. */
enum weir_status job_close_reasoning(struct job *job, struct weir_error *err)
{
    const struct job_options *options = &job->options;
    const bool is_used_up = options->reasoning_budget >= 0 &&
                            job->timings.tokens >= (uint32_t)options->reasoning_budget;
    if (!job->text.is_reasoning || options->reasoning_closing == NULL || job->is_closing ||
        is_used_up)
        return WEIR_OK;
    job->is_closing = true;
    return weir_sampler_limit_reasoning(job->sampler, 0, options->reasoning_mark,
                                        options->reasoning_closing, err);
}
