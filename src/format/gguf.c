/* SPDX-License-Identifier: MIT
 * A GGUF model: one file or several splits, opened as one, and look-up by name. Knows nothing of
 * the bytes of a file (gguf_parse.c). */
#include "format/gguf_parse.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"

/* ---- splits ---------------------------------------------------------------------------------- */

enum { SUFFIX_BYTES = GGUF_SPLIT_SUFFIX_BYTES };

/* What the keys split.* of a file say. */
struct split_keys {
    uint32_t no;      /* UINT32_MAX: absent */
    uint32_t count;   /* 0 or 1: not split */
    uint32_t tensors; /* of all files; UINT32_MAX: absent */
};

static enum weir_status split_keys_read(const struct gguf_part *part, const char *path,
                                        struct split_keys *out, struct weir_error *err)
{
    *out = (struct split_keys){.no = UINT32_MAX, .count = 0, .tensors = UINT32_MAX};
    const struct {
        const char *key;
        uint32_t *value;
    } reads[] = {
        {"split.no", &out->no},
        {"split.count", &out->count},
        {"split.tensors.count", &out->tensors},
    };
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        const struct gguf_kv *kv = gguf_part_find(part, reads[i].key);
        if (kv == NULL)
            continue;
        const enum weir_status status = gguf_kv_u32(kv, path, reads[i].value, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

void gguf_split_suffix(char suffix[SUFFIX_BYTES + 1], uint32_t no, uint32_t count)
{
    /* Both numbers are at most GGUF_SPLITS_MAX; the remainder says so to the compiler. */
    snprintf(suffix, SUFFIX_BYTES + 1, "-%05u-of-%05u.gguf", (no + 1) % 100000, count % 100000);
}

static bool path_is_split(const char *path, uint32_t no, uint32_t count)
{
    char suffix[SUFFIX_BYTES + 1];
    gguf_split_suffix(suffix, no, count);
    const size_t length = strlen(path);
    return length > SUFFIX_BYTES && strcmp(path + length - SUFFIX_BYTES, suffix) == 0;
}

/* The path of split `no` beside `path`, which ends as path_is_split says. Owned by the caller. */
static char *split_path(const char *path, uint32_t no, uint32_t count, struct weir_error *err)
{
    const size_t length = strlen(path);
    char *other = mem_copy_text(path, length, err);
    if (other != NULL)
        gguf_split_suffix(other + length - SUFFIX_BYTES, no, count);
    return other;
}

static enum weir_status refuse_later_split(const char *path, const struct split_keys *keys,
                                           struct weir_error *err)
{
    if (!path_is_split(path, keys->no, keys->count))
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: is split %u of %u: open the first instead",
                       path, keys->no + 1, keys->count);
    char *first = split_path(path, 0, keys->count, err);
    if (first == NULL)
        return WEIR_ERR_MEMORY;
    err_set(err, WEIR_ERR_ARGUMENT, "%s: is split %u of %u: open the first instead, %s", path,
            keys->no + 1, keys->count, first);
    mem_free(first);
    return WEIR_ERR_ARGUMENT;
}

/* The first file: is it split, may it be opened, and can the others be named? */
static enum weir_status check_first(const char *path, const struct split_keys *keys,
                                    struct weir_error *err)
{
    if (keys->count <= 1)
        return WEIR_OK;
    if (keys->count > GGUF_SPLITS_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: split.count is %u, at most %d are supported",
                       path, keys->count, GGUF_SPLITS_MAX);
    if (keys->no == UINT32_MAX || keys->tensors == UINT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is missing in a file of %u splits", path,
                       keys->no == UINT32_MAX ? "split.no" : "split.tensors.count", keys->count);
    if (keys->no >= keys->count)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: split.no is %u, expected less than split.count, %u", path, keys->no,
                       keys->count);
    if (keys->no != 0)
        return refuse_later_split(path, keys, err);
    if (!path_is_split(path, 0, keys->count))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%s: is the first of %u splits, whose name must end in -00001-of-%05u.gguf",
                       path, keys->count, keys->count);
    return WEIR_OK;
}

static enum weir_status check_later(const char *path, const struct split_keys *keys,
                                    const struct split_keys *first, uint32_t no,
                                    struct weir_error *err)
{
    if (keys->no == UINT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key split.no is missing", path);
    if (keys->no != no)
        return err_set(err, WEIR_ERR_FORMAT, "%s: split.no is %u, expected %u", path, keys->no, no);
    if (keys->count != first->count)
        return err_set(err, WEIR_ERR_FORMAT, "%s: split.count is %u, expected %u as in the first",
                       path, keys->count, first->count);
    if (keys->tensors != UINT32_MAX && keys->tensors != first->tensors)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: split.tensors.count is %u, expected %u as in the first", path,
                       keys->tensors, first->tensors);
    return WEIR_OK;
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum weir_status gguf_create(struct gguf **out, struct weir_error *err)
{
    struct gguf *gguf = mem_alloc(1, sizeof *gguf, err);
    if (gguf == NULL)
        return WEIR_ERR_MEMORY;
    gguf->internal = mem_alloc(1, sizeof(struct gguf_internal), err);
    if (gguf->internal == NULL) {
        mem_free(gguf);
        return WEIR_ERR_MEMORY;
    }
    *out = gguf;
    return WEIR_OK;
}

/* Adds a split without content, which gguf_close then releases whatever is in it. */
static enum weir_status split_add(struct gguf *gguf, const char *path, struct weir_error *err)
{
    struct gguf_internal *internal = gguf->internal;
    const enum weir_status status =
        mem_grow(&gguf->splits, &internal->split_capacity, (uint64_t)gguf->split_count + 1,
                 sizeof *gguf->splits, err);
    if (status != WEIR_OK)
        return status;
    struct gguf_split *split = &gguf->splits[gguf->split_count];
    *split = (struct gguf_split){.path = mem_copy_text(path, strlen(path), err)};
    if (split->path == NULL)
        return WEIR_ERR_MEMORY;
    gguf->split_count++;
    return WEIR_OK;
}

static enum weir_status tensors_add(struct gguf *gguf, const struct gguf_part *part,
                                    struct weir_error *err)
{
    struct gguf_internal *internal = gguf->internal;
    const uint64_t count = gguf->tensor_count + part->tensor_count;
    const enum weir_status status =
        mem_grow(&gguf->tensors, &internal->tensor_capacity, count, sizeof *gguf->tensors, err);
    if (status != WEIR_OK)
        return status;
    for (uint64_t i = 0; i < part->tensor_count; i++) {
        struct gguf_tensor *tensor = &gguf->tensors[gguf->tensor_count++];
        *tensor = part->tensors[i];
        tensor->split = gguf->split_count - 1;
    }
    return WEIR_OK;
}

/* Hands the metadata of the first file over to the gguf. */
static void metadata_move(struct gguf *gguf, struct gguf_part *part)
{
    struct gguf_internal *internal = gguf->internal;
    gguf->version = part->version;
    gguf->kv = part->kv;
    gguf->kv_count = part->kv_count;
    internal->kv_capacity = part->kv_capacity;
    internal->keys = part->keys;
    internal->metadata = part->metadata;
    part->kv = NULL;
    part->keys = (struct names){0};
    part->metadata = NULL;
}

/* Takes in the last split, whose map is set. `first` is what the first file said of splits; it is
 * filled in when this is the first. */
static enum weir_status split_parse(struct gguf *gguf, struct split_keys *first,
                                    struct weir_error *err)
{
    const uint32_t no = gguf->split_count - 1;
    struct gguf_split *split = &gguf->splits[no];
    struct gguf_part part = {.is_header = gguf->is_header};
    struct split_keys keys;
    enum weir_status status;
    TRY(gguf_part_parse(&part, split->path, split->map.data, split->map.size, err));
    TRY(split_keys_read(&part, split->path, &keys, err));
    if (no == 0) {
        TRY(check_first(split->path, &keys, err));
        *first = keys;
    } else {
        TRY(check_later(split->path, &keys, first, no, err));
    }
    split->data_start = part.data_start;
    TRY(tensors_add(gguf, &part, err));
    if (no == 0)
        metadata_move(gguf, &part);
out:
    gguf_part_release(&part);
    return status;
}

static enum weir_status split_open(struct gguf *gguf, const char *path, struct split_keys *first,
                                   struct weir_error *err)
{
    enum weir_status status;
    TRY(split_add(gguf, path, err));
    TRY(file_map_open(&gguf->splits[gguf->split_count - 1].map, path, err));
    TRY(split_parse(gguf, first, err));
out:
    return status;
}

static enum weir_status later_splits_open(struct gguf *gguf, const char *path,
                                          struct split_keys *first, struct weir_error *err)
{
    for (uint32_t no = 1; no < first->count; no++) {
        char *other = split_path(path, no, first->count, err);
        if (other == NULL)
            return WEIR_ERR_MEMORY;
        const enum weir_status status = split_open(gguf, other, first, err);
        mem_free(other);
        if (status != WEIR_OK)
            return status;
    }
    if (first->count > 1 && gguf->tensor_count != first->tensors)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: split.tensors.count is %u, but the %u files have %llu tensors", path,
                       first->tensors, first->count, (unsigned long long)gguf->tensor_count);
    return WEIR_OK;
}

static enum weir_status tensors_index(struct gguf *gguf, struct weir_error *err)
{
    struct gguf_internal *internal = gguf->internal;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        const struct span name = span_from(tensor->name);
        bool added;
        const enum weir_status status = names_add(&internal->tensors, name, i, &added, err);
        if (status != WEIR_OK)
            return status;
        if (!added)
            return err_set(err, WEIR_ERR_FORMAT, "%s: duplicate tensor %s, number %llu",
                           gguf->splits[tensor->split].path, tensor->name, (unsigned long long)i);
    }
    return WEIR_OK;
}

enum weir_status gguf_open(struct gguf **out, const char *path, struct weir_error *err)
{
    *out = NULL;
    struct gguf *gguf = NULL;
    struct split_keys first;
    enum weir_status status;
    TRY(gguf_create(&gguf, err));
    TRY(split_open(gguf, path, &first, err));
    TRY(later_splits_open(gguf, path, &first, err));
    TRY(tensors_index(gguf, err));
    *out = gguf;
    gguf = NULL;
out:
    gguf_close(gguf);
    return status;
}

static enum weir_status parse_memory(struct gguf **out, struct file_map map, bool is_header,
                                     const char *name, struct weir_error *err)
{
    *out = NULL;
    struct gguf *gguf = NULL;
    struct split_keys first;
    enum weir_status status;
    TRY(gguf_create(&gguf, err));
    ((struct gguf_internal *)gguf->internal)->borrowed = true;
    TRY(split_add(gguf, name, err));
    gguf->splits[0].map = map;
    gguf->is_header = is_header;
    TRY(split_parse(gguf, &first, err));
    if (is_header)
        gguf->splits[0].map.data = NULL;
    if (first.count > 1) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "%s: is one of %u splits", name, first.count);
        goto out;
    }
    TRY(tensors_index(gguf, err));
    *out = gguf;
    gguf = NULL;
out:
    gguf_close(gguf);
    return status;
}

enum weir_status gguf_parse(struct gguf **out, const uint8_t *data, uint64_t size, const char *name,
                            struct weir_error *err)
{
    return parse_memory(out, (struct file_map){data, size}, false, name, err);
}

enum weir_status gguf_parse_header(struct gguf **out, const uint8_t *data, uint64_t size,
                                   const char *name, struct weir_error *err)
{
    return parse_memory(out, (struct file_map){data, size}, true, name, err);
}

void gguf_close(struct gguf *gguf)
{
    if (gguf == NULL)
        return;
    struct gguf_internal *internal = gguf->internal;
    for (uint32_t i = 0; i < gguf->split_count; i++) {
        if (!internal->borrowed)
            file_map_close(&gguf->splits[i].map);
        mem_free(gguf->splits[i].path);
    }
    for (uint64_t i = 0; i < internal->overrides_count; i++)
        mem_free(internal->overrides[i]);
    mem_free(internal->overrides);
    names_release(&internal->keys);
    names_release(&internal->tensors);
    mem_free(internal->metadata);
    mem_free(internal);
    mem_free(gguf->splits);
    mem_free(gguf->tensors);
    mem_free(gguf->kv);
    mem_free(gguf);
}

/* ---- look-up --------------------------------------------------------------------------------- */

const struct gguf_kv *gguf_find(const struct gguf *gguf, const char *key)
{
    const struct gguf_internal *internal = gguf->internal;
    const struct span name = span_from(key);
    const uint64_t i = names_find(&internal->keys, name);
    return i == NAMES_NONE ? NULL : &gguf->kv[i];
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name)
{
    const struct gguf_internal *internal = gguf->internal;
    const struct span span = span_from(name);
    const uint64_t i = names_find(&internal->tensors, span);
    return i == NAMES_NONE ? NULL : &gguf->tensors[i];
}

const void *gguf_tensor_data(const struct gguf *gguf, const struct gguf_tensor *tensor)
{
    assert(!gguf->is_header);
    return gguf->splits[tensor->split].map.data + tensor->offset;
}

const char *gguf_path(const struct gguf *gguf)
{
    return gguf->splits[0].path;
}
