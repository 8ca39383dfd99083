/* SPDX-License-Identifier: MIT
 * Objects of a schema: members in order, required ones first, then optional ones, then others.
 * Knows no other type.
 *
 * Where a schema lists properties and says nothing of others, there are none: a model that is asked
 * for these properties is not asked for more. */
#include "base/mem.h"
#include "grammar/call_text.h"
#include "grammar/schema.h"
#include "grammar/text_set.h"

struct property {
    struct json_text name;
    const struct json *at;                  /* where it was first named */
    uint32_t declared_first, declared_last; /* declarations, or NONE */
    bool is_required;
};

#define NONE UINT32_MAX

/* What one schema of the list says of a property. */
struct declaration {
    const struct json *value;
    uint64_t item;
    uint32_t next; /* of the same property, by a later item */
};

struct other {
    const struct json *value; /* an additionalProperties */
    uint64_t item;
};

struct members {
    struct text_set names;
    struct property *properties; /* [count], by name */
    uint64_t count, capacity;
    struct declaration *declarations;
    uint64_t declarations_count, declarations_capacity;
    struct other *others;
    uint64_t others_count, others_capacity;
    bool closed; /* properties are listed, and nothing is said of others */
};

static void release_members(struct members *members)
{
    text_set_release(&members->names);
    mem_free(members->properties);
    mem_free(members->declarations);
    mem_free(members->others);
}

static enum weir_status find_property(struct members *members, struct json_text name,
                                      const struct json *at, struct property **out,
                                      struct weir_error *err)
{
    const struct span text = {(const uint8_t *)name.bytes, name.length};
    uint32_t number;
    enum weir_status status;
    TRY(mem_grow(&members->properties, &members->capacity, members->count + 1,
                 sizeof *members->properties, err));
    TRY(text_set_add(&members->names, text, &number, err));
    *out = &members->properties[number];
    if (number == members->count) {
        **out = (struct property){
            .name = name, .at = at, .declared_first = NONE, .declared_last = NONE};
        members->count++;
    }
out:
    return status;
}

/* Of members that are called alike, the last counts, as for json_find. */
static enum weir_status declare(struct members *members, struct property *property, uint64_t item,
                                const struct json *value, struct weir_error *err)
{
    const uint64_t count = members->declarations_count;
    const uint32_t last = property->declared_last;
    if (last != NONE && members->declarations[last].item == item) {
        members->declarations[last].value = value;
        return WEIR_OK;
    }
    const enum weir_status status =
        mem_grow(&members->declarations, &members->declarations_capacity, count + 1,
                 sizeof *members->declarations, err);
    if (status != WEIR_OK)
        return status;
    members->declarations[members->declarations_count++] = (struct declaration){value, item, NONE};
    if (last == NONE)
        property->declared_first = (uint32_t)count;
    else
        members->declarations[last].next = (uint32_t)count;
    property->declared_last = (uint32_t)count;
    return WEIR_OK;
}

static enum weir_status read_declared(struct schema *schema, const struct json *declared,
                                      uint64_t item, struct members *members,
                                      struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (declared->kind != JSON_OBJECT)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, declared, err,
                             "properties is not an object");
    TRY(schema_charge(schema, declared->count, err));
    for (uint32_t i = 0; i < declared->count; i++) {
        struct property *property;
        TRY(find_property(members, declared->keys[i], &declared->items[i], &property, err));
        TRY(declare(members, property, item, &declared->items[i], err));
    }
out:
    return status;
}

static enum weir_status add_other(struct members *members, const struct json *value, uint64_t item,
                                  struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&members->others, &members->others_capacity, members->others_count + 1,
                 sizeof *members->others, err);
    if (status == WEIR_OK)
        members->others[members->others_count++] = (struct other){value, item};
    return status;
}

static enum weir_status read_required(struct schema *schema, const struct json *required,
                                      struct members *members, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (required->kind != JSON_ARRAY)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, required, err,
                             "required is not an array of names");
    TRY(schema_charge(schema, required->count, err));
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
static enum weir_status read_members(struct schema *schema, const struct schema_list *list,
                                     struct members *members, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *declared = schema_get(&list->items[i], "properties");
        const struct json *other = schema_get(&list->items[i], "additionalProperties");
        if (declared != NULL)
            TRY(read_declared(schema, declared, i, members, err));
        if (other != NULL)
            TRY(add_other(members, other, i, err));
        members->closed |= declared != NULL;
    }
    members->closed = members->closed && members->others_count == 0;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *required = schema_get(&list->items[i], "required");
        if (required != NULL)
            TRY(read_required(schema, required, members, err));
    }
out:
    return status;
}

/* What all schemas of the list say of a member's value, in their order; a property of NULL is any
 * other. */
static enum weir_status list_of_member(const struct members *members,
                                       const struct property *property, struct schema_list *out,
                                       struct weir_error *err)
{
    uint32_t declared = property == NULL ? NONE : property->declared_first;
    enum weir_status status = WEIR_OK;
    *out = (struct schema_list){0};
    for (uint64_t i = 0; declared != NONE || i < members->others_count;) {
        const struct declaration *said = declared == NONE ? NULL : &members->declarations[declared];
        const struct other *other = i == members->others_count ? NULL : &members->others[i];
        const bool is_declared = said != NULL && (other == NULL || said->item <= other->item);
        const struct json *value = is_declared ? said->value : other->value;
        i += !is_declared || (other != NULL && said->item == other->item);
        declared = is_declared ? said->next : declared;
        TRY(schema_list_add(out, (struct schema_item){value, 0}, err));
    }
out:
    if (status != WEIR_OK)
        schema_list_release(out);
    return status;
}

/* The name, a colon, the value. */
static enum weir_status emit_member(struct schema *schema, const struct members *members,
                                    const struct property *property, uint32_t *at,
                                    struct weir_error *err)
{
    struct bytes key = {0};
    struct schema_list value;
    uint32_t rule, next;
    enum weir_status status;
    if (schema->in_call && call_text_has_mark(property->name))
        return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, property->at, err,
                             "a name that no call can hold");
    schema_write_string(&key, property->name);
    TRY(bytes_check(&key, err));
    TRY(rules_node(&schema->builder, &next, err));
    TRY(rules_bytes(&schema->builder, *at, next, key.data, (size_t)key.length, err));
    *at = next;
    TRY(schema_put_call(schema, at, schema->space, err));
    TRY(schema_put(schema, at, ":", err));
    TRY(schema_put_call(schema, at, schema->space, err));
    TRY(list_of_member(members, property, &value, err));
    TRY(schema_rule(schema, &value, &rule, err));
    TRY(schema_put_call(schema, at, rule, err));
out:
    bytes_release(&key);
    return status;
}

/* A member whose name is none of the properties. */
static enum weir_status emit_other(struct schema *schema, const struct members *members,
                                   uint32_t from, uint32_t to, struct weir_error *err)
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
    TRY(list_of_member(members, NULL, &value, err));
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
static enum weir_status emit_optional(struct schema *schema, const struct members *members,
                                      uint32_t open, uint32_t done, struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < members->count; i++) {
        uint32_t at = open, next;
        if (members->properties[i].is_required)
            continue;
        TRY(rules_node(builder, &next, err));
        TRY(rules_free(builder, open, next, err));
        TRY(emit_member(schema, members, &members->properties[i], &at, err));
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
        TRY(emit_other(schema, members, again, behind, err));
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
        if (property->is_required && property->declared_first == NONE && members->closed)
            return property;
    }
    return NULL;
}

static enum weir_status emit_members(struct schema *schema, const struct members *members,
                                     uint32_t from, uint32_t to, struct weir_error *err)
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
        TRY(emit_member(schema, members, &members->properties[i], &at, err));
    }
    TRY(rules_free(builder, at, done, err));
    TRY(rules_node(builder, &open, err));
    if (!first)
        TRY(emit_comma(schema, &at, err));
    TRY(rules_free(builder, at, open, err));
    TRY(emit_optional(schema, members, open, done, err));
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
    else if (members.count == 0 && members.others_count == 0)
        status = rules_call(&schema->builder, from, to, schema_level(schema)->object, err);
    else
        status = emit_members(schema, &members, from, to, err);
out:
    release_members(&members);
    return status;
}
