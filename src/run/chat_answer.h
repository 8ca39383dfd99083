/* SPDX-License-Identifier: MIT
 * One reply of a conversation while it is generated. */
#ifndef RUN_CHAT_ANSWER_H
#define RUN_CHAT_ANSWER_H

#include "base/reply_message.h"
#include "base/stop.h"
#include "run/chat_settings.h"
#include "run/engine.h"

struct chat_answer {
    const struct chat_settings *settings;
    struct weir_session *session;
    const struct weir_tokenizer *tokenizer;
    struct weir_sampler *sampler;
    struct weir_reply *reply;
    struct message message; /* what was said */
    struct stop stop;
    struct weir_detokenizer detokenizer;
    char *text; /* what a stop text may begin with, and what a piece adds */
    size_t held;
    bool in_reasoning; /* from its begin */
    uint32_t left;     /* tokens that may still come */
    uint32_t tokens;   /* sampled */
    int32_t last;      /* of them */
    bool is_over;
    enum weir_chat_end end;
};

/* What a reply begins with. */
struct chat_answer_begin {
    bool in_reasoning; /* the prompt has opened a block of it */
    bool may_reason;   /* the prompt leaves it to the reply to open one */
    uint64_t seed;
    size_t piece_max; /* bytes of the longest token */
};

/* Takes all memory but that of the text, which grows as it is said. */
enum weir_status chat_answer_open(struct chat_answer *answer, const struct chat_settings *settings,
                                  struct weir_session *session,
                                  const struct weir_tokenizer *tokenizer,
                                  const struct chat_answer_begin *begin, struct weir_error *err);
void chat_answer_close(struct chat_answer *answer);

/* Generates behind the session's tokens, of whose last it has the logits. */
enum weir_status chat_answer_generate(struct chat_answer *answer, struct weir_error *err);

#endif
