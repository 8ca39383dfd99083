/* SPDX-License-Identifier: MIT
 * Products of a matrix with rows of activations, as the kernel files share them: a matrix, the rows
 * that meet it, and the forms in which it may lie. */
#ifndef CPU_KERNELS_PRODUCT_H
#define CPU_KERNELS_PRODUCT_H

#include "cpu/kernels/kernel.h"

#if defined(LEVEL_ID)

/* A row of activations that meets a matrix. */
struct meeting {
    const float *x;
    const int8_t *codes; /* the same in 8 bits, for matrices of packed codes */
    const float *scales;
    const int16_t *sums;
    float *out; /* number r is the product with row r of the matrix */
};

/* Rows [first, last) of a matrix of `rows` rows. */
struct product {
    const uint8_t *matrix;
    enum dtype dtype;
    uint32_t width, rows;
    uint32_t first, last;
    uint64_t group_bytes, field_bytes; /* if it is packed: pack_group_bytes, pack_field_bytes */
    float *scratch;                    /* PRODUCT_SCRATCH_BYTES */
    bool is_further;                   /* of the same meetings, all of them, as the one before */
};

/* Rows of activations that are worked on at once while a vector of weights is in a register. A
 * result is made in the same way whatever the tile, the other rows, and the part of the matrix; on
 * tiles of AMX and of halves in another, see EXACT_ROWS. */
enum { TILE = LANES == 16 ? 8 : 4 };

/* Packed codes (cpu/pack.h); `first` is a multiple of PACK_ROWS, in the next one too. */
typedef void product_fn(const struct product *product, const struct meeting *meetings,
                        uint32_t count);
product_fn KERNEL(multiply_codes);
/* The same, to the bit, on tiles of bytes; does nothing and returns false on levels without them
 * (tile.h), and where they do not pay. */
bool KERNEL(multiply_code_tiles)(const struct product *product, const struct meeting *meetings,
                                 uint32_t count);
/* Packed floats. */
product_fn KERNEL(multiply_floats);
/* Floats as the file has them. */
product_fn KERNEL(multiply_plain);
/* Packed codes or BF16, rounded to BF16: of levels with tiles (tile.h). */
product_fn KERNEL(multiply_tiles);
/* Packed BF16, activations rounded to it: of levels with products of halves (SIMD_HALVES). */
product_fn KERNEL(multiply_halves);

/* Numbers of one group that a vector from `lane` on has, of `kept`. */
static inline uint32_t kept_lanes(uint32_t kept, uint32_t lane)
{
    return kept <= lane ? 0 : least_of(LANES, kept - lane);
}

#endif
#endif
