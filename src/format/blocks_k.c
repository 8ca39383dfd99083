/* SPDX-License-Identifier: MIT
 * Decoders of the blocks of 256 with linear codes: the K-quants, whose groups of 16 or 32 have
 * scales of their own, and the ternary types. Knows no other family. Formulas: gguf.md 2.4 and 2.7;
 * every product and sum rounds once, in the order written.
 *
 * Codes of 2 bits lie as four planes of 32 elements to a half block: element i has bits
 * 2 * (i % 128 / 32) of byte 32 * (i / 128) + i % 32. In groups of 16, as most loops here count
 * them, that is byte plane_byte(group) + l and bits plane_shift(group). */
#include "format/blocks.h"

static int plane_byte(int group)
{
    return 32 * (group / 8) + 16 * (group % 2);
}

static int plane_shift(int group)
{
    return 2 * (group % 8 / 2);
}

void block_decode_Q2_K(const void *block, float *restrict out)
{
    const struct block_Q2_K *b = block;
    const float d = block_f16(b->d);
    const float dmin = block_f16(b->dmin);
    for (int group = 0; group < 16; group++) {
        const float scale = d * (float)(b->scales[group] & 15);
        const float min = dmin * (float)(b->scales[group] >> 4);
        const uint8_t *qs = b->qs + plane_byte(group);
        const int shift = plane_shift(group);
        for (int l = 0; l < 16; l++)
            out[16 * group + l] = scale * (float)(qs[l] >> shift & 3) - min;
    }
}

/* Scale of group j (0 to 15) of Q3_K, -32 to 31: low nibbles first, then the upper two bits. */
static int scale_6bit_signed(const uint8_t scales[12], int j)
{
    const int low = scales[j % 8] >> 4 * (j / 8) & 15;
    const int high = scales[8 + j % 4] >> 2 * (j / 4) & 3;
    return (low | high << 4) - 32;
}

void block_decode_Q3_K(const void *block, float *restrict out)
{
    const struct block_Q3_K *b = block;
    const float d = block_f16(b->d);
    for (int group = 0; group < 16; group++) {
        const float scale = d * (float)scale_6bit_signed(b->scales, group);
        const uint8_t *qs = b->qs + plane_byte(group);
        const uint8_t *hmask = b->hmask + 16 * (group % 2);
        const int shift = plane_shift(group);
        for (int l = 0; l < 16; l++) {
            const int code = (qs[l] >> shift & 3) | (hmask[l] >> group / 2 & 1) << 2;
            out[16 * group + l] = scale * (float)(code - 4);
        }
    }
}

struct scale_min {
    float scale, min;
};

/* Scale and min of group j (0 to 7) of Q4_K and Q5_K: 6 bits each. The first four have bytes of
 * their own, whose two top bits belong to the last four. */
static struct scale_min scale_min_6bit(const uint8_t p[12], int j, float d, float dmin)
{
    int scale, min;
    if (j < 4) {
        scale = p[j] & 63;
        min = p[j + 4] & 63;
    } else {
        scale = (p[j + 4] & 15) | p[j - 4] >> 6 << 4;
        min = p[j + 4] >> 4 | p[j] >> 6 << 4;
    }
    return (struct scale_min){.scale = d * (float)scale, .min = dmin * (float)min};
}

void block_decode_Q4_K(const void *block, float *restrict out)
{
    const struct block_Q4_K *b = block;
    const float d = block_f16(b->d);
    const float dmin = block_f16(b->dmin);
    for (int pair = 0; pair < 4; pair++) {
        const struct scale_min low = scale_min_6bit(b->scales, 2 * pair, d, dmin);
        const struct scale_min high = scale_min_6bit(b->scales, 2 * pair + 1, d, dmin);
        const uint8_t *qs = b->qs + 32 * pair;
        for (int l = 0; l < 32; l++) {
            out[64 * pair + l] = low.scale * (float)(qs[l] & 15) - low.min;
            out[64 * pair + l + 32] = high.scale * (float)(qs[l] >> 4) - high.min;
        }
    }
}

void block_decode_Q5_K(const void *block, float *restrict out)
{
    const struct block_Q5_K *b = block;
    const float d = block_f16(b->d);
    const float dmin = block_f16(b->dmin);
    for (int group = 0; group < 8; group++) {
        const struct scale_min s = scale_min_6bit(b->scales, group, d, dmin);
        const uint8_t *qs = b->qs + 32 * (group / 2);
        const int shift = 4 * (group % 2);
        for (int l = 0; l < 32; l++) {
            const int code = (qs[l] >> shift & 15) | (b->qh[l] >> group & 1) << 4;
            out[32 * group + l] = s.scale * (float)code - s.min;
        }
    }
}

/* The upper two bits lie as planes. Of each 64 bytes ql, the low nibbles are the planes 0 and 1 of
 * a half block, and the high nibbles the planes 2 and 3. */
void block_decode_Q6_K(const void *block, float *restrict out)
{
    const struct block_Q6_K *b = block;
    const float d = block_f16(b->d);
    for (int group = 0; group < 16; group++) {
        const float scale = d * (float)b->scales[group];
        const uint8_t *ql = b->ql + 64 * (group / 8) + 16 * (group % 4);
        const uint8_t *qh = b->qh + plane_byte(group);
        const int shift_low = 4 * (group % 8 / 4);
        const int shift_high = plane_shift(group);
        for (int l = 0; l < 16; l++) {
            const int code = (ql[l] >> shift_low & 15) | (qh[l] >> shift_high & 3) << 4;
            out[16 * group + l] = scale * (float)(code - 32);
        }
    }
}

void block_decode_Q8_K(const void *block, float *restrict out)
{
    const struct block_Q8_K *b = block;
    const float d = codec_bits_float(block_u32(b->d));
    for (int i = 0; i < 256; i++)
        out[i] = d * (float)b->qs[i];
}

/* The n-th base-3 digit of each of `count` bytes, less 1, times d. A byte is a fraction of 256 in
 * base 3: times 3^n moves digit n up to the point, times 3 again reads it off. */
static void decode_trits(const uint8_t *bytes, int count, int n, float d, float *restrict out)
{
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    for (int m = 0; m < count; m++) {
        const uint8_t fraction = (uint8_t)(bytes[m] * powers[n]);
        out[m] = (float)((fraction * 3 >> 8) - 1) * d;
    }
}

void block_decode_TQ1_0(const void *block, float *restrict out)
{
    const struct block_TQ1_0 *b = block;
    const float d = block_f16(b->d);
    for (int n = 0; n < 5; n++)
        decode_trits(b->qs, 32, n, d, out + 32 * n);
    for (int n = 0; n < 5; n++)
        decode_trits(b->qs + 32, 16, n, d, out + 160 + 16 * n);
    for (int n = 0; n < 4; n++)
        decode_trits(b->qh, 4, n, d, out + 240 + 4 * n);
}

void block_decode_TQ2_0(const void *block, float *restrict out)
{
    const struct block_TQ2_0 *b = block;
    const float d = block_f16(b->d);
    for (int group = 0; group < 16; group++) {
        const uint8_t *qs = b->qs + plane_byte(group);
        const int shift = plane_shift(group);
        for (int l = 0; l < 16; l++)
            out[16 * group + l] = (float)((qs[l] >> shift & 3) - 1) * d;
    }
}
