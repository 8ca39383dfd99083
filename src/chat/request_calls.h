/* SPDX-License-Identifier: MIT
 * Tools and calls of them as clients send them, as templates know them. */
#ifndef CHAT_REQUEST_CALLS_H
#define CHAT_REQUEST_CALLS_H

#include "base/bytes.h"
#include "json/json.h"

/* The calls of a message, as a member of it with a comma before it; nothing if it has none. */
enum weir_status request_calls_write(const struct json *message, struct bytes *out,
                                     struct weir_error *err);
enum weir_status request_has_calls(const struct json *message, bool *out, struct weir_error *err);

/* The tools of a request as a JSON array of {"type", "function": {"name", "description",
 * "parameters"}}; nothing if it has none. */
enum weir_status request_tools_write(const struct json *request, struct bytes *out,
                                     struct weir_error *err);

#endif
