/* SPDX-License-Identifier: MIT
 * Functions under failing allocations. Run alone: build/tests/weir-test alloc_ */
#include "alloc.h"
#include "test.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"

/* ---- the tool itself ------------------------------------------------------------------------- */

TEST(alloc_fails_exactly_the_nth)
{
    struct weir_error err = {0};
    alloc_fail_after(2);
    void *first = mem_alloc(1, 1, &err);
    CHECK(first != NULL && !alloc_failed());
    CHECK(mem_alloc(1, 1, &err) == NULL && alloc_failed());
    CHECK_INT(err.status, WEIR_ERR_MEMORY);
    void *third = mem_alloc(1, 1, &err);
    CHECK(third != NULL);
    mem_free(first);
    mem_free(third);
}

TEST(alloc_counts_what_is_live)
{
    enum { BLOCKS = 10000 };
    struct weir_error err = {0};
    const struct alloc_live before = alloc_live();
    const uint64_t count = alloc_count();
    void **blocks = mem_alloc(BLOCKS, sizeof *blocks, &err);
    CHECK(blocks != NULL);
    for (int i = 0; i < BLOCKS; i++)
        blocks[i] = mem_alloc(1, 1 + (uint64_t)i % 100, &err);
    CHECK_INT(alloc_live().blocks, before.blocks + 1 + BLOCKS);
    CHECK_INT(alloc_count(), count + 1 + BLOCKS);
    for (int i = 0; i < BLOCKS; i += 2)
        mem_free(blocks[i]);
    CHECK_INT(alloc_live().blocks, before.blocks + 1 + BLOCKS / 2);
    for (int i = 1; i < BLOCKS; i += 2)
        mem_free(blocks[i]);
    mem_free(blocks);
    CHECK_INT(alloc_live().blocks, before.blocks);

    void *pages = pages_alloc(5, &err);
    CHECK(pages != NULL);
    CHECK_INT(alloc_live().mapped, before.mapped + (2u << 20));
    pages_free(pages, 5);
    CHECK_INT(alloc_live().mapped, before.mapped);
    CHECK_NO_ALLOC(mem_free(NULL));
}

/* A block of the C library passes through free without being counted as one of ours. */
TEST(alloc_ignores_foreign_blocks)
{
    const struct alloc_live before = alloc_live();
    char *foreign = strdup("x");
    CHECK_INT(alloc_live().blocks, before.blocks);
    free(foreign);
    CHECK_INT(alloc_live().blocks, before.blocks);
}

/* ---- base ------------------------------------------------------------------------------------ */

static void grow_array(void *argument)
{
    (void)argument;
    int *array = NULL;
    uint64_t capacity = 0;
    struct weir_error err = {0};
    for (uint64_t i = 0; i < 100; i++) {
        const enum weir_status status = mem_grow(&array, &capacity, i + 1, sizeof *array, &err);
        if (status != WEIR_OK) {
            CHECK_INT(status, WEIR_ERR_MEMORY);
            CHECK(alloc_failed() && capacity == i);
            break;
        }
        array[i] = (int)i;
    }
    for (uint64_t i = 0; i < capacity && i < 100; i++)
        CHECK_INT(array[i], i);
    mem_free(array);
}

TEST(alloc_growing_array)
{
    alloc_test(grow_array, NULL);
}

static void read_file(void *path)
{
    struct weir_error err = {0};
    uint8_t *data;
    size_t size;
    const enum weir_status status = file_read_all(path, 1 << 20, &data, &size, &err);
    CHECK_INT(err.status, status);
    CHECK_INT(status != WEIR_OK, alloc_failed());
    CHECK_INT(data == NULL, alloc_failed());
    CHECK(status != WEIR_OK || size == 200000);
    mem_free(data);
}

static void map_file(void *path)
{
    struct weir_error err = {0};
    struct file_map map;
    const enum weir_status status = file_map_open(&map, path, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_IO : WEIR_OK);
    CHECK_INT(err.status, status);
    CHECK_INT(map.data == NULL, alloc_failed());
    file_map_close(&map);
}

static void write_file(void *path)
{
    static const char data[200000];
    struct weir_error err = {0};
    struct file_writer writer;
    enum weir_status status = file_writer_open(&writer, path, &err);
    if (status == WEIR_OK) {
        CHECK_OK(file_writer_put(&writer, data, sizeof data, &err), &err);
        CHECK_OK(file_writer_commit(&writer, &err), &err);
    }
    CHECK_INT(status != WEIR_OK, alloc_failed());
    CHECK_INT(err.status, status);
    file_writer_abandon(&writer);
    CHECK_INT(access(path, F_OK) == 0, !alloc_failed());
    remove(path);
}

TEST(alloc_files)
{
    char path[4200];
    snprintf(path, sizeof path, "%s", test_scratch("alloc"));
    alloc_test(write_file, path);
    struct weir_error err = {0};
    struct file_writer writer;
    static const char data[200000];
    CHECK_OK(file_writer_open(&writer, path, &err), &err);
    CHECK_OK(file_writer_put(&writer, data, sizeof data, &err), &err);
    CHECK_OK(file_writer_commit(&writer, &err), &err);
    alloc_test(read_file, path);
    alloc_test(map_file, path);
}

static void take_pages(void *argument)
{
    (void)argument;
    struct weir_error err = {0};
    void *memory = pages_alloc(3 << 20, &err);
    CHECK_INT(memory == NULL, alloc_failed());
    CHECK_INT(err.status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    pages_free(memory, 3 << 20);
}

TEST(alloc_pages)
{
    alloc_test(take_pages, NULL);
}

static void count_thread(void *job, uint32_t thread)
{
    ((int *)job)[thread]++;
}

static void run_pool(void *argument)
{
    (void)argument;
    struct weir_error err = {0};
    struct pool *pool;
    const enum weir_status status = pool_open(&pool, 4, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK_INT(pool == NULL, alloc_failed());
    if (status == WEIR_OK) {
        int runs[4] = {0};
        CHECK_NO_ALLOC(pool_run(pool, count_thread, runs));
        for (int i = 0; i < 4; i++)
            CHECK_INT(runs[i], 1);
    }
    pool_close(pool);
}

TEST(alloc_pool)
{
    alloc_test(run_pool, NULL);
}
