/* SPDX-License-Identifier: MIT
 * Tests of the block formats against the vectors in tests/data/quant, bit for bit, and of the
 * conversions of single numbers over all their values. Run alone: build/tests/weir-test codec_ */
#include "test.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "format/code_books.h"
#include "format/codec.h"

/* ---- vectors --------------------------------------------------------------------------------- */

/* A file of tests/data/quant: "q/Q4_0.bin". */
static const char *vector_path(const char *folder, const char *name, const char *suffix)
{
    char path[64];
    snprintf(path, sizeof path, "quant/%s/%s%s", folder, name, suffix);
    return test_data(path);
}

/* Decodes `size` bytes from an odd address of a buffer without a spare byte, so that a sanitizer
 * sees misaligned reads and reads past the end, and compares the bits. */
static void check_decodes(enum dtype dtype, const uint8_t *data, size_t size, const float *expected,
                          size_t count)
{
    const char *name = dtype_info(dtype)->name;
    CHECK_INT(dtype_row_bytes(dtype, count), size);
    CHECK(count > 0);
    uint8_t *copy = malloc(size + 1);
    float *actual = malloc(count * sizeof *actual);
    CHECK(copy != NULL && actual != NULL);
    memcpy(copy + 1, data, size);
    codec_decode_row(dtype, copy + 1, actual, count);
    for (size_t i = 0; i < count; i++) {
        if (codec_float_bits(actual[i]) != codec_float_bits(expected[i]))
            test_fail(__FILE__, __LINE__, "%s: element %zu is %a, expected %a", name, i,
                      (double)actual[i], (double)expected[i]);
    }
    if (!codec_row_valid(dtype, copy + 1, count))
        test_fail(__FILE__, __LINE__, "%s: a finite row is called invalid", name);
    free(actual);
    free(copy);
}

static void check_decodes_files(enum dtype dtype, const char *encoded, const char *decoded)
{
    size_t size, expected_size;
    uint8_t *data = test_read_file(encoded, &size);
    uint8_t *expected = test_read_file(decoded, &expected_size);
    check_decodes(dtype, data, size, (const float *)expected, expected_size / sizeof(float));
    free(expected);
    free(data);
}

/* Goes by the table, so a new type without vectors fails. */
TEST(codec_decodes_weights_of_every_type)
{
    for (unsigned i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype_info *info = dtype_info((enum dtype)i);
        if (info->family != DTYPE_FAMILY_QUANT && i != DTYPE_F16 && i != DTYPE_BF16)
            continue;
        const char *plain = vector_path("q", info->name, ".bin");
        const char *weighted = vector_path("qi", info->name, ".bin");
        check_decodes_files((enum dtype)i, access(plain, R_OK) == 0 ? plain : weighted,
                            vector_path("dq", info->name, ".f32.bin"));
        check_decodes_files((enum dtype)i, vector_path("rnd", info->name, ".bin"),
                            vector_path("rnd", info->name, ".f32.bin"));
    }
}

TEST(codec_decodes_activations)
{
    check_decodes_files(DTYPE_Q8_K, test_data("quant/act/Q8_K.bin"),
                        test_data("quant/act/Q8_K.deq.f32.bin"));
    /* Q8_0 and Q8_1 differ in the sum that only Q8_1 holds. */
    enum { COUNT = 16 * 512 };
    size_t size_q8_0, size_q8_1;
    uint8_t *q8_0 = test_read_file(test_data("quant/act/Q8_0.bin"), &size_q8_0);
    uint8_t *q8_1 = test_read_file(test_data("quant/act/Q8_1.bin"), &size_q8_1);
    float *expected = malloc(COUNT * sizeof *expected);
    CHECK_INT(size_q8_0, dtype_row_bytes(DTYPE_Q8_0, COUNT));
    CHECK(expected != NULL);
    codec_decode_row(DTYPE_Q8_0, q8_0, expected, COUNT);
    check_decodes(DTYPE_Q8_1, q8_1, size_q8_1, expected, COUNT);
    free(expected);
    free(q8_1);
    free(q8_0);
}

TEST(codec_encodes_floats)
{
    static const struct {
        enum dtype dtype;
        const char *values, *encoded;
    } cases[] = {
        {DTYPE_F32, "quant/input.f32.bin", "quant/input.f32.bin"},
        {DTYPE_F16, "quant/input.f32.bin", "quant/q/F16.bin"},
        {DTYPE_BF16, "quant/input.f32.bin", "quant/q/BF16.bin"},
        {DTYPE_F16, "quant/conv/f32.bits.bin", "quant/conv/f16.bits.bin"},
        {DTYPE_BF16, "quant/conv/f32.bits.bin", "quant/conv/bf16.bits.bin"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t values_size, size;
        uint8_t *values = test_read_file(test_data(cases[i].values), &values_size);
        uint8_t *expected = test_read_file(test_data(cases[i].encoded), &size);
        const uint64_t count = values_size / sizeof(float);
        uint8_t *actual = malloc(size + 1);
        CHECK(actual != NULL);
        CHECK_INT(dtype_row_bytes(cases[i].dtype, count), size);
        codec_encode_floats(cases[i].dtype, (const float *)values, actual + 1, count);
        CHECK(memcmp(actual + 1, expected, size) == 0);
        free(actual);
        free(expected);
        free(values);
    }
}

TEST(codec_decodes_f32_as_it_is)
{
    size_t size;
    uint8_t *values = test_read_file(test_data("quant/input.f32.bin"), &size);
    check_decodes(DTYPE_F32, values, size, (const float *)values, size / sizeof(float));
    free(values);
}

/* ---- single numbers -------------------------------------------------------------------------- */

/* Sign, exponent and fraction put together by the definition of binary16. */
static double f16_value(unsigned bits)
{
    const int exponent = (int)(bits >> 10 & 31);
    const int fraction = (int)(bits & 0x3ff);
    const double magnitude =
        exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return (bits & 0x8000) != 0 ? -magnitude : magnitude;
}

TEST(codec_f16_round_trips)
{
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const float value = codec_from_f16((uint16_t)bits);
        CHECK_INT(signbit(value) != 0, bits >> 15);
        if ((bits & 0x7fff) > 0x7c00) {
            CHECK(isnan(value));
            CHECK_INT(codec_to_f16(value), (bits & 0x8000) | 0x7e00);
            continue;
        }
        CHECK_INT(codec_to_f16(value), bits);
        if ((bits & 0x7fff) == 0x7c00)
            CHECK(isinf(value));
        else
            CHECK((double)value == f16_value(bits));
    }
}

TEST(codec_bf16_round_trips)
{
    for (unsigned bits = 0; bits < 0x10000; bits++) {
        const float value = codec_from_bf16((uint16_t)bits);
        CHECK_INT(codec_float_bits(value), (int64_t)bits << 16);
        const bool nan = (bits & 0x7fff) > 0x7f80;
        CHECK_INT(codec_to_bf16(value), nan ? bits | 0x40 : bits);
    }
}

/* Between each finite value and the next larger magnitude lies a tie, which goes to the even one,
 * and its neighbours, which do not. The last pair is the largest finite value and Inf. */
TEST(codec_f16_rounds_to_nearest_even)
{
    for (unsigned low = 0; low < 0x7c00; low++) {
        const double above = low == 0x7bff ? 65536 : f16_value(low + 1);
        const float tie = (float)((f16_value(low) + above) / 2);
        const unsigned even = low + (low & 1);
        CHECK_INT(codec_to_f16(tie), even);
        CHECK_INT(codec_to_f16(nextafterf(tie, 0)), low);
        CHECK_INT(codec_to_f16(nextafterf(tie, INFINITY)), low + 1);
        CHECK_INT(codec_to_f16(-tie), even | 0x8000);
    }
    CHECK_INT(codec_to_f16(0x1p-149f), 0);
    CHECK_INT(codec_to_f16(-0x1p-149f), 0x8000);
    CHECK_INT(codec_to_f16(0x1.fffffep+127f), 0x7c00);
}

TEST(codec_bf16_rounds_to_nearest_even)
{
    for (uint32_t low = 0; low < 0x7f80; low++) {
        const uint32_t tie = low << 16 | 0x8000;
        CHECK_INT(codec_to_bf16(codec_bits_float(tie)), low + (low & 1));
        CHECK_INT(codec_to_bf16(codec_bits_float(tie - 1)), low);
        CHECK_INT(codec_to_bf16(codec_bits_float(tie + 1)), low + 1);
    }
    /* A NaN whose payload lies in the lower half only must not become Inf. */
    CHECK_INT(codec_to_bf16(codec_bits_float(0x7f800001)), 0x7fc0);
    CHECK_INT(codec_to_bf16(codec_bits_float(0xffffffff)), 0xffff);
    CHECK_INT(codec_to_f16(codec_bits_float(0x7f800001)), 0x7e00);
    CHECK_INT(codec_to_f16(codec_bits_float(0xffffffff)), 0xfe00);
}

static void check_scale_bytes(const char *file, float (*convert)(uint8_t))
{
    size_t size;
    uint8_t *table = test_read_file(test_data(file), &size);
    CHECK_INT(size, 256 * sizeof(float));
    for (unsigned i = 0; i < 256; i++)
        CHECK_INT(codec_float_bits(convert((uint8_t)i)),
                  codec_float_bits(((const float *)table)[i]));
    free(table);
}

TEST(codec_scale_bytes_have_their_values)
{
    check_scale_bytes("quant/conv/e8m0_half.f32.bin", codec_from_e8m0_half);
    check_scale_bytes("quant/conv/ue4m3_half.f32.bin", codec_from_ue4m3_half);
}

TEST(codec_scale_bytes_are_made_of_floats)
{
    size_t size, count;
    uint8_t *values = test_read_file(test_data("quant/conv/ue4m3_in.f32.bin"), &size);
    uint8_t *expected = test_read_file(test_data("quant/conv/ue4m3_out.u8.bin"), &count);
    CHECK_INT(size, count * sizeof(float));
    for (size_t i = 0; i < count; i++)
        CHECK_INT(codec_to_ue4m3(((const float *)values)[i]), expected[i]);
    for (unsigned bits = 0; bits < 15 << 3; bits++) /* of which each stands for itself */
        CHECK_INT(codec_to_ue4m3(2.0f * codec_from_ue4m3_half((uint8_t)bits)), bits);
    CHECK_INT(codec_to_ue4m3(NAN), 0);
    CHECK_INT(codec_to_ue4m3(-1.0f), 0);
    CHECK_INT(codec_to_ue4m3(INFINITY), 0x7e);
    free(expected);
    free(values);
}

/* ---- validity -------------------------------------------------------------------------------- */

static bool all_finite(const float *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i]))
            return false;
    }
    return true;
}

/* How many of `trials` rows of two random blocks are valid. F16 scales are too small for a product
 * with codes to overflow an F32, and Inf times 0 is NaN: a row is valid if and only if all its
 * values are finite. */
static unsigned check_valid_if_finite(enum dtype dtype, unsigned trials)
{
    uint8_t data[2 * 256 + 8];
    float values[2 * 256];
    const struct dtype_info *info = dtype_info(dtype);
    const size_t size = 2 * info->block_bytes, count = 2 * info->block;
    unsigned valid = 0;
    CHECK(size + sizeof(uint64_t) <= sizeof data && count <= sizeof values / sizeof *values);
    for (unsigned trial = 0; trial < trials; trial++) {
        for (size_t i = 0; i < size; i += sizeof(uint64_t)) {
            const uint64_t word = rng_bits(test_seed(), dtype, trial * UINT64_C(1000) + i);
            memcpy(data + i, &word, sizeof word);
        }
        codec_decode_row(dtype, data, values, count);
        const bool finite = all_finite(values, count);
        if (codec_row_valid(dtype, data, count) != finite)
            test_fail(__FILE__, __LINE__, "%s: trial %u is called %s", info->name, trial,
                      finite ? "invalid" : "valid");
        valid += finite;
    }
    return valid;
}

TEST(codec_rows_are_valid_if_finite)
{
    enum { TRIALS = 3000 };
    for (unsigned i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype_family family = dtype_info((enum dtype)i)->family;
        if (family != DTYPE_FAMILY_FLOAT && family != DTYPE_FAMILY_QUANT)
            continue;
        if (i == DTYPE_MXFP4) /* its scales reach to where products overflow */
            continue;
        /* A scale has all bits of its exponent set with probability 1/32 or, in F32 and BF16,
         * 1/256: that 3000 rows hold none has a probability below 1e-10. */
        const unsigned valid = check_valid_if_finite((enum dtype)i, TRIALS);
        CHECK(valid > 0);
        CHECK((valid == TRIALS) == (i == DTYPE_NVFP4));
    }
}

/* Two blocks of zeros with `size` bytes at `offset` of the second one replaced. */
static bool valid_with(enum dtype dtype, size_t offset, uint64_t word, size_t size)
{
    uint8_t data[2 * 292] = {0};
    const struct dtype_info *info = dtype_info(dtype);
    memcpy(data + info->block_bytes + offset, &word, size);
    return codec_row_valid(dtype, data, 2 * info->block);
}

TEST(codec_invalid_numbers_are_found)
{
    CHECK(valid_with(DTYPE_MXFP4, 0, 0xfe, 1));
    CHECK(!valid_with(DTYPE_MXFP4, 0, 0xff, 1));
    CHECK(valid_with(DTYPE_MXFP4, 1, 0xff, 1));
    CHECK(valid_with(DTYPE_Q8_1, 0, 0x7bff7bff, 4));
    CHECK(!valid_with(DTYPE_Q8_1, 0, 0xfc00, 2));
    CHECK(!valid_with(DTYPE_Q8_1, 2, 0x7e00, 2));
    CHECK(valid_with(DTYPE_Q8_K, 0, 0x7f7fffff, 4));
    CHECK(!valid_with(DTYPE_Q8_K, 0, 0x7f800000, 4));
    CHECK(!valid_with(DTYPE_Q8_K, 0, 0xff800001, 4));
    CHECK(valid_with(DTYPE_Q8_K, 260, UINT64_MAX, 8));
    CHECK(valid_with(DTYPE_F64, 0, 0x7fefffffffffffff, 8));
    CHECK(!valid_with(DTYPE_F64, 0, 0xfff0000000000000, 8));
    CHECK(!valid_with(DTYPE_F32, 0, 0x7fc00000, 4));
    CHECK(valid_with(DTYPE_I8, 0, 0xff, 1));
    CHECK(valid_with(DTYPE_I16, 0, UINT64_MAX, 2));
    CHECK(valid_with(DTYPE_I32, 0, UINT64_MAX, 4));
    CHECK(valid_with(DTYPE_I64, 0, UINT64_MAX, 8));
    CHECK(valid_with(DTYPE_NVFP4, 0, UINT64_MAX, 8));
}

/* ---- code books ------------------------------------------------------------------------------ */

/* FNV-1a over all coordinates, point by point. */
static uint64_t grid_hash(const struct code_grid *grid)
{
    uint64_t hash = 0xcbf29ce484222325;
    for (uint32_t k = 0; k < grid->points; k++) {
        for (uint32_t i = 0; i < grid->coordinates; i++) {
            const unsigned code = grid->codes[k] >> grid->bits * i & ((1u << grid->bits) - 1);
            hash = (hash ^ (uint8_t)grid->values[code]) * 0x100000001b3;
        }
    }
    return hash;
}

/* The vectors cannot visit every point; the hashes are of the grids as ggml has them. */
TEST(codec_grids_hold_their_points)
{
    CHECK(grid_hash(&code_grid_iq2_xxs) == 0xbb4ee025b5ac6e8e);
    CHECK(grid_hash(&code_grid_iq2_xs) == 0xc9b1ee61e79909bd);
    CHECK(grid_hash(&code_grid_iq2_s) == 0x123edd38a3b62b90);
    CHECK(grid_hash(&code_grid_iq3_xxs) == 0xdfa5dc83d6a155d5);
    CHECK(grid_hash(&code_grid_iq3_s) == 0xfa37020c25b44829);
    CHECK(grid_hash(&code_grid_iq1) == 0x6703ed863501ae2e);
}
