/* SPDX-License-Identifier: MIT
 * Points of a grid near to values. Knows no block format.
 *
 * ggml keeps a list of near points for every point; here a list is made when it is asked for, in
 * about a microsecond, so that encoders need no tables that someone must open. */
#include "quant/encode_grid.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#include "quant/encode_lanes.h"

/* Distances and positions go by vectors of eight: all grids have a multiple of that. */
typedef uint16_t points_u16 __attribute__((vector_size(16)));
typedef uint64_t points_u64 __attribute__((vector_size(16)));
enum { STRIDE = 8, POINTS_MAX = 2048 };

/* The position of a code in the ascending list, or that of the first larger one. */
static uint32_t lower_bound(const struct code_grid *points, uint32_t code)
{
    uint32_t low = 0, high = points->points;
    while (low < high) {
        const uint32_t middle = (low + high) / 2;
        if (points->codes[middle] < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Inlined for constant `coordinates` and `bits`. */
static inline void measure(const uint16_t *codes, uint32_t count, uint32_t code,
                           uint32_t coordinates, uint32_t bits, points_u16 *distances)
{
    const uint16_t mask = (uint16_t)((1u << bits) - 1);
    for (uint32_t k = 0; k < count; k += STRIDE) {
        points_u16 at, sum = {0};
        memcpy(&at, codes + k, sizeof at);
        for (uint32_t i = 0; i < coordinates; i++) {
            const points_u16 diff = (at >> bits * i & mask) - (uint16_t)(code >> bits * i & mask);
            sum += diff * diff;
        }
        distances[k / STRIDE] = sum;
    }
}

/* The smallest distance above `floor`, or UINT16_MAX. */
static uint16_t next_distance(const points_u16 *distances, uint32_t count, int floor)
{
    points_u16 least = ~(points_u16){0};
    uint16_t result = UINT16_MAX;
    for (uint32_t k = 0; k < count / STRIDE; k++) {
        /* One less than the difference to the floor: what is not above it becomes huge. */
        const points_u16 above = distances[k] - (uint16_t)(floor + 1);
        const points_u16 smaller = (points_u16)(above < least);
        least = (above & smaller) | (least & ~smaller);
    }
    for (int lane = 0; lane < STRIDE; lane++)
        result = least[lane] < result ? least[lane] : result;
    return (uint16_t)(result + floor + 1);
}

static void append_at_distance(struct grid_point *point, const points_u16 *distances,
                               uint32_t count, uint16_t distance)
{
    for (uint32_t k = 0; k < count / STRIDE; k++) {
        const points_u16 equal = (points_u16)(distances[k] == distance);
        const points_u64 halves = (points_u64)equal;
        if ((halves[0] | halves[1]) == 0)
            continue;
        for (uint32_t lane = 0; lane < STRIDE; lane++) {
            assert(point->near_count < GRID_NEAR_MAX || equal[lane] == 0);
            if (equal[lane] != 0)
                point->near[point->near_count++] = (uint16_t)(STRIDE * k + lane);
        }
    }
}

void grid_point_look_up(struct grid_point *point, const struct grid *grid, uint32_t code)
{
    const struct code_grid *points = grid->points;
    const uint32_t count = points->points;
    if (point->code == code)
        return;
    const uint32_t position = lower_bound(points, code);
    point->code = code;
    point->on_grid = position < count && points->codes[position] == code;
    point->near_count = 0;
    if (point->on_grid) {
        point->near[point->near_count++] = (uint16_t)position;
        return;
    }
    points_u16 distances[POINTS_MAX / STRIDE];
    assert(count <= POINTS_MAX && count % STRIDE == 0);
    if (points->bits == 2)
        measure(points->codes, count, code, 8, 2, distances);
    else
        measure(points->codes, count, code, 4, 3, distances);
    int distance = 0;
    for (int i = 0; i < grid->distances; i++) {
        distance = next_distance(distances, count, distance);
        append_at_distance(point, distances, count, (uint16_t)distance);
    }
}

/* Weighted square errors of four points side by side. */
static lanes_f32 errors_of_four(const uint32_t codes[LANES], const struct code_grid *points,
                                const float *x, const float *w, float scale,
                                struct grid_levels levels)
{
    const int32_t mask = (1 << points->bits) - 1;
    lanes_i32 rest = {(int32_t)codes[0], (int32_t)codes[1], (int32_t)codes[2], (int32_t)codes[3]};
    lanes_f32 error = lanes_all(0.0f);
    for (uint32_t i = 0; i < points->coordinates; i++) {
        const lanes_f32 code = __builtin_convertvector(rest & mask, lanes_f32);
        const lanes_f32 diff = scale * (levels.first + levels.step * code) - x[i];
        error += w[i] * diff * diff;
        rest >>= (int32_t)points->bits;
    }
    return error;
}

uint32_t grid_point_pick(const struct grid_point *point, const struct grid *grid, const float *x,
                         const float *w, float scale, struct grid_levels levels)
{
    float least = INFINITY;
    uint32_t best = 0;
    if (point->on_grid)
        return point->near[0];
    for (uint32_t k = 0; k < point->near_count; k += LANES) {
        uint32_t codes[LANES];
        for (uint32_t lane = 0; lane < LANES; lane++) {
            const uint32_t at = k + lane < point->near_count ? k + lane : k;
            codes[lane] = grid->points->codes[point->near[at]];
        }
        const lanes_f32 error = errors_of_four(codes, grid->points, x, w, scale, levels);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            if (error[lane] < least) {
                least = error[lane];
                best = k + lane;
            }
        }
    }
    return point->near[best];
}
