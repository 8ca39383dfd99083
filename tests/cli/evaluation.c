/* SPDX-License-Identifier: MIT
 * weir eval: logits as files, and perplexity.
 * Run alone: build/tests/weir-test evaluation_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/fixture.h"

#define MODEL  test_data("golden/nano-f32.gguf")
#define TOKENS test_data("golden/tokens24.txt")

TEST(evaluation_logits_are_the_recorded_ones)
{
    const char *path = test_scratch("logits.f32");
    const struct program_result *result = RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--logits",
                                                      path, "-ctk", "f32", "-ctv", "f32");
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 0);
    size_t count, expected_count;
    float *logits = fixture_floats(path, &count);
    float *expected = fixture_floats(test_data("golden/nano-f32.logits.f32"), &expected_count);
    CHECK_INT(count, expected_count);
    /* 1e-9 is the agreement that the recorded F32 logits promise. */
    CHECK(test_nmse(logits, expected, count) <= 1e-9);
    free(logits);
    free(expected);
}

/* Steps of up to 16 rows give the same bits; larger ones, whose rows go in chunks, what is promised
 * of them. */
TEST(evaluation_steps_give_the_logits_of_all_at_once)
{
    const char *tokens = test_data("golden/tokens300.txt");
    static const char *const batches[][2] = {{"16", "2"}, {"1", "1"}, {"7", "3"}, {"300", "2"}};
    float *logits[4];
    for (int i = 0; i < 4; i++) {
        const char *path = test_scratch("steps.f32");
        size_t count;
        CHECK_INT(RUN_PROGRAM("eval", MODEL, "--tokens", tokens, "--logits", path, "-b",
                              batches[i][0], "-t", batches[i][1])
                      ->status,
                  0);
        logits[i] = fixture_floats(path, &count);
        CHECK_INT(count, 300 * 1024);
    }
    for (int i = 1; i < 3; i++)
        CHECK(memcmp(logits[i], logits[0], 300 * 1024 * sizeof **logits) == 0);
    CHECK(test_nmse(logits[3], logits[0], 300 * 1024) <= 1e-9);
    for (int i = 0; i < 4; i++)
        free(logits[i]);
}

TEST(evaluation_logits_can_go_to_standard_output)
{
    const struct program_result *result =
        RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--logits", "-");
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 24 * 1024 * sizeof(float));
}

TEST(evaluation_failure_leaves_no_file)
{
    const char *path = test_scratch("absent.f32"), *tokens = test_scratch("bad-ids.txt");
    FILE *stream = fopen(tokens, "w");
    CHECK(stream != NULL);
    /* The first 64 rows are written before the unknown id is met. */
    for (int i = 0; i < 70; i++)
        fprintf(stream, "%d ", i);
    fprintf(stream, "1024\n");
    fclose(stream);
    const struct program_result *result =
        RUN_PROGRAM("eval", MODEL, "--tokens", tokens, "--logits", path, "--log-disable");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: ");
    CHECK_HAS(result->err, "1024");
    CHECK_INT(program_count_files(path), 0);
    result = RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--logits", "/nowhere/logits.f32",
                         "--log-disable");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "error: /nowhere/logits.f32");
    result = RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--logits", path, "-c", "23",
                         "--log-disable");
    CHECK_INT(result->status, 1);
    CHECK_INT(program_count_files(path), 0);
}

static void copy_file(const char *from, const char *to)
{
    size_t size;
    uint8_t *data = test_read_file(from, &size);
    FILE *stream = fopen(to, "w");
    CHECK(stream != NULL && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
    free(data);
}

static void check_same_files(const char *path, const char *other)
{
    size_t size, other_size;
    uint8_t *data = test_read_file(path, &size), *other_data = test_read_file(other, &other_size);
    CHECK_INT(size, other_size);
    CHECK(memcmp(data, other_data, size) == 0);
    free(data);
    free(other_data);
}

/* Results would replace what they were made of, once they are complete. */
TEST(evaluation_inputs_are_not_written_to)
{
    char model[512], tokens[512], link[512], line[600];
    snprintf(model, sizeof model, "%s", test_scratch("input.gguf"));
    snprintf(tokens, sizeof tokens, "%s", test_scratch("input.txt"));
    snprintf(link, sizeof link, "%s", test_scratch("input-link"));
    copy_file(MODEL, model);
    copy_file(TOKENS, tokens);
    CHECK_INT(symlink(model, link), 0);
    const char *const targets[] = {model, tokens, link};
    const char *const flags[][2] = {{"eval", "--save-logits"}, {"eval", "--logits"}, {"run", "-o"}};
    for (size_t i = 0; i < 9; i++) {
        const char *target = targets[i % 3], *const *flag = flags[i / 3];
        snprintf(line, sizeof line, "%s: is read from, so it cannot be written to", target);
        CHECK_REFUSED(RUN_PROGRAM(flag[0], model, "--tokens", tokens, flag[1], target), line);
    }
    for (size_t i = 0; i < 3; i++) {
        snprintf(line, sizeof line, "%s: is read from, so it cannot be written to", targets[i]);
        CHECK_REFUSED(
            RUN_PROGRAM("run", model, "--tokens", tokens, "-n", "1", "--log-file", targets[i]),
            line);
    }
    snprintf(line, sizeof line, "%s: is read from, so it cannot be written to", tokens);
    CHECK_REFUSED(RUN_PROGRAM("eval", model, "-f", tokens, "--save-logits", tokens), line);
    CHECK_REFUSED(RUN_PROGRAM("run", model, "-f", tokens, "-o", tokens), line);
    CHECK_REFUSED(RUN_PROGRAM("run", model, "--binary-file", tokens, "-o", tokens), line);
    check_same_files(model, MODEL);
    check_same_files(tokens, TOKENS);
    CHECK_INT(remove(link), 0);
}

TEST(evaluation_interrupt_leaves_no_file)
{
    const char *path = test_scratch("interrupted.f32"), *tokens = test_scratch("many-ids.txt");
    FILE *stream = fopen(tokens, "w");
    CHECK(stream != NULL);
    for (int i = 0; i < 20000; i++)
        fprintf(stream, "%d ", i % 1000);
    fclose(stream);
    /* The line that names the model comes when all is ready. */
    const struct program_call call = {
        .words = {"eval", MODEL, "--tokens", tokens, "--logits", path},
        .interrupt_after = 1,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK(strstr(result->err, "error:") == NULL);
    CHECK_INT(program_count_files(path), 0);
}

TEST(evaluation_full_standard_output_is_an_error)
{
    const struct program_call call = {
        .words = {"eval", MODEL, "--tokens", TOKENS, "--logits", "-", "--log-disable"},
        .out_path = program_full_device(),
    };
    CHECK_REFUSED(run_program(&call), "standard output: cannot write: No space left on device");
}

/* ---- multi-token prediction ------------------------------------------------------------------ */

static void check_mtp(const char *model, const char *reference, const char *drafts)
{
    const char *path = test_scratch("mtp.f32"), *parts = test_scratch("mtp-parts.f32");
    const struct program_result *result =
        RUN_PROGRAM("eval", model, "--tokens", TOKENS, "--logits", path, "--mtp", "4", "-ctk",
                    "f32", "-ctv", "f32", "-v", "-b", "16");
    CHECK_INT(result->status, 0);
    CHECK_INT(result->out_size, 0);
    CHECK_HAS(result->err, drafts);
    size_t count, expected_count, parts_count;
    float *logits = fixture_floats(path, &count);
    float *expected = fixture_floats(reference, &expected_count);
    CHECK_INT(count, (24 + 4) * 1024);
    CHECK_INT(count, expected_count);
    CHECK(test_nmse(logits, expected, count) <= 1e-9);
    /* in steps of one, without a chain: the first 24 of the same rows */
    result = RUN_PROGRAM("eval", model, "--tokens", TOKENS, "--logits", parts, "--mtp", "0", "-ctk",
                         "f32", "-ctv", "f32", "--step");
    CHECK_INT(result->status, 0);
    float *in_parts = fixture_floats(parts, &parts_count);
    CHECK_INT(parts_count, 24 * 1024);
    CHECK(memcmp(in_parts, logits, parts_count * sizeof *logits) == 0);
    free(in_parts);
    free(logits);
    free(expected);
}

TEST(evaluation_mtp_logits_are_the_recorded_ones)
{
    check_mtp(MODEL, test_data("golden/nano-f32.mtp_logits.f32"), "draft 4: 573");
    check_mtp(test_data("golden/nanomoe-f32.gguf"), test_data("golden/nanomoe-f32.mtp_logits.f32"),
              "draft 4: 633");
}

TEST(evaluation_mtp_is_refused_where_it_makes_no_sense)
{
    const char *path = test_scratch("no-mtp.f32"), *text = test_scratch("mtp.txt");
    FILE *stream = fopen(text, "w");
    CHECK(stream != NULL && fputs("some text", stream) >= 0 && fclose(stream) == 0);
    CHECK_REFUSED(RUN_PROGRAM("eval", MODEL, "-f", text, "--mtp", "2"), "--mtp needs --logits");
    CHECK_HAS(RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--logits", path, "--mtp", "-1")->err,
              "--mtp");
    const struct program_result *result =
        RUN_PROGRAM("eval", test_data("golden/nano-q4_0.gguf"), "--tokens", TOKENS, "--logits",
                    path, "--mtp", "2", "--log-disable");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "nano-q4_0.gguf: has no block of multi-token prediction, expected "
                           "nextn_predict_layers 1");
    /* 24 tokens and a chain of 2 do not fit into 25 */
    result = RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--logits", path, "--mtp", "2", "-c",
                         "25", "--log-disable");
    CHECK_REFUSED(result, "the context is full: 25 tokens and 1 more, it holds 25");
    CHECK_INT(program_count_files(path), 0);
}

/* ---- perplexity ------------------------------------------------------------------------------ */

enum { WINDOW = 16, WINDOWS = 5, TEXT_BYTES = 400 };

/* Writes a text and returns its ids by the library. */
static int32_t *make_text(const char *path, size_t *count)
{
    char text[TEXT_BYTES];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = "the quick brown fox, 12 of them.\n"[(i * i + i / 7) % 33];
    FILE *stream = fopen(path, "w");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(text, 1, sizeof text, stream), sizeof text);
    fclose(stream);
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&tokenizer, model, &err), &err);
    int32_t *ids = malloc((TEXT_BYTES + 2) * sizeof *ids);
    CHECK(ids != NULL);
    /* A newline that ends the file is not part of the text. */
    const size_t length = sizeof text - (text[sizeof text - 1] == '\n');
    CHECK_OK(weir_tokenizer_encode(tokenizer, text, length, WEIR_ENCODE_ADD_SPECIAL, ids,
                                   TEXT_BYTES + 2, count, &err),
             &err);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
    return ids;
}

static double surprise(const float *logits, uint32_t vocab, int32_t id)
{
    double sum = 0;
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - logits[id]);
    return log(sum);
}

/* What the program has to print, from the logits of whole windows. */
static void expected_report(char *out, size_t size, const int32_t *ids)
{
    struct weir_engine_options options;
    struct fixture fixture;
    double sum = 0, squares = 0, count = 0;
    size_t length = 0;
    fixture_options(&options);
    fixture_open(&fixture, MODEL, &options);
    for (int window = 0; window < WINDOWS; window++) {
        const int32_t *tokens = ids + (size_t)window * WINDOW;
        float *logits = fixture_logits(&fixture, tokens, WINDOW, false);
        for (int i = WINDOW / 2; i < WINDOW - 1; i++) {
            const double s =
                surprise(logits + (size_t)i * fixture.vocab, fixture.vocab, tokens[i + 1]);
            sum += s;
            squares += s * s;
            count++;
        }
        free(logits);
        length += (size_t)snprintf(out + length, size - length, "[%d]%.4f,", window + 1,
                                   exp(sum / count));
    }
    const double ppl = exp(sum / count);
    const double variance = squares / count - sum / count * (sum / count);
    snprintf(out + length, size - length, "\nFinal estimate: PPL = %.4f +/- %.5f\n", ppl,
             sqrt(variance / (count - 1)) * ppl);
    fixture_close(&fixture);
}

/* The numbers of two reports agree to 1e-4 of their size: sums of float32 exponentials against
 * double ones differ by less than 1024 * 2^-24. */
static void check_reports_agree(const char *actual, const char *expected)
{
    const char *a = actual, *e = expected;
    while (*a != 0 && *e != 0) {
        char *a_end, *e_end;
        const double a_number = strtod(a, &a_end), e_number = strtod(e, &e_end);
        if (a_end != a && e_end != e) {
            if (fabs(a_number - e_number) > 1e-4 * fabs(e_number))
                test_fail(__FILE__, __LINE__, "report is\n%s\nexpected\n%s", actual, expected);
            a = a_end;
            e = e_end;
        } else if (*a++ != *e++) {
            test_fail(__FILE__, __LINE__, "report is\n%s\nexpected\n%s", actual, expected);
        }
    }
    CHECK(*a == *e);
}

TEST(evaluation_perplexity_is_that_of_second_halves)
{
    const char *path = test_scratch("text.txt");
    char expected[1024];
    size_t count;
    int32_t *ids = make_text(path, &count);
    CHECK(count >= WINDOW * WINDOWS);
    expected_report(expected, sizeof expected, ids);
    const struct program_result *result = RUN_PROGRAM(
        "eval", MODEL, "-f", path, "-c", "16", "--chunks", "5", "-ctk", "f32", "-ctv", "f32");
    CHECK_INT(result->status, 0);
    check_reports_agree(result->out, expected);
    result = RUN_PROGRAM("eval", MODEL, "-f", path, "-c", "16", "--chunks", "5", "-ctk", "f32",
                         "-ctv", "f32", "-ub", "3");
    check_reports_agree(result->out, expected);
    char last[32];
    snprintf(last, sizeof last, "[%d]", (int)(count / WINDOW));
    result = RUN_PROGRAM("eval", MODEL, "-f", path, "-c", "16");
    CHECK_HAS(result->out, last);
    free(ids);
}

TEST(evaluation_perplexity_needs_two_windows)
{
    const char *path = test_scratch("short.txt");
    size_t count;
    free(make_text(path, &count));
    char expected[4200];
    snprintf(expected, sizeof expected,
             "%s: holds %d tokens, expected at least 2 windows of --ctx-size 512", path,
             (int)count);
    CHECK_REFUSED(RUN_PROGRAM("eval", MODEL, "-f", path, "--log-disable"), expected);
    CHECK_REFUSED(RUN_PROGRAM("eval", MODEL, "-f", path, "--chunks", "0"),
                  "--chunks: 0 windows leave nothing to measure");
}
