/* SPDX-License-Identifier: MIT
 * What is measured: a row is a function that is run again and again, and how much one run does. A
 * file of rows ends its table with a row without a name; micro.c lists the tables. */
#ifndef BENCH_MICRO_H
#define BENCH_MICRO_H

#include "base/err.h"
#include "base/pool.h"

/* One row while it is measured. */
struct bench {
    struct pool *pool; /* of all cores, or as many as --threads says */
    double amount;     /* set by open: units of one run, such as bytes / 1e9 */
    void *state;       /* set by open */
};

enum bench_unit {
    BENCH_RATE, /* amount / time: more is better */
    BENCH_TIME, /* microseconds / amount: less is better */
};

struct bench_row {
    const char *name; /* "memory.read" */
    const char *unit; /* "GB/s" is compared with the peak, memory.read */
    enum bench_unit kind;
    uint32_t variant; /* for rows that share their functions */
    /* On failure, `err` says why and the row is left out; then close is not called. */
    enum weir_status (*open)(struct bench *bench, uint32_t variant, struct weir_error *err);
    void (*run)(struct bench *bench);
    void (*close)(struct bench *bench);
};

extern const struct bench_row bench_base_rows[]; /* the first row is the peak */
extern const struct bench_row bench_codec_rows[];
extern const struct bench_row bench_encode_rows[];
extern const struct bench_row bench_forward_rows[];
extern const struct bench_row bench_logits_row_rows[];

#endif
