/* SPDX-License-Identifier: MIT
 * Two profiles compared, step by step and op by op. Knows no form of output. */
#ifndef APP_PROFILE_DIFF_H
#define APP_PROFILE_DIFF_H

#include "app/options.h"
#include "app/profile_file.h"

/* What two costs are compared by: the first of these that both have. */
enum diff_measure { DIFF_TIME, DIFF_INSTRUCTIONS, DIFF_BYTES };

/* What is worse beyond the tolerance; combined. */
enum { DIFF_SLOWER = 1, DIFF_MORE_INSTRUCTIONS = 2, DIFF_MORE_BYTES = 4 };

/* Ops that are worth less than this share of both steps are not judged by themselves. */
#define DIFF_SHARE_MIN 0.01

struct diff_row {
    const char *kind, *role; /* "" where rows are of several */
    int32_t layer;           /* LAYER_BEFORE also where rows are of several */
    uint32_t number;         /* n-th op of that name; 0: all of them */
    bool in_old, in_new;
    struct cost before, after;
    unsigned worse;
};

struct diff_step {
    const struct file_step *before, *after;
    enum diff_measure measure;
    struct diff_row *rows; /* the largest change first */
    uint32_t row_count;
    struct diff_row all;
    uint32_t judged; /* times that are judged, each by an interval that is widened for all */
};

struct profile_diff {
    const struct profile_file *before, *after;
    double tolerance; /* percent */
    bool is_grouped;
    int32_t by;              /* enum profile_by, if grouped */
    struct diff_step *steps; /* those of both, in the order of the older file */
    uint32_t step_count;
    bool *is_matched; /* of the newer file, by step */
    bool is_worse;
};

/* By how much a row has changed, in percent of what it was. The interval is of the quotient of the
 * two medians: from the lower end of the new interval over the upper end of the old one, to the
 * new upper end over the old lower one. It holds the true change whenever both intervals hold their
 * medians, so with a chance of at least 0.95^2 = 90%. The change of the times that are shown, which
 * are of the median runs, may lie outside of it; then it is stretched to hold that too. Groups have
 * no interval and are not judged by time: the median of a sum is not the sum of medians, and how
 * far they are apart depends on whether ops are slow in the same runs, which no file says. */
struct diff_change {
    double percent, low, high;
    bool is_known;     /* false: it was nothing, or is in one file alone */
    bool has_interval; /* false: low and high are the change itself */
};
struct diff_change diff_row_change(const struct diff_row *row, enum diff_measure measure);

/* How many ops or groups of both files are worth too little to be judged by themselves. */
uint32_t diff_step_exempt(const struct diff_step *step);

/* What a cost is by a measure: nanoseconds, instructions or bytes. */
uint64_t cost_by(const struct cost *cost, enum diff_measure measure);

/* Compares files, which must stay open. Steps are matched by context, mode, rows, sequences and
 * threads, where what one file does not say is not looked at; ops by kind, role, layer and number.
 * `by` is NULL for ops one by one, or sums them. WEIR_ERR_ARGUMENT if no step is in both.
 * Zeroed to begin; profile_diff_release may follow a failure. */
enum weir_status profile_diff_make(struct profile_diff *diff, const struct profile_file *before,
                                   const struct profile_file *after, const enum profile_by *by,
                                   double tolerance, struct weir_error *err);
void profile_diff_release(struct profile_diff *diff);

#endif
