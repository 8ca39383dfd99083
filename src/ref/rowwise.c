/* SPDX-License-Identifier: MIT
 * Reference ops that work on each row alone: look-ups, elementwise functions, norms. A unit is a
 * row. */
#include "ref/ref.h"

#include <math.h>
#include <string.h>

#include "format/codec.h"

/* ---- scalar functions ------------------------------------------------------------------------ */

float ref_sigmoid_of(float x)
{
    return 1.0f / (1.0f + expf(-x));
}

float ref_silu_of(float x)
{
    return x / (1.0f + expf(-x));
}

float ref_softplus_of(float x)
{
    return x > 20.0f ? x : log1pf(expf(x)); /* the threshold of the models' own code */
}

/* ---- rows ------------------------------------------------------------------------------------ */

void ref_embed(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *table = &call->at[0];
    for (uint64_t row = first; row < last; row++)
        codec_decode_row(table->dtype,
                         table->data + (uint64_t)call->step->token[row] * table->pitch,
                         host_group(&call->at[1], row, 0), table->width);
}

void ref_select(const struct ref_call *call, uint64_t first, uint64_t last)
{
    for (uint64_t row = first; row < last; row++)
        memcpy(host_group(&call->at[1], row, 0),
               host_group(&call->at[0], call->step->out_row[row], 0),
               (size_t)call->at[1].width * sizeof(float));
}

/* ---- elementwise ----------------------------------------------------------------------------- */

static void map_rows(const struct ref_call *call, uint64_t first, uint64_t last,
                     float (*function)(float))
{
    const struct host_operand *x = &call->at[0], *y = &call->at[1];
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *from = host_group(x, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < x->width; i++)
                to[i] = function(from[i]);
        }
    }
}

void ref_silu(const struct ref_call *call, uint64_t first, uint64_t last)
{
    map_rows(call, first, last, ref_silu_of);
}

void ref_sigmoid(const struct ref_call *call, uint64_t first, uint64_t last)
{
    map_rows(call, first, last, ref_sigmoid_of);
}

void ref_softplus(const struct ref_call *call, uint64_t first, uint64_t last)
{
    map_rows(call, first, last, ref_softplus_of);
}

static float add(float a, float b)
{
    return a + b;
}

static float mul(float a, float b)
{
    return a * b;
}

static float mul_sigmoid(float a, float b)
{
    return a * ref_sigmoid_of(b);
}

static float mul_silu(float a, float b)
{
    return ref_silu_of(a) * b;
}

static void combine_rows(const struct ref_call *call, uint64_t first, uint64_t last,
                         float (*function)(float, float))
{
    const struct host_operand *a = &call->at[0], *b = &call->at[1], *y = &call->at[2];
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < a->groups; group++) {
            const float *left = host_group(a, row, group), *right = host_group(b, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < a->width; i++)
                to[i] = function(left[i], right[i]);
        }
    }
}

void ref_add(const struct ref_call *call, uint64_t first, uint64_t last)
{
    combine_rows(call, first, last, add);
}

void ref_mul(const struct ref_call *call, uint64_t first, uint64_t last)
{
    combine_rows(call, first, last, mul);
}

void ref_sigmoid_mul(const struct ref_call *call, uint64_t first, uint64_t last)
{
    combine_rows(call, first, last, mul_sigmoid);
}

void ref_swiglu(const struct ref_call *call, uint64_t first, uint64_t last)
{
    combine_rows(call, first, last, mul_silu);
}

/* One number for each row, b, with all columns of a. */
void ref_mul_column(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *a = &call->at[0], *y = &call->at[2];
    for (uint64_t row = first; row < last; row++) {
        const float b = *host_group(&call->at[1], row, 0);
        for (uint32_t group = 0; group < a->groups; group++) {
            const float *from = host_group(a, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < a->width; i++)
                to[i] = from[i] * b;
        }
    }
}

void ref_add_gated(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *a = &call->at[0], *b = &call->at[1], *y = &call->at[3];
    for (uint64_t row = first; row < last; row++) {
        const float gate = ref_sigmoid_of(*host_group(&call->at[2], row, 0));
        for (uint32_t group = 0; group < a->groups; group++) {
            const float *left = host_group(a, row, group), *right = host_group(b, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < a->width; i++)
                to[i] = left[i] + right[i] * gate;
        }
    }
}

/* ---- columns moved --------------------------------------------------------------------------- */

/* All columns of x in row `row`, group after group, to `out`; returns what is behind them. */
static float *put_columns(const struct host_operand *x, uint64_t row, float *out)
{
    for (uint32_t group = 0; group < x->groups; group++) {
        memcpy(out, host_group(x, row, group), x->width * sizeof *out);
        out += x->width;
    }
    return out;
}

void ref_copy(const struct ref_call *call, uint64_t first, uint64_t last)
{
    for (uint64_t row = first; row < last; row++)
        put_columns(&call->at[0], row, host_group(&call->at[1], row, 0));
}

void ref_concat(const struct ref_call *call, uint64_t first, uint64_t last)
{
    for (uint64_t row = first; row < last; row++)
        put_columns(&call->at[1], row,
                    put_columns(&call->at[0], row, host_group(&call->at[2], row, 0)));
}

/* ---- with a weight vector -------------------------------------------------------------------- */

/* y = function(x, w) with the same weight vector, over all columns, for each row. */
static void combine_weight(const struct ref_call *call, uint64_t first, uint64_t last,
                           float (*function)(float, float))
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    const float *w = host_group(&call->at[1], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *from = host_group(x, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < x->width; i++)
                to[i] = function(from[i], w[group * x->width + i]);
        }
    }
}

void ref_add_weight(const struct ref_call *call, uint64_t first, uint64_t last)
{
    combine_weight(call, first, last, add);
}

void ref_mul_weight(const struct ref_call *call, uint64_t first, uint64_t last)
{
    combine_weight(call, first, last, mul);
}

void ref_mul_scalar(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    const float w = *host_group(&call->at[1], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *from = host_group(x, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < x->width; i++)
                to[i] = from[i] * w;
        }
    }
}

void ref_decay(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[3];
    const float *bias = host_group(&call->at[1], 0, 0), *rate = host_group(&call->at[2], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *from = host_group(x, row, group);
            float *to = host_group(y, row, group);
            for (uint32_t i = 0; i < x->width; i++) {
                const uint32_t at = group * x->width + i;
                to[i] = ref_softplus_of(from[i] + bias[at]) * rate[at];
            }
        }
    }
}

/* ---- norms ----------------------------------------------------------------------------------- */

void ref_rms_norm_group(const float *x, const float *w, float eps, float *y, uint32_t n)
{
    double squares = 0;
    for (uint32_t i = 0; i < n; i++)
        squares += (double)x[i] * x[i];
    const float scale = 1.0f / sqrtf((float)(squares / n) + eps);
    for (uint32_t i = 0; i < n; i++)
        y[i] = x[i] * scale * w[i];
}

void ref_rms_norm(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    const float *w = host_group(&call->at[1], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++)
            ref_rms_norm_group(host_group(x, row, group), w, call->op->eps,
                               host_group(y, row, group), x->width);
    }
}

/* eps is a floor on the norm, not added under the root: as the reference engine does it. */
void ref_l2_norm(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[1];
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *from = host_group(x, row, group);
            float *to = host_group(y, row, group);
            double squares = 0;
            for (uint32_t i = 0; i < x->width; i++)
                squares += (double)from[i] * from[i];
            const float factor = call->op->scale / fmaxf(sqrtf((float)squares), call->op->eps);
            for (uint32_t i = 0; i < x->width; i++)
                to[i] = from[i] * factor;
        }
    }
}

void ref_gated_norm(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *z = &call->at[2], *y = &call->at[3];
    const float *w = host_group(&call->at[1], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < x->groups; group++) {
            const float *gate = host_group(z, row, group);
            float *to = host_group(y, row, group);
            ref_rms_norm_group(host_group(x, row, group), w, call->op->eps, to, x->width);
            for (uint32_t i = 0; i < x->width; i++)
                to[i] *= ref_silu_of(gate[i]);
        }
    }
}

void ref_add_norm(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *a = &call->at[0], *b = &call->at[1];
    const float *w = host_group(&call->at[2], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t group = 0; group < a->groups; group++) {
            const float *left = host_group(a, row, group), *right = host_group(b, row, group);
            float *sum = host_group(&call->at[3], row, group);
            for (uint32_t i = 0; i < a->width; i++)
                sum[i] = left[i] + right[i];
            ref_rms_norm_group(sum, w, call->op->eps, host_group(&call->at[4], row, group),
                               a->width);
        }
    }
}
