/* SPDX-License-Identifier: MIT
 * Tiles of AMX: eight registers of up to 16 rows of up to 64 bytes, numbered by literals. A tile
 * of products adds up rows of A times columns of B, which are 16. Of BF16, 32 numbers in F32: B
 * has two numbers of a column in each row, pair p of column n at row p, bytes 4 n to 4 n + 3. Of
 * bytes, signed in A and unsigned in B, up to 64 in whole numbers of 32 bits: B has four of a
 * column in each row, in the same bytes, so that 32 columns of A are 8 rows of B. Intel's manual
 * of instruction set extensions, chapter 3. With TILES_EMULATED the same in plain C, for machines
 * without them, but for numbers that are denormal, which the hardware takes for 0. */
#ifndef CPU_KERNELS_TILE_H
#define CPU_KERNELS_TILE_H

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "base/cpu.h"
#include "cpu/kernels/kernel.h"

enum { TILE_ROWS = 16, TILE_ROW_BYTES = 64, TILE_BYTES = TILE_ROWS * TILE_ROW_BYTES, TILES = 8 };

/* What a register is opened for. */
struct tile_shape {
    uint8_t rows, row_bytes;
};

#if defined(TILES_EMULATED)

static _Thread_local struct {
    struct tile_shape shape;
    uint8_t row[TILE_ROWS][TILE_ROW_BYTES];
} tile_registers[TILES];

static inline void tiles_open(const struct tile_shape shapes[TILES])
{
    memset(tile_registers, 0, sizeof tile_registers);
    for (int i = 0; i < TILES; i++)
        tile_registers[i].shape = shapes[i];
}

static inline void tiles_close(void)
{
    memset(tile_registers, 0, sizeof tile_registers);
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
    const struct tile_shape shape = tile_registers[to].shape;
    assert(shape.rows > 0);
    for (uint64_t i = 0; i < shape.rows; i++)
        memcpy(tile_registers[to].row[i], (const uint8_t *)p + i * pitch, shape.row_bytes);
}

static inline void tile_copy_out(int from, void *p, uint64_t pitch)
{
    const struct tile_shape shape = tile_registers[from].shape;
    assert(shape.rows > 0);
    for (uint64_t i = 0; i < shape.rows; i++)
        memcpy((uint8_t *)p + i * pitch, tile_registers[from].row[i], shape.row_bytes);
}

/* Where the shapes do not fit, the instructions are invalid. */
static inline void tile_check(int c, int a, int b)
{
    const struct tile_shape sums = tile_registers[c].shape, left = tile_registers[a].shape;
    const struct tile_shape right = tile_registers[b].shape;
    assert(left.rows == sums.rows && left.rows > 0);
    assert(right.row_bytes == sums.row_bytes && right.row_bytes == TILE_ROW_BYTES);
    assert(left.row_bytes == 4 * right.rows);
    assert(c != a && c != b && a != b);
}

/* The first and the second numbers of the pairs are summed apart, then both are added. */
static inline void tile_multiply(int c, int a, int b)
{
    tile_check(c, a, b);
    for (int m = 0; m < tile_registers[a].shape.rows; m++) {
        float sums[2][TILE_ROWS] = {{0}}, all[TILE_ROWS];
        for (int k = 0; k < 2 * tile_registers[b].shape.rows; k++) {
            const float left = tile_from_bf16(tile_registers[a].row[m] + 2 * k);
            for (int n = 0; n < TILE_ROWS; n++)
                sums[k % 2][n] +=
                    left * tile_from_bf16(tile_registers[b].row[k / 2] + 4 * n + 2 * (k % 2));
        }
        memcpy(all, tile_registers[c].row[m], sizeof all);
        for (int n = 0; n < TILE_ROWS; n++)
            all[n] += sums[0][n] + sums[1][n];
        memcpy(tile_registers[c].row[m], all, sizeof all);
    }
}

static inline void tile_multiply_bytes(int c, int a, int b)
{
    tile_check(c, a, b);
    for (int m = 0; m < tile_registers[a].shape.rows; m++) {
        int32_t sum[TILE_ROWS];
        memcpy(sum, tile_registers[c].row[m], sizeof sum);
        for (int k = 0; k < tile_registers[a].shape.row_bytes; k++) {
            const int32_t left = (int8_t)tile_registers[a].row[m][k];
            for (int n = 0; n < TILE_ROWS; n++)
                sum[n] += left * tile_registers[b].row[k / 4][4 * n + k % 4];
        }
        memcpy(tile_registers[c].row[m], sum, sizeof sum);
    }
}

#define TILE_ZERO(t)            memset(tile_registers[t].row, 0, sizeof tile_registers[t].row)
#define TILE_LOAD(t, p, pitch)  tile_copy_in(t, p, pitch)
#define TILE_STORE(t, p, pitch) tile_copy_out(t, p, pitch)
#define TILE_DOT(c, a, b)       tile_multiply(c, a, b)
#define TILE_DOT_BYTES(c, a, b) tile_multiply_bytes(c, a, b)

#elif defined(HAS_TILES)

/* A thread calls this before it uses tiles, and tiles_close when it does no longer. */
static inline void tiles_open(const struct tile_shape shapes[TILES])
{
    struct cpu_tile_config config = {.palette = 1};
    for (int i = 0; i < TILES; i++) {
        config.row_bytes[i] = shapes[i].row_bytes;
        config.rows[i] = shapes[i].rows;
    }
    /* all 64 bytes are named to the compiler: GCC 12's own function names the first alone */
    __asm__ volatile("ldtilecfg %0" ::"m"(config));
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
#define TILE_DOT(c, a, b)       __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c :::)
#define TILE_DOT_BYTES(c, a, b) __asm__ volatile("tdpbsud %%tmm" #b ", %%tmm" #a ", %%tmm" #c :::)

#endif

#if defined(HAS_TILES)
/* All registers whole. */
static inline void tiles_open_whole(void)
{
    struct tile_shape shapes[TILES];
    for (int i = 0; i < TILES; i++)
        shapes[i] = (struct tile_shape){TILE_ROWS, TILE_ROW_BYTES};
    tiles_open(shapes);
}
#endif
#endif
