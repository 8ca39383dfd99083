/* SPDX-License-Identifier: MIT
 * Reads what a tool's schema says of its parameters, with what that refers to, its allOf and its
 * alternatives. Knows no rules.
 *
 * Parameters that only some alternatives have may be given, and none of them must be; one that
 * several have is as any of them says. How parameters depend on each other is not kept. */
#include "grammar/call_parameters.h"

#include "base/mem.h"
#include "grammar/call_names.h"

enum { PARAMETERS_MAX = 1 << 10 }; /* of a tool */

void call_parameters_release(struct call_parameters *parameters)
{
    for (uint64_t i = 0; i < parameters->count; i++) {
        schema_list_release(&parameters->items[i].schemas);
        schema_list_release(&parameters->items[i].alternatives);
    }
    mem_free(parameters->items);
    schema_list_release(&parameters->others);
    names_release(&parameters->names);
}

/* The parameter of a name that can be one, which is added if it is new. */
static enum weir_status find_parameter(struct call_parameters *parameters, struct json_text key,
                                       struct json_text tool, struct call_parameter **out,
                                       struct weir_error *err)
{
    const struct span span = {(const uint8_t *)key.bytes, key.length};
    enum weir_status status = WEIR_OK;
    bool added;
    const uint64_t known = names_find(&parameters->names, span);
    if (known != NAMES_NONE) {
        *out = &parameters->items[known];
        return WEIR_OK;
    }
    if (parameters->count == PARAMETERS_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "tools: %.*s has more than %d parameters",
                       (int)tool.length, tool.bytes, PARAMETERS_MAX);
    TRY(mem_grow(&parameters->items, &parameters->capacity, parameters->count + 1,
                 sizeof *parameters->items, err));
    TRY(names_add(&parameters->names, span, parameters->count, &added, err));
    *out = &parameters->items[parameters->count++];
    **out = (struct call_parameter){.key = key};
out:
    return status;
}

/* One that no call can name is left out. */
static enum weir_status take_properties(struct call_parameters *parameters,
                                        const struct json *properties, bool is_alternative,
                                        struct json_text tool, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < properties->count; i++) {
        const struct json *value = &properties->items[i];
        struct call_parameter *parameter;
        struct weir_error why = {0};
        if (!call_name_can_be(properties->keys[i]))
            continue;
        TRY(find_parameter(parameters, properties->keys[i], tool, &parameter, err));
        parameter->is_any |= is_alternative && schema_allows_all(value);
        status = schema_list_add(is_alternative ? &parameter->alternatives : &parameter->schemas,
                                 (struct schema_item){value, 0}, &why);
        parameter->is_free |= status == WEIR_ERR_UNSUPPORTED;
        if (status == WEIR_ERR_MEMORY)
            TRY(err_set(err, status, "%s", why.text));
        status = WEIR_OK;
    }
out:
    return status;
}

static enum weir_status take_required(struct call_parameters *parameters, const struct json *schema,
                                      struct json_text tool, struct weir_error *err)
{
    const struct json *required = json_get(schema, "required");
    const bool are_any = required != NULL && required->kind == JSON_ARRAY;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; are_any && i < required->count; i++) {
        struct call_parameter *parameter;
        if (required->items[i].kind != JSON_STRING)
            continue;
        if (!call_name_can_be(required->items[i].text)) {
            parameters->is_free = true;
            continue;
        }
        TRY(find_parameter(parameters, required->items[i].text, tool, &parameter, err));
        parameter->is_required = true;
    }
out:
    return status;
}

/* The schema with what it refers to and its allOf, of which there are *own, then its alternatives
 * with theirs. */
static enum weir_status list_schemas(struct schema *schema, struct schema_list *list, uint64_t *own,
                                     struct weir_error *err)
{
    const struct json *alternatives;
    enum weir_status status;
    TRY(schema_list_add(list, (struct schema_item){schema->root, 0}, err));
    TRY(schema_list_follow(schema, list, err));
    *own = list->count;
    for (;;) {
        alternatives = schema_next_union(list);
        if (alternatives == NULL || schema_is_spent(schema))
            break;
        for (uint32_t i = 0; alternatives->kind == JSON_ARRAY && i < alternatives->count; i++) {
            struct weir_error why = {0};
            status = schema_list_add(list, (struct schema_item){&alternatives->items[i], 0}, &why);
            if (status == WEIR_ERR_MEMORY)
                TRY(err_set(err, status, "%s", why.text));
        }
        TRY(schema_list_follow(schema, list, err));
    }
    status = WEIR_OK;
out:
    return status;
}

/* Where properties are listed and nothing is said of others, there are none. */
static enum weir_status take_others(struct call_parameters *parameters,
                                    const struct schema_list *list, uint64_t own,
                                    struct weir_error *err)
{
    bool are_listed = false, are_said = false, are_refused = false;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *others = schema_get(&list->items[i], "additionalProperties");
        are_listed |= schema_get(&list->items[i], "properties") != NULL;
        if (others == NULL || i >= own)
            continue;
        are_said = true;
        are_refused |= others->kind == JSON_FALSE;
        TRY(schema_list_add(&parameters->others, (struct schema_item){others, 0}, err));
    }
    parameters->has_others = !are_refused && (are_said || !are_listed);
out:
    return status;
}

enum weir_status call_parameters_read(struct call_parameters *parameters, struct schema *schema,
                                      struct json_text tool, struct weir_error *err)
{
    struct schema_list list = {0};
    uint64_t own;
    enum weir_status status;
    TRY(list_schemas(schema, &list, &own, err));
    for (uint64_t i = 0; i < list.count; i++) {
        const struct json *properties = schema_get(&list.items[i], "properties");
        if (properties != NULL && properties->kind == JSON_OBJECT)
            TRY(take_properties(parameters, properties, i >= own, tool, err));
    }
    for (uint64_t i = 0; i < own; i++)
        TRY(take_required(parameters, list.items[i].schema, tool, err));
    TRY(take_others(parameters, &list, own, err));
out:
    schema_list_release(&list);
    return status;
}

enum weir_status call_parameter_join(struct call_parameter *parameter, struct json **out,
                                     struct weir_error *err)
{
    static const struct json_text key = {"anyOf", 5};
    const struct schema_list *list = &parameter->alternatives;
    struct json *made = mem_alloc(list->count + 2, sizeof *made, err);
    *out = made;
    if (made == NULL)
        return WEIR_ERR_MEMORY;
    made[0] = (struct json){.kind = JSON_OBJECT, .count = 1, .keys = &key, .items = made + 1};
    made[1] = (struct json){.kind = JSON_ARRAY, .count = (uint32_t)list->count, .items = made + 2};
    for (uint64_t i = 0; i < list->count; i++)
        made[2 + i] = *list->items[i].schema;
    return schema_list_add(&parameter->schemas, (struct schema_item){made, 0}, err);
}
