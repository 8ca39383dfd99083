/* SPDX-License-Identifier: MIT
 * Strings of JSON, read and written. Knows nothing of values. */
#include "json/json_string.h"

#include <stdbool.h>
#include <string.h>

#include "base/utf8.h"
#include "json/json.h"

/* ---- reading --------------------------------------------------------------------------------- */

/* A letter behind a backslash, and what the two stand for. */
static const char escape_letters[] = "\"\\/bfnrt";
static const char escape_bytes[] = "\"\\/\b\f\n\r\t";

struct string_reader {
    const char *at, *end;
    char *out; /* NULL: nothing is written */
    struct json_string string;
};

static bool refuse(struct string_reader *reader, const char *at, const char *reason)
{
    reader->string.refused = at;
    reader->string.reason = reason;
    return false;
}

static void put(struct string_reader *reader, const void *bytes, size_t length)
{
    if (reader->out != NULL)
        memcpy(reader->out + reader->string.length, bytes, length);
    reader->string.length += length;
}

/* Four hexadecimal digits; false if there are none. */
static bool read_unit(const char *at, const char *end, uint32_t *unit)
{
    if (end - at < 4)
        return false;
    *unit = 0;
    for (int i = 0; i < 4; i++) {
        const char c = at[i];
        const bool is_digit = c >= '0' && c <= '9';
        const bool is_letter = (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!is_digit && !is_letter)
            return false;
        *unit = *unit << 4 | (uint32_t)(is_digit ? c - '0' : (c & 7) + 9);
    }
    return true;
}

/* Behind "\u": one unit of UTF-16, or a pair of surrogates. */
static bool read_code(struct string_reader *reader)
{
    const char *const escape = reader->at - 2;
    uint32_t code, low;
    if (!read_unit(reader->at, reader->end, &code))
        return refuse(reader, escape, "\\u without four hexadecimal digits");
    reader->at += 4;
    if (code >= 0xdc00 && code < 0xe000)
        return refuse(reader, escape, "the second half of a surrogate pair without the first");
    if (code >= 0xd800 && code < 0xdc00) {
        const bool has_low = reader->end - reader->at >= 6 && reader->at[0] == '\\' &&
                             reader->at[1] == 'u' && read_unit(reader->at + 2, reader->end, &low) &&
                             low >= 0xdc00 && low < 0xe000;
        if (!has_low)
            return refuse(reader, escape, "the first half of a surrogate pair without the second");
        reader->at += 6;
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    uint8_t bytes[4];
    put(reader, bytes, utf8_encode(code, bytes));
    return true;
}

/* At a backslash. */
static bool read_escape(struct string_reader *reader)
{
    reader->string.is_plain = false;
    if (reader->end - reader->at < 2)
        return refuse(reader, reader->end, "the string does not end");
    const char letter = reader->at[1];
    reader->at += 2;
    if (letter == 'u')
        return read_code(reader);
    const char *const known = letter == 0 ? NULL : strchr(escape_letters, letter);
    if (known == NULL)
        return refuse(reader, reader->at - 2, "no such escape");
    put(reader, &escape_bytes[known - escape_letters], 1);
    return true;
}

/* At a character that stands for itself. */
static bool read_character(struct string_reader *reader)
{
    if ((unsigned char)*reader->at < 0x20)
        return refuse(reader, reader->at, "a control character in a string");
    const struct utf8_sequence sequence =
        utf8_sequence((const uint8_t *)reader->at, (size_t)(reader->end - reader->at));
    if (sequence.state != UTF8_COMPLETE)
        return refuse(reader, reader->at, "a byte that is no UTF-8");
    put(reader, reader->at, sequence.length);
    reader->at += sequence.length;
    return true;
}

struct json_string json_string_read(const char *at, const char *end, char *out)
{
    struct string_reader reader = {.at = at + 1, .end = end, .out = out};
    reader.string.is_plain = true;
    bool is_read = true;
    while (is_read && reader.at < end && *reader.at != '"')
        is_read = *reader.at == '\\' ? read_escape(&reader) : read_character(&reader);
    if (is_read && reader.at == end)
        is_read = refuse(&reader, end, "the string does not end");
    if (is_read)
        reader.string.end = reader.at + 1;
    return reader.string;
}

/* ---- writing --------------------------------------------------------------------------------- */

static void escape_byte(struct printer out, char byte)
{
    const char *const known = byte == 0 ? NULL : strchr(escape_bytes, byte);
    if (known == NULL)
        print(out, "\\u%04x", (unsigned)(unsigned char)byte);
    else
        print(out, "\\%c", escape_letters[known - escape_bytes]);
}

void json_escape(struct printer out, const char *text, size_t length)
{
    size_t from = 0;
    for (size_t at = 0; at < length; at++) {
        const bool is_plain =
            (unsigned char)text[at] >= 0x20 && text[at] != '"' && text[at] != '\\';
        if (is_plain)
            continue;
        if (at > from)
            out.write(out.user, text + from, at - from);
        escape_byte(out, text[at]);
        from = at + 1;
    }
    if (length > from)
        out.write(out.user, text + from, length - from);
}
