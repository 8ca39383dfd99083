/* SPDX-License-Identifier: MIT
 * The members of a request that are lists or objects, a function each: texts to stop at, biases,
 * samplers, tools, the language of the answer. */
#ifndef SERVE_REQUEST_LISTS_H
#define SERVE_REQUEST_LISTS_H

#include "serve/api_request.h"

/* A copy that ends with a zero, and lives as long as the request; `name` is the member that it is
 * of. */
enum weir_status request_keep_text(struct request *request, const char *name, struct json_text text,
                                   const char **out, struct weir_error *err);

/* Each reads its member of request->root, if it is there. Errors as in request_read. */
enum weir_status request_read_stops(struct request *request, struct weir_error *err);
enum weir_status request_read_biases(struct request *request,
                                     const struct weir_tokenizer *tokenizer,
                                     struct weir_error *err);
enum weir_status request_read_samplers(struct request *request, struct weir_error *err);
enum weir_status request_read_breakers(struct request *request, struct weir_error *err);
/* (request_tools.c) */
enum weir_status request_read_tools(struct request *request, struct weir_error *err);
enum weir_status request_read_ends(struct request *request, const struct weir_tokenizer *tokenizer,
                                   struct weir_error *err);
/* Of several members (request_language.c). */
enum weir_status request_read_language(struct request *request, struct weir_error *err);
enum weir_status request_read_response_fields(struct request *request, struct weir_error *err);

/* Where no call is to be, behind all else: bans the token that calls begin with, if the vocabulary
 * has one and no language says what the answer is. */
enum weir_status request_forbid_calls(struct request *request,
                                      const struct weir_tokenizer *tokenizer,
                                      struct weir_error *err);
/* Adds those of the tools, a JSON array, that request->allowed names, as such an array.
 * WEIR_ERR_ARGUMENT names one that there is not. */
enum weir_status request_allowed_tools(const struct request *request, const char *tools,
                                       size_t length, struct bytes *out, struct weir_error *err);

#endif
