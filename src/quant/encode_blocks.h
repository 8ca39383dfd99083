/* SPDX-License-Identifier: MIT
 * The encoders of single blocks, one or two for each type (the rows of the table in encode.c), and
 * how they write fields. */
#ifndef QUANT_ENCODE_BLOCKS_H
#define QUANT_ENCODE_BLOCKS_H

#include "format/blocks_encode.h"

/* What a block is made from. */
struct encode_source {
    const float *values;     /* of the block, finite */
    const float *importance; /* of the block; NULL for a plain encoder */
    float row_mean_square;   /* of the values of the whole row; 0 for a plain encoder */
};

typedef void encode_block_fn(const struct encode_source *source, void *block);

/* encode_plain.c */
encode_block_fn encode_Q4_0, encode_Q4_1, encode_Q5_0, encode_Q5_1, encode_Q8_0;
encode_block_fn encode_Q4_0_weighted, encode_Q4_1_weighted, encode_Q5_0_weighted,
    encode_Q5_1_weighted;

/* encode_k.c: with importance or without */
encode_block_fn encode_Q2_K, encode_Q3_K, encode_Q4_K, encode_Q5_K, encode_Q6_K;

/* encode_iq4.c: with importance or without */
encode_block_fn encode_IQ4_NL, encode_IQ4_XS;

/* encode_fp4.c */
encode_block_fn encode_MXFP4, encode_NVFP4;

/* encode_ternary.c */
encode_block_fn encode_TQ1_0, encode_TQ2_0, encode_Q1_0, encode_Q2_0;

/* encode_iq1.c: with importance, which IQ1_S must have, or without */
encode_block_fn encode_IQ1_S, encode_IQ1_M;

/* encode_iq2.c, encode_iq3.c: with importance, which IQ2_XXS and IQ2_XS must have, or without */
encode_block_fn encode_IQ2_XXS, encode_IQ2_XS, encode_IQ2_S, encode_IQ3_XXS, encode_IQ3_S;

/* ---- fields ---------------------------------------------------------------------------------- */

/* The lower two bits of 256 codes, as four planes to a half block: blocks_k.c. */
static inline void encode_planes(const uint8_t codes[256], uint8_t qs[64])
{
    for (int j = 0; j < 64; j++) {
        const uint8_t *c = codes + 128 * (j / 32) + j % 32;
        qs[j] = (uint8_t)((c[0] & 3) | (c[32] & 3) << 2 | (c[64] & 3) << 4 | (c[96] & 3) << 6);
    }
}

#endif
