/* SPDX-License-Identifier: MIT
 * The wrapped allocators (tests/meson.build lists them for the linker) and what they count. Knows
 * nothing of who allocates. */
#include "alloc.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test.h"

/* The linker's names. A call of NAME in the program arrives at __wrap_NAME; __real_NAME is the C
 * library's, or a sanitizer's. With 64-bit file offsets the headers say fopen64 and mmap64. */
typedef void *thread_fn(void *);
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void __real_free(void *block);
void *__real_mmap64(void *at, size_t length, int access, int flags, int fd, off_t offset);
int __real_munmap(void *at, size_t length);
FILE *__real_fopen64(const char *path, const char *mode);
int __real_fclose(FILE *stream);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attributes, thread_fn *fn, void *);
int __real_pthread_join(pthread_t id, void **result);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void __wrap_free(void *block);
void *__wrap_mmap(void *at, size_t length, int access, int flags, int fd, off_t offset);
void *__wrap_mmap64(void *at, size_t length, int access, int flags, int fd, off_t offset);
int __wrap_munmap(void *at, size_t length);
FILE *__wrap_fopen(const char *path, const char *mode);
FILE *__wrap_fopen64(const char *path, const char *mode);
int __wrap_fclose(FILE *stream);
int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, thread_fn *fn, void *);
int __wrap_pthread_join(pthread_t id, void **result);

/* The known blocks are a hash set with open addressing. It holds complements of addresses, so that
 * a leak checker that scans memory does not take the set for a reference; 0 is a free slot. */
static struct {
    pthread_mutex_t lock;
    uint64_t count;
    uint64_t fail_at; /* value of `count` at which to fail; 0: never */
    bool failed;
    struct alloc_live live; /* without files, which alloc_live counts */
    uintptr_t *slots;
    size_t slots_count; /* 0 or a power of two, at least twice live.blocks */
} heap = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ---- the set of blocks ----------------------------------------------------------------------- */

static size_t slot_home(uintptr_t entry)
{
    return (size_t)((uint64_t)entry * 0x9e3779b97f4a7c15u >> 20) & (heap.slots_count - 1);
}

static size_t slot_find(uintptr_t entry)
{
    size_t i = slot_home(entry);
    while (heap.slots[i] != 0 && heap.slots[i] != entry)
        i = (i + 1) & (heap.slots_count - 1);
    return i;
}

static void slots_grow(void)
{
    uintptr_t *old = heap.slots;
    const size_t old_count = heap.slots_count;
    heap.slots_count = old_count == 0 ? 4096 : old_count * 2;
    heap.slots = __real_calloc(heap.slots_count, sizeof *heap.slots);
    if (heap.slots == NULL)
        abort();
    for (size_t i = 0; i < old_count; i++) {
        if (old[i] != 0)
            heap.slots[slot_find(old[i])] = old[i];
    }
    __real_free(old);
}

static void block_insert(const void *block)
{
    if (heap.live.blocks * 2 >= heap.slots_count)
        slots_grow();
    const uintptr_t entry = ~(uintptr_t)block;
    const size_t i = slot_find(entry);
    heap.live.blocks += heap.slots[i] == 0;
    heap.slots[i] = entry;
}

/* True if the block was known. One that the C library allocated, for example in strdup, is not. */
static bool block_remove(const void *block)
{
    if (heap.slots_count == 0)
        return false;
    const uintptr_t entry = ~(uintptr_t)block;
    const size_t mask = heap.slots_count - 1;
    size_t hole = slot_find(entry);
    if (heap.slots[hole] == 0)
        return false;
    heap.live.blocks--;
    for (size_t i = (hole + 1) & mask; heap.slots[i] != 0; i = (i + 1) & mask) {
        /* An entry may fill the hole unless its search starts behind the hole. */
        if (((i - slot_home(heap.slots[i])) & mask) >= ((i - hole) & mask)) {
            heap.slots[hole] = heap.slots[i];
            hole = i;
        }
    }
    heap.slots[hole] = 0;
    return true;
}

/* ---- counting -------------------------------------------------------------------------------- */

/* Counts one allocation. True if it is the one that fails. */
static bool allocation_fails(void)
{
    pthread_mutex_lock(&heap.lock);
    heap.count++;
    const bool fails = heap.count == heap.fail_at;
    heap.failed |= fails;
    pthread_mutex_unlock(&heap.lock);
    return fails;
}

static void *block_taken(void *block)
{
    if (block == NULL)
        return NULL;
    pthread_mutex_lock(&heap.lock);
    block_insert(block);
    pthread_mutex_unlock(&heap.lock);
    return block;
}

static bool block_given_back(const void *block)
{
    if (block == NULL)
        return false;
    pthread_mutex_lock(&heap.lock);
    const bool known = block_remove(block);
    pthread_mutex_unlock(&heap.lock);
    return known;
}

/* Adds to one of the numbers of heap.live; `change` may stand for a negative number. */
static void live_add(uint64_t *number, uint64_t change)
{
    pthread_mutex_lock(&heap.lock);
    *number += change;
    pthread_mutex_unlock(&heap.lock);
}

static uint64_t whole_pages(size_t length)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
    return ((uint64_t)length + page - 1) / page * page;
}

static uint64_t open_files(void)
{
    DIR *folder = opendir("/proc/self/fd");
    if (folder == NULL)
        return 0;
    uint64_t files = 0;
    while (readdir(folder) != NULL)
        files++;
    closedir(folder);
    return files - 3; /* ".", ".." and the folder itself */
}

/* ---- the wrapped functions ------------------------------------------------------------------- */

void *__wrap_malloc(size_t size)
{
    if (!allocation_fails())
        return block_taken(__real_malloc(size));
    errno = ENOMEM;
    return NULL;
}

void *__wrap_calloc(size_t count, size_t size)
{
    if (!allocation_fails())
        return block_taken(__real_calloc(count, size));
    errno = ENOMEM;
    return NULL;
}

void *__wrap_realloc(void *block, size_t size)
{
    if (allocation_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    /* Forgotten before, since another thread may get the old address at once. */
    const bool known = block_given_back(block);
    void *moved = __real_realloc(block, size);
    if (moved == NULL && known)
        block_taken(block);
    return block_taken(moved);
}

void __wrap_free(void *block)
{
    block_given_back(block);
    __real_free(block);
}

void *__wrap_mmap64(void *at, size_t length, int access, int flags, int fd, off_t offset)
{
    if (allocation_fails()) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    void *memory = __real_mmap64(at, length, access, flags, fd, offset);
    if (memory != MAP_FAILED)
        live_add(&heap.live.mapped, whole_pages(length));
    return memory;
}

void *__wrap_mmap(void *at, size_t length, int access, int flags, int fd, off_t offset)
{
    return __wrap_mmap64(at, length, access, flags, fd, offset);
}

int __wrap_munmap(void *at, size_t length)
{
    const int result = __real_munmap(at, length);
    if (result == 0)
        live_add(&heap.live.mapped, -whole_pages(length));
    return result;
}

FILE *__wrap_fopen64(const char *path, const char *mode)
{
    if (allocation_fails()) {
        errno = ENOMEM;
        return NULL;
    }
    FILE *stream = __real_fopen64(path, mode);
    live_add(&heap.live.streams, stream != NULL);
    return stream;
}

FILE *__wrap_fopen(const char *path, const char *mode)
{
    return __wrap_fopen64(path, mode);
}

int __wrap_fclose(FILE *stream)
{
    live_add(&heap.live.streams, (uint64_t)-1);
    return __real_fclose(stream);
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, thread_fn *fn,
                          void *argument)
{
    if (allocation_fails())
        return EAGAIN;
    const int result = __real_pthread_create(id, attributes, fn, argument);
    live_add(&heap.live.threads, result == 0);
    return result;
}

int __wrap_pthread_join(pthread_t id, void **result)
{
    const int status = __real_pthread_join(id, result);
    live_add(&heap.live.threads, status == 0 ? (uint64_t)-1 : 0);
    return status;
}

/* ---- for tests ------------------------------------------------------------------------------- */

struct alloc_live alloc_live(void)
{
    pthread_mutex_lock(&heap.lock);
    struct alloc_live live = heap.live;
    pthread_mutex_unlock(&heap.lock);
    live.files = open_files();
    return live;
}

uint64_t alloc_count(void)
{
    pthread_mutex_lock(&heap.lock);
    const uint64_t count = heap.count;
    pthread_mutex_unlock(&heap.lock);
    return count;
}

void alloc_fail_after(uint64_t n)
{
    pthread_mutex_lock(&heap.lock);
    heap.fail_at = n == 0 ? 0 : heap.count + n;
    heap.failed = false;
    pthread_mutex_unlock(&heap.lock);
}

bool alloc_failed(void)
{
    pthread_mutex_lock(&heap.lock);
    const bool failed = heap.failed;
    pthread_mutex_unlock(&heap.lock);
    return failed;
}

static void check_live(const char *what, uint64_t n, uint64_t before, uint64_t after)
{
    if (after != before)
        test_fail(__FILE__, __LINE__, "allocation %llu fails: %s is %lld more than before",
                  (unsigned long long)n, what, (long long)(after - before));
}

void alloc_test(void (*scenario)(void *argument), void *argument)
{
    enum { ALLOCATIONS_MAX = 1000000 };
    for (uint64_t n = 1; n < ALLOCATIONS_MAX; n++) {
        const struct alloc_live before = alloc_live();
        alloc_fail_after(n);
        scenario(argument);
        const bool failed = alloc_failed();
        alloc_fail_after(0);
        const struct alloc_live after = alloc_live();
        check_live("number of heap blocks", n, before.blocks, after.blocks);
        check_live("number of mapped bytes", n, before.mapped, after.mapped);
        check_live("number of open streams", n, before.streams, after.streams);
        check_live("number of threads", n, before.threads, after.threads);
        check_live("number of open files", n, before.files, after.files);
        if (!failed)
            return;
    }
    test_fail(__FILE__, __LINE__, "no end after %d failures", ALLOCATIONS_MAX);
}
