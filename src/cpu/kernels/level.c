/* SPDX-License-Identifier: MIT
 * The table of the level that this is compiled for. */
#include "cpu/kernels/kernel.h"
#include "cpu/kernels/tile.h"

#define LEVEL_TABLE_JOIN(id) kernels_##id
#define LEVEL_TABLE(id)      LEVEL_TABLE_JOIN(id)
#define LEVEL_NAME_TEXT(id)  #id
#define LEVEL_NAME(id)       LEVEL_NAME_TEXT(id)

const struct kernels LEVEL_TABLE(LEVEL_ID) = {
    .level = LEVEL_NAME(LEVEL_ID),
    .op =
        {
#define OP(id, function, operands, shares, meaning) [OP_##id] = KERNEL(function),
#include "plan/ops.def"
        },
    .quantize = KERNEL(quantize),
#if defined(HAS_TILES)
    .works = KERNEL(tiles_work),
#endif
};
