/* SPDX-License-Identifier: MIT
 * Names to numbers: open addressing with linear probing. Knows nothing of what is named. */
#include "base/names.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"

static uint64_t names_hash(uint64_t seed, struct span name)
{
    uint64_t hash = name.length;
    for (size_t i = 0; i < name.length; i += 8) {
        const size_t rest = name.length - i;
        uint64_t word = 0;
        memcpy(&word, name.data + i, rest < 8 ? rest : 8);
        hash = rng_bits(seed, hash, word);
    }
    return hash;
}

/* The slot that holds `name`, or the free one where it belongs. */
static struct names_slot *names_slot(const struct names *names, struct span name)
{
    const uint64_t mask = names->capacity - 1;
    uint64_t at = names_hash(names->seed, name) & mask;
    for (;;) {
        struct names_slot *slot = &names->slots[at];
        if (slot->name.data == NULL)
            return slot;
        if (slot->name.length == name.length &&
            memcmp(slot->name.data, name.data, name.length) == 0)
            return slot;
        at = (at + 1) & mask;
    }
}

static enum weir_status names_double(struct names *names, struct weir_error *err)
{
    struct names larger = {.count = names->count, .seed = names->seed};
    if (names->capacity == 0)
        larger.seed = rng_system_seed();
    larger.capacity = names->capacity == 0 ? 64 : names->capacity * 2;
    larger.slots = mem_alloc(larger.capacity, sizeof *larger.slots, err);
    if (larger.slots == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < names->capacity; i++) {
        if (names->slots[i].name.data != NULL)
            *names_slot(&larger, names->slots[i].name) = names->slots[i];
    }
    mem_free(names->slots);
    *names = larger;
    return WEIR_OK;
}

void names_release(struct names *names)
{
    mem_free(names->slots);
    *names = (struct names){0};
}

enum weir_status names_add(struct names *names, struct span name, uint64_t item, bool *added,
                           struct weir_error *err)
{
    assert(name.data != NULL);
    if (names->count >= names->capacity / 2) {
        const enum weir_status status = names_double(names, err);
        if (status != WEIR_OK)
            return status;
    }
    struct names_slot *slot = names_slot(names, name);
    *added = slot->name.data == NULL;
    if (*added) {
        *slot = (struct names_slot){.name = name, .item = item};
        names->count++;
    }
    return WEIR_OK;
}

uint64_t names_find(const struct names *names, struct span name)
{
    if (names->capacity == 0)
        return NAMES_NONE;
    const struct names_slot *slot = names_slot(names, name);
    return slot->name.data == NULL ? NAMES_NONE : slot->item;
}
