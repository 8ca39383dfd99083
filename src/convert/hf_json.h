/* SPDX-License-Identifier: MIT
 * The JSON files of a checkpoint folder: read with limits, and looked into with errors that name
 * file and key. Knows nothing of what the keys mean. */
#ifndef CONVERT_HF_JSON_H
#define CONVERT_HF_JSON_H

#include <jansson.h>

#include "base/err.h"
#include "base/text.h"

/* No JSON file of a checkpoint is larger; tokenizer.json of 250 thousand tokens has 20 MB. */
#define HF_JSON_BYTES_MAX (UINT64_C(256) << 20)

/* "FOLDER/NAME", owned by the caller (mem_free); NULL with `err` set for want of memory. */
char *hf_path(const char *folder, const char *name, struct weir_error *err);

/* Parses bytes that must be one object without repeated keys; `path` is for messages. The caller
 * releases the object with json_decref. Nesting is limited by the library, to 2048. */
enum weir_status hf_json_parse(json_t **out, const uint8_t *data, size_t size, const char *path,
                               struct weir_error *err);

/* The same for a file of the folder. A missing file is an error, or *out = NULL if optional. */
enum weir_status hf_json_read(json_t **out, const char *folder, const char *name, bool optional,
                              struct weir_error *err);

/* The bytes of a string value. */
struct span hf_json_text(const json_t *text);

/* An object to look into. What a key names is looked for in `first`, then in `second` (may be
 * NULL); null counts as missing. */
struct hf_source {
    const json_t *first, *second;
    const char *path;
};

const json_t *hf_find(const struct hf_source *source, const char *key);

/* Typed reads: they leave *out as it was if the key is missing; a value of another type or out of
 * range is WEIR_ERR_FORMAT. */
enum weir_status hf_get_integer(const struct hf_source *source, const char *key, int64_t low,
                                int64_t high, int64_t *out, struct weir_error *err);
enum weir_status hf_get_real(const struct hf_source *source, const char *key, double low,
                             double high, double *out, struct weir_error *err);
enum weir_status hf_get_bool(const struct hf_source *source, const char *key, bool *out,
                             struct weir_error *err);
enum weir_status hf_get_text(const struct hf_source *source, const char *key, struct span *out,
                             struct weir_error *err);

#endif
