/* SPDX-License-Identifier: MIT
 * Messages as clients send them, as messages that templates know. */
#ifndef CHAT_REQUEST_MESSAGES_H
#define CHAT_REQUEST_MESSAGES_H

#include "base/bytes.h"
#include "json/json.h"

/* What the template understands. */
struct messages_form {
    bool has_developer; /* the role; else such a message is one of the system */
    bool has_parts;     /* contents that are lists; else their texts are put together */
};

/* Refuses, as everything here, what is not right in a message: "messages[3]: ...". */
enum weir_status request_message_refuse(enum weir_status status, uint32_t number,
                                        const struct weir_error *problem, struct weir_error *err);

bool request_message_is(const struct json *message, const char *role);
/* Whether the content of a message is a list of parts. */
bool request_messages_have_parts(const struct json *messages);

/* The texts of a message's content, decoded, one behind the other. */
enum weir_status request_content_read(const struct json *message, struct bytes *out,
                                      struct weir_error *err);
/* What the message calls its reasoning; NULL: it has none. */
enum weir_status request_reasoning_read(const struct json *message, const struct json **out,
                                        struct weir_error *err);

/* The first `count` messages, as a JSON array. */
enum weir_status request_messages_write(const struct json *messages, uint32_t count,
                                        struct messages_form form, struct bytes *out,
                                        struct weir_error *err);

#endif
