/* SPDX-License-Identifier: MIT
 * Checkpoints: copies of what of a session cannot go back by itself, and when they are of no use
 * any more. Knows not what the pieces of a state are. */
#include "run/session_checkpoint.h"

#include <string.h>

#include "base/mem.h"

/* ---- pieces ---------------------------------------------------------------------------------- */

/* A walk through the pieces of a session's state. */
struct walk {
    const struct backend *backend;
    struct memory *memory;
    uint8_t *kept;
    uint64_t done;
};

static enum weir_status add_bytes(void *user, uint64_t offset, uint64_t bytes)
{
    struct walk *walk = user;
    (void)offset;
    walk->done += bytes;
    return WEIR_OK;
}

static enum weir_status fetch_piece(void *user, uint64_t offset, uint64_t bytes)
{
    struct walk *walk = user;
    walk->backend->fetch(walk->memory, offset, walk->kept + walk->done, bytes);
    walk->done += bytes;
    return WEIR_OK;
}

static enum weir_status store_piece(void *user, uint64_t offset, uint64_t bytes)
{
    struct walk *walk = user;
    walk->backend->store(walk->memory, offset, walk->kept + walk->done, bytes);
    walk->done += bytes;
    return WEIR_OK;
}

static void walk_kept(const struct weir_checkpoint *checkpoint, state_piece_fn *fn)
{
    const struct weir_session *session = checkpoint->session;
    struct walk walk = {session->engine->blueprint.backend, session->engine->state.memory,
                        checkpoint->kept, 0};
    const struct state_place place = {session->slot, checkpoint->position, checkpoint->pending};
    state_each_kept(&session->engine->state, &place, fn, &walk);
}

/* With as many records as a session can have. */
static uint64_t kept_bytes_max(const struct weir_engine *engine)
{
    const struct state_place place = {.pending = engine->options.rewind_max};
    struct walk walk = {.backend = NULL};
    state_each_kept(&engine->state, &place, add_bytes, &walk);
    return walk.done;
}

/* ---- open and close -------------------------------------------------------------------------- */

enum weir_status weir_checkpoint_open(struct weir_checkpoint **out, struct weir_session *session,
                                      struct weir_error *err)
{
    const struct weir_engine *engine = session->engine;
    enum weir_status status = WEIR_ERR_MEMORY;
    *out = NULL;
    struct weir_checkpoint *checkpoint = mem_alloc(1, sizeof *checkpoint, err);
    if (checkpoint == NULL)
        return WEIR_ERR_MEMORY;
    checkpoint->kept = mem_alloc(kept_bytes_max(engine), 1, err);
    if (checkpoint->kept == NULL)
        goto out;
    if (session->hidden != NULL) {
        checkpoint->hidden = mem_alloc(engine->blueprint.config.width, sizeof(float), err);
        if (checkpoint->hidden == NULL)
            goto out;
    }
    checkpoint->session = session;
    checkpoint->next = session->checkpoints;
    session->checkpoints = checkpoint;
    *out = checkpoint;
    return WEIR_OK;
out:
    mem_free(checkpoint->kept);
    mem_free(checkpoint);
    return status;
}

void weir_checkpoint_close(struct weir_checkpoint *checkpoint)
{
    if (checkpoint == NULL)
        return;
    struct weir_checkpoint **link = &checkpoint->session->checkpoints;
    while (*link != checkpoint)
        link = &(*link)->next;
    *link = checkpoint->next;
    mem_free(checkpoint->hidden);
    mem_free(checkpoint->kept);
    mem_free(checkpoint);
}

/* ---- there and back -------------------------------------------------------------------------- */

void weir_checkpoint_take(struct weir_checkpoint *checkpoint)
{
    const struct weir_session *session = checkpoint->session;
    const float *hidden = checkpoint->hidden == NULL ? NULL : session_last_hidden(session);
    checkpoint->is_valid = true;
    checkpoint->has_hidden = hidden != NULL;
    checkpoint->position = session->position;
    checkpoint->pending = session->position - session->settled;
    walk_kept(checkpoint, fetch_piece);
    if (hidden != NULL)
        memcpy(checkpoint->hidden, hidden,
               session->engine->blueprint.config.width * sizeof *hidden);
}

int64_t weir_checkpoint_position(const struct weir_checkpoint *checkpoint)
{
    return checkpoint->is_valid ? (int64_t)checkpoint->position : -1;
}

enum weir_status weir_checkpoint_return(const struct weir_checkpoint *checkpoint,
                                        struct weir_error *err)
{
    struct weir_session *session = checkpoint->session;
    if (!checkpoint->is_valid)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "a checkpoint that holds nothing, or of whose tokens some were written over "
                       "since, expected one to return to");
    walk_kept(checkpoint, store_piece);
    session->position = checkpoint->position;
    session->settled = checkpoint->position - checkpoint->pending;
    session->is_marked = false;
    session->mtp_position = 0; /* its rows may be of another text */
    session->results = session->mtp_results = (struct results){0};
    session->hidden_position = 0;
    if (checkpoint->has_hidden) {
        memcpy(session->hidden, checkpoint->hidden,
               session->engine->blueprint.config.width * sizeof *session->hidden);
        session->hidden_position = checkpoint->position;
    }
    session_forget_origin(session);
    return WEIR_OK;
}

void session_overwrite(struct weir_session *session)
{
    for (struct weir_checkpoint *at = session->checkpoints; at != NULL; at = at->next)
        at->is_valid = at->is_valid && at->position <= session->position;
}
