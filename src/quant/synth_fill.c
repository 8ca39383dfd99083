/* SPDX-License-Identifier: MIT
 * Random values for made-up tensors, the same bytes on every machine: integers, and floating-point
 * arithmetic that IEEE 754 defines to the last bit (no libm). Knows no model. */
#include "quant/synth.h"

#include <endian.h>
#include <string.h>

#include "base/rng.h"
#include "format/codec.h"

/* ---- blocks ---------------------------------------------------------------------------------- */

/* Random bytes, eight at a time; the last word of a block is cut. */
static void fill_bytes(uint64_t key, uint64_t first_word, uint32_t bytes, uint8_t *out)
{
    uint32_t done = 0;
    for (; done + 8 <= bytes; done += 8) {
        const uint64_t word = htole64(rng_at(key, first_word++));
        memcpy(out + done, &word, 8);
    }
    if (done < bytes) {
        const uint64_t word = htole64(rng_at(key, first_word));
        memcpy(out + done, &word, bytes - done);
    }
}

static void store_f16(uint8_t *out, uint16_t bits)
{
    out[0] = (uint8_t)bits;
    out[1] = (uint8_t)(bits >> 8);
}

static void fill_blocks(const struct synth_tensor *tensor, uint64_t key, uint64_t first,
                        uint64_t count, uint8_t *out)
{
    const struct synth_type *type = tensor->type;
    const uint32_t bytes = dtype_info(type->dtype)->block_bytes;
    const uint64_t words = (bytes + 7) / 8;
    const float scale_mean = (float)(tensor->values[1] / type->divisor);
    for (uint64_t i = 0; i < count; i++, out += bytes) {
        fill_bytes(key, (first + i) * words, bytes, out);
        /* The random bits where the scale goes choose it. */
        uint8_t *at = out + type->scale_at;
        const float u = (float)(at[0] | at[1] << 8) * 0x1p-16f;
        const uint16_t scale = codec_to_f16(scale_mean * (0.75f + 0.5f * u));
        store_f16(at, scale);
        if (type->offset_at >= 0)
            store_f16(out + type->offset_at,
                      codec_to_f16(type->offset_factor * codec_from_f16(scale)));
    }
}

/* ---- floats ---------------------------------------------------------------------------------- */

/* A number of mean 0 and deviation 1, normal to within an excess kurtosis of -0.03: the ones among
 * 64 random bits, which are binomial with variance 16, smoothed by the sum of two uniform numbers,
 * a triangle of variance 1/6. At most 8.2 away from 0. */
static double draw_normal(uint64_t key, uint64_t i)
{
    const double deviation = 4.020779360604494 * 0x1p32; /* sqrt(16 + 1/6), in units of 2^-32 */
    const uint64_t smooth = rng_at(key, 2 * i + 1);
    const int64_t ones = __builtin_popcountll(rng_at(key, 2 * i)) - 32;
    const int64_t triangle =
        (int64_t)(smooth >> 32) + (int64_t)(smooth & UINT32_MAX) - (int64_t)UINT32_MAX;
    return (double)(ones * ((int64_t)1 << 32) + triangle) / deviation;
}

static float draw(const struct synth_tensor *tensor, uint64_t key, uint64_t i)
{
    const double a = tensor->values[0], b = tensor->values[1];
    if (tensor->uniform)
        return (float)(a + (b - a) * (double)(rng_at(key, i) >> 11) * 0x1p-53);
    return (float)(a + b * draw_normal(key, i));
}

static void fill_floats(const struct synth_tensor *tensor, uint64_t key, uint64_t first,
                        uint64_t count, uint8_t *out)
{
    enum { PART = 256 };
    const enum dtype dtype = tensor->type->dtype;
    while (count > 0) {
        const uint64_t part = count < PART ? count : PART;
        float values[PART];
        for (uint64_t i = 0; i < part; i++)
            values[i] = draw(tensor, key, first + i);
        codec_encode_floats(dtype, values, out, part);
        out += part * dtype_info(dtype)->block_bytes;
        first += part;
        count -= part;
    }
}

void synth_fill(const struct synth_tensor *tensor, uint64_t key, uint64_t first, uint64_t count,
                uint8_t *out)
{
    if (tensor->type->scale_at < 0)
        fill_floats(tensor, key, first, count, out);
    else
        fill_blocks(tensor, key, first, count, out);
}
