/* SPDX-License-Identifier: MIT
 * The scheduler from inside: what its thread owns, and what others share with it. */
#ifndef SERVE_SCHEDULER_ROOM_H
#define SERVE_SCHEDULER_ROOM_H

#include "base/pool.h"
#include "serve/company.h"
#include "serve/figures.h"
#include "serve/slots.h"

struct slot_request; /* see slot_actions.h */

struct scheduler {
    struct scheduler_options options; /* model and tokenizer are used, and what is said of caches */
    struct weir_engine *engine;
    size_t piece_max; /* bytes of the longest piece of the vocabulary */

    /* of its thread */
    struct weir_cache *cache;     /* NULL: none */
    struct slot *slots;           /* [options.slots] */
    struct weir_step_item *items; /* likewise: of a step */
    struct pool *picker;          /* for samplers; NULL: one thread is enough */
    int32_t message_begin;        /* the token that messages begin with; -1: there is none */
    struct company company;
    uint32_t round;    /* the slot that generates first */
    uint32_t turn;     /* the slot whose prompt goes on first */
    uint32_t rows_max; /* tokens of prompts in a step */
    double row_ns;     /* that a token of a prompt took lately; 0: not known */
    uint64_t begun;    /* jobs that got a slot */
    bool has_warned;   /* of a cache that takes nothing */

    pthread_t thread;
    bool has_thread, has_lock, has_work, has_idle; /* for close */
    pthread_mutex_t lock;
    pthread_cond_t work; /* there is something to do */
    pthread_cond_t idle; /* something was done that others may wait for */

    /* under the lock */
    struct job *waiting; /* the first */
    struct slot_request *requests;
    bool has_news; /* since the thread last looked */
    bool is_draining, is_closing;
    bool is_cancelling; /* every job ends */
    uint64_t jobs;      /* that were opened */
    double job_ns;      /* that a job took lately */
    struct known_texts texts;
    struct slot_info *infos; /* [options.slots] */
    struct scheduler_figures figures;
};

void scheduler_say(const struct scheduler *scheduler, enum weir_log_level level, const char *format,
                   ...) __attribute__((format(printf, 3, 4)));

/* There is something for the thread to look at. Under the lock. */
void scheduler_wake(struct scheduler *scheduler);

/* Seconds that the queue may take, by what jobs took lately. Under the lock. */
uint32_t scheduler_retry(const struct scheduler *scheduler);

/* The thread (scheduler_thread.c). */
void *scheduler_run(void *scheduler);

/* A step for all slots that can go on; false if none can (turn.c). On the thread. */
bool turn_take(struct scheduler *scheduler);

#endif
