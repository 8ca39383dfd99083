/* SPDX-License-Identifier: MIT
 * The bill of a token: weir run, bench and profile agree on it to the byte, and nothing is measured
 * for it. Times are looked at only for agreeing with each other.
 * Run alone: build/tests/weir-test bill_ */
#include "cli/peaks.h"
#include "cli/program.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS test_data("golden/tokens24.txt")

/* ---- the three commands ---------------------------------------------------------------------- */

/* What a generated token moves behind so many, in all and by class, as weir run writes it. */
struct bytes {
    int64_t all;
    char text[64], classes[256];
};

static json_t *parse(const struct program_result *result)
{
    CHECK_INT(result->status, 0);
    json_t *root = json_loads(result->out, 0, NULL);
    CHECK(root != NULL);
    return root;
}

static int64_t bytes_of(const json_t *object)
{
    return json_integer_value(json_object_get(object, "read_bytes")) +
           json_integer_value(json_object_get(object, "write_bytes"));
}

static struct bytes bytes_of_profile(const char *model, const char *context)
{
    struct bytes bytes = {.all = 0};
    json_t *root =
        parse(RUN_PROGRAM("profile", model, "--dry-run", "--ctx", context, "-o", "json"));
    const json_t *step = json_array_get(json_object_get(root, "steps"), 0);
    const json_t *totals = json_object_get(step, "totals");
    size_t used = 0;
    const char *name;
    json_t *class;
    bytes.all = bytes_of(totals);
    snprintf(bytes.text, sizeof bytes.text, " %.3f MB read and written, behind %s tokens ",
             (double)bytes.all / 1e6, context);
    json_object_foreach(json_object_get(totals, "by_class"), name, class)
    {
        used += (size_t)snprintf(bytes.classes + used, sizeof bytes.classes - used, "%s%s %.3f",
                                 used == 0 ? "" : ", ", name, (double)bytes_of(class) / 1e6);
        CHECK(used < sizeof bytes.classes);
    }
    json_decref(root);
    return bytes;
}

static int64_t bytes_of_bench(const char *model, const char *depth, const char *environment)
{
    const struct program_call call = {
        .words = {"bench", model, "-p", "0", "-n", "1", "-d", depth, "-r", "1", "--bytes", "-o",
                  "json"},
        .environment = environment,
    };
    json_t *root = parse(run_program(&call));
    const int64_t bytes =
        json_integer_value(json_object_get(json_array_get(root, 0), "test_bytes"));
    json_decref(root);
    return bytes;
}

/* 24 tokens, then three that are evaluated: the middle one stands behind 25. */
static const struct program_result *run_model(const char *model, const char *environment)
{
    const struct program_call call = {
        .words = {"run", model, "--tokens", TOKENS, "--ids", "-n", "4", "--ignore-eos",
                  "--spec-type", "none"},
        .environment = environment,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 0);
    return result;
}

TEST(bill_is_the_same_in_run_bench_and_profile)
{
    static const char *const models[] = {"golden/nano-f32.gguf", "golden/nanomoe-q4_0.gguf"};
    const char *environment = peaks_environment("bill-same", 4096);
    for (int i = 0; i < 2; i++) {
        const char *model = test_data(models[i]);
        const struct bytes expected = bytes_of_profile(model, "25");
        CHECK(expected.all > 100000);
        CHECK_INT(bytes_of_bench(model, "25", environment), expected.all);
        const struct program_result *result = run_model(model, environment);
        CHECK_HAS(result->err, expected.text);
        CHECK_HAS(result->err, expected.classes);
    }
}

/* ---- rate and floor -------------------------------------------------------------------------- */

static double number_behind(const char *text, const char *words)
{
    const char *at = strstr(text, words);
    CHECK(at != NULL);
    return strtod(at + strlen(words), NULL);
}

/* Of what is printed, half of the last digit may be missing. A low peak shows the floor in many
 * digits, a high one how far above it the token was. */
TEST(bill_tells_rate_and_floor)
{
    static const double low = 0.01, high = 10000;
    const char *model = test_data("golden/nano-f32.gguf"), *rate_words = "token rate = ";
    const int64_t bytes = bytes_of_profile(model, "25").all;
    const char *text = run_model(model, peaks_environment("bill-low", low))->err;
    double rate = number_behind(text, rate_words);
    const double percent = number_behind(strstr(text, rate_words), " GB/s, ");
    CHECK(fabs(percent * low / 100 - rate) <= 0.005 + 0.05 * low / 100 + 1e-9);
    CHECK(fabs(number_behind(text, "token floor = ") - (double)bytes / low / 1e6) <= 0.005 + 1e-9);
    CHECK_HAS(text, "% of the 0.01 GB/s that ");
    text = run_model(model, peaks_environment("bill-high", high))->err;
    rate = number_behind(text, rate_words);
    const double factor = number_behind(text, "; a token took ");
    CHECK(fabs(factor * rate - high) <= 0.005 * (factor + rate) + 1e-6);
}

/* Of a model in the caches, not only of a machine that was busy: below a measured floor, below one
 * of a bandwidth that is given, and above both. */
TEST(bill_tells_why_a_step_is_below_its_floor)
{
    static const char *const reasons[] = {
        "\nfaster than that floor: bytes came from caches, or the machine was busy when its memory "
        "was measured; weir bench --probe measures anew\n",
        "\nfaster than that floor: bytes came from caches, or memory gives more than that\n"};
    static const double low = 1e-3, high = 1e6;
    for (int i = 0; i < 4; i++) {
        const bool is_given = i % 2 == 1, is_below = i < 2;
        const double peak = is_below ? low : high;
        char name[32], given[64];
        snprintf(name, sizeof name, "bill-below-%d", i);
        snprintf(given, sizeof given, "--bandwidth=%.3f", is_given ? peak : high);
        const struct program_call call = {
            .words = {"profile", test_data("golden/nano-f32.gguf"), "-r", "1", "-t", "1",
                      is_given ? given : NULL},
            .environment = peaks_environment(name, is_given ? 1 : peak),
        };
        const struct program_result *result = run_program(&call);
        CHECK_INT(result->status, 0);
        CHECK_HAS(result->out, "\nfloor ");
        CHECK((strstr(result->out, reasons[is_given]) != NULL) == is_below);
        CHECK(is_below || strstr(result->out, "faster than") == NULL);
    }
}

/* Refused drafts cost bytes and give no token. The first rounds have no draft, one and none,
 * whatever the times are, and the last has no room for one. */
TEST(bill_counts_drafts)
{
    const char *model = test_data("golden/nano-f32.gguf"), *words = "token bytes = ";
    const char *text = RUN_PROGRAM("run", model, "--tokens", TOKENS, "--ids", "-n", "5",
                                   "--ignore-eos", "--temp", "0", "--spec-type", "none")
                           ->err;
    const double plain = number_behind(text, words);
    text = RUN_PROGRAM("run", model, "--tokens", TOKENS, "--ids", "-n", "5", "--ignore-eos",
                       "--temp", "0", "--spec-type", "draft-mtp")
               ->err;
    CHECK_HAS(text, "(    0 accepted /     1 generated)");
    CHECK(number_behind(text, words) > 1.05 * plain);
}

/* Without a measured peak none is made: that would take seconds. */
TEST(bill_measures_nothing)
{
    const char *environment = peaks_environment("bill-none", 0);
    char folder[512];
    int files = 0;
    const struct program_result *result = run_model(test_data("golden/nano-f32.gguf"), environment);
    CHECK(number_behind(result->err, "token rate = ") >= 0); /* a slow machine: 0.00 */
    CHECK_HAS(result->err, " GB/s (`weir bench --probe` measures ");
    CHECK(strstr(result->err, "token floor") == NULL);
    CHECK(strstr(result->err, "measuring the machine") == NULL);
    snprintf(folder, sizeof folder, "%s/weir", environment + strlen("XDG_CACHE_HOME="));
    DIR *dir = opendir(folder);
    CHECK(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        files += entry->d_name[0] != '.';
    closedir(dir);
    CHECK_INT(files, 0);
}

/* A single token is that of the prompt's logits: nothing was evaluated behind it. */
TEST(bill_needs_a_token_and_can_be_left_out)
{
    const char *model = test_data("golden/nano-f32.gguf");
    const char *text = RUN_PROGRAM("run", model, "--tokens", TOKENS, "--ids", "-n", "1")->err;
    CHECK_HAS(text, "total time");
    CHECK(strstr(text, "token bytes") == NULL);
    text = RUN_PROGRAM("run", model, "--tokens", TOKENS, "--ids", "-n", "4", "--no-timings")->err;
    CHECK(strstr(text, "token bytes") == NULL);
    text = RUN_PROGRAM("run", model, "--tokens", TOKENS, "--ids", "-n", "4", "--no-timings",
                       "--timings")
               ->err;
    CHECK_HAS(text, "token bytes");
}
