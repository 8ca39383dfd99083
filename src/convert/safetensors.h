/* SPDX-License-Identifier: MIT
 * The container of checkpoints: a u64 (little-endian) with the length of a JSON header, the header
 * (name: dtype, shape, begin and end of the data), the data. Knows no model. */
#ifndef CONVERT_SAFETENSORS_H
#define CONVERT_SAFETENSORS_H

#include "base/file.h"
#include "format/dtype.h"

enum {
    SAFETENSORS_DIMS_MAX = 8,
    SAFETENSORS_DTYPE_MAX = 15,
    SAFETENSORS_HEADER_MAX = 100 << 20, /* bytes; the limit of the format's own library */
};

struct safetensors_tensor {
    const char *name; /* owned by the file's list */
    char dtype_name[SAFETENSORS_DTYPE_MAX + 1];
    enum dtype dtype; /* DTYPE_COUNT for what is no float of F32, F16, BF16 */
    uint32_t dims;
    uint64_t shape[SAFETENSORS_DIMS_MAX]; /* slowest first: the reverse of GGUF's order */
    uint64_t offset;                      /* from the start of the file */
    uint64_t bytes;
};

struct safetensors {
    struct safetensors_tensor *tensors; /* by offset */
    uint64_t count;
    char *names;
};

/* Parses the JSON of a header of a file with `data_bytes` bytes behind it. Checked: each tensor's
 * bytes are those of its shape, lie within the data, and belong to no other tensor. Nothing is to
 * be released on failure. */
enum weir_status safetensors_parse(struct safetensors *out, const uint8_t *header,
                                   size_t header_bytes, uint64_t data_bytes, const char *path,
                                   struct weir_error *err);

/* The same for an open file. */
enum weir_status safetensors_read(struct safetensors *out, const struct file_reader *file,
                                  struct weir_error *err);
void safetensors_release(struct safetensors *file);

#endif
