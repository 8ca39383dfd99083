/* SPDX-License-Identifier: MIT
 * What the files that read GGUF share: one parsed file, and the hidden half of struct gguf. */
#ifndef FORMAT_GGUF_PARSE_H
#define FORMAT_GGUF_PARSE_H

#include "base/names.h"
#include "format/gguf.h"

/* What one file says. Set to zero to begin. */
struct gguf_part {
    uint32_t version;
    struct gguf_kv *kv;
    uint64_t kv_count, kv_capacity;
    struct names keys;           /* key to index in kv */
    uint8_t *metadata;           /* copy of the file up to the last kv, which point into it */
    struct gguf_tensor *tensors; /* in file order, split 0 */
    uint64_t tensor_count, tensor_capacity;
    uint64_t data_start;
    bool is_header; /* set before parsing: the tensors' data do not follow */
};

/* Parses and checks the file `path`, whose `size` bytes are at `data`. On failure `part` is to be
 * released all the same. */
enum weir_status gguf_part_parse(struct gguf_part *part, const char *path, const uint8_t *data,
                                 uint64_t size, struct weir_error *err);
void gguf_part_release(struct gguf_part *part);
const struct gguf_kv *gguf_part_find(const struct gguf_part *part, const char *key);

/* What struct gguf keeps in `internal`. */
struct gguf_internal {
    struct names keys;    /* key to index in kv */
    struct names tensors; /* name to index in tensors */
    uint8_t *metadata;    /* of the first file */
    uint8_t **overrides;  /* key and value of each override, in one allocation each */
    uint64_t overrides_count, overrides_capacity;
    uint64_t kv_capacity, tensor_capacity, split_capacity;
    bool borrowed; /* the bytes of the file belong to the caller */
};

/* gguf_get_u32 for an entry that is there. */
enum weir_status gguf_kv_u32(const struct gguf_kv *kv, const char *path, uint32_t *out,
                             struct weir_error *err);

/* Bytes of a value of a fixed size; 0 for strings and arrays. */
uint32_t gguf_type_bytes(enum gguf_type type);

/* A little-endian integer of `bytes` bytes, at most 8. */
static inline uint64_t gguf_load(const uint8_t *data, uint32_t bytes)
{
    uint64_t value = 0;
    for (uint32_t i = 0; i < bytes; i++)
        value |= (uint64_t)data[i] << (8 * i);
    return value;
}

#endif
