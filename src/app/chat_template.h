/* SPDX-License-Identifier: MIT
 * The chat template that the flags name. */
#ifndef APP_CHAT_TEMPLATE_H
#define APP_CHAT_TEMPLATE_H

#include "app/log.h"

/* `name` is that of a built-in template, or else a file, "-" standard input; NULL: the model's own.
 * Errors begin with the flag. */
enum weir_status chat_template_open(struct weir_template **out, const char *name,
                                    const struct weir_model *model, struct weir_error *err);

/* As the flags of chats name it: `text` is the template itself or the name of a built-in one,
 * `file` a file with it; at most one is not NULL. With neither it is the model's own, and the usual
 * one for a model that has none, with a warning. */
enum weir_status chat_template_choose(struct weir_template **out, const char *text,
                                      const char *file, const struct weir_model *model,
                                      struct log *log, struct weir_error *err);

#endif
