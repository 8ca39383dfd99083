/* SPDX-License-Identifier: MIT
 * The scheduler: one thread that owns an engine and takes turns. Jobs come in from any thread, wait
 * in a fair queue for a slot, are prefilled chunk by chunk between the decode steps of others, and
 * tell what becomes of them, event by event. Knows neither HTTP nor the forms of any API. */
#ifndef SERVE_SCHEDULER_H
#define SERVE_SCHEDULER_H

#include <pthread.h>

#include "base/err.h"

struct scheduler;

struct scheduler_options {
    struct weir_model *model; /* borrowed, as the tokenizer */
    const struct weir_tokenizer *tokenizer;
    struct weir_engine_options engine; /* sessions, rows and rewinding are filled in */
    uint32_t slots;                    /* sequences that are computed side by side, at least 1 */
    uint32_t queue_max;                /* jobs that may wait for one */
    struct weir_speculator_options speculator; /* of each slot */
    struct weir_engine
        *draft_engine;        /* for drafts by a model, with a free session for each slot, in
                                         place of the speculator's draft_session. Borrowed */
    uint64_t cache_bytes_max; /* of the prefix cache in memory; 0: none */
    const char *cache_dir;    /* and in a folder; NULL: none */
    uint64_t cache_dir_bytes_max;
    weir_log_fn *log; /* from the scheduler's thread; may be NULL */
    void *log_user;
};

/* What the engine is opened with, for an estimate of its memory. */
struct weir_engine_options scheduler_engine_options(const struct scheduler_options *options);
/* Loads the engine, takes all memory and starts the thread. */
enum weir_status scheduler_open(struct scheduler **out, const struct scheduler_options *options,
                                struct weir_error *err);
/* No new jobs. Those that run go on until they end or `deadline_ns` (clock_ns) comes; those that
 * still wait or run then end as JOB_CANCELLED. Returns when the thread is idle. */
void scheduler_drain(struct scheduler *scheduler, uint64_t deadline_ns);
/* Every job must be closed before. */
void scheduler_close(struct scheduler *scheduler);

const struct weir_engine *scheduler_engine(const struct scheduler *scheduler);
uint32_t scheduler_slots(const struct scheduler *scheduler);

/* ---- jobs ------------------------------------------------------------------------------------ */

/* One text that is to be continued. */
struct job_options {
    const int32_t *ids; /* [count]: the prompt, at least 1; copied */
    uint32_t count;
    uint32_t tokens_max;                 /* to be generated; 0: the prompt is only read */
    struct weir_sampler_options sampler; /* its lists are copied; `ends` are filled in, and of its
                                            first tokens_min tokens none is stopped at */
    struct weir_constraint *constraint;  /* NULL: none. Borrowed until the job is closed, used on
                                            the scheduler's thread alone meanwhile */
    const char *constraint_behind;       /* see weir_sampler_constrain; NULL: at once */
    int32_t reasoning_budget;            /* -1: any number; else reasoning is open */
    const char *reasoning_mark, *reasoning_closing; /* see weir_sampler_limit_reasoning; copied */
    const char *const *stops; /* texts that end the job and are not part of its text; copied */
    uint32_t stops_count;
    const int32_t *ends; /* tokens that end it, besides those that always do; copied */
    uint32_t ends_count;
    uint32_t logprobs;   /* likeliest tokens to be told with each token; 0: with none... */
    bool wants_logprobs; /* ...but the token's own */
    bool wants_chances;  /* they are those of the draw, behind all samplers, not the model's; there
                            are no drafts then */
    uint64_t salt;       /* texts of another are not looked at: see weir_cache_put */
    int32_t slot;        /* the one to use, or -1: the best */
    bool wants_prompt;   /* JOB_PROMPT for each token of the prompt, with `logprobs` likeliest ones;
                            then no_cache and wants_logprobs hold */
    bool no_cache;       /* the prompt is read from its first token on, and nothing is kept of it */
    bool wants_progress; /* JOB_PROGRESS behind each chunk of the prompt */
    uint64_t deadline_ns; /* clock_ns at which it ends as JOB_TIMEOUT; 0: none */
    /* Of condition_open, for jobs that one owner waits for together: borrowed until all are closed.
     * NULL: it is waited for alone. */
    pthread_cond_t *ready;
};

enum job_end {
    JOB_STOP_TOKEN, /* the model ended the text */
    JOB_STOP_TEXT,  /* a text to stop at, which `stop` says */
    JOB_LENGTH,     /* tokens_max, or job_suffice */
    JOB_FULL,       /* the context is full */
    JOB_TIMEOUT,
    JOB_CANCELLED, /* by job_cancel or the drain */
    JOB_FAILED,    /* `error` says why */
};

enum job_kind {
    JOB_STARTED,  /* it has a slot */
    JOB_PROMPT,   /* a token of the prompt */
    JOB_PROGRESS, /* some of the prompt was read */
    JOB_TEXT,     /* a token, and the text that is now sure: whole characters, may be none */
    JOB_END,      /* the last; its text is what was held back */
};

struct job_logprob {
    int32_t id;
    float logprob; /* natural; with wants_chances, of the draw */
};

struct job_timings {
    uint32_t prompt_tokens, cached_tokens; /* of the prompt; of them, those not evaluated */
    uint32_t read_tokens;                  /* and those that were: less, if nothing is generated */
    uint32_t tokens;                       /* generated, one that ends the text too */
    uint64_t wait_ns, prompt_ns, reply_ns;
    uint32_t drafts, accepted;
    uint64_t bytes[WEIR_TRAFFIC_CLASSES]; /* touched by the steps of the reply, by class, of a step
                                             with others the job's share by rows */
};

struct job_event {
    enum job_kind kind;
    uint32_t slot;
    uint32_t done; /* PROGRESS: tokens of the prompt that are held now; PROMPT: those before it */
    int32_t id;    /* TEXT, PROMPT: the token */
    float logprob; /* of it, if asked for; of the first of a prompt NaN */
    const struct job_logprob *likeliest; /* [likeliest_count], best first */
    uint32_t likeliest_count;
    const char *text; /* borrowed, as all pointers, until the next job_wait */
    size_t length;
    enum job_end end;           /* END, from here on */
    const char *stop;           /* STOP_TEXT: the text that was found */
    const char *error;          /* FAILED */
    struct job_timings timings; /* of END, PROGRESS and TEXT: so far */
};

struct job;

/* Puts a job into the queue. WEIR_ERR_FULL with *retry_s (how long the queue may take, else 0) if
 * that is full, WEIR_ERR_CANCELLED if the scheduler drains; WEIR_ERR_ARGUMENT for what the sampler
 * or a constraint refuses and for a prompt that does not fit into a slot's context. */
enum weir_status job_open(struct job **out, struct scheduler *scheduler,
                          const struct job_options *options, uint32_t *retry_s,
                          struct weir_error *err);
/* The next event, waiting for it at most until `until_ns` (clock_ns); false if none came. */
bool job_wait(struct job *job, uint64_t until_ns, struct job_event *event);
/* Likewise of any of these, which are of one scheduler and share `ready`. They are looked at from
 * number *which on, and *which becomes the one whose event it is. */
bool jobs_wait(struct job *const *jobs, uint32_t count, uint32_t *which, uint64_t until_ns,
               struct job_event *event);
/* It ends within one step of the engine. From any thread. */
void job_cancel(struct job *job);
/* Likewise, as JOB_LENGTH: its owner wants no more of it. From any thread. */
void job_suffice(struct job *job);
/* Ends its reasoning as a budget would that is used up. From any thread. */
void job_end_reasoning(struct job *job);
void job_close(struct job *job); /* cancels it; never waits for more than a step */

/* The prompt's tokens, replayed from what some slot, or a text that lately was in one, holds of the
 * same salt: see weir_prompt_tokens. *ids is the caller's (mem_free). From any thread. */
enum weir_status scheduler_tokens(struct scheduler *scheduler, const struct weir_prompt *prompt,
                                  uint64_t salt, int32_t **ids, uint32_t *count,
                                  struct weir_error *err);

/* ---- slots and figures ----------------------------------------------------------------------- */

struct slot_info {
    uint32_t id;
    bool is_busy;
    uint64_t job;           /* counted from 1; of the running or last one */
    uint32_t context, held; /* tokens */
    struct job_timings timings;
};

void scheduler_slot(struct scheduler *scheduler, uint32_t slot, struct slot_info *out);

enum slot_action { SLOT_SAVE, SLOT_RESTORE, SLOT_ERASE };

struct slot_wish {
    uint32_t slot;
    enum slot_action action;
    const char *path;            /* of the file; not of ERASE */
    bool (*is_gone)(void *user); /* whether nobody waits for it any more; NULL: somebody does */
    void *user;
};

struct slot_outcome {
    uint32_t tokens;  /* that were saved, restored or erased */
    uint64_t bytes;   /* of the file */
    uint32_t retry_s; /* as that of job_open */
};

/* On the scheduler's thread, behind the job that holds the slot; waits for it. WEIR_ERR_ARGUMENT
 * for a slot that is none, and for saving a text that has a salt: a file would be without. Of
 * waiting as of job_open; WEIR_ERR_CANCELLED also if nobody waits before it has begun. */
enum weir_status scheduler_slot_action(struct scheduler *scheduler, const struct slot_wish *wish,
                                       struct slot_outcome *out, struct weir_error *err);

enum { HISTOGRAM_BOUNDS = 16 };

/* Counts of observations, in seconds: each counts once, at the first bound that it is not above. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS + 1]; /* the last: above all bounds */
    uint64_t count;
    double sum;
};

struct scheduler_figures {
    uint64_t prompt_tokens, cached_tokens, tokens; /* evaluated of prompts; not; generated */
    uint64_t prompt_ns, reply_ns;                  /* of jobs */
    uint64_t steps, busy_slots;                    /* slots that had rows, summed over the steps */
    uint64_t tokens_max;                           /* that a slot ever held */
    uint64_t jobs[JOB_FAILED + 1], refused;        /* that have ended, by how */
    uint64_t drafts, accepted, rounds_with_drafts;
    uint64_t accepted_at[WEIR_DRAFTS_MAX], made_at[WEIR_DRAFTS_MAX];
    uint64_t bytes[WEIR_TRAFFIC_CLASSES], step_ns; /* of all steps */
    uint64_t reply_bytes[WEIR_TRAFFIC_CLASSES];    /* of them, what timings of jobs say */
    uint32_t running, waiting;                     /* jobs, now */
    uint64_t held, room;                           /* tokens that slots hold now, and may hold */
    struct weir_cache_stats cache;
    struct histogram first_token, between_tokens; /* seconds */
};

extern const double histogram_bounds[HISTOGRAM_BOUNDS];

void scheduler_figures(struct scheduler *scheduler, struct scheduler_figures *out);

#endif
