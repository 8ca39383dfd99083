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
    const struct ref_operand *y = &call->at[operand];
    float *copy = malloc(y->rows * y->groups * y->width * sizeof *copy);
    CHECK(copy != NULL);
    *count = 0;
    for (uint64_t row = 0; row < y->rows; row++) {
        for (uint32_t group = 0; group < y->groups; group++, *count += y->width)
            memcpy(copy + *count, ref_group(y, row, group), y->width * sizeof *copy);
    }
    return copy;
}

static void compare_result(const struct ref_call *call, const char *name, const uint8_t *expected,
                           size_t expected_count)
{
    size_t count;
    float *actual = copy_result(call, op_operands(call->op) - 1, &count);
    float *aligned = malloc(expected_count * sizeof *aligned);
    CHECK(aligned != NULL);
    memcpy(aligned, expected, expected_count * sizeof *aligned); /* records are not aligned */
    CHECK_INT(count, expected_count);
    const double nmse = test_nmse(actual, aligned, count);
    if (!(nmse <= 1e-9))
        test_fail(__FILE__, __LINE__, "%s: NMSE %g, expected at most 1e-9", name, nmse);
    free(aligned);
    free(actual);
}

TEST(tensors_of_every_op_match_reference)
{
    struct weir_engine_options options;
    struct fixture fixture;
    size_t size;
    fixture_options(&options);
    options.fuse = options.fused_gdn = WEIR_OFF;
    options.threads = 1;
    fixture_open(&fixture, test_data("golden/nano-f32.gguf"), &options);
    struct weir_engine *engine = fixture.engine;
    uint8_t *data = test_read_file(test_data("golden/nano-f32.tensors.bin"), &size);
    uint32_t out_row[64];
    struct step_seq seq = {0};
    struct step step = {.seqs = 1, .seq = &seq, .out_row = out_row};
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &step.rows);
    step.token = tokens;
    seq.rows = step.outs = step.rows;
    for (uint32_t i = 0; i < step.outs; i++)
        out_row[i] = i;
    uint32_t compared = 0;
    for (uint32_t i = 0; i < engine->blueprint.plan->op_count; i++) {
        struct ref_call call;
        char name[64];
        size_t count = 0;
        ref_resolve(engine->exec, i, &step, &call);
        ref_run_op(&call);
        if (!tensor_name(engine->blueprint.plan, call.op, name, sizeof name))
            continue;
        const uint8_t *expected = find_tensor(data, size, name, &count);
        if (expected == NULL)
            test_fail(__FILE__, __LINE__, "no tensor %s in the record", name);
        compare_result(&call, name, expected, count);
        compared++;
    }
    CHECK_INT(compared,
              1 + 3 * 15 + 11 + 1); /* embedding, three recurrent layers, a full one, head */
    free(data);
    free(tokens);
    fixture_close(&fixture);
}
