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

/* Distances of eight points; all grids have a multiple of eight. */
typedef int16_t grid_i16 __attribute__((vector_size(16)));
typedef uint64_t grid_u64 __attribute__((vector_size(16)));

enum { POINTS_MAX = 2048, EIGHT = 8, DISTANCES_MAX = 3 };

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
static inline void measure(const struct code_grid *points, uint32_t code, uint32_t coordinates,
                           uint32_t bits, grid_i16 *distances)
{
    const int16_t mask = (int16_t)((1 << bits) - 1);
    for (uint32_t k = 0; k < points->points / EIGHT; k++) {
        grid_i16 at, sum = {0};
        memcpy(&at, points->codes + EIGHT * k, sizeof at);
        for (uint32_t i = 0; i < coordinates; i++) {
            const int16_t from = (int16_t)(code >> bits * i & (uint32_t)mask);
            const grid_i16 diff = (at >> bits * i & mask) - from;
            sum += diff * diff;
        }
        distances[k] = sum;
    }
}

/* The smallest distance above `floor`. */
static int16_t next_distance(const grid_i16 *distances, uint32_t count, int16_t floor)
{
    grid_i16 least = (grid_i16){0} + INT16_MAX;
    int16_t result = INT16_MAX;
    for (uint32_t k = 0; k < count / EIGHT; k++) {
        const grid_i16 better = (distances[k] > floor) & (distances[k] < least);
        least = (distances[k] & better) | (least & ~better);
    }
    for (int lane = 0; lane < EIGHT; lane++)
        result = least[lane] < result ? least[lane] : result;
    return result;
}

/* Writes the positions of distances up to `last` in their order, and returns how many. */
static uint32_t collect(const grid_i16 *distances, uint32_t count, int16_t last,
                        uint16_t out[GRID_NEAR_MAX])
{
    uint32_t n = 0;
    for (uint32_t k = 0; k < count / EIGHT; k++) {
        const grid_i16 within = distances[k] <= last;
        const grid_u64 halves = (grid_u64)within;
        if ((halves[0] | halves[1]) == 0)
            continue;
        for (uint32_t lane = 0; lane < EIGHT; lane++) {
            if (within[lane] != 0) {
                assert(n < GRID_NEAR_MAX);
                out[n++] = (uint16_t)(EIGHT * k + lane);
            }
        }
    }
    return n;
}

/* The points near to one off the grid. */
static void find_near(struct grid_point *point, const struct grid *grid)
{
    const struct code_grid *points = grid->points;
    grid_i16 distances[POINTS_MAX / EIGHT];
    uint16_t near[GRID_NEAR_MAX];
    int16_t limits[DISTANCES_MAX], last = 0;
    assert(points->points <= POINTS_MAX && grid->distances <= DISTANCES_MAX);
    if (points->bits == 2)
        measure(points, point->code, 8, 2, distances);
    else
        measure(points, point->code, 4, 3, distances);
    for (int i = 0; i < grid->distances; i++) {
        last = next_distance(distances, points->points, last);
        limits[i] = last;
    }
    const uint32_t count = collect(distances, points->points, last, near);
    for (int i = 0; i < grid->distances; i++) {
        for (uint32_t k = 0; k < count; k++) {
            if (distances[near[k] / EIGHT][near[k] % EIGHT] == limits[i])
                point->near[point->near_count++] = near[k];
        }
    }
}

void grid_point_look_up(struct grid_point *point, const struct grid *grid, uint32_t code)
{
    const uint32_t count = grid->points->points;
    if (point->code == code)
        return;
    const uint32_t position = lower_bound(grid->points, code);
    point->code = code;
    point->on_grid = position < count && grid->points->codes[position] == code;
    point->near_count = 0;
    if (point->on_grid)
        point->near[point->near_count++] = (uint16_t)position;
    else
        find_near(point, grid);
}

/* Weighted square errors of four points side by side. Inlined for constant `coordinates` and
 * `bits`. */
static inline lanes_f32 errors_of_four(lanes_i32 codes, uint32_t coordinates, int bits,
                                       const float *x, const float *w, float scale,
                                       struct grid_levels levels)
{
    const int mask = (1 << bits) - 1;
    lanes_f32 error = lanes_all(0.0f);
    for (uint32_t i = 0; i < coordinates; i++) {
        const lanes_f32 code = __builtin_convertvector(codes >> bits * (int)i & mask, lanes_f32);
        const lanes_f32 diff = scale * (levels.first + levels.step * code) - x[i];
        error += w[i] * diff * diff;
    }
    return error;
}

uint32_t grid_point_pick(const struct grid_point *point, const struct grid *grid, const float *x,
                         const float *w, float scale, struct grid_levels levels)
{
    const uint16_t *codes = grid->points->codes, *near = point->near;
    float least = INFINITY;
    uint32_t best = near[0];
    if (point->on_grid)
        return best;
    for (uint32_t k = 0; k < point->near_count; k += LANES) {
        uint32_t at[LANES];
        lanes_f32 error;
        for (uint32_t lane = 0; lane < LANES; lane++)
            at[lane] = near[k + lane < point->near_count ? k + lane : k];
        const lanes_i32 four = {codes[at[0]], codes[at[1]], codes[at[2]], codes[at[3]]};
        if (grid->points->bits == 2)
            error = errors_of_four(four, 8, 2, x, w, scale, levels);
        else
            error = errors_of_four(four, 4, 3, x, w, scale, levels);
        for (uint32_t lane = 0; lane < LANES; lane++) {
            best = error[lane] < least ? at[lane] : best;
            least = error[lane] < least ? error[lane] : least;
        }
    }
    return best;
}
