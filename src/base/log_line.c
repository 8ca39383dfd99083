/* SPDX-License-Identifier: MIT
 * Makes lines for a log. Knows not where they go. */
#include "base/log_line.h"

#include <stdio.h>

#include "base/text.h"

void log_line_args(weir_log_fn *log, void *user, enum weir_log_level level, const char *format,
                   va_list arguments)
{
    char line[WEIR_ERROR_TEXT_MAX];
    if (log == NULL)
        return;
    vsnprintf(line, sizeof line, format, arguments);
    text_clean(line);
    log(user, level, line);
}

void log_line(weir_log_fn *log, void *user, enum weir_log_level level, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    log_line_args(log, user, level, format, arguments);
    va_end(arguments);
}
