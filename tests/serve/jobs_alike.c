/* SPDX-License-Identifier: MIT
 * What a job says is what a session of its own would, whoever else runs. Run alone:
 * build/tests/weir-test serve_alike */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "serve/crew.h"

/* Ids that prompts are drawn from, and no sampler may choose: so no prompt goes on from a reply,
 * whose state was computed token by token. */
enum { PROMPT_FIRST = 512, PROMPT_IDS = 1024, BEGINS = 4, AT_ONCE = 10 };

struct draws {
    uint64_t stream, count;
};

static uint32_t draw(struct draws *draws, uint32_t below)
{
    return (uint32_t)(rng_bits(test_seed(), draws->stream, draws->count++) % below);
}

/* One that runs, and what it was asked. */
struct runner {
    struct job *job; /* NULL: none */
    struct job_options options;
    int32_t ids[CREW_CONTEXT];
    struct heard heard;
    bool is_cancelled;
};

struct trial {
    struct crew crew;
    struct draws draws;
    struct weir_logit_bias banned[PROMPT_IDS];
    int32_t begins[BEGINS][CREW_CONTEXT]; /* that prompts share */
    struct runner runners[AT_ONCE];
    uint32_t done, cached;
};

static int32_t draw_id(struct trial *trial)
{
    if (draw(&trial->draws, 40) == 0)
        return trial->crew.message_begin;
    return PROMPT_FIRST + (int32_t)draw(&trial->draws, PROMPT_IDS);
}

static void draw_prompt(struct trial *trial, struct runner *runner)
{
    static const uint32_t lengths[] = {4, 40, 200, 600};
    const uint32_t begin = draw(&trial->draws, BEGINS);
    const uint32_t shared = draw(&trial->draws, lengths[draw(&trial->draws, 4)]);
    const uint32_t count = shared + 1 + draw(&trial->draws, draw(&trial->draws, 2) ? 3 : 30);
    memcpy(runner->ids, trial->begins[begin], shared * sizeof *runner->ids);
    for (uint32_t i = shared; i < count; i++)
        runner->ids[i] = draw_id(trial);
    crew_job(&runner->options, runner->ids, count, draw(&trial->draws, 20));
}

static void start(struct trial *trial, struct runner *runner)
{
    static const char *const stops[] = {"e", "the", " w", "ing of"};
    struct draws *draws = &trial->draws;
    struct job_options *options = &runner->options;
    draw_prompt(trial, runner);
    options->sampler.biases = trial->banned;
    options->sampler.biases_count = PROMPT_IDS;
    options->sampler.temperature = draw(draws, 2) == 0 ? 0 : 1;
    options->sampler.repeat_penalty = draw(draws, 3) == 0 ? 1.2f : 1;
    options->sampler.seed = draw(draws, 1000);
    options->stops = stops + draw(draws, 3);
    options->stops_count = draw(draws, 3) == 0 ? draw(draws, 3) : 0;
    options->salt = draw(draws, 3);
    options->slot = draw(draws, 6) == 0 ? (int32_t)draw(draws, trial->crew.options.slots) : -1;
    options->no_cache = draw(draws, 8) == 0;
    options->wants_prompt = draw(draws, 6) == 0;
    options->wants_progress = draw(draws, 2) == 0;
    options->wants_logprobs = draw(draws, 4) == 0;
    options->logprobs = options->wants_logprobs ? draw(draws, 4) : 0;
    runner->is_cancelled = false;
    runner->heard = (struct heard){.count = 0};
    runner->job = crew_start(&trial->crew, options);
}

static void finish(struct trial *trial, struct runner *runner)
{
    struct heard expected = crew_expect(&trial->crew, &runner->options);
    char what[64];
    snprintf(what, sizeof what, "stream %llu, job %u", (unsigned long long)trial->draws.stream,
             trial->done);
    job_close(runner->job);
    runner->job = NULL;
    CHECK(runner->is_cancelled || runner->heard.end != JOB_CANCELLED);
    crew_check(&runner->heard, &expected, what);
    if (runner->options.no_cache || runner->options.wants_prompt)
        CHECK_INT(runner->heard.timings.cached_tokens, 0);
    trial->cached += runner->heard.timings.cached_tokens;
    trial->done++;
    heard_release(&runner->heard);
    heard_release(&expected);
}

/* Something happens to one of them. */
static void act(struct trial *trial)
{
    struct runner *runner = &trial->runners[draw(&trial->draws, AT_ONCE)];
    if (runner->job == NULL) {
        start(trial, runner);
        return;
    }
    if (draw(&trial->draws, 30) == 0) {
        job_cancel(runner->job);
        runner->is_cancelled = true;
    }
    const uint64_t patience_ns = draw(&trial->draws, 2) * 20000000;
    for (uint32_t i = draw(&trial->draws, 20); i > 0; i--) {
        if (!heard_take(&runner->heard, runner->job, clock_ns() + patience_ns))
            break;
    }
    if (runner->heard.is_over)
        finish(trial, runner);
}

/* Where each access is checked, a step takes ten times as long, and more where threads are watched
 * that wait for each other. */
#if defined(__SANITIZE_THREAD__)
enum { JOBS_SHARE = 5 };
#elif defined(__SANITIZE_ADDRESS__)
enum { JOBS_SHARE = 3 };
#else
enum { JOBS_SHARE = 1 };
#endif

static void run_trial(uint64_t stream, const char *backend, uint32_t slots,
                      enum weir_draft_kind drafts, uint32_t jobs)
{
    struct trial *trial = calloc(1, sizeof *trial);
    CHECK(trial != NULL);
    crew_init(&trial->crew);
    trial->draws.stream = stream;
    trial->crew.options.engine.backend = backend;
    trial->crew.options.slots = slots;
    trial->crew.options.engine.step_rows_max = 128 + 64 * draw(&trial->draws, 4);
    trial->crew.options.speculator.kind = drafts;
    trial->crew.options.speculator.ngram_size = 2;
    trial->crew.options.cache_bytes_max = draw(&trial->draws, 4) == 0 ? 0 : 16 << 20;
    crew_open(&trial->crew);
    for (int32_t i = 0; i < PROMPT_IDS; i++)
        trial->banned[i] = (struct weir_logit_bias){PROMPT_FIRST + i, -INFINITY};
    for (uint32_t i = 0; i < BEGINS * CREW_CONTEXT; i++)
        trial->begins[i / CREW_CONTEXT][i % CREW_CONTEXT] = draw_id(trial);
    while (trial->done < jobs / JOBS_SHARE)
        act(trial);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        job_close(trial->runners[i].job);
    for (uint32_t i = 0; i < AT_ONCE; i++)
        heard_release(&trial->runners[i].heard);
    crew_close(&trial->crew);
    free(trial);
}

TEST(serve_alike_one_slot)
{
    run_trial(1, "cpu", 1, WEIR_DRAFT_NONE, 60);
}

TEST(serve_alike_three_slots)
{
    run_trial(2, "cpu", 3, WEIR_DRAFT_NONE, 120);
}

TEST(serve_alike_ten_slots)
{
    run_trial(6, "cpu", 10, WEIR_DRAFT_NONE, 100);
}

TEST(serve_alike_mtp)
{
    run_trial(3, "cpu", 2, WEIR_DRAFT_MTP, 100);
}

TEST(serve_alike_five_slots_mtp)
{
    run_trial(7, "cpu", 5, WEIR_DRAFT_MTP, 120);
}

TEST(serve_alike_ngrams)
{
    run_trial(4, "cpu", 2, WEIR_DRAFT_NGRAM, 100);
}

TEST(serve_alike_reference)
{
    test_skip_if_sanitized();
    run_trial(5, "ref", 4, WEIR_DRAFT_NONE, 24);
}
