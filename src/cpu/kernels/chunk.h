/* SPDX-License-Identifier: MIT
 * A chunk of the delta rule, as the kernel files share it: kernel_deltanet.c has it on vectors,
 * kernel_chunk_tiles.c the products of it on tiles of AMX. */
#ifndef CPU_KERNELS_CHUNK_H
#define CPU_KERNELS_CHUNK_H

#include "cpu/kernels/rule.h"

#if defined(LEVEL_ID)

/* The rows of a chunk of one head, filled with zeros to whole vectors: a row of zeros with decay 1
 * changes nothing. With the state S at the chunk's begin, decays a, g_i = a_0 .. a_i, and
 * f_ij = a_(j+1) .. a_i for j <= i:
 *
 *     (I + L) D = diag(beta) (V - diag(g) K S)    L_ij = beta_i f_ij k_i . k_j for j < i
 *     O = diag(g) Q S + P D                       P_ij = f_ij q_i . k_j for j <= i
 *     S' = g_last S + K^T diag(f_last) D
 *
 * Yang, Wang, Zhang, Shen and Kim 2024 (arXiv 2406.06484), section 3, with the decays of Yang,
 * Kautz and Hatamizadeh 2024. Products of decays are made by multiplying, not as exponentials of
 * differences of sums: nothing overflows, and after a strong decay nothing is lost. */
struct chunk {
    const struct token *tokens;
    uint32_t count, rows;   /* tokens, and with the zeros */
    float *rows_k, *rows_q; /* [rows][keys] */
    float *columns_k;       /* [keys][CHUNK_ROWS] */
    float *l, *p;           /* [rows][CHUNK_ROWS] */
    float *deltas;          /* [rows][columns of a pass] */
    uint8_t *tiles;         /* CHUNK_TILES_BYTES, see kernel_chunk_tiles.c */
    float beta[CHUNK_ROWS], from_begin[CHUNK_ROWS], to_end[CHUNK_ROWS]; /* g, f_last */
};

/* D of the values from `value` on, of which `sums` is K S: [rows][RULE_STRIP]. Of levels that have
 * tiles, where that is the width of a pass. */
void KERNEL(solve_chunk)(const struct chunk *chunk, uint32_t value, const float *sums);

/* True where the products of a chunk are made on tiles; its rows are then filled with zeros up to a
 * multiple of two vectors. */
static inline bool chunk_has_tiles(const struct head *head)
{
#if defined(HAS_TILES)
    return head->keys % (2 * LANES) == 0;
#else
    (void)head;
    return false;
#endif
}

/* Of what is gathered k_i . k_j and q_i . k_j, in place of L and P that are to be made of them; and
 * then, of L and P, D, O and S'. Between the two a thread has tiles. */
void KERNEL(begin_chunk)(struct chunk *chunk, const struct head *head);
void KERNEL(end_chunk)(const struct chunk *chunk, const struct head *head);

#endif
#endif
