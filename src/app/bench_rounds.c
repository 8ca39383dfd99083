/* SPDX-License-Identifier: MIT
 * Times generation by rounds of a fixed number of drafts, or of as many as help. Knows no flag and
 * no format. */
#include "app/bench_rounds.h"

#include <stdio.h>

#include "app/bill.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"

struct run {
    struct weir_speculator_options options;
    struct weir_session *session;
    uint32_t depth;
    const int32_t *tokens; /* [depth + 1] */
    struct weir_sampler *sampler;
};

/* ---- running --------------------------------------------------------------------------------- */

static void add_rounds(struct weir_speculator_info *sum, const struct weir_speculator_info *more)
{
    sum->rounds += more->rounds;
    sum->tokens += more->tokens;
    sum->drafts += more->drafts;
    sum->accepted += more->accepted;
    sum->draft_ns += more->draft_ns;
    sum->step_ns += more->step_ns;
    for (uint32_t i = 0; i < WEIR_DRAFTS_MAX; i++) {
        sum->made_at[i] += more->made_at[i];
        sum->accepted_at[i] += more->accepted_at[i];
    }
    for (uint32_t i = 0; i < WEIR_ROUND_TOKENS_MAX; i++)
        sum->rounds_of[i] += more->rounds_of[i];
}

static enum weir_status generate(const struct run *run, struct weir_speculator *speculator,
                                 uint32_t tokens, struct weir_error *err)
{
    int32_t last = run->tokens[run->depth], out[WEIR_ROUND_TOKENS_MAX];
    enum weir_status status = WEIR_OK;
    for (uint32_t done = 0, count; done < tokens && status == WEIR_OK; done += count) {
        status =
            weir_speculator_round(speculator, run->sampler, last, tokens - done, out, &count, err);
        last = status == WEIR_OK ? out[count - 1] : last;
    }
    return status;
}

static struct weir_speculator_options options_of(const struct run *run, int32_t drafts)
{
    struct weir_speculator_options options = run->options;
    if (drafts == 0)
        options.kind = WEIR_DRAFT_NONE;
    options.fixed = drafts > 0;
    if (drafts > 0)
        options.drafts_max = (uint32_t)drafts;
    return options;
}

/* A prompt of all tokens but the newest, then `tokens` more, which are timed. */
static enum weir_status measure(const struct run *run, int32_t drafts, uint32_t tokens,
                                uint64_t *ns, struct weir_speculator_info *sum,
                                struct weir_error *err)
{
    const struct weir_speculator_options options = options_of(run, drafts);
    struct weir_speculator *speculator = NULL;
    struct weir_speculator_info rounds;
    enum weir_status status;
    weir_session_reset(run->session);
    TRY(weir_speculator_open(&speculator, run->session, &options, err));
    if (run->depth > 0)
        TRY(weir_speculator_prompt(speculator, run->tokens, run->depth, WEIR_LOGITS_NONE, err));
    const uint64_t start = clock_ns();
    TRY(generate(run, speculator, tokens, err));
    *ns = clock_ns() - start;
    *ns += *ns == 0; /* a clock too coarse to see it */
    weir_speculator_info(speculator, &rounds);
    add_rounds(sum, &rounds);
out:
    weir_speculator_close(speculator);
    return status;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* What the rounds of one repetition touch, as if all were in the middle of it. */
static enum weir_status count_bytes(struct bench_result *result, enum weir_draft_kind kind,
                                    const struct weir_engine *engine, struct weir_error *err)
{
    const struct round_makers makers = {.engine = engine, .kind = kind};
    const uint32_t cached = result->test->depth + result->test->generate / 2;
    struct weir_traffic sum = {{0}, {0}};
    const enum weir_status status = round_bytes_add(&sum, &makers, cached, &result->rounds, err);
    result->bytes = bill_bytes(&sum) / result->samples;
    return status;
}

/* ---- acceptance ------------------------------------------------------------------------------ */

/* As far as there were drafts. */
static void write_places(struct bench_result *result)
{
    const struct weir_speculator_info *rounds = &result->rounds;
    size_t at = 0;
    for (uint32_t i = 0; i < WEIR_DRAFTS_MAX && rounds->made_at[i] > 0; i++)
        at += (size_t)snprintf(result->places + at, sizeof result->places - at, "%s%.1f",
                               i == 0 ? "" : " ",
                               100 * (double)rounds->accepted_at[i] / (double)rounds->made_at[i]);
}
_Static_assert(WEIR_DRAFTS_MAX * sizeof "100.0" <= BENCH_TEXT_MAX, "all places have room");

/* ---- the whole ------------------------------------------------------------------------------- */

static enum weir_status open_sampler(struct weir_sampler **out, const struct weir_engine *engine,
                                     struct weir_error *err)
{
    struct weir_sampler_options options;
    weir_sampler_options_init(&options);
    options.temperature = 0;
    return weir_sampler_open(out, &options, weir_engine_vocab(engine), weir_engine_context(engine),
                             NULL, err);
}

/* A repetition of each test. */
static enum weir_status measure_all(const struct run *run, struct bench_result *results,
                                    uint32_t count, uint32_t sample, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++) {
        const struct bench_test *test = results[i].test;
        status = measure(run, test->drafts, test->generate, &results[i].samples_ns[sample],
                         &results[i].rounds, err);
    }
    return status;
}

static enum weir_status warm_up(const struct run *run, const struct bench_result *results,
                                uint32_t count, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++) {
        struct weir_speculator_info ignored = {0};
        uint64_t ns;
        status =
            measure(run, results[i].test->drafts, 1 + run->options.drafts_max, &ns, &ignored, err);
    }
    return status;
}

enum weir_status bench_run_rounds(struct bench_result *results, uint32_t count,
                                  const struct bench_drafts *drafts,
                                  const struct weir_engine *engine, struct weir_session *session,
                                  bool warmup, bench_progress_fn *progress, void *user,
                                  struct weir_error *err)
{
    struct run run = {
        .options = drafts->options, .session = session, .depth = results[0].test->depth};
    int32_t *random = NULL;
    enum weir_status status;
    for (uint32_t i = 0; i < count; i++)
        bench_begin(&results[i]);
    TRY(bench_draw_tokens(&random, run.depth + 1, engine, err));
    run.tokens = drafts->text != NULL ? drafts->text : random;
    TRY(open_sampler(&run.sampler, engine, err));
    if (warmup) {
        progress(user, 0);
        TRY(warm_up(&run, results, count, err));
    }
    for (uint32_t i = 0; i < results[0].samples; i++) {
        progress(user, i + 1);
        TRY(measure_all(&run, results, count, i, err));
    }
    for (uint32_t i = 0; i < count; i++) {
        write_places(&results[i]);
        TRY(count_bytes(&results[i], run.options.kind, engine, err));
    }
out:
    weir_sampler_close(run.sampler);
    mem_free(random);
    return status;
}
