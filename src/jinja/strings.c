/* SPDX-License-Identifier: MIT
 * Strings stripped, replaced, in other cases, and put into formats. Letters are those of ASCII:
 * others have no case here. Knows no name of a filter or method. */
#include "jinja/strings.h"

#include <string.h>

uint32_t string_line_end(struct string string, uint32_t at)
{
    static const char *const ends[] = {"\r\n",     "\n",           "\r",          "\v",
                                       "\f",       "\x1c",         "\x1d",        "\x1e",
                                       "\xc2\x85", "\xe2\x80\xa8", "\xe2\x80\xa9"};
    const unsigned char first = at < string.length ? (unsigned char)string.bytes[at] : ' ';
    if (first >= ' ' && first < 0x80)
        return 0; /* as most are */
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const size_t length = strlen(ends[i]);
        if (string.length - at >= length && memcmp(string.bytes + at, ends[i], length) == 0)
            return (uint32_t)length;
    }
    return 0;
}

enum weir_status argument_string(struct run *run, const struct call *call, uint32_t place,
                                 const char *other, struct string *out)
{
    const struct value *argument = &call->arguments[place];
    *out = string_from(other);
    return argument->kind == VALUE_UNDEFINED ? WEIR_OK : value_show(run, argument, out);
}

enum weir_status argument_integer(struct run *run, const struct call *call, uint32_t place,
                                  int64_t other, int64_t *out)
{
    const struct value *argument = &call->arguments[place];
    *out = other;
    if (argument->kind == VALUE_UNDEFINED || argument->kind == VALUE_NONE ||
        value_get_integer(argument, out))
        return WEIR_OK;
    return run_fail(run, WEIR_ERR_FORMAT, "%s takes an integer, not %s", call->builtin->name,
                    value_kind_name(argument->kind));
}

enum weir_status argument_count(struct run *run, const struct call *call, uint32_t place,
                                int64_t *out)
{
    enum weir_status status;
    TRY(argument_integer(run, call, place, -1, out));
    *out = *out < 0 ? -1 : *out;
out:
    return status;
}

/* ---- strip ----------------------------------------------------------------------------------- */

static bool is_one_of(struct string character, struct string set)
{
    return memmem(set.bytes, set.length, character.bytes, character.length) != NULL;
}

/* The bytes of the first character if it is to be stripped, else 0. */
static uint32_t strips_first(struct string string, const struct string *set)
{
    if (set == NULL || string.length == 0)
        return space_first(string.bytes, string.length);
    const uint32_t bytes = string_offset(string, 1);
    return is_one_of(string_part(string, 0, bytes), *set) ? bytes : 0;
}

static uint32_t strips_last(struct string string, const struct string *set)
{
    if (set == NULL || string.length == 0)
        return space_last(string.bytes, string.length);
    uint32_t from = string.length - 1;
    while (from > 0 && ((unsigned char)string.bytes[from] & 0xc0) == 0x80)
        from--;
    return is_one_of(string_part(string, from, string.length), *set) ? string.length - from : 0;
}

/* Looking through a set costs steps, but none for each character that is stripped: most sets have
 * one or two. */
static enum weir_status look(struct run *run, uint64_t bytes, uint64_t *looked)
{
    enum { LOOKED_MAX = 4096 };
    const uint64_t all = *looked + bytes;
    *looked = all < LOOKED_MAX ? all : 0;
    return all < LOOKED_MAX ? WEIR_OK : run_step(run, all);
}

enum weir_status string_strip(struct run *run, const struct call *call, struct value *out)
{
    const int sides = call->builtin->variant;
    const bool has_set = call->arguments[0].kind == VALUE_STRING;
    struct string string, set;
    uint64_t looked = 0; /* at bytes of the set */
    enum weir_status status;
    TRY(value_show(run, &call->self, &string));
    TRY(argument_string(run, call, 0, "", &set));
    TRY(run_step(run, string.length));
    for (uint32_t bytes = 1; (sides & STRIP_LEFT) != 0 && bytes > 0;) {
        TRY(look(run, set.length, &looked));
        bytes = strips_first(string, has_set ? &set : NULL);
        string = string_part(string, bytes, string.length);
    }
    for (uint32_t bytes = 1; (sides & STRIP_RIGHT) != 0 && bytes > 0;) {
        TRY(look(run, set.length, &looked));
        bytes = strips_last(string, has_set ? &set : NULL);
        string = string_part(string, 0, string.length - bytes);
    }
    *out = value_string(string);
out:
    return status;
}

/* ---- replace --------------------------------------------------------------------------------- */

/* Before each character and at the end, as Python replaces what is empty. */
static enum weir_status insert_between(struct run *run, struct string string, struct string added,
                                       int64_t count, struct builder *builder)
{
    uint32_t at = 0;
    enum weir_status status = WEIR_OK;
    for (; count != 0; count--) {
        TRY(builder_add(run, builder, added));
        if (at == string.length)
            break;
        const uint32_t bytes = string_offset(string_part(string, at, string.length), 1);
        TRY(builder_add(run, builder, string_part(string, at, at + bytes)));
        at += bytes;
    }
    TRY(builder_add(run, builder, string_part(string, at, string.length)));
out:
    return status;
}

static enum weir_status replace_found(struct run *run, struct string string, struct string old,
                                      struct string added, int64_t count, struct builder *builder)
{
    uint32_t at = 0;
    enum weir_status status = WEIR_OK;
    for (; count != 0; count--) {
        int64_t found;
        TRY(string_find(run, string, old, at, &found));
        if (found < 0)
            break;
        TRY(builder_add(run, builder, string_part(string, at, (uint64_t)found)));
        TRY(builder_add(run, builder, added));
        at = (uint32_t)found + old.length;
    }
    TRY(builder_add(run, builder, string_part(string, at, string.length)));
out:
    return status;
}

enum weir_status string_replace(struct run *run, const struct call *call, struct value *out)
{
    struct builder builder = {0};
    struct string string, old, added;
    int64_t count;
    enum weir_status status;
    TRY(value_show(run, &call->self, &string));
    TRY(argument_string(run, call, 0, "", &old));
    TRY(argument_string(run, call, 1, "", &added));
    TRY(argument_count(run, call, 2, &count));
    if (old.length == 0)
        TRY(insert_between(run, string, added, count, &builder));
    else
        TRY(replace_found(run, string, old, added, count, &builder));
    *out = value_string(builder_string(&builder));
out:
    return status;
}

/* ---- case ------------------------------------------------------------------------------------ */

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c & 0x80) != 0;
}

/* Whether the letter behind `before` begins a word: Python's title() goes by letters, the filter
 * title by what may stand before a word. */
static bool begins_word(char before, enum letter_case letters)
{
    if (letters == CASE_TITLE)
        return !is_letter(before);
    return strchr("- \t\n\r\f\v({[<", before) != NULL;
}

enum weir_status string_in_case(struct run *run, struct string string, enum letter_case letters,
                                struct string *out)
{
    char *bytes = run_take(run, string.length, 1);
    if (bytes == NULL)
        return run->err.status;
    for (uint32_t i = 0; i < string.length; i++) {
        const char c = string.bytes[i];
        const bool is_first =
            i == 0 || (letters >= CASE_TITLE && begins_word(string.bytes[i - 1], letters));
        const bool is_upper = letters == CASE_UPPER || (letters >= CASE_CAPITALIZE && is_first);
        if (is_upper)
            bytes[i] = c >= 'a' && c <= 'z' ? (char)(c - 'a' + 'A') : c;
        else
            bytes[i] = c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
    }
    *out = (struct string){bytes, string.origins, string.length};
    return run_step(run, string.length);
}

enum weir_status string_change_case(struct run *run, const struct call *call, struct value *out)
{
    struct string string;
    enum weir_status status;
    TRY(value_show(run, &call->self, &string));
    TRY(string_in_case(run, string, (enum letter_case)call->builtin->variant, &string));
    *out = value_string(string);
out:
    return status;
}

/* ---- format ---------------------------------------------------------------------------------- */

static enum weir_status add_formatted(struct run *run, struct builder *builder, char kind,
                                      const struct value *value)
{
    if (kind == 's')
        return builder_add_value(run, builder, value);
    if (kind == 'r')
        return builder_add_repr(run, builder, value);
    if ((kind == 'd' || kind == 'i') && value_is_number(value)) {
        int64_t integer;
        const bool is_integer = value_get_integer(value, &integer);
        const struct value shown = value_integer(is_integer ? integer : 0);
        if (is_integer)
            return builder_add_value(run, builder, &shown);
    }
    return run_fail(run, WEIR_ERR_UNSUPPORTED, "%%%c of %s is not known here", kind,
                    value_kind_name(value->kind));
}

enum weir_status string_format(struct run *run, const struct call *call, struct value *out)
{
    struct builder builder = {0};
    struct string format;
    uint32_t plain = 0, used = 0;
    enum weir_status status;
    TRY(value_show(run, &call->self, &format));
    for (uint32_t i = 0; i + 1 < format.length; i++) {
        if (format.bytes[i] != '%')
            continue;
        TRY(builder_add(run, &builder, string_part(format, plain, i)));
        i++;
        plain = i + 1;
        if (format.bytes[i] == '%') {
            plain = i;
        } else if (used < call->count) {
            TRY(add_formatted(run, &builder, format.bytes[i], &call->items[used++]));
        } else {
            TRY(run_fail(run, WEIR_ERR_FORMAT, "this format needs more than %u values", used));
        }
    }
    TRY(builder_add(run, &builder, string_part(format, plain, format.length)));
    if (used < call->count || call->named_count > 0)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "this format needs %u values only", used));
    *out = value_string(builder_string(&builder));
out:
    return status;
}
