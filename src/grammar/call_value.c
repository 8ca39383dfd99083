/* SPDX-License-Identifier: MIT
 * Values of parameters: which texts stand for values that a schema allows. Knows no tools.
 *
 * A text that may be a string becomes other JSON if it is such and the schema has its type. So
 * where the schema says more of that type, texts that are such JSON are written as JSON alone. */
#include "grammar/call_value.h"

#include <string.h>

#include "base/mem.h"
#include "chat/value_types.h"
#include "grammar/call_limited.h"

enum {
    SEARCH_DEPTH_MAX = 8, /* unions in unions; what is deeper, or takes longer, is not looked at */
    SEARCH_STEPS_MAX = 256,
    NODES_MAX = 1 << 16, /* of a parameter: what takes more is not kept */
};

static const struct {
    unsigned read_type, type, bit;
} kinds[] = {
    {VALUE_NULL, SCHEMA_NULL, CALL_TEXT_NOT_NULL},
    {VALUE_BOOLEAN, SCHEMA_BOOLEAN, CALL_TEXT_NOT_BOOLEAN},
    {VALUE_INTEGER, SCHEMA_INTEGER, CALL_TEXT_NOT_NUMBER},
    {VALUE_FRACTION, SCHEMA_NUMBER, CALL_TEXT_NOT_NUMBER},
    {VALUE_STRING, SCHEMA_STRING, CALL_TEXT_NOT_STRING},
    {VALUE_ARRAY, SCHEMA_ARRAY, CALL_TEXT_NOT_ARRAY},
    {VALUE_OBJECT, SCHEMA_OBJECT, CALL_TEXT_NOT_OBJECT},
};
enum { KINDS = sizeof kinds / sizeof kinds[0] };

/* ---- what is always allowed ------------------------------------------------------------------ */

struct search {
    uint32_t depth, steps;
};

/* The types of which a list without unions allows every value. */
static enum weir_status open_types_of(const struct schema *schema, const struct schema_list *list,
                                      unsigned *types, struct weir_error *err)
{
    bool is_typed = false;
    unsigned closed = 0;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct schema_item *item = &list->items[i];
        const bool is_listed =
            schema_get(item, "enum") != NULL || schema_get(item, "const") != NULL;
        if (is_listed || item->schema->kind == JSON_FALSE)
            closed = SCHEMA_ANY;
        is_typed |= schema_get(item, "type") != NULL;
        for (size_t k = 0; k < SCHEMA_KEYWORDS; k++) {
            if (schema_get(item, schema_keywords[k].keyword) != NULL)
                closed |= schema_keywords[k].types;
        }
        if (schema_get(item, "format") != NULL)
            closed |= SCHEMA_STRING;
    }
    *types = SCHEMA_ANY;
    enum weir_status status = WEIR_OK;
    if (is_typed)
        status = schema_types(schema, list, types, err);
    *types &= ~closed;
    return status;
}

static enum weir_status find_open(struct schema *schema, const struct schema_list *list,
                                  struct search *search, unsigned *types, struct weir_error *err);

/* Of those that the alternatives allow so, each. Recursion is bounded by SEARCH_DEPTH_MAX. */
static enum weir_status find_open_in(struct schema *schema, const struct schema_list *list,
                                     const struct json *alternatives, struct search *search,
                                     unsigned *types, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    struct schema_list chosen = {0};
    for (uint32_t i = 0; alternatives->kind == JSON_ARRAY && i < alternatives->count; i++) {
        unsigned more = 0;
        schema_list_release(&chosen);
        TRY(schema_list_copy(&chosen, list, err));
        TRY(schema_list_add(&chosen, (struct schema_item){&alternatives->items[i], 0}, err));
        TRY(find_open(schema, &chosen, search, &more, err));
        *types |= more;
    }
out:
    schema_list_release(&chosen);
    return status;
}

/* The same for a schema that is nullable, and null. */
static enum weir_status find_open_or_null(struct schema *schema, const struct schema_list *list,
                                          uint64_t index, struct search *search, unsigned *types,
                                          struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (int is_null = 0; is_null < 2 && status == WEIR_OK; is_null++) {
        struct schema_list chosen;
        unsigned more = 0;
        status = schema_choose_null(&chosen, list, index, is_null == 1, err);
        if (status == WEIR_OK)
            status = find_open(schema, &chosen, search, &more, err);
        schema_list_release(&chosen);
        *types |= more;
    }
    return status;
}

static enum weir_status find_open(struct schema *schema, const struct schema_list *list,
                                  struct search *search, unsigned *types, struct weir_error *err)
{
    struct schema_list copy;
    enum weir_status status;
    *types = 0;
    if (search->depth == SEARCH_DEPTH_MAX || search->steps++ == SEARCH_STEPS_MAX)
        return WEIR_OK;
    search->depth++;
    TRY(schema_list_copy(&copy, list, err));
    status = schema_list_complete(schema, &copy, err);
    if (status == WEIR_OK) {
        const uint64_t nullable = schema_next_nullable(&copy);
        const struct json *alternatives = nullable < copy.count ? NULL : schema_next_union(&copy);
        if (nullable < copy.count)
            status = find_open_or_null(schema, &copy, nullable, search, types, err);
        else if (alternatives != NULL)
            status = find_open_in(schema, &copy, alternatives, search, types, err);
        else
            status = open_types_of(schema, &copy, types, err);
    }
    schema_list_release(&copy);
out:
    search->depth--;
    return status;
}

/* ---- texts ----------------------------------------------------------------------------------- */

/* The rule of any text but such JSON, and what ends it. */
static enum weir_status text_rule(struct schema *schema, unsigned nots, uint32_t *rule,
                                  struct weir_error *err)
{
    const uint32_t current = schema->builder.rule;
    uint32_t *made = &schema->value->texts[nots];
    enum weir_status status = WEIR_OK;
    if (*made == RULES_NONE) {
        TRY(rules_add(&schema->builder, "text", 4, rule, err));
        const struct rules_rule ends = schema->builder.rules[*rule];
        TRY(call_text_value(&schema->builder, nots, ends.start, ends.end, err));
        *made = *rule;
    }
    *rule = *made;
out:
    schema->builder.rule = current;
    return status;
}

enum weir_status call_value_text(struct schema *schema, struct json_text text, uint32_t from,
                                 uint32_t to, struct weir_error *err)
{
    const unsigned types = schema->value->read_types;
    const bool becomes_json =
        types != VALUE_STRING && value_is_json(types, text.bytes, text.length);
    if (becomes_json)
        return WEIR_OK;
    return rules_bytes(&schema->builder, from, to, text.bytes, text.length, err);
}

/* Strings of a list: up to `end` if they are limited, else up to what ends them. */
static enum weir_status emit_string(struct schema *schema, const struct schema_list *list,
                                    uint32_t from, uint32_t end, uint32_t to,
                                    struct weir_error *err)
{
    struct schema_limits limits;
    uint32_t rule;
    bool found;
    enum weir_status status;
    TRY(schema_emit_values(schema, list, SCHEMA_STRING, from, end, &found, err));
    if (found)
        return WEIR_OK;
    TRY(schema_read_limits(schema, list, &limits, err));
    if (schema_is_nothing(schema, &limits.length, "characters"))
        return WEIR_OK;
    if (limits.length.least > 0 || limits.length.most < UINT32_MAX || limits.pattern_at != NULL)
        return call_limited_emit(schema, &limits, schema->value->nots, from, end, err);
    TRY(text_rule(schema, schema->value->nots, &rule, err));
    TRY(rules_call(&schema->builder, from, to, rule, err));
out:
    return status;
}

enum weir_status call_value_emit(struct schema *schema, const struct schema_list *list,
                                 uint32_t from, uint32_t to, struct weir_error *err)
{
    const size_t length = strlen(CALL_VALUE_END);
    unsigned types;
    uint32_t end;
    enum weir_status status;
    TRY(schema_types(schema, list, &types, err));
    types &= schema->value->types;
    TRY(rules_node(&schema->builder, &end, err));
    TRY(rules_bytes(&schema->builder, end, to, CALL_VALUE_END, length, err));
    if ((types & ~(unsigned)SCHEMA_STRING) != 0)
        TRY(schema_emit_types(schema, list, types & ~(unsigned)SCHEMA_STRING, from, end, err));
    if ((types & SCHEMA_STRING) != 0)
        TRY(emit_string(schema, list, from, end, to, err));
out:
    return status;
}

/* ---- rules ----------------------------------------------------------------------------------- */

/* Sets what all parts of the parameter need to know. *is_free: any text is allowed. */
static enum weir_status begin_value(struct schema *schema, const struct schema_list *list,
                                    unsigned read_types, bool *is_free, struct weir_error *err)
{
    struct call_value *value = schema->value;
    struct search search = {.depth = 0};
    unsigned open;
    const enum weir_status status = find_open(schema, list, &search, &open, err);
    if (status != WEIR_OK)
        return status;
    value->read_types = read_types;
    value->types = value->nots = 0;
    *is_free = (read_types & VALUE_STRING) != 0;
    for (size_t i = 0; i < KINDS; i++) {
        if ((read_types & kinds[i].read_type) == 0)
            continue;
        const bool is_open = (open & kinds[i].type) != 0;
        value->types |= kinds[i].type;
        *is_free = *is_free && is_open;
        if (!is_open && (kinds[i].read_type != VALUE_STRING || read_types == VALUE_ANY))
            value->nots |= kinds[i].bit;
    }
    if ((value->types & (SCHEMA_INTEGER | SCHEMA_NUMBER)) != 0)
        value->types |= SCHEMA_INTEGER | SCHEMA_NUMBER; /* schemas and readers tell them apart
                                                           each in their own way */
    if (read_types == VALUE_STRING)
        value->nots = 0;
    return WEIR_OK;
}

static enum weir_status keep_schemas(struct schema *schema, struct schema_list *list,
                                     unsigned read_types, uint32_t *rule, struct weir_error *err)
{
    const uint64_t nodes = schema->builder.nodes_count;
    bool is_free;
    enum weir_status status;
    TRY(begin_value(schema, list, read_types, &is_free, err));
    if (is_free)
        return text_rule(schema, 0, rule, err);
    TRY(schema_parameter_rule(schema, list, rule, err));
    TRY(schema_fill_parts(schema, err));
    if (schema->builder.nodes_count - nodes > NODES_MAX)
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "schema: more than %d places", NODES_MAX);
out:
    return status;
}

static enum weir_status make_any(struct schema *schema, unsigned read_types, uint32_t *rule,
                                 struct weir_error *err)
{
    const struct schema_level *level = &schema->levels[0];
    const struct {
        unsigned read_type;
        uint32_t rule;
    } rows[] = {
        {VALUE_INTEGER, schema->integer},
        {VALUE_FRACTION, schema->number},
        {VALUE_ARRAY, level->array},
        {VALUE_OBJECT, level->object},
    };
    struct rules_builder *builder = &schema->builder;
    uint32_t end;
    enum weir_status status;
    TRY(rules_add(builder, "any", 3, rule, err));
    const struct rules_rule ends = builder->rules[*rule];
    TRY(rules_node(builder, &end, err));
    TRY(rules_bytes(builder, end, ends.end, CALL_VALUE_END, strlen(CALL_VALUE_END), err));
    if ((read_types & VALUE_NULL) != 0)
        TRY(rules_bytes(builder, ends.start, end, "null", 4, err));
    if ((read_types & VALUE_BOOLEAN) != 0) {
        TRY(rules_bytes(builder, ends.start, end, "true", 4, err));
        TRY(rules_bytes(builder, ends.start, end, "false", 5, err));
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if ((read_types & rows[i].read_type) != 0)
            TRY(rules_call(builder, ends.start, end, rows[i].rule, err));
    }
out:
    return status;
}

/* Forgets what was made behind the mark. */
static void go_back(struct schema *schema, const struct rules_mark *mark, uint64_t parts)
{
    rules_back(&schema->builder, mark);
    schema_cut_parts(schema, parts);
    if (schema->escapes >= mark->rules_count)
        schema->escapes = RULES_NONE;
    for (size_t i = 0; i < CALL_TEXT_NOTS; i++) {
        if (schema->value->texts[i] >= mark->rules_count)
            schema->value->texts[i] = RULES_NONE;
    }
}

enum weir_status call_value_any(struct schema *schema, uint32_t *rule, struct weir_error *err)
{
    return text_rule(schema, 0, rule, err);
}

enum weir_status call_value_rule(struct schema *schema, struct schema_list *list,
                                 unsigned read_types, uint32_t *rule, struct weir_error *err)
{
    const struct rules_mark mark = rules_marked(&schema->builder);
    const uint64_t parts = schema->parts_count;
    const uint32_t current = schema->builder.rule;
    struct weir_error why = {0};
    enum weir_status status = keep_schemas(schema, list, read_types, rule, &why);
    if (status == WEIR_ERR_UNSUPPORTED || status == WEIR_ERR_ARGUMENT) {
        go_back(schema, &mark, parts);
        status = (read_types & VALUE_STRING) != 0 ? text_rule(schema, 0, rule, err)
                                                  : make_any(schema, read_types, rule, err);
    } else if (status != WEIR_OK) {
        err_set(err, status, "%s", why.text);
    }
    schema->builder.rule = current;
    schema_list_release(list);
    return status;
}
