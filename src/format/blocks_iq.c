/* SPDX-License-Identifier: MIT
 * Decoders of the blocks of 256 whose codes point into a code book or a grid: the IQ types. Knows
 * no other family. Formulas: gguf.md 2.5 and 2.9; every product and sum rounds once, in the order
 * written. */
#include "format/blocks.h"

#include "format/code_books.h"

void block_decode_IQ4_XS(const void *block, float *restrict out)
{
    const struct block_IQ4_XS *b = block;
    const float d = block_f16(b->d);
    const int scales_h = block_u16(b->scales_h);
    for (int group = 0; group < 8; group++) {
        const int low = b->scales_l[group / 2] >> 4 * (group % 2) & 15;
        const int high = scales_h >> 2 * group & 3;
        const float scale = d * (float)((low | high << 4) - 32);
        const uint8_t *qs = b->qs + 16 * group;
        for (int j = 0; j < 16; j++) {
            out[32 * group + j] = scale * (float)code_book_iq4[qs[j] & 15];
            out[32 * group + j + 16] = scale * (float)code_book_iq4[qs[j] >> 4];
        }
    }
}

/* One point of a grid: its coordinates times `scale`, negated where a bit of `signs` is set. */
static void decode_point(const struct code_grid *grid, uint32_t index, float scale, uint32_t signs,
                         float *restrict out)
{
    const uint32_t mask = (1u << grid->bits) - 1;
    uint32_t code = grid->codes[index];
    for (uint32_t i = 0; i < grid->coordinates; i++) {
        const float value = grid->values[code & mask];
        const float sign = (signs >> i & 1) != 0 ? -1.0f : 1.0f;
        out[i] = scale * value * sign;
        code >>= grid->bits;
    }
}

/* The eight signs that 7 bits stand for: the eighth makes the number of minus signs even. */
static uint32_t signs_even(uint32_t bits)
{
    return bits | (uint32_t)__builtin_parity(bits) << 7;
}

/* Groups of 32: four points, a word of four times 7 sign bits and a 4-bit scale. */
void block_decode_IQ2_XXS(const void *block, float *restrict out)
{
    const struct block_IQ2_XXS *b = block;
    const float d = block_f16(b->d);
    for (int group = 0; group < 8; group++) {
        const uint32_t word = block_u32(b->groups[group].signs);
        const float scale = d * (0.5f + (float)(word >> 28)) * 0.25f;
        for (int l = 0; l < 4; l++)
            decode_point(&code_grid_iq2_xxs, b->groups[group].index[l], scale,
                         signs_even(word >> 7 * l & 127), out + 32 * group + 8 * l);
    }
}

/* Scale of point k (0 to 31) of IQ2_XS and IQ2_S: a nibble for 16 elements. */
static float scale_iq2(const uint8_t scales[8], int k, float d)
{
    const int nibble = scales[k / 4] >> 4 * (k % 4 / 2) & 15;
    return d * (0.5f + (float)nibble) * 0.25f;
}

void block_decode_IQ2_XS(const void *block, float *restrict out)
{
    const struct block_IQ2_XS *b = block;
    const float d = block_f16(b->d);
    for (int k = 0; k < 32; k++) {
        const uint32_t code = block_u16(b->qs + 2 * k);
        decode_point(&code_grid_iq2_xs, code & 511, scale_iq2(b->scales, k, d),
                     signs_even(code >> 9), out + 8 * k);
    }
}

void block_decode_IQ2_S(const void *block, float *restrict out)
{
    const struct block_IQ2_S *b = block;
    const float d = block_f16(b->d);
    for (int k = 0; k < 32; k++) {
        const uint32_t high = b->qh[k / 4] >> 2 * (k % 4) & 3;
        decode_point(&code_grid_iq2_s, b->qs[k] | high << 8, scale_iq2(b->scales, k, d),
                     b->signs[k], out + 8 * k);
    }
}

/* As IQ2_XXS, but two points of four coordinates for each 7 sign bits. */
void block_decode_IQ3_XXS(const void *block, float *restrict out)
{
    const struct block_IQ3_XXS *b = block;
    const float d = block_f16(b->d);
    for (int group = 0; group < 8; group++) {
        const uint32_t word = block_u32(b->signs + 4 * group);
        const float scale = d * (0.5f + (float)(word >> 28)) * 0.5f;
        for (int l = 0; l < 4; l++) {
            const uint32_t signs = signs_even(word >> 7 * l & 127);
            const uint8_t *qs = b->qs + 8 * group + 2 * l;
            float *at = out + 32 * group + 8 * l;
            decode_point(&code_grid_iq3_xxs, qs[0], scale, signs, at);
            decode_point(&code_grid_iq3_xxs, qs[1], scale, signs >> 4, at + 4);
        }
    }
}

void block_decode_IQ3_S(const void *block, float *restrict out)
{
    const struct block_IQ3_S *b = block;
    const float d = block_f16(b->d);
    for (int k = 0; k < 64; k++) {
        const uint32_t high = b->qh[k / 8] >> k % 8 & 1;
        const int nibble = b->scales[k / 16] >> 4 * (k / 8 % 2) & 15;
        const float scale = d * (float)(1 + 2 * nibble);
        decode_point(&code_grid_iq3_s, b->qs[k] | high << 8, scale,
                     (uint32_t)b->signs[k / 2] >> 4 * (k % 2), out + 4 * k);
    }
}

/* One point of the grid of IQ1: its coordinates, all moved by `delta`, times `scale`. */
static void decode_point_iq1(uint32_t index, float scale, float delta, float *restrict out)
{
    const uint32_t code = code_grid_iq1.codes[index];
    for (int i = 0; i < 8; i++)
        out[i] = scale * ((float)code_grid_iq1.values[code >> 2 * i & 3] + delta);
}

void block_decode_IQ1_S(const void *block, float *restrict out)
{
    const struct block_IQ1_S *b = block;
    const float d = block_f16(b->d);
    for (int group = 0; group < 8; group++) {
        const uint32_t qh = block_u16(b->qh + 2 * group);
        const float scale = d * (float)(2 * (qh >> 12 & 7) + 1);
        const float delta = (qh & 0x8000) != 0 ? -0.125f : 0.125f;
        for (int l = 0; l < 4; l++) {
            const uint32_t index = b->qs[4 * group + l] | (qh >> 3 * l & 7) << 8;
            decode_point_iq1(index, scale, delta, out + 32 * group + 8 * l);
        }
    }
}

/* The upper nibbles of the four words of scales are the F16 scale of the block. */
static float scale_iq1_m(const uint16_t words[4])
{
    const int bits =
        words[0] >> 12 | words[1] >> 12 << 4 | words[2] >> 12 << 8 | words[3] >> 12 << 12;
    return codec_from_f16((uint16_t)bits);
}

void block_decode_IQ1_M(const void *block, float *restrict out)
{
    const struct block_IQ1_M *b = block;
    uint16_t words[4];
    memcpy(words, b->scales, sizeof words);
    const float d = scale_iq1_m(words);
    for (int k = 0; k < 32; k++) {
        const int scale = words[k / 8] >> 3 * (k / 2 % 4) & 7;
        const uint32_t nibble = b->qh[k / 2] >> 4 * (k % 2) & 15;
        const float delta = (nibble & 8) != 0 ? -0.125f : 0.125f;
        decode_point_iq1(b->qs[k] | (nibble & 7) << 8, d * (float)(2 * scale + 1), delta,
                         out + 8 * k);
    }
}
