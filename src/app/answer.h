/* SPDX-License-Identifier: MIT
 * Shows a reply while it comes. */
#ifndef APP_ANSWER_H
#define APP_ANSWER_H

#include "app/output.h"
#include "base/bytes.h"

enum answer_part { ANSWER_NOTHING, ANSWER_REASONING, ANSWER_CONTENT, ANSWER_CALL };

/* Set to zero to begin, but for what is borrowed and chosen. */
struct answer {
    struct output *output;
    bool has_colors;
    bool is_cleaned; /* for a terminal: what would steer it is not shown */
    enum answer_part part;
    char last;            /* the last byte that was put, or 0 */
    struct bytes tools;   /* the names of those that are called, a zero behind each */
    uint64_t tools_whole; /* bytes of them whose calls are complete */
    bool is_call_open;    /* a call has begun and not ended */
};

void answer_release(struct answer *answer);

void answer_begin(struct answer *answer);
/* A weir_reply_fn; `user` is the answer. */
void answer_event(void *user, const struct weir_reply_event *event);
/* Ends the last line. WEIR_ERR_MEMORY if the name of a tool could not be kept, and what
 * output_failed says. */
enum weir_status answer_end(struct answer *answer, struct weir_error *err);

#endif
