/* SPDX-License-Identifier: MIT
 * Whether drafts are worth their rows while several slots generate: by the tokens a second that
 * both ways gave lately with so many slots. A function of numbers alone. */
#ifndef SERVE_COMPANY_H
#define SERVE_COMPANY_H

#include <stdbool.h>
#include <stdint.h>

enum {
    COMPANY_MAX = 8,   /* slots; more have no drafts */
    COMPANY_ROWS = 16, /* of a step, which reads weights once for so many */
};

/* So many slots that generate at once. */
struct company_kind {
    double rate[2];         /* tokens a ns without and with drafts, 0: not known */
    double tokens, ns;      /* of the block that is going on */
    uint32_t turns, blocks; /* of the block; before it */
};

struct company {
    struct company_kind kinds[COMPANY_MAX + 1];
};

/* Rows that each of the slots may have in the next step: 1, its newest token, or more with
 * drafts. */
uint32_t company_rows(const struct company *company, uint32_t slots);
/* That was done, and gave so many tokens in all. */
void company_learn(struct company *company, uint32_t slots, uint32_t tokens, uint64_t ns);

#endif
