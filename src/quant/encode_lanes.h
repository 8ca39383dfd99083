/* SPDX-License-Identifier: MIT
 * Four floats side by side, by the vector extensions that gcc and clang share: what they compute is
 * what four single floats would, on any machine. Searches put four trials of a scale side by side,
 * since the sums of one trial have a fixed order. Knows no format. */
#ifndef QUANT_ENCODE_LANES_H
#define QUANT_ENCODE_LANES_H

#include <stdbool.h>
#include <stdint.h>

enum { LANES = 4 };

typedef float lanes_f32 __attribute__((vector_size(16)));
typedef int32_t lanes_i32 __attribute__((vector_size(16))); /* also a mask: all bits or none */
typedef int64_t lanes_i64 __attribute__((vector_size(16)));

static inline lanes_f32 lanes_all(float value)
{
    return (lanes_f32){value, value, value, value};
}

static inline lanes_i32 lanes_select(lanes_i32 mask, lanes_i32 yes, lanes_i32 no)
{
    return (yes & mask) | (no & ~mask);
}

/* yes where the mask is set, else 0 */
static inline lanes_f32 lanes_where(lanes_i32 mask, lanes_f32 yes)
{
    return (lanes_f32)((lanes_i32)yes & mask);
}

static inline bool lanes_any(lanes_i32 mask)
{
    const lanes_i64 halves = (lanes_i64)mask;
    return (halves[0] | halves[1]) != 0;
}

static inline lanes_f32 lanes_abs(lanes_f32 x)
{
    return (lanes_f32)((lanes_i32)x & 0x7fffffff);
}

/* search_clamp(search_round(x), low, high), as floats. */
static inline lanes_f32 lanes_round(lanes_f32 x, int low, int high)
{
    lanes_i32 value = ((lanes_i32)(x + 12582912.0f) & 0x7fffff) - 0x400000;
    value = lanes_select(value < low, (lanes_i32){low, low, low, low}, value);
    value = lanes_select(value > high, (lanes_i32){high, high, high, high}, value);
    return __builtin_convertvector(value, lanes_f32);
}

#endif
