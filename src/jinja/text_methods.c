/* SPDX-License-Identifier: MIT
 * Methods of strings. Knows not how they are called. */
#include <string.h>

#include "jinja/strings.h"

/* ---- split ----------------------------------------------------------------------------------- */

static enum weir_status add_part(struct run *run, struct list *list, struct string string)
{
    const struct value part = value_string(string);
    return list_add(run, list, &part);
}

/* At runs of white space, which do not count at the ends. */
static enum weir_status split_words(struct run *run, struct string string, int64_t splits,
                                    struct list *list)
{
    enum weir_status status;
    TRY(run_step(run, string.length));
    for (;;) {
        uint32_t space = 0, word = 0;
        for (uint32_t bytes = 1; bytes > 0; space += bytes)
            bytes = space_first(string.bytes + space, string.length - space);
        string = string_part(string, space, string.length);
        if (string.length == 0)
            break;
        while (word < string.length && space_first(string.bytes + word, string.length - word) == 0)
            word++;
        const uint32_t end = splits == 0 ? string.length : word;
        TRY(add_part(run, list, string_part(string, 0, end)));
        string = string_part(string, end, string.length);
        splits--;
    }
out:
    return status;
}

/* At the first `splits` separators. */
static enum weir_status split_from_left(struct run *run, struct string string,
                                        struct string separator, int64_t splits, struct list *list)
{
    uint32_t from = 0;
    enum weir_status status = WEIR_OK;
    for (; splits != 0; splits--) {
        int64_t found;
        TRY(string_find(run, string, separator, from, &found));
        if (found < 0)
            break;
        TRY(add_part(run, list, string_part(string, from, (uint64_t)found)));
        from = (uint32_t)found + separator.length;
    }
    TRY(add_part(run, list, string_part(string, from, string.length)));
out:
    return status;
}

/* Where the last `part` begins, or below 0. */
static enum weir_status find_last(struct run *run, struct string string, struct string part,
                                  int64_t *at)
{
    const int64_t last = (int64_t)string.length - part.length;
    enum weir_status status = WEIR_OK;
    for (*at = last; *at >= 0; --*at) {
        if (string.bytes[*at] != part.bytes[0])
            continue;
        TRY(run_step(run, part.length));
        if (memcmp(string.bytes + *at, part.bytes, part.length) == 0)
            break;
    }
    TRY(run_step(run, last > *at ? (uint64_t)(last - *at) : 0));
out:
    return status;
}

/* At the last `splits` separators: those that overlap are others than from the left. */
static enum weir_status split_from_right(struct run *run, struct string string,
                                         struct string separator, int64_t splits, struct list *list)
{
    enum weir_status status = WEIR_OK;
    for (; splits != 0; splits--) {
        int64_t found;
        TRY(find_last(run, string, separator, &found));
        if (found < 0)
            break;
        const uint64_t behind = (uint64_t)found + separator.length;
        TRY(add_part(run, list, string_part(string, behind, string.length)));
        string = string_part(string, 0, (uint64_t)found);
    }
    TRY(add_part(run, list, string));
    for (uint32_t i = 0, last = list->count - 1; i < last; i++, last--) {
        const struct value part = list->items[i];
        list->items[i] = list->items[last];
        list->items[last] = part;
    }
out:
    return status;
}

enum { SPLIT_FROM_LEFT, SPLIT_FROM_RIGHT };

static enum weir_status method_split(struct run *run, const struct call *call, struct value *out)
{
    const struct value *given = &call->arguments[0];
    const bool from_right = call->builtin->variant == SPLIT_FROM_RIGHT;
    const bool has_separator = given->kind != VALUE_UNDEFINED && given->kind != VALUE_NONE;
    struct list *list;
    struct string separator;
    int64_t splits;
    enum weir_status status;
    TRY(list_new(run, 0, &list));
    TRY(argument_count(run, call, 1, &splits));
    TRY(argument_string(run, call, 0, "", &separator));
    if (has_separator && separator.length == 0)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "the separator of split is empty"));
    if (has_separator && from_right)
        TRY(split_from_right(run, call->self.string, separator, splits, list));
    else if (has_separator)
        TRY(split_from_left(run, call->self.string, separator, splits, list));
    else if (from_right && splits >= 0)
        TRY(run_fail(run, WEIR_ERR_UNSUPPORTED, "rsplit needs a separator here"));
    else
        TRY(split_words(run, call->self.string, splits, list));
    *out = (struct value){.kind = VALUE_LIST, .list = list};
out:
    return status;
}

static enum weir_status method_splitlines(struct run *run, const struct call *call,
                                          struct value *out)
{
    struct list *list;
    struct string string = call->self.string;
    enum weir_status status;
    TRY(list_new(run, 0, &list));
    TRY(run_step(run, string.length));
    while (string.length > 0) {
        uint32_t end = 0;
        while (end < string.length && string_line_end(string, end) == 0)
            end++;
        TRY(add_part(run, list, string_part(string, 0, end)));
        end += string_line_end(string, end);
        string = string_part(string, end, string.length);
    }
    *out = (struct value){.kind = VALUE_LIST, .list = list};
out:
    return status;
}

/* ---- looking for ----------------------------------------------------------------------------- */

enum { AFFIX_START, AFFIX_END };

static bool has_affix(struct string string, const struct value *affix, int side)
{
    if (affix->kind != VALUE_STRING || affix->string.length > string.length)
        return false;
    const uint32_t from = side == AFFIX_START ? 0 : string.length - affix->string.length;
    return string_equals(string_part(string, from, from + affix->string.length), affix->string);
}

/* A string, or any of a tuple. */
static enum weir_status method_affix(struct run *run, const struct call *call, struct value *out)
{
    const struct value *given = &call->arguments[0];
    const bool is_tuple = value_is_sequence(given);
    bool found = false;
    enum weir_status status = WEIR_OK;
    if (!is_tuple && given->kind != VALUE_STRING)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "%s takes a string, not %s", call->builtin->name,
                     value_kind_name(given->kind)));
    for (uint32_t i = 0; i < (is_tuple ? given->list->count : 1) && !found; i++) {
        const struct value *affix = is_tuple ? &given->list->items[i] : given;
        TRY(run_step(run, affix->kind == VALUE_STRING ? affix->string.length : 0));
        found = has_affix(call->self.string, affix, call->builtin->variant);
    }
    *out = value_boolean(found);
out:
    return status;
}

enum { FIND_FIRST, FIND_LAST, FIND_COUNT };

/* The number of characters before the first or last occurrence, or how many there are. */
static enum weir_status method_find(struct run *run, const struct call *call, struct value *out)
{
    const struct string string = call->self.string;
    const int wanted = call->builtin->variant;
    struct string part;
    int64_t last = -1, at = 0, count = 0;
    enum weir_status status;
    TRY(argument_string(run, call, 0, "", &part));
    while (at >= 0 && !(wanted == FIND_FIRST && count > 0)) {
        TRY(string_find(run, string, part, (uint32_t)at, &at));
        if (at < 0)
            break;
        last = at;
        count++;
        const uint32_t next =
            part.length > 0 && wanted == FIND_COUNT
                ? part.length
                : string_offset(string_part(string, (uint64_t)at, string.length), 1);
        at += next > 0 ? next : 1; /* behind the end nothing is found */
    }
    if (last >= 0)
        last = string_characters(string_part(string, 0, (uint64_t)last));
    *out = value_integer(wanted == FIND_COUNT ? count : last);
    TRY(run_step(run, string.length));
out:
    return status;
}

/* ---- what is in it --------------------------------------------------------------------------- */

enum { CLASS_DIGITS, CLASS_LETTERS, CLASS_LETTERS_AND_DIGITS };

/* Whether there are characters and all are such; of ASCII. */
static enum weir_status method_is(struct run *run, const struct call *call, struct value *out)
{
    const struct string string = call->self.string;
    const int wanted = call->builtin->variant;
    bool all = string.length > 0;
    for (uint32_t i = 0; all && i < string.length; i++) {
        const char c = string.bytes[i], lower = c | 0x20;
        const bool is_digit = c >= '0' && c <= '9', is_letter = lower >= 'a' && lower <= 'z';
        all = (is_digit && wanted != CLASS_LETTERS) || (is_letter && wanted != CLASS_DIGITS);
    }
    *out = value_boolean(all);
    return run_step(run, string.length);
}

static enum weir_status method_join(struct run *run, const struct call *call, struct value *out)
{
    struct builder builder = {0};
    struct list *items;
    enum weir_status status;
    TRY(value_items(run, &call->arguments[0], &items));
    for (uint32_t i = 0; i < items->count; i++) {
        if (items->items[i].kind != VALUE_STRING)
            TRY(run_fail(run, WEIR_ERR_FORMAT, "join takes strings, not %s",
                         value_kind_name(items->items[i].kind)));
        if (i > 0)
            TRY(builder_add(run, &builder, call->self.string));
        TRY(builder_add(run, &builder, items->items[i].string));
    }
    *out = value_string(builder_string(&builder));
out:
    return status;
}

enum { OF_STRINGS = 1 << VALUE_STRING };

const struct builtin text_methods[] = {
    {"split", method_split, 0, false, OF_STRINGS, {"sep", "maxsplit"}, SPLIT_FROM_LEFT},
    {"rsplit", method_split, 0, false, OF_STRINGS, {"sep", "maxsplit"}, SPLIT_FROM_RIGHT},
    {"splitlines", method_splitlines, 0, false, OF_STRINGS, {0}, 0},
    {"startswith", method_affix, 1, false, OF_STRINGS, {"prefix"}, AFFIX_START},
    {"endswith", method_affix, 1, false, OF_STRINGS, {"suffix"}, AFFIX_END},
    {"strip", string_strip, 0, false, OF_STRINGS, {"chars"}, STRIP_LEFT | STRIP_RIGHT},
    {"lstrip", string_strip, 0, false, OF_STRINGS, {"chars"}, STRIP_LEFT},
    {"rstrip", string_strip, 0, false, OF_STRINGS, {"chars"}, STRIP_RIGHT},
    {"replace", string_replace, 2, false, OF_STRINGS, {"old", "new", "count"}, 0},
    {"upper", string_change_case, 0, false, OF_STRINGS, {0}, CASE_UPPER},
    {"lower", string_change_case, 0, false, OF_STRINGS, {0}, CASE_LOWER},
    {"capitalize", string_change_case, 0, false, OF_STRINGS, {0}, CASE_CAPITALIZE},
    {"title", string_change_case, 0, false, OF_STRINGS, {0}, CASE_TITLE},
    {"find", method_find, 1, false, OF_STRINGS, {"sub"}, FIND_FIRST},
    {"rfind", method_find, 1, false, OF_STRINGS, {"sub"}, FIND_LAST},
    {"count", method_find, 1, false, OF_STRINGS, {"sub"}, FIND_COUNT},
    {"isdigit", method_is, 0, false, OF_STRINGS, {0}, CLASS_DIGITS},
    {"isalpha", method_is, 0, false, OF_STRINGS, {0}, CLASS_LETTERS},
    {"isalnum", method_is, 0, false, OF_STRINGS, {0}, CLASS_LETTERS_AND_DIGITS},
    {"join", method_join, 1, false, OF_STRINGS, {"items"}, 0},
    {0},
};
