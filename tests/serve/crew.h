/* SPDX-License-Identifier: MIT
 * What tests of the scheduler share: the shipped model behind a scheduler, jobs that are heard to
 * their end, and what a session of its own says to the same prompt. */
#ifndef TESTS_SERVE_CREW_H
#define TESTS_SERVE_CREW_H

#include "base/bytes.h"
#include "serve/scheduler.h"
#include "test.h"

enum { CREW_CONTEXT = 640, CREW_SAID_MAX = 64, CREW_VOCAB = 2048 };

/* Options as crew_init sets them and a test changes them before crew_open. */
struct crew {
    struct scheduler_options options;
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct scheduler *scheduler;
    struct weir_engine *lone_engine;
    struct weir_session *lone;
    int32_t message_begin;
    char log[1 << 16]; /* lines of the scheduler, one after the other */
    size_t log_length;
};

/* Two slots, a cache in memory, no drafts, the reference backend. */
void crew_init(struct crew *crew);
void crew_open(struct crew *crew);
void crew_close(struct crew *crew);

/* A prompt of ids[count] and no limits but tokens_max; greedy. */
void crew_job(struct job_options *options, const int32_t *ids, uint32_t count, uint32_t tokens_max);

/* What a job has told, or should. */
struct heard {
    int32_t ids[CREW_SAID_MAX];
    float logprobs[CREW_SAID_MAX];
    uint32_t count;
    float prompt[CREW_CONTEXT]; /* logprobs of the prompt's tokens */
    uint32_t prompt_count;
    struct bytes text;
    uint32_t started, progress; /* events */
    uint32_t slot;
    bool is_over;
    enum job_end end;
    char stop[32], error[WEIR_ERROR_TEXT_MAX];
    struct job_timings timings;
};

void heard_release(struct heard *heard);
/* Takes an event; false if none has come until then. */
bool heard_take(struct heard *heard, struct job *job, uint64_t until_ns);
/* Opens a job, hears it to its end and closes it. */
struct heard crew_run(struct crew *crew, const struct job_options *options);
/* Only opens it. */
struct job *crew_start(struct crew *crew, const struct job_options *options);
/* To its end; then it is closed. */
struct heard crew_finish(struct job *job);

/* What a session that is alone says to the same prompt, read from its first token on. */
struct heard crew_expect(struct crew *crew, const struct job_options *options);
/* Fails the test unless both have said the same, and ended alike. */
void crew_check(const struct heard *heard, const struct heard *expected, const char *what);

/* The tokens of a text with control tokens; malloc. */
int32_t *crew_tokens(const struct crew *crew, const char *text, uint32_t *count);

#endif
