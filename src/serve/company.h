/* SPDX-License-Identifier: MIT
 * How several slots that generate share a step: all of them with a row each, or in another way:
 * few of them with drafts, many in groups. Decided by the tokens a second that both ways gave
 * lately with so many slots. A function of numbers alone. */
#ifndef SERVE_COMPANY_H
#define SERVE_COMPANY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    COMPANY_FEW = 8,   /* slots that may have drafts; more than these may go in groups of these,
                          since kernels are at their best with about so many rows */
    COMPANY_ROWS = 16, /* of a step with drafts, which reads weights once for so many */
    COMPANY_MAX = 64,  /* slots that are told apart */
};

/* So many slots that generate at once. */
struct company_kind {
    double rate[2];         /* tokens a ns of the plain and of the other way, 0: not known */
    double tokens, ns;      /* of the block that is going on */
    uint32_t turns, blocks; /* of the block; before it */
};

struct company {
    struct company_kind kinds[COMPANY_MAX + 1];
};

/* The next step of slots: how many of them, and how many rows each may have: 1, its newest token,
 * or more with drafts. */
struct company_way {
    uint32_t slots, rows;
};

struct company_way company_choose(const struct company *company, uint32_t slots);
/* That was done, and gave so many tokens in all. */
void company_learn(struct company *company, uint32_t slots, uint32_t tokens, uint64_t ns);

#endif
