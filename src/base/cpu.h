/* SPDX-License-Identifier: MIT
 * What the processor is. */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Physical cores that the calling thread may run on, at least 1. */
uint32_t cpu_cores(void);

/* Processors that the calling thread may run on, hyper-threads counted one by one; at least 1. */
uint32_t cpu_count(void);

enum { CPU_SET_MAX = 1024 }; /* as Linux's own; processors beyond are not used */

/* Processors, as the system numbers them. */
struct cpu_set {
    uint64_t bits[CPU_SET_MAX / 64];
};

static inline bool cpu_set_has(const struct cpu_set *set, uint32_t cpu)
{
    return cpu < CPU_SET_MAX && (set->bits[cpu / 64] >> cpu % 64 & 1) != 0;
}

/* Processors in the order in which threads are to take them: one of each physical core first, from
 * that of the calling thread on, then the other hyper-threads. */
struct cpu_places {
    uint32_t cores; /* how many of them are on a core of their own */
    uint32_t count;
    uint16_t cpu[CPU_SET_MAX];
};

/* Those that the calling thread may run on, by its affinity and the cpuset of its group, and that
 * are in `set` (NULL: all). None if the system does not tell. */
void cpu_places(struct cpu_places *out, const struct cpu_set *set);

/* The processor's name as the system tells it, cut to `size` bytes with the zero; "unknown
 * processor" if it tells none. */
void cpu_name(char *out, size_t size);

/* Instructions beyond the least of the architecture. */
enum cpu_feature {
    CPU_AVX2 = 1,   /* and what else x86-64-v3 has: see CPU_FMA */
    CPU_AVX512 = 2, /* F, BW, CD, DQ and VL: what else x86-64-v4 has */
    CPU_AVX512_VNNI = 4,
    CPU_AVX_VNNI = 8,
    CPU_AVX512_BF16 = 16,
    CPU_AMX_INT8 = 32,    /* see cpu_allow_amx */
    CPU_AMX_BF16 = 64,    /* likewise */
    CPU_SSE42 = 128,      /* and POPCNT: x86-64-v2 */
    CPU_FMA = 256,        /* AVX, FMA, F16C, MOVBE */
    CPU_NEON = 512,       /* Armv8.2 with arithmetic of halves and dot products of bytes */
    CPU_NEON_I8MM = 1024, /* products of matrices of bytes */
    CPU_NEON_BF16 = 2048,
    CPU_LZCNT = 4096,
    CPU_RDTSCP = 8192,
    CPU_TSC_INVARIANT = 16384, /* and RDTSCP: the counter never stops nor changes its rate */
    CPU_QUICK_BF16 = 32768,    /* products of AVX512_BF16 as often as those of F32, twice as long */
};

/* What LDTILECFG loads: the shape of each tile register (Intel SDM volume 1, 18.2). */
struct cpu_tile_config {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct cpu_tile_config) == 64, "as the instruction reads it");

/* enum cpu_feature combined: what the processor can do and the system keeps the registers of. */
uint32_t cpu_features(void);

/* Linux gives the tiles of AMX to a process that asks for them, before it uses them. False if it
 * refuses, or knows of no tiles. */
bool cpu_allow_amx(void);

#endif
