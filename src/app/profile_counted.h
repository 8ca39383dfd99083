/* SPDX-License-Identifier: MIT
 * Bytes that hardware counted while a profile ran, beside those that it touches. */
#ifndef APP_PROFILE_COUNTED_H
#define APP_PROFILE_COUNTED_H

#include "app/output.h"
#include "base/counters.h"

/* Of one run, the mean of all. */
struct profile_counted {
    enum counters_source source; /* COUNTERS_NONE: nothing is known */
    uint64_t read, written;      /* misses are all read */
    const char *why;             /* nothing is known though there are counters; static, or NULL */
};

/* Counts runs: begins behind all that shall not be counted, ends behind the last. */
struct profile_counting {
    const struct counters *counters; /* NULL: nothing is counted */
    uint64_t read, written;          /* at the begin */
    const char *why;                 /* the system has refused something; static, or NULL */
};

void profile_counting_begin(struct profile_counting *counting, const struct counters *counters);
/* Around each run. */
void profile_counting_start(struct profile_counting *counting);
void profile_counting_stop(struct profile_counting *counting);
struct profile_counted profile_counting_end(struct profile_counting *counting, uint32_t runs);

/* A line: what was counted, what is touched, and the difference; or why nothing was counted.
 * Nothing if there are no counters. */
void profile_counted_print(const struct profile_counted *counted, uint64_t read, uint64_t written,
                           struct output *output);
/* The value of "counted" in records: an object, or null. */
void profile_counted_json(const struct profile_counted *counted, struct output *output);

#endif
