/* SPDX-License-Identifier: MIT
 * Values, strings, lists and dicts. Knows no node of a template. */
#include "jinja/value.h"

#include <string.h>

#include "jinja/interpreter.h"

const char *value_kind_name(enum value_kind kind)
{
    switch (kind) {
    case VALUE_UNDEFINED: return "undefined";
    case VALUE_NONE: return "none";
    case VALUE_BOOLEAN: return "bool";
    case VALUE_INTEGER:
    case VALUE_HUGE: return "int";
    case VALUE_FLOAT: return "float";
    case VALUE_STRING: return "str";
    case VALUE_LIST: return "list";
    case VALUE_TUPLE: return "tuple";
    case VALUE_DICT: return "dict";
    case VALUE_NAMESPACE: return "namespace";
    case VALUE_LOOP: return "loop";
    case VALUE_MACRO: return "macro";
    case VALUE_FUNCTION: return "function";
    case VALUE_JOINER: return "joiner";
    }
    return "";
}

struct value value_undefined(const char *name)
{
    return (struct value){.kind = VALUE_UNDEFINED, .string = string_from(name)};
}

struct value value_boolean(bool truth)
{
    return (struct value){.kind = VALUE_BOOLEAN, .truth = truth};
}

struct value value_integer(int64_t integer)
{
    return (struct value){.kind = VALUE_INTEGER, .number = {.integer = integer}};
}

struct value value_float(double real)
{
    return (struct value){.kind = VALUE_FLOAT, .number = {.real = real}};
}

struct value value_string(struct string string)
{
    return (struct value){.kind = VALUE_STRING, .string = string};
}

/* ---- strings --------------------------------------------------------------------------------- */

struct string string_from(const char *text)
{
    return (struct string){text, NULL, (uint32_t)strlen(text)};
}

struct string string_part(struct string string, uint64_t from, uint64_t to)
{
    return (struct string){string.bytes + from,
                           string.origins == NULL ? NULL : string.origins + from,
                           (uint32_t)(to - from)};
}

bool string_equals(struct string a, struct string b)
{
    return a.length == b.length && (a.length == 0 || memcmp(a.bytes, b.bytes, a.length) == 0);
}

bool string_is(struct string string, const char *text)
{
    return string_equals(string, string_from(text));
}

static bool begins_character(char byte)
{
    return ((unsigned char)byte & 0xc0) != 0x80;
}

uint32_t string_characters(struct string string)
{
    uint32_t characters = 0;
    for (uint32_t i = 0; i < string.length; i++)
        characters += begins_character(string.bytes[i]);
    return characters;
}

uint32_t string_offset(struct string string, uint32_t characters)
{
    uint32_t at = 0;
    for (; at < string.length; at++) {
        if (!begins_character(string.bytes[at]))
            continue;
        if (characters == 0)
            break;
        characters--;
    }
    return at;
}

enum weir_status string_find(struct run *run, struct string string, struct string part,
                             uint32_t from, int64_t *at)
{
    *at = -1;
    if (from > string.length)
        return WEIR_OK;
    const char *found = part.length == 0 ? string.bytes + from
                                         : memmem(string.bytes + from, string.length - from,
                                                  part.bytes, part.length);
    if (found != NULL)
        *at = found - string.bytes;
    return run_step(run, found == NULL ? string.length - from : (uint64_t)*at - from);
}

/* ---- facts ----------------------------------------------------------------------------------- */

bool value_is_number(const struct value *value)
{
    return value->kind == VALUE_BOOLEAN || value->kind == VALUE_INTEGER ||
           value->kind == VALUE_HUGE || value->kind == VALUE_FLOAT;
}

bool value_is_sequence(const struct value *value)
{
    return value->kind == VALUE_LIST || value->kind == VALUE_TUPLE;
}

bool value_truth(const struct value *value)
{
    switch (value->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE: return false;
    case VALUE_BOOLEAN: return value->truth;
    case VALUE_INTEGER: return value->number.integer != 0;
    case VALUE_FLOAT: return value->number.real != 0;
    case VALUE_STRING: return value->string.length > 0;
    case VALUE_LIST:
    case VALUE_TUPLE: return value->list->count > 0;
    case VALUE_DICT: return value->dict->count > 0;
    case VALUE_HUGE:
    case VALUE_NAMESPACE:
    case VALUE_LOOP:
    case VALUE_MACRO:
    case VALUE_FUNCTION:
    case VALUE_JOINER: return true;
    }
    return false;
}

bool value_get_integer(const struct value *value, int64_t *out)
{
    if (value->kind != VALUE_BOOLEAN && value->kind != VALUE_INTEGER)
        return false;
    *out = value->kind == VALUE_BOOLEAN ? value->truth : value->number.integer;
    return true;
}

double value_get_real(const struct value *value)
{
    int64_t integer;
    if (value_get_integer(value, &integer))
        return (double)integer;
    return value->number.real;
}

/* ---- lists and dicts ------------------------------------------------------------------------- */

enum weir_status list_new(struct run *run, uint32_t capacity, struct list **out)
{
    *out = run_take(run, 1, sizeof **out);
    if (*out == NULL)
        return run->err.status;
    return run_grow(run, &(*out)->items, &(*out)->capacity, capacity, sizeof(struct value));
}

enum weir_status list_add(struct run *run, struct list *list, const struct value *value)
{
    const struct value added = *value; /* may lie in the array that moves */
    enum weir_status status;
    TRY(run_step(run, 0));
    TRY(run_grow(run, &list->items, &list->capacity, (uint64_t)list->count + 1, sizeof added));
    list->items[list->count++] = added;
out:
    return status;
}

enum weir_status dict_new(struct run *run, uint32_t capacity, struct dict **out)
{
    *out = run_take(run, 1, sizeof **out);
    if (*out == NULL)
        return run->err.status;
    return run_grow(run, &(*out)->entries, &(*out)->capacity, capacity, sizeof(struct entry));
}

enum weir_status dict_find(struct run *run, const struct dict *dict, const struct value *key,
                           struct value **out)
{
    uint64_t compared = 0; /* bytes of keys that are as long as this one; 8 of others */
    enum weir_status status = WEIR_OK;
    *out = NULL;
    for (uint32_t i = 0; i < dict->count && *out == NULL; i++) {
        bool equal;
        const struct value *other = &dict->entries[i].key;
        compared += 8;
        if (other->kind == VALUE_STRING && key->kind == VALUE_STRING) {
            equal = string_equals(other->string, key->string);
            if (other->string.length == key->string.length && key->string.length > 8)
                compared += key->string.length - 8;
        } else {
            TRY(value_equal(run, other, key, &equal));
        }
        if (equal)
            *out = &dict->entries[i].value;
    }
    TRY(run_step(run, compared));
out:
    return status;
}

enum weir_status dict_put(struct run *run, struct dict *dict, const struct value *key,
                          const struct value *value)
{
    const struct entry entry = {*key, *value};
    struct value *found;
    enum weir_status status;
    if (value_is_sequence(key) || key->kind == VALUE_DICT)
        return run_fail(run, WEIR_ERR_FORMAT, "%s is no key", value_kind_name(key->kind));
    TRY(dict_find(run, dict, key, &found));
    if (found != NULL) {
        *found = entry.value;
        goto out;
    }
    TRY(run_grow(run, &dict->entries, &dict->capacity, (uint64_t)dict->count + 1, sizeof entry));
    dict->entries[dict->count++] = entry;
out:
    return status;
}
