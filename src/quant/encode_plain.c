/* SPDX-License-Identifier: MIT
 * Encoders of the small blocks: the extremes of the block give the scale, and each value is rounded
 * once; or, with importance, a search gives both. Formulas: gguf.md 2.10.1 and 2.10.3; every
 * operation rounds once, in the order written. */
#include "quant/encode_blocks.h"

#include "format/code_books.h"
#include "quant/encode_lanes.h"
#include "quant/encode_search.h"

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
    const float d = search_extreme(x, 32) / (float)-limit;
    const float id = search_inverse(d);
    for (int i = 0; i < 32; i++)
        codes[i] = truncate_code(x[i] * id + ((float)limit + 0.5f), 2 * limit - 1);
    return d;
}

static float code_symmetric_weighted(const struct encode_source *source, int limit,
                                     uint8_t codes[32])
{
    float w[32];
    search_weights(source->values, source->importance, source->row_mean_square, 32, w);
    return search_symmetric(limit, source->values, w, 32, codes);
}

static void store_q4_0(struct block_Q4_0 *b, float d, const uint8_t codes[32])
{
    encode_f16(b->d, d);
    encode_nibbles(codes, b->qs);
}

static void store_q5_0(struct block_Q5_0 *b, float d, const uint8_t codes[32])
{
    encode_f16(b->d, d);
    encode_fifth_bits(codes, b->qh);
    encode_nibbles(codes, b->qs);
}

void encode_Q4_0(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const float d = code_symmetric(source->values, 8, codes);
    store_q4_0(block, d, codes);
}

void encode_Q4_0_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const float d = code_symmetric_weighted(source, 8, codes);
    store_q4_0(block, d, codes);
}

void encode_Q5_0(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const float d = code_symmetric(source->values, 16, codes);
    store_q5_0(block, d, codes);
}

void encode_Q5_0_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const float d = code_symmetric_weighted(source, 16, codes);
    store_q5_0(block, d, codes);
}

/* To nearest, ties away from zero, for magnitudes below 2^31. */
static int round_away(float value)
{
    const int truncated = (int)value;
    const float rest = value - (float)truncated;
    return truncated + (rest >= 0.5f) - (rest <= -0.5f);
}

void encode_Q8_0(const struct encode_source *source, void *block)
{
    struct block_Q8_0 *b = block;
    const float d = fabsf(search_extreme(source->values, 32)) / 127.0f;
    const float id = search_inverse(d);
    encode_f16(b->d, d);
    for (int i = 0; i < 32; i++)
        b->qs[i] = (int8_t)round_away(source->values[i] * id);
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
    const float id = search_inverse(d);
    for (int i = 0; i < 32; i++)
        codes[i] = truncate_code((x[i] - min) * id + 0.5f, limit);
    return (struct scale_offset){d, min};
}

static struct scale_offset code_offset_weighted(const struct encode_source *source, int limit,
                                                uint8_t codes[32])
{
    const struct search_offset search = {
        .limit = limit, .first = -0.9f, .step = 0.05f, .trials = 37};
    float w[32];
    search_weights(source->values, source->importance, source->row_mean_square, 32, w);
    const struct search_scale_min found = search_scale_min(&search, source->values, w, 32, codes);
    return (struct scale_offset){found.scale, -found.min};
}

static void store_q4_1(struct block_Q4_1 *b, struct scale_offset s, const uint8_t codes[32])
{
    encode_f16(b->d, s.d);
    encode_f16(b->m, s.m);
    encode_nibbles(codes, b->qs);
}

static void store_q5_1(struct block_Q5_1 *b, struct scale_offset s, const uint8_t codes[32])
{
    encode_f16(b->d, s.d);
    encode_f16(b->m, s.m);
    encode_fifth_bits(codes, b->qh);
    encode_nibbles(codes, b->qs);
}

void encode_Q4_1(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const struct scale_offset s = code_offset(source->values, 15, codes);
    store_q4_1(block, s, codes);
}

void encode_Q4_1_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const struct scale_offset s = code_offset_weighted(source, 15, codes);
    store_q4_1(block, s, codes);
}

void encode_Q5_1(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const struct scale_offset s = code_offset(source->values, 31, codes);
    store_q5_1(block, s, codes);
}

void encode_Q5_1_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const struct scale_offset s = code_offset_weighted(source, 31, codes);
    store_q5_1(block, s, codes);
}

/* ---- 4-bit floats ---------------------------------------------------------------------------- */

/* The codes of the E2M1 values nearest to x / scale, of equally near ones the first. */
static void code_fp4(const float *x, float scale, int count, uint8_t *codes)
{
    for (int i = 0; i < count; i += LANES) {
        const lanes_f32 value = {x[i], x[i + 1], x[i + 2], x[i + 3]};
        lanes_i32 least = (lanes_i32)lanes_all(INFINITY), code = {0};
        for (int k = 0; k < 16; k++) {
            const lanes_f32 error = lanes_abs((float)code_book_fp4[k] * scale - value);
            const lanes_i32 nearer = error < (lanes_f32)least;
            least = lanes_select(nearer, (lanes_i32)error, least);
            code = lanes_select(nearer, (lanes_i32){k, k, k, k}, code);
        }
        for (int lane = 0; lane < LANES; lane++)
            codes[i + lane] = (uint8_t)code[lane];
    }
}

/* The exponent of the largest magnitude, less that of 4: the largest code, 6, stands for up to
 * 1.5 times that power of two, and what lies above is cut. */
static uint8_t e8m0_exponent(float magnitude)
{
    const float exponent = magnitude > 0.0f ? floorf(log2f(magnitude)) - 2.0f + 127.0f : 0.0f;
    return (uint8_t)(exponent > 0.0f ? exponent : 0.0f);
}

void encode_MXFP4(const struct encode_source *source, void *block)
{
    struct block_MXFP4 *b = block;
    uint8_t codes[32];
    b->e = e8m0_exponent(fabsf(search_extreme(source->values, 32)));
    code_fp4(source->values, codec_from_e8m0_half(b->e), 32, codes);
    encode_nibbles(codes, b->qs);
}
