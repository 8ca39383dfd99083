/* SPDX-License-Identifier: MIT
 * Tests of the encoders against the vectors in tests/data/quant, byte for byte.
 * Run alone: build/tests/weir-test encode_ */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "format/codec.h"
#include "quant/encode.h"

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
