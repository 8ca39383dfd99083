/* SPDX-License-Identifier: MIT
 * What a request, and who passes it on, say of the variables of a template. */
#ifndef CHAT_REQUEST_VARIABLES_H
#define CHAT_REQUEST_VARIABLES_H

#include "base/bytes.h"
#include "json/json.h"

/* Writes them as members of a template's request, each with a comma behind. */
enum weir_status request_variables_write(const struct json *request,
                                         const struct weir_request_options *options,
                                         struct bytes *out, struct weir_error *err);

#endif
