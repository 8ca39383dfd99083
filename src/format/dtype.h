/* SPDX-License-Identifier: MIT
 * The tensor types of GGUF files: names, ids, block sizes (dtype.def). */
#ifndef FORMAT_DTYPE_H
#define FORMAT_DTYPE_H

#include "base/err.h"

enum dtype {
#define DTYPE(id, name, gguf_id, block, bytes, family) DTYPE_##id,
#include "format/dtype.def"
    DTYPE_COUNT
};

/* What a type can be used for. */
enum dtype_family {
    DTYPE_FAMILY_FLOAT,      /* one number an element: F32, F16, BF16 */
    DTYPE_FAMILY_QUANT,      /* a block format for weights */
    DTYPE_FAMILY_ACTIVATION, /* a block format that only products use: Q8_1, Q8_K */
    DTYPE_FAMILY_OTHER,      /* integers and F64: carried by the container, never a weight */
};

struct dtype_info {
    const char *name;     /* upper case, as llama.cpp prints it: "Q4_0" */
    uint32_t gguf_id;     /* in files */
    uint32_t block;       /* elements of a block */
    uint32_t block_bytes; /* bytes of a block */
    enum dtype_family family;
};

const struct dtype_info *dtype_info(enum dtype dtype);

static inline bool dtype_is_float(enum dtype dtype)
{
    return dtype_info(dtype)->family == DTYPE_FAMILY_FLOAT;
}

/* WEIR_ERR_FORMAT with the reason (unknown, or removed from ggml) for an id without a type. */
enum weir_status dtype_from_gguf(enum dtype *out, uint32_t gguf_id, struct weir_error *err);

/* The type of a name in any case of letters; WEIR_ERR_ARGUMENT lists what a weight can have. */
enum weir_status dtype_from_name(enum dtype *out, const char *name, struct weir_error *err);

/* Bytes of a row of `columns` elements, which must be a multiple of the block. */
uint64_t dtype_row_bytes(enum dtype dtype, uint64_t columns);

#endif
