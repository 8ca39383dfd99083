/* SPDX-License-Identifier: MIT
 * How much of the processors' time went to other work.
 * Run alone: build/tests/weir-test other_work_ */
#include "app/other_work.h"

#include <math.h>

#include "test.h"

TEST(other_work_reads_the_first_line)
{
    static const char *const others[] = {"",
                                         "cpu",
                                         "cpu0 1 2 3 4 5 6 7 8",
                                         "cpu  1 2 3 4 5 6 7",
                                         "cpu  1 2 x 4 5 6 7 8",
                                         "intr 1 2 3 4 5 6 7 8"};
    struct other_work_ticks ticks;
    CHECK(other_work_parse("cpu  1 20 300 4000 50000 600000 7000000 80000000 9 9\n", &ticks));
    CHECK_INT(ticks.all, 87654321);
    CHECK_INT(ticks.busy, 87654321 - 54000);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        CHECK(!other_work_parse(others[i], &ticks) && ticks.all == 0);
}

/* Of 1000 ticks 600 were busy, for which this process took 5 seconds of 100 ticks. */
TEST(other_work_is_what_is_not_ones_own)
{
    const struct other_work start = {{200, 5000}, 1000000000}, end = {{800, 6000}, 6000000000};
    const struct other_work none = {{0, 0}, 0};
    CHECK(fabs(other_work_between(&start, &end, 100) - 0.1) < 1e-12);
    CHECK(other_work_between(&start, &end, 200) == 0); /* more than were busy: ticks are samples */
    CHECK(other_work_between(&start, &start, 100) == 0);
    CHECK(other_work_between(&none, &end, 100) == 0); /* nothing was counted when it began */
    CHECK(other_work_between(&end, &start, 100) == 0);
}

TEST(other_work_of_this_machine_is_a_share)
{
    const struct other_work start = other_work_start();
    struct other_work now = start;
    while (now.own_ns < start.own_ns + 30000000)
        now = other_work_start();
    const double share = other_work_since(&start);
    CHECK(now.own_ns > start.own_ns);
    CHECK(share >= 0 && share <= 1);
}
