/* SPDX-License-Identifier: MIT
 * Finds the end of the first of several texts in a stream of bytes. */
#ifndef BASE_STOP_H
#define BASE_STOP_H

#include "base/err.h"

struct stop {
    const char *const *texts;
    uint64_t count;
    size_t *matched; /* bytes of each text that the stream ends with */
    size_t found;    /* length of the text that was found; 0: none was */
};

/* Borrows `texts`; none of them is empty. */
enum weir_status stop_open(struct stop *stop, const char *const *texts, uint64_t count,
                           struct weir_error *err);
void stop_close(struct stop *stop);

/* Takes the next bytes of the stream. True if a text ends in them; then *used is the number of
 * bytes up to its end. Otherwise *used is `length`. */
bool stop_feed(struct stop *stop, const char *bytes, size_t length, size_t *used);

/* Bytes that the stream ends with and that a text may begin with: who hands the stream on without
 * the text that will be found keeps them back. */
size_t stop_held(const struct stop *stop);

#endif
