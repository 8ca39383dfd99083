/* SPDX-License-Identifier: MIT
 * Errors as values. Knows nothing of what can fail. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

enum weir_status err_set(struct weir_error *err, enum weir_status status, const char *format, ...)
{
    if (err == NULL || err->status != WEIR_OK)
        return status;
    err->status = status;
    va_list args;
    va_start(args, format);
    vsnprintf(err->text, sizeof err->text, format, args);
    va_end(args);
    for (char *c = err->text; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    }
    return status;
}
