/* SPDX-License-Identifier: MIT
 * Reads JSON schemas as far as they say types. Knows nothing of replies. */
#include "chat/value_types.h"

#include <string.h>

/* Schemas lead to each other, in circles too: what is deeper, or takes longer, may be anything. */
enum { SCHEMA_DEPTH_MAX = 32, SCHEMA_STEPS_MAX = 4096 };

struct schemas {
    const struct json *root; /* what references are relative to */
    uint64_t steps;          /* schemas and listed values that were looked at */
    uint32_t depth;
};

/* ---- types of values ------------------------------------------------------------------------- */

static unsigned type_of(const struct json *value)
{
    switch (value->kind) {
    case JSON_NULL: return VALUE_NULL;
    case JSON_FALSE:
    case JSON_TRUE: return VALUE_BOOLEAN;
    case JSON_NUMBER: return json_number_is_integer(value->text) ? VALUE_INTEGER : VALUE_FRACTION;
    case JSON_STRING: return VALUE_STRING;
    case JSON_ARRAY: return VALUE_ARRAY;
    case JSON_OBJECT: return VALUE_OBJECT;
    }
    return 0;
}

/* ---- types of schemas ------------------------------------------------------------------------ */

static unsigned type_of_name(const struct json *name)
{
    static const struct {
        const char *name;
        unsigned types;
    } rows[] = {
        {"null", VALUE_NULL},       {"boolean", VALUE_BOOLEAN},
        {"integer", VALUE_INTEGER}, {"number", VALUE_INTEGER | VALUE_FRACTION},
        {"string", VALUE_STRING},   {"array", VALUE_ARRAY},
        {"object", VALUE_OBJECT},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (json_is(name, rows[i].name))
            return rows[i].types;
    }
    return VALUE_ANY;
}

/* "type": a name, or an array of them. */
static unsigned types_named(const struct json *type)
{
    if (type == NULL)
        return VALUE_ANY;
    if (type->kind != JSON_ARRAY)
        return type_of_name(type);
    unsigned types = 0;
    for (uint32_t i = 0; i < type->count; i++)
        types |= type_of_name(&type->items[i]);
    return types;
}

/* "enum" and "const": the types of the values. */
static unsigned types_listed(struct schemas *schemas, const struct json *schema)
{
    const struct json *list = json_get(schema, "enum"), *one = json_get(schema, "const");
    if (one != NULL)
        return type_of(one);
    if (list == NULL || list->kind != JSON_ARRAY)
        return VALUE_ANY;
    unsigned types = 0;
    for (uint32_t i = 0; i < list->count; i++)
        types |= type_of(&list->items[i]);
    schemas->steps += list->count;
    return types;
}

/* What a reference leads to; NULL if that is nothing, or elsewhere. */
static const struct json *resolve(const struct json *root, const struct json *reference)
{
    return reference->kind == JSON_STRING ? json_resolve(root, reference->text) : NULL;
}

static unsigned types_of_schema(struct schemas *schemas, const struct json *schema);

/* The types of the schemas of a list: of any of them, or those that all allow. */
static unsigned types_combined(struct schemas *schemas, const struct json *list, bool is_any)
{
    if (list == NULL || list->kind != JSON_ARRAY || list->count == 0)
        return VALUE_ANY;
    unsigned types = is_any ? 0 : VALUE_ANY;
    for (uint32_t i = 0; i < list->count; i++) {
        const unsigned one = types_of_schema(schemas, &list->items[i]);
        types = is_any ? types | one : types & one;
    }
    return types;
}

/* Recursion is bounded by SCHEMA_DEPTH_MAX. */
static unsigned types_of_schema(struct schemas *schemas, const struct json *schema)
{
    if (schema == NULL || schema->kind != JSON_OBJECT)
        return schema != NULL && schema->kind == JSON_FALSE ? 0 : VALUE_ANY;
    if (schemas->depth == SCHEMA_DEPTH_MAX || schemas->steps >= SCHEMA_STEPS_MAX)
        return VALUE_ANY;
    schemas->depth++;
    schemas->steps++;
    unsigned types = types_named(json_get(schema, "type")) & types_listed(schemas, schema);
    const struct json *reference = json_get(schema, "$ref");
    if (reference != NULL)
        types &= types_of_schema(schemas, resolve(schemas->root, reference));
    types &= types_combined(schemas, json_get(schema, "anyOf"), true);
    types &= types_combined(schemas, json_get(schema, "oneOf"), true);
    types &= types_combined(schemas, json_get(schema, "allOf"), false);
    const struct json *nullable = json_get(schema, "nullable");
    if (nullable != NULL && nullable->kind == JSON_TRUE)
        types |= VALUE_NULL;
    schemas->depth--;
    return types;
}

static bool find_types(struct schemas *schemas, const struct json *schema, struct json_text key,
                       unsigned *types);

/* Of the schemas of a list, those of the first that knows the parameter, or of each. */
static bool find_in_list(struct schemas *schemas, const struct json *list, bool is_any,
                         struct json_text key, unsigned *types)
{
    bool found = false;
    *types = 0;
    if (list == NULL || list->kind != JSON_ARRAY)
        return false;
    for (uint32_t i = 0; i < list->count && (is_any || !found); i++) {
        unsigned more;
        if (!find_types(schemas, &list->items[i], key, &more))
            continue;
        *types |= more;
        found = true;
    }
    return found;
}

/* The types of a parameter, looked for where the schema of the parameters leads to. Recursion is
 * bounded by SCHEMA_DEPTH_MAX. */
static bool find_types(struct schemas *schemas, const struct json *schema, struct json_text key,
                       unsigned *types)
{
    if (schema == NULL || schema->kind != JSON_OBJECT || schemas->depth == SCHEMA_DEPTH_MAX ||
        schemas->steps >= SCHEMA_STEPS_MAX)
        return false;
    schemas->depth++;
    schemas->steps++;
    const struct json *named =
        key.bytes == NULL ? NULL : json_find(json_get(schema, "properties"), key);
    const struct json *reference = json_get(schema, "$ref");
    const struct json *others = json_get(schema, "additionalProperties");
    bool found = named != NULL;
    if (found)
        *types = types_of_schema(schemas, named);
    if (!found && reference != NULL)
        found = find_types(schemas, resolve(schemas->root, reference), key, types);
    found = found || find_in_list(schemas, json_get(schema, "allOf"), false, key, types);
    found = found || find_in_list(schemas, json_get(schema, "anyOf"), true, key, types);
    found = found || find_in_list(schemas, json_get(schema, "oneOf"), true, key, types);
    if (!found && others != NULL && others->kind == JSON_OBJECT) {
        *types = types_of_schema(schemas, others);
        found = true;
    }
    schemas->depth--;
    return found;
}

unsigned value_types(const struct json *parameters, struct json_text key, uint64_t *steps)
{
    struct schemas schemas = {.root = parameters};
    unsigned types;
    if (!find_types(&schemas, parameters, key, &types))
        types = VALUE_STRING;
    if (steps != NULL)
        *steps += schemas.steps;
    return types;
}

bool value_is_json(unsigned types, const char *text, size_t length)
{
    struct json value = {.kind = JSON_NULL};
    if (!json_check_part(text, length, &value.kind))
        return false;
    if (types == VALUE_ANY)
        return true;
    while (length > 0 && json_is_white(*text)) {
        text++;
        length--;
    }
    while (length > 0 && json_is_white(text[length - 1]))
        length--;
    value.text = (struct json_text){text, length};
    return value.kind != JSON_STRING && (type_of(&value) & types) != 0;
}

/* ---- tools ----------------------------------------------------------------------------------- */

const struct json *tools_function(const struct json *tool)
{
    const struct json *function = json_get(tool, "function");
    return function == NULL ? tool : function;
}

enum weir_status tools_check(const struct json *tools, struct weir_error *err)
{
    if (tools->kind != JSON_ARRAY)
        return err_set(err, WEIR_ERR_ARGUMENT, "tools: expected an array, found %s",
                       json_kind_name(tools->kind));
    for (uint32_t i = 0; i < tools->count; i++) {
        const struct json *name = json_get(tools_function(&tools->items[i]), "name");
        if (name == NULL || name->kind != JSON_STRING)
            return err_set(err, WEIR_ERR_ARGUMENT, "tools: tool %u has no name", (unsigned)i);
    }
    return WEIR_OK;
}

const struct json *tools_parameters(const struct json *tools, struct json_text name)
{
    for (uint32_t i = 0; i < tools->count; i++) {
        const struct json *function = tools_function(&tools->items[i]);
        const struct json_text other = json_get(function, "name")->text;
        if (json_text_compare(other, name) == 0)
            return json_get(function, "parameters");
    }
    return NULL;
}
