/* SPDX-License-Identifier: MIT
 * The scalar definition of every block format: bytes to floats, and the conversions of single
 * numbers. Compiled without contraction, so that results are bit-exact everywhere. */
#ifndef FORMAT_CODEC_H
#define FORMAT_CODEC_H

#include <string.h>

#include "format/dtype.h"

/* Decodes `columns` elements (a multiple of the block) from `data`, which needs no alignment, to
 * `out`. Any dtype of family FLOAT, QUANT or ACTIVATION. */
void codec_decode_row(enum dtype dtype, const void *data, float *out, uint64_t columns);

/* Encodes to one of the float types (F32, F16, BF16). */
void codec_encode_floats(enum dtype dtype, const float *values, void *out, uint64_t columns);

/* Encodes a row (a multiple of the block) to a float type or to Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, whose
 * blocks need no search. */
void codec_encode_row(enum dtype dtype, const float *values, void *out, uint64_t columns);

/* True if a row holds no Inf, no NaN and no invalid block scale (gguf.md 2.11). Any dtype; codes
 * and integers are always valid. */
bool codec_row_valid(enum dtype dtype, const void *data, uint64_t columns);

/* ---- single numbers -------------------------------------------------------------------------- */

/* Inline, since they stand in the inner loops of the reference, and without branches, so that
 * these loops can be vectorized. None of them computes with a subnormal f32 that it could avoid:
 * that is slow on most processors. */

static inline uint32_t codec_float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float codec_bits_float(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Exact. A NaN becomes quiet; its payload moves to the upper bits. */
static inline float codec_from_f16(uint16_t bits)
{
    enum { REBIAS = (127 - 15) << 23 };
    const uint32_t sign = (uint32_t)(bits & 0x8000) << 16;
    const uint32_t magnitude = bits & 0x7fff;
    /* Inf and NaN: the exponent 31 becomes 143 by the first step and 255 by the second. */
    const uint32_t special = magnitude >= 0x7c00 ? REBIAS : 0;
    /* Subnormal numbers get the leading one of 2^-14, which is then subtracted again. */
    const uint32_t leading = magnitude < 0x400 ? 1u << 23 : 0;
    const uint32_t excess = magnitude < 0x400 ? REBIAS + (1u << 23) : 0;
    const uint32_t shifted = (magnitude << 13) + REBIAS + special + leading;
    const float value = codec_bits_float(shifted) - codec_bits_float(excess);
    return codec_bits_float(sign | codec_float_bits(value));
}

/* To nearest even; NaN becomes 0x7E00 with its sign. */
static inline uint16_t codec_to_f16(float value)
{
    const uint32_t bits = codec_float_bits(value);
    const uint32_t sign = bits >> 16 & 0x8000;
    const uint32_t magnitude = bits & 0x7fffffff;
    /* From 2^-14 on: rebias, round to nearest even at bit 13; what carries past the largest finite
     * number, or lies beyond it, is Inf. */
    const uint32_t odd = magnitude >> 13 & 1;
    const uint32_t rounded = (magnitude - ((127u - 15) << 23) + 0xfff + odd) >> 13;
    const uint32_t normal = rounded < 0x7c00 ? rounded : 0x7c00;
    /* Below, the result counts units of 2^-24, which is the last place of a sum with 1/2: the
     * addition rounds. */
    const uint32_t subnormal =
        codec_float_bits(codec_bits_float(magnitude) + 0.5f) - codec_float_bits(0.5f);
    /* Masks, since compilers sink the addition into a branch if they see a choice. */
    const uint32_t small = 0u - (magnitude < 0x38800000);
    const uint32_t nan = 0u - (magnitude > 0x7f800000);
    const uint32_t number = (subnormal & small) | (normal & ~small);
    return (uint16_t)(sign | (0x7e00 & nan) | (number & ~nan));
}

static inline float codec_from_bf16(uint16_t bits)
{
    return codec_bits_float((uint32_t)bits << 16);
}

/* To nearest even; NaN keeps its upper bits, quiet. */
static inline uint16_t codec_to_bf16(float value)
{
    const uint32_t bits = codec_float_bits(value);
    const uint32_t odd = bits >> 16 & 1;
    const uint32_t rounded = (bits + 0x7fff + odd) >> 16;
    const uint32_t quiet = bits >> 16 | 0x40;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? quiet : rounded);
}

/* 2^(bits - 128): scale byte of MXFP4, halved because its code book is doubled. The two smallest
 * are subnormal. */
static inline float codec_from_e8m0_half(uint8_t bits)
{
    return codec_bits_float(bits < 2 ? 0x00200000u << bits : (bits - 1u) << 23);
}

/* Half of the unsigned E4M3: scale byte of NVFP4. Bit 7 is ignored, except that 0x7F stands for 0
 * and 0xFF does not. */
static inline float codec_from_ue4m3_half(uint8_t bits)
{
    const uint32_t exponent = bits >> 3 & 15;
    const uint32_t mantissa = bits & 7;
    const float subnormal = (float)(int32_t)mantissa * 0x1p-10f;
    const float normal = codec_bits_float((exponent + (127 - 7 - 1)) << 23 | mantissa << 20);
    const float value = exponent == 0 ? subnormal : normal;
    return bits == 0x7f ? 0.0f : value;
}

/* The unsigned E4M3 (not halved) near a value: half-way numbers go up, and from where the largest
 * exponent begins, all become its largest number, 448. What is not above 0 becomes 0. */
static inline uint8_t codec_to_ue4m3(float value)
{
    enum { SMALLEST_NORMAL = 127 - 6, LARGEST_EXPONENT = 15 << 3, LARGEST = 0x7e };
    const uint32_t bits = codec_float_bits(value);
    if (!(value > 0.0f))
        return 0;
    if (bits < (uint32_t)SMALLEST_NORMAL << 23) {
        const int mantissa = (int)(value * 512.0f + 0.5f);
        return (uint8_t)(mantissa < 7 ? mantissa : 7);
    }
    /* The fourth bit of the mantissa rounds the first three, and carries into the exponent. */
    const uint32_t code = (bits >> 20) - ((127 - 7) << 3) + (bits >> 19 & 1);
    return (uint8_t)(code < LARGEST_EXPONENT ? code : LARGEST);
}

#endif
