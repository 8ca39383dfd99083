/* SPDX-License-Identifier: MIT
 * A session in a file of its own, with its ways back or without. */
#include "run/session_checkpoint.h"
#include "run/session_states.h"

/* ---- saving ---------------------------------------------------------------------------------- */

struct ways {
    struct weir_checkpoint *const *items;
    uint32_t count;
};

static enum weir_status check_ways(const struct ways *ways, const struct weir_session *session,
                                   struct weir_error *err)
{
    for (uint32_t i = 0; i < ways->count; i++) {
        if (ways->items[i]->session != session)
            return err_set(err, WEIR_ERR_ARGUMENT, "a way back of another session");
    }
    return WEIR_OK;
}

/* The first that can be gone back to between two positions; NULL: there is none. */
static const struct weir_checkpoint *way_between(const struct ways *ways, uint32_t after,
                                                 uint32_t before)
{
    const struct weir_checkpoint *first = NULL;
    for (uint32_t i = 0; i < ways->count; i++) {
        const struct weir_checkpoint *way = ways->items[i];
        if (way->is_valid && way->position > after && way->position < before &&
            (first == NULL || way->position < first->position))
            first = way;
    }
    return first;
}

static struct snapshot_head way_head(const struct weir_checkpoint *way,
                                     const struct snapshot_shape *shape, struct origin parent)
{
    const uint32_t mtp = way->session->mtp_position;
    return (struct snapshot_head){
        .model = shape->model,
        .parent = parent,
        .position = way->position,
        .mtp_position = mtp < way->position ? mtp : way->position,
        .pending = way->pending,
        .has_hidden = way->has_hidden,
        .goes_on = true,
    };
}

/* Writes all states, or only counts their bytes if there is no file to write to. */
static enum weir_status write_states(const struct weir_session *session,
                                     const struct snapshot_shape *shape, const struct ways *ways,
                                     struct file_writer *file, uint64_t *bytes,
                                     struct weir_error *err)
{
    const struct snapshot_sink sink = {.file = file};
    struct origin parent = {.position = 0};
    struct snapshot_head head;
    enum weir_status status = WEIR_OK;
    *bytes = 0;
    for (const struct weir_checkpoint *way = way_between(ways, 0, session->position); way != NULL;
         way = way_between(ways, way->position, session->position)) {
        const struct snapshot_aside aside = {way->kept, way->hidden};
        head = way_head(way, shape, parent);
        parent = (struct origin){head.position, head.mtp_position, {{0}}};
        *bytes += snapshot_bytes(&head, shape);
        if (file != NULL)
            TRY(snapshot_write_aside(session, &head, &aside, sink, &parent.link, err));
    }
    head = snapshot_head_make(session, shape, parent);
    head.is_way = way_between(ways, session->position - 1, session->position + 1) != NULL;
    *bytes += snapshot_bytes(&head, shape);
    if (file != NULL)
        status = snapshot_write(session, &head, sink, &parent.link, err);
out:
    return status;
}

enum weir_status weir_session_save_ways(const struct weir_session *session,
                                        struct weir_checkpoint *const *ways, uint32_t count,
                                        const char *path, struct weir_error *err)
{
    const struct ways back = {ways, count};
    struct file_writer writer = {.path = NULL};
    uint64_t bytes;
    enum weir_status status;
    if (session->position == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: an empty session has nothing to save", path);
    const struct snapshot_shape shape = snapshot_shape_make(session->engine);
    TRY(check_ways(&back, session, err));
    TRY(write_states(session, &shape, &back, NULL, &bytes, err));
    TRY(file_check_space(path, bytes, err));
    TRY(file_writer_open(&writer, path, err));
    file_writer_make_private(&writer);
    TRY(write_states(session, &shape, &back, &writer, &bytes, err));
    TRY(file_writer_commit(&writer, err));
out:
    file_writer_abandon(&writer);
    return status;
}

enum weir_status weir_session_save(const struct weir_session *session, const char *path,
                                   struct weir_error *err)
{
    return weir_session_save_ways(session, NULL, 0, path, err);
}

/* ---- loading --------------------------------------------------------------------------------- */

/* The newest ways of the file, which may be where the session stood, go to the first checkpoints;
 * NULL: it has more than there are. */
static struct weir_checkpoint *way_of(const struct ways *ways, const struct session_states *states,
                                      uint64_t state)
{
    const uint64_t last = states->count - 1;
    const uint64_t newer = last - state - !states->items[last].head.is_way;
    return newer < ways->count ? ways->items[newer] : NULL;
}

static enum weir_status read_way(struct session_state *state, struct weir_session *session,
                                 const struct snapshot_shape *shape,
                                 const struct weir_checkpoint *way, struct weir_error *err)
{
    if (way == NULL)
        return snapshot_read(session, shape, &state->source, SNAPSHOT_ROWS, &state->head,
                             &state->link, err);
    const struct snapshot_aside aside = {way->kept, way->hidden};
    return snapshot_read_aside(session, shape, &state->source, &aside, &state->head, &state->link,
                               err);
}

/* Into the memory of an empty session. The last state has all tokens. */
static enum weir_status read_states(struct session_states *states, struct weir_session *session,
                                    const struct snapshot_shape *shape, const struct ways *ways,
                                    struct weir_error *err)
{
    struct session_state *last = &states->items[states->count - 1];
    enum weir_status status;
    for (uint32_t i = 0; i < ways->count; i++)
        ways->items[i]->is_valid = false;
    TRY(snapshot_read(session, shape, &last->source, SNAPSHOT_ALL, &last->head, &last->link, err));
    for (uint64_t i = states->count - 1; i-- > 0;)
        TRY(read_way(&states->items[i], session, shape, way_of(ways, states, i), err));
    status = session_states_check_links(states, err);
out:
    return status;
}

/* All is read: the session stands at the last state, and the others are ways back. */
static void adopt(const struct session_states *states, struct weir_session *session,
                  const struct ways *ways)
{
    const struct session_state *last = &states->items[states->count - 1];
    snapshot_adopt(session, &last->head, last->link);
    if (last->head.is_way && ways->count > 0)
        weir_checkpoint_take(ways->items[0]);
    for (uint64_t i = states->count - 1; i-- > 0;) {
        struct weir_checkpoint *way = way_of(ways, states, i);
        const struct snapshot_head *head = &states->items[i].head;
        if (way == NULL)
            return;
        way->is_valid = true;
        way->has_hidden = head->has_hidden && way->hidden != NULL;
        way->position = head->position;
        way->pending = head->pending;
    }
}

static enum weir_status load(struct weir_session *session, const struct ways *ways,
                             const struct snapshot_source *source, bool is_checked,
                             struct weir_error *err)
{
    const struct snapshot_shape shape = snapshot_shape_make(session->engine);
    struct session_states states;
    enum weir_status status = session_states_find(&states, source, &shape, err);
    if (status != WEIR_OK)
        return status;
    if (is_checked)
        TRY(session_states_check(&states, session, &shape, err));
    weir_session_reset(session);
    status = read_states(&states, session, &shape, ways, err);
    if (status == WEIR_OK)
        adopt(&states, session, ways);
    else
        weir_session_reset(session);
out:
    session_states_release(&states);
    return status;
}

static enum weir_status load_file(struct weir_session *session, const struct ways *ways,
                                  const char *path, bool is_checked, struct weir_error *err)
{
    struct file_reader reader = {.path = NULL};
    enum weir_status status = file_reader_open(&reader, path, err);
    if (status != WEIR_OK)
        return status;
    const struct snapshot_source source = {.file = &reader, .size = reader.size, .name = path};
    status = load(session, ways, &source, is_checked, err);
    file_reader_close(&reader);
    return status;
}

enum weir_status weir_session_load(struct weir_session *session, const char *path,
                                   struct weir_error *err)
{
    const struct ways none = {NULL, 0};
    if (session->position != 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%s: the session holds %u tokens, expected an empty one", path,
                       session->position);
    return load_file(session, &none, path, false, err);
}

enum weir_status weir_session_load_ways(struct weir_session *session,
                                        struct weir_checkpoint *const *ways, uint32_t count,
                                        const char *path, struct weir_error *err)
{
    const struct ways back = {ways, count};
    const enum weir_status status = check_ways(&back, session, err);
    return status == WEIR_OK ? load_file(session, &back, path, true, err) : status;
}
