/* SPDX-License-Identifier: MIT
 * Encoders of the small blocks: the extremes of the block give the scale, and each value is rounded
 * once; or, with importance, a search gives both. Formulas: gguf.md 2.10.1 and 2.10.3; every
 * operation rounds once, in the order written. */
#include "quant/encode_blocks.h"

#include "quant/encode_search.h"

/* ---- one scale ------------------------------------------------------------------------------- */

static float code_symmetric_weighted(const struct encode_source *source, int limit,
                                     uint8_t codes[32])
{
    float w[32];
    search_weights(source->values, source->importance, source->row_mean_square, 32, w);
    return search_symmetric(limit, source->values, w, 32, codes);
}

static void store_q4_0(struct block_Q4_0 *b, float d, const uint8_t codes[32])
{
    block_put_f16(b->d, d);
    block_put_nibbles(codes, b->qs);
}

static void store_q5_0(struct block_Q5_0 *b, float d, const uint8_t codes[32])
{
    block_put_f16(b->d, d);
    block_put_fifth_bits(codes, b->qh);
    block_put_nibbles(codes, b->qs);
}

void encode_Q4_0(const struct encode_source *source, void *block)
{
    block_encode_Q4_0(source->values, block);
}

void encode_Q4_0_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const float d = code_symmetric_weighted(source, 8, codes);
    store_q4_0(block, d, codes);
}

void encode_Q5_0(const struct encode_source *source, void *block)
{
    block_encode_Q5_0(source->values, block);
}

void encode_Q5_0_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const float d = code_symmetric_weighted(source, 16, codes);
    store_q5_0(block, d, codes);
}

void encode_Q8_0(const struct encode_source *source, void *block)
{
    block_encode_Q8_0(source->values, block);
}

/* ---- scale and offset ------------------------------------------------------------------------ */

/* Codes 0 to limit for d * code + m. */
struct scale_offset {
    float d, m;
};

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
    block_put_f16(b->d, s.d);
    block_put_f16(b->m, s.m);
    block_put_nibbles(codes, b->qs);
}

static void store_q5_1(struct block_Q5_1 *b, struct scale_offset s, const uint8_t codes[32])
{
    block_put_f16(b->d, s.d);
    block_put_f16(b->m, s.m);
    block_put_fifth_bits(codes, b->qh);
    block_put_nibbles(codes, b->qs);
}

void encode_Q4_1(const struct encode_source *source, void *block)
{
    block_encode_Q4_1(source->values, block);
}

void encode_Q4_1_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const struct scale_offset s = code_offset_weighted(source, 15, codes);
    store_q4_1(block, s, codes);
}

void encode_Q5_1(const struct encode_source *source, void *block)
{
    block_encode_Q5_1(source->values, block);
}

void encode_Q5_1_weighted(const struct encode_source *source, void *block)
{
    uint8_t codes[32];
    const struct scale_offset s = code_offset_weighted(source, 31, codes);
    store_q5_1(block, s, codes);
}
