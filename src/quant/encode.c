/* SPDX-License-Identifier: MIT
 * The table of encoders, and rows cut into blocks. Does not know how a block is made. */
#include "quant/encode.h"

#include "quant/encode_blocks.h"

/* A type without a plain encoder needs importance; one without a weighted encoder ignores it. */
static const struct encoder {
    encode_block_fn *plain, *weighted;
} encoders[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = {encode_Q4_0, encode_Q4_0_weighted},
    [DTYPE_Q4_1] = {encode_Q4_1, encode_Q4_1_weighted},
    [DTYPE_Q5_0] = {encode_Q5_0, encode_Q5_0_weighted},
    [DTYPE_Q5_1] = {encode_Q5_1, encode_Q5_1_weighted},
    [DTYPE_Q8_0] = {encode_Q8_0, NULL},
    [DTYPE_Q2_K] = {encode_Q2_K, encode_Q2_K},
    [DTYPE_Q3_K] = {encode_Q3_K, encode_Q3_K},
    [DTYPE_Q4_K] = {encode_Q4_K, encode_Q4_K},
    [DTYPE_Q5_K] = {encode_Q5_K, encode_Q5_K},
    [DTYPE_Q6_K] = {encode_Q6_K, encode_Q6_K},
    [DTYPE_IQ1_S] = {NULL, encode_IQ1_S},
    [DTYPE_IQ1_M] = {encode_IQ1_M, encode_IQ1_M},
    [DTYPE_IQ2_XXS] = {NULL, encode_IQ2_XXS},
    [DTYPE_IQ2_XS] = {NULL, encode_IQ2_XS},
    [DTYPE_IQ2_S] = {encode_IQ2_S, encode_IQ2_S},
    [DTYPE_IQ3_XXS] = {encode_IQ3_XXS, encode_IQ3_XXS},
    [DTYPE_IQ3_S] = {encode_IQ3_S, encode_IQ3_S},
    [DTYPE_IQ4_NL] = {encode_IQ4_NL, encode_IQ4_NL},
    [DTYPE_IQ4_XS] = {encode_IQ4_XS, encode_IQ4_XS},
    [DTYPE_TQ1_0] = {encode_TQ1_0, NULL},
    [DTYPE_TQ2_0] = {encode_TQ2_0, NULL},
    [DTYPE_MXFP4] = {encode_MXFP4, NULL},
    [DTYPE_NVFP4] = {encode_NVFP4, NULL},
    [DTYPE_Q1_0] = {encode_Q1_0, NULL},
    [DTYPE_Q2_0] = {encode_Q2_0, NULL},
};

enum encode_support encode_support(enum dtype dtype)
{
    if (dtype_info(dtype)->family == DTYPE_FAMILY_FLOAT || encoders[dtype].plain != NULL)
        return ENCODE_PLAIN;
    return encoders[dtype].weighted != NULL ? ENCODE_WEIGHTED : ENCODE_NOT;
}

/* The sum runs over ascending columns in one F32, as the reference has it. */
static float mean_square(const float *values, uint64_t columns)
{
    float sum = 0.0f;
    for (uint64_t i = 0; i < columns; i++)
        sum += values[i] * values[i];
    return sum / (float)columns;
}

void encode_row(enum dtype dtype, const float *values, const float *importance, void *out,
                uint64_t columns)
{
    const struct dtype_info *info = dtype_info(dtype);
    assert(columns % info->block == 0);
    if (info->family == DTYPE_FAMILY_FLOAT) {
        codec_encode_floats(dtype, values, out, columns);
        return;
    }
    const bool weighted = importance != NULL && encoders[dtype].weighted != NULL;
    encode_block_fn *const encode = weighted ? encoders[dtype].weighted : encoders[dtype].plain;
    struct encode_source source = {.values = values};
    uint8_t *block = out;
    assert(encode != NULL);
    if (weighted) {
        source.importance = importance;
        source.row_mean_square = mean_square(values, columns);
    }
    for (uint64_t i = 0; i < columns; i += info->block) {
        encode(&source, block);
        source.values += info->block;
        if (weighted)
            source.importance += info->block;
        block += info->block_bytes;
    }
}
