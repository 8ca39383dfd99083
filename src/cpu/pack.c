/* SPDX-License-Identifier: MIT
 * Between the blocks of the file and groups of 16 rows: lines, and for each type where its fields
 * are. Where blocks have their codes is in pack_codes.h and pack_grids.h. */
#include "cpu/pack.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"
#include "cpu/pack_codes.h"
#include "cpu/pack_grids.h"
#include "format/blocks.h"

enum { BLOCK_MAX = 256, FIELDS_MAX = 3, WORDS_MAX = 8 * BLOCK_MAX / PACK_COLUMNS };

/* Elements of a block that are no codes. */
struct field {
    uint8_t offset, count, bytes;
};

/* Packs the codes of the blocks of 16 rows. Loading a model is a good part this, so it goes block
 * after block: lines are written whole, and rows are read side by side. */
typedef void codes_pack_fn(const uint8_t *const from[PACK_ROWS], uint32_t blocks, uint8_t *to);
/* Writes the codes of a block into it; finds all their bits 0. */
typedef void codes_put_fn(uint8_t *block, const uint8_t *codes);
/* The same of types whose lines have no codes of columns: the words of the row in the lines. */
typedef void words_put_fn(uint8_t *block, const uint32_t *words);

struct packing {
    uint8_t lines; /* for 32 columns; of codes as many as a code has bits. 0: all are fields */
    struct field fields[FIELDS_MAX];
    codes_pack_fn *pack; /* NULL: the type is not packed as codes */
    codes_put_fn *put;   /* one of the two */
    words_put_fn *put_words;
};

/* ---- lines ----------------------------------------------------------------------------------- */

/* The words of four rows in the lines of 32 columns, of codes of `bits` bits. */
static inline void pack_quads(uint32_t bits, const quad *quads, uint8_t *to)
{
    quad line[8] = {0};
    for (uint32_t j = 0; j < QUADS; j++) {
        if (bits == 8) {
            line[j] = quads[j];
            continue;
        }
        if (bits < 4) {
            if (bits > 1)
                line[j / 4] |= (quads[j] & 0x03030303) << 2 * (j % 4);
            if (bits != 2)
                line[bits - 1] |= (quads[j] >> (bits - 1) & 0x01010101) << j;
            continue;
        }
        line[j % 4] |= (quads[j] & low_halves) << 4 * (j / 4);
        if (bits == 5)
            line[4] |= (quads[j] >> 4 & 0x01010101) << j;
        if (bits == 6)
            line[4 + j / 4] |= (quads[j] >> 4 & 0x03030303) << 2 * (j % 4);
    }
    for (uint32_t j = 0; j < bits; j++)
        memcpy(to + j * PACK_LINE, &line[j], sizeof line[j]);
}

/* Of each type a function of its own, so that what is the same for all of its blocks is decided by
 * the compiler. */
#define PACK_BLOCKS(id, line_count)                                                                \
    static void pack_##id(const uint8_t *const from[PACK_ROWS], uint32_t blocks, uint8_t *to)      \
    {                                                                                              \
        for (uint32_t b = 0; b < blocks; b++, to += (line_count)*PACK_LINE) {                      \
            for (uint32_t row = 0; row < PACK_ROWS; row += SIDE) {                                 \
                const uint8_t *block[SIDE];                                                        \
                for (uint32_t i = 0; i < SIDE; i++)                                                \
                    block[i] = from[row + i] + b * sizeof(struct block_##id);                      \
                pack_block_##id(block, to + 4 * row);                                              \
            }                                                                                      \
        }                                                                                          \
    }

#define PACK_CODES(id, bits, columns)                                                              \
    static inline void pack_block_##id(const uint8_t *const block[SIDE], uint8_t *to)              \
    {                                                                                              \
        quad quads[(columns) / 4];                                                                 \
        get_##id(block, quads);                                                                    \
        for (uint32_t i = 0; i < (columns) / PACK_COLUMNS; i++)                                    \
            pack_quads(bits, quads + QUADS * i, to + i * (bits)*PACK_LINE);                        \
    }                                                                                              \
    PACK_BLOCKS(id, (bits) * (columns) / PACK_COLUMNS)
#define PACK_WORDS(id, words)                                                                      \
    static inline void pack_block_##id(const uint8_t *const block[SIDE], uint8_t *to)              \
    {                                                                                              \
        uint32_t word[SIDE][words];                                                                \
        for (uint32_t i = 0; i < SIDE; i++)                                                        \
            get_words_##id(block[i], word[i]);                                                     \
        for (uint32_t i = 0; i < (words); i++, to += PACK_LINE)                                    \
            memcpy(to, &(quad){word[0][i], word[1][i], word[2][i], word[3][i]}, sizeof(quad));     \
    }                                                                                              \
    PACK_BLOCKS(id, words)
PACK_CODES(Q4_0, 4, 32)
PACK_CODES(Q4_1, 4, 32)
PACK_CODES(IQ4_NL, 4, 32)
PACK_CODES(MXFP4, 4, 32)
PACK_CODES(Q5_0, 5, 32)
PACK_CODES(Q5_1, 5, 32)
PACK_CODES(Q8_0, 8, 32)
PACK_CODES(Q4_K, 4, 256)
PACK_CODES(Q5_K, 5, 256)
PACK_CODES(Q6_K, 6, 256)
PACK_CODES(IQ4_XS, 4, 256)
PACK_CODES(Q1_0, 1, 128)
PACK_CODES(Q2_0, 2, 64)
PACK_CODES(Q2_K, 2, 256)
PACK_CODES(TQ2_0, 2, 256)
PACK_CODES(Q3_K, 3, 256)
PACK_CODES(NVFP4, 4, 64)
PACK_WORDS(IQ1_S, 8)
PACK_WORDS(IQ1_M, 8)
PACK_WORDS(IQ2_XXS, 16)
PACK_WORDS(IQ2_XS, 16)
PACK_WORDS(IQ2_S, 16)
PACK_WORDS(IQ3_XXS, 24)
PACK_WORDS(IQ3_S, 24)

/* Digits in base 3 of five columns share a byte, so TQ1_0 is fields alone. */
static void pack_TQ1_0(const uint8_t *const from[PACK_ROWS], uint32_t blocks, uint8_t *to)
{
    (void)from;
    (void)blocks;
    (void)to;
}

static void put_words_TQ1_0(uint8_t *block, const uint32_t *words)
{
    (void)block;
    (void)words;
}

/* ---- types ----------------------------------------------------------------------------------- */

#define FIELD(id, name, elements, size)                                                            \
    {                                                                                              \
        .offset = offsetof(struct block_##id, name), .count = elements, .bytes = size              \
    }
#define PACKING(id, line_count, ...)                                                               \
    [DTYPE_##                                                                                      \
        id] = {.lines = line_count, .pack = pack_##id, .put = put_##id, .fields = {__VA_ARGS__}}
#define WORDS(id, line_count, ...)                                                                 \
    [DTYPE_##id] = {.lines = line_count,                                                           \
                    .pack = pack_##id,                                                             \
                    .put_words = put_words_##id,                                                   \
                    .fields = {__VA_ARGS__}}

static const struct packing packings[DTYPE_COUNT] = {
    PACKING(Q4_0, 4, FIELD(Q4_0, d, 1, 2)),
    PACKING(Q4_1, 4, FIELD(Q4_1, d, 1, 2), FIELD(Q4_1, m, 1, 2)),
    PACKING(IQ4_NL, 4, FIELD(IQ4_NL, d, 1, 2)),
    PACKING(MXFP4, 4, FIELD(MXFP4, e, 1, 1)),
    PACKING(Q5_0, 5, FIELD(Q5_0, d, 1, 2)),
    PACKING(Q5_1, 5, FIELD(Q5_1, d, 1, 2), FIELD(Q5_1, m, 1, 2)),
    PACKING(Q8_0, 8, FIELD(Q8_0, d, 1, 2)),
    PACKING(Q4_K, 4, FIELD(Q4_K, d, 1, 2), FIELD(Q4_K, dmin, 1, 2), FIELD(Q4_K, scales, 12, 1)),
    PACKING(Q5_K, 5, FIELD(Q5_K, d, 1, 2), FIELD(Q5_K, dmin, 1, 2), FIELD(Q5_K, scales, 12, 1)),
    PACKING(Q6_K, 6, FIELD(Q6_K, d, 1, 2), FIELD(Q6_K, scales, 16, 1)),
    PACKING(IQ4_XS, 4, FIELD(IQ4_XS, d, 1, 2), FIELD(IQ4_XS, scales_h, 1, 2),
            FIELD(IQ4_XS, scales_l, 4, 1)),
    PACKING(Q1_0, 1, FIELD(Q1_0, d, 1, 2)),
    PACKING(Q2_0, 2, FIELD(Q2_0, d, 1, 2)),
    PACKING(Q2_K, 2, FIELD(Q2_K, d, 1, 2), FIELD(Q2_K, dmin, 1, 2), FIELD(Q2_K, scales, 16, 1)),
    PACKING(TQ2_0, 2, FIELD(TQ2_0, d, 1, 2)),
    PACKING(Q3_K, 3, FIELD(Q3_K, d, 1, 2), FIELD(Q3_K, scales, 12, 1)),
    PACKING(NVFP4, 4, FIELD(NVFP4, d, 4, 1)),
    WORDS(TQ1_0, 0, FIELD(TQ1_0, qs, 12, 4), FIELD(TQ1_0, qh, 1, 4), FIELD(TQ1_0, d, 1, 2)),
    WORDS(IQ1_S, 1, FIELD(IQ1_S, d, 1, 2), FIELD(IQ1_S, qh, 8, 2)),
    WORDS(IQ1_M, 1, FIELD(IQ1_M, qh, 8, 2), FIELD(IQ1_M, scales, 4, 2)),
    WORDS(IQ2_XXS, 2, FIELD(IQ2_XXS, d, 1, 2)),
    WORDS(IQ2_XS, 2, FIELD(IQ2_XS, d, 1, 2), FIELD(IQ2_XS, scales, 8, 1)),
    WORDS(IQ2_S, 2, FIELD(IQ2_S, d, 1, 2), FIELD(IQ2_S, qh, 8, 1), FIELD(IQ2_S, scales, 8, 1)),
    WORDS(IQ3_XXS, 3, FIELD(IQ3_XXS, d, 1, 2)),
    WORDS(IQ3_S, 3, FIELD(IQ3_S, d, 1, 2), FIELD(IQ3_S, qh, 8, 1), FIELD(IQ3_S, scales, 4, 1)),
};

bool pack_knows(enum dtype dtype)
{
    return dtype_is_float(dtype) || packings[dtype].pack != NULL;
}

bool pack_has_codes(enum dtype dtype)
{
    return packings[dtype].pack != NULL;
}

/* Bytes of the fields of a block of one row. */
static uint32_t fields_bytes(const struct packing *packing)
{
    uint32_t bytes = 0;
    for (int i = 0; i < FIELDS_MAX; i++)
        bytes += (uint32_t)packing->fields[i].count * packing->fields[i].bytes;
    return bytes;
}

uint64_t pack_field_bytes(enum dtype dtype, uint32_t width)
{
    const uint64_t blocks = width / dtype_info(dtype)->block;
    return size_align(blocks * fields_bytes(&packings[dtype]) * PACK_ROWS, PACK_LINE);
}

uint32_t pack_code_bytes(enum dtype dtype)
{
    return (uint32_t)packings[dtype].lines * PACK_LINE;
}

uint64_t pack_group_bytes(enum dtype dtype, uint32_t width)
{
    if (dtype_is_float(dtype))
        return size_align(PACK_ROWS * dtype_row_bytes(dtype, width), PACK_LINE);
    return pack_field_bytes(dtype, width) +
           (uint64_t)(width / PACK_COLUMNS) * pack_code_bytes(dtype);
}

/* ---- packing --------------------------------------------------------------------------------- */

/* Bytes [at, at + bytes) of each row, side by side. */
static inline void pack_element(const uint8_t *const from[PACK_ROWS], uint64_t at, uint32_t bytes,
                                uint8_t *to)
{
    for (uint32_t row = 0; row < PACK_ROWS; row++)
        memcpy(to + row * bytes, from[row] + at, bytes);
}

/* The fields of the blocks that begin at byte `at` of each row. */
static uint8_t *pack_fields(const struct packing *packing, const uint8_t *const from[PACK_ROWS],
                            uint64_t at, uint8_t *to)
{
    for (int i = 0; i < FIELDS_MAX; i++) {
        const struct field *field = &packing->fields[i];
        const uint64_t end = at + field->offset + field->count * field->bytes;
        for (uint64_t j = at + field->offset; j < end; j += field->bytes) {
            switch (field->bytes) {
            case 1: pack_element(from, j, 1, to); break;
            case 2: pack_element(from, j, 2, to); break;
            default: pack_element(from, j, 4, to); break;
            }
            to += PACK_ROWS * field->bytes;
        }
    }
    return to;
}

/* Asks for bytes [at, at + bytes) of the rows of the next group, which lie `pitch` bytes apart from
 * `next` on: read side by side they are too many streams for the processor to look ahead in. */
static inline void fetch_next(const uint8_t *next, uint64_t pitch, uint64_t at, uint64_t bytes)
{
    for (uint32_t row = 0; row < PACK_ROWS; row++) {
        for (uint64_t i = 0; i < bytes; i += PACK_LINE)
            __builtin_prefetch(next + row * pitch + at + i, 0, 2);
    }
}

/* Some blocks at a time, which stay in the first cache from their fields to their codes. */
static void pack_blocks(enum dtype dtype, const uint8_t *const from[PACK_ROWS], const uint8_t *next,
                        uint32_t width, uint8_t *to)
{
    enum { COLUMNS = 512 };
    const struct packing *packing = &packings[dtype];
    const struct dtype_info *info = dtype_info(dtype);
    const uint32_t blocks = width / info->block, some = COLUMNS / info->block;
    const uint8_t *part[PACK_ROWS];
    uint8_t *fields = to, *codes = to + pack_field_bytes(dtype, width), *fields_end = codes;
    memcpy(part, from, sizeof part);
    for (uint32_t b = 0; b < blocks; b += some) {
        const uint32_t count = blocks - b < some ? blocks - b : some;
        fetch_next(next, dtype_row_bytes(dtype, width), (uint64_t)b * info->block_bytes,
                   count * info->block_bytes);
        for (uint32_t i = 0; i < count; i++)
            fields = pack_fields(packing, part, i * info->block_bytes, fields);
        packing->pack(part, count, codes);
        codes += (uint64_t)count * (info->block / PACK_COLUMNS) * pack_code_bytes(dtype);
        for (uint32_t row = 0; row < PACK_ROWS; row++)
            part[row] += (uint64_t)count * info->block_bytes;
    }
    memset(fields, 0, (size_t)(fields_end - fields));
}

/* Eight columns of eight rows of 16 bits, as turn_quads. */
static inline void turn_halves(const uint8_t *const from[8], uint64_t at, uint8_t *to)
{
    typedef uint16_t half __attribute__((vector_size(16)));
    half row[8], turned[8];
    for (int i = 0; i < 8; i++)
        memcpy(&row[i], from[i] + at, sizeof row[i]);
    for (int time = 0; time < 3; time++) {
        for (int i = 0; i < 4; i++) {
            const half a = row[i], b = row[i + 4];
            turned[2 * i] = __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11);
            turned[2 * i + 1] = __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15);
        }
        memcpy(row, turned, sizeof row);
    }
    for (int i = 0; i < 8; i++)
        memcpy(to + i * PACK_ROWS * sizeof(uint16_t), &row[i], sizeof row[i]);
}

static inline void turn_singles(const uint8_t *const from[SIDE], uint64_t at, uint8_t *to)
{
    quad row[SIDE];
    load_words(from, at, SIDE, row);
    for (int i = 0; i < SIDE; i++)
        memcpy(to + i * PACK_ROWS * sizeof(float), &row[i], sizeof row[i]);
}

/* Floats of `bytes` bytes: column after column, of all rows. */
static void pack_floats(uint32_t bytes, const uint8_t *const from[PACK_ROWS], const uint8_t *next,
                        uint32_t width, uint8_t *to)
{
    const uint32_t side = 16 / bytes, whole = width - width % side;
    for (uint32_t i = 0; i < whole; i += side) {
        if (i * bytes % PACK_LINE == 0)
            fetch_next(next, (uint64_t)width * bytes, (uint64_t)i * bytes, 1);
        for (uint32_t row = 0; row < PACK_ROWS; row += side) {
            uint8_t *square = to + ((uint64_t)i * PACK_ROWS + row) * bytes;
            if (bytes == 2)
                turn_halves(from + row, (uint64_t)i * bytes, square);
            else
                turn_singles(from + row, (uint64_t)i * bytes, square);
        }
    }
    for (uint32_t i = whole; i < width; i++) {
        for (uint32_t row = 0; row < PACK_ROWS; row++)
            memcpy(to + ((uint64_t)i * PACK_ROWS + row) * bytes, from[row] + (uint64_t)i * bytes,
                   bytes);
    }
}

void pack_group(enum dtype dtype, const uint8_t *from, uint32_t rows, uint32_t width, uint8_t *to)
{
    const uint64_t row_bytes = dtype_row_bytes(dtype, width);
    const uint8_t *row[PACK_ROWS];
    for (uint32_t i = 0; i < PACK_ROWS; i++)
        row[i] = from + (i < rows ? i : rows - 1) * row_bytes;
    if (!dtype_is_float(dtype)) {
        pack_blocks(dtype, row, from + PACK_ROWS * row_bytes, width, to);
        return;
    }
    const uint64_t used = PACK_ROWS * row_bytes;
    pack_floats(dtype_info(dtype)->block_bytes, row, from + PACK_ROWS * row_bytes, width, to);
    memset(to + used, 0, pack_group_bytes(dtype, width) - used);
}

/* ---- taking out ------------------------------------------------------------------------------ */

static void take_codes(uint32_t bits, const uint8_t *from, uint32_t row, uint8_t *codes)
{
    uint32_t quads[8], line[8] = {0};
    for (uint32_t j = 0; j < bits; j++)
        memcpy(&line[j], from + j * PACK_LINE + 4 * row, 4);
    for (uint32_t j = 0; j < 8; j++) {
        if (bits < 4) {
            quads[j] = bits > 1 ? line[j / 4] >> 2 * (j % 4) & 0x03030303 : 0;
            if (bits != 2)
                quads[j] |= (line[bits - 1] >> j & 0x01010101) << (bits - 1);
            continue;
        }
        quads[j] = bits == 8 ? line[j] : line[j % 4] >> 4 * (j / 4) & 0x0f0f0f0f;
        if (bits == 5)
            quads[j] |= (line[4] >> j & 0x01010101) << 4;
        if (bits == 6)
            quads[j] |= (line[4 + j / 4] >> 2 * (j % 4) & 0x03030303) << 4;
    }
    memcpy(codes, quads, sizeof quads);
}

/* The codes of a block from its lines. */
static void take_block(const struct packing *packing, const uint8_t *lines, uint32_t columns,
                       uint32_t row, uint8_t *block)
{
    uint8_t codes[BLOCK_MAX];
    uint32_t words[WORDS_MAX];
    const uint32_t pieces = columns / PACK_COLUMNS, count = packing->lines;
    if (packing->put_words != NULL) {
        for (uint32_t i = 0; i < pieces * count; i++)
            memcpy(&words[i], lines + i * PACK_LINE + 4 * row, sizeof words[i]);
        packing->put_words(block, words);
        return;
    }
    for (uint32_t i = 0; i < pieces; i++)
        take_codes(count, lines + i * count * PACK_LINE, row, codes + i * PACK_COLUMNS);
    packing->put(block, codes);
}

static const uint8_t *take_fields(const struct packing *packing, const uint8_t *from, uint32_t row,
                                  uint8_t *block)
{
    for (int i = 0; i < FIELDS_MAX; i++) {
        const struct field *field = &packing->fields[i];
        for (uint32_t element = 0; element < field->count; element++) {
            memcpy(block + field->offset + element * field->bytes,
                   from + (uint64_t)row * field->bytes, field->bytes);
            from += PACK_ROWS * field->bytes;
        }
    }
    return from;
}

static void take_floats(enum dtype dtype, const uint8_t *from, uint32_t row, uint32_t width,
                        uint8_t *to)
{
    const uint32_t bytes = dtype_info(dtype)->block_bytes;
    for (uint32_t i = 0; i < width; i++)
        memcpy(to + (uint64_t)i * bytes, from + ((uint64_t)i * PACK_ROWS + row) * bytes, bytes);
}

void pack_take_row(enum dtype dtype, const uint8_t *packed, uint64_t row, uint32_t width,
                   uint8_t *to)
{
    if (dtype_is_float(dtype)) {
        take_floats(dtype, packed + row / PACK_ROWS * pack_group_bytes(dtype, width),
                    (uint32_t)(row % PACK_ROWS), width, to);
        return;
    }
    const struct packing *packing = &packings[dtype];
    const struct dtype_info *info = dtype_info(dtype);
    const uint32_t blocks = width / info->block;
    const uint32_t block_lines = info->block / PACK_COLUMNS * pack_code_bytes(dtype);
    const uint32_t lane = (uint32_t)(row % PACK_ROWS);
    const uint8_t *fields = packed + row / PACK_ROWS * pack_group_bytes(dtype, width);
    const uint8_t *lines = fields + pack_field_bytes(dtype, width);
    memset(to, 0, (uint64_t)blocks * info->block_bytes);
    for (uint32_t b = 0; b < blocks; b++) {
        uint8_t *block = to + (uint64_t)b * info->block_bytes;
        fields = take_fields(packing, fields, lane, block);
        take_block(packing, lines + (uint64_t)b * block_lines, info->block, lane, block);
    }
}
