/* SPDX-License-Identifier: MIT
 * weir profile: its records field by field, its tables, and what it refuses. Times are looked at
 * only for adding up. Run alone: build/tests/weir-test profiling_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/json.h"

#define MODEL test_data("golden/nanomoe-f32.gguf")

static const char *output_of(const struct program_call *call)
{
    const struct program_result *result = run_program(call);
    if (result->status != 0)
        test_fail(__FILE__, __LINE__, "status %d: %s", result->status, result->err);
    return result->out;
}

#define PROFILE(...) output_of(&(struct program_call){.words = {"profile", __VA_ARGS__}})

/* ---- json ------------------------------------------------------------------------------------ */

/* Written with six digits of a millisecond: whole nanoseconds. */
static int64_t ns_of(const json_t *object, const char *name, bool has_times)
{
    const json_t *ms = json_object_get(object, name);
    CHECK(has_times ? json_is_real(ms) : json_is_null(ms));
    return has_times ? llround(json_real_value(ms) * 1e6) : 0;
}

struct sums {
    int64_t read, written, ns, wait_ns;
};

/* Those that an op touches, and no others. */
static void check_classes(const json_t *op)
{
    const char *name;
    json_t *class;
    struct sums sums = {0, 0, 0, 0};
    json_object_foreach(json_object_get(op, "by_class"), name, class)
    {
        json_check_keys(class, "read_bytes write_bytes");
        CHECK(json_integer_of(class, "read_bytes") + json_integer_of(class, "write_bytes") > 0);
        sums.read += json_integer_of(class, "read_bytes");
        sums.written += json_integer_of(class, "write_bytes");
    }
    CHECK_INT(sums.read, json_integer_of(op, "read_bytes"));
    CHECK_INT(sums.written, json_integer_of(op, "write_bytes"));
}

/* Of one class, over all ops. */
static void check_class(const json_t *class, const json_t *ops, const char *name)
{
    struct sums sums = {0, 0, 0, 0};
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *touched =
            json_object_get(json_object_get(json_array_get(ops, i), "by_class"), name);
        sums.read += touched == NULL ? 0 : json_integer_of(touched, "read_bytes");
        sums.written += touched == NULL ? 0 : json_integer_of(touched, "write_bytes");
    }
    CHECK_INT(json_integer_of(class, "read_bytes"), sums.read);
    CHECK_INT(json_integer_of(class, "write_bytes"), sums.written);
}

static struct sums check_ops(const json_t *ops, bool has_times)
{
    struct sums sums = {0, 0, 0, 0};
    CHECK(json_array_size(ops) > 40);
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *op = json_array_get(ops, i), *layer = json_object_get(op, "layer");
        json_check_keys(op, "kind role layer calls read_bytes write_bytes operand_bytes flops ms "
                            "wait_ms ms_low ms_high by_class");
        CHECK(json_is_string(json_object_get(op, "kind")));
        CHECK(json_is_string(json_object_get(op, "role")));
        CHECK(json_is_null(layer) || (json_is_integer(layer) && json_integer_value(layer) >= 0));
        CHECK_INT(json_integer_of(op, "calls"), 1);
        CHECK(json_integer_of(op, "operand_bytes") > 0);
        CHECK(json_integer_of(op, "flops") >= 0);
        check_classes(op);
        sums.read += json_integer_of(op, "read_bytes");
        sums.written += json_integer_of(op, "write_bytes");
        sums.ns += ns_of(op, "ms", has_times);
        sums.wait_ns += ns_of(op, "wait_ms", has_times);
        CHECK(ns_of(op, "ms_low", has_times) <= ns_of(op, "ms_high", has_times));
    }
    return sums;
}

static void check_totals(const json_t *step, const struct sums *ops)
{
    const json_t *totals = json_object_get(step, "totals");
    const json_t *by_class = json_object_get(totals, "by_class");
    struct sums sums = {0, 0, 0, 0};
    json_check_keys(totals, "read_bytes write_bytes by_class");
    json_check_keys(by_class, "weights embedding kv state conv activations logits");
    for (int i = 0; i < JSON_CLASSES; i++) {
        const json_t *class = json_object_get(by_class, json_classes[i]);
        json_check_keys(class, "read_bytes write_bytes");
        check_class(class, json_object_get(step, "ops"), json_classes[i]);
        sums.read += json_integer_of(class, "read_bytes");
        sums.written += json_integer_of(class, "write_bytes");
    }
    CHECK_INT(json_integer_of(totals, "read_bytes"), ops->read);
    CHECK_INT(json_integer_of(totals, "write_bytes"), ops->written);
    CHECK_INT(sums.read, ops->read);
    CHECK_INT(sums.written, ops->written);
}

/* What was run, and how: of `threads` threads, `runs` times. */
struct ran {
    const char *mode;
    int64_t rows, sequences, threads, runs;
};

static void check_step(const json_t *step, const struct ran *ran)
{
    const bool has_times = ran->runs > 0;
    const json_t *threads = json_object_get(step, "threads");
    const struct sums sums = check_ops(json_object_get(step, "ops"), has_times);
    const int64_t ns = ns_of(step, "ms", has_times);
    json_check_keys(step, "context mode rows sequences threads runs ms ms_min ms_max "
                          "ms_low ms_high floor_ms floor_tokens_per_s crossing_tokens clocks "
                          "totals ops");
    CHECK_TEXT(json_string_value(json_object_get(step, "mode")), ran->mode);
    CHECK_INT(json_integer_of(step, "rows"), ran->rows);
    CHECK_INT(json_integer_of(step, "sequences"), ran->sequences);
    CHECK_INT(json_integer_of(step, "runs"), ran->runs);
    CHECK(has_times ? json_integer_of(step, "threads") == ran->threads : json_is_null(threads));
    CHECK(ns_of(step, "ms_min", has_times) <= ns_of(step, "ms_low", has_times));
    CHECK(ns_of(step, "ms_low", has_times) <= ns && ns <= ns_of(step, "ms_high", has_times));
    CHECK(ns_of(step, "ms_high", has_times) <= ns_of(step, "ms_max", has_times));
    CHECK_INT(sums.ns, ns);
    CHECK(sums.wait_ns <= ns * ran->threads);
    check_totals(step, &sums);
}

static void check_json(const json_t *root, const int64_t *contexts, size_t count,
                       const struct ran *ran)
{
    const json_t *steps = json_object_get(root, "steps");
    json_check_keys(root, "schema model machine steps");
    json_check_keys(json_object_get(root, "machine"), "read_gb_s threads reads compute_gop_s");
    CHECK_TEXT(json_string_value(json_object_get(root, "schema")), "weir.profile/1");
    CHECK(json_is_string(json_object_get(root, "model")));
    CHECK_INT(json_array_size(steps), count);
    for (size_t i = 0; i < count; i++) {
        CHECK_INT(json_integer_of(json_array_get(steps, i), "context"), contexts[i]);
        check_step(json_array_get(steps, i), ran);
    }
}

/* What is null without running, and the number of runs. */
static bool is_of_running(const char *key)
{
    static const char *const keys[] = {"threads", "runs",    "ms",      "ms_min", "ms_max",
                                       "ms_low",  "ms_high", "wait_ms", "clocks"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(key, keys[i]) == 0)
            return true;
    }
    return false;
}

/* The same, but for the times: with running and without. */
static void check_same_but_times(json_t *a, json_t *b)
{
    CHECK_INT(json_typeof(a), json_typeof(b));
    if (json_is_array(a)) {
        CHECK_INT(json_array_size(a), json_array_size(b));
        for (size_t i = 0; i < json_array_size(a); i++)
            check_same_but_times(json_array_get(a, i), json_array_get(b, i));
    } else if (json_is_object(a)) {
        const char *key;
        json_t *value;
        json_object_foreach(a, key, value)
        {
            if (!is_of_running(key))
                check_same_but_times(value, json_object_get(b, key));
        }
    } else {
        CHECK(json_equal(a, b));
    }
}

TEST(profiling_json_has_its_fields_and_the_bytes_of_the_plan)
{
    static const int64_t contexts[] = {5, 0, 100};
    static const char *const modes[] = {"decode", "prefill", "verify"};
    static const char *const lengths[] = {"-npl", "-p", "--drafts"};
    static const char *const numbers[] = {"1", "40", "4"};
    static const int64_t rows[] = {1, 40, 5};
    for (int i = 0; i < 3; i++) {
        const struct ran nothing = {modes[i], rows[i], 1, 0, 0};
        const struct ran thrice = {modes[i], rows[i], 1, 2, 3};
        const char *length = lengths[i], *number = numbers[i];
        json_t *dry =
            json_of(PROFILE(MODEL, "--ctx", "5,0", "-d", "100", "--mode", modes[i], "--dry-run",
                            "-o", "json", length, number, "--bandwidth", "3"));
        json_t *run =
            json_of(PROFILE(MODEL, "--ctx", "5,0", "-d", "100", "--mode", modes[i], "-r", "3", "-t",
                            "2", "-o", "json", length, number, "--bandwidth", "3"));
        check_json(dry, contexts, 3, &nothing);
        check_json(run, contexts, 3, &thrice);
        check_same_but_times(dry, run);
        json_decref(dry);
        json_decref(run);
    }
}

/* The lines of the table, as numbers. */
TEST(profiling_json_has_what_follows_from_the_bytes)
{
    double floor_ms, speed;
    long long tokens;
    const char *text = PROFILE("--size", "9B", "--bandwidth", "410");
    CHECK_INT(sscanf(strstr(text, "floor "), "floor %lf ms, %lf tokens/s", &floor_ms, &speed), 2);
    CHECK_INT(sscanf(strstr(text, "KV reads"), "KV reads equal weight reads at %lld", &tokens), 1);
    json_t *root = json_of(PROFILE("--size", "9B", "--bandwidth", "410", "-o", "json"));
    const json_t *step = json_array_get(json_object_get(root, "steps"), 0);
    CHECK(fabs(json_real_value(json_object_get(step, "floor_ms")) - floor_ms) < 0.001);
    CHECK(fabs(json_real_value(json_object_get(step, "floor_tokens_per_s")) - speed) < 0.01);
    CHECK_INT(json_integer_of(step, "crossing_tokens"), tokens);
    CHECK(json_is_null(json_object_get(step, "clocks")));
    json_decref(root);
    root = json_of(PROFILE(MODEL, "-r", "1", "-p", "3", "--bandwidth", "3", "-o", "json"));
    step = json_array_get(json_object_get(root, "steps"), 0);
    CHECK(json_is_null(json_object_get(step, "crossing_tokens"))); /* of a prompt */
    const json_t *clocks = json_object_get(step, "clocks");
    CHECK(json_real_value(json_object_get(clocks, "without_ms")) > 0);
    CHECK(json_real_value(json_object_get(clocks, "low_ms")) ==
          json_real_value(json_object_get(clocks, "high_ms"))); /* of one run */
    json_decref(root);
    root = json_of(PROFILE("--size", "9B", "-o", "json"));
    step = json_array_get(json_object_get(root, "steps"), 0);
    CHECK(json_is_null(json_object_get(step, "floor_ms")));
    json_decref(root);
}

TEST(profiling_json_of_a_size_needs_no_file)
{
    static const int64_t contexts[] = {256, 262144};
    json_t *root = json_of(PROFILE("--size", "27B", "--type", "q4_0", "--output-type", "q6_k",
                                   "--ctx", "256,262144", "-o", "json"));
    check_json(root, contexts, 2, &(struct ran){"decode", 1, 1, 0, 0});
    CHECK_TEXT(json_string_value(json_object_get(root, "model")), "qwen35 27B Q4_0");
    json_decref(root);
}

/* A cache that is given, and rewrites that are not made, change the bytes as they do a run. */
TEST(profiling_flags_of_the_engine_reach_the_plan)
{
    int64_t read[3];
    for (int i = 0; i < 3; i++) {
        json_t *root = json_of(PROFILE("--size", "9B", "--ctx", "8192", "-o", "json",
                                       i == 1 ? "-ctk" : "--fuse", i == 1 ? "q8_0" : "auto",
                                       "--fused-gdn", i == 2 ? "off" : "on"));
        const json_t *step = json_array_get(json_object_get(root, "steps"), 0);
        read[i] = json_integer_of(json_object_get(step, "totals"), "read_bytes");
        json_decref(root);
    }
    CHECK_INT(read[0] - read[1], 8193 * 8 * 4 * 256 * 2 - 8193 * 8 * 4 * 256 / 32 * 34);
    CHECK(read[2] > read[0]);
}

/* A bandwidth that is given is all that is known; without running nothing is measured. */
TEST(profiling_json_tells_what_is_known_of_the_machine)
{
    static const char unknown[] = "    \"threads\": null,\n    \"reads\": null,\n"
                                  "    \"compute_gop_s\": null\n  },\n";
    char expected[256];
    snprintf(expected, sizeof expected, "  \"machine\": {\n    \"read_gb_s\": null,\n%s", unknown);
    CHECK_HAS(PROFILE("--size", "tiny", "-o", "json"), expected);
    CHECK_HAS(PROFILE(MODEL, "--dry-run", "-o", "json"), expected);
    snprintf(expected, sizeof expected, "  \"machine\": {\n    \"read_gb_s\": 410.5000,\n%s",
             unknown);
    CHECK_HAS(PROFILE("--size", "tiny", "-o", "json", "--bandwidth", "410.5"), expected);
    CHECK_HAS(PROFILE(MODEL, "-r", "1", "-o", "json", "--bandwidth", "410.5"), expected);
}

/* It takes seconds, so only what shows a peak has one. */
TEST(profiling_measures_no_machine_for_what_shows_no_peak)
{
    static const char *const forms[] = {"csv", "trace", "folded"};
    static char environment[256];
    snprintf(environment, sizeof environment, "XDG_CACHE_HOME=%s", test_scratch("no-cache"));
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        const struct program_call call = {
            .words = {"profile", MODEL, "-r", "1", "--ctx", "3", "-o", forms[i]},
            .environment = environment,
        };
        const struct program_result *result = run_program(&call);
        CHECK_INT(result->status, 0);
        CHECK(strstr(result->err, "measuring the machine") == NULL);
    }
}

/* ---- page ------------------------------------------------------------------------------------ */

/* What the page draws are the records of JSON; tools/check.sh draws it in a browser. */
TEST(profiling_page_holds_the_records)
{
    static const char begin[] = "<script type=\"application/json\" id=\"profile\">\n";
    char *records = strdup(PROFILE(MODEL, "--dry-run", "--ctx", "7,100", "-o", "json"));
    const char *page = PROFILE(MODEL, "--dry-run", "--ctx", "7,100", "-o", "html");
    const char *at = strstr(page, begin);
    CHECK(strncmp(page, "<!DOCTYPE html>\n", 16) == 0);
    CHECK_TEXT(strstr(page, "</html>"), "</html>\n");
    CHECK(at != NULL && strstr(at + 1, begin) == NULL);
    at += sizeof begin - 1;
    CHECK(strncmp(at, records, strlen(records)) == 0);
    CHECK(strncmp(at + strlen(records), "</script>\n<script>\n", 19) == 0);
    CHECK_HAS(page, "default-src 'none'");
    CHECK(strstr(page, "@include") == NULL && strstr(page, "src=") == NULL);
    free(records);
}

/* ---- csv ------------------------------------------------------------------------------------- */

TEST(profiling_csv_has_the_ops_of_json)
{
    static const char head[] =
        "context,mode,rows,sequences,threads,kind,role,layer,calls,read_bytes,write_bytes,"
        "operand_bytes,flops,ms,wait_ms,ms_low,ms_high\n";
    json_t *root = json_of(PROFILE(MODEL, "--dry-run", "--ctx", "7", "-o", "json"));
    const json_t *ops = json_object_get(json_array_get(json_object_get(root, "steps"), 0), "ops");
    const char *line = PROFILE(MODEL, "--dry-run", "--ctx", "7", "-o", "csv");
    CHECK(strncmp(line, head, sizeof head - 1) == 0);
    line = strchr(line, '\n') + 1;
    for (size_t i = 0; i < json_array_size(ops); i++) {
        const json_t *op = json_array_get(ops, i), *layer = json_object_get(op, "layer");
        char expected[256], number[16] = "";
        if (json_is_integer(layer))
            snprintf(number, sizeof number, "%d", (int)json_integer_value(layer));
        snprintf(expected, sizeof expected, "7,decode,1,1,,%s,%s,%s,1,%lld,%lld,%lld,%lld,,,,\n",
                 json_string_value(json_object_get(op, "kind")),
                 json_string_value(json_object_get(op, "role")), number,
                 (long long)json_integer_of(op, "read_bytes"),
                 (long long)json_integer_of(op, "write_bytes"),
                 (long long)json_integer_of(op, "operand_bytes"),
                 (long long)json_integer_of(op, "flops"));
        CHECK(strncmp(line, expected, strlen(expected)) == 0);
        line += strlen(expected);
    }
    CHECK_TEXT(line, "");
    json_decref(root);
}

/* ---- tables ---------------------------------------------------------------------------------- */

TEST(profiling_table_of_a_size_has_floor_and_crossing)
{
    const char *text =
        PROFILE("--size", "9B", "--output-type", "q6_k", "--ctx", "8191", "--bandwidth", "410GB/s");
    double floor_ms, speed, megabytes;
    CHECK_HAS(text, "qwen35 9B Q4_0: decode, 1 token behind 8191; nothing was run\n");
    CHECK_INT(sscanf(strstr(text, "floor "), "floor %lf ms, %lf tokens/s: %lf MB at 410.00 GB/s",
                     &floor_ms, &speed, &megabytes),
              3);
    CHECK(fabs(megabytes / 410 - floor_ms) < 0.001);
    CHECK(fabs(1000 / floor_ms - speed) < 0.01);
    /* Weights without the looked-up row over 32 KiB for each token: 4730.3 MB within 0.05. */
    long long tokens;
    CHECK_INT(
        sscanf(strstr(text, "KV reads"), "KV reads equal weight reads at %lld tokens", &tokens), 1);
    CHECK(fabs((double)tokens * 32768 / 1e6 - 4730.3) < 0.05 + 0.033);
    CHECK_HAS(text, "\nmost bytes: MATMUL ");
    CHECK(strstr(text, " ms    ") == NULL && strstr(text, "of peak") == NULL);
}

TEST(profiling_table_by_layer_names_their_kinds)
{
    static const char *const names[] = {"\nembedding ", "\nL00 la ", "\nL03 fa ", "\nhead ",
                                        "\nall "};
    const char *text = PROFILE(MODEL, "--dry-run", "--by", "layer"), *at = text;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        at = strstr(at, names[i]);
        if (at == NULL)
            test_fail(__FILE__, __LINE__, "no line%s behind the others: %s", names[i], text);
    }
}

/* Where caches cost as much as weights is a length of each sequence; a prompt has none, be it one
 * step or several. */
TEST(profiling_crossing_is_of_sequences_but_of_no_prompt)
{
    CHECK_HAS(PROFILE("--size", "9B", "--sequences", "4"), " tokens in each sequence\n");
    CHECK(strstr(PROFILE("--size", "9B", "-p", "64"), "KV reads") == NULL);
    CHECK(strstr(PROFILE("--size", "9B", "-p", "64", "-ub", "32"), "KV reads") == NULL);
}

/* Trained on 262144 tokens, both: one has more weights than caches at the end of that. */
TEST(profiling_crossing_may_lie_beyond_what_is_trained)
{
    CHECK(strstr(PROFILE("--size", "9B"), " trained") == NULL);
    CHECK_HAS(PROFILE("--size", "9B", "--type", "bf16"), " tokens, of 262144 trained\n");
}

/* A sweep opens the model's plan for each of its points. */
TEST(profiling_warns_once_of_a_long_context)
{
    const struct program_result *result =
        RUN_PROGRAM("profile", "--size", "27B", "--ctx", "0,256,262144", "--by", "total");
    const char *warning = strstr(result->err, "but the model was trained for 262144\n");
    CHECK_INT(result->status, 0);
    if (warning == NULL)
        test_fail(__FILE__, __LINE__, "no warning: %s", result->err);
    CHECK(strstr(strchr(warning, '\n'), "trained for") == NULL);
}

TEST(profiling_table_of_a_run_has_times)
{
    double low = 0, high = -1;
    const char *text = PROFILE(MODEL, "--by", "role,kind", "-r", "2", "-t", "2", "--ctx", "9",
                               "--bandwidth", "3", "--operand-bytes", "--mode", "verify");
    CHECK_HAS(text, ": verify, 5 tokens behind 9; cpu, 2 threads, median of 2 runs\n");
    CHECK_HAS(text, "; the clocks cost ");
    CHECK_INT(
        sscanf(strstr(text, "the clocks cost"), "the clocks cost %lf%% to %lf%%\n", &low, &high),
        2);
    CHECK(low <= high);
    CHECK_HAS(text, "operand MB        ms     GB/s  of peak  floor ms   lost ms\n");
    CHECK_HAS(text, "\nrole ");
    CHECK_HAS(text, "\ngdn.rule ");
    CHECK_HAS(text, "\nMATMUL ");
    CHECK_HAS(text, "\nlargest loss: ");
}

/* Classes share the calls, bytes and times of ops: all of them together are all ops. */
TEST(profiling_table_by_class_shares_the_time)
{
    char name[32];
    double calls, read, written, ms, sum = 0;
    const char *text = PROFILE(MODEL, "--by", "class,kind", "-r", "2", "-t", "2", "--ctx", "9",
                               "--bandwidth", "3");
    const char *line = strchr(strstr(text, "\nclass ") + 1, '\n');
    for (int i = 0; i < JSON_CLASSES; i++, line = strchr(line + 1, '\n')) {
        CHECK_INT(sscanf(line, "%31s %lf %lf %lf %lf", name, &calls, &read, &written, &ms), 5);
        CHECK(calls > 0 && read + written >= 0);
        sum += ms;
    }
    const size_t length = strcspn(line + 1, "\n") + 2;
    CHECK_INT(sscanf(line, " all %lf %lf %lf %lf", &calls, &read, &written, &ms), 4);
    CHECK(fabs(sum - ms) <= 0.0005 * (JSON_CLASSES + 1));
    const char *again = strstr(line + length, "\nall ");
    CHECK(again != NULL && strncmp(again, line, length) == 0);
}

/* ---- refusals -------------------------------------------------------------------------------- */

TEST(profiling_refuses_what_means_nothing)
{
    CHECK_REFUSED(RUN_PROGRAM("profile", "a.gguf", "--size", "9B"),
                  "--size is of a model that is not there, but a.gguf is");
    CHECK_REFUSED(RUN_PROGRAM("profile", "a.gguf", "--type", "q4_0"),
                  "--type and --output-type belong to --size");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--mode", "decode", "--drafts", "3"),
                  "--drafts belongs to --mode verify, which is not asked for");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--mode", "decode,verify", "-p", "9"),
                  "--n-prompt belongs to --mode prefill, which is not asked for");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "-r", "3"),
                  "--repetitions counts runs, but nothing is run");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--mode", "train"),
                  "--mode: 'train' is not one of decode|prefill|verify");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--ctx", "2147483647"),
                  "2147483647 tokens and 1 more are more than any context holds, expected at most "
                  "1073741824");
    CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "9B", "--mode", "verify", "-ub", "4"),
                  "5 tokens are verified in one step, expected at most the 4 of -ub");
    CHECK_HAS(RUN_PROGRAM("profile", "--size", "9C")->err, "error: unknown size \"9C\", expected");
    CHECK_HAS(RUN_PROGRAM("profile", "--size", "9B", "--type", "q9")->err,
              "error: unknown type \"q9\", expected");
    CHECK_HAS(RUN_PROGRAM("profile", "--size", "9B", "--by", "byte")->err, "error: --by: ");
}

/* Where there are counters they have counted something, else a line says so; the status is 0. */
TEST(profiling_checks_bytes_by_hardware_if_it_can)
{
    const struct program_result *result =
        RUN_PROGRAM("profile", MODEL, "--check", "-r", "2", "-o", "json");
    CHECK_INT(result->status, 0);
    const bool is_missing =
        strstr(result->err, "--check: there are no hardware counters: ") != NULL;
    json_t *root = json_of(result->out);
    const json_t *step = json_array_get(json_object_get(root, "steps"), 0);
    const json_t *counted = json_object_get(step, "counted");
    CHECK(json_is_null(counted) || (!is_missing && json_integer_of(counted, "read_bytes") >= 0));
    json_decref(root);
    result = RUN_PROGRAM("profile", MODEL, "--check", "-r", "2");
    CHECK_INT(result->status, 0);
    CHECK(!is_missing || strstr(result->out, "counted by ") == NULL);
    CHECK_REFUSED(RUN_PROGRAM("profile", MODEL, "--check", "--dry-run"),
                  "--check counts while steps run, but nothing is run");
    CHECK_REFUSED(RUN_PROGRAM("profile", MODEL, "--check", "-o", "csv"),
                  "what --check counts is printed by tables of ops and by json alone");
    CHECK_REFUSED(RUN_PROGRAM("profile", MODEL, "--check", "-o", "trace"),
                  "what --check counts is printed by tables of ops and by json alone");
}

TEST(profiling_refuses_bandwidths_that_are_none)
{
    static const char *const values[] = {"",         "GB/s", "0",   "-1",      "410 GB/s",
                                         "410GiB/s", "1e3",  "nan", "1000001", "4.1.0"};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        char text[128];
        snprintf(text, sizeof text,
                 "--bandwidth: '%s' is not a number of GB/s, as 410, 410GB/s or 3.35TB/s",
                 values[i]);
        CHECK_REFUSED(RUN_PROGRAM("profile", "--size", "tiny", "--bandwidth", values[i]), text);
    }
    CHECK_HAS(PROFILE("--size", "tiny", "--bandwidth", "3.35TB/s"), " at 3350.00 GB/s, as given\n");
}
