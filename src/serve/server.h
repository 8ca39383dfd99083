/* SPDX-License-Identifier: MIT
 * The server: a model behind HTTP. Owns the table of routes; the APIs know what their requests and
 * responses are like, the scheduler computes, and HTTP carries. */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include "serve/http.h"
#include "serve/scheduler.h"

struct server_options {
    struct scheduler_options scheduler;        /* model and tokenizer too: borrowed */
    struct http_options http;                  /* handler, is_public, user, log are filled in */
    const struct weir_template *chat_template; /* NULL: endpoints of chats say so. Borrowed */
    const char *template_source;               /* of it, for /props; NULL: none */
    const char *alias;                         /* how the model is called; NULL: as its file */
    struct weir_request_options request;       /* reasoning, kwargs */
    enum weir_reasoning_format reasoning_format;
    int32_t reasoning_budget;            /* of requests that do not say; -1: any number */
    const char *reasoning_closing;       /* before the mark that ends reasoning; NULL: nothing */
    struct weir_sampler_options sampler; /* of requests that do not say */
    int32_t tokens_max;                  /* of requests that do not say; -1: any number */
    bool metrics, props, slots, page;    /* /metrics, POST /props, /slots, / */
    bool metrics_public;                 /* /metrics needs no key */
    bool no_cache_prompt;                /* of requests that do not say */
    bool no_prefill_assistant;
    const char *slot_save_path; /* the folder of saved slots; NULL: none can be saved */
    uint32_t ping_s;            /* of silence in a stream; 0: none */
    uint32_t timeout_s;         /* of a request, from its arrival; 0: any time */
    weir_log_fn *log;
    void *log_user;
};

struct server;

/* Loads the model and listens: from then on requests are answered, with 503 before. */
enum weir_status server_open(struct server **out, const struct server_options *options,
                             struct weir_error *err);
uint16_t server_port(const struct server *server);
/* No new requests; those that run get so many seconds, and then an event that says so. */
void server_drain(struct server *server, uint32_t seconds);
void server_close(struct server *server);

#endif
