/* SPDX-License-Identifier: MIT
 * Tokens a second of the scheduler by slots, all of them generating:
 *     bench-serve MODEL [DRAFTS [THREADS [SLOTS...]]]
 * Prints for each number of slots the tokens a second of all, and of processor time (with one
 * thread also of use where others work on the machine), the share of the time that is not the
 * engine's steps (sampling, texts, events), and how many drafts were accepted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/rng.h"
#include "serve/scheduler.h"

enum { SLOTS_MAX = 64, PROMPT = 32, WARM = 8, TOKENS = 64 };

static void die(const char *what, const struct weir_error *err)
{
    fprintf(stderr, "%s: %s\n", what, err->text);
    exit(1);
}

static double processor_seconds(void)
{
    struct timespec used;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

static struct job *start(struct scheduler *scheduler, uint32_t number)
{
    const uint32_t vocab = weir_engine_vocab(scheduler_engine(scheduler));
    int32_t ids[PROMPT];
    struct job_options options = {
        .ids = ids, .count = PROMPT, .tokens_max = TOKENS, .slot = -1, .reasoning_budget = -1};
    struct weir_error err = {0};
    struct job *job;
    uint32_t retry_s;
    for (uint32_t i = 0; i < PROMPT; i++)
        ids[i] = (int32_t)(rng_bits(1, number, i) % (vocab < 10000 ? vocab : 10000));
    weir_sampler_options_init(&options.sampler);
    options.sampler.seed = number;
    options.sampler.ignore_eos = true;
    if (job_open(&job, scheduler, &options, &retry_s, &err) != WEIR_OK)
        die("job", &err);
    return job;
}

/* Hears the job until it has said so many tokens in all; false when it is over. */
static bool hear(struct job *job, uint32_t tokens)
{
    struct job_event event;
    while (job_wait(job, clock_ns() + 600000000000, &event)) {
        if (event.kind == JOB_END)
            return false;
        if (event.kind == JOB_TEXT && event.timings.tokens >= tokens)
            return true;
    }
    return false;
}

/* From when all have said WARM tokens until the first is at its end. */
static void measure(struct scheduler *scheduler, uint32_t slots)
{
    struct job *jobs[SLOTS_MAX];
    struct scheduler_figures before, after;
    for (uint32_t i = 0; i < slots; i++)
        jobs[i] = start(scheduler, i);
    for (uint32_t i = slots; i-- > 0;)
        hear(jobs[i], WARM);
    const uint64_t begin = clock_ns();
    const double used_before = processor_seconds();
    scheduler_figures(scheduler, &before);
    hear(jobs[0], TOKENS);
    const double seconds = (double)(clock_ns() - begin) / 1e9;
    const double used = processor_seconds() - used_before;
    scheduler_figures(scheduler, &after);
    for (uint32_t i = 0; i < slots; i++)
        job_close(jobs[i]);
    const double steps = (double)(after.step_ns - before.step_ns) / 1e9;
    const double tokens = (double)(after.tokens - before.tokens);
    printf("%5u  %8.1f tok/s  %8.1f of processor time  %5.2f %% beside steps  %6.2f ms a step  "
           "%llu of %llu drafts\n",
           slots, tokens / seconds, tokens / used, 100 * (1 - steps / seconds),
           1e3 * steps / (double)(after.steps - before.steps), (unsigned long long)after.accepted,
           (unsigned long long)after.drafts);
}

static void run(struct weir_model *model, const struct weir_tokenizer *tokenizer,
                enum weir_draft_kind drafts, uint32_t threads, uint32_t slots)
{
    struct scheduler_options options = {
        .model = model,
        .tokenizer = tokenizer,
        .slots = slots,
        .queue_max = SLOTS_MAX,
        .cache_bytes_max = (uint64_t)1 << 30,
    };
    struct scheduler *scheduler;
    struct weir_error err = {0};
    weir_engine_options_init(&options.engine);
    weir_speculator_options_init(&options.speculator);
    options.engine.context = 1024;
    options.engine.threads = threads;
    options.speculator.kind = drafts;
    if (scheduler_open(&scheduler, &options, &err) != WEIR_OK)
        die("scheduler", &err);
    measure(scheduler, slots);
    fflush(stdout);
    scheduler_close(scheduler);
}

int main(int argc, char **argv)
{
    static const uint32_t usual[] = {1, 2, 4, 8, 16};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    if (argc < 2) {
        fprintf(stderr, "usage: bench-serve MODEL [none|mtp|ngram [THREADS [SLOTS...]]]\n");
        return 2;
    }
    const char *kind = argc > 2 ? argv[2] : "none";
    const enum weir_draft_kind drafts = strcmp(kind, "mtp") == 0     ? WEIR_DRAFT_MTP
                                        : strcmp(kind, "ngram") == 0 ? WEIR_DRAFT_NGRAM
                                                                     : WEIR_DRAFT_NONE;
    if (weir_model_open(&model, argv[1], NULL, &err) != WEIR_OK ||
        weir_tokenizer_open(&tokenizer, model, &err) != WEIR_OK)
        die(argv[1], &err);
    const uint32_t threads = argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0;
    for (int i = 4; i < argc; i++) {
        const long slots = strtol(argv[i], NULL, 10);
        if (slots >= 1 && slots <= SLOTS_MAX)
            run(model, tokenizer, drafts, threads, (uint32_t)slots);
    }
    for (size_t i = 0; argc <= 4 && i < sizeof usual / sizeof usual[0]; i++)
        run(model, tokenizer, drafts, threads, usual[i]);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
    return 0;
}
