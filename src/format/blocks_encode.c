/* SPDX-License-Identifier: MIT
 * Encoders of the small blocks. Every operation rounds once, in the order written. */
#include "format/blocks_encode.h"

#include <math.h>

float block_inverse(float d)
{
    const float id = d != 0.0f ? 1.0f / d : 0.0f;
    return isfinite(id) ? id : 0.0f;
}

float block_extreme(const float *x, int count)
{
    float extreme = 0.0f;
    for (int i = 0; i < count; i++)
        extreme = fabsf(extreme) < fabsf(x[i]) ? x[i] : extreme;
    return extreme;
}

/* Truncated to 0..limit. */
static uint8_t truncate_code(float value, int limit)
{
    if (!(value > 0.0f))
        return 0;
    return (uint8_t)(value < (float)limit ? (int)value : limit);
}

/* ---- one scale ------------------------------------------------------------------------------- */

/* Codes 0 to 2 * limit - 1 for d * (code - limit); the largest magnitude gets code 0. Returns d. */
static float code_symmetric(const float *x, int limit, uint8_t codes[32])
{
    const float d = block_extreme(x, 32) / (float)-limit;
    const float id = block_inverse(d);
    for (int i = 0; i < 32; i++)
        codes[i] = truncate_code(x[i] * id + ((float)limit + 0.5f), 2 * limit - 1);
    return d;
}

void block_encode_Q4_0(const float *values, void *block)
{
    struct block_Q4_0 *b = block;
    uint8_t codes[32];
    block_put_f16(b->d, code_symmetric(values, 8, codes));
    block_put_nibbles(codes, b->qs);
}

void block_encode_Q5_0(const float *values, void *block)
{
    struct block_Q5_0 *b = block;
    uint8_t codes[32];
    block_put_f16(b->d, code_symmetric(values, 16, codes));
    block_put_fifth_bits(codes, b->qh);
    block_put_nibbles(codes, b->qs);
}

void block_encode_Q8_0(const float *values, void *block)
{
    struct block_Q8_0 *b = block;
    const float d = fabsf(block_extreme(values, 32)) / 127.0f;
    const float id = block_inverse(d);
    block_put_f16(b->d, d);
    for (int i = 0; i < 32; i++)
        b->qs[i] = (int8_t)block_round_away(values[i] * id);
}

/* ---- scale and offset ------------------------------------------------------------------------ */

/* Codes 0 to limit for d * code + m. */
struct scale_offset {
    float d, m;
};

static struct scale_offset code_offset(const float *x, int limit, uint8_t codes[32])
{
    float min = x[0], max = x[0];
    for (int i = 1; i < 32; i++) {
        min = x[i] < min ? x[i] : min;
        max = x[i] > max ? x[i] : max;
    }
    const float d = (max - min) / (float)limit;
    const float id = block_inverse(d);
    for (int i = 0; i < 32; i++)
        codes[i] = truncate_code((x[i] - min) * id + 0.5f, limit);
    return (struct scale_offset){d, min};
}

void block_encode_Q4_1(const float *values, void *block)
{
    struct block_Q4_1 *b = block;
    uint8_t codes[32];
    const struct scale_offset s = code_offset(values, 15, codes);
    block_put_f16(b->d, s.d);
    block_put_f16(b->m, s.m);
    block_put_nibbles(codes, b->qs);
}

void block_encode_Q5_1(const float *values, void *block)
{
    struct block_Q5_1 *b = block;
    uint8_t codes[32];
    const struct scale_offset s = code_offset(values, 31, codes);
    block_put_f16(b->d, s.d);
    block_put_f16(b->m, s.m);
    block_put_fifth_bits(codes, b->qh);
    block_put_nibbles(codes, b->qs);
}
