/* SPDX-License-Identifier: MIT
 * Tiles of AMX: eight registers of 16 rows of 64 bytes, numbered by literals. A tile of products
 * adds up 16 rows of A (32 numbers of BF16 each) times 16 columns of B (32 numbers, two in a row by
 * two: pair p of column n at row p, bytes 4 n to 4 n + 3) in F32. Intel's manual of instruction set
 * extensions, chapter 3. With TILES_EMULATED the same in plain C, for machines without them. */
#ifndef CPU_KERNELS_TILE_H
#define CPU_KERNELS_TILE_H

#include <stdint.h>
#include <string.h>

#if defined(TILES_EMULATED) || defined(__AMX_BF16__)
#define HAS_TILES 1
#endif

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES };

#if defined(TILES_EMULATED)

static _Thread_local struct {
    uint8_t row[TILE_ROWS][TILE_ROW_BYTES];
} tile_registers[8];

static inline void tiles_open(void)
{
}

static inline void tiles_close(void)
{
}

static inline float tile_from_bf16(const uint8_t *p)
{
    uint16_t half;
    memcpy(&half, p, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline void tile_copy_in(int to, const void *p, uint64_t pitch)
{
    for (uint64_t i = 0; i < TILE_ROWS; i++)
        memcpy(tile_registers[to].row[i], (const uint8_t *)p + i * pitch, TILE_ROW_BYTES);
}

static inline void tile_copy_out(int from, void *p, uint64_t pitch)
{
    for (uint64_t i = 0; i < TILE_ROWS; i++)
        memcpy((uint8_t *)p + i * pitch, tile_registers[from].row[i], TILE_ROW_BYTES);
}

static inline void tile_multiply(int c, int a, int b)
{
    for (int m = 0; m < TILE_ROWS; m++) {
        float sum[TILE_ROWS];
        memcpy(sum, tile_registers[c].row[m], sizeof sum);
        for (int k = 0; k < 32; k++) {
            const float left = tile_from_bf16(tile_registers[a].row[m] + 2 * k);
            for (int n = 0; n < TILE_ROWS; n++)
                sum[n] += left * tile_from_bf16(tile_registers[b].row[k / 2] + 4 * n + 2 * (k % 2));
        }
        memcpy(tile_registers[c].row[m], sum, sizeof sum);
    }
}

#define TILE_ZERO(t)            memset(&tile_registers[t], 0, sizeof tile_registers[t])
#define TILE_LOAD(t, p, pitch)  tile_copy_in(t, p, pitch)
#define TILE_STORE(t, p, pitch) tile_copy_out(t, p, pitch)
#define TILE_DOT(c, a, b)       tile_multiply(c, a, b)

#elif defined(HAS_TILES)

/* All 64 bytes are named to the compiler: GCC 12's own function names the first alone. */
struct tile_configuration {
    uint8_t palette, first_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
};
_Static_assert(sizeof(struct tile_configuration) == 64, "what LDTILECFG reads");

/* A thread calls this before it uses tiles, and tiles_close when it does no longer. */
static inline void tiles_open(void)
{
    struct tile_configuration configuration = {.palette = 1};
    for (int i = 0; i < 8; i++) {
        configuration.row_bytes[i] = TILE_ROW_BYTES;
        configuration.rows[i] = TILE_ROWS;
    }
    __asm__ volatile("ldtilecfg %0" ::"m"(configuration));
}

static inline void tiles_close(void)
{
    __asm__ volatile("tilerelease");
}

#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t :::)
#define TILE_LOAD(t, p, pitch)                                                                     \
    __asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t ::"r"(p), "r"((uint64_t)(pitch)) : "memory")
#define TILE_STORE(t, p, pitch)                                                                    \
    __asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" ::"r"(p), "r"((uint64_t)(pitch))          \
                     : "memory")
#define TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c :::)

#endif
#endif
