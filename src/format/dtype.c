/* SPDX-License-Identifier: MIT
 * The tensor types as a table, and what to say of ids without a type. Knows nothing of what the
 * bytes of a block mean. */
#include "format/dtype.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const struct dtype_info infos[DTYPE_COUNT] = {
#define DTYPE(id, name, gguf_id, block, bytes, family)                                             \
    [DTYPE_##id] = {name, gguf_id, block, bytes, DTYPE_FAMILY_##family},
#include "format/dtype.def"
};

/* Types that ggml once had, and whose ids it never gives out again. */
static const struct {
    uint32_t gguf_id;
    const char *name;
} removed[] = {
    {4, "Q4_2"},      {5, "Q4_3"},        {31, "Q4_0_4_4"},   {32, "Q4_0_4_8"},
    {33, "Q4_0_8_8"}, {36, "IQ4_NL_4_4"}, {37, "IQ4_NL_4_8"}, {38, "IQ4_NL_8_8"},
};

/* Ids above those of ggml that the fork ik_llama.cpp gives to types of its own. */
static const struct {
    uint32_t first, last;
} fork_ids[] = {{97, 99}, {133, 158}, {202, 399}};

/* The fork also took this removed id for a type of its own. */
enum { FORK_REUSED_ID = 36 };

const struct dtype_info *dtype_info(enum dtype dtype)
{
    assert((unsigned)dtype < DTYPE_COUNT);
    return &infos[dtype];
}

static enum weir_status refuse_id(uint32_t gguf_id, struct weir_error *err)
{
    for (size_t i = 0; i < sizeof removed / sizeof *removed; i++) {
        if (removed[i].gguf_id != gguf_id)
            continue;
        const char *hint =
            gguf_id == FORK_REUSED_ID ? ", or is a type of the ik_llama.cpp fork" : "";
        return err_set(err, WEIR_ERR_FORMAT, "tensor type %u (%s) was removed from ggml%s", gguf_id,
                       removed[i].name, hint);
    }
    for (size_t i = 0; i < sizeof fork_ids / sizeof *fork_ids; i++) {
        if (gguf_id >= fork_ids[i].first && gguf_id <= fork_ids[i].last)
            return err_set(err, WEIR_ERR_FORMAT,
                           "unknown tensor type %u: an id of the ik_llama.cpp fork", gguf_id);
    }
    return err_set(err, WEIR_ERR_FORMAT, "unknown tensor type %u", gguf_id);
}

enum weir_status dtype_from_gguf(enum dtype *out, uint32_t gguf_id, struct weir_error *err)
{
    for (unsigned i = 0; i < DTYPE_COUNT; i++) {
        if (infos[i].gguf_id == gguf_id) {
            *out = (enum dtype)i;
            return WEIR_OK;
        }
    }
    return refuse_id(gguf_id, err);
}

enum weir_status dtype_from_name(enum dtype *out, const char *name, struct weir_error *err)
{
    char known[WEIR_ERROR_TEXT_MAX] = "";
    for (unsigned i = 0; i < DTYPE_COUNT; i++) {
        if (infos[i].family != DTYPE_FAMILY_FLOAT && infos[i].family != DTYPE_FAMILY_QUANT)
            continue;
        if (strcasecmp(infos[i].name, name) == 0) {
            *out = (enum dtype)i;
            return WEIR_OK;
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", used == 0 ? "" : ", ", infos[i].name);
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "unknown tensor type \"%s\", expected one of %s", name,
                   known);
}

uint64_t dtype_row_bytes(enum dtype dtype, uint64_t columns)
{
    const struct dtype_info *info = dtype_info(dtype);
    assert(columns % info->block == 0);
    return columns / info->block * info->block_bytes;
}
