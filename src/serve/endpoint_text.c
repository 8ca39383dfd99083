/* SPDX-License-Identifier: MIT
 * The endpoints that continue a text. Knows neither how it is evaluated nor how it is told. */
#include "serve/generate.h"
#include "serve/infill.h"

typedef enum weir_status fill_prompts(struct prompts *out, const struct json *root,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err);

static enum weir_status fill(struct generation *generation, struct server *server,
                             enum request_kind kind, fill_prompts *read,
                             struct http_exchange *exchange, struct weir_error *err)
{
    const struct span body = http_body(exchange);
    struct request *request = generation_request(generation);
    enum weir_status status;
    TRY(request_read(request, (const char *)body.data, body.length, kind, &server->defaults, err));
    http_free_body(exchange);
    TRY(http_hold(exchange, json_bytes(request->document), err));
    if (kind == REQUEST_TEXT && request_member(request->root, "suffix") != NULL)
        TRY(err_set(err, WEIR_ERR_UNSUPPORTED, "suffix is not supported: see /infill"));
    generation_set_salt(generation, exchange);
    status = read(generation_prompts(generation), request->root, server->defaults.tokenizer, err);
out:
    return status;
}

static void serve_text(struct server *server, struct http_exchange *exchange,
                       const struct form *form, enum request_kind kind, fill_prompts *read)
{
    struct generation *generation = NULL;
    struct weir_error err = {0};
    enum weir_status status = generation_open(&generation, server, form, &err);
    if (status == WEIR_OK)
        status = fill(generation, server, kind, read, exchange, &err);
    if (status == WEIR_OK) {
        generation_run(generation, exchange);
        return;
    }
    refuse_status(exchange, form->shape, status, &err);
    generation_close(generation);
}

void serve_completion(struct server *server, struct http_exchange *exchange)
{
    serve_text(server, exchange, &form_completion, REQUEST_TEXT, prompts_read);
}

void serve_native(struct server *server, struct http_exchange *exchange)
{
    serve_text(server, exchange, &form_native, REQUEST_NATIVE, prompts_read);
}

void serve_infill(struct server *server, struct http_exchange *exchange)
{
    serve_text(server, exchange, &form_native, REQUEST_NATIVE, infill_read);
}
