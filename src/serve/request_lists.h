/* SPDX-License-Identifier: MIT
 * The members of a request that are lists or objects, a function each: texts to stop at, biases,
 * samplers, tools, the language of the answer. */
#ifndef SERVE_REQUEST_LISTS_H
#define SERVE_REQUEST_LISTS_H

#include "serve/api_request.h"

/* Each reads its member of request->root, if it is there. Errors as in request_read. */
enum weir_status request_read_stops(struct request *request, struct weir_error *err);
enum weir_status request_read_biases(struct request *request,
                                     const struct weir_tokenizer *tokenizer,
                                     struct weir_error *err);
enum weir_status request_read_samplers(struct request *request, struct weir_error *err);
enum weir_status request_read_breakers(struct request *request, struct weir_error *err);
enum weir_status request_read_tools(struct request *request, struct weir_error *err);
enum weir_status request_read_language(struct request *request, struct weir_error *err);
enum weir_status request_read_response_fields(struct request *request, struct weir_error *err);

#endif
