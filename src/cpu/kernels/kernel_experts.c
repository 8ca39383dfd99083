/* SPDX-License-Identifier: MIT
 * Kernels of a mixture of experts besides its products: routing, scales, the weighted sum; and the
 * sums that importance matrices are made of. */
#include "cpu/kernels/kernel.h"

#include "backend/route.h"

void KERNEL(route)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[0], *routing = &call->at[1];
    for (uint64_t row = part->row; row < part->row_end; row++)
        route_row(host_group(x, row, 0), x->groups * x->width, routing->width, call->scratch,
                  host_routing(routing, row), host_group(&call->at[2], row, 0));
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
