/* SPDX-License-Identifier: MIT
 * Tests of what a text can become: words, files, and what all of them begin with.
 * Run alone: build/tests/weir-test complete_ */
#include "app/complete.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "alloc.h"
#include "test.h"

/* Names, each with a bar behind it, and the beginning behind the last. */
static void check_found(struct completion *found, const char *expected)
{
    char text[1024];
    size_t used = 0;
    const char *name = found->names.data;
    for (uint32_t i = 0; i < found->count; i++, name += strlen(name) + 1)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s|", name);
    snprintf(text + used, sizeof text - used, "%s",
             found->common.length > 0 ? found->common.data : "");
    CHECK_TEXT(text, expected);
    completion_release(found);
}

static void add_all(struct completion *found, const char *begin)
{
    static const char *const names[] = {"/save ", "/stats", "/system ", "/save-as"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        completion_add(found, begin, names[i]);
}

TEST(complete_words)
{
    struct completion found = {.count = 0};
    add_all(&found, "/s");
    check_found(&found, "/save |/stats|/system |/save-as|/s");
    add_all(&found, "/sa");
    check_found(&found, "/save |/save-as|/save");
    add_all(&found, "/st");
    check_found(&found, "/stats|/stats");
    add_all(&found, "/x");
    check_found(&found, "");
    add_all(&found, "/save-as-well");
    check_found(&found, "");
}

static void make(const char *folder, const char *name, bool is_folder)
{
    char path[4300];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    if (is_folder) {
        mkdir(path, 0700);
        return;
    }
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    fclose(stream);
}

TEST(complete_paths)
{
    struct completion found = {.count = 0};
    const char *folder = test_scratch("complete");
    char before[4096];
    mkdir(folder, 0700);
    make(folder, "old", true);
    make(folder, "one file", false);
    make(folder, "two", false);
    make(folder, ".one", false);
    CHECK(getcwd(before, sizeof before) != NULL && chdir(folder) == 0);
    completion_add_files(&found, "");
    check_found(&found, "old/|one file|two|");
    completion_add_files(&found, "o");
    check_found(&found, "old/|one file|o");
    completion_add_files(&found, "one");
    check_found(&found, "one file|one file");
    completion_add_files(&found, ".");
    check_found(&found, ".one|.one");
    completion_add_files(&found, "./old/../t");
    check_found(&found, "./old/../two|./old/../two");
    completion_add_files(&found, "old/");
    check_found(&found, "");
    completion_add_files(&found, "nowhere/");
    check_found(&found, "");
    CHECK(chdir(before) == 0);
}

/* A tilde before a slash is the folder that the environment names, and stays as it was typed. */
TEST(complete_paths_behind_a_tilde)
{
    struct completion found = {.count = 0};
    const char *folder = test_scratch("complete.home"), *home = getenv("HOME");
    char *before = home != NULL ? strdup(home) : NULL;
    mkdir(folder, 0700);
    make(folder, "old", true);
    make(folder, "~two", false);
    CHECK(setenv("HOME", folder, 1) == 0);
    completion_add_files(&found, "~/");
    check_found(&found, "~/old/|~/~two|~/");
    completion_add_files(&found, "~/o");
    check_found(&found, "~/old/|~/old/");
    CHECK(unsetenv("HOME") == 0);
    completion_add_files(&found, "~/");
    check_found(&found, "");
    if (before != NULL)
        CHECK(setenv("HOME", before, 1) == 0);
    free(before);
}

/* What there is no memory for fails, or is not found. */
static void complete_all(void *argument)
{
    struct completion found = {.count = 0};
    add_all(&found, argument);
    completion_add_files(&found, "/us");
    completion_add_files(&found, "~/");
    const bool has_failed = found.names.has_failed || found.common.has_failed;
    CHECK(alloc_failed() || !has_failed);
    completion_release(&found);
}

TEST(complete_allocations)
{
    static char begin[] = "/s";
    alloc_test(complete_all, begin);
}
