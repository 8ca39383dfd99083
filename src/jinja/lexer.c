/* SPDX-License-Identifier: MIT
 * Cuts a template into lexemes, with white space as chat templates expect it: trim_blocks and
 * lstrip_blocks are on. Knows no statement. */
#include "jinja/lexer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 256 };

enum weir_status source_fail(const struct source *source, uint32_t at, enum weir_status status,
                             struct weir_error *err, const char *format, ...)
{
    char message[MESSAGE_MAX];
    uint32_t line = 1, column = 1;
    for (uint32_t i = 0; i < at && i < source->length; i++) {
        column = source->bytes[i] == '\n' ? 1 : column + 1;
        line += source->bytes[i] == '\n';
    }
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return err_set(err, status, "%s:%u:%u: %s", source->name, line, column, message);
}

/* ---- white space ----------------------------------------------------------------------------- */

static bool is_ascii_space(unsigned char byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r') || (byte >= 0x1c && byte <= 0x1f);
}

/* U+0085, U+00A0; U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000. */
static uint32_t long_space(const unsigned char *text, uint64_t length)
{
    if (length >= 2 && text[0] == 0xc2 && (text[1] == 0x85 || text[1] == 0xa0))
        return 2;
    if (length < 3)
        return 0;
    const uint32_t code = (uint32_t)text[0] << 16 | (uint32_t)text[1] << 8 | text[2];
    const bool is_space = code == 0xe19a80 || (code >= 0xe28080 && code <= 0xe2808a) ||
                          code == 0xe280a8 || code == 0xe280a9 || code == 0xe280af ||
                          code == 0xe2819f || code == 0xe38080;
    return is_space ? 3 : 0;
}

uint32_t space_first(const char *text, uint64_t length)
{
    if (length > 0 && is_ascii_space((unsigned char)text[0]))
        return 1;
    return long_space((const unsigned char *)text, length);
}

uint32_t space_last(const char *text, uint64_t length)
{
    if (length > 0 && is_ascii_space((unsigned char)text[length - 1]))
        return 1;
    for (uint32_t bytes = 2; bytes <= 3 && bytes <= length; bytes++) {
        if (long_space((const unsigned char *)text + length - bytes, bytes) == bytes)
            return bytes;
    }
    return 0;
}

static uint32_t skip_space(const struct source *source, uint32_t at)
{
    for (uint32_t bytes = 1; bytes > 0; at += bytes)
        bytes = space_first(source->bytes + at, source->length - at);
    return at;
}

static uint32_t strip_space(const struct source *source, uint32_t from, uint32_t to)
{
    for (uint32_t bytes = 1; bytes > 0; to -= bytes)
        bytes = space_last(source->bytes + from, to - from);
    return to;
}

/* ---- text ------------------------------------------------------------------------------------ */

static char byte_at(const struct source *source, uint32_t at)
{
    return at < source->length ? source->bytes[at] : 0;
}

static bool begins(const struct source *source, uint32_t at, const char *text)
{
    const size_t length = strlen(text);
    return source->length - at >= length && memcmp(source->bytes + at, text, length) == 0;
}

static bool is_opening(const struct source *source, uint32_t at)
{
    const char second = byte_at(source, at + 1);
    return byte_at(source, at) == '{' && (second == '{' || second == '%' || second == '#');
}

/* Where the text [from, tag) ends if the tag takes white space before it away. */
static uint32_t text_end(const struct source *source, uint32_t from, uint32_t tag)
{
    const char kind = byte_at(source, tag + 1), sign = byte_at(source, tag + 2);
    if (sign == '-')
        return strip_space(source, from, tag);
    if (sign == '+' || kind == '{' || tag >= source->length)
        return tag;
    uint32_t line = tag;
    while (line > from && source->bytes[line - 1] != '\n')
        line--;
    const bool is_line_begin = line == 0 || source->bytes[line - 1] == '\n';
    return is_line_begin && strip_space(source, line, tag) == line ? line : tag;
}

/* Behind the end of a tag or comment that closes at `at` with an optional sign and two characters;
 * 0 if it does not close there. */
static uint32_t closed_at(const struct source *source, uint32_t at, const char *end)
{
    const char sign = byte_at(source, at);
    const uint32_t signs = sign == '-' || (sign == '+' && end[0] != '}') ? 1 : 0;
    if (at + signs > source->length || !begins(source, at + signs, end))
        return 0;
    const uint32_t behind = at + signs + 2;
    if (sign == '-')
        return skip_space(source, behind);
    const bool takes_newline = signs == 0 && end[0] != '}' && byte_at(source, behind) == '\n';
    return behind + (takes_newline ? 1 : 0);
}

static uint32_t sign_length(const struct source *source, uint32_t at)
{
    const char sign = byte_at(source, at);
    return sign == '-' || sign == '+' ? 1 : 0;
}

static enum weir_status skip_comment(struct lexer *lexer, struct weir_error *err)
{
    const struct source *source = lexer->source;
    for (uint32_t at = lexer->at + 2 + sign_length(source, lexer->at + 2); at < source->length;
         at++) {
        const uint32_t behind = closed_at(source, at, "#}");
        if (behind > 0) {
            lexer->at = behind;
            return WEIR_OK;
        }
    }
    return source_fail(source, lexer->at, WEIR_ERR_FORMAT, err, "this comment has no end");
}

/* Behind the name of a tag "{% NAME" at `at`, up to its end; 0 if it is another tag. */
static uint32_t named_tag(const struct source *source, uint32_t at, const char *name)
{
    if (!begins(source, at, "{%"))
        return 0;
    at = skip_space(source, at + 2 + sign_length(source, at + 2));
    if (!begins(source, at, name))
        return 0;
    return skip_space(source, at + (uint32_t)strlen(name));
}

/* The text of a tag raw, which nothing is looked for in, if there is one here. */
static enum weir_status take_raw(struct lexer *lexer, struct lexeme *out, bool *found,
                                 struct weir_error *err)
{
    const struct source *source = lexer->source;
    uint32_t from = named_tag(source, lexer->at, "raw");
    const uint32_t behind = from > 0 ? closed_at(source, from, "%}") : 0;
    *found = behind > 0;
    if (!*found)
        return WEIR_OK;
    from = byte_at(source, from) == '-' ? behind : from + sign_length(source, from) + 2;
    for (uint32_t at = from; at < source->length; at++) {
        const uint32_t end = named_tag(source, at, "endraw");
        const uint32_t end_behind = end > 0 ? closed_at(source, end, "%}") : 0;
        if (end_behind == 0)
            continue;
        *out = (struct lexeme){LEX_TEXT, from, text_end(source, from, at) - from};
        lexer->at = end_behind;
        return WEIR_OK;
    }
    return source_fail(source, lexer->at, WEIR_ERR_FORMAT, err, "raw has no endraw");
}

static enum weir_status next_in_text(struct lexer *lexer, struct lexeme *out,
                                     struct weir_error *err)
{
    const struct source *source = lexer->source;
    bool is_raw = false;
    enum weir_status status = WEIR_OK;
    while (lexer->at < source->length) {
        if (!is_opening(source, lexer->at)) {
            const uint32_t from = lexer->at;
            while (lexer->at < source->length && !is_opening(source, lexer->at))
                lexer->at++;
            *out = (struct lexeme){LEX_TEXT, from, text_end(source, from, lexer->at) - from};
            return WEIR_OK;
        }
        if (source->bytes[lexer->at + 1] == '#') {
            TRY(skip_comment(lexer, err));
            continue;
        }
        TRY(take_raw(lexer, out, &is_raw, err));
        if (is_raw)
            return WEIR_OK;
        lexer->inside = source->bytes[lexer->at + 1];
        *out = (struct lexeme){lexer->inside == '{' ? LEX_PRINT_BEGIN : LEX_TAG_BEGIN, lexer->at,
                               2 + sign_length(source, lexer->at + 2)};
        lexer->at += out->length;
        return WEIR_OK;
    }
    *out = (struct lexeme){LEX_END, source->length, 0};
out:
    return status;
}

/* ---- tags ------------------------------------------------------------------------------------ */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

static uint32_t skip_digits(const struct source *source, uint32_t at)
{
    while (is_digit(byte_at(source, at)))
        at++;
    return at;
}

static struct lexeme take_number(const struct source *source, uint32_t from)
{
    struct lexeme lexeme = {LEX_INTEGER, from, 0};
    uint32_t at = skip_digits(source, from);
    const bool is_index = from > 0 && source->bytes[from - 1] == '.'; /* list.0.1 */
    if (!is_index && byte_at(source, at) == '.' && is_digit(byte_at(source, at + 1))) {
        lexeme.kind = LEX_FLOAT;
        at = skip_digits(source, at + 1);
    }
    if (!is_index && (byte_at(source, at) | 0x20) == 'e') {
        const uint32_t digits = at + 1 + sign_length(source, at + 1);
        if (is_digit(byte_at(source, digits))) {
            lexeme.kind = LEX_FLOAT;
            at = skip_digits(source, digits);
        }
    }
    lexeme.length = at - from;
    return lexeme;
}

static enum weir_status take_string(const struct source *source, uint32_t from, struct lexeme *out,
                                    struct weir_error *err)
{
    for (uint32_t at = from + 1; at < source->length; at++) {
        if (source->bytes[at] == '\\') {
            at++;
        } else if (source->bytes[at] == source->bytes[from]) {
            *out = (struct lexeme){LEX_STRING, from, at + 1 - from};
            return WEIR_OK;
        }
    }
    return source_fail(source, from, WEIR_ERR_FORMAT, err, "this string has no end");
}

static enum weir_status take_symbol(struct lexer *lexer, struct lexeme *out, struct weir_error *err)
{
    static const char *const pairs[] = {"==", "!=", ">=", "<=", "//", "**"};
    const struct source *source = lexer->source;
    *out = (struct lexeme){LEX_SYMBOL, lexer->at, 1};
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        if (begins(source, lexer->at, pairs[i])) {
            out->length = 2;
            return WEIR_OK;
        }
    }
    const char symbol = source->bytes[lexer->at];
    if (symbol == 0 || strchr("+-/*%~[](){}<>=.:|,", symbol) == NULL)
        return source_fail(source, lexer->at, WEIR_ERR_FORMAT, err, "unexpected character '%c'",
                           symbol);
    if (strchr("([{", symbol) != NULL)
        lexer->depth++;
    if (strchr(")]}", symbol) != NULL && lexer->depth > 0)
        lexer->depth--;
    return WEIR_OK;
}

static enum weir_status next_in_tag(struct lexer *lexer, struct lexeme *out, struct weir_error *err)
{
    const struct source *source = lexer->source;
    const bool prints = lexer->inside == '{';
    const uint32_t from = lexer->at = skip_space(source, lexer->at);
    const uint32_t behind = lexer->depth == 0 ? closed_at(source, from, prints ? "}}" : "%}") : 0;
    const char first = byte_at(source, from);
    enum weir_status status = WEIR_OK;
    if (behind > 0) {
        *out = (struct lexeme){prints ? LEX_PRINT_END : LEX_TAG_END, from, 2};
        lexer->at = behind;
        lexer->inside = 0;
        return WEIR_OK;
    }
    if (from == source->length)
        return source_fail(source, from, WEIR_ERR_FORMAT, err, "this tag has no end");
    if (is_digit(first)) {
        *out = take_number(source, from);
    } else if (is_name(first)) {
        *out = (struct lexeme){LEX_NAME, from, 1};
        while (is_name(byte_at(source, from + out->length)) ||
               is_digit(byte_at(source, from + out->length)))
            out->length++;
    } else if (first == '\'' || first == '"') {
        TRY(take_string(source, from, out, err));
    } else {
        TRY(take_symbol(lexer, out, err));
    }
    lexer->at = from + out->length;
out:
    return status;
}

enum weir_status lexer_next(struct lexer *lexer, struct lexeme *out, struct weir_error *err)
{
    return lexer->inside != 0 ? next_in_tag(lexer, out, err) : next_in_text(lexer, out, err);
}

bool lexeme_is(const struct source *source, const struct lexeme *lexeme, const char *text)
{
    return (lexeme->kind == LEX_NAME || lexeme->kind == LEX_SYMBOL) &&
           lexeme->length == strlen(text) &&
           memcmp(source->bytes + lexeme->at, text, lexeme->length) == 0;
}
