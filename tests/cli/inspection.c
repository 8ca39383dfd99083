/* SPDX-License-Identifier: MIT
 * weir inspect, tokenize and synth: what they print and write.
 * Run alone: build/tests/weir-test inspection_ */
#include "cli/program.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fixture.h"

#define MODEL test_data("golden/nano-f32.gguf")

TEST(inspection_prints_metadata_by_default)
{
    const struct program_result *result = RUN_PROGRAM("inspect", MODEL);
    CHECK_INT(result->status, 0);
    CHECK_INT(result->err_size, 0);
    CHECK_HAS(result->out, "general.architecture = \"qwen35\"\n");
    result = RUN_PROGRAM("inspect", MODEL, "--override-kv",
                         "general.name=str:\"a, b\",general.file_type=int:7");
    CHECK_HAS(result->out, "general.name = \"a, b\"\n");
    CHECK_HAS(result->out, "general.file_type = 7\n");
    result = RUN_PROGRAM("inspect", MODEL, "--override-kv", "a=str:\x1b[1m\xc2\x9b\\\xc3\x9b\xc2");
    CHECK_HAS(result->out, "a = \"\\x1b[1m\\xc2\\x9b\\\\\xc3\x9b\xc2\"\n");
}

TEST(inspection_prints_weights_and_plan)
{
    const struct program_result *result = RUN_PROGRAM("inspect", MODEL, "--weights");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "blk.0.attn_qkv.weight");
    CHECK(strstr(result->out, "general.architecture") == NULL);
    result = RUN_PROGRAM("inspect", MODEL, "--plan", "--rows", "3", "--sequences", "2", "--cached",
                         "10");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "6 new rows in 2 sequences");
    CHECK_HAS(result->out, "DELTA_RULE_INPLACE");
    CHECK(strstr(result->out, "STATE_STORE") == NULL);
    CHECK_HAS(RUN_PROGRAM("inspect", MODEL, "--plan", "--fused-gdn", "off")->out, "STATE_STORE");
    CHECK_REFUSED(RUN_PROGRAM("inspect", MODEL, "--plan", "-c", "4", "--cached", "4"),
                  "--cached and --rows need a context of 5, but --ctx-size is 4");
    CHECK_REFUSED(
        RUN_PROGRAM("inspect", MODEL, "--plan", "--rows", "2000000000", "--sequences", "65536"),
        "--rows, --sequences and --cached are too large");
}

TEST(inspection_memory_is_the_estimate)
{
    struct weir_model *model;
    struct weir_memory memory;
    struct weir_engine_options options;
    struct weir_error err = {0};
    weir_engine_options_init(&options);
    options.context = 4096;
    options.sessions_max = options.logits_rows_max = 3;
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_memory_estimate(model, &options, &memory, &err), &err);
    weir_model_close(model);
    const struct program_result *result =
        RUN_PROGRAM("inspect", MODEL, "--memory", "-c", "4096", "-np", "3");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "context 4096 tokens, 3 sequences, 512 rows a step\n");
    char line[64];
    snprintf(line, sizeof line, "\n%-24s %16llu ", "kv cache", (unsigned long long)memory.kv);
    CHECK_HAS(result->out, line);
    snprintf(line, sizeof line, "\n%-24s %16llu ", "total", (unsigned long long)memory.total);
    CHECK_HAS(result->out, line);
}

/* As weir run opens the engine for drafts of a kind. */
TEST(inspection_memory_counts_what_drafts_need)
{
    static const struct {
        const char *kind, *drafts;
        uint32_t drafts_max;
        bool mtp;
    } cases[] = {{"draft-mtp", "--no-pin", 3, true},
                 {"draft-mtp", "--spec-draft-n-max=5", 5, true},
                 {"draft-simple", "--no-pin", 3, false},
                 {"ngram-simple", "--no-pin", 15, false}};
    const char *model_path = test_data("golden/nanomoe-f32.gguf");
    struct weir_model *model;
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&model, model_path, NULL, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_engine_options options;
        struct weir_memory memory;
        char line[64];
        weir_engine_options_init(&options);
        options.context = 4096;
        options.mtp = cases[i].mtp;
        options.rewind_max = options.logits_rows_max = 1 + cases[i].drafts_max;
        CHECK_OK(weir_memory_estimate(model, &options, &memory, &err), &err);
        snprintf(line, sizeof line, "\n%-24s %16llu ", "total", (unsigned long long)memory.total);
        CHECK_HAS(RUN_PROGRAM("inspect", model_path, "--memory", "-c", "4096", "--spec-type",
                              cases[i].kind, cases[i].drafts)
                      ->out,
                  line);
    }
    weir_model_close(model);
}

/* The bytes of a row of the table. */
static double row_bytes(const char *table, const char *name)
{
    const char *row = strstr(table, name);
    double bytes;
    CHECK(row != NULL && sscanf(row + strlen(name), "%lf", &bytes) == 1);
    return bytes;
}

/* Whether a printed size, in MiB with two digits, is that of so many bytes. */
static bool same_mib(double mib, double bytes)
{
    const double difference = mib * (1 << 20) - bytes;
    return difference < 5300 && difference > -5300;
}

/* What is packed or read takes memory of its own; what stays in the file does not. */
static void check_needed(const char *flag, bool is_mapped)
{
    double needed, free_memory;
    const struct program_result *result =
        RUN_PROGRAM("inspect", MODEL, "--memory", "-c", "64", flag);
    CHECK_INT(result->status, 0);
    const char *line = strstr(result->out, "\nfits: ");
    if (line == NULL && row_bytes(result->out, "\navailable") == 0)
        test_skip("the system does not tell how much memory is free");
    CHECK(line != NULL &&
          sscanf(line, " fits: needs %lf MiB, %lf MiB are free\n", &needed, &free_memory) == 2);
    const double total = row_bytes(result->out, "\ntotal");
    const double weights = row_bytes(result->out, "\nweights");
    const double mapped = row_bytes(result->out, "\n  in the mapped file");
    CHECK(weights > 0 && needed > 0 && free_memory > needed);
    CHECK(is_mapped ? mapped == weights : mapped == 0);
    CHECK(same_mib(needed, row_bytes(result->out, "\nneeded")));
    CHECK(needed * (1 << 20) >= total - mapped - 5300); /* packed, rows end with lines */
    CHECK(needed * (1 << 20) <= 1.2 * (total - mapped));
}

TEST(inspection_memory_says_whether_it_fits)
{
    check_needed("--no-pin", false);
    check_needed("--no-repack", true);
    check_needed("--no-mmap", false);
}

TEST(inspection_memory_that_does_not_fit_is_told)
{
    const struct program_result *result =
        RUN_PROGRAM("inspect", MODEL, "--memory", "-c", "1000000000");
    CHECK_INT(result->status, 0);
    if (row_bytes(result->out, "\navailable") == 0)
        test_skip("the system does not tell how much memory is free");
    CHECK_HAS(result->out, "\ndoes not fit: needs ");
}

TEST(inspection_missing_model_names_the_flag)
{
    const struct program_result *result = RUN_PROGRAM("inspect", "-m", "/nowhere/x.gguf");
    CHECK_INT(result->status, 1);
    CHECK(strncmp(result->err, "error: --model: /nowhere/x.gguf: ", 33) == 0);
}

/* ---- tokenize -------------------------------------------------------------------------------- */

TEST(inspection_tokens_have_the_known_formats)
{
    /* The vocabulary of the model: the 256 bytes, pairs of letters, and control tokens. */
    CHECK_TEXT(RUN_PROGRAM("tokenize", MODEL, "-p", "a b<|im_end|>\\n")->out,
               "    97 -> 'a'\n   933 -> ' b'\n  1019 -> '<|im_end|>'\n    10 -> '\n'\n");
    CHECK_TEXT(RUN_PROGRAM("tokenize", MODEL, "-p", "a b", "--ids", "--show-count")->out,
               "[97, 933]\nTotal number of tokens: 2\n");
    CHECK_TEXT(RUN_PROGRAM("tokenize", MODEL, "-p", "", "--ids")->out, "[]\n");
    const struct program_call call = {
        .words = {"tokenize", "-m", MODEL, "--stdin", "--ids", "--no-escape", "--no-bos"},
        .input = "a\\n",
    };
    CHECK_TEXT(run_program(&call)->out, "[97, 92, 110]\n");
    CHECK_HAS(RUN_PROGRAM("tokenize", MODEL, "-p", "<|im_end|>", "--no-parse-special")->out,
              "    60 -> '<'\n");
}

TEST(inspection_invalid_text_has_more_tokens_than_bytes)
{
    /* Each byte becomes U+FFFD, three bytes that no merge joins in this vocabulary. */
    char input[101];
    memset(input, 0xff, sizeof input - 1);
    input[sizeof input - 1] = 0;
    const struct program_call call = {
        .words = {"tokenize", MODEL, "--stdin", "--show-count"},
        .input = input,
    };
    CHECK_HAS(run_program(&call)->out, "Total number of tokens: 300\n");
}

/* ---- synth ----------------------------------------------------------------------------------- */

TEST(inspection_synth_writes_the_same_model_again)
{
    const char *const paths[] = {test_scratch("a.gguf"), test_scratch("b.gguf"),
                                 test_scratch("c.gguf")};
    const char *const seeds[] = {"5", "5", "6"};
    uint8_t *data[3];
    size_t sizes[3];
    for (int i = 0; i < 3; i++) {
        const struct program_result *result =
            RUN_PROGRAM("synth", "--size", "nano", "--type", "q8_0", "--out", paths[i], "--seed",
                        seeds[i], "--mtp", "1", "--f32-gates");
        CHECK_INT(result->status, 0);
        CHECK_INT(result->out_size, 0);
        data[i] = test_read_file(paths[i], &sizes[i]);
        char expected[512];
        snprintf(expected, sizeof expected, "%s: %.2f MiB, ", paths[i],
                 (double)sizes[i] / (1 << 20));
        CHECK(strncmp(result->err, expected, strlen(expected)) == 0);
        CHECK_HAS(result->err, " bits per weight\n");
    }
    CHECK(sizes[0] == sizes[1] && memcmp(data[0], data[1], sizes[0]) == 0);
    CHECK(sizes[0] == sizes[2] && memcmp(data[0], data[2], sizes[0]) != 0);
    for (int i = 0; i < 3; i++)
        free(data[i]);
    CHECK_HAS(RUN_PROGRAM("inspect", paths[0])->out, "qwen35.nextn_predict_layers = 1\n");
    const struct program_result *result = RUN_PROGRAM(
        "run", paths[0], "--tokens", test_data("golden/tokens24.txt"), "--ids", "-n", "2");
    CHECK_INT(result->status, 0);
}

TEST(inspection_synth_failure_leaves_nothing)
{
    const char *path = test_scratch("never.gguf");
    const struct program_result *result =
        RUN_PROGRAM("synth", "--size", "1T", "--type", "q4_0", "--out", path);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "0.8B");
    CHECK_INT(program_count_files(path), 0);
    result = RUN_PROGRAM("synth", "--size", "nano", "--out", "/nowhere/never.gguf");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: /nowhere/never.gguf");
    CHECK_REFUSED(RUN_PROGRAM("synth"), "no file to write: name one with --out");
}

TEST(inspection_synth_hangup_leaves_nothing)
{
    const char *path = test_scratch("hangup.gguf");
    /* The progress on the terminal says that writing has begun. */
    const struct program_call call = {
        .words = {"synth", "--size", "0.8B", "--layers", "4", "--vocab", "100000", "--out", path},
        .terminal = true,
        .interrupt_after = 1,
        .interrupt_signal = SIGHUP,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK(strstr(result->err, "error:") == NULL);
    CHECK_INT(program_count_files(path), 0);
}

TEST(inspection_synth_limit_of_file_size_is_an_error)
{
    const char *path = test_scratch("limited.gguf");
    const struct program_call call = {
        .words = {"synth", "--size", "nano", "--out", path},
        .file_bytes_max = 4096,
    };
    char expected[4200];
    snprintf(expected, sizeof expected, "%s: cannot write: File too large", path);
    CHECK_REFUSED(run_program(&call), expected);
    CHECK_INT(program_count_files(path), 0);
}
