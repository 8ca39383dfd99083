/* SPDX-License-Identifier: MIT
 * A conversation of the program: the model, the chat, and the person or the pipe at the other
 * end. */
#ifndef APP_CONVERSATION_H
#define APP_CONVERSATION_H

#include "app/answer.h"
#include "app/chat_input.h"
#include "app/chat_session.h"
#include "app/command.h"
#include "app/loaded.h"
#include "app/shipped.h"
#include "app/speculation.h"

/* Of all answers. */
struct conversation_totals {
    uint32_t replies;
    uint64_t prompt_tokens, reused_tokens, reply_tokens;
    uint64_t prompt_ns, reply_ns;
};

/* What an answer left of the context. */
struct conversation_place {
    uint32_t messages, context_tokens; /* up to the answer */
};

/* What interrupt_stopped_ns was when an answer was asked for, and when it began. */
struct conversation_stops {
    uint64_t asked_ns, begun_ns;
    bool has_begun;
};

/* Set to zero to begin. */
struct conversation {
    const struct options *options;
    struct log *log;
    char shipped[SHIPPED_PATH_MAX];
    struct loaded loaded;
    struct chat_session session;
    struct speculation speculation;
    struct weir_template *chat_template;
    struct weir_grammar *grammar; /* of answers; NULL: any text */
    struct weir_chat *chat;
    struct weir_chat_options settings; /* system is NULL behind open: as it is */
    char *tools;                       /* of a file; NULL: none */
    bool is_call_wanted;               /* of the answer to each message of a person */

    struct terminal terminal;
    struct chat_input input;
    struct output output;
    struct answer answer;
    struct bytes files; /* to stand before the next message */
    struct weir_chat_info last;
    struct conversation_totals totals;
    struct conversation_stops stops;
    struct conversation_place *places; /* of answers, as far as they were not taken back */
    uint64_t places_count, places_capacity;
    bool is_answered; /* the last message that was asked to be, or the first of its rounds */
    bool is_over;
};

enum weir_status conversation_open(struct conversation *conversation, const struct call *call,
                                   struct weir_error *err);
void conversation_close(struct conversation *conversation);

/* A line about the conversation, that is no part of it: on a terminal between the answers, else
 * among the messages. */
void conversation_say(struct conversation *conversation, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The same of a text of any length. */
void conversation_say_text(struct conversation *conversation, const char *text);

/* Adds a message of a person, behind the files that were read for it. */
enum weir_status conversation_add(struct conversation *conversation, const char *text,
                                  size_t length, struct weir_error *err);
/* Shows the answer to the messages so far, and asks for the results of the tools that it calls. An
 * answer that Ctrl+C ends is none of the errors. */
enum weir_status conversation_answer(struct conversation *conversation, struct weir_error *err);
/* Tokens a second; 0 for no time. */
double conversation_rate(uint64_t tokens, uint64_t ns);
/* Tokens that have a place behind the last answer that was not taken back. */
uint32_t conversation_context_left(const struct conversation *conversation);
/* Behind an answer, or messages that were loaded: where in the context it is. */
enum weir_status conversation_place(struct conversation *conversation, uint32_t context_tokens,
                                    struct weir_error *err);
/* Goes on with other settings. */
enum weir_status conversation_set(struct conversation *conversation, struct weir_error *err);
enum weir_status conversation_set_system(struct conversation *conversation, const char *text,
                                         struct weir_error *err);

/* The content of a file of JSON for settings.tools; NULL for none. */
enum weir_status conversation_use_tools(struct conversation *conversation, const char *path,
                                        struct weir_error *err);

#endif
