/* SPDX-License-Identifier: MIT
 * Values that a schema lists: enum and const. Knows no other keyword. */
#include <string.h>

#include "grammar/call_value.h"

/* ---- text ------------------------------------------------------------------------------------ */

void schema_write_string(struct bytes *bytes, struct json_text text)
{
    bytes_add(bytes, "\"", 1);
    json_escape((struct printer){bytes_sink, bytes}, text.bytes, text.length);
    bytes_add(bytes, "\"", 1);
}

/* What JSON allows to be nested, JSON_DEPTH_MAX, bounds the depth of this. */
void schema_write_value(struct bytes *bytes, const struct json *value)
{
    const bool is_object = value->kind == JSON_OBJECT;
    if (value->kind == JSON_STRING) {
        schema_write_string(bytes, value->text);
        return;
    }
    if (!is_object && value->kind != JSON_ARRAY) {
        bytes_add(bytes, value->source.bytes, value->source.length);
        return;
    }
    bytes_add(bytes, is_object ? "{" : "[", 1);
    for (uint32_t i = 0; i < value->count; i++) {
        if (i > 0)
            bytes_add(bytes, ",", 1);
        if (is_object) {
            schema_write_string(bytes, value->keys[i]);
            bytes_add(bytes, ":", 1);
        }
        schema_write_value(bytes, &value->items[i]);
    }
    bytes_add(bytes, is_object ? "}" : "]", 1);
}

/* ---- values ---------------------------------------------------------------------------------- */

static unsigned type_of(const struct json *value)
{
    switch (value->kind) {
    case JSON_NULL: return SCHEMA_NULL;
    case JSON_FALSE:
    case JSON_TRUE: return SCHEMA_BOOLEAN;
    case JSON_STRING: return SCHEMA_STRING;
    case JSON_ARRAY: return SCHEMA_ARRAY;
    case JSON_OBJECT: return SCHEMA_OBJECT;
    case JSON_NUMBER: break;
    }
    for (size_t i = 0; i < value->text.length; i++) {
        if (strchr(".eE", value->text.bytes[i]) != NULL)
            return SCHEMA_NUMBER;
    }
    return SCHEMA_INTEGER;
}

/* What a listed value of a type would have to be checked against. */
static enum weir_status refuse_checks(const struct schema *schema, const struct schema_list *list,
                                      unsigned type, struct weir_error *err)
{
    for (uint64_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < SCHEMA_KEYWORDS; k++) {
            const struct json *value = schema_get(&list->items[i], schema_keywords[k].keyword);
            if (value != NULL && (schema_keywords[k].types & type) != 0)
                return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, value, err,
                                     "the keyword %s cannot be kept beside enum or const",
                                     schema_keywords[k].keyword);
        }
    }
    return WEIR_OK;
}

static enum weir_status find_listed(const struct json *values, const struct bytes *text,
                                    bool *found, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *found = false;
    for (uint32_t i = 0; i < values->count && !*found && status == WEIR_OK; i++) {
        struct bytes other = {0};
        schema_write_value(&other, &values->items[i]);
        status = bytes_check(&other, err);
        *found = status == WEIR_OK && other.length == text->length &&
                 memcmp(other.data, text->data, text->length) == 0;
        bytes_release(&other);
    }
    return status;
}

static uint32_t count_lists(const struct schema_list *list)
{
    uint32_t count = 0;
    for (uint64_t i = 0; i < list->count; i++) {
        count += schema_get(&list->items[i], "enum") != NULL;
        count += schema_get(&list->items[i], "const") != NULL;
    }
    return count;
}

/* Whether all enum and const of the list have the value with this text, which one of them has. */
static enum weir_status find_in_all(const struct schema_list *list, const struct bytes *text,
                                    bool *found, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *found = true;
    if (count_lists(list) == 1)
        return WEIR_OK;
    for (uint64_t i = 0; i < list->count && *found; i++) {
        const struct json *values = schema_get(&list->items[i], "enum");
        const struct json *value = schema_get(&list->items[i], "const");
        const struct json only = {.kind = JSON_ARRAY, .count = 1, .items = value};
        if (values != NULL)
            TRY(find_listed(values, text, found, err));
        if (value != NULL && *found)
            TRY(find_listed(&only, text, found, err));
    }
out:
    return status;
}

static enum weir_status emit_value(struct schema *schema, const struct schema_list *list,
                                   const struct json *value, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct bytes text = {0};
    bool listed;
    enum weir_status status;
    schema_write_value(&text, value);
    TRY(bytes_check(&text, err));
    TRY(find_in_all(list, &text, &listed, err));
    if (!listed)
        goto out;
    TRY(refuse_checks(schema, list, type_of(value), err));
    if (schema->is_parameter && value->kind == JSON_STRING)
        status = call_value_text(schema, value->text, from, to, err);
    else
        status = rules_bytes(&schema->builder, from, to, text.data, (size_t)text.length, err);
out:
    bytes_release(&text);
    return status;
}

/* The first enum or const as an array; *at is the keyword's value, NULL if there is none. */
static enum weir_status find_values(const struct schema *schema, const struct schema_list *list,
                                    struct json *values, const struct json **at,
                                    struct weir_error *err)
{
    *at = NULL;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *several = schema_get(&list->items[i], "enum");
        const struct json *one = schema_get(&list->items[i], "const");
        if (several != NULL && several->kind != JSON_ARRAY)
            return schema_refuse(schema, WEIR_ERR_ARGUMENT, several, err, "enum is not an array");
        if (*at == NULL && several != NULL) {
            *values = *several;
            *at = several;
        }
        if (*at == NULL && one != NULL) {
            *values = (struct json){.kind = JSON_ARRAY, .count = 1, .items = one};
            *at = one;
        }
    }
    return WEIR_OK;
}

enum weir_status schema_emit_values(struct schema *schema, const struct schema_list *list,
                                    unsigned types, uint32_t from, uint32_t to, bool *found,
                                    struct weir_error *err)
{
    struct json values;
    const struct json *at;
    enum weir_status status;
    TRY(find_values(schema, list, &values, &at, err));
    *found = at != NULL;
    if (at == NULL)
        return WEIR_OK;
    const uint64_t before = schema->builder.edges_count;
    for (uint32_t i = 0; i < values.count; i++) {
        if ((type_of(&values.items[i]) & types) != 0)
            TRY(emit_value(schema, list, &values.items[i], from, to, err));
    }
    if (schema->builder.edges_count == before)
        schema_nothing(schema, at, "none of the values listed is allowed");
out:
    return status;
}
