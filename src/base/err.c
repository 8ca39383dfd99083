/* SPDX-License-Identifier: MIT
 * Errors as values. Knows nothing of what can fail. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

enum { LINE_MAX_BYTES = 8192 }; /* a path of PATH_MAX and what is said of it */

/* A line that was cut loses the character that it was cut in. */
static void end_with_character(char *line, size_t length)
{
    while (length > 0 && ((unsigned char)line[length - 1] & 0xc0) == 0x80)
        length--;
    if (length > 0 && (unsigned char)line[length - 1] >= 0xc0)
        length--;
    line[length] = 0;
}

enum weir_status err_set(struct weir_error *err, enum weir_status status, const char *format, ...)
{
    if (err == NULL || err->status != WEIR_OK)
        return status;
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length >= LINE_MAX_BYTES)
        end_with_character(line, sizeof line - 1);
    err->status = status;
    text_clean(line);
    text_fit(line, err->text, sizeof err->text);
    return status;
}
