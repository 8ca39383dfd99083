/* SPDX-License-Identifier: MIT
 * The orders of numbers. Knows not what they count. */
#include "base/sort.h"

#include <stdlib.h>

static int compare_f64(const void *left, const void *right)
{
    const double *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static int compare_i64(const void *left, const void *right)
{
    const int64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

static int compare_u64(const void *left, const void *right)
{
    const uint64_t *a = left, *b = right;
    return (*a > *b) - (*a < *b);
}

void sort_f64(double *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_f64);
}

void sort_i64(int64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_i64);
}

void sort_u64(uint64_t *values, size_t count)
{
    qsort(values, count, sizeof *values, compare_u64);
}
