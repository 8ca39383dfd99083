/* SPDX-License-Identifier: MIT
 * 4 lanes: Advanced SIMD of Armv8.2 with dot products; where the compiler is told of them, products
 * of matrices of bytes too (I8MM). */
#if defined(__ARM_FEATURE_DOTPROD) /* empty where the compiler is not told of them */
#include <arm_neon.h>

enum { LANES = 4 };

typedef float32x4_t vf;
typedef int32x4_t vi;

/* ---- floats ---------------------------------------------------------------------------------- */

static inline vf vf_load(const float *p)
{
    return vld1q_f32(p);
}

static inline void vf_store(float *p, vf x)
{
    vst1q_f32(p, x);
}

static inline vf vf_set(float x)
{
    return vdupq_n_f32(x);
}

static inline vf vf_add(vf a, vf b)
{
    return vaddq_f32(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return vsubq_f32(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return vmulq_f32(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return vdivq_f32(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return vmaxq_f32(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return vminq_f32(a, b);
}

/* a * b + c, rounded once where the level can. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return vfmaq_f32(c, a, b);
}

static inline vf vf_round(vf x)
{
    return vrndnq_f32(x);
}

static inline vf vf_abs(vf x)
{
    return vabsq_f32(x);
}

/* x * 2^n for whole n. */
static inline vf vf_scale2(vf x, vf n)
{
    const int32x4_t exponent = vshlq_n_s32(vcvtq_s32_f32(n), 23);
    return vreinterpretq_f32_s32(vaddq_s32(vreinterpretq_s32_f32(x), exponent));
}

static inline vf vf_from_f16(const void *p)
{
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

static inline vf vf_from_bf16(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

static inline void vf_to_f16(void *p, vf x)
{
    vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(x)));
}

/* out[i]: element i of LANES rows, `pitch` floats apart, of which each has four. */
static inline void vf_load_columns(const float *p, uint64_t pitch, vf out[4])
{
    const float32x4x2_t ab = vtrnq_f32(vf_load(p), vf_load(p + pitch));
    const float32x4x2_t cd = vtrnq_f32(vf_load(p + 2 * pitch), vf_load(p + 3 * pitch));
    out[0] = vcombine_f32(vget_low_f32(ab.val[0]), vget_low_f32(cd.val[0]));
    out[1] = vcombine_f32(vget_low_f32(ab.val[1]), vget_low_f32(cd.val[1]));
    out[2] = vcombine_f32(vget_high_f32(ab.val[0]), vget_high_f32(cd.val[0]));
    out[3] = vcombine_f32(vget_high_f32(ab.val[1]), vget_high_f32(cd.val[1]));
}

/* The lanes, added in halves: the order is fixed. */
static inline float vf_sum(vf x)
{
    const float32x2_t two = vadd_f32(vget_low_f32(x), vget_high_f32(x));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

/* Lane l: vf_sum of x[l]. */
static inline vf vf_sums(const vf x[LANES])
{
    const vf even = vaddq_f32(vzip1q_f32(x[0], x[2]), vzip2q_f32(x[0], x[2]));
    const vf odd = vaddq_f32(vzip1q_f32(x[1], x[3]), vzip2q_f32(x[1], x[3]));
    return vaddq_f32(vzip1q_f32(even, odd), vzip2q_f32(even, odd));
}

/* ---- whole numbers --------------------------------------------------------------------------- */

static inline vi vi_load(const void *p)
{
    return vreinterpretq_s32_u8(vld1q_u8(p));
}

static inline void vi_store(void *p, vi x)
{
    vst1q_u8(p, vreinterpretq_u8_s32(x));
}

static inline vi vi_set(int32_t x)
{
    return vdupq_n_s32(x);
}

static inline vi vi_and(vi a, vi b)
{
    return vandq_s32(a, b);
}

static inline vi vi_or(vi a, vi b)
{
    return vorrq_s32(a, b);
}

static inline vi vi_xor(vi a, vi b)
{
    return veorq_s32(a, b);
}

static inline vi vi_add(vi a, vi b)
{
    return vaddq_s32(a, b);
}

/* Shifts lanes of 32 bits; what crosses from byte to byte is for the caller to mask. */
static inline vi vi_shift_right(vi x, int n)
{
    return vreinterpretq_s32_u32(vshlq_u32(vreinterpretq_u32_s32(x), vdupq_n_s32(-n)));
}

static inline vi vi_shift_left(vi x, int n)
{
    return vshlq_s32(x, vdupq_n_s32(n));
}

static inline vf vf_from_vi(vi x)
{
    return vcvtq_f32_s32(x);
}

/* LANES bytes as numbers. */
static inline vi vi_from_u8(const void *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    const uint16x8_t wide = vmovl_u8(vreinterpret_u8_u32(vdup_n_u32(four)));
    return vreinterpretq_s32_u32(vmovl_u16(vget_low_u16(wide)));
}

static inline vi vi_from_i8(const void *p)
{
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vmovl_s16(vget_low_s16(vmovl_s8(vreinterpret_s8_u32(vdup_n_u32(four)))));
}

static inline vi vi_from_u16(const void *p)
{
    return vreinterpretq_s32_u32(vmovl_u16(vreinterpret_u16_u8(vld1_u8(p))));
}

/* Each byte (0 to 15) by that of a table of 16 bytes. */
static inline vi vi_lookup(const int8_t table[16], vi x)
{
    return vreinterpretq_s32_s8(vqtbl1q_s8(vld1q_s8(table), vreinterpretq_u8_s32(x)));
}

/* The numbers of a table at the places `index`. */
static inline vi vi_gather(const uint16_t *table, vi index)
{
    const int32_t four[LANES] = {table[vgetq_lane_s32(index, 0)], table[vgetq_lane_s32(index, 1)],
                                 table[vgetq_lane_s32(index, 2)], table[vgetq_lane_s32(index, 3)]};
    return vld1q_s32(four);
}

/* Each half of 16 bits by that of a table of `points`. */
static inline vi vi_lookup_pairs(const uint16_t *table, uint32_t points, vi pairs)
{
    const vi low = vi_gather(table, vi_and(pairs, vi_set(0xffff)));
    const vi high = vi_gather(table, vi_shift_right(pairs, 16));
    (void)points;
    return vi_or(low, vi_shift_left(high, 16));
}

/* sum += the products of each lane's four bytes with the four of x; codes of w count from 0 and
 * have at most 7 bits, since the instruction takes both for signed. */
static inline vi vi_dot(vi sum, vi w, int32_t x)
{
    return vdotq_s32(sum, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(vdupq_n_s32(x)));
}

/* The same with signed w: there is no surplus. */
enum { SIGNED_BIAS = 0 };

static inline vi vi_dot_signed(vi sum, vi w, int32_t x)
{
    return vi_dot(sum, w, x);
}

/* Products of pairs: 8 bytes each of two rows with 8 bytes each of two columns, in half the
 * instructions of vi_dot. */
#if defined(__ARM_FEATURE_MATMUL_INT8)
#define SIMD_PAIRS

/* Of two vectors with four bytes of each of four rows: eight of each of the first two, and of the
 * others. */
static inline void pairs_make(vi *a, vi *b)
{
    const vi first = vzip1q_s32(*a, *b);
    *b = vzip2q_s32(*a, *b);
    *a = first;
}

/* Eight bytes of a row of activations, then eight of another one. */
static inline vi pairs_load(const int8_t *a, const int8_t *b)
{
    return vreinterpretq_s32_s8(vcombine_s8(vld1_s8(a), vld1_s8(b)));
}

/* sum += rows times columns: lane 2 r + c has row r with column c. */
static inline vi pairs_dot(vi sum, vi rows, vi columns)
{
    return vmmlaq_s32(sum, vreinterpretq_s8_s32(rows), vreinterpretq_s8_s32(columns));
}

/* Of such sums of rows 0 and 1 and of rows 2 and 3: all four of column 0, and of column 1. */
static inline vi pairs_first(vi low, vi high)
{
    return vuzp1q_s32(low, high);
}

static inline vi pairs_second(vi low, vi high)
{
    return vuzp2q_s32(low, high);
}
#endif
#endif
