/* SPDX-License-Identifier: MIT
 * The fixed points that codes of the non-linear formats stand for. */
#ifndef FORMAT_CODE_BOOKS_H
#define FORMAT_CODE_BOOKS_H

#include <stdint.h>

extern const int8_t code_book_iq4[16]; /* IQ4_NL, IQ4_XS */
extern const int8_t code_book_fp4[16]; /* MXFP4, NVFP4: E2M1, doubled; code 8 is +0 */

/* A list of points with 8 or 4 small coordinates; tensors hold positions in the list. Coordinate i
 * of point k is values[codes[k] >> (bits * i) & (1 << bits) - 1]. */
struct code_grid {
    const uint16_t *codes; /* ascending; behind them is one more, so that four bytes can be read */
    uint32_t points;
    uint32_t coordinates;
    uint32_t bits;
    int8_t values[8];
};

extern const struct code_grid code_grid_iq2_xxs;
extern const struct code_grid code_grid_iq2_xs;
extern const struct code_grid code_grid_iq2_s;
extern const struct code_grid code_grid_iq3_xxs;
extern const struct code_grid code_grid_iq3_s;
extern const struct code_grid code_grid_iq1; /* IQ1_S and IQ1_M */

#endif
