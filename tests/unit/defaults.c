/* SPDX-License-Identifier: MIT
 * Options that are NULL stand for their defaults, in every function that takes options. Run alone:
 * build/tests/weir-test defaults_ */
#include <stdlib.h>
#include <string.h>

#include "folder.h"

static void discard(void *user, const char *text, size_t length)
{
    (void)text;
    *(size_t *)user += length;
}

static void check_same_files(const char *a, const char *b)
{
    size_t a_size, b_size;
    uint8_t *a_data = test_read_file(a, &a_size), *b_data = test_read_file(b, &b_size);
    CHECK_INT(a_size, b_size);
    CHECK(memcmp(a_data, b_data, a_size) == 0);
    free(a_data);
    free(b_data);
}

TEST(defaults_of_engines)
{
    const struct weir_plan_shape shape = {.rows = 1, .sequences = 1};
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_engine *engine;
    struct weir_memory memory;
    size_t printed = 0;
    CHECK_OK(weir_model_open(&model, test_data("golden/nano-f32.gguf"), NULL, &err), &err);
    CHECK_OK(weir_memory_estimate(model, NULL, &memory, &err), &err);
    CHECK_OK(weir_model_print_plan(model, NULL, &shape, discard, &printed, &err), &err);
    CHECK_OK(weir_engine_open(&engine, model, NULL, &err), &err);
    CHECK_INT(weir_engine_context(engine), memory.context);
    CHECK(printed > 0);
    weir_engine_close(engine);
    weir_model_close(model);
}

TEST(defaults_of_samplers)
{
    const float logits[] = {0, 50, 0, 0};
    struct weir_error err = {0};
    struct weir_sampler *sampler;
    CHECK_OK(weir_sampler_open(&sampler, NULL, 4, 16, NULL, &err), &err);
    CHECK_INT(weir_sampler_pick(sampler, logits), 1);
    weir_sampler_close(sampler);
}

TEST(defaults_of_made_up_models)
{
    const char *none = test_scratch("defaults-none.gguf");
    const char *given = test_scratch("defaults-given.gguf");
    struct weir_synth_options options;
    struct weir_error err = {0};
    weir_synth_options_init(&options);
    CHECK_OK(weir_synth(none, NULL, &err), &err);
    CHECK_OK(weir_synth(given, &options, &err), &err);
    check_same_files(none, given);
}

/* A checkpoint, the file that it converts to, and what else becomes of that. */
TEST(defaults_of_files)
{
    const char *folder = folder_fresh("defaults"), *model = test_scratch("defaults.gguf");
    const char *prefix = test_scratch("defaults-parts"), *joined = test_scratch("joined.gguf");
    struct weir_error err = {0};
    size_t printed[2] = {0};
    CHECK_OK(weir_synth_checkpoint(folder, NULL, &err), &err);
    CHECK_OK(weir_convert(folder, model, NULL, &err), &err);
    CHECK_OK(weir_quantize_print(model, "Q8_0", NULL, discard, &printed[0], &err), &err);
    CHECK_OK(weir_quantize(model, test_scratch("defaults-q8.gguf"), "Q8_0", NULL, &err), &err);
    CHECK_OK(weir_split_print(model, prefix, NULL, discard, &printed[1], &err), &err);
    CHECK_OK(weir_split(model, prefix, NULL, &err), &err);
    CHECK_OK(weir_merge(test_scratch("defaults-parts-00001-of-00001.gguf"), joined, NULL, &err),
             &err);
    CHECK(printed[0] > 0 && printed[1] > 0);
}
