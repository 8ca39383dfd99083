/* SPDX-License-Identifier: MIT
 * Spans and printing through a callback. Knows nothing of what is printed. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool span_equals(struct span span, const char *text)
{
    const size_t length = strlen(text);
    return span.length == length && memcmp(span.data, text, length) == 0;
}

void print(struct printer printer, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length > 0)
        printer.write(printer.user, line,
                      (size_t)length < sizeof line ? (size_t)length : sizeof line - 1);
}
