/* SPDX-License-Identifier: MIT
 * Searches for scales. Knows no block format.
 *
 * The sums of one trial must be added up value after value, but trials do not depend on each other:
 * so they lie side by side (encode_lanes.h). */
#include "quant/encode_search.h"

#include <assert.h>

#include "quant/encode_lanes.h"

float search_energy(const float *x, int count)
{
    float sum = 0.0f;
    for (int i = 0; i < count; i++)
        sum += x[i] * x[i];
    return sum;
}

void search_weights(const float *x, const float *importance, float mean, int count, float *w)
{
    for (int i = 0; i < count; i++)
        w[i] = importance[i] * sqrtf(mean + x[i] * x[i]);
}

static void clear_codes(uint8_t *codes, int count)
{
    for (int i = 0; i < count; i++)
        codes[i] = 0;
}

/* ---- symmetric codes ------------------------------------------------------------------------- */

enum {
    TRIALS = 19, /* 0.1 * k steps more than the limit: k = 0, then -9 to 9 without 0 */
    TRIAL_VECTORS = (TRIALS + LANES - 1) / LANES,
};

static int trial_number(int trial)
{
    if (trial == 0)
        return 0;
    return trial <= 9 ? trial - 10 : trial - 9;
}

/* Of all trials; those behind the last are never looked at. */
struct symmetric_trials {
    lanes_f32 inverse[TRIAL_VECTORS];
    lanes_f32 xl[TRIAL_VECTORS], ll[TRIAL_VECTORS]; /* A and B */
};

static void sum_trials(struct symmetric_trials *trials, int limit, const float *x, const float *w,
                       int count)
{
    for (int v = 0; v < TRIAL_VECTORS; v++) {
        const lanes_f32 inverse = trials->inverse[v];
        lanes_f32 xl = lanes_all(0.0f), ll = lanes_all(0.0f);
        for (int i = 0; i < count; i++) {
            const lanes_f32 l = lanes_round(inverse * x[i], -limit, limit - 1);
            xl += w[i] * x[i] * l;
            ll += w[i] * l * l;
        }
        trials->xl[v] = xl;
        trials->ll[v] = ll;
    }
}

static int symmetric_code(float inverse, float x, int limit)
{
    return search_clamp(search_round(inverse * x), -limit, limit - 1);
}

float search_symmetric(int limit, const float *x, const float *w, int count, uint8_t *codes)
{
    const float extreme = block_extreme(x, count);
    struct symmetric_trials trials;
    clear_codes(codes, count);
    if (fabsf(extreme) < SEARCH_TINY)
        return 0.0f;
    for (int t = 0; t < TRIAL_VECTORS * LANES; t++)
        trials.inverse[t / LANES][t % LANES] =
            -((float)limit + 0.1f * (float)trial_number(t)) / extreme;
    sum_trials(&trials, limit, x, w, count);
    const float first_xl = trials.xl[0][0], first_ll = trials.ll[0][0];
    float inverse = trials.inverse[0][0];
    float scale = first_ll != 0.0f ? first_xl / first_ll : 0.0f;
    float best = scale * first_xl;
    for (int t = 1; t < TRIALS; t++) {
        const float xl = trials.xl[t / LANES][t % LANES], ll = trials.ll[t / LANES][t % LANES];
        if (ll > 0.0f && xl * xl > best * ll) {
            inverse = trials.inverse[t / LANES][t % LANES];
            scale = xl / ll;
            best = scale * xl;
        }
    }
    for (int i = 0; i < count; i++)
        codes[i] = (uint8_t)(symmetric_code(inverse, x[i], limit) + limit);
    return scale;
}

/* Codes and their sums, while single codes are changed. */
struct fit {
    int codes[SEARCH_VALUES_MAX];
    float xl, ll; /* A and B */
};

/* One code is taken out of the sums, the best one for the scale of the others put in, and the fit
 * kept if A^2 / B grows. Scales are below 0 where the extreme is above; the reference leaves such a
 * group as it is. */
static bool improve_code_symmetric(struct fit *fit, int i, float x, int limit)
{
    const float w = x * x;
    const float old = (float)fit->codes[i];
    float xl = fit->xl - w * x * old;
    float ll = fit->ll - w * old * old;
    if (!(xl > 0.0f))
        return false;
    const int code = search_clamp(search_round(x * ll / xl), -limit, limit - 1);
    if (code == fit->codes[i])
        return false;
    xl += w * x * (float)code;
    ll += w * (float)code * (float)code;
    if (!(ll > 0.0f && xl * xl * fit->ll > fit->xl * fit->xl * ll))
        return false;
    fit->codes[i] = code;
    fit->xl = xl;
    fit->ll = ll;
    return true;
}

float search_symmetric_by_code(const float *x, uint8_t *codes)
{
    enum { COUNT = 16, LIMIT = 4, SWEEPS = 5 };
    const float extreme = block_extreme(x, COUNT);
    struct fit fit = {.xl = 0.0f};
    clear_codes(codes, COUNT);
    if (fabsf(extreme) < SEARCH_TINY)
        return 0.0f;
    for (int i = 0; i < COUNT; i++) {
        const float w = x[i] * x[i];
        fit.codes[i] = symmetric_code(-(float)LIMIT / extreme, x[i], LIMIT);
        fit.xl += w * x[i] * (float)fit.codes[i];
        fit.ll += w * (float)fit.codes[i] * (float)fit.codes[i];
    }
    bool improved = true;
    for (int sweep = 0; sweep < SWEEPS && improved; sweep++) {
        improved = false;
        for (int i = 0; i < COUNT; i++)
            improved |= improve_code_symmetric(&fit, i, x[i], LIMIT);
    }
    for (int i = 0; i < COUNT; i++)
        codes[i] = (uint8_t)(fit.codes[i] + LIMIT);
    return fit.ll > 0.0f ? fit.xl / fit.ll : 0.0f;
}

/* ---- codes from 0 ---------------------------------------------------------------------------- */

static int positive_code(float inverse, float x, int limit)
{
    const int code = search_round(inverse * x);
    return code < limit ? code : limit;
}

static float positive_error(float inverse, const float *x, const float *w, int count, int limit)
{
    const float scale = 1.0f / inverse;
    float error = 0.0f;
    for (int i = 0; i < count; i++) {
        const float diff = x[i] - scale * (float)positive_code(inverse, x[i], limit);
        error += w[i] * diff * diff;
    }
    return error;
}

/* Codes are bytes here, and what does not fit into one wraps: the reference computes the error of
 * its first scale so, and that decides which scale wins. */
static float wrapped_error(float inverse, const float *x, const float *w, int count)
{
    const float scale = 1.0f / inverse;
    float error = 0.0f;
    for (int i = 0; i < count; i++) {
        const float diff = x[i] - scale * (float)(uint8_t)search_round(inverse * x[i]);
        error += w[i] * diff * diff;
    }
    return error;
}

/* As improve_code_symmetric, for codes up to `limit`, kept in bytes. */
static bool improve_code_positive(struct fit *fit, int i, float x, float w, int limit)
{
    const float old = (float)fit->codes[i];
    float xl = fit->xl - w * x * old;
    float ll = fit->ll - w * old * old;
    if (!(xl > 0.0f && ll > 0.0f))
        return false;
    const int rounded = search_round(x * ll / xl);
    const int code = rounded < limit ? rounded : limit;
    if (code == fit->codes[i])
        return false;
    xl += w * x * (float)code;
    ll += w * (float)code * (float)code;
    if (!(xl * xl * fit->ll > fit->xl * fit->xl * ll))
        return false;
    fit->codes[i] = (uint8_t)code;
    fit->xl = xl;
    fit->ll = ll;
    return true;
}

static float positive_inverse(int limit, float max, const float *x, const float *w, int count)
{
    float inverse = (float)limit / max;
    float best = wrapped_error(inverse, x, w, count);
    for (int k = -4; k <= 4; k++) {
        const float trial = (0.1f * (float)k + (float)limit) / max;
        const float error = k == 0 ? best : positive_error(trial, x, w, count, limit);
        if (error < best) {
            best = error;
            inverse = trial;
        }
    }
    return inverse;
}

float search_positive(int limit, const float *x, const float *w, int count, uint8_t *codes)
{
    enum { SWEEPS = 5 };
    float max = 0.0f;
    struct fit fit = {.xl = 0.0f};
    assert(count <= SEARCH_VALUES_MAX);
    clear_codes(codes, count);
    for (int i = 0; i < count; i++)
        max = x[i] > max ? x[i] : max;
    if (max < SEARCH_TINY)
        return 0.0f;
    const float inverse = positive_inverse(limit, max, x, w, count);
    for (int i = 0; i < count; i++) {
        const int code = positive_code(inverse, x[i], limit);
        fit.codes[i] = (uint8_t)code;
        fit.xl += w[i] * x[i] * (float)code;
        fit.ll += w[i] * (float)code * (float)code;
    }
    bool improved = true;
    for (int sweep = 0; sweep < SWEEPS && improved; sweep++) {
        improved = false;
        for (int i = 0; i < count; i++)
            improved |= improve_code_positive(&fit, i, x[i], w[i], limit);
    }
    for (int i = 0; i < count; i++)
        codes[i] = (uint8_t)fit.codes[i];
    return fit.ll > 0.0f ? fit.xl / fit.ll : 0.0f;
}

/* ---- codes and an offset --------------------------------------------------------------------- */

/* The values with what does not change from trial to trial. */
struct offset_values {
    const float *x, *w;
    int count;
    float w_sum, wx_sum, max;
};

/* A fit: x is about scale * code + base, base <= 0. */
struct offset_fit {
    float inverse, base_of_codes; /* code = round(inverse * (x - base_of_codes)) */
    float scale, base, error;
};

static int offset_code(float inverse, float x, float base, int limit)
{
    return search_clamp(search_round(inverse * (x - base)), 0, limit);
}

/* The values from `base` to the largest get the codes 0 to limit. */
static struct offset_fit fit_extremes(const struct search_offset *search,
                                      const struct offset_values *v, float base)
{
    const float inverse = (float)search->limit / (v->max - base);
    struct offset_fit fit = {inverse, base, 1.0f / inverse, base, 0.0f};
    for (int i = 0; i < v->count; i++) {
        const float code = (float)offset_code(inverse, v->x[i], base, search->limit);
        const float diff = fit.scale * code + base - v->x[i];
        fit.error += v->w[i] * (search->absolute ? fabsf(diff) : diff * diff);
    }
    return fit;
}

/* Trials side by side: sums over the codes, then the fit of each. */
struct offset_batch {
    lanes_f32 inverse;
    lanes_f32 codes[SEARCH_VALUES_MAX];
    lanes_f32 l, ll, xl;
    lanes_f32 scale, base, error;
};

static void batch_sum(struct offset_batch *batch, const struct offset_values *v, float base,
                      int limit)
{
    const lanes_f32 inverse = batch->inverse;
    lanes_f32 l = lanes_all(0.0f), ll = l, xl = l;
    for (int i = 0; i < v->count; i++) {
        const lanes_f32 code = lanes_round(inverse * (v->x[i] - base), 0, limit);
        const lanes_f32 weighted = v->w[i] * code;
        batch->codes[i] = code;
        l += weighted;
        ll += weighted * code;
        xl += weighted * v->x[i];
    }
    batch->l = l;
    batch->ll = ll;
    batch->xl = xl;
}

/* Least squares: scale and base of each trial. A base above 0 cannot be stored and becomes 0.
 * Returns where codes differ, since equal ones leave both open. */
static lanes_i32 batch_solve(struct offset_batch *batch, const struct offset_values *v)
{
    const lanes_f32 l = batch->l, ll = batch->ll, xl = batch->xl;
    const lanes_f32 determinant = v->w_sum * ll - l * l;
    const lanes_f32 scale = (v->w_sum * xl - v->wx_sum * l) / determinant;
    const lanes_f32 base = (ll * v->wx_sum - l * xl) / determinant;
    const lanes_i32 positive = base > 0.0f;
    batch->scale = (lanes_f32)lanes_select(positive, (lanes_i32)(xl / ll), (lanes_i32)scale);
    batch->base = lanes_where(~positive, base);
    return determinant > 0.0f;
}

static lanes_f32 batch_errors(const struct offset_batch *batch, const struct offset_values *v,
                              bool absolute)
{
    const lanes_f32 scale = batch->scale, base = batch->base;
    lanes_f32 error = lanes_all(0.0f);
    for (int i = 0; i < v->count; i++) {
        const lanes_f32 diff = scale * batch->codes[i] + base - v->x[i];
        error += v->w[i] * (absolute ? lanes_abs(diff) : diff * diff);
    }
    return error;
}

/* Trials `first` and following, whose codes all start from `base`. */
static void batch_fit(struct offset_batch *batch, const struct search_offset *search,
                      const struct offset_values *v, float base, int first)
{
    for (int lane = 0; lane < LANES; lane++) {
        const float steps =
            search->first + search->step * (float)(first + lane) + (float)search->limit;
        batch->inverse[lane] = steps / (v->max - base);
    }
    batch_sum(batch, v, base, search->limit);
    const lanes_i32 solved = batch_solve(batch, v);
    const lanes_f32 error = batch_errors(batch, v, search->absolute);
    batch->error =
        (lanes_f32)lanes_select(solved, (lanes_i32)error, (lanes_i32)lanes_all(INFINITY));
}

/* The first of `count` trials that is better than `error`, or `count`. */
static int batch_first_better(const struct offset_batch *batch, int count, float error)
{
    int lane = 0;
    while (lane < count && !(batch->error[lane] < error))
        lane++;
    return lane;
}

struct search_scale_min search_scale_min(const struct search_offset *search, const float *x,
                                         const float *w, int count, uint8_t *codes)
{
    struct offset_values v = {.x = x, .w = w, .count = count, .w_sum = w[0], .max = x[0]};
    struct offset_batch batch;
    float min = x[0];
    v.wx_sum = v.w_sum * x[0];
    assert(count <= SEARCH_VALUES_MAX);
    for (int i = 1; i < count; i++) {
        min = x[i] < min ? x[i] : min;
        v.max = x[i] > v.max ? x[i] : v.max;
        v.w_sum += w[i];
        v.wx_sum += w[i] * x[i];
    }
    min = min > 0.0f ? 0.0f : min;
    clear_codes(codes, count);
    if (v.max <= min)
        return (struct search_scale_min){.scale = 0.0f, .min = -min};
    struct offset_fit best = fit_extremes(search, &v, min);
    /* The codes of a trial start from the base of the best fit so far. So what a batch computed
     * behind a trial that is better than that is void. */
    for (int k = 0; k < search->trials;) {
        const int in_batch = search->trials - k < LANES ? search->trials - k : LANES;
        batch_fit(&batch, search, &v, best.base, k);
        const int lane = batch_first_better(&batch, in_batch, best.error);
        if (lane < in_batch)
            best = (struct offset_fit){batch.inverse[lane], best.base, batch.scale[lane],
                                       batch.base[lane], batch.error[lane]};
        k += lane < in_batch ? lane + 1 : in_batch;
    }
    for (int i = 0; i < count; i++)
        codes[i] = (uint8_t)offset_code(best.inverse, x[i], best.base_of_codes, search->limit);
    return (struct search_scale_min){.scale = best.scale, .min = -best.base};
}
