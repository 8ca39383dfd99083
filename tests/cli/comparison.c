/* SPDX-License-Identifier: MIT
 * weir eval: perplexity of token ids, saved rows, and models compared with them.
 * Run alone: build/tests/weir-test comparison_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "golden/fixture.h"

#define MODEL  test_data("golden/nano-f32.gguf")
#define OTHER  test_data("golden/nano-q8_0.gguf")
#define TOKENS test_data("golden/tokens300.txt")

enum { PATH_BYTES = 4200, VOCAB = 1024, WINDOW = 32, WINDOWS = 9, FIRST = WINDOW / 2 };
enum { WINDOW_ROWS = WINDOW - 1 - FIRST, ROWS = WINDOWS * WINDOW_ROWS };

struct path {
    char text[PATH_BYTES];
};

/* The base that the model makes of the tokens in windows of 32. */
static struct path make_base_on(const char *backend)
{
    struct path path;
    char name[64];
    snprintf(name, sizeof name, "comparison-base-%s", backend);
    snprintf(path.text, sizeof path.text, "%s", test_scratch(name));
    if (access(path.text, F_OK) == 0)
        return path;
    const struct program_result *result =
        RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "-c", "32", "--save-logits", path.text,
                    "--backend", backend);
    CHECK_INT(result->status, 0);
    CHECK_INT(program_count_files(path.text), 1);
    return path;
}

static struct path make_base(void)
{
    return make_base_on("cpu");
}

/* The number behind `name` at the head of a line of the report. */
static double reported(const char *report, const char *name)
{
    char line[64];
    snprintf(line, sizeof line, "\n%s", name);
    const char *at = strstr(report, line);
    if (at == NULL)
        test_fail(__FILE__, __LINE__, "no \"%s\" in\n%s", name, report);
    return strtod(at + strlen(line), NULL);
}

static void check_near(const char *report, const char *name, double expected, double tolerance)
{
    const double value = reported(report, name);
    if (fabs(value - expected) > tolerance)
        test_fail(__FILE__, __LINE__, "%s is %.6f, expected %.6f +/- %.6f", name, value, expected,
                  tolerance);
}

/* ---- equalities ------------------------------------------------------------------------------ */

TEST(comparison_with_itself_is_exact)
{
    const struct path base = make_base();
    const struct program_result *result = RUN_PROGRAM("eval", MODEL, "--kl", base.text);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "[1]0.000000,[2]0.000000,");
    CHECK_HAS(result->out, "\nrows:                       135\n");
    CHECK_HAS(result->out, "\nPPL ratio:             1.000000 +/- 0.000000\n");
    CHECK_HAS(result->out, "\nKL mean:               0.000000 +/- 0.000000\n");
    CHECK_HAS(result->out, "\nKL maximum:            0.000000\n");
    CHECK_HAS(result->out, "\nchange of p RMS:       0.000 % +/- 0.000 %\n");
    CHECK_HAS(result->out, "\nsame top token:      100.000 % +/- 0.000 %\n");
}

/* However the work is divided, and whichever flags ask for it. */
TEST(comparison_does_not_depend_on_the_division)
{
    const struct path base = make_base();
    const char *const other_base = test_scratch("comparison-other-base");
    CHECK_INT(RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "-c", "32", "-t", "3", "-ub", "5",
                          "--kl-divergence-base", other_base)
                  ->status,
              0);
    size_t sizes[2];
    uint8_t *data[2] = {test_read_file(base.text, &sizes[0]),
                        test_read_file(other_base, &sizes[1])};
    CHECK(sizes[0] == sizes[1] && memcmp(data[0], data[1], sizes[0]) == 0);
    free(data[0]);
    free(data[1]);

    char *report = strdup(RUN_PROGRAM("eval", OTHER, "--kl", base.text)->out);
    CHECK_TEXT(
        RUN_PROGRAM("eval", OTHER, "--kl", base.text, "-t", "3", "-ub", "5", "-c", "32")->out,
        report);
    CHECK_TEXT(RUN_PROGRAM("eval", OTHER, "--kl-divergence", "--save-all-logits", base.text)->out,
               report);
    const struct program_result *result =
        RUN_PROGRAM("eval", OTHER, "--kl", base.text, "-f", "/nowhere/text");
    CHECK_TEXT(result->out, report);
    CHECK_HAS(result->err, "--file has no effect: a comparison reads the tokens of its base");
    free(report);
}

/* ---- the numbers ----------------------------------------------------------------------------- */

struct expected {
    double kl[ROWS], surprise[ROWS], surprise_base[ROWS];
    double spread; /* mean of |ln p / q| under p, over all rows */
    uint32_t same_top;
};

static uint32_t log_softmax(const float *logits, double *out)
{
    uint32_t top = 0;
    double sum = 0;
    for (uint32_t i = 1; i < VOCAB; i++)
        top = logits[i] > logits[top] ? i : top;
    for (uint32_t i = 0; i < VOCAB; i++)
        sum += exp((double)logits[i] - (double)logits[top]);
    for (uint32_t i = 0; i < VOCAB; i++)
        out[i] = (double)logits[i] - (double)logits[top] - log(sum);
    return top;
}

/* Logits of all windows, each from an empty session. */
static float *window_logits(const char *model, const int32_t *tokens)
{
    struct weir_engine_options options;
    struct fixture fixture;
    fixture_options(&options);
    fixture_open(&fixture, model, &options);
    CHECK_INT(fixture.vocab, VOCAB);
    const size_t window_size = (size_t)WINDOW * VOCAB;
    float *all = malloc(WINDOWS * window_size * sizeof *all);
    CHECK(all != NULL);
    for (int window = 0; window < WINDOWS; window++) {
        float *logits = fixture_logits(&fixture, tokens + window * WINDOW, WINDOW, false);
        memcpy(all + (size_t)window * window_size, logits, window_size * sizeof *all);
        free(logits);
    }
    fixture_close(&fixture);
    return all;
}

static void expect_rows(struct expected *expected)
{
    static double p[VOCAB], q[VOCAB];
    uint32_t count;
    int32_t *tokens = fixture_tokens(TOKENS, &count);
    CHECK(count >= WINDOWS * WINDOW);
    float *base = window_logits(MODEL, tokens), *other = window_logits(OTHER, tokens);
    int row = 0;
    for (int i = 0; i < WINDOWS * WINDOW; i++) {
        if (i % WINDOW < FIRST || i % WINDOW == WINDOW - 1)
            continue;
        expected->same_top +=
            log_softmax(base + (size_t)i * VOCAB, p) == log_softmax(other + (size_t)i * VOCAB, q);
        for (int j = 0; j < VOCAB; j++) {
            expected->kl[row] += exp(p[j]) * (p[j] - q[j]);
            expected->spread += exp(p[j]) * fabs(p[j] - q[j]) / ROWS;
        }
        expected->surprise[row] = -q[tokens[i + 1]];
        expected->surprise_base[row++] = -p[tokens[i + 1]];
    }
    CHECK_INT(row, ROWS);
    free(base);
    free(other);
    free(tokens);
}

static double mean(const double *values)
{
    double sum = 0;
    for (int i = 0; i < ROWS; i++)
        sum += values[i];
    return sum / ROWS;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

TEST(comparison_numbers_are_those_of_plain_arithmetic)
{
    static struct expected expected;
    /* the reference gives the same logits however a window is cut */
    const struct path base = make_base_on("ref");
    expected = (struct expected){.same_top = 0};
    expect_rows(&expected);
    const char *report = RUN_PROGRAM("eval", OTHER, "--kl", base.text, "--backend", "ref")->out;
    /* Six decimals are printed. Of a perplexity near 1000, float sums leave 2^-23 or 1.2e-4. */
    const double ppl = exp(mean(expected.surprise)), ppl_base = exp(mean(expected.surprise_base));
    CHECK_INT(reported(report, "rows:"), ROWS);
    check_near(report, "PPL:", ppl, ppl * 0x1p-23 + 1e-6);
    check_near(report, "PPL of base:", ppl_base, ppl_base * 0x1p-23 + 1e-6);
    check_near(report, "PPL ratio:", ppl / ppl_base, 0x1p-22 + 1e-6);
    /* Rounding by h = 2^-12 moves e^2h - 1 of the spread at most, and h^2 / 2. */
    const double tolerance = (exp(0x1p-11) - 1) * expected.spread + 0x1p-25 + 0x1p-23 + 1e-6;
    check_near(report, "KL mean:", mean(expected.kl), tolerance);
    /* That is of the mean row; single ones may have twice the spread. */
    qsort(expected.kl, ROWS, sizeof *expected.kl, compare_doubles);
    check_near(report, "KL median:", expected.kl[ROWS / 2], 2 * tolerance);
    check_near(report, "KL maximum:", expected.kl[ROWS - 1], 2 * tolerance);
    check_near(report, "same top token:", 100.0 * expected.same_top / ROWS, 1e-3);

    double squares = 0, sum = 0;
    for (int i = 0; i < ROWS; i++) {
        const double change = exp(-expected.surprise[i]) - exp(-expected.surprise_base[i]);
        sum += change;
        squares += change * change;
    }
    check_near(report, "change of p mean:", 100 * sum / ROWS, 1e-3);
    check_near(report, "change of p RMS:", 100 * sqrt(squares / ROWS), 1e-3);
}

/* ---- perplexity of tokens -------------------------------------------------------------------- */

/* The ids of a text are the text, and all of the ids are a window if it is not said how many. */
TEST(comparison_tokens_have_a_perplexity)
{
    const char *ids = test_data("golden/tokens24.txt");
    const struct program_result *result = RUN_PROGRAM("eval", MODEL, "--tokens", ids);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "[1]");
    CHECK(strstr(result->out, "[2]") == NULL);
    char *text = strdup(result->out);
    CHECK_TEXT(RUN_PROGRAM("eval", MODEL, "--tokens", ids, "-c", "24")->out, text);
    free(text);
    CHECK_HAS(RUN_PROGRAM("eval", MODEL, "--tokens", ids, "-c", "8")->out, ",[3]");
    char expected[PATH_BYTES + 64];
    snprintf(expected, sizeof expected, "%s: holds 24 tokens, but a window of 25 is needed", ids);
    CHECK_REFUSED(RUN_PROGRAM("eval", MODEL, "--tokens", ids, "-c", "25"), expected);
}

/* The last token of a window is not evaluated. */
TEST(comparison_tokens_are_of_the_vocabulary)
{
    const char *ids = test_scratch("comparison-ids");
    FILE *stream = fopen(ids, "w");
    CHECK(stream != NULL);
    fprintf(stream, "1 2 3 4 5 6 7 1024\n");
    fclose(stream);
    CHECK_REFUSED(RUN_PROGRAM("eval", MODEL, "--tokens", ids, "--log-disable"),
                  "token 7 is 1024, but the model has 1024 tokens");
}

/* A base of a text, compared in part. */
TEST(comparison_of_a_text)
{
    const char *text = test_scratch("comparison-text"), *base = test_scratch("comparison-of-text");
    FILE *stream = fopen(text, "w");
    CHECK(stream != NULL);
    for (int i = 0; i < 60; i++)
        fprintf(stream, "the quick brown fox, %d of them.\n", i);
    fclose(stream);
    const struct program_result *result =
        RUN_PROGRAM("eval", MODEL, "-f", text, "-c", "20", "--chunks", "4", "--save-logits", base);
    CHECK_INT(result->status, 0);
    double ppl = strtod(strstr(result->out, "PPL = ") + 6, NULL);
    result = RUN_PROGRAM("eval", MODEL, "--kl", base);
    check_near(result->out, "PPL of base:", ppl, 1e-4);
    CHECK_INT(reported(result->out, "rows:"), 4 * 9);
    result = RUN_PROGRAM("eval", MODEL, "--kl", base, "--chunks", "2");
    CHECK_INT(reported(result->out, "rows:"), 2 * 9);
    result = RUN_PROGRAM("eval", MODEL, "-f", text, "-c", "20", "--chunks", "2");
    ppl = strtod(strstr(result->out, "PPL = ") + 6, NULL);
    result = RUN_PROGRAM("eval", MODEL, "--kl", base, "--chunks", "2");
    check_near(result->out, "PPL:", ppl, 1e-4);
}

/* ---- refusals -------------------------------------------------------------------------------- */

TEST(comparison_flags_are_checked)
{
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "--kl", "a", "--save-logits", "b"),
                  "only one of --kl and --kl-divergence-base may be given");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "--kl-divergence", "-f", "a"),
                  "--kl-divergence needs --kl-divergence-base, the file of a base run");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "--kl", "a", "--tokens", "b", "--logits", "c"),
                  "only one of --logits and --kl-divergence may be given");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "--tokens", "b", "--logits", "c", "--save-logits", "d"),
                  "only one of --logits and --kl-divergence-base may be given");
    CHECK_REFUSED(RUN_PROGRAM("eval", "x", "--kl", "/nowhere/base"),
                  "/nowhere/base: cannot open: No such file or directory");
}

TEST(comparison_base_is_checked)
{
    const struct path base = make_base();
    char expected[2 * PATH_BYTES];
    snprintf(expected, sizeof expected, "--ctx-size: is 64, but %s has windows of 32", base.text);
    CHECK_REFUSED(RUN_PROGRAM("eval", OTHER, "--kl", base.text, "-c", "64"), expected);
    CHECK_REFUSED(RUN_PROGRAM("eval", OTHER, "--kl", base.text, "--chunks", "0"),
                  "--chunks: 0 windows cannot be compared");
    snprintf(expected, sizeof expected, "%s: is not a file of weir eval --save-logits", MODEL);
    CHECK_REFUSED(RUN_PROGRAM("eval", OTHER, "--kl", MODEL), expected);

    size_t size;
    uint8_t *data = test_read_file(base.text, &size);
    const char *damaged = test_scratch("comparison-damaged");
    const size_t record_bytes = 12 + 2 * VOCAB, records_at = size - ROWS * record_bytes;
    data[records_at + 20 * record_bytes + 10] = 0xff; /* the top token of row 20 */
    for (int truncated = 0; truncated < 2; truncated++) {
        FILE *stream = fopen(damaged, "wb");
        CHECK(stream != NULL);
        CHECK_INT(fwrite(data, 1, size - (size_t)truncated, stream), size - (size_t)truncated);
        fclose(stream);
        if (truncated)
            snprintf(expected, sizeof expected,
                     "%s: has %zu bytes, which do not hold 9 windows of 32 tokens and 1024 logits",
                     damaged, size - 1);
        else
            snprintf(expected, sizeof expected, "error: %s: row 20 is damaged", damaged);
        const struct program_result *result =
            RUN_PROGRAM("eval", OTHER, "--kl", damaged, "--log-disable");
        CHECK_INT(result->status, 1);
        CHECK_HAS(result->err, expected);
    }
    free(data);
}

TEST(comparison_needs_equal_vocabularies)
{
    const struct path base = make_base();
    const char *model = test_scratch("comparison-other.gguf");
    char expected[PATH_BYTES + 64];
    CHECK_INT(RUN_PROGRAM("synth", "--size", "nano", "--vocab", "1100", "-o", model)->status, 0);
    snprintf(expected, sizeof expected, "%s: has rows of 1024 logits, the model's have 1100",
             base.text);
    CHECK_REFUSED(RUN_PROGRAM("eval", model, "--kl", base.text, "--log-disable"), expected);
}

TEST(comparison_failure_leaves_no_base)
{
    const char *path = test_scratch("comparison-none");
    const struct program_call full = {
        .words = {"eval", MODEL, "--tokens", TOKENS, "-c", "32", "--save-logits", path,
                  "--log-disable"},
        .out_path = program_full_device(),
    };
    CHECK_REFUSED(run_program(&full), "standard output: cannot write: No space left on device");
    CHECK_INT(program_count_files(path), 0);
    struct program_call call = full;
    call.out_path = NULL;
    call.file_bytes_max = 100000;
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "comparison-none: cannot write: File too large");
    CHECK_INT(program_count_files(path), 0);
    call.file_bytes_max = 0;
    call.interrupt_after = 1; /* behind the first window */
    result = run_program(&call);
    CHECK(result->status == 130 || result->status == 0);
    CHECK_INT(program_count_files(path), result->status == 0);
    CHECK_REFUSED(RUN_PROGRAM("eval", MODEL, "--tokens", TOKENS, "--save-logits", "/nowhere/base",
                              "--log-disable"),
                  "/nowhere/base: cannot create a file beside it: No such file or directory");
}
