/* SPDX-License-Identifier: MIT
 * Products of packed codes and of BF16 on tiles (AMX), for sequences with many rows in a step.
 * Weights and activations are rounded to BF16 and summed in F32: 32 rows of the matrix are unpacked
 * to tiles that stay in the second cache, and meet up to 256 rows of activations, 32 at a time. The
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
_Static_assert(TILES_SCRATCH_BYTES == MEETINGS_MAX / TILE_ROWS * BLOCKS * TILE_BYTES, "see fill_x");

/* ---- to BF16 --------------------------------------------------------------------------------- */

/* The upper halves of numbers, rounded; ties away from zero. NaN stays what it is. */
INLINE __m512i rounded(__m512 x)
{
    const __m512i bits = _mm512_castps_si512(x);
    return _mm512_mask_add_epi32(bits, _mm512_cmp_ps_mask(x, x, _CMP_ORD_Q), bits,
                                 _mm512_set1_epi32(0x8000));
}

/* Row of a tile of weights: two columns, number by number. */
INLINE void store_pair(uint8_t *to, __m512 even, __m512 odd)
{
    const __m512i low = _mm512_srli_epi32(rounded(even), 16);
    const __m512i high = _mm512_and_si512(rounded(odd), _mm512_set1_epi32((int)0xffff0000));
    _mm512_store_si512(to, _mm512_or_si512(low, high));
}

/* 16 numbers of a row of activations. */
INLINE void store_halves(uint8_t *to, __m512 x)
{
    _mm256_store_si256((__m256i *)(void *)to,
                       _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded(x), 16)));
}

/* ---- weights --------------------------------------------------------------------------------- */

/* A group of the matrix. */
struct group {
    const uint8_t *fields, *lines; /* of codes; of floats `lines` is column 0 */
};

/* A code counts from `zero`; times the scale, zero itself could be beyond what F32 holds. */
INLINE __m512 number_at(__m512i quad, uint32_t byte, int32_t zero, __m512 scale, __m512 min)
{
    const __m512i code =
        _mm512_and_si512(_mm512_srli_epi32(quad, 8 * byte), _mm512_set1_epi32(0xff));
    const __m512i count = _mm512_sub_epi32(code, _mm512_set1_epi32(zero));
    return _mm512_fmadd_ps(_mm512_cvtepi32_ps(count), scale, min);
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
        const int32_t zero = unpacking->has_min ? 0 : unpacking->zero;
        const __m512 scale = scaling.scale[half];
        const __m512 min = unpacking->has_min ? scaling.min[half] : _mm512_setzero_ps();
        UNROLL
        for (uint32_t byte = 0; byte < 4; byte += 2)
            store_pair(tile + (2 * j + byte / 2) * TILE_ROW_BYTES,
                       number_at(quads[j], byte, zero, scale, min),
                       number_at(quads[j], byte + 1, zero, scale, min));
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

INLINE __m512 column_at(const uint8_t *lines, uint32_t column)
{
    return vf_from_bf16(lines + (uint64_t)column * PACK_ROWS * sizeof(uint16_t));
}

/* Columns behind the last are 0. */
static void fill_bf16(const struct group *group, uint32_t block, uint32_t columns, uint8_t *tile)
{
    const uint32_t first = block * COLUMNS, count = least_of(COLUMNS, columns - first);
    memset(tile, 0, TILE_BYTES);
    for (uint32_t i = 0; i < count; i += 2)
        store_pair(tile + i / 2 * TILE_ROW_BYTES, column_at(group->lines, first + i),
                   i + 1 < count ? column_at(group->lines, first + i + 1) : _mm512_setzero_ps());
}

static fill_fn *const fill[DTYPE_COUNT] = {
#define FILL_ENTRY(id, ...) [DTYPE_##id] = fill_##id,
    UNPACKINGS(FILL_ENTRY)[DTYPE_BF16] = fill_bf16,
};

/* ---- activations ----------------------------------------------------------------------------- */

/* `blocks` tiles of 16 rows of activations from meeting `at` on; rows behind the last are 0. */
static void fill_x_tiles(const struct meeting *m, uint32_t at, uint32_t count, uint32_t first,
                         uint32_t columns, uint8_t *to)
{
    for (uint32_t row = 0; row < TILE_ROWS; row++, to += TILE_ROW_BYTES) {
        for (uint32_t i = 0; i < columns; i += LANES) {
            const uint32_t some = at + row < count ? least_of(LANES, columns - i) : 0;
            const __m512 x =
                some > 0 ? vf_load_some(m[at + row].x + first + i, some) : _mm512_setzero_ps();
            store_halves(to + i / COLUMNS * TILE_BYTES + i % COLUMNS * 2, x);
        }
        if (columns % COLUMNS > 0 && columns % COLUMNS <= LANES)
            store_halves(to + columns / COLUMNS * TILE_BYTES + TILE_ROW_BYTES / 2,
                         _mm512_setzero_ps());
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
    tiles_open_whole();
    for (uint32_t first = 0; first < product->width; first += STRETCH) {
        const uint32_t columns = least_of(STRETCH, product->width - first);
        const uint32_t blocks = (columns + COLUMNS - 1) / COLUMNS;
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

/* One product of small whole numbers, which BF16 and F32 have exactly. */
static bool halves_work(void)
{
    _Alignas(64) uint16_t a[TILE_ROWS][COLUMNS], b[TILE_ROWS][COLUMNS];
    _Alignas(64) float c[TILE_ROWS][TILE_ROWS];
    bool is_right = true;
    for (uint32_t i = 0; i < TILE_ROWS * COLUMNS; i++) {
        _Alignas(64) uint8_t halves[2][TILE_ROW_BYTES / 2];
        store_halves(halves[0], _mm512_set1_ps((float)(i % 7)));
        store_halves(halves[1], _mm512_set1_ps((float)(i % 11)));
        memcpy(&a[i / COLUMNS][i % COLUMNS], halves[0], sizeof a[0][0]);
        /* number i of B is column i mod 16 of row i / 16 */
        memcpy(&b[i / 32][2 * (i % 16) + i / 16 % 2], halves[1], sizeof b[0][0]);
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
