/* SPDX-License-Identifier: MIT
 * Quantized models against the reference engine's logits, with what meets a quantized weight
 * rounded to blocks of 8 bits here as it is there. What is left is the order of sums, so that also
 * models with experts, whose routers magnify any rounding, can be compared closely. Run alone:
 * build/tests/weir-test rounded_ */
#include "golden/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec.h"
#include "ref/ref.h"
#include "run/engine.h"

/* The partner of types with blocks of 32: a scale of F16, then integers of -127 to 127. */
static void round_q8_0(float *x)
{
    float largest = 0;
    for (int i = 0; i < 32; i++)
        largest = fmaxf(largest, fabsf(x[i]));
    const float scale = largest / 127;
    const float inverse = scale != 0 ? 1 / scale : 0;
    for (int i = 0; i < 32; i++)
        x[i] = roundf(x[i] * inverse) * codec_from_f16(codec_to_f16(scale));
}

/* The partner of types with blocks of 256: the number farthest from 0 becomes -127. */
static void round_q8_k(float *x)
{
    float farthest = 0;
    for (int i = 0; i < 256; i++)
        farthest = fabsf(x[i]) > fabsf(farthest) ? x[i] : farthest;
    const float inverse = farthest != 0 ? -127 / farthest : 0;
    const float scale = farthest != 0 ? 1 / inverse : 0;
    for (int i = 0; i < 256; i++)
        x[i] = fminf(nearbyintf(x[i] * inverse), 127) * scale;
}

static void round_row(float *x, uint32_t width, uint32_t block)
{
    for (uint32_t at = 0; at < width; at += block) {
        if (block == 32)
            round_q8_0(x + at);
        else
            round_q8_k(x + at);
    }
}

/* The operand that is multiplied with a quantized matrix; NULL if the op has none. */
static const struct host_operand *rounded_operand(const struct ref_call *call)
{
    const bool is_routed = call->op->kind == OP_EXPERT_MATMUL;
    const bool is_quantized = dtype_info(call->at[0].dtype)->family == DTYPE_FAMILY_QUANT;
    if ((call->op->kind != OP_MATMUL && !is_routed) || !is_quantized)
        return NULL;
    return &call->at[is_routed ? 2 : 1];
}

/* Runs an op on the rounded operand and puts back what was there: other ops read it too. */
static void run_rounded(const struct ref_call *call, const struct host_operand *x)
{
    const size_t row_bytes = (size_t)x->groups * x->width * sizeof(float);
    uint8_t *kept = malloc(x->rows * row_bytes + 1);
    CHECK(kept != NULL && (x->groups == 1 || x->stride == x->width));
    for (uint64_t row = 0; row < x->rows; row++) {
        memcpy(kept + row * row_bytes, host_group(x, row, 0), row_bytes);
        round_row(host_group(x, row, 0), x->groups * x->width,
                  dtype_info(call->at[0].dtype)->block);
    }
    ref_run_op(call);
    for (uint64_t row = 0; row < x->rows; row++)
        memcpy(host_group(x, row, 0), kept + row * row_bytes, row_bytes);
    free(kept);
}

/* Runs the plan op by op, as the reference engine would; the logits lie in the engine. */
static void run_plan_rounded(const struct weir_engine *engine, const struct step *step)
{
    uint32_t rounded = 0;
    for (uint32_t i = 0; i < engine->blueprint.plan->op_count; i++) {
        struct ref_call call;
        ref_resolve(engine->exec, i, step, &call);
        const struct host_operand *x = rounded_operand(&call);
        if (x == NULL) {
            ref_run_op(&call);
            continue;
        }
        run_rounded(&call, x);
        rounded++;
    }
    CHECK(rounded > 4 * 6);
}

/* Sums in another order differ by some 1e-7 of their size, which is 1e-14 squared. Now and then
 * such a difference makes one of the thousands of roundings fall the other way; the row where it
 * does, and those behind it if it went into the state, then differ by what a unit of 8 bits is
 * worth in these models. So a good part of the rows must agree closely: 8 of 24, where 10 to 24 are
 * found. */
static void check_rounded(const char *model, const char *reference)
{
    enum { CLOSE_MIN = 8 };
    struct weir_engine_options options;
    struct fixture_step at;
    struct fixture fixture;
    size_t floats;
    uint32_t close = 0;
    fixture_options(&options);
    options.threads = 1;
    fixture_open(&fixture, model, &options);
    fixture_step_open(&at, test_data("golden/tokens24.txt"));
    const struct weir_engine *engine = fixture.engine;
    run_plan_rounded(engine, &at.step);
    float *expected = fixture_floats(reference, &floats);
    CHECK_INT(floats, (size_t)at.step.rows * fixture.vocab);
    const float *logits = engine->blueprint.backend->logits(engine->exec, 0);
    for (uint32_t row = 0; row < at.step.rows; row++) {
        const size_t first = (size_t)row * fixture.vocab;
        close += test_nmse(logits + first, expected + first, fixture.vocab) <= 1e-12;
    }
    const double nmse = test_nmse(logits, expected, floats);
    if (close < CLOSE_MIN || !(nmse <= 1e-2))
        test_fail(__FILE__, __LINE__, "%s: %u rows agree, expected %d; NMSE of all %g", model,
                  close, CLOSE_MIN, nmse);
    free(expected);
    fixture_step_close(&at);
    fixture_close(&fixture);
}

TEST(rounded_activations_give_the_references_logits)
{
    static const char *const names[] = {"nano-q4_0", "nano-q8_0", "nanomoe-q4_0", "nanomoe-q8_0"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char model[64], reference[64];
        snprintf(model, sizeof model, "golden/%s.gguf", names[i]);
        snprintf(reference, sizeof reference, "golden/%s.logits.f32", names[i]);
        check_rounded(test_data(model), test_data(reference));
    }
}

/* Left out: Q4_1 and Q5_1, whose partner also keeps a rounded sum of each block, and F16 and BF16,
 * whose products the reference sums in a way of its own. */
TEST(rounded_activations_of_tiny_models)
{
    static const char *const models[][2] = {
        {"tinymoe", "q4_0"}, {"tinymoe", "q8_0"}, {"tinymoe", "q4_k"}, {"tiny", "q4_0"},
        {"tiny", "q5_0"},    {"tiny", "q8_0"},    {"tiny", "iq4_nl"},  {"tiny", "q2_k"},
        {"tiny", "q3_k"},    {"tiny", "q4_k"},    {"tiny", "q5_k"},    {"tiny", "q6_k"},
        {"tiny", "iq4_xs"},
    };
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        char reference[64];
        snprintf(reference, sizeof reference, "vectors/logits/%s-%s.logits.f32", models[i][0],
                 models[i][1]);
        check_rounded(fixture_synth(models[i][0], models[i][1]), test_shared(reference));
    }
}
