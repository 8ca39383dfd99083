/* SPDX-License-Identifier: MIT
 * When files of a conversation are read and written, and which must not be. Knows not what stands
 * in them. */
#include "app/chat_session.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "app/chat_file.h"
#include "app/conversation.h"
#include "app/prompt.h"
#include "app/session_hold.h"
#include "base/file.h"

/* ---- of --session ---------------------------------------------------------------------------- */

enum weir_status chat_session_open(struct conversation *c, struct weir_error *err)
{
    struct chat_session *session = &c->session;
    enum weir_status status = WEIR_OK;
    session->path = c->options->session;
    if (session->path == NULL)
        return WEIR_OK;
    bytes_add_text(&session->state, session->path);
    bytes_add_text(&session->state, ".state");
    TRY(bytes_check(&session->state, err));
    TRY(prompt_check_target(c->options, session->path, err));
    TRY(prompt_check_target(c->options, session->state.data, err));
    TRY(session_hold(&session->lock, session->path, "chat", err));
    session->goes_on = file_exists(session->path);
out:
    return status;
}

void chat_session_close(struct chat_session *session)
{
    file_lock_release(&session->lock);
    bytes_release(&session->state);
}

enum weir_status chat_session_check(const struct conversation *c, struct weir_error *err)
{
    const struct chat_session *session = &c->session;
    enum weir_status status = WEIR_OK;
    if (session->path == NULL)
        return WEIR_OK;
    TRY(loaded_check_target(&c->loaded, session->path, err));
    TRY(loaded_check_target(&c->loaded, session->state.data, err));
out:
    return status;
}

void chat_session_load_state(struct conversation *c)
{
    const struct chat_session *session = &c->session;
    struct weir_error why = {0};
    if (session->goes_on && file_exists(session->state.data) &&
        weir_session_load(c->loaded.session, session->state.data, &why) != WEIR_OK)
        conversation_say(c, "The conversation will be read again: %s", why.text);
}

enum weir_status chat_session_load(struct conversation *c, struct weir_error *err)
{
    const struct chat_session *session = &c->session;
    return session->goes_on ? chat_file_load(c->chat, session->path, err) : WEIR_OK;
}

enum weir_status chat_session_tell(struct conversation *c, struct weir_error *err)
{
    const struct chat_session *session = &c->session;
    const uint32_t held = weir_session_position(c->loaded.session);
    struct chat_state state = {0};
    if (!session->goes_on)
        return WEIR_OK;
    const enum weir_status status = chat_state_take(&state, c->chat, err);
    const char *const ending = state.messages == 1 ? "" : "s";
    if (status == WEIR_OK && held > 0)
        conversation_say(c, "%s goes on: %u message%s, of which %u token%s held.", session->path,
                         state.messages, ending, held, held == 1 ? " is" : "s are");
    else if (status == WEIR_OK)
        conversation_say(c, "%s goes on: %u message%s%s.", session->path, state.messages, ending,
                         state.messages > 0 ? ", to be read again" : "");
    chat_state_release(&state);
    return status;
}

void chat_session_outdate(struct conversation *c)
{
    c->session.is_outdated = true;
}

/* Writes the messages. Text that they have no more must not stay beside them. */
static enum weir_status save_messages(struct conversation *c, struct weir_error *err)
{
    struct chat_session *session = &c->session;
    const enum weir_status status = chat_file_save(c->chat, session->path, err);
    if (status != WEIR_OK || !session->is_outdated)
        return status;
    session->is_outdated = false;
    if (unlink(session->state.data) != 0 && errno != ENOENT)
        log_print(c->log, WEIR_LOG_WARNING, "warning: %s: still holds what was taken back: %s",
                  session->state.data, strerror(errno));
    return WEIR_OK;
}

enum weir_status chat_session_save(struct conversation *c, struct weir_error *err)
{
    struct weir_error why = {0};
    if (c->session.path == NULL)
        return WEIR_OK;
    const enum weir_status status = save_messages(c, &why);
    if (status == WEIR_OK || !c->terminal.is_edited)
        return status == WEIR_OK ? WEIR_OK : err_set(err, status, "%s", why.text);
    log_print(c->log, WEIR_LOG_WARNING, "warning: not saved: %s", why.text);
    return WEIR_OK;
}

enum weir_status chat_session_keep(struct conversation *c, struct weir_error *err)
{
    const struct chat_session *session = &c->session;
    struct weir_error why = {0};
    if (session->path == NULL || c->chat == NULL)
        return WEIR_OK;
    const bool is_outdated = session->is_outdated;
    const enum weir_status status = save_messages(c, err);
    if (status != WEIR_OK)
        return status;
    const bool is_settled = weir_chat_settle(c->chat, NULL) == WEIR_OK;
    if (is_outdated && !is_settled)
        return WEIR_OK; /* the session may hold what was taken back, as the file did */
    if (weir_session_position(c->loaded.session) > 0 &&
        weir_session_save(c->loaded.session, session->state.data, &why) != WEIR_OK)
        log_print(c->log, WEIR_LOG_WARNING,
                  "warning: the conversation will have to be read again: %s", why.text);
    return WEIR_OK;
}

/* ---- of commands ----------------------------------------------------------------------------- */

enum weir_status chat_session_export(const struct conversation *c, const char *path,
                                     struct weir_error *err)
{
    struct file_lock lock = {0};
    enum weir_status status;
    TRY(chat_file_check(path, err));
    if (!file_lock_is(&c->session.lock, path))
        TRY(session_hold(&lock, path, "chat", err));
    status = chat_file_save(c->chat, path, err);
out:
    file_lock_release(&lock);
    return status;
}

enum weir_status chat_session_import(struct conversation *c, const char *path,
                                     struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (!file_lock_is(&c->session.lock, path))
        TRY(file_lock_check(path, err));
    TRY(chat_file_load(c->chat, path, err));
    chat_session_outdate(c);
    c->places_count = 0; /* what they will take is known when they are read */
out:
    return status;
}
