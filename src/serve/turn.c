/* SPDX-License-Identifier: MIT
 * Turns: what goes into a step of the engine and what comes out. Who generates has its tokens in
 * each step; prompts share what room there is, a part at a time. Runs on the scheduler's thread. */
#include <string.h>

#include "base/clock.h"
#include "serve/likeliest.h"
#include "serve/scheduler_room.h"

/* Of prompts in a step that others wait for: it takes them about as long as some of their own. */
enum { ROWS_BESIDE = CUT_ROWS_MIN };
static const double step_ns_aim = 5e8; /* within which a job can be cancelled */

/* ---- events ---------------------------------------------------------------------------------- */

/* Under the lock. The owner learns of it at once. */
static struct job_event *add_event(struct job *job, enum job_kind kind, uint32_t slot)
{
    struct job_event *event = job_events_add(&job->events, kind);
    event->slot = slot;
    event->timings = job->timings;
    pthread_cond_signal(&job->ready);
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
        [JOB_STOP_TEXT] = "a text to stop at",
        [JOB_LENGTH] = "all that was asked for",
        [JOB_FULL] = "the context is full",
        [JOB_TIMEOUT] = "out of time",
        [JOB_CANCELLED] = "cancelled",
        [JOB_FAILED] = "failed",
    };
    return names[end];
}

static void log_job(const struct scheduler *scheduler, const struct slot *slot, enum job_end end)
{
    const struct job *job = slot->job;
    const struct job_timings *timings = &job->timings;
    scheduler_say(scheduler, end == JOB_FAILED ? WEIR_LOG_ERROR : WEIR_LOG_INFO,
                  "job %llu, slot %u: prompt of %u tokens, %u of them from %s, in %.2f s; %u "
                  "tokens in %.2f s; waited %.2f s; %s%s%s",
                  (unsigned long long)job->number, slot->id, timings->prompt_tokens,
                  timings->cached_tokens, slot_source_name(slot->source),
                  (double)timings->prompt_ns / 1e9, timings->tokens,
                  (double)timings->reply_ns / 1e9, (double)timings->wait_ns / 1e9, end_name(end),
                  end == JOB_FAILED ? ": " : "", end == JOB_FAILED ? job->err.text : "");
}

/* Under the lock; its owner may free the job at once behind it. */
static void end_job(struct scheduler *scheduler, struct job *job, uint32_t slot, enum job_end end,
                    const char *stop, struct job_said said)
{
    const double share = 0.2; /* of the newest job in the mean */
    const double ns = (double)(job->timings.prompt_ns + job->timings.reply_ns);
    figures_add_job(&scheduler->figures, &job->timings, end);
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

void turn_refuse(struct scheduler *scheduler, struct job *job, enum job_end end)
{
    job->timings.wait_ns = clock_ns() - job->opened_ns;
    end_job(scheduler, job, 0, end, NULL, (struct job_said){.text = ""});
}

/* The session holds the prompt and what was said of it but the last token: a round may have gone
 * beyond. It marks the session before its first token, so the way back is there. */
static void settle(const struct slot *slot)
{
    const struct job *job = slot->job;
    const uint32_t said = job->timings.tokens > 0 ? job->timings.tokens - 1 : 0;
    const uint32_t wanted = job->options.count + said;
    if (slot->phase == SLOT_REPLY && weir_session_position(slot->session) > wanted)
        weir_session_rewind(slot->session, wanted, NULL);
    weir_session_unmark(slot->session);
}

void turn_end(struct scheduler *scheduler, struct slot *slot, enum job_end end, const char *stop)
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

static void fail(struct scheduler *scheduler, struct slot *slot, const struct weir_error *err)
{
    slot->job->err = *err;
    turn_end(scheduler, slot, JOB_FAILED, NULL);
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

void turn_begin(struct scheduler *scheduler, struct slot *slot, struct job *job)
{
    const struct job_options *options = &job->options;
    job->started_ns = clock_ns();
    slot = slot_prepare(scheduler, slot, job);
    const uint32_t held = weir_session_position(slot->session);
    slot->job = job;
    slot->phase = SLOT_PROMPT;
    slot->is_paused = false;
    slot->used = ++scheduler->begun;
    slot->cuts = cuts_kept(options->ids, options->count, scheduler->message_begin);
    slot->end = options->count;
    if (options->tokens_max == 0)
        slot->end = slot->cuts.count > 0 ? slot->cuts.at[slot->cuts.count - 1] : 0;
    job->timings.prompt_tokens = options->count;
    job->timings.cached_tokens = held;
    job->timings.wait_ns = job->started_ns - job->opened_ns;
    pthread_mutex_lock(&scheduler->lock);
    note_text(scheduler, slot, held);
    add_event(job, JOB_STARTED, slot->id)->done = held;
    show_slot(scheduler, slot);
    scheduler->figures.cached_tokens += held;
    pthread_mutex_unlock(&scheduler->lock);
    if (held >= slot->end)
        turn_end(scheduler, slot, JOB_LENGTH, NULL);
}

/* ---- what a token becomes -------------------------------------------------------------------- */

/* Tells the token, and what of the text is sure now. `each_ns` is what it took. */
static void tell_token(struct scheduler *scheduler, struct slot *slot, int32_t id,
                       const float *logits, struct job_said said, uint64_t each_ns)
{
    struct job *job = slot->job;
    uint32_t likeliest = 0;
    float logprob = 0;
    if (job->options.wants_logprobs || job->options.logprobs > 0)
        likeliest = likeliest_find(logits, weir_engine_vocab(scheduler->engine), id, &logprob,
                                   job->likeliest, job->options.logprobs);
    pthread_mutex_lock(&scheduler->lock);
    known_text_add(slot->text, id);
    scheduler->figures.tokens++;
    if (job->timings.tokens == 1)
        histogram_add(&scheduler->figures.first_token, job->said_ns - job->opened_ns, 1);
    else
        histogram_add(&scheduler->figures.between_tokens, each_ns, 1);
    struct job_event *event = add_event(job, JOB_TEXT, slot->id);
    event->id = id;
    event->logprob = logprob;
    job_events_set_likeliest(&job->events, event, job->likeliest, likeliest);
    job_events_set_text(&job->events, event, said.text, said.length);
    show_slot(scheduler, slot);
    pthread_mutex_unlock(&scheduler->lock);
}

/* Whether the job ends with a token of which that was said. */
static bool is_end(const struct scheduler *scheduler, const struct job *job, int32_t id,
                   struct job_said said, enum job_end *end)
{
    *end = JOB_LENGTH;
    if (weir_tokenizer_ends_generation(scheduler->options.tokenizer, id))
        *end = JOB_STOP_TOKEN;
    else if (said.stop != NULL)
        *end = JOB_STOP_TEXT;
    else if (job->timings.tokens < job->options.tokens_max)
        return false;
    return true;
}

/* Takes the tokens that were chosen, ids[i] from row i of the logits, up to one that ends the
 * job. */
static void say(struct scheduler *scheduler, struct slot *slot, const int32_t *ids, uint32_t count)
{
    const struct weir_tokenizer *tokenizer = scheduler->options.tokenizer;
    struct job *job = slot->job;
    const uint64_t now = clock_ns(), each_ns = (now - job->said_ns) / count;
    enum job_end end;
    job->said_ns = now;
    job->timings.reply_ns = now - job->read_ns;
    for (uint32_t i = 0; i < count; i++) {
        struct job_said said = {.text = ""};
        if (!weir_tokenizer_ends_generation(tokenizer, ids[i]))
            said = job_text_push(&job->text, ids[i]);
        job->timings.tokens++;
        job->last = ids[i];
        tell_token(scheduler, slot, ids[i], weir_session_logits(slot->session, i), said, each_ns);
        if (is_end(scheduler, job, ids[i], said, &end)) {
            turn_end(scheduler, slot, end, said.stop);
            return;
        }
    }
    if (weir_session_position(slot->session) >= weir_engine_context(scheduler->engine))
        turn_end(scheduler, slot, JOB_FULL, NULL);
}

/* A text that had to end before it was complete is none. True if the job goes on. */
static bool check_constraint(struct scheduler *scheduler, struct slot *slot)
{
    const struct weir_constraint *constraint = slot->job->options.constraint;
    struct weir_error err = {0};
    if (constraint == NULL || !weir_constraint_is_cut(constraint))
        return true;
    err_set(&err, WEIR_ERR_UNSUPPORTED,
            "the grammar became too ambiguous after %u tokens of the reply",
            slot->job->timings.tokens);
    fail(scheduler, slot, &err);
    return false;
}

static int32_t pick(struct job *job, const float *logits)
{
    const int32_t id = weir_sampler_pick(job->sampler, logits);
    weir_sampler_accept(job->sampler, id);
    return id;
}

/* The prompt is read: the first token comes from its last row. */
static void begin_reply(struct scheduler *scheduler, struct slot *slot)
{
    struct job *job = slot->job;
    struct weir_error err = {0};
    job->said_ns = job->read_ns = clock_ns();
    job->timings.prompt_ns = job->read_ns - job->started_ns;
    if (job->options.tokens_max == 0) {
        turn_end(scheduler, slot, JOB_LENGTH, NULL);
        return;
    }
    slot->phase = SLOT_REPLY;
    if (job_begin_reply(job, &err) != WEIR_OK) {
        fail(scheduler, slot, &err);
        return;
    }
    const int32_t id = pick(job, weir_session_logits(slot->session, 0));
    if (check_constraint(scheduler, slot))
        say(scheduler, slot, &id, 1);
}

/* Behind a step of tokens of the reply. */
static void end_round(struct scheduler *scheduler, struct slot *slot, uint64_t alone_ns)
{
    struct job *job = slot->job;
    struct weir_error err = {0};
    int32_t ids[WEIR_ROUND_TOKENS_MAX];
    uint32_t count = 1;
    if (slot->is_round) {
        if (weir_speculator_accept(slot->speculator, job->sampler, alone_ns, ids, &count, &err) !=
            WEIR_OK) {
            fail(scheduler, slot, &err);
            return;
        }
        job->timings.drafts += slot->rows - 1;
        job->timings.accepted += count - 1;
        pthread_mutex_lock(&scheduler->lock);
        figures_add_round(&scheduler->figures, slot->rows - 1, count - 1);
        pthread_mutex_unlock(&scheduler->lock);
    } else {
        ids[0] = pick(job, weir_session_logits(slot->session, 0));
        if (slot->speculator != NULL)
            weir_speculator_taken(slot->speculator, &job->last, 1, NULL);
    }
    if (check_constraint(scheduler, slot))
        say(scheduler, slot, ids, count);
}

/* Behind a step of a part of the prompt. */
static void end_part(struct scheduler *scheduler, struct slot *slot)
{
    struct job *job = slot->job;
    const uint32_t position = weir_session_position(slot->session);
    if (slot->speculator != NULL)
        weir_speculator_taken(slot->speculator, slot->tokens, slot->rows, NULL);
    if (!job->options.no_cache && cuts_keep(&slot->cuts, position))
        slot_keep(scheduler, slot);
    job->timings.prompt_ns = clock_ns() - job->started_ns;
    pthread_mutex_lock(&scheduler->lock);
    scheduler->figures.prompt_tokens += slot->rows;
    if (job->options.wants_progress && job_events_room(&job->events) > WEIR_ROUND_TOKENS_MAX)
        add_event(job, JOB_PROGRESS, slot->id)->done = position;
    show_slot(scheduler, slot);
    pthread_mutex_unlock(&scheduler->lock);
    if (slot->is_last)
        begin_reply(scheduler, slot);
}

/* ---- what goes into a step ------------------------------------------------------------------- */

/* Tokens of the reply: with drafts where the slot is alone. */
static bool begin_round(struct scheduler *scheduler, struct slot *slot, bool is_alone)
{
    struct job *job = slot->job;
    struct weir_error err = {0};
    slot->is_round = is_alone && slot->speculator != NULL;
    slot->tokens = &job->last;
    slot->rows = 1;
    if (!slot->is_round) {
        weir_session_unmark(slot->session);
        return true;
    }
    if (weir_speculator_draft(slot->speculator, job->last,
                              job->options.tokens_max - job->timings.tokens, &slot->tokens,
                              &slot->rows, &err) == WEIR_OK)
        return true;
    fail(scheduler, slot, &err);
    return false;
}

/* A part of the prompt of at most `rows` tokens. */
static bool begin_part(const struct scheduler *scheduler, struct slot *slot, uint32_t rows)
{
    const struct job_options *options = &slot->job->options;
    const uint32_t from = weir_session_position(slot->session);
    uint32_t cut = cuts_next(options->ids, slot->end, from, scheduler->message_begin);
    for (uint32_t i = 0; i < slot->cuts.count; i++)
        cut = slot->cuts.at[i] > from && slot->cuts.at[i] < cut ? slot->cuts.at[i] : cut;
    const uint32_t end = cuts_step_end(from, cut, rows);
    weir_session_unmark(slot->session);
    slot->tokens = options->ids + from;
    slot->rows = end - from;
    slot->is_last = end == slot->end;
    return slot->rows > 0;
}

static uint32_t add_item(struct scheduler *scheduler, const struct slot *slot, uint32_t count)
{
    const struct job_options *options = &slot->job->options;
    const enum weir_logits last =
        slot->is_last && options->tokens_max > 0 ? WEIR_LOGITS_LAST : WEIR_LOGITS_NONE;
    scheduler->items[count] = (struct weir_step_item){
        .session = slot->session,
        .tokens = slot->tokens,
        .count = slot->rows,
        .logits = slot->phase == SLOT_REPLY ? WEIR_LOGITS_ALL : last,
    };
    return count + 1;
}

/* Tokens of prompts in the step: what takes about step_ns_aim, if nobody waits for more. */
static uint32_t part_rows(const struct scheduler *scheduler, bool is_beside)
{
    if (is_beside)
        return ROWS_BESIDE;
    const double aim = scheduler->row_ns > 0 ? step_ns_aim / scheduler->row_ns : 0;
    if (aim == 0 || aim >= scheduler->rows_max)
        return scheduler->rows_max;
    return aim > CUT_ROWS_MIN ? (uint32_t)aim : CUT_ROWS_MIN;
}

/* Who generates is in each step; of prompts the one whose turn it is goes first. */
static uint32_t gather(struct scheduler *scheduler)
{
    const uint32_t slots = scheduler->options.slots;
    uint32_t count = 0, busy = 0, next = scheduler->turn;
    for (uint32_t i = 0; i < slots; i++) {
        scheduler->slots[i].rows = 0;
        busy += scheduler->slots[i].job != NULL;
    }
    for (uint32_t i = 0; i < slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->phase == SLOT_REPLY && !slot->is_paused &&
            begin_round(scheduler, slot, busy == 1))
            count = add_item(scheduler, slot, count);
    }
    uint32_t rows = part_rows(scheduler, count > 0);
    for (uint32_t i = 0; i < slots; i++) {
        struct slot *slot = &scheduler->slots[(scheduler->turn + i) % slots];
        if (slot->phase != SLOT_PROMPT || !begin_part(scheduler, slot, rows))
            continue;
        if (next == scheduler->turn)
            next = (slot->id + 1) % slots;
        rows -= slot->rows;
        count = add_item(scheduler, slot, count);
    }
    scheduler->turn = next;
    return count;
}

/* ---- the step -------------------------------------------------------------------------------- */

/* By its bits: what is no number must not be chosen from. */
static bool is_finite(const float *numbers, uint32_t count)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found == 0;
}

/* Of a step that has failed: whether the slot has what it should nevertheless, because only the
 * logits of others are no numbers. */
static bool is_sound(const struct scheduler *scheduler, const struct slot *slot)
{
    const uint32_t vocab = weir_engine_vocab(scheduler->engine);
    const bool is_first = slot->is_last && slot->job->options.tokens_max > 0;
    const uint32_t rows = slot->phase == SLOT_REPLY ? slot->rows : is_first;
    for (uint32_t row = 0; row < rows; row++) {
        const float *logits = weir_session_logits(slot->session, row);
        if (logits == NULL || !is_finite(logits, vocab))
            return false;
    }
    return true;
}

static void fail_slots(struct scheduler *scheduler, enum weir_status status,
                       const struct weir_error *err)
{
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->rows > 0 && (status != WEIR_ERR_FORMAT || !is_sound(scheduler, slot)))
            fail(scheduler, slot, err);
    }
}

/* What the step took, for the sizes of the next ones and for those who ask. */
static void count_step(struct scheduler *scheduler, uint64_t ns)
{
    const double share = 0.25; /* of the newest step in the mean */
    struct weir_traffic traffic = {{0}};
    uint32_t rows = 0, parts = 0, busy = 0;
    weir_engine_step_traffic(scheduler->engine, &traffic);
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        const struct slot *slot = &scheduler->slots[i];
        rows += slot->rows;
        parts += slot->phase == SLOT_PROMPT ? slot->rows : 0;
        busy += slot->rows > 0;
    }
    if (parts >= CUT_ALIGNMENT)
        scheduler->row_ns +=
            (scheduler->row_ns == 0 ? 1 : share) * ((double)ns / (double)rows - scheduler->row_ns);
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        const struct slot *slot = &scheduler->slots[i];
        if (slot->phase == SLOT_REPLY && slot->rows > 0)
            figures_share(slot->job->timings.bytes, &traffic, slot->rows, rows);
    }
    pthread_mutex_lock(&scheduler->lock);
    scheduler->figures.steps++;
    if (scheduler->cache != NULL)
        weir_cache_stats(scheduler->cache, &scheduler->figures.cache);
    scheduler->figures.busy_slots += busy;
    scheduler->figures.step_ns += ns;
    figures_share(scheduler->figures.bytes, &traffic, 1, 1);
    pthread_mutex_unlock(&scheduler->lock);
}

bool turn_take(struct scheduler *scheduler)
{
    struct weir_error err = {0};
    const uint32_t count = gather(scheduler);
    if (count == 0)
        return false;
    const uint64_t begin = clock_ns();
    const enum weir_status status =
        weir_engine_step(scheduler->engine, scheduler->items, count, &err);
    const uint64_t ns = clock_ns() - begin;
    if (status != WEIR_OK)
        fail_slots(scheduler, status, &err);
    else
        count_step(scheduler, ns);
    for (uint32_t i = 0; i < scheduler->options.slots; i++) {
        struct slot *slot = &scheduler->slots[i];
        if (slot->rows == 0)
            continue;
        if (slot->phase == SLOT_REPLY)
            end_round(scheduler, slot, count == 1 ? ns : 0);
        else
            end_part(scheduler, slot);
    }
    return true;
}
