/* SPDX-License-Identifier: MIT
 * Numbers sorted: those whose difference does not fit their type are in order too.
 * Run alone: build/tests/weir-test sort_ */
#include "base/sort.h"

#include "base/rng.h"
#include "test.h"

enum { COUNT = 1000 };

TEST(sort_puts_numbers_in_order)
{
    static uint64_t whole[COUNT];
    static int64_t with_sign[COUNT];
    static double doubles[COUNT];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < COUNT; i++) {
        whole[i] = rng_bits(1, 0, i);
        sum += whole[i];
        with_sign[i] = (int64_t)whole[i];
        doubles[i] = (double)with_sign[i];
    }
    sort_u64(whole, COUNT);
    sort_i64(with_sign, COUNT);
    sort_f64(doubles, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        sum -= whole[i];
        CHECK(i == 0 || whole[i - 1] <= whole[i]);
        CHECK(i == 0 || with_sign[i - 1] <= with_sign[i]);
        CHECK(doubles[i] == (double)with_sign[i]);
    }
    CHECK_INT(sum, 0);
}
