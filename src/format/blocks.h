/* SPDX-License-Identifier: MIT
 * The layout of every block format, as structs of bytes: little-endian, without padding, valid at
 * any address. How the fields make numbers is in the decoders below, one for each format. */
#ifndef FORMAT_BLOCKS_H
#define FORMAT_BLOCKS_H

#include <assert.h>

#include "format/codec.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "fields are read with memcpy");

static inline uint16_t block_u16(const uint8_t *field)
{
    uint16_t value;
    memcpy(&value, field, sizeof value);
    return value;
}

static inline uint32_t block_u32(const uint8_t *field)
{
    uint32_t value;
    memcpy(&value, field, sizeof value);
    return value;
}

static inline float block_f16(const uint8_t *field)
{
    return codec_from_f16(block_u16(field));
}

/* Throughout: d is the scale of the block and dmin or m its offset, F16 unless said otherwise; qs
 * are codes or their lower bits, qh and hmask the upper bits. */

/* ---- 32 to 128 elements: blocks_plain.c ------------------------------------------------------ */

struct block_Q4_0 {
    uint8_t d[2], qs[16];
};

struct block_Q4_1 {
    uint8_t d[2], m[2], qs[16];
};

struct block_Q5_0 {
    uint8_t d[2], qh[4], qs[16];
};

struct block_Q5_1 {
    uint8_t d[2], m[2], qh[4], qs[16];
};

struct block_Q8_0 {
    uint8_t d[2];
    int8_t qs[32];
};

struct block_Q8_1 {
    uint8_t d[2], s[2]; /* s: d times the sum of qs, for products with Q4_1 and Q5_1 */
    int8_t qs[32];
};

struct block_IQ4_NL {
    uint8_t d[2], qs[16];
};

struct block_MXFP4 {
    uint8_t e, qs[16]; /* e: E8M0 */
};

struct block_NVFP4 {
    uint8_t d[4], qs[32]; /* d: UE4M3, one for 16 elements */
};

struct block_Q1_0 {
    uint8_t d[2], qs[16];
};

struct block_Q2_0 {
    uint8_t d[2], qs[16];
};

/* ---- 256 elements: blocks_k.c ---------------------------------------------------------------- */

struct block_Q2_K {
    uint8_t scales[16], qs[64], d[2], dmin[2]; /* scales: low nibble scale, high nibble min */
};

struct block_Q3_K {
    uint8_t hmask[32], qs[64], scales[12], d[2];
};

struct block_Q4_K {
    uint8_t d[2], dmin[2], scales[12], qs[128];
};

struct block_Q5_K {
    uint8_t d[2], dmin[2], scales[12], qh[32], qs[128];
};

struct block_Q6_K {
    uint8_t ql[128], qh[64];
    int8_t scales[16];
    uint8_t d[2];
};

struct block_Q8_K {
    uint8_t d[4]; /* F32 */
    int8_t qs[256];
    uint8_t bsums[32]; /* I16: sums of 16 qs, for the mins of the K-quants */
};

struct block_TQ1_0 {
    uint8_t qs[48], qh[4], d[2]; /* five and four base-3 digits a byte */
};

struct block_TQ2_0 {
    uint8_t qs[64], d[2];
};

/* ---- 256 elements, codes into a grid or a code book: blocks_iq.c ----------------------------- */

struct block_IQ4_XS {
    uint8_t d[2], scales_h[2], scales_l[4], qs[128];
};

struct block_IQ2_XXS {
    uint8_t d[2];
    struct {
        uint8_t index[4], signs[4]; /* signs: U32, four times 7 sign bits, then 4 scale bits */
    } groups[8];
};

struct block_IQ2_XS {
    uint8_t d[2], qs[64], scales[8]; /* qs: U16, 9 index bits, 7 sign bits */
};

struct block_IQ2_S {
    uint8_t d[2], qs[32], signs[32], qh[8], scales[8];
};

struct block_IQ3_XXS {
    uint8_t d[2], qs[64], signs[32]; /* signs: U32, as in IQ2_XXS */
};

struct block_IQ3_S {
    uint8_t d[2], qs[64], qh[8], signs[32], scales[4];
};

struct block_IQ1_S {
    uint8_t d[2], qs[32], qh[16]; /* qh: U16, four times 3 index bits, 3 scale bits, 1 of delta */
};

struct block_IQ1_M {
    uint8_t qs[32], qh[16], scales[8]; /* scales: U16, four times 3 scale bits, 4 bits of d */
};

/* ---- all ------------------------------------------------------------------------------------- */

/* Decodes one block. Reads no byte of it that the values do not depend on. */
typedef void block_decode_fn(const void *block, float *restrict out);

#define BLOCK_FLOAT(id, bytes)
#define BLOCK_OTHER(id, bytes)
#define BLOCK_ACTIVATION(id, bytes) BLOCK_QUANT(id, bytes)
#define BLOCK_QUANT(id, bytes)                                                                     \
    static_assert(sizeof(struct block_##id) == (bytes), "size of block_" #id);                     \
    block_decode_fn block_decode_##id;
#define DTYPE(id, name, gguf_id, block, bytes, family) BLOCK_##family(id, bytes)
#include "format/dtype.def"
#undef BLOCK_FLOAT
#undef BLOCK_OTHER
#undef BLOCK_ACTIVATION
#undef BLOCK_QUANT

#endif
