/* SPDX-License-Identifier: MIT
 * Encoders of IQ1_S and IQ1_M: three levels, about -1, 0 and 1, all moved up or all moved down by
 * 1/8, times a scale. Formulas: gguf.md 2.10.7; every operation rounds once, in the order written.
 *
 * The best scale for given weights is found by trying every way to cut the sorted values into those
 * of the lowest, the middle and the highest level; A and B are those of encode_search.h. Then the
 * codes move onto the grid. */
#include "quant/encode_blocks.h"

#include <float.h>

#include "quant/encode_grid.h"
#include "quant/encode_lanes.h"
#include "quant/encode_search.h"

enum { BLOCK = 256, GROUP_S = 32, GROUP_M = 16, HALF = 8 };

static const struct grid grid_iq1 = {&code_grid_iq1, 3};
/* By whether they are moved down. */
static const struct grid_levels levels[2] = {{-1.0f + 0.125f, 1.0f}, {-1.0f - 0.125f, 1.0f}};

static float level(bool minus, int code)
{
    return levels[minus].first + (float)code;
}

/* What the codes of a group are before they move onto the grid. */
struct cut {
    int first, second; /* sorted values before the first are low, those from the second on high */
    int shifts;        /* IQ1_S: 1 if moved down. IQ1_M: bit 1 so for half 0, bit 0 for half 1 */
    float scale, best; /* A / B, and that times A */
};

struct iq1_group {
    float scale; /* >= 0 */
    int shifts;
    uint16_t positions[GROUP_S / HALF];
};

/* ---- sorting --------------------------------------------------------------------------------- */

/* The order of the values, ascending; equal ones keep theirs. */
static void sort(const float *x, int count, uint8_t *order)
{
    for (int i = 0; i < count; i++) {
        int at = i;
        for (; at > 0 && x[order[at - 1]] > x[i]; at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

/* The codes of a cut. A scale below 0 turns them around: then the lowest value has the highest. */
static void code_cut(struct cut *cut, const uint8_t *order, int count, int shifts_all,
                     uint8_t *codes)
{
    const bool turned = cut->scale < 0.0f;
    for (int j = 0; j < count; j++) {
        const int code = (j >= cut->first) + (j >= cut->second);
        codes[order[j]] = (uint8_t)(turned ? 2 - code : code);
    }
    cut->shifts = turned ? shifts_all - cut->shifts : cut->shifts;
    cut->scale = fabsf(cut->scale);
}

/* ---- the grid -------------------------------------------------------------------------------- */

struct sums {
    float xq, qq;
};

/* The grid position of 8 codes. False if they had to move. */
static bool place_half(const uint8_t *codes, const float *x, const float *w, float scale,
                       bool minus, uint16_t *position)
{
    struct grid_point point = {.code = GRID_UNKNOWN};
    uint32_t packed = 0;
    for (int i = 0; i < HALF; i++)
        packed |= (uint32_t)codes[i] << 2 * i;
    grid_point_look_up(&point, &grid_iq1, packed);
    *position = (uint16_t)grid_point_pick(&point, &grid_iq1, x, w, scale, levels[minus]);
    return point.on_grid;
}

static void sum_half(struct sums *sums, const float *x, const float *w, uint32_t position,
                     bool minus, float factor)
{
    for (int i = 0; i < HALF; i++) {
        const int code = (int)grid_code(&grid_iq1, position, (uint32_t)i);
        const float q = level(minus, code) * factor;
        sums->xq += w[i] * q * x[i];
        sums->qq += w[i] * q * q;
    }
}

/* `minus_of`: whether 8 values are moved down, bit by bit. */
static void place_group(struct iq1_group *group, const struct cut *cut, const uint8_t *codes,
                        const float *x, const float *w, int halves, int minus_of)
{
    struct sums sums = {0.0f, 0.0f};
    bool moved = false;
    for (int h = 0; h < halves; h++)
        moved |= !place_half(codes + HALF * h, x + HALF * h, w + HALF * h, cut->scale,
                             minus_of >> h & 1, &group->positions[h]);
    group->shifts = cut->shifts;
    group->scale = cut->scale;
    if (!moved)
        return;
    for (int h = 0; h < halves; h++)
        sum_half(&sums, x + HALF * h, w + HALF * h, group->positions[h], minus_of >> h & 1, 1.0f);
    if (sums.xq > 0.0f && sums.qq > 0.0f)
        group->scale = sums.xq / sums.qq;
}

/* ---- IQ1_S ----------------------------------------------------------------------------------- */

/* Sums over the first so many of the sorted values, and room for vectors behind them. */
struct prefixes {
    float wx[GROUP_S + LANES], w[GROUP_S + LANES];
};

static void sum_prefixes(struct prefixes *sums, const float *x, const float *w,
                         const uint8_t *order)
{
    memset(sums, 0, sizeof *sums);
    for (int j = 0; j < GROUP_S; j++) {
        sums->wx[j + 1] = sums->wx[j] + w[order[j]] * x[order[j]];
        sums->w[j + 1] = sums->w[j] + w[order[j]];
    }
}

/* A and B of cuts side by side, with one set of levels. */
struct cut_sums {
    lanes_f32 xq, qq;
};

/* Cuts at `first` and at `second` and the following. */
static struct cut_sums sum_cuts(const struct prefixes *sums, int first, int second, bool minus)
{
    const float v0 = level(minus, 0), v1 = level(minus, 1), v2 = level(minus, 2);
    lanes_f32 wx, w;
    memcpy(&wx, sums->wx + second, sizeof wx);
    memcpy(&w, sums->w + second, sizeof w);
    return (struct cut_sums){
        .xq = (sums->wx[first] - sums->wx[0]) * v0 + (wx - sums->wx[first]) * v1 +
              (sums->wx[GROUP_S] - wx) * v2,
        .qq = (sums->w[first] - sums->w[0]) * v0 * v0 + (w - sums->w[first]) * v1 * v1 +
              (sums->w[GROUP_S] - w) * v2 * v2,
    };
}

static bool any_better(const struct cut_sums *s, const struct cut *cut)
{
    return lanes_any((s->qq > 0.0f) & (s->xq * s->xq > cut->best * s->qq));
}

static void try_cut(struct cut *cut, float xq, float qq, int first, int second, int shifts)
{
    if (!(qq > 0.0f && xq * xq > cut->best * qq))
        return;
    cut->first = first;
    cut->second = second;
    cut->shifts = shifts;
    cut->scale = xq / qq;
    cut->best = cut->scale * xq;
}

static struct cut search_cuts_s(const struct prefixes *sums)
{
    struct cut cut = {.best = -FLT_MAX};
    for (int first = 0; first <= GROUP_S; first++) {
        for (int second = first; second <= GROUP_S; second += LANES) {
            const struct cut_sums plus = sum_cuts(sums, first, second, false);
            const struct cut_sums minus = sum_cuts(sums, first, second, true);
            if (!any_better(&plus, &cut) && !any_better(&minus, &cut))
                continue;
            for (int lane = 0; lane < LANES && second + lane <= GROUP_S; lane++) {
                try_cut(&cut, plus.xq[lane], plus.qq[lane], first, second + lane, 0);
                try_cut(&cut, minus.xq[lane], minus.qq[lane], first, second + lane, 1);
            }
        }
    }
    return cut;
}

static void fit_group_s(struct iq1_group *group, const float *x, const float *w)
{
    uint8_t order[GROUP_S], codes[GROUP_S];
    struct prefixes sums;
    memset(group, 0, sizeof *group);
    if (fabsf(block_extreme(x, GROUP_S)) < 1e-12f)
        return;
    sort(x, GROUP_S, order);
    sum_prefixes(&sums, x, w, order);
    struct cut cut = search_cuts_s(&sums);
    code_cut(&cut, order, GROUP_S, 1, codes);
    place_group(group, &cut, codes, x, w, 4, cut.shifts != 0 ? 15 : 0);
}

/* Codes 0 to 7 for scales of 2 * code + 1. */
static int code_scale(float scale, float inverse)
{
    return search_clamp(search_round(0.5f * (inverse * scale - 1.0f)), 0, 7);
}

void encode_IQ1_S(const struct encode_source *source, void *block)
{
    struct block_IQ1_S *out = block;
    const float mean = 2.0f * search_energy(source->values, BLOCK) / (float)BLOCK;
    struct iq1_group groups[BLOCK / GROUP_S];
    float max = 0.0f;
    for (int g = 0; g < BLOCK / GROUP_S; g++) {
        const float *x = source->values + GROUP_S * g;
        float w[GROUP_S];
        search_weights(x, source->importance + GROUP_S * g, mean, GROUP_S, w);
        fit_group_s(&groups[g], x, w);
        max = groups[g].scale > max ? groups[g].scale : max;
    }
    memset(out, 0, sizeof *out);
    if (max == 0.0f)
        return;
    const float d = max / 15.0f;
    block_put_f16(out->d, d * 1.125f);
    for (int g = 0; g < BLOCK / GROUP_S; g++) {
        int qh = code_scale(groups[g].scale, block_inverse(d)) << 12 | groups[g].shifts << 15;
        for (int l = 0; l < 4; l++) {
            out->qs[4 * g + l] = (uint8_t)groups[g].positions[l];
            qh |= groups[g].positions[l] >> 8 << 3 * l;
        }
        const uint16_t bits = (uint16_t)qh;
        memcpy(out->qh + 2 * g, &bits, sizeof bits);
    }
}

/* ---- IQ1_M ----------------------------------------------------------------------------------- */

/* What a value adds to A and B with each of its codes, for the four ways to move the two halves of
 * a group up or down, side by side. */
struct cut_terms {
    lanes_f32 xq[3], qq[3];
};

static void make_terms(struct cut_terms terms[GROUP_M], const float *x, const float *w,
                       const uint8_t *order)
{
    for (int j = 0; j < GROUP_M; j++) {
        const int i = order[j];
        for (int code = 0; code < 3; code++) {
            const float plus = level(false, code), minus = level(true, code);
            const lanes_f32 v = i < HALF ? (lanes_f32){plus, plus, minus, minus}
                                         : (lanes_f32){plus, minus, plus, minus};
            terms[j].xq[code] = w[i] * v * x[i];
            terms[j].qq[code] = w[i] * v * v;
        }
    }
}

static void add_term(struct cut_sums *sums, const struct cut_terms *term, int code)
{
    sums->xq += term->xq[code];
    sums->qq += term->qq[code];
}

static struct cut search_cuts_m(const struct cut_terms terms[GROUP_M])
{
    struct cut cut = {.best = -FLT_MAX};
    struct cut_sums low = {{0}, {0}};
    for (int first = 0; first <= GROUP_M; first++) {
        struct cut_sums middle = low;
        for (int second = first; second <= GROUP_M; second++) {
            struct cut_sums all = middle;
            for (int j = second; j < GROUP_M; j++)
                add_term(&all, &terms[j], 2);
            if (any_better(&all, &cut)) {
                for (int lane = 0; lane < LANES; lane++)
                    try_cut(&cut, all.xq[lane], all.qq[lane], first, second, lane);
            }
            if (second < GROUP_M)
                add_term(&middle, &terms[second], 1);
        }
        if (first < GROUP_M)
            add_term(&low, &terms[first], 0);
    }
    return cut;
}

/* Whether half h is moved down. */
static bool shifts_half(int shifts, int h)
{
    return (shifts >> (1 - h) & 1) != 0;
}

static void fit_group_m(struct iq1_group *group, const float *x, const float *w)
{
    uint8_t order[GROUP_M], codes[GROUP_M];
    struct cut_terms terms[GROUP_M];
    memset(group, 0, sizeof *group);
    if (fabsf(block_extreme(x, GROUP_M)) < 1e-7f)
        return;
    sort(x, GROUP_M, order);
    make_terms(terms, x, w, order);
    struct cut cut = search_cuts_m(terms);
    code_cut(&cut, order, GROUP_M, 3, codes);
    place_group(group, &cut, codes, x, w, 2,
                shifts_half(cut.shifts, 0) | shifts_half(cut.shifts, 1) << 1);
}

static void weigh_block_m(const struct encode_source *source, float w[BLOCK])
{
    const float *x = source->values;
    if (source->importance != NULL) {
        const float mean = 2.0f * search_energy(x, BLOCK) / (float)BLOCK;
        search_weights(x, source->importance, mean, BLOCK, w);
        return;
    }
    for (int i = 0; i < BLOCK; i++)
        w[i] = x[i] * x[i];
}

/* The scale of the block again, by least squares over all of it. */
static float fit_block_m(const struct iq1_group *groups, const float *x, const float *w, float d)
{
    const float id = block_inverse(d);
    struct sums sums = {0.0f, 0.0f};
    for (int k = 0; k < BLOCK / HALF; k++) {
        const struct iq1_group *group = &groups[k / 2];
        const float factor = (float)(2 * code_scale(group->scale, id) + 1);
        sum_half(&sums, x + HALF * k, w + HALF * k, group->positions[k % 2],
                 shifts_half(group->shifts, k % 2), factor);
    }
    return sums.qq > 0.0f ? sums.xq / sums.qq : d;
}

/* The scale of the block goes into the upper nibbles of four words, those of the groups into the
 * other bits. */
static void store_scales_m(const struct iq1_group *groups, float id, float d, uint8_t scales[8])
{
    const int bits = codec_to_f16(d);
    uint16_t words[4];
    for (int n = 0; n < 4; n++) {
        int word = (bits >> 4 * n & 15) << 12;
        for (int g = 0; g < 4; g++)
            word |= code_scale(groups[4 * n + g].scale, id) << 3 * g;
        words[n] = (uint16_t)word;
    }
    memcpy(scales, words, sizeof words);
}

void encode_IQ1_M(const struct encode_source *source, void *block)
{
    struct block_IQ1_M *out = block;
    struct iq1_group groups[BLOCK / GROUP_M];
    float w[BLOCK], max = 0.0f;
    weigh_block_m(source, w);
    for (int g = 0; g < BLOCK / GROUP_M; g++) {
        fit_group_m(&groups[g], source->values + GROUP_M * g, w + GROUP_M * g);
        max = groups[g].scale > max ? groups[g].scale : max;
    }
    memset(out, 0, sizeof *out);
    if (max == 0.0f)
        return;
    const float d = max / 15.0f;
    store_scales_m(groups, block_inverse(d), fit_block_m(groups, source->values, w, d) * 1.1125f,
                   out->scales);
    for (int k = 0; k < BLOCK / HALF; k++) {
        const struct iq1_group *group = &groups[k / 2];
        const int position = group->positions[k % 2];
        const int nibble = position >> 8 | shifts_half(group->shifts, k % 2) << 3;
        out->qs[k] = (uint8_t)position;
        out->qh[k / 2] |= (uint8_t)(nibble << 4 * (k % 2));
    }
}
