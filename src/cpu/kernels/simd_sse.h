/* SPDX-License-Identifier: MIT
 * 4 lanes: SSE4.2, the least that an x86 of today has. */
#if defined(__SSE4_2__) /* empty where the compiler is not told of them */
#include <immintrin.h>

#include "format/codec.h"

enum { LANES = 4 };

typedef __m128 vf;
typedef __m128i vi;

/* ---- floats ---------------------------------------------------------------------------------- */

static inline vf vf_load(const float *p)
{
    return _mm_loadu_ps(p);
}

static inline void vf_store(float *p, vf x)
{
    _mm_storeu_ps(p, x);
}

static inline vf vf_set(float x)
{
    return _mm_set1_ps(x);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm_div_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm_min_ps(a, b);
}

/* a * b + c, rounded once where the level can. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm_add_ps(_mm_mul_ps(a, b), c);
}

static inline vf vf_round(vf x)
{
    return _mm_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_abs(vf x)
{
    return _mm_andnot_ps(_mm_set1_ps(-0.0f), x);
}

/* x * 2^n for whole n. */
static inline vf vf_scale2(vf x, vf n)
{
    const __m128i exponent = _mm_slli_epi32(_mm_cvtps_epi32(n), 23);
    return _mm_castsi128_ps(_mm_add_epi32(_mm_castps_si128(x), exponent));
}

static inline vf vf_from_f16(const void *p)
{
    uint16_t half[LANES];
    float lane[LANES];
    memcpy(half, p, sizeof half);
    for (int i = 0; i < LANES; i++)
        lane[i] = codec_from_f16(half[i]);
    return vf_load(lane);
}

static inline vf vf_from_bf16(const void *p)
{
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(_mm_loadl_epi64(p)), 16));
}

static inline void vf_to_f16(void *p, vf x)
{
    uint16_t half[LANES];
    float lane[LANES];
    vf_store(lane, x);
    for (int i = 0; i < LANES; i++)
        half[i] = codec_to_f16(lane[i]);
    memcpy(p, half, sizeof half);
}

/* out[i]: element i of LANES rows, `pitch` floats apart, of which each has four. */
static inline void vf_load_columns(const float *p, uint64_t pitch, vf out[4])
{
    for (uint32_t i = 0; i < 4; i++)
        out[i] = vf_load(p + i * pitch);
    _MM_TRANSPOSE4_PS(out[0], out[1], out[2], out[3]);
}

/* The lanes, added in halves: the order is fixed. */
static inline float vf_sum(vf x)
{
    const __m128 two = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* Lane l: vf_sum of x[l]. */
static inline vf vf_sums(const vf x[LANES])
{
    const vf even = _mm_add_ps(_mm_unpacklo_ps(x[0], x[2]), _mm_unpackhi_ps(x[0], x[2]));
    const vf odd = _mm_add_ps(_mm_unpacklo_ps(x[1], x[3]), _mm_unpackhi_ps(x[1], x[3]));
    return _mm_add_ps(_mm_unpacklo_ps(even, odd), _mm_unpackhi_ps(even, odd));
}

/* ---- whole numbers --------------------------------------------------------------------------- */

static inline vi vi_load(const void *p)
{
    return _mm_loadu_si128(p);
}

static inline void vi_store(void *p, vi x)
{
    _mm_storeu_si128(p, x);
}

static inline vi vi_set(int32_t x)
{
    return _mm_set1_epi32(x);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm_and_si128(a, b);
}

static inline vi vi_or(vi a, vi b)
{
    return _mm_or_si128(a, b);
}

static inline vi vi_xor(vi a, vi b)
{
    return _mm_xor_si128(a, b);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm_add_epi32(a, b);
}

/* Shifts lanes of 32 bits; what crosses from byte to byte is for the caller to mask. */
static inline vi vi_shift_right(vi x, int n)
{
    return _mm_srli_epi32(x, n);
}

static inline vi vi_shift_left(vi x, int n)
{
    return _mm_slli_epi32(x, n);
}

static inline vf vf_from_vi(vi x)
{
    return _mm_cvtepi32_ps(x);
}

/* LANES bytes as numbers. */
static inline vi vi_from_u8(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm_cvtepu8_epi32(_mm_cvtsi32_si128(four));
}

static inline vi vi_from_i8(const void *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    return _mm_cvtepi8_epi32(_mm_cvtsi32_si128(four));
}

static inline vi vi_from_u16(const void *p)
{
    return _mm_cvtepu16_epi32(_mm_loadl_epi64(p));
}

/* Each byte (0 to 15) by that of a table of 16 bytes. */
static inline vi vi_lookup(const int8_t table[16], vi x)
{
    return _mm_shuffle_epi8(_mm_loadu_si128((const void *)table), x);
}

/* The numbers of a table at the places `index`. */
static inline vi vi_gather(const uint16_t *table, vi index)
{
    return _mm_setr_epi32(table[_mm_cvtsi128_si32(index)], table[_mm_extract_epi32(index, 1)],
                          table[_mm_extract_epi32(index, 2)], table[_mm_extract_epi32(index, 3)]);
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
 * have at most 7 bits, so that two products fit into 16 bits. */
static inline vi vi_dot(vi sum, vi w, int32_t x)
{
    const vi shorts = _mm_maddubs_epi16(w, _mm_set1_epi32(x));
    return _mm_add_epi32(sum, _mm_madd_epi16(shorts, _mm_set1_epi16(1)));
}

/* The same in two steps: first sums of 16 bits, two to a lane, which the caller keeps below 2^15,
 * then what they add to a sum of vi_dot. */
#define SIMD_SHORTS

static inline vi vi_dot_short(vi shorts, vi w, int32_t x)
{
    return _mm_add_epi16(shorts, _mm_maddubs_epi16(w, _mm_set1_epi32(x)));
}

static inline vi vi_add_short(vi sum, vi shorts)
{
    return _mm_add_epi32(sum, _mm_madd_epi16(shorts, _mm_set1_epi16(1)));
}

/* vi_dot with signed w: there is no surplus. */
enum { SIGNED_BIAS = 0 };

static inline vi vi_dot_signed(vi sum, vi w, int32_t x)
{
    const vi turned = _mm_sign_epi8(_mm_set1_epi32(x), w);
    const vi shorts = _mm_maddubs_epi16(_mm_abs_epi8(w), turned);
    return _mm_add_epi32(sum, _mm_madd_epi16(shorts, _mm_set1_epi16(1)));
}
#endif
