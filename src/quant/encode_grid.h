/* SPDX-License-Identifier: MIT
 * Points of a grid near to values: what the encoders of IQ1, IQ2 and IQ3 have in common. Knows no
 * block format.
 *
 * Values are rounded to codes one by one, and the codes packed as those of a grid are: that is a
 * point, on the grid or off it. Off it, the points of the grid that are nearest to it are tried. */
#ifndef QUANT_ENCODE_GRID_H
#define QUANT_ENCODE_GRID_H

#include <stdbool.h>

#include "format/code_books.h"

/* A grid to encode with. The distance of two points is the sum of the squares of the differences of
 * their codes; points are tried up to the `distances`-th smallest that occurs. */
struct grid {
    const struct code_grid *points;
    int distances;
};

enum { GRID_NEAR_MAX = 292 }; /* of any point, on any grid (IQ2_XS); a test counts them */

/* What is known of a point. Kept from trial to trial, since most have the point of the last one. */
struct grid_point {
    uint32_t code; /* GRID_UNKNOWN: none yet */
    bool on_grid;  /* then near[0] is the point itself */
    uint32_t near_count;
    uint16_t near[GRID_NEAR_MAX]; /* positions on the grid, by distance, then position */
};

#define GRID_UNKNOWN UINT32_MAX

void grid_point_look_up(struct grid_point *point, const struct grid *grid, uint32_t code);

/* What the codes c of a point stand for, times a scale: first + step * c. */
struct grid_levels {
    float first, step;
};

/* The position of the point, or of that near it with the least weighted square error for x. */
uint32_t grid_point_pick(const struct grid_point *point, const struct grid *grid, const float *x,
                         const float *w, float scale, struct grid_levels levels);

/* Code of coordinate i of the point at `position`. */
static inline uint32_t grid_code(const struct grid *grid, uint32_t position, uint32_t i)
{
    const uint32_t bits = grid->points->bits;
    return grid->points->codes[position] >> bits * i & ((1u << bits) - 1);
}

#endif
