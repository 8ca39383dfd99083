/* SPDX-License-Identifier: MIT
 * What a conversation keeps in files: those of --session, /save and /load. */
#ifndef APP_CHAT_SESSION_H
#define APP_CHAT_SESSION_H

#include "base/bytes.h"
#include "base/lock.h"

struct conversation;

/* Set to zero to begin. */
struct chat_session {
    const char *path;      /* of the messages; NULL: none is kept */
    struct bytes state;    /* the path of the model's state, beside it */
    struct file_lock lock; /* of the messages */
    bool goes_on;          /* the file was there */
    bool is_outdated;      /* the file of the state may hold what the messages have no more */
};

/* Holds the file of --session, if there is one, until it is closed; before a model is loaded. */
enum weir_status chat_session_open(struct conversation *conversation, struct weir_error *err);
void chat_session_close(struct chat_session *session);

/* Refuses what a model that has been opened is read from. */
enum weir_status chat_session_check(const struct conversation *conversation,
                                    struct weir_error *err);

/* Loads the state, before the chat is opened, and then the messages. The state is a shortcut:
 * without it the messages are read again. */
void chat_session_load_state(struct conversation *conversation);
enum weir_status chat_session_load(struct conversation *conversation, struct weir_error *err);
/* A line about what was loaded. */
enum weir_status chat_session_tell(struct conversation *conversation, struct weir_error *err);

/* Messages were taken back or replaced: when they are saved, a state with the old ones goes. */
void chat_session_outdate(struct conversation *conversation);

/* Behind each answer. A person is told what fails, and has the answer; the end tries again. */
enum weir_status chat_session_save(struct conversation *conversation, struct weir_error *err);
/* At the end: the messages, and the state beside them. */
enum weir_status chat_session_keep(struct conversation *conversation, struct weir_error *err);

/* Writes the messages to another file: a new one, or a conversation that nobody holds. */
enum weir_status chat_session_export(const struct conversation *conversation, const char *path,
                                     struct weir_error *err);
/* Takes the messages of a file that nobody else holds. */
enum weir_status chat_session_import(struct conversation *conversation, const char *path,
                                     struct weir_error *err);

#endif
