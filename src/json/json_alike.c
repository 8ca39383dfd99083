/* SPDX-License-Identifier: MIT
 * Compares values that were read. Knows not how they are read. */
#include <math.h>
#include <stdlib.h>

#include "json/json.h"

/* Digits that a double keeps apart (DBL_DIG of IEEE 754): longer numbers are compared as texts. */
enum { DIGITS_MAX = 15 };

static bool same_text(struct json_text a, struct json_text b)
{
    return json_text_compare(a, b) == 0;
}

static bool same_number(struct json_text a, struct json_text b)
{
    if (same_text(a, b))
        return true;
    if (a.length > DIGITS_MAX || b.length > DIGITS_MAX)
        return false;
    const double first = strtod(a.bytes, NULL), second = strtod(b.bytes, NULL);
    return first == second && isnormal(first); /* beyond the range of doubles all are alike */
}

static bool same_items(const struct json *a, const struct json *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        if (!json_alike(&a->items[i], &b->items[i]))
            return false;
    }
    return true;
}

/* Of as many members each. Keys are looked for both ways, since one may stand there twice. */
static bool same_members(const struct json *a, const struct json *b)
{
    for (uint32_t i = 0; i < a->count; i++) {
        const struct json *other = json_find(b, a->keys[i]);
        if (other == NULL || json_find(a, b->keys[i]) == NULL || !json_alike(&a->items[i], other))
            return false;
    }
    return true;
}

/* Each at most JSON_DEPTH_MAX deep, and so is this. */
bool json_alike(const struct json *a, const struct json *b)
{
    if (a->kind != b->kind || a->count != b->count)
        return false;
    switch (a->kind) {
    case JSON_NULL:
    case JSON_FALSE:
    case JSON_TRUE: return true;
    case JSON_NUMBER: return same_number(a->text, b->text);
    case JSON_STRING: return same_text(a->text, b->text);
    case JSON_ARRAY: return same_items(a, b);
    case JSON_OBJECT: return same_members(a, b);
    }
    return false;
}
