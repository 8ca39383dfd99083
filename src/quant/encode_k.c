/* SPDX-License-Identifier: MIT
 * Encoders of the K-quants: blocks of 256 whose groups of 16 or 32 have scales, and some mins, that
 * are codes themselves. Formulas: gguf.md 2.10.4; every operation rounds once, in the order
 * written.
 *
 * All go the same way: a search gives each group its scale, the scales are rounded to multiples of
 * the scale of the block, and then the values are rounded again with the scales as stored. */
#include "quant/encode_blocks.h"

#include "quant/encode_search.h"

enum { BLOCK = 256, GROUPS_MAX = 16 };

static void store_bits(uint8_t *field, uint16_t bits)
{
    memcpy(field, &bits, sizeof bits);
}

static float sum(const float *x, int count)
{
    float total = 0.0f;
    for (int i = 0; i < count; i++)
        total += x[i];
    return total;
}

/* ---- scales and mins: Q2_K, Q4_K, Q5_K ------------------------------------------------------- */

struct min_format {
    int group;       /* elements of a group */
    int limit;       /* the largest code of an element */
    int scale_limit; /* the largest code of a scale or min */
    bool average;    /* without importance: the root mean square of a group is added to |x| */
    float energy;    /* with importance: factor of the mean square of the block in the weights */
    struct search_offset plain, weighted;
};

static const struct min_format format_q2_k = {
    .group = 16,
    .limit = 3,
    .scale_limit = 15,
    .average = false,
    .energy = 1.0f,
    .plain = {.limit = 3, .first = -0.5f, .step = 0.1f, .trials = 16, .absolute = true},
    .weighted = {.limit = 3, .first = -0.9f, .step = 0.05f, .trials = 37},
};

static const struct min_format format_q4_k = {
    .group = 32,
    .limit = 15,
    .scale_limit = 63,
    .average = true,
    .energy = 2.0f,
    .plain = {.limit = 15, .first = -1.0f, .step = 0.1f, .trials = 21},
    .weighted = {.limit = 15, .first = -0.9f, .step = 0.05f, .trials = 37},
};

static const struct min_format format_q5_k = {
    .group = 32,
    .limit = 31,
    .scale_limit = 63,
    .average = true,
    .energy = 2.0f,
    .plain = {.limit = 31, .first = -0.5f, .step = 0.1f, .trials = 16},
    .weighted = {.limit = 31, .first = -0.9f, .step = 0.05f, .trials = 37},
};

/* A block on its way: what the searches found, then what will be stored. */
struct min_block {
    float scales[GROUPS_MAX], mins[GROUPS_MAX];
    float weights[GROUPS_MAX]; /* of the groups: sums of those of the elements */
    uint16_t d, dmin;          /* F16 */
    uint8_t scale_codes[GROUPS_MAX], min_codes[GROUPS_MAX];
    uint8_t codes[BLOCK];
};

static void plain_weights(const struct min_format *format, const float *x, float *w)
{
    const int n = format->group;
    const float average = format->average ? sqrtf(search_energy(x, n) / (float)n) : 0.0f;
    for (int i = 0; i < n; i++)
        w[i] = average + fabsf(x[i]);
}

static void fit_groups(const struct min_format *format, const struct encode_source *source,
                       struct min_block *b)
{
    const bool weighted = source->importance != NULL;
    const struct search_offset *search = weighted ? &format->weighted : &format->plain;
    const float mean = format->energy * search_energy(source->values, BLOCK) / (float)BLOCK;
    for (int g = 0; g < BLOCK / format->group; g++) {
        const int first = g * format->group;
        const float *x = source->values + first;
        float w[32];
        if (weighted)
            search_weights(x, source->importance + first, mean, format->group, w);
        else
            plain_weights(format, x, w);
        const struct search_scale_min found =
            search_scale_min(search, x, w, format->group, b->codes + first);
        b->scales[g] = found.scale;
        b->mins[g] = found.min;
        b->weights[g] = sum(w, format->group);
    }
}

/* The largest scale gets the largest code. Returns the scale of the scales as F16. */
static uint16_t code_scales(const float *scales, int count, int limit, uint8_t *codes)
{
    float max = 0.0f;
    for (int g = 0; g < count; g++)
        max = scales[g] > max ? scales[g] : max;
    const float inverse = max > 0.0f ? (float)limit / max : 0.0f;
    for (int g = 0; g < count; g++)
        codes[g] = (uint8_t)search_clamp(search_round(inverse * scales[g]), 0, limit);
    return codec_to_f16(max / (float)limit);
}

static uint16_t code_scales_weighted(const float *scales, const float *weights, int count,
                                     int limit, uint8_t *codes)
{
    return codec_to_f16(search_positive(limit, scales, weights, count, codes));
}

/* Codes of the elements of group g for the scale and min as stored. A scale of 0 leaves those that
 * the search found. */
static void code_again(const struct min_format *format, const float *x, int g, struct min_block *b)
{
    const float scale = codec_from_f16(b->d) * (float)b->scale_codes[g];
    const float min = codec_from_f16(b->dmin) * (float)b->min_codes[g];
    if (scale == 0.0f)
        return;
    for (int i = g * format->group; i < (g + 1) * format->group; i++) {
        const int code = search_round((x[i] + min) / scale);
        b->codes[i] = (uint8_t)search_clamp(code, 0, format->limit);
    }
}

static void encode_min_block(const struct min_format *format, const struct encode_source *source,
                             struct min_block *b)
{
    const int groups = BLOCK / format->group;
    const int limit = format->scale_limit;
    fit_groups(format, source, b);
    if (source->importance != NULL) {
        b->d = code_scales_weighted(b->scales, b->weights, groups, limit, b->scale_codes);
        b->dmin = code_scales_weighted(b->mins, b->weights, groups, limit, b->min_codes);
    } else {
        b->d = code_scales(b->scales, groups, limit, b->scale_codes);
        b->dmin = code_scales(b->mins, groups, limit, b->min_codes);
    }
    for (int g = 0; g < groups; g++)
        code_again(format, source->values, g, b);
}

void encode_Q2_K(const struct encode_source *source, void *block)
{
    struct block_Q2_K *out = block;
    struct min_block b;
    encode_min_block(&format_q2_k, source, &b);
    store_bits(out->d, b.d);
    store_bits(out->dmin, b.dmin);
    for (int g = 0; g < 16; g++)
        out->scales[g] = (uint8_t)(b.scale_codes[g] | b.min_codes[g] << 4);
    encode_planes(b.codes, out->qs);
}

/* Eight scales and eight mins of 6 bits: the first four have bytes of their own, whose two top bits
 * take those of the last four. */
static void store_scales_6bit(const struct min_block *b, uint8_t p[12])
{
    const uint8_t *scale = b->scale_codes, *min = b->min_codes;
    for (int j = 0; j < 4; j++) {
        p[j] = (uint8_t)(scale[j] | scale[j + 4] >> 4 << 6);
        p[j + 4] = (uint8_t)(min[j] | min[j + 4] >> 4 << 6);
        p[j + 8] = (uint8_t)((scale[j + 4] & 15) | (min[j + 4] & 15) << 4);
    }
}

/* The lower four bits of 256 codes: of each 64 elements, the first half in the low nibbles. */
static void store_nibbles(const uint8_t codes[BLOCK], uint8_t qs[128])
{
    for (int j = 0; j < 128; j++) {
        const uint8_t *c = codes + 64 * (j / 32) + j % 32;
        qs[j] = (uint8_t)((c[0] & 15) | (c[32] & 15) << 4);
    }
}

void encode_Q4_K(const struct encode_source *source, void *block)
{
    struct block_Q4_K *out = block;
    struct min_block b;
    encode_min_block(&format_q4_k, source, &b);
    store_bits(out->d, b.d);
    store_bits(out->dmin, b.dmin);
    store_scales_6bit(&b, out->scales);
    store_nibbles(b.codes, out->qs);
}

void encode_Q5_K(const struct encode_source *source, void *block)
{
    struct block_Q5_K *out = block;
    struct min_block b;
    encode_min_block(&format_q5_k, source, &b);
    store_bits(out->d, b.d);
    store_bits(out->dmin, b.dmin);
    store_scales_6bit(&b, out->scales);
    store_nibbles(b.codes, out->qs);
    memset(out->qh, 0, sizeof out->qh);
    for (int i = 0; i < BLOCK; i++)
        out->qh[i % 32] |= (uint8_t)((b.codes[i] >> 4) << i / 32);
}

/* ---- scales with a sign: Q3_K, Q6_K ---------------------------------------------------------- */

/* Codes of a group of 16 for the scale as stored; a scale of 0 leaves those of the search. */
static void code_again_symmetric(const float *x, float scale, int limit, uint8_t codes[16])
{
    if (scale == 0.0f)
        return;
    for (int i = 0; i < 16; i++) {
        const int code = search_clamp(search_round(x[i] / scale), -limit, limit - 1);
        codes[i] = (uint8_t)(code + limit);
    }
}

/* Codes 0 to 63 for d * (code - 32); the largest magnitude gets code 0. Returns d as F16. */
static uint16_t code_scales_q3(const float scales[16], uint8_t codes[16])
{
    const float extreme = block_extreme(scales, 16);
    memset(codes, 0, 16);
    if (extreme == 0.0f)
        return 0;
    const float inverse = -32.0f / extreme;
    for (int g = 0; g < 16; g++)
        codes[g] = (uint8_t)(search_clamp(search_round(inverse * scales[g]), -32, 31) + 32);
    return codec_to_f16(1.0f / inverse);
}

static uint16_t fit_q3_k(const float *x, uint8_t scale_codes[16], uint8_t codes[BLOCK])
{
    float scales[16];
    for (int g = 0; g < 16; g++)
        scales[g] = search_symmetric_by_code(x + 16 * g, codes + 16 * g);
    return code_scales_q3(scales, scale_codes);
}

static uint16_t fit_q3_k_weighted(const struct encode_source *source, uint8_t scale_codes[16],
                                  uint8_t codes[BLOCK])
{
    const float mean = 2.0f * search_energy(source->values, BLOCK) / (float)BLOCK;
    float scales[16], weights[16];
    for (int g = 0; g < 16; g++) {
        const float *x = source->values + 16 * g;
        float w[16];
        search_weights(x, source->importance + 16 * g, mean, 16, w);
        scales[g] = search_symmetric(4, x, w, 16, codes + 16 * g);
        weights[g] = sum(w, 16);
    }
    return codec_to_f16(search_symmetric(32, scales, weights, 16, scale_codes));
}

/* Sixteen scales of 6 bits: low nibbles first, then the upper two bits. */
static void store_scales_q3(const uint8_t codes[16], uint8_t scales[12])
{
    for (int j = 0; j < 8; j++)
        scales[j] = (uint8_t)((codes[j] & 15) | (codes[j + 8] & 15) << 4);
    for (int j = 0; j < 4; j++)
        scales[8 + j] = (uint8_t)(codes[j] >> 4 | codes[j + 4] >> 4 << 2 | codes[j + 8] >> 4 << 4 |
                                  codes[j + 12] >> 4 << 6);
}

void encode_Q3_K(const struct encode_source *source, void *block)
{
    struct block_Q3_K *out = block;
    uint8_t codes[BLOCK], scale_codes[16];
    const uint16_t d = source->importance != NULL ? fit_q3_k_weighted(source, scale_codes, codes)
                                                  : fit_q3_k(source->values, scale_codes, codes);
    for (int g = 0; g < 16; g++) {
        const float scale = codec_from_f16(d) * (float)(scale_codes[g] - 32);
        code_again_symmetric(source->values + 16 * g, scale, 4, codes + 16 * g);
    }
    store_bits(out->d, d);
    store_scales_q3(scale_codes, out->scales);
    encode_planes(codes, out->qs);
    memset(out->hmask, 0, sizeof out->hmask);
    for (int i = 0; i < BLOCK; i++)
        out->hmask[i % 32] |= (uint8_t)((codes[i] >> 2) << i / 32);
}

/* Without importance the weights are x^2; with it, they are the importance alone. */
static void fit_q6_k(const struct encode_source *source, float scales[16], uint8_t codes[BLOCK])
{
    for (int g = 0; g < 16; g++) {
        const float *x = source->values + 16 * g;
        float squares[16];
        for (int i = 0; i < 16; i++)
            squares[i] = x[i] * x[i];
        const float *w = source->importance != NULL ? source->importance + 16 * g : squares;
        scales[g] = search_symmetric(32, x, w, 16, codes + 16 * g);
    }
}

/* The inverse of the layout in blocks_k.c. */
static void store_codes_q6(const uint8_t codes[BLOCK], struct block_Q6_K *out)
{
    for (int j = 0; j < 128; j++) {
        const uint8_t *c = codes + 128 * (j / 64) + j % 64;
        out->ql[j] = (uint8_t)((c[0] & 15) | (c[64] & 15) << 4);
    }
    uint8_t high[BLOCK];
    for (int i = 0; i < BLOCK; i++)
        high[i] = codes[i] >> 4;
    encode_planes(high, out->qh);
}

void encode_Q6_K(const struct encode_source *source, void *block)
{
    struct block_Q6_K *out = block;
    uint8_t codes[BLOCK];
    float scales[16];
    fit_q6_k(source, scales, codes);
    const float extreme = block_extreme(scales, 16);
    memset(out, 0, sizeof *out);
    if (fabsf(extreme) < SEARCH_TINY)
        return;
    const float inverse = -128.0f / extreme;
    block_put_f16(out->d, 1.0f / inverse);
    for (int g = 0; g < 16; g++) {
        const int code = search_clamp(search_round(inverse * scales[g]), -128, 127);
        out->scales[g] = (int8_t)code;
        code_again_symmetric(source->values + 16 * g, block_f16(out->d) * (float)code, 32,
                             codes + 16 * g);
    }
    store_codes_q6(codes, out);
}
