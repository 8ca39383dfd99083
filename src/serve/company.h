/* SPDX-License-Identifier: MIT
 * How several slots that generate share a step. Few of them may have drafts: so many, and those
 * slots, that give the most tokens a second by what turns and drafts took lately and what was
 * accepted of each slot. Many go all at once or in groups. A function of numbers alone: knows no
 * slot, no clock and no model. */
#ifndef SERVE_COMPANY_H
#define SERVE_COMPANY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/usual.h"

enum {
    COMPANY_FEW = 8,   /* slots that may have drafts; more than these may go in groups of these,
                          since kernels are at their best with about so many rows */
    COMPANY_ROWS = 16, /* of a step with drafts, which reads weights once for so many */
    COMPANY_DRAFTS = COMPANY_ROWS - 2, /* at most, of two slots */
    COMPANY_MAX = 64,                  /* slots that are told apart */
};

/* Who generates: what became of the drafts of one text. */
struct company_member {
    double share;     /* of them that were accepted if those before them were */
    uint32_t tried;   /* drafts; 0: as with its fellows */
    uint64_t drafted; /* the turn of the last, or before all if that is to be tried again */
};

/* Up to COMPANY_FEW that generate at once. */
struct company_kind {
    struct usual turn[COMPANY_DRAFTS + 1]; /* without what drafting took; by drafts */
};

/* More of them. */
struct company_crowd {
    double rate[2];         /* tokens a ns of all in a step and of groups, 0: not known */
    double tokens, ns;      /* of the block that is going on */
    uint32_t turns, blocks; /* of the block; before it */
};

struct company {
    struct company_kind kinds[COMPANY_FEW + 1];
    struct company_crowd crowds[COMPANY_MAX + 1];
    struct company_member fellows; /* all that generated: what is thought of a new one */
    struct usual draft;            /* one */
    struct usual search;           /* for drafts, where none was found */
    double lost;       /* ns that turns took more than the same tokens without drafts, less what may
                          be lost; < 0: gained */
    uint64_t turns;    /* of few */
    uint32_t interval; /* turns between two trials */
    uint32_t waited;   /* since the last one */
    uint32_t trials;
    bool is_drafting; /* as the last choice that was no trial said */
};

void company_init(struct company *company);

/* One that is ready: how many drafts it may have, and how many it shall. */
struct company_seat {
    struct company_member *member;
    uint32_t most, drafts;
};

/* The next turn. */
struct company_way {
    uint32_t slots;  /* how many have a part in it */
    uint32_t drafts; /* of all of them */
    bool is_trial;
};

/* Of `slots` that are ready; up to COMPANY_FEW of them have a seat each. Those of more are neither
 * read nor written, so `seats` may be NULL for them. */
struct company_way company_choose(const struct company *company, uint32_t slots,
                                  struct company_seat *seats);

/* What a turn was like. */
struct company_turn {
    uint32_t slots, drafts; /* ready; made of what was wanted */
    uint32_t tokens;        /* that it gave */
    uint64_t ns, draft_ns;  /* all of it; of that, drafting */
};

void company_learn(struct company *company, const struct company_way *way,
                   const struct company_turn *turn);
/* Of a text's drafts so many were accepted. Before the turn is learned from. */
void company_hear(struct company *company, struct company_member *member, uint32_t drafts,
                  uint32_t accepted);

#endif
