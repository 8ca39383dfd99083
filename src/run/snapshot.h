/* SPDX-License-Identifier: MIT
 * A session at a position as bytes, and back. Knows not where they are kept.
 *
 * A snapshot has four parts. The integers are little-endian, the rest is as the backend has it:
 *
 *   head      96 bytes: magic, version, counts, fingerprint of the engine, link of the parent
 *   tokens    those of the session, all of them, 4 bytes each
 *   cached    of each cache the rows of positions [from, position), then those of the MTP block's
 *             caches of [mtp_from, mtp_position)
 *   kept      what else the next token reads (state_each_kept); if the head says so, the hidden
 *             state of the last token, for the MTP block
 *
 * Behind tokens, cached and kept stands the digest of all before it but digests. That behind cached
 * is the link: by it a snapshot names its parent, which has the rows before `from`, or is whole
 * itself. So all snapshots of a text hold each row once, and none is ever used with rows that are
 * not those it was made with. */
#ifndef RUN_SNAPSHOT_H
#define RUN_SNAPSHOT_H

#include "base/file.h"
#include "run/engine.h"

enum { SNAPSHOT_HEAD_BYTES = 96 };

struct snapshot_head {
    struct digest model;   /* fingerprint_make */
    struct origin parent;  /* its link is zero if it is nothing */
    uint32_t position;     /* at least 1 */
    uint32_t mtp_position; /* at most that */
    uint32_t pending;      /* tokens that are not in the stored state, but recorded */
    bool has_hidden;
    bool goes_on; /* another one stands on it, behind it in the same file */
    bool is_way;  /* the last of such a file: the session had a way back to where it stood */
};

/* What the snapshots of an engine look like. */
struct snapshot_shape {
    struct digest model;
    uint32_t vocab, context;
    uint64_t row_bytes, mtp_row_bytes; /* of all caches, of a position */
    uint64_t kept_bytes;               /* without what follows */
    uint64_t record_bytes;             /* of a token that is pending */
    uint32_t pending_max;
    uint64_t hidden_bytes;
};

struct snapshot_shape snapshot_shape_make(const struct weir_engine *engine);

/* Reads and checks a head; `name` is for errors (WEIR_ERR_FORMAT). All its counts are then within
 * the shape's limits. */
enum weir_status snapshot_read_head(struct snapshot_head *head,
                                    const uint8_t bytes[SNAPSHOT_HEAD_BYTES],
                                    const struct snapshot_shape *shape, const char *name,
                                    struct weir_error *err);

/* Bytes of the whole. */
uint64_t snapshot_bytes(const struct snapshot_head *head, const struct snapshot_shape *shape);
/* Where its link begins. */
uint64_t snapshot_link_offset(const struct snapshot_head *head, const struct snapshot_shape *shape);

/* The head that a session has now, on top of `parent`. */
struct snapshot_head snapshot_head_make(const struct weir_session *session,
                                        const struct snapshot_shape *shape, struct origin parent);

/* Where one is written: a file, or memory that has room for all of it. */
struct snapshot_sink {
    struct file_writer *file; /* NULL: memory */
    uint8_t *memory;          /* NULL: nowhere */
};

/* What is kept of a position, and is not in the session's state: that of a checkpoint. */
struct snapshot_aside {
    uint8_t *kept; /* the pieces of state_each_kept, one after the other */
    float *hidden; /* NULL without the MTP block */
};

/* Writes the session under that head. *link is then the snapshot's own. */
enum weir_status snapshot_write(const struct weir_session *session,
                                const struct snapshot_head *head, struct snapshot_sink sink,
                                struct digest *link, struct weir_error *err);
/* The same of a position that the session has gone by, of which it has tokens and rows. */
enum weir_status snapshot_write_aside(const struct weir_session *session,
                                      const struct snapshot_head *head,
                                      const struct snapshot_aside *aside, struct snapshot_sink sink,
                                      struct digest *link, struct weir_error *err);

/* The link that a snapshot with this head has if it has the session's own rows, of which there must
 * be as many as the head says. */
enum weir_status snapshot_link(const struct weir_session *session, const struct snapshot_head *head,
                               struct digest *link, struct weir_error *err);

/* Where one is read from. */
struct snapshot_source {
    const struct file_reader *file; /* NULL: memory */
    const uint8_t *memory;
    uint64_t begin; /* bytes before it, which are no part of it */
    uint64_t size;
    const char *name; /* for errors */
};

/* Reads a range, of which nothing is believed yet; WEIR_ERR_FORMAT behind the end. */
enum weir_status snapshot_source_read(const struct snapshot_source *source, uint64_t offset,
                                      void *out, uint64_t bytes, struct weir_error *err);

/* Reads the head, and checks it against the size of the source. */
enum weir_status snapshot_source_head(const struct snapshot_source *source,
                                      const struct snapshot_shape *shape,
                                      struct snapshot_head *head, struct weir_error *err);
/* The same where more may follow: the source becomes as long as the snapshot. */
enum weir_status snapshot_source_first(struct snapshot_source *source,
                                       const struct snapshot_shape *shape,
                                       struct snapshot_head *head, struct weir_error *err);

/* What is read of one. */
enum snapshot_use {
    SNAPSHOT_ALL,  /* tokens, cached, kept */
    SNAPSHOT_LEAF, /* cached and kept: the tokens must be those of session->tokens */
    SNAPSHOT_ROWS, /* cached alone: likewise */
};

/* Reads into the memory of an empty session. WEIR_ERR_FORMAT where a digest is not that of the
 * bytes. The session's positions are not touched; one that a failure leaves with part of the bytes
 * is made empty by weir_session_reset. */
enum weir_status snapshot_read(struct weir_session *session, const struct snapshot_shape *shape,
                               const struct snapshot_source *source, enum snapshot_use use,
                               struct snapshot_head *head, struct digest *link,
                               struct weir_error *err);

/* The same, as a leaf, with what is kept put aside. */
enum weir_status snapshot_read_aside(struct weir_session *session,
                                     const struct snapshot_shape *shape,
                                     const struct snapshot_source *source,
                                     const struct snapshot_aside *aside, struct snapshot_head *head,
                                     struct digest *link, struct weir_error *err);

/* Reads all of one as the above, and leaves the session as it is: `tokens` stands for its own. */
enum weir_status snapshot_check(const struct weir_session *session,
                                const struct snapshot_shape *shape,
                                const struct snapshot_source *source, enum snapshot_use use,
                                int32_t *tokens, struct snapshot_head *head, struct digest *link,
                                struct weir_error *err);

/* Makes a session, of which a leaf and all before it were read, one that stands there. */
void snapshot_adopt(struct weir_session *session, const struct snapshot_head *leaf,
                    struct digest link);

#endif
