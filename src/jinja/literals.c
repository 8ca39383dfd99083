/* SPDX-License-Identifier: MIT
 * Numbers and strings of a template. Knows no token before or behind them. */
#include "jinja/literals.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "base/utf8.h"

enum { NUMBER_BYTES_MAX = 64 };

static enum weir_status parse_number(struct parser *parser, struct value *out)
{
    const struct lexeme *token = &parser->token;
    char digits[NUMBER_BYTES_MAX];
    if (token->length >= sizeof digits)
        return parser_fail(parser, token->at, WEIR_ERR_UNSUPPORTED, "this number is too long");
    memcpy(digits, parser->source->bytes + token->at, token->length);
    digits[token->length] = 0;
    errno = 0;
    *out = token->kind == LEX_INTEGER ? value_integer(strtoll(digits, NULL, 10))
                                      : value_float(strtod(digits, NULL));
    if (token->kind == LEX_INTEGER && errno == ERANGE)
        return parser_fail(parser, token->at, WEIR_ERR_UNSUPPORTED, "this number is too large");
    return parser_advance(parser);
}

/* ---- strings --------------------------------------------------------------------------------- */

/* What stands for itself behind a backslash, or for one character. */
static const char escapes[][2] = {
    {'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'b', '\b'},  {'f', '\f'},
    {'v', '\v'}, {'a', '\a'}, {'"', '"'},  {'\'', '\''}, {'\\', '\\'},
};

/* Digits of the escapes \x, \u and \U; 0 for others. */
static uint32_t code_digits(char escape)
{
    return escape == 'x' ? 2 : escape == 'u' ? 4 : escape == 'U' ? 8 : 0;
}

static enum weir_status put_code(struct parser *parser, const char *at, uint32_t digits,
                                 uint64_t left, char *out, uint32_t *length)
{
    uint32_t code = 0;
    for (uint32_t i = 0; i < digits; i++) {
        const int value = hex_value(i < left ? at[i] : 0);
        if (value < 0)
            return parser_fail(parser, parser->token.at, WEIR_ERR_FORMAT,
                               "a \\ in this string needs %u digits behind it", digits);
        code = code << 4 | (uint32_t)value;
    }
    if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
        return parser_fail(parser, parser->token.at, WEIR_ERR_FORMAT,
                           "a \\ in this string makes no character");
    *length = utf8_encode(code, (uint8_t *)out);
    return WEIR_OK;
}

/* Writes the escape that begins at `*at` behind its backslash; an unknown one stays as it is. */
static enum weir_status put_escape(struct parser *parser, const char **at, const char *end,
                                   char *out, uint32_t *length)
{
    const char escape = *(*at)++;
    const uint32_t digits = code_digits(escape);
    if (digits > 0) {
        const char *from = *at;
        *at += (uint64_t)(end - from) < digits ? end - from : (int64_t)digits;
        return put_code(parser, from, digits, (uint64_t)(end - from), out, length);
    }
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (escapes[i][0] != escape)
            continue;
        out[0] = escapes[i][1];
        *length = 1;
        return WEIR_OK;
    }
    out[0] = '\\';
    out[1] = escape;
    *length = escape == '\n' ? 0 : 2; /* a line that is continued */
    return WEIR_OK;
}

/* Appends the token's text to `out`, which has room for it: an escape is never longer. */
static enum weir_status put_string(struct parser *parser, char *out, uint32_t *length)
{
    const char *at = parser->source->bytes + parser->token.at + 1;
    const char *end = at + parser->token.length - 2;
    while (at < end) {
        uint32_t bytes = 1;
        if (*at != '\\') {
            out[*length] = *at++;
        } else {
            at++;
            const enum weir_status status = put_escape(parser, &at, end, out + *length, &bytes);
            if (status != WEIR_OK)
                return status;
        }
        *length += bytes;
    }
    return WEIR_OK;
}

static uint64_t strings_bytes(const struct parser *parser)
{
    /* all that could be written side by side: bounded by the source behind the first */
    struct lexer ahead = parser->lexer;
    struct lexeme token = parser->token;
    uint64_t bytes = 0;
    while (token.kind == LEX_STRING) {
        bytes += token.length;
        if (lexer_next(&ahead, &token, NULL) != WEIR_OK)
            break;
    }
    return bytes;
}

static enum weir_status parse_strings(struct parser *parser, struct value *out)
{
    char *bytes = arena_take(parser->arena, strings_bytes(parser), 1, parser->err);
    uint32_t length = 0;
    enum weir_status status = bytes == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
    while (status == WEIR_OK && parser->token.kind == LEX_STRING) {
        TRY(put_string(parser, bytes, &length));
        TRY(parser_advance(parser));
    }
    *out = value_string((struct string){bytes, NULL, length});
out:
    return status;
}

enum weir_status parse_literal(struct parser *parser, struct value *out)
{
    return parser->token.kind == LEX_STRING ? parse_strings(parser, out)
                                            : parse_number(parser, out);
}
