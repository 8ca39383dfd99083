/* SPDX-License-Identifier: MIT
 * Kernels of a mixture of experts besides its products: routing, scales, the weighted sum; and the
 * sums that importance matrices are made of. */
#include "cpu/kernels/kernel.h"

#include <math.h>

/* What the models' own code puts under the shares in place of a sum too small: 2^-14. */
static const float share_floor = 6.103515625e-5f;

static void softmax(const float *x, float *p, uint32_t n)
{
    float largest = x[0];
    double sum = 0;
    for (uint32_t i = 1; i < n; i++)
        largest = fmaxf(x[i], largest);
    for (uint32_t i = 0; i < n; i++) {
        p[i] = expf(x[i] - largest);
        sum += (double)p[i];
    }
    for (uint32_t i = 0; i < n; i++)
        p[i] *= (float)(1.0 / sum);
}

/* Takes the largest out of p, of equal ones the first, and leaves -1 in its place. */
static int32_t take_largest(float *p, uint32_t n, float *value)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < n; i++)
        at = p[i] > p[at] ? i : at;
    *value = p[at];
    p[at] = -1;
    return (int32_t)at;
}

void KERNEL(route)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *routing = &call->at[1];
    const uint32_t experts = x->groups * x->width, used = routing->width;
    for (uint64_t row = part->row; row < part->row_end; row++) {
        float *share = host_group(&call->at[2], row, 0);
        double sum = 0;
        softmax(host_group(x, row, 0), call->scratch, experts);
        for (uint32_t j = 0; j < used; j++) {
            host_routing(routing, row)[j] = take_largest(call->scratch, experts, &share[j]);
            sum += (double)share[j];
        }
        for (uint32_t j = 0; j < used; j++)
            share[j] /= fmaxf((float)sum, share_floor);
    }
}

/* Columns of the part are those of one group, flat. */
void KERNEL(expert_scale)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[3];
    const float *w = host_group(&call->at[2], 0, 0);
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t column = part->column; column < part->column_end; column++) {
            const uint32_t j = column / y->width, at = column % y->width;
            const float scale = w[host_routing(&call->at[1], row)[j]];
            host_group(y, row, j)[at] = host_group(x, row, j)[at] * scale;
        }
    }
}

/* In the order of the routing: the largest share first. */
void KERNEL(expert_sum)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[2];
    for (uint64_t row = part->row; row < part->row_end; row++) {
        const float *share = host_group(&call->at[1], row, 0);
        for (uint32_t column = part->column; column < part->column_end; column += LANES) {
            const uint32_t count = least_of(LANES, part->column_end - column);
            vf sum = vf_set(0.0f);
            for (uint32_t j = 0; j < x->groups; j++)
                sum = vf_fma(vf_load_some(host_group(x, row, j) + column, count), vf_set(share[j]),
                             sum);
            vf_store_some(host_group(y, row, 0) + column, sum, count);
        }
    }
}

/* ---- importance ------------------------------------------------------------------------------ */

void KERNEL(sum_squares)(const struct cpu_call *call, const struct part *part)
{
    float *sums = (float *)(void *)call->at[1].data;
    const uint32_t columns = call->at[1].width - 1;
    for (uint64_t row = part->row; row < part->row_end; row++) {
        const float *x = host_group(&call->at[0], row, 0);
        for (uint32_t i = 0; i < columns; i++)
            sums[i] += x[i] * x[i];
        sums[columns] += 1.0f;
    }
}

void KERNEL(expert_squares)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *routing = &call->at[1], *sums = &call->at[2];
    const uint32_t columns = sums->width - 1;
    for (uint64_t row = part->row; row < part->row_end; row++) {
        for (uint32_t j = 0; j < routing->width; j++) {
            float *to = (float *)(void *)(sums->data +
                                          (uint64_t)host_routing(routing, row)[j] * sums->pitch);
            const float *from = host_group(x, row, x->groups == 1 ? 0 : j);
            for (uint32_t i = 0; i < columns; i++)
                to[i] += from[i] * from[i];
            to[columns] += 1.0f;
        }
    }
}
