/* SPDX-License-Identifier: MIT
 * Turns are taken in blocks of one way. The better one is taken, and the other now and then.
 * Knows no slot and no step: only how many tokens came of how much time. */
#include "serve/company.h"

enum {
    BLOCK = 8,        /* turns: one says little, since drafts are accepted or not */
    TRIAL_EVERY = 32, /* blocks: what a bad way can cost is a part of this share */
};
static const double newest = 0.5; /* weight of the newest block in a rate */
static const double worth = 1.02; /* times as many tokens are worth the other way */

static bool is_other(const struct company_kind *kind)
{
    if (kind->rate[0] == 0 || kind->rate[1] == 0)
        return kind->rate[0] != 0; /* first plain, then the other */
    const bool is_better = kind->rate[1] > worth * kind->rate[0];
    return kind->blocks % TRIAL_EVERY == TRIAL_EVERY - 1 ? !is_better : is_better;
}

static uint32_t kind_of(uint32_t slots)
{
    return slots < COMPANY_MAX ? slots : COMPANY_MAX;
}

struct company_way company_choose(const struct company *company, uint32_t slots)
{
    if (slots <= 1)
        return (struct company_way){slots, COMPANY_ROWS}; /* nobody else is kept waiting */
    if (!is_other(&company->kinds[kind_of(slots)]))
        return (struct company_way){slots, 1};
    if (slots <= COMPANY_FEW)
        return (struct company_way){slots, COMPANY_ROWS / slots};
    return (struct company_way){COMPANY_FEW, 1};
}

void company_learn(struct company *company, uint32_t slots, uint32_t tokens, uint64_t ns)
{
    if (slots <= 1 || ns == 0)
        return;
    struct company_kind *kind = &company->kinds[kind_of(slots)];
    double *rate = &kind->rate[is_other(kind)];
    kind->tokens += tokens;
    kind->ns += (double)ns;
    if (++kind->turns < BLOCK)
        return;
    *rate += (*rate == 0 ? 1 : newest) * (kind->tokens / kind->ns - *rate);
    kind->tokens = kind->ns = 0;
    kind->turns = 0;
    kind->blocks++;
}
