/* SPDX-License-Identifier: MIT
 * Tests of mixtures on the shapes of public models. Run alone: build/tests/weir-test recipe_ */
#include "quant/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/synth.h"
#include "test.h"

/* ---- models on paper ------------------------------------------------------------------------- */

/* The tensors of a made-up model as a file would hold them. */
struct paper {
    struct gguf_tensor *tensors;
    struct recipe_item *items;
    uint64_t count;
    struct recipe_request request;
};

static void paper_describe(struct paper *paper, const struct synth_model *model)
{
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        const struct synth_tensor *from = &model->tensors[i];
        struct gguf_tensor *to = &paper->tensors[i];
        memcpy(to->name, from->name, sizeof to->name);
        to->dtype = from->type->dtype;
        to->dims = from->dims;
        for (uint32_t d = 0; d < GGUF_DIMS_MAX; d++)
            to->ne[d] = d < from->dims ? from->ne[d] : 1;
    }
    recipe_items(paper->items, paper->tensors, paper->count);
    paper->request = (struct recipe_request){
        .blocks = model->blocks,
        .gqa = model->size->heads / model->size->heads_kv,
        .experts = model->size->experts,
        .output_type = DTYPE_COUNT,
        .embedding_type = DTYPE_COUNT,
    };
}

static struct paper paper_make(const char *size, uint32_t layers, bool mtp)
{
    struct weir_synth_options options;
    struct weir_error err = {0};
    struct synth_model model;
    weir_synth_options_init(&options);
    options.size = size;
    options.type = "f32";
    options.layers = layers;
    options.mtp = mtp;
    CHECK_OK(synth_model_init(&model, &options, &err), &err);
    struct paper paper = {.count = model.tensor_count};
    paper.tensors = calloc(paper.count, sizeof *paper.tensors);
    paper.items = calloc(paper.count, sizeof *paper.items);
    CHECK(paper.tensors != NULL && paper.items != NULL);
    paper_describe(&paper, &model);
    synth_model_release(&model);
    return paper;
}

static void paper_free(struct paper *paper)
{
    free(paper->tensors);
    free(paper->items);
}

static void paper_choose(struct paper *paper, const char *recipe)
{
    struct weir_error err = {0};
    paper->request.recipe = recipe_find(recipe);
    CHECK(paper->request.recipe != NULL);
    recipe_items(paper->items, paper->tensors, paper->count);
    CHECK_OK(recipe_choose(&paper->request, paper->items, paper->count, &err), &err);
}

static const char *type_of(const struct paper *paper, const char *name)
{
    for (uint64_t i = 0; i < paper->count; i++) {
        if (strcmp(paper->items[i].tensor->name, name) == 0)
            return dtype_info(paper->items[i].dtype)->name;
    }
    return "absent";
}

/* Bytes of all tensors in a file. */
static uint64_t bytes_of(const struct paper *paper)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < paper->count; i++) {
        const struct gguf_tensor *tensor = paper->items[i].tensor;
        const uint64_t rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
        bytes += size_align(dtype_row_bytes(paper->items[i].dtype, tensor->ne[0]) * rows, 32);
    }
    return bytes;
}

/* ---- the table ------------------------------------------------------------------------------- */

TEST(recipe_names)
{
    CHECK_TEXT(recipe_find("q4_k_m")->name, "Q4_K_M");
    CHECK_TEXT(recipe_find("Q4_K")->name, "Q4_K_M");
    CHECK_TEXT(recipe_find("Q3_K")->name, "Q3_K_M");
    CHECK_TEXT(recipe_find("q5_k")->name, "Q5_K_M");
    CHECK_TEXT(recipe_find("15")->name, "Q4_K_M");
    CHECK_TEXT(recipe_find("0")->name, "F32");
    CHECK(recipe_find("4") == NULL);
    CHECK(recipe_find("-1") == NULL);
    CHECK(recipe_find("") == NULL);
    CHECK(recipe_find("Q4_K_X") == NULL);
    CHECK_INT(recipe_find("Q4_K_H")->file_type, 15);
    CHECK_INT(recipe_find("copy")->file_type, -1);
    CHECK_TEXT(weir_quantize_type_name("q4_k"), "Q4_K");
    CHECK_TEXT(recipe_find("mxfp4")->name, "MXFP4_MOE");
    CHECK_TEXT(weir_quantize_type_name("15"), "Q4_K_M");
    CHECK_TEXT(weir_quantize_type_name("iq1_s"), "IQ1_S");
    CHECK(weir_quantize_type_name("4") == NULL);
}

/* gguf.md 4.1; what only a converter writes (NVFP4) is no recipe. */
TEST(recipe_file_types)
{
    static const struct {
        int id;
        const char *name, *type;
    } known[] = {
        {0, "F32", "F32"},        {1, "F16", "F16"},          {2, "Q4_0", "Q4_0"},
        {3, "Q4_1", "Q4_1"},      {7, "Q8_0", "Q8_0"},        {8, "Q5_0", "Q5_0"},
        {9, "Q5_1", "Q5_1"},      {10, "Q2_K", "Q2_K"},       {11, "Q3_K_S", "Q3_K"},
        {12, "Q3_K_M", "Q3_K"},   {13, "Q3_K_L", "Q3_K"},     {14, "Q4_K_S", "Q4_K"},
        {15, "Q4_K_M", "Q4_K"},   {16, "Q5_K_S", "Q5_K"},     {17, "Q5_K_M", "Q5_K"},
        {18, "Q6_K", "Q6_K"},     {19, "IQ2_XXS", "IQ2_XXS"}, {20, "IQ2_XS", "IQ2_XS"},
        {21, "Q2_K_S", "Q2_K"},   {22, "IQ3_XS", "IQ3_S"},    {23, "IQ3_XXS", "IQ3_XXS"},
        {24, "IQ1_S", "IQ1_S"},   {25, "IQ4_NL", "IQ4_NL"},   {26, "IQ3_S", "IQ3_S"},
        {27, "IQ3_M", "IQ3_S"},   {28, "IQ2_S", "IQ2_XS"},    {29, "IQ2_M", "IQ2_S"},
        {30, "IQ4_XS", "IQ4_XS"}, {31, "IQ1_M", "IQ1_M"},     {32, "BF16", "BF16"},
        {36, "TQ1_0", "TQ1_0"},   {37, "TQ2_0", "TQ2_0"},     {38, "MXFP4_MOE", "MXFP4"},
        {40, "Q1_0", "Q1_0"},     {41, "Q2_0", "Q2_0"},
    };
    size_t count;
    recipe_list(&count);
    CHECK_INT(count, sizeof known / sizeof *known + 2); /* Q4_K_H and COPY */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const struct recipe *recipe = recipe_find(known[i].name);
        CHECK(recipe != NULL);
        CHECK_INT(recipe->file_type, known[i].id);
        CHECK_TEXT(dtype_info(recipe->dtype)->name, known[i].type);
    }
}

TEST(recipe_order_of_the_file)
{
    struct paper paper = paper_make("9B", 12, true);
    static const char *const first[] = {"output.weight",          "output_norm.weight",
                                        "token_embd.weight",      "blk.0.attn_gate.weight",
                                        "blk.0.attn_norm.weight", "blk.0.attn_qkv.weight"};
    for (int i = 0; i < 6; i++)
        CHECK_TEXT(paper.items[i].tensor->name, first[i]);
    int32_t layer = -1;
    for (uint64_t i = 0; i < paper.count; i++) {
        CHECK(paper.items[i].layer >= layer);
        layer = paper.items[i].layer;
    }
    CHECK_INT(layer, 12);
    paper_free(&paper);
}

/* gguf.md 4.2. */
TEST(recipe_leaves_the_small_tensors)
{
    struct paper paper = paper_make("tinymoe", 0, true);
    paper_choose(&paper, "Q8_0");
    static const char *const kept[] = {"output_norm.weight",
                                       "blk.0.attn_norm.weight",
                                       "blk.0.ssm_conv1d.weight",
                                       "blk.0.ssm_a",
                                       "blk.0.ssm_dt.bias",
                                       "blk.0.ssm_norm.weight",
                                       "blk.0.ffn_gate_inp.weight",
                                       "blk.3.attn_q_norm.weight",
                                       "blk.3.attn_k_norm.weight",
                                       "blk.0.ffn_gate_inp_shexp.weight",
                                       "blk.4.nextn.enorm.weight",
                                       "blk.4.nextn.shared_head_norm.weight",
                                       "blk.0.post_attention_norm.weight"};
    static const char *const quantized[] = {
        "blk.0.ssm_alpha.weight",     "blk.0.ssm_beta.weight",
        "blk.0.ssm_out.weight",       "blk.0.attn_gate.weight",
        "blk.4.nextn.eh_proj.weight", "blk.0.ffn_gate_exps.weight",
        "token_embd.weight",          "output.weight",
        "blk.0.attn_qkv.weight"};
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        CHECK_TEXT(type_of(&paper, kept[i]), "F32");
    for (size_t i = 0; i < sizeof quantized / sizeof *quantized; i++)
        CHECK_TEXT(type_of(&paper, quantized[i]), "Q8_0");
    paper_choose(&paper, "COPY");
    for (size_t i = 0; i < sizeof quantized / sizeof *quantized; i++)
        CHECK_TEXT(type_of(&paper, quantized[i]), "F32");
    paper_free(&paper);
}

/* ---- known results --------------------------------------------------------------------------- */

/* "0-2, 5, 8": is the layer in the list? */
static bool listed(const char *list, long layer)
{
    while (*list != 0) {
        char *end;
        const long first = strtol(list, &end, 10);
        const long last = *end == '-' ? strtol(end + 1, &end, 10) : first;
        if (layer >= first && layer <= last)
            return true;
        list = end + strspn(end, ", ");
    }
    return false;
}

static void check_layers(const struct paper *paper, const char *part, const char *type,
                         const char *list)
{
    uint64_t found = 0;
    for (uint64_t i = 0; i < paper->count; i++) {
        const struct recipe_item *item = &paper->items[i];
        if (strstr(item->tensor->name, part) == NULL)
            continue;
        found++;
        const bool is_type = strcmp(dtype_info(item->dtype)->name, type) == 0;
        if (is_type != listed(list, item->layer))
            test_fail(__FILE__, __LINE__, "%s of %u layers is %s", item->tensor->name,
                      paper->request.blocks, dtype_info(item->dtype)->name);
    }
    CHECK(found > 0);
}

#define MORE_24 "0-2, 5, 8, 11, 14, 17, 20, 21-23"
#define MORE_32 "0-3, 6, 9, 12, 15, 18, 21, 24, 27, 28-31"
#define MORE_40 "0-4, 7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 35-39"
#define MORE_48 "0-5, 8, 11, 14, 17, 20, 23, 26, 29, 32, 35, 38, 41, 42-47"
#define MORE_60 "0-6, 9, 12, 15, 18, 21, 24, 27, 30, 33, 36, 39, 42, 45, 48, 51, "
#define MORE_64 "0-7, 10, 13, 16, 19, 22, 25, 28, 31, 34, 37, 40, 43, 46, 49, 52, 55, 56-63"

static const struct {
    uint32_t blocks;
    const char *more;
    const char *eighth, *sixteenth;
} known_layers[] = {
    {24, MORE_24, "0-2", "0"},           {25, MORE_24 ", 24", "0-2", "0"},
    {32, MORE_32, "0-3", "0-1"},         {33, MORE_32 ", 32", "0-3", "0-1"},
    {40, MORE_40, "0-4", "0-1"},         {41, MORE_40 ", 40", "0-4", "0-1"},
    {48, MORE_48, "0-5", "0-2"},         {49, MORE_48 ", 48", "0-5", "0-2"},
    {60, MORE_60 "52-59", "0-6", "0-2"}, {61, MORE_60 "53-60", "0-6", "0-2"},
    {64, MORE_64, "0-7", "0-3"},         {65, MORE_64 ", 64", "0-7", "0-3"},
};

TEST(recipe_layers_of_known_depths)
{
    static const char *const sizes[] = {"9B", "35B-A3B"};
    for (size_t i = 0; i < 2 * sizeof known_layers / sizeof *known_layers; i++) {
        const uint32_t blocks = known_layers[i / 2].blocks;
        struct paper paper = paper_make(sizes[i % 2], blocks / 4 * 4, blocks % 4 != 0);
        CHECK_INT(paper.request.blocks, blocks);
        paper_choose(&paper, "Q4_K_M");
        check_layers(&paper, "ffn_down", "Q6_K", known_layers[i / 2].more);
        check_layers(&paper, "attn_qkv", "Q6_K", known_layers[i / 2].more);
        check_layers(&paper, "attn_v", "Q6_K", known_layers[i / 2].more);
        paper_choose(&paper, "Q5_K_M");
        check_layers(&paper, "ffn_down", "Q6_K", known_layers[i / 2].more);
        paper_choose(&paper, "Q4_K_S");
        check_layers(&paper, "ffn_down", "Q5_K", known_layers[i / 2].eighth);
        check_layers(&paper, "attn_qkv", "Q5_K", "0-2");
        check_layers(&paper, "attn_v", "Q5_K", "3");
        paper_choose(&paper, "Q3_K_M");
        check_layers(&paper, "ffn_down", "Q5_K", known_layers[i / 2].sixteenth);
        paper_free(&paper);
    }
}

/* The summary of gguf.md 4.4: layer 0 is in every set of layers, layer 4 in none. */
TEST(recipe_summary_of_common_types)
{
    static const struct {
        const char *recipe, *head, *embedding, *qkv[2], *down[2], *other;
    } rows[] = {
        {"BF16", "BF16", "BF16", {"BF16", "BF16"}, {"BF16", "BF16"}, "BF16"},
        {"Q8_0", "Q8_0", "Q8_0", {"Q8_0", "Q8_0"}, {"Q8_0", "Q8_0"}, "Q8_0"},
        {"Q6_K", "Q6_K", "Q6_K", {"Q6_K", "Q6_K"}, {"Q6_K", "Q6_K"}, "Q6_K"},
        {"Q5_K_M", "Q6_K", "Q5_K", {"Q6_K", "Q5_K"}, {"Q6_K", "Q5_K"}, "Q5_K"},
        {"Q4_K_M", "Q6_K", "Q4_K", {"Q6_K", "Q4_K"}, {"Q6_K", "Q4_K"}, "Q4_K"},
        {"Q4_K_S", "Q6_K", "Q4_K", {"Q5_K", "Q4_K"}, {"Q5_K", "Q4_K"}, "Q4_K"},
        {"Q4_0", "Q6_K", "Q4_0", {"Q4_0", "Q4_0"}, {"Q4_0", "Q4_0"}, "Q4_0"},
        {"IQ4_XS", "Q6_K", "IQ4_XS", {"Q5_K", "Q5_K"}, {"Q5_K", "IQ4_XS"}, "IQ4_XS"},
        {"Q2_K", "Q6_K", "Q2_K", {"Q4_K", "Q4_K"}, {"Q3_K", "Q3_K"}, "Q2_K"},
        {"IQ2_M", "Q5_K", "IQ3_S", {"Q4_K", "Q4_K"}, {"IQ3_S", "IQ2_S"}, "IQ2_S"},
        {"IQ1_S", "Q5_K", "Q2_K", {"Q4_K", "Q4_K"}, {"Q2_K", "IQ1_S"}, "IQ1_S"},
        {"TQ2_0", "Q6_K", "Q4_K", {"TQ2_0", "TQ2_0"}, {"TQ2_0", "TQ2_0"}, "TQ2_0"},
    };
    struct paper paper = paper_make("9B", 0, false);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        paper_choose(&paper, rows[i].recipe);
        CHECK_TEXT(type_of(&paper, "output.weight"), rows[i].head);
        CHECK_TEXT(type_of(&paper, "token_embd.weight"), rows[i].embedding);
        CHECK_TEXT(type_of(&paper, "blk.0.attn_qkv.weight"), rows[i].qkv[0]);
        CHECK_TEXT(type_of(&paper, "blk.4.attn_qkv.weight"), rows[i].qkv[1]);
        CHECK_TEXT(type_of(&paper, "blk.0.ffn_down.weight"), rows[i].down[0]);
        CHECK_TEXT(type_of(&paper, "blk.4.ffn_down.weight"), rows[i].down[1]);
        CHECK_TEXT(type_of(&paper, "blk.4.ssm_out.weight"), rows[i].other);
        CHECK_TEXT(type_of(&paper, "blk.4.ffn_up.weight"), rows[i].other);
    }
    paper_free(&paper);
}

TEST(recipe_mxfp4_is_for_experts)
{
    struct paper paper = paper_make("35B-A3B", 0, false);
    paper_choose(&paper, "MXFP4_MOE");
    check_layers(&paper, "_exps", "MXFP4", "0-39");
    check_layers(&paper, "ffn_up_shexp", "Q8_0", "0-39");
    CHECK_TEXT(type_of(&paper, "output.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "blk.0.ssm_out.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "blk.0.ffn_gate_inp_shexp.weight"), "F32");
    paper_free(&paper);
}

/* The sizes of public files of one 9B model (huggingface.co/khtsly/Mini-Coder-GGUF), which
 * llama-quantize made: what a file has besides its tensors is the same in all. */
TEST(recipe_sizes_of_public_files)
{
    static const struct {
        const char *recipe;
        uint64_t bytes;
    } files[] = {
        {"Q4_K_S", 5351629312}, {"Q4_K_M", 5629108736}, {"Q5_K_S", 6305309184},
        {"Q5_K_M", 6467969536}, {"Q6_K", 7359259136},   {"Q8_0", 9527501312},
    };
    struct paper paper = paper_make("9B", 0, false);
    paper_choose(&paper, files[0].recipe);
    const uint64_t besides = files[0].bytes - bytes_of(&paper);
    CHECK(besides < 16 << 20);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        paper_choose(&paper, files[i].recipe);
        CHECK_INT(bytes_of(&paper) + besides, files[i].bytes);
    }
    paper_free(&paper);
}

/* ---- conditions ------------------------------------------------------------------------------ */

TEST(recipe_few_heads_share_a_key)
{
    struct paper paper = paper_make("9B", 0, false);
    static const struct {
        const char *recipe, *many, *few;
    } rows[] = {{"Q2_K", "Q4_K", "Q3_K"},     {"IQ4_XS", "Q5_K", "IQ4_XS"},
                {"IQ3_S", "Q4_K", "IQ3_S"},   {"IQ2_S", "Q4_K", "IQ3_S"},
                {"IQ3_XXS", "Q4_K", "IQ3_S"}, {"Q2_K_S", "Q4_K", "Q2_K"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        paper.request.gqa = 4;
        paper_choose(&paper, rows[i].recipe);
        CHECK_TEXT(type_of(&paper, "blk.3.attn_v.weight"), rows[i].many);
        paper.request.gqa = 3;
        paper_choose(&paper, rows[i].recipe);
        CHECK_TEXT(type_of(&paper, "blk.3.attn_v.weight"), rows[i].few);
    }
    paper_free(&paper);
}

TEST(recipe_with_an_importance_matrix)
{
    struct paper paper = paper_make("9B", 0, false);
    static const struct {
        const char *recipe, *without[2], *with[2];
    } rows[] = {
        {"Q4_0", {"Q4_0", "Q4_0"}, {"Q4_1", "Q4_0"}},
        {"Q5_0", {"Q5_0", "Q5_0"}, {"Q5_1", "Q5_0"}},
        {"IQ4_NL", {"Q5_K", "IQ4_NL"}, {"IQ4_NL", "IQ4_NL"}},
        {"IQ3_XXS", {"Q4_K", "Q3_K"}, {"IQ3_XXS", "IQ3_XXS"}},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int with = 0; with < 2; with++) {
            const char *const *types = with ? rows[i].with : rows[i].without;
            paper.request.imatrix = with;
            paper_choose(&paper, rows[i].recipe);
            CHECK_TEXT(type_of(&paper, "blk.3.ffn_down.weight"), types[0]);
            CHECK_TEXT(type_of(&paper, "blk.4.ffn_down.weight"), types[1]);
        }
    }
    paper_free(&paper);
}

TEST(recipe_middle_layers)
{
    struct paper paper = paper_make("9B", 0, false);
    paper_choose(&paper, "IQ3_XS");
    check_layers(&paper, "ffn_up", "IQ3_XXS", "4-27");
    check_layers(&paper, "ffn_gate", "IQ3_XXS", "4-27");
    check_layers(&paper, "attn_q.", "IQ3_XXS", "0-31");
    check_layers(&paper, "attn_k.", "IQ3_XXS", "0-31");
    check_layers(&paper, "ffn_down", "IQ3_S", "0-31");
    paper_free(&paper);
}

/* With eight experts some tensors get more. The number of down matrices counts, not their layer,
 * where one or two bits are left: three of a layer's. */
TEST(recipe_eight_experts)
{
    struct paper paper = paper_make("tinymoe", 16, false);
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_v.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "blk.0.attn_qkv.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_k.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_output.weight"), "Q5_K");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_q.weight"), "Q4_K");
    paper_choose(&paper, "Q3_K_L");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_output.weight"), "Q3_K");
    paper_choose(&paper, "Q2_K_S");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_output.weight"), "Q2_K");
    paper_choose(&paper, "IQ3_M");
    check_layers(&paper, "ffn_down", "Q4_K", "0-1, 4, 7, 10, 13, 14-15");
    paper_choose(&paper, "IQ2_M");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_v.weight"), "Q4_K");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_k.weight"), "Q4_K");
    CHECK_TEXT(type_of(&paper, "blk.3.attn_output.weight"), "Q5_K");
    check_layers(&paper, "ffn_down", "IQ3_S", "0");
    paper_free(&paper);
}

TEST(recipe_tied_embedding_is_the_head)
{
    struct paper paper = paper_make("0.8B", 0, false);
    CHECK_TEXT(type_of(&paper, "output.weight"), "absent");
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q6_K");
    paper_choose(&paper, "IQ2_M");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q5_K");
    paper_choose(&paper, "Q8_0");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q8_0");
    paper_free(&paper);
}

/* ---- shapes ---------------------------------------------------------------------------------- */

/* Rows of 64: no super-blocks of 256. */
TEST(recipe_rows_that_do_not_fit)
{
    struct paper paper = paper_make("nano", 0, false);
    static const struct {
        const char *recipe, *head, *other;
    } rows[] = {
        {"Q4_K_S", "Q8_0", "Q5_0"},    {"Q6_K", "Q8_0", "Q8_0"},     {"Q5_K_S", "Q8_0", "Q5_1"},
        {"IQ4_XS", "Q8_0", "IQ4_NL"},  {"IQ1_S", "Q8_0", "IQ4_NL"},  {"Q2_K", "Q8_0", "Q4_0"},
        {"IQ3_XXS", "Q8_0", "IQ4_NL"}, {"TQ1_0", "Q8_0", "Q4_0"},    {"Q4_0", "Q8_0", "Q4_0"},
        {"Q2_0", "Q8_0", "Q2_0"},      {"IQ4_NL", "Q8_0", "IQ4_NL"}, {"IQ2_S", "Q8_0", "IQ4_NL"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        paper_choose(&paper, rows[i].recipe);
        const bool super = recipe_find(rows[i].recipe)->dtype != DTYPE_Q4_0 &&
                           dtype_info(recipe_find(rows[i].recipe)->dtype)->block == 256;
        CHECK_TEXT(type_of(&paper, "blk.0.ffn_up.weight"), rows[i].other);
        if (super)
            CHECK_TEXT(type_of(&paper, "token_embd.weight"), rows[i].head);
    }
    paper_free(&paper);
}

static enum dtype choose_one(const char *recipe, const char *name, uint64_t columns,
                             enum weir_status expected, const char *text)
{
    struct weir_error err = {0};
    const struct gguf_tensor tensor = {.dtype = DTYPE_F32, .dims = 2, .ne = {columns, 4, 1, 1}};
    struct gguf_tensor named = tensor;
    struct recipe_item item;
    const struct recipe_request request = {.recipe = recipe_find(recipe),
                                           .blocks = 4,
                                           .output_type = DTYPE_COUNT,
                                           .embedding_type = DTYPE_COUNT};
    snprintf(named.name, sizeof named.name, "%s", name);
    recipe_items(&item, &named, 1);
    CHECK_INT(recipe_choose(&request, &item, 1, &err), expected);
    CHECK_TEXT(err.text, text);
    return item.dtype;
}

TEST(recipe_rows_that_fit_nothing)
{
    CHECK_INT(choose_one("Q4_K_M", "blk.0.ffn_up.weight", 100, WEIR_OK, ""), DTYPE_F16);
    CHECK_INT(choose_one("F16", "blk.0.ffn_up.weight", 100, WEIR_OK, ""), DTYPE_F16);
    choose_one("Q4_0", "blk.0.ffn_up.weight", 48, WEIR_ERR_UNSUPPORTED,
               "tensor blk.0.ffn_up.weight: rows of 48 elements are not a multiple of the block of "
               "Q4_0, 32");
    choose_one("Q4_K_M", "output.weight", 48, WEIR_ERR_UNSUPPORTED,
               "tensor output.weight: rows of 48 elements are not a multiple of the block of Q8_0, "
               "32");
}

/* ---- options --------------------------------------------------------------------------------- */

TEST(recipe_types_named_by_options)
{
    struct paper paper = paper_make("9B", 0, false);
    paper.request.output_type = DTYPE_Q8_0;
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "output.weight"), "Q8_0");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q4_K");
    paper.request.embedding_type = DTYPE_F16;
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "F16");
    paper.request.keep_output = true;
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "output.weight"), "F32");
    paper_free(&paper);

    paper = paper_make("0.8B", 0, false);
    paper.request.output_type = DTYPE_Q8_0;
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q8_0");
    paper.request.embedding_type = DTYPE_F16;
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "F16");
    paper.request.output_type = paper.request.embedding_type = DTYPE_COUNT;
    paper.request.keep_output = true;
    paper_choose(&paper, "Q4_K_M");
    CHECK_TEXT(type_of(&paper, "token_embd.weight"), "Q6_K");
    paper_free(&paper);
}

TEST(recipe_pure_is_one_type)
{
    struct paper paper = paper_make("9B", 0, false);
    paper.request.pure = true;
    paper_choose(&paper, "Q4_K_M");
    for (uint64_t i = 0; i < paper.count; i++)
        CHECK_INT(paper.items[i].dtype, paper.items[i].stays ? DTYPE_F32 : DTYPE_Q4_K);
    paper_free(&paper);
}

/* An overridden tensor is not counted: the next one takes its place in the mixture. */
TEST(recipe_overrides_are_not_counted)
{
    struct paper paper = paper_make("9B", 0, false);
    struct recipe_override overrides[2] = {{.dtype = DTYPE_Q8_0}, {.dtype = DTYPE_F16}};
    CHECK_INT(regcomp(&overrides[0].pattern, "blk\\.[01]\\.ffn_down", REG_EXTENDED | REG_NOSUB), 0);
    CHECK_INT(regcomp(&overrides[1].pattern, "ffn_(down|up)", REG_EXTENDED | REG_NOSUB), 0);
    paper.request.overrides = overrides;
    paper.request.overrides_count = 1;
    paper_choose(&paper, "Q4_K_S");
    check_layers(&paper, "ffn_down", "Q8_0", "0-1");
    check_layers(&paper, "ffn_down", "Q5_K", "2-5");
    paper.request.overrides_count = 2;
    paper_choose(&paper, "Q4_K_S");
    check_layers(&paper, "ffn_down", "Q8_0", "0-1");
    check_layers(&paper, "ffn_up", "F16", "0-31");
    paper_choose(&paper, "BF16");
    check_layers(&paper, "ffn_up", "BF16", "0-31");
    regfree(&overrides[0].pattern);
    regfree(&overrides[1].pattern);
    paper_free(&paper);
}

/* ---- our own --------------------------------------------------------------------------------- */

/* Q4_K_H takes the bytes of Q4_K_M and no more. */
TEST(recipe_hybrid_has_the_size_of_q4_k_m)
{
    static const char *const sizes[] = {"0.8B",    "2B",        "4B",        "9B",          "27B",
                                        "35B-A3B", "122B-A10B", "397B-A17B", "Next-80B-A3B"};
    for (size_t i = 0; i < 2 * sizeof sizes / sizeof *sizes; i++) {
        struct paper paper = paper_make(sizes[i / 2], 0, i % 2 == 1);
        paper_choose(&paper, "Q4_K_M");
        const uint64_t limit = bytes_of(&paper);
        paper_choose(&paper, "Q4_K_H");
        const uint64_t bytes = bytes_of(&paper);
        if (bytes > limit || (double)bytes < 0.999 * (double)limit)
            test_fail(__FILE__, __LINE__, "%s takes %llu bytes, Q4_K_M takes %llu", sizes[i / 2],
                      (unsigned long long)bytes, (unsigned long long)limit);
        check_layers(&paper, "ssm_out", "Q6_K", "0-64");
        check_layers(&paper, "attn_output", "Q6_K", "0-64");
        paper_free(&paper);
    }
}

TEST(recipe_hybrid_protects_what_suffers)
{
    struct paper paper = paper_make("27B", 0, false);
    paper_choose(&paper, "Q4_K_H");
    check_layers(&paper, "ssm_alpha", "Q8_0", "0-63");
    check_layers(&paper, "ssm_beta", "Q8_0", "0-63");
    check_layers(&paper, "ffn_down", "Q4_K", "0-63");
    CHECK_TEXT(type_of(&paper, "blk.0.attn_qkv.weight"), "Q6_K");
    CHECK_TEXT(type_of(&paper, "blk.8.attn_qkv.weight"), "Q5_K");
    CHECK_TEXT(type_of(&paper, "output.weight"), "Q6_K");
    paper_free(&paper);
    paper = paper_make("35B-A3B", 0, false);
    paper_choose(&paper, "Q4_K_H");
    check_layers(&paper, "attn_qkv", "Q6_K", "0-39");
    check_layers(&paper, "ffn_down_shexp", "Q6_K", "0-39");
    check_layers(&paper, "ffn_down_exps", "Q5_K", "0-39");
    paper_free(&paper);
}

/* ---- printing -------------------------------------------------------------------------------- */

struct text {
    char data[8192];
    size_t length;
};

static void text_put(void *user, const char *data, size_t length)
{
    struct text *text = user;
    CHECK(text->length + length < sizeof text->data);
    memcpy(text->data + text->length, data, length);
    text->length += length;
}

TEST(recipe_prints_its_rules)
{
    struct text text = {.length = 0};
    recipe_print(recipe_find("Q4_K_M"), (struct printer){text_put, &text});
    CHECK(strstr(text.data, "\n  Q6_K     attn_qkv, attn_kv_b, attn_v, ") != NULL);
    CHECK(strstr(text.data, ": first and last eighth of the layers, and every third between\n") !=
          NULL);
    CHECK(strstr(text.data, "\n  Q4_K     all others\n") != NULL);
    CHECK(strstr(text.data, "\n  Q5_0     in place of Q4_K\n") != NULL);
    size_t count;
    const struct recipe *recipes = recipe_list(&count);
    for (size_t i = 0; i < count; i++) {
        memset(&text, 0, sizeof text);
        recipe_print(&recipes[i], (struct printer){text_put, &text});
        CHECK(strncmp(text.data, recipes[i].name, strlen(recipes[i].name)) == 0);
        for (const char *line = text.data; *line != 0; line += strcspn(line, "\n") + 1)
            CHECK(strcspn(line, "\n") < 140);
    }
}

/* What the list of types says of a 9B model. */
TEST(recipe_summaries_are_true)
{
    struct paper paper = paper_make("9B", 0, false);
    uint64_t elements = 0;
    for (uint64_t i = 0; i < paper.count; i++)
        elements += paper.tensors[i].ne[0] * paper.tensors[i].ne[1];
    size_t count;
    const struct recipe *recipes = recipe_list(&count);
    for (size_t i = 0; i < count; i++) {
        if (recipes[i].dtype == DTYPE_COUNT)
            continue;
        paper.request.imatrix = strstr(recipes[i].summary, "with an importance") != NULL;
        paper_choose(&paper, recipes[i].name);
        char bits[16];
        snprintf(bits, sizeof bits, "%5.2f bits",
                 8.0 * (double)bytes_of(&paper) / (double)elements);
        if (strncmp(recipes[i].summary, bits, 10) != 0)
            test_fail(__FILE__, __LINE__, "%s has %s, not %.10s", recipes[i].name, bits,
                      recipes[i].summary);
    }
    paper_free(&paper);
}
