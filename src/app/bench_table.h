/* SPDX-License-Identifier: MIT
 * Results of weir bench in the forms that llama-bench prints. */
#ifndef APP_BENCH_TABLE_H
#define APP_BENCH_TABLE_H

#include "app/bench_test.h"
#include "app/output.h"

enum bench_format {
    BENCH_NONE,
    BENCH_CSV,
    BENCH_JSON,
    BENCH_JSONL,
    BENCH_MD,
    BENCH_SQL,
};

/* The columns of the table in Markdown that are not always there: parameters that take several
 * values, or another than the default. */
struct bench_columns {
    bool batch, step_rows, cache_k, cache_v, load;
    bool isa, packed, bound;
    bool drafts;
};

struct bench_table {
    struct output *output;
    enum bench_format format;
    struct bench_columns columns;
    bool bytes;  /* also bytes touched, GB/s, and percent of the peak */
    double peak; /* GB/s, of as many threads as the test has */
    char processor[BENCH_TEXT_MAX];
    char commit[BENCH_TEXT_MAX]; /* of the build, or "unknown" */
    uint32_t rows;               /* printed so far */
};

/* Fills in processor and commit. */
void bench_table_init(struct bench_table *table, struct output *output, enum bench_format format);

/* A result, before the first one the head; and what stands behind the last. So nothing is printed
 * if the first test fails. */
void bench_table_row(struct bench_table *table, const struct bench_result *result);
void bench_table_end(struct bench_table *table);

#endif
