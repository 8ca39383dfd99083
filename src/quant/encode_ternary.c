/* SPDX-License-Identifier: MIT
 * Encoders of the types whose codes are -1, 0 and 1 or signs alone. Made for weights that were
 * trained so: the scale is the largest or the mean magnitude, and nothing is searched. Formulas:
 * gguf.md 2.10.1; every operation rounds once, in the order written. */
#include "quant/encode_blocks.h"

#include "quant/encode_search.h"

/* Codes 0 to 2 for d * (code - 1). Returns d, the largest magnitude. */
static float code_ternary(const float *x, int count, uint8_t *codes)
{
    const float d = fabsf(block_extreme(x, count));
    const float id = block_inverse(d);
    for (int i = 0; i < count; i++)
        codes[i] = (uint8_t)(block_round_away(x[i] * id) + 1);
    return d;
}

/* Bytes of `digits` codes that lie `count` elements apart, as digits of a fraction in base 3: five
 * of them make a number below 243, which is scaled to 256 and rounded up, so that multiplications
 * by 3 carry the digits out at the top (decode_trits in blocks_k.c). */
static void store_trits(const uint8_t *codes, int count, int digits, uint8_t *bytes)
{
    for (int m = 0; m < count; m++) {
        unsigned value = 0;
        for (int n = 0; n < 5; n++)
            value = 3 * value + (n < digits ? codes[n * count + m] : 0u);
        bytes[m] = (uint8_t)((256 * value + 242) / 243);
    }
}

void encode_TQ1_0(const struct encode_source *source, void *block)
{
    struct block_TQ1_0 *b = block;
    uint8_t codes[256];
    block_put_f16(b->d, code_ternary(source->values, 256, codes));
    store_trits(codes, 32, 5, b->qs);
    store_trits(codes + 160, 16, 5, b->qs + 32);
    store_trits(codes + 240, 4, 4, b->qh);
}

void encode_TQ2_0(const struct encode_source *source, void *block)
{
    struct block_TQ2_0 *b = block;
    uint8_t codes[256];
    block_put_f16(b->d, code_ternary(source->values, 256, codes));
    encode_planes(codes, b->qs);
}

void encode_Q2_0(const struct encode_source *source, void *block)
{
    struct block_Q2_0 *b = block;
    uint8_t codes[64];
    block_put_f16(b->d, code_ternary(source->values, 64, codes));
    for (int j = 0; j < 16; j++) {
        const uint8_t *c = codes + 4 * j;
        b->qs[j] = (uint8_t)(c[0] | c[1] << 2 | c[2] << 4 | c[3] << 6);
    }
}

void encode_Q1_0(const struct encode_source *source, void *block)
{
    struct block_Q1_0 *b = block;
    const float *x = source->values;
    float sum = 0.0f;
    for (int i = 0; i < 128; i++)
        sum += fabsf(x[i]);
    block_put_f16(b->d, sum / 128.0f);
    memset(b->qs, 0, sizeof b->qs);
    for (int i = 0; i < 128; i++)
        b->qs[i / 8] |= (uint8_t)((x[i] >= 0.0f) << i % 8);
}
