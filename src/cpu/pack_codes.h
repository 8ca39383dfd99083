/* SPDX-License-Identifier: MIT
 * Where the blocks of the file have their codes: for each type `get`, and `put`, which is the way
 * back. Knows neither lines nor fields: cpu/pack.c. */
#ifndef CPU_PACK_CODES_H
#define CPU_PACK_CODES_H

#include <stddef.h>
#include <string.h>

#include "cpu/pack.h"
#include "cpu/pack_grids.h"
#include "format/blocks.h"

/* `get` writes the codes of a block as quads: words of four columns, eight for each 32 columns. It
 * does so for four rows side by side, whose blocks it gets. */
enum { QUADS = PACK_COLUMNS / 4, SIDE = 4 };

static const uint32_t low_halves = 0x0f0f0f0f;

typedef uint32_t quad __attribute__((vector_size(4 * SIDE)));

/* Turns a square of elements, row by row in vectors: each time, rows of the upper half are
 * interleaved with those of the lower. */
static inline void turn_quads(quad row[SIDE])
{
    for (int time = 0; time < 2; time++) {
        const quad a = row[0], b = row[1], c = row[2], d = row[3];
        row[0] = __builtin_shufflevector(a, c, 0, 4, 1, 5);
        row[1] = __builtin_shufflevector(a, c, 2, 6, 3, 7);
        row[2] = __builtin_shufflevector(b, d, 0, 4, 1, 5);
        row[3] = __builtin_shufflevector(b, d, 2, 6, 3, 7);
    }
}

/* Words of the blocks from byte `at` on, `count` of them, a multiple of four. */
static inline void load_words(const uint8_t *const block[SIDE], size_t at, uint32_t count,
                              quad *words)
{
    for (uint32_t i = 0; i < count; i += SIDE, words += SIDE) {
        for (uint32_t row = 0; row < SIDE; row++)
            memcpy(&words[row], block[row] + at + 4 * i, sizeof *words);
        turn_quads(words);
    }
}

static inline quad load_word(const uint8_t *const block[SIDE], size_t at)
{
    return (quad){block_u32(block[0] + at), block_u32(block[1] + at), block_u32(block[2] + at),
                  block_u32(block[3] + at)};
}

/* Columns i and i + 16 share byte i: all types of 32 columns and 4 or 5 bits. */
static inline void get_halves(const uint8_t *const block[SIDE], size_t qs, quad *quads)
{
    quad words[4];
    load_words(block, qs, 4, words);
    for (int i = 0; i < 4; i++) {
        quads[i] = words[i] & low_halves;
        quads[i + 4] = words[i] >> 4 & low_halves;
    }
}

static void put_halves(uint8_t *qs, const uint8_t *codes)
{
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
}

/* The fifth bits of 32 columns, as one number. */
static inline void get_fifth(const uint8_t *const block[SIDE], size_t qh, quad *quads)
{
    const quad bits = load_word(block, qh);
    for (int i = 0; i < QUADS; i++)
        quads[i] |= SPREAD_BITS(bits >> 4 * i & 15) << 4;
}

static void put_fifth(uint8_t *qh, const uint8_t *codes)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(codes[i] >> 4 & 1) << i;
    memcpy(qh, &bits, sizeof bits);
}

/* Columns 64 p + i and 64 p + 32 + i share byte 32 p + i: Q4_K, Q5_K. */
static inline void get_pairs(const uint8_t *const block[SIDE], size_t qs, quad *quads)
{
    for (int p = 0; p < 4; p++, quads += 2 * QUADS) {
        quad words[QUADS];
        load_words(block, qs + 32 * p, QUADS, words);
        for (int i = 0; i < QUADS; i++) {
            quads[i] = words[i] & low_halves;
            quads[QUADS + i] = words[i] >> 4 & low_halves;
        }
    }
}

static void put_pairs(uint8_t *qs, const uint8_t *codes)
{
    for (int i = 0; i < 128; i++)
        qs[i] = (uint8_t)((codes[64 * (i / 32) + i % 32] & 15) | codes[64 * (i / 32) + 32 + i % 32]
                                                                     << 4);
}

/* Columns 128 h + 32 p + i (p 0 to 3) have bits 2 p of byte 32 h + i: the types of 256 columns and
 * 2 bits, and Q3_K its lower ones. */
static inline void get_planes(const uint8_t *const block[SIDE], size_t qs, quad *quads)
{
    for (int half = 0; half < 2; half++) {
        quad words[QUADS];
        load_words(block, qs + 32 * half, QUADS, words);
        for (int i = 0; i < 4 * QUADS; i++)
            *quads++ = words[i % QUADS] >> 2 * (i / QUADS) & 0x03030303;
    }
}

static void put_planes(uint8_t *qs, const uint8_t *codes)
{
    for (int i = 0; i < 256; i++)
        qs[32 * (i / 128) + i % 32] |= (uint8_t)((codes[i] & 3) << 2 * (i / 32 % 4));
}

#define HALVES(id)                                                                                 \
    static inline void get_##id(const uint8_t *const block[SIDE], quad *quads)                     \
    {                                                                                              \
        get_halves(block, offsetof(struct block_##id, qs), quads);                                 \
    }                                                                                              \
    static void put_##id(uint8_t *block, const uint8_t *codes)                                     \
    {                                                                                              \
        put_halves(block + offsetof(struct block_##id, qs), codes);                                \
    }
HALVES(Q4_0)
HALVES(Q4_1)
HALVES(IQ4_NL)
HALVES(MXFP4)

#define HALVES_FIFTH(id)                                                                           \
    static inline void get_##id(const uint8_t *const block[SIDE], quad *quads)                     \
    {                                                                                              \
        get_halves(block, offsetof(struct block_##id, qs), quads);                                 \
        get_fifth(block, offsetof(struct block_##id, qh), quads);                                  \
    }                                                                                              \
    static void put_##id(uint8_t *block, const uint8_t *codes)                                     \
    {                                                                                              \
        put_halves(block + offsetof(struct block_##id, qs), codes);                                \
        put_fifth(block + offsetof(struct block_##id, qh), codes);                                 \
    }
HALVES_FIFTH(Q5_0)
HALVES_FIFTH(Q5_1)

/* Signed: the sign bit is turned, so that codes count from 0. */
static inline void get_Q8_0(const uint8_t *const block[SIDE], quad *quads)
{
    load_words(block, offsetof(struct block_Q8_0, qs), QUADS, quads);
    for (int i = 0; i < QUADS; i++)
        quads[i] ^= 0x80808080;
}

static void put_Q8_0(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 32; i++)
        block[offsetof(struct block_Q8_0, qs) + i] = codes[i] ^ 0x80;
}

static inline void get_Q4_K(const uint8_t *const block[SIDE], quad *quads)
{
    get_pairs(block, offsetof(struct block_Q4_K, qs), quads);
}

static void put_Q4_K(uint8_t *block, const uint8_t *codes)
{
    put_pairs(block + offsetof(struct block_Q4_K, qs), codes);
}

/* Bits of the codes that lie in planes of their own, bit `plane` of byte i for column 32 plane + i,
 * to bit `bit` of each. */
static inline void get_upper(const uint8_t *const block[SIDE], size_t at, int bit, quad *quads)
{
    quad words[QUADS];
    load_words(block, at, QUADS, words);
    for (int i = 0; i < 8 * QUADS; i++)
        quads[i] |= (words[i % QUADS] >> (i / QUADS) & 0x01010101) << bit;
}

static inline void get_Q5_K(const uint8_t *const block[SIDE], quad *quads)
{
    get_pairs(block, offsetof(struct block_Q5_K, qs), quads);
    get_upper(block, offsetof(struct block_Q5_K, qh), 4, quads);
}

static void put_Q5_K(uint8_t *block, const uint8_t *codes)
{
    uint8_t *qh = block + offsetof(struct block_Q5_K, qh);
    put_pairs(block + offsetof(struct block_Q5_K, qs), codes);
    for (int i = 0; i < 256; i++)
        qh[i % 32] |= (uint8_t)((codes[i] >> 4 & 1) << i / 32);
}

/* Of each half of the block, columns 32 p + i (p 0 to 3) have the upper bits 2 p of byte i of 32,
 * and the lower ones in byte 32 (p mod 2) + i, in its high half if p is 2 or 3. */
static inline void get_Q6_K(const uint8_t *const block[SIDE], quad *quads)
{
    for (int half = 0; half < 2; half++) {
        quad low[2 * QUADS], high[QUADS];
        load_words(block, offsetof(struct block_Q6_K, ql) + 64 * half, 2 * QUADS, low);
        load_words(block, offsetof(struct block_Q6_K, qh) + 32 * half, QUADS, high);
        for (int i = 0; i < 4 * QUADS; i++) {
            const int p = i / QUADS;
            *quads++ = (low[i % (2 * QUADS)] >> 4 * (p / 2) & low_halves) |
                       (high[i % QUADS] >> 2 * p & 0x03030303) << 4;
        }
    }
}

static void put_Q6_K(uint8_t *block, const uint8_t *codes)
{
    uint8_t *ql = block + offsetof(struct block_Q6_K, ql);
    uint8_t *qh = block + offsetof(struct block_Q6_K, qh);
    for (int i = 0; i < 256; i++) {
        const int half = i / 128, p = i / 32 % 4, at = i % 32;
        ql[64 * half + 32 * (p % 2) + at] |= (uint8_t)((codes[i] & 15) << 4 * (p / 2));
        qh[32 * half + at] |= (uint8_t)((codes[i] >> 4 & 3) << 2 * p);
    }
}

static inline void get_IQ4_XS(const uint8_t *const block[SIDE], quad *quads)
{
    for (int i = 0; i < 8; i++)
        get_halves(block, offsetof(struct block_IQ4_XS, qs) + 16 * i, quads + QUADS * i);
}

static void put_IQ4_XS(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 8; i++)
        put_halves(block + offsetof(struct block_IQ4_XS, qs) + 16 * i, codes + 32 * i);
}

static inline void get_Q2_K(const uint8_t *const block[SIDE], quad *quads)
{
    get_planes(block, offsetof(struct block_Q2_K, qs), quads);
}

static void put_Q2_K(uint8_t *block, const uint8_t *codes)
{
    put_planes(block + offsetof(struct block_Q2_K, qs), codes);
}

static inline void get_TQ2_0(const uint8_t *const block[SIDE], quad *quads)
{
    get_planes(block, offsetof(struct block_TQ2_0, qs), quads);
}

static void put_TQ2_0(uint8_t *block, const uint8_t *codes)
{
    put_planes(block + offsetof(struct block_TQ2_0, qs), codes);
}

static inline void get_Q3_K(const uint8_t *const block[SIDE], quad *quads)
{
    get_planes(block, offsetof(struct block_Q3_K, qs), quads);
    get_upper(block, offsetof(struct block_Q3_K, hmask), 2, quads);
}

static void put_Q3_K(uint8_t *block, const uint8_t *codes)
{
    uint8_t *hmask = block + offsetof(struct block_Q3_K, hmask);
    put_planes(block + offsetof(struct block_Q3_K, qs), codes);
    for (int i = 0; i < 256; i++)
        hmask[i % 32] |= (uint8_t)((codes[i] >> 2) << i / 32);
}

/* Columns 16 g + i and 16 g + 8 + i share byte 8 g + i. */
static inline void get_NVFP4(const uint8_t *const block[SIDE], quad *quads)
{
    quad words[QUADS];
    load_words(block, offsetof(struct block_NVFP4, qs), QUADS, words);
    for (int i = 0; i < QUADS; i++) {
        quads[4 * (i / 2) + i % 2] = words[i] & low_halves;
        quads[4 * (i / 2) + i % 2 + 2] = words[i] >> 4 & low_halves;
    }
}

static void put_NVFP4(uint8_t *block, const uint8_t *codes)
{
    uint8_t *qs = block + offsetof(struct block_NVFP4, qs);
    for (int i = 0; i < 32; i++)
        qs[i] = (uint8_t)(codes[16 * (i / 8) + i % 8] | codes[16 * (i / 8) + 8 + i % 8] << 4);
}

/* A byte has four columns. */
static inline void get_Q2_0(const uint8_t *const block[SIDE], quad *quads)
{
    quad words[4];
    load_words(block, offsetof(struct block_Q2_0, qs), 4, words);
    for (int i = 0; i < 16; i++) {
        const quad four = words[i / 4] >> 8 * (i % 4) & 0xff;
        const quad two = (four | four << 12) & 0x000f000f;
        quads[i] = (two | two << 6) & 0x03030303;
    }
}

static void put_Q2_0(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 64; i++)
        block[offsetof(struct block_Q2_0, qs) + i / 4] |= (uint8_t)(codes[i] << 2 * (i % 4));
}

/* A byte has eight. */
static inline void get_Q1_0(const uint8_t *const block[SIDE], quad *quads)
{
    quad words[4];
    load_words(block, offsetof(struct block_Q1_0, qs), 4, words);
    for (int i = 0; i < 32; i++)
        quads[i] = SPREAD_BITS(words[i / 8] >> 4 * (i % 8) & 15);
}

static void put_Q1_0(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 128; i++)
        block[offsetof(struct block_Q1_0, qs) + i / 8] |= (uint8_t)(codes[i] << i % 8);
}

#endif
