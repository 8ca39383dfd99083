/* SPDX-License-Identifier: MIT
 * Tests of locks of names: one holder, whatever way leads to the file, and however it is replaced.
 * Run alone: build/tests/weir-test lock_ */
#include "base/lock.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "alloc.h"
#include "base/file.h"
#include "test.h"

static void write_file(const char *path, const char *text)
{
    struct file_writer writer;
    struct weir_error err = {0};
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(file_writer_put(&writer, text, strlen(text), &err), &err);
    CHECK_OK(file_writer_commit(&writer, &err), &err);
}

static void check_held(const char *path, const char *who)
{
    struct file_lock second;
    struct weir_error err = {0};
    char expected[4300];
    snprintf(expected, sizeof expected, "%s: in use by %s", path, who);
    CHECK_INT(file_lock_take(&second, path, "the second", &err), WEIR_ERR_IO);
    CHECK_TEXT(err.text, expected);
    file_lock_release(&second);
    err = (struct weir_error){0};
    CHECK_INT(file_lock_check(path, &err), WEIR_ERR_IO);
    CHECK_TEXT(err.text, expected);
}

TEST(lock_has_one_holder)
{
    const char *path = test_scratch("lock.held"), *link = test_scratch("lock.link");
    struct file_lock lock;
    struct weir_error err = {0};
    char file[4200], around[4200];
    snprintf(file, sizeof file, "%s.lock", path);
    snprintf(around, sizeof around, "%.*s/./%s", (int)(strrchr(path, '/') - path), path,
             strrchr(path, '/') + 1);
    unlink(path);
    unlink(link);
    CHECK(symlink(path, link) == 0);
    CHECK_OK(file_lock_check(path, &err), &err);
    CHECK(!file_exists(file));
    CHECK_OK(file_lock_take(&lock, path, "the first", &err), &err);
    check_held(path, "the first");
    check_held(around, "the first");
    check_held(link, "the first"); /* that leads to nothing yet */
    write_file(path, "one");       /* now it is there, and then another one */
    check_held(path, "the first");
    check_held(link, "the first");
    write_file(path, "two");
    check_held(link, "the first");
    CHECK(file_lock_is(&lock, around) && file_lock_is(&lock, link));
    CHECK(!file_lock_is(&lock, file));
    file_lock_release(&lock);
    file_lock_release(&lock); /* nothing is held any more */
    CHECK(!file_lock_is(&lock, path) && !file_exists(file));
    CHECK_OK(file_lock_take(&lock, link, "the next", &err), &err);
    check_held(path, "the next");
    file_lock_release(&lock);
}

/* A program that ended, however it did, holds nothing, be its file there. */
TEST(lock_ends_with_its_program)
{
    const char *path = test_scratch("lock.ended");
    struct file_lock lock;
    struct weir_error err = {0};
    char file[4200];
    snprintf(file, sizeof file, "%s.lock", path);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0)
        _exit(file_lock_take(&lock, path, "who has gone", NULL) == WEIR_OK ? 7 : 0);
    int status;
    CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
    CHECK(file_exists(file));
    CHECK_OK(file_lock_check(path, &err), &err);
    CHECK_OK(file_lock_take(&lock, path, "who is here", &err), &err);
    check_held(path, "who is here");
    file_lock_release(&lock);
    CHECK(!file_exists(file));
}

/* Who looks whether a name is held holds it back from nobody. */
TEST(lock_is_looked_at)
{
    const char *path = test_scratch("lock.looked");
    struct file_lock lock;
    struct weir_error err = {0};
    char file[4200], ready;
    int pipes[2], status;
    snprintf(file, sizeof file, "%s.lock", path);
    CHECK(pipe(pipes) == 0);
    fflush(NULL);
    const pid_t child = fork();
    if (child == 0) { /* as file_lock_check does, but longer */
        const int fd = open(file, O_RDWR | O_CREAT, 0600);
        const bool is_told = fd >= 0 && flock(fd, LOCK_SH) == 0 && write(pipes[1], "!", 1) == 1;
        usleep(20000);
        _exit(is_told ? 0 : 1);
    }
    CHECK(read(pipes[0], &ready, 1) == 1);
    CHECK_OK(file_lock_check(path, &err), &err);
    CHECK_OK(file_lock_take(&lock, path, "who waited", &err), &err);
    check_held(path, "who waited");
    file_lock_release(&lock);
    CHECK(waitpid(child, &status, 0) == child && status == 0);
    close(pipes[0]);
    close(pipes[1]);
}

/* Programs that take and give back at the same time are never two: each adds to a number, which
 * none of them may find changed. */
TEST(lock_is_never_held_twice)
{
    enum { PROGRAMS = 4, TURNS = 300 };
    const char *path = test_scratch("lock.turns");
    pid_t children[PROGRAMS];
    int status, sum = 0;
    write_file(path, "0");
    fflush(NULL);
    for (int i = 0; i < PROGRAMS; i++) {
        children[i] = fork();
        if (children[i] != 0)
            continue;
        for (int turn = 0; turn < TURNS;) {
            struct file_lock lock;
            if (file_lock_take(&lock, path, "a turn", NULL) != WEIR_OK)
                continue;
            char text[32];
            FILE *stream = fopen(path, "r+");
            const int before = stream != NULL && fgets(text, sizeof text, stream) != NULL
                                   ? (int)strtol(text, NULL, 10)
                                   : -1;
            if (before < 0)
                _exit(1);
            rewind(stream);
            fprintf(stream, "%d\n", before + 1);
            fclose(stream);
            file_lock_release(&lock);
            turn++;
        }
        _exit(0);
    }
    for (int i = 0; i < PROGRAMS; i++)
        CHECK(waitpid(children[i], &status, 0) == children[i] && status == 0);
    FILE *stream = fopen(path, "r");
    CHECK(stream != NULL && fscanf(stream, "%d", &sum) == 1);
    fclose(stream);
    CHECK_INT(sum, PROGRAMS * TURNS);
}

TEST(lock_refuses_what_is_none)
{
    const char *path = test_scratch("lock.odd");
    struct file_lock lock;
    struct weir_error err = {0};
    char file[4200], text[8400];
    snprintf(file, sizeof file, "%s.lock", path);
    unlink(file);
    CHECK(symlink("/nowhere", file) == 0); /* is not followed */
    CHECK_INT(file_lock_take(&lock, path, "me", &err), WEIR_ERR_IO);
    snprintf(text, sizeof text, "%s: cannot create %s: ", path, file);
    CHECK(strstr(err.text, text) == err.text);
    unlink(file);
    err = (struct weir_error){0};
    CHECK_INT(file_lock_take(&lock, "/nowhere/at/all", "me", &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "/nowhere/at/all: cannot create ") == err.text);
}

static void take_and_release(void *argument)
{
    struct file_lock lock;
    const enum weir_status status = file_lock_take(&lock, argument, "me", NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    if (status != WEIR_OK)
        return;
    const bool is_mine = file_lock_is(&lock, argument);
    CHECK(is_mine || alloc_failed());
    file_lock_release(&lock);
    const bool had_failed = alloc_failed();
    const enum weir_status checked = file_lock_check(argument, NULL);
    CHECK_INT(checked, alloc_failed() && !had_failed ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(lock_allocations)
{
    char path[4200];
    snprintf(path, sizeof path, "%s", test_scratch("lock.alloc"));
    alloc_test(take_and_release, path);
}
