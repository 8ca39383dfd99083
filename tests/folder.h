/* SPDX-License-Identifier: MIT
 * Checkpoint folders for tests: made, changed and counted. */
#ifndef TESTS_FOLDER_H
#define TESTS_FOLDER_H

#include <jansson.h>

#include "test.h"

/* "FOLDER/NAME" in one of eight rotating buffers. */
const char *folder_file(const char *folder, const char *name);

/* Writes a file; replaces it. */
void folder_write(const char *folder, const char *name, const void *data, size_t size);
void folder_write_json(const char *folder, const char *name, json_t *root); /* takes it over */
json_t *folder_read_json(const char *folder, const char *name);

/* Removes the folder of a scratch name and its files, if it is there, and returns its path. */
const char *folder_fresh(const char *name);
int folder_files(const char *folder);

/* Adds tensors to the checkpoint as a further shard: `header` is the inside of the JSON object. */
void folder_add_shard(const char *folder, const char *header, const void *data, size_t data_bytes);

/* Gives a tensor a name that nobody asks for, of the vision part. */
void folder_hide_tensor(const char *folder, const char *name);

/* Makes one model.safetensors of the shards. */
void folder_join_shards(const char *folder);

#endif
