/* SPDX-License-Identifier: MIT
 * Spans and printing through a callback. Knows nothing of what is printed. */
#include "base/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct span span_from(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

bool span_equals(struct span span, const char *text)
{
    const size_t length = strlen(text);
    return span.length == length && memcmp(span.data, text, length) == 0;
}

bool span_begins(struct span span, const char *text)
{
    const size_t length = strlen(text);
    return span.length >= length && memcmp(span.data, text, length) == 0;
}

void text_clean(char *text)
{
    for (char *c = text; *c != 0; c++) {
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
        const bool is_long = (unsigned char)c[0] == 0xc2 && (unsigned char)c[1] >= 0x80 &&
                             (unsigned char)c[1] < 0xa0; /* U+0080 to U+009F */
        if (is_long)
            c[0] = c[1] = '?';
    }
}

static bool continues_character(char byte)
{
    return ((unsigned char)byte & 0xc0) == 0x80;
}

void text_fit(const char *text, char *out, size_t size)
{
    static const char gap[] = "...";
    const size_t length = strlen(text);
    if (length < size) {
        memcpy(out, text, length + 1);
        return;
    }
    const size_t kept = size - sizeof gap; /* and the zero */
    size_t head = kept / 3, tail_from = length - (kept - kept / 3);
    while (head > 0 && continues_character(text[head]))
        head--;
    while (tail_from < length && continues_character(text[tail_from]))
        tail_from++;
    memcpy(out, text, head);
    memcpy(out + head, gap, sizeof gap - 1);
    memcpy(out + head + sizeof gap - 1, text + tail_from, length - tail_from + 1);
}

int hex_value(char digit)
{
    const char lower = (char)(digit | 0x20);
    if (digit >= '0' && digit <= '9')
        return digit - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
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
