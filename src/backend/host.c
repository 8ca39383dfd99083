/* SPDX-License-Identifier: MIT
 * Memory of the host, and the addresses of a plan's buffers in it. Knows no op. */
#include "backend/host.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/codec.h"

/* ---- memory ---------------------------------------------------------------------------------- */

enum weir_status host_alloc(struct memory **out, struct device *device, uint64_t bytes,
                            struct weir_error *err)
{
    (void)device;
    *out = NULL;
    struct memory *memory = mem_alloc(1, sizeof *memory, err);
    if (memory == NULL)
        return WEIR_ERR_MEMORY;
    memory->bytes = bytes;
    memory->data = pages_alloc(bytes, err);
    if (memory->data == NULL) {
        mem_free(memory);
        return WEIR_ERR_MEMORY;
    }
    *out = memory;
    return WEIR_OK;
}

void host_free(struct memory *memory)
{
    if (memory == NULL)
        return;
    pages_free(memory->data, memory->bytes);
    mem_free(memory);
}

void host_clear(struct memory *memory, uint64_t offset, uint64_t bytes)
{
    memset(memory->data + offset, 0, (size_t)bytes);
}

void host_fetch(const struct memory *memory, uint64_t offset, void *out, uint64_t bytes)
{
    memcpy(out, memory->data + offset, (size_t)bytes);
}

void host_store(struct memory *memory, uint64_t offset, const void *in, uint64_t bytes)
{
    memcpy(memory->data + offset, in, (size_t)bytes);
}

/* ---- binding --------------------------------------------------------------------------------- */

/* Converts a vector if it cannot be read in place. */
static enum weir_status bind_vector(struct host_bound *bound, uint16_t number,
                                    struct weir_error *err)
{
    const struct buf *buf = plan_buf(bound->plan, number);
    uint8_t *data = bound->address[number];
    if ((buf->dtype == DTYPE_F32 && (uintptr_t)data % sizeof(float) == 0) ||
        bound->vectors[number] != NULL)
        return WEIR_OK;
    float *copy = mem_alloc((uint64_t)buf->rows * buf->width, sizeof *copy, err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t row = 0; row < buf->rows; row++)
        codec_decode_row(buf->dtype, data + row * buf_row_bytes(buf), copy + row * buf->width,
                         buf->width);
    bound->vectors[number] = copy;
    bound->address[number] = (uint8_t *)copy;
    return WEIR_OK;
}

static enum weir_status bind_weights(struct host_bound *bound, const char *name,
                                     struct weir_error *err)
{
    for (uint32_t i = 0; i < bound->plan->op_count; i++) {
        const struct op *op = &bound->plan->ops[i];
        for (uint32_t j = 0; j < op_operands(op); j++) {
            const struct buf *buf = plan_buf(bound->plan, op->operand[j]);
            const enum dtype_family family = dtype_info(buf->dtype)->family;
            if (buf->kind != BUF_WEIGHT)
                continue;
            if (family != DTYPE_FAMILY_FLOAT && family != DTYPE_FAMILY_QUANT)
                return err_set(err, WEIR_ERR_UNSUPPORTED,
                               "backend %s: op %s cannot use weights of type %s", name,
                               op_info(op->kind)->name, dtype_info(buf->dtype)->name);
            const enum weir_status status =
                op_reads_matrices(op) ? WEIR_OK : bind_vector(bound, op->operand[j], err);
            if (status != WEIR_OK)
                return status;
        }
    }
    return WEIR_OK;
}

static void bind_addresses(struct host_bound *bound, const struct backend_bind *bind,
                           const uint64_t *offsets, uint8_t *block, const uint64_t *state_offsets)
{
    const struct plan *plan = bound->plan;
    for (uint32_t i = 0; i < plan->buf_count; i++) {
        const struct buf *buf = &plan->bufs[i];
        uint8_t *base = NULL;
        switch ((enum buf_kind)buf->kind) {
        case BUF_WEIGHT: base = (uint8_t *)(uintptr_t)bind->weights[buf->source]; break;
        case BUF_CONST: base = (uint8_t *)(plan->consts + buf->source); break;
        case BUF_INPUT: break; /* comes with the step */
        case BUF_ACT:
        case BUF_HIDDEN:
        case BUF_LOGITS: base = block + offsets[buf->base]; break;
        case BUF_STATE:
        case BUF_RING:
        case BUF_RECORD:
        case BUF_KV:
        case BUF_SUM: base = bind->state->data + state_offsets[i]; break;
        }
        bound->address[i] = base == NULL ? NULL : base + dtype_row_bytes(buf->dtype, buf->offset);
    }
}

enum weir_status host_bind(struct host_bound *bound, const struct backend_bind *bind,
                           const uint64_t *offsets, uint8_t *block, const char *name,
                           struct weir_error *err)
{
    const uint32_t bufs = bind->plan->buf_count;
    enum weir_status status = WEIR_ERR_MEMORY;
    uint64_t state_total;
    uint64_t *state_offsets = mem_alloc(bufs, sizeof *state_offsets, err);
    *bound = (struct host_bound){.plan = bind->plan};
    bound->address = mem_alloc(bufs, sizeof *bound->address, err);
    bound->vectors = mem_alloc(bufs, sizeof *bound->vectors, err);
    bound->slot_bytes = mem_alloc(bufs, sizeof *bound->slot_bytes, err);
    if (state_offsets == NULL || bound->address == NULL || bound->vectors == NULL ||
        bound->slot_bytes == NULL)
        goto out;
    if (!plan_place_state(bind->plan, &bind->limits, state_offsets, bound->slot_bytes,
                          &state_total)) {
        status = err_set(err, WEIR_ERR_MEMORY, "state does not fit in 64 bits");
        goto out;
    }
    bind_addresses(bound, bind, offsets, block, state_offsets);
    status = bind_weights(bound, name, err);
out:
    mem_free(state_offsets);
    if (status != WEIR_OK)
        host_release(bound);
    return status;
}

void host_rebind(struct host_bound *bound, uint32_t number, const void *address)
{
    const struct buf *buf = &bound->plan->bufs[number];
    bound->address[number] =
        (uint8_t *)(uintptr_t)address + dtype_row_bytes(buf->dtype, buf->offset);
}

void host_release(struct host_bound *bound)
{
    for (uint32_t i = 0; bound->vectors != NULL && i < bound->plan->buf_count; i++)
        mem_free(bound->vectors[i]);
    mem_free(bound->vectors);
    mem_free(bound->slot_bytes);
    mem_free(bound->address);
    *bound = (struct host_bound){0};
}

/* ---- operands -------------------------------------------------------------------------------- */

struct host_operand host_operand(const struct host_bound *bound, const struct op *op, uint32_t i,
                                 const struct step *step)
{
    const uint16_t number = op->operand[i];
    const struct buf *buf = plan_buf(bound->plan, number);
    const bool is_converted = bound->vectors[number] != NULL;
    return (struct host_operand){
        .data =
            buf->kind == BUF_INPUT ? (uint8_t *)(uintptr_t)step->hidden : bound->address[number],
        .dtype = is_converted ? DTYPE_F32 : (enum dtype)buf->dtype,
        .rows = buf_rows(buf, step),
        .width = buf->width,
        .groups = buf->groups,
        .stride = buf->stride,
        .pitch = is_converted ? buf->width * sizeof(float)
                              : buf_row_bytes(plan_buf(bound->plan, buf->base)),
        .slot_bytes = bound->slot_bytes[number],
    };
}

const float *host_result_row(const struct host_bound *bound, uint16_t number, uint32_t row)
{
    const uint64_t row_bytes = buf_row_bytes(plan_buf(bound->plan, number));
    return (const float *)(const void *)(bound->address[number] + row * row_bytes);
}
