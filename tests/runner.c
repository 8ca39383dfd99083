/* SPDX-License-Identifier: MIT
 * The test runner: runs every registered test, prints one line for each that fails or is skipped,
 * and ends with "N passed, N failed, N skipped". Knows no test.
 *
 * weir-test [--list] [--verbose] [--seed N] [--part I/N] [--data DIR] [--shared DIR]
 *     [--program FILE] [--minutes N] [PREFIX...]
 * --part 1/2 and --part 2/2 are two processes that run all tests between them. With --minutes the
 * tests run again and again, each time with the next seed, until one fails or the time is over. */
#include "test.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alloc.h"

enum { PATHS = 32, PATH_BYTES = 4096 };

static struct test *tests;
static jmp_buf test_end;
enum outcome { PASSED, FAILED, SKIPPED };

static struct {
    const char *data, *shared, *program;
    char scratch[64];
    uint64_t seed;
    unsigned part, parts;
    unsigned minutes; /* 0: once */
    bool verbose;
    const struct test *running;
} run;

void test_register(struct test *test)
{
    struct test **at = &tests;
    while (*at != NULL && strcmp((*at)->name, test->name) < 0)
        at = &(*at)->next;
    test->next = *at;
    *at = test;
}

void test_fail(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("FAIL %s (%s:%d, --seed %llu): ", run.running->name, file, line,
           (unsigned long long)run.seed);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    longjmp(test_end, 1 + FAILED);
}

void test_skip(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    printf("SKIP %s: ", run.running->name);
    vprintf(format, args);
    printf("\n");
    va_end(args);
    longjmp(test_end, 1 + SKIPPED);
}

void test_check_text(const char *file, int line, const char *what, const char *actual,
                     const char *expected)
{
    if (strcmp(actual, expected) != 0)
        test_fail(file, line, "%s is\n  %s\nexpected\n  %s", what, actual, expected);
}

uint64_t test_seed(void)
{
    return run.seed;
}

static const char *path_join(const char *folder, const char *name)
{
    static char paths[PATHS][PATH_BYTES];
    static unsigned next;
    char *path = paths[next++ % PATHS];
    snprintf(path, PATH_BYTES, "%s/%s", folder, name);
    return path;
}

const char *test_data(const char *name)
{
    return path_join(run.data, name);
}

const char *test_shared(const char *name)
{
    const char *path = path_join(run.shared, name);
    if (access(path, R_OK) != 0)
        test_skip("shared/%s is not here", name);
    return path;
}

const char *test_scratch(const char *name)
{
    return path_join(run.scratch, name);
}

const char *test_program(void)
{
    return run.program;
}

uint8_t *test_read_file(const char *path, size_t *size)
{
    FILE *stream = fopen(path, "rb");
    if (stream == NULL)
        test_fail(__FILE__, __LINE__, "cannot open %s", path);
    fseek(stream, 0, SEEK_END);
    const long length = ftell(stream);
    rewind(stream);
    uint8_t *data = malloc((size_t)length + 1);
    const size_t got = data == NULL ? 0 : fread(data, 1, (size_t)length, stream);
    fclose(stream);
    if (data == NULL || got != (size_t)length)
        test_fail(__FILE__, __LINE__, "cannot read %s", path);
    data[length] = 0;
    *size = (size_t)length;
    return data;
}

double test_nmse(const float *a, const float *b, size_t count)
{
    double error = 0, power = 0;
    for (size_t i = 0; i < count; i++) {
        const double d = (double)a[i] - b[i];
        error += d * d;
        power += (double)b[i] * b[i];
    }
    return power > 0 ? error / power : error;
}

static enum outcome run_one(const struct test *test)
{
    run.running = test;
    alloc_fail_after(0); /* the test before may have ended in the middle */
    fflush(stdout);
    const int ended = setjmp(test_end);
    if (ended != 0)
        return (enum outcome)(ended - 1);
    test->run();
    return PASSED;
}

static bool selected(const struct test *test, char **prefixes, int count)
{
    for (int i = 0; i < count; i++) {
        if (strncmp(test->name, prefixes[i], strlen(prefixes[i])) == 0)
            return true;
    }
    return count == 0;
}

static void run_all(char **prefixes, int prefix_count, unsigned counts[3])
{
    unsigned number = 0;
    for (const struct test *test = tests; test != NULL; test = test->next) {
        if (!selected(test, prefixes, prefix_count) || number++ % run.parts != run.part - 1)
            continue;
        const time_t began = time(NULL);
        const enum outcome outcome = run_one(test);
        counts[outcome]++;
        if (run.verbose && outcome == PASSED)
            printf("ok   %s (%ld s)\n", test->name, (long)(time(NULL) - began));
    }
}

static void run_for_minutes(char **prefixes, int prefix_count, unsigned counts[3])
{
    const time_t end = time(NULL) + 60 * (time_t)run.minutes;
    do {
        run_all(prefixes, prefix_count, counts);
        run.seed++;
    } while (counts[FAILED] == 0 && time(NULL) < end);
}

static int remove_entry(const char *path, const struct stat *info, int type, struct FTW *walk)
{
    (void)info, (void)type, (void)walk;
    return remove(path);
}

static int parse_options(int argc, char **argv)
{
    int i = 1;
    for (; i < argc && strncmp(argv[i], "--", 2) == 0; i++) {
        const bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--verbose") == 0)
            run.verbose = true;
        else if (strcmp(argv[i], "--list") == 0)
            run.data = NULL;
        else if (strcmp(argv[i], "--seed") == 0 && has_value)
            run.seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--minutes") == 0 && has_value)
            run.minutes = (unsigned)strtoul(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--part") == 0 && has_value &&
                 sscanf(argv[i + 1], "%u/%u", &run.part, &run.parts) == 2 && run.part > 0 &&
                 run.part <= run.parts)
            i++;
        else if (strcmp(argv[i], "--data") == 0 && has_value)
            run.data = argv[++i];
        else if (strcmp(argv[i], "--shared") == 0 && has_value)
            run.shared = argv[++i];
        else if (strcmp(argv[i], "--program") == 0 && has_value)
            run.program = argv[++i];
        else {
            fprintf(stderr, "weir-test: unknown option %s\n", argv[i]);
            exit(2);
        }
    }
    return i;
}

int main(int argc, char **argv)
{
    run.data = "tests/data";
    run.shared = "../shared";
    run.program = "build/weir";
    run.seed = 1;
    run.part = run.parts = 1;
    const int first = parse_options(argc, argv);
    if (run.data == NULL) {
        for (const struct test *test = tests; test != NULL; test = test->next)
            printf("%s %s\n", test->name, test->file);
        return 0;
    }
    snprintf(run.scratch, sizeof run.scratch, "/tmp/weir-test-XXXXXX");
    if (mkdtemp(run.scratch) == NULL)
        return 2;
    unsigned counts[3] = {0};
    run_for_minutes(argv + first, argc - first, counts);
    nftw(run.scratch, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    printf("%u passed, %u failed, %u skipped\n", counts[PASSED], counts[FAILED], counts[SKIPPED]);
    return counts[FAILED] > 0;
}
