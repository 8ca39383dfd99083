/* SPDX-License-Identifier: MIT
 * Strict numbers. Knows not what they mean. */
#include "app/number.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

bool number_read_integer(const char *text, int64_t *out)
{
    const char *digits = *text == '-' || *text == '+' ? text + 1 : text;
    if (!isdigit((unsigned char)*digits))
        return false;
    char *end;
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno != 0 || *end != 0)
        return false;
    *out = value;
    return true;
}

bool number_read_real(const char *text, double *out)
{
    /* strtod also takes white space, hexadecimal, "inf" and "nan". */
    if (*text == 0 || text[strspn(text, "0123456789+-.eE")] != 0)
        return false;
    char *end;
    const double value = strtod(text, &end);
    if (*end != 0 || !isfinite(value))
        return false;
    *out = value;
    return true;
}
