/* SPDX-License-Identifier: MIT
 * The message that the events of a reply add up to. */
#ifndef BASE_REPLY_MESSAGE_H
#define BASE_REPLY_MESSAGE_H

#include "base/bytes.h"

struct message_call {
    struct bytes name, arguments;
    bool is_complete;
};

/* Set to zero to begin. */
struct message {
    struct bytes reasoning, content;
    struct message_call *calls;
    uint64_t calls_count, calls_capacity;
    bool has_failed; /* a call could not be added */
};

void message_release(struct message *message);

/* A weir_reply_fn; `user` is the message. */
void message_add(void *user, const struct weir_reply_event *event);
/* WEIR_ERR_MEMORY if something could not be added. */
enum weir_status message_check(const struct message *message, struct weir_error *err);

#endif
