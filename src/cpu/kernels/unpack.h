/* SPDX-License-Identifier: MIT
 * What makes numbers of the lines and fields of a packed group (cpu/pack.h), type by type. */
#ifndef CPU_KERNELS_UNPACK_H
#define CPU_KERNELS_UNPACK_H

#include "cpu/kernels/kernel.h"
#include "cpu/pack.h"
#include "format/code_books.h"
#include "format/codec.h"

#if defined(LEVEL_ID)

enum { QUADS = 8 };

/* ---- codes ----------------------------------------------------------------------------------- */

/* 32 columns of a group: their lines, and the fields of all blocks of the group. */
struct columns {
    const uint8_t *lines, *fields;
    uint32_t number; /* counts 32 columns */
};

/* The codes of 32 columns of LANES rows, from lane `lane` of the lines on. */
typedef void unpack_fn(const struct columns *at, uint32_t lane, vi quads[QUADS]);

/* Element `at` of the fields, counted in bytes of one row. */
INLINE const uint8_t *field_at(const uint8_t *fields, uint32_t at)
{
    return fields + (uint64_t)at * PACK_ROWS;
}

INLINE vi line_at(const uint8_t *lines, uint32_t line, uint32_t lane)
{
    return vi_load(lines + line * PACK_LINE + 4 * lane);
}

/* Digit `n` in base 3 of each byte, which is a fraction of 256: times 3 for each digit before it,
 * then what is above the point after once more (format/blocks_k.c). */
INLINE vi trits(vi word, uint32_t n)
{
    const vi bytes = vi_set(0x00ff00ff);
    vi even = vi_and(word, bytes), odd = vi_and(vi_shift_right(word, 8), bytes);
    for (uint32_t i = 0; i < n; i++) {
        even = vi_and(vi_add(even, vi_shift_left(even, 1)), bytes);
        odd = vi_and(vi_add(odd, vi_shift_left(odd, 1)), bytes);
    }
    even = vi_shift_right(vi_add(even, vi_shift_left(even, 1)), 8);
    odd = vi_add(odd, vi_shift_left(odd, 1));
    return vi_or(vi_and(even, bytes), vi_and(odd, vi_set((int)0xff00ff00)));
}

/* TQ1_0 has no lines. The first 8 words of its fields have a quad of columns in each of five
 * digits, 32 columns apart; the next 4 likewise, 16 apart; the last one in four digits. */
INLINE void unpack_trits(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const uint8_t *super = field_at(at->fields, 54 * (at->number / 8));
    const uint32_t part = at->number % 8;
    for (uint32_t j = 0; j < QUADS; j++) {
        const bool is_last = part == 7 && j >= 4;
        const uint32_t word = part < 5 ? j : is_last ? 12 : 8 + j % 4;
        const uint32_t digit = part < 5 ? part : is_last ? j - 4 : 2 * (part - 5) + j / 4;
        quads[j] = trits(vi_load(field_at(super, 4 * word) + 4 * lane), digit);
    }
}

/* Left for n from 0 up, right below; a constant where this is compiled. */
INLINE vi shifted(vi x, int n)
{
    return n >= 0 ? vi_shift_left(x, n) : vi_shift_right(x, -n);
}

/* 1 and -1, as 2 and 0 with the zero 1. */
INLINE void unpack_1(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi line = line_at(at->lines, 0, lane);
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] = vi_and(shifted(line, 1 - j), vi_set(0x02020202));
}

INLINE void unpack_2(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi line[] = {line_at(at->lines, 0, lane), line_at(at->lines, 1, lane)};
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] = vi_and(vi_shift_right(line[j / 4], 2 * (j % 4)), vi_set(0x03030303));
}

INLINE void unpack_3(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi high = line_at(at->lines, 2, lane);
    unpack_2(at, lane, quads);
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] = vi_or(quads[j], vi_and(shifted(high, 2 - j), vi_set(0x04040404)));
}

INLINE void unpack_4(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi low = vi_set(0x0f0f0f0f);
    for (uint32_t j = 0; j < 4; j++) {
        const vi line = line_at(at->lines, j, lane);
        quads[j] = vi_and(line, low);
        quads[j + 4] = vi_and(vi_shift_right(line, 4), low);
    }
}

INLINE void unpack_5(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi high = line_at(at->lines, 4, lane);
    unpack_4(at, lane, quads);
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] = vi_or(quads[j], vi_and(shifted(high, 4 - j), vi_set(0x10101010)));
}

INLINE void unpack_6(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi high[] = {line_at(at->lines, 4, lane), line_at(at->lines, 5, lane)};
    unpack_4(at, lane, quads);
    UNROLL
    for (int j = 0; j < QUADS; j++)
        quads[j] =
            vi_or(quads[j], vi_and(shifted(high[j / 4], 4 - 2 * (j % 4)), vi_set(0x30303030)));
}

INLINE void unpack_8(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    for (uint32_t j = 0; j < QUADS; j++)
        quads[j] = vi_xor(line_at(at->lines, j, lane), vi_set(SIGNED_BIAS ? 0 : (int)0x80808080));
}

INLINE void unpack_table(const struct columns *at, uint32_t lane, const int8_t table[16],
                         vi quads[QUADS])
{
    unpack_4(at, lane, quads);
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

INLINE void unpack_nl(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    unpack_table(at, lane, book_nl, quads);
}

INLINE void unpack_mxfp4(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    unpack_table(at, lane, book_mxfp4, quads);
}

/* ---- grids ----------------------------------------------------------------------------------- */

/* What coordinates stand for: those of two bits have the sign in bit 2, of three in bit 3. */
static const int8_t book_iq2[16] = {
    BIASED(8), BIASED(25), BIASED(43), BIASED(0), BIASED(-8), BIASED(-25), BIASED(-43), BIASED(0),
};
static const int8_t book_iq3_xxs[16] = {
    BIASED(4),   BIASED(12),  BIASED(20),  BIASED(28),  BIASED(36),  BIASED(44),
    BIASED(52),  BIASED(62),  BIASED(-4),  BIASED(-12), BIASED(-20), BIASED(-28),
    BIASED(-36), BIASED(-44), BIASED(-52), BIASED(-62),
};
static const int8_t book_iq3_s[16] = {
    BIASED(1),  BIASED(3),   BIASED(5),   BIASED(7),   BIASED(9),  BIASED(11),
    BIASED(13), BIASED(15),  BIASED(-1),  BIASED(-3),  BIASED(-5), BIASED(-7),
    BIASED(-9), BIASED(-11), BIASED(-13), BIASED(-15),
};
/* Eight times -1, 0, 1, and plus or minus 1: the delta is an eighth. */
static const int8_t book_iq1[16] = {
    BIASED(-7), BIASED(1), BIASED(9), BIASED(0), BIASED(-9), BIASED(-1), BIASED(7), BIASED(0),
};

/* Four times 2 bits, or 3, to four bytes; the bits above are 0. */
INLINE vi spread_2(vi x)
{
    const vi pairs = vi_and(vi_or(x, vi_shift_left(x, 12)), vi_set(0x000f000f));
    return vi_and(vi_or(pairs, vi_shift_left(pairs, 6)), vi_set(0x03030303));
}

INLINE vi spread_3(vi x)
{
    const vi pairs = vi_and(vi_or(x, vi_shift_left(x, 10)), vi_set(0x003f003f));
    return vi_and(vi_or(pairs, vi_shift_left(pairs, 5)), vi_set(0x07070707));
}

/* Byte `n` of a word. */
INLINE vi byte_of(vi word, int n)
{
    return vi_and(vi_shift_right(word, 8 * n), vi_set(255));
}

/* Bytes 0 and 2 of a word as the lower halves of 16 bits, or bytes 1 and 3. */
INLINE vi pair_of(vi word, int odd)
{
    return vi_and(vi_shift_right(word, 8 * odd), vi_set(0x00ff00ff));
}

/* Four points of eight coordinates: 0 and 2 are a pair of indices of 16 bits, and 1 and 3. */
INLINE void unpack_eights(const struct code_grid *grid, uint32_t points, const int8_t book[16],
                          const vi pairs[2], vi signs, vi quads[QUADS])
{
    UNROLL
    for (int odd = 0; odd < 2; odd++) {
        const vi codes = vi_lookup_pairs(grid->codes, points, pairs[odd]);
        UNROLL
        for (int n = 0; n < 4; n++) {
            const int j = 2 * odd + 4 * (n / 2) + n % 2;
            const vi sign = vi_and(shifted(signs, 2 - j), vi_set(0x04040404));
            quads[j] = vi_lookup(book, vi_or(spread_2(byte_of(codes, n)), sign));
        }
    }
}

/* Eight points of four: pairs 0 and 1 are those of quads 0 to 3, in the same order. */
INLINE void unpack_fours(const struct code_grid *grid, uint32_t points, const int8_t book[16],
                         const vi pairs[4], vi signs, vi quads[QUADS])
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        const vi codes = vi_lookup_pairs(grid->codes, points, pairs[i]);
        UNROLL
        for (int n = 0; n < 2; n++) {
            const int j = 4 * (i / 2) + i % 2 + 2 * n;
            const vi code = vi_and(vi_shift_right(codes, 16 * n), vi_set(0xffff));
            const vi sign = vi_and(shifted(signs, 3 - j), vi_set(0x08080808));
            quads[j] = vi_lookup(book, vi_or(spread_3(code), sign));
        }
    }
}

/* The eighth signs, which make the number of minus signs even, in place of what is there. Of quad j
 * they are at bit j of byte 3, for odd j. */
INLINE vi even_signs(vi word)
{
    const vi three = vi_xor(vi_xor(word, vi_shift_right(word, 8)), vi_shift_right(word, 16));
    const vi seven = vi_xor(vi_xor(three, vi_shift_right(three, 1)), vi_shift_right(word, 24));
    const vi eighth = vi_shift_left(vi_and(seven, vi_set(0x55)), 25);
    return vi_or(vi_and(word, vi_set(0x55ffffff)), eighth);
}

INLINE void unpack_2xxs(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi low = line_at(at->lines, 0, lane), signs = line_at(at->lines, 1, lane);
    const vi pairs[] = {pair_of(low, 0), pair_of(low, 1)};
    unpack_eights(&code_grid_iq2_xxs, 256, book_iq2, pairs, even_signs(signs), quads);
}

/* Joins what is above the lower 8 bits of the indices of a pair: in `high` those of the first from
 * bit `first` on, of the other from bit `second` on. */
INLINE vi joined(vi low, vi high, int first, int second, int mask)
{
    const vi upper = vi_and(shifted(high, 24 - second), vi_set(mask << 24));
    return vi_or(vi_or(low, vi_and(shifted(high, 8 - first), vi_set(mask << 8))), upper);
}

INLINE void unpack_2xs(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi low = line_at(at->lines, 0, lane), signs = line_at(at->lines, 1, lane);
    const vi pairs[] = {joined(pair_of(low, 0), signs, 25, 29, 1),
                        joined(pair_of(low, 1), signs, 27, 31, 1)};
    unpack_eights(&code_grid_iq2_xs, 512, book_iq2, pairs, even_signs(signs), quads);
}

INLINE void unpack_2s(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const uint8_t *super = field_at(at->fields, 18 * (at->number / 8));
    const vi low = line_at(at->lines, 0, lane), signs = line_at(at->lines, 1, lane);
    const vi high = vi_from_u8(field_at(super, 2 + at->number % 8) + lane);
    const vi pairs[] = {joined(pair_of(low, 0), high, 0, 4, 3),
                        joined(pair_of(low, 1), high, 2, 6, 3)};
    unpack_eights(&code_grid_iq2_s, 1024, book_iq2, pairs, signs, quads);
}

INLINE void unpack_3xxs(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const vi low[] = {line_at(at->lines, 0, lane), line_at(at->lines, 1, lane)};
    const vi signs = line_at(at->lines, 2, lane);
    vi pairs[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        pairs[i] = pair_of(low[i / 2], i % 2);
    unpack_fours(&code_grid_iq3_xxs, 256, book_iq3_xxs, pairs, even_signs(signs), quads);
}

INLINE void unpack_3s(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const uint8_t *super = field_at(at->fields, 14 * (at->number / 8));
    const vi low[] = {line_at(at->lines, 0, lane), line_at(at->lines, 1, lane)};
    const vi high = vi_from_u8(field_at(super, 2 + at->number % 8) + lane);
    vi pairs[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        const int j = 4 * (i / 2) + i % 2;
        pairs[i] = joined(pair_of(low[i / 2], i % 2), high, j, j + 2, 1);
    }
    unpack_fours(&code_grid_iq3_s, 512, book_iq3_s, pairs, line_at(at->lines, 2, lane), quads);
}

/* In place of signs, the sign of the delta: one for 32 columns. */
INLINE void unpack_1s(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const uint8_t *super = field_at(at->fields, 18 * (at->number / 8));
    const vi low = line_at(at->lines, 0, lane);
    const vi high = vi_from_u16(field_at(super, 2 + 2 * (at->number % 8)) + 2 * lane);
    const vi is_plus = vi_add(vi_shift_right(high, 15), vi_set(-1));
    const vi pairs[] = {joined(pair_of(low, 0), high, 0, 6, 7),
                        joined(pair_of(low, 1), high, 3, 9, 7)};
    unpack_eights(&code_grid_iq1, 2048, book_iq1, pairs, vi_xor(is_plus, vi_set(-1)), quads);
}

/* One for 8 columns: bits 3, 7, 11 and 15 go to two quads each. */
INLINE void unpack_1m(const struct columns *at, uint32_t lane, vi quads[QUADS])
{
    const uint8_t *super = field_at(at->fields, 24 * (at->number / 8));
    const vi low = line_at(at->lines, 0, lane);
    const vi high = vi_from_u16(field_at(super, 2 * (at->number % 8)) + 2 * lane);
    const vi pairs[] = {joined(pair_of(low, 0), high, 0, 8, 7),
                        joined(pair_of(low, 1), high, 4, 12, 7)};
    vi signs = vi_set(0);
    UNROLL
    for (int l = 0; l < 4; l++)
        signs = vi_or(signs, vi_and(vi_shift_right(high, 3 + 2 * l), vi_set(1 << 2 * l)));
    signs = vi_or(signs, vi_shift_left(signs, 1));
    signs = vi_or(signs, vi_shift_left(signs, 8));
    signs = vi_or(signs, vi_shift_left(signs, 16));
    unpack_eights(&code_grid_iq1, 2048, book_iq1, pairs, signs, quads);
}

/* ---- scales ---------------------------------------------------------------------------------- */

/* What makes numbers of the codes of 32 columns: scale[0] * code + min[0], in the second half
 * scale[1] and min[1] if the type has halves. */
struct scaling {
    vf scale[2], min[2];
};

typedef void scaling_fn(const struct columns *at, uint32_t lane, struct scaling *scaling);

INLINE vf halves_at(const uint8_t *fields, uint32_t at, uint32_t lane)
{
    return vf_from_f16(field_at(fields, at) + 2 * lane);
}

INLINE void scaling_d(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(at->fields, 2 * at->number, lane);
}

INLINE void scaling_dm(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(at->fields, 4 * at->number, lane);
    scaling->min[0] = halves_at(at->fields, 4 * at->number + 2, lane);
}

INLINE void scaling_e8m0(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *exponents = field_at(at->fields, at->number) + lane;
    float scale[LANES];
    for (int i = 0; i < LANES; i++)
        scale[i] = codec_from_e8m0_half(exponents[i]);
    scaling->scale[0] = vf_load(scale);
}

/* d, dmin, and 12 bytes of 6-bit scales and mins: see format/blocks_k.c. */
INLINE void scaling_k(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 16 * (at->number / 8));
    const uint32_t j = at->number % 8;
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
    scaling->min[0] = vf_sub(vf_set(0.0f), vf_mul(halves_at(super, 2, lane), vf_from_vi(min)));
}

/* d and a signed scale for each 16 columns. */
INLINE void scaling_6k(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 18 * (at->number / 8));
    const vf d = halves_at(super, 0, lane);
    for (uint32_t half = 0; half < 2; half++) {
        const uint8_t *scales = field_at(super, 2 + 2 * (at->number % 8) + half) + lane;
        scaling->scale[half] = vf_mul(d, vf_from_vi(vi_from_i8(scales)));
    }
}

/* d, the upper two bits of 8 scales, their lower nibbles: see format/blocks_iq.c. */
INLINE void scaling_xs(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 8 * (at->number / 8));
    const int j = (int)(at->number % 8);
    const vi nibbles = vi_from_u8(field_at(super, 4 + (uint32_t)j / 2) + lane);
    const vi upper = vi_from_u16(field_at(super, 2) + 2 * lane);
    const vi low = vi_and(vi_shift_right(nibbles, 4 * (j % 2)), vi_set(15));
    const vi high = vi_shift_left(vi_and(vi_shift_right(upper, 2 * j), vi_set(3)), 4);
    const vi scale = vi_add(vi_or(low, high), vi_set(-32));
    scaling->scale[0] = vf_mul(halves_at(super, 0, lane), vf_from_vi(scale));
}

/* d, dmin, and for each 16 columns a byte: the lower half is the scale, the upper one the min. */
INLINE void scaling_2k(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 20 * (at->number / 8));
    const vf d = halves_at(super, 0, lane), dmin = halves_at(super, 2, lane);
    for (uint32_t half = 0; half < 2; half++) {
        const vi both = vi_from_u8(field_at(super, 4 + 2 * (at->number % 8) + half) + lane);
        const vf min = vf_mul(dmin, vf_from_vi(vi_shift_right(both, 4)));
        scaling->scale[half] = vf_mul(d, vf_from_vi(vi_and(both, vi_set(15))));
        scaling->min[half] = vf_sub(vf_set(0.0f), min);
    }
}

/* d, the lower nibbles of 16 scales, the upper two bits of them: see format/blocks_k.c. */
INLINE void scaling_3k(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 14 * (at->number / 8));
    const vf d = halves_at(super, 0, lane);
    for (uint32_t half = 0; half < 2; half++) {
        const uint32_t j = 2 * (at->number % 8) + half;
        const vi nibbles = vi_from_u8(field_at(super, 2 + j % 8) + lane);
        const vi upper = vi_from_u8(field_at(super, 10 + j % 4) + lane);
        const vi low = vi_and(vi_shift_right(nibbles, 4 * (int)(j / 8)), vi_set(15));
        const vi high = vi_and(vi_shift_right(upper, 2 * (int)(j / 4)), vi_set(3));
        const vi scale = vi_add(vi_or(low, vi_shift_left(high, 4)), vi_set(-32));
        scaling->scale[half] = vf_mul(d, vf_from_vi(scale));
    }
}

INLINE void scaling_trits(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(at->fields, 54 * (at->number / 8) + 52, lane);
}

/* d for blocks of 256, 128 and 64. */
INLINE void scaling_d256(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(at->fields, 2 * (at->number / 8), lane);
}

INLINE void scaling_d128(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(at->fields, 2 * (at->number / 4), lane);
}

INLINE void scaling_d64(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling->scale[0] = halves_at(at->fields, 2 * (at->number / 2), lane);
}

/* A scale of 8 bits for each 16 columns. */
INLINE void scaling_ue4m3(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    for (uint32_t half = 0; half < 2; half++) {
        const uint8_t *bits = field_at(at->fields, 2 * at->number + half) + lane;
        float scale[LANES];
        for (int i = 0; i < LANES; i++)
            scale[i] = codec_from_ue4m3_half(bits[i]);
        scaling->scale[half] = vf_load(scale);
    }
}

/* offset + factor * whole, times d. */
INLINE vf scaled(vf d, vi whole, float factor, float offset)
{
    return vf_mul(d, vf_fma(vf_from_vi(whole), vf_set(factor), vf_set(offset)));
}

/* The four bits that are in the places of the eighth signs. */
INLINE vi nibble_of(vi signs)
{
    const vi apart = vi_and(vi_shift_right(signs, 25), vi_set(0x55));
    const vi pairs = vi_and(vi_or(apart, vi_shift_right(apart, 1)), vi_set(0x33));
    return vi_and(vi_or(pairs, vi_shift_right(pairs, 2)), vi_set(15));
}

INLINE void scaling_2xxs(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const vf d = halves_at(at->fields, 2 * (at->number / 8), lane);
    scaling->scale[0] = scaled(d, nibble_of(line_at(at->lines, 1, lane)), 0.25f, 0.125f);
}

INLINE void scaling_3xxs(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const vf d = halves_at(at->fields, 2 * (at->number / 8), lane);
    scaling->scale[0] = scaled(d, nibble_of(line_at(at->lines, 2, lane)), 0.5f, 0.25f);
}

/* d, then other fields, and from byte `from` on a nibble for each 16 columns. */
INLINE void scaling_nibbles(const struct columns *at, uint32_t lane, uint32_t bytes, uint32_t from,
                            struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, bytes * (at->number / 8));
    const vf d = halves_at(super, 0, lane);
    const vi both = vi_from_u8(field_at(super, from + at->number % 8) + lane);
    scaling->scale[0] = scaled(d, vi_and(both, vi_set(15)), 0.25f, 0.125f);
    scaling->scale[1] = scaled(d, vi_shift_right(both, 4), 0.25f, 0.125f);
}

INLINE void scaling_2xs(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling_nibbles(at, lane, 10, 2, scaling);
}

INLINE void scaling_2s(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    scaling_nibbles(at, lane, 18, 10, scaling);
}

/* d, upper bits of indices, a nibble for each 32 columns. */
INLINE void scaling_3s(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 14 * (at->number / 8));
    const uint32_t j = at->number % 8;
    const vi both = vi_from_u8(field_at(super, 10 + j / 2) + lane);
    const vi nibble = vi_and(vi_shift_right(both, 4 * (int)(j % 2)), vi_set(15));
    scaling->scale[0] = scaled(halves_at(super, 0, lane), nibble, 2.0f, 1.0f);
}

/* d, and for each 32 columns 16 bits with the scale above the upper bits of indices. */
INLINE void scaling_1s(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *super = field_at(at->fields, 18 * (at->number / 8));
    const vi high = vi_from_u16(field_at(super, 2 + 2 * (at->number % 8)) + 2 * lane);
    const vi scale = vi_and(vi_shift_right(high, 12), vi_set(7));
    scaling->scale[0] = scaled(halves_at(super, 0, lane), scale, 0.25f, 0.125f);
}

/* Upper bits of indices, and four times 16 bits: the upper four of each make d, the others are
 * scales of 16 columns. */
INLINE void scaling_1m(const struct columns *at, uint32_t lane, struct scaling *scaling)
{
    const uint8_t *words = field_at(at->fields, 24 * (at->number / 8) + 16);
    const uint32_t j = at->number % 8;
    const vi own = vi_from_u16(field_at(words, 2 * (j / 2)) + 2 * lane);
    uint16_t bits[LANES];
    for (uint32_t i = 0; i < LANES; i++) {
        uint32_t d = 0;
        for (uint32_t w = 0; w < 4; w++)
            d |= (field_at(words, 2 * w)[2 * (lane + i) + 1] >> 4u) << 4 * w;
        bits[i] = (uint16_t)d;
    }
    for (uint32_t half = 0; half < 2; half++) {
        const vi scale = vi_and(vi_shift_right(own, (int)(6 * (j % 2) + 3 * half)), vi_set(7));
        scaling->scale[half] = scaled(vf_from_f16(bits), scale, 0.25f, 0.125f);
    }
}

/* ---- types ----------------------------------------------------------------------------------- */

/* How a type multiplies. */
struct unpacking {
    unpack_fn *unpack;
    scaling_fn *scaling;
    uint32_t code_bytes; /* of 32 columns */
    int32_t zero;        /* the code that stands for 0 */
    bool is_signed;      /* products of vi_dot_signed */
    bool has_min;
    bool has_halves; /* a scale, and a min, for each 16 columns */
    uint32_t run; /* quads whose products with 8 bits can be summed in 16 bits; 0: not even one */
};

#define SIGNED .zero = SIGNED_BIAS, .is_signed = true
/* Each packed type of codes: how it multiplies. */
#define UNPACKINGS(UNPACKING)                                                                      \
    UNPACKING(Q4_0, unpack_4, scaling_d, 4 * PACK_LINE, .zero = 8, .run = 8)                       \
    UNPACKING(Q4_1, unpack_4, scaling_dm, 4 * PACK_LINE, .has_min = true, .run = 8)                \
    UNPACKING(Q5_0, unpack_5, scaling_d, 5 * PACK_LINE, .zero = 16, .run = 4)                      \
    UNPACKING(Q5_1, unpack_5, scaling_dm, 5 * PACK_LINE, .has_min = true, .run = 4)                \
    UNPACKING(Q8_0, unpack_8, scaling_d, 8 * PACK_LINE, SIGNED)                                    \
    UNPACKING(Q2_K, unpack_2, scaling_2k, 2 * PACK_LINE, .has_min = true, .has_halves = true,      \
              .run = 4)                                                                            \
    UNPACKING(Q3_K, unpack_3, scaling_3k, 3 * PACK_LINE, .zero = 4, .has_halves = true, .run = 2)  \
    UNPACKING(Q4_K, unpack_4, scaling_k, 4 * PACK_LINE, .has_min = true, .run = 8)                 \
    UNPACKING(Q5_K, unpack_5, scaling_k, 5 * PACK_LINE, .has_min = true, .run = 4)                 \
    UNPACKING(Q6_K, unpack_6, scaling_6k, 6 * PACK_LINE, .zero = 32, .has_halves = true, .run = 2) \
    UNPACKING(IQ4_NL, unpack_nl, scaling_d, 4 * PACK_LINE, SIGNED)                                 \
    UNPACKING(IQ4_XS, unpack_nl, scaling_xs, 4 * PACK_LINE, SIGNED)                                \
    UNPACKING(IQ3_S, unpack_3s, scaling_3s, 3 * PACK_LINE, SIGNED)                                 \
    UNPACKING(IQ3_XXS, unpack_3xxs, scaling_3xxs, 3 * PACK_LINE, SIGNED)                           \
    UNPACKING(IQ2_S, unpack_2s, scaling_2s, 2 * PACK_LINE, SIGNED, .has_halves = true)             \
    UNPACKING(IQ2_XS, unpack_2xs, scaling_2xs, 2 * PACK_LINE, SIGNED, .has_halves = true)          \
    UNPACKING(IQ2_XXS, unpack_2xxs, scaling_2xxs, 2 * PACK_LINE, SIGNED)                           \
    UNPACKING(IQ1_M, unpack_1m, scaling_1m, 1 * PACK_LINE, SIGNED, .has_halves = true)             \
    UNPACKING(IQ1_S, unpack_1s, scaling_1s, 1 * PACK_LINE, SIGNED)                                 \
    UNPACKING(MXFP4, unpack_mxfp4, scaling_e8m0, 4 * PACK_LINE, SIGNED)                            \
    UNPACKING(NVFP4, unpack_mxfp4, scaling_ue4m3, 4 * PACK_LINE, SIGNED, .has_halves = true)       \
    UNPACKING(Q1_0, unpack_1, scaling_d128, 1 * PACK_LINE, .zero = 1, .run = 8)                    \
    UNPACKING(Q2_0, unpack_2, scaling_d64, 2 * PACK_LINE, .zero = 1, .run = 8)                     \
    UNPACKING(TQ2_0, unpack_2, scaling_d256, 2 * PACK_LINE, .zero = 1, .run = 8)                   \
    UNPACKING(TQ1_0, unpack_trits, scaling_trits, 0, .zero = 1, .run = 8)

#endif
#endif
