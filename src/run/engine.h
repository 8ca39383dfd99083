/* SPDX-License-Identifier: MIT
 * The engine and its sessions from inside. */
#ifndef RUN_ENGINE_H
#define RUN_ENGINE_H

#include "base/digest.h"
#include "run/blueprint.h"
#include "run/loader.h"
#include "run/state.h"

struct weir_engine {
    struct blueprint blueprint;
    struct weir_engine_options options;
    const struct gguf *gguf;
    struct loader loader;
    struct device *device;
    struct state state;
    struct exec *exec;
    struct state mtp_state; /* of the MTP block: its places are those of `state` */
    struct exec *mtp_exec;  /* NULL without the block */
    /* the step being put together: arrays of the size of the limits, taken at open */
    int32_t *token;
    struct step_seq *seq;
    uint32_t *out_row;
    float *hidden;       /* that a step of the MTP block begins with; NULL without the block */
    uint64_t step_count; /* steps run, so that a session knows if its logits are still there */
    uint64_t mtp_count;  /* the same of the MTP block */
    struct step last;    /* that ran to its end; no rows: none */
    struct weir_profile *profile;         /* who is told what each step takes; NULL: nobody */
    uint64_t prefill_done, prefill_total; /* tokens of the running eval or step, for progress */
};

/* Where the rows of a session lie in the results of a step. */
struct results {
    uint64_t step;  /* as the engine counts them */
    uint32_t first; /* position of the first row */
    uint32_t row, rows;
    uint32_t logits_row, logits_rows;
};

/* The newest snapshot that has the very rows of the session (snapshot.h), so that the next one
 * need not hold them again. */
struct origin {
    uint32_t position, mtp_position; /* 0: there is none */
    struct digest link;
};

struct weir_session {
    struct weir_engine *engine;
    uint32_t slot;
    int32_t *tokens;   /* [context]: those it holds */
    uint32_t position; /* how many */
    uint32_t settled;  /* of them, those that the stored state knows: see struct step_seq */
    uint32_t mark;     /* position that it can go back to */
    bool is_marked;
    uint32_t mtp_position; /* tokens that its cache of the MTP block holds */
    struct results results;
    struct results mtp_results;
    bool is_listed; /* in the step that is being checked, to find it twice */
    struct origin origin;
    float *hidden;            /* [width]: of the last token, as restored; NULL without the block */
    uint32_t hidden_position; /* tokens held then; 0: a step came since, or there is none */
    struct weir_checkpoint *checkpoints; /* those that are open (session_checkpoint.c) */
};

/* The session's part of a step: `rows` more tokens, and what becomes of those pending. */
struct step_seq session_step(const struct weir_session *session, uint32_t row_first, uint32_t rows);
/* Behind such a step. */
void session_advance(struct weir_session *session, const int32_t *tokens, uint32_t count);
/* Behind a way back: what is kept of rows that are gone is of no use. */
void session_forget_origin(struct weir_session *session);
/* Before anything is written behind the session's position: checkpoints of later ones, which rely
 * on what lies there, are no longer valid. */
void session_overwrite(struct weir_session *session);
/* The hidden state of the last token; NULL if the last step was another session's, or has no such
 * rows. */
const float *session_last_hidden(const struct weir_session *session);
/* That a marked session has records for `count` tokens more. */
enum weir_status session_check_rows(const struct weir_session *session, uint32_t count,
                                    struct weir_error *err);

/* Told of each step of an evaluation behind it, while its rows can be read. */
typedef void session_stepped_fn(void *user, const int32_t *tokens, uint32_t count);

/* weir_session_eval with somebody to tell, or NULL. */
enum weir_status session_eval(struct weir_session *session, const int32_t *tokens, uint32_t count,
                              enum weir_logits logits, session_stepped_fn *stepped, void *user,
                              struct weir_error *err);

/* weir_engine_step for a caller that has set the numbers of the progress. */
enum weir_status engine_run_step(struct weir_engine *engine, const struct weir_step_item *items,
                                 uint32_t items_count, struct weir_error *err);

/* Finite numbers in the first `rows` rows of the last run's logits, `vocab` in each;
 * WEIR_ERR_FORMAT if not. */
enum weir_status engine_check_logits(const struct weir_engine *engine, const struct exec *exec,
                                     uint32_t rows, uint32_t vocab, struct weir_error *err);

/* How many rows of logits a choice means for `count` tokens. */
uint32_t engine_outs(enum weir_logits logits, uint32_t count);

/* That `count` tokens are at least one and fit into the context behind `position`. */
enum weir_status engine_check_count(const struct plan_limits *limits, uint32_t position,
                                    uint32_t count, struct weir_error *err);
/* That a step of `seqs` sessions, of so many rows and rows of logits, is within the limits. */
enum weir_status engine_check_step(const struct plan_limits *limits, uint32_t seqs, uint64_t rows,
                                   uint64_t outs, struct weir_error *err);
/* That logits of so many tokens have room. */
enum weir_status engine_check_logits_rows(const struct plan_limits *limits, uint32_t count,
                                          enum weir_logits logits, struct weir_error *err);

/* That the engine has the MTP block, and one step of it room for `count` tokens. */
enum weir_status engine_check_mtp(const struct weir_engine *engine, uint32_t count,
                                  enum weir_logits logits, struct weir_error *err);

/* Tokens of the next step of `left` that stand behind `position`: all, or as many as end where
 * chunked kernels may cut. */
uint32_t session_step_rows(const struct plan_limits *limits, uint32_t position, uint32_t left);
/* The most steps that `count` tokens take, wherever their session stands. */
uint32_t session_steps_max(const struct plan_limits *limits, uint32_t count);

/* The same, and that they are in the vocabulary. */
enum weir_status engine_check_tokens(const struct weir_engine *engine, uint32_t position,
                                     const int32_t *tokens, uint32_t count, struct weir_error *err);

#endif
