/* SPDX-License-Identifier: MIT
 * What all kernel files share. They are compiled once for each ISA level with LEVEL_ID set to it,
 * and export nothing but names that end in it. */
#ifndef CPU_KERNELS_KERNEL_H
#define CPU_KERNELS_KERNEL_H

#include "cpu/kernels.h"
#include "cpu/kernels/simd.h"

#if defined(LEVEL_ID)

#define KERNEL_JOIN(name, level) cpu_##name##_##level
#define KERNEL_NAME(name, level) KERNEL_JOIN(name, level)
#define KERNEL(name)             KERNEL_NAME(name, LEVEL_ID)

#define OP(id, function, operands, shares, meaning) cpu_op_fn KERNEL(function);
#include "plan/ops.def"
cpu_quantize_fn KERNEL(quantize);
bool KERNEL(tiles_work)(void);

/* Levels that have tiles (tile.h): AMX, as gcc and as clang 14 name it, or what stands for it. */
#if defined(TILES_EMULATED) || (defined(__AMX_BF16__) && defined(__AMX_INT8__)) ||                 \
    (defined(__AMXBF16__) && defined(__AMXINT8__))
#define HAS_TILES 1
#endif

/* For functions whose arguments are constants where they are called. */
#define INLINE static inline __attribute__((always_inline))

/* Before a loop over few rows whose sums belong into registers. Sanitizers look at each access by
 * itself, so that unrolled kernels would take minutes to compile. */
#if defined(NO_UNROLL)
#define UNROLL
#elif defined(__clang__)
#define UNROLL _Pragma("clang loop unroll(full)")
#else
#define UNROLL _Pragma("GCC unroll 16")
#endif

/* Before a loop that shall stay one. Where gcc sees all terms of a sum of whole numbers, it adds
 * them up in an order for which there are not enough registers. */
#if defined(__clang__)
#define ROLLED _Pragma("clang loop unroll(disable)")
#else
#define ROLLED _Pragma("GCC unroll 1")
#endif

static inline uint32_t least_of(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* ---- the end of a row: LANES numbers or fewer ------------------------------------------------ */

#if !defined(SIMD_SOME)
static inline vf vf_load_some(const float *p, uint32_t count)
{
    float lane[LANES] = {0};
    if (count == LANES)
        return vf_load(p);
    memcpy(lane, p, count * sizeof *p);
    return vf_load(lane);
}

static inline void vf_store_some(float *p, vf x, uint32_t count)
{
    float lane[LANES];
    if (count == LANES) {
        vf_store(p, x);
        return;
    }
    vf_store(lane, x);
    memcpy(p, lane, count * sizeof *p);
}
#endif

/* ---- sums of 16 bits ------------------------------------------------------------------------- */

/* vi_dot in two steps, for levels where whole numbers are first summed in 16 bits and then added to
 * sums of 32: that saves instructions there. Elsewhere both are the one that there is. */
#if defined(SIMD_SHORTS)
enum { HAS_SHORTS = 1 };
#else
enum { HAS_SHORTS = 0 };

static inline vi vi_dot_short(vi shorts, vi w, int32_t x)
{
    return vi_dot(shorts, w, x);
}

static inline vi vi_add_short(vi sum, vi shorts)
{
    return vi_add(sum, shorts);
}
#endif

/* ---- functions ------------------------------------------------------------------------------- */

/* e^x for x from -87 to 88; beyond, as at the end; NaN of NaN. Cephes' reduction by ln 2 in two
 * parts, then the Taylor series to the seventh term: within 2 units of the last place. */
static inline vf vf_exp(vf x)
{
    /* in this order: where one is NaN, x86 gives the second */
    const vf clamped = vf_min(vf_set(88.0f), vf_max(vf_set(-87.0f), x));
    const vf n = vf_round(vf_mul(clamped, vf_set(1.44269504f)));
    vf r = vf_fma(n, vf_set(-0.693359375f), clamped);
    r = vf_fma(n, vf_set(2.12194440e-4f), r);
    vf sum = vf_set(1.0f / 5040);
    sum = vf_fma(sum, r, vf_set(1.0f / 720));
    sum = vf_fma(sum, r, vf_set(1.0f / 120));
    sum = vf_fma(sum, r, vf_set(1.0f / 24));
    sum = vf_fma(sum, r, vf_set(1.0f / 6));
    sum = vf_fma(sum, r, vf_set(0.5f));
    sum = vf_fma(sum, r, vf_set(1.0f));
    sum = vf_fma(sum, r, vf_set(1.0f));
    return vf_scale2(sum, n);
}

static inline vf vf_sigmoid(vf x)
{
    const vf one = vf_set(1.0f);
    return vf_div(one, vf_add(one, vf_exp(vf_sub(vf_set(0.0f), x))));
}

static inline vf vf_silu(vf x)
{
    return vf_mul(x, vf_sigmoid(x));
}

/* a . b: lane l over the elements i with i mod LANES = l, then the lanes in halves. */
static inline float dot_floats(const float *a, const float *b, uint32_t n)
{
    vf sum = vf_set(0.0f);
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        sum = vf_fma(vf_load(a + i), vf_load(b + i), sum);
    if (i < n)
        sum = vf_fma(vf_load_some(a + i, n - i), vf_load_some(b + i, n - i), sum);
    return vf_sum(sum);
}

#endif
#endif
