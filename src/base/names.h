/* SPDX-License-Identifier: MIT
 * A hash table from names (byte strings) to numbers. */
#ifndef BASE_NAMES_H
#define BASE_NAMES_H

#include "base/err.h"
#include "base/text.h"

#define NAMES_NONE UINT64_MAX

struct names_slot {
    struct span name; /* borrowed; data is NULL in a free slot */
    uint64_t item;
};

/* Set to zero to begin. The bytes of the names are borrowed and must not move. */
struct names {
    struct names_slot *slots; /* a power of two of them, at most half of them taken */
    uint64_t capacity;
    uint64_t count;
    uint64_t seed; /* from the system, so that no file can be made whose names all collide */
};

void names_release(struct names *names);

/* Adds `name`, whose data is not NULL, unless it is there already; says in *added which. */
enum weir_status names_add(struct names *names, struct span name, uint64_t item, bool *added,
                           struct weir_error *err);

/* The number of `name`, or NAMES_NONE. */
uint64_t names_find(const struct names *names, struct span name);

#endif
