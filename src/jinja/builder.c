/* SPDX-License-Identifier: MIT
 * Strings that grow, and values as text: Python's str and repr, and JSON. Knows no
 * template. */
#include "jinja/builder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "jinja/interpreter.h"

enum weir_status builder_reserve(struct run *run, struct builder *builder, uint64_t length)
{
    const uint32_t old = builder->capacity;
    uint32_t capacity = old;
    enum weir_status status;
    if (builder->length_max > 0 && length > builder->length_max)
        return run_fail(run, WEIR_ERR_FULL, "the template writes more than %llu bytes",
                        (unsigned long long)builder->length_max);
    if (length <= old)
        return WEIR_OK;
    length = length < 64 ? 64 : length;
    TRY(run_grow(run, &builder->bytes, &capacity, length, 1));
    capacity = old;
    TRY(run_grow(run, &builder->origins, &capacity, length, 1));
    builder->capacity = capacity;
out:
    return status;
}

enum weir_status builder_add(struct run *run, struct builder *builder, struct string string)
{
    enum weir_status status;
    if (string.length == 0)
        return WEIR_OK;
    TRY(run_step(run, string.length));
    TRY(builder_reserve(run, builder, (uint64_t)builder->length + string.length));
    memcpy(builder->bytes + builder->length, string.bytes, string.length);
    if (string.origins != NULL)
        memcpy(builder->origins + builder->length, string.origins, string.length);
    else
        memset(builder->origins + builder->length, 0, string.length);
    builder->length += string.length;
out:
    return status;
}

enum weir_status builder_put(struct run *run, struct builder *builder, const char *text)
{
    return builder_add(run, builder, string_from(text));
}

struct string builder_string(const struct builder *builder)
{
    return (struct string){builder->bytes == NULL ? "" : builder->bytes, builder->origins,
                           builder->length};
}

/* ---- numbers --------------------------------------------------------------------------------- */

enum { FLOAT_BYTES = 40, DIGITS_MAX = 17 };

/* The fewest decimal digits that are read back as `real`, without point, and the exponent of the
 * first. */
static void shortest_digits(double real, char digits[DIGITS_MAX + 1], int *exponent)
{
    char text[FLOAT_BYTES];
    int precision = 1;
    do {
        snprintf(text, sizeof text, "%.*e", precision - 1, real);
    } while (strtod(text, NULL) != real && precision++ < DIGITS_MAX);
    const char *mantissa_end = strchr(text, 'e');
    int count = 0;
    for (const char *c = text; c < mantissa_end && count < DIGITS_MAX; c++) {
        if (*c >= '0' && *c <= '9')
            digits[count++] = *c;
    }
    digits[count] = 0;
    *exponent = atoi(mantissa_end + 1);
}

/* As Python's repr: 1.0, 0.1, 1e-07, 1e+16. */
static void format_float(double real, char *out, size_t size)
{
    char digits[DIGITS_MAX + 1];
    int exponent;
    const bool is_negative = real < 0 || (real == 0 && 1 / real < 0);
    const char *sign = is_negative ? "-" : "";
    if (real != real || real - real != 0) {
        snprintf(out, size, "%s", real != real ? "nan" : is_negative ? "-inf" : "inf");
        return;
    }
    shortest_digits(is_negative ? -real : real, digits, &exponent);
    const int count = (int)strlen(digits);
    if (exponent < -4 || exponent >= 16)
        snprintf(out, size, "%s%c%s%se%c%02d", sign, digits[0], count > 1 ? "." : "", digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        snprintf(out, size, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    else if (count <= exponent + 1)
        snprintf(out, size, "%s%s%.*s.0", sign, digits, exponent + 1 - count, "000000000000000");
    else
        snprintf(out, size, "%s%.*s.%s", sign, exponent + 1, digits, digits + exponent + 1);
}

static enum weir_status add_number(struct run *run, struct builder *builder,
                                   const struct value *value)
{
    char text[FLOAT_BYTES];
    if (value->kind == VALUE_HUGE)
        return builder_add(run, builder, *value->number.written);
    if (value->kind == VALUE_INTEGER)
        snprintf(text, sizeof text, "%lld", (long long)value->number.integer);
    else
        format_float(value->number.real, text, sizeof text);
    return builder_put(run, builder, text);
}

/* ---- strings within quotes ------------------------------------------------------------------- */

/* Writes the escape of a byte to `out` and returns true, or false for a byte that stands as it is.
 */
typedef bool escape_fn(unsigned char byte, char quote, char out[8]);

static bool escape_named(unsigned char byte, const char *named, const char *letters, char out[8])
{
    const char *found = byte == 0 ? NULL : strchr(named, byte);
    if (found == NULL)
        return false;
    snprintf(out, 8, "\\%c", letters[found - named]);
    return true;
}

static bool escape_json(unsigned char byte, char quote, char out[8])
{
    (void)quote;
    if (escape_named(byte, "\"\\\n\r\t\b\f", "\"\\nrtbf", out))
        return true;
    if (byte >= 0x20)
        return false;
    snprintf(out, 8, "\\u%04x", byte);
    return true;
}

static bool escape_python(unsigned char byte, char quote, char out[8])
{
    if (escape_named(byte, "\\\n\r\t", "\\nrt", out))
        return true;
    if (byte >= 0x20 && byte != 0x7f && byte != (unsigned char)quote)
        return false;
    snprintf(out, 8, byte == (unsigned char)quote ? "\\%c" : "\\x%02x", byte);
    return true;
}

static enum weir_status add_quoted(struct run *run, struct builder *builder, struct string string,
                                   char quote, escape_fn *escape)
{
    const char marks[2] = {quote, 0};
    uint32_t plain = 0;
    enum weir_status status;
    TRY(builder_put(run, builder, marks));
    for (uint32_t i = 0; i < string.length; i++) {
        char escaped[8];
        if (!escape((unsigned char)string.bytes[i], quote, escaped))
            continue;
        TRY(builder_add(run, builder, string_part(string, plain, i)));
        const uint32_t length = builder->length;
        TRY(builder_put(run, builder, escaped));
        if (string.origins != NULL)
            memset(builder->origins + length, string.origins[i], builder->length - length);
        plain = i + 1;
    }
    TRY(builder_add(run, builder, string_part(string, plain, string.length)));
    TRY(builder_put(run, builder, marks));
out:
    return status;
}

/* ---- Python ---------------------------------------------------------------------------------- */

static enum weir_status add_list_repr(struct run *run, struct builder *builder,
                                      const struct list *list)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < list->count; i++) {
        if (i > 0)
            TRY(builder_put(run, builder, ", "));
        TRY(builder_add_repr(run, builder, &list->items[i]));
    }
out:
    return status;
}

static enum weir_status add_dict_repr(struct run *run, struct builder *builder,
                                      const struct dict *dict)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < dict->count; i++) {
        if (i > 0)
            TRY(builder_put(run, builder, ", "));
        TRY(builder_add_repr(run, builder, &dict->entries[i].key));
        TRY(builder_put(run, builder, ": "));
        TRY(builder_add_repr(run, builder, &dict->entries[i].value));
    }
out:
    return status;
}

static enum weir_status add_container(struct run *run, struct builder *builder,
                                      const struct value *value)
{
    const bool is_list = value_is_sequence(value);
    const bool is_tuple = value->kind == VALUE_TUPLE;
    enum weir_status status;
    TRY(run_enter(run));
    TRY(builder_put(run, builder, is_tuple ? "(" : is_list ? "[" : "{"));
    TRY(is_list ? add_list_repr(run, builder, value->list)
                : add_dict_repr(run, builder, value->dict));
    if (is_tuple && value->list->count == 1)
        TRY(builder_put(run, builder, ","));
    TRY(builder_put(run, builder, is_tuple ? ")" : is_list ? "]" : "}"));
    run_leave(run);
out:
    return status;
}

enum weir_status builder_add_repr(struct run *run, struct builder *builder,
                                  const struct value *value)
{
    if (value->kind != VALUE_STRING)
        return builder_add_value(run, builder, value);
    const struct string string = value->string;
    const bool has_single = memchr(string.bytes, '\'', string.length) != NULL;
    const bool has_double = memchr(string.bytes, '"', string.length) != NULL;
    return add_quoted(run, builder, string, has_single && !has_double ? '"' : '\'', escape_python);
}

enum weir_status builder_add_value(struct run *run, struct builder *builder,
                                   const struct value *value)
{
    switch (value->kind) {
    case VALUE_UNDEFINED: return WEIR_OK;
    case VALUE_NONE: return builder_put(run, builder, "None");
    case VALUE_BOOLEAN: return builder_put(run, builder, value->truth ? "True" : "False");
    case VALUE_INTEGER:
    case VALUE_HUGE:
    case VALUE_FLOAT: return add_number(run, builder, value);
    case VALUE_STRING: return builder_add(run, builder, value->string);
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT: return add_container(run, builder, value);
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_JOINER: break;
    }
    return run_fail(run, WEIR_ERR_FORMAT, "%s has no text", value_kind_name(value->kind));
}

enum weir_status value_show(struct run *run, const struct value *value, struct string *out)
{
    struct builder builder = {0};
    if (value->kind == VALUE_STRING) {
        *out = value->string;
        return WEIR_OK;
    }
    const enum weir_status status = builder_add_value(run, &builder, value);
    *out = builder_string(&builder);
    return status;
}

/* ---- JSON ------------------------------------------------------------------------------------ */

/* The indentation of a line at a level: as json.dumps of Python does it. */
static enum weir_status add_line(struct run *run, struct builder *builder, int32_t indent,
                                 uint32_t level)
{
    enum weir_status status = WEIR_OK;
    if (indent < 0)
        return WEIR_OK;
    TRY(builder_put(run, builder, "\n"));
    for (uint64_t i = 0; i < (uint64_t)indent * level; i++)
        TRY(builder_put(run, builder, " "));
out:
    return status;
}

static enum weir_status add_json(struct run *run, struct builder *builder,
                                 const struct value *value, int32_t indent, uint32_t level);

static enum weir_status add_json_key(struct run *run, struct builder *builder,
                                     const struct value *key)
{
    struct string text;
    enum weir_status status;
    if (key->kind == VALUE_STRING)
        return add_quoted(run, builder, key->string, '"', escape_json);
    struct builder shown = {0};
    TRY(add_json(run, &shown, key, -1, 0));
    text = builder_string(&shown);
    TRY(add_quoted(run, builder, text, '"', escape_json));
out:
    return status;
}

static enum weir_status add_json_items(struct run *run, struct builder *builder,
                                       const struct value *value, int32_t indent, uint32_t level)
{
    const bool is_dict = value->kind == VALUE_DICT;
    const uint32_t count = is_dict ? value->dict->count : value->list->count;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            TRY(builder_put(run, builder, indent < 0 ? ", " : ","));
        TRY(add_line(run, builder, indent, level));
        if (is_dict) {
            TRY(add_json_key(run, builder, &value->dict->entries[i].key));
            TRY(builder_put(run, builder, ": "));
        }
        TRY(add_json(run, builder,
                     is_dict ? &value->dict->entries[i].value : &value->list->items[i], indent,
                     level));
    }
    if (count > 0)
        TRY(add_line(run, builder, indent, level - 1));
out:
    return status;
}

static enum weir_status add_json(struct run *run, struct builder *builder,
                                 const struct value *value, int32_t indent, uint32_t level)
{
    enum weir_status status;
    const bool is_dict = value->kind == VALUE_DICT;
    switch (value->kind) {
    case VALUE_NONE: return builder_put(run, builder, "null");
    case VALUE_BOOLEAN: return builder_put(run, builder, value->truth ? "true" : "false");
    case VALUE_INTEGER:
    case VALUE_HUGE:
    case VALUE_FLOAT:
        return value->number.written != NULL ? builder_add(run, builder, *value->number.written)
                                             : add_number(run, builder, value);
    case VALUE_STRING: return add_quoted(run, builder, value->string, '"', escape_json);
    case VALUE_UNDEFINED:
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_JOINER:
        return run_fail(run, WEIR_ERR_FORMAT, "%s is not JSON", value_kind_name(value->kind));
    case VALUE_LIST:
    case VALUE_TUPLE:
    case VALUE_DICT: break;
    }
    TRY(run_enter(run));
    TRY(builder_put(run, builder, is_dict ? "{" : "["));
    TRY(add_json_items(run, builder, value, indent, level + 1));
    TRY(builder_put(run, builder, is_dict ? "}" : "]"));
    run_leave(run);
out:
    return status;
}

enum weir_status builder_add_json(struct run *run, struct builder *builder,
                                  const struct value *value, int32_t indent)
{
    return add_json(run, builder, value, indent, 0);
}
