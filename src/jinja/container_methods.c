/* SPDX-License-Identifier: MIT
 * Methods of dicts, lists and loops. Containers are shared, so what changes one is seen wherever it
 * is. Knows no node and no name of a variable. */
#include <string.h>

#include "jinja/strings.h"

/* ---- dicts ----------------------------------------------------------------------------------- */

enum { DICT_KEYS = 1, DICT_VALUES = 2 };

/* Keys, values, or pairs of them. */
static enum weir_status method_items(struct run *run, const struct call *call, struct value *out)
{
    const struct dict *dict = call->self.dict;
    const int parts = call->builtin->variant;
    struct list *list;
    enum weir_status status;
    TRY(list_new(run, dict->count, &list));
    for (uint32_t i = 0; i < dict->count; i++) {
        struct value item = parts == DICT_KEYS ? dict->entries[i].key : dict->entries[i].value;
        if (parts == (DICT_KEYS | DICT_VALUES)) {
            item.kind = VALUE_TUPLE;
            TRY(list_new(run, 2, &item.list));
            TRY(list_add(run, item.list, &dict->entries[i].key));
            TRY(list_add(run, item.list, &dict->entries[i].value));
        }
        TRY(list_add(run, list, &item));
    }
    *out = (struct value){.kind = VALUE_LIST, .list = list};
out:
    return status;
}

static enum weir_status method_get(struct run *run, const struct call *call, struct value *out)
{
    struct value *found;
    enum weir_status status;
    TRY(dict_find(run, call->self.dict, &call->arguments[0], &found));
    *out = found != NULL ? *found : call->arguments[1];
    if (found == NULL && out->kind == VALUE_UNDEFINED)
        out->kind = VALUE_NONE;
out:
    return status;
}

static enum weir_status dict_pop(struct run *run, const struct call *call, struct value *out)
{
    struct dict *dict = call->self.dict;
    struct value *found;
    enum weir_status status;
    TRY(dict_find(run, dict, &call->arguments[0], &found));
    *out = call->arguments[1];
    if (found == NULL && out->kind == VALUE_UNDEFINED)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "pop finds no such key"));
    if (found != NULL) {
        *out = *found;
        const struct entry *entry =
            (const struct entry *)((const char *)found - offsetof(struct entry, value));
        const uint32_t at = (uint32_t)(entry - dict->entries);
        memmove(dict->entries + at, dict->entries + at + 1,
                (dict->count - at - 1) * sizeof *dict->entries);
        dict->count--;
    }
out:
    return status;
}

static enum weir_status method_update(struct run *run, const struct call *call, struct value *out)
{
    const struct value *other = &call->arguments[0];
    enum weir_status status = WEIR_OK;
    if (other->kind != VALUE_DICT)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "update takes a dict, not %s",
                     value_kind_name(other->kind)));
    for (uint32_t i = 0; i < other->dict->count; i++)
        TRY(dict_put(run, call->self.dict, &other->dict->entries[i].key,
                     &other->dict->entries[i].value));
    *out = (struct value){.kind = VALUE_NONE};
out:
    return status;
}

/* ---- lists ----------------------------------------------------------------------------------- */

static enum weir_status method_append(struct run *run, const struct call *call, struct value *out)
{
    *out = (struct value){.kind = VALUE_NONE};
    return list_add(run, call->self.list, &call->arguments[0]);
}

static enum weir_status method_extend(struct run *run, const struct call *call, struct value *out)
{
    struct list *items;
    enum weir_status status;
    TRY(value_items(run, &call->arguments[0], &items));
    for (uint32_t i = 0; i < items->count; i++)
        TRY(list_add(run, call->self.list, &items->items[i]));
    *out = (struct value){.kind = VALUE_NONE};
out:
    return status;
}

static enum weir_status list_pop(struct run *run, const struct call *call, struct value *out)
{
    struct list *list = call->self.list;
    int64_t at;
    enum weir_status status;
    TRY(argument_integer(run, call, 0, -1, &at));
    at = at < 0 ? at + list->count : at;
    if (at < 0 || at >= list->count)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "pop finds no such item"));
    *out = list->items[at];
    memmove(list->items + at, list->items + at + 1,
            (size_t)(list->count - at - 1) * sizeof *list->items);
    list->count--;
    TRY(run_step(run, list->count));
out:
    return status;
}

static enum weir_status method_insert(struct run *run, const struct call *call, struct value *out)
{
    struct list *list = call->self.list;
    int64_t at;
    enum weir_status status;
    TRY(argument_integer(run, call, 0, 0, &at));
    at = at < 0 ? at + list->count : at;
    at = at < 0 ? 0 : at > list->count ? list->count : at;
    TRY(list_add(run, list, &call->arguments[1]));
    memmove(list->items + at + 1, list->items + at,
            (size_t)(list->count - 1 - at) * sizeof *list->items);
    list->items[at] = call->arguments[1];
    *out = (struct value){.kind = VALUE_NONE};
    TRY(run_step(run, list->count));
out:
    return status;
}

enum { LIST_INDEX, LIST_COUNT };

static enum weir_status method_index(struct run *run, const struct call *call, struct value *out)
{
    const struct list *list = call->self.list;
    const bool counts = call->builtin->variant == LIST_COUNT;
    int64_t count = 0;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < list->count; i++) {
        bool equal;
        TRY(value_equal(run, &list->items[i], &call->arguments[0], &equal));
        count += equal;
        if (equal && !counts) {
            *out = value_integer(i);
            goto out;
        }
    }
    if (!counts)
        TRY(run_fail(run, WEIR_ERR_FORMAT, "index finds no such item"));
    *out = value_integer(count);
out:
    return status;
}

/* ---- loops ----------------------------------------------------------------------------------- */

static enum weir_status method_cycle(struct run *run, const struct call *call, struct value *out)
{
    if (call->count == 0)
        return run_fail(run, WEIR_ERR_FORMAT, "cycle needs values");
    *out = call->items[call->self.loop->index % call->count];
    return WEIR_OK;
}

/* Whether the arguments are others than at the last call. */
static enum weir_status method_changed(struct run *run, const struct call *call, struct value *out)
{
    struct loop *loop = call->self.loop;
    struct value now = {.kind = VALUE_LIST};
    bool equal;
    enum weir_status status;
    TRY(list_new(run, call->count, &now.list));
    for (uint32_t i = 0; i < call->count; i++)
        TRY(list_add(run, now.list, &call->items[i]));
    TRY(value_equal(run, &loop->changed, &now, &equal));
    loop->changed = now;
    *out = value_boolean(!equal);
out:
    return status;
}

enum {
    OF_DICTS = 1 << VALUE_DICT,
    OF_LISTS = 1 << VALUE_LIST,
    OF_SEQUENCES = OF_LISTS | 1 << VALUE_TUPLE,
    OF_LOOPS = 1 << VALUE_LOOP,
};

const struct builtin container_methods[] = {
    {"items", method_items, 0, false, OF_DICTS, {0}, DICT_KEYS | DICT_VALUES},
    {"keys", method_items, 0, false, OF_DICTS, {0}, DICT_KEYS},
    {"values", method_items, 0, false, OF_DICTS, {0}, DICT_VALUES},
    {"get", method_get, 1, false, OF_DICTS, {"key", "default"}, 0},
    {"pop", dict_pop, 1, false, OF_DICTS, {"key", "default"}, 0},
    {"update", method_update, 1, false, OF_DICTS, {"other"}, 0},
    {"append", method_append, 1, false, OF_LISTS, {"object"}, 0},
    {"extend", method_extend, 1, false, OF_LISTS, {"items"}, 0},
    {"pop", list_pop, 0, false, OF_LISTS, {"index"}, 0},
    {"insert", method_insert, 2, false, OF_LISTS, {"index", "object"}, 0},
    {"index", method_index, 1, false, OF_SEQUENCES, {"value"}, LIST_INDEX},
    {"count", method_index, 1, false, OF_SEQUENCES, {"value"}, LIST_COUNT},
    {"cycle", method_cycle, 0, true, OF_LOOPS, {0}, 0},
    {"changed", method_changed, 0, true, OF_LOOPS, {0}, 0},
    {0},
};
