/* SPDX-License-Identifier: MIT
 * The template of a model's chats, with what it may know of the model. */
#ifndef CHAT_TEMPLATE_H
#define CHAT_TEMPLATE_H

#include "base/text.h"
#include "jinja/jinja.h"

/* Texts of tokens that are variables of the template; without data if the model has none. */
struct template_tokens {
    struct span bos, eos;
};

enum weir_status template_open(struct weir_template **out, struct span source, const char *name,
                               const struct template_tokens *tokens, struct weir_error *err);

/* What the source of a template speaks of, so what it can be given. */
struct template_traits {
    bool has_developer; /* the role of that name */
    bool has_reasoning; /* marks of it */
};

struct template_traits template_traits(const struct weir_template *chat_template);

/* A request as JSON, which must be an object. */
enum weir_status template_read_request(struct json_document **out, const char *request,
                                       size_t length, struct weir_error *err);
/* What the template makes of it. */
enum weir_status template_render(const struct weir_template *chat_template,
                                 const struct json *request, struct jinja_output *out,
                                 struct weir_error *err);

#endif
