/* SPDX-License-Identifier: MIT
 * Actions on slots, and files of their sessions. */
#include "serve/slot_actions.h"

#include <sys/stat.h>

static uint64_t file_bytes(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 ? (uint64_t)info.st_size : 0;
}

/* A file holds one state and no way back, and the next prompt may part from this text where its
 * reply began, or be its own prompt again. So it is saved as it was there: what was said behind is
 * read again by who goes on with it, a part of what would be read otherwise. */
static enum weir_status save(struct slot *slot, struct slot_request *request)
{
    const struct weir_checkpoint *begin = slot_last_checkpoint(slot);
    struct weir_checkpoint *here = NULL;
    struct weir_error *err = &request->err;
    enum weir_status status = WEIR_OK;
    weir_session_unmark(slot->session);
    if (begin != NULL) {
        TRY(weir_checkpoint_open(&here, slot->session, err));
        weir_checkpoint_take(here);
        TRY(weir_checkpoint_return(begin, err));
    }
    status = weir_session_save(slot->session, request->path, err);
    request->tokens = weir_session_position(slot->session);
    request->bytes = file_bytes(request->path);
    if (here != NULL)
        weir_checkpoint_return(here, NULL); /* cannot fail: nothing was written since */
out:
    weir_checkpoint_close(here);
    return status;
}

static enum weir_status restore(struct scheduler *scheduler, struct slot *slot,
                                struct slot_request *request)
{
    slot_leave(scheduler, slot);
    slot_clear(scheduler, slot);
    const enum weir_status status = weir_session_load(slot->session, request->path, &request->err);
    if (status != WEIR_OK)
        return status;
    request->tokens = weir_session_position(slot->session);
    request->bytes = file_bytes(request->path);
    pthread_mutex_lock(&scheduler->lock);
    slot->text = known_texts_begin(&scheduler->texts, slot->salt,
                                   weir_session_tokens(slot->session), request->tokens);
    pthread_mutex_unlock(&scheduler->lock);
    slot_keep(scheduler, slot);
    return WEIR_OK;
}

static enum weir_status erase(struct scheduler *scheduler, struct slot *slot,
                              struct slot_request *request)
{
    request->tokens = weir_session_position(slot->session);
    pthread_mutex_lock(&scheduler->lock);
    known_text_drop(slot->text);
    slot->text = NULL;
    pthread_mutex_unlock(&scheduler->lock);
    slot_clear(scheduler, slot);
    return WEIR_OK;
}

void slot_request_do(struct scheduler *scheduler, struct slot_request *request)
{
    struct slot *slot = &scheduler->slots[request->slot];
    switch (request->action) {
    case SLOT_SAVE: request->status = save(slot, request); break;
    case SLOT_RESTORE: request->status = restore(scheduler, slot, request); break;
    case SLOT_ERASE: request->status = erase(scheduler, slot, request); break;
    }
    pthread_mutex_lock(&scheduler->lock);
    scheduler->infos[slot->id].held = weir_session_position(slot->session);
    pthread_mutex_unlock(&scheduler->lock);
}

enum weir_status scheduler_slot_action(struct scheduler *scheduler, uint32_t slot,
                                       enum slot_action action, const char *path, uint32_t *tokens,
                                       uint64_t *bytes, struct weir_error *err)
{
    struct slot_request request = {.slot = slot, .action = action, .path = path};
    *tokens = 0;
    *bytes = 0;
    if (slot >= scheduler->options.slots)
        return err_set(err, WEIR_ERR_ARGUMENT, "slot %u, expected 0 to %u", slot,
                       scheduler->options.slots - 1);
    if (path == NULL && action != SLOT_ERASE)
        return err_set(err, WEIR_ERR_ARGUMENT, "no file to save a slot to, or to restore it from");
    pthread_mutex_lock(&scheduler->lock);
    struct slot_request **last = &scheduler->requests;
    while (*last != NULL)
        last = &(*last)->next;
    *last = &request;
    scheduler_wake(scheduler);
    while (!request.is_done)
        pthread_cond_wait(&scheduler->idle, &scheduler->lock);
    pthread_mutex_unlock(&scheduler->lock);
    if (request.status != WEIR_OK)
        return err_set(err, request.status, "%s", request.err.text);
    *tokens = request.tokens;
    *bytes = request.bytes;
    return WEIR_OK;
}
