/* SPDX-License-Identifier: MIT
 * The table of routes, and the life of a server. Knows nothing of what endpoints do. */
#include "serve/service.h"

#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/think_marks.h"
#include "serve/generate.h"
#include "serve/respond.h"

const char json_type[] = "application/json; charset=utf-8";

void reply_json(struct http_exchange *exchange, unsigned status, struct bytes *body)
{
    struct weir_error err = {0};
    const enum weir_status made = bytes_check(body, &err);
    if (made == WEIR_OK)
        http_reply(exchange, status, json_type, body->data, body->length);
    else
        refuse_status(exchange, SHAPE_OPENAI, made, &err);
    bytes_release(body);
}

/* ---- routes ---------------------------------------------------------------------------------- */

enum route_flags {
    ROUTE_PUBLIC = 1, /* no key is asked for */
    ROUTE_PREFIX = 2, /* paths that begin so, with something behind it */
    ROUTE_EARLY = 4,  /* answered while the model is being loaded too */
};

struct route {
    const char *method, *path;
    endpoint *serve;
    unsigned flags;
};

static const struct route routes[] = {
    {"GET", "/health", serve_health, ROUTE_PUBLIC},
    {"GET", "/v1/health", serve_health, ROUTE_PUBLIC},
    {"GET", "/v1/models", serve_models, ROUTE_PUBLIC},
    {"GET", "/models", serve_models, ROUTE_PUBLIC},
    {"GET", "/v1/models/", serve_model, ROUTE_PUBLIC | ROUTE_PREFIX},
    {"GET", "/models/", serve_model, ROUTE_PUBLIC | ROUTE_PREFIX},
    {"GET", "/", serve_page, ROUTE_PUBLIC | ROUTE_EARLY},
    {"GET", "/props", serve_props, 0},
    {"POST", "/props", serve_set_props, 0},
    {"GET", "/metrics", serve_metrics, 0},
    {"GET", "/slots", serve_slots, 0},
    {"POST", "/slots/", serve_slot_action, ROUTE_PREFIX},
    {"POST", "/v1/chat/completions", serve_chat, 0},
    {"POST", "/chat/completions", serve_chat, 0},
    {"POST", "/v1/chat/completions/input_tokens", serve_chat_tokens, 0},
    {"POST", "/v1/chat/completions/control", serve_control, 0},
    {"POST", "/v1/completions", serve_completion, 0},
    {"POST", "/completion", serve_native, 0},
    {"POST", "/completions", serve_native, 0},
    {"POST", "/infill", serve_infill, 0},
    {"POST", "/v1/messages", serve_messages, 0},
    {"POST", "/v1/messages/count_tokens", serve_messages_tokens, 0},
    {"POST", "/v1/responses", serve_responses, 0},
    {"POST", "/responses", serve_responses, 0},
    {"POST", "/v1/responses/input_tokens", serve_responses_tokens, 0},
    {"POST", "/tokenize", serve_tokenize, 0},
    {"POST", "/detokenize", serve_detokenize, 0},
    {"POST", "/apply-template", serve_apply_template, 0},
    {"POST", "/v1/embeddings", serve_embeddings, 0},
    {"POST", "/embeddings", serve_embeddings, 0},
    {"POST", "/embedding", serve_embeddings, 0},
};

static const struct route *find_route(const char *method, const char *path)
{
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
        const struct route *route = &routes[i];
        const size_t length = strlen(route->path);
        const bool is_path = route->flags & ROUTE_PREFIX
                                 ? strncmp(path, route->path, length) == 0 && path[length] != 0
                                 : strcmp(path, route->path) == 0;
        if (is_path && strcmp(method, route->method) == 0)
            return route;
    }
    return NULL;
}

static bool is_public(void *user, const char *method, const char *path)
{
    const struct server *server = user;
    const struct route *route = find_route(method, path);
    if (route == NULL)
        return false;
    return route->flags & ROUTE_PUBLIC ||
           (route->serve == serve_metrics && server->options.metrics_public);
}

/* Anthropic's clients get errors as they know them. */
static enum api_shape shape_of(const char *path)
{
    static const char messages[] = "/v1/messages";
    return strncmp(path, messages, sizeof messages - 1) == 0 ? SHAPE_ANTHROPIC : SHAPE_OPENAI;
}

static void put_error(void *user, const char *path, const struct http_error *error,
                      struct bytes *out)
{
    (void)user;
    put_http_error(out, shape_of(path), error);
}

static void handle(void *user, struct http_exchange *exchange)
{
    struct server *server = user;
    const char *path = http_path(exchange);
    const struct route *route = find_route(http_method(exchange), path);
    if (http_is_coded(exchange))
        refuse(exchange, shape_of(path),
               &(struct refusal){.error = API_MEDIA,
                                 .text = "Content-Encoding: bodies are read as they are, without "
                                         "any coding but identity"});
    else if (route == NULL)
        refuse(exchange, shape_of(path),
               &(struct refusal){.error = API_NOT_FOUND, .text = "File Not Found"});
    else if (!(route->flags & ROUTE_EARLY) &&
             !atomic_load_explicit(&server->is_ready, memory_order_acquire))
        refuse(exchange, shape_of(path),
               &(struct refusal){.error = API_UNAVAILABLE, .text = "Loading model"});
    else
        route->serve(server, exchange);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void set_defaults(struct server *server)
{
    const struct server_options *options = &server->options;
    server->defaults = (struct request_defaults){
        .tokenizer = options->scheduler.tokenizer,
        .sampler = options->sampler,
        .tokens_max = options->tokens_max,
        .reasoning_budget = options->reasoning_budget,
        .reasoning_format = options->reasoning_format,
        .slots = scheduler_slots(server->scheduler),
        .ping_s = (int32_t)(options->ping_s < INT32_MAX ? options->ping_s : INT32_MAX),
        .no_cache_prompt = options->no_cache_prompt,
    };
}

/* What is said when a budget of reasoning is used up. */
static enum weir_status make_closing(struct server *server, struct weir_error *err)
{
    const char *sentence = server->options.reasoning_closing;
    struct bytes text = {0};
    bytes_add_text(&text, sentence != NULL ? sentence : "");
    bytes_add_text(&text, "\n");
    bytes_add_text(&text, MARK_THINK_END);
    bytes_add_text(&text, "\n\n");
    server->closing = text.data;
    return bytes_check(&text, err);
}

static enum weir_status listen_to(struct server *server, struct weir_error *err)
{
    struct http_options http = server->options.http;
    http.handler = handle;
    http.is_public = is_public;
    http.put_error = put_error;
    http.user = server;
    http.log = server->options.log;
    http.log_user = server->options.log_user;
    return http_open(&server->http, &http, err);
}

static enum weir_status load(struct server *server, struct weir_error *err)
{
    struct scheduler_options scheduler = server->options.scheduler;
    enum weir_status status;
    scheduler.log = server->options.log;
    scheduler.log_user = server->options.log_user;
    TRY(make_closing(server, err));
    TRY(constraints_open(&server->constraints, scheduler.tokenizer, err));
    TRY(template_caps_find(&server->template_caps, server->options.chat_template, err));
    TRY(scheduler_open(&server->scheduler, &scheduler, err));
    set_defaults(server);
    atomic_store_explicit(&server->is_ready, true, memory_order_release);
out:
    return status;
}

/* Where the file lies is nothing for clients. */
static const char *file_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? path : slash + 1;
}

enum weir_status server_open(struct server **out, const struct server_options *options,
                             struct weir_error *err)
{
    struct server *server = mem_alloc(1, sizeof *server, err);
    enum weir_status status;
    *out = NULL;
    if (server == NULL)
        return WEIR_ERR_MEMORY;
    server->options = *options;
    server->started = (int64_t)time(NULL);
    pthread_mutex_init(&server->mutex, NULL);
    weir_model_info(options->scheduler.model, &server->model);
    server->file = file_of(server->model.path);
    server->name = options->alias != NULL ? options->alias : server->file;
    TRY(listen_to(server, err));
    TRY(load(server, err));
    *out = server;
out:
    if (status != WEIR_OK)
        server_close(server);
    return status;
}

uint16_t server_port(const struct server *server)
{
    return http_port(server->http);
}

void server_drain(struct server *server, uint32_t seconds)
{
    http_quiesce(server->http);
    scheduler_drain(server->scheduler, clock_ns() + seconds * UINT64_C(1000000000));
}

void server_close(struct server *server)
{
    if (server == NULL)
        return;
    if (server->http != NULL)
        http_close(server->http);
    if (server->scheduler != NULL)
        scheduler_close(server->scheduler);
    constraints_close(server->constraints);
    mem_free(server->closing);
    pthread_mutex_destroy(&server->mutex);
    mem_free(server);
}
