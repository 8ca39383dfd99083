/* SPDX-License-Identifier: MIT
 * Adds up the events of a reply. Knows nothing of how they are found. */
#include "base/reply_message.h"

#include "base/mem.h"

void message_release(struct message *message)
{
    for (uint64_t i = 0; i < message->calls_count; i++) {
        bytes_release(&message->calls[i].name);
        bytes_release(&message->calls[i].arguments);
    }
    mem_free(message->calls);
    bytes_release(&message->content);
    bytes_release(&message->reasoning);
    *message = (struct message){0};
}

static void add_call(struct message *message, const struct weir_reply_event *event)
{
    if (mem_grow(&message->calls, &message->calls_capacity, message->calls_count + 1,
                 sizeof *message->calls, NULL) != WEIR_OK)
        message->has_failed = true;
    if (message->has_failed)
        return;
    message->calls[message->calls_count] = (struct message_call){0};
    bytes_add(&message->calls[message->calls_count++].name, event->text, event->length);
}

void message_add(void *user, const struct weir_reply_event *event)
{
    struct message *message = user;
    struct message_call *call =
        event->call < message->calls_count ? &message->calls[event->call] : NULL;
    switch (event->kind) {
    case WEIR_REPLY_REASONING: bytes_add(&message->reasoning, event->text, event->length); break;
    case WEIR_REPLY_CONTENT: bytes_add(&message->content, event->text, event->length); break;
    case WEIR_REPLY_CALL: add_call(message, event); break;
    case WEIR_REPLY_ARGUMENTS:
        if (call != NULL)
            bytes_add(&call->arguments, event->text, event->length);
        break;
    case WEIR_REPLY_CALL_END:
        if (call != NULL)
            call->is_complete = true;
        break;
    }
}

enum weir_status message_check(const struct message *message, struct weir_error *err)
{
    if (message->has_failed)
        return err_set(err, WEIR_ERR_MEMORY, "out of memory: more than %llu calls",
                       (unsigned long long)message->calls_count);
    enum weir_status status;
    TRY(bytes_check(&message->reasoning, err));
    TRY(bytes_check(&message->content, err));
    for (uint64_t i = 0; i < message->calls_count; i++) {
        TRY(bytes_check(&message->calls[i].name, err));
        TRY(bytes_check(&message->calls[i].arguments, err));
    }
out:
    return status;
}
