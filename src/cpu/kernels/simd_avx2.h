/* SPDX-License-Identifier: MIT
 * 8 lanes: AVX2, FMA, F16C; where the compiler is told of it, VNNI: of AVX, or with VNNI_256, for
 * tests, that of AVX-512 on vectors of 32 bytes. */
#if defined(__AVX2__) /* empty where the compiler is not told of them */
#include <immintrin.h>

enum { LANES = 8 };

typedef __m256 vf;
typedef __m256i vi;

/* ---- floats ---------------------------------------------------------------------------------- */

static inline vf vf_load(const float *p)
{
    return _mm256_loadu_ps(p);
}

static inline void vf_store(float *p, vf x)
{
    _mm256_storeu_ps(p, x);
}

static inline vf vf_set(float x)
{
    return _mm256_set1_ps(x);
}

static inline vf vf_add(vf a, vf b)
{
    return _mm256_add_ps(a, b);
}

static inline vf vf_sub(vf a, vf b)
{
    return _mm256_sub_ps(a, b);
}

static inline vf vf_mul(vf a, vf b)
{
    return _mm256_mul_ps(a, b);
}

static inline vf vf_div(vf a, vf b)
{
    return _mm256_div_ps(a, b);
}

static inline vf vf_max(vf a, vf b)
{
    return _mm256_max_ps(a, b);
}

static inline vf vf_min(vf a, vf b)
{
    return _mm256_min_ps(a, b);
}

/* a * b + c, rounded once where the level can. */
static inline vf vf_fma(vf a, vf b, vf c)
{
    return _mm256_fmadd_ps(a, b, c);
}

static inline vf vf_round(vf x)
{
    return _mm256_round_ps(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline vf vf_abs(vf x)
{
    return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), x);
}

/* x * 2^n for whole n. */
static inline vf vf_scale2(vf x, vf n)
{
    const __m256i exponent = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    return _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(x), exponent));
}

static inline vf vf_from_f16(const void *p)
{
    return _mm256_cvtph_ps(_mm_loadu_si128(p));
}

static inline vf vf_from_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

static inline void vf_to_f16(void *p, vf x)
{
    _mm_storeu_si128(p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}

/* Four floats of each of the rows 0 and 4. */
static inline vf vf_load_fours(const float *p, uint64_t pitch)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(p)),
                                _mm_loadu_ps(p + 4 * pitch), 1);
}

/* out[i]: element i of LANES rows, `pitch` floats apart, of which each has four. */
static inline void vf_load_columns(const float *p, uint64_t pitch, vf out[4])
{
    const vf a = vf_load_fours(p, pitch), b = vf_load_fours(p + pitch, pitch);
    const vf c = vf_load_fours(p + 2 * pitch, pitch), d = vf_load_fours(p + 3 * pitch, pitch);
    const __m256d ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
    const __m256d cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
    const __m256d ab_high = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
    const __m256d cd_high = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
    out[0] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab, cd));
    out[1] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab, cd));
    out[2] = _mm256_castpd_ps(_mm256_unpacklo_pd(ab_high, cd_high));
    out[3] = _mm256_castpd_ps(_mm256_unpackhi_pd(ab_high, cd_high));
}

/* The lanes, added in halves: the order is fixed. */
static inline float vf_sum(vf x)
{
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps(x, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* Lane l: vf_sum of x[l]. */
static inline vf vf_sums(const vf x[LANES])
{
    vf half[4]; /* of x[i] and x[i + 4] */
    for (int i = 0; i < 4; i++)
        half[i] = _mm256_add_ps(_mm256_permute2f128_ps(x[i], x[i + 4], 0x20),
                                _mm256_permute2f128_ps(x[i], x[i + 4], 0x31));
    const vf even =
        _mm256_add_ps(_mm256_unpacklo_ps(half[0], half[2]), _mm256_unpackhi_ps(half[0], half[2]));
    const vf odd =
        _mm256_add_ps(_mm256_unpacklo_ps(half[1], half[3]), _mm256_unpackhi_ps(half[1], half[3]));
    return _mm256_add_ps(_mm256_unpacklo_ps(even, odd), _mm256_unpackhi_ps(even, odd));
}

/* ---- whole numbers --------------------------------------------------------------------------- */

static inline vi vi_load(const void *p)
{
    return _mm256_loadu_si256(p);
}

static inline void vi_store(void *p, vi x)
{
    _mm256_storeu_si256(p, x);
}

static inline vi vi_set(int32_t x)
{
    return _mm256_set1_epi32(x);
}

static inline vi vi_and(vi a, vi b)
{
    return _mm256_and_si256(a, b);
}

static inline vi vi_or(vi a, vi b)
{
    return _mm256_or_si256(a, b);
}

static inline vi vi_xor(vi a, vi b)
{
    return _mm256_xor_si256(a, b);
}

static inline vi vi_add(vi a, vi b)
{
    return _mm256_add_epi32(a, b);
}

/* Shifts lanes of 32 bits; what crosses from byte to byte is for the caller to mask. */
static inline vi vi_shift_right(vi x, int n)
{
    return _mm256_srli_epi32(x, n);
}

static inline vi vi_shift_left(vi x, int n)
{
    return _mm256_slli_epi32(x, n);
}

static inline vf vf_from_vi(vi x)
{
    return _mm256_cvtepi32_ps(x);
}

/* LANES bytes as numbers. */
static inline vi vi_from_u8(const void *p)
{
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(p));
}

static inline vi vi_from_i8(const void *p)
{
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(p));
}

static inline vi vi_from_u16(const void *p)
{
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(p));
}

/* Each byte (0 to 15) by that of a table of 16 bytes. */
static inline vi vi_lookup(const int8_t table[16], vi x)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(_mm_loadu_si128((const void *)table)),
                               x);
}

/* The numbers of a table at the places `index`; reads four bytes at each. */
static inline vi vi_gather(const uint16_t *table, vi index)
{
    const vi four = _mm256_i32gather_epi32((const int *)(const void *)table, index, 2);
    return _mm256_and_si256(four, _mm256_set1_epi32(0xffff));
}

/* Each half of 16 bits by that of a table of `points`; reads four bytes at each. */
static inline vi vi_lookup_pairs(const uint16_t *table, uint32_t points, vi pairs)
{
    const vi low = vi_gather(table, vi_and(pairs, vi_set(0xffff)));
    const vi high = vi_gather(table, vi_shift_right(pairs, 16));
    (void)points;
    return vi_or(low, vi_shift_left(high, 16));
}

#if defined(VNNI_256)
#define DPBUSD _mm256_dpbusd_epi32
#elif defined(__AVXVNNI__)
#define DPBUSD _mm256_dpbusd_avx_epi32
#endif

#if defined(DPBUSD)

/* sum += the products of each lane's four bytes with the four of x; codes of w count from 0. */
static inline vi vi_dot(vi sum, vi w, int32_t x)
{
    return DPBUSD(sum, w, _mm256_set1_epi32(x));
}

/* The same with w + SIGNED_BIAS for signed w: the caller takes the surplus off again. */
enum { SIGNED_BIAS = 128 };

static inline vi vi_dot_signed(vi sum, vi w, int32_t x)
{
    return vi_dot(sum, w, x);
}

#else

/* sum += the products of each lane's four bytes with the four of x; codes of w count from 0 and
 * have at most 7 bits, so that two products fit into 16 bits. */
static inline vi vi_dot(vi sum, vi w, int32_t x)
{
    const vi shorts = _mm256_maddubs_epi16(w, _mm256_set1_epi32(x));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1)));
}

/* The same in two steps: first sums of 16 bits, two to a lane, which the caller keeps below 2^15,
 * then what they add to a sum of vi_dot. */
#define SIMD_SHORTS

static inline vi vi_dot_short(vi shorts, vi w, int32_t x)
{
    return _mm256_add_epi16(shorts, _mm256_maddubs_epi16(w, _mm256_set1_epi32(x)));
}

static inline vi vi_add_short(vi sum, vi shorts)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1)));
}

/* vi_dot with signed w: there is no surplus. */
enum { SIGNED_BIAS = 0 };

static inline vi vi_dot_signed(vi sum, vi w, int32_t x)
{
    const vi turned = _mm256_sign_epi8(_mm256_set1_epi32(x), w);
    const vi shorts = _mm256_maddubs_epi16(_mm256_abs_epi8(w), turned);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(shorts, _mm256_set1_epi16(1)));
}

#endif
#endif
