/* SPDX-License-Identifier: MIT
 * The prefix cache: snapshots by the tokens that they hold, in memory and in a folder, and which
 * of them make a chain. Knows neither what is in one nor what a folder is like. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/mem.h"
#include "base/text.h"
#include "run/cache_folder.h"
#include "run/snapshot.h"

/* A snapshot in memory. */
struct kept {
    struct cache_key key;
    struct digest link;
    uint8_t *data;
    uint64_t bytes;
    uint64_t used; /* the call that last used it, or one that stands on it */
};

struct weir_cache {
    const struct weir_engine *engine;
    struct snapshot_shape shape;
    uint64_t bytes_max;
    weir_log_fn *log;
    void *log_user;
    struct kept *kept;
    uint64_t kept_count, kept_capacity;
    uint64_t calls; /* of put and get */
    uint64_t salt;  /* of the last of them */
    int64_t now;    /* when the last began, for files as `calls` is for memory */
    int64_t fresh;  /* that time, as files have it that were used since */
    struct cache_folder folder;
    struct weir_cache_stats stats;
};

static void cache_log(const struct weir_cache *cache, enum weir_log_level level, const char *format,
                      ...) __attribute__((format(printf, 3, 4)));

static void cache_log(const struct weir_cache *cache, enum weir_log_level level, const char *format,
                      ...)
{
    va_list args;
    va_start(args, format);
    log_line_args(cache->log, cache->log_user, level, format, args);
    va_end(args);
}

/* ---- keys ------------------------------------------------------------------------------------ */

static struct cache_key key_make(const struct weir_cache *cache, uint32_t position,
                                 struct digest id)
{
    struct cache_key key = {.position = position, .id = id};
    memcpy(&key.model, &cache->shape.model, DIGEST_BYTES / 2);
    return key;
}

/* Texts of a salt have digests of their own, so nothing of them is found by another. */
static void salted_init(struct digester *digester, uint64_t salt)
{
    digester_init(digester);
    if (salt != 0)
        digester_put(digester, &salt, sizeof salt);
}

static struct cache_key key_of(const struct weir_cache *cache, const int32_t *tokens,
                               uint32_t position)
{
    struct digester digester;
    salted_init(&digester, cache->salt);
    digester_put(&digester, tokens, position * sizeof *tokens);
    return key_make(cache, position, digester_digest(&digester));
}

static bool key_equals(const struct cache_key *a, const struct cache_key *b)
{
    return a->position == b->position && digest_equals(a->id, b->id) &&
           digest_equals(a->model, b->model);
}

/* ---- memory ---------------------------------------------------------------------------------- */

/* NULL: not in memory. */
static struct kept *kept_find(const struct weir_cache *cache, const struct cache_key *key)
{
    for (uint64_t i = 0; i < cache->kept_count; i++) {
        if (key_equals(&cache->kept[i].key, key))
            return &cache->kept[i];
    }
    return NULL;
}

static void kept_drop(struct weir_cache *cache, struct kept *kept)
{
    cache->stats.bytes -= kept->bytes;
    cache->stats.snapshots--;
    mem_free(kept->data);
    *kept = cache->kept[--cache->kept_count];
}

/* As cache_folder_make_room has it. */
static bool goes_before(const struct kept *a, const struct kept *b)
{
    return a->used != b->used ? a->used < b->used : a->key.position > b->key.position;
}

/* What this very call has used stays: it is what the new one stands on. */
static bool make_room(struct weir_cache *cache, uint64_t bytes)
{
    if (bytes > cache->bytes_max)
        return false;
    while (cache->stats.bytes > cache->bytes_max - bytes) {
        struct kept *first = &cache->kept[0];
        for (uint64_t i = 1; i < cache->kept_count; i++)
            first = goes_before(&cache->kept[i], first) ? &cache->kept[i] : first;
        if (first->used == cache->calls)
            return false;
        kept_drop(cache, first);
    }
    return true;
}

/* ---- one snapshot, wherever it is ---------------------------------------------------------- */

struct found {
    struct snapshot_source source; /* its name is `path`, or static */
    struct file_reader file;
    char *path;        /* NULL: in memory */
    struct kept *kept; /* NULL: in the folder */
};

static void found_close(struct found *found)
{
    file_reader_close(&found->file);
    mem_free(found->path);
    *found = (struct found){.path = NULL};
}

/* `kept`, or the file of the key if that is NULL. *is_there says whether there is one; it may have
 * vanished since it was listed. */
static enum weir_status found_open(struct found *found, const struct weir_cache *cache,
                                   const struct cache_key *key, struct kept *kept, bool *is_there,
                                   struct weir_error *err)
{
    *found = (struct found){.kept = kept};
    *is_there = found->kept != NULL;
    if (*is_there) {
        found->source = (struct snapshot_source){
            .memory = found->kept->data, .size = found->kept->bytes, .name = "memory"};
        return WEIR_OK;
    }
    if (cache->folder.path == NULL)
        return WEIR_OK;
    found->path = cache_folder_path(&cache->folder, key, err);
    if (found->path == NULL)
        return WEIR_ERR_MEMORY;
    struct weir_error inner = {0};
    const enum weir_status status = file_reader_open(&found->file, found->path, &inner);
    *is_there = status == WEIR_OK || file_exists(found->path);
    if (status == WEIR_OK)
        found->source = (struct snapshot_source){
            .file = &found->file, .size = found->file.size, .name = found->path};
    else
        found_close(found);
    return status == WEIR_OK || !*is_there ? WEIR_OK : err_set(err, status, "%s", inner.text);
}

/* Used now, in memory and in the folder, where others may need what stands on it. */
static void touch(struct weir_cache *cache, const struct cache_key *key)
{
    struct kept *kept = kept_find(cache, key);
    char *path = cache->folder.path == NULL ? NULL : cache_folder_path(&cache->folder, key, NULL);
    if (kept != NULL)
        kept->used = cache->calls;
    if (path != NULL) {
        const int64_t used = cache_folder_touch(path, cache->now);
        cache->fresh = used < cache->fresh ? used : cache->fresh;
    }
    mem_free(path);
}

static void begin_call(struct weir_cache *cache, uint64_t salt)
{
    cache->calls++;
    cache->salt = salt;
    cache->now = cache->fresh = cache_folder_now();
}

/* It is of no use, now or later. */
static void found_drop(struct weir_cache *cache, const struct found *found)
{
    if (found->kept != NULL)
        kept_drop(cache, found->kept);
    else if (found->path != NULL)
        remove(found->path);
}

/* ---- a chain --------------------------------------------------------------------------------- */

/* Reads the snapshot of a key into the session: the leaf of a chain, whose link *link becomes, or
 * rows that another stands on, which must have that link. Memory and the folder may have the same
 * text, computed in two ways. One that is damaged is dropped, with a word. */
static enum weir_status read_one(struct weir_cache *cache, struct weir_session *session,
                                 const struct cache_key *key, enum snapshot_use use,
                                 struct snapshot_head *head, struct digest *link, bool *is_there,
                                 struct weir_error *err)
{
    const struct digest wanted = *link;
    struct kept *kept = kept_find(cache, key);
    struct found found;
    if (kept != NULL && use == SNAPSHOT_ROWS && !digest_equals(kept->link, wanted))
        kept = NULL;
    enum weir_status status = found_open(&found, cache, key, kept, is_there, err);
    if (status != WEIR_OK || !*is_there)
        return status;
    status = snapshot_read(session, &cache->shape, &found.source, use, head, link, err);
    if (status == WEIR_OK && head->position != key->position)
        status = err_set(err, WEIR_ERR_FORMAT, "%s: holds %u tokens, which is not in its name",
                         found.source.name, head->position);
    if (status == WEIR_OK)
        touch(cache, key);
    else if (status == WEIR_ERR_FORMAT)
        found_drop(cache, &found);
    *is_there = status == WEIR_OK && (use == SNAPSHOT_LEAF || digest_equals(*link, wanted));
    found_close(&found);
    return status;
}

/* Reads the snapshot at `position` of the session's tokens and those it stands on; then the
 * session is there. The newest use is that of the first, which is needed by all others. */
static enum weir_status read_chain(struct weir_cache *cache, struct weir_session *session,
                                   uint32_t position, bool *is_whole, struct weir_error *err)
{
    struct snapshot_head leaf = {.position = 0}, head;
    struct digest leaf_link = {{0}};
    struct origin next = {.position = position};
    *is_whole = false;
    while (next.position > 0) {
        const struct cache_key key = key_of(cache, session->tokens, next.position);
        const bool is_leaf = next.position == position;
        bool is_there;
        const enum weir_status status =
            read_one(cache, session, &key, is_leaf ? SNAPSHOT_LEAF : SNAPSHOT_ROWS, &head,
                     &next.link, &is_there, err);
        if (status != WEIR_OK || !is_there)
            return status;
        if (is_leaf) {
            leaf = head;
            leaf_link = next.link;
        }
        next = head.parent;
    }
    snapshot_adopt(session, &leaf, leaf_link);
    *is_whole = true;
    return WEIR_OK;
}

/* Looks at the head of a snapshot and at its link: in the folder, if there is one. */
static enum weir_status look_at(const struct weir_cache *cache, const struct cache_key *key,
                                struct snapshot_head *head, struct digest *link, bool *is_there,
                                struct weir_error *err)
{
    struct found found;
    struct kept *kept = cache->folder.path == NULL ? kept_find(cache, key) : NULL;
    enum weir_status status = found_open(&found, cache, key, kept, is_there, err);
    if (status != WEIR_OK || !*is_there)
        return status;
    TRY(snapshot_source_head(&found.source, &cache->shape, head, err));
    TRY(snapshot_source_read(&found.source, snapshot_link_offset(head, &cache->shape), link,
                             sizeof *link, err));
out:
    found_close(&found);
    return status;
}

/* Whether all of the chain that ends with `last`, of the session's tokens, is there. */
static bool walk_chain(struct weir_cache *cache, const struct weir_session *session,
                       struct origin last, bool is_used)
{
    while (last.position > 0) {
        const struct cache_key key = key_of(cache, session->tokens, last.position);
        struct snapshot_head head;
        struct digest link;
        bool is_there;
        if (look_at(cache, &key, &head, &link, &is_there, NULL) != WEIR_OK || !is_there ||
            !digest_equals(link, last.link))
            return false;
        if (is_used)
            touch(cache, &key);
        last = head.parent;
    }
    return true;
}

/* Whether all that a new snapshot would stand on is there, and will last as long. What is not whole
 * is not used either: a part of a chain must not seem newer than what it stands on. */
static bool chain_stands(struct weir_cache *cache, const struct weir_session *session,
                         struct origin last)
{
    return walk_chain(cache, session, last, false) && walk_chain(cache, session, last, true);
}

/* The folder has the session's tokens already, perhaps computed in another way. */
static void use_file(struct weir_cache *cache, const struct weir_session *session,
                     const struct cache_key *key)
{
    struct snapshot_head head;
    struct digest link;
    bool is_there;
    if (look_at(cache, key, &head, &link, &is_there, NULL) == WEIR_OK && is_there)
        chain_stands(cache, session, (struct origin){.position = key->position, .link = link});
}

/* ---- get ------------------------------------------------------------------------------------- */

/* Keys of this engine that may be those of a prefix. */
struct keys {
    struct cache_key *items;
    uint64_t count, capacity;
};

static enum weir_status keys_add(struct keys *keys, const struct weir_cache *cache,
                                 const struct cache_key *key, uint32_t position_max,
                                 struct weir_error *err)
{
    const struct cache_key own = key_make(cache, key->position, key->id);
    if (!key_equals(key, &own) || key->position == 0 || key->position > position_max)
        return WEIR_OK;
    const enum weir_status status =
        mem_grow(&keys->items, &keys->capacity, keys->count + 1, sizeof *keys->items, err);
    if (status == WEIR_OK)
        keys->items[keys->count++] = *key;
    return status;
}

static enum weir_status keys_collect(struct keys *keys, const struct weir_cache *cache,
                                     uint32_t position_max, struct weir_error *err)
{
    struct cache_file *files = NULL;
    uint64_t count = 0;
    struct weir_error inner = {0};
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < cache->kept_count && status == WEIR_OK; i++)
        status = keys_add(keys, cache, &cache->kept[i].key, position_max, err);
    if (status != WEIR_OK || cache->folder.path == NULL)
        return status;
    status = cache_folder_list(&cache->folder, &files, &count, &inner);
    if (status == WEIR_ERR_IO)
        cache_log(cache, WEIR_LOG_WARNING, "cache: %s", inner.text);
    else if (status != WEIR_OK)
        return err_set(err, status, "%s", inner.text);
    status = WEIR_OK;
    for (uint64_t i = 0; i < count && status == WEIR_OK; i++)
        status = keys_add(keys, cache, &files[i].key, position_max, err);
    mem_free(files);
    return status;
}

static int compare_keys(const void *a, const void *b)
{
    const struct cache_key *x = a, *y = b;
    if (x->position != y->position)
        return x->position < y->position ? -1 : 1;
    return memcmp(&x->id, &y->id, sizeof x->id);
}

/* Sorts them by position and leaves those of these tokens, in one pass over them. */
static void keys_match(struct keys *keys, uint64_t salt, const int32_t *tokens)
{
    struct digester digester;
    uint64_t matches = 0;
    uint32_t done = 0;
    if (keys->count == 0)
        return;
    qsort(keys->items, keys->count, sizeof *keys->items, compare_keys);
    salted_init(&digester, salt);
    for (uint64_t i = 0; i < keys->count; i++) {
        const struct cache_key key = keys->items[i];
        digester_put(&digester, tokens + done, (key.position - done) * sizeof *tokens);
        done = key.position;
        if (!digest_equals(key.id, digester_digest(&digester)))
            continue;
        if (matches == 0 || keys->items[matches - 1].position != key.position)
            keys->items[matches++] = key; /* in memory and in the folder is once */
    }
    keys->count = matches;
}

/* What it stood on is gone. */
static void key_drop(struct weir_cache *cache, const struct cache_key *key)
{
    struct found found;
    bool is_there;
    struct kept *kept = kept_find(cache, key);
    if (found_open(&found, cache, key, kept, &is_there, NULL) == WEIR_OK && is_there)
        found_drop(cache, &found);
    found_close(&found);
}

/* Reads the longest chain that is whole. What fails is said and passed over. */
static enum weir_status read_longest(struct weir_cache *cache, struct weir_session *session,
                                     const struct keys *keys, struct weir_error *err)
{
    bool is_whole = false;
    for (uint64_t i = keys->count; i-- > 0 && !is_whole;) {
        struct weir_error inner = {0};
        const uint32_t position = keys->items[i].position;
        const enum weir_status status = read_chain(cache, session, position, &is_whole, &inner);
        if (!is_whole)
            weir_session_reset(session);
        if (status == WEIR_ERR_MEMORY)
            return err_set(err, status, "%s", inner.text);
        if (status != WEIR_OK)
            cache_log(cache, WEIR_LOG_WARNING, "cache: %s: ignored", inner.text);
        else if (!is_whole)
            key_drop(cache, &keys->items[i]);
    }
    return WEIR_OK;
}

static enum weir_status check_session(const struct weir_cache *cache,
                                      const struct weir_session *session, struct weir_error *err)
{
    if (session->engine == cache->engine)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "a session of another engine than the cache");
}

enum weir_status weir_cache_get(struct weir_cache *cache, struct weir_session *session,
                                uint64_t salt, const int32_t *tokens, uint32_t count,
                                uint32_t *held, struct weir_error *err)
{
    struct keys keys = {.count = 0};
    enum weir_status status;
    *held = 0;
    TRY(check_session(cache, session, err));
    if (session->position != 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the session holds %u tokens, expected none",
                       session->position);
    begin_call(cache, salt);
    cache->stats.lookups++;
    cache->stats.tokens_wanted += count;
    const uint32_t context = cache->shape.context;
    const uint32_t most = count == 0 ? 0 : count - 1 < context ? count - 1 : context;
    session_overwrite(session);
    memcpy(session->tokens, tokens, most * sizeof *tokens);
    TRY(keys_collect(&keys, cache, most, err));
    keys_match(&keys, salt, tokens);
    TRY(read_longest(cache, session, &keys, err));
    *held = session->position;
    cache->stats.hits += *held > 0;
    cache->stats.tokens_held += *held;
out:
    mem_free(keys.items);
    return status;
}

/* ---- what a new one stands on ---------------------------------------------------------------- */

/* Whether the session has the very rows of the chain that ends at `position`: *out is its end, or
 * nothing. */
static enum weir_status compare_rows(const struct weir_cache *cache,
                                     const struct weir_session *session, uint32_t position,
                                     struct origin *out, struct weir_error *err)
{
    struct origin end = {.position = 0}, next = {.position = position};
    while (next.position > 0) {
        const struct cache_key key = key_of(cache, session->tokens, next.position);
        struct snapshot_head head;
        struct digest link, own;
        bool is_there;
        if (look_at(cache, &key, &head, &link, &is_there, NULL) != WEIR_OK || !is_there ||
            head.position != next.position || head.mtp_position > session->mtp_position)
            return WEIR_OK;
        if (end.position != 0 && !digest_equals(link, next.link))
            return WEIR_OK;
        const enum weir_status status = snapshot_link(session, &head, &own, err);
        if (status != WEIR_OK || !digest_equals(own, link))
            return status;
        if (end.position == 0)
            end = (struct origin){head.position, head.mtp_position, link};
        next = head.parent;
    }
    *out = end;
    return WEIR_OK;
}

/* The longest chain that a snapshot of the session can stand on; nothing, if it has to be whole. A
 * session that was computed apart, restored from a file of its own or kept in another cache does
 * not know of one: its rows tell. */
static enum weir_status find_origin(struct weir_cache *cache, const struct weir_session *session,
                                    struct origin *out, struct weir_error *err)
{
    struct keys keys = {.count = 0};
    enum weir_status status;
    *out = session->origin;
    if (out->position != 0 && chain_stands(cache, session, *out))
        return WEIR_OK;
    *out = (struct origin){.position = 0};
    TRY(keys_collect(&keys, cache, session->position, err));
    keys_match(&keys, cache->salt, session->tokens);
    for (uint64_t i = keys.count; i-- > 0 && out->position == 0;)
        TRY(compare_rows(cache, session, keys.items[i].position, out, err));
    if (!chain_stands(cache, session, *out))
        *out = (struct origin){.position = 0};
out:
    mem_free(keys.items);
    return status;
}

/* ---- put ------------------------------------------------------------------------------------- */

/* Into memory, if the budget allows it. */
static enum weir_status put_in_memory(struct weir_cache *cache, const struct weir_session *session,
                                      const struct cache_key *key, const struct snapshot_head *head,
                                      struct origin *made, struct weir_error *err)
{
    const uint64_t bytes = snapshot_bytes(head, &cache->shape);
    struct kept kept = {.key = *key, .bytes = bytes, .used = cache->calls};
    if (!make_room(cache, bytes))
        return WEIR_OK;
    enum weir_status status = mem_grow(&cache->kept, &cache->kept_capacity, cache->kept_count + 1,
                                       sizeof *cache->kept, err);
    if (status != WEIR_OK)
        return status;
    kept.data = mem_alloc(bytes, 1, err);
    if (kept.data == NULL)
        return WEIR_ERR_MEMORY;
    status = snapshot_write(session, head, (struct snapshot_sink){.memory = kept.data}, &made->link,
                            err);
    if (status != WEIR_OK) {
        mem_free(kept.data);
        return status;
    }
    kept.link = made->link;
    cache->kept[cache->kept_count++] = kept;
    cache->stats.bytes += bytes;
    cache->stats.snapshots++;
    made->position = head->position;
    return WEIR_OK;
}

/* Into the folder, if its budget allows it. A full disk is an error: not as was asked for. */
static enum weir_status put_in_folder(const struct weir_cache *cache,
                                      const struct weir_session *session, const char *path,
                                      const struct snapshot_head *head, struct origin *made,
                                      struct weir_error *err)
{
    const uint64_t bytes = snapshot_bytes(head, &cache->shape);
    struct file_writer writer = {.path = NULL};
    enum weir_status status;
    bool has_room;
    TRY(cache_folder_make_room(&cache->folder, bytes, cache->fresh, &has_room, err));
    TRY(file_check_space(path, bytes, err));
    if (!has_room)
        return WEIR_OK;
    TRY(file_writer_open(&writer, path, err));
    file_writer_make_private(&writer);
    writer.is_unsynced = true; /* what a loss of power leaves of it has another digest */
    TRY(snapshot_write(session, head, (struct snapshot_sink){.file = &writer}, &made->link, err));
    TRY(file_writer_commit(&writer, err));
    cache_folder_touch(path, cache->now);
    made->position = head->position;
out:
    file_writer_abandon(&writer);
    return status;
}

enum weir_status weir_cache_put(struct weir_cache *cache, struct weir_session *session,
                                uint64_t salt, struct weir_error *err)
{
    char *path = NULL;
    struct origin origin;
    enum weir_status status;
    TRY(check_session(cache, session, err));
    if (session->position == 0)
        return WEIR_OK;
    begin_call(cache, salt);
    const struct cache_key key = key_of(cache, session->tokens, session->position);
    if (cache->folder.path != NULL) {
        path = cache_folder_path(&cache->folder, &key, err);
        if (path == NULL)
            return WEIR_ERR_MEMORY;
    }
    TRY(find_origin(cache, session, &origin, err));
    if (origin.position == session->position) {
        session->origin = origin; /* it is there already, and what follows can stand on it */
        goto out;
    }
    const struct snapshot_head head = snapshot_head_make(session, &cache->shape, origin);
    struct origin made = {.position = 0, .mtp_position = head.mtp_position};
    if (cache->bytes_max > 0 && kept_find(cache, &key) == NULL)
        TRY(put_in_memory(cache, session, &key, &head, &made, err));
    if (path != NULL && file_exists(path))
        use_file(cache, session, &key);
    else if (path != NULL)
        TRY(put_in_folder(cache, session, path, &head, &made, err));
    if (made.position != 0)
        session->origin = made;
out:
    mem_free(path);
    return status;
}

/* ---- the cache ------------------------------------------------------------------------------- */

/* Whether a budget holds any state at all, of whatever text. */
static void check_budget(const struct weir_cache *cache, const char *what, uint64_t bytes_max)
{
    const struct snapshot_head least = {.position = 1};
    const uint64_t bytes = snapshot_bytes(&least, &cache->shape);
    if (bytes > bytes_max)
        cache_log(cache, WEIR_LOG_WARNING,
                  "cache: nothing is kept in %s: at most %.2f MiB, but a snapshot of this model "
                  "takes %.2f MiB and more",
                  what, (double)bytes_max / (1 << 20), (double)bytes / (1 << 20));
}

/* The budget may be smaller than that of the program that filled the folder. */
static enum weir_status settle_folder(const struct weir_cache *cache, struct weir_error *err)
{
    const struct cache_folder *folder = &cache->folder;
    struct weir_error inner = {0};
    uint64_t before, after;
    enum weir_status status = cache_folder_shrink(folder, &before, &after, &inner);
    if (status == WEIR_ERR_MEMORY)
        return err_set(err, status, "%s", inner.text);
    if (status != WEIR_OK)
        cache_log(cache, WEIR_LOG_WARNING, "cache: %s", inner.text);
    else if (after < before)
        cache_log(cache, WEIR_LOG_WARNING,
                  "cache: %s held %.2f MiB, of which the oldest were removed: now %.2f of at most "
                  "%.2f MiB",
                  folder->path, (double)before / (1 << 20), (double)after / (1 << 20),
                  (double)folder->bytes_max / (1 << 20));
    return WEIR_OK;
}

enum weir_status weir_cache_open(struct weir_cache **out, const struct weir_engine *engine,
                                 const struct weir_cache_options *options, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *out = NULL;
    struct weir_cache *cache = mem_alloc(1, sizeof *cache, err);
    if (cache == NULL)
        return WEIR_ERR_MEMORY;
    cache->engine = engine;
    cache->bytes_max = options->bytes_max;
    cache->log = options->log;
    cache->log_user = options->log_user;
    cache->shape = snapshot_shape_make(engine);
    if (options->bytes_max > 0)
        check_budget(cache, "memory", options->bytes_max);
    if (options->dir != NULL) {
        TRY(cache_folder_open(&cache->folder, options->dir, options->dir_bytes_max, err));
        TRY(settle_folder(cache, err));
        check_budget(cache, options->dir, options->dir_bytes_max);
    }
    *out = cache;
out:
    if (status != WEIR_OK)
        weir_cache_close(cache);
    return status;
}

void weir_cache_close(struct weir_cache *cache)
{
    if (cache == NULL)
        return;
    for (uint64_t i = 0; i < cache->kept_count; i++)
        mem_free(cache->kept[i].data);
    mem_free(cache->kept);
    cache_folder_close(&cache->folder);
    mem_free(cache);
}

void weir_cache_stats(const struct weir_cache *cache, struct weir_cache_stats *out)
{
    *out = cache->stats;
}
