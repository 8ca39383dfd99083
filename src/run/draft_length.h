/* SPDX-License-Identifier: MIT
 * How many tokens a round of speculation drafts: a choice from the times and acceptances of the
 * rounds before it. A function of numbers alone: reads no clock, knows no model. */
#ifndef RUN_DRAFT_LENGTH_H
#define RUN_DRAFT_LENGTH_H

#include "base/usual.h"
#include "weir.h"

struct draft_length {
    struct usual step[WEIR_ROUND_TOKENS_MAX]; /* by drafts */
    struct usual draft;                       /* of one draft */
    double accepted[WEIR_DRAFTS_MAX];         /* how often a draft is, if those before it were */
    uint32_t tried[WEIR_DRAFTS_MAX];
    uint64_t rounds, tokens;
    double lost;       /* ns that rounds took more than the same tokens one by one; < 0: gained */
    uint32_t interval; /* rounds between two trials of another length */
    uint32_t waited;   /* rounds since the last one */
    uint32_t trials;
    bool is_drafting; /* as the last choice that was no trial said */
    bool is_timed;    /* the last round was measured */
};

/* What a round was like. */
struct draft_round {
    uint32_t drafts;   /* that were verified; none: a plain step */
    uint32_t accepted; /* of them */
    uint64_t step_ns;  /* of the model, 1 + drafts rows; 0: not measured */
    uint64_t draft_ns; /* of all drafts */
};

void draft_length_init(struct draft_length *length);

/* The drafts of the next round, 0 to `most`. */
uint32_t draft_length_choose(const struct draft_length *length, uint32_t most);

/* `wanted` is what was chosen: fewer may have been drafted. */
void draft_length_learn(struct draft_length *length, uint32_t wanted,
                        const struct draft_round *round);

#endif
