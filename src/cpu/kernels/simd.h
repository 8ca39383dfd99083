/* SPDX-License-Identifier: MIT
 * Vectors of one ISA level: what kernels are written in. A vector has LANES numbers of 32 bits;
 * its bytes are four to a lane. Everything is static: each level compiles its own. */
#ifndef CPU_KERNELS_SIMD_H
#define CPU_KERNELS_SIMD_H

#include <stdint.h>
#include <string.h>

#if defined(__AVX512VNNI__) && !defined(VNNI_256)
#include "cpu/kernels/simd_avx512.h"
#elif defined(__AVX2__)
#include "cpu/kernels/simd_avx2.h"
#elif defined(__SSE4_2__)
#include "cpu/kernels/simd_sse.h"
#elif defined(__ARM_FEATURE_DOTPROD)
#include "cpu/kernels/simd_neon.h"
#endif

#endif
