/* SPDX-License-Identifier: MIT
 * What weir profile prints: tables for people, records for programs. Knows nothing of running. */
#ifndef APP_PROFILE_REPORT_H
#define APP_PROFILE_REPORT_H

#include "app/options.h"
#include "app/output.h"
#include "app/profile_counted.h"
#include "base/probe.h"

/* A profile and what stands around it. */
struct profile_result {
    const struct weir_profile *profile;
    enum profile_mode mode;
    uint64_t with_ns, without_ns; /* medians of whole evaluations with clocks and without; 0: none
                                     ran */
    int64_t clocks_low_ns;  /* 95% confidence interval, or for fewer than 6 runs the range, of */
    int64_t clocks_high_ns; /* what one with clocks took beyond the one it was paired with */
    struct profile_counted counted;
};

struct profile_report {
    struct output *output;
    const struct profile_options *options;
    const char *model;        /* "qwen35 0.8B Q4_0" */
    uint32_t context_trained; /* tokens; 0: not known */
    const char *backend;      /* NULL: nothing runs */
    double peak;              /* GB/s; 0: not known */
    bool is_measured;         /* the peak, on this machine */
    struct probe probe;       /* what else was measured of it, if is_measured */
    uint32_t results;         /* printed so far */
};

/* One form: what stands before the first result, a result, what stands behind the last. Failures
 * of the output stay with it; the status is of memory. */
struct profile_writer {
    void (*begin)(struct profile_report *report);
    enum weir_status (*put)(struct profile_report *report, const struct profile_result *result,
                            struct weir_error *err);
    void (*end)(struct profile_report *report);
};

extern const struct profile_writer profile_table, profile_json, profile_csv, profile_page;
extern const struct profile_writer profile_total_table, profile_total_csv; /* by total */
extern const struct profile_writer profile_trace, profile_folded;

#endif
