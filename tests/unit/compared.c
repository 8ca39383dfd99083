/* SPDX-License-Identifier: MIT
 * Comparing profiles without the program: failing allocations.
 * Run alone: build/tests/weir-test compared_ */
#include "app/profile_diff.h"

#include <stdio.h>

#include "alloc.h"
#include "test.h"

static void read_and_compare(void *path)
{
    const enum profile_by by = PROFILE_BY_ROLE;
    struct profile_file file = {.path = NULL};
    struct profile_diff diff = {.before = NULL};
    struct weir_error err = {0};
    enum weir_status status = profile_file_open(&file, path, &err);
    if (status == WEIR_OK)
        status = profile_diff_make(&diff, &file, &file, &by, 5, &err);
    profile_diff_release(&diff);
    profile_file_close(&file);
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO); /* of a stream, IO */
}

TEST(compared_alloc_failures_leave_nothing)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", test_data("../fuzz/corpus/profile/timed"));
    alloc_test(read_and_compare, path);
}
