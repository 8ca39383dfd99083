/* SPDX-License-Identifier: MIT
 * Tests of what a model is called: size and file type. Run alone:
 * build/tests/weir-test model_names_ */
#include "test.h"

#include <string.h>

static void check_names(const char *path, const char *override, const char *size,
                        const char *file_type, bool guessed)
{
    struct weir_model *model;
    struct weir_error err = {0};
    struct weir_model_info info;
    const struct weir_model_options options = {.overrides = &override,
                                               .overrides_count = override != NULL};
    CHECK_OK(weir_model_open(&model, path, &options, &err), &err);
    weir_model_info(model, &info);
    CHECK_TEXT(info.size, size);
    CHECK_TEXT(info.file_type, file_type);
    CHECK(info.is_type_guessed == guessed);
    weir_model_close(model);
}

TEST(model_names_of_file_types)
{
    const char *q4_0 = test_data("golden/nano-q4_0.gguf");
    check_names(q4_0, NULL, "?B", "Q4_0", false);
    check_names(test_data("golden/nano-f32.gguf"), NULL, "?B", "all F32", false);
    check_names(q4_0, "general.file_type=int:15", "?B", "Q4_K - Medium", false);
    check_names(q4_0, "general.file_type=int:27", "?B", "IQ3_S mix - 3.66 bpw", false);
    check_names(q4_0, "general.file_type=int:99", "?B", "unknown, may not work", false);
    check_names(q4_0, "general.file_type=str:none", "?B", "Q4_0", true);
}

/* The shape decides, as the metadata say it. */
TEST(model_names_of_sizes)
{
    static const char *const overrides[] = {"qwen35.block_count=int:24",
                                            "qwen35.embedding_length=int:1024"};
    struct weir_model *model;
    struct weir_error err = {0};
    struct weir_model_info info;
    for (uint32_t count = 0; count <= 2; count++) {
        const struct weir_model_options options = {.overrides = overrides,
                                                   .overrides_count = count};
        CHECK_OK(weir_model_open(&model, test_data("golden/nano-q4_0.gguf"), &options, &err), &err);
        weir_model_info(model, &info);
        CHECK_TEXT(info.size, count == 2 ? "0.8B" : "?B");
        weir_model_close(model);
    }
}
