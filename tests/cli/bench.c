/* SPDX-License-Identifier: MIT
 * weir bench: forms of its results, its lists, what it refuses, and the machine's peaks. Times are
 * looked at only for agreeing with each other. Run alone: build/tests/weir-test bench_ */
#include "cli/program.h"

#include <dirent.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fixture.h"

#define MODEL test_data("golden/nano-f32.gguf")

/* Names and types of llama-bench: t text, i integer, r real, b boolean. */
static const struct {
    const char *name;
    char type;
} fields[] = {
    {"build_commit", 't'},   {"build_number", 'i'},
    {"cpu_info", 't'},       {"gpu_info", 't'},
    {"backends", 't'},       {"model_filename", 't'},
    {"model_type", 't'},     {"model_size", 'i'},
    {"model_n_params", 'i'}, {"n_batch", 'i'},
    {"n_ubatch", 'i'},       {"n_threads", 'i'},
    {"cpu_mask", 't'},       {"cpu_strict", 'b'},
    {"poll", 'i'},           {"type_k", 't'},
    {"type_v", 't'},         {"n_gpu_layers", 'i'},
    {"n_cpu_moe", 'i'},      {"split_mode", 't'},
    {"main_gpu", 'i'},       {"no_kv_offload", 'b'},
    {"flash_attn", 'i'},     {"devices", 't'},
    {"tensor_split", 't'},   {"tensor_buft_overrides", 't'},
    {"load_mode", 't'},      {"embeddings", 'b'},
    {"no_op_offload", 'i'},  {"no_host", 'b'},
    {"fit_target", 'i'},     {"fit_min_ctx", 'i'},
    {"n_prompt", 'i'},       {"n_gen", 'i'},
    {"n_depth", 'i'},        {"test_time", 't'},
    {"avg_ns", 'i'},         {"stddev_ns", 'i'},
    {"avg_ts", 'r'},         {"stddev_ts", 'r'},
};

enum { FIELDS = sizeof fields / sizeof fields[0] };

/* The lines of a text, without their ends. Static, until the next call. */
enum { LINES_MAX = 64 };

struct lines {
    char text[65536];
    char *line[LINES_MAX];
    int count;
};

static const struct lines *split_lines(const char *text)
{
    static struct lines lines;
    CHECK(strlen(text) < sizeof lines.text);
    snprintf(lines.text, sizeof lines.text, "%s", text);
    lines.count = 0;
    for (char *at = lines.text; *at != 0;) {
        char *end = strchr(at, '\n');
        CHECK(end != NULL && lines.count < LINES_MAX);
        *end = 0;
        lines.line[lines.count++] = at;
        at = end + 1;
    }
    return &lines;
}

static const char *run_form(const char *form)
{
    const struct program_result *result =
        RUN_PROGRAM("bench", MODEL, "-p", "8", "-n", "2", "-r", "3", "-t", "2", "-o", form);
    CHECK_INT(result->status, 0);
    CHECK_INT(result->err_size, 0);
    return result->out;
}

/* ---- md -------------------------------------------------------------------------------------- */

/* A row has the header's bars, in characters, and one digit pattern for each cell. */
static void check_bars(const char *header, const char *row)
{
    int at = 0;
    for (const char *c = row; *c != 0; c++) {
        if (((unsigned char)*c & 0xc0) == 0x80)
            continue;
        CHECK((*c == '|') == (header[at] == '|'));
        at++;
    }
    CHECK_INT(at, strlen(header));
}

/* The cell of a row, counted from 0, without blanks around. Static, until the next call. */
static const char *cell_of(const char *row, int number)
{
    static char cell[256];
    for (int i = 0; i <= number; i++) {
        row = strchr(row, '|');
        CHECK(row != NULL);
        row++;
    }
    row += strspn(row, " ");
    snprintf(cell, sizeof cell, "%.*s", (int)strcspn(row, "|"), row);
    for (size_t end = strlen(cell); end > 0 && cell[end - 1] == ' '; end--)
        cell[end - 1] = 0;
    return cell;
}

TEST(bench_table_has_the_known_form)
{
    static const char *const head[] = {
        "| model                          |       size |     params | backend    | threads |"
        "            test |                  t/s |",
        "| ------------------------------ | ---------: | ---------: | ---------- | ------: |"
        " --------------: | -------------------: |",
    };
    static const char *const cells[] = {"qwen35 ?B all F32", "1.08 MiB", "0.28 M", "cpu", "2"};
    const struct lines *lines = split_lines(run_form("md"));
    CHECK_INT(lines->count, 6);
    for (int i = 0; i < 2; i++) {
        CHECK_TEXT(lines->line[i], head[i]);
        const char *row = lines->line[i + 2];
        double mean, deviation;
        check_bars(head[0], row);
        for (int k = 0; k < 5; k++)
            CHECK_TEXT(cell_of(row, k), cells[k]);
        CHECK_TEXT(cell_of(row, 5), i == 0 ? "pp8" : "tg2");
        CHECK_INT(sscanf(cell_of(row, 6), "%lf \xc2\xb1 %lf", &mean, &deviation), 2);
        CHECK(mean > 0 && deviation >= 0);
    }
    CHECK_TEXT(lines->line[4], "");
    CHECK(strncmp(lines->line[5], "build: ", 7) == 0 && strstr(lines->line[5], " (0)") != NULL);
}

/* In the order of a recorded sweep: cached types outside, then threads, depths, tests. */
TEST(bench_sweep_has_the_known_order)
{
    static const char header[] = "| model                          |       size |     params | "
                                 "backend    | threads | n_batch |"
                                 " n_ubatch | type_k |            test |                  t/s |";
    static const char *const tests[] = {"pp6",      "tg2",      "pp6+tg2",
                                        "pp6 @ d3", "tg2 @ d3", "pp6+tg2 @ d3"};
    const struct program_result *result =
        RUN_PROGRAM("bench", MODEL, "-r", "1", "-b", "64", "-ub", "32", "-ctk", "f16,f32", "-t",
                    "1,2", "-d", "0", "-d", "3", "-p", "6", "-n", "2", "-pg", "6,2");
    CHECK_INT(result->status, 0);
    const struct lines *lines = split_lines(result->out);
    CHECK_INT(lines->count, 2 + 24 + 2);
    CHECK_TEXT(lines->line[0], header);
    for (int i = 0; i < 24; i++) {
        const char *row = lines->line[i + 2];
        check_bars(header, row);
        CHECK_TEXT(cell_of(row, 4), i / 6 % 2 == 0 ? "1" : "2");
        CHECK_TEXT(cell_of(row, 5), "64");
        CHECK_TEXT(cell_of(row, 6), "32");
        CHECK_TEXT(cell_of(row, 7), i < 12 ? "f16" : "f32");
        CHECK_TEXT(cell_of(row, 8), tests[i % 6]);
    }
}

TEST(bench_columns_of_one_unusual_value)
{
    const struct program_result *result =
        RUN_PROGRAM("bench", MODEL, "-p", "1", "-n", "0", "-r", "1", "-ctv", "f32", "-lm", "none");
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, " threads | type_v |         lm |            test |");
    CHECK_HAS(result->out, " |    f32 |       none |             pp1 |");
    result = RUN_PROGRAM("bench", MODEL, "-p", "1", "-n", "0", "-r", "1", "-mmp", "0,1");
    CHECK_HAS(result->out, " |       none |             pp1 |");
    CHECK_HAS(result->out, " |       mmap |             pp1 |");
}

/* ---- records --------------------------------------------------------------------------------- */

static bool has_type(const json_t *value, char type)
{
    switch (type) {
    case 't': return json_is_string(value);
    case 'i': return json_is_integer(value);
    case 'r': return json_is_real(value);
    case 'b': return json_is_boolean(value);
    default: return json_is_array(value);
    }
}

static double number_of(const json_t *record, const char *name)
{
    return json_number_value(json_object_get(record, name));
}

/* Means and deviations follow from the samples. The printed ones have six digits at least, and the
 * nanoseconds are cut. */
static void check_samples(const json_t *record, size_t count)
{
    const json_t *ns = json_object_get(record, "samples_ns");
    const json_t *ts = json_object_get(record, "samples_ts");
    const double tokens = number_of(record, "n_prompt") + number_of(record, "n_gen");
    double sum = 0, speeds = 0, squares = 0;
    CHECK_INT(json_array_size(ns), count);
    CHECK_INT(json_array_size(ts), count);
    for (size_t i = 0; i < count; i++) {
        const double sample = json_number_value(json_array_get(ns, i));
        CHECK(fabs(json_number_value(json_array_get(ts, i)) / (tokens * 1e9 / sample) - 1) < 1e-5);
        sum += sample;
        speeds += tokens * 1e9 / sample;
    }
    for (size_t i = 0; i < count; i++) {
        const double sample = json_number_value(json_array_get(ns, i)) - sum / (double)count;
        squares += sample * sample;
    }
    CHECK(fabs(number_of(record, "avg_ns") - sum / (double)count) <= 1);
    CHECK(fabs(number_of(record, "avg_ts") / (speeds / (double)count) - 1) < 1e-6);
    CHECK(fabs(number_of(record, "stddev_ns") - sqrt(squares / ((double)count - 1))) <= 2);
}

/* The names in order, `extra` of others behind the known ones, and the samples last. */
static void check_record(const json_t *record, size_t extra)
{
    size_t i = 0;
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)record, name, value)
    {
        if (i < FIELDS) {
            CHECK_TEXT(name, fields[i].name);
            if (!has_type(value, fields[i].type))
                test_fail(__FILE__, __LINE__, "%s has another type than %c", name, fields[i].type);
        } else if (i >= FIELDS + extra) {
            CHECK_TEXT(name, i == FIELDS + extra ? "samples_ns" : "samples_ts");
        }
        i++;
    }
    CHECK_INT(i, FIELDS + extra + 2);
    check_samples(record, 3);
}

TEST(bench_json_has_the_known_fields)
{
    json_error_t error;
    json_t *array = json_loads(run_form("json"), 0, &error);
    CHECK(json_is_array(array) && json_array_size(array) == 2);
    for (size_t i = 0; i < 2; i++) {
        const json_t *record = json_array_get(array, i);
        check_record(record, 0);
        CHECK_INT(number_of(record, "n_prompt"), i == 0 ? 8 : 0);
        CHECK_INT(number_of(record, "n_gen"), i == 0 ? 0 : 2);
        CHECK_INT(number_of(record, "n_threads"), 2);
        CHECK_TEXT(json_string_value(json_object_get(record, "model_filename")), MODEL);
    }
    json_decref(array);
}

TEST(bench_jsonl_has_a_record_a_line)
{
    const struct lines *lines = split_lines(run_form("jsonl"));
    CHECK_INT(lines->count, 2);
    for (int i = 0; i < 2; i++) {
        json_t *record = json_loads(lines->line[i], 0, NULL);
        check_record(record, 0);
        json_decref(record);
        CHECK_HAS(lines->line[i], " ],\"samples_ts\": [ ");
    }
}

/* A name that needs escapes in every form: a quote of either kind and a backslash. */
TEST(bench_names_are_escaped)
{
    static const char *const forms[] = {"json", "jsonl"};
    const char *path = test_scratch("q'u\"o\\te.gguf");
    size_t size;
    uint8_t *data = test_read_file(MODEL, &size);
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
    free(data);
    for (int i = 0; i < 2; i++) {
        const struct program_result *result =
            RUN_PROGRAM("bench", path, "-p", "1", "-n", "0", "-r", "1", "-o", forms[i]);
        json_t *value = json_loads(result->out, 0, NULL);
        const json_t *record = i == 0 ? json_array_get(value, 0) : value;
        CHECK_TEXT(json_string_value(json_object_get(record, "model_filename")), path);
        json_decref(value);
    }
    const char *out = RUN_PROGRAM("bench", path, "-p", "1", "-n", "0", "-r", "1", "-o", "csv")->out;
    CHECK_HAS(out, "/q'u\"\"o\\te.gguf\",");
    out = RUN_PROGRAM("bench", path, "-p", "1", "-n", "0", "-r", "1", "-o", "sql")->out;
    CHECK_HAS(out, "/q''u\"o\\te.gguf',");
}

/* Values between `quote`; returns how many stand in the line. */
static int check_quoted(const char *line, char quote, const char *between)
{
    int count = 0;
    for (const char *c = line; *c != 0; count++) {
        const char *end = *c == quote ? strchr(c + 1, quote) : NULL;
        CHECK(end != NULL);
        const size_t length = (size_t)(end - c) - 1;
        const size_t digits =
            strspn(c + 1, fields[count].type == 'r' ? "0123456789." : "-0123456789");
        CHECK(count < FIELDS && (fields[count].type == 't' || (length > 0 && digits == length)));
        c = end + 1;
        if (*c != 0) {
            CHECK(strncmp(c, between, strlen(between)) == 0);
            c += strlen(between);
        }
    }
    return count;
}

static void join_names(char *out, size_t size, const char *between)
{
    out[0] = 0;
    for (int i = 0; i < FIELDS; i++)
        snprintf(out + strlen(out), size - strlen(out), "%s%s", i == 0 ? "" : between,
                 fields[i].name);
}

TEST(bench_csv_has_the_known_fields)
{
    char names[2048];
    join_names(names, sizeof names, ",");
    const struct lines *lines = split_lines(run_form("csv"));
    CHECK_INT(lines->count, 3);
    CHECK_TEXT(lines->line[0], names);
    for (int i = 1; i < 3; i++)
        CHECK_INT(check_quoted(lines->line[i], '"', ","), FIELDS);
}

TEST(bench_sql_makes_and_fills_a_table)
{
    char names[2048], insert[2200], line[64];
    join_names(names, sizeof names, ", ");
    const int length =
        snprintf(insert, sizeof insert, "INSERT INTO llama_bench (%s) VALUES (", names);
    const struct lines *lines = split_lines(run_form("sql"));
    CHECK_INT(lines->count, FIELDS + 3 + 2);
    CHECK_TEXT(lines->line[0], "CREATE TABLE IF NOT EXISTS llama_bench (");
    for (int i = 0; i < FIELDS; i++) {
        const char *type = fields[i].type == 't'   ? "TEXT"
                           : fields[i].type == 'r' ? "REAL"
                                                   : "INTEGER";
        snprintf(line, sizeof line, "  %s %s%s", fields[i].name, type, i < FIELDS - 1 ? "," : "");
        CHECK_TEXT(lines->line[i + 1], line);
    }
    CHECK_TEXT(lines->line[FIELDS + 1], ");");
    CHECK_TEXT(lines->line[FIELDS + 2], "");
    for (int i = FIELDS + 3; i < lines->count; i++) {
        char *values = lines->line[i] + length;
        CHECK(strncmp(lines->line[i], insert, (size_t)length) == 0);
        CHECK(strlen(values) > 2 && strcmp(values + strlen(values) - 2, ");") == 0);
        values[strlen(values) - 2] = 0;
        CHECK_INT(check_quoted(values, '\'', ", "), FIELDS);
    }
}

/* The recorded outputs of llama-bench have the fields that this test knows. */
TEST(bench_fields_are_the_recorded_ones)
{
    char names[2048];
    size_t size;
    join_names(names, sizeof names, ",");
    char *csv = (char *)test_read_file(test_shared("vectors/bench/llama-bench.csv"), &size);
    csv[strcspn(csv, "\n")] = 0;
    CHECK_TEXT(csv, names);
    free(csv);
    char *text = (char *)test_read_file(test_shared("vectors/bench/llama-bench.json"), &size);
    json_t *array = json_loads(text, 0, NULL);
    const char *name;
    json_t *value;
    int i = 0;
    json_object_foreach(json_array_get(array, 0), name, value)
    {
        if (i < FIELDS) {
            CHECK_TEXT(name, fields[i].name);
            CHECK(has_type(value, fields[i].type));
        }
        i++;
    }
    CHECK_INT(i, FIELDS + 2);
    json_decref(array);
    free(text);
}

/* ---- flags ----------------------------------------------------------------------------------- */

/* Reports of what was run, one name a line in the order of the rows. */
static void check_tests(const struct program_result *result, const char *expected)
{
    char found[512] = "";
    CHECK_INT(result->status, 0);
    const struct lines *lines = split_lines(result->out);
    for (int i = 2; i < lines->count - 2; i++)
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s;",
                 cell_of(lines->line[i], 5));
    CHECK_TEXT(found, expected);
}

TEST(bench_lists_make_tests)
{
    check_tests(RUN_PROGRAM("bench", MODEL, "-r", "1", "-t", "1", "-p", "1-8*2", "-n", "0"),
                "pp1;pp2;pp4;pp8;");
    check_tests(RUN_PROGRAM("bench", MODEL, "-r", "1", "-t", "1", "-p", "0", "-n", "1-5+2", "-n",
                            "2", "--no-warmup"),
                "tg1;tg3;tg5;tg2;");
    check_tests(RUN_PROGRAM("bench", MODEL, "-r", "1", "-t", "1", "-p", "0", "-n", "0", "-pg",
                            "3,1", "-pg", "0,2", "-pg", "2,0", "-d", "0,5"),
                "pp3+tg1;tg2;pp2;pp3+tg1 @ d5;tg2 @ d5;pp2 @ d5;");
}

TEST(bench_models_are_run_in_turn)
{
    const struct program_result *result =
        RUN_PROGRAM("bench", "-m", MODEL, test_data("golden/nanomoe-q4_0.gguf"), "-p", "1", "-n",
                    "1", "-r", "1");
    CHECK_INT(result->status, 0);
    const struct lines *lines = split_lines(result->out);
    CHECK_INT(lines->count, 2 + 4 + 2);
    /* Flags first, then words without one: both are models. */
    for (int i = 0; i < 4; i++)
        CHECK_TEXT(cell_of(lines->line[i + 2], 0),
                   i < 2 ? "qwen35 ?B all F32" : "qwen35moe ?B Q4_0");
}

TEST(bench_prints_also_on_standard_error)
{
    const struct program_result *result = RUN_PROGRAM("bench", MODEL, "-p", "1", "-n", "0", "-r",
                                                      "1", "-oe", "csv", "--progress", "-fa", "1");
    CHECK_INT(result->status, 0);
    CHECK(strncmp(result->out, "| model ", 8) == 0);
    CHECK_HAS(result->err, "warning: -fa, --flash-attn has no effect: ");
    CHECK_HAS(result->err, "\nbuild_commit,build_number,");
    CHECK_HAS(result->err, "\nweir bench: test 1 of 1, warm-up\n");
    CHECK_HAS(result->err, "\nweir bench: test 1 of 1, run 1 of 1\n");
    CHECK_HAS(result->err, "\",\"f16\",\"f16\",\"");
}

TEST(bench_bad_values_are_refused)
{
    static const struct {
        const char *flag, *value, *error;
    } cases[] = {
        {"-p", "x",
         "-p: 'x' is not a list of numbers from 0 to 2147483647, or of ranges as 1-8, 1-9+2 or "
         "1-64*2"},
        {"-t", "0",
         "-t: '0' is not a list of numbers from 1 to 2147483647, or of ranges as 1-8, 1-9+2 or "
         "1-64*2"},
        {"-n", "0-9999", "-n: more than 4096 values"},
        {"-pg", "5", "-pg: '5' is not a pair of numbers that are not both 0, as 512,128"},
        {"-pg", "1,2,3", "-pg: '1,2,3' is not a pair of numbers that are not both 0, as 512,128"},
        {"-pg", "1-2", "-pg: '1-2' is not a pair of numbers that are not both 0, as 512,128"},
        {"-pg", "0,0", "-pg: '0,0' is not a pair of numbers that are not both 0, as 512,128"},
        {"-ctk", "q3_k", "-ctk: 'q3_k' is not one of f32|f16|bf16|q8_0|q5_1|q5_0|q4_1|q4_0"},
        {"-ctv", "f16,", "-ctv: '' is not one of f32|f16|bf16|q8_0|q5_1|q5_0|q4_1|q4_0"},
        {"-lm", "dio", "-lm: 'dio' is not one of none|mmap|mlock|mmap+mlock"},
        {"-o", "xml", "-o: 'xml' is not one of csv|json|jsonl|md|sql"},
        {"-r", "0", "-r: '0' is not a whole number from 1 to 1000000"},
        {"-m", "", "-m: the name of the file is empty"},
        {"-embd", "1", "-embd: embeddings are not supported"},
        {"--temp", "1", "invalid argument: --temp"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, cases[i].flag, cases[i].value), cases[i].error);
}

TEST(bench_bad_combinations_are_refused)
{
    char expected[256];
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "-p", "0", "-n", "0"),
                  "nothing to measure: -p, -n and -pg name no tokens");
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "-p", "2000000000", "-d", "2000000000"),
                  "a test of 2000000000, 2000000000 and 0 tokens is longer than any context");
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "--probe"),
                  "--probe measures the machine and takes no model");
    CHECK_REFUSED(RUN_PROGRAM("bench", "/nowhere/x.gguf", "--bytes"),
                  "--model: /nowhere/x.gguf: cannot open: No such file or directory");
    CHECK_REFUSED(RUN_PROGRAM("bench", MODEL, "-t", "5000", "-o", "json"),
                  "the number of threads is 5000, expected 0 to 1024");
    const char *path = test_scratch("log.gguf");
    CHECK_INT(RUN_PROGRAM("synth", "--size", "nano", "--out", path)->status, 0);
    snprintf(expected, sizeof expected, "%s: is read from, so it cannot be written to", path);
    CHECK_REFUSED(RUN_PROGRAM("bench", "-m", path, "--log-file", path), expected);
}

TEST(bench_interrupted_keeps_what_it_has)
{
    const struct program_call call = {
        .words = {"bench", MODEL, "-p", "1", "-n", "1000000", "-r", "1"},
        .interrupt_after = 350, /* behind the row of the prompt */
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 130);
    CHECK(strstr(result->err, "error:") == NULL);
    CHECK_HAS(result->out, " pp1 |");
    CHECK(strstr(result->out, "build: ") == NULL);
}

TEST(bench_has_a_familiar_name)
{
    const struct program_call call = {
        .words = {"-m", MODEL, "-p", "1", "-n", "0", "-r", "1", "-o", "jsonl"},
        .name = "/usr/bin/llama-bench",
    };
    CHECK(strncmp(run_program(&call)->out, "{\"build_commit\": ", 17) == 0);
}

/* ---- bytes and peaks ------------------------------------------------------------------------- */

/* The one file of the cache folder. Static, until the next call. */
static const char *cache_file(const char *folder)
{
    static char path[512];
    char inner[256];
    int count = 0;
    snprintf(inner, sizeof inner, "%s/weir", folder);
    DIR *dir = opendir(inner);
    CHECK(dir != NULL);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/%.200s", inner, entry->d_name);
        count++;
    }
    closedir(dir);
    CHECK_INT(count, 1);
    return path;
}

static void write_file(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL && fputs(text, stream) >= 0 && fclose(stream) == 0);
}

/* Runs a test with the bytes; what it said of the peak, in GB/s. */
static double peak_of_run(const char *environment, bool *measured)
{
    const struct program_call call = {
        .words = {"bench", MODEL, "-p", "5", "-n", "3", "-r", "3", "--bytes", "-o", "json"},
        .environment = environment,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 0);
    *measured = strstr(result->err, "measuring the machine") != NULL;
    json_t *array = json_loads(result->out, 0, NULL);
    const json_t *record = json_array_get(array, 1);
    check_record(record, 6);
    const double speed = number_of(record, "avg_gbs"), percent = number_of(record, "peak_percent");
    const double ns = number_of(record, "avg_ns");
    CHECK(fabs(speed * ns / number_of(record, "test_bytes") - 1) < 1e-3);
    json_decref(array);
    return 100 * speed / percent;
}

/* The same file is what weir profile knows of the machine. */
static void check_profile(const char *environment)
{
    const struct program_call call = {
        .words = {"profile", MODEL, "-r", "1", "-t", "1", "-o", "json"},
        .environment = environment,
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "\n    \"read_gb_s\": 4096.0000,\n");
    CHECK_HAS(result->out, "\n    \"reads\": [{\"threads\": 1, \"gb_s\": 4096.0000}],\n");
    CHECK_HAS(result->out,
              "\n    \"compute_gop_s\": {\"int8\": null, \"bf16\": null, \"f32\": 1.0000}\n");
}

/* The numbers of the file are believed if it is whole and of this machine, and only then: each time
 * that they are not, the machine is measured. */
TEST(bench_peaks_are_kept_and_checked)
{
    test_skip_if_sanitized();
    static char environment[256], text[4096], changed[4200];
    const char *folder = test_scratch("cache");
    bool measured;
    size_t size;
    snprintf(environment, sizeof environment, "XDG_CACHE_HOME=%s", folder);
    const struct program_call probe = {.words = {"bench", "--probe"}, .environment = environment};
    const struct program_result *result = run_program(&probe);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->out, "| read ");
    CHECK_HAS(result->out, "| f32 128-bit        |");
    char *kept = (char *)test_read_file(cache_file(folder), &size);
    CHECK(size < sizeof text && strncmp(kept, "weir-probe 2\nprocessor ", 23) == 0);
    const char *rest = strstr(kept, "\nthreads ");
    CHECK(rest != NULL);
    /* As many threads as it says, one rate of reading. */
    snprintf(text, sizeof text, "%.*s\nread 1 plain 4096.0 1.0\npeak f32 128-bit 1 1\nend\n",
             (int)(rest + 1 + strcspn(rest + 1, "\n") - kept), kept);
    free(kept);
    write_file(cache_file(folder), text);
    CHECK(fabs(peak_of_run(environment, &measured) / 4096 - 1) < 0.05 && !measured);
    check_profile(environment);
    for (int i = 0; i < 2; i++) {
        if (i == 0) /* cut short */
            snprintf(changed, sizeof changed, "%.*s", (int)strlen(text) - 4, text);
        else /* of another processor */
            snprintf(changed, sizeof changed, "weir-probe 2\nprocessor other %s", text + 23);
        write_file(cache_file(folder), changed);
        peak_of_run(environment, &measured);
        CHECK(measured);
        kept = (char *)test_read_file(cache_file(folder), &size);
        CHECK(strstr(kept, "read 1 4096") == NULL && strstr(kept, "\nend\n") != NULL);
        free(kept);
    }
}

/* Percentages that cannot be: of a model in the caches, or of a peak from a busy machine. */
TEST(bench_tells_what_is_beyond_the_peak)
{
    test_skip_if_sanitized();
    static char environment[256], text[4096];
    const char *folder = test_scratch("cache");
    bool measured;
    size_t size;
    snprintf(environment, sizeof environment, "XDG_CACHE_HOME=%s", folder);
    peak_of_run(environment, &measured);
    char *kept = (char *)test_read_file(cache_file(folder), &size);
    const char *rest = strstr(kept, "\nthreads ");
    CHECK(rest != NULL);
    for (int i = 0; i < 2; i++) {
        snprintf(text, sizeof text, "%.*s\nread 1 plain %s 1.0\npeak f32 128-bit 1 1\nend\n",
                 (int)(rest + 1 + strcspn(rest + 1, "\n") - kept), kept,
                 i == 0 ? "0.0001" : "4096");
        write_file(cache_file(folder), text);
        const struct program_call call = {
            .words = {"bench", MODEL, "-p", "5", "-n", "0", "--bytes"}, .environment = environment};
        const struct program_result *result = run_program(&call);
        CHECK_INT(result->status, 0);
        CHECK((strstr(result->err, "more than 100% of what memory gives") != NULL) == (i == 0));
    }
    free(kept);
}

/* The bytes of a test are those of its evaluations: a prompt in two batches, then tokens. */
TEST(bench_bytes_are_those_of_the_plan)
{
    char text[64];
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_traffic sum = {{0}, {0}};
    uint64_t bytes = 0;
    fixture_options(&options);
    options.cache_k = options.cache_v = WEIR_CACHE_F16;
    fixture_open(&fixture, MODEL, &options);
    CHECK_OK(weir_engine_traffic(fixture.engine, 4, 6, WEIR_LOGITS_LAST, &sum, &err), &err);
    CHECK_OK(weir_engine_traffic(fixture.engine, 10, 3, WEIR_LOGITS_LAST, &sum, &err), &err);
    for (uint32_t i = 0; i < 2; i++)
        CHECK_OK(weir_engine_traffic(fixture.engine, 13 + i, 1, WEIR_LOGITS_LAST, &sum, &err),
                 &err);
    fixture_close(&fixture);
    for (int i = 0; i < WEIR_TRAFFIC_CLASSES; i++)
        bytes += sum.read[i] + sum.written[i];
    /* The peak has no place to be kept, which is a warning. */
    const struct program_call call = {
        .words = {"bench", MODEL, "-p", "0", "-n", "0", "-pg", "9,2", "-b", "6", "-d", "4", "-r",
                  "1", "--bytes", "-o", "csv"},
        .environment = "XDG_CACHE_HOME=/dev/null",
    };
    const struct program_result *result = run_program(&call);
    CHECK_INT(result->status, 0);
    CHECK_HAS(result->err, "warning: the machine's peaks are not kept: /dev/null/weir: ");
    CHECK_HAS(result->out, ",stddev_ts,isa,repack,pin,test_bytes,avg_gbs,peak_percent\n");
    snprintf(text, sizeof text, "\",\"%llu\",\"", (unsigned long long)bytes);
    CHECK_HAS(result->out, text);
}
