/* SPDX-License-Identifier: MIT
 * What holds of all numbers of a row. */
#ifndef BASE_FLOATS_H
#define BASE_FLOATS_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Whether none is NaN or infinite. By their bits, in which compilers find vector code: a row of
 * logits has up to 250,000 numbers. */
static inline bool floats_are_finite(const float *numbers, uint32_t count)
{
    const uint32_t exponent = 0x7f800000;
    uint32_t found = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &numbers[i], sizeof bits);
        found |= (bits & exponent) == exponent;
    }
    return found == 0;
}

#endif
