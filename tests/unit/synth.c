/* SPDX-License-Identifier: MIT
 * Tests of made-up models. Run alone: build/tests/weir-test synth_ */
#include "test.h"

#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/rng.h"
#include "cli/program.h"
#include "format/codec.h"
#include "format/gguf.h"
#include "quant/quantize_plan.h"
#include "quant/synth.h"

static struct weir_synth_options options_for(const char *size, const char *type)
{
    struct weir_synth_options options;
    weir_synth_options_init(&options);
    options.size = size;
    options.type = type;
    return options;
}

static struct gguf *synth_and_open(const char *path, const struct weir_synth_options *options)
{
    struct weir_error err = {0};
    struct gguf *gguf;
    CHECK_OK(weir_synth(path, options, &err), &err);
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint64_t fnv1a(const uint8_t *data, size_t size)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 0x100000001b3u;
    return hash;
}

static uint64_t synth_hash(const struct weir_synth_options *options)
{
    const char *path = test_scratch("hashed.gguf");
    struct weir_error err = {0};
    CHECK_OK(weir_synth(path, options, &err), &err);
    size_t size;
    uint8_t *data = test_read_file(path, &size);
    const uint64_t hash = fnv1a(data, size);
    free(data);
    return hash;
}

/* Models made at different times must stay comparable: a change of these is a change of format. */
TEST(synth_bytes_stay)
{
    static const struct {
        const char *size, *type;
        uint64_t hash;
    } recorded[] = {
        {"nano", "f32", 0x318db21dc9611a6e},  {"nano", "bf16", 0x0c526a150a3fc167},
        {"nano", "q4_0", 0xc068d3a2bb5e72ef}, {"nanomoe", "q5_1", 0x3e743fc555878010},
        {"tiny", "q4_k", 0x0006401ad189f6eb},
    };
    for (size_t i = 0; i < sizeof recorded / sizeof *recorded; i++) {
        struct weir_synth_options options = options_for(recorded[i].size, recorded[i].type);
        options.mtp = true;
        const uint64_t hash = synth_hash(&options);
        if (hash != recorded[i].hash)
            test_fail(__FILE__, __LINE__, "%s %s has hash 0x%016llx", recorded[i].size,
                      recorded[i].type, (unsigned long long)hash);
    }
}

TEST(synth_seed_decides)
{
    struct weir_synth_options options = options_for("nano", "q8_0");
    const uint64_t first = synth_hash(&options);
    CHECK(synth_hash(&options) == first);
    options.seed = 2;
    CHECK(synth_hash(&options) != first);
}

/* A tensor may be filled in any parts: each block depends on its number alone. */
TEST(synth_fills_by_block)
{
    static const char *const kinds[] = {"f32", "f16", "q4_0", "q6_k"};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct weir_synth_options options = options_for("tiny", kinds[i]);
        struct weir_error err = {0};
        struct synth_model model;
        CHECK_OK(synth_model_init(&model, &options, &err), &err);
        const struct synth_tensor *tensor = &model.tensors[0];
        const uint32_t bytes = dtype_info(tensor->type->dtype)->block_bytes;
        uint8_t whole[300 * 210], parts[300 * 210];
        synth_fill(tensor, 7, 100, 300, whole);
        for (uint64_t first = 0; first < 300; first += 60)
            synth_fill(tensor, 7, 100 + first, 60, parts + first * bytes);
        CHECK(memcmp(whole, parts, 300 * bytes) == 0);
        synth_fill(tensor, 8, 100, 300, parts);
        CHECK(memcmp(whole, parts, 300 * bytes) != 0);
        synth_model_release(&model);
    }
}

/* ---- structure ------------------------------------------------------------------------------- */

/* The golden files come from the writer that the reference figures were made with. Their headers,
 * all metadata and tensor infos, are the same byte for byte. */
TEST(synth_headers_equal_golden)
{
    static const struct {
        const char *golden, *type;
        bool mtp;
    } files[] = {{"golden/nano-f32.gguf", "f32", true},
                 {"golden/nano-q4_0.gguf", "q4_0", false},
                 {"golden/nano-q8_0.gguf", "q8_0", false}};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct weir_synth_options options = options_for("nano", files[i].type);
        options.mtp = files[i].mtp;
        struct gguf *made = synth_and_open(test_scratch("made.gguf"), &options), *golden;
        struct weir_error err = {0};
        CHECK_OK(gguf_open(&golden, test_data(files[i].golden), &err), &err);
        CHECK_INT(made->kv_count, golden->kv_count);
        CHECK_INT(made->tensor_count, golden->tensor_count);
        CHECK_INT(made->splits[0].map.size, golden->splits[0].map.size);
        CHECK_INT(made->splits[0].data_start, golden->splits[0].data_start);
        CHECK(memcmp(made->splits[0].map.data, golden->splits[0].map.data,
                     made->splits[0].data_start) == 0);
        gguf_close(made);
        gguf_close(golden);
    }
}

static uint64_t elements(const char *size, bool mtp)
{
    struct weir_synth_options options = options_for(size, "f32");
    options.mtp = mtp;
    struct weir_error err = {0};
    struct synth_model model;
    CHECK_OK(synth_model_init(&model, &options, &err), &err);
    uint64_t sum = 0;
    for (uint64_t i = 0; i < model.tensor_count; i++)
        sum += synth_tensor_blocks(&model.tensors[i]);
    synth_model_release(&model);
    return sum;
}

/* The parameter totals of the public models (those of 4B, 9B and 35B-A3B as published). */
TEST(synth_totals_of_public_models)
{
    static const struct {
        const char *size;
        uint64_t trunk, mtp;
    } totals[] = {
        {"0.8B", 752393024, 20452864},
        {"2B", 1881825088, 60828160},
        {"4B", 4205751296, 120599552},
        {"9B", 8953803264, 243290624},
        {"27B", 26895998464, 424699392},
        {"35B-A3B", 34660610688, 844640768},
        {"122B-A10B", 122111526912, 2523679232},
        {"397B-A17B", 396346350336, 6595568128},
        {"Next-80B-A3B", 79674391296, 1650471424},
    };
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++) {
        const uint64_t trunk = elements(totals[i].size, false);
        CHECK_INT(trunk, totals[i].trunk);
        CHECK_INT(elements(totals[i].size, true) - trunk, totals[i].mtp);
    }
}

/* Writes the metadata of a model without its tensors. */
static struct gguf *metadata_only(const char *size)
{
    const char *path = test_scratch("metadata.gguf");
    const struct weir_synth_options options = options_for(size, "q4_0");
    struct weir_error err = {0};
    struct synth_model model;
    struct gguf_writer *writer;
    struct gguf *gguf;
    CHECK_OK(synth_model_init(&model, &options, &err), &err);
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    CHECK_OK(synth_metadata(writer, &model, &err), &err);
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    synth_model_release(&model);
    CHECK_OK(gguf_open(&gguf, path, &err), &err);
    return gguf;
}

static void check_u32(const struct gguf *gguf, const char *key, uint32_t expected)
{
    struct weir_error err = {0};
    uint32_t value = UINT32_MAX;
    CHECK_OK(gguf_get_u32(gguf, key, &value, &err), &err);
    if (value != expected)
        test_fail(__FILE__, __LINE__, "%s is %u, expected %u", key, value, expected);
}

TEST(synth_qwen3next_keys)
{
    struct gguf *gguf = metadata_only("next-80b-a3b");
    struct weir_error err = {0};
    struct span text = {0};
    CHECK_OK(gguf_get_text(gguf, "general.architecture", &text, &err), &err);
    CHECK(span_equals(text, "qwen3next"));
    CHECK_OK(gguf_get_text(gguf, "tokenizer.ggml.pre", &text, &err), &err);
    CHECK(span_equals(text, "qwen2"));
    CHECK(gguf_find(gguf, "qwen3next.rope.dimension_sections") == NULL);
    check_u32(gguf, "qwen3next.feed_forward_length", 5120);
    check_u32(gguf, "qwen3next.expert_count", 512);
    check_u32(gguf, "qwen3next.rope.dimension_count", 64);
    check_u32(gguf, "tokenizer.ggml.eos_token_id", 151936 - 5);
    CHECK_INT(gguf_find(gguf, "tokenizer.ggml.tokens")->count, 151936);
    gguf_close(gguf);
}

TEST(synth_qwen3next_fuses_gates)
{
    struct weir_synth_options options = options_for("Next-80B-A3B", "q4_0");
    options.f32_gates = true;
    struct weir_error err = {0};
    struct synth_model model;
    CHECK_OK(synth_model_init(&model, &options, &err), &err);
    int fused = 0, split = 0;
    for (uint64_t i = 0; i < model.tensor_count; i++) {
        const struct synth_tensor *tensor = &model.tensors[i];
        split += strstr(tensor->name, "ssm_alpha") != NULL || strstr(tensor->name, "ssm_beta");
        if (strstr(tensor->name, "ssm_ba.weight") == NULL)
            continue;
        fused++;
        CHECK(tensor->ne[0] == 2048 && tensor->ne[1] == 64 && tensor->dims == 2);
        CHECK(tensor->type->dtype == DTYPE_F32);
    }
    synth_model_release(&model);
    CHECK_INT(fused, 36);
    CHECK_INT(split, 0);
}

static enum dtype dtype_of(const struct gguf *gguf, const char *name)
{
    const struct gguf_tensor *tensor = gguf_find_tensor(gguf, name);
    if (tensor == NULL)
        test_fail(__FILE__, __LINE__, "there is no %s", name);
    return tensor->dtype;
}

TEST(synth_options_choose_types_and_layers)
{
    struct weir_synth_options options = options_for("Nano", "Q4_0");
    options.output_type = "q8_0";
    options.f32_gates = true;
    options.layers = 8;
    options.vocab = 2000;
    struct gguf *gguf = synth_and_open(test_scratch("options.gguf"), &options);
    CHECK_INT(dtype_of(gguf, "token_embd.weight"), DTYPE_Q8_0);
    CHECK_INT(dtype_of(gguf, "blk.4.ssm_alpha.weight"), DTYPE_F32);
    CHECK_INT(dtype_of(gguf, "blk.4.ssm_beta.weight"), DTYPE_F32);
    CHECK_INT(dtype_of(gguf, "blk.7.attn_q.weight"), DTYPE_Q4_0);
    CHECK(gguf_find_tensor(gguf, "output.weight") == NULL);
    CHECK(gguf_find_tensor(gguf, "blk.8.attn_norm.weight") == NULL);
    CHECK_INT(gguf_find_tensor(gguf, "token_embd.weight")->ne[1], 2000);
    check_u32(gguf, "qwen35.block_count", 8);
    gguf_close(gguf);

    options.size = "nanomoe";
    options.mtp = true;
    gguf = synth_and_open(test_scratch("options.gguf"), &options);
    CHECK_INT(dtype_of(gguf, "token_embd.weight"), DTYPE_Q4_0);
    CHECK_INT(dtype_of(gguf, "output.weight"), DTYPE_Q8_0);
    CHECK_INT(dtype_of(gguf, "blk.8.nextn.eh_proj.weight"), DTYPE_Q4_0);
    check_u32(gguf, "qwen35moe.block_count", 9);
    check_u32(gguf, "qwen35moe.nextn_predict_layers", 1);
    gguf_close(gguf);
}

/* ---- values ---------------------------------------------------------------------------------- */

struct moments {
    double mean, deviation, low, high, kurtosis; /* excess kurtosis */
};

static struct moments moments_of_values(const float *values, uint64_t count)
{
    double sums[5] = {0};
    struct moments moments = {.low = values[0], .high = values[0]};
    for (uint64_t i = 0; i < count; i++) {
        moments.low = fmin(moments.low, values[i]);
        moments.high = fmax(moments.high, values[i]);
        sums[1] += values[i];
    }
    moments.mean = sums[1] / (double)count;
    for (uint64_t i = 0; i < count; i++) {
        const double d = values[i] - moments.mean;
        sums[2] += d * d;
        sums[4] += d * d * d * d;
    }
    const double variance = sums[2] / (double)count;
    moments.deviation = sqrt(variance);
    moments.kurtosis = sums[4] / (double)count / (variance * variance) - 3;
    return moments;
}

static struct moments moments_of(const struct gguf *gguf, const char *name)
{
    const struct gguf_tensor *tensor = gguf_find_tensor(gguf, name);
    if (tensor == NULL)
        test_fail(__FILE__, __LINE__, "there is no %s", name);
    const uint64_t count = tensor->ne[0] * tensor->ne[1] * tensor->ne[2];
    float *values = malloc(count * sizeof *values);
    CHECK(values != NULL);
    CHECK(codec_row_valid(tensor->dtype, gguf_tensor_data(gguf, tensor), count));
    codec_decode_row(tensor->dtype, gguf_tensor_data(gguf, tensor), values, count);
    const struct moments moments = moments_of_values(values, count);
    free(values);
    return moments;
}

TEST(synth_vectors_have_their_ranges)
{
    static const struct {
        const char *name;
        double mean, deviation, low, high;
    } expected[] = {
        {"output_norm.weight", 1, 0.1, 0.1, 1.9},
        {"blk.0.attn_norm.weight", 1, 0.1, 0.1, 1.9},
        {"blk.0.ssm_conv1d.weight", 0, 0.5, -4.1, 4.1},
        {"blk.0.ssm_dt.bias", -1.5, 5 / 3.4641, -4, 1},
        {"blk.0.ssm_a", -2.01, 3.98 / 3.4641, -4, -0.02},
    };
    const struct weir_synth_options options = options_for("4B", "q4_0");
    struct weir_error err = {0};
    struct synth_model model;
    CHECK_OK(synth_model_init(&model, &options, &err), &err);
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        uint64_t number = 0;
        while (strcmp(model.tensors[number].name, expected[i].name) != 0)
            number++;
        const struct synth_tensor *tensor = &model.tensors[number];
        const uint64_t count = synth_tensor_blocks(tensor);
        float *values = malloc(count * sizeof *values);
        CHECK(values != NULL);
        synth_fill(tensor, rng_key(1, number), 0, count, (uint8_t *)values);
        const struct moments found = moments_of_values(values, count);
        free(values);
        /* Five deviations of the estimate: 5 / sqrt(n) of the mean, 5 / sqrt(2 n) of the rest. */
        const double slack = 5 * expected[i].deviation / sqrt((double)count);
        CHECK(fabs(found.mean - expected[i].mean) < slack);
        CHECK(fabs(found.deviation - expected[i].deviation) < slack / sqrt(2));
        CHECK(found.low >= expected[i].low && found.high <= expected[i].high);
    }
    synth_model_release(&model);
}

/* The deviation that blocks of random bits have, over the one asked for. With F = 1 + 1/48 for the
 * scales (the mean square of 0.75 to 1.25), codes q, inner scales s and inner mins m, all uniform:
 *   q4_0  sqrt(F E[(q - 8)^2] - 1/4) / 4.6
 *   q4_k  sqrt(F (Var[s q] + 7.5^2 Var[m])) / (4.6 36)
 * and so on. A sample of 131072 values strays by up to 4%: the scales of 512 blocks of 256 make the
 * variance uncertain by 1.3%, and their inner scales by 1%, of which five times is 8%, 4% of its
 * root. */
TEST(synth_values_have_the_deviation)
{
    static const struct {
        const char *type;
        double ratio, mean;
    } expected[] = {
        {"f32", 1, 0},          {"f16", 1, 0},
        {"bf16", 1, 0},         {"q4_0", 1.0126, -0.109},
        {"q4_1", 1.0125, 0},    {"q5_0", 1.0140, -0.054},
        {"q5_1", 1.0140, 0},    {"q8_0", 1.0145, 0},
        {"q2_k", 1.1682, 0},    {"q3_k", 1.0577, 0},
        {"q4_k", 1.5760, 0},    {"q5_k", 1.6074, 0},
        {"q6_k", 1.0217, 0},    {"iq4_nl", 0.9698, -0.084},
        {"iq4_xs", 0.9994, 0},  {"iq3_s", 1.0078, 0},
        {"iq3_xxs", 1.0091, 0}, {"iq2_s", 1.0153, 0},
        {"iq2_xs", 1.0147, 0},  {"iq2_xxs", 1.0148, 0},
        {"iq1_s", 1.0137, 0},
    };
    for (size_t i = 0; i < sizeof expected / sizeof *expected; i++) {
        CHECK_TEXT(weir_synth_types()[i], expected[i].type);
        const struct weir_synth_options options = options_for("tiny", expected[i].type);
        struct gguf *gguf = synth_and_open(test_scratch("values.gguf"), &options);
        const struct moments up = moments_of(gguf, "blk.0.ffn_up.weight");
        const struct moments embedding = moments_of(gguf, "token_embd.weight");
        gguf_close(gguf);
        const double ratio = expected[i].ratio, asked = 1 / sqrt(256);
        if (fabs(up.deviation / asked - ratio) > 0.04 * ratio ||
            fabs(embedding.deviation / 0.05 - ratio) > 0.04 * ratio ||
            fabs(up.mean / asked - expected[i].mean) > 0.02)
            test_fail(__FILE__, __LINE__, "%s: deviations %g and %g, mean %g", expected[i].type,
                      up.deviation / asked, embedding.deviation / 0.05, up.mean / asked);
    }
    CHECK(weir_synth_types()[sizeof expected / sizeof *expected] == NULL);
}

TEST(synth_floats_are_normal)
{
    const struct weir_synth_options options = options_for("tiny", "f32");
    struct gguf *gguf = synth_and_open(test_scratch("normal.gguf"), &options);
    const struct moments moments = moments_of(gguf, "token_embd.weight");
    gguf_close(gguf);
    /* Of 262144 values: five times 0.0020 for the mean, 0.0014 for the deviation, and sqrt(24 / n),
     * 0.0096, for the kurtosis, which is -0.031 by construction. */
    CHECK(fabs(moments.mean / 0.05) < 0.01);
    CHECK(fabs(moments.deviation / 0.05 - 1) < 0.007);
    CHECK(fabs(moments.kurtosis + 0.031) < 0.05);
    CHECK(moments.high > 0.05 * 3.9 && moments.high < 0.05 * 8.3);
    CHECK(moments.low < -0.05 * 3.9 && moments.low > -0.05 * 8.3);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* The files in a folder of the scratch folder, made if it is not there. */
static const char *folder_make(const char *name)
{
    const char *folder = test_scratch(name);
    mkdir(folder, 0700);
    return folder;
}

static int folder_count(const char *folder)
{
    DIR *entries = opendir(folder);
    CHECK(entries != NULL);
    int count = 0;
    for (const struct dirent *entry = readdir(entries); entry != NULL; entry = readdir(entries))
        count += entry->d_name[0] != '.';
    closedir(entries);
    return count;
}

/* The types of a mixture are those that weir quantize gives the same model in BF16. */
TEST(synth_mixtures_are_those_of_quantize)
{
    static const char *const sizes[] = {"tiny", "tinymoe", "tinynext"};
    static const char *const mixtures[] = {"Q4_K_M", "q5_k_m", "Q3_K_L", "Q4_K_H", "iq3_m"};
    enum { SIZES = 3, MIXTURES = sizeof mixtures / sizeof mixtures[0] };
    for (int i = 0; i < SIZES * MIXTURES; i++) {
        struct weir_synth_options options = {
            .size = sizes[i % SIZES], .type = "bf16", .mtp = i % 2 == 0, .f32_gates = i == 3};
        struct weir_quantize_options quantize;
        struct quantize_plan plan;
        struct weir_error err = {0};
        char *source = strdup(test_scratch("synth-source.gguf"));
        char *mixed = strdup(test_scratch("synth-mixed.gguf"));
        struct gguf *gguf;
        uint32_t file_type = 0;
        weir_quantize_options_init(&quantize);
        CHECK_OK(weir_synth(source, &options, &err), &err);
        options.type = mixtures[i / SIZES];
        CHECK_OK(weir_synth(mixed, &options, &err), &err);
        CHECK_OK(quantize_plan_open(&plan, source, options.type, &quantize, &err), &err);
        CHECK_OK(gguf_open(&gguf, mixed, &err), &err);
        CHECK_INT(gguf->tensor_count, plan.count);
        for (uint64_t k = 0; k < plan.count; k++) {
            const struct gguf_tensor *tensor = gguf_find_tensor(gguf, plan.rows[k].tensor->name);
            const bool is_gate = options.f32_gates && strstr(tensor->name, ".ssm_") != NULL &&
                                 plan.rows[k].tensor->dtype == DTYPE_F32;
            if (tensor->dtype != (is_gate ? DTYPE_F32 : plan.rows[k].dtype))
                test_fail(__FILE__, __LINE__, "%s of %s %s is %s, expected %s", tensor->name,
                          options.size, options.type, dtype_info(tensor->dtype)->name,
                          dtype_info(plan.rows[k].dtype)->name);
        }
        CHECK_OK(gguf_get_u32(gguf, "general.file_type", &file_type, &err), &err);
        CHECK_INT(file_type, plan.recipe->file_type);
        gguf_close(gguf);
        quantize_plan_close(&plan);
        free(source);
        free(mixed);
    }
}

TEST(synth_refuses_options)
{
    static const struct {
        struct weir_synth_options options;
        const char *text;
    } bad[] = {
        {{.size = "1B", .type = "q4_0"},
         "unknown size \"1B\", expected one of nano, nanomoe, tiny"},
        {{.size = NULL, .type = "q4_0"}, "unknown size \"\""},
        {{.size = "nano", .type = "q9_9"}, "unknown type \"q9_9\", expected one of f32, f16, bf16"},
        {{.size = "nano", .type = "15"}, "or a mixture as q4_k_m"},
        {{.size = "nano", .type = "copy"}, "or a mixture as q4_k_m"},
        {{.size = "tinymoe", .type = "mxfp4_moe"}, "of type MXFP4, of which no model can be made"},
        {{.size = "tiny", .type = "mxfp4"}, "of type MXFP4, of which no model can be made"},
        {{.size = "tiny", .type = "nvfp4"}, "unknown type \"nvfp4\", expected one of f32, f16"},
        {{.size = "tiny", .type = "iq1_m"}, "of type IQ1_M, of which no model can be made"},
        {{.size = "nano", .type = "f32", .output_type = "x"}, "unknown output type \"x\""},
        {{.size = "tiny", .type = "f32", .output_type = "nvfp4"}, "unknown output type \"nvfp4\""},
        {{.size = "nano", .type = "f32", .layers = 6}, "layers are 6, expected a multiple of 4"},
        {{.size = "nano", .type = "f32", .layers = 512},
         "layers are 512, expected a multiple of 4"},
        {{.size = "nano", .type = "f32", .vocab = 964}, "vocabulary of 964 tokens, expected 965"},
        {{.size = "nano", .type = "f32", .vocab = 1u << 31}, "vocabulary of 2147483648 tokens"},
        {{.size = "nano", .type = "q4_k"},
         "size nano cannot have type q4_k: token_embd.weight has rows of 64, blocks are of 256"},
    };
    const char *folder = folder_make("synth-refused");
    char path[4200];
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct weir_error err = {0};
        CHECK_INT(weir_synth(path, &bad[i].options, &err), WEIR_ERR_ARGUMENT);
        if (strstr(err.text, bad[i].text) == NULL)
            test_fail(__FILE__, __LINE__, "\"%s\" is not \"%s\"", err.text, bad[i].text);
    }
    CHECK_INT(folder_count(folder), 0);
}

TEST(synth_smallest_vocabulary)
{
    struct weir_synth_options options = options_for("nano", "q4_0");
    options.vocab = 965;
    struct gguf *gguf = synth_and_open(test_scratch("small.gguf"), &options);
    CHECK_INT(gguf_find(gguf, "tokenizer.ggml.tokens")->count, 965);
    gguf_close(gguf);
}

struct progress {
    uint64_t calls, calls_max, done, total;
};

static bool count_progress(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    struct progress *progress = user;
    CHECK(stage == WEIR_STAGE_WRITE && done >= progress->done && done <= total);
    progress->done = done;
    progress->total = total;
    return ++progress->calls < progress->calls_max;
}

TEST(synth_cancelled_leaves_nothing)
{
    const char *folder = folder_make("cancelled");
    char path[4200];
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    struct progress progress = {.calls_max = 9};
    struct weir_synth_options options = options_for("nano", "q4_0");
    options.progress = count_progress;
    options.progress_user = &progress;
    struct weir_error err = {0};
    CHECK_INT(weir_synth(path, &options, &err), WEIR_ERR_CANCELLED);
    CHECK_INT(progress.calls, 9);
    CHECK_INT(folder_count(folder), 0);
    progress = (struct progress){.calls_max = UINT64_MAX};
    err = (struct weir_error){0};
    CHECK_OK(weir_synth(path, &options, &err), &err);
    CHECK(progress.done == progress.total && progress.total > 0);
    CHECK_INT(folder_count(folder), 1);
}

TEST(synth_unwritable_leaves_nothing)
{
    const struct weir_synth_options options = options_for("nano", "q4_0");
    struct weir_error err = {0};
    const char *path = test_scratch("absent/m.gguf");
    CHECK_INT(weir_synth(path, &options, &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "cannot create") != NULL);
    const char *folder = folder_make("unwritable");
    CHECK_INT(weir_synth(folder, &options, NULL), WEIR_ERR_IO); /* a folder stands there */
    CHECK_INT(folder_count(folder), 0);
    CHECK_INT(program_count_files(folder), 1); /* itself */
}

TEST(synth_without_space_leaves_nothing)
{
    const char *folder = folder_make("full");
    char path[4200];
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    struct progress progress = {.calls_max = 1}; /* cancels, should the space be there after all */
    struct weir_synth_options options = options_for("397B-A17B", "f32");
    options.progress = count_progress;
    options.progress_user = &progress;
    if (file_space(path) > UINT64_C(1600000000000))
        test_skip("the disk has room for 1.6 TB");
    struct weir_error err = {0};
    CHECK_INT(weir_synth(path, &options, &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "needs 15853") != NULL);
    CHECK_INT(progress.calls, 0);
    CHECK_INT(folder_count(folder), 0);
}

/* A disk that fills up while the file is written, by way of the limit on the size of files. */
TEST(synth_failed_write_leaves_nothing)
{
    const char *folder = folder_make("limited");
    char path[4200];
    snprintf(path, sizeof path, "%s/m.gguf", folder);
    const struct weir_synth_options options = options_for("nano", "q4_0");
    struct rlimit before;
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &before), 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    struct weir_error err = {0};
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &(struct rlimit){65536, before.rlim_max}), 0);
    const enum weir_status status = weir_synth(path, &options, &err);
    CHECK_INT(setrlimit(RLIMIT_FSIZE, &before), 0);
    signal(SIGXFSZ, handler);
    CHECK_INT(status, WEIR_ERR_IO);
    CHECK(strstr(err.text, "cannot write") != NULL);
    CHECK_INT(folder_count(folder), 0);
}
