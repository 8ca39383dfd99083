/* SPDX-License-Identifier: MIT
 * Reference ops of a mixture of experts: routing, the products with the experts' matrices, and the
 * weighted sum of what they give. */
#include "ref/ref.h"

#include "backend/route.h"
#include "format/codec.h"

/* ---- routing --------------------------------------------------------------------------------- */

void ref_route(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *routing = &call->at[1];
    for (uint64_t row = first; row < last; row++)
        route_row(host_group(x, row, 0), x->groups * x->width, routing->width, call->scratch,
                  host_routing(routing, row), host_group(&call->at[2], row, 0));
}

/* ---- products -------------------------------------------------------------------------------- */

static bool is_routed_to(const struct ref_call *call, int32_t expert)
{
    const struct host_operand *routing = &call->at[1];
    for (uint64_t row = 0; row < call->rows; row++) {
        for (uint32_t j = 0; j < routing->width; j++) {
            if (host_routing(routing, row)[j] == expert)
                return true;
        }
    }
    return false;
}

/* Output `out` of all rows that are routed to `expert`; `w` is that row of its matrix, decoded. */
static void multiply_routed(const struct ref_call *call, int32_t expert, uint64_t out,
                            const float *w)
{
    const struct host_operand *routing = &call->at[1], *x = &call->at[2], *y = &call->at[3];
    for (uint64_t row = 0; row < call->rows; row++) {
        for (uint32_t j = 0; j < routing->width; j++) {
            if (host_routing(routing, row)[j] != expert)
                continue;
            const float *input = host_group(x, row, x->groups == 1 ? 0 : j);
            host_group(y, row, j)[out] = ref_dot(w, input, x->width);
        }
    }
}

/* A unit is a row of the stack; it is decoded once if its expert is wanted at all. */
void ref_expert_matmul(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *w = &call->at[0], *y = &call->at[3];
    const uint64_t matrix = y->width;
    while (first < last) {
        const uint64_t expert = first / matrix;
        const uint64_t end = (expert + 1) * matrix < last ? (expert + 1) * matrix : last;
        const bool is_wanted = is_routed_to(call, (int32_t)expert);
        for (uint64_t unit = first; is_wanted && unit < end; unit++) {
            codec_decode_row(w->dtype, w->data + unit * w->pitch, call->scratch, w->width);
            multiply_routed(call, (int32_t)expert, unit - expert * matrix, call->scratch);
        }
        first = end;
    }
}

void ref_expert_scale(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *y = &call->at[3];
    const float *w = host_group(&call->at[2], 0, 0);
    for (uint64_t row = first; row < last; row++) {
        for (uint32_t j = 0; j < x->groups; j++) {
            const float scale = w[host_routing(&call->at[1], row)[j]];
            const float *from = host_group(x, row, j);
            float *to = host_group(y, row, j);
            for (uint32_t i = 0; i < x->width; i++)
                to[i] = from[i] * scale;
        }
    }
}

/* In the order of the routing: the largest share first. */
void ref_expert_sum(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0];
    for (uint64_t row = first; row < last; row++) {
        const float *share = host_group(&call->at[1], row, 0);
        float *y = host_group(&call->at[2], row, 0);
        for (uint32_t i = 0; i < x->width; i++)
            y[i] = host_group(x, row, 0)[i] * share[0];
        for (uint32_t j = 1; j < x->groups; j++) {
            const float *from = host_group(x, row, j);
            for (uint32_t i = 0; i < x->width; i++)
                y[i] += from[i] * share[j];
        }
    }
}

/* ---- sums for importance matrices ------------------------------------------------------------ */

/* sums[i] += x[i]^2, and one more row is counted. */
static void add_squares(const float *x, float *sums, uint32_t n)
{
    for (uint32_t i = 0; i < n; i++)
        sums[i] += x[i] * x[i];
    sums[n]++;
}

/* A unit is a matrix of the stack. */
void ref_expert_squares(const struct ref_call *call, uint64_t first, uint64_t last)
{
    const struct host_operand *x = &call->at[0], *routing = &call->at[1], *sums = &call->at[2];
    for (uint64_t row = 0; row < call->rows; row++) {
        for (uint32_t j = 0; j < routing->width; j++) {
            const uint64_t expert = (uint64_t)host_routing(routing, row)[j];
            if (expert >= first && expert < last)
                add_squares(host_group(x, row, x->groups == 1 ? 0 : j),
                            (float *)(void *)(sums->data + expert * sums->pitch), x->width);
        }
    }
}

/* A unit is a column, or the number of rows behind them. */
void ref_sum_squares(const struct ref_call *call, uint64_t first, uint64_t last)
{
    float *sums = (float *)(void *)call->at[1].data;
    const uint32_t columns = call->at[1].width - 1;
    for (uint64_t row = 0; row < call->rows; row++) {
        const float *x = host_group(&call->at[0], row, 0);
        for (uint64_t i = first; i < last; i++)
            sums[i] += i < columns ? x[i] * x[i] : 1.0f;
    }
}
