/* SPDX-License-Identifier: MIT
 * weir split and weir merge, and that every command reads what they write.
 * Run alone: build/tests/weir-test splitting_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODEL test_data("golden/nano-f32.gguf")

enum { PATH_BYTES = 4300 };

static uint64_t file_bytes(const char *path)
{
    struct stat status;
    CHECK(stat(path, &status) == 0);
    return (uint64_t)status.st_size;
}

/* Writes the model's splits and names the `no`-th of the three. */
static void split_model(const char *prefix, char paths[3][PATH_BYTES])
{
    const char *const start = test_scratch(prefix);
    for (int no = 0; no < 3; no++)
        snprintf(paths[no], PATH_BYTES, "%.4200s-%05d-of-00003.gguf", start, no + 1);
    if (access(paths[0], F_OK) == 0)
        return;
    const struct program_result *result =
        RUN_PROGRAM("split", MODEL, start, "--split-max-tensors", "30");
    char expected[PATH_BYTES];
    uint64_t bytes = 0;
    for (int no = 0; no < 3; no++)
        bytes += file_bytes(paths[no]);
    snprintf(expected, sizeof expected, "%.4200s: 3 files, 70 tensors, %llu bytes\n", start,
             (unsigned long long)bytes);
    CHECK_TEXT(result->err, expected);
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 0);
    CHECK_INT(program_count_files(start), 3);
}

static void check_same_file(const char *a, const char *b)
{
    size_t sizes[2];
    uint8_t *data[2] = {test_read_file(a, &sizes[0]), test_read_file(b, &sizes[1])};
    CHECK_INT(sizes[0], sizes[1]);
    CHECK(memcmp(data[0], data[1], sizes[0]) == 0);
    free(data[0]);
    free(data[1]);
}

/* No split of the model that is read, not only the one that is named. */
TEST(splitting_no_result_replaces_a_split)
{
    char paths[3][PATH_BYTES], line[PATH_BYTES + 64];
    size_t before_size, after_size;
    split_model("cli-kept", paths);
    uint8_t *before = test_read_file(paths[2], &before_size);
    snprintf(line, sizeof line, "%s: is read from, so it cannot be written to", paths[2]);
    const char *tokens = test_data("golden/tokens24.txt");
    CHECK_REFUSED(RUN_PROGRAM("eval", paths[0], "--tokens", tokens, "--logits", paths[2]), line);
    CHECK_REFUSED(RUN_PROGRAM("eval", paths[0], "--tokens", tokens, "--save-logits", paths[2]),
                  line);
    CHECK_REFUSED(RUN_PROGRAM("run", paths[0], "--tokens", tokens, "-n", "1", "-o", paths[2]),
                  line);
    uint8_t *after = test_read_file(paths[2], &after_size);
    CHECK_INT(after_size, before_size);
    CHECK(memcmp(after, before, before_size) == 0);
    free(before);
    free(after);
}

TEST(splitting_and_merging_by_each_name)
{
    char paths[3][PATH_BYTES], whole[PATH_BYTES], again[PATH_BYTES], linked[PATH_BYTES];
    split_model("cli-by-name", paths);
    snprintf(whole, sizeof whole, "%s", test_scratch("cli-whole.gguf"));
    snprintf(again, sizeof again, "%s", test_scratch("cli-again.gguf"));
    snprintf(linked, sizeof linked, "%s", test_scratch("cli-linked.gguf"));
    const struct program_result *result = RUN_PROGRAM("merge", paths[0], whole);
    char expected[PATH_BYTES];
    CHECK_INT(result->status, 0);
    snprintf(expected, sizeof expected, "%.4200s: %.2f MiB, 32.00 bits per weight\n", whole,
             (double)file_bytes(whole) / (1 << 20));
    CHECK_TEXT(result->err, expected);
    CHECK_INT(RUN_PROGRAM("split", "--merge", "-o", again, "-m", paths[0])->status, 0);
    const struct program_call call = {.name = "/bin/llama-gguf-split",
                                      .words = {"--merge", paths[0], linked}};
    CHECK_INT(run_program(&call)->status, 0);
    check_same_file(whole, again);
    check_same_file(whole, linked);
    const struct program_call split = {
        .name = "/bin/llama-gguf-split",
        .words = {"--split", whole, test_scratch("cli-linked"), "--split-max-tensors", "30"}};
    CHECK_INT(run_program(&split)->status, 0);
    check_same_file(test_scratch("cli-linked-00003-of-00003.gguf"), paths[2]);
}

TEST(splitting_by_size)
{
    const char *prefix = test_scratch("cli-sized");
    /* The largest tensor, the embedding, has 262144 bytes. */
    const struct program_result *result =
        RUN_PROGRAM("split", MODEL, prefix, "--split-max-size", "1M", "--no-tensor-first-split");
    CHECK_INT(result->status, 0);
    const int files = program_count_files(prefix);
    char plan[32];
    snprintf(plan, sizeof plan, "\n%d files, ", files);
    result = RUN_PROGRAM("split", MODEL, prefix, "--split-max-size", "1M",
                         "--no-tensor-first-split", "--dry-run");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, plan);
    CHECK_HAS(result->out, "-00001-of-0000");
    CHECK_HAS(result->out, ".gguf        0 tensors ");
    CHECK_INT(program_count_files(prefix), files);
}

TEST(splitting_refusals)
{
    char paths[3][PATH_BYTES];
    CHECK_REFUSED(RUN_PROGRAM("split"),
                  "no model: name a GGUF file with --model or as first argument");
    CHECK_REFUSED(RUN_PROGRAM("split", "a"),
                  "no files to write: name their prefix with --out or as second argument");
    CHECK_REFUSED(RUN_PROGRAM("merge"),
                  "no model: name the first of its files with --model or as first argument");
    CHECK_REFUSED(RUN_PROGRAM("merge", "a"),
                  "no file to write: name one with --out or as second argument");
    CHECK_REFUSED(RUN_PROGRAM("split", "a", "b", "c"), "invalid argument: c");
    CHECK_REFUSED(
        RUN_PROGRAM("split", "a", "b", "--split-max-tensors", "3", "--split-max-size", "1G"),
        "only one of --split-max-tensors and --split-max-size may be given");
    CHECK_REFUSED(RUN_PROGRAM("split", "a", "b", "--split-max-tensors", "0"),
                  "--split-max-tensors: '0' is not a whole number from 1 to 2147483647");
    static const char *const sizes[] = {"", "5", "M", "0M", "5K", "5MB", "-1M", "99999999999999G"};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "--split-max-size: '%s' is not a number from 1 to 2147483647 and M or G",
                 sizes[i]);
        CHECK_REFUSED(RUN_PROGRAM("split", "a", "b", "--split-max-size", sizes[i]), text);
    }
    split_model("cli-there", paths);
    char text[PATH_BYTES + 64];
    snprintf(text, sizeof text, "%s: exists already, and is not replaced", paths[0]);
    CHECK_REFUSED(
        RUN_PROGRAM("split", MODEL, test_scratch("cli-there"), "--split-max-tensors", "30"), text);
    CHECK_REFUSED(RUN_PROGRAM("merge", paths[0], paths[0]), text);
    snprintf(text, sizeof text, "%s: is not split, there is nothing to merge", MODEL);
    CHECK_REFUSED(RUN_PROGRAM("merge", MODEL, test_scratch("cli-unmade.gguf")), text);
}

TEST(splitting_interrupt_leaves_nothing)
{
    const char *model = test_scratch("cli-large.gguf"), *prefix = test_scratch("cli-stopped");
    CHECK_INT(RUN_PROGRAM("synth", "--size", "0.8B", "--type", "q4_0", "--layers", "4", "--vocab",
                          "99999", "-o", model)
                  ->status,
              0);
    /* The terminal's first progress line comes while the files are written. */
    const struct program_call call = {
        .words = {"split", model, prefix, "--split-max-tensors", "10"},
        .terminal = true,
        .interrupt_after = 1,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK(strstr(result->err, "error:") == NULL);
    CHECK_INT(program_count_files(prefix), 0);
    CHECK_INT(remove(model), 0);
}

/* ---- reading --------------------------------------------------------------------------------- */

enum { WORDS = 8 };

/* Every way to name a model; an empty word stands where its file does. */
static const char *const readers[][WORDS] = {
    {"run", "-m", "", "-p", "the quick", "-n", "5", "--temp=0"},
    {"inspect", "-m", "", "--weights"},
    {"inspect", "-m", "", "--plan"},
    {"tokenize", "-m", "", "-p", "the quick brown"},
    {"eval", "-m", "", "--tokens", "ids", "--logits", "-"},
};

static const struct program_result *read_model(const char *const words[WORDS], const char *path)
{
    struct program_call call = {.words = {NULL}};
    for (int i = 0; i < WORDS && words[i] != NULL; i++)
        call.words[i] = words[i][0] == 0               ? path
                        : strcmp(words[i], "ids") == 0 ? test_data("golden/tokens24.txt")
                                                       : words[i];
    return run_program(&call);
}

TEST(splitting_is_not_seen_by_readers)
{
    char paths[3][PATH_BYTES];
    split_model("cli-read", paths);
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        const struct program_result *result = read_model(readers[i], MODEL);
        CHECK_INT(result->status, 0);
        const size_t size = result->out_size;
        char *out = malloc(size + 1);
        CHECK(out != NULL);
        memcpy(out, result->out, size);
        result = read_model(readers[i], paths[0]);
        CHECK_INT(result->status, 0);
        if (result->out_size != size || memcmp(result->out, out, size) != 0)
            test_fail(__FILE__, __LINE__, "weir %s prints other text of a split model",
                      readers[i][0]);
        free(out);
    }
}

TEST(splitting_is_read_from_the_first)
{
    char paths[3][PATH_BYTES], text[2 * PATH_BYTES + 64];
    split_model("cli-first", paths);
    for (size_t i = 0; i < sizeof readers / sizeof *readers; i++) {
        snprintf(text, sizeof text,
                 "error: --model: %s: is split 2 of 3: open the first instead, "
                 "%s\n",
                 paths[1], paths[0]);
        const struct program_result *result = read_model(readers[i], paths[1]);
        CHECK_INT(result->status, 1);
        CHECK_TEXT(result->err, text);
    }
    snprintf(text, sizeof text, "%s: is split 3 of 3: open the first instead, %s", paths[2],
             paths[0]);
    CHECK_REFUSED(RUN_PROGRAM("split", paths[2], test_scratch("cli-never")), text);
    CHECK_REFUSED(RUN_PROGRAM("merge", paths[2], test_scratch("cli-never")), text);
}
