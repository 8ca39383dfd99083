/* SPDX-License-Identifier: MIT
 * Finds the end of the first of several texts in a stream of bytes. */
#ifndef APP_STOP_H
#define APP_STOP_H

#include "app/options.h"

struct stop {
    const struct text_list *texts;
    size_t *matched; /* bytes of each text that the stream ends with */
};

/* Borrows `texts`; none of them is empty. */
enum weir_status stop_open(struct stop *stop, const struct text_list *texts,
                           struct weir_error *err);
void stop_close(struct stop *stop);

/* Takes the next bytes of the stream. True if a text ends in them; then *used is the number of
 * bytes up to its end. Otherwise *used is `length`. */
bool stop_feed(struct stop *stop, const char *bytes, size_t length, size_t *used);

#endif
