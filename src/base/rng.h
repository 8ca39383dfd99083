/* SPDX-License-Identifier: MIT
 * Random numbers that are a function of (seed, stream, index), so that nothing that is skipped,
 * repeated or run in another order can shift them. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

#define RNG_GOLDEN UINT64_C(0x9e3779b97f4a7c15) /* 2^64 over the golden ratio, odd */

/* The finalizer of SplitMix64 (Steele, Lea, Flood 2014, figure 16, variant 13 of Stafford). */
static inline uint64_t rng_mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* 64 random bits: rng_at(rng_key(seed, stream), index). */
uint64_t rng_bits(uint64_t seed, uint64_t stream, uint64_t index);

/* The two halves of rng_bits, for loops over the index. */
static inline uint64_t rng_key(uint64_t seed, uint64_t stream)
{
    return rng_mix(rng_mix(seed + RNG_GOLDEN) ^ (stream * RNG_GOLDEN));
}

static inline uint64_t rng_at(uint64_t key, uint64_t index)
{
    return rng_mix(key + (index + 1) * RNG_GOLDEN);
}

/* Uniform in [0, 1), 53 bits. */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Standard normal, by Box and Muller from two uniforms. */
double rng_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* A seed from the system. */
uint64_t rng_system_seed(void);

#endif
