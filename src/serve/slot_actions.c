/* SPDX-License-Identifier: MIT
 * Actions on slots, and files of their sessions. */
#include "serve/slot_actions.h"

#include <sys/stat.h>

#include "base/clock.h"
#include "base/condition.h"

enum { ASK_NS = 500000000 }; /* between two looks at whether somebody still waits */

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
    if (slot->salt != 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "slot %u holds a text with a cache_salt, which a file would not keep",
                       slot->id);
    weir_session_unmark(slot->session);
    if (begin != NULL) {
        TRY(weir_checkpoint_open(&here, slot->session, err));
        weir_checkpoint_take(here);
        TRY(weir_checkpoint_return(begin, err));
    }
    status = weir_session_save(slot->session, request->wish->path, err);
    request->outcome.tokens = weir_session_position(slot->session);
    request->outcome.bytes = file_bytes(request->wish->path);
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
    const enum weir_status status =
        weir_session_load(slot->session, request->wish->path, &request->err);
    if (status != WEIR_OK)
        return status;
    request->outcome.tokens = weir_session_position(slot->session);
    request->outcome.bytes = file_bytes(request->wish->path);
    pthread_mutex_lock(&scheduler->lock);
    slot->text = known_texts_begin(&scheduler->texts, slot->salt,
                                   weir_session_tokens(slot->session), request->outcome.tokens);
    pthread_mutex_unlock(&scheduler->lock);
    slot_keep(scheduler, slot);
    return WEIR_OK;
}

static enum weir_status erase(struct scheduler *scheduler, struct slot *slot,
                              struct slot_request *request)
{
    request->outcome.tokens = weir_session_position(slot->session);
    pthread_mutex_lock(&scheduler->lock);
    known_text_drop(slot->text);
    slot->text = NULL;
    pthread_mutex_unlock(&scheduler->lock);
    slot_clear(scheduler, slot);
    return WEIR_OK;
}

void slot_request_do(struct scheduler *scheduler, struct slot_request *request)
{
    struct slot *slot = &scheduler->slots[request->wish->slot];
    switch (request->wish->action) {
    case SLOT_SAVE: request->status = save(slot, request); break;
    case SLOT_RESTORE: request->status = restore(scheduler, slot, request); break;
    case SLOT_ERASE: request->status = erase(scheduler, slot, request); break;
    }
    pthread_mutex_lock(&scheduler->lock);
    scheduler->infos[slot->id].held = weir_session_position(slot->session);
    pthread_mutex_unlock(&scheduler->lock);
}

/* ---- asking: from any thread ----------------------------------------------------------------- */

/* Under the lock. */
static enum weir_status enqueue(struct scheduler *scheduler, struct slot_request *request,
                                struct weir_error *err)
{
    uint32_t count = 0;
    struct slot_request **last = &scheduler->requests;
    if (scheduler->is_draining)
        return err_set(err, WEIR_ERR_CANCELLED, "no new actions: the server is about to end");
    for (; *last != NULL; last = &(*last)->next)
        count++;
    if (count > 0 && count + scheduler->figures.waiting >= scheduler->options.queue_max) {
        request->outcome.retry_s = scheduler_retry(scheduler);
        return err_set(err, WEIR_ERR_FULL, "%u actions are waiting already, as many as may", count);
    }
    *last = request;
    scheduler_wake(scheduler);
    return WEIR_OK;
}

/* Under the lock. False if it has begun. */
static bool withdraw(struct scheduler *scheduler, const struct slot_request *request)
{
    struct slot_request **link = &scheduler->requests;
    while (*link != NULL && *link != request)
        link = &(*link)->next;
    if (*link == NULL)
        return false;
    *link = request->next;
    return true;
}

/* Under the lock. False if nobody waited any more before it began. */
static bool await(struct scheduler *scheduler, struct slot_request *request)
{
    const struct slot_wish *wish = request->wish;
    while (!request->is_done) {
        condition_wait_until(&scheduler->idle, &scheduler->lock, clock_ns() + ASK_NS);
        if (wish->is_gone != NULL && wish->is_gone(wish->user) && withdraw(scheduler, request))
            return false;
    }
    return true;
}

enum weir_status scheduler_slot_action(struct scheduler *scheduler, const struct slot_wish *wish,
                                       struct slot_outcome *out, struct weir_error *err)
{
    struct slot_request request = {.wish = wish};
    *out = (struct slot_outcome){0};
    if (wish->slot >= scheduler->options.slots)
        return err_set(err, WEIR_ERR_ARGUMENT, "slot %u, expected 0 to %u", wish->slot,
                       scheduler->options.slots - 1);
    if (wish->path == NULL && wish->action != SLOT_ERASE)
        return err_set(err, WEIR_ERR_ARGUMENT, "no file to save a slot to, or to restore it from");
    pthread_mutex_lock(&scheduler->lock);
    enum weir_status status = enqueue(scheduler, &request, err);
    if (status == WEIR_OK && !await(scheduler, &request))
        status = err_set(err, WEIR_ERR_CANCELLED, "nobody waits for the slot any more");
    pthread_mutex_unlock(&scheduler->lock);
    *out = request.outcome;
    if (status == WEIR_OK && request.status != WEIR_OK)
        status = err_set(err, request.status, "%s", request.err.text);
    return status;
}
