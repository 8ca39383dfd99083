/* SPDX-License-Identifier: MIT
 * The test runner's side of a test: TEST(name) { ... } registers a function; the checks below end
 * the test on failure. Run one alone: build/tests/weir-test NAME (a prefix is enough). */
#ifndef TESTS_TEST_H
#define TESTS_TEST_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "weir.h"

struct test {
    const char *name;
    const char *file;
    void (*run)(void);
    struct test *next;
};

void test_register(struct test *test);

#define TEST(id)                                                                                   \
    static void test_##id(void);                                                                   \
    __attribute__((constructor)) static void register_##id(void)                                   \
    {                                                                                              \
        static struct test test = {.name = #id, .file = __FILE__, .run = test_##id};               \
        test_register(&test);                                                                      \
    }                                                                                              \
    static void test_##id(void)

/* Ends the test as failed, with a line. */
_Noreturn void test_fail(const char *file, int line, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Ends the test as skipped, with the reason. */
_Noreturn void test_skip(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Skips what takes long where each access is checked, and whose parts have tests of their own. */
static inline void test_skip_if_sanitized(void)
{
#if defined(__SANITIZE_ADDRESS__)
    test_skip("takes too long with the address sanitizer");
#endif
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition))                                                                          \
            test_fail(__FILE__, __LINE__, "%s", #condition);                                       \
    } while (0)

#define CHECK_OK(call, err)                                                                        \
    do {                                                                                           \
        const enum weir_status check_status_ = (call);                                             \
        if (check_status_ != WEIR_OK)                                                              \
            test_fail(__FILE__, __LINE__, "%s: status %d: %s", #call, (int)check_status_,          \
                      (err)->text);                                                                \
    } while (0)

#define CHECK_INT(actual, expected)                                                                \
    do {                                                                                           \
        const long long check_a_ = (long long)(actual), check_e_ = (long long)(expected);          \
        if (check_a_ != check_e_)                                                                  \
            test_fail(__FILE__, __LINE__, "%s is %lld, expected %lld", #actual, check_a_,          \
                      check_e_);                                                                   \
    } while (0)

#define CHECK_TEXT(actual, expected) test_check_text(__FILE__, __LINE__, #actual, actual, expected)
void test_check_text(const char *file, int line, const char *what, const char *actual,
                     const char *expected);

/* The run's seed (--seed N), for tests that draw random cases; printed with each failure. */
uint64_t test_seed(void);

/* The path of a file of the project's test data, in a static buffer of which 32 rotate:
 * test_data("golden/nano-f32.gguf"). */
const char *test_data(const char *name);
/* The same for the folder shared/ beside the checkout; skips the test where the file is absent. */
const char *test_shared(const char *name);
/* A path in a folder that is removed after the run. */
const char *test_scratch(const char *name);
/* The program under test. */
const char *test_program(void);

/* A whole file, allocated with malloc, a zero behind it; fails the test if it cannot be read. */
uint8_t *test_read_file(const char *path, size_t *size);

/* Normalised mean squared error: sum (a - b)^2 / sum b^2. */
double test_nmse(const float *a, const float *b, size_t count);

#endif
