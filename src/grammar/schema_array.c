/* SPDX-License-Identifier: MIT
 * Arrays of a schema: so many items, the first of which may have schemas of their own. Knows no
 * other type.
 *
 * Where a schema lists prefixItems and says nothing of how many items there are, all those are
 * there, and no more unless it says what they are. */
#include "grammar/schema.h"

enum { ITEMS_MAX = 1 << 12 }; /* that are counted */

struct items {
    struct schema_bounds count;
    uint32_t prefix; /* items with schemas of their own */
    bool more;       /* something is said of further ones */
};

/* prefixItems, or items as an array, as it was written before 2020. */
static const struct json *prefix_of(const struct schema_item *item)
{
    const struct json *prefix = schema_get(item, "prefixItems"), *items = schema_get(item, "items");
    return prefix != NULL || items == NULL || items->kind != JSON_ARRAY ? prefix : items;
}

static enum weir_status read_item(const struct schema *schema, const struct schema_item *item,
                                  struct items *items, struct weir_error *err)
{
    const struct json *prefix = prefix_of(item), *further = schema_get(item, "items");
    enum weir_status status;
    TRY(schema_narrow(schema, item, "minItems", "maxItems", &items->count, err));
    items->more |= further != NULL && further != prefix;
    if (prefix == NULL)
        return status;
    if (prefix->kind != JSON_ARRAY)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, prefix, err,
                             "prefixItems is not an array of schemas");
    items->prefix = prefix->count > items->prefix ? prefix->count : items->prefix;
out:
    return status;
}

static enum weir_status read_items(struct schema *schema, const struct schema_list *list,
                                   struct items *items, struct weir_error *err)
{
    bool said = false;
    enum weir_status status = WEIR_OK;
    *items = (struct items){.count.most = UINT32_MAX};
    for (uint64_t i = 0; i < list->count; i++) {
        TRY(read_item(schema, &list->items[i], items, err));
        said |= schema_get(&list->items[i], "minItems") != NULL;
    }
    if (items->prefix > 0 && !said)
        items->count.least = items->prefix < items->count.most ? items->prefix : items->count.most;
    if (items->prefix > 0 && !items->more && items->prefix < items->count.most) {
        items->count.most = items->prefix;
        items->count.most_at = items->count.least_at;
    }
out:
    return status;
}

/* What all schemas of the list say of item number `index`. */
static enum weir_status list_of_item(const struct schema_list *list, uint32_t index,
                                     struct schema_list *out, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *out = (struct schema_list){0};
    for (uint64_t i = 0; i < list->count; i++) {
        const struct schema_item *item = &list->items[i];
        const struct json *prefix = prefix_of(item), *further = schema_get(item, "items");
        const struct json *said = further != prefix ? further : NULL;
        if (prefix != NULL && index < prefix->count)
            said = &prefix->items[index];
        if (said != NULL)
            TRY(schema_list_add(out, (struct schema_item){said, 0}, err));
    }
out:
    if (status != WEIR_OK)
        schema_list_release(out);
    return status;
}

static enum weir_status emit_item(struct schema *schema, const struct schema_list *list,
                                  uint32_t index, uint32_t *at, struct weir_error *err)
{
    struct schema_list item;
    uint32_t rule;
    enum weir_status status;
    TRY(list_of_item(list, index, &item, err));
    TRY(schema_rule(schema, &item, &rule, err));
    TRY(schema_put_call(schema, at, rule, err));
out:
    return status;
}

/* Counts items one by one as long as it matters which one it is; then there may be any number. */
static enum weir_status emit_items(struct schema *schema, const struct schema_list *list,
                                   const struct items *items, uint32_t open, uint32_t done,
                                   struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    const bool endless = items->count.most == UINT32_MAX;
    uint32_t counted = endless ? items->count.least : items->count.most;
    enum weir_status status = WEIR_OK;
    if (endless)
        counted = (items->prefix > counted ? items->prefix : counted) + 1;
    for (uint32_t index = 0; index < counted; index++) {
        uint32_t at = open, next;
        TRY(rules_node(builder, &next, err));
        TRY(emit_item(schema, list, index, &at, err));
        if (index + 1 >= items->count.least)
            TRY(rules_free(builder, at, done, err));
        if (index + 1 == counted && !endless)
            break;
        TRY(schema_put(schema, &at, ",", err));
        TRY(rules_call(builder, at, index + 1 == counted ? open : next, schema->space, err));
        open = next;
    }
out:
    return status;
}

static enum weir_status emit_counted(struct schema *schema, const struct schema_list *list,
                                     const struct items *items, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    uint32_t at = from, open, done;
    enum weir_status status;
    TRY(rules_node(builder, &open, err));
    TRY(rules_node(builder, &done, err));
    TRY(schema_put(schema, &at, "[", err));
    TRY(schema_put_call(schema, &at, schema->space, err));
    TRY(rules_free(builder, at, open, err));
    if (items->count.least == 0)
        TRY(rules_free(builder, at, done, err));
    TRY(emit_items(schema, list, items, open, done, err));
    TRY(schema_put_call(schema, &done, schema->space, err));
    TRY(rules_bytes(builder, done, to, "]", 1, err));
out:
    return status;
}

enum weir_status schema_emit_array(struct schema *schema, const struct schema_list *list,
                                   uint32_t from, uint32_t to, struct weir_error *err)
{
    struct items items;
    enum weir_status status;
    TRY(read_items(schema, list, &items, err));
    if (schema_is_nothing(schema, &items.count, "items"))
        return WEIR_OK;
    TRY(schema_check_counted(schema, &items.count, ITEMS_MAX, "items", err));
    status = emit_counted(schema, list, &items, from, to, err);
out:
    return status;
}
