/* SPDX-License-Identifier: MIT
 * Names of sizes and file types. Knows the container, and nothing of weights or plans. */
#include "run/model_names.h"

#include <string.h>

#include "model/config.h"

/* ---- sizes ----------------------------------------------------------------------------------- */

/* Layers of the trunk and width of the residual stream. */
static const struct {
    const char *architecture;
    uint32_t layers, width;
    const char *name;
} sizes[] = {
    {"qwen35", 24, 1024, "0.8B"},         {"qwen35", 24, 2048, "2B"},
    {"qwen35", 32, 2560, "4B"},           {"qwen35", 32, 4096, "9B"},
    {"qwen35", 64, 5120, "27B"},          {"qwen35moe", 40, 2048, "35B.A3B"},
    {"qwen35moe", 48, 3072, "122B.A10B"}, {"qwen35moe", 60, 4096, "397B.A17B"},
    {"qwen3next", 48, 2048, "80B.A3B"},
};

const char *model_size_name(const struct gguf *gguf)
{
    struct config config;
    const char *architecture;
    const bool is_known = config_read_architecture(&architecture, gguf, NULL) == WEIR_OK &&
                          config_read(&config, gguf, NULL) == WEIR_OK;
    for (size_t i = 0; is_known && i < sizeof sizes / sizeof sizes[0]; i++) {
        if (strcmp(sizes[i].architecture, architecture) == 0 && sizes[i].layers == config.layers &&
            sizes[i].width == config.width)
            return sizes[i].name;
    }
    return "?B";
}

/* ---- file types ------------------------------------------------------------------------------ */

/* Values of general.file_type, and the type whose majority stands for each; COUNT for none. */
static const struct {
    uint32_t number;
    enum dtype dtype;
    const char *name;
} file_types[] = {
    {0, DTYPE_F32, "all F32"},
    {1, DTYPE_F16, "F16"},
    {2, DTYPE_Q4_0, "Q4_0"},
    {3, DTYPE_Q4_1, "Q4_1"},
    {7, DTYPE_Q8_0, "Q8_0"},
    {8, DTYPE_Q5_0, "Q5_0"},
    {9, DTYPE_Q5_1, "Q5_1"},
    {10, DTYPE_Q2_K, "Q2_K - Medium"},
    {11, DTYPE_COUNT, "Q3_K - Small"},
    {12, DTYPE_Q3_K, "Q3_K - Medium"},
    {13, DTYPE_COUNT, "Q3_K - Large"},
    {14, DTYPE_COUNT, "Q4_K - Small"},
    {15, DTYPE_Q4_K, "Q4_K - Medium"},
    {16, DTYPE_COUNT, "Q5_K - Small"},
    {17, DTYPE_Q5_K, "Q5_K - Medium"},
    {18, DTYPE_Q6_K, "Q6_K"},
    {19, DTYPE_IQ2_XXS, "IQ2_XXS - 2.0625 bpw"},
    {20, DTYPE_IQ2_XS, "IQ2_XS - 2.3125 bpw"},
    {21, DTYPE_COUNT, "Q2_K - Small"},
    {22, DTYPE_COUNT, "IQ3_XS - 3.3 bpw"},
    {23, DTYPE_IQ3_XXS, "IQ3_XXS - 3.0625 bpw"},
    {24, DTYPE_IQ1_S, "IQ1_S - 1.5625 bpw"},
    {25, DTYPE_IQ4_NL, "IQ4_NL - 4.5 bpw"},
    {26, DTYPE_IQ3_S, "IQ3_S - 3.4375 bpw"},
    {27, DTYPE_COUNT, "IQ3_S mix - 3.66 bpw"},
    {28, DTYPE_IQ2_S, "IQ2_S - 2.5 bpw"},
    {29, DTYPE_COUNT, "IQ2_M - 2.7 bpw"},
    {30, DTYPE_IQ4_XS, "IQ4_XS - 4.25 bpw"},
    {31, DTYPE_IQ1_M, "IQ1_M - 1.75 bpw"},
    {32, DTYPE_BF16, "BF16"},
    {36, DTYPE_TQ1_0, "TQ1_0 - 1.69 bpw ternary"},
    {37, DTYPE_TQ2_0, "TQ2_0 - 2.06 bpw ternary"},
    {38, DTYPE_MXFP4, "MXFP4 MoE"},
    {39, DTYPE_NVFP4, "NVFP4"},
    {40, DTYPE_Q1_0, "Q1_0"},
    {41, DTYPE_Q2_0, "Q2_0"},
};

enum { FILE_TYPES = sizeof file_types / sizeof file_types[0] };

/* The type that most tensors have; the first of dtype.def if several do. */
static enum dtype most_frequent(const struct gguf *gguf)
{
    uint64_t count[DTYPE_COUNT] = {0};
    enum dtype most = DTYPE_F32;
    for (uint64_t i = 0; i < gguf->tensor_count; i++)
        count[gguf->tensors[i].dtype]++;
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        if (count[dtype] > count[most])
            most = (enum dtype)dtype;
    }
    return most;
}

const char *model_file_type_name(const struct gguf *gguf, bool *guessed)
{
    uint32_t number = UINT32_MAX;
    gguf_get_u32(gguf, "general.file_type", &number, NULL);
    *guessed = number == UINT32_MAX;
    const enum dtype most = *guessed ? most_frequent(gguf) : DTYPE_COUNT;
    for (size_t i = 0; i < FILE_TYPES; i++) {
        const bool is_it = *guessed ? file_types[i].dtype == most : file_types[i].number == number;
        if (is_it)
            return file_types[i].name;
    }
    return "unknown, may not work";
}
