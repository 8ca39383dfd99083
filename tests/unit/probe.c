/* SPDX-License-Identifier: MIT
 * Tests of measuring the machine, but for its rates. Run alone: build/tests/weir-test probe_ */
#include "base/probe.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "base/cpu.h"
#include "base/probe_kernels.h"
#include "ops/tile_traps.h"
#include "test.h"

TEST(probe_summary_is_the_middle)
{
    double odd[] = {9, 1, 5, 4, 100}, even[] = {2, 8, 4, 6};
    struct probe_rate rate = probe_summarize(odd, 5);
    CHECK(rate.median == 5 && rate.spread == 100.0 * (9 - 4) / 5);
    rate = probe_summarize(even, 4);
    CHECK(rate.median == 5 && rate.spread == 100.0 * (6 - 4) / 5);
    rate = probe_summarize(even, 1);
    CHECK(rate.median == 2 && rate.spread == 0);
}

/* The features as the compiler's own library finds them. */
TEST(probe_features_are_those_of_the_processor)
{
    const uint32_t features = cpu_features();
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool avx512 = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
    CHECK(((features & CPU_AVX2) != 0) == avx2);
    CHECK(((features & CPU_AVX512) != 0) == (avx2 && avx512));
    CHECK(((features & CPU_AVX512_VNNI) != 0) ==
          (avx2 && avx512 && __builtin_cpu_supports("avx512vnni")));
#elif defined(__aarch64__)
    uint64_t isar0, isar1; /* registers that Linux lets programs read: Arm ARM, D19.2 */
    __asm__("mrs %0, ID_AA64ISAR0_EL1" : "=r"(isar0));
    __asm__("mrs %0, ID_AA64ISAR1_EL1" : "=r"(isar1));
    CHECK(((features & CPU_NEON) != 0) == ((isar0 >> 44 & 15) != 0));
    CHECK(((features & CPU_NEON_I8MM) != 0) == ((isar1 >> 52 & 15) != 0));
    CHECK(((features & CPU_NEON_BF16) != 0) == ((isar1 >> 44 & 15) != 0));
#else
    CHECK_INT(features, 0);
#endif
}

static struct cpu_set set_of(const uint16_t *cpus, uint32_t count)
{
    struct cpu_set set = {{0}};
    for (uint32_t i = 0; i < count; i++)
        set.bits[cpus[i] / 64] |= UINT64_C(1) << cpus[i] % 64;
    return set;
}

/* Each processor that may be used once, the first of all cores before the second of any. */
TEST(probe_places_are_the_allowed_processors)
{
    struct cpu_places places, some;
    cpu_places(&places, NULL);
    CHECK_INT(places.count, cpu_count());
    CHECK(places.cores >= 1 && places.cores <= places.count);
    CHECK_INT(cpu_cores(), places.cores);
    const struct cpu_set all = set_of(places.cpu, places.count);
    uint32_t bits = 0;
    for (uint32_t cpu = 0; cpu < CPU_SET_MAX; cpu++)
        bits += cpu_set_has(&all, cpu);
    CHECK_INT(bits, places.count);
    for (uint32_t i = 0; i < places.count; i++) {
        const struct cpu_set one = set_of(&places.cpu[i], 1);
        cpu_places(&some, &one);
        CHECK(some.count == 1 && some.cores == 1 && some.cpu[0] == places.cpu[i]);
    }
    const struct cpu_set cores = set_of(places.cpu, places.cores);
    cpu_places(&some, &cores);
    CHECK(some.count == places.cores && some.cores == places.cores);
}

/* Every thread reads its part, and all of it. */
TEST(probe_reads_every_byte_once)
{
    enum { THREADS = 3, LINES = 1000 };
    struct weir_error err = {0};
    struct pool *pool;
    CHECK_OK(pool_open(&pool, THREADS, &err), &err);
    struct probe_memory memory = {.size = LINES * 64};
    memory.data = calloc(LINES, 64);
    for (int i = 0; i < THREADS * PROBE_WAYS; i++) {
        memory.threads = (uint32_t)i / PROBE_WAYS + 1;
        memory.way = (enum probe_way)(i % PROBE_WAYS);
        const uint64_t part = LINES / memory.threads * 64;
        memory.sum = 0;
        memset(memory.data, 0, LINES * 64);
        probe_memory_fill(&memory, pool);
        CHECK_INT(probe_memory_read(&memory, pool), part * memory.threads);
        CHECK(memory.sum == part * memory.threads / 8 * UINT64_C(0x0101010101010101));
    }
    free(memory.data);
    pool_close(pool);
}

TEST(probe_rates_between_those_measured)
{
    const struct probe probe = {
        .reads = {{.threads = 1, .rate.median = 10},
                  {.threads = 2, .rate.median = 18},
                  {.threads = 6, .rate.median = 30}},
        .reads_count = 3,
    };
    static const double rates[] = {10, 10, 18, 21, 24, 27, 30, 30, 30};
    for (uint32_t threads = 0; threads < 9; threads++)
        CHECK(probe_read_rate(&probe, threads) == rates[threads]);
}

/* ---- arithmetic ------------------------------------------------------------------------------ */

enum { ROUNDS = 60 };

/* What the first lane of a kernel ends in: all its sums as numbers of 32 bits, added up. */
static uint32_t expected_lane(const struct probe_kernel *kernel)
{
    static const uint32_t pairs = 0x3f803f80, bytes = 0x02020202;
    const float f32 = 1 + ROUNDS, plain = 24, tiles = 32 * ROUNDS;
    float bf16;
    uint32_t bits;
    memcpy(&bf16, &pairs, sizeof bf16);
    for (int i = 0; i < ROUNDS; i++)
        bf16 += strcmp(kernel->name, "NEON-BFMMLA") == 0 ? 4 : 2;
    if (strcmp(kernel->name, "NEON-SMMLA") == 0)
        return 12 * (bytes + 8 * 2 * 2 * ROUNDS);
    if (strcmp(kernel->name, "AMX-INT8") == 0)
        return 64 * ROUNDS;
    if (strcmp(kernel->type, "int8") == 0)
        return (strcmp(kernel->name, "AVX2-MADDUBS") == 0 ? 8 : 12) * (bytes + 4 * 2 * 2 * ROUNDS);
    if (strcmp(kernel->name, "AMX-BF16") == 0) {
        memcpy(&bits, &tiles, sizeof bits);
        return bits;
    }
    if (strcmp(kernel->name, "128-bit") == 0) { /* sums that become 2, added as floats */
        memcpy(&bits, &plain, sizeof bits);
        return bits;
    }
    memcpy(&bits, strcmp(kernel->type, "bf16") == 0 ? &bf16 : &f32, sizeof bits);
    return 12 * bits;
}

TEST(probe_kernels_multiply_and_add)
{
    uint32_t features = cpu_features(), kernels = 0;
    const uint32_t tiles = CPU_AMX_INT8 | CPU_AMX_BF16;
    if ((features & tiles) != 0 && !cpu_allow_amx())
        features &= ~tiles;
    if (tile_traps_open())
        features |= tiles;
    for (const struct probe_kernel *kernel = probe_kernels(); kernel->name != NULL; kernel++) {
        uint8_t result[PROBE_RESULT_BYTES] = {0};
        uint32_t lane;
        if ((kernel->features & features) != kernel->features)
            continue;
        CHECK(strlen(kernel->type) < PROBE_NAME_MAX && strlen(kernel->name) < PROBE_NAME_MAX);
        kernel->run(ROUNDS, result);
        memcpy(&lane, result, sizeof lane);
        if (lane != expected_lane(kernel))
            test_fail(__FILE__, __LINE__, "%s: %x, expected %x", kernel->name, lane,
                      expected_lane(kernel));
        kernels++;
    }
    const char *invalid = tile_traps_fault();
    CHECK_TEXT(invalid == NULL ? "no fault" : invalid, "no fault");
    CHECK(kernels > 0 && kernels <= PROBE_PEAKS_MAX);
}

/* ---- refusals -------------------------------------------------------------------------------- */

static bool never(void)
{
    return false;
}

/* Cancelled at its first sample, it gives everything back. */
static void measure_cancelled(void *argument)
{
    struct probe probe;
    struct weir_error err = {0};
    (void)argument;
    const enum weir_status status = probe_measure(&probe, 2, never, &err);
    CHECK(status == WEIR_ERR_CANCELLED || (alloc_failed() && status == WEIR_ERR_MEMORY));
}

TEST(probe_gives_everything_back)
{
    alloc_test(measure_cancelled, NULL);
}
