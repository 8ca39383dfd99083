/* SPDX-License-Identifier: MIT
 * Tests of comparing models: records of rows, their file, statistics.
 * Run alone: build/tests/weir-test kl_ */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "app/kl_base.h"
#include "app/kl_report.h"
#include "base/mem.h"
#include "base/rng.h"

enum { VOCAB_MAX = 4096 };

/* ---- rows ------------------------------------------------------------------------------------ */

/* Logits of a kind that `variant` chooses: flat, peaked, wide, with ties. */
static void draw_row(float *logits, uint32_t vocab, uint64_t stream, uint32_t variant)
{
    static const double widths[] = {0, 0.01, 1, 6, 30, 1000, 1e30};
    const double width = widths[variant % 7];
    for (uint32_t i = 0; i < vocab; i++) {
        const double u = (double)(rng_bits(test_seed(), stream, i) >> 11) * 0x1p-53;
        logits[i] = (float)(width * (variant % 2 == 0 ? u - 0.5 : u * u * u));
    }
}

/* The same in plain double from the definition, rows of float as they are. */
static void log_softmax(const float *logits, uint32_t vocab, double *out)
{
    double max = (double)logits[0], sum = 0;
    for (uint32_t i = 1; i < vocab; i++)
        max = (double)logits[i] > max ? (double)logits[i] : max;
    for (uint32_t i = 0; i < vocab; i++)
        sum += exp((double)logits[i] - max);
    for (uint32_t i = 0; i < vocab; i++)
        out[i] = (double)logits[i] - max - log(sum);
}

struct plain {
    double kl;
    double spread; /* mean of |ln p / q| under p */
    double zeroed; /* the part of the spread that a record has as zeros */
};

static struct plain plain_kl(const float *base, const float *logits, uint32_t vocab)
{
    static double p[VOCAB_MAX], q[VOCAB_MAX];
    struct plain plain = {0};
    double top = -INFINITY;
    log_softmax(base, vocab, p);
    log_softmax(logits, vocab, q);
    for (uint32_t i = 0; i < vocab; i++)
        top = fmax(top, p[i]);
    for (uint32_t i = 0; i < vocab; i++) {
        plain.kl += exp(p[i]) * (p[i] - q[i]);
        plain.spread += exp(p[i]) * fabs(p[i] - q[i]);
        plain.zeroed += p[i] < top - 31.999 ? exp(p[i]) * fabs(p[i] - q[i]) : 0;
    }
    return plain;
}

/* What rounding of the logits by h = 2^-12 can do: e^2h - 1 of a probability, so that part of the
 * spread, and h^2 / 2. The zeros lose vocab * e^-32 of all, and their part of the spread. The sums
 * of float exponentials are off by 2^-24, and the numbers themselves by 2^-52. */
static double kl_tolerance(const struct plain *plain, uint32_t vocab)
{
    const double h = 0x1p-12, lost = vocab * exp(-32);
    return (exp(2 * h) - 1 + lost + 0x1p-48) * plain->spread + plain->zeroed + h * h / 2 + lost +
           0x1p-23;
}

TEST(kl_is_that_of_plain_arithmetic)
{
    static const uint32_t vocabs[] = {1, 2, 7, 100, VOCAB_MAX};
    static float base[VOCAB_MAX], logits[VOCAB_MAX];
    struct row_powers powers;
    row_powers_init(&powers);
    uint64_t stream = 0;
    for (int v = 0; v < 5; v++) {
        const uint32_t vocab = vocabs[v];
        uint8_t *record = malloc(row_record_bytes(vocab));
        CHECK(record != NULL);
        for (uint32_t a = 0; a < 12; a++) {
            for (uint32_t b = 0; b < 12; b++) {
                const int32_t next = (int32_t)(stream % vocab);
                struct row_distance distance;
                draw_row(base, vocab, stream++, a);
                draw_row(logits, vocab, stream++, b);
                row_encode(base, vocab, next, record);
                CHECK(row_compare(record, logits, vocab, next, &powers, &distance));
                const struct plain plain = plain_kl(base, logits, vocab);
                CHECK(distance.kl >= 0);
                if (fabs(distance.kl - plain.kl) > kl_tolerance(&plain, vocab))
                    test_fail(__FILE__, __LINE__, "vocab %u, kinds %u and %u: %.9g, expected %.9g",
                              vocab, a, b, distance.kl, plain.kl);
            }
        }
        free(record);
    }
}

TEST(kl_to_itself_is_nothing)
{
    static const uint32_t vocabs[] = {1, 7, VOCAB_MAX, 248320};
    struct row_powers powers;
    row_powers_init(&powers);
    for (int v = 0; v < 4; v++) {
        const uint32_t vocab = vocabs[v];
        uint8_t *record = malloc(row_record_bytes(vocab));
        float *logits = malloc(vocab * sizeof *logits);
        CHECK(record != NULL && logits != NULL);
        for (uint32_t variant = 0; variant < 14; variant++) {
            struct row_distance distance;
            draw_row(logits, vocab, 77 + variant, variant);
            const double surprise = row_encode(logits, vocab, 0, record);
            CHECK(row_compare(record, logits, vocab, 0, &powers, &distance));
            /* 3e-8 of rounding, 3e-9 of zeros, 2^-24 of the sum of exponentials. */
            if (!(distance.kl >= 0 && distance.kl < 1e-7))
                test_fail(__FILE__, __LINE__, "vocab %u, kind %u: %g", vocab, variant, distance.kl);
            CHECK(distance.surprise == surprise && distance.surprise_base == surprise);
            CHECK(distance.surprise == row_surprise(logits, vocab, 0) && distance.same_top);
        }
        free(record);
        free(logits);
    }
}

TEST(kl_surprise_is_that_of_plain_arithmetic)
{
    static float logits[VOCAB_MAX];
    static double expected[VOCAB_MAX];
    for (uint32_t variant = 0; variant < 12; variant++) {
        draw_row(logits, VOCAB_MAX, 5, variant);
        log_softmax(logits, VOCAB_MAX, expected);
        for (int32_t id = 0; id < VOCAB_MAX; id += 97)
            CHECK(fabs(row_surprise(logits, VOCAB_MAX, id) + expected[id]) <=
                  0x1p-23 + 0x1p-50 * fabs(expected[id]));
    }
}

TEST(kl_finds_the_top_token)
{
    static const float base[] = {1, 3, 3, -2}, same[] = {-5, 4, 0, 3}, other[] = {0, 1, 2, 2};
    uint8_t record[20];
    struct row_powers powers;
    struct row_distance distance;
    row_powers_init(&powers);
    CHECK_INT(row_record_bytes(4), sizeof record);
    row_encode(base, 4, 0, record);
    CHECK(row_compare(record, same, 4, 0, &powers, &distance) && distance.same_top);
    CHECK(row_compare(record, other, 4, 0, &powers, &distance) && !distance.same_top);
}

TEST(kl_refuses_what_is_no_record)
{
    static const float logits[] = {1, 3, 2, -2};
    uint8_t record[20], good[20];
    struct row_powers powers;
    struct row_distance distance;
    row_powers_init(&powers);
    row_encode(logits, 4, 0, good);
    CHECK(row_compare(good, logits, 4, 0, &powers, &distance));
    static const double surprises[] = {NAN, INFINITY, -1};
    for (int i = 0; i < 3; i++) {
        memcpy(record, good, sizeof record);
        memcpy(record, &surprises[i], sizeof surprises[i]);
        CHECK(!row_compare(record, logits, 4, 0, &powers, &distance));
    }
    static const uint32_t tops[] = {0, 3, 4, UINT32_MAX}; /* no largest logit, or none at all */
    for (int i = 0; i < 4; i++) {
        memcpy(record, good, sizeof record);
        memcpy(record + 8, &tops[i], sizeof tops[i]);
        CHECK(!row_compare(record, logits, 4, 0, &powers, &distance));
    }
}

/* ---- the file -------------------------------------------------------------------------------- */

static const struct kl_shape shape = {.vocab = 3, .windows = 2, .window = 5, .first = 2, .head = 1};

enum { FILE_BYTES = 32 + 10 * 4 + 4 * 18 };

/* Puts the file into memory. */
static void make_file(uint8_t *out)
{
    static const int32_t tokens[] = {0, 1, 2, 0, 1, 2, 0, 1, 2, 0};
    static const float logits[4][3] = {{0, 1, 2}, {2, 0, 1}, {1, 2, 0}, {0, 0, 0}};
    const char *path = test_scratch("kl-made");
    struct weir_error err = {0};
    struct file_writer writer;
    uint8_t record[18];
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(kl_base_put_head(&writer, &shape, tokens, &err), &err);
    for (int i = 0; i < 4; i++) {
        row_encode(logits[i], 3, i % 3, record);
        CHECK_OK(file_writer_put(&writer, record, sizeof record, &err), &err);
    }
    CHECK_OK(file_writer_commit(&writer, &err), &err);
    size_t size;
    uint8_t *data = test_read_file(path, &size);
    CHECK_INT(size, FILE_BYTES);
    memcpy(out, data, size);
    free(data);
}

TEST(kl_file_reads_back)
{
    uint8_t data[FILE_BYTES];
    make_file(data);
    struct weir_error err = {0};
    struct kl_base base = {.tokens = NULL};
    uint64_t bytes;
    CHECK_INT(kl_shape_window_rows(&shape), 2);
    CHECK_INT(kl_shape_rows(&shape), 4);
    CHECK(kl_shape_bytes(&shape, &bytes) && bytes == FILE_BYTES);
    CHECK_OK(kl_base_open(&base, test_scratch("kl-made"), &err), &err);
    CHECK(memcmp(&base.shape, &shape, sizeof shape) == 0);
    for (int i = 0; i < 10; i++)
        CHECK_INT(kl_base_token(&base, (uint64_t)i), i % 3);
    static const float logits[] = {1, 2, 0};
    struct row_powers powers;
    struct row_distance distance;
    row_powers_init(&powers);
    CHECK(row_compare(kl_base_record(&base, 2), logits, 3, 2, &powers, &distance));
    CHECK(distance.kl < 1e-7 && distance.same_top);
    CHECK(distance.surprise == distance.surprise_base);
    kl_base_close(&base);
}

/* The bytes of a file are fixed: other programs may read them. */
TEST(kl_file_has_its_layout)
{
    static const uint8_t head[] = {
        'w', 'e', 'i', 'r', '-', 'k', 'l', 0, 1, 0, 0, 0,
        3,   0,   0,   0,   2,   0,   0,   0,             /* vocab, windows */
        5,   0,   0,   0,   2,   0,   0,   0, 1, 0, 0, 0, /* window, first, head */
    };
    static const uint8_t row[] = {2, 0, 0, 0, 0, 16, 0, 8, 0, 0}; /* top, codes of 0 1 2 */
    uint8_t data[FILE_BYTES];
    make_file(data);
    CHECK(memcmp(data, head, sizeof head) == 0);
    CHECK(memcmp(data + 32 + 40 + 8, row, sizeof row) == 0);
}

TEST(kl_file_is_checked)
{
    static const struct {
        uint32_t at, value;
        uint32_t size; /* 0: as it is */
        const char *refusal;
    } wrong[] = {
        {0, 0, 0, "base: is not a file of weir eval --save-logits"},
        {4, 0x786b2d72, 0, "base: is not a file of weir eval --save-logits"},
        {8, 1, 31, "base: is not a file of weir eval --save-logits"},
        {8, 2, 0, "base: is of version 2, expected 1"},
        {12, 0, 0,
         "base: has an impossible shape: 0 logits, 2 windows of 5 tokens, scored from 2, "
         "head 1"},
        {12, 0x80000000, 0, "impossible shape"},
        {16, 0, 0, "impossible shape"},
        {20, 2, 0, "impossible shape"},
        {24, 0, 0, "impossible shape"},
        {24, 4, 0, "impossible shape"},
        {24, UINT32_MAX, 0, "impossible shape"},
        {28, 3, 0, "impossible shape"},
        {28, (uint32_t)-2, 0, "impossible shape"},
        {12, 4, 0, "base: has 144 bytes, which do not hold 2 windows of 5 tokens and 4 logits"},
        {12, INT32_MAX, 0, "which do not hold"},
        {16, UINT32_MAX, 0, "which do not hold"},
        {24, 1, 0, "which do not hold"},
        {8, 1, FILE_BYTES - 1, "base: has 143 bytes, which do not hold"},
        {8, 1, 32, "base: has 32 bytes, which do not hold"},
        {32, 3, 0, "base: token 0 is 3, expected 0 to 2"},
        {68, (uint32_t)-1, 0, "base: token 9 is -1, expected 0 to 2"},
    };
    uint8_t good[FILE_BYTES], data[FILE_BYTES];
    make_file(good);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct weir_error err = {0};
        struct kl_base base = {.tokens = NULL};
        memcpy(data, good, sizeof data);
        memcpy(data + wrong[i].at, &wrong[i].value, sizeof wrong[i].value);
        const uint64_t size = wrong[i].size == 0 ? sizeof data : wrong[i].size;
        if (kl_base_parse(&base, data, size, "base", &err) == WEIR_OK ||
            strstr(err.text, wrong[i].refusal) == NULL)
            test_fail(__FILE__, __LINE__, "case %zu gave \"%s\", not \"%s\"", i, err.text,
                      wrong[i].refusal);
    }
    struct kl_base base = {.tokens = NULL};
    struct weir_error err = {0};
    CHECK_INT(kl_base_open(&base, test_scratch("kl-absent"), &err), WEIR_ERR_IO);
    kl_base_close(&base);
}

/* Sizes that 64 bits do not hold. */
TEST(kl_file_size_overflows)
{
    uint64_t bytes;
    const struct kl_shape large = {INT32_MAX, UINT32_MAX, INT32_MAX, 1, -1};
    CHECK(!kl_shape_bytes(&large, &bytes));
}

/* ---- statistics ------------------------------------------------------------------------------ */

TEST(kl_estimates_and_percentiles)
{
    static const double values[] = {1, 2, 3, 4, 10};
    const struct estimate mean = estimate_mean(values, 5), one = estimate_mean(values, 1);
    /* squares about 4: 9 + 4 + 1 + 0 + 36 = 50; 50 / 4 / 5 */
    CHECK(mean.mean == 4 && fabs(mean.error - sqrt(2.5)) < 1e-15);
    CHECK(one.mean == 1 && one.error == 0);
    CHECK(percentile(values, 5, 0.5) == 3 && percentile(values, 5, 0) == 1);
    CHECK(percentile(values, 5, 1) == 10 && percentile(values, 1, 0.9) == 1);
    CHECK(fabs(percentile(values, 5, 0.9) - 7.6) < 1e-15);
    CHECK(fabs(percentile(values, 5, 0.1) - 1.4) < 1e-15);
}

TEST(kl_report_is_readable)
{
    static const struct row_distance distances[] = {
        {0.5, 1.0, 0.75, true},
        {0.0, 0.25, 0.25, true},
        {0.25, 2.0, 2.5, false},
        {0.125, 0.5, 0.25, true},
    };
    /* By numpy: surprises of mean 0.9375 and 0.9375, their differences 0.25, 0, -0.5, 0.25
     * of mean 0; changes of p -0.104487, 0, 0.053250, -0.172270. */
    static const char expected[] = "rows:                         4\n"
                                   "PPL:                   2.553589 +/- 0.988142\n"
                                   "PPL of base:           2.553589 +/- 1.363617\n"
                                   "PPL ratio:             1.000000 +/- 0.176777\n"
                                   "KL mean:               0.218750 +/- 0.106739\n"
                                   "KL median:             0.187500\n"
                                   "KL 90%:                0.425000\n"
                                   "KL 95%:                0.462500\n"
                                   "KL 99%:                0.492500\n"
                                   "KL 99.9%:              0.499250\n"
                                   "KL maximum:            0.500000\n"
                                   "change of p mean:     -5.588 % +/- 5.078 %\n"
                                   "change of p RMS:      10.420 % +/- 3.208 %\n"
                                   "change of p 0.1%:    -17.207 %\n"
                                   "change of p 1%:      -17.024 %\n"
                                   "change of p 5%:      -16.210 %\n"
                                   "change of p median:   -5.224 %\n"
                                   "change of p 95%:       4.526 %\n"
                                   "change of p 99%:       5.165 %\n"
                                   "change of p 99.9%:     5.309 %\n"
                                   "same top token:       75.000 % +/- 25.000 %\n";
    const char *path = test_scratch("kl-report");
    struct weir_error err = {0};
    struct kl_rows rows = {.count = 0};
    struct output output;
    CHECK_OK(kl_rows_init(&rows, 4, &err), &err);
    for (int i = 0; i < 4; i++)
        kl_rows_add(&rows, &distances[i]);
    CHECK_OK(output_open(&output, path, &err), &err);
    kl_report_print(&rows, &output);
    CHECK_OK(output_finish(&output, &err), &err);
    kl_rows_release(&rows);
    size_t size;
    char *text = (char *)test_read_file(path, &size);
    CHECK_TEXT(text, expected);
    free(text);
}

/* ---- failing allocations --------------------------------------------------------------------- */

static void collect_rows(void *argument)
{
    (void)argument;
    struct weir_error err = {0};
    struct kl_rows rows = {.count = 0};
    const enum weir_status status = kl_rows_init(&rows, 9, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    kl_rows_release(&rows);
}

static void open_base(void *path)
{
    struct weir_error err = {0};
    struct kl_base base = {.tokens = NULL};
    const enum weir_status status = kl_base_open(&base, path, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_IO : WEIR_OK);
    kl_base_close(&base);
}

TEST(kl_gives_back_what_it_takes)
{
    uint8_t data[FILE_BYTES];
    char path[4200];
    make_file(data);
    snprintf(path, sizeof path, "%s", test_scratch("kl-made"));
    alloc_test(collect_rows, NULL);
    alloc_test(open_base, path);
}
