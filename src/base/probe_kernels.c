/* SPDX-License-Identifier: MIT
 * The loops. Knows neither threads nor clocks.
 *
 * Each has more independent sums than an instruction takes cycles times the instructions that start
 * in a cycle (10 for FMA on current processors), so that it waits for none. The instructions are
 * written out, since compilers copy sums from register to register. Functions are compiled for
 * their instructions one by one; the caller has asked the processor. */
#include "base/probe_kernels.h"

#include <string.h>

#include "base/cpu.h"

enum { SUMS = 12 };

/* ---- every processor ------------------------------------------------------------------------- */

typedef float float4 __attribute__((vector_size(16)));

static void f32_plain(uint64_t rounds, uint8_t result[PROBE_RESULT_BYTES])
{
    const float4 half = {0.5f, 0.5f, 0.5f, 0.5f}, one = {1, 1, 1, 1};
    float4 sum[SUMS], total = {0};
    for (int i = 0; i < SUMS; i++)
        sum[i] = one * (float)i;
    for (; rounds > 0; rounds--) {
        for (int i = 0; i < SUMS; i++)
            sum[i] = sum[i] * half + one;
    }
    for (int i = 0; i < SUMS; i++)
        total += sum[i];
    memcpy(result, &total, sizeof total);
}

#if defined(__x86_64__)

#define TARGET(isa) __attribute__((target(isa)))

typedef uint32_t lanes256 __attribute__((vector_size(32)));
typedef uint32_t lanes512 __attribute__((vector_size(64)));

/* ---- an instruction that multiplies and adds ------------------------------------------------- */

/* Twelve sums, to each of which the instruction adds the products of a vector with itself: lanes of
 * 32 bits that all hold `pattern`. */
#define KERNEL(function, isa, vector, pattern, instruction)                                        \
    static TARGET(isa) void function(uint64_t rounds, uint8_t result[PROBE_RESULT_BYTES])          \
    {                                                                                              \
        const vector a = (vector){0} + pattern;                                                    \
        vector s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a;                                     \
        vector s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;                                   \
        for (; rounds > 0; rounds--)                                                               \
            __asm__ volatile(instruction                                                           \
                             " %12, %12, %0\n\t" instruction " %12, %12, %1\n\t" instruction       \
                             " %12, %12, %2\n\t" instruction " %12, %12, %3\n\t" instruction       \
                             " %12, %12, %4\n\t" instruction " %12, %12, %5\n\t" instruction       \
                             " %12, %12, %6\n\t" instruction " %12, %12, %7\n\t" instruction       \
                             " %12, %12, %8\n\t" instruction " %12, %12, %9\n\t" instruction       \
                             " %12, %12, %10\n\t" instruction " %12, %12, %11"                     \
                             : "+v"(s0), "+v"(s1), "+v"(s2), "+v"(s3), "+v"(s4), "+v"(s5),         \
                               "+v"(s6), "+v"(s7), "+v"(s8), "+v"(s9), "+v"(s10), "+v"(s11)        \
                             : "v"(a));                                                            \
        const vector total = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;          \
        memcpy(result, &total, sizeof total);                                                      \
    }

KERNEL(f32_fma, "avx2,fma", lanes256, 0x3f800000, "vfmadd231ps")
KERNEL(f32_avx512, "avx512f", lanes512, 0x3f800000, "vfmadd231ps")
KERNEL(bf16_avx512, "avx512f,avx512bf16", lanes512, 0x3f803f80, "vdpbf16ps")
KERNEL(int8_avx_vnni, "avx2,avxvnni", lanes256, 0x02020202, "%{vex%} vpdpbusd")
KERNEL(int8_avx512_vnni, "avx512f,avx512vnni", lanes512, 0x02020202, "vpdpbusd")

/* ---- products of bytes without VNNI: three instructions -------------------------------------- */

enum { MADD_SUMS = 8 };

#define MADD(sum)                                                                                  \
    __asm__ volatile("vpmaddubsw %2, %2, %1\n\tvpmaddwd %3, %1, %1\n\tvpaddd %1, %0, %0"           \
                     : "+x"(sum), "=&x"(products)                                                  \
                     : "x"(a), "x"(ones))

static TARGET("avx2") void int8_madd(uint64_t rounds, uint8_t result[PROBE_RESULT_BYTES])
{
    const lanes256 a = (lanes256){0} + 0x02020202, ones = (lanes256){0} + 0x00010001;
    lanes256 s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a, s6 = a, s7 = a, products;
    for (; rounds > 0; rounds--) {
        MADD(s0);
        MADD(s1);
        MADD(s2);
        MADD(s3);
        MADD(s4);
        MADD(s5);
        MADD(s6);
        MADD(s7);
    }
    const lanes256 total = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7;
    memcpy(result, &total, sizeof total);
}

/* ---- tiles ----------------------------------------------------------------------------------- */

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, TILE_SUMS = 4 };

/* Tiles 0 to 3 are sums, 4 to 7 hold ones in pieces of 16 bits. The compiler knows no tiles, and so
 * uses none. */
static TARGET("amx-tile") void tiles_open(uint16_t ones)
{
    struct cpu_tile_config config = {.palette = 1};
    uint16_t data[TILE_ROWS * TILE_ROW_BYTES / 2];
    for (int i = 0; i < 8; i++) {
        config.row_bytes[i] = TILE_ROW_BYTES;
        config.rows[i] = TILE_ROWS;
    }
    for (size_t i = 0; i < sizeof data / sizeof data[0]; i++)
        data[i] = ones;
    __asm__ volatile("ldtilecfg %0" : : "m"(config));
    __asm__ volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\t"
                     "tilezero %%tmm2\n\ttilezero %%tmm3\n\t"
                     "tileloadd (%0,%1,1), %%tmm4\n\ttileloadd (%0,%1,1), %%tmm5\n\t"
                     "tileloadd (%0,%1,1), %%tmm6\n\ttileloadd (%0,%1,1), %%tmm7"
                     :
                     : "r"(data), "r"((uint64_t)TILE_ROW_BYTES)
                     : "memory");
}

static TARGET("amx-tile") void tiles_close(uint8_t result[PROBE_RESULT_BYTES])
{
    uint8_t sums[TILE_ROWS * TILE_ROW_BYTES];
    __asm__ volatile("tilestored %%tmm0, (%0,%1,1)"
                     :
                     : "r"(sums), "r"((uint64_t)TILE_ROW_BYTES)
                     : "memory");
    __asm__ volatile("tilerelease");
    memcpy(result, sums, PROBE_RESULT_BYTES);
}

static TARGET("amx-tile,amx-int8") void int8_amx(uint64_t rounds,
                                                 uint8_t result[PROBE_RESULT_BYTES])
{
    tiles_open(0x0101);
    for (; rounds > 0; rounds--)
        __asm__ volatile("tdpbusd %%tmm6, %%tmm4, %%tmm0\n\ttdpbusd %%tmm7, %%tmm4, %%tmm1\n\t"
                         "tdpbusd %%tmm6, %%tmm5, %%tmm2\n\ttdpbusd %%tmm7, %%tmm5, %%tmm3"
                         :
                         :
                         : "memory");
    tiles_close(result);
}

static TARGET("amx-tile,amx-bf16") void bf16_amx(uint64_t rounds,
                                                 uint8_t result[PROBE_RESULT_BYTES])
{
    tiles_open(0x3f80);
    for (; rounds > 0; rounds--)
        __asm__ volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\ttdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
                         "tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\ttdpbf16ps %%tmm7, %%tmm5, %%tmm3"
                         :
                         :
                         : "memory");
    tiles_close(result);
}

/* ---- the list -------------------------------------------------------------------------------- */

/* A multiplication and an addition for each product of a sum. */
static const struct probe_kernel kernels[] = {
    {"f32", "128-bit", 0, 2 * 4 * SUMS, f32_plain},
    {"f32", "AVX2-FMA", CPU_AVX2, 2 * 8 * SUMS, f32_fma},
    {"f32", "AVX512F", CPU_AVX512, 2 * 16 * SUMS, f32_avx512},
    {"bf16", "AVX512-BF16", CPU_AVX512_BF16, 2 * 32 * SUMS, bf16_avx512},
    {"bf16", "AMX-BF16", CPU_AMX_BF16, 2 * 16 * 16 * 32 * TILE_SUMS, bf16_amx},
    {"int8", "AVX2-MADDUBS", CPU_AVX2, 2 * 32 * MADD_SUMS, int8_madd},
    {"int8", "AVX-VNNI", CPU_AVX_VNNI, 2 * 32 * SUMS, int8_avx_vnni},
    {"int8", "AVX512-VNNI", CPU_AVX512_VNNI, 2 * 64 * SUMS, int8_avx512_vnni},
    {"int8", "AMX-INT8", CPU_AMX_INT8, 2 * 16 * 16 * 64 * TILE_SUMS, int8_amx},
    {0},
};

#elif defined(__aarch64__)

typedef uint32_t lanes128 __attribute__((vector_size(16)));

/* ---- an instruction that multiplies and adds ------------------------------------------------- */

#define ADD(sum, input) "%" #sum ".4s, %12." input ", %12." input "\n\t"
#define ADD2(add, a, b, in)                                                                        \
    add ADD(a, in)                                                                                 \
    add ADD(b, in)

/* Twelve sums, to each of which the instruction adds the products of a vector with itself: lanes of
 * 32 bits that all hold `pattern`, which it takes for `in`. */
#define KERNEL(function, extension, in, pattern, add)                                              \
    static void function(uint64_t rounds, uint8_t result[PROBE_RESULT_BYTES])                      \
    {                                                                                              \
        const lanes128 a = (lanes128){0} + pattern;                                                \
        lanes128 s0 = a, s1 = a, s2 = a, s3 = a, s4 = a, s5 = a;                                   \
        lanes128 s6 = a, s7 = a, s8 = a, s9 = a, s10 = a, s11 = a;                                 \
        for (; rounds > 0; rounds--)                                                               \
            __asm__ volatile(".arch armv8.2-a+" extension "\n\t" ADD2(add, 0, 1, in)               \
                                 ADD2(add, 2, 3, in) ADD2(add, 4, 5, in) ADD2(add, 6, 7, in)       \
                                     ADD2(add, 8, 9, in) ADD2(add, 10, 11, in)                     \
                             : "+w"(s0), "+w"(s1), "+w"(s2), "+w"(s3), "+w"(s4), "+w"(s5),         \
                               "+w"(s6), "+w"(s7), "+w"(s8), "+w"(s9), "+w"(s10), "+w"(s11)        \
                             : "w"(a));                                                            \
        const lanes128 total = s0 + s1 + s2 + s3 + s4 + s5 + s6 + s7 + s8 + s9 + s10 + s11;        \
        memcpy(result, &total, sizeof total);                                                      \
    }

KERNEL(f32_neon, "simd", "4s", 0x3f800000, "fmla ")
KERNEL(bf16_neon, "bf16", "8h", 0x3f803f80, "bfmmla ")
KERNEL(int8_dot, "dotprod", "16b", 0x02020202, "sdot ")
KERNEL(int8_matrix, "i8mm", "16b", 0x02020202, "smmla ")

/* ---- the list -------------------------------------------------------------------------------- */

/* Products of matrices are of 2 rows with 2: twice the sums of a dot product. */
static const struct probe_kernel kernels[] = {
    {"f32", "128-bit", 0, 2 * 4 * SUMS, f32_plain},
    {"f32", "NEON-FMLA", 0, 2 * 4 * SUMS, f32_neon},
    {"bf16", "NEON-BFMMLA", CPU_NEON_BF16, 2 * 16 * SUMS, bf16_neon},
    {"int8", "NEON-SDOT", CPU_NEON, 2 * 16 * SUMS, int8_dot},
    {"int8", "NEON-SMMLA", CPU_NEON_I8MM, 2 * 32 * SUMS, int8_matrix},
    {0},
};

#else

static const struct probe_kernel kernels[] = {
    {"f32", "128-bit", 0, 2 * 4 * SUMS, f32_plain},
    {0},
};

#endif

const struct probe_kernel *probe_kernels(void)
{
    return kernels;
}
