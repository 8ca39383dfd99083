/* SPDX-License-Identifier: MIT
 * The fit of a block of IQ2 or IQ3. Knows no layout. Formulas: gguf.md 2.10.6; every operation
 * rounds once, in the order written. */
#include "quant/encode_grid_block.h"

#include "quant/encode_search.h"

enum { BLOCK = 256 };

/* The codes of a grid stand for 1, 3, 5 and so on here; decoders have values that differ a little
 * (code_books.c), which the factor of the format makes good. */
static const struct grid_levels levels = {.first = 1.0f, .step = 2.0f};

/* A group on its way. */
struct grid_fit {
    const struct grid_format *format;
    float x[GRID_GROUP_MAX]; /* magnitudes; with even signs, a few may be negative */
    float w[GRID_GROUP_MAX], roots[GRID_GROUP_MAX]; /* weights; points go by their square roots */
    struct grid_point points[GRID_POINTS_MAX];
};

/* Points of a group. */
struct grid_placement {
    uint16_t positions[GRID_POINTS_MAX];
    bool on_grid[GRID_POINTS_MAX];
};

static int point_count(const struct grid_format *format)
{
    return format->group / (int)format->grid.points->coordinates;
}

/* ---- signs ----------------------------------------------------------------------------------- */

/* The value whose sign costs least to lose: the first with the smallest w * x * x. */
static int cheapest(const float *x, const float *w)
{
    int index = 0;
    float least = w[0] * x[0] * x[0];
    for (int i = 1; i < 8; i++) {
        if (w[i] * x[i] * x[i] < least) {
            least = w[i] * x[i] * x[i];
            index = i;
        }
    }
    return index;
}

/* Splits 8 values into magnitudes and signs. */
static uint8_t split_signs(const float *x, const float *w, bool even, float *magnitudes)
{
    uint8_t signs = 0;
    for (int i = 0; i < 8; i++) {
        magnitudes[i] = x[i] >= 0.0f ? x[i] : -x[i];
        signs |= (uint8_t)((x[i] < 0.0f) << i);
    }
    if (even && __builtin_parity(signs) != 0) {
        const int i = cheapest(x, w);
        magnitudes[i] = -magnitudes[i];
        signs ^= (uint8_t)(1 << i);
    }
    return signs;
}

/* ---- points ---------------------------------------------------------------------------------- */

static uint32_t round_point(const struct grid_format *format, const float *x, float inverse)
{
    const struct code_grid *points = format->grid.points;
    uint32_t code = 0;
    for (uint32_t i = 0; i < points->coordinates; i++) {
        const int rounded = search_round(0.5f * (inverse * x[i] - 1.0f));
        code |= (uint32_t)search_clamp(rounded, 0, format->limit) << points->bits * i;
    }
    return code;
}

static void place_point(struct grid_fit *fit, struct grid_placement *placement, int k,
                        float inverse, float scale)
{
    const struct grid_format *format = fit->format;
    const uint32_t first = (uint32_t)k * format->grid.points->coordinates;
    struct grid_point *point = &fit->points[k];
    grid_point_look_up(point, &format->grid, round_point(format, fit->x + first, inverse));
    placement->on_grid[k] = point->on_grid;
    placement->positions[k] = (uint16_t)grid_point_pick(point, &format->grid, fit->x + first,
                                                        fit->roots + first, scale, levels);
}

/* A and B of encode_search.h. */
struct sums {
    float xq, qq;
};

static struct sums sum_placement(const struct grid_fit *fit, const struct grid_placement *placement)
{
    const struct code_grid *points = fit->format->grid.points;
    const uint32_t mask = (1u << points->bits) - 1;
    struct sums sums = {0.0f, 0.0f};
    const float *x = fit->x, *w = fit->w;
    for (int k = 0; k < point_count(fit->format); k++) {
        uint32_t code = points->codes[placement->positions[k]];
        for (uint32_t i = 0; i < points->coordinates; i++) {
            const float q = (float)(int)(2 * (code & mask) + 1);
            sums.xq += *w * *x * q;
            sums.qq += *w * q * q;
            code >>= points->bits;
            x++;
            w++;
        }
    }
    return sums;
}

/* ---- groups ---------------------------------------------------------------------------------- */

/* Of all trials, the one with the largest A^2 / B. */
static float try_scales(struct grid_fit *fit, float range, float scale, struct grid_placement *out)
{
    const struct grid_format *format = fit->format;
    float best = 0.0f;
    for (int k = -format->trials; k <= format->trials; k++) {
        const float steps = (float)(2 * format->limit + 1) + format->step * (float)k;
        const float inverse = steps / range;
        struct grid_placement placement = {{0}, {0}};
        for (int p = 0; p < point_count(format); p++)
            place_point(fit, &placement, p, inverse, 1.0f / inverse);
        const struct sums sums = sum_placement(fit, &placement);
        if (sums.qq > 0.0f && sums.xq * sums.xq > best * sums.qq) {
            scale = sums.xq / sums.qq;
            best = scale * sums.xq;
            *out = placement;
        }
    }
    return scale;
}

static bool any_off_grid(const struct grid_fit *fit, const struct grid_placement *placement)
{
    bool off = false;
    for (int k = 0; k < point_count(fit->format); k++)
        off |= !placement->on_grid[k];
    return off;
}

/* Points that had to move onto the grid are chosen again for the scale that was found. */
static float refine(struct grid_fit *fit, float scale, struct grid_placement *placement)
{
    const enum grid_refinement refinement = fit->format->refinement;
    if (refinement != GRID_REFINE_ALL && !any_off_grid(fit, placement))
        return scale;
    if (!(scale > 0.0f))
        return scale;
    for (int k = 0; k < point_count(fit->format); k++) {
        if (refinement != GRID_REFINE_OFF || !placement->on_grid[k])
            place_point(fit, placement, k, 1.0f / scale, scale);
    }
    const struct sums sums = sum_placement(fit, placement);
    return sums.qq > 0.0f ? sums.xq / sums.qq : scale;
}

/* What the trials divide into steps, and the scale in case that none of them fits. 0 for a group of
 * zeros. */
static float fit_range(const struct grid_fit *fit, float *scale)
{
    const struct grid_format *format = fit->format;
    float max = fit->x[0];
    for (int i = 1; i < format->group; i++)
        max = fit->x[i] > max ? fit->x[i] : max;
    if (max < format->tiny || max == 0.0f)
        return 0.0f;
    *scale = max / (float)(2 * format->limit + 1);
    if (!format->positive_search)
        return max;
    uint8_t codes[GRID_GROUP_MAX];
    *scale = search_positive(format->limit + 2, fit->x, fit->w, format->group, codes);
    return *scale * (float)(format->limit + 1);
}

static void fit_group(struct grid_fit *fit, struct grid_group *group)
{
    struct grid_placement placement;
    float scale = 0.0f;
    const float range = fit_range(fit, &scale);
    if (!(range > 0.0f)) {
        memset(group, 0, sizeof *group);
        return;
    }
    memset(&placement, 0, sizeof placement);
    memset(placement.on_grid, true, sizeof placement.on_grid);
    for (int k = 0; k < GRID_POINTS_MAX; k++)
        fit->points[k].code = GRID_UNKNOWN;
    scale = try_scales(fit, range, scale, &placement);
    scale = refine(fit, scale, &placement);
    if (scale < 0.0f) {
        for (int i = 0; i < GRID_GROUP_MAX / 8; i++)
            group->signs[i] ^= 0xff;
    }
    group->scale = fabsf(scale);
    memcpy(group->positions, placement.positions, sizeof group->positions);
}

static void weigh_group(struct grid_fit *fit, const float *x, const float *importance, float energy)
{
    const struct grid_format *format = fit->format;
    if (importance != NULL) {
        search_weights(x, importance, format->energy * energy / (float)BLOCK, format->group,
                       fit->w);
    } else {
        const float mean = format->plain_energy * (format->energy * energy / (float)BLOCK);
        for (int i = 0; i < format->group; i++)
            fit->w[i] = mean + x[i] * x[i];
    }
    for (int i = 0; i < format->group; i++)
        fit->roots[i] = sqrtf(fit->w[i]);
}

bool grid_block_fit(struct grid_block *block, const struct grid_format *format,
                    const struct encode_source *source)
{
    const float energy = search_energy(source->values, BLOCK);
    struct grid_fit fit = {.format = format};
    float max = 0.0f;
    for (int g = 0; g < BLOCK / format->group; g++) {
        struct grid_group *group = &block->groups[g];
        const float *x = source->values + g * format->group;
        const float *importance =
            source->importance != NULL ? source->importance + g * format->group : NULL;
        weigh_group(&fit, x, importance, energy);
        for (int i = 0; i < format->group / 8; i++)
            group->signs[i] =
                split_signs(x + 8 * i, fit.w + 8 * i, format->signs_even, fit.x + 8 * i);
        fit_group(&fit, group);
        max = group->scale > max ? group->scale : max;
    }
    const float d = max / 31.0f;
    const float id = block_inverse(d);
    for (int g = 0; g < BLOCK / format->group; g++) {
        const int code = search_round(0.5f * (id * block->groups[g].scale - 1.0f));
        block->groups[g].scale_code = (uint8_t)search_clamp(code, 0, 15);
    }
    block->d = d * format->factor;
    return max > 0.0f;
}
