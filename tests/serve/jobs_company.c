/* SPDX-License-Identifier: MIT
 * Drafts in company: what they give decides, and what a trial may cost is little. Also what is
 * counted, and where prompts are cut. Run alone: build/tests/weir-test serve_company */
#include "serve/company.h"

#include <string.h>

#include "serve/figures.h"
#include "serve/prompt_cuts.h"
#include "test.h"

/* Tokens a turn of 1000 ns in the mean, where one with drafts takes `slowness` times as long and
 * gives `gain` times as many. */
static double rate_with(uint32_t slots, double slowness, double gain)
{
    struct company company;
    double tokens = 0, ns = 0;
    memset(&company, 0, sizeof company);
    for (uint32_t turn = 0; turn < 20000; turn++) {
        const struct company_way way = company_choose(&company, slots);
        const bool has_drafts = way.rows > 1 || way.slots < slots;
        const uint32_t turn_tokens = has_drafts ? (uint32_t)(100 * gain) : 100;
        const uint64_t turn_ns = has_drafts ? (uint64_t)(1000 * slowness) : 1000;
        company_learn(&company, slots, turn_tokens, turn_ns);
        tokens += turn_tokens;
        ns += (double)turn_ns;
    }
    return 10 * tokens / ns;
}

TEST(serve_company_takes_the_better_way)
{
    for (uint32_t slots = 2; slots <= COMPANY_MAX + 2; slots++) {
        CHECK(rate_with(slots, 1.5, 1) > 0.97);
        CHECK(rate_with(slots, 1.5, 3) > 1.9);
    }
}

TEST(serve_company_rows_fit)
{
    struct company company;
    memset(&company, 0, sizeof company);
    for (uint32_t slots = 1; slots < 40; slots++) {
        for (uint32_t turn = 0; turn < 100; turn++) {
            const struct company_way way = company_choose(&company, slots);
            CHECK(way.rows >= 1 && way.slots >= 1 && way.slots <= slots);
            CHECK(way.rows == 1 || way.rows * slots <= COMPANY_ROWS);
            company_learn(&company, slots, way.slots * way.rows, 1000);
        }
    }
}

TEST(serve_company_histogram_counts_once)
{
    struct histogram histogram;
    uint64_t sum = 0;
    memset(&histogram, 0, sizeof histogram);
    histogram_add(&histogram, 1000000, 2); /* the first bound is not passed */
    histogram_add(&histogram, 1000001, 1);
    histogram_add(&histogram, 1000000000000, 4);
    CHECK_INT(histogram.counts[0], 2);
    CHECK_INT(histogram.counts[1], 1);
    CHECK_INT(histogram.counts[HISTOGRAM_BOUNDS], 4);
    for (int i = 0; i <= HISTOGRAM_BOUNDS; i++)
        sum += histogram.counts[i];
    CHECK_INT(sum, histogram.count);
}

/* A part always goes on if there is room for CUT_ROWS_MIN, and never leaves few rows. */
TEST(serve_company_parts_of_prompts)
{
    for (uint32_t from = 0; from < 200; from++) {
        for (uint32_t cut = from + 1; cut < from + 700; cut++) {
            for (uint32_t rows = 1; rows <= 512; rows += 37) {
                const uint32_t end = cuts_step_end(from, cut, rows);
                CHECK(end >= from && end <= cut && end - from <= rows);
                CHECK(end > from || rows < CUT_ROWS_MIN);
                if (end > from && end < cut)
                    CHECK(end % CUT_ALIGNMENT == 0 && end - from > CUT_ROWS_FEW &&
                          cut - end > CUT_ROWS_FEW);
            }
        }
    }
}

/* Cuts follow from what is before them: a longer prompt has those of its beginning. */
TEST(serve_company_cuts_of_a_beginning)
{
    enum { COUNT = 20000, BEGIN = 3 };
    static int32_t ids[COUNT];
    for (uint32_t i = 0; i < COUNT; i++)
        ids[i] = i * i % 1009 == 1 ? BEGIN : 7;
    for (uint32_t shorter = 1; shorter < COUNT; shorter += 997) {
        for (uint32_t from = 0, a, b; from < shorter; from = a) {
            a = cuts_next(ids, shorter, from, BEGIN);
            b = cuts_next(ids, COUNT, from, BEGIN);
            CHECK(a > from && (a == b || (a == shorter && b > a)));
        }
    }
}
