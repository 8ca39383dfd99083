/* SPDX-License-Identifier: MIT
 * The encoders of single blocks, one or two for each type: the rows of the table in encode.c. */
#ifndef QUANT_ENCODE_BLOCKS_H
#define QUANT_ENCODE_BLOCKS_H

#include "format/blocks.h"

/* What a block is made from. */
struct encode_source {
    const float *values;     /* of the block, finite */
    const float *importance; /* of the block; NULL for a plain encoder */
    float row_mean_square;   /* of the values of the whole row; 0 for a plain encoder */
};

typedef void encode_block_fn(const struct encode_source *source, void *block);

encode_block_fn encode_Q4_0, encode_Q8_0;

#endif
