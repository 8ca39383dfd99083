/* SPDX-License-Identifier: MIT
 * Checkpoint folders for tests. */
#include "folder.h"

#include <dirent.h>
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char index_name[] = "model.safetensors.index.json";

const char *folder_file(const char *folder, const char *name)
{
    static char buffers[8][4300];
    static unsigned next;
    char *buffer = buffers[next++ % 8];
    snprintf(buffer, sizeof buffers[0], "%s/%s", folder, name);
    return buffer;
}

void folder_write(const char *folder, const char *name, const void *data, size_t size)
{
    FILE *file = fopen(folder_file(folder, name), "wb");
    CHECK(file != NULL);
    CHECK_INT(fwrite(data, 1, size, file), size);
    CHECK_INT(fclose(file), 0);
}

void folder_write_json(const char *folder, const char *name, json_t *root)
{
    CHECK_INT(json_dump_file(root, folder_file(folder, name), 0), 0);
    json_decref(root);
}

json_t *folder_read_json(const char *folder, const char *name)
{
    json_t *root = json_load_file(folder_file(folder, name), 0, NULL);
    CHECK(root != NULL);
    return root;
}

const char *folder_fresh(const char *name)
{
    const char *folder = test_scratch(name);
    DIR *entries = opendir(folder);
    for (const struct dirent *entry = entries == NULL ? NULL : readdir(entries); entry != NULL;
         entry = readdir(entries))
        unlinkat(dirfd(entries), entry->d_name, 0);
    if (entries != NULL)
        closedir(entries);
    rmdir(folder);
    return folder;
}

int folder_files(const char *folder)
{
    DIR *entries = opendir(folder);
    CHECK(entries != NULL);
    int count = 0;
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* Writes a safetensors file from the text of its header and its data. */
static void shard_write(const char *folder, const char *name, const char *header, const void *data,
                        size_t data_bytes)
{
    const size_t length = strlen(header);
    uint8_t *file = malloc(8 + length + data_bytes);
    CHECK(file != NULL);
    const uint64_t prefix = htole64(length);
    memcpy(file, &prefix, 8);
    memcpy(file + 8, header, length);
    memcpy(file + 8 + length, data, data_bytes);
    folder_write(folder, name, file, 8 + length + data_bytes);
    free(file);
}

void folder_add_shard(const char *folder, const char *header, const void *data, size_t data_bytes)
{
    char whole[2000];
    snprintf(whole, sizeof whole, "{%s}", header);
    shard_write(folder, "more.safetensors", whole, data, data_bytes);
    json_t *index = folder_read_json(folder, index_name), *tensors = json_loads(whole, 0, NULL);
    CHECK(tensors != NULL);
    const char *name;
    json_t *tensor;
    json_object_foreach(tensors, name, tensor) json_object_set_new(
        json_object_get(index, "weight_map"), name, json_string("more.safetensors"));
    json_decref(tensors);
    folder_write_json(folder, index_name, index);
}

void folder_hide_tensor(const char *folder, const char *name)
{
    char quoted[200], file_name[100];
    snprintf(quoted, sizeof quoted, "\"%s\"", name);
    json_t *index = folder_read_json(folder, index_name);
    json_t *map = json_object_get(index, "weight_map");
    const char *shard = json_string_value(json_object_get(map, name));
    CHECK(shard != NULL);
    snprintf(file_name, sizeof file_name, "%s", shard);
    json_object_del(map, name);
    folder_write_json(folder, index_name, index);
    size_t size;
    uint8_t *data = test_read_file(folder_file(folder, file_name), &size);
    uint8_t *at = memmem(data, size, quoted, strlen(quoted));
    CHECK(at != NULL);
    memcpy(at + 1, "visual.", 7);
    folder_write(folder, file_name, data, size);
    free(data);
}

/* Appends the data and the header entries of one shard; removes it. */
static size_t shard_append(const char *folder, const char *name, json_t *joined, uint8_t **data,
                           size_t bytes)
{
    size_t size;
    uint8_t *file = test_read_file(folder_file(folder, name), &size);
    uint64_t length;
    memcpy(&length, file, 8);
    length = le64toh(length);
    const size_t more = size - 8 - length;
    *data = realloc(*data, bytes + more);
    CHECK(*data != NULL);
    memcpy(*data + bytes, file + 8 + length, more);
    json_t *tensors = json_loadb((const char *)file + 8, length, 0, NULL), *tensor;
    const char *key;
    json_object_foreach(tensors, key, tensor)
    {
        json_t *place = json_object_get(tensor, "data_offsets");
        for (size_t i = 0; i < json_array_size(place); i++)
            json_integer_set(json_array_get(place, i),
                             json_integer_value(json_array_get(place, i)) + (json_int_t)bytes);
        json_object_set(joined, key, tensor);
    }
    json_decref(tensors);
    free(file);
    CHECK_INT(unlink(folder_file(folder, name)), 0);
    return bytes + more;
}

void folder_join_shards(const char *folder)
{
    json_t *index = folder_read_json(folder, index_name), *joined = json_object(), *shard;
    uint8_t *data = NULL;
    size_t bytes = 0;
    const char *key;
    json_object_foreach(json_object_get(index, "weight_map"), key, shard)
    {
        const char *name = json_string_value(shard);
        if (access(folder_file(folder, name), F_OK) == 0)
            bytes = shard_append(folder, name, joined, &data, bytes);
    }
    char *header = json_dumps(joined, 0);
    shard_write(folder, "model.safetensors", header, data, bytes);
    CHECK_INT(unlink(folder_file(folder, index_name)), 0);
    free(header);
    free(data);
    json_decref(joined);
    json_decref(index);
}
