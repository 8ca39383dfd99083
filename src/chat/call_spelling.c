/* SPDX-License-Identifier: MIT
 * Finds values of calls in a text and compares their spellings. Knows no token and no template. */
#include "chat/call_spelling.h"

#include <string.h>

#include "chat/marks.h"
#include "json/json.h"

enum { VALUES_MAX = 1 << 16 }; /* of JSON, which take more memory than their text */

/* ---- finding --------------------------------------------------------------------------------- */

/* Where the last mark begins that ends at or before `end`; `end` if there is none. */
static size_t find_last(const char *text, size_t end, const char *mark)
{
    const size_t length = strlen(mark);
    for (size_t at = end; at >= length; at--) {
        if (memcmp(text + at - length, mark, length) == 0)
            return at - length;
    }
    return end;
}

/* The value behind the last opening before `at`, if it reaches so far. */
static struct call_value value_behind(const char *text, size_t length, size_t at, const char *open,
                                      const char *close)
{
    const size_t mark = find_last(text, at, open);
    if (mark == at)
        return (struct call_value){.close = NULL};
    size_t from = mark + strlen(open), name;
    if (strcmp(open, MARK_PARAMETER) == 0) {
        if (mark_name((struct rest){text + from, length - from, true}, &name) != MARK_WHOLE)
            return (struct call_value){.close = NULL};
        from += name + 1;
    }
    const char *end = memmem(text + from, length - from, close, strlen(close));
    const size_t to = end == NULL ? 0 : (size_t)(end - text);
    return (struct call_value){mark, from, to, from <= at && at <= to ? close : NULL};
}

struct call_value call_value_at(const char *text, size_t length, size_t at)
{
    const struct call_value value =
        value_behind(text, length, at, MARK_PARAMETER, MARK_PARAMETER_END);
    return value.close != NULL ? value : value_behind(text, length, at, MARK_CALL, MARK_CALL_END);
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

bool call_value_alike(const struct call_value *value, struct json_text a, struct json_text b)
{
    if (a.length > CALL_VALUE_BYTES_MAX || b.length > CALL_VALUE_BYTES_MAX)
        return false;
    const bool is_parameter = strcmp(value->close, MARK_PARAMETER_END) == 0;
    return (is_parameter && json_text_compare(inner(a), inner(b)) == 0) || is_alike_json(a, b);
}
