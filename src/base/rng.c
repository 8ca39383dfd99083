/* SPDX-License-Identifier: MIT
 * Counter-based random numbers. Knows nothing of their use. */
#include "base/rng.h"

#include <math.h>
#include <sys/random.h>

#include "base/clock.h"

uint64_t rng_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    return rng_at(rng_key(seed, stream), index);
}

double rng_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(rng_bits(seed, stream, index) >> 11) * 0x1p-53;
}

double rng_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    const double two_pi = 6.283185307179586;
    const double u = rng_uniform(seed, stream, 2 * index);
    const double v = rng_uniform(seed, stream, 2 * index + 1);
    return sqrt(-2.0 * log(1.0 - u)) * cos(two_pi * v);
}

uint64_t rng_system_seed(void)
{
    uint64_t seed;
    if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed)
        seed = rng_mix(clock_ns());
    return seed;
}
