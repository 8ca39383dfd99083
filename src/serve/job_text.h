/* SPDX-License-Identifier: MIT
 * The text of a job: pieces of tokens become whole characters, of which those are held back that
 * may become a text to stop at. Knows no events. */
#ifndef SERVE_JOB_TEXT_H
#define SERVE_JOB_TEXT_H

#include "base/stop.h"

struct job_text {
    const struct weir_tokenizer *tokenizer;
    struct weir_detokenizer detokenizer;
    struct stop stop;
    struct stop mark; /* what ends reasoning */
    const char *mark_texts[1];
    bool is_reasoning; /* the mark has not come yet */
    char *bytes;       /* [room] */
    size_t room;
    size_t said, held; /* bytes that were told last, and those behind them that were not */
};

/* What is sure now: borrowed until the next call. */
struct job_said {
    const char *text;
    size_t length;
    const char *stop; /* the text to stop at that was found, and is no part of it; NULL: none */
};

/* The stops are borrowed; `mark` too, NULL if there is no reasoning. `piece_max` is the longest
 * piece of the vocabulary. Closed in any case. */
enum weir_status job_text_open(struct job_text *text, const struct weir_tokenizer *tokenizer,
                               size_t piece_max, const char *const *stops, uint32_t stops_count,
                               const char *mark, struct weir_error *err);
void job_text_close(struct job_text *text);

/* A text to stop at is looked for in those tokens alone that may stop it. */
struct job_said job_text_push(struct job_text *text, int32_t id, bool may_stop);
/* What was held back, and what is left of a character. */
struct job_said job_text_finish(struct job_text *text);

#endif
