/* SPDX-License-Identifier: MIT
 * The ops that multiply matrices: which rows of activations meet which matrix. */
#include "cpu/kernels/product.h"
#include "cpu/kernels/tile.h"
#include "cpu/pack.h"

/* A way of multiplying, and the rows of activations that it takes at a time. */
struct way {
    product_fn *multiply;
    uint32_t meetings_max;
};

/* How matrices of the type are multiplied so that bits do not depend on the other rows. */
static struct way way_of(const struct cpu_call *call, enum dtype dtype)
{
    if (pack_has_codes(dtype))
        return (struct way){KERNEL(multiply_codes), MEETINGS_MAX};
    const bool is_plain = !call->is_packed && !call->is_repacked;
    return (struct way){is_plain ? KERNEL(multiply_plain) : KERNEL(multiply_floats), MEETINGS_MAX};
}

/* What lies as in the file may be packed on the way, some rows at a time: the same lines give the
 * same bits, and the layout is written down once. */
static void multiply(const struct cpu_call *call, const struct product *product,
                     const struct meeting *meetings, uint32_t count, product_fn *way)
{
    if (!call->is_repacked) {
        way(product, meetings, count);
        return;
    }
    const uint64_t pitch = dtype_row_bytes(product->dtype, product->width);
    struct meeting own[TILE_MEETINGS_MAX];
    struct product some = *product;
    some.matrix = (const uint8_t *)product->scratch + PRODUCT_SCRATCH_BYTES;
    some.first = 0;
    memcpy(own, meetings, count * sizeof *own);
    for (uint32_t row = product->first; row < product->last; row += some.last) {
        some.rows = some.last = least_of(REPACK_ROWS, product->last - row);
        for (uint32_t i = 0; i < some.last; i += PACK_ROWS)
            pack_group(product->dtype, product->matrix + (row + i) * pitch,
                       least_of(PACK_ROWS, some.last - i), product->width,
                       (uint8_t *)product->scratch + PRODUCT_SCRATCH_BYTES +
                           i / PACK_ROWS * product->group_bytes);
        for (uint32_t i = 0; i < count; i++)
            own[i].out = meetings[i].out + row;
        way(&some, own, count);
        some.is_further = true;
    }
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
    if (pack_knows(w->dtype))
        product.group_bytes = pack_group_bytes(w->dtype, w->width);
    if (pack_has_codes(w->dtype))
        product.field_bytes = pack_field_bytes(w->dtype, w->width);
    return product;
}

/* How sequences with many rows are multiplied (EXACT_ROWS); without a function, as others are. Not
 * in BF16 are floats that it is too coarse for, and matrices of BF16 with few rows: routers and
 * gates are among these, a choice hangs on the last digits there, and they may have been F32 in the
 * file. */
static struct way way_of_many(const struct cpu_call *call, enum dtype dtype)
{
    enum { FEW_ROWS = 512 };
    const bool is_bf16 = way_of(call, dtype).multiply == KERNEL(multiply_floats) &&
                         dtype == DTYPE_BF16 && call->at[0].rows > FEW_ROWS;
    struct way way = {NULL, MEETINGS_MAX};
#if defined(HAS_TILES)
    if (is_bf16 || pack_has_codes(dtype))
        way = (struct way){KERNEL(multiply_tiles), TILE_MEETINGS_MAX};
#elif defined(SIMD_HALVES)
    if (is_bf16)
        way.multiply = KERNEL(multiply_halves);
#endif
    (void)is_bf16;
    return way;
}

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

/* Rows [first, last) by one way of multiplying. */
static void multiply_rows(const struct cpu_call *call, const struct product *product,
                          uint64_t first, uint64_t last, struct way way)
{
    struct meeting meetings[TILE_MEETINGS_MAX];
    for (uint64_t row = first; row < last; row += way.meetings_max) {
        const uint32_t count =
            last - row < way.meetings_max ? (uint32_t)(last - row) : way.meetings_max;
        for (uint32_t i = 0; i < count; i++)
            meetings[i] =
                meeting_at(call, &call->at[1], row + i, 0, host_group(&call->at[2], row + i, 0));
        multiply(call, product, meetings, count, way.multiply);
    }
}

void KERNEL(matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct host_operand *y = &call->at[2];
    struct product product = product_of(call, part, y->groups * y->width);
    product.is_further = part->is_further && part->row_end - part->row <= EXACT_ROWS;
    const struct way exact = way_of(call, product.dtype);
    const struct way many = way_of_many(call, product.dtype);
    uint64_t begun = part->row; /* rows before it are done */
    for (uint32_t s = 0; many.multiply != NULL && s < call->step->seqs; s++) {
        struct product other = product;
        uint64_t first, last;
        rows_of_seq(call, &call->step->seq[s], &first, &last);
        const bool is_exact = last - first <= EXACT_ROWS;
        first = first < part->row ? part->row : first;
        last = last > part->row_end ? part->row_end : last;
        if (is_exact || last <= first)
            continue;
        other.is_further = false; /* several sequences take the same memory in turn */
        multiply_rows(call, &product, begun, first, exact);
        multiply_rows(call, &other, first, last, many);
        begun = last;
    }
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

/* The first lines of an expert's part: nobody looks so far ahead while the one before it is
 * multiplied. */
static void prefetch_part(const struct cpu_call *call, const struct product *product)
{
    enum { AHEAD_BYTES = 4096, LINE_BYTES = 64 };
    const uint8_t *from =
        product->matrix + (call->is_packed ? product->first / PACK_ROWS * product->group_bytes
                                           : product->first * call->at[0].pitch);
    for (uint32_t at = 0; at < AHEAD_BYTES; at += LINE_BYTES)
        __builtin_prefetch(from + at, 0, 2);
}

/* Which of an expert's rows: those of sequences that are multiplied exactly, or of the others. */
enum rows { ROWS_EXACT, ROWS_MANY, ROWS_ALL };

static bool has_row(const struct step *step, uint64_t row, enum rows rows)
{
    return rows == ROWS_ALL ||
           (step_seq_of_row(step, row)->rows > EXACT_ROWS) == (rows == ROWS_MANY);
}

static void multiply_gathered(const struct cpu_call *call, const struct product *product,
                              const struct gathered_expert *of, enum rows rows, struct way way)
{
    const struct host_operand *x = &call->at[2];
    struct meeting meetings[TILE_MEETINGS_MAX];
    uint32_t count = 0;
    for (uint32_t i = of->first; i < of->last; i++) {
        const struct gathered_entry *at = &call->gathered.entries[i];
        if (has_row(call->step, at->row, rows))
            meetings[count++] = meeting_at(call, x, at->row, x->groups == 1 ? 0 : at->place,
                                           host_group(&call->at[3], at->row, at->place));
        if (count == way.meetings_max || (count > 0 && i + 1 == of->last)) {
            multiply(call, product, meetings, count, way.multiply);
            count = 0;
        }
    }
}

/* All rows of an expert at a time, whatever the routing: the matrix is unpacked once. */
void KERNEL(expert_matmul)(const struct cpu_call *call, const struct part *part)
{
    const struct way exact = way_of(call, call->at[0].dtype);
    const struct way many = way_of_many(call, call->at[0].dtype);
    struct product product, next = {0};
    for (uint32_t i = part->expert; i < part->expert_end; i++) {
        const struct gathered_expert *of = &call->gathered.experts[i];
        product = i == part->expert ? expert_product(call, part, of->expert) : next;
        if (i + 1 < part->expert_end) {
            next = expert_product(call, part, of[1].expert);
            prefetch_part(call, &next);
        }
        multiply_gathered(call, &product, of, many.multiply == NULL ? ROWS_ALL : ROWS_EXACT, exact);
        if (many.multiply != NULL)
            multiply_gathered(call, &product, of, ROWS_MANY, many);
    }
}
