/* SPDX-License-Identifier: MIT
 * A unit of attention being computed, as the kernel files share it: kernel_attend.c has it in F32,
 * kernel_attend_pairs.c what many rows meet in pairs of BF16. Knows not which rows are a unit. */
#ifndef CPU_KERNELS_ATTENDING_H
#define CPU_KERNELS_ATTENDING_H

#include "cpu/kernels/tile.h"

#if defined(LEVEL_ID)

/* Vector v is head v % heads of row v / heads. */
struct attending {
    const struct cpu_call *call;
    const struct attend_unit *unit;
    uint64_t pitch; /* floats from row to row of queries, tile and parts */
    uint32_t heads, vectors, width, padded;
    uint32_t room;  /* vectors that a part has room for */
    bool has_pairs; /* queries, weights and what the tile holds are pairs of BF16 */
    float *queries; /* [vectors], zeros behind the width */
    float *weights; /* [vectors][ATTEND_KEYS] */
    float *tile;    /* [ATTEND_KEYS] */
    float *parts;   /* [parts][room]: sums of values, then the counters */
};

/* Counters, behind the sums of a part. */
enum { PART_LARGEST = 0, PART_SUM = 1, PART_SHRINK = 2 };

INLINE float *part_of(const struct attending *a, uint32_t part, uint32_t vector)
{
    return a->parts + ((uint64_t)part * a->room + vector) * a->pitch;
}

/* The unit's head of a row of the cache. */
INLINE const uint8_t *cached_row(const struct attending *a, const struct host_operand *cache,
                                 uint64_t position)
{
    return host_slot_row(cache, a->unit->slot, position) +
           a->unit->group * dtype_row_bytes(cache->dtype, cache->width);
}

/* Rows of the cache that are read after those at hand: fetched meanwhile. */
struct coming {
    const uint8_t *rows;
    uint64_t pitch, step; /* bytes: of a row, of LANES columns */
};

/* Rows from `first` on, or once more those of the last block if the unit sees none there: behind
 * them there may be no memory yet, and to find that out takes longer than to fetch. */
INLINE struct coming coming_from(const struct attending *a, const struct host_operand *cache,
                                 uint64_t first)
{
    const uint64_t seen = a->unit->visible + a->unit->rows - 1;
    return (struct coming){
        .rows = cached_row(a, cache, first < seen ? first : (seen - 1) / ATTEND_KEYS * ATTEND_KEYS),
        .pitch = cache->pitch,
        .step = dtype_row_bytes(cache->dtype, cache->width) * LANES / a->width,
    };
}

/* A head of a row of the cache as floats, zeros behind the width; fetches row `i` of what comes. */
void KERNEL(take_row)(const struct attending *a, const struct host_operand *cache,
                      uint64_t position, const struct coming *next, uint32_t i, float *out);

#if defined(HAS_TILES) || defined(SIMD_HALVES)
#define HAS_PAIRS 1
#endif

/* Between the first two a thread may have tiles. `count` positions from `first` on are added to
 * part `part`. Of levels that have pairs, if pairs_fit. */
void KERNEL(begin_pairs)(const struct attending *a);
void KERNEL(end_pairs)(void);
void KERNEL(attend_pairs)(const struct attending *a, uint32_t part, uint64_t first, uint32_t count);

/* True where the rows of a unit that are many meet the cache in pairs of BF16: it has no more bits
 * itself, but for F16, and who asks for a cache of F32 wants all of them. */
static inline bool pairs_fit(const struct cpu_call *call)
{
#if defined(HAS_PAIRS)
    return call->at[0].width % (2 * LANES) == 0 && call->at[1].dtype != DTYPE_F32 &&
           call->at[2].dtype != DTYPE_F32;
#else
    (void)call;
    return false;
#endif
}

#endif
#endif
