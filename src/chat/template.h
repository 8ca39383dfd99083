/* SPDX-License-Identifier: MIT
 * The template of a model's chats, with what it may know of the model. */
#ifndef CHAT_TEMPLATE_H
#define CHAT_TEMPLATE_H

#include "base/text.h"

/* Texts of tokens that are variables of the template; without data if the model has none. */
struct template_tokens {
    struct span bos, eos;
};

enum weir_status template_open(struct weir_template **out, struct span source, const char *name,
                               const struct template_tokens *tokens, struct weir_error *err);

#endif
