/* SPDX-License-Identifier: MIT
 * What a generation consists of, for the files that make it and that tell it. */
#ifndef SERVE_GENERATION_H
#define SERVE_GENERATION_H

#include "serve/generate.h"
#include "serve/respond.h"

struct generation {
    struct server *server;
    struct request request;
    struct prompts prompts;
    struct response response;
    struct weir_prompt *prompt; /* of a chat */
    struct chat_options chat;
    bool is_chat;
    struct weir_constraint *constraint; /* held; NULL: none */
    uint64_t salt;
    uint64_t deadline_ns; /* 0: any time */
    struct job **jobs;    /* [response.choices_count], of each choice; NULL: not opened */
    uint32_t turn;        /* the choice whose event came last */
    pthread_cond_t ready; /* for all jobs together */
    bool has_ready;
    struct bytes early; /* what is told before the stream begins */
    uint64_t spoke_ns;  /* when something was sent last */
    char id[ID_LENGTH + 1];
    bool is_listed; /* in server->running */
    struct generation *next;
};

/* Answers as a stream, or as a whole; the jobs are open. */
void generation_tell(struct generation *generation, struct http_exchange *exchange);

#endif
