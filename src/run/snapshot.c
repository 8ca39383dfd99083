/* SPDX-License-Identifier: MIT
 * Writes and reads snapshots: parts, digests, and the way between a slot and bytes. */
#include "run/snapshot.h"

#include <string.h>

#include "base/mem.h"
#include "run/fingerprint.h"

enum {
    VERSION = 1,
    HAS_HIDDEN = 1, /* flags of the head */
    GOES_ON = 2,
    IS_WAY = 4,
    PIECE_BYTES = 256 << 10, /* on the way: fits the second cache, where it is digested */
};

static const char magic[8] = "weirsnap";

/* ---- heads ----------------------------------------------------------------------------------- */

static uint8_t *write_u32(uint8_t *at, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

static uint8_t *write_digest(uint8_t *at, struct digest digest)
{
    memcpy(at, &digest, sizeof digest);
    return at + sizeof digest;
}

static uint32_t read_u32(const uint8_t **at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value |= (uint32_t) * (*at)++ << 8 * i;
    return value;
}

static struct digest read_digest(const uint8_t **at)
{
    struct digest digest;
    memcpy(&digest, *at, sizeof digest);
    *at += sizeof digest;
    return digest;
}

static void write_head(const struct snapshot_head *head, uint8_t bytes[SNAPSHOT_HEAD_BYTES])
{
    uint8_t *at = bytes;
    memset(bytes, 0, SNAPSHOT_HEAD_BYTES);
    memcpy(at, magic, sizeof magic);
    at = write_u32(at + sizeof magic, VERSION);
    at = write_u32(at, (head->has_hidden ? HAS_HIDDEN : 0) | (head->goes_on ? GOES_ON : 0) |
                           (head->is_way ? IS_WAY : 0));
    at = write_u32(at, head->parent.position);
    at = write_u32(at, head->position);
    at = write_u32(at, head->parent.mtp_position);
    at = write_u32(at, head->mtp_position);
    at = write_u32(at, head->pending);
    at = write_digest(at, head->model);
    write_digest(at, head->parent.link);
}

static bool counts_fit(const struct snapshot_head *head)
{
    return head->position > head->parent.position && head->mtp_position <= head->position &&
           head->mtp_position >= head->parent.mtp_position &&
           head->parent.mtp_position <= head->parent.position && head->pending <= head->position;
}

/* What an engine of the same bits may lack, by its options. */
static enum weir_status check_engine(const struct snapshot_head *head,
                                     const struct snapshot_shape *shape, const char *name,
                                     struct weir_error *err)
{
    if (head->mtp_position > 0 && shape->mtp_row_bytes == 0)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: a session with the block of multi-token prediction, which the engine "
                       "was opened without",
                       name);
    if (head->pending > shape->pending_max)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: a session that can go back %u tokens, expected at most %u", name,
                       head->pending, shape->pending_max);
    return WEIR_OK;
}

enum weir_status snapshot_read_head(struct snapshot_head *head,
                                    const uint8_t bytes[SNAPSHOT_HEAD_BYTES],
                                    const struct snapshot_shape *shape, const char *name,
                                    struct weir_error *err)
{
    const uint8_t *at = bytes + sizeof magic;
    *head = (struct snapshot_head){0};
    if (memcmp(bytes, magic, sizeof magic) != 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: not a saved session of weir", name);
    const uint32_t version = read_u32(&at);
    if (version != VERSION)
        return err_set(err, WEIR_ERR_FORMAT, "%s: version %u of saved sessions, expected %d", name,
                       version, VERSION);
    const uint32_t flags = read_u32(&at);
    if (flags > (HAS_HIDDEN | GOES_ON | IS_WAY))
        return err_set(err, WEIR_ERR_FORMAT, "%s: flags %u, which no version known here writes",
                       name, flags);
    head->has_hidden = (flags & HAS_HIDDEN) != 0;
    head->goes_on = (flags & GOES_ON) != 0;
    head->is_way = (flags & IS_WAY) != 0;
    head->parent.position = read_u32(&at);
    head->position = read_u32(&at);
    head->parent.mtp_position = read_u32(&at);
    head->mtp_position = read_u32(&at);
    head->pending = read_u32(&at);
    head->model = read_digest(&at);
    head->parent.link = read_digest(&at);
    if (!digest_equals(head->model, shape->model))
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: a session of another model, or with other types of caches, backend or "
                       "rotary embedding",
                       name);
    if (!counts_fit(head))
        return err_set(err, WEIR_ERR_FORMAT, "%s: positions that do not fit each other", name);
    if (head->position > shape->context)
        return err_set(err, WEIR_ERR_FULL, "%s: %u tokens, but the context holds %u", name,
                       head->position, shape->context);
    return check_engine(head, shape, name, err);
}

/* Bytes of tokens and cached rows, the digest between them included. All counts are of rows for
 * which the engine has room, so no product overflows. */
static uint64_t rows_bytes(const struct snapshot_head *head, const struct snapshot_shape *shape)
{
    return (uint64_t)head->position * sizeof(int32_t) + sizeof(struct digest) +
           (head->position - head->parent.position) * shape->row_bytes +
           (head->mtp_position - head->parent.mtp_position) * shape->mtp_row_bytes;
}

uint64_t snapshot_link_offset(const struct snapshot_head *head, const struct snapshot_shape *shape)
{
    return SNAPSHOT_HEAD_BYTES + rows_bytes(head, shape);
}

uint64_t snapshot_bytes(const struct snapshot_head *head, const struct snapshot_shape *shape)
{
    return snapshot_link_offset(head, shape) + shape->kept_bytes +
           head->pending * shape->record_bytes + (head->has_hidden ? shape->hidden_bytes : 0) +
           2 * sizeof(struct digest);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

static enum weir_status add_bytes(void *user, uint64_t offset, uint64_t bytes)
{
    uint64_t *sum = user;
    (void)offset;
    *sum += bytes;
    return WEIR_OK;
}

struct snapshot_shape snapshot_shape_make(const struct weir_engine *engine)
{
    struct snapshot_shape shape = {
        .model = fingerprint_make(engine),
        .vocab = engine->blueprint.config.vocab,
        .context = engine->blueprint.limits.context,
        .pending_max = engine->options.rewind_max,
        .hidden_bytes = engine->blueprint.config.width * sizeof(float),
    };
    state_each_cached(&engine->state, 0, 0, 1, add_bytes, &shape.row_bytes);
    state_each_kept(&engine->state, &(struct state_place){0}, add_bytes, &shape.kept_bytes);
    state_each_kept(&engine->state, &(struct state_place){.pending = 1}, add_bytes,
                    &shape.record_bytes);
    shape.record_bytes -= shape.kept_bytes;
    if (engine->mtp_exec != NULL)
        state_each_cached(&engine->mtp_state, 0, 0, 1, add_bytes, &shape.mtp_row_bytes);
    return shape;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

/* A snapshot on its way in or out: bytes pass through `piece`, where they are digested. */
struct transfer {
    const struct backend *backend;
    struct memory *memory, *mtp_memory;
    struct digester digester;
    uint8_t *piece;
    struct snapshot_sink sink;            /* writing */
    const struct snapshot_source *source; /* reading */
    uint64_t done;                        /* bytes of either */
    uint8_t *aside;                       /* what is kept lies there; NULL: in the memory */
    bool is_check;                        /* what is read goes nowhere */
    struct weir_error *err;
};

static enum weir_status transfer_init(struct transfer *transfer, const struct weir_session *session,
                                      struct weir_error *err)
{
    const struct weir_engine *engine = session->engine;
    transfer->backend = engine->blueprint.backend;
    transfer->memory = engine->state.memory;
    transfer->mtp_memory = engine->mtp_state.memory;
    transfer->err = err;
    digester_init(&transfer->digester);
    transfer->piece = mem_alloc(PIECE_BYTES, 1, err);
    return transfer->piece != NULL ? WEIR_OK : WEIR_ERR_MEMORY;
}

static uint64_t least(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static enum weir_status put_raw(struct transfer *transfer, const void *data, uint64_t bytes)
{
    if (transfer->sink.file != NULL)
        return file_writer_put(transfer->sink.file, data, bytes, transfer->err);
    if (transfer->sink.memory == NULL)
        return WEIR_OK;
    memcpy(transfer->sink.memory + transfer->done, data, (size_t)bytes);
    transfer->done += bytes;
    return WEIR_OK;
}

static enum weir_status put(struct transfer *transfer, const void *data, uint64_t bytes)
{
    digester_put(&transfer->digester, data, (size_t)bytes);
    return put_raw(transfer, data, bytes);
}

static enum weir_status put_digest(struct transfer *transfer, struct digest *digest)
{
    *digest = digester_digest(&transfer->digester);
    return put_raw(transfer, digest, sizeof *digest);
}

static enum weir_status get_raw(struct transfer *transfer, void *out, uint64_t bytes)
{
    const enum weir_status status =
        snapshot_source_read(transfer->source, transfer->done, out, bytes, transfer->err);
    transfer->done += bytes;
    return status;
}

static enum weir_status get(struct transfer *transfer, void *out, uint64_t bytes)
{
    const enum weir_status status = get_raw(transfer, out, bytes);
    if (status == WEIR_OK)
        digester_put(&transfer->digester, out, (size_t)bytes);
    return status;
}

/* Compares the digest of what was read with the one that follows it. */
static enum weir_status get_digest(struct transfer *transfer, struct digest *digest)
{
    const enum weir_status status = get_raw(transfer, digest, sizeof *digest);
    if (status != WEIR_OK || digest_equals(*digest, digester_digest(&transfer->digester)))
        return status;
    return err_set(transfer->err, WEIR_ERR_FORMAT,
                   "%s: damaged, the checksum of the first %llu bytes is not theirs",
                   transfer->source->name, (unsigned long long)transfer->done);
}

/* ---- a session's pieces ---------------------------------------------------------------------- */

static enum weir_status pass_part(struct transfer *transfer, struct memory *memory, uint64_t offset,
                                  uint64_t bytes)
{
    if (transfer->source == NULL) {
        transfer->backend->fetch(memory, offset, transfer->piece, bytes);
        return put(transfer, transfer->piece, bytes);
    }
    const enum weir_status status = get(transfer, transfer->piece, bytes);
    if (status == WEIR_OK && !transfer->is_check)
        transfer->backend->store(memory, offset, transfer->piece, bytes);
    return status;
}

static enum weir_status pass_piece_of(struct transfer *transfer, struct memory *memory,
                                      uint64_t offset, uint64_t bytes)
{
    enum weir_status status = WEIR_OK;
    while (bytes > 0 && status == WEIR_OK) {
        const uint64_t part = least(bytes, PIECE_BYTES);
        status = pass_part(transfer, memory, offset, part);
        offset += part;
        bytes -= part;
    }
    return status;
}

static enum weir_status pass_piece(void *user, uint64_t offset, uint64_t bytes)
{
    struct transfer *transfer = user;
    return pass_piece_of(transfer, transfer->memory, offset, bytes);
}

static enum weir_status pass_mtp_piece(void *user, uint64_t offset, uint64_t bytes)
{
    struct transfer *transfer = user;
    return pass_piece_of(transfer, transfer->mtp_memory, offset, bytes);
}

static enum weir_status pass_kept_piece(void *user, uint64_t offset, uint64_t bytes)
{
    struct transfer *transfer = user;
    if (transfer->aside == NULL)
        return pass_piece(user, offset, bytes);
    const enum weir_status status = transfer->source == NULL
                                        ? put(transfer, transfer->aside, bytes)
                                        : get(transfer, transfer->aside, bytes);
    transfer->aside += bytes;
    return status;
}

/* Writes or reads the cached rows of a session that a head names. */
static enum weir_status pass_cached(struct transfer *transfer, const struct weir_session *session,
                                    const struct snapshot_head *head)
{
    const struct weir_engine *engine = session->engine;
    const enum weir_status status = state_each_cached(
        &engine->state, session->slot, head->parent.position, head->position, pass_piece, transfer);
    if (status != WEIR_OK || engine->mtp_exec == NULL)
        return status;
    return state_each_cached(&engine->mtp_state, session->slot, head->parent.mtp_position,
                             head->mtp_position, pass_mtp_piece, transfer);
}

/* And what is kept beside them. */
static enum weir_status pass_kept(struct transfer *transfer, const struct weir_session *session,
                                  const struct snapshot_head *head)
{
    const struct state_place place = {session->slot, head->position, head->pending};
    return state_each_kept(&session->engine->state, &place, pass_kept_piece, transfer);
}

/* ---- writing --------------------------------------------------------------------------------- */

struct snapshot_head snapshot_head_make(const struct weir_session *session,
                                        const struct snapshot_shape *shape, struct origin parent)
{
    const bool has_mtp = session->engine->mtp_exec != NULL;
    return (struct snapshot_head){
        .model = shape->model,
        .parent = parent,
        .position = session->position,
        .mtp_position = (uint32_t)least(session->mtp_position, session->position),
        .pending = session->position - session->settled,
        .has_hidden = has_mtp && session_last_hidden(session) != NULL,
    };
}

static enum weir_status put_rows(struct transfer *transfer, const struct weir_session *session,
                                 const struct snapshot_head *head, struct digest *link)
{
    uint8_t bytes[SNAPSHOT_HEAD_BYTES];
    struct digest digest;
    enum weir_status status;
    write_head(head, bytes);
    TRY(put(transfer, bytes, sizeof bytes));
    TRY(put(transfer, session->tokens, head->position * sizeof *session->tokens));
    TRY(put_digest(transfer, &digest));
    TRY(pass_cached(transfer, session, head));
    TRY(put_digest(transfer, link));
out:
    return status;
}

enum weir_status snapshot_link(const struct weir_session *session, const struct snapshot_head *head,
                               struct digest *link, struct weir_error *err)
{
    struct transfer transfer = {.sink = {.memory = NULL}};
    enum weir_status status = transfer_init(&transfer, session, err);
    if (status == WEIR_OK)
        status = put_rows(&transfer, session, head, link);
    mem_free(transfer.piece);
    return status;
}

/* `hidden` is that of the last token. */
static enum weir_status write(struct transfer *transfer, const struct weir_session *session,
                              const struct snapshot_head *head, const float *hidden,
                              struct digest *link, struct weir_error *err)
{
    struct digest digest;
    enum weir_status status;
    TRY(transfer_init(transfer, session, err));
    TRY(put_rows(transfer, session, head, link));
    TRY(pass_kept(transfer, session, head));
    if (head->has_hidden)
        TRY(put(transfer, hidden, session->engine->blueprint.config.width * sizeof *hidden));
    TRY(put_digest(transfer, &digest));
out:
    mem_free(transfer->piece);
    return status;
}

enum weir_status snapshot_write(const struct weir_session *session,
                                const struct snapshot_head *head, struct snapshot_sink sink,
                                struct digest *link, struct weir_error *err)
{
    struct transfer transfer = {.sink = sink};
    return write(&transfer, session, head, session_last_hidden(session), link, err);
}

enum weir_status snapshot_write_aside(const struct weir_session *session,
                                      const struct snapshot_head *head,
                                      const struct snapshot_aside *aside, struct snapshot_sink sink,
                                      struct digest *link, struct weir_error *err)
{
    struct transfer transfer = {.sink = sink, .aside = aside->kept};
    return write(&transfer, session, head, aside->hidden, link, err);
}

/* ---- reading --------------------------------------------------------------------------------- */

enum weir_status snapshot_source_read(const struct snapshot_source *source, uint64_t offset,
                                      void *out, uint64_t bytes, struct weir_error *err)
{
    if (offset > source->size || bytes > source->size - offset)
        return err_set(err, WEIR_ERR_FORMAT, "%s: ends after %llu bytes", source->name,
                       (unsigned long long)source->size);
    if (source->file != NULL)
        return file_reader_at(source->file, source->begin + offset, out, bytes, err);
    memcpy(out, source->memory + source->begin + offset, (size_t)bytes);
    return WEIR_OK;
}

static enum weir_status check_size(const struct snapshot_source *source,
                                   const struct snapshot_head *head,
                                   const struct snapshot_shape *shape, struct weir_error *err)
{
    const uint64_t expected = snapshot_bytes(head, shape);
    if (source->size == expected)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_FORMAT, "%s: %llu bytes, expected %llu", source->name,
                   (unsigned long long)source->size, (unsigned long long)expected);
}

static enum weir_status read_head(const struct snapshot_source *source,
                                  const struct snapshot_shape *shape, struct snapshot_head *head,
                                  struct weir_error *err)
{
    uint8_t bytes[SNAPSHOT_HEAD_BYTES];
    const enum weir_status status = snapshot_source_read(source, 0, bytes, sizeof bytes, err);
    return status == WEIR_OK ? snapshot_read_head(head, bytes, shape, source->name, err) : status;
}

enum weir_status snapshot_source_head(const struct snapshot_source *source,
                                      const struct snapshot_shape *shape,
                                      struct snapshot_head *head, struct weir_error *err)
{
    const enum weir_status status = read_head(source, shape, head, err);
    return status == WEIR_OK ? check_size(source, head, shape, err) : status;
}

enum weir_status snapshot_source_first(struct snapshot_source *source,
                                       const struct snapshot_shape *shape,
                                       struct snapshot_head *head, struct weir_error *err)
{
    const enum weir_status status = read_head(source, shape, head, err);
    if (status != WEIR_OK)
        return status;
    const uint64_t bytes = snapshot_bytes(head, shape);
    if (bytes > source->size)
        return check_size(source, head, shape, err);
    source->size = bytes;
    return WEIR_OK;
}

/* Reads tokens into the session, or compares them with those it has. */
static enum weir_status get_tokens(struct transfer *transfer, int32_t *tokens, uint32_t count,
                                   enum snapshot_use use)
{
    const uint32_t room = PIECE_BYTES / sizeof *tokens;
    enum weir_status status = WEIR_OK;
    for (uint32_t first = 0; first < count && status == WEIR_OK; first += room) {
        const uint64_t bytes = least(count - first, room) * sizeof *tokens;
        status = get(transfer, transfer->piece, bytes);
        if (status == WEIR_OK && use == SNAPSHOT_ALL)
            memcpy(tokens + first, transfer->piece, (size_t)bytes);
        else if (status == WEIR_OK && memcmp(tokens + first, transfer->piece, (size_t)bytes) != 0)
            status = err_set(transfer->err, WEIR_ERR_FORMAT, "%s: of another text",
                             transfer->source->name);
    }
    return status;
}

static enum weir_status check_tokens(const struct transfer *transfer, const int32_t *tokens,
                                     uint32_t count, uint32_t vocab)
{
    for (uint32_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (uint32_t)tokens[i] >= vocab)
            return err_set(transfer->err, WEIR_ERR_FORMAT, "%s: token %u is %d, expected 0 to %u",
                           transfer->source->name, i, (int)tokens[i], vocab - 1);
    }
    return WEIR_OK;
}

static enum weir_status get_rows(struct transfer *transfer, const struct weir_session *session,
                                 const struct snapshot_shape *shape, enum snapshot_use use,
                                 int32_t *tokens, struct snapshot_head *head, struct digest *link)
{
    uint8_t bytes[SNAPSHOT_HEAD_BYTES];
    struct digest digest;
    enum weir_status status;
    TRY(get(transfer, bytes, sizeof bytes));
    TRY(snapshot_read_head(head, bytes, shape, transfer->source->name, transfer->err));
    TRY(check_size(transfer->source, head, shape, transfer->err));
    TRY(get_tokens(transfer, tokens, head->position, use));
    TRY(get_digest(transfer, &digest));
    TRY(check_tokens(transfer, tokens, head->position, shape->vocab));
    TRY(pass_cached(transfer, session, head));
    TRY(get_digest(transfer, link));
out:
    return status;
}

/* Passed over by an engine without the MTP block. */
static enum weir_status get_hidden(struct transfer *transfer, float *hidden, uint64_t bytes)
{
    enum weir_status status = WEIR_OK;
    if (hidden != NULL)
        return get(transfer, hidden, bytes);
    while (bytes > 0 && status == WEIR_OK) {
        const uint64_t part = least(bytes, PIECE_BYTES);
        status = get(transfer, transfer->piece, part);
        bytes -= part;
    }
    return status;
}

/* Of a session only what says where its rows lie is looked at; `hidden` may be NULL. */
static enum weir_status read(struct transfer *transfer, const struct weir_session *session,
                             const struct snapshot_shape *shape, enum snapshot_use use,
                             int32_t *tokens, float *hidden, struct snapshot_head *head,
                             struct digest *link, struct weir_error *err)
{
    struct digest digest;
    enum weir_status status;
    TRY(transfer_init(transfer, session, err));
    TRY(get_rows(transfer, session, shape, use, tokens, head, link));
    if (use == SNAPSHOT_ROWS)
        goto out;
    TRY(pass_kept(transfer, session, head));
    if (head->has_hidden)
        TRY(get_hidden(transfer, hidden, shape->hidden_bytes));
    TRY(get_digest(transfer, &digest));
out:
    mem_free(transfer->piece);
    return status;
}

enum weir_status snapshot_read(struct weir_session *session, const struct snapshot_shape *shape,
                               const struct snapshot_source *source, enum snapshot_use use,
                               struct snapshot_head *head, struct digest *link,
                               struct weir_error *err)
{
    struct transfer transfer = {.source = source};
    session_overwrite(session);
    return read(&transfer, session, shape, use, session->tokens, session->hidden, head, link, err);
}

enum weir_status snapshot_read_aside(struct weir_session *session,
                                     const struct snapshot_shape *shape,
                                     const struct snapshot_source *source,
                                     const struct snapshot_aside *aside, struct snapshot_head *head,
                                     struct digest *link, struct weir_error *err)
{
    struct transfer transfer = {.source = source, .aside = aside->kept};
    session_overwrite(session);
    return read(&transfer, session, shape, SNAPSHOT_LEAF, session->tokens, aside->hidden, head,
                link, err);
}

enum weir_status snapshot_check(const struct weir_session *session,
                                const struct snapshot_shape *shape,
                                const struct snapshot_source *source, enum snapshot_use use,
                                int32_t *tokens, struct snapshot_head *head, struct digest *link,
                                struct weir_error *err)
{
    struct transfer transfer = {.source = source, .is_check = true};
    return read(&transfer, session, shape, use, tokens, NULL, head, link, err);
}

void snapshot_adopt(struct weir_session *session, const struct snapshot_head *leaf,
                    struct digest link)
{
    session->position = leaf->position;
    session->settled = leaf->position - leaf->pending;
    session->is_marked = false;
    session->mtp_position = leaf->mtp_position;
    session->hidden_position = leaf->has_hidden && session->hidden != NULL ? leaf->position : 0;
    session->results = session->mtp_results = (struct results){0};
    session->origin = (struct origin){leaf->position, leaf->mtp_position, link};
}
