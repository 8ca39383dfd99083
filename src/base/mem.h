/* SPDX-License-Identifier: MIT
 * Heap memory and checked sizes. All of the library's heap comes from here, so that a test can make
 * each allocation fail in turn. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include "base/err.h"

/* Sums and products of sizes from outside. False, and *out untouched, on overflow of 64 bits. */
static inline bool size_add(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out = sum;
    return true;
}

static inline bool size_mul(uint64_t a, uint64_t b, uint64_t *out)
{
    uint64_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out = product;
    return true;
}

/* `size` rounded up to a multiple of `alignment`, a power of two; the caller knows that it fits. */
static inline uint64_t size_align(uint64_t size, uint64_t alignment)
{
    return (size + alignment - 1) & ~(alignment - 1);
}

/* `count` zeroed objects of `size` bytes; NULL with `err` set when the product overflows or the
 * memory is not there. A count of 0 gives a valid pointer. Owned by the caller: mem_free. */
void *mem_alloc(uint64_t count, uint64_t size, struct weir_error *err);
void mem_free(void *memory);

/* A copy of `length` bytes with a zero behind it. */
char *mem_copy_text(const char *text, size_t length, struct weir_error *err);

/* A growing array: makes room for at least `count` objects of `size` bytes in *array, which holds
 * room for *capacity now, doubling. The array may move; new bytes are not zeroed. */
enum weir_status mem_grow(void *array, uint64_t *capacity, uint64_t count, uint64_t size,
                          struct weir_error *err);

#endif
