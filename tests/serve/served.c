/* SPDX-License-Identifier: MIT
 * Opens and asks a server under test. Knows no API. */
#include "serve/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL test_data("../../models/" WEIR_SHIPPED)

enum { CONTEXT = 640 };

void served_init(struct served *served)
{
    static const char *const keys[] = {"k1"};
    *served = (struct served){0};
    struct server_options *options = &served->options;
    options->scheduler =
        (struct scheduler_options){.slots = 2, .queue_max = 16, .cache_bytes_max = 64 << 20};
    struct weir_engine_options *engine = &options->scheduler.engine;
    weir_engine_options_init(engine);
    engine->backend = "cpu";
    engine->context = CONTEXT;
    engine->threads = 2;
    engine->bind = WEIR_OFF;
    weir_speculator_options_init(&options->scheduler.speculator);
    options->http = (struct http_options){
        .host = "127.0.0.1",
        .socket_mode = 0600,
        .prefix = "",
        .keys = keys,
        .keys_count = 1,
        .cors_origins = "*",
        .cors_methods = "GET, POST, DELETE, OPTIONS",
        .cors_headers = "*",
        .cors_credentials = true,
        .body_max = 1 << 20,
        .connections_max = 64,
        .read_timeout_s = 20,
        .write_timeout_s = 20,
    };
    options->alias = "shipped";
    options->reasoning_budget = -1;
    options->tokens_max = -1;
    options->metrics = options->props = options->slots = options->page = true;
    options->template_source = "(the template text)";
    weir_sampler_options_init(&options->sampler);
}

void served_load(struct served *served)
{
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&served->model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&served->tokenizer, served->model, &err), &err);
    CHECK_OK(weir_template_open_model(&served->chat_template, served->model, &err), &err);
    served->options.scheduler.model = served->model;
    served->options.scheduler.tokenizer = served->tokenizer;
    served->options.chat_template = served->chat_template;
}

void served_open(struct served *served)
{
    struct weir_error err = {0};
    served_load(served);
    CHECK_OK(server_open(&served->server, &served->options, &err), &err);
    served->port = server_port(served->server);
}

void served_close(struct served *served)
{
    server_close(served->server);
    weir_template_close(served->chat_template);
    weir_tokenizer_close(served->tokenizer);
    weir_model_close(served->model);
}

struct http_response served_ask(const struct served *served, const char *method, const char *path,
                                const char *headers, const char *body)
{
    struct bytes request = {0};
    char line[512];
    snprintf(line, sizeof line, "%s %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n", method, path);
    bytes_add_text(&request, line);
    bytes_add_text(&request, headers != NULL ? headers : "Authorization: Bearer k1\r\n");
    if (body != NULL) {
        snprintf(line, sizeof line, "Content-Length: %zu\r\n", strlen(body));
        bytes_add_text(&request, line);
    }
    bytes_add_text(&request, "\r\n");
    if (body != NULL)
        bytes_add_text(&request, body);
    CHECK(!request.has_failed);
    struct http_response response = http_client_ask(served->port, request.data);
    bytes_release(&request);
    return response;
}

struct http_response served_post(const struct served *served, const char *path, const char *body,
                                 unsigned status)
{
    struct http_response response = served_ask(served, "POST", path, NULL, body);
    if (response.status != status)
        test_fail(__FILE__, __LINE__, "%s %s: status %u: %s", path, body, response.status,
                  response.body.data);
    return response;
}
