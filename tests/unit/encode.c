/* SPDX-License-Identifier: MIT
 * Tests of the encoders against the vectors in tests/data/quant, byte for byte, and of what holds
 * for any row. Run alone: build/tests/weir-test encode_ */
#include "test.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "alloc.h"
#include "base/rng.h"
#include "format/codec.h"
#include "quant/encode.h"
#include "quant/encode_grid.h"

enum { ROWS = 16, COLUMNS = 512 };

/* The rows of input.f32.bin, and the importance of their columns. */
struct input {
    float *values, *importance;
};

static struct input input_read(void)
{
    size_t size, importance_size;
    struct input input;
    input.values = (float *)test_read_file(test_data("quant/input.f32.bin"), &size);
    input.importance =
        (float *)test_read_file(test_data("quant/imatrix.f32.bin"), &importance_size);
    CHECK_INT(size, ROWS * COLUMNS * sizeof(float));
    CHECK_INT(importance_size, COLUMNS * sizeof(float));
    return input;
}

static void input_free(struct input *input)
{
    free(input->values);
    free(input->importance);
}

/* Where the reference writes groups of IQ3_S to the wrong place: behind a group of zeros in a block
 * that is not zero (gguf.md 2.10.6). */
static bool row_is_misplaced(enum dtype dtype, int row)
{
    return dtype == DTYPE_IQ3_S && row == 10;
}

static void check_row(enum dtype dtype, int row, const float *values, const float *importance,
                      const uint8_t *expected)
{
    const struct dtype_info *info = dtype_info(dtype);
    const size_t size = dtype_row_bytes(dtype, COLUMNS);
    uint8_t *actual = malloc(size + 1);
    CHECK(actual != NULL);
    encode_row(dtype, values, importance, actual + 1, COLUMNS);
    for (size_t i = 0; i < size; i++) {
        if (actual[i + 1] != expected[i] && !row_is_misplaced(dtype, row))
            test_fail(__FILE__, __LINE__,
                      "%s%s: row %d, block %zu, byte %zu is %02x, expected %02x", info->name,
                      importance != NULL ? " weighted" : "", row, i / info->block_bytes,
                      i % info->block_bytes, actual[i + 1], expected[i]);
    }
    free(actual);
}

/* Compares all rows with q/TYPE.bin or qi/TYPE.bin. */
static void check_vectors(enum dtype dtype, const char *path, const struct input *input,
                          const float *importance)
{
    size_t size;
    uint8_t *expected = test_read_file(path, &size);
    CHECK_INT(size, ROWS * dtype_row_bytes(dtype, COLUMNS));
    for (int row = 0; row < ROWS; row++)
        check_row(dtype, row, input->values + row * COLUMNS, importance,
                  expected + row * dtype_row_bytes(dtype, COLUMNS));
    free(expected);
}

static const char *vector_path(const char *folder, enum dtype dtype)
{
    char name[64];
    snprintf(name, sizeof name, "quant/%s/%s.bin", folder, dtype_info(dtype)->name);
    return test_data(name);
}

/* Goes by the table of types, so that an encoder without vectors fails. A type without vectors for
 * importance ignores it. */
TEST(encode_equals_the_vectors)
{
    struct input input = input_read();
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype dtype = (enum dtype)i;
        const enum encode_support support = encode_support(dtype);
        const char *plain = vector_path("q", dtype);
        const char *weighted = vector_path("qi", dtype);
        if (support == ENCODE_NOT || dtype == DTYPE_F32)
            continue;
        if (support == ENCODE_PLAIN)
            check_vectors(dtype, plain, &input, NULL);
        check_vectors(dtype, access(weighted, R_OK) == 0 ? weighted : plain, &input,
                      input.importance);
    }
    input_free(&input);
}

/* Blocks do not know their row, but for the weights of Q4_0 to Q5_1. */
TEST(encode_blocks_are_alone)
{
    struct input input = input_read();
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype dtype = (enum dtype)i;
        size_t size;
        if (encode_support(dtype) != ENCODE_PLAIN || dtype == DTYPE_F32)
            continue;
        uint8_t *expected = test_read_file(vector_path("q", dtype), &size);
        uint8_t *actual = malloc(size);
        CHECK(actual != NULL);
        encode_row(dtype, input.values, NULL, actual, ROWS * COLUMNS);
        const size_t misplaced = row_is_misplaced(dtype, 10) ? dtype_row_bytes(dtype, COLUMNS) : 0;
        memcpy(actual + 10 * misplaced, expected + 10 * misplaced, misplaced);
        CHECK(memcmp(actual, expected, size) == 0);
        free(actual);
        free(expected);
    }
    input_free(&input);
}

TEST(encode_has_every_type_of_weights)
{
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype_family family = dtype_info((enum dtype)i)->family;
        const bool weights = family == DTYPE_FAMILY_FLOAT || family == DTYPE_FAMILY_QUANT;
        CHECK_INT(encode_support((enum dtype)i) != ENCODE_NOT, weights);
    }
    CHECK_INT(encode_support(DTYPE_IQ1_S), ENCODE_WEIGHTED);
    CHECK_INT(encode_support(DTYPE_IQ1_M), ENCODE_PLAIN);
    CHECK_INT(encode_support(DTYPE_F32), ENCODE_PLAIN);
}

/* ---- rows of any kind ------------------------------------------------------------------------ */

enum { WIDTH = 2048 };

/* A row, encoded and decoded. */
struct trip {
    float decoded[WIDTH];
    uint8_t encoded[WIDTH * sizeof(float)];
};

static void trip_make(struct trip *trip, enum dtype dtype, const float *values,
                      const float *importance)
{
    CHECK_NO_ALLOC(encode_row(dtype, values, importance, trip->encoded, WIDTH));
    codec_decode_row(dtype, trip->encoded, trip->decoded, WIDTH);
}

static void draw_normal(uint64_t stream, float deviation, float values[WIDTH])
{
    for (uint64_t i = 0; i < WIDTH; i++)
        values[i] = deviation * (float)rng_normal(test_seed(), stream, i);
}

/* Over two orders of magnitude. */
static void draw_importance(uint64_t stream, float importance[WIDTH])
{
    for (uint64_t i = 0; i < WIDTH; i++)
        importance[i] = (float)exp2(7 * rng_uniform(test_seed(), stream, i));
}

/* Calls `check` for every type, without importance where it can be and with it. */
static void each_encoder(void (*check)(enum dtype dtype, bool weighted))
{
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum encode_support support = encode_support((enum dtype)i);
        if (support == ENCODE_PLAIN)
            check((enum dtype)i, false);
        if (support != ENCODE_NOT)
            check((enum dtype)i, true);
    }
}

static void check_equal(enum dtype dtype, const char *what, const float *actual,
                        const float *expected, float factor)
{
    for (int i = 0; i < WIDTH; i++) {
        if (!(actual[i] == factor * expected[i]))
            test_fail(__FILE__, __LINE__, "%s, %s: value %d is %a, expected %a",
                      dtype_info(dtype)->name, what, i, (double)actual[i],
                      (double)(factor * expected[i]));
    }
}

/* Twice the values make twice the scales, and twice the importance makes nothing else: all that is
 * computed is a product of powers of the two, and doubling is exact. */
static void check_doubles(enum dtype dtype, bool weighted)
{
    static struct trip once, twice;
    float values[WIDTH], importance[WIDTH];
    draw_normal(dtype, 1.0f, values);
    draw_importance(100, importance);
    trip_make(&once, dtype, values, weighted ? importance : NULL);
    for (int i = 0; i < WIDTH; i++) {
        values[i] *= 2;
        importance[i] *= 2;
    }
    trip_make(&twice, dtype, values, weighted ? importance : NULL);
    check_equal(dtype, "doubled", twice.decoded, once.decoded, 2);
}

TEST(encode_doubles)
{
    each_encoder(check_doubles);
}

/* Types treat both signs alike, but for those with a smallest value, for Q3_K, which improves
 * single codes only where the extreme is negative (search_symmetric_by_code), and for IQ1, where
 * sums in the order of the values may decide otherwise from the other end. */
static void check_negates(enum dtype dtype, bool weighted)
{
    static const enum dtype one_sided[] = {DTYPE_Q4_1, DTYPE_Q5_1, DTYPE_Q2_K,  DTYPE_Q3_K,
                                           DTYPE_Q4_K, DTYPE_Q5_K, DTYPE_IQ1_S, DTYPE_IQ1_M};
    static struct trip plus, minus;
    float values[WIDTH], importance[WIDTH];
    for (size_t i = 0; i < sizeof one_sided / sizeof *one_sided; i++) {
        if (dtype == one_sided[i])
            return;
    }
    draw_normal(200 + dtype, 1.0f, values);
    draw_importance(300, importance);
    trip_make(&plus, dtype, values, weighted ? importance : NULL);
    for (int i = 0; i < WIDTH; i++)
        values[i] = -values[i];
    trip_make(&minus, dtype, values, weighted ? importance : NULL);
    check_equal(dtype, "negated", minus.decoded, plus.decoded, -1);
}

TEST(encode_negates)
{
    each_encoder(check_negates);
}

static bool trained_for(enum dtype dtype)
{
    return dtype == DTYPE_TQ1_0 || dtype == DTYPE_TQ2_0 || dtype == DTYPE_Q1_0 ||
           dtype == DTYPE_Q2_0;
}

/* No code of R bits a value tells normal numbers with a mean square error below 2^-2R (Shannon's
 * bound), and a scalar code with a scale for few values comes within a factor of 8 of it: a uniform
 * code of the whole range, to plus or minus 2.5 deviations, has an error of step^2 / 12 with
 * step = 5 * 2^-R, which is 2.1 times the bound, and the bits of the scales are the rest. Types for
 * weights that were trained to a few levels do not claim that. */
static void check_error(enum dtype dtype, bool weighted)
{
    static struct trip trip;
    const struct dtype_info *info = dtype_info(dtype);
    const double bits = 8.0 * info->block_bytes / info->block;
    float values[WIDTH], importance[WIDTH];
    if (info->family == DTYPE_FAMILY_FLOAT || trained_for(dtype))
        return;
    draw_normal(400 + dtype, 0.02f, values);
    for (int i = 0; i < WIDTH; i++)
        importance[i] = 1;
    trip_make(&trip, dtype, values, weighted ? importance : NULL);
    const double error = test_nmse(trip.decoded, values, WIDTH);
    const double bound = exp2(-2 * bits);
    if (error < bound || error > 8 * bound)
        test_fail(__FILE__, __LINE__, "%s: the error is %g, %g times the least possible",
                  info->name, error, error / bound);
}

TEST(encode_errors_are_as_small_as_bits_allow)
{
    each_encoder(check_error);
}

static double weighted_error(const struct trip *trip, const float *values, const float *importance)
{
    double sum = 0;
    for (int i = 0; i < WIDTH; i++) {
        const double diff = (double)trip->decoded[i] - (double)values[i];
        sum += (double)importance[i] * diff * diff;
    }
    return sum;
}

/* Importance is there to make the errors of important columns smaller. */
static void check_importance(enum dtype dtype, bool weighted)
{
    static struct trip with, without;
    float values[WIDTH], importance[WIDTH];
    if (!weighted || encode_support(dtype) != ENCODE_PLAIN)
        return;
    draw_normal(500 + dtype, 0.02f, values);
    draw_importance(600, importance);
    trip_make(&with, dtype, values, importance);
    trip_make(&without, dtype, values, NULL);
    if (access(vector_path("qi", dtype), R_OK) != 0)
        CHECK(memcmp(with.encoded, without.encoded, dtype_row_bytes(dtype, WIDTH)) == 0);
    else
        CHECK(weighted_error(&with, values, importance) <
              weighted_error(&without, values, importance));
}

TEST(encode_heeds_importance)
{
    each_encoder(check_importance);
}

/* A row that was decoded holds the extremes from which these types take their scales, and finds
 * them again. */
TEST(encode_keeps_what_was_decoded)
{
    static const enum dtype stable[] = {
        DTYPE_F32,   DTYPE_F16,   DTYPE_BF16,  DTYPE_Q4_0,  DTYPE_Q5_0, DTYPE_Q8_0,
        DTYPE_MXFP4, DTYPE_NVFP4, DTYPE_TQ1_0, DTYPE_TQ2_0, DTYPE_Q1_0, DTYPE_Q2_0,
    };
    static struct trip once, again;
    for (size_t i = 0; i < sizeof stable / sizeof *stable; i++) {
        float values[WIDTH];
        draw_normal(700 + stable[i], 1.0f, values);
        trip_make(&once, stable[i], values, NULL);
        trip_make(&again, stable[i], once.decoded, NULL);
        CHECK(memcmp(once.encoded, again.encoded, dtype_row_bytes(stable[i], WIDTH)) == 0);
    }
}

/* ---- rows at the limits ---------------------------------------------------------------------- */

/* Rows that decode to what is as good as zero. The smallest scale of MXFP4 is 2^-128, and its
 * largest code is worth 12 of them. */
static void check_vanishes(enum dtype dtype, bool weighted, const float *values)
{
    static struct trip trip;
    float importance[WIDTH];
    draw_importance(800, importance);
    trip_make(&trip, dtype, values, weighted ? importance : NULL);
    CHECK(codec_row_valid(dtype, trip.encoded, WIDTH));
    for (int i = 0; i < WIDTH; i++)
        CHECK(fabsf(trip.decoded[i]) <= 12 * 0x1p-128f);
}

static void check_zeros(enum dtype dtype, bool weighted)
{
    const float values[WIDTH] = {0};
    check_vanishes(dtype, weighted, values);
}

static void check_subnormals(enum dtype dtype, bool weighted)
{
    float values[WIDTH];
    for (int scale = 1; scale < 1 << 20; scale *= 37) {
        for (uint64_t i = 0; i < WIDTH; i++)
            values[i] =
                (float)(int)(rng_bits(test_seed(), dtype, i) % 15 - 7) * (float)scale * 0x1p-149f;
        check_vanishes(dtype, weighted, values);
    }
}

TEST(encode_small_rows_vanish)
{
    each_encoder(check_zeros);
    each_encoder(check_subnormals);
}

/* Where scales overflow, the row is called invalid. Otherwise it is as near as any. */
static void check_huge(enum dtype dtype, bool weighted)
{
    static struct trip trip;
    float values[WIDTH], importance[WIDTH];
    draw_importance(900, importance);
    for (int exponent = 12; exponent <= 127; exponent += 23) {
        for (uint64_t i = 0; i < WIDTH; i++) {
            const double u = 2 * rng_uniform(test_seed(), (uint64_t)exponent, i) - 1;
            values[i] = (float)ldexp(u, exponent);
        }
        values[0] = exponent == 127 ? FLT_MAX : values[0];
        values[1] = exponent == 127 ? -FLT_MAX : values[1];
        trip_make(&trip, dtype, values, weighted ? importance : NULL);
        CHECK(exponent > 12 || codec_row_valid(dtype, trip.encoded, WIDTH));
    }
}

TEST(encode_huge_rows_are_defined)
{
    each_encoder(check_huge);
}

/* Rows with few important columns, or none. */
static void check_unimportant(enum dtype dtype, bool weighted)
{
    static struct trip trip;
    float values[WIDTH], importance[WIDTH] = {0};
    if (!weighted)
        return;
    draw_normal(1000 + dtype, 1.0f, values);
    for (int step = 1; step <= WIDTH; step *= 2) {
        memset(importance, 0, sizeof importance);
        for (int i = step; i < WIDTH; i += step)
            importance[i] = 1;
        trip_make(&trip, dtype, values, importance);
        CHECK(codec_row_valid(dtype, trip.encoded, WIDTH));
    }
}

TEST(encode_columns_without_importance)
{
    each_encoder(check_unimportant);
}

/* ---- points of grids ------------------------------------------------------------------------- */

static int squared_distance(const struct code_grid *points, uint32_t a, uint32_t b)
{
    const uint32_t mask = (1u << points->bits) - 1;
    int sum = 0;
    for (uint32_t i = 0; i < points->coordinates; i++) {
        const int diff = (int)(a >> points->bits * i & mask) - (int)(b >> points->bits * i & mask);
        sum += diff * diff;
    }
    return sum;
}

/* Compares with the definition: all points in the order of distance, then position, up to the last
 * distance that counts. Returns how many. */
static uint32_t check_near(const struct grid *grid, uint32_t code)
{
    const struct code_grid *points = grid->points;
    struct grid_point point = {.code = GRID_UNKNOWN};
    uint32_t n = 0;
    int left = grid->distances;
    grid_point_look_up(&point, grid, code);
    if (point.on_grid) {
        CHECK_INT(points->codes[point.near[0]], code);
        return 1;
    }
    for (int distance = 0; left > 0; distance++) {
        const uint32_t before = n;
        for (uint32_t k = 0; k < points->points; k++) {
            if (squared_distance(points, points->codes[k], code) != distance)
                continue;
            CHECK(n < point.near_count);
            CHECK_INT(point.near[n], k);
            n++;
        }
        CHECK(distance > 0 || n == 0);
        left -= n > before;
    }
    CHECK_INT(point.near_count, n);
    return n;
}

/* Packed codes whose coordinates are 0 to 2, or 0 to 7. */
static bool is_point(const struct code_grid *points, uint32_t code)
{
    return points->bits == 3 || (code & code >> 1 & 0x5555) == 0;
}

TEST(encode_near_points_of_grids)
{
    const struct grid grids[] = {{&code_grid_iq2_xxs, 2}, {&code_grid_iq2_xs, 2},
                                 {&code_grid_iq2_s, 1},   {&code_grid_iq1, 3},
                                 {&code_grid_iq3_xxs, 2}, {&code_grid_iq3_s, 3}};
    uint32_t most = 0;
    for (size_t g = 0; g < sizeof grids / sizeof *grids; g++) {
        const uint32_t codes = 1u << grids[g].points->bits * grids[g].points->coordinates;
        for (uint32_t code = 0; code < codes; code++) {
            if (!is_point(grids[g].points, code))
                continue;
            const uint32_t count = check_near(&grids[g], code);
            most = count > most ? count : most;
        }
    }
    CHECK_INT(most, GRID_NEAR_MAX);
}
