/* SPDX-License-Identifier: MIT
 * What makes numbers of the lines and fields of a packed group (cpu/pack.h), type by type. */
#ifndef CPU_KERNELS_UNPACK_H
#define CPU_KERNELS_UNPACK_H

#include "cpu/kernels/kernel.h"
#include "cpu/pack.h"
#include "format/codec.h"

#if defined(LEVEL_ID)

enum { QUADS = 8 };

/* ---- codes ----------------------------------------------------------------------------------- */

/* The codes of 32 columns of LANES rows, from lane `lane` of the lines on. */
typedef void unpack_fn(const uint8_t *lines, uint32_t lane, vi quads[QUADS]);

INLINE vi line_at(const uint8_t *lines, uint32_t line, uint32_t lane)
{
    return vi_load(lines + line * PACK_LINE + 4 * lane);
}

INLINE void unpack_4(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    const vi low = vi_set(0x0f0f0f0f);
    for (uint32_t j = 0; j < 4; j++) {
        const vi line = line_at(lines, j, lane);
        quads[j] = vi_and(line, low);
        quads[j + 4] = vi_and(vi_shift_right(line, 4), low);
    }
}

/* Left for n from 0 up, right below; a constant where this is compiled. */
INLINE vi shifted(vi x, int n)
{
    return n >= 0 ? vi_shift_left(x, n) : vi_shift_right(x, -n);
}

INLINE void unpack_5(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    const vi high = line_at(lines, 4, lane);
    unpack_4(lines, lane, quads);
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] = vi_or(quads[j], vi_and(shifted(high, 4 - j), vi_set(0x10101010)));
}

INLINE void unpack_6(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    const vi high[] = {line_at(lines, 4, lane), line_at(lines, 5, lane)};
    unpack_4(lines, lane, quads);
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] =
            vi_or(quads[j], vi_and(shifted(high[j / 4], 4 - 2 * (j % 4)), vi_set(0x30303030)));
}

INLINE void unpack_8(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    for (uint32_t j = 0; j < QUADS; j++)
        quads[j] = vi_xor(line_at(lines, j, lane), vi_set(SIGNED_BIAS ? 0 : (int)0x80808080));
}

INLINE void unpack_table(const uint8_t *lines, uint32_t lane, const int8_t table[16],
                         vi quads[QUADS])
{
    unpack_4(lines, lane, quads);
    for (uint32_t j = 0; j < QUADS; j++)
        quads[j] = vi_lookup(table, quads[j]);
}

#define BIASED(value) (int8_t)(uint8_t)((value) + SIGNED_BIAS)

/* The code book of IQ4_NL and IQ4_XS (format/code_books.h). */
static const int8_t book_nl[16] = {
    BIASED(-127), BIASED(-104), BIASED(-83), BIASED(-65), BIASED(-49), BIASED(-35),
    BIASED(-22),  BIASED(-10),  BIASED(1),   BIASED(13),  BIASED(25),  BIASED(38),
    BIASED(53),   BIASED(69),   BIASED(89),  BIASED(113),
};

/* E2M1, doubled. */
static const int8_t book_mxfp4[16] = {
    BIASED(0), BIASED(1),  BIASED(2),  BIASED(3),  BIASED(4),  BIASED(6),  BIASED(8),  BIASED(12),
    BIASED(0), BIASED(-1), BIASED(-2), BIASED(-3), BIASED(-4), BIASED(-6), BIASED(-8), BIASED(-12),
};

INLINE void unpack_nl(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    unpack_table(lines, lane, book_nl, quads);
}

INLINE void unpack_mxfp4(const uint8_t *lines, uint32_t lane, vi quads[QUADS])
{
    unpack_table(lines, lane, book_mxfp4, quads);
}

/* ---- scales ---------------------------------------------------------------------------------- */

/* What makes numbers of the codes of 32 columns: scale[0] * code + min, or in the second half
 * scale[1] * code. */
struct scaling {
    vf scale[2], min;
};

/* `block` counts 32 columns. */
typedef void scaling_fn(const uint8_t *fields, uint32_t block, uint32_t lane,
                        struct scaling *scaling);

/* Element `at` of the fields, counted in bytes of one row. */
INLINE const uint8_t *field_at(const uint8_t *fields, uint32_t at)
{
    return fields + (uint64_t)at * PACK_ROWS;
}

INLINE vf halves_at(const uint8_t *fields, uint32_t at, uint32_t lane)
{
    return vf_from_f16(field_at(fields, at) + 2 * lane);
}

INLINE void scaling_d(const uint8_t *fields, uint32_t block, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(fields, 2 * block, lane);
}

INLINE void scaling_dm(const uint8_t *fields, uint32_t block, uint32_t lane,
                       struct scaling *scaling)
{
    scaling->scale[0] = halves_at(fields, 4 * block, lane);
    scaling->min = halves_at(fields, 4 * block + 2, lane);
}

INLINE void scaling_e8m0(const uint8_t *fields, uint32_t block, uint32_t lane,
                         struct scaling *scaling)
{
    const uint8_t *exponents = field_at(fields, block) + lane;
    float scale[LANES];
    for (int i = 0; i < LANES; i++)
        scale[i] = codec_from_e8m0_half(exponents[i]);
    scaling->scale[0] = vf_load(scale);
}

/* d, dmin, and 12 bytes of 6-bit scales and mins: see format/blocks_k.c. */
INLINE void scaling_k(const uint8_t *fields, uint32_t block, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(fields, 16 * (block / 8));
    const uint32_t j = block % 8;
    const vi own = vi_from_u8(field_at(super, 4 + j) + lane);
    vi scale, min;
    if (j < 4) {
        scale = vi_and(own, vi_set(63));
        min = vi_and(vi_from_u8(field_at(super, 8 + j) + lane), vi_set(63));
    } else {
        const vi low = vi_from_u8(field_at(super, 8 + j) + lane);
        const vi top = vi_from_u8(field_at(super, j) + lane);
        scale = vi_or(vi_and(low, vi_set(15)), vi_shift_left(vi_shift_right(top, 6), 4));
        min = vi_or(vi_shift_right(low, 4), vi_shift_left(vi_shift_right(own, 6), 4));
    }
    scaling->scale[0] = vf_mul(halves_at(super, 0, lane), vf_from_vi(scale));
    scaling->min = vf_sub(vf_set(0.0f), vf_mul(halves_at(super, 2, lane), vf_from_vi(min)));
}

/* d and a signed scale for each 16 columns. */
INLINE void scaling_6k(const uint8_t *fields, uint32_t block, uint32_t lane,
                       struct scaling *scaling)
{
    const uint8_t *super = field_at(fields, 18 * (block / 8));
    const vf d = halves_at(super, 0, lane);
    for (uint32_t half = 0; half < 2; half++) {
        const uint8_t *scales = field_at(super, 2 + 2 * (block % 8) + half) + lane;
        scaling->scale[half] = vf_mul(d, vf_from_vi(vi_from_i8(scales)));
    }
}

/* d, the upper two bits of 8 scales, their lower nibbles: see format/blocks_iq.c. */
INLINE void scaling_xs(const uint8_t *fields, uint32_t block, uint32_t lane,
                       struct scaling *scaling)
{
    const uint8_t *super = field_at(fields, 8 * (block / 8));
    const int j = (int)(block % 8);
    const vi nibbles = vi_from_u8(field_at(super, 4 + (uint32_t)j / 2) + lane);
    const vi upper = vi_from_u16(field_at(super, 2) + 2 * lane);
    const vi low = vi_and(vi_shift_right(nibbles, 4 * (j % 2)), vi_set(15));
    const vi high = vi_shift_left(vi_and(vi_shift_right(upper, 2 * j), vi_set(3)), 4);
    const vi scale = vi_add(vi_or(low, high), vi_set(-32));
    scaling->scale[0] = vf_mul(halves_at(super, 0, lane), vf_from_vi(scale));
}

/* ---- types ----------------------------------------------------------------------------------- */

/* How a type multiplies. */
struct recipe {
    unpack_fn *unpack;
    scaling_fn *scaling;
    uint32_t code_bytes; /* of 32 columns */
    int32_t zero;        /* the code that stands for 0 */
    bool is_signed;      /* products of vi_dot_signed */
    bool has_min;
    bool has_halves; /* a scale for each 16 columns */
};

/* Each packed type of codes: how it multiplies. */
#define RECIPES(RECIPE)                                                                            \
    RECIPE(Q4_0, unpack_4, scaling_d, 4 * PACK_LINE, .zero = 8)                                    \
    RECIPE(Q4_1, unpack_4, scaling_dm, 4 * PACK_LINE, .has_min = true)                             \
    RECIPE(Q5_0, unpack_5, scaling_d, 5 * PACK_LINE, .zero = 16)                                   \
    RECIPE(Q5_1, unpack_5, scaling_dm, 5 * PACK_LINE, .has_min = true)                             \
    RECIPE(Q8_0, unpack_8, scaling_d, 8 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)       \
    RECIPE(Q4_K, unpack_4, scaling_k, 4 * PACK_LINE, .has_min = true)                              \
    RECIPE(Q5_K, unpack_5, scaling_k, 5 * PACK_LINE, .has_min = true)                              \
    RECIPE(Q6_K, unpack_6, scaling_6k, 6 * PACK_LINE, .zero = 32, .has_halves = true)              \
    RECIPE(IQ4_NL, unpack_nl, scaling_d, 4 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)    \
    RECIPE(IQ4_XS, unpack_nl, scaling_xs, 4 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)   \
    RECIPE(MXFP4, unpack_mxfp4, scaling_e8m0, 4 * PACK_LINE, .zero = SIGNED_BIAS, .is_signed = true)

#endif
#endif
