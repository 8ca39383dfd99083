/* SPDX-License-Identifier: MIT
 * Numbers sorted, the smallest first. */
#ifndef BASE_SORT_H
#define BASE_SORT_H

#include <stddef.h>
#include <stdint.h>

void sort_f64(double *values, size_t count); /* none of them NaN */
void sort_i64(int64_t *values, size_t count);
void sort_u64(uint64_t *values, size_t count);

#endif
