/* SPDX-License-Identifier: MIT
 * What the processor is, as Linux tells it. Knows nothing of the work. */
#include "base/cpu.h"

#include <hwloc.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#elif defined(__aarch64__)
#include <asm/hwcap.h>
#include <sys/auxv.h>
#endif

/* ---- processors ------------------------------------------------------------------------------ */

uint32_t cpu_count(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&allowed);
}

/* Cores and processors that this process may run on, nothing else; false if hwloc finds none. */
static bool topology_open(hwloc_topology_t *topology)
{
    const unsigned long flags =
        HWLOC_TOPOLOGY_FLAG_IS_THISSYSTEM | HWLOC_TOPOLOGY_FLAG_RESTRICT_TO_CPUBINDING;
    if (hwloc_topology_init(topology) != 0)
        return false;
    hwloc_topology_set_all_types_filter(*topology, HWLOC_TYPE_FILTER_KEEP_NONE);
    hwloc_topology_set_type_filter(*topology, HWLOC_OBJ_CORE, HWLOC_TYPE_FILTER_KEEP_ALL);
    hwloc_topology_set_flags(*topology, flags);
    if (hwloc_topology_load(*topology) == 0)
        return true;
    hwloc_topology_destroy(*topology);
    return false;
}

/* The `turn`-th processor of a core that is in the set; -1 if it has not so many. */
static int core_cpu(hwloc_const_cpuset_t core, const struct cpu_set *set, uint32_t turn)
{
    int cpu = hwloc_bitmap_first(core);
    cpu_set_t allowed; /* hwloc knows of the process, and the thread may have less */
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return -1;
    for (; cpu >= 0; cpu = hwloc_bitmap_next(core, cpu)) {
        if (CPU_ISSET((size_t)cpu, &allowed) && cpu_set_has(set, (uint32_t)cpu) && turn-- == 0)
            return cpu;
    }
    return -1;
}

/* Adds the `turn`-th processor of each core, beginning with core `first`; false if there is none.
 */
static bool add_turn(struct cpu_places *places, hwloc_topology_t topology,
                     const struct cpu_set *set, uint32_t first, uint32_t turn)
{
    const int depth = hwloc_get_type_depth(topology, HWLOC_OBJ_CORE);
    const hwloc_obj_type_t type = depth < 0 ? HWLOC_OBJ_PU : HWLOC_OBJ_CORE;
    const uint32_t cores = (uint32_t)hwloc_get_nbobjs_by_type(topology, type);
    const uint32_t before = places->count;
    for (uint32_t i = 0; i < cores && places->count < CPU_SET_MAX; i++) {
        const hwloc_obj_t core = hwloc_get_obj_by_type(topology, type, (first + i) % cores);
        const int cpu = core_cpu(core->cpuset, set, turn);
        if (cpu >= 0)
            places->cpu[places->count++] = (uint16_t)cpu;
    }
    return places->count > before;
}

/* The number of the core that the calling thread is on: two programs that start on an idle machine
 * begin at different ones. */
static uint32_t own_core(hwloc_topology_t topology)
{
    const int cpu = sched_getcpu();
    const hwloc_obj_t pu = cpu < 0 ? NULL : hwloc_get_pu_obj_by_os_index(topology, (unsigned)cpu);
    const hwloc_obj_t core =
        pu == NULL ? NULL : hwloc_get_ancestor_obj_by_type(topology, HWLOC_OBJ_CORE, pu);
    return core != NULL ? core->logical_index : pu != NULL ? pu->logical_index : 0;
}

void cpu_places(struct cpu_places *out, const struct cpu_set *set)
{
    struct cpu_set all;
    hwloc_topology_t topology;
    *out = (struct cpu_places){0};
    memset(&all, 0xff, sizeof all);
    if (!topology_open(&topology))
        return;
    const uint32_t first = own_core(topology);
    for (uint32_t turn = 0; add_turn(out, topology, set == NULL ? &all : set, first, turn); turn++)
        out->cores = turn == 0 ? out->count : out->cores;
    hwloc_topology_destroy(topology);
}

uint32_t cpu_cores(void)
{
    struct cpu_places places;
    cpu_places(&places, NULL);
    return places.cores == 0 ? cpu_count() : places.cores;
}

/* ---- name ------------------------------------------------------------------------------------ */

void cpu_name(char *out, size_t size)
{
    char line[512];
    snprintf(out, size, "unknown processor");
    FILE *stream = fopen("/proc/cpuinfo", "r");
    if (stream == NULL)
        return;
    while (fgets(line, sizeof line, stream) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        const char *name = colon + 1 + strspn(colon + 1, " \t");
        snprintf(out, size, "%.*s", (int)strcspn(name, "\n"), name);
        break;
    }
    fclose(stream);
}

/* ---- features -------------------------------------------------------------------------------- */

#if defined(__x86_64__)

enum { CPUID_REGISTERS = 4 };

/* A feature is there if the bits of one of the words are, and the system keeps the registers:
 * bits of XCR0 (Intel SDM volume 1, 13.3). */
enum {
    XCR0_AVX = 0x6,     /* SSE and AVX */
    XCR0_AVX512 = 0xe6, /* also opmask, upper halves, upper registers */
    XCR0_AMX = 0x60006, /* also tile configuration and data */
    CPUID_OSXSAVE = 1 << 27,
};

enum cpuid_word {
    WORD_1C,
    WORD_7B,
    WORD_7C,
    WORD_7D,
    WORD_7_1A,
    WORD_MORE_C,
    WORD_MORE_D,
    WORD_POWER_D,
    WORDS
};

static const struct {
    uint32_t leaf, subleaf, reg;
} words[WORDS] = {
    [WORD_1C] = {1, 0, 2},
    [WORD_7B] = {7, 0, 1},
    [WORD_7C] = {7, 0, 2},
    [WORD_7D] = {7, 0, 3},
    [WORD_7_1A] = {7, 1, 0},
    [WORD_MORE_C] = {0x80000001, 0, 2},
    [WORD_MORE_D] = {0x80000001, 0, 3},
    [WORD_POWER_D] = {0x80000007, 0, 3},
};

static const struct {
    uint32_t feature;
    enum cpuid_word word;
    uint32_t bits;
    uint64_t kept;
    uint32_t needs; /* features that come before it */
} rules[] = {
    {CPU_SSE42, WORD_1C, 1u << 20 | 1u << 23, 0, 0},
    {CPU_FMA, WORD_1C, 1u << 12 | 1u << 22 | 1u << 28 | 1u << 29, XCR0_AVX, CPU_SSE42},
    {CPU_LZCNT, WORD_MORE_C, 1u << 5, 0, 0},
    {CPU_RDTSCP, WORD_MORE_D, 1u << 27, 0, 0},
    {CPU_TSC_INVARIANT, WORD_POWER_D, 1u << 8, 0, CPU_RDTSCP},
    {CPU_AVX2, WORD_7B, 1u << 3 | 1u << 5 | 1u << 8, XCR0_AVX,
     CPU_FMA | CPU_LZCNT}, /* and BMI 1 and 2 */
    {CPU_AVX512, WORD_7B, 1u << 16 | 1u << 17 | 1u << 28 | 1u << 30 | 1u << 31, XCR0_AVX512,
     CPU_AVX2},
    {CPU_AVX512_VNNI, WORD_7C, 1u << 11, XCR0_AVX512, CPU_AVX512},
    {CPU_AVX_VNNI, WORD_7_1A, 1u << 4, XCR0_AVX, CPU_AVX2},
    {CPU_AVX512_BF16, WORD_7_1A, 1u << 5, XCR0_AVX512, CPU_AVX512},
    /* no bit says so: AMD's processors are quick, which SSE4A tells; Intel's start such a product
     * every other cycle, and two of F32 in each */
    {CPU_QUICK_BF16, WORD_MORE_C, 1u << 6, 0, CPU_AVX512_BF16},
    {CPU_AMX_INT8, WORD_7D, 1u << 24 | 1u << 25, XCR0_AMX, 0},
    {CPU_AMX_BF16, WORD_7D, 1u << 24 | 1u << 22, XCR0_AMX, 0},
};

static uint32_t cpuid_word(enum cpuid_word word)
{
    uint32_t regs[CPUID_REGISTERS] = {0};
    if (!__get_cpuid_count(words[word].leaf, words[word].subleaf, &regs[0], &regs[1], &regs[2],
                           &regs[3]))
        return 0;
    return regs[words[word].reg];
}

static uint64_t kept_registers(void)
{
    uint32_t low, high;
    if (!(cpuid_word(WORD_1C) & CPUID_OSXSAVE))
        return 0;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

uint32_t cpu_features(void)
{
    const uint64_t kept = kept_registers();
    uint32_t features = 0;
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        const bool can = (cpuid_word(rules[i].word) & rules[i].bits) == rules[i].bits;
        const bool is_kept = (kept & rules[i].kept) == rules[i].kept;
        const bool is_based = (features & rules[i].needs) == rules[i].needs;
        if (can && is_kept && is_based)
            features |= rules[i].feature;
    }
    return features;
}

bool cpu_allow_amx(void)
{
    enum { ARCH_REQ_XCOMP_PERM = 0x1023, XFEATURE_TILE_DATA = 18 }; /* asm/prctl.h, Linux 5.16 */
    return syscall(SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, XFEATURE_TILE_DATA) == 0;
}

#elif defined(__aarch64__)

/* What compilers take Armv8.2 to have: atomics and rounding products too. */
enum { ARMV8_2 = HWCAP_ATOMICS | HWCAP_ASIMDRDM | HWCAP_FPHP | HWCAP_ASIMDHP };

uint32_t cpu_features(void)
{
    const unsigned long first = getauxval(AT_HWCAP), second = getauxval(AT_HWCAP2);
    const unsigned long least = ARMV8_2 | HWCAP_ASIMDDP;
    if ((first & least) != least)
        return 0;
    return CPU_NEON | ((second & HWCAP2_I8MM) != 0 ? CPU_NEON_I8MM : 0) |
           ((second & HWCAP2_BF16) != 0 ? CPU_NEON_BF16 : 0);
}

bool cpu_allow_amx(void)
{
    return false;
}

#else

uint32_t cpu_features(void)
{
    return 0;
}

bool cpu_allow_amx(void)
{
    return false;
}

#endif
