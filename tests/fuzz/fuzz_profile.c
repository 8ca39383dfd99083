/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of profiles: parses the input, then compares it with itself, op by op and in
 * groups. */
#include "fuzz/fuzz.h"

#include <stdlib.h>

#include "app/profile_diff.h"

/* A failed expectation is a crash, which libFuzzer and the runner both see. */
static void expect(bool condition)
{
    if (!condition)
        abort();
}

static void check_row(const struct diff_row *row, enum diff_measure measure)
{
    const struct diff_change change = diff_row_change(row, measure);
    expect(row->in_old && row->in_new && row->worse == 0);
    expect(change.is_known && change.percent == 0);
    expect(change.low <= 0 && change.high >= 0);
}

static void compare(const struct profile_file *file, const enum profile_by *by)
{
    struct profile_diff diff = {.before = NULL};
    expect(profile_diff_make(&diff, file, file, by, 0, NULL) == WEIR_OK);
    expect(diff.step_count == file->step_count && !diff.is_worse);
    for (uint32_t i = 0; i < diff.step_count; i++) {
        const struct diff_step *step = &diff.steps[i];
        expect(step->before == step->after && step->row_count <= step->before->op_count);
        expect(by != NULL || step->row_count == step->before->op_count);
        check_row(&step->all, step->measure);
        for (uint32_t row = 0; row < step->row_count; row++)
            check_row(&step->rows[row], step->measure);
    }
    profile_diff_release(&diff);
}

int fuzz_profile(const uint8_t *data, size_t size)
{
    struct weir_error err = {0};
    struct profile_file file = {.path = NULL};
    const enum weir_status status = profile_file_parse(&file, data, size, "input", &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (status == WEIR_OK) {
        compare(&file, NULL);
        for (enum profile_by by = PROFILE_BY_KIND; by <= PROFILE_BY_LAYER; by++)
            compare(&file, &by);
    }
    profile_file_close(&file);
    return 0;
}
