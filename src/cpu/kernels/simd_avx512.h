/* SPDX-License-Identifier: MIT
 * 16 lanes: AVX-512 F, BW, DQ, VL, VNNI. */
#if defined(__AVX512VNNI__) /* empty where the compiler is not told of them */
#include <immintrin.h>

enum { LANES = 16 };

typedef __m512 vf;
typedef __m512i vi;

/* ---- floats ---------------------------------------------------------------------------------- */

static inline vf vf_load(const float *p)
{
    return _mm512_loadu_ps(p);
}

static inline void vf_store(float *p, vf x)
{
    _mm512_storeu_ps(p, x);
}

/* The first `count` lanes alone; the others are 0. */
#define SIMD_SOME

static inline vf vf_load_some(const float *p, uint32_t count)
{
    return _mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), p);
}

static inline void vf_store_some(float *p, vf x, uint32_t count)
{
    _mm512_mask_storeu_ps(p, (__mmask16)((1u << count) - 1), x);
}

static inline vf vf_set(float x)
{
    return _mm512_set1_ps(x);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm512_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm512_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm512_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm512_div_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm512_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm512_min_ps(a, b);
}

/* a * b + c, rounded once where the level can. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm512_fmadd_ps(a, b, c);
}

static inline vf vf_round(vf x)
{
    return _mm512_roundscale_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_abs(vf x)
{
    return _mm512_abs_ps(x);
}

/* x * 2^n for whole n. */
static inline vf vf_scale2(vf x, vf n)
{
    return _mm512_scalef_ps(x, n);
}

static inline vf vf_from_f16(const void *p)
{
    return _mm512_cvtph_ps(_mm256_loadu_si256(p));
}

static inline vf vf_from_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

static inline void vf_to_f16(void *p, vf x)
{
    _mm256_storeu_si256(p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* Four floats of each of the rows 0, 4, 8, 12. */
static inline vf vf_load_fours(const float *p, uint64_t pitch)
{
    vf x = _mm512_castps128_ps512(_mm_loadu_ps(p));
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 4 * pitch), 1);
    x = _mm512_insertf32x4(x, _mm_loadu_ps(p + 8 * pitch), 2);
    return _mm512_insertf32x4(x, _mm_loadu_ps(p + 12 * pitch), 3);
}

/* out[i]: element i of LANES rows, `pitch` floats apart, of which each has four. */
static inline void vf_load_columns(const float *p, uint64_t pitch, vf out[4])
{
    const vf a = vf_load_fours(p, pitch), b = vf_load_fours(p + pitch, pitch);
    const vf c = vf_load_fours(p + 2 * pitch, pitch), d = vf_load_fours(p + 3 * pitch, pitch);
    const __m512d ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
    const __m512d cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
    const __m512d ab_high = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
    const __m512d cd_high = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
    out[0] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd));
    out[1] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd));
    out[2] = _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high));
    out[3] = _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high));
}

/* The lanes, added in halves: the order is fixed. */
static inline float vf_sum(vf x)
{
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(x), _mm512_extractf32x8_ps(x, 1));
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* The halves of a, added, then those of b. */
static inline vf vf_halves(vf a, vf b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

/* The halves of the halves of a, added, then those of b. */
static inline vf vf_quarters(vf a, vf b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}

/* Lane l: vf_sum of x[l]. */
static inline vf vf_sums(const vf x[LANES])
{
    vf four[4]; /* of x[i], x[i + 4], x[i + 8], x[i + 12] */
    for (int i = 0; i < 4; i++)
        four[i] = vf_quarters(vf_halves(x[i], x[i + 4]), vf_halves(x[i + 8], x[i + 12]));
    const vf even =
        _mm512_add_ps(_mm512_unpacklo_ps(four[0], four[2]), _mm512_unpackhi_ps(four[0], four[2]));
    const vf odd =
        _mm512_add_ps(_mm512_unpacklo_ps(four[1], four[3]), _mm512_unpackhi_ps(four[1], four[3]));
    return _mm512_add_ps(_mm512_unpacklo_ps(even, odd), _mm512_unpackhi_ps(even, odd));
}

/* ---- whole numbers --------------------------------------------------------------------------- */

static inline vi vi_load(const void *p)
{
    return _mm512_loadu_si512(p);
}

static inline void vi_store(void *p, vi x)
{
    _mm512_storeu_si512(p, x);
}

static inline vi vi_set(int32_t x)
{
    return _mm512_set1_epi32(x);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm512_and_si512(a, b);
}

static inline vi vi_or(vi a, vi b)
{
    return _mm512_or_si512(a, b);
}

static inline vi vi_xor(vi a, vi b)
{
    return _mm512_xor_si512(a, b);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm512_add_epi32(a, b);
}

/* Shifts lanes of 32 bits; what crosses from byte to byte is for the caller to mask. */
static inline vi vi_shift_right(vi x, int n)
{
    return _mm512_srli_epi32(x, (unsigned)n);
}

static inline vi vi_shift_left(vi x, int n)
{
    return _mm512_slli_epi32(x, (unsigned)n);
}

static inline vf vf_from_vi(vi x)
{
    return _mm512_cvtepi32_ps(x);
}

/* LANES bytes as numbers. */
static inline vi vi_from_u8(const void *p)
{
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(p));
}

static inline vi vi_from_i8(const void *p)
{
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(p));
}

static inline vi vi_from_u16(const void *p)
{
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(p));
}

/* Each byte (0 to 15) by that of a table of 16 bytes. */
static inline vi vi_lookup(const int8_t table[16], vi x)
{
    return _mm512_shuffle_epi8(_mm512_broadcast_i32x4(_mm_loadu_si128((const void *)table)), x);
}

/* The numbers of a table at the places `index`; reads four bytes at each. */
static inline vi vi_gather(const uint16_t *table, vi index)
{
    return _mm512_and_si512(_mm512_i32gather_epi32(index, table, 2), _mm512_set1_epi32(0xffff));
}

/* Each half of 16 bits by that of a table of 64. */
static inline vi vi_lookup_64(const uint16_t *table, vi pairs)
{
    return _mm512_permutex2var_epi16(vi_load(table), pairs, vi_load(table + 32));
}

/* By that of a table of 256: the bits above those that choose of 64 choose among four. */
static inline vi vi_lookup_256(const uint16_t *table, vi pairs)
{
    const __mmask32 bit6 = _mm512_test_epi16_mask(pairs, _mm512_set1_epi16(64));
    const __mmask32 bit7 = _mm512_test_epi16_mask(pairs, _mm512_set1_epi16(128));
    const vi low =
        _mm512_mask_blend_epi16(bit6, vi_lookup_64(table, pairs), vi_lookup_64(table + 64, pairs));
    const vi high = _mm512_mask_blend_epi16(bit6, vi_lookup_64(table + 128, pairs),
                                            vi_lookup_64(table + 192, pairs));
    return _mm512_mask_blend_epi16(bit7, low, high);
}

/* Each half of 16 bits by that of a table of `points`. Up to 512 they are permuted, which takes a
 * third of the time of a gather; more are gathered, four bytes at each. */
static inline vi vi_lookup_pairs(const uint16_t *table, uint32_t points, vi pairs)
{
    if (points == 256)
        return vi_lookup_256(table, pairs);
    if (points == 512)
        return _mm512_mask_blend_epi16(_mm512_test_epi16_mask(pairs, _mm512_set1_epi16(256)),
                                       vi_lookup_256(table, pairs),
                                       vi_lookup_256(table + 256, pairs));
    const vi low = vi_gather(table, vi_and(pairs, vi_set(0xffff)));
    const vi high = vi_gather(table, vi_shift_right(pairs, 16));
    return vi_or(low, vi_shift_left(high, 16));
}

/* sum += the products of each lane's four bytes with the four of x; codes of w count from 0. */
static inline vi vi_dot(vi sum, vi w, int32_t x)
{
    return _mm512_dpbusd_epi32(sum, w, _mm512_set1_epi32(x));
}

/* The same with w + SIGNED_BIAS for signed w: the caller takes the surplus off again. */
enum { SIGNED_BIAS = 128 };

static inline vi vi_dot_signed(vi sum, vi w, int32_t x)
{
    return vi_dot(sum, w, x);
}

/* ---- halves: pairs of BF16 ------------------------------------------------------------------- */

/* 16 halves, and 16 that go with them, as pairs. */
static inline vi halves_paired(vi x)
{
    const vi order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8,
                                      23, 7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return _mm512_permutexvar_epi16(order, x);
}

/* A column of 16 rows at `p` and the one behind it as pairs: `count` numbers, the others are 0. */
static inline vi halves_of_columns(const void *p, uint32_t count)
{
    const __mmask32 some = count < 2 * LANES ? (1u << count) - 1 : 0xffffffff;
    return halves_paired(_mm512_maskz_loadu_epi16(some, p));
}

/* 32 numbers in BF16, those of `low` first: rounded to the nearest, ties to even; denormal ones are
 * 0, as they would be in a product, and NaN stays NaN. */
#if defined(__AVX512BF16__)
#define SIMD_HALVES

static inline vi halves_of(vf low, vf high)
{
    return (vi)_mm512_cvtne2ps_pbh(high, low);
}

/* `count` numbers; those behind are 0. */
static inline vi halves_of_floats(const float *p, uint32_t count)
{
    const vf low = vf_load_some(p, count < LANES ? count : LANES);
    const vf high = count > LANES ? vf_load_some(p + LANES, count - LANES) : vf_set(0.0f);
    return halves_of(low, high);
}

/* sum += the products of each lane's pair with x: the second numbers', then the first ones', each
 * rounded; denormal numbers count as 0. */
static inline vf halves_dot(vf sum, vi w, int32_t x)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)w, (__m512bh)_mm512_set1_epi32(x));
}

#elif defined(TILES_EMULATED)

/* The upper halves of the numbers, those below being anything. */
static inline vi halves_round(vf x)
{
    const vi bits = _mm512_castps_si512(x);
    const vi odd = vi_and(vi_shift_right(bits, 16), vi_set(1));
    const __mmask16 is_nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
    const __mmask16 is_small = _mm512_testn_epi32_mask(bits, vi_set(0x7f800000));
    const vi quiet = vi_or(bits, vi_set(0x00400000));
    const vi zero = vi_and(bits, vi_set((int)0x80000000));
    const vi rounded =
        _mm512_mask_mov_epi32(vi_add(bits, vi_add(odd, vi_set(0x7fff))), is_nan, quiet);
    return _mm512_mask_mov_epi32(rounded, is_small, zero);
}

static inline vi halves_of(vf low, vf high)
{
    const __m256i first = _mm512_cvtepi32_epi16(vi_shift_right(halves_round(low), 16));
    const __m256i second = _mm512_cvtepi32_epi16(vi_shift_right(halves_round(high), 16));
    return _mm512_inserti64x4(_mm512_castsi256_si512(first), second, 1);
}

#endif
#endif
