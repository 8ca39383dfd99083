/* SPDX-License-Identifier: MIT
 * The result of every op of a prompt against the reference engine's intermediate tensors: where
 * logits differ, this says which op began it. Run alone: build/tests/weir-test tensors_ */
#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ref/ref.h"
#include "run/engine.h"

/* Which op makes which tensor of the reference; names of layers have "-N" behind. */
static const struct {
    enum op_kind kind;
    const char *role;
    const char *tensor;
} made_by[] = {
    {OP_EMBED, "embed", "model.input_embed"},
    {OP_RMS_NORM, "mixer.norm", "attn_norm"},
    {OP_MATMUL, "gdn.qkv", "linear_attn_qkv_mixed"},
    {OP_SILU, "gdn.conv", "conv_output_silu"},
    {OP_L2_NORM, "gdn.q_norm", "q_conv_predelta"},
    {OP_L2_NORM, "gdn.k_norm", "k_conv_predelta"},
    {OP_MUL_WEIGHT, "gdn.decay", "gate"},
    {OP_SIGMOID, "gdn.beta", "beta_sigmoid"},
    {OP_DELTA_RULE, "gdn.rule", "attn_output"},
    {OP_MATMUL, "gdn.z", "z"},
    {OP_MUL, "gdn.gate", "final_output"},
    {OP_MATMUL, "gdn.out", "linear_attn_out"},
    {OP_ADD, "mixer.add", "attn_residual"},
    {OP_RMS_NORM, "ffn.norm", "attn_post_norm"},
    {OP_MATMUL, "ffn.down", "ffn_out"},
    {OP_EXPERT_SUM, "moe.sum", "ffn_moe_out"},
    {OP_MATMUL, "shared.router", "shared_expert_gate"},
    {OP_ADD, "shared.add", "ffn_out"},
    {OP_ADD, "ffn.add", "l_out"},
    {OP_ROPE, "attn.q_norm", "Qcur"},
    {OP_ROPE, "attn.k_norm", "Kcur"},
    {OP_MATMUL, "attn.v", "Vcur"},
    {OP_ATTEND, "attn.attend", "attn_pregate"},
    {OP_SIGMOID, "attn.gate", "gate_sigmoid"},
    {OP_MATMUL, "attn.out", "attn_output"},
    {OP_RMS_NORM, "head.norm", "result_norm"},
};

/* The tensor's name for an op, false if the reference recorded none. */
static bool tensor_name(const struct plan *plan, const struct op *op, char *name, size_t size)
{
    for (size_t i = 0; i < sizeof made_by / sizeof made_by[0]; i++) {
        if (made_by[i].kind != (enum op_kind)op->kind ||
            strcmp(made_by[i].role, plan->roles[op->role]) != 0)
            continue;
        if (op->layer == LAYER_NONE)
            snprintf(name, size, "%s", made_by[i].tensor);
        else
            snprintf(name, size, "%s-%u", made_by[i].tensor, op->layer);
        return true;
    }
    return false;
}

/* The data of the last record of that name (the reference prints some twice, reshaped), or NULL.
 * A record is int32 name length, name, int32 step, int32 ne[4], data. */
static const uint8_t *find_tensor(const uint8_t *data, size_t size, const char *name, size_t *count)
{
    const uint8_t *found = NULL;
    for (size_t at = 0; at < size;) {
        int32_t length, ne[4];
        memcpy(&length, data + at, 4);
        const char *text = (const char *)data + at + 4;
        memcpy(ne, text + length + 4, 16);
        const size_t floats = (size_t)ne[0] * (size_t)ne[1] * (size_t)ne[2] * (size_t)ne[3];
        at += 4 + (size_t)length + 20;
        if ((size_t)length == strlen(name) && memcmp(text, name, (size_t)length) == 0) {
            found = data + at;
            *count = floats;
        }
        at += floats * sizeof(float);
    }
    return found;
}

/* The op's last operand, which it wrote, as dense rows; malloc. */
static float *copy_result(const struct ref_call *call, uint32_t operand, size_t *count)
{
    const struct host_operand *y = &call->at[operand];
    float *copy = malloc(y->rows * y->groups * y->width * sizeof *copy);
    CHECK(copy != NULL);
    *count = 0;
    for (uint64_t row = 0; row < y->rows; row++) {
        for (uint32_t group = 0; group < y->groups; group++, *count += y->width)
            memcpy(copy + *count, host_group(y, row, group), y->width * sizeof *copy);
    }
    return copy;
}

/* Numbers of a record, which are not aligned there; malloc. */
static float *copy_floats(const uint8_t *data, size_t count)
{
    float *copy = malloc(count * sizeof *copy);
    CHECK(copy != NULL);
    memcpy(copy, data, count * sizeof *copy);
    return copy;
}

static void compare(const float *actual, const float *expected, size_t count, const char *name)
{
    const double nmse = test_nmse(actual, expected, count);
    if (!(nmse <= 1e-9))
        test_fail(__FILE__, __LINE__, "%s: NMSE %g, expected at most 1e-9", name, nmse);
}

static void compare_result(const struct ref_call *call, const char *name, const uint8_t *data,
                           size_t expected_count)
{
    size_t count;
    float *actual = copy_result(call, op_operands(call->op) - 1, &count);
    float *expected = copy_floats(data, expected_count);
    CHECK_INT(count, expected_count);
    compare(actual, expected, count, name);
    free(expected);
    free(actual);
}

/* ---- routing --------------------------------------------------------------------------------- */

/* The record has the probabilities of all experts and those of the chosen, largest first, before
 * they are divided by their sum; weir has the latter after that, and the numbers of the chosen. */
static void compare_routing(const struct ref_call *call, const float *all, const float *chosen)
{
    const struct host_operand *routing = &call->at[1];
    const uint32_t experts = call->at[0].width, used = routing->width;
    size_t count;
    float *shares = copy_result(call, 2, &count);
    float *expected = malloc(count * sizeof *expected);
    CHECK(expected != NULL);
    for (uint64_t row = 0; row < call->rows; row++) {
        const int32_t *expert =
            (const int32_t *)(const void *)(routing->data + row * routing->pitch);
        double sum = 0;
        for (uint32_t j = 0; j < used; j++) {
            CHECK(expert[j] >= 0 && expert[j] < (int32_t)experts);
            CHECK(all[row * experts + (uint32_t)expert[j]] == chosen[row * used + j]);
            sum += (double)chosen[row * used + j];
        }
        for (uint32_t j = 0; j < used; j++)
            expected[row * used + j] = (float)(chosen[row * used + j] / sum);
    }
    compare(shares, expected, count, "shares of the experts");
    free(expected);
    free(shares);
}

static void check_routing(const struct ref_call *call, const uint8_t *data, size_t size)
{
    char name[64];
    size_t all_count = 0, chosen_count = 0;
    snprintf(name, sizeof name, "ffn_moe_probs-%u", call->op->layer);
    const uint8_t *all_data = find_tensor(data, size, name, &all_count);
    snprintf(name, sizeof name, "ffn_moe_weights-%u", call->op->layer);
    const uint8_t *chosen_data = find_tensor(data, size, name, &chosen_count);
    CHECK(all_data != NULL && chosen_data != NULL);
    CHECK_INT(all_count, call->rows * call->at[0].width);
    CHECK_INT(chosen_count, call->rows * call->at[1].width);
    float *all = copy_floats(all_data, all_count);
    float *chosen = copy_floats(chosen_data, chosen_count);
    compare_routing(call, all, chosen);
    free(chosen);
    free(all);
}

/* ---- the tests ------------------------------------------------------------------------------- */

/* Runs the unfused plan of a model op by op; returns how many results were compared. */
static uint32_t check_tensors(const char *model, const char *record)
{
    struct weir_engine_options options;
    struct fixture_step at;
    struct fixture fixture;
    size_t size;
    fixture_options(&options);
    options.fuse = options.fused_gdn = WEIR_OFF;
    options.threads = 1;
    fixture_open(&fixture, model, &options);
    fixture_step_open(&at, test_data("golden/tokens24.txt"));
    const struct weir_engine *engine = fixture.engine;
    uint8_t *data = test_read_file(record, &size);
    uint32_t compared = 0;
    for (uint32_t i = 0; i < engine->blueprint.plan->op_count; i++) {
        struct ref_call call;
        char name[64];
        size_t count = 0;
        ref_resolve(engine->exec, i, &at.step, &call);
        ref_run_op(&call);
        if (call.op->kind == OP_ROUTE) {
            check_routing(&call, data, size);
            compared++;
        }
        if (!tensor_name(engine->blueprint.plan, call.op, name, sizeof name))
            continue;
        const uint8_t *expected = find_tensor(data, size, name, &count);
        if (expected == NULL)
            test_fail(__FILE__, __LINE__, "no tensor %s in the record", name);
        compare_result(&call, name, expected, count);
        compared++;
    }
    free(data);
    fixture_step_close(&at);
    fixture_close(&fixture);
    return compared;
}

/* Embedding, three recurrent layers of 15 results, a full one, head; with experts three more a
 * layer: routing, shared gate, sum. */
enum { COMPARED = 1 + 3 * 15 + 11 + 1, COMPARED_MOE = COMPARED + 4 * 3 };

TEST(tensors_of_every_op_match_reference)
{
    CHECK_INT(
        check_tensors(test_data("golden/nano-f32.gguf"), test_data("golden/nano-f32.tensors.bin")),
        COMPARED);
    CHECK_INT(check_tensors(test_data("golden/nanomoe-f32.gguf"),
                            test_data("golden/nanomoe-f32.tensors.bin")),
              COMPARED_MOE);
}

/* The same with two key heads, and heads as wide as the experts. */
TEST(tensors_of_tiny_models_match_reference)
{
    CHECK_INT(check_tensors(fixture_synth("tiny", "f32"),
                            test_shared("vectors/logits/tiny-f32.tensors.bin")),
              COMPARED);
    CHECK_INT(check_tensors(fixture_synth("tinymoe", "f32"),
                            test_shared("vectors/logits/tinymoe-f32.tensors.bin")),
              COMPARED_MOE);
}
