/* SPDX-License-Identifier: MIT
 * The messages of a conversation in a file: {"format": "weir.chat/1", "messages": [...]}. */
#ifndef APP_CHAT_FILE_H
#define APP_CHAT_FILE_H

#include "base/bytes.h"
#include "json/json.h"

/* The file appears when it is complete, and can be read by its owner alone if it is new. */
enum weir_status chat_file_save(const struct weir_chat *chat, const char *path,
                                struct weir_error *err);

/* The array of messages in what was read of the file of this name. WEIR_ERR_FORMAT as below. */
enum weir_status chat_file_messages(const struct json *root, const char *name,
                                    struct json_text *messages, struct weir_error *err);

/* WEIR_OK for a file that is not there, or a conversation; else an error, so that nothing else is
 * written over. */
enum weir_status chat_file_check(const char *path, struct weir_error *err);

/* Replaces the messages. WEIR_ERR_FORMAT says what of the file is none of such. */
enum weir_status chat_file_load(struct weir_chat *chat, const char *path, struct weir_error *err);

/* What the messages are, as far as a command asks. Set to zero to begin. */
struct chat_state {
    uint32_t messages;
    bool is_empty;       /* but for a system message */
    bool is_answered;    /* the last one is an answer */
    struct bytes system; /* the content of the first one, if that is its role and it is a text */
};

/* Of a JSON array of them. */
enum weir_status chat_state_read(struct chat_state *state, const char *text, size_t length,
                                 struct weir_error *err);
enum weir_status chat_state_take(struct chat_state *state, const struct weir_chat *chat,
                                 struct weir_error *err);
void chat_state_release(struct chat_state *state);

#endif
