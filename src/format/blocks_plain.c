/* SPDX-License-Identifier: MIT
 * Decoders of the small blocks: codes times one scale, some with an offset, in the order of the
 * elements or as nibbles. Knows no other family. Formulas: gguf.md 2.3, 2.5, 2.6, 2.8; every
 * product and sum rounds once, in the order written. */
#include "format/blocks.h"

#include "format/code_books.h"

/* Most formats hold element j in the low nibble of byte j and element j + 16 in the high one. */

void block_decode_Q4_0(const void *block, float *restrict out)
{
    const struct block_Q4_0 *b = block;
    const float d = block_f16(b->d);
    for (int j = 0; j < 16; j++) {
        out[j] = (float)((b->qs[j] & 15) - 8) * d;
        out[j + 16] = (float)((b->qs[j] >> 4) - 8) * d;
    }
}

void block_decode_Q4_1(const void *block, float *restrict out)
{
    const struct block_Q4_1 *b = block;
    const float d = block_f16(b->d);
    const float m = block_f16(b->m);
    for (int j = 0; j < 16; j++) {
        out[j] = (float)(b->qs[j] & 15) * d + m;
        out[j + 16] = (float)(b->qs[j] >> 4) * d + m;
    }
}

/* Code i (0 to 31) of Q5_0 and Q5_1: four bits from the nibbles, the fifth from bit i of qh. */
static int code_5bit(const uint8_t *qs, uint32_t qh, int i)
{
    const int low = qs[i % 16] >> 4 * (i / 16) & 15;
    return low | (int)(qh >> i & 1) << 4;
}

void block_decode_Q5_0(const void *block, float *restrict out)
{
    const struct block_Q5_0 *b = block;
    const float d = block_f16(b->d);
    const uint32_t qh = block_u32(b->qh);
    for (int i = 0; i < 32; i++)
        out[i] = (float)(code_5bit(b->qs, qh, i) - 16) * d;
}

void block_decode_Q5_1(const void *block, float *restrict out)
{
    const struct block_Q5_1 *b = block;
    const float d = block_f16(b->d);
    const float m = block_f16(b->m);
    const uint32_t qh = block_u32(b->qh);
    for (int i = 0; i < 32; i++)
        out[i] = (float)code_5bit(b->qs, qh, i) * d + m;
}

void block_decode_Q8_0(const void *block, float *restrict out)
{
    const struct block_Q8_0 *b = block;
    const float d = block_f16(b->d);
    for (int i = 0; i < 32; i++)
        out[i] = (float)b->qs[i] * d;
}

void block_decode_Q8_1(const void *block, float *restrict out)
{
    const struct block_Q8_1 *b = block;
    const float d = block_f16(b->d);
    for (int i = 0; i < 32; i++)
        out[i] = (float)b->qs[i] * d;
}

void block_decode_IQ4_NL(const void *block, float *restrict out)
{
    const struct block_IQ4_NL *b = block;
    const float d = block_f16(b->d);
    for (int j = 0; j < 16; j++) {
        out[j] = d * (float)code_book_iq4[b->qs[j] & 15];
        out[j + 16] = d * (float)code_book_iq4[b->qs[j] >> 4];
    }
}

void block_decode_MXFP4(const void *block, float *restrict out)
{
    const struct block_MXFP4 *b = block;
    const float d = codec_from_e8m0_half(b->e);
    for (int j = 0; j < 16; j++) {
        out[j] = (float)code_book_fp4[b->qs[j] & 15] * d;
        out[j + 16] = (float)code_book_fp4[b->qs[j] >> 4] * d;
    }
}

/* Four groups of 16 elements, each with the nibble order of a block of its own. */
void block_decode_NVFP4(const void *block, float *restrict out)
{
    const struct block_NVFP4 *b = block;
    for (int group = 0; group < 4; group++) {
        const float d = codec_from_ue4m3_half(b->d[group]);
        for (int j = 0; j < 8; j++) {
            const uint8_t codes = b->qs[8 * group + j];
            out[16 * group + j] = (float)code_book_fp4[codes & 15] * d;
            out[16 * group + j + 8] = (float)code_book_fp4[codes >> 4] * d;
        }
    }
}

void block_decode_Q1_0(const void *block, float *restrict out)
{
    const struct block_Q1_0 *b = block;
    const float d = block_f16(b->d);
    for (int i = 0; i < 128; i++)
        out[i] = (b->qs[i / 8] >> i % 8 & 1) != 0 ? d : -d;
}

void block_decode_Q2_0(const void *block, float *restrict out)
{
    const struct block_Q2_0 *b = block;
    const float d = block_f16(b->d);
    for (int i = 0; i < 64; i++)
        out[i] = (float)((b->qs[i / 4] >> 2 * (i % 4) & 3) - 1) * d;
}
