/* SPDX-License-Identifier: MIT
 * Objects of a schema: members in order, required ones first, then optional ones, then others.
 * Knows no other type.
 *
 * Where a schema lists properties and says nothing of others, there are none: a model that is asked
 * for these properties is not asked for more. */
#include <string.h>

#include "base/mem.h"
#include "grammar/schema.h"

struct property {
    struct json_text name;
    const struct json *at; /* where it was first named */
    bool is_required, is_declared;
};

struct members {
    struct property *properties;
    uint64_t count, capacity;
    bool closed;             /* properties are listed, and nothing is said of others */
    const struct json *said; /* an additionalProperties */
};

static enum weir_status find_property(struct members *members, struct json_text name,
                                      const struct json *at, struct property **out,
                                      struct weir_error *err)
{
    for (uint64_t i = 0; i < members->count; i++) {
        *out = &members->properties[i];
        if ((*out)->name.length == name.length &&
            memcmp((*out)->name.bytes, name.bytes, name.length) == 0)
            return WEIR_OK;
    }
    const enum weir_status status = mem_grow(&members->properties, &members->capacity,
                                             members->count + 1, sizeof *members->properties, err);
    if (status != WEIR_OK)
        return status;
    *out = &members->properties[members->count++];
    **out = (struct property){.name = name, .at = at};
    return WEIR_OK;
}

static enum weir_status read_declared(const struct schema *schema, const struct json *declared,
                                      struct members *members, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (declared->kind != JSON_OBJECT)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, declared, err,
                             "properties is not an object");
    for (uint32_t i = 0; i < declared->count; i++) {
        struct property *property;
        TRY(find_property(members, declared->keys[i], &declared->items[i], &property, err));
        property->is_declared = true;
    }
out:
    return status;
}

static enum weir_status read_required(const struct schema *schema, const struct json *required,
                                      struct members *members, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (required->kind != JSON_ARRAY)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, required, err,
                             "required is not an array of names");
    for (uint32_t i = 0; i < required->count; i++) {
        struct property *property;
        const struct json *name = &required->items[i];
        if (name->kind != JSON_STRING)
            return schema_refuse(schema, WEIR_ERR_ARGUMENT, name, err, "not a name");
        TRY(find_property(members, name->text, name, &property, err));
        property->is_required = true;
    }
out:
    return status;
}

/* Declared properties first, so that their order is that of the schema. */
static enum weir_status read_members(const struct schema *schema, const struct schema_list *list,
                                     struct members *members, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *declared = schema_get(&list->items[i], "properties");
        const struct json *other = schema_get(&list->items[i], "additionalProperties");
        if (declared != NULL)
            TRY(read_declared(schema, declared, members, err));
        members->closed |= declared != NULL;
        members->said = other != NULL ? other : members->said;
    }
    members->closed = members->closed && members->said == NULL;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *required = schema_get(&list->items[i], "required");
        if (required != NULL)
            TRY(read_required(schema, required, members, err));
    }
out:
    return status;
}

/* What all schemas of the list say of a member's value; a name of NULL is any other. */
static enum weir_status list_of_member(const struct schema_list *list, const struct json_text *name,
                                       struct schema_list *out, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *out = (struct schema_list){0};
    for (uint64_t i = 0; i < list->count; i++) {
        const struct schema_item *item = &list->items[i];
        const struct json *declared =
            name == NULL ? NULL : json_find(schema_get(item, "properties"), *name);
        const struct json *said =
            declared != NULL ? declared : schema_get(item, "additionalProperties");
        if (said != NULL)
            TRY(schema_list_add(out, (struct schema_item){said, 0}, err));
    }
out:
    if (status != WEIR_OK)
        schema_list_release(out);
    return status;
}

/* The name, a colon, the value. */
static enum weir_status emit_member(struct schema *schema, const struct schema_list *list,
                                    const struct property *property, uint32_t *at,
                                    struct weir_error *err)
{
    struct bytes key = {0};
    struct schema_list value;
    uint32_t rule, next;
    enum weir_status status;
    schema_write_string(&key, property->name);
    TRY(bytes_check(&key, err));
    TRY(rules_node(&schema->builder, &next, err));
    TRY(rules_bytes(&schema->builder, *at, next, key.data, (size_t)key.length, err));
    *at = next;
    TRY(schema_put_call(schema, at, schema->space, err));
    TRY(schema_put(schema, at, ":", err));
    TRY(schema_put_call(schema, at, schema->space, err));
    TRY(list_of_member(list, &property->name, &value, err));
    TRY(schema_rule(schema, &value, &rule, err));
    TRY(schema_put_call(schema, at, rule, err));
out:
    bytes_release(&key);
    return status;
}

/* A member whose name is none of the properties. */
static enum weir_status emit_other(struct schema *schema, const struct schema_list *list,
                                   const struct members *members, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct schema_list value;
    uint32_t rule, at;
    enum weir_status status;
    struct json_text *names = mem_alloc(members->count, sizeof *names, err);
    if (names == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < members->count; i++)
        names[i] = members->properties[i].name;
    TRY(rules_node(&schema->builder, &at, err));
    TRY(schema_emit_other_string(schema, names, members->count, from, at, err));
    TRY(schema_put(schema, &at, ":", err));
    TRY(schema_put_call(schema, &at, schema->space, err));
    TRY(list_of_member(list, NULL, &value, err));
    TRY(schema_rule(schema, &value, &rule, err));
    TRY(rules_call(&schema->builder, at, to, rule, err));
out:
    mem_free(names);
    return status;
}

/* A comma and white space, before all members but the first. */
static enum weir_status emit_comma(struct schema *schema, uint32_t *at, struct weir_error *err)
{
    enum weir_status status;
    TRY(schema_put(schema, at, ",", err));
    TRY(schema_put_call(schema, at, schema->space, err));
out:
    return status;
}

/* Optional members, each of which may be left out, then others. `open` is where one may begin,
 * `done` where the members may end; behind a member a comma leads to where the next may begin. */
static enum weir_status emit_optional(struct schema *schema, const struct schema_list *list,
                                      const struct members *members, uint32_t open, uint32_t done,
                                      struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < members->count; i++) {
        uint32_t at = open, next;
        if (members->properties[i].is_required)
            continue;
        TRY(rules_node(builder, &next, err));
        TRY(rules_free(builder, open, next, err));
        TRY(emit_member(schema, list, &members->properties[i], &at, err));
        TRY(rules_free(builder, at, done, err));
        TRY(schema_put(schema, &at, ",", err));
        TRY(rules_call(builder, at, next, schema->space, err));
        open = next;
    }
    if (!members->closed) {
        uint32_t behind, again;
        TRY(rules_node(builder, &again, err));
        TRY(rules_free(builder, open, again, err));
        TRY(rules_node(builder, &behind, err));
        TRY(emit_other(schema, list, members, again, behind, err));
        TRY(rules_free(builder, behind, done, err));
        TRY(schema_put(schema, &behind, ",", err));
        TRY(rules_call(builder, behind, again, schema->space, err));
    }
out:
    return status;
}

/* Required members that are not declared, where no others are allowed. */
static const struct property *find_forbidden(const struct members *members)
{
    for (uint64_t i = 0; i < members->count; i++) {
        const struct property *property = &members->properties[i];
        if (property->is_required && !property->is_declared && members->closed)
            return property;
    }
    return NULL;
}

static enum weir_status emit_members(struct schema *schema, const struct schema_list *list,
                                     const struct members *members, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    uint32_t at = from, done, open;
    bool first = true;
    enum weir_status status;
    TRY(rules_node(builder, &done, err));
    TRY(schema_put(schema, &at, "{", err));
    TRY(schema_put_call(schema, &at, schema->space, err));
    for (uint64_t i = 0; i < members->count; i++) {
        if (!members->properties[i].is_required)
            continue;
        if (!first)
            TRY(emit_comma(schema, &at, err));
        first = false;
        TRY(emit_member(schema, list, &members->properties[i], &at, err));
    }
    TRY(rules_free(builder, at, done, err));
    TRY(rules_node(builder, &open, err));
    if (!first)
        TRY(emit_comma(schema, &at, err));
    TRY(rules_free(builder, at, open, err));
    TRY(emit_optional(schema, list, members, open, done, err));
    TRY(schema_put_call(schema, &done, schema->space, err));
    TRY(rules_bytes(builder, done, to, "}", 1, err));
out:
    return status;
}

enum weir_status schema_emit_object(struct schema *schema, const struct schema_list *list,
                                    uint32_t from, uint32_t to, struct weir_error *err)
{
    struct members members = {0};
    enum weir_status status;
    TRY(read_members(schema, list, &members, err));
    const struct property *forbidden = find_forbidden(&members);
    if (forbidden != NULL)
        status = schema_nothing(schema, forbidden->at, "%.*s is required, but not allowed",
                                (int)forbidden->name.length, forbidden->name.bytes);
    else if (members.count == 0 && members.said == NULL)
        status = rules_call(&schema->builder, from, to, schema_level(schema)->object, err);
    else
        status = emit_members(schema, list, &members, from, to, err);
out:
    mem_free(members.properties);
    return status;
}
