/* SPDX-License-Identifier: MIT
 * Encoders of MXFP4 and NVFP4: numbers of 4 bits (E2M1) under a scale of 8 bits, which follows from
 * the largest magnitude alone. Formulas: gguf.md 2.10.1; every operation rounds once, in the order
 * written. */
#include "quant/encode_blocks.h"

#include "format/code_books.h"
#include "quant/encode_lanes.h"
#include "quant/encode_search.h"

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
    b->e = e8m0_exponent(fabsf(block_extreme(source->values, 32)));
    code_fp4(source->values, codec_from_e8m0_half(b->e), 32, codes);
    block_put_nibbles(codes, b->qs);
}

/* The largest magnitude of 16 becomes about 6, the largest code. */
void encode_NVFP4(const struct encode_source *source, void *block)
{
    struct block_NVFP4 *b = block;
    for (int group = 0; group < 4; group++) {
        const float *x = source->values + 16 * group;
        uint8_t codes[16];
        b->d[group] = codec_to_ue4m3(fabsf(block_extreme(x, 16)) / 6.0f);
        code_fp4(x, codec_from_ue4m3_half(b->d[group]), 16, codes);
        for (int j = 0; j < 8; j++)
            b->qs[8 * group + j] = (uint8_t)(codes[j] | codes[j + 8] << 4);
    }
}
