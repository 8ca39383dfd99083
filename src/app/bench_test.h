/* SPDX-License-Identifier: MIT
 * One test of weir bench: a prompt, a generation, or one after the other, timed again and again. */
#ifndef APP_BENCH_TEST_H
#define APP_BENCH_TEST_H

#include "weir.h"

enum { BENCH_TEXT_MAX = 128, BENCH_DRAFTS_AUTO = -1 };

/* What is measured, and with what. Texts are borrowed. */
struct bench_test {
    const char *path;
    const char *backend;
    const char *model; /* "qwen35 0.8B Q4_K - Medium" */
    uint64_t model_bytes;
    uint64_t parameters;
    uint32_t batch;     /* tokens of one evaluation of a prompt */
    uint32_t step_rows; /* of a step */
    uint32_t threads;
    const char *cache_k, *cache_v; /* "f16" */
    const char *load;              /* "mmap" */
    const char *isa;               /* "v4" */
    bool is_packed, is_bound;      /* matrices by the engine, threads to processors */
    uint32_t prompt, generate;     /* tokens; one of them may be 0 */
    uint32_t depth;                /* tokens that the session holds before */
    const char *draft_kind;        /* "draft-mtp": generation goes by rounds; NULL: it does not */
    int32_t drafts;                /* of each round; BENCH_DRAFTS_AUTO: as many as help */
};

/* A test that was measured. */
struct bench_result {
    const struct bench_test *test;
    char time[24];        /* when it began, "2026-11-21T00:40:47Z" */
    uint64_t *samples_ns; /* of each repetition */
    uint32_t samples;
    uint64_t bytes;                     /* touched in one repetition: bench_count_bytes */
    struct weir_speculator_info rounds; /* of all repetitions, of a test that has them */
    char places[BENCH_TEXT_MAX];        /* percent of drafts accepted, by place: "91.4 80.2" */
};

struct bench_mean {
    double mean;
    double deviation; /* of the samples, n - 1 below the line; 0 for one */
};

struct bench_mean bench_mean_ns(const struct bench_result *result);
/* Tokens a second. */
struct bench_mean bench_mean_speed(const struct bench_result *result);
double bench_sample_speed(const struct bench_result *result, uint32_t sample);
/* GB a second by the bytes touched. */
double bench_gigabytes(const struct bench_result *result);

/* Of a test that has rounds: bytes of a token, and of a round the tokens, and the times of its
 * drafts and of its step. */
double bench_token_bytes(const struct bench_result *result);
double bench_round_tokens(const struct bench_result *result);
double bench_draft_ms(const struct bench_result *result);
double bench_verify_ms(const struct bench_result *result);

/* Sets result->bytes: what a repetition on such an engine touches, by the plan. */
enum weir_status bench_count_bytes(struct bench_result *result, const struct weir_engine *engine,
                                   struct weir_error *err);

/* Notes when the test begins. */
void bench_begin(struct bench_result *result);
/* `count` random tokens, the same each time; the caller frees them. */
enum weir_status bench_draw_tokens(int32_t **out, uint32_t count, const struct weir_engine *engine,
                                   struct weir_error *err);

/* Who is told what runs; sample 0 is the warm-up, 1 the first that counts. */
typedef void bench_progress_fn(void *user, uint32_t sample);

/* Runs the test on a session of the engine, with a warm-up of the whole prompt and one generated
 * token if `warmup`. The result's test and room for `samples` are set by the caller. */
enum weir_status bench_run(struct bench_result *result, const struct weir_engine *engine,
                           struct weir_session *session, bool warmup, bench_progress_fn *progress,
                           void *user, struct weir_error *err);

#endif
