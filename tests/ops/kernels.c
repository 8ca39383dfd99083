/* SPDX-License-Identifier: MIT
 * Kernels of every level of instructions that this processor has, against the reference, and packed
 * matrices of every type, bit for bit in and out again. weir-kernels prints the cases one by one.
 * Run alone: build/tests/weir-test kernels_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cpu/pack.h"
#include "ops/kernel_trial.h"
#include "ops/tile_traps.h"

enum { ROWS = 37, GROUPS = (ROWS + PACK_ROWS - 1) / PACK_ROWS, WIDTH = 768, TOKENS = 13 };

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
    CHECK_INT(known, 28);
}

/* ---- 8 bits ---------------------------------------------------------------------------------- */

static void check_codes(const float *x, const struct quants *quants)
{
    for (uint32_t k = 0; k < TOKENS * WIDTH; k++) {
        const uint32_t t = k / WIDTH, column = k % WIDTH;
        const float scale = quants_scales(quants, t)[column / QUANT_COLUMNS];
        const int code = quants_codes(quants, t)[column];
        const float error = (float)code * scale - x[k];
        CHECK(code >= -127 && error <= 0.501f * scale && error >= -0.501f * scale);
    }
}

static void check_sums(const struct quants *quants)
{
    for (uint32_t half = 0; half < TOKENS * WIDTH / QUANT_HALF; half++) {
        const uint32_t t = half / (WIDTH / QUANT_HALF), at = half % (WIDTH / QUANT_HALF);
        int sum = 0;
        for (uint32_t k = 0; k < QUANT_HALF; k++)
            sum += quants_codes(quants, t)[at * QUANT_HALF + k];
        CHECK_INT(quants_sums(quants, t)[at], sum);
    }
}

/* What 8 bits stand for is within half a unit of what they were made of. */
TEST(kernels_rounding_to_8_bits)
{
    struct quants quants = {.pitch = quants_row_bytes(WIDTH), .columns = WIDTH};
    const struct part part = {0, TOKENS, 0, WIDTH};
    const struct kernels *kernels;
    enum level_presence presence;
    float *x = malloc(TOKENS * WIDTH * sizeof *x);
    quants.codes = aligned_alloc(64, TOKENS * quants.pitch);
    CHECK(x != NULL && quants.codes != NULL);
    for (uint64_t i = 0; i < TOKENS * WIDTH; i++)
        x[i] = (float)rng_normal(test_seed(), 2, i);
    memset(x + WIDTH, 0, QUANT_COLUMNS * sizeof *x);
    const struct host_operand operand = {.data = (uint8_t *)x,
                                         .rows = TOKENS,
                                         .width = WIDTH,
                                         .groups = 1,
                                         .stride = WIDTH,
                                         .pitch = WIDTH * sizeof *x};
    for (uint32_t i = 0; (kernels = trial_level(i, &presence)) != NULL; i++) {
        if (presence == LEVEL_ABSENT)
            continue;
        memset(quants.codes, 0x55, TOKENS * quants.pitch);
        kernels->quantize(&operand, &quants, &part);
        check_codes(x, &quants);
        check_sums(&quants);
    }
    free(x);
    free(quants.codes);
}

/* A level of the program that does not is passed over; one for tests would be so in silence, and
 * so would tiles be that the compiler's flags did not bring about. */
TEST(kernels_levels_work)
{
    const struct kernels *kernels;
    enum level_presence presence;
    for (uint32_t i = 0; (kernels = trial_level(i, &presence)) != NULL; i++) {
        CHECK(presence == LEVEL_ABSENT || kernels->works == NULL || kernels->works());
        CHECK(strcmp(kernels->level, "amx") != 0 || kernels->works != NULL);
    }
    const char *invalid = tile_traps_fault();
    CHECK_TEXT(invalid == NULL ? "no fault" : invalid, "no fault");
}

/* ---- each kind of op ------------------------------------------------------------------------- */

/* What a level wrote, if it could run. */
struct bits {
    bool are_known;
    uint64_t digest;
};

/* The instructions of tiles and what stands for them in C, which is no copy of the manual. */
static void check_same_bits(const struct kernel_case *of, enum dtype dtype, const struct bits *amx,
                            const struct bits *emulated)
{
    if (amx->are_known && emulated->are_known && amx->digest != emulated->digest)
        test_fail(__FILE__, __LINE__, "%s, %s, %s: level amx gives other bits than emulated",
                  of->name, kernel_step(of->step)->name, dtype_info(dtype)->name);
}

static void check_levels(const struct kernel_case *of, enum dtype dtype)
{
    struct trial *trial = trial_open(of, dtype, test_seed(), false);
    struct bits amx = {0}, emulated = {0};
    const struct kernels *kernels;
    enum level_presence presence;
    for (uint32_t i = 0; (kernels = trial_level(i, &presence)) != NULL; i++) {
        struct trial_result result;
        if (presence == LEVEL_ABSENT)
            continue;
        trial_check(trial, kernels, &result);
        if (result.fault[0] != 0)
            test_fail(__FILE__, __LINE__, "%s, %s, %s, level %s: NMSE %g, %s", of->name,
                      kernel_step(of->step)->name, dtype_info(dtype)->name, kernels->level,
                      result.nmse, result.fault);
        if (strcmp(kernels->level, "amx") == 0)
            amx = (struct bits){true, result.digest};
        if (strcmp(kernels->level, "emulated") == 0)
            emulated = (struct bits){true, result.digest};
    }
    check_same_bits(of, dtype, &amx, &emulated);
    trial_close(trial);
}

/* All cases of the table; a kind without one fails, and a case without a type. */
static void check_kind(enum op_kind kind)
{
    uint32_t cases = 0;
    for (uint32_t i = 0; i < kernel_cases_count; i++) {
        enum dtype types[DTYPE_COUNT];
        if (kernel_cases[i].kind != kind)
            continue;
        const uint32_t count = kernel_case_types(&kernel_cases[i], types);
        CHECK(count > 0);
        for (uint32_t type = 0; type < count; type++)
            check_levels(&kernel_cases[i], types[type]);
        cases++;
    }
    CHECK(cases > 0);
}

#define OP(id, function, operands, shares, meaning)                                                \
    TEST(kernels_##function)                                                                       \
    {                                                                                              \
        check_kind(OP_##id);                                                                       \
    }
#include "plan/ops.def"
