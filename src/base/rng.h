/* SPDX-License-Identifier: MIT
 * Random numbers that are a function of (seed, stream, index), so that nothing that is skipped,
 * repeated or run in another order can shift them. */
#ifndef BASE_RNG_H
#define BASE_RNG_H

#include <stdint.h>

/* 64 random bits: three rounds of the SplitMix64 finalizer (Steele, Lea, Flood 2014, figure 16,
 * variant 13 of Stafford) over the mixed key. */
uint64_t rng_bits(uint64_t seed, uint64_t stream, uint64_t index);

/* Uniform in [0, 1), 53 bits. */
double rng_uniform(uint64_t seed, uint64_t stream, uint64_t index);

/* Standard normal, by Box and Muller from two uniforms. */
double rng_normal(uint64_t seed, uint64_t stream, uint64_t index);

/* A seed from the system. */
uint64_t rng_system_seed(void);

#endif
