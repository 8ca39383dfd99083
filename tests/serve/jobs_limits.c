/* SPDX-License-Identifier: MIT
 * Jobs that are refused, late, cancelled, not listened to, or fail, and what of it others notice:
 * nothing. Run alone: build/tests/weir-test serve_limits */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/clock.h"
#include "base/condition.h"
#include "base/mem.h"
#include "edited_model.h"
#include "serve/crew.h"
#include "serve/scheduler_room.h"

static const int32_t some[] = {300, 301, 302, 303, 304, 305, 306};
enum { SOME = sizeof some / sizeof some[0] };

/* A job that goes on for a while, since nothing ends it. */
static struct job_options long_job(const struct crew *crew)
{
    struct job_options options;
    (void)crew;
    crew_job(&options, some, SOME, 600);
    options.sampler.ignore_eos = true;
    return options;
}

/* Until it has said its first token. */
static void await_token(struct job *job)
{
    struct job_event event;
    do {
        CHECK(job_wait(job, UINT64_MAX / 2, &event));
        CHECK(event.kind != JOB_END);
    } while (event.kind != JOB_TEXT);
}

static enum job_end end_of(struct job *job)
{
    struct job_event event;
    do
        CHECK(job_wait(job, UINT64_MAX / 2, &event));
    while (event.kind != JOB_END);
    const enum job_end end = event.end;
    CHECK(!job_wait(job, clock_ns() + 1000, &event));
    job_close(job);
    return end;
}

/* What it says of when to come again. */
static uint32_t check_refused(struct crew *crew, const struct job_options *options,
                              enum weir_status expected)
{
    struct job *job;
    uint32_t retry_s;
    struct weir_error err = {0};
    CHECK_INT(job_open(&job, crew->scheduler, options, &retry_s, &err), expected);
    CHECK(job == NULL && err.text[0] != 0);
    CHECK_INT(retry_s > 0, expected == WEIR_ERR_FULL);
    return retry_s;
}

/* What a job took lately. */
static void set_mean(struct scheduler *scheduler, double ns)
{
    pthread_mutex_lock(&scheduler->lock);
    scheduler->job_ns = ns;
    pthread_mutex_unlock(&scheduler->lock);
}

TEST(serve_limits_refusals)
{
    static const char *const empty[] = {""};
    int32_t ids[CREW_CONTEXT + 1] = {0};
    struct crew crew;
    struct job_options options;
    crew_init(&crew);
    crew_open(&crew);
    crew_job(&options, ids, CREW_CONTEXT + 1, 1);
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    options.count = 0;
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    options.count = 1;
    ids[0] = CREW_VOCAB;
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    ids[0] = -1;
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    ids[0] = 1;
    options.slot = 2;
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    options.slot = -1;
    options.sampler.temperature = NAN;
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    options.sampler.temperature = 0;
    options.stops = empty;
    options.stops_count = 1;
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    options.stops_count = 0;
    options.reasoning_budget = 3; /* of what? */
    check_refused(&crew, &options, WEIR_ERR_ARGUMENT);
    crew_close(&crew);
}

/* A full context ends a text that nothing else ends. */
TEST(serve_limits_full_context)
{
    struct crew crew;
    enum { FULL = 200 };
    int32_t ids[FULL];
    struct job_options options;
    crew_init(&crew);
    crew.options.engine.context = FULL;
    crew_open(&crew);
    for (int32_t i = 0; i < FULL; i++)
        ids[i] = 300 + i % 100;
    for (uint32_t count = FULL - 2; count <= FULL; count++) {
        crew_job(&options, ids, count, 40);
        options.sampler.ignore_eos = true;
        struct heard heard = crew_run(&crew, &options), expected = crew_expect(&crew, &options);
        CHECK_INT(heard.end, JOB_FULL);
        CHECK_INT(heard.count, FULL - count + 1);
        crew_check(&heard, &expected, "a full context");
        heard_release(&heard);
        heard_release(&expected);
    }
    crew_close(&crew);
}

/* Two that want one slot wait while another is free: those that wait are no measure. */
TEST(serve_limits_queue_says_how_many)
{
    struct crew crew;
    struct job *jobs[3], *none;
    struct weir_error err = {0};
    uint32_t retry_s;
    crew_init(&crew);
    crew.options.engine.backend = "ref"; /* long jobs are to take long */
    crew.options.queue_max = 1;
    crew_open(&crew);
    struct job_options options = long_job(&crew);
    options.slot = 0;
    for (int i = 0; i < 3; i++)
        jobs[i] = crew_start(&crew, &options);
    CHECK_INT(job_open(&none, crew.scheduler, &options, &retry_s, &err), WEIR_ERR_FULL);
    CHECK_TEXT(err.text, "the queue is full: 3 answers run or wait, of at most 3");
    for (int i = 2; i >= 0; i--)
        job_close(jobs[i]);
    crew_close(&crew);
}

/* Of several jobs with one owner the first event of any is heard, whichever is looked at first, and
 * when all is said there is nothing to wait for. */
TEST(serve_limits_jobs_that_are_waited_for_together)
{
    enum { JOBS = 3, TOKENS_EACH = 20 };
    struct crew crew;
    struct job *jobs[JOBS];
    struct job_event event;
    pthread_cond_t ready;
    uint32_t which = JOBS - 1, counts[JOBS] = {0}, ends = 0;
    crew_init(&crew);
    crew.options.slots = 1; /* the others are silent meanwhile */
    crew_open(&crew);
    CHECK(condition_open(&ready));
    struct job_options options;
    crew_job(&options, some, SOME, TOKENS_EACH);
    options.sampler.ignore_eos = true;
    options.ready = &ready;
    for (int i = 0; i < JOBS; i++)
        jobs[i] = crew_start(&crew, &options);
    while (jobs_wait(jobs, JOBS, &which, UINT64_MAX / 2, &event)) {
        CHECK(which < JOBS);
        counts[which] += event.kind == JOB_TEXT;
        ends += event.kind == JOB_END;
        which++;
    }
    CHECK_INT(ends, JOBS);
    for (int i = 0; i < JOBS; i++) {
        CHECK_INT(counts[i], TOKENS_EACH);
        job_close(jobs[i]);
    }
    jobs[0] = crew_start(&crew, &options);
    job_close(jobs[0]); /* whose condition it shares with nobody now */
    options.tokens_max = 600;
    jobs[0] = crew_start(&crew, &options);
    await_token(jobs[0]);
    jobs[1] = crew_start(&crew, &options);
    which = 0;
    const uint64_t deadline_ns = clock_ns() + 1000000;
    CHECK(!jobs_wait(&jobs[1], 1, &which, deadline_ns, &event));
    CHECK(clock_ns() >= deadline_ns);
    job_close(jobs[1]);
    job_close(jobs[0]);
    pthread_cond_destroy(&ready);
    crew_close(&crew);
}

TEST(serve_limits_queue)
{
    struct crew crew;
    struct job *running, *waiting[2];
    struct scheduler_figures figures;
    crew_init(&crew);
    crew.options.engine.backend = "ref"; /* long jobs are to take long */
    crew.options.slots = 1;
    crew.options.queue_max = 2;
    crew_open(&crew);
    const struct job_options options = long_job(&crew);
    running = crew_start(&crew, &options);
    await_token(running);
    for (int i = 0; i < 2; i++)
        waiting[i] = crew_start(&crew, &options);
    check_refused(&crew, &options, WEIR_ERR_FULL);
    scheduler_figures(crew.scheduler, &figures);
    CHECK_INT(figures.running, 1);
    CHECK_INT(figures.waiting, 2);
    CHECK_INT(figures.refused, 1);
    set_mean(crew.scheduler, 5e9);
    job_cancel(waiting[0]);
    CHECK_INT(end_of(waiting[0]), JOB_CANCELLED);
    waiting[0] = crew_start(&crew, &options);
    CHECK_INT(check_refused(&crew, &options, WEIR_ERR_FULL), 16); /* three turns, one second more */
    job_close(waiting[0]);
    job_cancel(running);
    CHECK_INT(end_of(running), JOB_CANCELLED);
    await_token(waiting[1]);
    job_close(waiting[1]);
    scheduler_figures(crew.scheduler, &figures);
    CHECK_INT(figures.jobs[JOB_CANCELLED], 4);
    CHECK_INT(figures.running + figures.waiting, 0);
    crew_close(&crew);
}

static bool is_true(void *value)
{
    return *(const bool *)value;
}

struct erasing {
    struct scheduler *scheduler;
    struct slot_wish wish;
    enum weir_status status;
};

static void *erase(void *argument)
{
    struct erasing *erasing = argument;
    struct slot_outcome outcome;
    erasing->status = scheduler_slot_action(erasing->scheduler, &erasing->wish, &outcome, NULL);
    return NULL;
}

/* What is asked of a slot waits for its job, but not for ever, and not without end of others. */
TEST(serve_limits_actions_on_slots)
{
    struct crew crew;
    struct slot_outcome outcome;
    struct weir_error err = {0};
    bool is_gone = true;
    pthread_t thread;
    crew_init(&crew);
    crew.options.engine.backend = "ref"; /* long jobs are to take long */
    crew.options.slots = 1;
    crew.options.queue_max = 1;
    crew_open(&crew);
    const struct job_options options = long_job(&crew);
    struct job *job = crew_start(&crew, &options);
    await_token(job);
    const struct slot_wish gone = {.action = SLOT_ERASE, .is_gone = is_true, .user = &is_gone};
    CHECK_INT(scheduler_slot_action(crew.scheduler, &gone, &outcome, &err), WEIR_ERR_CANCELLED);
    struct erasing erasing = {.scheduler = crew.scheduler, .wish = {.action = SLOT_ERASE}};
    CHECK_INT(pthread_create(&thread, NULL, erase, &erasing), 0);
    for (bool is_there = false; !is_there;) {
        pthread_mutex_lock(&crew.scheduler->lock);
        is_there = crew.scheduler->requests != NULL;
        pthread_mutex_unlock(&crew.scheduler->lock);
    }
    err = (struct weir_error){.status = WEIR_OK};
    CHECK_INT(scheduler_slot_action(crew.scheduler, &gone, &outcome, &err), WEIR_ERR_FULL);
    CHECK(outcome.retry_s > 0);
    job_cancel(job);
    CHECK_INT(end_of(job), JOB_CANCELLED);
    pthread_join(thread, NULL);
    CHECK_INT(erasing.status, WEIR_OK);
    crew_close(&crew);
}

TEST(serve_limits_deadlines)
{
    struct crew crew;
    crew_init(&crew);
    crew.options.engine.backend = "ref"; /* long jobs are to take long */
    crew.options.slots = 1;
    crew_open(&crew);
    struct job_options options = long_job(&crew);
    options.deadline_ns = clock_ns() + 300000000;
    struct job *running = crew_start(&crew, &options);
    options.deadline_ns = clock_ns() + 20000000;
    struct job *waiting = crew_start(&crew, &options);
    CHECK_INT(end_of(waiting), JOB_TIMEOUT);
    CHECK_INT(end_of(running), JOB_TIMEOUT);
    crew_close(&crew);
}

/* Nobody hears the first, so it waits; the second is not kept from anything. */
TEST(serve_limits_slow_owner)
{
    struct crew crew;
    struct slot_info info;
    struct job_options quick;
    crew_init(&crew);
    crew_open(&crew);
    struct job_options options = long_job(&crew);
    options.deadline_ns = clock_ns() + 100000000000;
    struct job *slow = crew_start(&crew, &options);
    uint32_t before;
    do { /* until nothing more comes */
        scheduler_slot(crew.scheduler, 0, &info);
        before = info.timings.tokens;
        crew_job(&quick, some + 1, 3, 20);
        struct heard heard = crew_run(&crew, &quick), expected = crew_expect(&crew, &quick);
        crew_check(&heard, &expected, "beside a slow one");
        heard_release(&heard);
        heard_release(&expected);
        scheduler_slot(crew.scheduler, 0, &info);
    } while (info.timings.tokens != before || before == 0);
    CHECK(info.is_busy && info.timings.tokens < 600);
    uint32_t tokens = 0;
    struct job_event event;
    while (job_wait(slow, clock_ns() + 60000000000, &event) && event.kind != JOB_END)
        tokens += event.kind == JOB_TEXT;
    CHECK_INT(event.end, JOB_LENGTH);
    CHECK_INT(tokens, 600);
    job_close(slow);
    slow = crew_start(&crew, &options);
    await_token(slow);
    job_close(slow); /* cancelled, though its events are full or not */
    crew_close(&crew);
}

TEST(serve_limits_drain)
{
    struct crew crew;
    crew_init(&crew);
    crew.options.engine.backend = "ref"; /* long jobs are to take long */
    crew.options.slots = 1;
    crew_open(&crew);
    struct job_options options = long_job(&crew);
    struct job *endless = crew_start(&crew, &options);
    await_token(endless);
    struct job *waiting = crew_start(&crew, &options);
    scheduler_drain(crew.scheduler, clock_ns() + 20000000);
    check_refused(&crew, &options, WEIR_ERR_CANCELLED);
    CHECK_INT(end_of(endless), JOB_CANCELLED);
    CHECK_INT(end_of(waiting), JOB_CANCELLED);
    crew_close(&crew);
}

/* ---- failures -------------------------------------------------------------------------------- */

/* One token's row of the embedding is no number: who has that token fails, alone. */
TEST(serve_limits_failure_of_one)
{
    struct weir_engine_options engine;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct scheduler *scheduler;
    enum { BAD = 7 };
    int32_t bad[] = {1, 2, 3, 4, BAD, 5}, good[] = {1, 2, 3, 4, 5, 6};
    struct edited_model *edited = edited_open(test_data("golden/nanomoe-f32.gguf"));
    struct edited_tensor *rows = edited_find(edited, "token_embd.weight");
    edited_floats(rows)[BAD * rows->ne[0]] = NAN;
    const char *path = edited_write(edited, "one-nan.gguf");
    edited_close(edited);
    CHECK_OK(weir_model_open(&model, path, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&tokenizer, model, &err), &err);
    struct scheduler_options options = {
        .model = model, .tokenizer = tokenizer, .slots = 2, .queue_max = 4};
    weir_engine_options_init(&engine);
    engine.context = 256;
    options.engine = engine;
    weir_speculator_options_init(&options.speculator);
    CHECK_OK(scheduler_open(&scheduler, &options, &err), &err);
    for (int round = 0; round < 3; round++) {
        struct job_options job;
        struct job *jobs[2];
        uint32_t retry_s;
        crew_job(&job, good, 6, 40);
        const struct weir_logit_bias no_bad = {BAD, -INFINITY};
        job.sampler.biases = &no_bad;
        job.sampler.biases_count = 1;
        job.sampler.ignore_eos = true;
        CHECK_OK(job_open(&jobs[0], scheduler, &job, &retry_s, &err), &err);
        job.ids = bad;
        CHECK_OK(job_open(&jobs[1], scheduler, &job, &retry_s, &err), &err);
        CHECK_INT(end_of(jobs[1]), JOB_FAILED);
        CHECK_INT(end_of(jobs[0]), JOB_LENGTH);
    }
    scheduler_close(scheduler);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
}

/* A job from its beginning to its end; whatever memory is refused, all is given back. */
static void use_a_scheduler(void *argument)
{
    struct scheduler_options options = *(const struct scheduler_options *)argument;
    static const char *const stops[] = {"no such text"};
    struct scheduler *scheduler = NULL;
    struct job *job = NULL;
    struct job_options job_options;
    struct weir_error err = {0};
    uint32_t retry_s;
    crew_job(&job_options, some, SOME, 4);
    job_options.stops = stops;
    job_options.stops_count = 1;
    job_options.logprobs = 2;
    enum weir_status status = scheduler_open(&scheduler, &options, &err);
    if (status == WEIR_OK)
        status = job_open(&job, scheduler, &job_options, &retry_s, &err);
    if (status == WEIR_OK) {
        struct heard heard = crew_finish(job);
        CHECK(heard.end == JOB_LENGTH || heard.end == JOB_STOP_TOKEN || heard.end == JOB_FAILED);
        heard_release(&heard);
    }
    scheduler_close(scheduler);
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else if (status != WEIR_OK)
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
}

TEST(serve_limits_memory)
{
    struct crew crew;
    crew_init(&crew);
    crew_open(&crew);
    crew.options.log = NULL;
    crew.options.engine.context = 64;
    crew.options.engine.step_rows_max = 128;
    alloc_test(use_a_scheduler, &crew.options);
    crew_close(&crew);
}

/* ---- rules of replies ------------------------------------------------------------------------ */

TEST(serve_limits_constraint)
{
    static const char grammar_text[] = "root ::= [a-c]+ \"!\"";
    struct crew crew;
    struct job_options options;
    struct weir_grammar *grammar;
    struct weir_constraint *constraint;
    struct weir_error err = {0};
    crew_init(&crew);
    crew_open(&crew);
    CHECK_OK(weir_grammar_open_gbnf(&grammar, grammar_text, sizeof grammar_text - 1, &err), &err);
    CHECK_OK(weir_constraint_open(&constraint, grammar, crew.tokenizer, &err), &err);
    crew_job(&options, some, SOME, 40);
    options.constraint = constraint;
    options.sampler.temperature = 1;
    struct job *jobs[4];
    for (uint64_t i = 0; i < 4; i++) {
        options.sampler.seed = i;
        jobs[i] = crew_start(&crew, &options);
    }
    for (int i = 0; i < 4; i++) {
        struct heard heard = crew_finish(jobs[i]);
        enum weir_match match;
        CHECK_OK(weir_grammar_match(grammar, heard.text.data, heard.text.length, &match, &err),
                 &err);
        CHECK_INT(match, heard.end == JOB_STOP_TOKEN ? WEIR_MATCH_WHOLE : WEIR_MATCH_PREFIX);
        heard_release(&heard);
    }
    weir_constraint_close(constraint);
    weir_grammar_close(grammar);
    crew_close(&crew);
}

/* One letter is likelier than all else together. */
static struct job *start_letters(struct crew *crew, struct weir_constraint *constraint,
                                 const char *letters)
{
    enum { MOST = 2 };
    struct weir_logit_bias biases[MOST];
    struct job_options options;
    crew_job(&options, some, SOME, 400);
    options.constraint = constraint;
    for (uint32_t i = 0; i < MOST; i++)
        biases[i] = (struct weir_logit_bias){
            weir_tokenizer_find(crew->tokenizer, letters + i % strlen(letters), 1), 1000};
    options.sampler.biases = biases;
    options.sampler.biases_count = (uint32_t)strlen(letters);
    return crew_start(crew, &options);
}

/* A text that becomes too ambiguous fails alone: neither one beside it nor one that comes behind it
 * does, though all have one constraint. */
TEST(serve_limits_ambiguity_is_of_one)
{
    static const char grammar_text[] =
        "root ::= \"y\"{300} | \"x\"{100} p\n"
        "p ::= \"aaaaaaaaaaaaaaaaaaaaaaaa\" | \"a\" p \"b\" | \"a\" p \"c\"";
    for (int has_drafts = 0; has_drafts < 2; has_drafts++) {
        struct crew crew;
        struct weir_grammar *grammar;
        struct weir_constraint *constraint;
        struct weir_error err = {0};
        crew_init(&crew);
        crew.options.speculator.kind = has_drafts ? WEIR_DRAFT_NGRAM : WEIR_DRAFT_NONE;
        crew.options.speculator.ngram_size = 2;
        crew_open(&crew);
        CHECK_OK(weir_grammar_open_gbnf(&grammar, grammar_text, sizeof grammar_text - 1, &err),
                 &err);
        CHECK_OK(weir_constraint_open(&constraint, grammar, crew.tokenizer, &err), &err);
        struct job *whole = start_letters(&crew, constraint, "y");
        struct job *cut = start_letters(&crew, constraint, "xa");
        struct job *next = start_letters(&crew, constraint, "xa");
        CHECK_INT(end_of(cut), JOB_FAILED);
        CHECK_INT(end_of(next), JOB_FAILED);
        CHECK_INT(end_of(whole), JOB_STOP_TOKEN);
        weir_constraint_close(constraint);
        weir_grammar_close(grammar);
        crew_close(&crew);
    }
}

/* Reasoning that is ended, by its budget or by somebody. */
TEST(serve_limits_reasoning)
{
    struct crew crew;
    struct job_options options;
    struct heard heard;
    crew_init(&crew);
    crew_open(&crew);
    crew_job(&options, some, SOME, 60);
    options.sampler.ignore_eos = true;
    options.reasoning_mark = "</think>";
    options.reasoning_closing = " Enough.\n</think>\n\n";
    options.reasoning_budget = 3;
    heard = crew_run(&crew, &options);
    CHECK(strstr(heard.text.data, options.reasoning_closing) != NULL);
    heard_release(&heard);
    options.reasoning_budget = -1;
    struct job *job = crew_start(&crew, &options);
    heard = (struct heard){.count = 0};
    while (heard.count == 0)
        CHECK(heard_take(&heard, job, UINT64_MAX / 2));
    job_end_reasoning(job);
    job_end_reasoning(job);
    while (heard_take(&heard, job, UINT64_MAX / 2))
        ;
    job_close(job);
    char *first = strstr(heard.text.data, options.reasoning_closing);
    CHECK(first != NULL && strstr(first + 1, options.reasoning_closing) == NULL);
    heard_release(&heard);
    crew_close(&crew);
}

/* The likeliest of a greedy choice without penalties is the choice. */
TEST(serve_limits_logprobs)
{
    struct crew crew;
    struct job_options options;
    struct job_event event;
    uint32_t seen = 0;
    crew_init(&crew);
    crew_open(&crew);
    crew_job(&options, some, SOME, 10);
    options.logprobs = 5;
    struct job *job = crew_start(&crew, &options);
    while (job_wait(job, UINT64_MAX / 2, &event) && event.kind != JOB_END) {
        double sum = 0;
        if (event.kind != JOB_TEXT)
            continue;
        seen++;
        CHECK_INT(event.likeliest_count, 5);
        CHECK_INT(event.likeliest[0].id, event.id);
        CHECK(event.likeliest[0].logprob == event.logprob && event.logprob <= 0);
        for (uint32_t i = 0; i < 5; i++)
            sum += exp((double)event.likeliest[i].logprob);
        for (uint32_t i = 1; i < 5; i++)
            CHECK(event.likeliest[i].logprob <= event.likeliest[i - 1].logprob);
        CHECK(sum <= 1 + 1e-6);
    }
    CHECK(seen > 0);
    job_close(job);
    crew_close(&crew);
}

/* ---- threads --------------------------------------------------------------------------------- */

struct owner {
    struct crew *crew;
    uint32_t number;
    bool is_right;
};

static void *own(void *argument)
{
    struct owner *owner = argument;
    struct scheduler_figures figures;
    struct slot_info info;
    int32_t ids[8];
    owner->is_right = true;
    for (uint32_t i = 0; i < 6; i++) {
        struct job_options options;
        for (int32_t j = 0; j < 8; j++)
            ids[j] = 300 + (int32_t)owner->number * 50 + (int32_t)i + j;
        crew_job(&options, ids, 8, 6);
        struct job *job = crew_start(owner->crew, &options);
        if (i % 3 == 2)
            job_cancel(job);
        struct heard heard = crew_finish(job);
        owner->is_right &= heard.end != JOB_FAILED;
        heard_release(&heard);
        scheduler_figures(owner->crew->scheduler, &figures);
        scheduler_slot(owner->crew->scheduler, i % 2, &info);
    }
    return NULL;
}

TEST(serve_limits_many_owners)
{
    enum { OWNERS = 4 };
    struct crew crew;
    struct owner owners[OWNERS];
    pthread_t threads[OWNERS];
    crew_init(&crew);
    crew_open(&crew);
    for (uint32_t i = 0; i < OWNERS; i++) {
        owners[i] = (struct owner){.crew = &crew, .number = i};
        CHECK_INT(pthread_create(&threads[i], NULL, own, &owners[i]), 0);
    }
    for (uint32_t i = 0; i < OWNERS; i++) {
        pthread_join(threads[i], NULL);
        CHECK(owners[i].is_right);
    }
    crew_close(&crew);
}
