/* SPDX-License-Identifier: MIT
 * What the processor is, as Linux tells it. Knows nothing of the work. */
#include "base/cpu.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <cpuid.h>
#endif

/* True if `cpu` is the first of the hyper-threads that share its core; also if that is unknown. */
static bool cpu_leads_core(int cpu)
{
    char path[128];
    snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
    FILE *stream = fopen(path, "r");
    if (stream == NULL)
        return true;
    int first = cpu;
    const bool read = fscanf(stream, "%d", &first) == 1;
    fclose(stream);
    return !read || first == cpu;
}

uint32_t cpu_count(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    return (uint32_t)CPU_COUNT(&allowed);
}

uint32_t cpu_cores(void)
{
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof allowed, &allowed) != 0)
        return 1;
    uint32_t cores = 0, cpus = 0;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
        if (!CPU_ISSET(cpu, &allowed))
            continue;
        cpus++;
        cores += cpu_leads_core(cpu);
    }
    if (cores == 0)
        cores = cpus; /* only second hyper-threads are ours */
    return cores == 0 ? 1 : cores;
}

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

enum cpuid_word { WORD_1C, WORD_7B, WORD_7C, WORD_7D, WORD_7_1A, WORDS };

static const struct {
    uint32_t leaf, subleaf, reg;
} words[WORDS] = {
    [WORD_1C] = {1, 0, 2}, [WORD_7B] = {7, 0, 1},   [WORD_7C] = {7, 0, 2},
    [WORD_7D] = {7, 0, 3}, [WORD_7_1A] = {7, 1, 0},
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
    {CPU_AVX2, WORD_7B, 1u << 3 | 1u << 5 | 1u << 8, XCR0_AVX, CPU_FMA}, /* and BMI 1 and 2 */
    {CPU_AVX512, WORD_7B, 1u << 16 | 1u << 17 | 1u << 30 | 1u << 31, XCR0_AVX512, CPU_AVX2},
    {CPU_AVX512_VNNI, WORD_7C, 1u << 11, XCR0_AVX512, CPU_AVX512},
    {CPU_AVX_VNNI, WORD_7_1A, 1u << 4, XCR0_AVX, CPU_AVX2},
    {CPU_AVX512_BF16, WORD_7_1A, 1u << 5, XCR0_AVX512, CPU_AVX512},
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
