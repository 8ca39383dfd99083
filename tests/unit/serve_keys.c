/* SPDX-License-Identifier: MIT
 * Keys of flags and of files. Run alone: build/tests/weir-test serve_keys_ */
#include "app/serve_keys.h"

#include <stdio.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

static const char *write_keys(const void *text, size_t length)
{
    const char *path = test_scratch("serve-keys");
    FILE *file = fopen(path, "w");
    CHECK(file != NULL && fwrite(text, 1, length, file) == length && fclose(file) == 0);
    return path;
}

static void check_keys(const char *flag, const char *text, const char *const *expected)
{
    struct options options;
    struct weir_error err = {0};
    options_init(&options);
    options.serve.keys = flag;
    options.serve.key_file = text == NULL ? NULL : write_keys(text, strlen(text));
    CHECK_OK(serve_keys_read(&options, &err), &err);
    const struct text_list *list = &options.serve.key_list;
    for (uint64_t i = 0; i < list->count; i++) {
        CHECK(expected[i] != NULL);
        CHECK_TEXT(list->items[i], expected[i]);
    }
    CHECK(expected[list->count] == NULL);
    options_release(&options);
}

TEST(serve_keys_of_flags_and_files)
{
    static const char *const none[] = {NULL}, *const one[] = {"one", NULL};
    static const char *const two[] = {"one", "two", NULL};
    static const char *const odd[] = {"a,b", "a b", "x#y", NULL};
    static const char *const hash[] = {"#one", NULL};
    check_keys(NULL, NULL, none);
    check_keys("one", NULL, one);
    check_keys("one,two", NULL, two);
    check_keys(" one , ,two,", NULL, two);
    check_keys("#one", NULL, hash);
    check_keys(NULL, "one", one);
    check_keys(NULL, "one\r\n\r\n  # no key\ntwo\t\n", two);
    check_keys("one", "two", two);
    check_keys(NULL, "a,b\na b\nx#y\n", odd);
}

TEST(serve_keys_that_are_none)
{
    static const char zero[] = "one\0two\n";
    struct options options;
    options_init(&options);
    options.serve.keys = " , ";
    CHECK_INT(serve_keys_read(&options, NULL), WEIR_ERR_ARGUMENT);
    options.serve.keys = NULL;
    options.serve.key_file = write_keys("#\n \n", 4);
    CHECK_INT(serve_keys_read(&options, NULL), WEIR_ERR_ARGUMENT);
    options.serve.key_file = write_keys("", 0);
    CHECK_INT(serve_keys_read(&options, NULL), WEIR_ERR_ARGUMENT);
    options.serve.key_file = write_keys(zero, sizeof zero - 1);
    CHECK_INT(serve_keys_read(&options, NULL), WEIR_ERR_FORMAT);
    options.serve.key_file = "/nowhere/at/all";
    CHECK_INT(serve_keys_read(&options, NULL), WEIR_ERR_IO);
    options_release(&options);
}

static void read_scenario(void *argument)
{
    struct options options;
    struct weir_error err = {0};
    options_init(&options);
    options.serve.keys = "one,two";
    options.serve.key_file = argument;
    const enum weir_status status = serve_keys_read(&options, &err);
    CHECK_INT(status != WEIR_OK, alloc_failed()); /* a stream that is not there is WEIR_ERR_IO */
    CHECK_INT(err.status, status);
    options_release(&options);
}

TEST(serve_keys_without_memory)
{
    char path[4096];
    snprintf(path, sizeof path, "%s", write_keys("three\nfour\n", 11));
    alloc_test(read_scenario, path);
}
