/* SPDX-License-Identifier: MIT
 * Files of models with experts, grouped heads and MTP blocks that are refused, and what is said.
 * Run alone: build/tests/weir-test architectures_ */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fixture.h"
#include "golden/variants.h"

#define NANO    test_data("golden/nano-f32.gguf")
#define NANOMOE test_data("golden/nanomoe-f32.gguf")

/* ---- keys ------------------------------------------------------------------------------------ */

TEST(architectures_refuse_keys_of_experts)
{
    static const struct {
        const char *entry;
        enum weir_status status;
        const char *text;
    } cases[] = {
        {"general.architecture=str:qwen3moe", WEIR_ERR_UNSUPPORTED,
         "architecture \"qwen3moe\" is not supported, expected qwen35, qwen35moe or qwen3next"},
        {"qwen35moe.expert_used_count=int:9", WEIR_ERR_FORMAT,
         "expert_used_count is 9, expected at most expert_count 8"},
        {"qwen35moe.expert_used_count=int:0", WEIR_ERR_FORMAT,
         "key qwen35moe.expert_used_count is 0, expected 1 to 4096"},
        {"qwen35moe.expert_count=int:0", WEIR_ERR_FORMAT,
         "key qwen35moe.expert_count is 0, expected 1 to 4096"},
        {"qwen35moe.expert_count=int:4097", WEIR_ERR_FORMAT,
         "key qwen35moe.expert_count is 4097, expected 1 to 4096"},
        {"qwen35moe.expert_count=int:7", WEIR_ERR_FORMAT,
         "tensor blk.0.ffn_gate_inp.weight has shape [64, 8], expected [64, 7]"},
        {"qwen35moe.expert_group_count=int:2", WEIR_ERR_UNSUPPORTED,
         "expert_group_count is 2, expected 0 or 1"},
        {"qwen35moe.expert_feed_forward_length=int:0", WEIR_ERR_FORMAT,
         "experts of width 0 and a shared one of 32, expected 1 to 2^24"},
        {"qwen35moe.expert_feed_forward_length=int:16777217", WEIR_ERR_FORMAT,
         "experts of width 16777217 and a shared one of 32, expected 1 to 2^24"},
        {"qwen35moe.expert_shared_feed_forward_length=int:0", WEIR_ERR_FORMAT,
         "experts of width 32 and a shared one of 0, expected 1 to 2^24"},
        {"qwen35moe.expert_feed_forward_length=int:31", WEIR_ERR_FORMAT,
         "tensor blk.0.ffn_gate_exps.weight has shape [64, 32, 8], expected [64, 31, 8]"},
        {"qwen35moe.expert_shared_feed_forward_length=int:33", WEIR_ERR_FORMAT,
         "tensor blk.0.ffn_gate_shexp.weight has shape [64, 32], expected [64, 33]"},
        {"qwen35moe.nextn_predict_layers=int:2", WEIR_ERR_UNSUPPORTED,
         "key qwen35moe.nextn_predict_layers is 2, expected 0 or 1"},
        {"qwen35moe.nextn_predict_layers=int:5", WEIR_ERR_FORMAT,
         "key qwen35moe.nextn_predict_layers is 5, expected less than block_count 5"},
        {"qwen35moe.nextn_predict_layers=int:0", WEIR_ERR_FORMAT,
         "tensor blk.4.attn_qkv.weight is missing, expected with shape [64, 128]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fixture_check_refused(NANOMOE, &cases[i].entry, 1, NULL, cases[i].status, cases[i].text);
}

/* All experts for each row is no fault. */
TEST(architectures_take_all_experts)
{
    const char *const all = "qwen35moe.expert_used_count=int:8";
    const struct weir_model_options overrides = {.overrides = &all, .overrides_count = 1};
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture = {0};
    const int32_t token = 1;
    fixture_options(&options);
    CHECK_OK(weir_model_open(&fixture.model, NANOMOE, &overrides, &err), &err);
    CHECK_OK(weir_engine_open(&fixture.engine, fixture.model, &options, &err), &err);
    CHECK_OK(weir_session_open(&fixture.session, fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(fixture.session, &token, 1, WEIR_LOGITS_LAST, &err), &err);
    fixture_close(&fixture);
}

static void check_missing_key(const char *path, const char *key, const char *text)
{
    struct edited_model *model = edited_open(path);
    edited_drop_key(model, key);
    const char *changed = edited_write(model, "missing.gguf");
    fixture_check_refused(changed, NULL, 0, NULL, WEIR_ERR_FORMAT, text);
    edited_close(model);
}

TEST(architectures_name_missing_keys)
{
    check_missing_key(NANOMOE, "qwen35moe.expert_count", "key qwen35moe.expert_count is missing");
    check_missing_key(NANOMOE, "qwen35moe.expert_used_count",
                      "key qwen35moe.expert_used_count is missing");
    check_missing_key(NANOMOE, "qwen35moe.expert_feed_forward_length",
                      "experts of width 0 and a shared one of 32");
    check_missing_key(NANOMOE, "qwen35moe.expert_shared_feed_forward_length",
                      "experts of width 32 and a shared one of 0");
    check_missing_key(NANOMOE, "qwen35moe.rope.dimension_sections",
                      "key qwen35moe.rope.dimension_sections is missing");
    check_missing_key(NANO, "qwen35.feed_forward_length",
                      "key qwen35.feed_forward_length is missing");
}

/* Without keys of their own the experts' widths follow from the dense one, as in the models' code:
 * a share of it for each expert used, and all of it for the shared one. */
TEST(architectures_derive_the_experts_widths)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    const int32_t token = 1;
    struct edited_model *model = edited_open(NANOMOE);
    fixture_options(&options);
    edited_set(model, "qwen35moe.feed_forward_length=int:64");
    edited_drop_key(model, "qwen35moe.expert_feed_forward_length"); /* 64 / 2 experts used */
    const char *path = edited_write(model, "derived.gguf");
    fixture_open(&fixture, path, &options);
    CHECK_OK(weir_session_eval(fixture.session, &token, 1, WEIR_LOGITS_LAST, &err), &err);
    fixture_close(&fixture);
    edited_close(model);
    model = edited_open(NANOMOE);
    edited_set(model, "qwen35moe.feed_forward_length=int:32");
    edited_drop_key(model, "qwen35moe.expert_shared_feed_forward_length");
    path = edited_write(model, "derived.gguf");
    fixture_open(&fixture, path, &options);
    fixture_close(&fixture);
    edited_close(model);
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* Refuses the model at `path` when `edit` has changed it. */
static void check_edited(const char *path, void (*edit)(struct edited_model *model),
                         enum weir_status status, const char *text)
{
    struct edited_model *model = edited_open(path);
    edit(model);
    const char *changed = edited_write(model, "edited.gguf");
    fixture_check_refused(changed, NULL, 0, NULL, status, text);
    edited_close(model);
}

/* Heads of 16 in the same matrices. */
static void put_narrow_heads(struct edited_model *model)
{
    edited_set(model, "qwen35.attention.key_length=int:16");
    edited_set(model, "qwen35.attention.value_length=int:16");
    edited_set(model, "qwen35.attention.head_count=int:4");
    edited_set(model, "qwen35.attention.head_count_kv=int:2");
    for (uint32_t layer = 3; layer < 8; layer++) {
        char name[64];
        for (int i = 0; i < 2; i++) {
            snprintf(name, sizeof name, "blk.%u.attn_%c_norm.weight", layer, "qk"[i]);
            if (edited_has(model, name))
                edited_put(model, name, 16, 1, 1);
        }
    }
}

TEST(architectures_of_narrow_heads_and_caches_of_blocks)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_engine *engine;
    struct edited_model *edited = edited_open(NANO);
    put_narrow_heads(edited);
    const char *path = edited_write(edited, "narrow.gguf");
    fixture_options(&options);
    CHECK_OK(weir_model_open(&model, path, NULL, &err), &err);
    options.cache_k = WEIR_CACHE_BF16;
    CHECK_OK(weir_engine_open(&engine, model, &options, &err), &err);
    weir_engine_close(engine);
    options.cache_v = WEIR_CACHE_Q8_0;
    CHECK(weir_engine_open(&engine, model, &options, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_UNSUPPORTED,
                       "heads have a width of 16, expected a multiple of 32 for a cache of type "
                       "Q8_0");
    weir_model_close(model);
    edited_close(edited);
}

static void check_missing_tensor(const char *path, const char *name, const char *shape)
{
    char text[160];
    struct edited_model *model = edited_open(path);
    edited_drop(model, name);
    const char *changed = edited_write(model, "edited.gguf");
    snprintf(text, sizeof text, "tensor %s is missing, expected with shape %s", name, shape);
    fixture_check_refused(changed, NULL, 0, NULL, WEIR_ERR_FORMAT, text);
    edited_close(model);
}

TEST(architectures_name_missing_tensors)
{
    static const char *const experts[][2] = {
        {"blk.0.ffn_gate_inp.weight", "[64, 8]"},
        {"blk.1.ffn_gate_exps.weight", "[64, 32, 8]"},
        {"blk.2.ffn_up_exps.weight", "[64, 32, 8]"},
        {"blk.3.ffn_down_exps.weight", "[32, 64, 8]"},
        {"blk.3.ffn_gate_inp_shexp.weight", "[64]"},
        {"blk.0.ffn_gate_shexp.weight", "[64, 32]"},
        {"blk.0.ffn_up_shexp.weight", "[64, 32]"},
        {"blk.0.ffn_down_shexp.weight", "[32, 64]"},
        {"blk.4.ffn_down_exps.weight", "[32, 64, 8]"},
        {"blk.4.nextn.eh_proj.weight", "[128, 64]"},
        {"blk.4.nextn.enorm.weight", "[64]"},
        {"blk.4.nextn.hnorm.weight", "[64]"},
        {"blk.4.attn_q.weight", "[64, 128]"},
    };
    for (size_t i = 0; i < sizeof experts / sizeof experts[0]; i++)
        check_missing_tensor(NANOMOE, experts[i][0], experts[i][1]);
    check_missing_tensor(NANO, "blk.4.ffn_up.weight", "[64, 128]");
    check_missing_tensor(variant_next(VARIANT_SPLIT), "blk.1.ssm_ba.weight", "[64, 12]");
    check_missing_tensor(variant_next(VARIANT_SPLIT), "blk.1.attn_qkv.weight", "[64, 160]");
    check_missing_tensor(variant_next(VARIANT_SPLIT), "blk.1.attn_gate.weight", "[64, 96]");
    check_missing_tensor(variant_next(VARIANT_LEGACY), "blk.2.ssm_ba.weight", "[64, 12]");
}

static void put_wide_experts(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_down_exps.weight", 32, 64, 9);
}

static void put_flat_experts(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_up_exps.weight", 64, 32 * 8, 1);
}

static void put_stacked_matrix(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_up_shexp.weight", 64, 32, 8);
}

static void put_dense_tensor(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_gate.weight", 64, 32, 1);
}

static void put_expert_tensor(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_gate_exps.weight", 64, 128, 1);
}

static void put_grouped_input(struct edited_model *model)
{
    edited_put(model, "blk.0.ssm_ba.weight", 64, 4, 1);
}

static void put_mtp_in_trunk(struct edited_model *model)
{
    edited_put(model, "blk.3.nextn.enorm.weight", 64, 1, 1);
}

static void drop_trunk(struct edited_model *model)
{
    for (uint32_t i = model->count; i-- > 0;) {
        const char *name = model->tensors[i].name;
        if (strncmp(name, "blk.", 4) == 0 && strncmp(name, "blk.4.", 6) != 0)
            edited_drop(model, name);
    }
}

TEST(architectures_refuse_tensors_that_do_not_fit)
{
    check_edited(NANOMOE, put_wide_experts, WEIR_ERR_FORMAT,
                 "tensor blk.0.ffn_down_exps.weight has shape [32, 64, 9], expected [32, 64, 8]");
    check_edited(NANOMOE, put_flat_experts, WEIR_ERR_FORMAT,
                 "tensor blk.0.ffn_up_exps.weight has shape [64, 256], expected [64, 32, 8]");
    check_edited(NANOMOE, put_stacked_matrix, WEIR_ERR_FORMAT,
                 "tensor blk.0.ffn_up_shexp.weight has shape [64, 32, 8], expected [64, 32]");
}

TEST(architectures_refuse_tensors_of_others)
{
    check_edited(NANOMOE, put_dense_tensor, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.0.ffn_gate.weight of shape [64, 32] is not part of architecture "
                 "qwen35moe, expected none of that name");
    check_edited(NANO, put_expert_tensor, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.0.ffn_gate_exps.weight of shape [64, 128] is not part of architecture "
                 "qwen35, expected none of that name");
    check_edited(NANO, put_grouped_input, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.0.ssm_ba.weight of shape [64, 4] is not part of architecture qwen35,");
    check_edited(NANO, put_mtp_in_trunk, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.3.nextn.enorm.weight of shape [64] is not part of");
    check_edited(NANOMOE, drop_trunk, WEIR_ERR_UNSUPPORTED,
                 "holds only the MTP block of a model, expected a whole model");
}

/* ---- two layouts of one matrix --------------------------------------------------------------- */

static void drop_input(struct edited_model *model)
{
    edited_drop(model, "blk.2.ssm_in.weight");
}

static void put_split_gate(struct edited_model *model)
{
    edited_put(model, "blk.1.attn_gate.weight", 64, 96, 1);
}

static void put_gate_experts(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_gate_exps.weight", 64, 32, 8);
}

static void put_up_experts(struct edited_model *model)
{
    edited_put(model, "blk.4.ffn_up_exps.weight", 64, 32, 8);
}

static void put_narrow_experts(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_gate_up_exps.weight", 64, 32, 8);
}

/* Which would be meant, and what of a half? */
TEST(architectures_refuse_two_layouts_at_once)
{
    check_edited(variant_next(VARIANT_LEGACY), drop_input, WEIR_ERR_FORMAT,
                 "tensor blk.2.attn_qkv.weight is missing, expected with shape [64, 160]");
    check_edited(variant_next(VARIANT_LEGACY), put_split_gate, WEIR_ERR_FORMAT,
                 "holds tensors blk.1.attn_gate.weight and blk.1.ssm_in.weight, expected one of");
    check_edited(variant_gate_up(NANOMOE), put_gate_experts, WEIR_ERR_FORMAT,
                 "holds tensors blk.0.ffn_gate_exps.weight and blk.0.ffn_gate_up_exps.weight, exp");
    check_edited(
        variant_gate_up(NANOMOE), put_up_experts, WEIR_ERR_FORMAT,
        "holds tensors blk.4.ffn_up_exps.weight and blk.4.ffn_gate_up_exps.weight, expect");
    check_edited(variant_gate_up(NANOMOE), put_narrow_experts, WEIR_ERR_FORMAT,
                 "blk.0.ffn_gate_up_exps.weight has shape [64, 32, 8], expected [64, 64, 8]");
}

/* ---- scales ---------------------------------------------------------------------------------- */

static void put_two_scales(struct edited_model *model)
{
    edited_put(model, "blk.0.attn_qkv.scale", 2, 1, 1);
}

static void put_too_few_scales(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_up_exps.scale", 7, 1, 1);
}

static void put_one_scale_for_all(struct edited_model *model)
{
    edited_put(model, "blk.0.ffn_up_exps.scale", 1, 1, 1);
}

static void put_scale_of_a_vector(struct edited_model *model)
{
    edited_put(model, "blk.0.attn_norm.scale", 1, 1, 1);
}

static void put_scale_of_nothing(struct edited_model *model)
{
    edited_put(model, "blk.0.attn_q.scale", 1, 1, 1);
}

static void put_quantized_scale(struct edited_model *model)
{
    struct edited_tensor *scale = edited_put(model, "blk.0.ffn_up_exps.scale", 8, 1, 1);
    scale->dtype = DTYPE_I32;
}

static void put_input_scale(struct edited_model *model)
{
    edited_floats(edited_put(model, "blk.0.attn_qkv.input_scale", 1, 1, 1))[0] = 7;
}

TEST(architectures_check_scales)
{
    check_edited(NANOMOE, put_two_scales, WEIR_ERR_FORMAT,
                 "tensor blk.0.attn_qkv.scale has shape [2], expected [1]");
    check_edited(NANOMOE, put_too_few_scales, WEIR_ERR_FORMAT,
                 "tensor blk.0.ffn_up_exps.scale has shape [7], expected [8]");
    check_edited(NANOMOE, put_one_scale_for_all, WEIR_ERR_FORMAT,
                 "tensor blk.0.ffn_up_exps.scale has shape [1], expected [8]");
    check_edited(NANOMOE, put_scale_of_a_vector, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.0.attn_norm.scale of shape [1] is not part of");
    check_edited(NANOMOE, put_scale_of_nothing, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.0.attn_q.scale of shape [1] is not part of");
    check_edited(NANOMOE, put_quantized_scale, WEIR_ERR_UNSUPPORTED,
                 "tensor blk.0.ffn_up_exps.scale has type I32, expected F32, F16 or BF16");
}

/* The scale of a product's input is no part of the network: with it the logits are the same. */
TEST(architectures_leave_input_scales)
{
    struct weir_engine_options options;
    struct fixture fixture;
    const int32_t tokens[3] = {1, 2, 3};
    struct edited_model *model = edited_open(NANOMOE);
    put_input_scale(model);
    const char *path = edited_write(model, "input_scale.gguf");
    edited_close(model);
    float *logits[2];
    fixture_options(&options);
    for (int i = 0; i < 2; i++) {
        fixture_open(&fixture, i == 0 ? NANOMOE : path, &options);
        logits[i] = fixture_logits(&fixture, tokens, 3, false);
        fixture_close(&fixture);
    }
    CHECK(memcmp(logits[0], logits[1], 3 * 1024 * sizeof(float)) == 0);
    free(logits[0]);
    free(logits[1]);
}

/* ---- numbers --------------------------------------------------------------------------------- */

/* Every expert is looked at, and the block as well when it is loaded. */
static void check_nan_found(const char *name, uint64_t from_end, bool mtp, bool is_found)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_engine *engine;
    struct edited_model *edited = edited_open(NANOMOE);
    struct edited_tensor *tensor = edited_find(edited, "%s", name);
    edited_floats(tensor)[tensor->bytes / sizeof(float) - from_end] = NAN;
    const char *path = edited_write(edited, "nan.gguf");
    edited_close(edited);
    fixture_options(&options);
    options.check_tensors = true;
    options.mtp = mtp;
    CHECK_OK(weir_model_open(&model, path, NULL, &err), &err);
    CHECK((weir_engine_open(&engine, model, &options, &err) != WEIR_OK) == is_found);
    if (is_found)
        fixture_check_says(&err, WEIR_ERR_FORMAT, name);
    weir_engine_close(engine);
    weir_model_close(model);
}

TEST(architectures_check_the_numbers_of_experts)
{
    check_nan_found("blk.2.ffn_down_exps.weight", 1, false, true);
    check_nan_found("blk.2.ffn_down_exps.weight", 32 * 64 * 8, false, true);
    check_nan_found("blk.4.ffn_up_exps.weight", 1, true, true);
    check_nan_found("blk.4.ffn_up_exps.weight", 1, false, false);
}

/* The last of the scales of the experts too. */
TEST(architectures_check_the_numbers_of_scales)
{
    struct weir_engine_options options;
    struct edited_model *edited = edited_open(variant_scaled(NANOMOE, DTYPE_F32));
    edited_floats(edited_find(edited, "blk.1.ffn_up_exps.scale"))[7] = INFINITY;
    const char *path = edited_write(edited, "inf.gguf");
    edited_close(edited);
    fixture_options(&options);
    options.check_tensors = true;
    fixture_check_refused(path, NULL, 0, &options, WEIR_ERR_FORMAT, "blk.1.ffn_up_exps.scale");
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* More experts than any matrix is wide: routing needs a number for each in every thread. */
TEST(architectures_with_many_experts_have_room)
{
    enum { EXPERTS = 300, BLOCKS = 5, THREADS = 2 };
    struct weir_engine_options options;
    struct weir_memory memory;
    struct weir_error err = {0};
    struct fixture fixture;
    const int32_t tokens[4] = {1, 2, 3, 4};
    struct edited_model *edited = edited_open(NANOMOE);
    edited_set(edited, "qwen35moe.expert_count=int:300");
    edited_set(edited, "qwen35moe.expert_feed_forward_length=int:1");
    for (int block = 0; block < BLOCKS; block++) {
        char name[GGUF_NAME_MAX + 1];
        snprintf(name, sizeof name, "blk.%d.ffn_gate_inp.weight", block);
        edited_put(edited, name, 64, EXPERTS, 1);
        snprintf(name, sizeof name, "blk.%d.ffn_gate_exps.weight", block);
        edited_put(edited, name, 64, 1, EXPERTS);
        snprintf(name, sizeof name, "blk.%d.ffn_up_exps.weight", block);
        edited_put(edited, name, 64, 1, EXPERTS);
        snprintf(name, sizeof name, "blk.%d.ffn_down_exps.weight", block);
        edited_put(edited, name, 1, 64, EXPERTS);
    }
    const char *path = edited_write(edited, "many.gguf");
    edited_close(edited);
    fixture_options(&options);
    options.context = 8;
    options.step_rows_max = options.logits_rows_max = 4;
    options.threads = THREADS;
    fixture_open(&fixture, path, &options);
    CHECK_OK(weir_memory_estimate(fixture.model, &options, &memory, &err), &err);
    CHECK(memory.scratch >= THREADS * EXPERTS * sizeof(float));
    CHECK_OK(weir_session_eval(fixture.session, tokens, 4, WEIR_LOGITS_ALL, &err), &err);
    fixture_close(&fixture);
}
