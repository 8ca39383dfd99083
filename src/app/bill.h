/* SPDX-License-Identifier: MIT
 * The bill of an evaluation: bytes by the plan, what they come to in a second, and how long they
 * would take at least. Knows no op. */
#ifndef APP_BILL_H
#define APP_BILL_H

#include "app/log.h"
#include "app/round_bytes.h"
#include "weir.h"

/* All classes, read and written. */
uint64_t bill_bytes(const struct weir_traffic *traffic);

/* GB/s. */
double bill_rate(uint64_t bytes, double ns);

/* A token that was generated, with its logits: its part of the rounds of all, drafts included. */
struct bill {
    uint32_t cached; /* tokens before it */
    struct weir_traffic traffic;
    double ns; /* that it took */
    uint32_t threads;
    double peak; /* GB/s that so many threads can read; 0: nobody has measured it */
};

/* The bill of a token behind `cached` others, of at least one round. Measures nothing: the peak is
 * the one that was kept (machine.h), if there is one. Errors as in weir_engine_traffic. */
enum weir_status bill_make(struct bill *bill, const struct round_makers *makers, uint32_t cached,
                           const struct weir_speculator_info *rounds, double ns,
                           struct weir_error *err);

/* Four lines at the level of information; three without a peak. */
void bill_print(const struct bill *bill, struct log *log);

#endif
