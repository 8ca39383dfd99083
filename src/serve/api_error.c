/* SPDX-License-Identifier: MIT
 * Writes errors as the APIs have them. Knows not where they come from. */
#include "serve/api_error.h"

#include <stdio.h>

#include "serve/http.h"
#include "serve/respond.h"

static const struct {
    unsigned status;
    const char *type;      /* of OpenAI and llama-server */
    const char *anthropic; /* type */
} errors[] = {
    [API_INVALID] = {400, "invalid_request_error", "invalid_request_error"},
    [API_CONTEXT] = {400, "exceed_context_size_error", "invalid_request_error"},
    [API_FORBIDDEN] = {403, "permission_error", "permission_error"},
    [API_NOT_FOUND] = {404, "not_found_error", "not_found_error"},
    [API_MEDIA] = {415, "invalid_request_error", "invalid_request_error"},
    [API_NOT_SUPPORTED] = {501, "not_supported_error", "api_error"},
    [API_BUSY] = {429, "rate_limit_error", "rate_limit_error"},
    [API_UNAVAILABLE] = {503, "unavailable_error", "overloaded_error"},
    [API_TIMEOUT] = {504, "timeout_error", "timeout_error"},
    [API_INTERNAL] = {500, "server_error", "api_error"},
};

enum api_error api_error_from(enum weir_status status)
{
    switch (status) {
    case WEIR_ERR_ARGUMENT:
    case WEIR_ERR_FORMAT:
    case WEIR_ERR_UNSUPPORTED:
    case WEIR_ERR_FULL: return API_INVALID; // of a full queue the scheduler says when to come again
    case WEIR_ERR_CANCELLED: return API_UNAVAILABLE;
    case WEIR_ERR_IO:
    case WEIR_ERR_MEMORY:
    case WEIR_OK: break;
    }
    return API_INTERNAL;
}

unsigned api_error_status(enum api_error error)
{
    return errors[error].status;
}

const char *api_error_type(enum api_error error)
{
    return errors[error].type;
}

static void put_openai(struct bytes *out, const struct refusal *refusal)
{
    put_open(out, NULL, '{');
    put_open(out, "error", '{');
    put_integer(out, "code", errors[refusal->error].status);
    put_text(out, "message", refusal->text);
    put_text(out, "type", errors[refusal->error].type);
    if (refusal->error == API_CONTEXT) {
        put_integer(out, "n_prompt_tokens", refusal->prompt_tokens);
        put_integer(out, "n_ctx", refusal->context);
    }
    put_close(out, '}');
    put_close(out, '}');
}

static void put_anthropic(struct bytes *out, const char *type, const char *text)
{
    put_open(out, NULL, '{');
    put_text(out, "type", "error");
    put_open(out, "error", '{');
    put_text(out, "type", type);
    put_text(out, "message", text);
    put_close(out, '}');
    put_close(out, '}');
}

void put_refusal(struct bytes *out, enum api_shape shape, const struct refusal *refusal)
{
    switch (shape) {
    case SHAPE_OPENAI: put_openai(out, refusal); break;
    case SHAPE_ANTHROPIC:
        put_anthropic(out, errors[refusal->error].anthropic, refusal->text);
        break;
    }
}

void put_http_error(struct bytes *out, enum api_shape shape, const struct http_error *error)
{
    if (shape == SHAPE_ANTHROPIC) {
        put_anthropic(out, error->status == 413 ? "request_too_large" : error->type,
                      error->message);
        return;
    }
    put_open(out, NULL, '{');
    put_open(out, "error", '{');
    put_text(out, "message", error->message);
    put_text(out, "type", error->type);
    put_integer(out, "code", error->status);
    put_close(out, '}');
    put_close(out, '}');
}

void refuse(struct http_exchange *exchange, enum api_shape shape, const struct refusal *refusal)
{
    struct bytes body = {0};
    put_refusal(&body, shape, refusal);
    if (refusal->retry_s > 0) {
        char seconds[16];
        snprintf(seconds, sizeof seconds, "%u", refusal->retry_s);
        http_add_header(exchange, "Retry-After", seconds);
    }
    http_reply(exchange, errors[refusal->error].status, "application/json; charset=utf-8",
               body.has_failed ? "" : body.data, body.has_failed ? 0 : body.length);
    bytes_release(&body);
}

void refuse_status(struct http_exchange *exchange, enum api_shape shape, enum weir_status status,
                   const struct weir_error *err)
{
    refuse(exchange, shape, &(struct refusal){api_error_from(status), err->text});
}
