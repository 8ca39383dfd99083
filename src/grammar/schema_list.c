/* SPDX-License-Identifier: MIT
 * Lists of schemas that apply to one value: references, allOf, what keywords mean to weir. Knows no
 * rules. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "grammar/schema.h"

enum {
    LIST_MAX = 1 << 10,
    WORK_MAX = 1 << 20, /* some 100 ns each; the largest grammar takes about so many */
    ITEM_STEPS = 4,     /* of a schema in a list */
};

/* ---- work ------------------------------------------------------------------------------------ */

enum weir_status schema_charge(struct schema *schema, uint64_t steps, struct weir_error *err)
{
    if (steps < WORK_MAX - schema->work) {
        schema->work += steps;
        return WEIR_OK;
    }
    schema->work = WORK_MAX;
    return err_set(err, WEIR_ERR_UNSUPPORTED, "schema: it takes more than %d steps to go through",
                   WORK_MAX);
}

bool schema_is_spent(const struct schema *schema)
{
    return schema->work == WORK_MAX;
}

/* ---- places ---------------------------------------------------------------------------------- */

/* Appends a step of a JSON pointer (RFC 6901). */
static void add_step(struct bytes *pointer, struct json_text key)
{
    bytes_add(pointer, "/", 1);
    for (size_t i = 0; i < key.length; i++) {
        const char c = key.bytes[i];
        bytes_add(pointer, c == '~' ? "~0" : c == '/' ? "~1" : &c, c == '~' || c == '/' ? 2 : 1);
    }
}

/* The element or member within which `value` was written. */
static const struct json *child_around(const struct json *parent, const struct json *value,
                                       uint32_t *index)
{
    for (*index = 0; *index < parent->count; (*index)++) {
        const struct json_text source = parent->items[*index].source;
        if (value->source.bytes >= source.bytes &&
            value->source.bytes < source.bytes + source.length)
            return &parent->items[*index];
    }
    return NULL;
}

static void write_place(struct bytes *pointer, const struct json *root, const struct json *value)
{
    const struct json *at = root;
    while (at != NULL && at != value && (at->kind == JSON_OBJECT || at->kind == JSON_ARRAY)) {
        uint32_t index;
        const struct json *child = child_around(at, value, &index);
        char number[16];
        const int length = snprintf(number, sizeof number, "%u", index);
        if (child != NULL)
            add_step(pointer, at->kind == JSON_OBJECT ? at->keys[index]
                                                      : (struct json_text){number, (size_t)length});
        at = child;
    }
}

static void write_reason(struct weir_error *err, enum weir_status status,
                         const struct schema *schema, const struct json *at, const char *reason)
{
    struct bytes place = {0};
    write_place(&place, schema->root, at);
    err_set(err, status, "schema%s%.300s: %s", place.length > 0 ? ", " : "",
            place.data == NULL ? "" : place.data, reason);
    bytes_release(&place);
}

enum weir_status schema_refuse(const struct schema *schema, enum weir_status status,
                               const struct json *at, struct weir_error *err, const char *format,
                               ...)
{
    char reason[160];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    write_reason(err, status, schema, at, reason);
    return status;
}

enum weir_status schema_nothing(struct schema *schema, const struct json *at, const char *format,
                                ...)
{
    char reason[160];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    if (schema->why.status == WEIR_OK)
        write_reason(&schema->why, WEIR_ERR_ARGUMENT, schema, at, reason);
    return WEIR_OK;
}

/* ---- lists ----------------------------------------------------------------------------------- */

void schema_list_release(struct schema_list *list)
{
    mem_free(list->items);
    *list = (struct schema_list){0};
}

bool schema_allows_all(const struct json *schema)
{
    return schema->kind == JSON_TRUE || (schema->kind == JSON_OBJECT && schema->count == 0);
}

enum weir_status schema_list_add(struct schema_list *list, struct schema_item item,
                                 struct weir_error *err)
{
    const struct json *schema = item.schema;
    if (schema_allows_all(schema))
        return WEIR_OK;
    for (uint64_t i = 0; i < list->count; i++) {
        if (list->items[i].schema == schema)
            return WEIR_OK;
    }
    if (list->count == LIST_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "schema: more than %d schemas for one value",
                       LIST_MAX);
    const enum weir_status status =
        mem_grow(&list->items, &list->capacity, list->count + 1, sizeof *list->items, err);
    if (status == WEIR_OK)
        list->items[list->count++] = item;
    return status;
}

/* ---- keywords -------------------------------------------------------------------------------- */

/* Keywords that are neither here nor known to JSON Schema say nothing, by its rules. */
static const char *const refused_keywords[] = {
    "not",
    "if",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "patternProperties",
    "propertyNames",
    "minProperties",
    "maxProperties",
    "contains",
    "multipleOf",
    "unevaluatedItems",
    "unevaluatedProperties",
    "additionalItems",
    "$dynamicRef",
    "$recursiveRef",
};

static enum weir_status check_keywords(const struct schema *schema, const struct json *object,
                                       struct weir_error *err)
{
    for (size_t i = 0; i < sizeof refused_keywords / sizeof refused_keywords[0]; i++) {
        const struct json *value = json_get(object, refused_keywords[i]);
        if (value != NULL)
            return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, value, err,
                                 "the keyword %s cannot be kept", refused_keywords[i]);
    }
    const struct json *unique = json_get(object, "uniqueItems");
    if (unique != NULL && unique->kind != JSON_FALSE)
        return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, unique, err,
                             "the keyword uniqueItems cannot be kept");
    const struct json *id = json_get(object, "$id");
    if (id != NULL && object != schema->root)
        return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, id, err,
                             "the keyword $id cannot be kept below the top");
    return WEIR_OK;
}

/* ---- references ------------------------------------------------------------------------------ */

static enum weir_status find_target(const struct schema *schema, const struct json *reference,
                                    const struct json **target, struct weir_error *err)
{
    if (reference->kind != JSON_STRING)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, reference, err, "$ref is not a string");
    const struct json_text text = reference->text;
    if (text.length == 0 || text.bytes[0] != '#' || (text.length > 1 && text.bytes[1] != '/'))
        return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, reference, err,
                             "a $ref that is not a JSON pointer within the schema");
    *target = json_resolve(schema->root, text);
    if (*target == NULL)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, reference, err, "$ref leads nowhere");
    return WEIR_OK;
}

static enum weir_status add_target(const struct schema *schema, struct schema_list *list,
                                   uint64_t index, struct weir_error *err)
{
    const struct json *reference = schema_get(&list->items[index], "$ref"), *target;
    enum weir_status status = WEIR_OK;
    if (reference == NULL || (list->items[index].done & SCHEMA_DONE_REF) != 0)
        return status;
    list->items[index].done |= SCHEMA_DONE_REF;
    TRY(find_target(schema, reference, &target, err));
    TRY(schema_list_add(list, (struct schema_item){target, 0}, err));
out:
    return status;
}

static enum weir_status add_all_of(const struct schema *schema, struct schema_list *list,
                                   uint64_t index, struct weir_error *err)
{
    const struct json *all = schema_get(&list->items[index], "allOf");
    enum weir_status status = WEIR_OK;
    if (all == NULL || (list->items[index].done & SCHEMA_DONE_ALL_OF) != 0)
        return status;
    list->items[index].done |= SCHEMA_DONE_ALL_OF;
    if (all->kind != JSON_ARRAY || all->count == 0)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, all, err,
                             "allOf is not an array of schemas");
    for (uint32_t i = 0; i < all->count; i++)
        TRY(schema_list_add(list, (struct schema_item){&all->items[i], 0}, err));
out:
    return status;
}

static bool is_nullable(const struct schema_item *item)
{
    const struct json *nullable = schema_get(item, "nullable");
    return nullable != NULL && nullable->kind == JSON_TRUE &&
           (item->done & SCHEMA_DONE_NULLABLE) == 0;
}

enum weir_status schema_list_complete(struct schema *schema, struct schema_list *list,
                                      struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *object = list->items[i].schema;
        TRY(schema_charge(schema, ITEM_STEPS, err));
        if (object->kind == JSON_FALSE)
            continue;
        if (object->kind != JSON_OBJECT)
            return schema_refuse(schema, WEIR_ERR_ARGUMENT, object, err, "%s, expected a schema",
                                 json_kind_name(object->kind));
        TRY(check_keywords(schema, object, err));
        if (is_nullable(&list->items[i]))
            continue;
        TRY(add_target(schema, list, i, err));
        TRY(add_all_of(schema, list, i, err));
    }
out:
    return status;
}

enum weir_status schema_list_follow(struct schema *schema, struct schema_list *list,
                                    struct weir_error *err)
{
    for (uint64_t i = 0; i < list->count && schema_charge(schema, ITEM_STEPS, NULL) == WEIR_OK;
         i++) {
        struct weir_error why = {0};
        enum weir_status status = add_target(schema, list, i, &why);
        if (status != WEIR_ERR_MEMORY)
            status = add_all_of(schema, list, i, &why);
        if (status == WEIR_ERR_MEMORY)
            return err_set(err, status, "%s", why.text);
    }
    return WEIR_OK;
}

/* ---- null ------------------------------------------------------------------------------------ */

static const struct json_text type_key = {"type", 4};
static const struct json null_name = {.kind = JSON_STRING, .text = {"null", 4}};
const struct json schema_null = {
    .kind = JSON_OBJECT, .count = 1, .keys = &type_key, .items = &null_name};

uint64_t schema_next_nullable(const struct schema_list *list)
{
    uint64_t i = 0;
    while (i < list->count && !is_nullable(&list->items[i]))
        i++;
    return i;
}

enum weir_status schema_choose_null(struct schema_list *to, const struct schema_list *from,
                                    uint64_t index, bool is_null, struct weir_error *err)
{
    const enum weir_status status = schema_list_copy(to, from, err);
    if (status != WEIR_OK)
        return status;
    if (is_null)
        to->items[index] = (struct schema_item){&schema_null, 0};
    else
        to->items[index].done |= SCHEMA_DONE_NULLABLE;
    return WEIR_OK;
}

/* ---- counts and types ------------------------------------------------------------------------ */

/* Reads a keyword that is a count; *count stays if it is not there. */
static enum weir_status read_count(const struct schema *schema, const struct schema_item *item,
                                   const char *keyword, uint32_t *count, const struct json **at,
                                   struct weir_error *err)
{
    const struct json *value = schema_get(item, keyword);
    uint64_t number = 0;
    if (value == NULL)
        return WEIR_OK;
    bool is_count = value->kind == JSON_NUMBER;
    size_t i = 0;
    for (; is_count && i < value->text.length && value->text.bytes[i] != '.'; i++) {
        const char c = value->text.bytes[i];
        is_count = c >= '0' && c <= '9';
        number = number < UINT32_MAX ? number * 10 + (uint64_t)(c - '0') : number;
    }
    for (i++; is_count && i < value->text.length; i++)
        is_count = value->text.bytes[i] == '0';
    if (!is_count)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, value, err,
                             "%s is not a whole number that is at least 0", keyword);
    *count = number > UINT32_MAX ? UINT32_MAX : (uint32_t)number;
    *at = value;
    return WEIR_OK;
}

enum weir_status schema_narrow(const struct schema *schema, const struct schema_item *item,
                               const char *least, const char *most, struct schema_bounds *bounds,
                               struct weir_error *err)
{
    uint32_t at_least = 0, at_most = UINT32_MAX;
    const struct json *at = NULL;
    enum weir_status status;
    TRY(read_count(schema, item, least, &at_least, &at, err));
    bounds->least_at = at_least > bounds->least ? at : bounds->least_at;
    bounds->least = at_least > bounds->least ? at_least : bounds->least;
    TRY(read_count(schema, item, most, &at_most, &at, err));
    bounds->most_at = at_most < bounds->most ? at : bounds->most_at;
    bounds->most = at_most < bounds->most ? at_most : bounds->most;
out:
    return status;
}

bool schema_is_nothing(struct schema *schema, const struct schema_bounds *bounds,
                       const char *things)
{
    if (bounds->least <= bounds->most)
        return false;
    schema_nothing(schema, bounds->least_at, "at least %u %s, but at most %u", bounds->least,
                   things, bounds->most);
    return true;
}

enum weir_status schema_check_counted(const struct schema *schema,
                                      const struct schema_bounds *bounds, uint32_t counted_max,
                                      const char *things, struct weir_error *err)
{
    const bool endless = bounds->most == UINT32_MAX;
    if (bounds->least <= counted_max && (endless || bounds->most <= counted_max))
        return WEIR_OK;
    return schema_refuse(schema, WEIR_ERR_UNSUPPORTED,
                         bounds->least > counted_max ? bounds->least_at : bounds->most_at, err,
                         "more than %u %s are not counted", counted_max, things);
}

static const struct {
    const char *name;
    unsigned types;
} type_names[] = {
    {"null", SCHEMA_NULL},
    {"boolean", SCHEMA_BOOLEAN},
    {"object", SCHEMA_OBJECT},
    {"array", SCHEMA_ARRAY},
    {"string", SCHEMA_STRING},
    {"integer", SCHEMA_INTEGER},
    {"number", SCHEMA_INTEGER | SCHEMA_NUMBER},
};

const struct schema_keyword schema_keywords[SCHEMA_KEYWORDS] = {
    {"properties", SCHEMA_OBJECT},
    {"required", SCHEMA_OBJECT},
    {"additionalProperties", SCHEMA_OBJECT},
    {"items", SCHEMA_ARRAY},
    {"prefixItems", SCHEMA_ARRAY},
    {"minItems", SCHEMA_ARRAY},
    {"maxItems", SCHEMA_ARRAY},
    {"minLength", SCHEMA_STRING},
    {"maxLength", SCHEMA_STRING},
    {"pattern", SCHEMA_STRING},
    {"minimum", SCHEMA_INTEGER | SCHEMA_NUMBER},
    {"maximum", SCHEMA_INTEGER | SCHEMA_NUMBER},
    {"exclusiveMinimum", SCHEMA_INTEGER | SCHEMA_NUMBER},
    {"exclusiveMaximum", SCHEMA_INTEGER | SCHEMA_NUMBER},
};

static enum weir_status read_type(const struct schema *schema, const struct json *name,
                                  unsigned *types, struct weir_error *err)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        if (json_is(name, type_names[i].name)) {
            *types |= type_names[i].types;
            return WEIR_OK;
        }
    }
    return schema_refuse(schema, WEIR_ERR_ARGUMENT, name, err, "no such type");
}

static enum weir_status read_types(const struct schema *schema, const struct json *names,
                                   unsigned *types, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *types = 0;
    if (names->kind != JSON_ARRAY)
        return read_type(schema, names, types, err);
    for (uint32_t i = 0; i < names->count && status == WEIR_OK; i++)
        status = read_type(schema, &names->items[i], types, err);
    return status;
}

static unsigned imply_types(const struct schema_list *list)
{
    unsigned types = 0;
    for (uint64_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < SCHEMA_KEYWORDS; k++) {
            if (schema_get(&list->items[i], schema_keywords[k].keyword) != NULL)
                types |= schema_keywords[k].types;
        }
    }
    return types == 0 ? SCHEMA_ANY : types;
}

enum weir_status schema_types(const struct schema *schema, const struct schema_list *list,
                              unsigned *types, struct weir_error *err)
{
    bool said = false;
    enum weir_status status = WEIR_OK;
    *types = SCHEMA_ANY;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct schema_item *item = &list->items[i];
        const struct json *names = schema_get(item, "type");
        unsigned more;
        if (names == NULL) {
            said |= schema_get(item, "enum") != NULL || schema_get(item, "const") != NULL;
            continue;
        }
        TRY(read_types(schema, names, &more, err));
        *types &= more;
        said = true;
    }
    if (!said)
        *types = imply_types(list);
out:
    return status;
}
