/* SPDX-License-Identifier: MIT
 * The products of a chunk of the delta rule on tiles (AMX): numbers are rounded to BF16 where they
 * meet, and summed in F32. What is solved row by row, the decays and the state stay in F32; so does
 * all of a sequence that has few rows. */
#include "cpu/kernels/tile.h"

#include "cpu/kernels/chunk.h"

#if defined(HAS_TILES)

/* A tile of the left side has 16 rows of 32 columns; of the right side, 16 pairs of rows by 16
 * columns; of sums, 16 by 16. */
enum {
    DEPTH = TILE_ROW_BYTES / 2,
    STRIP_TILES = STRIP / TILE_ROWS,
    ROW_TILES = CHUNK_ROWS / TILE_ROWS,
    ROW_DEPTHS = CHUNK_ROWS / DEPTH,
    STRIP_BYTES = STRIP * sizeof(float), /* of a row of a strip */
};
_Static_assert((int)LANES == TILE_ROWS, "a vector is a row of sums");

/* Where the tiles of K, Q and S lie. */
struct operands {
    uint8_t *rows_k, *rows_q; /* left: [rows / 16][keys / 32] */
    uint8_t *turned;          /* right, K^T: [rows / 16][keys / 32] */
    uint8_t *columns_k;       /* left, K^T: [keys / 16][ROW_DEPTHS] */
    uint8_t *state;           /* right, of a strip: [keys / 32][STRIP_TILES] */
};

static struct operands place_operands(const struct chunk *chunk, uint32_t keys)
{
    const uint64_t bytes = (uint64_t)CHUNK_ROWS * keys * sizeof(uint16_t);
    uint8_t *at = chunk->tiles;
    return (struct operands){at, at + bytes, at + 2 * bytes, at + 3 * bytes, at + 4 * bytes};
}

/* ---- to BF16 --------------------------------------------------------------------------------- */

/* Where row `row` of the left side begins, of `depths` tiles side by side. */
static uint8_t *left_row(uint8_t *tiles, uint32_t row, uint32_t depths)
{
    return tiles + (uint64_t)row / TILE_ROWS * depths * TILE_BYTES +
           row % TILE_ROWS * TILE_ROW_BYTES;
}

/* `count` numbers, behind which all are 0 up to `columns`; both are multiples of a vector. */
static void fill_row(const float *x, uint32_t count, uint32_t columns, uint8_t *to)
{
    const vf zero = vf_set(0.0f);
    for (uint32_t i = 0; i < columns; i += DEPTH, to += TILE_BYTES)
        _mm512_store_si512(to, halves_of(i < count ? vf_load(x + i) : zero,
                                         i + LANES < count ? vf_load(x + i + LANES) : zero));
}

/* Rows of a strip to the right side, `depth_bytes` for DEPTH of them. */
static void fill_strip(const float *x, uint32_t rows, uint64_t depth_bytes, uint8_t *to)
{
    for (uint32_t i = 0; i < rows; i += 2, x += 2 * STRIP) {
        uint8_t *row = to + i / DEPTH * depth_bytes + i % DEPTH / 2 * TILE_ROW_BYTES;
        for (uint32_t n = 0; n < STRIP; n += LANES, row += TILE_BYTES)
            vi_store(row, halves_paired(halves_of(vf_load(x + n), vf_load(x + STRIP + n))));
    }
}

/* What BF16 leaves over of a number. */
INLINE vf rest_of(vf x)
{
    const __m512i halves = halves_of(x, x);
    return vf_sub(x, vf_from_bf16(&halves));
}

/* D in two parts, the second what BF16 leaves over of D: where keys are alike, later rows take back
 * much of what earlier ones have put, and what was rounded away would stay. */
static void fill_deltas(float *deltas, uint32_t rows, uint8_t *to)
{
    enum { PART_BYTES = STRIP_TILES * TILE_BYTES };
    _Alignas(64) float rest[CHUNK_ROWS * STRIP];
    for (uint32_t i = 0; i < rows * STRIP; i += LANES)
        vf_store(rest + i, rest_of(vf_load(deltas + i)));
    fill_strip(deltas, rows, 2 * PART_BYTES, to);
    fill_strip(rest, rows, 2 * PART_BYTES, to + PART_BYTES);
}

/* A tile of the left side as the right side has it transposed: pairs stay together. */
static void turn_tile(const uint8_t *from, uint8_t *to)
{
    for (uint32_t pair = 0; pair < TILE_ROWS; pair += 4) {
        vf columns[4];
        vf_load_columns((const float *)(const void *)from + pair, TILE_ROWS, columns);
        for (uint32_t n = 0; n < 4; n++)
            vf_store((float *)(void *)(to + (pair + n) * TILE_ROW_BYTES), columns[n]);
    }
}

static void fill_keys(const struct chunk *chunk, uint32_t keys, const struct operands *to)
{
    const uint32_t depths = keys / DEPTH;
    for (uint32_t i = 0; i < chunk->rows; i++) {
        fill_row(chunk->rows_k + (uint64_t)i * keys, keys, keys, left_row(to->rows_k, i, depths));
        fill_row(chunk->rows_q + (uint64_t)i * keys, keys, keys, left_row(to->rows_q, i, depths));
    }
    for (uint32_t i = 0; i < keys; i++)
        fill_row(chunk->columns_k + (uint64_t)i * CHUNK_ROWS, chunk->rows, CHUNK_ROWS,
                 left_row(to->columns_k, i, ROW_DEPTHS));
    for (uint32_t i = 0; i < chunk->rows / TILE_ROWS * depths; i++)
        turn_tile(to->rows_k + (uint64_t)i * TILE_BYTES, to->turned + (uint64_t)i * TILE_BYTES);
}

/* ---- products -------------------------------------------------------------------------------- */

/* Tiles of k . k and q . k, on the diagonal and below it. */
static void match_rows(struct chunk *chunk, const struct operands *of, uint32_t depths)
{
    const uint64_t side = (uint64_t)depths * TILE_BYTES;
    for (uint32_t i = 0; i < chunk->rows / TILE_ROWS; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            const uint32_t at = i * TILE_ROWS * CHUNK_ROWS + j * TILE_ROWS;
            TILE_ZERO(0);
            TILE_ZERO(1);
            for (uint64_t d = 0; d < side; d += TILE_BYTES) {
                TILE_LOAD(4, of->rows_k + i * side + d, TILE_ROW_BYTES);
                TILE_LOAD(5, of->rows_q + i * side + d, TILE_ROW_BYTES);
                TILE_LOAD(6, of->turned + j * side + d, TILE_ROW_BYTES);
                TILE_DOT(0, 4, 6);
                TILE_DOT(1, 5, 6);
            }
            TILE_STORE(0, chunk->l + at, CHUNK_ROWS * sizeof(float));
            TILE_STORE(1, chunk->p + at, CHUNK_ROWS * sizeof(float));
        }
    }
}

typedef float strip_rows[CHUNK_ROWS][STRIP];

/* K S and Q S of a strip. */
static void read_state(const struct chunk *chunk, const struct operands *of, uint32_t depths,
                       strip_rows seen_k, strip_rows seen_q)
{
    const uint64_t side = (uint64_t)depths * TILE_BYTES;
    for (uint32_t i = 0; i < chunk->rows / TILE_ROWS; i++) {
        TILE_ZERO(0);
        TILE_ZERO(1);
        TILE_ZERO(2);
        TILE_ZERO(3);
        for (uint64_t d = 0; d < side; d += TILE_BYTES) {
            TILE_LOAD(4, of->rows_k + i * side + d, TILE_ROW_BYTES);
            TILE_LOAD(5, of->rows_q + i * side + d, TILE_ROW_BYTES);
            TILE_LOAD(6, of->state + STRIP_TILES * d, TILE_ROW_BYTES);
            TILE_LOAD(7, of->state + STRIP_TILES * d + TILE_BYTES, TILE_ROW_BYTES);
            TILE_DOT(0, 4, 6);
            TILE_DOT(1, 4, 7);
            TILE_DOT(2, 5, 6);
            TILE_DOT(3, 5, 7);
        }
        TILE_STORE(0, seen_k[i * TILE_ROWS], STRIP_BYTES);
        TILE_STORE(1, seen_k[i * TILE_ROWS] + LANES, STRIP_BYTES);
        TILE_STORE(2, seen_q[i * TILE_ROWS], STRIP_BYTES);
        TILE_STORE(3, seen_q[i * TILE_ROWS] + LANES, STRIP_BYTES);
    }
}

/* 32 rows of a strip += the left side, `depths` tiles of each row of ROW_DEPTHS, times D. */
static void add_product(float *rows, const uint8_t *left, const uint8_t *deltas, uint32_t depths)
{
    enum { NEXT = TILE_ROWS * STRIP };
    TILE_LOAD(0, rows, STRIP_BYTES);
    TILE_LOAD(1, rows + LANES, STRIP_BYTES);
    TILE_LOAD(2, rows + NEXT, STRIP_BYTES);
    TILE_LOAD(3, rows + NEXT + LANES, STRIP_BYTES);
    for (uint32_t d = 0; d < depths; d++, left += TILE_BYTES) {
        TILE_LOAD(4, left, TILE_ROW_BYTES);
        TILE_LOAD(5, left + ROW_DEPTHS * TILE_BYTES, TILE_ROW_BYTES);
        for (uint32_t part = 0; part < 2; part++, deltas += STRIP_TILES * TILE_BYTES) {
            TILE_LOAD(6, deltas, TILE_ROW_BYTES);
            TILE_LOAD(7, deltas + TILE_BYTES, TILE_ROW_BYTES);
            TILE_DOT(0, 4, 6);
            TILE_DOT(1, 4, 7);
            TILE_DOT(2, 5, 6);
            TILE_DOT(3, 5, 7);
        }
    }
    TILE_STORE(0, rows, STRIP_BYTES);
    TILE_STORE(1, rows + LANES, STRIP_BYTES);
    TILE_STORE(2, rows + NEXT, STRIP_BYTES);
    TILE_STORE(3, rows + NEXT + LANES, STRIP_BYTES);
}

/* ---- a strip --------------------------------------------------------------------------------- */

INLINE void scale_row(float *row, float by)
{
    for (uint32_t n = 0; n < STRIP; n += LANES)
        vf_store(row + n, vf_mul(vf_load(row + n), vf_set(by)));
}

/* O = diag(g) Q S + P D, times the head's scale. */
static void put_outs(const struct chunk *chunk, const struct head *head, uint8_t *p,
                     const uint8_t *deltas, strip_rows seen_q, uint32_t value)
{
    for (uint32_t i = 0; i < chunk->rows; i++)
        scale_row(seen_q[i], chunk->from_begin[i]);
    for (uint32_t i = 0; i < chunk->rows; i += DEPTH)
        add_product(seen_q[i], left_row(p, i, ROW_DEPTHS), deltas, i / DEPTH + 1);
    for (uint32_t i = 0; i < chunk->count; i++) {
        scale_row(seen_q[i], head->scale);
        memcpy(chunk->tokens[i].out + value, seen_q[i], sizeof seen_q[i]);
    }
}

/* S' = g_last S + K^T diag(f_last) D. */
static void write_strip_by(const struct chunk *chunk, uint32_t keys, uint8_t *columns_k,
                           uint8_t *deltas, float *strip)
{
    for (uint32_t i = 0; i < chunk->rows; i++)
        scale_row(chunk->deltas + i * STRIP, chunk->to_end[i]);
    fill_deltas(chunk->deltas, chunk->rows, deltas);
    for (uint32_t key = 0; key < keys; key++)
        scale_row(strip + key * STRIP, chunk->from_begin[chunk->rows - 1]);
    for (uint32_t key = 0; key < keys; key += DEPTH)
        add_product(strip + key * STRIP, left_row(columns_k, key, ROW_DEPTHS), deltas,
                    chunk->rows / DEPTH);
}

/* ---- a chunk --------------------------------------------------------------------------------- */

void KERNEL(begin_chunk)(struct chunk *chunk, const struct head *head)
{
    const struct operands operands = place_operands(chunk, head->keys);
    fill_keys(chunk, head->keys, &operands);
    tiles_open_whole();
    match_rows(chunk, &operands, head->keys / DEPTH);
}

void KERNEL(end_chunk)(const struct chunk *chunk, const struct head *head)
{
    const uint32_t keys = head->keys;
    const struct operands operands = place_operands(chunk, keys);
    _Alignas(64) uint8_t p[ROW_TILES * ROW_DEPTHS * TILE_BYTES];
    _Alignas(64) uint8_t deltas[2 * ROW_DEPTHS * STRIP_TILES * TILE_BYTES];
    _Alignas(64) strip_rows seen_k, seen_q;
    for (uint32_t i = 0; i < chunk->rows; i++) /* nobody made what is behind the diagonal's tile */
        fill_row(chunk->p + i * CHUNK_ROWS, i / TILE_ROWS * TILE_ROWS + TILE_ROWS, CHUNK_ROWS,
                 left_row(p, i, ROW_DEPTHS));
    for (uint32_t value = 0; value < head->values; value += STRIP) {
        float *strip = head->state + (uint64_t)value * keys;
        fill_strip(strip, keys, STRIP_TILES * TILE_BYTES, operands.state);
        read_state(chunk, &operands, keys / DEPTH, seen_k, seen_q);
        KERNEL(solve_chunk)(chunk, value, seen_k[0]);
        fill_deltas(chunk->deltas, chunk->rows, deltas);
        put_outs(chunk, head, p, deltas, seen_q, value);
        write_strip_by(chunk, keys, operands.columns_k, deltas, strip);
    }
    tiles_close();
}

#else

void KERNEL(begin_chunk)(struct chunk *chunk, const struct head *head)
{
    (void)chunk, (void)head;
}

void KERNEL(end_chunk)(const struct chunk *chunk, const struct head *head)
{
    (void)chunk, (void)head;
}

#endif
