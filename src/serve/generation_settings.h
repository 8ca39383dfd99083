/* SPDX-License-Identifier: MIT
 * The options of a generation as llama-server tells them. */
#ifndef SERVE_GENERATION_SETTINGS_H
#define SERVE_GENERATION_SETTINGS_H

#include "serve/api_request.h"

/* The object of a request's options. With `is_whole` its lists too: texts to stop at,
 * biases, breakers, grammar; without, what /props tells of a request that says nothing. */
void put_settings(struct bytes *out, const char *key, const struct request *request, bool is_whole);

#endif
