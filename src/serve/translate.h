/* SPDX-License-Identifier: MIT
 * Requests of other APIs as those of chat completions, so that there is one way from a request to a
 * prompt. Members that both have stay as they are written. */
#ifndef SERVE_TRANSLATE_H
#define SERVE_TRANSLATE_H

#include "serve/api_request.h"

/* Anthropic's messages, and OpenAI's responses. `out` gets the request; WEIR_ERR_ARGUMENT names
 * what is wrong, WEIR_ERR_FORMAT is what is no JSON. */
enum weir_status translate_messages(struct bytes *out, const char *body, size_t length,
                                    struct weir_error *err);
enum weir_status translate_responses(struct bytes *out, const char *body, size_t length,
                                     struct weir_error *err);

/* ---- what both share ------------------------------------------------------------------------- */

/* Opens the document of a body that must be an object. */
enum weir_status translate_open(struct json_document **out, const char *body, size_t length,
                                struct weir_error *err);
/* WEIR_ERR_ARGUMENT for a wish for several answers, which neither has a form for. */
enum weir_status translate_choices(const struct json *root, struct weir_error *err);
/* Adds the members of the object that are not named in `others`, which ends with NULL. One that is
 * null is left out: it would take away what was written under its name before. */
void translate_rest(struct bytes *out, const struct json *object, const char *const *others);
/* The member "tools" of chat completions, if there is one: the client's own, whose schema
 * is the member of that name. */
enum weir_status translate_tools(struct bytes *out, const struct json *root,
                                 bool (*is_clients)(const struct json *tool), const char *schema,
                                 struct weir_error *err);
/* A call, whose arguments are a text of JSON. */
void translate_call(struct bytes *out, const struct json *id, const struct json *name,
                    struct json_text arguments);
/* Of a message of the assistant what stands beside its content: reasoning, and the calls, elements
 * of a list. */
void translate_spoken(struct bytes *out, const struct bytes *reasoning, const struct bytes *calls);
/* A part of a content. */
void translate_text(struct bytes *out, struct json_text text);
/* A picture, of which nothing but that it is there is told: it is refused anyway. */
void translate_image(struct bytes *out);

#endif
