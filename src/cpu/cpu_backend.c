/* SPDX-License-Identifier: MIT
 * The CPU backend: its table, its device, the form in which it holds matrices. */
#include <assert.h>

#include "base/err.h"
#include "base/mem.h"
#include "cpu/exec.h"
#include "cpu/pack.h"

static enum weir_status cpu_open(struct device **out, const struct backend_threads *threads,
                                 const char *isa, struct weir_error *err)
{
    *out = NULL;
    struct device *device = mem_alloc(1, sizeof *device, err);
    if (device == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status = cpu_select(&device->kernels, isa, err);
    if (status == WEIR_OK)
        status = pool_open_bound(&device->pool, threads->count, threads->cpus, err);
    if (status != WEIR_OK) {
        mem_free(device);
        return status;
    }
    *out = device;
    return WEIR_OK;
}

static void cpu_close(struct device *device)
{
    if (device == NULL)
        return;
    pool_close(device->pool);
    mem_free(device);
}

static const char *cpu_isa(const struct device *device)
{
    return device->kernels->level;
}

/* ---- matrices -------------------------------------------------------------------------------- */

static uint64_t groups_of(uint64_t rows)
{
    return (rows + PACK_ROWS - 1) / PACK_ROWS;
}

static uint64_t cpu_held_bytes(enum dtype dtype, uint64_t rows, uint32_t width)
{
    /* floats of few rows would become many times as large */
    const bool is_worth = pack_has_codes(dtype) || (pack_knows(dtype) && rows >= PACK_ROWS);
    return is_worth ? groups_of(rows) * pack_group_bytes(dtype, width) : 0;
}

static void cpu_hold(enum dtype dtype, const uint8_t *from, uint64_t first, uint64_t last,
                     uint32_t width, uint8_t *to)
{
    static_assert(BACKEND_ROWS_UNIT % PACK_ROWS == 0, "parts are whole groups");
    const uint64_t row_bytes = dtype_row_bytes(dtype, width);
    const uint64_t group_bytes = pack_group_bytes(dtype, width);
    for (uint64_t row = first; row < last; row += PACK_ROWS) {
        const uint64_t left = last - row;
        pack_group(dtype, from + row * row_bytes, left < PACK_ROWS ? (uint32_t)left : PACK_ROWS,
                   width, to + row / PACK_ROWS * group_bytes);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static const float *cpu_logits(const struct exec *exec, uint32_t out)
{
    return host_result_row(&exec->last->bound, exec->plan->logits, out);
}

static const float *cpu_hidden(const struct exec *exec, uint32_t row)
{
    return host_result_row(&exec->last->bound, exec->plan->hidden, row);
}

const struct backend cpu_backend = {
    .name = "cpu",
    .description = "vector instructions of this processor, phases between barriers",
    .open = cpu_open,
    .close = cpu_close,
    .isa = cpu_isa,
    .alloc = host_alloc,
    .free = host_free,
    .clear = host_clear,
    .fetch = host_fetch,
    .store = host_store,
    .held_bytes = cpu_held_bytes,
    .hold = cpu_hold,
    .measure = exec_measure,
    .prepare = exec_open,
    .release = exec_close,
    .rebind = exec_rebind,
    .run = exec_run,
    .logits = cpu_logits,
    .hidden = cpu_hidden,
};
