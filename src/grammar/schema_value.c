/* SPDX-License-Identifier: MIT
 * Values that a schema lists: enum and const. Knows no other keyword. */
#include <string.h>

#include "base/mem.h"
#include "grammar/call_value.h"
#include "grammar/text_set.h"

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
    return json_number_is_integer(value->text) ? SCHEMA_INTEGER : SCHEMA_NUMBER;
}

/* What listed values of these types would have to be checked against. */
static enum weir_status refuse_checks(const struct schema *schema, const struct schema_list *list,
                                      unsigned types, struct weir_error *err)
{
    for (uint64_t i = 0; i < list->count; i++) {
        for (size_t k = 0; k < SCHEMA_KEYWORDS; k++) {
            const struct json *value = schema_get(&list->items[i], schema_keywords[k].keyword);
            if (value != NULL && (schema_keywords[k].types & types) != 0)
                return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, value, err,
                                     "the keyword %s cannot be kept beside enum or const",
                                     schema_keywords[k].keyword);
        }
    }
    return WEIR_OK;
}

/* The values of the first enum or const, each once, and in how many of all of them it was found. */
struct listed {
    struct bytes texts; /* of the values */
    struct text_set set;
    struct listed_value {
        const struct json *value;
        uint64_t begin, length; /* of its text */
        unsigned type;
        uint32_t lists; /* found in so many, from the first on */
    } * values;         /* [count], by number in the set */
    uint64_t count;
};

static void release_listed(struct listed *listed)
{
    bytes_release(&listed->texts);
    text_set_release(&listed->set);
    mem_free(listed->values);
}

static struct span text_of(const struct listed *listed, const struct listed_value *value)
{
    return (struct span){(const uint8_t *)listed->texts.data + value->begin, (size_t)value->length};
}

/* Values that are listed for many are read for each. */
enum { BYTES_A_STEP = 16, VALUES_MAX = 8000 /* a constraint cannot tell more ways apart */ };

static enum weir_status charge_values(struct schema *schema, const struct json *values,
                                      struct weir_error *err)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < values->count; i++)
        bytes += values->items[i].source.length;
    return schema_charge(schema, values->count + bytes / BYTES_A_STEP, err);
}

static enum weir_status read_first(struct listed *listed, const struct json *values,
                                   struct weir_error *err)
{
    enum weir_status status;
    listed->values = mem_alloc(values->count, sizeof *listed->values, err);
    if (listed->values == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < values->count; i++) {
        const uint64_t begin = listed->texts.length;
        schema_write_value(&listed->texts, &values->items[i]);
        listed->values[i] = (struct listed_value){
            &values->items[i], begin, listed->texts.length - begin, type_of(&values->items[i]), 1};
    }
    TRY(bytes_check(&listed->texts, err));
    for (uint32_t i = 0; i < values->count; i++) {
        const struct listed_value value = listed->values[i];
        uint32_t number;
        TRY(text_set_add(&listed->set, text_of(listed, &value), &number, err));
        listed->values[number] = value;
        listed->count = listed->set.count;
    }
out:
    return status;
}

/* Another enum or const: those of its values that were in all before are in one more. */
static enum weir_status read_next(struct listed *listed, const struct json *values, uint32_t lists,
                                  struct weir_error *err)
{
    struct bytes text = {0};
    for (uint32_t i = 0; i < values->count && !text.has_failed; i++) {
        bytes_clear(&text);
        schema_write_value(&text, &values->items[i]);
        if (text.has_failed)
            break;
        const struct span span = {(const uint8_t *)text.data, (size_t)text.length};
        const uint32_t number = text_set_find(&listed->set, span);
        if (number != TEXT_SET_NONE && listed->values[number].lists == lists)
            listed->values[number].lists++;
    }
    const enum weir_status status = bytes_check(&text, err);
    bytes_release(&text);
    return status;
}

/* Goes through all enum and const. *at is the value of the first keyword, NULL if there is none;
 * *lists is how many there are. */
static enum weir_status read_lists(struct schema *schema, const struct schema_list *list,
                                   struct listed *listed, const struct json **at, uint32_t *lists,
                                   struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *lists = 0;
    *at = NULL;
    for (uint64_t i = 0; i < 2 * list->count; i++) {
        const struct json *value = schema_get(&list->items[i / 2], i % 2 == 0 ? "enum" : "const");
        if (value == NULL)
            continue;
        if (i % 2 == 0 && value->kind != JSON_ARRAY)
            return schema_refuse(schema, WEIR_ERR_ARGUMENT, value, err, "enum is not an array");
        const struct json one = {.kind = JSON_ARRAY, .count = 1, .items = value};
        const struct json *values = i % 2 == 0 ? value : &one;
        TRY(charge_values(schema, values, err));
        if (*lists == 0)
            *at = value;
        TRY(*lists == 0 ? read_first(listed, values, err) : read_next(listed, values, *lists, err));
        ++*lists;
    }
out:
    return status;
}

/* Whether a value can stand in a call as JSON: no mark is in it, and with the brackets around it it
 * is not too deep. That bounds the recursion. */
static bool can_be_called(const struct json *value, uint32_t depth)
{
    if (value->kind == JSON_STRING)
        return !call_text_has_mark(value->text);
    if (value->kind != JSON_ARRAY && value->kind != JSON_OBJECT)
        return true;
    bool can = depth < JSON_PART_DEPTH_MAX;
    for (uint32_t i = 0; i < value->count && can; i++) {
        can = can_be_called(&value->items[i], depth + 1);
        if (value->kind == JSON_OBJECT && can)
            can = !call_text_has_mark(value->keys[i]);
    }
    return can;
}

/* A value by its text; a string of a parameter is itself. */
static enum weir_status emit_value(struct schema *schema, const struct json *value,
                                   struct span text, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    if (schema->in_call && !can_be_called(value, schema->depth))
        return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, value, err,
                             "a value that no call can hold");
    if (schema->is_parameter && value->kind == JSON_STRING)
        return call_value_text(schema, value->text, from, to, err);
    return rules_bytes(&schema->builder, from, to, (const char *)text.data, text.length, err);
}

static enum weir_status emit_listed(struct schema *schema, const struct schema_list *list,
                                    const struct listed *listed, uint32_t lists, unsigned types,
                                    uint32_t from, uint32_t to, const struct json *at,
                                    struct weir_error *err)
{
    unsigned emitted = 0;
    uint32_t count = 0;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < listed->count; i++) {
        const struct listed_value *value = &listed->values[i];
        if ((value->type & types) == 0 || value->lists != lists)
            continue;
        if (++count > VALUES_MAX)
            return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, at, err,
                                 "more than %d values cannot be kept", VALUES_MAX);
        TRY(emit_value(schema, value->value, text_of(listed, value), from, to, err));
        emitted |= value->type;
    }
    TRY(refuse_checks(schema, list, emitted, err));
out:
    return status;
}

enum weir_status schema_emit_values(struct schema *schema, const struct schema_list *list,
                                    unsigned types, uint32_t from, uint32_t to, bool *found,
                                    struct weir_error *err)
{
    struct listed listed = {0};
    const struct json *at;
    uint32_t lists;
    enum weir_status status;
    TRY(read_lists(schema, list, &listed, &at, &lists, err));
    *found = at != NULL;
    const uint64_t before = schema->builder.edges_count;
    TRY(emit_listed(schema, list, &listed, lists, types, from, to, at, err));
    if (*found && schema->builder.edges_count == before)
        schema_nothing(schema, at, "none of the values listed is allowed");
out:
    release_listed(&listed);
    return status;
}
