/* SPDX-License-Identifier: MIT
 * A job in its slot: how it begins, what it says, how it ends. Knows not what else is in a step. */
#include "serve/running.h"

#include <math.h>
#include <stdio.h>

#include "base/clock.h"
#include "serve/picks.h"

/* ---- events ---------------------------------------------------------------------------------- */

/* Under the lock. The owner learns of it at once. */
static struct job_event *add_event(struct job *job, enum job_kind kind, uint32_t slot)
{
    struct job_event *event = job_events_add(&job->events, kind);
    event->slot = slot;
    event->timings = job->timings;
    pthread_cond_signal(job->ready);
    return event;
}

/* Under the lock. */
static void show_slot(struct scheduler *scheduler, const struct slot *slot)
{
    struct slot_info *info = &scheduler->infos[slot->id];
    info->held = weir_session_position(slot->session);
    info->is_busy = slot->job != NULL;
    if (slot->job != NULL) {
        info->job = slot->job->number;
        info->timings = slot->job->timings;
    }
    if (info->held > scheduler->figures.tokens_max)
        scheduler->figures.tokens_max = info->held;
}

/* ---- end ------------------------------------------------------------------------------------- */

static const char *end_name(enum job_end end)
{
    static const char *const names[] = {
        [JOB_STOP_TOKEN] = "the model ended it",
        [JOB_STOP_TEXT] = "it came to a text to stop at",
        [JOB_LENGTH] = "it has the length that was asked for",
        [JOB_FULL] = "the context is full",
        [JOB_TIMEOUT] = "its time was up",
        [JOB_CANCELLED] = "the server ends",
        [JOB_FAILED] = "it failed",
    };
    return names[end];
}

static const char *plural(uint32_t count)
{
    return count == 1 ? "" : "s";
}

/* What of the prompt was there, or nothing. */
static const char *known_part(const struct slot *slot, char *out, size_t size)
{
    const uint32_t count = slot->job->timings.cached_tokens;
    if (count == 0)
        return "";
    snprintf(out, size, " (%u known from %s)", count, slot_source_name(slot->source));
    return out;
}

static void log_job(const struct scheduler *scheduler, const struct slot *slot, enum job_end end)
{
    const struct job *job = slot->job;
    const struct job_timings *timings = &job->timings;
    const uint32_t prompt = timings->prompt_tokens, reply = timings->tokens;
    char known[64];
    scheduler_say(scheduler, end == JOB_FAILED ? WEIR_LOG_ERROR : WEIR_LOG_INFO,
                  "job %llu: waited %.2f s for slot %u; prompt of %u token%s%s in %.2f s; answer "
                  "of %u token%s in %.2f s; %s%s%s",
                  (unsigned long long)job->number, (double)timings->wait_ns / 1e9, slot->id, prompt,
                  plural(prompt), known_part(slot, known, sizeof known),
                  (double)timings->prompt_ns / 1e9, reply, plural(reply),
                  (double)timings->reply_ns / 1e9,
                  job->is_given_up ? "nobody waits for it any more" : end_name(end),
                  end == JOB_FAILED ? ": " : "", end == JOB_FAILED ? job->err.text : "");
}

/* Under the lock; its owner may free the job at once behind it. */
static void end_job(struct scheduler *scheduler, struct job *job, uint32_t slot, enum job_end end,
                    const char *stop, struct job_said said)
{
    const double share = 0.2; /* of the newest job in the mean */
    const double ns = (double)(job->timings.prompt_ns + job->timings.reply_ns);
    figures_add_job(&scheduler->figures, &job->timings, end);
    if (job->started_ns != 0) /* else it tells nothing of those that have run */
        scheduler->job_ns += (scheduler->job_ns == 0 ? 1 : share) * (ns - scheduler->job_ns);
    struct job_event *event = add_event(job, JOB_END, slot);
    job_events_set_text(&job->events, event, said.text, said.length);
    event->end = end;
    event->stop = stop;
    event->error = end == JOB_FAILED ? job->err.text : NULL;
    job->is_over = true;
    scheduler_wake(scheduler); /* somebody may wait for the slot */
    pthread_cond_broadcast(&scheduler->idle);
}

void running_refuse(struct scheduler *scheduler, struct job *job, enum job_end end)
{
    job->timings.wait_ns = clock_ns() - job->opened_ns;
    end_job(scheduler, job, 0, end, NULL, (struct job_said){.text = ""});
}

/* The session holds the prompt and what was said of it but the last token: a round may have gone
 * beyond. It marks the session before its first token, so the way back is there. A state behind the
 * prompt alone is of no use: a text that goes on from there would not be cut there by itself. */
static void settle(struct slot *slot)
{
    const struct job *job = slot->job;
    const uint32_t said = job->timings.tokens;
    const uint32_t wanted = job->options.count + said - 1;
    if (said > 0 && weir_session_position(slot->session) > wanted)
        weir_session_rewind(slot->session, wanted, NULL);
    weir_session_unmark(slot->session);
    if (slot->phase == SLOT_REPLY && said <= 1)
        slot_return(slot);
}

void running_end(struct scheduler *scheduler, struct slot *slot, enum job_end end, const char *stop)
{
    struct job *job = slot->job;
    const bool is_prompt = slot->phase == SLOT_PROMPT && !job->options.no_cache;
    settle(slot);
    if (is_prompt && end != JOB_FAILED)
        slot_keep(scheduler, slot); /* who asks again goes on from here */
    if (job->read_ns == 0)
        job->timings.prompt_ns = clock_ns() - job->started_ns;
    log_job(scheduler, slot, end);
    job_release(job);
    const struct job_said said = job_text_finish(&job->text);
    if (job->options.no_cache || end == JOB_FAILED)
        slot_clear(scheduler, slot);
    slot->phase = SLOT_IDLE;
    slot->rows = 0;
    pthread_mutex_lock(&scheduler->lock);
    show_slot(scheduler, slot);
    slot->job = NULL;
    scheduler->infos[slot->id].is_busy = false;
    scheduler->figures.running--;
    end_job(scheduler, job, slot->id, end, stop, said);
    pthread_mutex_unlock(&scheduler->lock);
}

void running_fail(struct scheduler *scheduler, struct slot *slot, const struct weir_error *err)
{
    slot->job->err = *err;
    running_end(scheduler, slot, JOB_FAILED, NULL);
}

/* ---- begin ----------------------------------------------------------------------------------- */

static void note_text(struct scheduler *scheduler, struct slot *slot, uint32_t held)
{
    const struct job_options *options = &slot->job->options;
    known_text_end(slot->text);
    slot->text = options->no_cache ? NULL
                                   : known_texts_begin(&scheduler->texts, options->salt,
                                                       options->ids, options->count);
    for (uint32_t i = 0; i < slot->cuts.count && slot->cuts.at[i] <= held; i++)
        known_text_keep(slot->text, slot->cuts.at[i]);
}

/* How much of the prompt is read. What is said behind it comes of its last token, which tells
 * nothing of those before it. */
static uint32_t prompt_end(const struct slot *slot)
{
    const struct job_options *options = &slot->job->options;
    if (options->tokens_max > 0)
        return options->count;
    if (options->wants_prompt)
        return options->count - 1;
    return slot->cuts.count > 0 ? slot->cuts.at[slot->cuts.count - 1] : 0;
}

void running_begin(struct scheduler *scheduler, struct slot *slot, struct job *job)
{
    const struct job_options *options = &job->options;
    job->started_ns = clock_ns();
    slot = slot_prepare(scheduler, slot, job);
    if (slot->source == FROM_CACHE)
        slot_keep(scheduler, slot);
    const uint32_t held = weir_session_position(slot->session);
    slot->job = job;
    slot->phase = SLOT_PROMPT;
    slot->is_paused = false;
    slot->member = (struct company_member){.tried = 0};
    slot->used = ++scheduler->begun;
    slot->cuts = cuts_kept(options->ids, options->count, scheduler->message_begin);
    slot->end = prompt_end(slot);
    job->timings.prompt_tokens = options->count;
    job->timings.cached_tokens = held;
    job->timings.wait_ns = job->started_ns - job->opened_ns;
    pthread_mutex_lock(&scheduler->lock);
    note_text(scheduler, slot, held);
    add_event(job, JOB_STARTED, slot->id)->done = held;
    if (options->wants_prompt) {
        struct job_event *first = add_event(job, JOB_PROMPT, slot->id);
        first->id = options->ids[0];
        first->logprob = NAN;
    }
    show_slot(scheduler, slot);
    scheduler->figures.cached_tokens += held;
    pthread_mutex_unlock(&scheduler->lock);
    if (held >= slot->end)
        running_end(scheduler, slot, JOB_LENGTH, NULL);
}

/* ---- what a token becomes -------------------------------------------------------------------- */

/* Tells the tokens of the prompt that the rows of the step are about: each of the one behind it. */
static void tell_prompt(struct scheduler *scheduler, struct slot *slot, uint32_t position)
{
    struct job *job = slot->job;
    const uint32_t vocab = weir_engine_vocab(scheduler->engine);
    for (uint32_t row = 0; row < slot->rows; row++) {
        const uint32_t at = position - slot->rows + row + 1;
        if (at == job->options.count)
            break;
        pick_describe(slot, vocab, row, job->options.ids[at]);
        pthread_mutex_lock(&scheduler->lock);
        struct job_event *event = add_event(job, JOB_PROMPT, slot->id);
        event->id = slot->pick.id;
        event->done = at;
        event->logprob = slot->pick.logprob;
        job_events_set_likeliest(&job->events, event, job->likeliest, slot->pick.likeliest);
        pthread_mutex_unlock(&scheduler->lock);
    }
}

/* Tells the slot's pick, and what of the text is sure now. `each_ns` is what it took. */
static void tell_token(struct scheduler *scheduler, struct slot *slot, struct job_said said,
                       uint64_t each_ns)
{
    struct job *job = slot->job;
    const struct slot_pick *pick = &slot->pick;
    pthread_mutex_lock(&scheduler->lock);
    known_text_add(slot->text, pick->id);
    scheduler->figures.tokens++;
    if (job->timings.tokens == 1)
        histogram_add(&scheduler->figures.first_token, job->said_ns - job->opened_ns, 1);
    else
        histogram_add(&scheduler->figures.between_tokens, each_ns, 1);
    struct job_event *event = add_event(job, JOB_TEXT, slot->id);
    event->id = pick->id;
    event->logprob = pick->logprob;
    job_events_set_likeliest(&job->events, event, job->likeliest, pick->likeliest);
    job_events_set_text(&job->events, event, said.text, said.length);
    show_slot(scheduler, slot);
    pthread_mutex_unlock(&scheduler->lock);
}

/* Whether the job ends with a token of which that was said. */
static bool is_end(const struct job *job, int32_t id, struct job_said said, enum job_end *end)
{
    *end = JOB_LENGTH;
    if (job_ends_at(job, id))
        *end = JOB_STOP_TOKEN;
    else if (said.stop != NULL)
        *end = JOB_STOP_TEXT;
    else if (job->timings.tokens < job->options.tokens_max)
        return false;
    return true;
}

/* Takes a token that was chosen, the slot's pick; false if the job ends with it. */
static bool say(struct scheduler *scheduler, struct slot *slot, uint64_t each_ns)
{
    struct job *job = slot->job;
    const int32_t id = slot->pick.id;
    struct job_said said = {.text = ""};
    enum job_end end;
    const bool may_stop = job->timings.tokens++ >= job->options.sampler.tokens_min;
    if (!job_ends_at(job, id))
        said = job_text_push(&job->text, id, may_stop);
    job->last = id;
    tell_token(scheduler, slot, said, each_ns);
    if (!is_end(job, id, said, &end))
        return true;
    running_end(scheduler, slot, end, said.stop);
    return false;
}

/* The time since the last tokens of the job, for each of so many. */
static uint64_t take_time(struct job *job, uint32_t count)
{
    const uint64_t now = clock_ns(), before = job->said_ns;
    job->said_ns = now;
    job->timings.reply_ns = now - job->read_ns;
    return (now - before) / count;
}

static void end_if_full(struct scheduler *scheduler, struct slot *slot)
{
    if (weir_session_position(slot->session) >= weir_engine_context(scheduler->engine))
        running_end(scheduler, slot, JOB_FULL, NULL);
}

/* A text that had to end before it was complete is none. True if the job goes on. */
static bool check_constraint(struct scheduler *scheduler, struct slot *slot)
{
    struct weir_error err = {0};
    if (!weir_sampler_is_cut(slot->job->sampler))
        return true;
    err_set(&err, WEIR_ERR_UNSUPPORTED,
            "the grammar became too ambiguous after %u tokens of the reply",
            slot->job->timings.tokens);
    running_fail(scheduler, slot, &err);
    return false;
}

/* The prompt is read: the first token comes from its last row. */
static void begin_reply(struct scheduler *scheduler, struct slot *slot)
{
    struct job *job = slot->job;
    struct weir_error err = {0};
    job->said_ns = job->read_ns = clock_ns();
    job->timings.prompt_ns = job->read_ns - job->started_ns;
    if (job->options.tokens_max == 0) {
        running_end(scheduler, slot, JOB_LENGTH, NULL);
        return;
    }
    slot->phase = SLOT_REPLY;
    if (job_begin_reply(job, &err) != WEIR_OK) {
        running_fail(scheduler, slot, &err);
        return;
    }
    pick_first(slot, weir_engine_vocab(scheduler->engine),
               job->options.wants_prompt ? slot->rows - 1 : 0);
    if (check_constraint(scheduler, slot) && say(scheduler, slot, take_time(job, 1)))
        end_if_full(scheduler, slot);
}

/* A round of drafts: ids[i] were chosen from the rows i. */
static void take_drafts(struct scheduler *scheduler, struct slot *slot, uint64_t alone_ns)
{
    struct job *job = slot->job;
    const uint32_t vocab = weir_engine_vocab(scheduler->engine);
    struct weir_error err = {0};
    int32_t ids[WEIR_ROUND_TOKENS_MAX];
    uint32_t count;
    if (weir_speculator_accept(slot->speculator, job->sampler, alone_ns, ids, &count, &err) !=
        WEIR_OK) {
        running_fail(scheduler, slot, &err);
        return;
    }
    company_hear(&scheduler->company, &slot->member, slot->rows - 1, count - 1);
    job->timings.drafts += slot->rows - 1;
    job->timings.accepted += count - 1;
    pthread_mutex_lock(&scheduler->lock);
    figures_add_round(&scheduler->figures, slot->rows - 1, count - 1);
    pthread_mutex_unlock(&scheduler->lock);
    if (!check_constraint(scheduler, slot))
        return;
    const uint64_t each_ns = take_time(job, count);
    for (uint32_t i = 0; i < count; i++) {
        pick_describe(slot, vocab, i, ids[i]);
        if (!say(scheduler, slot, each_ns))
            return;
    }
    end_if_full(scheduler, slot);
}

void running_take_round(struct scheduler *scheduler, struct slot *slot, uint64_t alone_ns)
{
    struct job *job = slot->job;
    if (slot->is_round) {
        take_drafts(scheduler, slot, alone_ns);
        return;
    }
    if (slot->speculator != NULL)
        weir_speculator_taken(slot->speculator, &job->last, 1, NULL);
    if (check_constraint(scheduler, slot) && say(scheduler, slot, take_time(job, 1)))
        end_if_full(scheduler, slot);
}

/* Behind a step of a part of the prompt. */
void running_take_part(struct scheduler *scheduler, struct slot *slot)
{
    struct job *job = slot->job;
    const uint32_t position = weir_session_position(slot->session);
    if (slot->speculator != NULL)
        weir_speculator_taken(slot->speculator, slot->tokens, slot->rows, NULL);
    if (!job->options.no_cache && cuts_keep(&slot->cuts, position))
        slot_keep(scheduler, slot);
    job->timings.prompt_ns = clock_ns() - job->started_ns;
    job->timings.read_tokens += slot->rows;
    if (job->options.wants_prompt)
        tell_prompt(scheduler, slot, position);
    pthread_mutex_lock(&scheduler->lock);
    scheduler->figures.prompt_tokens += slot->rows;
    if (job->options.wants_progress && job_events_room(&job->events) > WEIR_ROUND_TOKENS_MAX)
        add_event(job, JOB_PROGRESS, slot->id)->done = position;
    show_slot(scheduler, slot);
    pthread_mutex_unlock(&scheduler->lock);
    if (slot->is_last)
        begin_reply(scheduler, slot);
}
