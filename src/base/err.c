/* SPDX-License-Identifier: MIT
 * Errors as values. Knows nothing of what can fail. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

enum { LINE_MAX_BYTES = 8192 }; /* a path of PATH_MAX and what is said of it */

enum weir_status err_set(struct weir_error *err, enum weir_status status, const char *format, ...)
{
    if (err == NULL || err->status != WEIR_OK)
        return status;
    char line[LINE_MAX_BYTES];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    err->status = status;
    text_clean(line);
    text_fit(line, err->text, sizeof err->text);
    return status;
}
