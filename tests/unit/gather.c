/* SPDX-License-Identifier: MIT
 * Rows sorted by expert, and the shares of threads: each entry is there once, each column of each
 * expert is one thread's. Run alone: build/tests/weir-test gather_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cpu/gather.h"

enum { ROWS_MAX = 67, USED_MAX = 8, EXPERTS_MAX = 37, COLUMNS_MAX = 200, UNIT = BACKEND_ROWS_UNIT };

struct routed {
    int32_t numbers[ROWS_MAX][USED_MAX];
    uint32_t rows, used, experts;
    struct host_operand operand;
    struct gathered gathered;
    uint8_t *memory;
};

/* Rows that choose `used` experts side by side, the first in an order of its own; with `skew` most
 * begin at the same. */
static void routed_open(struct routed *r, uint32_t rows, uint32_t used, uint32_t experts, bool skew)
{
    static uint32_t counts[EXPERTS_MAX];
    *r = (struct routed){.rows = rows, .used = used, .experts = experts};
    for (uint32_t row = 0; row < rows; row++) {
        const uint64_t bits = rng_bits(test_seed(), 1, row);
        for (uint32_t j = 0; j < used; j++)
            r->numbers[row][j] = (int32_t)(((skew && bits % 4 > 0 ? 0 : bits) + j) % experts);
    }
    r->operand = (struct host_operand){.data = (uint8_t *)r->numbers,
                                       .rows = rows,
                                       .width = used,
                                       .groups = 1,
                                       .stride = used,
                                       .pitch = sizeof r->numbers[0]};
    r->memory = malloc((size_t)rows * gather_row_bytes(used));
    CHECK(r->memory != NULL);
    r->gathered = gather_at(r->memory, rows, used);
    gather_routed(&r->gathered, &r->operand, experts, counts);
}

/* Entries of an expert ascend, those of all experts are the whole routing. */
static void check_entries(const struct routed *r)
{
    uint32_t seen = 0;
    for (uint32_t i = 0; i < *r->gathered.count; i++) {
        const struct gathered_expert *of = &r->gathered.experts[i];
        CHECK(of->first == seen && of->last > of->first);
        for (uint32_t k = of->first; k < of->last; k++) {
            const struct gathered_entry *at = &r->gathered.entries[k];
            CHECK(at->row < r->rows && at->place < r->used);
            CHECK(k == of->first || at->row > at[-1].row);
            CHECK_INT(r->numbers[at->row][at->place], of->expert);
        }
        seen = of->last;
    }
    CHECK_INT(seen, r->rows * r->used);
}

/* What the threads are given of each expert. */
static void check_shares(const struct routed *r, uint32_t columns, uint32_t threads)
{
    static uint8_t given[EXPERTS_MAX][COLUMNS_MAX];
    memset(given, 0, sizeof given);
    for (uint32_t thread = 0; thread < threads; thread++) {
        struct gather_walk walk = gather_begin(&r->gathered, columns, thread, threads);
        uint32_t expert, column, end;
        while (gather_next(&walk, &expert, &column, &end)) {
            CHECK(expert < *r->gathered.count && column < end && end <= columns);
            CHECK(column % UNIT == 0 && (end % UNIT == 0 || end == columns));
            for (uint32_t c = column; c < end; c++)
                given[expert][c]++;
        }
    }
    for (uint32_t i = 0; i < *r->gathered.count; i++) {
        for (uint32_t c = 0; c < columns; c++)
            CHECK_INT(given[i][c], 1);
    }
}

TEST(gather_has_each_entry_and_each_column_once)
{
    static const uint32_t rows[] = {1, 2, 16, 17, ROWS_MAX}, columns[] = {7, 64, COLUMNS_MAX};
    for (uint32_t i = 0; i < 5 * 3 * 2; i++) {
        struct routed r;
        routed_open(&r, rows[i % 5], 1 + i % USED_MAX, i / 5 % 2 ? USED_MAX : EXPERTS_MAX, i / 15);
        check_entries(&r);
        for (uint32_t threads = 1; threads < 20; threads++)
            check_shares(&r, columns[i % 3], threads);
        free(r.memory);
    }
}

/* Where all rows choose one expert, its columns are shared. */
TEST(gather_shares_an_expert_by_columns)
{
    struct routed r;
    routed_open(&r, 40, 1, 1, false);
    for (uint32_t thread = 0; thread < 3; thread++) {
        struct gather_walk walk = gather_begin(&r.gathered, 6 * UNIT, thread, 3);
        uint32_t expert, column, end;
        CHECK(gather_next(&walk, &expert, &column, &end));
        CHECK_INT(column, 2 * thread * UNIT);
        CHECK_INT(end, 2 * (thread + 1) * UNIT);
        CHECK(!gather_next(&walk, &expert, &column, &end));
    }
    free(r.memory);
}
