/* SPDX-License-Identifier: MIT
 * What a sequence should compute: an engine of its own, with one session and one thread, which
 * takes the tokens that the sequence holds and knows neither company nor marks, detours or steps
 * that were cut short. */
#ifndef TESTS_GOLDEN_ORACLE_H
#define TESTS_GOLDEN_ORACLE_H

#include "golden/fixture.h"

enum {
    LIFE_MAX = 192,  /* tokens of a sequence: the context of engines under test */
    LIFE_EXACT = 16, /* rows of a step up to which bits do not depend on it (EXACT_ROWS) */
};

/* One token of a sequence. The bits behind it depend on the step that brought it if that had more
 * than LIFE_EXACT rows of the sequence. */
struct life_token {
    int32_t id;
    uint16_t step_begin; /* position where that step began; of other steps its own */
    uint16_t step_rows;  /* 1 for other steps */
    uint8_t logits;      /* that were asked for in it; of other steps WEIR_LOGITS_ALL */
};

/* All that a sequence holds: what an oracle must be told. */
struct life {
    uint32_t length;
    struct life_token tokens[LIFE_MAX];
    uint32_t drafted;      /* tokens of the MTP block's cache */
    bool is_drafted_apart; /* by a speculator: `drafts` and `hidden` do not tell what is there */
    int32_t drafts[LIFE_MAX];
    float *hidden; /* [LIFE_MAX, width]: the state that each began with */
};

/* Adds the tokens of a step. */
void life_add(struct life *life, const int32_t *tokens, uint32_t rows, enum weir_logits logits);
/* Adds tokens of the MTP block; hidden[count][width]. */
void life_draft(struct life *life, const int32_t *tokens, const float *hidden, uint32_t count,
                uint32_t width);
/* Back to `length` tokens, also of the MTP block. */
void life_cut(struct life *life, uint32_t length);
/* Makes `to`, whose `hidden` has room, the same as `from`. */
void life_copy(struct life *to, const struct life *from, uint32_t width);

struct oracle {
    struct fixture fixture;
    uint32_t width;
    struct life path; /* what it has been told */
    float *logits;    /* [LIFE_MAX, vocab], of those rows of the path that have some */
    float *hidden;    /* [LIFE_MAX, width], of models with an MTP block */
    float *draft_logits;
    uint64_t evaluated; /* tokens, for who wants to know what it costs */
};

/* Options as those of the engine under test; threads, marks and progress are the oracle's own. */
void oracle_open(struct oracle *oracle, const char *model,
                 const struct weir_engine_options *options);
void oracle_close(struct oracle *oracle);

/* Tells it the life; from then on rows can be looked up. It begins anew unless the life only goes
 * on. */
void oracle_follow(struct oracle *oracle, const struct life *life);
/* Behind the token at that position; borrowed until it follows another life. */
const float *oracle_logits(const struct oracle *oracle, uint32_t position);
const float *oracle_hidden(const struct oracle *oracle, uint32_t position);
const float *oracle_draft_logits(const struct oracle *oracle, uint32_t position);

#endif
