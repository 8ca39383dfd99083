/* SPDX-License-Identifier: MIT
 * weir profile --diff: files with made-up times, so that what must come out is known.
 * Run alone: build/tests/weir-test comparing_ */
#include "cli/program.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define MODEL test_data("golden/nano-f32.gguf")

static json_t *parse(const char *text)
{
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        test_fail(__FILE__, __LINE__, "line %d: %s", error.line, error.text);
    return root;
}

/* ---- files ----------------------------------------------------------------------------------- */

static json_t *step_of(const json_t *root, size_t step)
{
    return json_array_get(json_object_get(root, "steps"), step);
}

static json_t *op_of(const json_t *root, size_t step, size_t op)
{
    return json_array_get(json_object_get(step_of(root, step), "ops"), op);
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* A time and an interval of `spread` percent to both sides. */
static void set_ms(json_t *object, double ms, double spread)
{
    json_object_set_new(object, "ms", json_real(ms));
    json_object_set_new(object, "ms_low", json_real(ms * (1 - spread / 100)));
    json_object_set_new(object, "ms_high", json_real(ms * (1 + spread / 100)));
}

/* What the ops add up to. */
static void set_step_ms(json_t *root, size_t step, double spread)
{
    const json_t *ops = json_object_get(step_of(root, step), "ops");
    double sum = 0;
    for (size_t i = 0; i < json_array_size(ops); i++)
        sum += number_of(json_array_get(ops, i), "ms");
    set_ms(step_of(root, step), sum, spread);
}

/* Two steps: bytes by the plan, times that are made up and sure to 1%. */
static json_t *timed(void)
{
    const struct program_result *result =
        RUN_PROGRAM("profile", MODEL, "--dry-run", "--ctx", "5,60", "-o", "json");
    CHECK_INT(result->status, 0);
    json_t *root = parse(result->out);
    for (size_t step = 0; step < 2; step++) {
        const size_t count = json_array_size(json_object_get(step_of(root, step), "ops"));
        for (size_t i = 0; i < count; i++)
            set_ms(op_of(root, step, i), 0.25 * (double)(1 + i % 3), 1);
        set_step_ms(root, step, 1);
        json_object_set_new(step_of(root, step), "runs", json_integer(64));
    }
    return root;
}

static const char *save(const json_t *root, const char *name)
{
    const char *path = test_scratch(name);
    CHECK(json_dump_file(root, path, JSON_INDENT(1)) == 0);
    return path;
}

static const struct program_result *compare(const json_t *before, const json_t *after,
                                            const char *flag, const char *value)
{
    char from[4096], to[4096];
    snprintf(from, sizeof from, "%s", save(before, "before.json"));
    snprintf(to, sizeof to, "%s", save(after, "after.json"));
    return RUN_PROGRAM("profile", "--diff", from, to, flag, value);
}

/* The same, as records; the program ends with `status`. */
static json_t *records(const json_t *before, const json_t *after, int status)
{
    const struct program_result *result = compare(before, after, "-o", "json");
    if (result->status != status)
        test_fail(__FILE__, __LINE__, "status %d, expected %d: %s", result->status, status,
                  result->err);
    json_t *root = parse(result->out);
    CHECK_INT(json_is_true(json_object_get(root, "worse")), status == 3);
    return root;
}

/* ---- changes --------------------------------------------------------------------------------- */

static void check_unchanged(const json_t *row)
{
    CHECK(number_of(row, "change_percent") == 0);
    CHECK(json_is_null(json_object_get(row, "low_percent")) ||
          (number_of(row, "low_percent") <= 0 && number_of(row, "high_percent") >= 0));
    CHECK(json_equal(json_object_get(row, "old"), json_object_get(row, "new")));
    CHECK_TEXT(json_string_value(json_object_get(row, "in")), "both");
    CHECK_TEXT(json_string_value(json_object_get(row, "worse")), "");
}

TEST(comparing_a_profile_with_itself_changes_nothing)
{
    json_t *file = timed();
    json_t *root = records(file, file, 0);
    CHECK_INT(json_array_size(json_object_get(root, "steps")), 2);
    for (size_t step = 0; step < 2; step++) {
        const json_t *ops = json_object_get(step_of(root, step), "ops");
        CHECK_INT(json_array_size(ops),
                  json_array_size(json_object_get(step_of(file, step), "ops")));
        check_unchanged(json_object_get(step_of(root, step), "all"));
        for (size_t i = 0; i < json_array_size(ops); i++)
            check_unchanged(json_array_get(ops, i));
    }
    CHECK_INT(json_array_size(json_object_get(root, "only_in_old")), 0);
    CHECK_INT(json_array_size(json_object_get(root, "only_in_new")), 0);
    json_decref(root);
    for (int i = 0; i < 3; i++) {
        static const char *const groups[] = {"kind", "role", "layer"};
        const struct program_result *result = compare(file, file, "--by", groups[i]);
        CHECK_INT(result->status, 0);
        CHECK_HAS(result->out, "nothing is worse than before, beyond 5%\n");
    }
    json_decref(file);
}

/* Quotients of swapped files are each other's inverse, and so are the ends of intervals; the
 * records have four digits behind the point of a percentage. */
static void check_swapped(const json_t *there, const json_t *back)
{
    static const char *const ends[][2] = {{"change_percent", "change_percent"},
                                          {"low_percent", "high_percent"},
                                          {"high_percent", "low_percent"}};
    for (int i = 0; i < 3; i++) {
        const double a = 1 + number_of(there, ends[i][0]) / 100;
        const double b = 1 + number_of(back, ends[i][1]) / 100;
        CHECK(fabs(a * b - 1) <= (a + b) * 1e-6);
    }
    CHECK(json_equal(json_object_get(there, "old"), json_object_get(back, "new")));
    CHECK(json_equal(json_object_get(there, "new"), json_object_get(back, "old")));
}

TEST(comparing_swapped_files_gives_the_inverse)
{
    json_t *before = timed(), *after = timed();
    for (size_t i = 0; i < 20; i++)
        set_ms(op_of(after, 1, i), 0.1 * (double)(1 + i % 7), 3);
    set_step_ms(after, 1, 2);
    json_t *there = records(before, after, 3), *back = records(after, before, 3);
    const json_t *ops = json_object_get(step_of(there, 1), "ops");
    check_swapped(json_object_get(step_of(there, 1), "all"),
                  json_object_get(step_of(back, 1), "all"));
    for (size_t i = 0; i < json_array_size(ops); i++) /* sorted alike: by absolute change */
        check_swapped(json_array_get(ops, i), op_of(back, 1, i));
    json_decref(there);
    json_decref(back);
    json_decref(before);
    json_decref(after);
}

static double change_of(const json_t *row)
{
    return fabs(number_of(json_object_get(row, "new"), "ms") -
                number_of(json_object_get(row, "old"), "ms"));
}

TEST(comparing_names_a_slower_op_and_ends_with_3)
{
    json_t *before = timed(), *after = timed();
    json_t *slow = op_of(after, 0, 7);
    char name[160];
    set_ms(slow, 2 * number_of(slow, "ms"), 1);
    snprintf(name, sizeof name, "\nworse: L%02d %s %s takes more time: decode behind 5, 1 token",
             (int)number_of(slow, "layer"), json_string_value(json_object_get(slow, "kind")),
             json_string_value(json_object_get(slow, "role")));
    const struct program_result *result = compare(before, after, "-o", "table");
    CHECK_INT(result->status, 3);
    CHECK_HAS(result->out, name);
    CHECK_HAS(result->out, "\nworse than before, beyond 5%\n");
    CHECK(strstr(result->out, "worse: all") == NULL); /* whose own time is as it was */
    json_t *root = records(before, after, 3);
    const json_t *ops = json_object_get(step_of(root, 0), "ops");
    CHECK_TEXT(json_string_value(json_object_get(json_array_get(ops, 0), "worse")), "ms");
    for (size_t i = 1; i < json_array_size(ops); i++)
        CHECK(change_of(json_array_get(ops, i)) <= change_of(json_array_get(ops, i - 1)));
    CHECK_INT(compare(before, after, "--tolerance", "90")->status, 3); /* 93.7 */
    CHECK_INT(compare(before, after, "--tolerance", "97")->status, 0);
    CHECK_INT(compare(after, before, "--tolerance", "5")->status, 0);
    json_decref(root);
    json_decref(before);
    json_decref(after);
}

/* An op is slow in one run, or not surely slower; what is worth little is left to the
 * step. */
TEST(comparing_judges_by_intervals_and_shares)
{
    json_t *before = timed(), *after = timed();
    json_t *op = op_of(after, 0, 7);
    const double ms = number_of(op, "ms");
    set_ms(op, 2 * ms, 1);
    json_object_set_new(op, "ms_low", json_real(ms)); /* the median is as it was, not this run */
    CHECK_INT(compare(before, after, "-o", "csv")->status, 0);
    set_ms(op, 1.2 * ms, 25);
    CHECK_INT(compare(before, after, "-o", "csv")->status, 0);
    json_object_del(op, "ms_low");
    json_object_del(op, "ms_high");
    CHECK_INT(compare(before, after, "-o", "csv")->status, 0); /* how sure it is, nobody knows */
    set_ms(op, 1.2 * ms, 1);
    CHECK_INT(compare(before, after, "-o", "csv")->status, 3);
    set_ms(op_of(before, 0, 7), 0.001, 1);
    set_ms(op, 0.002, 1);
    CHECK_INT(compare(before, after, "-o", "csv")->status, 0);
    set_ms(step_of(after, 0), 1.2 * number_of(step_of(before, 0), "ms"), 1);
    const struct program_result *result = compare(before, after, "-o", "table");
    CHECK_INT(result->status, 3);
    CHECK_HAS(result->out, "\nworse: all takes more time: decode behind 5, ");
    json_decref(before);
    json_decref(after);
}

/* Of many ops some are found slower by chance: what is sure of one is not of each of them. */
TEST(comparing_many_ops_asks_for_more_of_each)
{
    json_t *before = timed(), *after = timed();
    const size_t count = json_array_size(json_object_get(step_of(after, 0), "ops"));
    CHECK(count > 30);
    for (int is_sure = 0; is_sure < 2; is_sure++) {
        for (size_t i = 0; i < count; i++) {
            const double ms = number_of(op_of(before, 0, i), "ms");
            set_ms(op_of(before, 0, i), ms, is_sure ? 1 : 2);
            set_ms(op_of(after, 0, i), 1.1 * ms, is_sure ? 1 : 2); /* surely 5.7% by itself */
        }
        CHECK_INT(compare(before, after, "-o", "csv")->status, is_sure ? 3 : 0);
    }
    json_decref(before);
    json_decref(after);
}

/* The median of a sum is not the sum of the medians: groups have no interval, and their step is
 * judged by its own. */
TEST(comparing_judges_no_group_by_time)
{
    json_t *before = timed(), *after = timed();
    const json_t *ops = json_object_get(step_of(after, 0), "ops");
    for (size_t i = 0; i < json_array_size(ops); i++)
        set_ms(json_array_get(ops, i), 3 * number_of(json_array_get(ops, i), "ms"), 0);
    CHECK_INT(compare(before, after, "--by", "layer")->status, 0);
    CHECK_INT(compare(before, after, "--by", "kind")->status, 0);
    CHECK_INT(compare(before, after, "-o", "table")->status, 3);
    set_step_ms(after, 0, 0);
    const struct program_result *result = compare(before, after, "--by", "role");
    CHECK_INT(result->status, 3);
    CHECK_HAS(result->out, "\nworse: all takes more time: decode behind 5, ");
    result = RUN_PROGRAM("profile", "--diff", test_scratch("before.json"),
                         test_scratch("after.json"), "--by", "role", "-o", "json");
    json_t *root = parse(result->out);
    const json_t *row = json_array_get(json_object_get(step_of(root, 0), "ops"), 0);
    CHECK(json_is_null(json_object_get(row, "low_percent")));
    CHECK(json_is_null(json_object_get(json_object_get(row, "new"), "ms_low")));
    CHECK_TEXT(json_string_value(json_object_get(row, "worse")), "");
    json_decref(root);
    json_decref(before);
    json_decref(after);
}

static void set_runs(json_t *root, json_int_t runs)
{
    for (size_t step = 0; step < 2; step++)
        json_object_set_new(step_of(root, step), "runs", json_integer(runs));
}

/* The ends that a file gives for fewer than 6 runs are their range, of one run a point: nothing is
 * known of how sure they are. */
TEST(comparing_judges_no_times_of_few_runs)
{
    json_t *before = timed(), *after = timed();
    set_ms(op_of(after, 0, 7), 10 * number_of(op_of(before, 0, 7), "ms"), 0);
    set_step_ms(after, 0, 0);
    for (json_int_t runs = 1; runs <= 6; runs++) {
        set_runs(before, runs);
        set_runs(after, 64);
        CHECK_INT(compare(before, after, "-o", "table")->status, runs < 6 ? 0 : 3);
        set_runs(before, 64);
        set_runs(after, runs);
        const struct program_result *result = compare(before, after, "-o", "table");
        CHECK_INT(result->status, runs < 6 ? 0 : 3);
        CHECK((strstr(result->out, "\ntimes without intervals are not judged\n") != NULL) ==
              (runs < 6));
    }
    json_decref(before);
    json_decref(after);
}

/* ---- other measures -------------------------------------------------------------------------- */

TEST(comparing_without_times_compares_bytes)
{
    json_t *before =
        parse(RUN_PROGRAM("profile", MODEL, "--dry-run", "--ctx", "40", "-o", "json")->out);
    json_t *after = parse(RUN_PROGRAM("profile", MODEL, "--dry-run", "--ctx", "40", "-o", "json",
                                      "-ctk", "f32", "-ctv", "f32")
                              ->out);
    const struct program_result *result = compare(before, before, "-o", "table");
    CHECK_INT(result->status, 0);
    CHECK(strstr(result->out, " ms") == NULL);
    CHECK_INT(compare(after, before, "-o", "table")->status, 0);
    result = compare(before, after, "-o", "table");
    CHECK_INT(result->status, 3);
    CHECK_HAS(result->out, "\nworse: L03 ATTEND attn.attend touches more bytes: decode behind 40");
    json_t *root = records(before, after, 3);
    const json_t *all = json_object_get(step_of(root, 0), "all");
    CHECK(json_is_null(json_object_get(all, "low_percent")));
    CHECK(number_of(all, "change_percent") > 0);
    CHECK_INT((int64_t)number_of(json_object_get(all, "new"), "read_bytes"),
              (int64_t)number_of(json_object_get(step_of(after, 0), "totals"), "read_bytes"));
    json_decref(root);
    json_decref(before);
    json_decref(after);
}

/* Less than 1% of the bytes of the step, before and behind. */
TEST(comparing_counts_what_it_does_not_judge)
{
    json_t *file =
        parse(RUN_PROGRAM("profile", MODEL, "--dry-run", "--ctx", "40", "-o", "json")->out);
    json_t *root = records(file, file, 0), *op;
    const json_t *step = step_of(root, 0),
                 *all = json_object_get(json_object_get(step, "all"), "old");
    const double whole = number_of(all, "read_bytes") + number_of(all, "write_bytes");
    size_t i, exempt = 0;
    char line[128];
    json_array_foreach(json_object_get(step, "ops"), i, op)
    {
        const json_t *old = json_object_get(op, "old");
        exempt += 100 * (number_of(old, "read_bytes") + number_of(old, "write_bytes")) < whole;
    }
    CHECK(exempt > 0 && exempt < i);
    snprintf(line, sizeof line, "\n(%zu of %zu below 1%% of the step: not judged by themselves)\n",
             exempt, i);
    CHECK_HAS(compare(file, file, "-o", "table")->out, line);
    json_decref(root);
    json_decref(file);
}

static void count_instructions(json_t *root, double factor, size_t at)
{
    for (size_t step = 0; step < 2; step++) {
        const size_t count = json_array_size(json_object_get(step_of(root, step), "ops"));
        for (size_t i = 0; i < count; i++) {
            const double times = i == at ? factor : 1;
            json_object_set_new(op_of(root, step, i), "instructions",
                                json_integer((json_int_t)(times * 1000 * (double)(i + 1))));
            json_object_set_new(op_of(root, step, i), "ms", json_null());
            json_object_del(op_of(root, step, i), "ms_low");
            json_object_del(op_of(root, step, i), "ms_high");
        }
        json_object_set_new(step_of(root, step), "ms", json_null());
        json_object_del(step_of(root, step), "ms_low");
        json_object_del(step_of(root, step), "ms_high");
    }
}

TEST(comparing_instructions_where_times_are_not_known)
{
    json_t *before = timed(), *after = timed();
    count_instructions(before, 1, 30);
    count_instructions(after, 1.1, 30);
    const struct program_result *result = compare(before, after, "-o", "table");
    CHECK_INT(result->status, 3);
    CHECK_HAS(result->out, " takes more instructions: decode behind 60, ");
    CHECK_HAS(result->out, " +10.00%");
    CHECK_INT(compare(before, after, "--tolerance", "10.5")->status, 0);
    CHECK_INT(compare(after, before, "--tolerance", "0")->status, 0);
    json_object_del(op_of(after, 0, 3), "instructions");
    CHECK_HAS(compare(before, after, "-o", "table")->out,
              "\ninstructions of one file alone are not judged\n");
    json_decref(before);
    json_decref(after);
}

/* ---- matching -------------------------------------------------------------------------------- */

TEST(comparing_matches_steps_and_ops_by_what_they_are)
{
    json_t *before = timed(), *after = timed();
    json_t *steps = json_object_get(after, "steps"), *ops;
    json_array_append(steps, json_array_get(steps, 0)); /* in another order, and another thread */
    json_array_remove(steps, 0);
    json_object_set_new(step_of(before, 0), "threads", json_integer(3));
    json_object_set_new(step_of(before, 1), "mode", json_null());
    json_t *root = records(before, after, 0); /* what one does not say is not looked at */
    CHECK_INT(json_array_size(json_object_get(root, "steps")), 2);
    json_decref(root);
    json_object_set_new(step_of(after, 1), "threads", json_integer(4));
    ops = json_object_get(step_of(after, 0), "ops");
    json_array_remove(ops, 0);
    root = records(before, after, 0);
    CHECK_INT(json_array_size(json_object_get(root, "steps")), 1);
    CHECK_INT(
        (int64_t)number_of(json_array_get(json_object_get(root, "only_in_old"), 0), "threads"), 3);
    CHECK_INT(
        (int64_t)number_of(json_array_get(json_object_get(root, "only_in_new"), 0), "threads"), 4);
    size_t lone = 0;
    ops = json_object_get(step_of(root, 0), "ops");
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *row = json_array_get(ops, i);
        if (strcmp(json_string_value(json_object_get(row, "in")), "old") == 0) {
            CHECK_TEXT(json_string_value(json_object_get(row, "kind")), "EMBED");
            CHECK(json_is_null(json_object_get(row, "new")));
            lone++;
        }
    }
    CHECK_INT(lone, 1);
    json_decref(root);
    const struct program_result *result = compare(before, after, "-o", "table");
    CHECK_HAS(result->out, "  only in old\n");
    CHECK_HAS(result->out, "\nonly in new: decode behind 5, 1 token, 1 sequence, 4 threads\n");
    json_decref(before);
    json_decref(after);
}

TEST(comparing_prints_a_line_for_each_op_as_csv)
{
    static const char head[] = "context,mode,rows,sequences,threads,kind,role,layer,number,in,"
                               "old_ms,old_instructions,old_read_bytes,old_write_bytes,"
                               "new_ms,new_instructions,new_read_bytes,new_write_bytes,"
                               "change_percent,low_percent,high_percent,worse\n";
    json_t *file = timed();
    const struct program_result *result = compare(file, file, "-o", "csv");
    const size_t ops = json_array_size(json_object_get(step_of(file, 0), "ops"));
    size_t lines = 0;
    CHECK(strncmp(result->out, head, strlen(head)) == 0);
    for (const char *c = result->out, *line = c; *c != 0; c++) {
        size_t commas = 0;
        if (*c != '\n')
            continue;
        for (; line < c; line++)
            commas += *line == ',';
        CHECK_INT(commas, 21);
        line = c + 1;
        lines++;
    }
    CHECK_INT(lines, 1 + 2 * (ops + 1)); /* of each step the sum too */
    json_decref(file);
}

/* ---- refusals -------------------------------------------------------------------------------- */

/* Saves a file with one field set to `text`, parsed as JSON (NULL: taken out). */
static void check_fault(json_t *(*object)(json_t *root), const char *key, const char *text,
                        const char *says)
{
    char line[8192], path[4096];
    json_t *root = timed();
    if (text == NULL) {
        json_object_del(object(root), key);
    } else {
        json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
        CHECK(value != NULL);
        json_object_set_new(object(root), key, value);
    }
    snprintf(path, sizeof path, "%s", save(root, "fault.json"));
    snprintf(line, sizeof line, "%s: %s", path, says);
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path), line);
    json_decref(root);
}

static json_t *head(json_t *root)
{
    return root;
}

static json_t *second_step(json_t *root)
{
    return step_of(root, 1);
}

static json_t *third_op(json_t *root)
{
    return op_of(root, 1, 2);
}

TEST(comparing_refuses_what_is_no_profile)
{
    check_fault(head, "schema", NULL, "is not a file of weir profile -o json");
    check_fault(head, "schema", "\"weir.profile/2\"",
                "is of the schema \"weir.profile/2\", expected weir.profile/1");
    check_fault(head, "model", "\"a\\nb\"", "\"model\" is not a line of up to 255 bytes");
    check_fault(head, "model", "\"a\\u009b2J\"", "\"model\" is not a line of up to 255 bytes");
    check_fault(head, "steps", "[]", "\"steps\" is not an array of 1 to 4096 steps");
    check_fault(head, "steps", "[7]", "step 1: \"steps\" is not made of objects");
    check_fault(second_step, "context", "-1",
                "step 2: \"context\" is not a whole number from 0 to 4294967295");
    check_fault(second_step, "mode", "\"a b\"", "step 2: \"mode\" is not a name");
    check_fault(second_step, "ops", "{}", "step 2: \"ops\" is not an array with ops");
    check_fault(second_step, "ms_low", "1e11",
                "step 2: \"ms_low\" is not the lower end of an interval up to \"ms_high\"");
    check_fault(third_op, "ms", "null",
                "step 2, op 3: \"ms_low\" is not the lower end of an interval up to \"ms_high\"");
    check_fault(third_op, "ms", "\"1\"",
                "step 2, op 3: \"ms\" is not a number from 0 to 1e12, or null");
    check_fault(third_op, "kind", "\"\"", "step 2, op 3: \"kind\" is not a name");
    check_fault(third_op, "role", "\"a,b\"", "step 2, op 3: \"role\" is not a name");
    check_fault(third_op, "layer", "65536",
                "step 2, op 3: \"layer\" is not a whole number from 0 to 65535");
    check_fault(third_op, "read_bytes", "1.5",
                "step 2, op 3: \"read_bytes\" is not a whole number from 0 to 9223372036854775807");
    check_fault(third_op, "write_bytes", NULL,
                "step 2, op 3: \"write_bytes\" is not a whole number from 0 to "
                "9223372036854775807");
}

/* Two of 2^63 - 1 fit in 64 bits, a third does not. */
TEST(comparing_refuses_sums_that_do_not_fit)
{
    char line[8192];
    json_t *root = timed();
    for (size_t i = 0; i < 3; i++) {
        json_object_set_new(op_of(root, 0, i), i == 1 ? "write_bytes" : "read_bytes",
                            json_integer(INT64_MAX));
        const char *path = save(root, "sums.json");
        snprintf(line, sizeof line, "%s: step 1: \"ops\" is not with sums of at most 64 bits",
                 path);
        if (i == 2)
            CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path), line);
    }
    json_decref(root);
}

TEST(comparing_refuses_what_means_nothing)
{
    char path[4096], other[4096], line[16384];
    json_t *before = timed(), *after = timed();
    json_array_remove(json_object_get(before, "steps"), 0);
    json_array_remove(json_object_get(after, "steps"), 1);
    snprintf(path, sizeof path, "%s", save(before, "one.json"));
    snprintf(other, sizeof other, "%s", save(after, "other.json"));
    snprintf(line, sizeof line,
             "%s and %s have no step in common: of the same mode, context, rows, sequences and "
             "threads",
             path, other);
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, other), line);
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path), "--diff: needs two values: OLD NEW");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, ""),
                  "--diff: the name of the file is empty");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--diff", path, path),
                  "--diff: compares two files, and may be given once");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--size", "9B"),
                  "--diff compares two files, and takes no model: 9B");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "c.gguf"),
                  "--diff compares two files, and takes no model: c.gguf");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--by", "class"),
                  "--diff goes --by kind, role or layer, one of them");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--by", "kind,role"),
                  "--diff goes --by kind, role or layer, one of them");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--tolerance", "-1"),
                  "--tolerance: '-1' is not a number from 0 to 1000");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--check"),
                  "--diff compares two files, and has no use for --check");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "-t", "2"),
                  "--diff compares two files, and has no use for -t, --threads");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--diff", path, path, "--bandwidth", "7"),
                  "--diff compares two files, and has no use for --bandwidth");
    CHECK_INT(RUN_PROGRAM("profile", "--diff", path, path, "-lv", "1", "--by", "kind")->status, 0);
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--tolerance", "3"),
                  "--tolerance belongs to --diff");
    CHECK_HAS(RUN_PROGRAM("profile", "--diff", MODEL, path)->err, ": not JSON: ");
    json_decref(before);
    json_decref(after);
}
