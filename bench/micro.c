/* SPDX-License-Identifier: MIT
 * weir-micro: measures the rows and prints a table: median of the samples, and spread, which is
 * the width of their middle half in percent of the median. Knows nothing of what a row does.
 *
 * weir-micro [--list] [--threads N] [--samples N] [PREFIX...] */
#include "micro.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "base/cpu.h"
#include "base/probe.h"

enum { SAMPLES_MAX = 1000, SAMPLE_NS = 20000000 };

static const struct bench_row *const tables[] = {bench_base_rows, bench_codec_rows,
                                                 bench_encode_rows, bench_forward_rows,
                                                 bench_logits_row_rows};
enum { TABLES = sizeof tables / sizeof tables[0] };

static const char usage[] = "usage: weir-micro [--list] [--threads N] [--samples N] [PREFIX...]\n"
                            "Measures the rows whose names begin so, or all: the median and the "
                            "width of the middle half.\n";

struct options {
    bool helps, list;
    uint32_t threads;
    uint32_t samples;
    char **prefixes;
    int prefixes_count;
};

/* ---- measuring ------------------------------------------------------------------------------- */

static double seconds_of_runs(const struct bench_row *row, struct bench *bench, uint64_t runs)
{
    const uint64_t start = clock_ns();
    for (uint64_t i = 0; i < runs; i++)
        row->run(bench);
    return (double)(clock_ns() - start) * 1e-9;
}

/* As many runs as make a sample long enough for the clock and for a scheduler's hiccup. */
static uint64_t runs_of_sample(const struct bench_row *row, struct bench *bench)
{
    uint64_t runs = 1;
    while (seconds_of_runs(row, bench, runs) * 1e9 < SAMPLE_NS && runs < 1u << 30)
        runs *= 2;
    return runs;
}

static struct probe_rate measure(const struct bench_row *row, struct bench *bench, uint32_t samples)
{
    double values[SAMPLES_MAX];
    const uint64_t runs = runs_of_sample(row, bench);
    for (uint32_t i = 0; i < samples; i++) {
        const double amount = bench->amount * (double)runs;
        const double seconds = seconds_of_runs(row, bench, runs);
        values[i] = row->kind == BENCH_RATE ? amount / seconds : seconds * 1e6 / amount;
    }
    return probe_summarize(values, samples);
}

/* Measures and prints one row. `peak` is in GB/s, 0 while it is unknown. */
static double print_row(const struct bench_row *row, struct pool *pool, uint32_t samples,
                        double peak)
{
    struct weir_error err = {0};
    struct bench bench = {.pool = pool, .amount = 1};
    if (row->open(&bench, row->variant, &err) != WEIR_OK) {
        printf("%-30s left out: %s\n", row->name, err.text);
        return 0;
    }
    const struct probe_rate result = measure(row, &bench, samples);
    row->close(&bench);
    printf("%-30s %10.2f %-9s %6.1f%%", row->name, result.median, row->unit, result.spread);
    if (peak > 0 && strcmp(row->unit, "GB/s") == 0)
        printf(" %6.1f%%", 100 * result.median / peak);
    printf("\n");
    fflush(stdout);
    return result.median;
}

/* ---- the table ------------------------------------------------------------------------------- */

static bool selected(const struct bench_row *row, const struct options *options)
{
    for (int i = 0; i < options->prefixes_count; i++) {
        if (strncmp(row->name, options->prefixes[i], strlen(options->prefixes[i])) == 0)
            return true;
    }
    return options->prefixes_count == 0;
}

static void print_machine(uint32_t threads)
{
    char name[256];
    cpu_name(name, sizeof name);
    char date[16];
    const time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%d", gmtime(&now));
    double load = 0; /* programs that ran in the last minute: more than a few tenths disturb */
    getloadavg(&load, 1);
    printf("%s, %s, %u threads, load %.1f\nweir %s (%s)\n\n", date, name, threads, load,
           weir_version(), weir_build_info());
}

static void print_table(const struct options *options, struct pool *pool)
{
    print_machine(options->threads);
    printf("%-30s %10s %-9s %7s %7s\n", "row", "median", "unit", "spread", "of peak");
    const double peak = print_row(&tables[0][0], pool, options->samples, 0);
    for (uint32_t table = 0; table < TABLES; table++) {
        for (const struct bench_row *row = tables[table]; row->name != NULL; row++) {
            if (row != &tables[0][0] && selected(row, options))
                print_row(row, pool, options->samples, peak);
        }
    }
}

static bool any_selected(const struct options *options)
{
    for (uint32_t table = 0; table < TABLES; table++) {
        for (const struct bench_row *row = tables[table]; row->name != NULL; row++) {
            if (selected(row, options))
                return true;
        }
    }
    return false;
}

static void print_names(void)
{
    for (uint32_t table = 0; table < TABLES; table++) {
        for (const struct bench_row *row = tables[table]; row->name != NULL; row++)
            printf("%s\n", row->name);
    }
}

/* ---- the command line ------------------------------------------------------------------------ */

/* A number of 1 to `max`; 0 if `text` is none. */
static uint32_t parse_number(const char *text, uint32_t max)
{
    char *end;
    const unsigned long value = strtoul(text, &end, 10);
    return *end == 0 && value <= max ? (uint32_t)value : 0;
}

static bool parse_options(struct options *options, int argc, char **argv)
{
    *options = (struct options){.threads = cpu_cores(), .samples = 15};
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        if (strcmp(argv[i], "--help") == 0)
            options->helps = true;
        else if (strcmp(argv[i], "--list") == 0)
            options->list = true;
        else if (strcmp(argv[i], "--threads") == 0 && i + 1 < argc)
            options->threads = parse_number(argv[++i], 4096);
        else if (strcmp(argv[i], "--samples") == 0 && i + 1 < argc)
            options->samples = parse_number(argv[++i], SAMPLES_MAX);
        else
            return false;
    }
    options->prefixes = argv + i;
    options->prefixes_count = argc - i;
    return options->threads > 0 && options->samples > 0;
}

int main(int argc, char **argv)
{
    struct options options;
    if (!parse_options(&options, argc, argv)) {
        fputs(usage, stderr);
        return 1;
    }
    if (options.helps) {
        fputs(usage, stdout);
        return 0;
    }
    if (options.list) {
        print_names();
        return 0;
    }
    if (!any_selected(&options)) {
        fprintf(stderr, "error: no row begins with that: --list names them\n");
        return 1;
    }
    struct weir_error err = {0};
    struct pool *pool;
    if (pool_open(&pool, options.threads, &err) != WEIR_OK) {
        fprintf(stderr, "error: %s\n", err.text);
        return 1;
    }
    print_table(&options, pool);
    pool_close(pool);
    return 0;
}
