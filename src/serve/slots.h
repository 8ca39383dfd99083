/* SPDX-License-Identifier: MIT
 * Slots: sessions that hold texts, and how a job comes to its prompt by the shortest way: from what
 * the slot holds, from a checkpoint of it, or from the cache. Knows neither queue nor steps; runs
 * on the scheduler's thread alone. */
#ifndef SERVE_SLOTS_H
#define SERVE_SLOTS_H

#include "serve/company.h"
#include "serve/job.h"
#include "serve/known_texts.h"
#include "serve/prompt_cuts.h"

enum slot_phase { SLOT_IDLE, SLOT_PROMPT, SLOT_REPLY };
enum slot_source { FROM_NOTHING, FROM_SLOT, FROM_CHECKPOINT, FROM_CACHE };

enum {
    SLOT_CHECKPOINTS = 3,
    SLOT_FEW = 8, /* tokens that are read about as quickly as a state is copied */
};

/* A token that was chosen, and how likely it was, for who asks. */
struct slot_pick {
    int32_t id;
    float logprob;
    uint32_t likeliest; /* of job->likeliest */
};

struct slot {
    uint32_t id;
    struct weir_session *session;
    struct weir_session *draft_session; /* of a model that drafts; NULL: none */
    struct weir_speculator *speculator; /* NULL: no drafts */
    struct company_member member;       /* what became of the drafts of its job */
    struct weir_checkpoint *checkpoints[SLOT_CHECKPOINTS];
    uint64_t salt;    /* of what the session holds */
    uint32_t kept;    /* the cache has its state there, or somewhere before nothing is lost */
    uint64_t used;    /* by the scheduler's count of jobs */
    bool is_reserved; /* a job that waits wants this one */

    enum slot_phase phase;
    struct job *job; /* NULL: idle */
    struct cuts_kept cuts;
    uint32_t end; /* tokens of the prompt that are to be read: of one that nothing is said behind,
                     up to the last position that is kept */
    enum slot_source source;
    struct known_text *text; /* that it holds; NULL: it is not kept */
    bool is_paused;          /* its owner does not take events */
    /* of the step that is going on */
    const int32_t *tokens;
    uint32_t rows;   /* 0: none */
    bool is_last;    /* of the prompt */
    uint32_t drafts; /* that company_choose gave it */
    bool is_round;   /* with drafts */
    struct slot_pick pick;
};

struct scheduler;

enum weir_status slots_open(struct scheduler *scheduler, struct weir_error *err);
void slots_close(struct scheduler *scheduler);

/* Tokens of the prompt that the slot need not read again; *checkpoint is where it goes back to,
 * NULL: nowhere. */
uint32_t slot_resume(const struct slot *slot, const struct job *job,
                     struct weir_checkpoint **checkpoint);
/* The best idle slot that is not reserved; NULL: there is none. */
struct slot *slots_choose(const struct scheduler *scheduler, const struct job *job);

/* Makes the slot, or another idle one that is not reserved, hold as much of the job's prompt as is
 * known; returns which. Cannot fail: what is not known is read. */
struct slot *slot_prepare(struct scheduler *scheduler, struct slot *slot, const struct job *job);
/* Keeps the state where the slot stands, if that is worth it. */
void slot_keep(struct scheduler *scheduler, struct slot *slot);
/* The last way back; NULL: there is none. */
struct weir_checkpoint *slot_last_checkpoint(const struct slot *slot);
/* Back to the last position that was kept; to the beginning if there is none. */
void slot_return(struct slot *slot);
/* Gives the cache the state that would be lost by what comes next. */
void slot_leave(struct scheduler *scheduler, struct slot *slot);
/* Gives the cache the states of a slot's ways back, as it has those of a text read here. */
void slot_give_ways(struct scheduler *scheduler, struct slot *slot);
/* At the program's end: what a folder should have of all slots. */
void slots_leave(struct scheduler *scheduler);
/* Empties it. */
void slot_clear(struct scheduler *scheduler, struct slot *slot);

const char *slot_source_name(enum slot_source source);

#endif
