/* SPDX-License-Identifier: MIT
 * Counter-based random numbers. Knows nothing of their use. */
#include "base/rng.h"

#include <math.h>
#include <sys/random.h>

#include "base/clock.h"

static uint64_t rng_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t rng_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    const uint64_t golden = 0x9e3779b97f4a7c15u; /* 2^64 over the golden ratio, odd */
    uint64_t z = rng_mix(seed + golden);
    z = rng_mix(z ^ (stream * golden));
    return rng_mix(z + (index + 1) * golden);
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
