/* SPDX-License-Identifier: MIT
 * The layout that the products stream: 16 rows of a matrix side by side, so that a vector holds the
 * same columns of all of them. A permutation of the file's bits, so it takes no more memory, and a
 * row can be taken out again. Knows no vectors.
 *
 * A group is 16 rows. First come the fields of their blocks that are no codes (scales, mins): block
 * after block, in the order of pack.c, each element of all 16 rows side by side; then zeros up to a
 * multiple of 64 bytes. Then the codes, as numbers from 0 up, in lines of 64 bytes: row r and
 * column c at byte 4 r + c mod 4. For each 32 columns, that is 8 quads of columns:
 *   8 lines of 8 bits, quad j in line j, or
 *   2 lines of the lower 2 bits, quad j at bits 2 (j mod 4) of line j / 4, then
 *   of codes of 3 bits 1 line, the upper bit of quad j at bit j (codes of 1 bit: such a line), or
 *   4 lines of the lower 4 bits, quad j in the low and quad j + 4 in the high half of line j, then
 *   of codes of 5 bits 1 line, the upper bit of quad j at bit j, and
 *   of codes of 6 bits 2 lines, the upper bits of quad j at bits 2 (j mod 4) of line j / 4.
 * Types with grids have words of 32 bits where others have quads, row r at bytes 4 r of a line: for
 * each 32 columns the lower 8 bits of the indices of 4 or 8 points, byte by byte, in 1 or 2 lines;
 * then 1 line of signs, but of IQ1: of quad j and column k at bit j of byte k. Where the file has 7
 * signs of 8 columns, the places of the eighths, which follow from them, have the upper bits of the
 * indices (IQ2_XS) or a scale (IQ2_XXS, IQ3_XXS).
 * TQ1_0 has fields alone, of 4 bytes but for its scale.
 * A group of floats is column after column, each of all 16 rows, and zeros up to a line. */
#ifndef CPU_PACK_H
#define CPU_PACK_H

#include "format/dtype.h"

enum { PACK_ROWS = 16, PACK_LINE = 64, PACK_COLUMNS = 32 };

/* True if matrices of the type are packed; others are used as they lie in the file. */
bool pack_knows(enum dtype dtype);
/* True if it is packed as codes, not as floats. */
bool pack_has_codes(enum dtype dtype);

/* Bytes of a group of rows of `width` columns, and of the fields before its codes. */
uint64_t pack_group_bytes(enum dtype dtype, uint32_t width);
uint64_t pack_field_bytes(enum dtype dtype, uint32_t width);
/* Bytes of the codes of 32 columns of a group. */
uint32_t pack_code_bytes(enum dtype dtype);

/* Packs a group: `rows` (1 to 16) rows of the file from `from` on, the last again for the rest. */
void pack_group(enum dtype dtype, const uint8_t *from, uint32_t rows, uint32_t width, uint8_t *to);

/* Row `row` of a packed matrix as it lies in the file. */
void pack_take_row(enum dtype dtype, const uint8_t *packed, uint64_t row, uint32_t width,
                   uint8_t *to);

#endif
