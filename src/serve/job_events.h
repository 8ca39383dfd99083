/* SPDX-License-Identifier: MIT
 * The events of a job that its owner has not taken yet: so many at most, in memory of their own.
 * Knows nothing of locks: who uses it holds the scheduler's. */
#ifndef SERVE_JOB_EVENTS_H
#define SERVE_JOB_EVENTS_H

#include "serve/scheduler.h"

struct job_events {
    struct job_event *items;
    char *texts;                   /* [EVENTS_MAX][text_max] */
    struct job_logprob *likeliest; /* [EVENTS_MAX][likeliest_max] */
    size_t text_max;
    uint32_t likeliest_max;
    uint32_t first, count;
    bool is_lent; /* the first: its owner looks at it */
};

/* Released in any case. */
enum weir_status job_events_open(struct job_events *events, size_t text_max, uint32_t likeliest_max,
                                 struct weir_error *err);
void job_events_close(struct job_events *events);

/* Events that may be added; the place of the last one, END, is not among them. */
uint32_t job_events_room(const struct job_events *events);

/* The next event, of which all else is 0, and what it points to: copied, no more than there is room
 * for. */
struct job_event *job_events_add(struct job_events *events, enum job_kind kind);
void job_events_set_text(struct job_events *events, struct job_event *event, const char *text,
                         size_t length);
void job_events_set_likeliest(struct job_events *events, struct job_event *event,
                              const struct job_logprob *likeliest, uint32_t count);

/* Lends the first event, and takes back what was lent before; false if there is none. */
bool job_events_take(struct job_events *events, struct job_event *out);

#endif
