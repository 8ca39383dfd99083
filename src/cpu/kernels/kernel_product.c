/* SPDX-License-Identifier: MIT
 * The ops that multiply matrices: which rows of activations meet which matrix. */
#include "cpu/kernels/product.h"
#include "cpu/kernels/tile.h"
#include "cpu/pack.h"

/* How matrices of the type are multiplied so that bits do not depend on the other rows. */
static product_fn *way_of(const struct cpu_call *call, enum dtype dtype)
{
    if (!call->is_packed)
        return KERNEL(multiply_plain);
    return pack_has_codes(dtype) ? KERNEL(multiply_codes) : KERNEL(multiply_floats);
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
    struct product product = {
        .matrix = w->data,
        .dtype = w->dtype,
        .width = w->width,
        .rows = rows,
        .first = part->column,
        .last = part->column_end,
        .scratch = call->scratch,
    };
    if (call->is_packed)
        product.group_bytes = pack_group_bytes(w->dtype, w->width);
    if (call->is_packed && pack_has_codes(w->dtype))
        product.field_bytes = pack_field_bytes(w->dtype, w->width);
    return product;
}

#if defined(HAS_TILES)
/* Rows of the op that are the sequence's: of the head, those whose logits are wanted. It is their
 * number that EXACT_ROWS is about. */
static void rows_of_seq(const struct cpu_call *call, const struct step_seq *seq, uint64_t *first,
                        uint64_t *last)
{
    const struct step *step = call->step;
    *first = seq->row_first;
    *last = (uint64_t)seq->row_first + seq->rows;
    if (!call->is_outs)
        return;
    uint64_t from = 0, to;
    while (from < step->outs && step->out_row[from] < *first)
        from++;
    for (to = from; to < step->outs && step->out_row[to] < *last; to++)
        ;
    *first = from;
    *last = to;
}
#endif

/* Rows [first, last) by one way of multiplying. */
static void multiply_rows(const struct cpu_call *call, const struct product *product,
                          uint64_t first, uint64_t last, product_fn *multiply)
{
    struct meeting meetings[MEETINGS_MAX];
    for (uint64_t row = first; row < last; row += MEETINGS_MAX) {
        const uint32_t count = last - row < MEETINGS_MAX ? (uint32_t)(last - row) : MEETINGS_MAX;
        for (uint32_t i = 0; i < count; i++)
            meetings[i] =
                meeting_at(call, &call->at[1], row + i, 0, host_group(&call->at[2], row + i, 0));
        multiply(product, meetings, count);
    }
}

void KERNEL(matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *y = &call->at[2];
    struct product product = product_of(call, part, y->groups * y->width);
    product.is_further = part->is_further && part->row_end - part->row <= EXACT_ROWS;
    product_fn *const exact = way_of(call, product.dtype);
    uint64_t begun = part->row; /* rows before it are done */
#if defined(HAS_TILES)
    /* not floats that BF16 is too coarse for: routers and gates among them */
    const bool is_tiled =
        call->is_packed && (pack_has_codes(product.dtype) || product.dtype == DTYPE_BF16);
    for (uint32_t s = 0; is_tiled && s < call->step->seqs; s++) {
        uint64_t first, last;
        rows_of_seq(call, &call->step->seq[s], &first, &last);
        const bool is_exact = last - first <= EXACT_ROWS;
        first = first < part->row ? part->row : first;
        last = last > part->row_end ? part->row_end : last;
        if (is_exact || last <= first)
            continue;
        multiply_rows(call, &product, begun, first, exact);
        multiply_rows(call, &product, first, last, KERNEL(multiply_tiles));
        begun = last;
    }
#endif
    multiply_rows(call, &product, begun, part->row_end, exact);
}

/* ---- experts --------------------------------------------------------------------------------- */

/* The matrix of one expert. */
static struct product expert_product(const struct cpu_call *call, const struct part *part,
                                     uint32_t expert)
{
    struct product product = product_of(call, part, call->at[3].width);
    const uint64_t groups = (product.rows + PACK_ROWS - 1) / PACK_ROWS;
    const uint64_t bytes =
        call->is_packed ? groups * product.group_bytes : product.rows * call->at[0].pitch;
    product.matrix += expert * bytes;
    return product;
}

/* Columns of the part are those within each group of the result. */
void KERNEL(expert_matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *w = &call->at[0], *routing = &call->at[1], *x = &call->at[2];
    const struct host_operand *y = &call->at[3];
    const uint32_t experts = (uint32_t)(w->rows / y->width);
    product_fn *const multiply = way_of(call, w->dtype);
    struct meeting meetings[MEETINGS_MAX];
    for (uint32_t expert = 0; expert < experts; expert++) {
        const struct product product = expert_product(call, part, expert);
        uint32_t count = 0;
        for (uint64_t row = part->row; row < part->row_end; row++) {
            for (uint32_t j = 0; j < routing->width; j++) {
                if (host_routing(routing, row)[j] != (int32_t)expert)
                    continue;
                meetings[count++] =
                    meeting_at(call, x, row, x->groups == 1 ? 0 : j, host_group(y, row, j));
                if (count == MEETINGS_MAX) {
                    multiply(&product, meetings, count);
                    count = 0;
                }
            }
        }
        if (count > 0)
            multiply(&product, meetings, count);
    }
}
