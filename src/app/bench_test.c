/* SPDX-License-Identifier: MIT
 * Times a test by the method of llama-bench: tokens are random ids, nothing is sampled, a generated
 * token is one step with its logits. Knows no flag and no format. */
#include "app/bench_test.h"

#include <math.h>
#include <time.h>

#include "app/bill.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/rng.h"

enum { TOKEN_SEED = 1 };

/* ---- statistics ------------------------------------------------------------------------------ */

double bench_sample_speed(const struct bench_result *result, uint32_t sample)
{
    const struct bench_test *test = result->test;
    const double tokens = (double)test->prompt + (double)test->generate;
    return tokens * 1e9 / (double)result->samples_ns[sample];
}

static double sample_ns(const struct bench_result *result, uint32_t sample)
{
    return (double)result->samples_ns[sample];
}

static struct bench_mean mean_of(const struct bench_result *result,
                                 double (*value)(const struct bench_result *, uint32_t))
{
    struct bench_mean mean = {0, 0};
    double squares = 0;
    for (uint32_t i = 0; i < result->samples; i++)
        mean.mean += value(result, i) / result->samples;
    for (uint32_t i = 0; i < result->samples; i++)
        squares += (value(result, i) - mean.mean) * (value(result, i) - mean.mean);
    if (result->samples > 1)
        mean.deviation = sqrt(squares / (result->samples - 1));
    return mean;
}

struct bench_mean bench_mean_ns(const struct bench_result *result)
{
    return mean_of(result, sample_ns);
}

struct bench_mean bench_mean_speed(const struct bench_result *result)
{
    return mean_of(result, bench_sample_speed);
}

double bench_gigabytes(const struct bench_result *result)
{
    return bill_rate(result->bytes, bench_mean_ns(result).mean);
}

/* `number` by each of `count`; 0 if there are none. */
static double by_each(double number, uint64_t count)
{
    return count == 0 ? 0 : number / (double)count;
}

double bench_token_bytes(const struct bench_result *result)
{
    return by_each((double)result->bytes, result->test->generate);
}

double bench_round_tokens(const struct bench_result *result)
{
    return by_each((double)result->rounds.tokens, result->rounds.rounds);
}

double bench_draft_ms(const struct bench_result *result)
{
    return by_each((double)result->rounds.draft_ns / 1e6, result->rounds.rounds);
}

double bench_verify_ms(const struct bench_result *result)
{
    return by_each((double)result->rounds.step_ns / 1e6, result->rounds.rounds);
}

/* ---- bytes ----------------------------------------------------------------------------------- */

enum weir_status bench_count_bytes(struct bench_result *result, const struct weir_engine *engine,
                                   struct weir_error *err)
{
    const struct bench_test *test = result->test;
    struct weir_traffic sum = {{0}, {0}};
    uint32_t cached = test->depth;
    enum weir_status status = WEIR_OK;
    for (uint32_t done = 0; done < test->prompt;) {
        const uint32_t left = test->prompt - done;
        const uint32_t piece = left < test->batch ? left : test->batch;
        TRY(weir_engine_traffic(engine, cached, piece, WEIR_LOGITS_LAST, &sum, err));
        done += piece;
        cached += piece;
    }
    for (uint32_t i = 0; i < test->generate; i++)
        TRY(weir_engine_traffic(engine, cached++, 1, WEIR_LOGITS_LAST, &sum, err));
    result->bytes = bill_bytes(&sum);
out:
    return status;
}

/* ---- running --------------------------------------------------------------------------------- */

struct run {
    const struct bench_test *test;
    struct weir_session *session;
    int32_t *tokens; /* as many as the longest part has */
};

/* A prompt goes in pieces of a batch, each of which ends with logits. */
static enum weir_status eval_prompt(const struct run *run, uint32_t count, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t done = 0; done < count && status == WEIR_OK;) {
        const uint32_t left = count - done, batch = run->test->batch;
        const uint32_t piece = left < batch ? left : batch;
        status = weir_session_eval(run->session, run->tokens + done, piece, WEIR_LOGITS_LAST, err);
        done += piece;
    }
    return status;
}

static enum weir_status generate(const struct run *run, uint32_t count, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count && status == WEIR_OK; i++)
        status = weir_session_eval(run->session, run->tokens + i, 1, WEIR_LOGITS_LAST, err);
    return status;
}

static enum weir_status warm_up(const struct run *run, struct weir_error *err)
{
    enum weir_status status;
    weir_session_reset(run->session);
    TRY(eval_prompt(run, run->test->prompt, err));
    TRY(generate(run, run->test->generate > 0, err));
out:
    return status;
}

static enum weir_status measure(const struct run *run, uint64_t *ns, struct weir_error *err)
{
    enum weir_status status;
    weir_session_reset(run->session);
    TRY(eval_prompt(run, run->test->depth, err));
    const uint64_t start = clock_ns();
    TRY(eval_prompt(run, run->test->prompt, err));
    TRY(generate(run, run->test->generate, err));
    *ns = clock_ns() - start;
    *ns += *ns == 0; /* a clock too coarse to see it */
out:
    return status;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void bench_begin(struct bench_result *result)
{
    const time_t now = time(NULL);
    strftime(result->time, sizeof result->time, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
}

enum weir_status bench_draw_tokens(int32_t **out, uint32_t count, const struct weir_engine *engine,
                                   struct weir_error *err)
{
    const uint32_t vocab = weir_engine_vocab(engine);
    *out = mem_alloc(count, sizeof **out, err);
    if (*out == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        (*out)[i] = (int32_t)(rng_bits(TOKEN_SEED, 0, i) % vocab);
    return WEIR_OK;
}

enum weir_status bench_run(struct bench_result *result, const struct weir_engine *engine,
                           struct weir_session *session, bool warmup, bench_progress_fn *progress,
                           void *user, struct weir_error *err)
{
    const struct bench_test *test = result->test;
    struct run run = {.test = test, .session = session};
    enum weir_status status;
    bench_begin(result);
    TRY(bench_draw_tokens(&run.tokens, larger(larger(test->prompt, test->generate), test->depth),
                          engine, err));
    if (warmup) {
        progress(user, 0);
        TRY(warm_up(&run, err));
    }
    for (uint32_t i = 0; i < result->samples; i++) {
        progress(user, i + 1);
        TRY(measure(&run, &result->samples_ns[i], err));
    }
out:
    mem_free(run.tokens);
    return status;
}
