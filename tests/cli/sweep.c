/* SPDX-License-Identifier: MIT
 * Sweeps of weir profile: which points are profiled and in which order, and the table by total
 * against the records. Run alone: build/tests/weir-test sweep_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

#define MODEL test_data("golden/nanomoe-f32.gguf")

static const struct program_result *result_of(const struct program_call *call)
{
    const struct program_result *result = run_program(call);
    if (result->status != 0)
        test_fail(__FILE__, __LINE__, "status %d: %s", result->status, result->err);
    return result;
}

#define PROFILE(...) result_of(&(struct program_call){.words = {"profile", __VA_ARGS__}})->out

/* ---- points ---------------------------------------------------------------------------------- */

struct point {
    const char *mode;
    int context, sequences, rows, threads;
};

/* Threads -1: nothing ran. The object is the caller's. */
static json_t *check_points(const char *text, const struct point *points, size_t count)
{
    json_t *root = json_of(text);
    const json_t *steps = json_object_get(root, "steps");
    CHECK_INT(json_array_size(steps), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *step = json_array_get(steps, i);
        CHECK_TEXT(json_string_value(json_object_get(step, "mode")), points[i].mode);
        CHECK_INT(json_integer_of(step, "context"), points[i].context);
        CHECK_INT(json_integer_of(step, "sequences"), points[i].sequences);
        CHECK_INT(json_integer_of(step, "rows"), points[i].rows);
        if (points[i].threads < 0)
            CHECK(json_is_null(json_object_get(step, "threads")));
        else
            CHECK_INT(json_integer_of(step, "threads"), points[i].threads);
    }
    return root;
}

TEST(sweep_takes_all_combinations_in_order)
{
    static const struct point points[] = {
        {"verify", 3, 1, 1, -1},   {"verify", 3, 1, 3, -1},   {"verify", 3, 2, 2, -1},
        {"verify", 3, 2, 6, -1},   {"verify", 9, 1, 1, -1},   {"verify", 9, 1, 3, -1},
        {"verify", 9, 2, 2, -1},   {"verify", 9, 2, 6, -1},   {"decode", 3, 1, 1, -1},
        {"decode", 3, 2, 2, -1},   {"decode", 9, 1, 1, -1},   {"decode", 9, 2, 2, -1},
        {"prefill", 3, 1, 20, -1}, {"prefill", 3, 2, 40, -1}, {"prefill", 9, 1, 20, -1},
        {"prefill", 9, 2, 40, -1},
    };
    json_decref(
        check_points(PROFILE(MODEL, "--dry-run", "--mode", "verify,decode,prefill", "--ctx", "3,9",
                             "-npl", "1-2", "--drafts", "0,2", "-npp", "20", "-o", "json"),
                     points, sizeof points / sizeof points[0]));
}

TEST(sweep_profiles_what_is_named)
{
    static const struct point both[] = {{"prefill", 256, 1, 7, -1}, {"verify", 256, 1, 3, -1}};
    json_decref(
        check_points(PROFILE(MODEL, "--dry-run", "--drafts", "2", "-o", "json"), &both[1], 1));
    json_decref(check_points(PROFILE(MODEL, "--dry-run", "-p", "7", "-o", "json"), both, 1));
    json_decref(check_points(PROFILE(MODEL, "--dry-run", "-p", "7", "--drafts", "2", "-o", "json"),
                             both, 2));
}

/* Bytes are those of the plan, whatever runs. */
TEST(sweep_opens_an_engine_for_each_number_of_threads)
{
    static const struct point points[] = {
        {"decode", 5, 1, 1, 1},   {"decode", 5, 3, 3, 1}, {"prefill", 5, 1, 20, 1},
        {"prefill", 5, 3, 60, 1}, {"verify", 5, 1, 3, 1}, {"verify", 5, 3, 9, 1},
        {"decode", 5, 1, 1, 2},   {"decode", 5, 3, 3, 2}, {"prefill", 5, 1, 20, 2},
        {"prefill", 5, 3, 60, 2}, {"verify", 5, 1, 3, 2}, {"verify", 5, 3, 9, 2},
    };
    enum { POINTS = sizeof points / sizeof points[0] };
    struct point dry_points[POINTS / 2];
    for (int i = 0; i < POINTS / 2; i++) {
        dry_points[i] = points[i];
        dry_points[i].threads = -1;
    }
    json_t *run = check_points(PROFILE(MODEL, "-t", "1,2", "--mode", "decode,prefill,verify", "-r",
                                       "2", "--ctx", "5", "--sequences", "1,3", "-p", "20",
                                       "--drafts", "2", "-o", "json"),
                               points, POINTS);
    json_t *dry =
        check_points(PROFILE(MODEL, "--dry-run", "--mode", "decode,prefill,verify", "--ctx", "5",
                             "--sequences", "1,3", "-p", "20", "--drafts", "2", "-o", "json"),
                     dry_points, POINTS / 2);
    for (int i = 0; i < POINTS; i++) {
        const json_t *ran = json_array_get(json_object_get(run, "steps"), (size_t)i);
        const json_t *planned =
            json_array_get(json_object_get(dry, "steps"), (size_t)i % (POINTS / 2));
        CHECK(json_equal(json_object_get(ran, "totals"), json_object_get(planned, "totals")));
        CHECK_INT(json_integer_of(ran, "runs"), 2);
    }
    json_decref(run);
    json_decref(dry);
}

/* ---- by total -------------------------------------------------------------------------------- */

/* The field of that name in a line of CSV, between commas; each call overwrites the last. */
static const char *field_of(const char *head, const char *line, const char *name)
{
    static char field[64];
    const size_t length = strlen(name);
    while (strncmp(head, name, length) != 0 || strchr(",\n", head[length]) == NULL) {
        head += strcspn(head, ",\n");
        line += strcspn(line, ",\n");
        if (*head != ',' || *line != ',')
            test_fail(__FILE__, __LINE__, "no field %s", name);
        head++, line++;
    }
    snprintf(field, sizeof field, "%.*s", (int)strcspn(line, ",\n"), line);
    return field;
}

static double number_of(const char *head, const char *line, const char *name)
{
    char *end;
    const char *field = field_of(head, line, name);
    const double number = strtod(field, &end);
    if (end == field || *end != 0)
        test_fail(__FILE__, __LINE__, "%s is '%s', expected a number", name, field);
    return number;
}

static void check_classes(const char *head, const char *line, const json_t *step)
{
    const json_t *by_class = json_object_get(json_object_get(step, "totals"), "by_class");
    const double rows = (double)json_integer_of(step, "rows");
    for (int i = 0; i < JSON_CLASSES; i++) {
        const json_t *class = json_object_get(by_class, json_classes[i]);
        for (int written = 0; written < 2; written++) {
            char name[32];
            snprintf(name, sizeof name, "%s_%s_mb", json_classes[i], written ? "write" : "read");
            const int64_t bytes = json_integer_of(class, written ? "write_bytes" : "read_bytes");
            /* Rounded to six digits behind the point of a MB: half a byte for each row. */
            CHECK(fabs(number_of(head, line, name) * 1e6 * rows - (double)bytes) <= 0.5001 * rows);
        }
    }
}

TEST(sweep_by_total_has_the_sums_of_json)
{
    json_t *root = json_of(PROFILE(MODEL, "--dry-run", "--ctx", "7,300", "--sequences", "1,3",
                                   "--drafts", "0,3", "-o", "json"));
    const char *head =
        PROFILE(MODEL, "--dry-run", "--ctx", "7,300", "--sequences", "1,3", "--drafts", "0,3", "-o",
                "csv", "--by", "total", "--bandwidth", "10");
    const char *line = strchr(head, '\n') + 1;
    const json_t *steps = json_object_get(root, "steps");
    CHECK_INT(json_array_size(steps), 8);
    for (size_t i = 0; i < 8; i++, line = strchr(line, '\n') + 1) {
        const json_t *step = json_array_get(steps, i), *totals = json_object_get(step, "totals");
        const double read = number_of(head, line, "read_bytes");
        const double written = number_of(head, line, "write_bytes");
        CHECK_INT(number_of(head, line, "context"), json_integer_of(step, "context"));
        CHECK_INT(number_of(head, line, "rows"), json_integer_of(step, "rows"));
        CHECK_INT(number_of(head, line, "sequences"), json_integer_of(step, "sequences"));
        CHECK_INT(number_of(head, line, "drafts"), i % 2 == 0 ? 0 : 3);
        CHECK_INT(read, json_integer_of(totals, "read_bytes"));
        CHECK_INT(written, json_integer_of(totals, "write_bytes"));
        CHECK(fabs(number_of(head, line, "floor_ms") - (read + written) / 1e7) < 1e-6);
        CHECK_TEXT(field_of(head, line, "threads"), "");
        CHECK_TEXT(field_of(head, line, "ms"), "");
        CHECK_TEXT(field_of(head, line, "of_peak"), "");
        check_classes(head, line, step);
    }
    CHECK_TEXT(line, "");
    json_decref(root);
}

TEST(sweep_by_total_of_runs_has_rates)
{
    const char *head = PROFILE(MODEL, "-t", "1,2", "--ctx", "7", "--sequences", "2", "-p", "20",
                               "-r", "3", "-o", "csv", "--by", "total", "--bandwidth", "10");
    const char *line = strchr(head, '\n') + 1;
    for (int threads = 1; threads <= 2; threads++, line = strchr(line, '\n') + 1) {
        const double ms = number_of(head, line, "ms");
        CHECK_TEXT(field_of(head, line, "mode"), "prefill");
        CHECK_TEXT(field_of(head, line, "drafts"), "");
        CHECK_INT(number_of(head, line, "threads"), threads);
        CHECK_INT(number_of(head, line, "runs"), 3);
        CHECK(number_of(head, line, "ms_min") <= ms && ms <= number_of(head, line, "ms_max"));
        CHECK(fabs(number_of(head, line, "tokens_per_s") * ms / 40e3 - 1) < 1e-6);
        /* Six digits behind the point of a part of 1. */
        const double part = number_of(head, line, "floor_ms") / ms;
        CHECK(fabs(number_of(head, line, "of_peak") - part) < 1e-6 + 1e-3 * part);
    }
    CHECK_TEXT(line, "");
}

TEST(sweep_by_total_is_one_table)
{
    const char *text = PROFILE("--size", "27B", "--ctx", "256,2048", "-npl", "1,16", "--by",
                               "total", "--bandwidth", "410GB/s");
    static const char *const rows[] = {"\ndecode      256       -         1      -      1 ",
                                       "\ndecode      256       -        16      -     16 ",
                                       "\ndecode     2048       -         1      -      1 ",
                                       "\ndecode     2048       -        16      -     16 "};
    CHECK_HAS(text, "\nmode        ctx threads sequences drafts   rows   weights embedding");
    for (int i = 0; i < 4; i++) {
        text = strstr(text, rows[i]);
        CHECK(text != NULL);
    }
    CHECK(strchr(strchr(text + 1, '\n') + 1, '\n') == NULL);
}

/* ---- environment, messages, refusals --------------------------------------------------------- */

TEST(sweep_flags_win_over_the_environment)
{
    static const struct point points[] = {{"decode", 256, 1, 1, 2}, {"decode", 256, 1, 1, 1}};
    struct program_call call = {.words = {"profile", "--size", "tiny", "-o", "json"},
                                .environment = "LLAMA_ARG_MODEL=/nowhere/model.gguf"};
    CHECK_HAS(result_of(&call)->out, "\"model\": \"qwen35 ");
    call = (struct program_call){.words = {"profile", MODEL, "-o", "json", "-r", "1"},
                                 .environment = "LLAMA_ARG_THREADS=2,1"};
    json_decref(check_points(result_of(&call)->out, points, 2));
    call = (struct program_call){.words = {"profile", MODEL, "-o", "json", "-r", "1", "-t", "2"},
                                 .environment = "LLAMA_ARG_THREADS=1"};
    json_decref(check_points(result_of(&call)->out, points, 1));
}

TEST(sweep_tells_where_it_is)
{
    const char *text = result_of(&(struct program_call){.words = {"profile", MODEL, "-r", "1", "-t",
                                                                  "2", "--ctx", "4", "--drafts",
                                                                  "0,3", "-npl", "2", "-o", "csv"}})
                           ->err;
    CHECK_HAS(text, "weir profile: 1 of 2: verify, 1 token behind 4, sequences: 2, threads: 2\n");
    CHECK_HAS(text, "weir profile: 2 of 2: verify, 4 tokens behind 4, sequences: 2, threads: 2\n");
}

/* On a terminal tokens that stand before are counted, those of a timed run are not. */
TEST(sweep_writes_no_progress_while_it_times)
{
    for (int is_before = 0; is_before < 2; is_before++) {
        const struct program_call call = {
            .words = {"profile", MODEL, "-r", "2", "-ub", "64", "--mode", "prefill", "--ctx",
                      is_before ? "200" : "0", "-p", is_before ? "1" : "200", "-o", "csv"},
            .terminal = true};
        CHECK_INT(strstr(result_of(&call)->err, "/ 200 tokens") != NULL, is_before);
    }
}

/* Tokens of all sequences; a prompt that is named keeps its length. */
TEST(sweep_of_sequences_has_prompts_that_fit_into_a_step)
{
    static const struct {
        const char *sequences, *limit;
        int64_t rows;
    } cases[] = {{"1", "100", 512}, {"2", "512", 512}, {"3", "512", 510}, {"4", "4096", 2048}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *root = json_of(PROFILE(MODEL, "--dry-run", "-o", "json", "--mode", "prefill",
                                       "-npl", cases[i].sequences, "-ub", cases[i].limit));
        const json_t *step = json_array_get(json_object_get(root, "steps"), 0);
        CHECK_INT(json_integer_of(step, "rows"), cases[i].rows);
        json_decref(root);
    }
}

TEST(sweep_refuses_what_does_not_fit)
{
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "-t", "1,2"),
                  "-t names 2 numbers of threads, but nothing is run: bytes are the same for all");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--by", "total,kind"),
                  "--by total is one table of all profiles, and stands alone");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--by", "kind", "-o", "json"),
                  "--by chooses sums of tables; other forms have every op or all sums");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--by", "total", "-o", "html"),
                  "--by total is printed as table or csv; other forms have all profiles anyway");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "-npl", "1,600"),
                  "600 sequences of 1 tokens are 600 in one step, expected at most the 512 of -ub");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "-npl", "6", "-p", "9,100"),
                  "6 sequences of 100 tokens are 600 in one step, expected at most the 512 of -ub");
    CHECK_REFUSED(
        RUN_PROGRAM("profile", "--size", "9B", "--sequences", "0"),
        "--sequences: '0' is not a list of numbers from 1 to 65536, or of ranges as 1-8, 1-9+2 "
        "or 1-64*2");
    CHECK_REFUSED(
        RUN_PROGRAM("profile", "--size", "9B", "-t", "-2"),
        "-t: '-2' is not a list of numbers from 1 to 2147483647, or of ranges as 1-8, 1-9+2 or "
        "1-64*2");
}
