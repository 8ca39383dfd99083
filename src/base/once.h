/* SPDX-License-Identifier: MIT
 * A value that is made when it is first asked for, by whichever thread asks, and once. Knows not
 * what the value is. */
#ifndef BASE_ONCE_H
#define BASE_ONCE_H

#include "base/err.h"

struct once;

/* How the value is made of what it is made of, and what becomes of it. */
struct once_kind {
    enum weir_status (*make)(void **out, const void *source, struct weir_error *err);
    void (*release)(void *value);
};

enum weir_status once_open(struct once **out, struct weir_error *err);
/* Releases the value, if there is one; no thread may use it any more. */
void once_close(struct once *once);

/* The value, borrowed. All calls for a `once` are of one kind and one source. A failure leaves it
 * to be made by the next who asks. */
enum weir_status once_get(struct once *once, const struct once_kind *kind, const void *source,
                          const void **out, struct weir_error *err);

#endif
