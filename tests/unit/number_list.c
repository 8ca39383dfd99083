/* SPDX-License-Identifier: MIT
 * Tests of lists of numbers as flags write them. Run alone: build/tests/weir-test number_list_ */
#include "app/number_list.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "base/mem.h"
#include "base/rng.h"
#include "test.h"

static void check_list(const char *text, const char *expected)
{
    struct number_list list = {0};
    struct weir_error err = {0};
    char found[256] = "";
    CHECK_OK(number_list_read(&list, text, 0, 1000, &err), &err);
    for (uint64_t i = 0; i < list.count; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%lld", i == 0 ? "" : " ",
                 (long long)list.items[i]);
    mem_free(list.items);
    CHECK_TEXT(found, expected);
}

TEST(number_list_ranges)
{
    check_list("7", "7");
    check_list("0", "0");
    check_list("1,2,4", "1 2 4");
    check_list("4,2,4", "4 2 4");
    check_list("1-4", "1 2 3 4");
    check_list("5-5", "5");
    check_list("1-9+2", "1 3 5 7 9");
    check_list("1-8+3", "1 4 7");
    check_list("1-64*2", "1 2 4 8 16 32 64");
    check_list("3-100*5", "3 15 75");
    check_list("0-4+2,9,1-3*3", "0 2 4 9 1 3");
    check_list("999-1000*1000", "999");
}

TEST(number_list_refuses_what_is_none)
{
    static const char *const texts[] = {
        "",
        "x",
        "1,",
        ",1",
        "1,,2",
        " 1",
        "1 ",
        "-1",
        "1-",
        "4-1",
        "1-4+",
        "1-4*",
        "1-4+0",
        "1-4*1",
        "0-4*2",
        "1-4-2",
        "1001",
        "1-1001",
        "1-4+2+2",
        "1*2",
        "1+2",
        "0x1",
        "1.5",
        "1e3",
        "+1",
        "1-+4",
        "1--4",
        "1,2-x",
        "1;2",
        "1\n",
        "99999999999999999999",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct number_list list = {0};
        struct weir_error err = {0};
        char expected[200];
        snprintf(expected, sizeof expected, "'%s' is not a list of numbers from 0 to 1000",
                 texts[i]);
        if (number_list_read(&list, texts[i], 0, 1000, &err) != WEIR_ERR_ARGUMENT)
            test_fail(__FILE__, __LINE__, "'%s' is taken", texts[i]);
        if (strchr(texts[i], '\n') == NULL)
            CHECK(strncmp(err.text, expected, strlen(expected)) == 0);
        mem_free(list.items);
    }
}

TEST(number_list_is_bounded)
{
    struct number_list list = {0};
    struct weir_error err = {0};
    CHECK(number_list_read(&list, "0-2147483647", 0, INT32_MAX, &err) == WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "more than 4096 values");
    CHECK_INT(list.count, NUMBER_LIST_MAX);
    mem_free(list.items);
}

/* The greatest numbers neither wrap around nor run on. */
TEST(number_list_ends_at_the_largest_number)
{
    struct number_list list = {0};
    struct weir_error err = {0};
    CHECK_OK(number_list_read(&list, "9223372036854775806-9223372036854775807", 0, INT64_MAX, &err),
             &err);
    CHECK_OK(
        number_list_read(&list, "4-9223372036854775807*4611686018427387904", 0, INT64_MAX, &err),
        &err);
    CHECK_INT(list.count, 3);
    CHECK(list.items[1] == INT64_MAX && list.items[2] == 4);
    mem_free(list.items);
}

TEST(number_list_of_words)
{
    struct number_list list = {0};
    struct weir_error err = {0};
    CHECK_OK(number_list_read_words(&list, "f16,f32", "f32|f16", 5, &err), &err);
    CHECK_OK(number_list_read_words(&list, "f32", "f32|f16", 5, &err), &err);
    CHECK(list.count == 3 && list.items[0] == 6 && list.items[1] == 5 && list.items[2] == 5);
    static const char *const texts[] = {"", "f", "f321", "f32,", ",f32", "f32|f16", "f16,q8_0"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        CHECK(number_list_read_words(&list, texts[i], "f32|f16", 0, NULL) == WEIR_ERR_ARGUMENT);
    CHECK(number_list_read_words(&list, "f32,q8_0", "f32|f16", 0, &err) == WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "'q8_0' is not one of f32|f16");
    mem_free(list.items);
}

/* Any text of these characters is a list within the limits, or refused. */
TEST(number_list_random_texts)
{
    static const char characters[] = "0123456789,-+*1,-";
    uint32_t taken = 0;
    for (uint64_t n = 0; n < 20000; n++) {
        char text[13] = "";
        const uint64_t length = rng_bits(test_seed(), n, 0) % sizeof text;
        for (uint64_t i = 0; i < length; i++)
            text[i] = characters[rng_bits(test_seed(), n, i + 1) % (sizeof characters - 1)];
        struct number_list list = {0};
        if (number_list_read(&list, text, 3, 5000, NULL) == WEIR_OK) {
            taken++;
            CHECK(list.count > 0);
            for (uint64_t i = 0; i < list.count; i++)
                CHECK(list.items[i] >= 3 && list.items[i] <= 5000);
        }
        mem_free(list.items);
    }
    CHECK(taken > 100);
}

static void read_scenario(void *argument)
{
    struct number_list list = {0};
    (void)argument;
    const enum weir_status status = number_list_read(&list, "1-100", 0, 1000, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    mem_free(list.items);
}

TEST(number_list_gives_everything_back)
{
    alloc_test(read_scenario, NULL);
}
