/* SPDX-License-Identifier: MIT
 * The side of jobs that their owners see: from any thread. Never touches the engine, nor what is of
 * who runs a job. */
#include <string.h>

#include "base/clock.h"
#include "base/condition.h"
#include "base/mem.h"
#include "serve/scheduler_room.h"

enum { RETRY_S_MAX = 600 };

/* ---- the queue ------------------------------------------------------------------------------- */

uint32_t scheduler_retry(const struct scheduler *scheduler)
{
    const double turns = 1 + (double)scheduler->figures.waiting / scheduler->options.slots;
    const double seconds = turns * scheduler->job_ns / 1e9 + 1;
    return seconds < RETRY_S_MAX ? (uint32_t)seconds : RETRY_S_MAX;
}

/* Under the lock. */
static enum weir_status enqueue(struct scheduler *scheduler, struct job *job, uint32_t *retry_s,
                                struct weir_error *err)
{
    struct scheduler_figures *figures = &scheduler->figures;
    struct job **last = &scheduler->waiting;
    if (scheduler->is_draining) {
        figures->refused++;
        return err_set(err, WEIR_ERR_CANCELLED, "no new jobs: the server is about to end");
    }
    /* those for which a slot is free wait for no more than the thread */
    if ((uint64_t)figures->waiting + figures->running >=
        (uint64_t)scheduler->options.queue_max + scheduler->options.slots) {
        figures->refused++;
        *retry_s = scheduler_retry(scheduler);
        return err_set(err, WEIR_ERR_FULL,
                       "the queue is full: %u answers run or wait, of at most %u",
                       figures->waiting + figures->running,
                       scheduler->options.queue_max + scheduler->options.slots);
    }
    while (*last != NULL)
        last = &(*last)->next;
    *last = job;
    figures->waiting++;
    job->number = ++scheduler->jobs;
    scheduler_wake(scheduler);
    return WEIR_OK;
}

enum weir_status job_open(struct job **out, struct scheduler *scheduler,
                          const struct job_options *options, uint32_t *retry_s,
                          struct weir_error *err)
{
    struct job *job;
    *out = NULL;
    *retry_s = 0;
    if (options->slot >= (int32_t)scheduler->options.slots)
        return err_set(err, WEIR_ERR_ARGUMENT, "slot %d, expected 0 to %u", (int)options->slot,
                       scheduler->options.slots - 1);
    enum weir_status status = job_make(&job, options, scheduler->engine,
                                       scheduler->options.tokenizer, scheduler->piece_max, err);
    if (status != WEIR_OK)
        return status;
    job->scheduler = scheduler;
    job->opened_ns = clock_ns();
    pthread_mutex_lock(&scheduler->lock);
    status = enqueue(scheduler, job, retry_s, err);
    pthread_mutex_unlock(&scheduler->lock);
    if (status == WEIR_OK)
        *out = job;
    else
        job_free(job);
    return status;
}

/* ---- events ---------------------------------------------------------------------------------- */

/* Under the lock. A slot that waits for room among the events is told when there is. */
static bool take_event(struct job *job, struct job_event *event)
{
    const uint32_t wanted = job_events_wanted(job), before = job_events_room(&job->events);
    const bool is_there = job_events_take(&job->events, event);
    if (before < wanted && job_events_room(&job->events) >= wanted)
        scheduler_wake(job->scheduler);
    return is_there;
}

/* Under the lock: of the first that has one, from *which on. */
static bool take_any(struct job *const *jobs, uint32_t count, uint32_t *which, bool *is_over,
                     struct job_event *event)
{
    *is_over = true;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t at = (*which + i) % count;
        if (take_event(jobs[at], event)) {
            *which = at;
            return true;
        }
        *is_over = *is_over && jobs[at]->is_over;
    }
    return false;
}

bool jobs_wait(struct job *const *jobs, uint32_t count, uint32_t *which, uint64_t until_ns,
               struct job_event *event)
{
    pthread_mutex_t *lock = &jobs[0]->scheduler->lock;
    bool is_over;
    pthread_mutex_lock(lock);
    bool is_there = take_any(jobs, count, which, &is_over, event);
    while (!is_there && !is_over && clock_ns() < until_ns) {
        condition_wait_until(jobs[0]->ready, lock, until_ns);
        is_there = take_any(jobs, count, which, &is_over, event);
    }
    pthread_mutex_unlock(lock);
    return is_there;
}

bool job_wait(struct job *job, uint64_t until_ns, struct job_event *event)
{
    uint32_t which = 0;
    return jobs_wait(&job, 1, &which, until_ns, event);
}

static void ask(struct job *job, bool *wish)
{
    pthread_mutex_lock(&job->scheduler->lock);
    *wish = true;
    scheduler_wake(job->scheduler);
    pthread_mutex_unlock(&job->scheduler->lock);
}

void job_cancel(struct job *job)
{
    ask(job, &job->is_cancelled);
}

void job_suffice(struct job *job)
{
    ask(job, &job->suffices);
}

void job_end_reasoning(struct job *job)
{
    ask(job, &job->ends_reasoning);
}

void job_close(struct job *job)
{
    if (job == NULL)
        return;
    struct scheduler *scheduler = job->scheduler;
    job_cancel(job);
    pthread_mutex_lock(&scheduler->lock);
    while (!job->is_over)
        pthread_cond_wait(job->ready, &scheduler->lock);
    pthread_mutex_unlock(&scheduler->lock);
    job_free(job);
}

/* ---- replaying ------------------------------------------------------------------------------- */

/* As many as weir_prompt_tokens makes of it with these tokens known. */
static enum weir_status make_tokens(const struct weir_prompt *prompt,
                                    const struct weir_tokenizer *tokenizer, const int32_t *known,
                                    uint64_t known_count, int32_t **ids, size_t *count,
                                    struct weir_error *err)
{
    size_t reused;
    enum weir_status status;
    *ids = NULL;
    TRY(weir_prompt_tokens(prompt, tokenizer, known, (size_t)known_count, NULL, 0, count, &reused,
                           err));
    *ids = mem_alloc(*count, sizeof **ids, err);
    if (*ids == NULL)
        return WEIR_ERR_MEMORY;
    status = weir_prompt_tokens(prompt, tokenizer, known, (size_t)known_count, *ids, *count, count,
                                &reused, err);
out:
    return status;
}

/* A copy of the known text that begins most like the tokens. *known is NULL if none does. */
static enum weir_status copy_known(struct scheduler *scheduler, uint64_t salt, const int32_t *ids,
                                   size_t count, int32_t **known, uint64_t *known_count,
                                   struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *known = NULL;
    *known_count = 0;
    pthread_mutex_lock(&scheduler->lock);
    const struct known_text *text = known_texts_find(&scheduler->texts, salt, ids, count);
    if (text != NULL) {
        *known = mem_alloc(text->count, sizeof **known, err);
        status = *known != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
    }
    if (*known != NULL) {
        memcpy(*known, text->ids, text->count * sizeof **known);
        *known_count = text->count;
    }
    pthread_mutex_unlock(&scheduler->lock);
    return status;
}

enum weir_status scheduler_tokens(struct scheduler *scheduler, const struct weir_prompt *prompt,
                                  uint64_t salt, int32_t **ids, uint32_t *count,
                                  struct weir_error *err)
{
    const struct weir_tokenizer *tokenizer = scheduler->options.tokenizer;
    int32_t *plain = NULL, *known = NULL;
    size_t plain_count = 0, known_all = 0;
    uint64_t known_count;
    enum weir_status status;
    *ids = NULL;
    *count = 0;
    TRY(make_tokens(prompt, tokenizer, NULL, 0, &plain, &plain_count, err));
    TRY(copy_known(scheduler, salt, plain, plain_count, &known, &known_count, err));
    if (known != NULL) {
        TRY(make_tokens(prompt, tokenizer, known, known_count, ids, &known_all, err));
    } else {
        *ids = plain;
        known_all = plain_count;
        plain = NULL;
    }
    if (known_all > UINT32_MAX)
        TRY(err_set(err, WEIR_ERR_FULL, "a prompt of %zu tokens", known_all));
    *count = (uint32_t)known_all;
out:
    if (status != WEIR_OK) {
        mem_free(*ids);
        *ids = NULL;
    }
    mem_free(plain);
    mem_free(known);
    return status;
}
