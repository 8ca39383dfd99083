/* SPDX-License-Identifier: MIT
 * Heap memory and checked sizes. Knows nothing of what the memory is for. */
#include "base/mem.h"

#include <stdlib.h>
#include <string.h>

void *mem_alloc(uint64_t count, uint64_t size, struct weir_error *err)
{
    uint64_t bytes;
    if (!size_mul(count, size, &bytes) || bytes > PTRDIFF_MAX) {
        err_set(err, WEIR_ERR_MEMORY, "cannot allocate %llu objects of %llu bytes",
                (unsigned long long)count, (unsigned long long)size);
        return NULL;
    }
    void *memory = calloc(1, bytes == 0 ? 1 : (size_t)bytes);
    if (memory == NULL)
        err_set(err, WEIR_ERR_MEMORY, "out of memory: %llu bytes", (unsigned long long)bytes);
    return memory;
}

void mem_free(void *memory)
{
    free(memory);
}

char *mem_copy_text(const char *text, size_t length, struct weir_error *err)
{
    char *copy = mem_alloc((uint64_t)length + 1, 1, err);
    if (copy != NULL && length > 0)
        memcpy(copy, text, length);
    return copy;
}

enum weir_status mem_grow(void *array, uint64_t *capacity, uint64_t count, uint64_t size,
                          struct weir_error *err)
{
    if (count <= *capacity)
        return WEIR_OK;
    uint64_t larger = *capacity < 16 ? 16 : *capacity;
    while (larger < count) {
        if (!size_mul(larger, 2, &larger))
            return err_set(err, WEIR_ERR_MEMORY, "array of %llu objects is too large",
                           (unsigned long long)count);
    }
    uint64_t bytes;
    if (!size_mul(larger, size, &bytes) || bytes > PTRDIFF_MAX)
        return err_set(err, WEIR_ERR_MEMORY, "cannot allocate %llu objects of %llu bytes",
                       (unsigned long long)larger, (unsigned long long)size);
    void *old;
    memcpy(&old, array, sizeof old);
    void *moved = realloc(old, (size_t)bytes);
    if (moved == NULL)
        return err_set(err, WEIR_ERR_MEMORY, "out of memory: %llu bytes",
                       (unsigned long long)bytes);
    memcpy(array, &moved, sizeof moved);
    *capacity = larger;
    return WEIR_OK;
}
