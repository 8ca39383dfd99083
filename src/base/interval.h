/* SPDX-License-Identifier: MIT
 * The confidence interval of a median, however the numbers are distributed. */
#ifndef BASE_INTERVAL_H
#define BASE_INTERVAL_H

#include <stdint.h>

/* The rank k, counted from 1, for which the k-th smallest and the k-th largest of `count` numbers
 * hold the median of what they are drawn from between them with a chance of at least 95%, as close
 * as can be. 0 if even the smallest and the largest do not: there are fewer than 6. */
uint32_t interval_rank(uint32_t count);

/* Sorts values[count] and sets the two that are said above, or the smallest and the largest.
 * `count` is at least 1. */
void interval_of_median(uint64_t *values, uint32_t count, uint64_t *low, uint64_t *high);

#endif
