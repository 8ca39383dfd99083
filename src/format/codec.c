/* SPDX-License-Identifier: MIT
 * Rows of any type: to floats, from floats for the types of one number an element, and the check
 * of their numbers. Does not know how codes and scales make numbers: blocks_*.c. */
#include "format/codec.h"

#include "format/blocks_encode.h"

/* A block format that lacks its decoder does not link. */
static block_decode_fn *const decoders[DTYPE_COUNT] = {
#define DECODER_FLOAT(id)                              NULL
#define DECODER_OTHER(id)                              NULL
#define DECODER_QUANT(id)                              block_decode_##id
#define DECODER_ACTIVATION(id)                         block_decode_##id
#define DTYPE(id, name, gguf_id, block, bytes, family) [DTYPE_##id] = DECODER_##family(id),
#include "format/dtype.def"
#undef DECODER_FLOAT
#undef DECODER_OTHER
#undef DECODER_QUANT
#undef DECODER_ACTIVATION
};

static void decode_f16(const uint8_t *data, float *restrict out, uint64_t columns)
{
    for (uint64_t i = 0; i < columns; i++)
        out[i] = block_f16(data + 2 * i);
}

static void decode_bf16(const uint8_t *data, float *restrict out, uint64_t columns)
{
    for (uint64_t i = 0; i < columns; i++)
        out[i] = codec_from_bf16(block_u16(data + 2 * i));
}

static void decode_floats(enum dtype dtype, const uint8_t *data, float *out, uint64_t columns)
{
    assert(dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16);
    if (dtype == DTYPE_F32)
        memcpy(out, data, columns * sizeof *out);
    else if (dtype == DTYPE_F16)
        decode_f16(data, out, columns);
    else
        decode_bf16(data, out, columns);
}

void codec_decode_row(enum dtype dtype, const void *data, float *out, uint64_t columns)
{
    const struct dtype_info *info = dtype_info(dtype);
    const uint8_t *block = data;
    assert(columns % info->block == 0);
    if (decoders[dtype] == NULL) {
        decode_floats(dtype, block, out, columns);
        return;
    }
    for (uint64_t i = 0; i < columns; i += info->block) {
        decoders[dtype](block, out + i);
        block += info->block_bytes;
    }
}

static void encode_f16(const float *values, uint8_t *restrict out, uint64_t columns)
{
    for (uint64_t i = 0; i < columns; i++) {
        const uint16_t bits = codec_to_f16(values[i]);
        memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

static void encode_bf16(const float *values, uint8_t *restrict out, uint64_t columns)
{
    for (uint64_t i = 0; i < columns; i++) {
        const uint16_t bits = codec_to_bf16(values[i]);
        memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

void codec_encode_floats(enum dtype dtype, const float *values, void *out, uint64_t columns)
{
    assert(dtype == DTYPE_F32 || dtype == DTYPE_F16 || dtype == DTYPE_BF16);
    if (dtype == DTYPE_F32)
        memcpy(out, values, columns * sizeof *values);
    else if (dtype == DTYPE_F16)
        encode_f16(values, out, columns);
    else
        encode_bf16(values, out, columns);
}

static block_encode_fn *const encoders[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = block_encode_Q4_0, [DTYPE_Q4_1] = block_encode_Q4_1,
    [DTYPE_Q5_0] = block_encode_Q5_0, [DTYPE_Q5_1] = block_encode_Q5_1,
    [DTYPE_Q8_0] = block_encode_Q8_0,
};

void codec_encode_row(enum dtype dtype, const float *values, void *out, uint64_t columns)
{
    const struct dtype_info *info = dtype_info(dtype);
    uint8_t *block = out;
    if (info->family == DTYPE_FAMILY_FLOAT) {
        codec_encode_floats(dtype, values, out, columns);
        return;
    }
    assert(encoders[dtype] != NULL && columns % info->block == 0);
    for (uint64_t i = 0; i < columns; i += info->block) {
        encoders[dtype](values + i, block);
        block += info->block_bytes;
    }
}

/* ---- validity -------------------------------------------------------------------------------- */

/* The numbers of a block that may not be Inf or NaN: `count` words of `width` bytes, back to back
 * from `offset` on. A word is invalid when all bits of its exponent, `mask`, are set. */
struct finite_words {
    size_t offset;
    uint32_t count, width;
    uint64_t mask;
};

enum { F16_EXPONENT = 0x7c00, BF16_EXPONENT = 0x7f80, F32_EXPONENT = 0x7f800000 };

#define SCALES(id, field, count)                                                                   \
    [DTYPE_##id] = {offsetof(struct block_##id, field), count, 2, F16_EXPONENT}

/* Types without a row (integers, NVFP4) are valid whatever they hold. */
static const struct finite_words finite[DTYPE_COUNT] = {
    [DTYPE_F32] = {0, 1, 4, F32_EXPONENT},
    [DTYPE_F16] = {0, 1, 2, F16_EXPONENT},
    [DTYPE_BF16] = {0, 1, 2, BF16_EXPONENT},
    [DTYPE_F64] = {0, 1, 8, 0x7ff0000000000000},
    SCALES(Q4_0, d, 1),
    SCALES(Q4_1, d, 2), /* and m behind it */
    SCALES(Q5_0, d, 1),
    SCALES(Q5_1, d, 2), /* and m */
    SCALES(Q8_0, d, 1),
    SCALES(Q8_1, d, 2), /* and s */
    SCALES(Q2_K, d, 2), /* and dmin */
    SCALES(Q3_K, d, 1),
    SCALES(Q4_K, d, 2), /* and dmin */
    SCALES(Q5_K, d, 2), /* and dmin */
    SCALES(Q6_K, d, 1),
    [DTYPE_Q8_K] = {offsetof(struct block_Q8_K, d), 1, 4, F32_EXPONENT},
    SCALES(IQ2_XXS, d, 1),
    SCALES(IQ2_XS, d, 1),
    SCALES(IQ2_S, d, 1),
    SCALES(IQ3_XXS, d, 1),
    SCALES(IQ3_S, d, 1),
    SCALES(IQ1_S, d, 1),
    /* The F16 whose nibbles are the upper ones of four words: its exponent, in all 64 bits. */
    [DTYPE_IQ1_M] = {offsetof(struct block_IQ1_M, scales), 1, 8, 0x7000c00000000000},
    SCALES(IQ4_NL, d, 1),
    SCALES(IQ4_XS, d, 1),
    SCALES(TQ1_0, d, 1),
    SCALES(TQ2_0, d, 1),
    [DTYPE_MXFP4] = {offsetof(struct block_MXFP4, e), 1, 1, 0xff},
    SCALES(Q1_0, d, 1),
    SCALES(Q2_0, d, 1),
};

/* True if none of `count` words, `stride` bytes apart, has all bits of `mask` set. */
static inline bool words_finite(const uint8_t *data, uint64_t count, size_t stride, size_t width,
                                uint64_t mask)
{
    bool valid = true;
    for (uint64_t i = 0; i < count; i++) {
        uint64_t word = 0;
        memcpy(&word, data + i * stride, width);
        valid &= (word & mask) != mask;
    }
    return valid;
}

bool codec_row_valid(enum dtype dtype, const void *data, uint64_t columns)
{
    const struct dtype_info *info = dtype_info(dtype);
    const struct finite_words *words = &finite[dtype];
    const uint64_t blocks = columns / info->block;
    bool valid = true;
    assert(columns % info->block == 0);
    for (uint32_t i = 0; i < words->count; i++) {
        const uint8_t *first = (const uint8_t *)data + words->offset + i * words->width;
        /* Each width as a constant, so that each becomes a loop of plain loads. */
        if (words->width == 1)
            valid &= words_finite(first, blocks, info->block_bytes, 1, words->mask);
        else if (words->width == 2)
            valid &= words_finite(first, blocks, info->block_bytes, 2, words->mask);
        else if (words->width == 4)
            valid &= words_finite(first, blocks, info->block_bytes, 4, words->mask);
        else
            valid &= words_finite(first, blocks, info->block_bytes, 8, words->mask);
    }
    return valid;
}
