/* SPDX-License-Identifier: MIT
 * How values compare, and what they contain. Knows no node and no name. */
#include "jinja/interpreter.h"

#include <string.h>

/* ---- equality -------------------------------------------------------------------------------- */

static enum weir_status lists_equal(struct run *run, const struct list *a, const struct list *b,
                                    bool *out)
{
    enum weir_status status = WEIR_OK;
    *out = a->count == b->count;
    for (uint32_t i = 0; *out && i < a->count && i < b->count; i++)
        TRY(value_equal(run, &a->items[i], &b->items[i], out));
out:
    return status;
}

static enum weir_status dicts_equal(struct run *run, const struct dict *a, const struct dict *b,
                                    bool *out)
{
    enum weir_status status = WEIR_OK;
    *out = a->count == b->count;
    for (uint32_t i = 0; *out && i < a->count; i++) {
        struct value *other;
        TRY(dict_find(run, b, &a->entries[i].key, &other));
        *out = other != NULL;
        if (other != NULL)
            TRY(value_equal(run, &a->entries[i].value, other, out));
    }
out:
    return status;
}

static bool numbers_equal(const struct value *a, const struct value *b)
{
    int64_t left, right;
    if (a->kind == VALUE_HUGE && b->kind == VALUE_HUGE)
        return string_equals(*a->number.written, *b->number.written);
    if (value_get_integer(a, &left) && value_get_integer(b, &right))
        return left == right;
    return value_get_real(a) == value_get_real(b);
}

/* Of two values of one kind that are no numbers. */
static enum weir_status same_equal(struct run *run, const struct value *a, const struct value *b,
                                   bool *out)
{
    switch (a->kind) {
    case VALUE_UNDEFINED:
    case VALUE_NONE: *out = true; break;
    case VALUE_STRING:
        *out = string_equals(a->string, b->string);
        return run_step(run, a->string.length);
    case VALUE_LIST:
    case VALUE_TUPLE: return lists_equal(run, a->list, b->list, out);
    case VALUE_DICT: return dicts_equal(run, a->dict, b->dict, out);
    case VALUE_NAMESPACE: *out = a->dict == b->dict; break;
    case VALUE_LOOP: *out = a->loop == b->loop; break;
    case VALUE_MACRO: *out = a->macro == b->macro; break;
    case VALUE_FUNCTION: *out = a->function == b->function; break;
    case VALUE_JOINER: *out = a->joiner == b->joiner; break;
    case VALUE_BOOLEAN:
    case VALUE_INTEGER:
    case VALUE_HUGE:
    case VALUE_FLOAT: break; /* numbers_equal */
    }
    return WEIR_OK;
}

enum weir_status value_equal(struct run *run, const struct value *a, const struct value *b,
                             bool *out)
{
    enum weir_status status;
    *out = false;
    if (value_is_number(a) && value_is_number(b)) {
        *out = numbers_equal(a, b);
        return run_step(run, 0);
    }
    if (a->kind != b->kind)
        return run_step(run, 0);
    TRY(run_enter(run));
    TRY(same_equal(run, a, b, out));
    run_leave(run);
out:
    return status;
}

/* ---- order ----------------------------------------------------------------------------------- */

static int strings_order(struct string a, struct string b)
{
    const uint32_t common = a.length < b.length ? a.length : b.length;
    const int order = common == 0 ? 0 : memcmp(a.bytes, b.bytes, common);
    return order != 0 ? order : a.length < b.length ? -1 : a.length > b.length;
}

static int numbers_order(const struct value *a, const struct value *b)
{
    int64_t left, right;
    if (value_get_integer(a, &left) && value_get_integer(b, &right))
        return left < right ? -1 : left > right;
    const double x = value_get_real(a), y = value_get_real(b);
    return x < y ? -1 : x > y;
}

static enum weir_status lists_order(struct run *run, const struct list *a, const struct list *b,
                                    int *out)
{
    enum weir_status status = WEIR_OK;
    *out = 0;
    for (uint32_t i = 0; i < a->count && i < b->count; i++) {
        bool equal;
        TRY(value_equal(run, &a->items[i], &b->items[i], &equal));
        if (equal)
            continue;
        TRY(value_order(run, &a->items[i], &b->items[i], out));
        goto out;
    }
    *out = a->count < b->count ? -1 : a->count > b->count;
out:
    return status;
}

enum weir_status value_order(struct run *run, const struct value *a, const struct value *b,
                             int *out)
{
    enum weir_status status;
    if (value_is_number(a) && value_is_number(b)) {
        *out = numbers_order(a, b);
        return run_step(run, 0);
    }
    if (a->kind == VALUE_STRING && b->kind == VALUE_STRING) {
        *out = strings_order(a->string, b->string);
        return run_step(run, a->string.length);
    }
    if (a->kind != b->kind || !value_is_sequence(a))
        return run_fail(run, WEIR_ERR_FORMAT, "%s and %s have no order", value_kind_name(a->kind),
                        value_kind_name(b->kind));
    TRY(run_enter(run));
    TRY(lists_order(run, a->list, b->list, out));
    run_leave(run);
out:
    return status;
}

/* ---- contents -------------------------------------------------------------------------------- */

static enum weir_status list_contains(struct run *run, const struct list *list,
                                      const struct value *part, bool *out)
{
    enum weir_status status = WEIR_OK;
    *out = false;
    for (uint32_t i = 0; !*out && i < list->count; i++)
        TRY(value_equal(run, &list->items[i], part, out));
out:
    return status;
}

enum weir_status value_contains(struct run *run, const struct value *whole,
                                const struct value *part, bool *out)
{
    enum weir_status status = WEIR_OK;
    int64_t at;
    struct value *found;
    *out = false;
    if (whole->kind == VALUE_STRING && part->kind == VALUE_STRING) {
        TRY(string_find(run, whole->string, part->string, 0, &at));
        *out = at >= 0;
    } else if (value_is_sequence(whole)) {
        TRY(list_contains(run, whole->list, part, out));
    } else if (whole->kind == VALUE_DICT) {
        TRY(dict_find(run, whole->dict, part, &found));
        *out = found != NULL;
    } else if (whole->kind != VALUE_UNDEFINED) {
        TRY(run_fail(run, WEIR_ERR_FORMAT, "%s is never in %s", value_kind_name(part->kind),
                     value_kind_name(whole->kind)));
    }
out:
    return status;
}

static enum weir_status characters(struct run *run, struct string string, struct list *list)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t at = 0; at < string.length;) {
        const uint32_t bytes = string_offset(string_part(string, at, string.length), 1);
        const struct value item = value_string(string_part(string, at, at + bytes));
        TRY(list_add(run, list, &item));
        at += bytes;
    }
out:
    return status;
}

enum weir_status value_items(struct run *run, const struct value *value, struct list **out)
{
    enum weir_status status;
    TRY(list_new(run, 0, out));
    if (value->kind == VALUE_STRING) {
        TRY(characters(run, value->string, *out));
    } else if (value_is_sequence(value)) {
        const uint32_t count = value->list->count;
        **out = (struct list){value->list->items, count, count};
    } else if (value->kind == VALUE_DICT) {
        for (uint32_t i = 0; i < value->dict->count; i++)
            TRY(list_add(run, *out, &value->dict->entries[i].key));
    } else if (value->kind != VALUE_UNDEFINED) {
        TRY(run_fail(run, WEIR_ERR_FORMAT, "%s has no items", value_kind_name(value->kind)));
    }
out:
    return status;
}
