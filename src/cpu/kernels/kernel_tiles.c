/* SPDX-License-Identifier: MIT
 * Products of packed codes and of BF16 on tiles (AMX), for sequences with many rows in a step.
 * Weights and activations are rounded to BF16 and summed in F32: 32 rows of the matrix are unpacked
 * to tiles that stay in the second cache, and meet up to 512 rows of activations, 32 at a time. The
 * bits of a row do not depend on the rows beside it. */
#include "cpu/kernels/tile.h"

#include "cpu/kernels/product.h"
#include "cpu/kernels/unpack.h"

#if defined(HAS_TILES)

enum {
    COLUMNS = PACK_COLUMNS, /* of a tile */
    BLOCKS = PANEL_BLOCKS,  /* tiles of a part of a group */
    UNIT = 2 * PACK_ROWS,   /* rows that meet as many rows of activations */
};
_Static_assert(TILES_SCRATCH_BYTES == TILE_MEETINGS_MAX / TILE_ROWS * BLOCKS * TILE_BYTES,
               "see fill_x");

/* ---- weights --------------------------------------------------------------------------------- */

/* A group of the matrix. */
struct group {
    const uint8_t *fields, *lines; /* of codes; of floats `lines` is column 0 */
};

/* Lanes 0 to 7, or 8 to 15, each twice: in a tile two columns of a row lie side by side. */
INLINE __m512i twice(__m512i lanes, uint32_t part)
{
    const __m512i first = _mm512_set_epi32(7, 7, 6, 6, 5, 5, 4, 4, 3, 3, 2, 2, 1, 1, 0, 0);
    const __m512i at = _mm512_add_epi32(first, _mm512_set1_epi32(8 * (int)part));
    return _mm512_permutexvar_epi32(at, lanes);
}

INLINE __m512 floats_twice(__m512 lanes, uint32_t part)
{
    return _mm512_castsi512_ps(twice(_mm512_castps_si512(lanes), part));
}

/* What makes numbers of the codes of 8 rows. */
struct eight {
    __m512 scale, min;
    __m512i zero; /* what codes count from, below 0 */
    bool has_min;
};

/* Columns `pair` of a quad, 0 and 1 or 2 and 3: a product with one 1 picks a byte of each lane, and
 * takes `zero` off; times the scale, zero itself could be beyond what F32 holds. */
INLINE __m512 numbers_of(const struct eight *eight, __m512i quad, uint32_t pair)
{
    const uint64_t bytes_0_1 = 0x0000010000000001;
    const __m512i pick = _mm512_set1_epi64((int64_t)(bytes_0_1 << 16 * pair));
    const __m512 count = _mm512_cvtepi32_ps(_mm512_dpbusd_epi32(eight->zero, quad, pick));
    return eight->has_min ? _mm512_fmadd_ps(count, eight->scale, eight->min)
                          : _mm512_mul_ps(count, eight->scale);
}

INLINE struct eight eight_of(const struct unpacking *unpacking, const struct scaling *scaling,
                             uint32_t half, uint32_t part)
{
    struct eight eight = {.scale = floats_twice(scaling->scale[half], part),
                          .zero = _mm512_set1_epi32(unpacking->has_min ? 0 : -unpacking->zero),
                          .has_min = unpacking->has_min};
    if (unpacking->has_min)
        eight.min = floats_twice(scaling->min[half], part);
    return eight;
}

/* Block `block` of 32 columns as a tile. */
INLINE void fill_tile(const struct unpacking *unpacking, const struct group *group, uint32_t block,
                      uint8_t *tile)
{
    const struct columns at = {group->lines + (uint64_t)block * unpacking->code_bytes,
                               group->fields, block};
    vi quads[QUADS];
    struct scaling scaling;
    unpacking->unpack(&at, 0, quads);
    unpacking->scaling(&at, 0, &scaling);
    UNROLL
    for (uint32_t j = 0; j < QUADS; j++) {
        const uint32_t half = unpacking->has_halves ? 2 * j / QUADS : 0;
        const struct eight low = eight_of(unpacking, &scaling, half, 0);
        const struct eight high = eight_of(unpacking, &scaling, half, 1);
        const __m512i quad_low = twice(quads[j], 0), quad_high = twice(quads[j], 1);
        UNROLL
        for (uint32_t pair = 0; pair < 2; pair++, tile += TILE_ROW_BYTES)
            _mm512_store_si512(tile, halves_of(numbers_of(&low, quad_low, pair),
                                               numbers_of(&high, quad_high, pair)));
    }
}

typedef void fill_fn(const struct group *group, uint32_t block, uint32_t columns, uint8_t *tile);

#define FILL(id, ...)                                                                              \
    static void fill_##id(const struct group *group, uint32_t block, uint32_t columns,             \
                          uint8_t *tile)                                                           \
    {                                                                                              \
        static const struct unpacking unpacking = {__VA_ARGS__};                                   \
        (void)columns;                                                                             \
        fill_tile(&unpacking, group, block, tile);                                                 \
    }
UNPACKINGS(FILL)

/* Columns of BF16 are two and two a row of a tile, but for their order; those behind the last of
 * `count` are 0. */
INLINE void fill_columns(const uint8_t *column, uint32_t count, uint8_t *tile)
{
    enum { COLUMN_BYTES = PACK_ROWS * sizeof(uint16_t) };
    UNROLL
    for (uint32_t i = 0; i < COLUMNS; i += 2, tile += TILE_ROW_BYTES) {
        const uint32_t left = i < count ? least_of(2, count - i) : 0;
        _mm512_store_si512(tile, halves_of_columns(column + i * COLUMN_BYTES, left * PACK_ROWS));
    }
}

static void fill_bf16(const struct group *group, uint32_t block, uint32_t columns, uint8_t *tile)
{
    const uint32_t first = block * COLUMNS;
    const uint8_t *column = group->lines + (uint64_t)first * PACK_ROWS * sizeof(uint16_t);
    if (columns - first >= COLUMNS)
        fill_columns(column, COLUMNS, tile);
    else
        fill_columns(column, columns - first, tile);
}

static fill_fn *const fill[DTYPE_COUNT] = {
#define FILL_ENTRY(id, ...) [DTYPE_##id] = fill_##id,
    UNPACKINGS(FILL_ENTRY)[DTYPE_BF16] = fill_bf16,
};

/* ---- activations ----------------------------------------------------------------------------- */

/* One row of `columns` columns in each of the tiles that have them. */
static void fill_x_row(const float *x, uint32_t columns, uint8_t *to)
{
    for (uint32_t i = 0; i < columns; i += COLUMNS, to += TILE_BYTES) {
        const uint32_t low = least_of(LANES, columns - i),
                       high = least_of(LANES, columns - i - low);
        _mm512_store_si512(to,
                           halves_of(vf_load_some(x + i, low), vf_load_some(x + i + low, high)));
    }
}

/* Tiles of 16 rows of activations from meeting `at` on; rows behind the last are 0. */
static void fill_x_tiles(const struct meeting *m, uint32_t at, uint32_t count, uint32_t first,
                         uint32_t columns, uint8_t *to)
{
    for (uint32_t row = at; row < at + TILE_ROWS; row++, to += TILE_ROW_BYTES) {
        if (row < count) {
            fill_x_row(m[row].x + first, columns, to);
            continue;
        }
        for (uint32_t i = 0; i < columns; i += COLUMNS)
            memset(to + i / COLUMNS * TILE_BYTES, 0, TILE_ROW_BYTES);
    }
}

/* Columns [first, first + columns) of all rows, 16 rows after 16 rows up to a whole unit. */
static void fill_x(const struct meeting *m, uint32_t count, uint32_t first, uint32_t columns,
                   uint8_t *to)
{
    const uint32_t blocks = (columns + COLUMNS - 1) / COLUMNS;
    for (uint32_t at = 0; at < (count + UNIT - 1) / UNIT * UNIT; at += TILE_ROWS) {
        fill_x_tiles(m, at, count, first, columns, to);
        to += (uint64_t)blocks * TILE_BYTES;
    }
}

/* ---- products -------------------------------------------------------------------------------- */

/* sums[t][r]: 32 rows of activations with 32 rows of the matrix. */
static void multiply_unit(const uint8_t *x, const uint8_t *w, uint32_t blocks,
                          float sums[UNIT][UNIT])
{
    const uint64_t half = (uint64_t)blocks * TILE_BYTES;
    TILE_ZERO(0);
    TILE_ZERO(1);
    TILE_ZERO(2);
    TILE_ZERO(3);
    for (uint32_t i = 0; i < blocks; i++, x += TILE_BYTES, w += TILE_BYTES) {
        TILE_LOAD(4, x, TILE_ROW_BYTES);
        TILE_LOAD(5, x + half, TILE_ROW_BYTES);
        TILE_LOAD(6, w, TILE_ROW_BYTES);
        TILE_LOAD(7, w + half, TILE_ROW_BYTES);
        TILE_DOT(0, 4, 6);
        TILE_DOT(1, 4, 7);
        TILE_DOT(2, 5, 6);
        TILE_DOT(3, 5, 7);
    }
    TILE_STORE(0, sums[0], sizeof sums[0]);
    TILE_STORE(1, sums[0] + PACK_ROWS, sizeof sums[0]);
    TILE_STORE(2, sums[TILE_ROWS], sizeof sums[0]);
    TILE_STORE(3, sums[TILE_ROWS] + PACK_ROWS, sizeof sums[0]);
}

/* Parts of a group are added up in the result. */
static void put_sums(const float *sums, float *out, uint32_t rows, bool is_first)
{
    for (uint32_t r = 0; r < rows; r += LANES) {
        const uint32_t count = least_of(LANES, rows - r);
        const vf sum = vf_load(sums + r);
        vf_store_some(out + r, is_first ? sum : vf_add(vf_load_some(out + r, count), sum), count);
    }
}

static void fill_groups(const struct product *product, uint32_t row, uint32_t first,
                        uint32_t blocks, uint8_t *to)
{
    for (uint32_t r = row; r < row + UNIT; r += PACK_ROWS) {
        struct group group = {
            .fields = product->matrix + r / PACK_ROWS * product->group_bytes,
        };
        group.lines = group.fields + product->field_bytes;
        for (uint32_t i = 0; i < blocks; i++, to += TILE_BYTES) {
            if (r < product->last)
                fill[product->dtype](&group, first / COLUMNS + i, product->width, to);
            else
                memset(to, 0, TILE_BYTES);
        }
    }
}

void KERNEL(multiply_tiles)(const struct product *product, const struct meeting *meetings,
                            uint32_t count)
{
    enum { STRETCH = BLOCKS * COLUMNS };
    _Alignas(64) uint8_t weights[2 * BLOCKS * TILE_BYTES];
    _Alignas(64) float sums[UNIT][UNIT];
    uint8_t *x = (uint8_t *)product->scratch;
    const bool is_filled = product->is_further && product->width <= STRETCH;
    tiles_open_whole();
    for (uint32_t first = 0; first < product->width; first += STRETCH) {
        const uint32_t columns = least_of(STRETCH, product->width - first);
        const uint32_t blocks = (columns + COLUMNS - 1) / COLUMNS;
        if (!is_filled)
            fill_x(meetings, count, first, columns, x);
        for (uint32_t row = product->first; row < product->last; row += UNIT) {
            fill_groups(product, row, first, blocks, weights);
            for (uint32_t at = 0; at < count; at += UNIT) {
                multiply_unit(x + (uint64_t)at * blocks * TILE_ROW_BYTES, weights, blocks, sums);
                for (uint32_t t = 0; t < UNIT && at + t < count; t++)
                    put_sums(sums[t], meetings[at + t].out + row,
                             least_of(UNIT, product->last - row), first == 0);
            }
        }
    }
    tiles_close();
}

/* ---- do they work? --------------------------------------------------------------------------- */

/* A number of up to 8 bits, which BF16 has exactly: the upper half. */
static uint16_t half_of(uint32_t number)
{
    const float x = (float)number;
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* One product of small whole numbers, which BF16 and F32 have exactly. */
static bool halves_work(void)
{
    _Alignas(64) uint16_t a[TILE_ROWS][COLUMNS], b[TILE_ROWS][COLUMNS];
    _Alignas(64) float c[TILE_ROWS][TILE_ROWS];
    bool is_right = true;
    for (uint32_t i = 0; i < TILE_ROWS * COLUMNS; i++) {
        a[i / COLUMNS][i % COLUMNS] = half_of(i % 7);
        /* number i of B is column i mod 16 of row i / 16 */
        b[i / 32][2 * (i % 16) + i / 16 % 2] = half_of(i % 11);
    }
    tiles_open_whole();
    TILE_ZERO(0);
    TILE_LOAD(1, a, TILE_ROW_BYTES);
    TILE_LOAD(2, b, TILE_ROW_BYTES);
    TILE_DOT(0, 1, 2);
    TILE_STORE(0, c, TILE_ROW_BYTES);
    tiles_close();
    for (uint32_t i = 0; i < TILE_ROWS * TILE_ROWS; i++) {
        uint32_t sum = 0;
        for (uint32_t k = 0; k < COLUMNS; k++)
            sum += (i / 16 * COLUMNS + k) % 7 * ((16 * k + i % 16) % 11);
        is_right &= c[i / 16][i % 16] == (float)sum;
    }
    return is_right;
}

/* The same of bytes, from -127 to 127 times from 0 to 255: `rows` rows of A of `columns`. */
static bool bytes_work(uint8_t rows, uint8_t columns)
{
    enum { X_MAX = 127, CODES = 256 };
    const struct tile_shape shapes[TILES] = {
        {rows, TILE_ROW_BYTES}, {rows, columns}, {columns / 4, TILE_ROW_BYTES}};
    _Alignas(64) int8_t a[TILE_ROWS][COLUMNS];
    _Alignas(64) uint8_t b[COLUMNS / 4][TILE_ROW_BYTES];
    _Alignas(64) int32_t c[TILE_ROWS][TILE_ROWS];
    bool is_right = true;
    for (uint32_t i = 0; i < TILE_ROWS * COLUMNS; i++) {
        a[i / COLUMNS][i % COLUMNS] = (int8_t)((int32_t)(101 * i % (2 * X_MAX + 1)) - X_MAX);
        b[i / TILE_ROW_BYTES][i % TILE_ROW_BYTES] = (uint8_t)(57 * i % CODES);
    }
    tiles_open(shapes);
    TILE_ZERO(0);
    TILE_LOAD(1, a, COLUMNS);
    TILE_LOAD(2, b, TILE_ROW_BYTES);
    TILE_DOT_BYTES(0, 1, 2);
    TILE_STORE(0, c, TILE_ROW_BYTES);
    tiles_close();
    for (uint32_t i = 0; i < rows * TILE_ROWS; i++) {
        int32_t sum = 0;
        for (uint32_t k = 0; k < columns; k++)
            sum += a[i / 16][k] * b[k / 4][4 * (i % 16) + k % 4];
        is_right &= c[i / 16][i % 16] == sum;
    }
    return is_right;
}

bool KERNEL(tiles_work)(void)
{
    bool work = halves_work();
    for (uint8_t rows = TILE_ROWS / 2; rows <= TILE_ROWS; rows += TILE_ROWS / 2) {
        for (uint8_t columns = COLUMNS / 2; columns <= COLUMNS; columns += COLUMNS / 2)
            work &= bytes_work(rows, columns);
    }
    return work;
}

#else

typedef int no_tiles; /* a file is never empty */

#endif
