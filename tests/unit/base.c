/* SPDX-License-Identifier: MIT
 * Tests of the room base. Run alone: build/tests/weir-test base_ */
#include "test.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/file.h"
#include "base/folder.h"
#include "base/mem.h"
#include "base/names.h"
#include "base/pool.h"
#include "base/rng.h"
#include "base/utf8.h"

TEST(base_first_error_wins)
{
    struct weir_error err = {0};
    CHECK_INT(err_set(&err, WEIR_ERR_IO, "a\nb\xc2\x9b\xc2\xa9 %d", 1), WEIR_ERR_IO);
    CHECK_INT(err_set(&err, WEIR_ERR_FORMAT, "later"), WEIR_ERR_FORMAT);
    CHECK_INT(err.status, WEIR_ERR_IO);
    CHECK_TEXT(err.text, "a?b??\xc2\xa9 1"); /* U+009B begins a sequence of a terminal */
}

/* The end of a long line is shown, and is one of a character, wherever the line was cut. */
TEST(err_set_cuts_between_characters)
{
    static char text[20000];
    for (size_t shift = 0; shift < 3; shift++) {
        struct weir_error err = {0};
        for (size_t i = 0; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        err_set(&err, WEIR_ERR_IO, "%.*s%s", (int)shift, "ab", text);
        CHECK_INT(utf8_repaired_length((const uint8_t *)err.text, strlen(err.text)),
                  strlen(err.text));
        CHECK(strlen(err.text) > WEIR_ERROR_TEXT_MAX - 8);
    }
}

TEST(base_sizes_do_not_wrap)
{
    uint64_t out = 7;
    CHECK(!size_add(UINT64_MAX, 1, &out) && out == 7);
    CHECK(!size_mul(UINT64_MAX / 2 + 1, 2, &out) && out == 7);
    CHECK(size_mul(UINT64_MAX / 2, 2, &out) && out == UINT64_MAX - 1);
    struct weir_error err = {0};
    CHECK(mem_alloc(UINT64_MAX, 2, &err) == NULL);
    CHECK_INT(err.status, WEIR_ERR_MEMORY);
}

TEST(base_arrays_grow)
{
    int *array = NULL;
    uint64_t capacity = 0;
    struct weir_error err = {0};
    for (int i = 0; i < 1000; i++) {
        CHECK_OK(mem_grow(&array, &capacity, (uint64_t)i + 1, sizeof *array, &err), &err);
        array[i] = i;
    }
    for (int i = 0; i < 1000; i++)
        CHECK_INT(array[i], i);
    CHECK_INT(mem_grow(&array, &capacity, UINT64_MAX, sizeof *array, &err), WEIR_ERR_MEMORY);
    mem_free(array);
}

TEST(base_names_are_found)
{
    enum { COUNT = 3000 };
    static char texts[COUNT][16];
    struct names names = {0};
    struct weir_error err = {0};
    CHECK_INT(names_find(&names, (struct span){(const uint8_t *)"a", 1}), NAMES_NONE);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < COUNT; i++) {
            const int length = snprintf(texts[i], sizeof texts[i], "name.%d.x", i);
            const struct span name = {(const uint8_t *)texts[i], (size_t)length};
            bool added;
            CHECK_OK(names_add(&names, name, (uint64_t)i * 3 + round, &added, &err), &err);
            CHECK(added == (round == 0));
        }
    }
    CHECK_INT(names.count, COUNT);
    for (int i = 0; i < COUNT; i++) {
        const struct span name = {(const uint8_t *)texts[i], strlen(texts[i])};
        CHECK_INT(names_find(&names, name), i * 3);
        CHECK_INT(names_find(&names, (struct span){name.data, name.length - 1}), NAMES_NONE);
    }
    names_release(&names);
}

TEST(base_abandoned_file_leaves_nothing)
{
    struct file_writer writer;
    struct weir_error err = {0};
    const char *path = test_scratch("abandoned");
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(file_writer_put(&writer, "x", 1, &err), &err);
    char temporary[4200];
    snprintf(temporary, sizeof temporary, "%s", writer.path_temporary);
    CHECK(access(temporary, F_OK) == 0);
    file_writer_abandon(&writer);
    CHECK(access(temporary, F_OK) != 0);
    CHECK(access(path, F_OK) != 0);
}

TEST(base_written_file_reads_back)
{
    struct file_writer writer;
    struct weir_error err = {0};
    const char *path = test_scratch("written");
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(file_writer_put(&writer, "hello", 5, &err), &err);
    CHECK_OK(file_writer_commit(&writer, &err), &err);
    struct file_map map;
    CHECK_OK(file_map_open(&map, path, &err), &err);
    CHECK_INT(map.size, 5);
    CHECK(memcmp(map.data, "hello", 5) == 0);
    char part[8] = {0};
    CHECK_OK(file_map_read(&map, path, 1, part, 3, &err), &err);
    CHECK_TEXT(part, "ell");
    CHECK_INT(file_map_read(&map, path, 3, part, 3, &err), WEIR_ERR_IO);
    file_map_close(&map);
    uint8_t *data;
    size_t size;
    CHECK_INT(file_read_all(path, 4, &data, &size, &err), WEIR_ERR_IO);
    err = (struct weir_error){0};
    CHECK_OK(file_read_all(path, 5, &data, &size, &err), &err);
    CHECK_TEXT((char *)data, "hello");
    mem_free(data);
}

/* Writing to what is no regular file goes into it; a link's target is replaced, not the link; a
 * replaced file's permissions stay. */
TEST(base_file_writer_finishes_before_it_publishes)
{
    const char *path = test_scratch("finished");
    struct file_writer writer;
    struct weir_error err = {0};
    char temporary[4200];
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    snprintf(temporary, sizeof temporary, "%s", writer.path_temporary);
    CHECK_OK(file_writer_put(&writer, "x", 1, &err), &err);
    CHECK_OK(file_writer_finish(&writer, &err), &err);
    CHECK(writer.stream == NULL && file_exists(temporary) && !file_exists(path));
    file_writer_abandon(&writer);
    CHECK(!file_exists(temporary) && !file_exists(path));

    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(file_writer_finish(&writer, &err), &err);
    CHECK_OK(file_writer_publish(&writer, &err), &err);
    CHECK(!file_exists(temporary) && file_exists(path));
    file_writer_abandon(&writer);
    CHECK(file_exists(path));

    /* One that cannot be renamed is still abandoned whole. */
    CHECK_INT(remove(path), 0);
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(file_writer_finish(&writer, &err), &err);
    CHECK_INT(mkdir(path, 0700), 0);
    CHECK_INT(file_writer_publish(&writer, &err), WEIR_ERR_IO);
    file_writer_abandon(&writer);
    CHECK(!file_exists(temporary) && file_exists(path));
    CHECK_INT(rmdir(path), 0);
}

TEST(base_file_exists_sees_links)
{
    char path[4200];
    snprintf(path, sizeof path, "%s", test_scratch("dangling"));
    CHECK(!file_exists(path));
    CHECK_INT(symlink("/nowhere/at/all", path), 0);
    CHECK(file_exists(path));
    CHECK_INT(remove(path), 0);
}

TEST(base_file_writer_respects_what_is_there)
{
    struct file_writer writer;
    struct weir_error err = {0};
    struct stat info;
    char text[8] = {0};
    const char *fifo = test_scratch("fifo"), *link = test_scratch("link");
    const char *target = test_scratch("target");
    CHECK_INT(mkfifo(fifo, 0600), 0);
    const int reader = open(fifo, O_RDWR | O_NONBLOCK);
    CHECK_OK(file_writer_open(&writer, fifo, &err), &err);
    CHECK(writer.path_temporary == NULL);
    CHECK_OK(file_writer_put(&writer, "pipe", 4, &err), &err);
    CHECK_OK(file_writer_commit(&writer, &err), &err);
    CHECK_INT(read(reader, text, sizeof text), 4);
    CHECK_TEXT(text, "pipe");
    CHECK_OK(file_writer_open(&writer, fifo, &err), &err);
    file_writer_abandon(&writer);
    CHECK(stat(fifo, &info) == 0 && S_ISFIFO(info.st_mode));
    close(reader);
    struct file_map map;
    CHECK_INT(file_map_open(&map, fifo, &err), WEIR_ERR_IO); /* and does not wait */
    err = (struct weir_error){0};

    FILE *stream = fopen(target, "w");
    CHECK(stream != NULL && fclose(stream) == 0);
    CHECK(chmod(target, 0640) == 0 && symlink(target, link) == 0);
    CHECK_OK(file_writer_open(&writer, link, &err), &err);
    CHECK_OK(file_writer_put(&writer, "new", 3, &err), &err);
    CHECK_OK(file_writer_commit(&writer, &err), &err);
    CHECK(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(stat(target, &info) == 0 && info.st_size == 3);
    CHECK_INT(info.st_mode & 07777, 0640);
    CHECK(unlink(target) == 0); /* now the link leads to what will be there */
    CHECK_OK(file_writer_open(&writer, link, &err), &err);
    CHECK_OK(file_writer_commit(&writer, &err), &err);
    CHECK(lstat(link, &info) == 0 && S_ISLNK(info.st_mode));
    CHECK(stat(target, &info) == 0 && info.st_size == 0);
}

/* What a writer that was killed left does not stand in the way of one with its process number. */
TEST(base_folder_writer_has_its_own_temporary_folder)
{
    struct weir_error err = {0};
    struct folder_writer first, second;
    char path[4096], left[4200];
    snprintf(path, sizeof path, "%s", test_scratch("own-folder"));
    snprintf(left, sizeof left, "%s.tmp%ld", path, (long)getpid());
    CHECK(mkdir(left, 0777) == 0);
    CHECK_OK(folder_writer_open(&first, path, &err), &err);
    CHECK_OK(folder_writer_open(&second, path, &err), &err);
    CHECK_OK(folder_writer_commit(&first, &err), &err);
    folder_writer_abandon(&second);
    CHECK(rmdir(left) == 0 && rmdir(path) == 0);
}

/* /proc is a disk without a free byte, so a link to it can be told from its own folder. */
TEST(base_space_is_that_of_the_target)
{
    char fifo[4200], link[4200], inner[4200];
    struct weir_error err = {0};
    struct statvfs info;
    snprintf(fifo, sizeof fifo, "%s", test_scratch("space-fifo"));
    snprintf(link, sizeof link, "%s", test_scratch("space-link"));
    snprintf(inner, sizeof inner, "%s", test_scratch("space-inner"));
    CHECK(file_space(link) > 0 && file_space(link) < UINT64_MAX);
    CHECK(file_space("absent") > 0 && file_space("absent") < UINT64_MAX);
    CHECK(file_space("/nowhere/at/all") == UINT64_MAX);
    CHECK_OK(file_check_space(link, 1, &err), &err);
    CHECK_INT(file_check_space(link, UINT64_MAX - 1, &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "needs 18446744073709551614 bytes, the disk has ") != NULL);
    CHECK_INT(mkfifo(fifo, 0600), 0);
    CHECK(file_space(fifo) == UINT64_MAX);
    CHECK_INT(symlink(fifo, link), 0);
    CHECK(file_space(link) == UINT64_MAX);
    CHECK_OK(file_check_space(link, UINT64_MAX - 1, &err), &err);
    CHECK_INT(remove(fifo), 0);
    if (statvfs("/proc/self", &info) != 0 || info.f_bavail != 0)
        test_skip("/proc is no disk without a free byte");
    CHECK_INT(symlink("/proc/self/status", inner), 0);
    CHECK_INT(file_space(inner), 0);
    CHECK(remove(link) == 0 && remove(inner) == 0);
}

TEST(base_huge_pages_are_aligned_and_zero)
{
    struct weir_error err = {0};
    const uint64_t size = (3u << 20) + 5;
    uint8_t *memory = pages_alloc(size, &err);
    CHECK(memory != NULL);
    CHECK_INT((uintptr_t)memory % (2u << 20), 0);
    for (uint64_t i = 0; i < size; i += 4099)
        CHECK_INT(memory[i], 0);
    memory[size - 1] = 1;
    pages_free(memory, size);
}

struct sum_job {
    struct pool *pool;
    int values[4];
    int sums[4];
};

static void sum_in_two_phases(void *argument, uint32_t thread)
{
    struct sum_job *job = argument;
    job->values[thread] = (int)thread + 1;
    pool_barrier(job->pool);
    int sum = 0;
    for (uint32_t i = 0; i < pool_threads(job->pool); i++)
        sum += job->values[i];
    job->sums[thread] = sum;
}

TEST(base_pool_runs_all_threads_and_barriers)
{
    for (uint32_t threads = 1; threads <= 4; threads++) {
        struct weir_error err = {0};
        struct sum_job job = {0};
        CHECK_OK(pool_open(&job.pool, threads, &err), &err);
        for (int round = 0; round < 200; round++) {
            memset(job.values, 0, sizeof job.values);
            pool_run(job.pool, sum_in_two_phases, &job);
            for (uint32_t i = 0; i < threads; i++)
                CHECK_INT(job.sums[i], threads * (threads + 1) / 2);
        }
        pool_close(job.pool);
    }
}

static void nap_in_turn(void *argument, uint32_t thread)
{
    struct sum_job *job = argument;
    const struct timespec nap = {.tv_nsec = 500000}; /* ten times as long as others spin */
    for (uint32_t late = 0; late < pool_threads(job->pool); late++) {
        if (thread == late)
            nanosleep(&nap, NULL);
        job->values[thread]++;
        pool_barrier(job->pool);
        for (uint32_t i = 0; i < pool_threads(job->pool); i++)
            job->sums[thread] += job->values[i];
        pool_barrier(job->pool);
    }
}

/* Whoever is late, a worker or the caller, finds the others asleep and wakes them. */
TEST(base_pool_wakes_who_sleeps)
{
    for (uint32_t threads = 2; threads <= 4; threads++) {
        struct weir_error err = {0};
        struct sum_job job = {0};
        CHECK_OK(pool_open(&job.pool, threads, &err), &err);
        for (int round = 0; round < 3; round++) {
            memset(job.values, 0, sizeof job.values);
            memset(job.sums, 0, sizeof job.sums);
            pool_run(job.pool, nap_in_turn, &job);
            for (uint32_t i = 0; i < threads; i++)
                CHECK_INT(job.sums[i], threads * threads * (threads + 1) / 2);
        }
        pool_close(job.pool);
    }
}

TEST(base_ticks_become_nanoseconds)
{
    const struct clock_moment first = {.ns = 5000, .ticks = 100};
    const struct clock_moment last = {.ns = 6000, .ticks = 2600};
    for (uint64_t ticks = 100; ticks <= 5100; ticks++)
        CHECK_INT(clock_since(&first, &last, ticks), (ticks - 100) * 2 / 5);
}

/* However long the thread was away between them. */
TEST(base_moments_follow_each_other_on_both_clocks)
{
    if (!clock_has_ticks())
        test_skip("the system's clock is not the processor's");
    const struct clock_moment first = clock_moment(), middle = clock_moment();
    const struct clock_moment last = clock_moment();
    CHECK(first.ns <= middle.ns && middle.ns < last.ns);
    CHECK(first.ticks < middle.ticks && middle.ticks < last.ticks);
    CHECK(clock_since(&first, &last, middle.ticks) <= last.ns - first.ns);
}

TEST(base_random_numbers_are_uniform)
{
    /* 64 cells, 64 Ki draws: chi-square with 63 degrees of freedom exceeds 120 with p < 2e-5. */
    int cells[64] = {0};
    double normal_sum = 0, normal_squares = 0;
    for (uint64_t i = 0; i < 65536; i++) {
        cells[(int)(rng_uniform(test_seed(), 3, i) * 64)]++;
        const double x = rng_normal(test_seed(), 4, i);
        normal_sum += x;
        normal_squares += x * x;
    }
    double chi = 0;
    for (int i = 0; i < 64; i++)
        chi += (cells[i] - 1024.0) * (cells[i] - 1024.0) / 1024.0;
    CHECK(chi < 120);
    CHECK(fabs(normal_sum / 65536) < 5.0 / 256);
    CHECK(fabs(normal_squares / 65536 - 1) < 5 * sqrt(2.0) / 256);
    CHECK(rng_bits(1, 2, 3) == rng_bits(1, 2, 3));
    CHECK(rng_bits(1, 2, 3) != rng_bits(1, 3, 2));
}
