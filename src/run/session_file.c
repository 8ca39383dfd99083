/* SPDX-License-Identifier: MIT
 * A session in a file of its own: one whole snapshot. */
#include "run/snapshot.h"

enum weir_status weir_session_save(const struct weir_session *session, const char *path,
                                   struct weir_error *err)
{
    struct file_writer writer = {.path = NULL};
    struct digest link;
    enum weir_status status;
    if (session->position == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: an empty session has nothing to save", path);
    const struct snapshot_shape shape = snapshot_shape_make(session->engine);
    const struct snapshot_head head =
        snapshot_head_make(session, &shape, (struct origin){.position = 0});
    TRY(file_check_space(path, snapshot_bytes(&head, &shape), err));
    TRY(file_writer_open(&writer, path, err));
    file_writer_make_private(&writer);
    TRY(snapshot_write(session, &head, (struct snapshot_sink){.file = &writer}, &link, err));
    TRY(file_writer_commit(&writer, err));
out:
    file_writer_abandon(&writer);
    return status;
}

static enum weir_status load(struct weir_session *session, const struct snapshot_source *source,
                             struct weir_error *err)
{
    const struct snapshot_shape shape = snapshot_shape_make(session->engine);
    struct snapshot_head head;
    struct digest link;
    enum weir_status status = snapshot_source_head(source, &shape, &head, err);
    if (status != WEIR_OK)
        return status;
    if (head.parent.position != 0)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: a part of a cache, which has the first %u tokens elsewhere",
                       source->name, head.parent.position);
    TRY(snapshot_read(session, &shape, source, SNAPSHOT_ALL, &head, &link, err));
    snapshot_adopt(session, &head, link);
out:
    if (status != WEIR_OK)
        weir_session_reset(session);
    return status;
}

enum weir_status weir_session_load(struct weir_session *session, const char *path,
                                   struct weir_error *err)
{
    struct file_reader reader = {.path = NULL};
    if (session->position != 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%s: the session holds %u tokens, expected an empty one", path,
                       session->position);
    enum weir_status status = file_reader_open(&reader, path, err);
    if (status != WEIR_OK)
        return status;
    const struct snapshot_source source = {.file = &reader, .size = reader.size, .name = path};
    status = load(session, &source, err);
    file_reader_close(&reader);
    return status;
}
