/* SPDX-License-Identifier: MIT
 * The value of a flag, from its text into the field of the options. */
#ifndef APP_FLAG_VALUE_H
#define APP_FLAG_VALUE_H

#include "app/args.h"

/* `value` is NULL for a switch without one. Errors begin with `source`, where it comes from. */
enum weir_status flag_apply(struct options *options, const struct flag *flag, const char *source,
                            const char *value, struct weir_error *err);

#endif
