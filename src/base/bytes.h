/* SPDX-License-Identifier: MIT
 * A growing run of bytes. */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include "base/err.h"

/* Set to zero to begin. The first failure is kept: what is added behind it is dropped, and
 * bytes_check reports it, so that what is put together piece by piece is checked once. */
struct bytes {
    char *data; /* NULL while there was never anything; else a zero follows the last byte */
    uint64_t length;
    uint64_t capacity;
    bool has_failed;
};

void bytes_release(struct bytes *bytes);

void bytes_add(struct bytes *bytes, const void *data, size_t length);
/* Of a zero-terminated text, without the zero. */
void bytes_add_text(struct bytes *bytes, const char *text);
/* A weir_write_fn; `user` is the struct bytes. */
void bytes_sink(void *user, const char *text, size_t length);

/* Takes away the first bytes, of which there are at least so many. */
void bytes_drop(struct bytes *bytes, uint64_t length);
/* Empty again; memory and a failure stay. */
void bytes_clear(struct bytes *bytes);

/* WEIR_ERR_MEMORY if something could not be added. */
enum weir_status bytes_check(const struct bytes *bytes, struct weir_error *err);

#endif
