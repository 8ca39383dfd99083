/* SPDX-License-Identifier: MIT
 * The ops that multiply matrices: which rows of activations meet which matrix. */
#include "cpu/kernels/product.h"
#include "cpu/pack.h"

static void multiply(const struct cpu_call *call, const struct product *product,
                     const struct meeting *meetings, uint32_t count)
{
    if (count == 0)
        return;
    if (!call->is_packed)
        KERNEL(multiply_plain)(product, meetings, count);
    else if (!pack_has_codes(product->dtype))
        KERNEL(multiply_floats)(product, meetings, count);
    else
        KERNEL(multiply_codes)(product, meetings, count);
}

/* Group `x_group` of row `row`, and where its product goes. */
static struct meeting meeting_at(const struct cpu_call *call, const struct host_operand *x,
                                 uint64_t row, uint32_t x_group, float *out)
{
    const struct quants *quants = &call->quants;
    const uint32_t column = x_group * x->width;
    struct meeting meeting = {.x = host_group(x, row, x_group), .out = out};
    if (quants->codes != NULL) {
        meeting.codes = quants_codes(quants, row) + column;
        meeting.scales = quants_scales(quants, row) + column / QUANT_COLUMNS;
        meeting.sums = quants_sums(quants, row) + column / QUANT_HALF;
    }
    return meeting;
}

/* The part's rows of a matrix of `rows`. */
static struct product product_of(const struct cpu_call *call, const struct part *part,
                                 uint32_t rows)
{
    const struct host_operand *w = &call->at[0];
    return (struct product){
        .matrix = w->data,
        .dtype = w->dtype,
        .width = w->width,
        .rows = rows,
        .first = part->column,
        .last = part->column_end,
        .scratch = call->scratch,
    };
}

void KERNEL(matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *x = &call->at[1], *y = &call->at[2];
    const struct product product = product_of(call, part, y->groups * y->width);
    struct meeting meetings[MEETINGS_MAX];
    for (uint64_t row = part->row; row < part->row_end; row += MEETINGS_MAX) {
        const uint64_t left = part->row_end - row;
        const uint32_t count = left < MEETINGS_MAX ? (uint32_t)left : MEETINGS_MAX;
        for (uint32_t i = 0; i < count; i++)
            meetings[i] = meeting_at(call, x, row + i, 0, host_group(y, row + i, 0));
        multiply(call, &product, meetings, count);
    }
}

/* ---- experts --------------------------------------------------------------------------------- */

static const int32_t *routing_row(const struct host_operand *routing, uint64_t row)
{
    return (const int32_t *)(const void *)(routing->data + row * routing->pitch);
}

/* The matrix of one expert. */
static struct product expert_product(const struct cpu_call *call, const struct part *part,
                                     uint32_t expert)
{
    struct product product = product_of(call, part, call->at[3].width);
    const uint64_t groups = (product.rows + PACK_ROWS - 1) / PACK_ROWS;
    const uint64_t bytes = call->is_packed ? groups * pack_group_bytes(product.dtype, product.width)
                                           : product.rows * call->at[0].pitch;
    product.matrix += expert * bytes;
    return product;
}

/* Columns of the part are those within each group of the result. */
void KERNEL(expert_matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *w = &call->at[0], *routing = &call->at[1], *x = &call->at[2];
    const struct host_operand *y = &call->at[3];
    const uint32_t experts = (uint32_t)(w->rows / y->width);
    struct meeting meetings[MEETINGS_MAX];
    for (uint32_t expert = 0; expert < experts; expert++) {
        const struct product product = expert_product(call, part, expert);
        uint32_t count = 0;
        for (uint64_t row = part->row; row < part->row_end; row++) {
            for (uint32_t j = 0; j < routing->width; j++) {
                if (routing_row(routing, row)[j] != (int32_t)expert)
                    continue;
                meetings[count++] =
                    meeting_at(call, x, row, x->groups == 1 ? 0 : j, host_group(y, row, j));
                if (count == MEETINGS_MAX) {
                    multiply(call, &product, meetings, count);
                    count = 0;
                }
            }
        }
        multiply(call, &product, meetings, count);
    }
}
