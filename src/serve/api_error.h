/* SPDX-License-Identifier: MIT
 * What is refused, in the words of the APIs: a status, a type, one line. */
#ifndef SERVE_API_ERROR_H
#define SERVE_API_ERROR_H

#include "base/bytes.h"

struct http_exchange;
struct http_error;

enum api_error {
    API_INVALID,       /* bad JSON, a bad field, an exception of the template, a grammar */
    API_CONTEXT,       /* the prompt does not fit */
    API_FORBIDDEN,     /* switched off */
    API_NOT_FOUND,     /* path, or method of one */
    API_MEDIA,         /* a body in a coding that nobody reads */
    API_NOT_SUPPORTED, /* an endpoint that is not offered */
    API_BUSY,          /* the queue is full */
    API_UNAVAILABLE,   /* loading, or about to end */
    API_TIMEOUT,       /* the answer takes longer than the server allows */
    API_INTERNAL,
};

enum api_shape { SHAPE_OPENAI, SHAPE_ANTHROPIC };

struct refusal {
    enum api_error error;
    const char *text;
    uint32_t prompt_tokens, context; /* of CONTEXT */
    uint32_t retry_s;                /* of BUSY */
};

/* Which kind of error a failed call of the library or the scheduler is. */
enum api_error api_error_from(enum weir_status status);
unsigned api_error_status(enum api_error error);
const char *api_error_type(enum api_error error); /* of OpenAI and llama-server; static */

/* The object of an error, as the body of a response or in an event. */
void put_refusal(struct bytes *out, enum api_shape shape, const struct refusal *refusal);
/* The same of what HTTP refuses. */
void put_http_error(struct bytes *out, enum api_shape shape, const struct http_error *error);
/* The whole response. */
void refuse(struct http_exchange *exchange, enum api_shape shape, const struct refusal *refusal);
/* The same for a call that failed. */
void refuse_status(struct http_exchange *exchange, enum api_shape shape, enum weir_status status,
                   const struct weir_error *err);

#endif
