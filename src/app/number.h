/* SPDX-License-Identifier: MIT
 * Numbers written as text, read strictly: the whole text, in range. */
#ifndef APP_NUMBER_H
#define APP_NUMBER_H

#include <stdbool.h>
#include <stdint.h>

/* A decimal integer with an optional sign. False if the text is anything else or does not fit. */
bool number_read_integer(const char *text, int64_t *out);

/* A finite decimal number: "1", "-0.5", "1e-3". */
bool number_read_real(const char *text, double *out);

#endif
