/* SPDX-License-Identifier: MIT
 * weir imatrix: the file, what adds up, and refusals.
 * Run alone: build/tests/weir-test importance_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/imatrix.h"

#define MODEL test_data("golden/nano-q8_0.gguf")

/* 64 windows' worth of words and more. */
static const char *write_text(void)
{
    const char *path = test_scratch("calibration.txt");
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL);
    for (int i = 0; i < 400; i++)
        fprintf(stream, "line %d of a text about %d things\n", i, i * i % 97);
    CHECK_INT(fclose(stream), 0);
    return path;
}

static void read_imatrix(struct imatrix *imatrix, const char *path)
{
    struct weir_error err = {0};
    CHECK_OK(imatrix_read(imatrix, path, &err), &err);
}

TEST(importance_windows_add_up)
{
    const char *text = write_text();
    const char *const path[] = {test_scratch("i1.gguf"), test_scratch("i3.gguf"),
                                test_scratch("i2.gguf")};
    struct imatrix one, all;
    CHECK_INT(RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", path[0], "-c", "32", "--chunks", "3")
                  ->status,
              0);
    const struct program_result *result =
        RUN_PROGRAM("imatrix", "-m", MODEL, "-f", text, "--output-file", path[1], "-c", "32",
                    "--chunks", "2", "--in-file", path[0], "--process-output");
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 0);
    CHECK_HAS(result->err, "5 chunks of 32 tokens");
    read_imatrix(&one, path[0]);
    read_imatrix(&all, path[1]);
    CHECK_INT(one.chunk_count, 3);
    CHECK_INT(all.chunk_count, 5);
    CHECK_INT(all.count, one.count + 1); /* the output matrix, which is the embedding here */
    CHECK_INT((int)imatrix_find(&one, "blk.3.attn_q.weight")->counts[0], 3 * 32);
    CHECK_INT((int)imatrix_find(&all, "blk.3.attn_q.weight")->counts[0], 5 * 32);
    CHECK_INT((int)imatrix_find(&all, "token_embd.weight")->counts[0], 2 * 32);
    imatrix_release(&one);
    imatrix_release(&all);
}

/* Whatever steps the window is cut into; a hidden state goes from one to the next. */
TEST(importance_measures_the_mtp_block)
{
    const char *text = write_text(), *model = test_data("golden/nano-f32.gguf");
    const char *const path[] = {test_scratch("mtp-512.gguf"), test_scratch("mtp-5.gguf")};
    static const char *const rows[] = {"512", "5"};
    struct imatrix imatrix[2];
    for (int i = 0; i < 2; i++) {
        CHECK_INT(RUN_PROGRAM("imatrix", model, "-f", text, "-o", path[i], "-c", "32", "--chunks",
                              "2", "-ub", rows[i])
                      ->status,
                  0);
        read_imatrix(&imatrix[i], path[i]);
    }
    const struct imatrix_entry *one = imatrix_find(&imatrix[0], "blk.4.nextn.eh_proj.weight");
    const struct imatrix_entry *other = imatrix_find(&imatrix[1], "blk.4.nextn.eh_proj.weight");
    CHECK(one != NULL && other != NULL);
    CHECK_INT((int)one->counts[0], 2 * 32);
    for (uint64_t i = 0; i < one->columns; i++) {
        CHECK(one->sums[i] > 0);
        /* two sums of 64 numbers in F32, added in another order */
        CHECK(fabsf(one->sums[i] - other->sums[i]) <= 64 * 1.2e-7f * one->sums[i]);
    }
    imatrix_release(&imatrix[0]);
    imatrix_release(&imatrix[1]);
}

TEST(importance_steps_may_be_small)
{
    const char *text = write_text(), *path = test_scratch("small-steps.gguf");
    CHECK_INT(RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", path, "-c", "96", "--chunks", "1",
                          "--process-output", "-ub", "32")
                  ->status,
              0);
}

TEST(importance_files_add_up_without_a_text)
{
    const char *text = write_text();
    char one[512], sum[512];
    struct imatrix both;
    snprintf(one, sizeof one, "%s", test_scratch("add-1.gguf"));
    snprintf(sum, sizeof sum, "%s", test_scratch("add-2.gguf"));
    CHECK_INT(
        RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", one, "-c", "32", "--chunks", "1")->status,
        0);
    CHECK_INT(RUN_PROGRAM("imatrix", "--in-file", one, "--in-file", one, "-o", sum)->status, 0);
    read_imatrix(&both, sum);
    CHECK_INT((int)imatrix_find(&both, "blk.3.attn_q.weight")->counts[0], 2 * 32);
    imatrix_release(&both);
}

TEST(importance_replaces_no_input)
{
    char text[512];
    snprintf(text, sizeof text, "%s", write_text());
    const struct program_result *result = RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", text);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "is read from, so it cannot be written to");
    result = RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", MODEL);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "is read from, so it cannot be written to");
}

/* Before the run, which may take hours. */
TEST(importance_tries_the_output_first)
{
    const struct program_result *result = RUN_PROGRAM("imatrix", "no-such-model.gguf", "-f",
                                                      write_text(), "-o", "no-such-folder/x.gguf");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "no-such-folder/x.gguf");
}

TEST(importance_refuses)
{
    const char *text = write_text(), *path = test_scratch("none.gguf");
    CHECK_REFUSED(RUN_PROGRAM("imatrix", MODEL, "-f", text),
                  "no file to write: name one with --output-file");
    CHECK_REFUSED(RUN_PROGRAM("imatrix", MODEL, "-o", path), "no text: name one with --file");
    CHECK_REFUSED(RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", path, "--chunks", "0"),
                  "--chunks: 0 windows leave nothing to measure");
    const struct program_result *result =
        RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", path, "-c", "100000");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "expected at least 1 windows of --ctx-size 100000");
    result = RUN_PROGRAM("imatrix", MODEL, "-f", text, "-o", path, "--in-file", text);
    CHECK_INT(result->status, 1);
    CHECK_INT(program_count_files(path), 0);
}
