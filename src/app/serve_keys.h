/* SPDX-License-Identifier: MIT
 * The keys that the flags name. */
#ifndef APP_SERVE_KEYS_H
#define APP_SERVE_KEYS_H

#include "app/options.h"

/* Fills options->serve.key_list from --api-key and --api-key-file. A file without a key is refused:
 * a server that was to be locked would stand open. */
enum weir_status serve_keys_read(struct options *options, struct weir_error *err);

#endif
