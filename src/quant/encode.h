/* SPDX-License-Identifier: MIT
 * Rows of floats to rows of any tensor type that a file of weights can hold, byte for byte as the
 * reference makes them (gguf.md 2.10). Knows no tensors and no files. */
#ifndef QUANT_ENCODE_H
#define QUANT_ENCODE_H

#include "format/dtype.h"

/* Whether encode_row makes a type at all, and whether it needs importance weights to do so. */
enum encode_support {
    ENCODE_NOT,
    ENCODE_PLAIN,    /* needs none; the types that can use them do */
    ENCODE_WEIGHTED, /* not without */
};

enum encode_support encode_support(enum dtype dtype);

/* One row: `columns` values (a multiple of the block), which must be finite, to `out`, which needs
 * no alignment. `importance`: a finite number >= 0 for each column, or NULL. Keeps nothing, takes
 * no memory but the stack's, and may run in several threads. Values whose scales overflow an F16
 * make blocks that codec_row_valid refuses. */
void encode_row(enum dtype dtype, const float *values, const float *importance, void *out,
                uint64_t columns);

#endif
