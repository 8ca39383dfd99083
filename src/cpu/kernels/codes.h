/* SPDX-License-Identifier: MIT
 * What products of packed codes share: groups of rows of a matrix, their blocks unpacked, and what
 * a row of activations brings to a block besides its codes. */
#ifndef CPU_KERNELS_CODES_H
#define CPU_KERNELS_CODES_H

#include "cpu/kernels/product.h"
#include "cpu/kernels/unpack.h"

#if defined(LEVEL_ID)

/* A group, or of it the blocks [first, first + blocks) of 32 columns. */
struct group {
    const uint8_t *fields, *lines;
    uint32_t kept; /* rows of the matrix that it has */
    uint32_t first, blocks;
    uint32_t block_bytes; /* of the whole group, for each of its blocks: lines and fields */
};

/* A block of a group, unpacked; where there are products of pairs, each two quads of a vector are
 * one (pairs_make). */
struct block {
    _Alignas(64) uint8_t codes[QUADS][PACK_LINE];
    float scales[2][PACK_ROWS];
    float mins[2][PACK_ROWS];
};

INLINE struct group group_at(const struct product *product, uint32_t row)
{
    const uint64_t number = row / PACK_ROWS;
    struct group group = {
        .fields = product->matrix + number * product->group_bytes,
        .kept = least_of(PACK_ROWS, product->rows - row),
        .blocks = product->width / PACK_COLUMNS,
    };
    group.lines = group.fields + product->field_bytes;
    group.block_bytes = (uint32_t)(product->group_bytes / group.blocks);
    return group;
}

INLINE struct columns columns_at(const struct unpacking *unpacking, const struct group *group,
                                 uint32_t number)
{
    const uint8_t *lines = group->lines + (uint64_t)number * unpacking->code_bytes;
    return (struct columns){.lines = lines, .fields = group->fields, .number = number};
}

#if defined(SIMD_PAIRS)

INLINE void make_pairs(vi quads[QUADS])
{
    UNROLL
    for (uint32_t j = 0; j < QUADS; j += 2)
        pairs_make(&quads[j], &quads[j + 1]);
}

#else

INLINE void make_pairs(vi quads[QUADS])
{
    (void)quads;
}

#endif

INLINE void unpack_block(const struct unpacking *unpacking, const struct group *group,
                         uint32_t number, struct block *block)
{
    const struct columns at = columns_at(unpacking, group, number);
    for (uint32_t lane = 0; lane < PACK_ROWS; lane += LANES) {
        vi quads[QUADS];
        struct scaling scaling;
        unpacking->unpack(&at, lane, quads);
        unpacking->scaling(&at, lane, &scaling);
        make_pairs(quads);
        for (uint32_t j = 0; j < QUADS; j++)
            vi_store(block->codes[j] + 4 * lane, quads[j]);
        for (uint32_t half = 0; half <= unpacking->has_halves; half++) {
            vf_store(block->scales[half] + lane, scaling.scale[half]);
            if (unpacking->has_min)
                vf_store(block->mins[half] + lane, scaling.min[half]);
        }
    }
}

/* Groups lie end to end, so that the matrix is one stream: it is fetched as fast as the blocks use
 * it up, the fields of the next group with the lines of this one. Codes of 8 bits are used up so
 * fast that the first cache has too few places for what is on its way from memory: they come to the
 * second one first. */
INLINE void prefetch_ahead(const struct unpacking *unpacking, const struct group *group,
                           uint32_t block)
{
    enum { PREFETCH_BYTES = 2048, FAR_BYTES = 3072, NEAR_BYTES = 512 };
    const bool is_fast = unpacking->code_bytes == QUADS * PACK_LINE;
    const uint8_t *from = group->lines + (uint64_t)block * group->block_bytes;
    const uint8_t *ahead = from + (is_fast ? NEAR_BYTES : PREFETCH_BYTES);
    for (uint32_t at = 0; at <= unpacking->code_bytes; at += PACK_LINE) {
        if (is_fast)
            __builtin_prefetch(from + FAR_BYTES + at, 0, 2);
        __builtin_prefetch(ahead + at);
    }
}

/* What a row of activations brings to block `block`; of each half where there are halves. */
struct terms {
    float scale;
    int32_t starts[2]; /* of the whole sums: what takes the zeros of the codes off */
    float offsets[2];  /* what mins are multiplied with */
};

INLINE struct terms terms_of(const struct unpacking *unpacking, const struct meeting *m,
                             uint32_t block)
{
    const int32_t high = m->sums[2 * block + 1];
    const int32_t low = m->sums[2 * block] + (unpacking->has_halves ? 0 : high);
    const float scale = m->scales[block];
    return (struct terms){
        .scale = scale,
        .starts = {-unpacking->zero * low, -unpacking->zero * high},
        .offsets = {scale * (float)low, scale * (float)high},
    };
}

#endif
#endif
