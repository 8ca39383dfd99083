/* SPDX-License-Identifier: MIT
 * Opens the shards of a checkpoint folder as one list of tensors. Knows no model but the prefixes
 * of its names. */
#include "convert/checkpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/hf_json.h"

static const char single_name[] = "model.safetensors";
static const char index_name[] = "model.safetensors.index.json";

/* ---- names ----------------------------------------------------------------------------------- */

static const char *skip_prefix(const char *name)
{
    static const char *const prefixes[] = {
        "model.language_model.", /* of a model that also sees */
        "language_model.model.",
        "language_model.",
        "model.",
    };
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        const size_t length = strlen(prefixes[i]);
        if (strncmp(name, prefixes[i], length) == 0)
            return name + length;
    }
    return name;
}

struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name)
{
    const uint64_t item = names_find(&checkpoint->by_name, span_from(name));
    return item == NAMES_NONE ? NULL : &checkpoint->tensors[item];
}

const char *checkpoint_path(const struct checkpoint *checkpoint,
                            const struct checkpoint_tensor *tensor)
{
    return checkpoint->shards[tensor->shard].path;
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* Adds the file to the list; the list owns the path. */
static enum weir_status shard_add(struct checkpoint *checkpoint, const char *folder,
                                  const char *name, struct weir_error *err)
{
    enum weir_status status;
    TRY(mem_grow(&checkpoint->shards, &checkpoint->shard_capacity, checkpoint->shard_count + 1,
                 sizeof *checkpoint->shards, err));
    struct checkpoint_shard *shard = &checkpoint->shards[checkpoint->shard_count];
    *shard = (struct checkpoint_shard){.path = hf_path(folder, name, err)};
    if (shard->path == NULL)
        return WEIR_ERR_MEMORY;
    checkpoint->shard_count++;
    struct file_reader reader;
    TRY(file_reader_open(&reader, shard->path, err));
    status = safetensors_read(&shard->file, &reader, err);
    file_reader_close(&reader);
out:
    return status;
}

static enum weir_status tensor_add(struct checkpoint *checkpoint, uint32_t shard,
                                   const struct safetensors_tensor *info, struct weir_error *err)
{
    struct checkpoint_tensor *tensor = &checkpoint->tensors[checkpoint->count];
    *tensor =
        (struct checkpoint_tensor){.info = info, .name = skip_prefix(info->name), .shard = shard};
    bool added;
    const enum weir_status status =
        names_add(&checkpoint->by_name, span_from(tensor->name), checkpoint->count, &added, err);
    if (status != WEIR_OK)
        return status;
    if (!added)
        return err_set(err, WEIR_ERR_FORMAT, "%s: tensor %s: there is another one, in %s",
                       checkpoint->shards[shard].path, info->name,
                       checkpoint_path(checkpoint, checkpoint_find(checkpoint, tensor->name)));
    checkpoint->count++;
    return WEIR_OK;
}

static enum weir_status tensors_list(struct checkpoint *checkpoint, struct weir_error *err)
{
    uint64_t count = 0;
    for (uint64_t s = 0; s < checkpoint->shard_count; s++)
        count += checkpoint->shards[s].file.count;
    checkpoint->tensors = mem_alloc(count, sizeof *checkpoint->tensors, err);
    if (checkpoint->tensors == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t s = 0; s < checkpoint->shard_count; s++) {
        const struct safetensors *file = &checkpoint->shards[s].file;
        for (uint64_t i = 0; i < file->count; i++) {
            const enum weir_status status =
                tensor_add(checkpoint, (uint32_t)s, &file->tensors[i], err);
            if (status != WEIR_OK)
                return status;
        }
    }
    return WEIR_OK;
}

/* ---- the index ------------------------------------------------------------------------------- */

static int name_compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The file names of the map, each once, sorted; borrowed from the JSON. */
static enum weir_status shard_names(json_t *map, const char *folder, const char **names,
                                    uint64_t *count, struct weir_error *err)
{
    uint64_t all = 0;
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        const char *name = json_string_value(value);
        /* Only files of the folder itself. */
        if (name == NULL || name[0] == 0 || strchr(name, '/') != NULL)
            return err_set(err, WEIR_ERR_FORMAT, "%s/%s: tensor %s: expected the name of a file",
                           folder, index_name, key);
        names[all++] = name;
    }
    if (all > 0)
        qsort(names, all, sizeof *names, name_compare);
    *count = 0;
    for (uint64_t i = 0; i < all; i++) {
        if (*count == 0 || strcmp(names[*count - 1], names[i]) != 0)
            names[(*count)++] = names[i];
    }
    return WEIR_OK;
}

/* That every tensor of the map is in the file that it names. */
static enum weir_status map_check(const struct checkpoint *checkpoint, json_t *map,
                                  struct weir_error *err)
{
    const char *key;
    json_t *value;
    json_object_foreach(map, key, value)
    {
        const struct checkpoint_tensor *tensor = checkpoint_find(checkpoint, skip_prefix(key));
        const char *path = tensor == NULL ? NULL : checkpoint_path(checkpoint, tensor);
        const char *file = path == NULL ? NULL : strrchr(path, '/') + 1;
        if (file == NULL || strcmp(file, json_string_value(value)) != 0)
            return err_set(err, WEIR_ERR_FORMAT, "%s/%s: tensor %s is not in %s",
                           checkpoint->folder, index_name, key, json_string_value(value));
    }
    return WEIR_OK;
}

static enum weir_status shards_open(struct checkpoint *checkpoint, const char *folder, json_t *root,
                                    struct weir_error *err)
{
    json_t *map = json_object_get(root, "weight_map");
    if (!json_is_object(map))
        return err_set(err, WEIR_ERR_FORMAT, "%s/%s: \"weight_map\" is missing", folder,
                       index_name);
    uint64_t count = 0;
    const char **names = mem_alloc(json_object_size(map), sizeof *names, err);
    if (names == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status;
    TRY(shard_names(map, folder, names, &count, err));
    for (uint64_t i = 0; i < count; i++)
        TRY(shard_add(checkpoint, folder, names[i], err));
    TRY(tensors_list(checkpoint, err));
    TRY(map_check(checkpoint, map, err));
out:
    mem_free(names);
    return status;
}

static enum weir_status index_open(struct checkpoint *checkpoint, const char *folder,
                                   struct weir_error *err)
{
    json_t *root;
    enum weir_status status = hf_json_read(&root, folder, index_name, true, err);
    if (status != WEIR_OK)
        return status;
    if (root == NULL)
        return err_set(err, WEIR_ERR_IO, "%s: holds neither %s nor %s", folder, single_name,
                       index_name);
    status = shards_open(checkpoint, folder, root, err);
    json_decref(root);
    return status;
}

/* ---- the checkpoint -------------------------------------------------------------------------- */

static enum weir_status open_all(struct checkpoint *checkpoint, const char *folder,
                                 struct weir_error *err)
{
    char *single = hf_path(folder, single_name, err);
    if (single == NULL)
        return WEIR_ERR_MEMORY;
    const bool is_single = file_exists(single);
    mem_free(single);
    if (!is_single)
        return index_open(checkpoint, folder, err);
    const enum weir_status status = shard_add(checkpoint, folder, single_name, err);
    return status == WEIR_OK ? tensors_list(checkpoint, err) : status;
}

enum weir_status checkpoint_open(struct checkpoint *out, const char *folder, struct weir_error *err)
{
    *out = (struct checkpoint){.folder = folder};
    const enum weir_status status = open_all(out, folder, err);
    if (status != WEIR_OK)
        checkpoint_close(out);
    return status;
}

void checkpoint_close(struct checkpoint *checkpoint)
{
    file_reader_close(&checkpoint->reader);
    names_release(&checkpoint->by_name);
    for (uint64_t i = 0; i < checkpoint->shard_count; i++) {
        safetensors_release(&checkpoint->shards[i].file);
        mem_free(checkpoint->shards[i].path);
    }
    mem_free(checkpoint->shards);
    mem_free(checkpoint->tensors);
    *checkpoint = (struct checkpoint){0};
}

enum weir_status checkpoint_read(struct checkpoint *checkpoint,
                                 const struct checkpoint_tensor *tensor, uint64_t from, void *out,
                                 uint64_t bytes, struct weir_error *err)
{
    assert(from <= tensor->info->bytes && bytes <= tensor->info->bytes - from);
    if (checkpoint->reader.path == NULL || checkpoint->reader_shard != tensor->shard) {
        file_reader_close(&checkpoint->reader);
        const enum weir_status status =
            file_reader_open(&checkpoint->reader, checkpoint_path(checkpoint, tensor), err);
        if (status != WEIR_OK)
            return status;
        checkpoint->reader_shard = tensor->shard;
    }
    return file_reader_at(&checkpoint->reader, tensor->info->offset + from, out, bytes, err);
}

bool checkpoint_has_file(const struct checkpoint *checkpoint, const char *path)
{
    for (uint64_t i = 0; i < checkpoint->shard_count; i++) {
        if (file_is_same(checkpoint->shards[i].path, path))
            return true;
    }
    return false;
}
