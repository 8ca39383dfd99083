/* SPDX-License-Identifier: MIT
 * One text that is continued: what was asked for, what it says, what its owner has not heard yet.
 * Knows neither slots nor steps. */
#ifndef SERVE_JOB_H
#define SERVE_JOB_H

#include <pthread.h>

#include "serve/job_events.h"
#include "serve/job_text.h"

struct job {
    struct scheduler *scheduler;
    struct job_options options; /* whose pointers are these copies; the sampler's are gone */
    struct {
        int32_t *ids, *ends;
        char **stops;
        char *behind, *mark, *closing;
    } own;
    uint64_t number;
    uint64_t opened_ns;

    /* under the scheduler's lock */
    struct job *next; /* that waits behind it */
    struct job_events events;
    pthread_cond_t *ready; /* for its owner: there are events; its own one, or that of several */
    pthread_cond_t own_ready;
    bool is_cancelled;
    bool suffices;       /* it has said all that its owner wants */
    bool ends_reasoning; /* was asked for, and not done yet */
    bool is_over;        /* END is among the events: nobody else will touch it any more */

    /* of who runs it */
    struct weir_sampler *sampler;
    struct job_text text;
    struct job_logprob *likeliest; /* [options.logprobs] */
    struct weir_chance *chances;   /* likewise, of a draw */
    struct job_timings timings;
    uint64_t started_ns, read_ns; /* when it got its slot, and was read; 0: not yet */
    uint64_t said_ns;             /* when its last token came */
    int32_t last;                 /* token, which the session does not hold yet */
    bool is_closing;              /* its reasoning, because somebody asked */
    bool is_given_up;             /* by its owner; else who cancels it is the drain */
    struct weir_error err;
};

/* Copies and checks all that can be without a slot. `context` is that of a slot. */
enum weir_status job_make(struct job **out, const struct job_options *options,
                          const struct weir_engine *engine, const struct weir_tokenizer *tokenizer,
                          size_t piece_max, struct weir_error *err);
void job_free(struct job *job);

/* Whether the text ends at a token, which is no part of it. */
bool job_ends_at(const struct job *job, int32_t id);
/* Events that a step may tell: its slot sits out steps until there is room for them. */
uint32_t job_events_wanted(const struct job *job);
/* The rules of the reply, behind its prompt. The constraint is in use until job_release. */
enum weir_status job_begin_reply(struct job *job, struct weir_error *err);
void job_release(struct job *job);
/* Does what job_end_reasoning asked for. */
enum weir_status job_close_reasoning(struct job *job, struct weir_error *err);

#endif
