/* SPDX-License-Identifier: MIT
 * Tests of where rows, columns and values of checkpoints go, on small shapes worked out by hand.
 * Run alone: build/tests/weir-test transform_ */
#include "test.h"

#include <math.h>

#include "convert/transform.h"

/* Two key heads with three value heads each; two elements a head. */
static const struct hf_config tiled = {.heads_k = 2, .heads_v = 6, .state = 2};
static const struct hf_config grouped = {.heads_k = 2, .heads_v = 6, .state = 2, .is_next = true};

/* Follows all runs and checks the sources of all rows. */
static void check_rows(const struct hf_config *config, enum transform_map map,
                       const uint8_t *expected, uint64_t rows)
{
    for (uint64_t row = 0; row < rows; row++) {
        const struct transform_run run = transform_row(config, map, rows, row);
        CHECK(run.count >= 1 && run.count <= rows - row);
        CHECK(run.row + run.count <= transform_source_rows(config, map, rows));
        for (uint64_t i = 0; i < run.count; i++)
            CHECK_INT(run.row + i, expected[row + i]);
    }
}

/* Value heads 0 1 2 belong to the first key head, 3 4 5 to the second. */
TEST(transform_tiles_heads)
{
    check_rows(&tiled, MAP_HEADS, (const uint8_t[]){0, 3, 1, 4, 2, 5}, 6);
    check_rows(&tiled, MAP_HEAD_ROWS, (const uint8_t[]){0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11}, 12);
    /* behind four rows that are no value heads */
    check_rows(&tiled, MAP_HEAD_ROWS,
               (const uint8_t[]){0, 1, 2, 3, 4, 5, 10, 11, 6, 7, 12, 13, 8, 9, 14, 15}, 16);
    check_rows(&grouped, MAP_HEADS, (const uint8_t[]){0, 1, 2, 3, 4, 5}, 6);
}

TEST(transform_tiles_columns)
{
    float from[12], to[12];
    static const float expected[] = {0, 1, 6, 7, 2, 3, 8, 9, 4, 5, 10, 11};
    for (int i = 0; i < 12; i++)
        from[i] = (float)i;
    transform_columns(&tiled, from, to);
    for (int i = 0; i < 12; i++)
        CHECK(to[i] == expected[i]);
    transform_columns(&grouped, from, to);
    for (int i = 0; i < 12; i++)
        CHECK(to[i] == from[i]);
}

/* Sixteen rows for each key head: q 0-1, k 2-3, v 4-9, z 10-15, and 16 more for the second. */
TEST(transform_takes_groups_apart)
{
    static const uint8_t qkv[] = {0, 1, 16, 17, 2,  3,  18, 19, 4,  5,
                                  6, 7, 8,  9,  20, 21, 22, 23, 24, 25};
    static const uint8_t z[] = {10, 11, 12, 13, 14, 15, 26, 27, 28, 29, 30, 31};
    CHECK_INT(transform_source_rows(&grouped, MAP_NEXT_QKV, 20), 32);
    check_rows(&grouped, MAP_NEXT_QKV, qkv, 20);
    check_rows(&grouped, MAP_NEXT_Z, z, 12);
}

TEST(transform_halves)
{
    check_rows(&tiled, MAP_FIRST_HALF, (const uint8_t[]){0, 1, 2}, 3);
    check_rows(&tiled, MAP_SECOND_HALF, (const uint8_t[]){3, 4, 5}, 3);
    check_rows(&tiled, MAP_SAME, (const uint8_t[]){0, 1, 2}, 3);
}

TEST(transform_values)
{
    float numbers[] = {0, -0.75f, 0.5f}, decays[] = {0, 1.5f, -3};
    transform_apply(VALUES_NORM, numbers, 3);
    CHECK(numbers[0] == 1 && numbers[1] == 0.25f && numbers[2] == 1.5f);
    transform_apply(VALUES_SAME, numbers, 3);
    CHECK(numbers[1] == 0.25f);
    transform_apply(VALUES_DECAY, decays, 3);
    CHECK(decays[0] == -1);
    CHECK(decays[1] == (float)-exp(1.5) && decays[2] == (float)-exp(-3));
}
