/* SPDX-License-Identifier: MIT
 * An arena of blocks that double up to a size. Knows nothing of what lies in it. */
#include "jinja/arena.h"

#include <stdalign.h>

#include "base/mem.h"

enum { BLOCK_BYTES_MIN = 1 << 12, BLOCK_BYTES_MAX = 1 << 20 };

struct arena_block {
    struct arena_block *next;
    uint64_t used, size;
    alignas(max_align_t) unsigned char bytes[];
};

static struct arena_block *add_block(struct arena *arena, uint64_t bytes, struct weir_error *err)
{
    uint64_t size = arena->blocks == NULL ? BLOCK_BYTES_MIN : arena->blocks->size * 2;
    size = size > BLOCK_BYTES_MAX ? BLOCK_BYTES_MAX : size;
    size = size < bytes ? bytes : size;
    struct arena_block *block = mem_alloc(1, sizeof *block + size, err);
    if (block == NULL)
        return NULL;
    block->size = size;
    block->next = arena->blocks;
    arena->blocks = block;
    return block;
}

void *arena_take(struct arena *arena, uint64_t count, uint64_t size, struct weir_error *err)
{
    uint64_t bytes, taken;
    if (!size_mul(count, size, &bytes) || !size_add(bytes, alignof(max_align_t), &taken) ||
        !size_add(arena->taken, taken, &taken) ||
        (arena->taken_max > 0 && taken > arena->taken_max)) {
        err_set(err, WEIR_ERR_FULL, "memory of more than %llu bytes",
                (unsigned long long)arena->taken_max);
        return NULL;
    }
    bytes = size_align(bytes, alignof(max_align_t));
    struct arena_block *block = arena->blocks;
    if (block == NULL || block->size - block->used < bytes)
        block = add_block(arena, bytes, err);
    if (block == NULL)
        return NULL;
    void *memory = block->bytes + block->used;
    block->used += bytes;
    arena->taken += bytes;
    return memory;
}

void arena_release(struct arena *arena)
{
    while (arena->blocks != NULL) {
        struct arena_block *next = arena->blocks->next;
        mem_free(arena->blocks);
        arena->blocks = next;
    }
    arena->taken = 0;
}
