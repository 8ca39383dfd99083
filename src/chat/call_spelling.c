/* SPDX-License-Identifier: MIT
 * Finds values of calls in a text and compares their spellings. Knows no token and no template. */
#include "chat/call_spelling.h"

#include <string.h>

#include "chat/marks.h"
#include "chat/value_types.h"

enum { VALUES_MAX = 1 << 16 }; /* of JSON, which take more memory than their text */

/* ---- finding --------------------------------------------------------------------------------- */

/* Where the last mark begins that ends at or before `to`, and does not begin before `from`; `to` if
 * there is none. */
static size_t find_last(struct json_text text, size_t from, size_t to, const char *mark)
{
    const size_t length = strlen(mark);
    for (size_t at = to; at >= from + length; at--) {
        if (memcmp(text.bytes + at - length, mark, length) == 0)
            return at - length;
    }
    return to;
}

/* The name that a mark ends with, from `at` on. */
static bool read_name(struct json_text text, size_t at, struct json_text *name)
{
    *name = (struct json_text){text.bytes + at, 0};
    return mark_name((struct rest){text.bytes + at, text.length - at, true}, &name->length) ==
           MARK_WHOLE;
}

/* The value between an opening and its end; none if it does not reach from before `at` to there. */
static struct call_value value_between(struct json_text text, size_t mark, size_t from, size_t at,
                                       const char *close)
{
    const size_t rest = text.length - from, length = strlen(close);
    const size_t searched =
        rest < CALL_VALUE_BYTES_MAX + length ? rest : CALL_VALUE_BYTES_MAX + length;
    const char *end = memmem(text.bytes + from, searched, close, length);
    const size_t to = end == NULL ? 0 : (size_t)(end - text.bytes);
    return (struct call_value){
        .mark = mark, .from = from, .to = to, .close = from <= at && at <= to ? close : NULL};
}

static struct call_value parameter_at(struct json_text text, size_t from, size_t at)
{
    const size_t mark = find_last(text, from, at, MARK_PARAMETER);
    struct json_text name;
    if (mark == at || !read_name(text, mark + strlen(MARK_PARAMETER), &name))
        return (struct call_value){.close = NULL};
    const size_t begin = (size_t)(name.bytes - text.bytes) + name.length + 1;
    struct call_value value = value_between(text, mark, begin, at, MARK_PARAMETER_END);
    value.name = name;
    return value;
}

struct call_value call_value_at(struct json_text text, size_t from, size_t at)
{
    const struct call_value parameter = parameter_at(text, from, at);
    if (parameter.close != NULL)
        return parameter;
    const size_t mark = find_last(text, from, at, MARK_CALL);
    return mark == at ? (struct call_value){.close = NULL}
                      : value_between(text, mark, mark + strlen(MARK_CALL), at, MARK_CALL_END);
}

bool call_function_at(struct json_text text, size_t from, size_t to, struct json_text *name,
                      size_t *mark)
{
    *mark = find_last(text, from, to, MARK_FUNCTION);
    return *mark < to && read_name(text, *mark + strlen(MARK_FUNCTION), name);
}

/* ---- comparing ------------------------------------------------------------------------------- */

/* Without a newline on either side, as templates write them around a parameter's value. */
static struct json_text inner(struct json_text text)
{
    const size_t before = text.length > 0 && text.bytes[0] == '\n';
    const size_t behind = text.length > before && text.bytes[text.length - 1] == '\n';
    return (struct json_text){text.bytes + before, text.length - before - behind};
}

static bool is_alike_json(struct json_text a, struct json_text b)
{
    struct json_document *first = NULL, *second = NULL;
    struct weir_error err = {0};
    const bool is_alike =
        json_open_few(&first, a.bytes, a.length, VALUES_MAX, "value", &err) == WEIR_OK &&
        json_open_few(&second, b.bytes, b.length, VALUES_MAX, "value", &err) == WEIR_OK &&
        json_root(first)->kind != JSON_STRING && json_alike(json_root(first), json_root(second));
    json_close(first);
    json_close(second);
    return is_alike;
}

bool call_value_alike(const struct call_value *value, unsigned types, struct json_text a,
                      struct json_text b)
{
    if (a.length > CALL_VALUE_BYTES_MAX || b.length > CALL_VALUE_BYTES_MAX)
        return false;
    if (value->name.bytes == NULL)
        return is_alike_json(a, b);
    a = inner(a);
    b = inner(b);
    return json_text_compare(a, b) == 0 ||
           (value_is_json(types, a.bytes, a.length) && value_is_json(types, b.bytes, b.length) &&
            is_alike_json(a, b));
}
