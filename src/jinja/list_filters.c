/* SPDX-License-Identifier: MIT
 * Filters of lists and dicts: choosing, ordering, joining. Knows not how they are called. */
#include <string.h>

#include "jinja/strings.h"

/* ---- keys of items --------------------------------------------------------------------------- */

/* A step of a path: an attribute, or of digits alone the number of an item. */
static enum weir_status item_step(struct run *run, struct string step, struct value *item)
{
    int64_t number = 0;
    bool is_number = step.length > 0 && step.length < 10;
    for (uint32_t i = 0; is_number && i < step.length; i++) {
        is_number = step.bytes[i] >= '0' && step.bytes[i] <= '9';
        number = number * 10 + (step.bytes[i] - '0');
    }
    const struct value key = value_integer(number);
    return is_number ? value_subscript(run, item, &key, item)
                     : value_attribute(run, item, step, item);
}

/* An attribute of an item by its path: "function.name", "0.name", or the number of an item; the
 * value itself where there is no path. */
static enum weir_status item_key(struct run *run, const struct value *item,
                                 const struct value *path, struct value *out)
{
    struct string rest;
    enum weir_status status = WEIR_OK;
    *out = *item;
    if (path->kind == VALUE_UNDEFINED || path->kind == VALUE_NONE)
        return WEIR_OK;
    if (path->kind != VALUE_STRING)
        return value_subscript(run, item, path, out);
    rest = path->string;
    while (rest.length > 0) {
        const char *point = memchr(rest.bytes, '.', rest.length);
        const uint64_t end = point == NULL ? rest.length : (uint64_t)(point - rest.bytes);
        TRY(item_step(run, string_part(rest, 0, end), out));
        rest = string_part(rest, point == NULL ? end : end + 1, rest.length);
    }
out:
    return status;
}

/* The key by which an item is ordered: strings without their case, unless it counts. */
static enum weir_status order_key(struct run *run, const struct value *item,
                                  const struct value *path, bool case_counts, struct value *out)
{
    enum weir_status status;
    TRY(item_key(run, item, path, out));
    if (out->kind == VALUE_STRING && !case_counts)
        TRY(string_in_case(run, out->string, CASE_LOWER, &out->string));
out:
    return status;
}

/* The order of all items, as a list of their keys. */
static enum weir_status order_keys(struct run *run, const struct list *items,
                                   const struct value *path, bool case_counts, struct list **out)
{
    enum weir_status status;
    TRY(list_new(run, items->count, out));
    for (uint32_t i = 0; i < items->count; i++) {
        struct value key;
        TRY(order_key(run, &items->items[i], path, case_counts, &key));
        TRY(list_add(run, *out, &key));
    }
out:
    return status;
}

/* ---- sorting --------------------------------------------------------------------------------- */

/* Merges the sorted runs [from, middle) and [middle, to) of places into `out`; what is equal keeps
 * its order. */
static enum weir_status merge(struct run *run, const struct list *keys, bool reverse,
                              const uint32_t *places, uint32_t from, uint32_t middle, uint32_t to,
                              uint32_t *out)
{
    uint32_t left = from, right = middle;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = from; i < to; i++) {
        int order = right == to ? -1 : left == middle ? 1 : 0;
        if (order == 0) {
            TRY(value_order(run, &keys->items[places[left]], &keys->items[places[right]], &order));
            order = reverse ? -order : order;
        }
        out[i] = order <= 0 ? places[left++] : places[right++];
    }
out:
    return status;
}

/* The items in the order of their keys. */
static enum weir_status sort(struct run *run, struct list *items, const struct list *keys,
                             bool reverse)
{
    const uint32_t count = items->count;
    uint32_t *places = run_take(run, count, sizeof *places);
    uint32_t *merged = run_take(run, count, sizeof *merged);
    struct value *sorted = run_take(run, count, sizeof *sorted);
    enum weir_status status = WEIR_OK;
    if (places == NULL || merged == NULL || sorted == NULL)
        return run->err.status;
    for (uint32_t i = 0; i < count; i++)
        places[i] = i;
    for (uint64_t width = 1; width < count; width *= 2) {
        for (uint64_t from = 0; from < count; from += 2 * width) {
            const uint64_t middle = from + width < count ? from + width : count;
            const uint64_t to = from + 2 * width < count ? from + 2 * width : count;
            TRY(merge(run, keys, reverse, places, (uint32_t)from, (uint32_t)middle, (uint32_t)to,
                      merged));
        }
        memcpy(places, merged, count * sizeof *places);
    }
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = items->items[places[i]];
    items->items = sorted;
    items->capacity = count;
out:
    return status;
}

static enum weir_status filter_sort(struct run *run, const struct call *call, struct value *out)
{
    struct list *items, *keys;
    enum weir_status status;
    TRY(value_items(run, &call->self, &items));
    TRY(order_keys(run, items, &call->arguments[2], value_truth(&call->arguments[1]), &keys));
    TRY(sort(run, items, keys, value_truth(&call->arguments[0])));
    *out = (struct value){.kind = VALUE_LIST, .list = items};
out:
    return status;
}

static enum weir_status pairs(struct run *run, const struct value *value, struct list **out)
{
    struct value items;
    struct call call = {.builtin = builtin_method(string_from("items"), VALUE_DICT),
                        .self = *value};
    enum weir_status status;
    if (value->kind == VALUE_UNDEFINED)
        return list_new(run, 0, out);
    if (value->kind != VALUE_DICT)
        return run_fail(run, WEIR_ERR_FORMAT, "%s has no keys", value_kind_name(value->kind));
    TRY(builtin_call(run, &call, &items));
    *out = items.list;
out:
    return status;
}

static enum weir_status filter_dictsort(struct run *run, const struct call *call, struct value *out)
{
    struct list *items, *keys;
    struct string by;
    enum weir_status status;
    TRY(argument_string(run, call, 1, "key", &by));
    const struct value place = value_integer(string_is(by, "value") ? 1 : 0);
    TRY(pairs(run, &call->self, &items));
    TRY(order_keys(run, items, &place, value_truth(&call->arguments[0]), &keys));
    TRY(sort(run, items, keys, value_truth(&call->arguments[2])));
    *out = (struct value){.kind = VALUE_LIST, .list = items};
out:
    return status;
}

static enum weir_status filter_items(struct run *run, const struct call *call, struct value *out)
{
    struct list *items;
    enum weir_status status;
    TRY(pairs(run, &call->self, &items));
    *out = (struct value){.kind = VALUE_LIST, .list = items};
out:
    return status;
}

/* The first of the least or of the greatest; undefined if there is none. */
static enum weir_status filter_extreme(struct run *run, const struct call *call, struct value *out)
{
    const int sign = call->builtin->variant;
    struct list *items, *keys;
    uint32_t best = 0;
    enum weir_status status;
    TRY(value_items(run, &call->self, &items));
    TRY(order_keys(run, items, &call->arguments[1], value_truth(&call->arguments[0]), &keys));
    for (uint32_t i = 1; i < keys->count; i++) {
        int order;
        TRY(value_order(run, &keys->items[i], &keys->items[best], &order));
        best = order * sign > 0 ? i : best;
    }
    *out = items->count > 0 ? items->items[best] : value_undefined("item");
out:
    return status;
}

static enum weir_status filter_unique(struct run *run, const struct call *call, struct value *out)
{
    const struct value none = {.kind = VALUE_NONE};
    struct list *items, *keys, *kept;
    struct dict *seen;
    enum weir_status status;
    TRY(value_items(run, &call->self, &items));
    TRY(order_keys(run, items, &call->arguments[1], value_truth(&call->arguments[0]), &keys));
    TRY(list_new(run, 0, &kept));
    TRY(dict_new(run, 0, &seen));
    for (uint32_t i = 0; i < items->count; i++) {
        struct value *found;
        TRY(dict_find(run, seen, &keys->items[i], &found));
        if (found != NULL)
            continue;
        TRY(dict_put(run, seen, &keys->items[i], &none));
        TRY(list_add(run, kept, &items->items[i]));
    }
    *out = (struct value){.kind = VALUE_LIST, .list = kept};
out:
    return status;
}

/* ---- choosing -------------------------------------------------------------------------------- */

/* The call of a filter or test that the arguments name, from place `from` on. */
static enum weir_status named_call(struct run *run, const struct call *call, uint32_t from,
                                   bool is_filter, struct call *out)
{
    const struct value *name = &call->items[from];
    if (name->kind != VALUE_STRING)
        return run_fail(run, WEIR_ERR_FORMAT, "%s takes the name of a %s, not %s",
                        call->builtin->name, is_filter ? "filter" : "test",
                        value_kind_name(name->kind));
    *out = (struct call){
        .builtin = is_filter ? builtin_filter(name->string) : builtin_test(name->string),
        .items = call->items + from + 1,
        .count = call->count - from - 1,
        .named = call->named,
        .named_count = call->named_count,
    };
    if (out->builtin == NULL)
        return run_fail(run, WEIR_ERR_UNSUPPORTED, "the %s '%.*s' is not known here",
                        is_filter ? "filter" : "test",
                        (int)(name->string.length < 40 ? name->string.length : 40),
                        name->string.bytes);
    return WEIR_OK;
}

/* What filters that take one item after the other go through: what is false has none, whatever it
 * is, as the content of a message that is none. */
static enum weir_status items_of_true(struct run *run, const struct value *value, struct list **out)
{
    return value_truth(value) ? value_items(run, value, out) : list_new(run, 0, out);
}

enum { CHOOSE_REJECTED = 1, CHOOSE_BY_ATTRIBUTE = 2 };

/* select, reject, selectattr, rejectattr: by a test, or by the truth of what is tested. */
static enum weir_status filter_choose(struct run *run, const struct call *call, struct value *out)
{
    const int variant = call->builtin->variant;
    const uint32_t from = (variant & CHOOSE_BY_ATTRIBUTE) != 0 ? 1 : 0;
    struct value path = value_undefined("attribute");
    struct call test = {0};
    struct list *items, *kept;
    enum weir_status status;
    if (call->count < from)
        return run_fail(run, WEIR_ERR_FORMAT, "%s needs an attribute", call->builtin->name);
    if (from > 0)
        path = call->items[0];
    if (call->count > from)
        TRY(named_call(run, call, from, false, &test));
    TRY(items_of_true(run, &call->self, &items));
    TRY(list_new(run, 0, &kept));
    for (uint32_t i = 0; i < items->count; i++) {
        struct value result;
        TRY(item_key(run, &items->items[i], &path, &result));
        test.self = result;
        if (test.builtin != NULL)
            TRY(builtin_call(run, &test, &result));
        if (value_truth(&result) != ((variant & CHOOSE_REJECTED) != 0))
            TRY(list_add(run, kept, &items->items[i]));
    }
    *out = (struct value){.kind = VALUE_LIST, .list = kept};
out:
    return status;
}

static const struct value *named_argument(const struct call *call, const char *name)
{
    for (uint32_t i = 0; i < call->named_count; i++) {
        if (string_is(call->named[i].name, name))
            return &call->named[i].value;
    }
    return NULL;
}

/* By a filter, or by an attribute, for which there may be a default. */
static enum weir_status filter_map(struct run *run, const struct call *call, struct value *out)
{
    const struct value *path = named_argument(call, "attribute");
    const struct value *other = named_argument(call, "default");
    struct call filter = {0};
    struct list *items, *mapped;
    enum weir_status status;
    if (path == NULL && call->count == 0)
        return run_fail(run, WEIR_ERR_FORMAT, "map needs a filter or an attribute");
    if (path == NULL)
        TRY(named_call(run, call, 0, true, &filter));
    TRY(items_of_true(run, &call->self, &items));
    TRY(list_new(run, items->count, &mapped));
    for (uint32_t i = 0; i < items->count; i++) {
        struct value result;
        filter.self = items->items[i];
        if (path == NULL)
            TRY(builtin_call(run, &filter, &result));
        else
            TRY(item_key(run, &items->items[i], path, &result));
        if (path != NULL && other != NULL && result.kind == VALUE_UNDEFINED)
            result = *other;
        TRY(list_add(run, mapped, &result));
    }
    *out = (struct value){.kind = VALUE_LIST, .list = mapped};
out:
    return status;
}

/* ---- others ---------------------------------------------------------------------------------- */

static enum weir_status filter_default(struct run *run, const struct call *call, struct value *out)
{
    const bool by_truth = value_truth(&call->arguments[1]);
    const bool is_missing =
        call->self.kind == VALUE_UNDEFINED || (by_truth && !value_truth(&call->self));
    *out = is_missing ? call->arguments[0] : call->self;
    if (is_missing && out->kind == VALUE_UNDEFINED)
        *out = value_string(string_from(""));
    return run_step(run, 0);
}

static enum weir_status filter_join(struct run *run, const struct call *call, struct value *out)
{
    struct builder builder = {0};
    struct string separator;
    struct list *items;
    enum weir_status status;
    TRY(argument_string(run, call, 0, "", &separator));
    TRY(value_items(run, &call->self, &items));
    for (uint32_t i = 0; i < items->count; i++) {
        struct value item;
        TRY(item_key(run, &items->items[i], &call->arguments[1], &item));
        if (i > 0)
            TRY(builder_add(run, &builder, separator));
        TRY(builder_add_value(run, &builder, &item));
    }
    *out = value_string(builder_string(&builder));
out:
    return status;
}

static enum weir_status filter_list(struct run *run, const struct call *call, struct value *out)
{
    struct list *items, *copy;
    enum weir_status status;
    TRY(value_items(run, &call->self, &items));
    TRY(list_new(run, items->count, &copy));
    for (uint32_t i = 0; i < items->count; i++)
        TRY(list_add(run, copy, &items->items[i]));
    *out = (struct value){.kind = VALUE_LIST, .list = copy};
out:
    return status;
}

enum { END_FIRST, END_LAST };

static enum weir_status filter_end(struct run *run, const struct call *call, struct value *out)
{
    struct list *items;
    enum weir_status status;
    TRY(value_items(run, &call->self, &items));
    *out = value_undefined("item");
    if (items->count > 0)
        *out = items->items[call->builtin->variant == END_FIRST ? 0 : items->count - 1];
out:
    return status;
}

static enum weir_status filter_reverse(struct run *run, const struct call *call, struct value *out)
{
    const struct value none = {.kind = VALUE_NONE}, back = value_integer(-1);
    const struct value bounds[3] = {none, none, back};
    struct value items = {.kind = VALUE_LIST};
    enum weir_status status;
    if (call->self.kind == VALUE_STRING)
        return evaluate_slice(run, &call->self, bounds, out);
    TRY(value_items(run, &call->self, &items.list));
    TRY(evaluate_slice(run, &items, bounds, out));
out:
    return status;
}

static enum weir_status filter_sum(struct run *run, const struct call *call, struct value *out)
{
    struct list *items;
    enum weir_status status;
    TRY(value_items(run, &call->self, &items));
    *out = call->arguments[1].kind == VALUE_UNDEFINED ? value_integer(0) : call->arguments[1];
    for (uint32_t i = 0; i < items->count; i++) {
        struct value item;
        TRY(item_key(run, &items->items[i], &call->arguments[0], &item));
        TRY(evaluate_operation(run, OPERATION_ADD, out, &item, out));
    }
out:
    return status;
}

const struct builtin filters_of_lists[] = {
    {"default", filter_default, .parameters = {"default_value", "boolean"}},
    {"d", filter_default, .parameters = {"default_value", "boolean"}},
    {"items", filter_items},
    {"list", filter_list},
    {"join", filter_join, .parameters = {"d", "attribute"}},
    {"first", filter_end, .variant = END_FIRST},
    {"last", filter_end, .variant = END_LAST},
    {"reverse", filter_reverse},
    {"sum", filter_sum, .parameters = {"attribute", "start"}},
    {"map", filter_map, .takes_all = true},
    {"select", filter_choose, .takes_all = true},
    {"reject", filter_choose, .takes_all = true, .variant = CHOOSE_REJECTED},
    {"selectattr", filter_choose, .takes_all = true, .variant = CHOOSE_BY_ATTRIBUTE},
    {"rejectattr", filter_choose, .takes_all = true,
     .variant = CHOOSE_BY_ATTRIBUTE | CHOOSE_REJECTED},
    {"sort", filter_sort, .parameters = {"reverse", "case_sensitive", "attribute"}},
    {"dictsort", filter_dictsort, .parameters = {"case_sensitive", "by", "reverse"}},
    {"unique", filter_unique, .parameters = {"case_sensitive", "attribute"}},
    {"min", filter_extreme, .parameters = {"case_sensitive", "attribute"}, .variant = -1},
    {"max", filter_extreme, .parameters = {"case_sensitive", "attribute"}, .variant = 1},
    {0},
};
