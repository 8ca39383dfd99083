/* SPDX-License-Identifier: MIT
 * Replies with calls: content, tools by name, their parameters in order. Knows not what values are.
 *
 * A call has the one form that templates print and models are trained on. What replies may have
 * beside it is for the reader, chat/reply.c, which is more lenient than what is asked for here. */
#include "weir.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "chat/marks.h"
#include "chat/value_types.h"
#include "grammar/call_names.h"
#include "grammar/call_parameters.h"
#include "grammar/call_value.h"

enum { ORDERS_MAX = 8 }; /* parameters in any order: a place for each set of them, 256 */

struct tool {
    struct json_text name;
    const struct json *parameters; /* their schema, or NULL */
};

struct calls {
    struct schema schema;
    struct call_value value;
    struct json_document *document;
    struct json_document *content; /* the schema of replies without calls; NULL: none */
    struct tool *tools;            /* sorted by name */
    uint32_t tools_count;
    struct json **joined; /* schemas of our own: call_parameter_join */
    uint64_t joined_count, joined_capacity;
};

/* ---- names ----------------------------------------------------------------------------------- */

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
        if (!call_name_can_be(name))
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

/* "<parameter=", a name, and what is between it and the value. */
static enum weir_status emit_name(struct schema *schema, const struct call_parameters *parameters,
                                  const struct call_parameter *parameter, uint32_t *at,
                                  struct weir_error *err)
{
    struct json_text *names = NULL;
    const uint64_t count = parameters->is_free ? 0 : parameters->count;
    uint32_t name, end;
    enum weir_status status;
    TRY(schema_put(schema, at, MARK_PARAMETER, err));
    name = *at;
    TRY(rules_node(&schema->builder, &end, err));
    if (parameter != NULL) {
        const struct json_text key = parameter->key;
        TRY(rules_bytes(&schema->builder, name, end, key.bytes, key.length, err));
    } else {
        names = mem_alloc(count, sizeof *names, err);
        if (names == NULL)
            TRY(WEIR_ERR_MEMORY);
        for (uint64_t i = 0; i < count; i++)
            names[i] = parameters->items[i].key;
        TRY(call_name_other(&schema->builder, names, count, name, end, err));
    }
    *at = end;
    TRY(schema_put(schema, at, ">\n", err));
out:
    mem_free(names);
    return status;
}

/* Adds what the alternatives say to the schemas of the parameter. */
static enum weir_status join_alternatives(struct calls *calls, struct call_parameter *parameter,
                                          struct weir_error *err)
{
    struct json *made;
    enum weir_status status = WEIR_OK;
    if (parameter->is_any || parameter->is_free || parameter->alternatives.count == 0)
        return WEIR_OK;
    TRY(mem_grow(&calls->joined, &calls->joined_capacity, calls->joined_count + 1,
                 sizeof *calls->joined, err));
    status = call_parameter_join(parameter, &made, err);
    if (made != NULL)
        calls->joined[calls->joined_count++] = made;
out:
    return status;
}

/* Its value, and what ends it. Takes the schemas. */
static enum weir_status value_rule(struct calls *calls, struct schema_list *schemas, bool is_free,
                                   struct json_text key, uint32_t *rule, struct weir_error *err)
{
    struct schema *schema = &calls->schema;
    uint64_t steps = 0;
    if (is_free || schema_is_spent(schema)) {
        schema_list_release(schemas);
        return call_value_any(schema, rule, err);
    }
    const unsigned types = value_types(schema->root, key, &steps);
    schema_charge(schema, steps, NULL);
    return call_value_rule(schema, schemas, types, rule, err);
}

/* A parameter; NULL: one that no schema names. */
static enum weir_status emit_parameter(struct calls *calls, struct call_parameters *parameters,
                                       struct call_parameter *parameter, uint32_t *rule,
                                       struct weir_error *err)
{
    struct schema *schema = &calls->schema;
    struct schema_list *schemas = &parameters->others;
    struct json_text key = {NULL, 0};
    bool is_free = parameters->is_free;
    uint32_t value, at;
    enum weir_status status;
    if (parameter != NULL) {
        TRY(join_alternatives(calls, parameter, err));
        schemas = &parameter->schemas;
        key = parameter->key;
        is_free = parameter->is_free;
    }
    TRY(value_rule(calls, schemas, is_free, key, &value, err));
    TRY(rules_add(&schema->builder, "parameter", 9, rule, err));
    const struct rules_rule ends = schema->builder.rules[*rule];
    at = ends.start;
    TRY(emit_name(schema, parameters, parameter, &at, err));
    TRY(rules_call(&schema->builder, at, ends.end, value, err));
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
                                        const struct call_parameters *parameters, bool required,
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

/* Parameters that are listed, then any number of others. */
static enum weir_status emit_all_parameters(struct calls *calls, struct call_parameters *parameters,
                                            uint32_t *at, struct weir_error *err)
{
    struct rules_builder *builder = &calls->schema.builder;
    const uint32_t tool = builder->rule;
    uint32_t again, other;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < parameters->count && !parameters->is_free; i++)
        TRY(emit_parameter(calls, parameters, &parameters->items[i], &parameters->items[i].rule,
                           err));
    if (parameters->has_others || parameters->is_free)
        TRY(emit_parameter(calls, parameters, NULL, &other, err));
    builder->rule = tool;
    if (!parameters->is_free) {
        TRY(emit_parameters(builder, parameters, true, at, err));
        TRY(emit_parameters(builder, parameters, false, at, err));
    }
    if (!parameters->has_others && !parameters->is_free)
        return WEIR_OK;
    TRY(rules_node(builder, &again, err));
    TRY(rules_free(builder, *at, again, err));
    TRY(rules_call(builder, again, again, other, err));
    *at = again;
out:
    return status;
}

/* Behind a tool's name. */
static enum weir_status emit_tool(struct calls *calls, const struct tool *tool, uint32_t *out,
                                  struct weir_error *err)
{
    struct schema *schema = &calls->schema;
    struct call_parameters parameters = {.count = 0};
    enum weir_status status = WEIR_OK;
    schema->root = tool->parameters;
    if (tool->parameters != NULL)
        TRY(call_parameters_read(&parameters, schema, tool->name, err));
    TRY(rules_add(&schema->builder, "tool", 4, out, err));
    const struct rules_rule rule = schema->builder.rules[*out];
    uint32_t at = rule.start;
    TRY(schema_put(schema, &at, ">\n", err));
    TRY(emit_all_parameters(calls, &parameters, &at, err));
    TRY(schema_put(schema, &at, MARK_FUNCTION_END "\n" MARK_CALL_END, err));
    TRY(rules_free(&schema->builder, at, rule.end, err));
out:
    call_parameters_release(&parameters);
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

/* The rule of content that is a schema's: its rules are its own, since values in calls are others,
 * but stand among those of the calls. */
static enum weir_status content_rule(struct calls *calls, const struct json *root, uint32_t *rule,
                                     struct weir_error *err)
{
    struct rules_builder *builder = &calls->schema.builder;
    struct schema content = {.root = root, .builder = *builder};
    const enum weir_status status = schema_whole(&content, rule, err);
    *builder = content.builder;
    content.builder = (struct rules_builder){0};
    schema_release(&content);
    return status;
}

/* What a reply begins with: a call, content of a schema without one, or content before one. */
static enum weir_status emit_begin(struct calls *calls, const struct weir_calls_options *options,
                                   struct rules_rule rule, uint32_t call, uint32_t function,
                                   struct weir_error *err)
{
    struct rules_builder *builder = &calls->schema.builder;
    const bool has_schema = calls->content != NULL && !options->required;
    if (!has_schema && !options->required)
        return call_text_content(builder, rule.start, rule.end, call, function, err);
    enum weir_status status;
    TRY(rules_bytes(builder, rule.start, call, MARK_CALL, strlen(MARK_CALL), err));
    if (has_schema) {
        const uint32_t current = builder->rule;
        uint32_t content;
        TRY(content_rule(calls, json_root(calls->content), &content, err));
        builder->rule = current;
        TRY(rules_call(builder, rule.start, rule.end, content, err));
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
    TRY(emit_begin(calls, options, rule, call, function, err));
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
    TRY(schema_finish(&calls->schema, out, root, err));
out:
    return status;
}

/* A schema is refused as it is by itself, also if all it refuses are replies without calls. */
static enum weir_status open_content(struct calls *calls, const struct weir_calls_options *options,
                                     struct weir_error *err)
{
    struct weir_grammar *alone;
    if (options->content == NULL)
        return WEIR_OK;
    const enum weir_status status =
        weir_grammar_open_schema(&alone, options->content, options->content_length, err);
    weir_grammar_close(alone);
    return status != WEIR_OK ? status
                             : json_open_given(&calls->content, options->content,
                                               options->content_length, "schema", err);
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
    options = options == NULL ? &usual : options;
    status = open_content(&calls, options, err);
    if (status == WEIR_OK)
        status = compile(&calls, out, options, err);
    schema_release(&calls.schema);
    for (uint64_t i = 0; i < calls.joined_count; i++)
        mem_free(calls.joined[i]);
    mem_free(calls.joined);
    mem_free(calls.tools);
    json_close(calls.content);
    json_close(calls.document);
    return status;
}
