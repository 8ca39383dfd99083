/* SPDX-License-Identifier: MIT
 * Turns are taken in blocks of one way. The better one is taken, and the other now and then. */
#include "serve/company.h"

enum {
    BLOCK = 8,        /* turns: one says little, since drafts are accepted or not */
    TRIAL_EVERY = 32, /* blocks: what a bad way can cost is a part of this share */
};
static const double newest = 0.5; /* weight of the newest block in a rate */
static const double worth = 1.02; /* times as many tokens are worth drafting */

static bool has_drafts(const struct company_kind *kind)
{
    if (kind->rate[0] == 0 || kind->rate[1] == 0)
        return kind->rate[0] != 0; /* first without, then with */
    const bool is_better = kind->rate[1] > worth * kind->rate[0];
    return kind->blocks % TRIAL_EVERY == TRIAL_EVERY - 1 ? !is_better : is_better;
}

uint32_t company_rows(const struct company *company, uint32_t slots)
{
    if (slots <= 1)
        return COMPANY_ROWS; /* nobody else is kept waiting */
    if (slots > COMPANY_MAX)
        return 1;
    return has_drafts(&company->kinds[slots]) ? COMPANY_ROWS / slots : 1;
}

void company_learn(struct company *company, uint32_t slots, uint32_t tokens, uint64_t ns)
{
    if (slots <= 1 || slots > COMPANY_MAX || ns == 0)
        return;
    struct company_kind *kind = &company->kinds[slots];
    double *rate = &kind->rate[has_drafts(kind)];
    kind->tokens += tokens;
    kind->ns += (double)ns;
    if (++kind->turns < BLOCK)
        return;
    *rate += (*rate == 0 ? 1 : newest) * (kind->tokens / kind->ns - *rate);
    kind->tokens = kind->ns = 0;
    kind->turns = 0;
    kind->blocks++;
}
