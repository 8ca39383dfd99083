/* SPDX-License-Identifier: MIT
 * Tests of the arithmetic of ops: against the matrices of public models, against the definitions of
 * the mixers, and fused plans against unfused ones. Run alone: build/tests/weir-test work_ */
#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct weir_model *open_size(const char *size)
{
    struct weir_synth_options synth;
    weir_synth_options_init(&synth);
    synth.size = size;
    return fixture_shape(&synth);
}

/* What the engine is, but for its context, which is as long as the shape needs. */
struct plan_choice {
    enum weir_switch fuse;
    uint32_t step_rows_max;
};

static struct weir_profile *open_profile(const struct weir_model *model,
                                         const struct plan_choice *choice,
                                         const struct weir_profile_shape *shape)
{
    struct weir_engine_options options;
    struct weir_profile *profile;
    struct weir_error err = {0};
    weir_engine_options_init(&options);
    options.context = shape->cached + shape->rows;
    options.fuse = options.fused_gdn = choice->fuse;
    options.step_rows_max = choice->step_rows_max;
    options.logits_rows_max = shape->logits == WEIR_LOGITS_ALL ? shape->rows : 1;
    CHECK_OK(weir_profile_open(&profile, model, &options, shape, &err), &err);
    return profile;
}

/* Of all ops whose kinds begin so. */
static uint64_t flops_of(const struct weir_profile *profile, const char *kind)
{
    uint64_t sum = 0;
    struct weir_profile_info info;
    weir_profile_info(profile, &info);
    for (uint32_t i = 0; i < info.ops; i++) {
        struct weir_profile_op op;
        weir_profile_op(profile, i, &op);
        sum += strncmp(op.kind, kind, strlen(kind)) == 0 ? op.flops : 0;
    }
    return sum;
}

static const struct plan_choice fused = {WEIR_ON, 64}, unfused = {WEIR_OFF, 64};

/* A token of the 0.8B model, whose 752,393,024 elements but for the vectors are matrices, each
 * multiplied once: 18 recurrent layers, 6 of attention, 24 feed-forward parts, the tied head. */
TEST(work_of_a_token_is_twice_the_matrices)
{
    const uint64_t recurrent = 1024ull * (6144 + 2048 + 16 + 16) + 2048 * 1024;
    const uint64_t attention = 1024ull * (2 * 8 * 256 + 2 * 512) + 2048 * 1024;
    const uint64_t matrices =
        18 * recurrent + 6 * attention + 24ull * 3 * 1024 * 3584 + 248320ull * 1024;
    const struct weir_profile_shape shape = {0, 1, WEIR_LOGITS_LAST};
    struct weir_model *model = open_size("0.8B");
    struct weir_profile *profile = open_profile(model, &fused, &shape);
    CHECK_INT(flops_of(profile, "MATMUL"), 2 * matrices);
    const double all = (double)flops_of(profile, "") / (2 * 752393024.0);
    CHECK(all > 1 && all < 1.03);
    weir_profile_close(profile);
    weir_model_close(model);
}

/* A token of the 35B-A3B model meets 8 of 256 experts in each of 40 layers, and 2,946,429,568
 * elements in all. */
TEST(work_of_experts_is_that_of_those_chosen)
{
    const struct weir_profile_shape shape = {0, 1, WEIR_LOGITS_LAST};
    struct weir_model *model = open_size("35B-A3B");
    struct weir_profile *profile = open_profile(model, &fused, &shape);
    CHECK_INT(flops_of(profile, "EXPERT_MATMUL"), 2ull * 40 * 8 * 3 * 2048 * 512);
    CHECK_INT(flops_of(profile, "EXPERT_SUM"), 2ull * 40 * 8 * 2048);
    const double all = (double)flops_of(profile, "") / (2 * 2946429568.0);
    CHECK(all > 1 && all < 1.03);
    weir_profile_close(profile);
    weir_model_close(model);
}

/* The mixers of the 9B model by their definitions, in as many steps as there are: the chunks that a
 * backend makes of a prompt are its own. 24 layers with 32 heads of a state of 128 x 128, and 8192
 * channels of 4 taps; 8 layers with 16 query heads of 256. */
TEST(work_of_a_prompt_is_that_of_the_definition)
{
    const struct weir_profile_shape shape = {1000, 300, WEIR_LOGITS_LAST};
    const uint64_t visible = 300ull * 1000 + 300ull * 301 / 2;
    struct weir_model *model = open_size("9B");
    for (uint32_t rows_max = 64; rows_max <= 512; rows_max *= 8) {
        const struct plan_choice choice = {WEIR_ON, rows_max};
        struct weir_profile *profile = open_profile(model, &choice, &shape);
        CHECK_INT(flops_of(profile, "DELTA_RULE"), 300ull * 24 * 32 * (7 * 128 * 128 + 3 * 128));
        CHECK_INT(flops_of(profile, "ATTEND"), visible * 8 * 16 * 256 * 4);
        CHECK_INT(flops_of(profile, "CONV"), 300ull * 24 * 8192 * (2 * 4 + 3));
        weir_profile_close(profile);
    }
    weir_model_close(model);
}

/* A rewrite computes the same, so it has the same count. */
TEST(work_of_fused_plans_is_that_of_unfused_ones)
{
    static const char *const sizes[] = {"0.8B", "35B-A3B", "Next-80B-A3B"};
    static const struct weir_profile_shape shapes[] = {
        {0, 1, WEIR_LOGITS_LAST},
        {33, 5, WEIR_LOGITS_ALL},
        {30, 150, WEIR_LOGITS_LAST},
    };
    for (int i = 0; i < 3; i++) {
        struct weir_model *model = open_size(sizes[i]);
        for (int k = 0; k < 3; k++) {
            struct weir_profile *a = open_profile(model, &fused, &shapes[k]);
            struct weir_profile *b = open_profile(model, &unfused, &shapes[k]);
            CHECK(flops_of(a, "DELTA_RULE_INPLACE") > 0);
            CHECK_INT(flops_of(b, "DELTA_RULE_INPLACE"), 0);
            CHECK_INT(flops_of(a, ""), flops_of(b, ""));
            weir_profile_close(a);
            weir_profile_close(b);
        }
        weir_model_close(model);
    }
}

/* What only moves numbers has no arithmetic; all else has. */
TEST(work_is_of_all_ops_but_those_that_move)
{
    static const char moves[] = " EMBED SELECT COPY CONCAT KV_APPEND STATE_LOAD STATE_STORE ";
    const struct weir_profile_shape shape = {7, 3, WEIR_LOGITS_LAST};
    struct weir_model *model = open_size("Next-80B-A3B");
    for (int i = 0; i < 2; i++) {
        struct weir_profile *profile = open_profile(model, i == 0 ? &fused : &unfused, &shape);
        struct weir_profile_info info;
        weir_profile_info(profile, &info);
        for (uint32_t k = 0; k < info.ops; k++) {
            struct weir_profile_op op;
            char name[64];
            weir_profile_op(profile, k, &op);
            snprintf(name, sizeof name, " %s ", op.kind);
            CHECK_INT(op.flops == 0, strstr(moves, name) != NULL);
        }
        weir_profile_close(profile);
    }
    weir_model_close(model);
}
