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

/* All that the slot can be gone on from, its end and its ways back. */
static enum weir_status save(const struct slot *slot, struct slot_request *request)
{
    struct weir_error *err = &request->err;
    const char *path = request->wish->path;
    if (slot->salt != 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "slot %u holds a text with a cache_salt, which a file would not keep",
                       slot->id);
    const enum weir_status status =
        weir_session_save_ways(slot->session, slot->checkpoints, SLOT_CHECKPOINTS, path, err);
    request->outcome.tokens = weir_session_position(slot->session);
    request->outcome.bytes = file_bytes(path);
    return status;
}

static enum weir_status restore(struct scheduler *scheduler, struct slot *slot,
                                struct slot_request *request)
{
    slot_leave(scheduler, slot);
    const enum weir_status status = weir_session_load_ways(
        slot->session, slot->checkpoints, SLOT_CHECKPOINTS, request->wish->path, &request->err);
    const uint32_t held = weir_session_position(slot->session);
    if (status != WEIR_OK) {
        if (held == 0)
            slot_clear(scheduler, slot);
        return status;
    }
    request->outcome.tokens = held;
    request->outcome.bytes = file_bytes(request->wish->path);
    slot->kept = 0;
    slot->salt = 0;
    pthread_mutex_lock(&scheduler->lock);
    known_text_end(slot->text);
    slot->text = known_texts_begin(&scheduler->texts, 0, weir_session_tokens(slot->session), held);
    pthread_mutex_unlock(&scheduler->lock);
    slot_give_ways(scheduler, slot);
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
