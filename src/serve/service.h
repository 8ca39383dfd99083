/* SPDX-License-Identifier: MIT
 * What endpoints know of the server, and the endpoints. */
#ifndef SERVE_SERVICE_H
#define SERVE_SERVICE_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/response.h"
#include "serve/constraints.h"
#include "serve/server.h"
#include "serve/template_caps.h"

struct generation;

struct server {
    struct server_options options; /* what it points to is borrowed */
    struct weir_model_info model;
    const char *name; /* of the model, for clients */
    const char *file; /* its name, without the folder */
    int64_t started;  /* seconds since 1970 */
    atomic_bool is_ready;
    struct scheduler *scheduler; /* once it is ready, as all below */
    struct request_defaults defaults;
    struct template_caps template_caps;
    struct constraints *constraints;
    char *closing; /* what is said when reasoning must end, with its mark */
    struct http_server *http;
    pthread_mutex_t mutex;
    struct generation *running; /* those that can be found by the id of their answer */
};

typedef void endpoint(struct server *server, struct http_exchange *exchange);

endpoint serve_health, serve_models, serve_model, serve_props, serve_set_props, serve_metrics;
endpoint serve_page;
endpoint serve_chat, serve_chat_tokens, serve_control, serve_completion, serve_native, serve_infill;
endpoint serve_messages, serve_messages_tokens, serve_responses, serve_responses_tokens;
endpoint serve_tokenize, serve_detokenize, serve_apply_template;
endpoint serve_slots, serve_slot_action, serve_embeddings;

extern const char json_type[]; /* Content-Type */

/* A whole response of JSON; the bytes are released. */
void reply_json(struct http_exchange *exchange, unsigned status, struct bytes *body);

#endif
