/* SPDX-License-Identifier: MIT
 * What is said of two models that scored the same rows. */
#ifndef APP_KL_REPORT_H
#define APP_KL_REPORT_H

#include "app/logits_row.h"
#include "app/output.h"

/* A column of numbers for each quantity; the i-th belong to row i. */
struct kl_rows {
    double *kl;
    double *surprise, *surprise_base;
    double *change; /* of the probability of the token that came */
    uint64_t count, capacity;
    uint64_t same_top;
};

/* Zeroed to begin; kl_rows_release may follow a failure. Room for `capacity` rows, at least 1. */
enum weir_status kl_rows_init(struct kl_rows *rows, uint64_t capacity, struct weir_error *err);
void kl_rows_release(struct kl_rows *rows);
void kl_rows_add(struct kl_rows *rows, const struct row_distance *distance);

/* The mean and its standard error: the deviation of the numbers (of the sample, over count - 1) by
 * the root of their count; 0 for one number. */
struct estimate {
    double mean, error;
};

struct estimate estimate_mean(const double *values, uint64_t count);

/* The number below which a fraction `at` of the sorted numbers lie, linear between two of them. */
double percentile(const double *sorted, uint64_t count, double at);

/* Prints all statistics, a line for each. Sorts the columns. */
void kl_report_print(struct kl_rows *rows, struct output *output);

#endif
