/* SPDX-License-Identifier: MIT
 * Searches for the scale of a few values: which multiples of which scale come nearest to them.
 * Knows no block format.
 *
 * For values x, weights w >= 0 and codes l, the scale s that makes the sum of w (x - s l)^2 least
 * is A / B, with A = sum of w x l and B = sum of w l l, and the sum is then that of w x x less
 * A^2 / B. So a search tries scales, rounds x / s to codes, and keeps the codes with the largest
 * A^2 / B. How many scales, which, and in what order belongs to the definition of the bytes (the
 * quantizers of ggml; gguf.md 2.10.2), as does the order of all operations. */
#ifndef QUANT_ENCODE_SEARCH_H
#define QUANT_ENCODE_SEARCH_H

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "format/blocks_encode.h"

enum { SEARCH_VALUES_MAX = 32 };

/* Magnitudes below which a group counts as zeros. */
#define SEARCH_TINY 1e-15f

/* To nearest, ties to even, for magnitudes below 2^22: adding 3 * 2^22 leaves the integer in the
 * lowest bits. Defined for any float, since what is out of range must not be undefined. */
static inline int search_round(float value)
{
    return (int)(codec_float_bits(value + 12582912.0f) & 0x7fffff) - 0x400000;
}

static inline int search_clamp(int value, int low, int high)
{
    const int raised = value < low ? low : value;
    return raised < high ? raised : high;
}

/* Sum of x * x. */
float search_energy(const float *x, int count);

/* Weights of `count` values: importance times the root of `mean` + x^2, so that among equally
 * important columns the large values count more. */
void search_weights(const float *x, const float *importance, float mean, int count, float *w);

/* Codes 0 to 2 * limit - 1 for s * (code - limit). Returns s. */
float search_symmetric(int limit, const float *x, const float *w, int count, uint8_t *codes);

/* The same for 16 values, w = x^2 and limit 4: one scale, then single codes are changed as long as
 * that improves the fit. */
float search_symmetric_by_code(const float *x, uint8_t *codes);

/* Codes 0 to limit for s * code, by least squares over single codes at last. Returns s. Negative
 * values are not meant, but may occur in IQ2_XXS. */
float search_positive(int limit, const float *x, const float *w, int count, uint8_t *codes);

/* Codes 0 to limit for scale * code - min, min >= 0. */
struct search_offset {
    int limit;         /* the largest code */
    float first, step; /* trial k has limit + first + step * k steps from least to largest value */
    int trials;
    bool absolute; /* least absolute error decides, not least square */
};

struct search_scale_min {
    float scale, min;
};

struct search_scale_min search_scale_min(const struct search_offset *search, const float *x,
                                         const float *w, int count, uint8_t *codes);

#endif
