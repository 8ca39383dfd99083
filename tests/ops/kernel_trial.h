/* SPDX-License-Identifier: MIT
 * One case of the table with one type: a plan of one op, operands with canaries around them, what
 * the reference makes of them, and the kernels of a level tried against it. */
#ifndef TESTS_OPS_KERNEL_TRIAL_H
#define TESTS_OPS_KERNEL_TRIAL_H

#include "cpu/kernels.h"
#include "ops/kernel_cases.h"

struct trial;

/* `is_timed`: the case's size for that. Ends the program where there is no memory. */
struct trial *trial_open(const struct kernel_case *of, enum dtype dtype, uint64_t seed,
                         bool is_timed);
void trial_close(struct trial *trial);

/* What a level's kernel did. */
struct trial_result {
    double nmse;     /* of what the op writes, the largest of its operands */
    uint64_t digest; /* of what it wrote, its bits */
    char fault[160]; /* empty: none */
};

/* Runs the kernel on the whole op, on uneven parts in the order of their ends, and where that must
 * not matter sequence by sequence and row by row. */
void trial_check(struct trial *trial, const struct kernels *kernels, struct trial_result *result);

/* Nanoseconds of the whole op: the median of several samples, matrices read from memory. */
double trial_time(struct trial *trial, const struct kernels *kernels);
/* Bytes that the op touches (plan/traffic.c), and what it multiplies and adds: 0 for ops that do
 * little beside reading. */
double trial_bytes(const struct trial *trial);
double trial_operations(const struct trial *trial);

/* How a level can run here. */
enum level_presence {
    LEVEL_ABSENT,  /* the processor lacks what it needs */
    LEVEL_PRESENT, /* it has all of it */
    LEVEL_TRAPPED, /* all but tiles, whose instructions are carried out for it (ops/tile_traps.h) */
};

/* Kernels of level number `number` of levels.def, counted from the best, and then of the levels for
 * tests alone. NULL behind the last. */
const struct kernels *trial_level(uint32_t number, enum level_presence *presence);

#endif
