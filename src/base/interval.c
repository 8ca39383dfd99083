/* SPDX-License-Identifier: MIT
 * Confidence intervals by order statistics. Knows nothing of what is measured. */
#include "base/interval.h"

#include "base/sort.h"

/* Each number lies below the median with a chance of 1/2, so B of them are binomial (count, 1/2),
 * and the median is outside of the k-th smallest to the k-th largest when B < k or count - B < k:
 * with a chance of 2 P(B < k). H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition,
 * section 7.1. The chances are found from the middle one downwards, in its units: the smallest
 * become 0 and matter no more. */
uint32_t interval_rank(uint32_t count)
{
    const uint32_t middle = count / 2;
    double below = 0; /* P(B <= middle) */
    double chance = 1;
    for (uint32_t i = middle; chance > 0; i--) {
        below += chance;
        chance *= (double)i / (double)(count - i + 1); /* 0 behind i = 0 */
    }
    const double all = 2 * below - (count % 2 == 0); /* the middle one is there once or twice */
    chance = 1;
    for (uint32_t i = middle; i > 0; i--) {
        below -= chance; /* P(B < i) */
        if (2 * below <= 0.05 * all)
            return i;
        chance *= (double)i / (double)(count - i + 1);
    }
    return 0;
}

void interval_of_median(uint64_t *values, uint32_t count, uint64_t *low, uint64_t *high)
{
    const uint32_t rank = interval_rank(count);
    sort_u64(values, count);
    *low = values[rank == 0 ? 0 : rank - 1];
    *high = values[rank == 0 ? count - 1 : count - rank];
}
