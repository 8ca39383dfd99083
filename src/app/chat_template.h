/* SPDX-License-Identifier: MIT
 * The chat template that the flags name. */
#ifndef APP_CHAT_TEMPLATE_H
#define APP_CHAT_TEMPLATE_H

#include "weir.h"

/* `name` is that of a built-in template, or else a file, "-" standard input; NULL: the model's own.
 * Errors begin with the flag. */
enum weir_status chat_template_open(struct weir_template **out, const char *name,
                                    const struct weir_model *model, struct weir_error *err);
/* Of a file, "-" standard input. */
enum weir_status chat_template_open_file(struct weir_template **out, const char *path,
                                         struct weir_error *err);

#endif
