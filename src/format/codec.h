/* SPDX-License-Identifier: MIT
 * The scalar definition of every block format: bytes to floats, and the conversions of single
 * numbers. Compiled without contraction, so that results are bit-exact everywhere. */
#ifndef FORMAT_CODEC_H
#define FORMAT_CODEC_H

#include "format/dtype.h"

/* Decodes `columns` elements (a multiple of the block) from `data`, which needs no alignment, to
 * `out`. Any dtype of family FLOAT, QUANT or ACTIVATION except Q8_1 (never stored). */
void codec_decode_row(enum dtype dtype, const void *data, float *out, uint64_t columns);

/* Encodes to one of the float types (F32, F16, BF16). */
void codec_encode_floats(enum dtype dtype, const float *values, void *out, uint64_t columns);

/* True if a row holds no Inf, no NaN and no invalid block scale (gguf.md 2.11). */
bool codec_row_valid(enum dtype dtype, const void *data, uint64_t columns);

float codec_from_f16(uint16_t bits);
uint16_t codec_to_f16(float value); /* to nearest even; NaN becomes 0x7E00 with its sign */
float codec_from_bf16(uint16_t bits);
uint16_t codec_to_bf16(float value);       /* to nearest even; NaN keeps its upper bits, quiet */
float codec_from_e8m0_half(uint8_t bits);  /* 2^(bits - 128): scale byte of MXFP4 */
float codec_from_ue4m3_half(uint8_t bits); /* half of the unsigned E4M3: scale byte of NVFP4 */

#endif
