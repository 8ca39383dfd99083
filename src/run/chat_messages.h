/* SPDX-License-Identifier: MIT
 * The messages of a conversation, each as the JSON that a template is given. */
#ifndef RUN_CHAT_MESSAGES_H
#define RUN_CHAT_MESSAGES_H

#include "base/bytes.h"
#include "base/reply_message.h"
#include "json/json.h"

struct chat_message {
    char *role;        /* zero-terminated */
    struct bytes json; /* an object */
};

/* Set to zero to begin. */
struct chat_messages {
    struct chat_message *items;
    uint64_t count, capacity;
};

void chat_messages_release(struct chat_messages *messages);

/* Whether the message of that number is there and has the role. */
bool chat_messages_is(const struct chat_messages *messages, uint64_t number, const char *role);

/* Those of the role. */
uint64_t chat_messages_count(const struct chat_messages *messages, const char *role);

/* WEIR_ERR_ARGUMENT for what is no UTF-8. On failure of any of these nothing is added. */
enum weir_status chat_messages_add(struct chat_messages *messages, const char *role,
                                   const char *text, size_t length, struct weir_error *err);
/* What a model said. Calls that were cut off are left out, and so is reasoning that is part of the
 * content. */
enum weir_status chat_messages_add_reply(struct chat_messages *messages,
                                         const struct message *reply, bool is_in_content,
                                         struct weir_error *err);
/* Makes the last message the first one, in the place of a system message that is there. */
void chat_messages_lead(struct chat_messages *messages);

/* Forgets all but the first `count`. */
void chat_messages_cut(struct chat_messages *messages, uint64_t count);

/* As a JSON array, and back: `out` is zero before. */
void chat_messages_write(const struct chat_messages *messages, struct printer out);
enum weir_status chat_messages_read(struct chat_messages *out, const char *json, size_t length,
                                    struct weir_error *err);

#endif
