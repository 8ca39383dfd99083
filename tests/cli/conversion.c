/* SPDX-License-Identifier: MIT
 * weir convert and weir synth --hf, as a user runs them.
 * Run alone: build/tests/weir-test conversion_ --program build/weir */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "folder.h"

/* Writes a model in both forms. */
static const char *make_both(const char *path)
{
    const char *folder = folder_fresh("both");
    const struct program_result *result = RUN_PROGRAM(
        "synth", "--size", "tinymoe", "--type", "bf16", "--mtp", "1", "-o", path, "--hf", folder);
    if (result->status != 0)
        test_fail(__FILE__, __LINE__, "%s", result->err);
    char line[512];
    snprintf(line, sizeof line, "%s: %d files, ", folder, folder_files(folder));
    CHECK_HAS(result->err, line);
    return folder;
}

/* That two files are equal but for a few bytes: those of the decays. */
static void check_files(const char *a_path, const char *b_path)
{
    size_t a_size, b_size, differ = 0;
    uint8_t *a = test_read_file(a_path, &a_size), *b = test_read_file(b_path, &b_size);
    CHECK_INT(a_size, b_size);
    for (size_t i = 0; i < a_size; i++)
        differ += a[i] != b[i];
    CHECK(differ <= 12); /* the last bytes of 3 layers' 4 decays */
    free(a);
    free(b);
}

TEST(conversion_of_a_folder)
{
    const char *direct = test_scratch("cli-direct.gguf"), *path = test_scratch("cli.gguf");
    const char *folder = make_both(direct);
    static const char name[] = "synthetic tinymoe bf16 seed 1";
    CHECK_INT(RUN_PROGRAM("convert", folder, path, "--model-name", name)->status, 0);
    check_files(path, direct);
    CHECK_INT(unlink(path), 0);
    CHECK_INT(RUN_PROGRAM("convert", "-m", folder, "--outfile", path, "--model_name", name,
                          "--outtype", "bf16")
                  ->status,
              0);
    check_files(path, direct);
}

TEST(conversion_says_what_is_left_out)
{
    const char *folder = make_both(test_scratch("cli-direct.gguf"));
    const char *path = test_scratch("cli.gguf");
    const struct program_result *result = RUN_PROGRAM("convert", folder, path, "--no-mtp");
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 0);
    CHECK_HAS(result->err, "tensors of multi-token prediction are left out\n");
}

TEST(conversion_refuses_words)
{
    CHECK_REFUSED(RUN_PROGRAM("convert"),
                  "no checkpoint: name a folder with --model or as first argument");
    CHECK_REFUSED(RUN_PROGRAM("convert", "a"),
                  "no file to write: name one with --outfile or as second argument");
    CHECK_REFUSED(RUN_PROGRAM("convert", "a", "b", "c"), "invalid argument: c");
    CHECK_REFUSED(RUN_PROGRAM("convert", "a", "b", "-o", "c"),
                  "-o, --outfile may be given once, not as c and b");
    CHECK_REFUSED(RUN_PROGRAM("convert", "-m", "", "-o", "c"),
                  "-m: the name of the folder is empty");
    CHECK_REFUSED(RUN_PROGRAM("convert", "a", "b", "--outtype", "q4_0"),
                  "--outtype: 'q4_0' is not one of auto|f32|f16|bf16");
    CHECK_REFUSED(RUN_PROGRAM("convert", "/nowhere/model", "b"),
                  "/nowhere/model/config.json: cannot open: No such file or directory");
    CHECK_REFUSED(RUN_PROGRAM("synth", "--hf", "/nowhere/x", "--type", "q4_0"),
                  "a checkpoint cannot have type q4_0, expected f32, f16 or bf16");
    CHECK_REFUSED(RUN_PROGRAM("synth", "--hf", "/nowhere/x", "--type", "f16"),
                  "/nowhere/x: cannot create a folder beside it: No such file or directory");
}

TEST(conversion_keeps_folders_that_are_there)
{
    const char *folder = make_both(test_scratch("cli-direct.gguf"));
    const int files = folder_files(folder);
    char expected[4300];
    snprintf(expected, sizeof expected, "error: %s: exists already\n", folder);
    const struct program_result *result = RUN_PROGRAM("synth", "--type", "f16", "--hf", folder);
    CHECK_INT(result->status, 1);
    CHECK_TEXT(result->err, expected);
    CHECK_INT(folder_files(folder), files);
}

/* A disk that is full, by way of the limit on the size of files, and an interrupt. */
TEST(conversion_cut_short_leaves_nothing)
{
    const char *folder = make_both(test_scratch("cli-direct.gguf"));
    const char *path = test_scratch("cut.gguf"), *other = test_scratch("cut-folder");
    struct program_call call = {.words = {"convert", folder, path}, .file_bytes_max = 100000};
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "cannot write: File too large");
    CHECK_INT(program_count_files(path), 0);
    call = (struct program_call){.words = {"synth", "--type", "f16", "--hf", other},
                                 .file_bytes_max = 100000};
    result = run_program(&call);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "cannot write: File too large");
    CHECK_INT(program_count_files(other), 0);
}
