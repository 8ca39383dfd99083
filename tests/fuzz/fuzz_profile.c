/* SPDX-License-Identifier: MIT
 * Fuzzes the reader of profiles, and what compares and prints them. The input is a profile, which
 * is compared with itself, op by op and in groups; or two with RS (0x1e) between them, as in a
 * sequence of JSON texts, which are compared with each other. */
#include "fuzz/fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "app/profile_diff_report.h"

enum { RS = 0x1e };

/* A failed expectation is a crash, which libFuzzer and the runner both see. */
static void expect(bool condition)
{
    if (!condition)
        abort();
}

/* ---- printing -------------------------------------------------------------------------------- */

/* What is printed; with free. */
static char *printed(const struct profile_diff *diff,
                     void (*print)(const struct profile_diff *diff, struct output *output))
{
    char *text = NULL;
    size_t size;
    FILE *stream = open_memstream(&text, &size);
    expect(stream != NULL);
    struct output output = {.stream = stream};
    print(diff, &output);
    expect(output_finish(&output, NULL) == WEIR_OK);
    expect(fclose(stream) == 0);
    return text;
}

static void print_all(const struct profile_diff *diff)
{
    free(printed(diff, profile_diff_table));
    free(printed(diff, profile_diff_csv));
    char *text = printed(diff, profile_diff_json);
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
    expect(root != NULL);
    json_decref(root);
    free(text);
}

/* ---- a profile and itself -------------------------------------------------------------------- */

static void check_row(const struct diff_row *row, enum diff_measure measure)
{
    const struct diff_change change = diff_row_change(row, measure);
    expect(row->in_old && row->in_new && row->worse == 0);
    expect(change.is_known && change.percent == 0);
    expect(change.low <= 0 && change.high >= 0);
}

static void compare_alone(const struct profile_file *file, const enum profile_by *by)
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
    print_all(&diff);
    profile_diff_release(&diff);
}

static void run_alone(const uint8_t *data, size_t size)
{
    struct weir_error err = {0};
    struct profile_file file = {.path = NULL};
    const enum weir_status status = profile_file_parse(&file, data, size, "input", &err);
    expect((status == WEIR_OK) == (err.text[0] == 0));
    if (status == WEIR_OK) {
        compare_alone(&file, NULL);
        for (enum profile_by by = PROFILE_BY_KIND; by <= PROFILE_BY_LAYER; by++)
            compare_alone(&file, &by);
    }
    profile_file_close(&file);
}

/* ---- two profiles ---------------------------------------------------------------------------- */

static void check_pair_row(const struct diff_row *row, enum diff_measure measure)
{
    const struct diff_change change = diff_row_change(row, measure);
    expect(row->in_old || row->in_new);
    expect(row->worse == 0 || (row->in_old && row->in_new));
    expect(!change.is_known || (change.low <= change.percent && change.percent <= change.high));
}

static void compare_pair(const struct profile_file *before, const struct profile_file *after,
                         const enum profile_by *by)
{
    struct weir_error err = {0};
    struct profile_diff diff = {.before = NULL};
    const enum weir_status status = profile_diff_make(&diff, before, after, by, 5, &err);
    expect(status == WEIR_OK || status == WEIR_ERR_ARGUMENT);
    expect((status == WEIR_OK) == (diff.step_count > 0));
    for (uint32_t i = 0; i < diff.step_count; i++) {
        const struct diff_step *step = &diff.steps[i];
        expect(step->row_count <= step->before->op_count + step->after->op_count);
        check_pair_row(&step->all, step->measure);
        for (uint32_t row = 0; row < step->row_count; row++)
            check_pair_row(&step->rows[row], step->measure);
    }
    if (status == WEIR_OK)
        print_all(&diff);
    profile_diff_release(&diff);
}

static void run_pair(const uint8_t *before, size_t before_size, const uint8_t *after,
                     size_t after_size)
{
    struct profile_file files[2] = {{.path = NULL}, {.path = NULL}};
    if (profile_file_parse(&files[0], before, before_size, "old", NULL) == WEIR_OK &&
        profile_file_parse(&files[1], after, after_size, "new", NULL) == WEIR_OK) {
        compare_pair(&files[0], &files[1], NULL);
        for (enum profile_by by = PROFILE_BY_KIND; by <= PROFILE_BY_LAYER; by++)
            compare_pair(&files[0], &files[1], &by);
    }
    profile_file_close(&files[0]);
    profile_file_close(&files[1]);
}

int fuzz_profile(const uint8_t *data, size_t size)
{
    const uint8_t *between = size > 0 ? memchr(data, RS, size) : NULL;
    if (between == NULL)
        run_alone(data, size);
    else
        run_pair(data, (size_t)(between - data), between + 1, size - 1 - (size_t)(between - data));
    return 0;
}
