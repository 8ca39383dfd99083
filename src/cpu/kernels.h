/* SPDX-License-Identifier: MIT
 * The CPU backend from inside: what a kernel of an op gets, and the tables of kernels, one for each
 * ISA level. */
#ifndef CPU_KERNELS_H
#define CPU_KERNELS_H

#include "backend/host.h"
#include "cpu/attend.h"
#include "cpu/gather.h"

/* ---- activations of 8 bits ------------------------------------------------------------------- */

enum { QUANT_COLUMNS = 32, QUANT_HALF = 16 };

/* What products of packed weights read instead of floats. Row r of `columns` columns: whole numbers
 * from -127 to 127 at codes + r * pitch, for each 32 columns the scale that makes floats of them,
 * and for each 16 the sum of the numbers. */
struct quants {
    int8_t *codes; /* NULL: nobody reads them */
    uint64_t pitch;
    uint32_t columns;
};

static inline uint64_t quants_row_bytes(uint32_t columns)
{
    return ((uint64_t)columns + columns / QUANT_COLUMNS * sizeof(float) +
            columns / QUANT_HALF * sizeof(int16_t) + 63) /
           64 * 64;
}

static inline int8_t *quants_codes(const struct quants *quants, uint64_t row)
{
    return quants->codes + row * quants->pitch;
}

static inline float *quants_scales(const struct quants *quants, uint64_t row)
{
    return (float *)(void *)(quants_codes(quants, row) + quants->columns);
}

static inline int16_t *quants_sums(const struct quants *quants, uint64_t row)
{
    return (int16_t *)(void *)(quants_scales(quants, row) + quants->columns / QUANT_COLUMNS);
}

/* A sequence with up to so many rows in an op (of the head: rows whose logits are wanted, out_row
 * ascending) gets each row's bits whatever else the step has: other sequences, other rows, any
 * number of threads. One with more may be computed in another order, the same one whatever the
 * company. */
enum { EXACT_ROWS = 16 };

/* Channels that a convolution works on at once: a row of them is in the first cache when the next
 * one needs it. */
enum { CONV_BLOCK = 512 };

/* The delta rule: values of a head that are worked on at once, rows of a sequence that are taken
 * together at most, and the floats that this needs (kernel_deltanet.c), those for tiles behind the
 * others (kernel_chunk_tiles.c). */
enum { RULE_STRIP = 32, CHUNK_ROWS = 64 };

static inline uint64_t chunk_floats(uint32_t keys)
{
    const uint64_t tiles = (2 * CHUNK_ROWS + RULE_STRIP / 2) * (uint64_t)keys;
    return (uint64_t)CHUNK_ROWS * (3 * (uint64_t)keys + 2 * CHUNK_ROWS + RULE_STRIP) + tiles;
}

/* ---- calls ----------------------------------------------------------------------------------- */

/* Products of packed codes take up to so many rows of activations at a time, so many blocks of 32
 * columns, and reorder them in scratch: so that they stay in a second cache of 1 MiB. On tiles of
 * BF16 they take more, since a matrix is unpacked once for them; processors with tiles have a
 * second cache of 2 MiB. */
enum {
    MEETINGS_MAX = 256,
    TILE_MEETINGS_MAX = 512,
    PANEL_BLOCKS = 32,
    X_BLOCK_BYTES = 52, /* of one row */
    PANEL_SCRATCH_BYTES = MEETINGS_MAX * PANEL_BLOCKS * X_BLOCK_BYTES,
    TILES_SCRATCH_BYTES = TILE_MEETINGS_MAX * PANEL_BLOCKS * 64, /* in BF16 */
    PRODUCT_SCRATCH_BYTES = TILES_SCRATCH_BYTES,                 /* the larger */
    REPACK_ROWS = 32, /* of what is packed on the way: behind it, so many at a time */
};

struct cpu_call {
    const struct op *op;
    const struct step *step;
    struct host_operand at[OP_OPERANDS_MAX];
    struct quants quants;     /* of the operand that a product multiplies */
    struct gathered gathered; /* of the routing, for products of experts */
    bool is_packed;           /* the matrix is (cpu/pack.h) */
    bool is_repacked;         /* it lies as in the file, and rows of it are packed on the way */
    bool is_outs;             /* rows of the result are rows whose logits are wanted */
    float *scratch;           /* the thread's own (scratch.h) */
    uint32_t thread;
    const struct attend_team *team; /* what shares attention */
};

/* What a thread computes of the result: rows [row, row_end), flat columns [column, column_end). Of
 * products of experts: of the gathered [expert, expert_end) the columns within each group, of all
 * rows. */
struct part {
    uint64_t row, row_end;
    uint32_t column, column_end;
    uint32_t expert, expert_end;
    bool is_further; /* the thread's last call was the same, with other columns: what it put into
                        scratch is still there */
};

typedef void cpu_op_fn(const struct cpu_call *call, const struct part *part);
/* Rounds columns of rows of an F32 operand: the part begins at a multiple of 32 columns and ends at
 * one. */
typedef void cpu_quantize_fn(const struct host_operand *x, const struct quants *to,
                             const struct part *part);

struct kernels {
    const char *level;
    cpu_op_fn *op[OP_COUNT];
    cpu_quantize_fn *quantize;
    bool (*works)(void); /* a last look before the level is taken; NULL: none is needed */
};

#define LEVEL(id, features) extern const struct kernels kernels_##id;
#include "cpu/levels.def"

/* The kernels of the best level that processor and system support, no better than `best` (NULL:
 * any). WEIR_ERR_ARGUMENT for a name that is none. */
enum weir_status cpu_select(const struct kernels **out, const char *best, struct weir_error *err);

#endif
