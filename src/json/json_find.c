/* SPDX-License-Identifier: MIT
 * Looks for members and elements of values that were read. Knows not how they are read. */
#include <string.h>

#include "base/text.h"
#include "json/json.h"

/* ---- members --------------------------------------------------------------------------------- */

int json_text_compare(struct json_text a, struct json_text b)
{
    const size_t common = a.length < b.length ? a.length : b.length;
    const int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    return order != 0 ? order : (a.length > b.length) - (a.length < b.length);
}

/* How a key compares with what is wanted, in whatever way that is written. */
typedef int compare_fn(struct json_text key, struct json_text wanted);

static const struct json *find_sorted(const struct json *object, struct json_text wanted,
                                      compare_fn *compare)
{
    uint32_t begin = 0, end = object->count; /* what lies before is not greater, behind greater */
    while (begin < end) {
        const uint32_t middle = begin + (end - begin) / 2;
        if (compare(*object->sorted[middle], wanted) > 0)
            end = middle;
        else
            begin = middle + 1;
    }
    if (begin == 0 || compare(*object->sorted[begin - 1], wanted) != 0)
        return NULL;
    return &object->items[object->sorted[begin - 1] - object->keys];
}

static const struct json *find_member(const struct json *object, struct json_text wanted,
                                      compare_fn *compare)
{
    if (object == NULL || object->kind != JSON_OBJECT)
        return NULL;
    if (object->sorted != NULL)
        return find_sorted(object, wanted, compare);
    for (uint32_t i = object->count; i > 0; i--) {
        if (compare(object->keys[i - 1], wanted) == 0)
            return &object->items[i - 1];
    }
    return NULL;
}

const struct json *json_find(const struct json *object, struct json_text key)
{
    return find_member(object, key, json_text_compare);
}

const struct json *json_get(const struct json *object, const char *key)
{
    return json_find(object, (struct json_text){key, strlen(key)});
}

/* ---- references ------------------------------------------------------------------------------ */

/* One character of a reference: %XX is a byte, then ~0 and ~1 are ~ and /. */
static uint8_t read_character(struct json_text *step)
{
    const char *at = step->bytes;
    const char *const end = at + step->length;
    char c = *at++;
    if (c == '%' && end - at >= 2 && hex_value(at[0]) >= 0 && hex_value(at[1]) >= 0) {
        c = (char)(hex_value(at[0]) << 4 | hex_value(at[1]));
        at += 2;
    }
    if (c == '~' && at < end && (*at == '0' || *at == '1'))
        c = *at++ == '0' ? '~' : '/';
    *step = (struct json_text){at, (size_t)(end - at)};
    return (uint8_t)c;
}

static int compare_step(struct json_text key, struct json_text step)
{
    for (size_t i = 0; i < key.length; i++) {
        if (step.length == 0)
            return 1;
        const int order = (uint8_t)key.bytes[i] - read_character(&step);
        if (order != 0)
            return order;
    }
    return step.length == 0 ? 0 : -1;
}

/* Digits, of which a first 0 is the only one. */
static const struct json *find_element(const struct json *array, struct json_text step)
{
    uint64_t index = 0;
    if (step.length == 0 || step.length > 10 || (step.bytes[0] == '0' && step.length > 1))
        return NULL;
    for (size_t i = 0; i < step.length; i++) {
        if (step.bytes[i] < '0' || step.bytes[i] > '9')
            return NULL;
        index = index * 10 + (uint64_t)(step.bytes[i] - '0');
    }
    return index < array->count ? &array->items[index] : NULL;
}

const struct json *json_resolve(const struct json *root, struct json_text reference)
{
    const struct json *value = root;
    if (reference.length == 0 || reference.bytes[0] != '#')
        return NULL;
    const char *at = reference.bytes + 1, *const end = reference.bytes + reference.length;
    while (at < end && value != NULL) {
        if (*at != '/')
            return NULL;
        at++;
        const char *slash = memchr(at, '/', (size_t)(end - at));
        const char *const behind = slash == NULL ? end : slash;
        const struct json_text step = {at, (size_t)(behind - at)};
        value = value->kind == JSON_ARRAY ? find_element(value, step)
                                          : find_member(value, step, compare_step);
        at = behind;
    }
    return value;
}

/* ---- texts ----------------------------------------------------------------------------------- */

bool json_text_equals(struct json_text text, const char *other)
{
    const size_t length = strlen(other);
    return text.length == length && memcmp(text.bytes, other, length) == 0;
}

bool json_is(const struct json *value, const char *text)
{
    return value != NULL && value->kind == JSON_STRING && json_text_equals(value->text, text);
}

bool json_number_is_integer(struct json_text number)
{
    size_t at = 0;
    while (at < number.length && strchr("-0123456789", number.bytes[at]) != NULL)
        at++;
    if (at < number.length && number.bytes[at] == '.')
        at++;
    while (at < number.length && number.bytes[at] == '0')
        at++;
    return at == number.length;
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {
        [JSON_NULL] = "null",        [JSON_FALSE] = "false",   [JSON_TRUE] = "true",
        [JSON_NUMBER] = "a number",  [JSON_STRING] = "a text", [JSON_ARRAY] = "an array",
        [JSON_OBJECT] = "an object",
    };
    return names[kind];
}
