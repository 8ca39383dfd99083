/* SPDX-License-Identifier: MIT
 * What tests of conversations share: the shipped model, a conversation with it, what it said. */
#ifndef TESTS_TALK_H
#define TESTS_TALK_H

#include "base/bytes.h"
#include "test.h"

enum { TALK_CONTEXT = 1024 };

/* Zeroed, with options set by talk_init and changed before talk_open. */
struct talk {
    struct weir_engine_options engine_options;
    struct weir_chat_options options;
    const char *template_path; /* NULL: the model's own */
    const char *template_name; /* of a built-in one; NULL: none */
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_template *chat_template;
    struct weir_engine *engine;
    struct weir_session *session;
    struct weir_chat *chat;

    struct weir_chat_info info; /* of the last reply */
    struct bytes said;          /* its content, zero-terminated */
    struct bytes reasoning;
    uint32_t calls;
    uint32_t proceeds;   /* asked so often since the reply began */
    uint32_t stop_after; /* asks; 0: goes on */
    uint32_t calls_left; /* of the engine's progress until it cancels; 0: it never does */
};

/* Greedy replies of at most 40 tokens; room for drafts. */
void talk_init(struct talk *talk);
void talk_open(struct talk *talk);
void talk_close(struct talk *talk);

/* Adds a message of the user and generates the reply, which is talk->said; fails the test if there
 * is none. */
const char *talk_ask(struct talk *talk, const char *question);
/* Only the reply. */
const char *talk_reply(struct talk *talk);
enum weir_status talk_try(struct talk *talk, struct weir_error *err);
/* talk->options from now on. */
void talk_set(struct talk *talk);

/* Tokens of the last prompt that were evaluated. */
uint32_t talk_evaluated(const struct talk *talk);

/* The messages as JSON, to be freed by bytes_release. */
struct bytes talk_messages(const struct talk *talk);

#endif
