/* SPDX-License-Identifier: MIT
 * Replies with calls: content, tools by name, their parameters in order. Knows not what values are.
 *
 * A call has the one form that templates print and models are trained on. What replies may have
 * beside it is for the reader, chat/reply.c, which is more lenient than what is asked for here. */
#include "weir.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"
#include "chat/marks.h"
#include "chat/value_types.h"
#include "grammar/call_value.h"

enum {
    ORDERS_MAX = 8,           /* parameters in any order: a place for each set of them, 256 */
    PARAMETERS_MAX = 1 << 10, /* of a tool */
    SCHEMA_DEPTH_SUM = JSON_PART_DEPTH_MAX - SCHEMA_LEVELS, /* of a value that a schema lists */
};

struct tool {
    struct json_text name;
    const struct json *parameters; /* their schema, or NULL */
};

struct calls {
    struct schema schema;
    struct call_value value;
    struct json_document *document;
    struct tool *tools; /* sorted by name */
    uint32_t tools_count;
};

/* ---- names ----------------------------------------------------------------------------------- */

/* What chat/marks.c reads as a name. */
static bool can_be_named(struct json_text name)
{
    for (size_t i = 0; i < name.length; i++) {
        const char c = name.bytes[i];
        if (c == '<' || c == '>' || is_control_byte(c))
            return false;
    }
    return name.length > 0 && name.length <= MARK_NAME_MAX;
}

static int compare_tools(const void *a_pointer, const void *b_pointer)
{
    const struct json_text a = ((const struct tool *)a_pointer)->name;
    const struct json_text b = ((const struct tool *)b_pointer)->name;
    return json_text_compare(a, b);
}

static enum weir_status take_tools(struct calls *calls, const struct json *tools, const char *only,
                                   struct weir_error *err)
{
    calls->tools = mem_alloc(tools->count, sizeof *calls->tools, err);
    if (calls->tools == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < tools->count; i++) {
        const struct json *function = tools_function(&tools->items[i]);
        const struct json_text name = json_get(function, "name")->text;
        if (only != NULL && !json_text_equals(name, only))
            continue;
        if (!can_be_named(name))
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "tools: tool %u has a name that no call can hold: 1 to %d bytes, no "
                           "angle bracket and no control character were expected",
                           i, MARK_NAME_MAX);
        calls->tools[calls->tools_count++] = (struct tool){name, json_get(function, "parameters")};
    }
    if (calls->tools_count == 0)
        return only == NULL ? err_set(err, WEIR_ERR_ARGUMENT, "tools: there are none")
                            : err_set(err, WEIR_ERR_ARGUMENT, "tools: there is no %s", only);
    qsort(calls->tools, calls->tools_count, sizeof *calls->tools, compare_tools);
    for (uint32_t i = 1; i < calls->tools_count; i++) {
        if (compare_tools(&calls->tools[i - 1], &calls->tools[i]) == 0)
            return err_set(err, WEIR_ERR_ARGUMENT, "tools: two of them are called %.*s",
                           (int)calls->tools[i].name.length, calls->tools[i].name.bytes);
    }
    return WEIR_OK;
}

/* ---- parameters ------------------------------------------------------------------------------ */

/* What a tool's schemas say of its parameters. */
struct parameters {
    const struct tool *tool;
    struct names names;
    struct parameter {
        struct json_text key;
        struct schema_list schemas;
        bool is_required;
        uint32_t rule;
    } * items;
    uint64_t count, capacity;
};

static void release_parameters(struct parameters *parameters)
{
    for (uint64_t i = 0; i < parameters->count; i++)
        schema_list_release(&parameters->items[i].schemas);
    mem_free(parameters->items);
    names_release(&parameters->names);
}

static enum weir_status find_parameter(struct parameters *parameters, struct json_text key,
                                       struct parameter **out, struct weir_error *err)
{
    const struct json_text name = parameters->tool->name;
    const struct span span = {(const uint8_t *)key.bytes, key.length};
    enum weir_status status = WEIR_OK;
    bool added;
    if (!can_be_named(key))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "tools: %.*s has a parameter with a name that no call can hold: 1 to %d "
                       "bytes, no angle bracket and no control character were expected",
                       (int)name.length, name.bytes, MARK_NAME_MAX);
    const uint64_t known = names_find(&parameters->names, span);
    if (known != NAMES_NONE) {
        *out = &parameters->items[known];
        return WEIR_OK;
    }
    if (parameters->count == PARAMETERS_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "tools: %.*s has more than %d parameters",
                       (int)name.length, name.bytes, PARAMETERS_MAX);
    TRY(mem_grow(&parameters->items, &parameters->capacity, parameters->count + 1,
                 sizeof *parameters->items, err));
    TRY(names_add(&parameters->names, span, parameters->count, &added, err));
    *out = &parameters->items[parameters->count++];
    **out = (struct parameter){.key = key};
out:
    return status;
}

static enum weir_status take_properties(struct parameters *parameters, const struct json *schema,
                                        struct weir_error *err)
{
    const struct json *properties = json_get(schema, "properties");
    const bool are_any = properties != NULL && properties->kind == JSON_OBJECT;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; are_any && i < properties->count; i++) {
        struct parameter *parameter;
        TRY(find_parameter(parameters, properties->keys[i], &parameter, err));
        TRY(schema_list_add(&parameter->schemas, (struct schema_item){&properties->items[i], 0},
                            err));
    }
out:
    return status;
}

static enum weir_status take_required(struct parameters *parameters, const struct json *schema,
                                      struct weir_error *err)
{
    const struct json *required = json_get(schema, "required");
    const bool are_any = required != NULL && required->kind == JSON_ARRAY;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; are_any && i < required->count; i++) {
        struct parameter *parameter;
        if (required->items[i].kind != JSON_STRING)
            continue;
        TRY(find_parameter(parameters, required->items[i].text, &parameter, err));
        parameter->is_required = true;
    }
out:
    return status;
}

/* Properties that only some alternatives have may be given, and none of them must be: how they
 * depend on each other is not kept. */
static enum weir_status take_alternatives(struct parameters *parameters, const struct json *list,
                                          struct weir_error *err)
{
    const bool are_any = list != NULL && list->kind == JSON_ARRAY;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; are_any && i < list->count; i++)
        TRY(take_properties(parameters, &list->items[i], err));
out:
    return status;
}

/* Of the schema of all parameters, what it refers to and its allOf. If that cannot be kept, of the
 * schema alone. */
static enum weir_status take_parameters(struct schema *schema, struct parameters *parameters,
                                        struct weir_error *err)
{
    struct schema_list list = {0};
    struct weir_error why = {0};
    enum weir_status status;
    TRY(schema_list_add(&list, (struct schema_item){schema->root, 0}, err));
    status = schema_list_complete(schema, &list, &why);
    if (status == WEIR_ERR_MEMORY)
        TRY(err_set(err, status, "%s", why.text));
    if (status != WEIR_OK && list.count > 1)
        list.count = 1;
    status = WEIR_OK;
    for (uint64_t i = 0; i < list.count; i++)
        TRY(take_properties(parameters, list.items[i].schema, err));
    for (uint64_t i = 0; i < list.count; i++) {
        TRY(take_required(parameters, list.items[i].schema, err));
        TRY(take_alternatives(parameters, schema_get(&list.items[i], "anyOf"), err));
        TRY(take_alternatives(parameters, schema_get(&list.items[i], "oneOf"), err));
    }
out:
    schema_list_release(&list);
    return status;
}

/* Whether what a schema lists can stand in a call as JSON: no mark is in it, and with all that may
 * be around it it is not too deep. What JSON allows to be nested bounds the recursion. */
static bool can_be_listed(const struct json *value, uint32_t depth)
{
    if (value->kind == JSON_STRING)
        return !call_text_has_mark(value->text);
    if (value->kind != JSON_ARRAY && value->kind != JSON_OBJECT)
        return true;
    bool can = depth < SCHEMA_DEPTH_SUM;
    for (uint32_t i = 0; i < value->count && can; i++) {
        can = can_be_listed(&value->items[i], depth + 1);
        if (value->kind == JSON_OBJECT && can)
            can = !call_text_has_mark(value->keys[i]);
    }
    return can;
}

/* "<parameter=KEY>", the value, and what ends it. */
static enum weir_status emit_parameter(struct schema *schema, struct parameter *parameter,
                                       bool can_be_kept, struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    const unsigned types = value_types(schema->root, parameter->key, NULL);
    static const struct json unknown = {.kind = JSON_NULL}; /* no schema: it cannot be kept */
    uint32_t value, at;
    enum weir_status status;
    if (!can_be_kept)
        TRY(schema_list_add(&parameter->schemas, (struct schema_item){&unknown, 0}, err));
    TRY(call_value_rule(schema, &parameter->schemas, types, &value, err));
    TRY(rules_add(builder, "parameter", 9, &parameter->rule, err));
    const struct rules_rule rule = builder->rules[parameter->rule];
    at = rule.start;
    TRY(schema_put(schema, &at, MARK_PARAMETER, err));
    const struct json_text key = parameter->key;
    const uint32_t name = at;
    TRY(rules_node(builder, &at, err));
    TRY(rules_bytes(builder, name, at, key.bytes, key.length, err));
    TRY(schema_put(schema, &at, ">\n", err));
    TRY(rules_call(builder, at, rule.end, value, err));
out:
    return status;
}

/* ---- orders ---------------------------------------------------------------------------------- */

/* The parameters that are required, or the others, of which any may be left out: in any order if
 * they are few, else in that of the schema. Moves *at to where they end. */
static enum weir_status emit_any_order(struct rules_builder *builder, const uint32_t *rules,
                                       uint32_t count, bool required, uint32_t *at,
                                       struct weir_error *err)
{
    uint32_t nodes[1 << ORDERS_MAX], end;
    const uint32_t all = (1u << count) - 1;
    enum weir_status status = WEIR_OK;
    nodes[0] = *at;
    for (uint32_t set = 1; set <= all; set++)
        TRY(rules_node(builder, &nodes[set], err));
    for (uint32_t set = 0; set <= all; set++) {
        for (uint32_t i = 0; i < count; i++) {
            if ((set >> i & 1) == 0)
                TRY(rules_call(builder, nodes[set], nodes[set | 1u << i], rules[i], err));
        }
    }
    TRY(rules_node(builder, &end, err));
    for (uint32_t set = required ? all : 0; set <= all; set++)
        TRY(rules_free(builder, nodes[set], end, err));
    *at = end;
out:
    return status;
}

static enum weir_status emit_in_order(struct rules_builder *builder, const uint32_t *rules,
                                      uint32_t count, bool required, uint32_t *at,
                                      struct weir_error *err)
{
    uint32_t next;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < count; i++, *at = next) {
        TRY(rules_node(builder, &next, err));
        TRY(rules_call(builder, *at, next, rules[i], err));
        if (!required)
            TRY(rules_free(builder, *at, next, err));
    }
out:
    return status;
}

static enum weir_status emit_parameters(struct rules_builder *builder,
                                        const struct parameters *parameters, bool required,
                                        uint32_t *at, struct weir_error *err)
{
    uint32_t count = 0;
    uint32_t *rules = mem_alloc(parameters->count, sizeof *rules, err);
    if (rules == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < parameters->count; i++) {
        if (parameters->items[i].is_required == required)
            rules[count++] = parameters->items[i].rule;
    }
    const enum weir_status status = count <= ORDERS_MAX
                                        ? emit_any_order(builder, rules, count, required, at, err)
                                        : emit_in_order(builder, rules, count, required, at, err);
    mem_free(rules);
    return status;
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* Behind a tool's name. */
static enum weir_status emit_tool(struct calls *calls, const struct tool *tool, uint32_t *out,
                                  struct weir_error *err)
{
    struct schema *schema = &calls->schema;
    struct parameters parameters = {.tool = tool};
    enum weir_status status = WEIR_OK;
    schema->root = tool->parameters;
    if (tool->parameters != NULL) {
        const bool can_be_kept = can_be_listed(tool->parameters, 0);
        TRY(take_parameters(schema, &parameters, err));
        for (uint64_t i = 0; i < parameters.count; i++)
            TRY(emit_parameter(schema, &parameters.items[i], can_be_kept, err));
    }
    TRY(rules_add(&schema->builder, "tool", 4, out, err));
    const struct rules_rule rule = schema->builder.rules[*out];
    uint32_t at = rule.start;
    TRY(schema_put(schema, &at, ">\n", err));
    TRY(emit_parameters(&schema->builder, &parameters, true, &at, err));
    TRY(emit_parameters(&schema->builder, &parameters, false, &at, err));
    TRY(schema_put(schema, &at, MARK_FUNCTION_END "\n" MARK_CALL_END, err));
    TRY(rules_free(&schema->builder, at, rule.end, err));
out:
    release_parameters(&parameters);
    return status;
}

static size_t common_length(struct json_text a, struct json_text b)
{
    size_t length = 0;
    while (length < a.length && length < b.length && a.bytes[length] == b.bytes[length])
        length++;
    return length;
}

/* Names as a tree: each goes on where it parts from the one before. */
static enum weir_status emit_tools(struct calls *calls, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct rules_builder *builder = &calls->schema.builder;
    uint32_t path[MARK_NAME_MAX + 1] = {from}; /* by bytes of the name */
    const uint32_t root = builder->rule;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < calls->tools_count; i++) {
        const struct json_text name = calls->tools[i].name;
        uint32_t rule;
        TRY(emit_tool(calls, &calls->tools[i], &rule, err));
        builder->rule = root;
        for (size_t at = i == 0 ? 0 : common_length(name, calls->tools[i - 1].name);
             at < name.length; at++) {
            TRY(rules_node(builder, &path[at + 1], err));
            TRY(rules_bytes(builder, path[at], path[at + 1], name.bytes + at, 1, err));
        }
        TRY(rules_call(builder, path[name.length], to, rule, err));
    }
out:
    return status;
}

/* A reply that must have a call begins with it: content first could put the call off for ever. */
static enum weir_status emit_reply(struct calls *calls, const struct weir_calls_options *options,
                                   uint32_t *root, struct weir_error *err)
{
    struct schema *schema = &calls->schema;
    struct rules_builder *builder = &schema->builder;
    uint32_t call, behind_call, function, end, line;
    enum weir_status status;
    TRY(rules_add(builder, "root", 4, root, err));
    const struct rules_rule rule = builder->rules[*root];
    TRY(rules_node(builder, &call, err));
    TRY(rules_node(builder, &function, err));
    TRY(rules_node(builder, &end, err));
    if (options->required)
        TRY(rules_bytes(builder, rule.start, call, MARK_CALL, strlen(MARK_CALL), err));
    else
        TRY(call_text_content(builder, rule.start, rule.end, call, function, err));
    behind_call = call;
    TRY(schema_put(schema, &behind_call, "\n" MARK_FUNCTION, err));
    TRY(rules_free(builder, behind_call, function, err));
    TRY(emit_tools(calls, function, end, err));
    TRY(rules_free(builder, end, rule.end, err));
    line = end;
    TRY(schema_put(schema, &line, "\n", err));
    TRY(rules_free(builder, line, rule.end, err));
    if (!options->single)
        TRY(rules_bytes(builder, line, call, MARK_CALL, strlen(MARK_CALL), err));
out:
    return status;
}

/* ---- open ------------------------------------------------------------------------------------ */

static enum weir_status compile(struct calls *calls, struct weir_grammar **out,
                                const struct weir_calls_options *options, struct weir_error *err)
{
    const struct json *tools = json_root(calls->document);
    uint32_t root;
    enum weir_status status;
    TRY(tools_check(tools, err));
    TRY(take_tools(calls, tools, options->only, err));
    calls->schema.in_call = true;
    calls->schema.value = &calls->value;
    TRY(schema_begin(&calls->schema, err));
    TRY(emit_reply(calls, options, &root, err));
    TRY(rules_finish(out, &calls->schema.builder, root, err));
out:
    return status;
}

enum weir_status weir_grammar_open_calls(struct weir_grammar **out, const char *tools,
                                         size_t length, const struct weir_calls_options *options,
                                         struct weir_error *err)
{
    static const struct weir_calls_options usual = {.required = false};
    struct calls calls = {.tools = NULL};
    *out = NULL;
    enum weir_status status =
        json_open_kind(&calls.document, JSON_ARRAY, tools, length, "tools", err);
    if (status != WEIR_OK)
        return status;
    status = compile(&calls, out, options == NULL ? &usual : options, err);
    schema_release(&calls.schema);
    mem_free(calls.tools);
    json_close(calls.document);
    return status;
}
