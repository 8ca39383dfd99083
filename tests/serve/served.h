/* SPDX-License-Identifier: MIT
 * A whole server for tests: the shipped model behind HTTP, in the process of the test. */
#ifndef TESTS_SERVE_SERVED_H
#define TESTS_SERVE_SERVED_H

#include "http_client.h"
#include "serve/server.h"

struct served {
    struct server_options options; /* as served_init sets them, and a test changes them */
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_template *chat_template;
    struct server *server;
    uint16_t port;
};

/* Two slots of 640 tokens, the reference backend, a key "k1", all endpoints on. */
void served_init(struct served *served);
void served_open(struct served *served);
/* Its first half: all but the server itself. */
void served_load(struct served *served);
void served_close(struct served *served);

/* A request with the key on a connection of its own; a body of NULL: none. `headers` are further
 * ones, each with its line's end; NULL: none. */
struct http_response served_ask(const struct served *served, const char *method, const char *path,
                                const char *headers, const char *body);
/* A POST that must be answered with this status. */
struct http_response served_post(const struct served *served, const char *path, const char *body,
                                 unsigned status);

#endif
