/* SPDX-License-Identifier: MIT
 * A request on its way: from prompts to jobs, from their events to what the client is told. */
#ifndef SERVE_GENERATE_H
#define SERVE_GENERATE_H

#include "serve/prompts.h"
#include "serve/service.h"

/* Closed by its answer, or by who gives up before. */
struct generation;

enum weir_status generation_open(struct generation **out, struct server *server,
                                 const struct form *form, struct weir_error *err);
void generation_close(struct generation *generation);

/* What it is filled with before it is run; released with it. */
struct request *generation_request(struct generation *generation);
struct prompts *generation_prompts(struct generation *generation);

/* The answers are taken apart as those of a chat, and held to a language. What the options borrow
 * is the prompt's, which is closed with the generation. */
void generation_set_chat(struct generation *generation, const struct chat_options *options,
                         struct weir_prompt *prompt);

/* From the request or its header: see job_options.salt. */
void generation_set_salt(struct generation *generation, struct http_exchange *exchange);
uint64_t generation_salt(const struct generation *generation);

/* Answers the exchange, whatever comes; the generation is no longer the caller's. */
void generation_run(struct generation *generation, struct http_exchange *exchange);

/* Ends the reasoning of a running generation by the id of its answer; false: there is none. */
bool generation_end_reasoning(struct server *server, struct json_text id);

#endif
