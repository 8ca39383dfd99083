/* SPDX-License-Identifier: MIT
 * Encoders of the small blocks: the extremes of a block give its scale, and each value is rounded
 * once, byte for byte as the reference does (gguf.md 2.10.1). And how fields are written. Knows no
 * rows. */
#ifndef FORMAT_BLOCKS_ENCODE_H
#define FORMAT_BLOCKS_ENCODE_H

#include "format/blocks.h"

/* One block of finite values. */
typedef void block_encode_fn(const float *values, void *block);

block_encode_fn block_encode_Q4_0, block_encode_Q4_1, block_encode_Q5_0, block_encode_Q5_1,
    block_encode_Q8_0;

/* 1 / d; 0 where d is 0 or so small that this is no number: codes are then those of zeros. */
float block_inverse(float d);

/* The value of the first largest magnitude, with its sign. */
float block_extreme(const float *x, int count);

/* To nearest, ties away from zero, for magnitudes below 2^31. */
static inline int block_round_away(float value)
{
    const int truncated = (int)value;
    const float rest = value - (float)truncated;
    return truncated + (rest >= 0.5f) - (rest <= -0.5f);
}

/* ---- fields ---------------------------------------------------------------------------------- */

static inline void block_put_f16(uint8_t *field, float value)
{
    const uint16_t bits = codec_to_f16(value);
    memcpy(field, &bits, sizeof bits);
}

/* 32 codes of 4 bits: element j in the low nibble of byte j, element j + 16 in the high one. */
static inline void block_put_nibbles(const uint8_t codes[32], uint8_t qs[16])
{
    for (int j = 0; j < 16; j++)
        qs[j] = (uint8_t)((codes[j] & 15) | (codes[j + 16] & 15) << 4);
}

/* The fifth bits of 32 codes. */
static inline void block_put_fifth_bits(const uint8_t codes[32], uint8_t qh[4])
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(codes[i] >> 4 & 1) << i;
    memcpy(qh, &bits, sizeof bits);
}

#endif
