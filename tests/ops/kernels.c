/* SPDX-License-Identifier: MIT
 * Kernels of every level of instructions that this processor has, against the reference: packed
 * matrices of every type, bit for bit in and out again, and their products. Run alone:
 * build/tests/weir-test kernels_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cpu/kernels.h"
#include "cpu/pack.h"
#include "format/codec.h"
#include "quant/encode.h"
#include "ref/ref.h"

enum { ROWS = 37, GROUPS = (ROWS + PACK_ROWS - 1) / PACK_ROWS, WIDTH = 768, TOKENS = 13 };

static const char *const levels[] = {"v2", "v3", "v4"};

/* ---- packing --------------------------------------------------------------------------------- */

static uint8_t *packed_matrix(enum dtype dtype, const uint8_t *rows)
{
    const uint64_t row_bytes = dtype_row_bytes(dtype, WIDTH);
    const uint64_t group_bytes = pack_group_bytes(dtype, WIDTH);
    uint8_t *packed = malloc(GROUPS * group_bytes);
    CHECK(packed != NULL);
    for (uint32_t group = 0; group < GROUPS; group++) {
        const uint32_t left = ROWS - group * PACK_ROWS;
        pack_group(dtype, rows + group * PACK_ROWS * row_bytes, left < PACK_ROWS ? left : PACK_ROWS,
                   WIDTH, packed + group * group_bytes);
    }
    return packed;
}

TEST(kernels_packed_rows_come_out_again)
{
    uint32_t known = 0;
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        if (!pack_knows(dtype))
            continue;
        const uint64_t row_bytes = dtype_row_bytes(dtype, WIDTH);
        uint8_t *rows = malloc(ROWS * row_bytes), *row = malloc(row_bytes);
        CHECK(rows != NULL && row != NULL);
        for (uint64_t i = 0; i < ROWS * row_bytes; i++)
            rows[i] = (uint8_t)rng_bits(test_seed(), (uint64_t)dtype, i);
        uint8_t *packed = packed_matrix(dtype, rows);
        CHECK(pack_group_bytes(dtype, WIDTH) < PACK_ROWS * row_bytes + PACK_LINE);
        for (uint64_t i = 0; i < ROWS; i++) {
            pack_take_row(dtype, packed, i, WIDTH, row);
            CHECK(memcmp(row, rows + i * row_bytes, row_bytes) == 0);
        }
        free(packed);
        free(rows);
        free(row);
        known++;
    }
    CHECK_INT(known, 14);
}

/* ---- products -------------------------------------------------------------------------------- */

static float *random_floats(uint64_t count, uint64_t stream)
{
    float *values = malloc(count * sizeof *values);
    CHECK(values != NULL);
    for (uint64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(test_seed(), stream, i);
    return values;
}

/* A product and all that it needs. */
struct product {
    enum dtype dtype;
    uint8_t *rows, *packed;
    float *scratch;
    float *x, *y, *expected;
    struct quants quants;
    const struct kernels *kernels;
    struct cpu_call call;
};

static struct host_operand dense(void *data, uint64_t rows, uint32_t width)
{
    return (struct host_operand){.data = data,
                                 .dtype = DTYPE_F32,
                                 .rows = rows,
                                 .width = width,
                                 .groups = 1,
                                 .stride = width,
                                 .pitch = width * sizeof(float)};
}

static void product_open(struct product *p, enum dtype dtype)
{
    const uint64_t row_bytes = dtype_row_bytes(dtype, WIDTH);
    static const struct op op = {.kind = OP_MATMUL};
    *p = (struct product){.dtype = dtype};
    float *weights = random_floats(ROWS * WIDTH, 1);
    p->rows = malloc(ROWS * row_bytes);
    p->x = random_floats(TOKENS * WIDTH, 2);
    p->y = malloc(2 * TOKENS * ROWS * sizeof *p->y);
    p->quants.codes = aligned_alloc(64, TOKENS * quants_row_bytes(WIDTH));
    CHECK(p->rows != NULL && p->y != NULL && p->quants.codes != NULL);
    p->expected = p->y + TOKENS * ROWS;
    for (uint32_t row = 0; row < ROWS; row++)
        encode_row(dtype, weights + row * WIDTH, NULL, p->rows + row * row_bytes, WIDTH);
    free(weights);
    p->scratch = malloc(PRODUCT_SCRATCH_BYTES);
    CHECK(p->scratch != NULL);
    p->packed = packed_matrix(dtype, p->rows);
    p->quants.pitch = quants_row_bytes(WIDTH);
    p->quants.columns = WIDTH;
    p->call =
        (struct cpu_call){.op = &op, .quants = p->quants, .is_packed = true, .scratch = p->scratch};
    p->call.at[0] = dense(p->packed, ROWS, WIDTH);
    p->call.at[0].dtype = dtype;
    p->call.at[0].pitch = row_bytes;
    p->call.at[1] = dense(p->x, TOKENS, WIDTH);
    p->call.at[2] = dense(p->y, TOKENS, ROWS);
}

static void product_close(struct product *p)
{
    free(p->rows);
    free(p->packed);
    free(p->scratch);
    free(p->x);
    free(p->y);
    free(p->quants.codes);
}

/* The number that a product meets: of codes, what the 8 bits stand for. */
static double met(const struct product *p, uint32_t t, uint32_t k)
{
    return pack_has_codes(p->dtype) ? (double)quants_codes(&p->quants, t)[k] *
                                          quants_scales(&p->quants, t)[k / QUANT_COLUMNS]
                                    : p->x[t * WIDTH + k];
}

/* In double. */
static void expect(struct product *p)
{
    float row[WIDTH];
    for (uint32_t i = 0; i < ROWS; i++) {
        codec_decode_row(p->dtype, p->rows + i * dtype_row_bytes(p->dtype, WIDTH), row, WIDTH);
        for (uint32_t t = 0; t < TOKENS; t++) {
            double sum = 0;
            for (uint32_t k = 0; k < WIDTH; k++)
                sum += (double)row[k] * met(p, t, k);
            p->expected[t * ROWS + i] = (float)sum;
        }
    }
}

/* Each number by itself has the bits that it has among others. */
static void check_parts(struct product *p)
{
    float alone[TOKENS * ROWS];
    p->call.at[2].data = (uint8_t *)alone;
    for (uint32_t t = 0; t < TOKENS; t++) {
        for (uint32_t first = 0; first < ROWS; first += PACK_ROWS) {
            const uint32_t end = first + PACK_ROWS < ROWS ? first + PACK_ROWS : ROWS;
            const struct part part = {t, t + 1, first, end};
            p->kernels->op[OP_MATMUL](&p->call, &part);
        }
    }
    p->call.at[2].data = (uint8_t *)p->y;
    CHECK(memcmp(alone, p->y, sizeof alone) == 0);
}

static void check_product(struct product *p, const char *level)
{
    struct weir_error err = {0};
    const struct part columns = {0, TOKENS, 0, WIDTH}, all = {0, TOKENS, 0, ROWS};
    CHECK_OK(cpu_select(&p->kernels, level, &err), &err);
    p->kernels->quantize(&p->call.at[1], &p->quants, &columns);
    p->kernels->op[OP_MATMUL](&p->call, &all);
    expect(p);
    const double nmse = test_nmse(p->y, p->expected, TOKENS * ROWS);
    if (!(nmse <= 1e-12))
        test_fail(__FILE__, __LINE__, "%s, level %s: NMSE %g", dtype_info(p->dtype)->name,
                  p->kernels->level, nmse);
    check_parts(p);
}

TEST(kernels_products_of_packed_matrices)
{
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        struct product product;
        if (!pack_knows(dtype))
            continue;
        product_open(&product, dtype);
        for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
            check_product(&product, levels[i]);
        product_close(&product);
    }
}

/* What 8 bits stand for is within half a unit of what they were made of. */
TEST(kernels_rounding_to_8_bits)
{
    struct product product;
    product_open(&product, DTYPE_Q8_0);
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        struct weir_error err = {0};
        const struct part columns = {0, TOKENS, 0, WIDTH};
        CHECK_OK(cpu_select(&product.kernels, levels[i], &err), &err);
        memset(product.x + WIDTH, 0, QUANT_COLUMNS * sizeof *product.x);
        product.kernels->quantize(&product.call.at[1], &product.quants, &columns);
        for (uint32_t k = 0; k < TOKENS * WIDTH; k++) {
            const uint32_t t = k / WIDTH, column = k % WIDTH;
            const float scale = quants_scales(&product.quants, t)[column / QUANT_COLUMNS];
            const int code = quants_codes(&product.quants, t)[column];
            const float error = (float)code * scale - product.x[k];
            CHECK(code >= -127 && error <= 0.501f * scale && error >= -0.501f * scale);
        }
        for (uint32_t half = 0; half < TOKENS * WIDTH / QUANT_HALF; half++) {
            const uint32_t t = half / (WIDTH / QUANT_HALF), at = half % (WIDTH / QUANT_HALF);
            int sum = 0;
            for (uint32_t k = 0; k < QUANT_HALF; k++)
                sum += quants_codes(&product.quants, t)[at * QUANT_HALF + k];
            CHECK_INT(quants_sums(&product.quants, t)[at], sum);
        }
    }
    product_close(&product);
}

/* ---- shapes that vectors do not divide ------------------------------------------------------- */

enum { ODD_POSITIONS = 70, ODD_GROUPS = 2, ODD_HEADS = 6, ODD_WIDTH = 21, ODD_CHANNELS = 37 };
enum { ODD_TAPS = 64, ODD_ROWS = 3 }; /* as many taps as a model may have */

static struct host_operand cache_of(void *data, enum dtype dtype, uint32_t groups, uint32_t width)
{
    struct host_operand operand = dense(data, 1, width);
    operand.dtype = dtype;
    operand.groups = groups;
    operand.pitch = dtype_row_bytes(dtype, (uint64_t)groups * width);
    return operand;
}

static struct host_operand heads_of(void *data, uint64_t rows, uint32_t groups, uint32_t width)
{
    struct host_operand operand = dense(data, rows, groups * width);
    operand.groups = groups;
    operand.width = operand.stride = width;
    return operand;
}

/* The reference and the kernels of all levels on the same operands, of which the last is written:
 * first by the reference. */
static void check_levels(const struct op *op, const struct step *step,
                         const struct host_operand *at, uint32_t operands, ref_op_fn *reference,
                         const struct part *part, double most)
{
    const uint32_t result = operands - 1;
    const uint64_t count = at[result].rows * at[result].groups * at[result].width;
    struct ref_call by_reference = {.op = op, .step = step, .rows = at[result].rows};
    static struct attend_place place;
    static float parts[1 << 18], own[1 << 16]; /* enough for heads of odd widths */
    const struct attend_team team = {1, &place, parts, sizeof parts / sizeof *parts};
    struct cpu_call call = {.op = op, .step = step, .scratch = own, .team = &team};
    float *expected = malloc(count * sizeof *expected), scratch[ODD_POSITIONS];
    float *actual = malloc(count * sizeof *actual);
    CHECK(expected != NULL && actual != NULL);
    memcpy(by_reference.at, at, operands * sizeof *at);
    memcpy(call.at, at, operands * sizeof *at);
    by_reference.scratch = scratch;
    by_reference.at[result].data = (uint8_t *)expected;
    call.at[result].data = (uint8_t *)actual;
    reference(&by_reference, 0, ref_units(&by_reference));
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        const struct kernels *kernels;
        struct weir_error err = {0};
        CHECK_OK(cpu_select(&kernels, levels[i], &err), &err);
        kernels->op[op->kind](&call, part);
        CHECK(test_nmse(actual, expected, count) <= most);
    }
    free(expected);
    free(actual);
}

TEST(kernels_attention_of_odd_heads)
{
    static const enum dtype types[] = {DTYPE_F32, DTYPE_F16};
    static const struct step_seq seq = {.cached = ODD_POSITIONS - ODD_ROWS, .rows = ODD_ROWS};
    static const struct step step = {.rows = ODD_ROWS, .seqs = 1, .seq = &seq};
    static const struct op op = {.kind = OP_ATTEND, .scale = 0.3f};
    enum { CACHED = ODD_POSITIONS * ODD_GROUPS * ODD_WIDTH };
    const struct part part = {0, ODD_ROWS * ODD_GROUPS, 0, ODD_HEADS * ODD_WIDTH};
    float *q = random_floats(ODD_ROWS * ODD_HEADS * ODD_WIDTH, 3);
    float *k = random_floats(CACHED, 4), *v = random_floats(CACHED, 5);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const uint64_t bytes = dtype_row_bytes(types[i], CACHED);
        uint8_t *keys = malloc(bytes), *values = malloc(bytes);
        CHECK(keys != NULL && values != NULL);
        codec_encode_floats(types[i], k, keys, CACHED);
        codec_encode_floats(types[i], v, values, CACHED);
        for (uint32_t n = 0; n < ODD_ROWS * ODD_HEADS * ODD_WIDTH && types[i] == DTYPE_F16; n++)
            q[n] = codec_from_f16(codec_to_f16(q[n])); /* as the reference rounds it */
        const struct host_operand at[] = {
            heads_of(q, ODD_ROWS, ODD_HEADS, ODD_WIDTH),
            cache_of(keys, types[i], ODD_GROUPS, ODD_WIDTH),
            cache_of(values, types[i], ODD_GROUPS, ODD_WIDTH),
            heads_of(NULL, ODD_ROWS, ODD_HEADS, ODD_WIDTH),
        };
        /* the reference rounds weights to F16 where the cache is */
        check_levels(&op, &step, at, 4, ref_attend, &part, types[i] == DTYPE_F16 ? 1e-6 : 1e-10);
        free(keys);
        free(values);
    }
    free(q);
    free(k);
    free(v);
}

TEST(kernels_convolution_of_many_taps)
{
    static const struct step_seq seq = {.cached = 100, .rows = ODD_ROWS};
    static const struct step step = {.rows = ODD_ROWS, .seqs = 1, .seq = &seq};
    static const struct op op = {.kind = OP_CONV_SILU};
    const struct part part = {0, ODD_ROWS, 0, ODD_CHANNELS};
    float *x = random_floats(ODD_ROWS * ODD_CHANNELS, 6);
    float *taps = random_floats(ODD_CHANNELS * ODD_TAPS, 7);
    float *ring = calloc((ODD_TAPS - 1) * ODD_CHANNELS, sizeof *ring); /* rows of x come in */
    CHECK(ring != NULL);
    for (uint32_t row = 0; row < ODD_ROWS; row++)
        memcpy(ring + (100 + row) % (ODD_TAPS - 1) * ODD_CHANNELS, x + row * ODD_CHANNELS,
               ODD_CHANNELS * sizeof *ring);
    const struct host_operand at[] = {
        dense(x, ODD_ROWS, ODD_CHANNELS),
        dense(taps, ODD_CHANNELS, ODD_TAPS),
        dense(ring, ODD_TAPS - 1, ODD_CHANNELS),
        dense(NULL, ODD_ROWS, ODD_CHANNELS),
    };
    check_levels(&op, &step, at, 4, ref_conv_silu, &part, 1e-10);
    free(x);
    free(taps);
    free(ring);
}
