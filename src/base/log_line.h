/* SPDX-License-Identifier: MIT
 * Lines for a log, made of texts that may come from outside. */
#ifndef BASE_LOG_LINE_H
#define BASE_LOG_LINE_H

#include <stdarg.h>

#include "weir.h"

/* Tells one line, without control characters and cut to fit, to `log`; NULL: to nobody. */
void log_line(weir_log_fn *log, void *user, enum weir_log_level level, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void log_line_args(weir_log_fn *log, void *user, enum weir_log_level level, const char *format,
                   va_list arguments) __attribute__((format(printf, 4, 0)));

#endif
