/* SPDX-License-Identifier: MIT
 * Encoders that look at the extremes of a block and then round each value once. Knows no search.
 * Formulas: gguf.md 2.10.1; every operation rounds once, in the order written. */
#include "quant/encode_blocks.h"

#include <math.h>

static void store_f16(uint8_t *field, float value)
{
    const uint16_t bits = codec_to_f16(value);
    memcpy(field, &bits, sizeof bits);
}

/* 1 / d; 0 for a block so small that this is no number: its codes become those of zeros. */
static float inverse(float d)
{
    const float id = d != 0.0f ? 1.0f / d : 0.0f;
    return isfinite(id) ? id : 0.0f;
}

/* The value of the first largest magnitude, with its sign. */
static float extreme(const float *values, int count)
{
    float max = 0.0f, magnitude = 0.0f;
    for (int i = 0; i < count; i++) {
        if (magnitude < fabsf(values[i])) {
            magnitude = fabsf(values[i]);
            max = values[i];
        }
    }
    return max;
}

/* Truncated to 0..max. */
static int truncate_code(float value, int max)
{
    if (!(value > 0.0f))
        return 0;
    return value < (float)max ? (int)value : max;
}

void encode_Q4_0(const struct encode_source *source, void *block)
{
    struct block_Q4_0 *b = block;
    const float *x = source->values;
    const float d = extreme(x, 32) / -8.0f;
    const float id = inverse(d);
    store_f16(b->d, d);
    for (int j = 0; j < 16; j++) {
        const int low = truncate_code(x[j] * id + 8.5f, 15);
        const int high = truncate_code(x[j + 16] * id + 8.5f, 15);
        b->qs[j] = (uint8_t)(low | high << 4);
    }
}

void encode_Q8_0(const struct encode_source *source, void *block)
{
    struct block_Q8_0 *b = block;
    const float *x = source->values;
    const float d = fabsf(extreme(x, 32)) / 127.0f;
    const float id = inverse(d);
    store_f16(b->d, d);
    for (int i = 0; i < 32; i++)
        b->qs[i] = (int8_t)roundf(x[i] * id);
}
