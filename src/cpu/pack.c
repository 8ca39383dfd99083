/* SPDX-License-Identifier: MIT
 * Between the blocks of the file and groups of 16 rows. For each type: where its fields are, and
 * how its codes are read and written; the rest is the same for all. */
#include "cpu/pack.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "cpu/pack_grids.h"
#include "format/blocks.h"

enum { BLOCK_MAX = 256, FIELDS_MAX = 3, WORDS_MAX = 8 * BLOCK_MAX / PACK_COLUMNS };

/* Elements of a block that are no codes. */
struct field {
    uint8_t offset, count, bytes;
};

/* Packs the codes of blocks of one row of the file; `to` is where the row has its place in the
 * first line. Loading a model is a good part this, so it goes by words of four columns. */
typedef void codes_pack_fn(const uint8_t *from, uint32_t blocks, uint8_t *to);
/* Writes the codes of a block into it; finds all their bits 0. */
typedef void codes_put_fn(uint8_t *block, const uint8_t *codes);
/* The same of types whose lines have no codes of columns: the words of the row in the lines. */
typedef void words_put_fn(uint8_t *block, const uint32_t *words);

struct packing {
    uint8_t lines; /* for 32 columns; of codes as many as a code has bits. 0: all are fields */
    struct field fields[FIELDS_MAX];
    codes_pack_fn *pack; /* NULL: the type is not packed as codes */
    codes_put_fn *put;   /* one of the two */
    words_put_fn *put_words;
};

/* ---- codes of blocks ------------------------------------------------------------------------- */

/* `get` writes the codes of a block as quads: words of four columns, eight for each 32 columns. */
enum { QUADS = PACK_COLUMNS / 4 };

static const uint32_t low_halves = 0x0f0f0f0f;

/* Columns i and i + 16 share byte i: all types of 32 columns and 4 or 5 bits. */
static inline void get_halves(const uint8_t *qs, uint32_t *quads)
{
    for (int i = 0; i < 4; i++) {
        const uint32_t word = block_u32(qs + 4 * i);
        quads[i] = word & low_halves;
        quads[i + 4] = word >> 4 & low_halves;
    }
}

static void put_halves(uint8_t *qs, const uint8_t *codes)
{
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((codes[i] & 15) | codes[i + 16] << 4);
}

/* The fifth bits of 32 columns, as one number. */
static inline void get_fifth(const uint8_t *qh, uint32_t *quads)
{
    const uint32_t bits = block_u32(qh);
    for (int i = 0; i < QUADS; i++)
        quads[i] |= spread_bits(bits >> 4 * i & 15) << 4;
}

static void put_fifth(uint8_t *qh, const uint8_t *codes)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(codes[i] >> 4 & 1) << i;
    memcpy(qh, &bits, sizeof bits);
}

/* Columns 64 p + i and 64 p + 32 + i share byte 32 p + i: Q4_K, Q5_K. */
static inline void get_pairs(const uint8_t *qs, uint32_t *quads)
{
    for (int p = 0; p < 4; p++) {
        for (int i = 0; i < QUADS; i++) {
            const uint32_t word = block_u32(qs + 32 * p + 4 * i);
            quads[2 * QUADS * p + i] = word & low_halves;
            quads[2 * QUADS * p + QUADS + i] = word >> 4 & low_halves;
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
static inline void get_planes(const uint8_t *qs, uint32_t *quads)
{
    for (int plane = 0; plane < 8; plane++) {
        for (int i = 0; i < QUADS; i++)
            quads[QUADS * plane + i] =
                block_u32(qs + 32 * (plane / 4) + 4 * i) >> 2 * (plane % 4) & 0x03030303;
    }
}

static void put_planes(uint8_t *qs, const uint8_t *codes)
{
    for (int i = 0; i < 256; i++)
        qs[32 * (i / 128) + i % 32] |= (uint8_t)((codes[i] & 3) << 2 * (i / 32 % 4));
}

#define HALVES(id)                                                                                 \
    static inline void get_##id(const uint8_t *block, uint32_t *quads)                             \
    {                                                                                              \
        get_halves(block + offsetof(struct block_##id, qs), quads);                                \
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
    static inline void get_##id(const uint8_t *block, uint32_t *quads)                             \
    {                                                                                              \
        get_halves(block + offsetof(struct block_##id, qs), quads);                                \
        get_fifth(block + offsetof(struct block_##id, qh), quads);                                 \
    }                                                                                              \
    static void put_##id(uint8_t *block, const uint8_t *codes)                                     \
    {                                                                                              \
        put_halves(block + offsetof(struct block_##id, qs), codes);                                \
        put_fifth(block + offsetof(struct block_##id, qh), codes);                                 \
    }
HALVES_FIFTH(Q5_0)
HALVES_FIFTH(Q5_1)

/* Signed: the sign bit is turned, so that codes count from 0. */
static inline void get_Q8_0(const uint8_t *block, uint32_t *quads)
{
    for (int i = 0; i < QUADS; i++)
        quads[i] = block_u32(block + offsetof(struct block_Q8_0, qs) + 4 * i) ^ 0x80808080;
}

static void put_Q8_0(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 32; i++)
        block[offsetof(struct block_Q8_0, qs) + i] = codes[i] ^ 0x80;
}

static inline void get_Q4_K(const uint8_t *block, uint32_t *quads)
{
    get_pairs(block + offsetof(struct block_Q4_K, qs), quads);
}

static void put_Q4_K(uint8_t *block, const uint8_t *codes)
{
    put_pairs(block + offsetof(struct block_Q4_K, qs), codes);
}

static inline void get_Q5_K(const uint8_t *block, uint32_t *quads)
{
    const uint8_t *qh = block + offsetof(struct block_Q5_K, qh);
    get_pairs(block + offsetof(struct block_Q5_K, qs), quads);
    for (int plane = 0; plane < 8; plane++) {
        for (int i = 0; i < QUADS; i++)
            quads[QUADS * plane + i] |= (block_u32(qh + 4 * i) >> plane & 0x01010101) << 4;
    }
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
static inline void get_Q6_K(const uint8_t *block, uint32_t *quads)
{
    const uint8_t *ql = block + offsetof(struct block_Q6_K, ql);
    const uint8_t *qh = block + offsetof(struct block_Q6_K, qh);
    for (int plane = 0; plane < 8; plane++) {
        const int half = plane / 4, p = plane % 4;
        for (int i = 0; i < QUADS; i++) {
            const uint32_t low = block_u32(ql + 64 * half + 32 * (p % 2) + 4 * i) >> 4 * (p / 2);
            const uint32_t high = block_u32(qh + 32 * half + 4 * i) >> 2 * p;
            quads[QUADS * plane + i] = (low & low_halves) | (high & 0x03030303) << 4;
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

static inline void get_IQ4_XS(const uint8_t *block, uint32_t *quads)
{
    for (int i = 0; i < 8; i++)
        get_halves(block + offsetof(struct block_IQ4_XS, qs) + 16 * i, quads + QUADS * i);
}

static void put_IQ4_XS(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 8; i++)
        put_halves(block + offsetof(struct block_IQ4_XS, qs) + 16 * i, codes + 32 * i);
}

static inline void get_Q2_K(const uint8_t *block, uint32_t *quads)
{
    get_planes(block + offsetof(struct block_Q2_K, qs), quads);
}

static void put_Q2_K(uint8_t *block, const uint8_t *codes)
{
    put_planes(block + offsetof(struct block_Q2_K, qs), codes);
}

static inline void get_TQ2_0(const uint8_t *block, uint32_t *quads)
{
    get_planes(block + offsetof(struct block_TQ2_0, qs), quads);
}

static void put_TQ2_0(uint8_t *block, const uint8_t *codes)
{
    put_planes(block + offsetof(struct block_TQ2_0, qs), codes);
}

static inline void get_Q3_K(const uint8_t *block, uint32_t *quads)
{
    const uint8_t *hmask = block + offsetof(struct block_Q3_K, hmask);
    get_planes(block + offsetof(struct block_Q3_K, qs), quads);
    for (int plane = 0; plane < 8; plane++) {
        for (int i = 0; i < QUADS; i++)
            quads[QUADS * plane + i] |= (block_u32(hmask + 4 * i) >> plane & 0x01010101) << 2;
    }
}

static void put_Q3_K(uint8_t *block, const uint8_t *codes)
{
    uint8_t *hmask = block + offsetof(struct block_Q3_K, hmask);
    put_planes(block + offsetof(struct block_Q3_K, qs), codes);
    for (int i = 0; i < 256; i++)
        hmask[i % 32] |= (uint8_t)((codes[i] >> 2) << i / 32);
}

/* Columns 16 g + i and 16 g + 8 + i share byte 8 g + i. */
static inline void get_NVFP4(const uint8_t *block, uint32_t *quads)
{
    const uint8_t *qs = block + offsetof(struct block_NVFP4, qs);
    for (int i = 0; i < 8; i++) {
        const uint32_t word = block_u32(qs + 4 * i);
        quads[4 * (i / 2) + i % 2] = word & low_halves;
        quads[4 * (i / 2) + i % 2 + 2] = word >> 4 & low_halves;
    }
}

static void put_NVFP4(uint8_t *block, const uint8_t *codes)
{
    uint8_t *qs = block + offsetof(struct block_NVFP4, qs);
    for (int i = 0; i < 32; i++)
        qs[i] = (uint8_t)(codes[16 * (i / 8) + i % 8] | codes[16 * (i / 8) + 8 + i % 8] << 4);
}

/* A byte has four columns. */
static inline void get_Q2_0(const uint8_t *block, uint32_t *quads)
{
    const uint8_t *qs = block + offsetof(struct block_Q2_0, qs);
    for (int i = 0; i < 16; i++) {
        const uint32_t two = (qs[i] | (uint32_t)qs[i] << 12) & 0x000f000f;
        quads[i] = (two | two << 6) & 0x03030303;
    }
}

static void put_Q2_0(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 64; i++)
        block[offsetof(struct block_Q2_0, qs) + i / 4] |= (uint8_t)(codes[i] << 2 * (i % 4));
}

/* A byte has eight. */
static inline void get_Q1_0(const uint8_t *block, uint32_t *quads)
{
    const uint8_t *qs = block + offsetof(struct block_Q1_0, qs);
    for (int i = 0; i < 32; i++)
        quads[i] = spread_bits(qs[i / 2] >> 4 * (i % 2) & 15);
}

static void put_Q1_0(uint8_t *block, const uint8_t *codes)
{
    for (int i = 0; i < 128; i++)
        block[offsetof(struct block_Q1_0, qs) + i / 8] |= (uint8_t)(codes[i] << i % 8);
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* The codes of 32 columns of one row. */
static inline void pack_quads(uint32_t bits, const uint32_t *quads, uint8_t *to)
{
    uint32_t line[8] = {0};
    for (uint32_t j = 0; j < QUADS; j++) {
        if (bits == 8) {
            line[j] = quads[j];
            continue;
        }
        if (bits < 4) {
            if (bits > 1)
                line[j / 4] |= (quads[j] & 0x03030303) << 2 * (j % 4);
            if (bits != 2)
                line[bits - 1] |= (quads[j] >> (bits - 1) & 0x01010101) << j;
            continue;
        }
        line[j % 4] |= (quads[j] & low_halves) << 4 * (j / 4);
        if (bits == 5)
            line[4] |= (quads[j] >> 4 & 0x01010101) << j;
        if (bits == 6)
            line[4 + j / 4] |= (quads[j] >> 4 & 0x03030303) << 2 * (j % 4);
    }
    for (uint32_t j = 0; j < bits; j++)
        memcpy(to + j * PACK_LINE, &line[j], 4);
}

/* The codes of blocks of `columns`; a function of its own for each type, so that what is the same
 * for all of its blocks is decided by the compiler. */
#define PACK_CODES(id, bits, columns)                                                              \
    static void pack_##id(const uint8_t *from, uint32_t blocks, uint8_t *to)                       \
    {                                                                                              \
        for (uint32_t b = 0; b < blocks; b++) {                                                    \
            uint32_t quads[(columns) / 4];                                                         \
            get_##id(from + b * sizeof(struct block_##id), quads);                                 \
            for (uint32_t i = 0; i < (columns) / 4; i += QUADS) {                                  \
                pack_quads(bits, quads + i, to);                                                   \
                to += (bits)*PACK_LINE;                                                            \
            }                                                                                      \
        }                                                                                          \
    }
PACK_CODES(Q4_0, 4, 32)
PACK_CODES(Q4_1, 4, 32)
PACK_CODES(IQ4_NL, 4, 32)
PACK_CODES(MXFP4, 4, 32)
PACK_CODES(Q5_0, 5, 32)
PACK_CODES(Q5_1, 5, 32)
PACK_CODES(Q8_0, 8, 32)
PACK_CODES(Q4_K, 4, 256)
PACK_CODES(Q5_K, 5, 256)
PACK_CODES(Q6_K, 6, 256)
PACK_CODES(IQ4_XS, 4, 256)
PACK_CODES(Q1_0, 1, 128)
PACK_CODES(Q2_0, 2, 64)
PACK_CODES(Q2_K, 2, 256)
PACK_CODES(TQ2_0, 2, 256)
PACK_CODES(Q3_K, 3, 256)
PACK_CODES(NVFP4, 4, 64)

#define PACK_WORDS(id, bits)                                                                       \
    static void pack_##id(const uint8_t *from, uint32_t blocks, uint8_t *to)                       \
    {                                                                                              \
        for (uint32_t b = 0; b < blocks; b++) {                                                    \
            uint32_t words[8 * (bits)];                                                            \
            get_words_##id(from + b * sizeof(struct block_##id), words);                           \
            for (uint32_t i = 0; i < 8 * (bits); i++, to += PACK_LINE)                             \
                memcpy(to, &words[i], sizeof words[i]);                                            \
        }                                                                                          \
    }
PACK_WORDS(IQ1_S, 1)
PACK_WORDS(IQ1_M, 1)
PACK_WORDS(IQ2_XXS, 2)
PACK_WORDS(IQ2_XS, 2)
PACK_WORDS(IQ2_S, 2)
PACK_WORDS(IQ3_XXS, 3)
PACK_WORDS(IQ3_S, 3)

/* Digits in base 3 of five columns share a byte, so TQ1_0 is fields alone. */
static void pack_TQ1_0(const uint8_t *from, uint32_t blocks, uint8_t *to)
{
    (void)from;
    (void)blocks;
    (void)to;
}

static void put_words_TQ1_0(uint8_t *block, const uint32_t *words)
{
    (void)block;
    (void)words;
}

/* ---- types ----------------------------------------------------------------------------------- */

#define FIELD(id, name, elements, size)                                                            \
    {                                                                                              \
        .offset = offsetof(struct block_##id, name), .count = elements, .bytes = size              \
    }
#define PACKING(id, line_count, ...)                                                               \
    [DTYPE_##                                                                                      \
        id] = {.lines = line_count, .pack = pack_##id, .put = put_##id, .fields = {__VA_ARGS__}}
#define WORDS(id, line_count, ...)                                                                 \
    [DTYPE_##id] = {.lines = line_count,                                                           \
                    .pack = pack_##id,                                                             \
                    .put_words = put_words_##id,                                                   \
                    .fields = {__VA_ARGS__}}

static const struct packing packings[DTYPE_COUNT] = {
    PACKING(Q4_0, 4, FIELD(Q4_0, d, 1, 2)),
    PACKING(Q4_1, 4, FIELD(Q4_1, d, 1, 2), FIELD(Q4_1, m, 1, 2)),
    PACKING(IQ4_NL, 4, FIELD(IQ4_NL, d, 1, 2)),
    PACKING(MXFP4, 4, FIELD(MXFP4, e, 1, 1)),
    PACKING(Q5_0, 5, FIELD(Q5_0, d, 1, 2)),
    PACKING(Q5_1, 5, FIELD(Q5_1, d, 1, 2), FIELD(Q5_1, m, 1, 2)),
    PACKING(Q8_0, 8, FIELD(Q8_0, d, 1, 2)),
    PACKING(Q4_K, 4, FIELD(Q4_K, d, 1, 2), FIELD(Q4_K, dmin, 1, 2), FIELD(Q4_K, scales, 12, 1)),
    PACKING(Q5_K, 5, FIELD(Q5_K, d, 1, 2), FIELD(Q5_K, dmin, 1, 2), FIELD(Q5_K, scales, 12, 1)),
    PACKING(Q6_K, 6, FIELD(Q6_K, d, 1, 2), FIELD(Q6_K, scales, 16, 1)),
    PACKING(IQ4_XS, 4, FIELD(IQ4_XS, d, 1, 2), FIELD(IQ4_XS, scales_h, 1, 2),
            FIELD(IQ4_XS, scales_l, 4, 1)),
    PACKING(Q1_0, 1, FIELD(Q1_0, d, 1, 2)),
    PACKING(Q2_0, 2, FIELD(Q2_0, d, 1, 2)),
    PACKING(Q2_K, 2, FIELD(Q2_K, d, 1, 2), FIELD(Q2_K, dmin, 1, 2), FIELD(Q2_K, scales, 16, 1)),
    PACKING(TQ2_0, 2, FIELD(TQ2_0, d, 1, 2)),
    PACKING(Q3_K, 3, FIELD(Q3_K, d, 1, 2), FIELD(Q3_K, scales, 12, 1)),
    PACKING(NVFP4, 4, FIELD(NVFP4, d, 4, 1)),
    WORDS(TQ1_0, 0, FIELD(TQ1_0, qs, 12, 4), FIELD(TQ1_0, qh, 1, 4), FIELD(TQ1_0, d, 1, 2)),
    WORDS(IQ1_S, 1, FIELD(IQ1_S, d, 1, 2), FIELD(IQ1_S, qh, 8, 2)),
    WORDS(IQ1_M, 1, FIELD(IQ1_M, qh, 8, 2), FIELD(IQ1_M, scales, 4, 2)),
    WORDS(IQ2_XXS, 2, FIELD(IQ2_XXS, d, 1, 2)),
    WORDS(IQ2_XS, 2, FIELD(IQ2_XS, d, 1, 2), FIELD(IQ2_XS, scales, 8, 1)),
    WORDS(IQ2_S, 2, FIELD(IQ2_S, d, 1, 2), FIELD(IQ2_S, qh, 8, 1), FIELD(IQ2_S, scales, 8, 1)),
    WORDS(IQ3_XXS, 3, FIELD(IQ3_XXS, d, 1, 2)),
    WORDS(IQ3_S, 3, FIELD(IQ3_S, d, 1, 2), FIELD(IQ3_S, qh, 8, 1), FIELD(IQ3_S, scales, 4, 1)),
};

static bool is_float(enum dtype dtype)
{
    return dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16;
}

bool pack_knows(enum dtype dtype)
{
    return is_float(dtype) || packings[dtype].pack != NULL;
}

bool pack_has_codes(enum dtype dtype)
{
    return packings[dtype].pack != NULL;
}

/* Bytes of the fields of a block of one row. */
static uint32_t fields_bytes(const struct packing *packing)
{
    uint32_t bytes = 0;
    for (int i = 0; i < FIELDS_MAX; i++)
        bytes += (uint32_t)packing->fields[i].count * packing->fields[i].bytes;
    return bytes;
}

uint64_t pack_field_bytes(enum dtype dtype, uint32_t width)
{
    const uint64_t blocks = width / dtype_info(dtype)->block;
    return size_align(blocks * fields_bytes(&packings[dtype]) * PACK_ROWS, PACK_LINE);
}

uint32_t pack_code_bytes(enum dtype dtype)
{
    return (uint32_t)packings[dtype].lines * PACK_LINE;
}

uint64_t pack_group_bytes(enum dtype dtype, uint32_t width)
{
    if (is_float(dtype))
        return size_align(PACK_ROWS * dtype_row_bytes(dtype, width), PACK_LINE);
    return pack_field_bytes(dtype, width) +
           (uint64_t)(width / PACK_COLUMNS) * pack_code_bytes(dtype);
}

/* ---- packing --------------------------------------------------------------------------------- */

/* The same element of each of the blocks of a row. */
static void pack_element(const uint8_t *from, uint32_t from_step, uint32_t blocks, uint32_t bytes,
                         uint8_t *to, uint32_t to_step)
{
    if (bytes == 2) {
        for (uint32_t b = 0; b < blocks; b++)
            memcpy(to + (uint64_t)b * to_step, from + (uint64_t)b * from_step, 2);
        return;
    }
    if (bytes == 4) {
        for (uint32_t b = 0; b < blocks; b++)
            memcpy(to + (uint64_t)b * to_step, from + (uint64_t)b * from_step, 4);
        return;
    }
    for (uint32_t b = 0; b < blocks; b++)
        to[(uint64_t)b * to_step] = from[(uint64_t)b * from_step];
}

/* The fields of the blocks of one row of the file. */
static void pack_fields(const struct packing *packing, const uint8_t *from, uint32_t block_bytes,
                        uint32_t blocks, uint8_t *to, uint32_t row)
{
    const uint32_t to_step = fields_bytes(packing) * PACK_ROWS;
    for (int i = 0; i < FIELDS_MAX; i++) {
        const struct field *field = &packing->fields[i];
        for (uint32_t element = 0; element < field->count; element++) {
            pack_element(from + field->offset + element * field->bytes, block_bytes, blocks,
                         field->bytes, to + row * field->bytes, to_step);
            to += PACK_ROWS * field->bytes;
        }
    }
}

/* Floats of `bytes` bytes: column after column, of all rows. */
static inline void pack_columns(const uint8_t *from, uint32_t rows, uint32_t width, uint32_t bytes,
                                uint8_t *to)
{
    const uint64_t row_bytes = (uint64_t)width * bytes;
    for (uint32_t i = 0; i < width; i++) {
        for (uint32_t row = 0; row < rows; row++)
            memcpy(to + row * bytes, from + row * row_bytes, bytes);
        from += bytes;
        to += PACK_ROWS * bytes;
    }
}

static void pack_float_group(enum dtype dtype, const uint8_t *from, uint32_t rows, uint32_t width,
                             uint8_t *to)
{
    const uint64_t all = pack_group_bytes(dtype, width),
                   used = PACK_ROWS * dtype_row_bytes(dtype, width);
    if (rows < PACK_ROWS)
        memset(to, 0, all);
    else
        memset(to + used, 0, all - used);
    if (dtype == DTYPE_F32)
        pack_columns(from, rows, width, 4, to);
    else
        pack_columns(from, rows, width, 2, to);
}

void pack_group(enum dtype dtype, const uint8_t *from, uint32_t rows, uint32_t width, uint8_t *to)
{
    if (is_float(dtype)) {
        pack_float_group(dtype, from, rows, width, to);
        return;
    }
    const struct packing *packing = &packings[dtype];
    const struct dtype_info *info = dtype_info(dtype);
    const uint32_t blocks = width / info->block;
    const uint64_t row_bytes = (uint64_t)blocks * info->block_bytes;
    const uint64_t used = (uint64_t)blocks * fields_bytes(packing) * PACK_ROWS;
    const uint64_t field_bytes = pack_field_bytes(dtype, width);
    if (rows < PACK_ROWS)
        memset(to, 0, pack_group_bytes(dtype, width));
    else
        memset(to + used, 0, field_bytes - used);
    for (uint32_t row = 0; row < rows; row++, from += row_bytes) {
        pack_fields(packing, from, info->block_bytes, blocks, to, row);
        packing->pack(from, blocks, to + field_bytes + 4 * row);
    }
}

/* ---- taking out ------------------------------------------------------------------------------ */

static void take_codes(uint32_t bits, const uint8_t *from, uint32_t row, uint8_t *codes)
{
    uint32_t quad[8], line[8] = {0};
    for (uint32_t j = 0; j < bits; j++)
        memcpy(&line[j], from + j * PACK_LINE + 4 * row, 4);
    for (uint32_t j = 0; j < 8; j++) {
        if (bits < 4) {
            quad[j] = bits > 1 ? line[j / 4] >> 2 * (j % 4) & 0x03030303 : 0;
            if (bits != 2)
                quad[j] |= (line[bits - 1] >> j & 0x01010101) << (bits - 1);
            continue;
        }
        quad[j] = bits == 8 ? line[j] : line[j % 4] >> 4 * (j / 4) & 0x0f0f0f0f;
        if (bits == 5)
            quad[j] |= (line[4] >> j & 0x01010101) << 4;
        if (bits == 6)
            quad[j] |= (line[4 + j / 4] >> 2 * (j % 4) & 0x03030303) << 4;
    }
    memcpy(codes, quad, sizeof quad);
}

/* The codes of a block from its lines. */
static void take_block(const struct packing *packing, const uint8_t *lines, uint32_t columns,
                       uint32_t row, uint8_t *block)
{
    uint8_t codes[BLOCK_MAX];
    uint32_t words[WORDS_MAX];
    const uint32_t pieces = columns / PACK_COLUMNS, count = packing->lines;
    if (packing->put_words != NULL) {
        for (uint32_t i = 0; i < pieces * count; i++)
            memcpy(&words[i], lines + i * PACK_LINE + 4 * row, sizeof words[i]);
        packing->put_words(block, words);
        return;
    }
    for (uint32_t i = 0; i < pieces; i++)
        take_codes(count, lines + i * count * PACK_LINE, row, codes + i * PACK_COLUMNS);
    packing->put(block, codes);
}

static const uint8_t *take_fields(const struct packing *packing, const uint8_t *from, uint32_t row,
                                  uint8_t *block)
{
    for (int i = 0; i < FIELDS_MAX; i++) {
        const struct field *field = &packing->fields[i];
        for (uint32_t element = 0; element < field->count; element++) {
            memcpy(block + field->offset + element * field->bytes,
                   from + (uint64_t)row * field->bytes, field->bytes);
            from += PACK_ROWS * field->bytes;
        }
    }
    return from;
}

static void take_floats(enum dtype dtype, const uint8_t *from, uint32_t row, uint32_t width,
                        uint8_t *to)
{
    const uint32_t bytes = dtype_info(dtype)->block_bytes;
    for (uint32_t i = 0; i < width; i++)
        memcpy(to + (uint64_t)i * bytes, from + ((uint64_t)i * PACK_ROWS + row) * bytes, bytes);
}

void pack_take_row(enum dtype dtype, const uint8_t *packed, uint64_t row, uint32_t width,
                   uint8_t *to)
{
    if (is_float(dtype)) {
        take_floats(dtype, packed + row / PACK_ROWS * pack_group_bytes(dtype, width),
                    (uint32_t)(row % PACK_ROWS), width, to);
        return;
    }
    const struct packing *packing = &packings[dtype];
    const struct dtype_info *info = dtype_info(dtype);
    const uint32_t blocks = width / info->block;
    const uint32_t block_lines = info->block / PACK_COLUMNS * pack_code_bytes(dtype);
    const uint32_t lane = (uint32_t)(row % PACK_ROWS);
    const uint8_t *fields = packed + row / PACK_ROWS * pack_group_bytes(dtype, width);
    const uint8_t *lines = fields + pack_field_bytes(dtype, width);
    memset(to, 0, (uint64_t)blocks * info->block_bytes);
    for (uint32_t b = 0; b < blocks; b++) {
        uint8_t *block = to + (uint64_t)b * info->block_bytes;
        fields = take_fields(packing, fields, lane, block);
        take_block(packing, lines + (uint64_t)b * block_lines, info->block, lane, block);
    }
}
