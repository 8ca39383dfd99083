/* SPDX-License-Identifier: MIT
 * JSON schemas to rules: the queue of lists that want a rule, alternatives, the rules that all
 * schemas share. Knows not what keywords of a type mean.
 *
 * The texts are JSON as a model should write it: members in the order of the schema, required ones
 * first, and white space only behind brackets, colons and commas, never more than two newlines and
 * 20 blanks of it, since a model may write white space without end. */
#include "grammar/schema.h"

#include <string.h>

#include "base/mem.h"

enum { PARTS_MAX = 1 << 13 };

/* ---- parts ----------------------------------------------------------------------------------- */

static uint64_t hash_list(const struct schema_list *list)
{
    uint64_t hash = list->count;
    for (uint64_t i = 0; i < list->count; i++) {
        hash = (hash ^ (uintptr_t)list->items[i].schema) * 0x9e3779b97f4a7c15u;
        hash = (hash ^ list->items[i].done ^ hash >> 32) * 0x9e3779b97f4a7c15u;
    }
    return hash;
}

static bool same_list(const struct schema_list *a, const struct schema_list *b)
{
    if (a->count != b->count)
        return false;
    for (uint64_t i = 0; i < a->count; i++) {
        if (a->items[i].schema != b->items[i].schema || a->items[i].done != b->items[i].done)
            return false;
    }
    return true;
}

static enum weir_status add_rule(struct schema *schema, const char *name, uint32_t *rule,
                                 struct weir_error *err)
{
    return rules_add(&schema->builder, name, strlen(name), rule, err);
}

enum weir_status schema_rule(struct schema *schema, struct schema_list *list, uint32_t *rule,
                             struct weir_error *err)
{
    const uint64_t hash = hash_list(list);
    const uint32_t current = schema->builder.rule;
    enum weir_status status = WEIR_OK;
    *rule = schema->value;
    for (uint64_t i = 0; i < schema->parts_count && list->count > 0; i++) {
        if (schema->parts[i].hash == hash && same_list(&schema->parts[i].list, list)) {
            *rule = schema->parts[i].rule;
            goto out;
        }
    }
    if (list->count == 0)
        goto out;
    if (schema->parts_count == PARTS_MAX) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "schema: more than %d parts", PARTS_MAX);
        goto out;
    }
    TRY(mem_grow(&schema->parts, &schema->parts_capacity, schema->parts_count + 1,
                 sizeof *schema->parts, err));
    TRY(add_rule(schema, "part", rule, err));
    schema->parts[schema->parts_count++] = (struct schema_part){*list, *rule, hash};
    *list = (struct schema_list){0};
out:
    schema->builder.rule = current;
    schema_list_release(list);
    return status;
}

enum weir_status schema_put(struct schema *schema, uint32_t *at, const char *text,
                            struct weir_error *err)
{
    uint32_t next;
    enum weir_status status;
    TRY(rules_node(&schema->builder, &next, err));
    TRY(rules_bytes(&schema->builder, *at, next, text, strlen(text), err));
    *at = next;
out:
    return status;
}

enum weir_status schema_put_call(struct schema *schema, uint32_t *at, uint32_t rule,
                                 struct weir_error *err)
{
    uint32_t next;
    enum weir_status status;
    TRY(rules_node(&schema->builder, &next, err));
    TRY(rules_call(&schema->builder, *at, next, rule, err));
    *at = next;
out:
    return status;
}

/* ---- alternatives ---------------------------------------------------------------------------- */

static const struct {
    const char *keyword;
    uint32_t done;
} unions[] = {{"anyOf", SCHEMA_DONE_ANY_OF}, {"oneOf", SCHEMA_DONE_ONE_OF}};

/* The first keyword of which one schema is still to be chosen, marked as done; or NULL. */
static const struct json *next_union(struct schema_list *list)
{
    for (uint64_t i = 0; i < list->count; i++) {
        struct schema_item *item = &list->items[i];
        for (size_t k = 0; k < sizeof unions / sizeof unions[0]; k++) {
            const struct json *found = schema_get(item, unions[k].keyword);
            if (found == NULL || (item->done & unions[k].done) != 0)
                continue;
            item->done |= unions[k].done;
            return found;
        }
    }
    return NULL;
}

static enum weir_status copy_list(struct schema_list *to, const struct schema_list *from,
                                  struct weir_error *err)
{
    *to = (struct schema_list){0};
    const enum weir_status status =
        mem_grow(&to->items, &to->capacity, from->count + 1, sizeof *to->items, err);
    if (status != WEIR_OK)
        return status;
    memcpy(to->items, from->items, from->count * sizeof *from->items);
    to->count = from->count;
    return WEIR_OK;
}

/* The list with one alternative more; without any schema it is any value. */
static enum weir_status emit_alternative(struct schema *schema, const struct schema_list *list,
                                         const struct json *alternative, uint32_t from, uint32_t to,
                                         struct weir_error *err)
{
    struct schema_list copy;
    uint32_t rule;
    enum weir_status status;
    TRY(copy_list(&copy, list, err));
    status = schema_list_add(&copy, (struct schema_item){alternative, 0}, err);
    if (status != WEIR_OK) {
        schema_list_release(&copy);
        return status;
    }
    TRY(schema_rule(schema, &copy, &rule, err));
    TRY(rules_call(&schema->builder, from, to, rule, err));
out:
    return status;
}

static enum weir_status emit_union(struct schema *schema, const struct schema_list *list,
                                   const struct json *alternatives, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (alternatives->kind != JSON_ARRAY || alternatives->count == 0)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, alternatives, err,
                             "not an array of schemas");
    for (uint32_t i = 0; i < alternatives->count; i++)
        TRY(emit_alternative(schema, list, &alternatives->items[i], from, to, err));
out:
    return status;
}

/* ---- values ---------------------------------------------------------------------------------- */

static enum weir_status emit_null(struct schema *schema, const struct schema_list *list,
                                  uint32_t from, uint32_t to, struct weir_error *err)
{
    (void)list;
    return rules_bytes(&schema->builder, from, to, "null", 4, err);
}

static enum weir_status emit_boolean(struct schema *schema, const struct schema_list *list,
                                     uint32_t from, uint32_t to, struct weir_error *err)
{
    (void)list;
    const enum weir_status status = rules_bytes(&schema->builder, from, to, "true", 4, err);
    return status != WEIR_OK ? status : rules_bytes(&schema->builder, from, to, "false", 5, err);
}

/* An integer is also a number that is none. */
static const struct {
    unsigned types, type;
    schema_emit_fn *emit;
} emitters[] = {
    {SCHEMA_NULL, SCHEMA_NULL, emit_null},
    {SCHEMA_BOOLEAN, SCHEMA_BOOLEAN, emit_boolean},
    {SCHEMA_OBJECT, SCHEMA_OBJECT, schema_emit_object},
    {SCHEMA_ARRAY, SCHEMA_ARRAY, schema_emit_array},
    {SCHEMA_STRING, SCHEMA_STRING, schema_emit_string},
    {SCHEMA_INTEGER | SCHEMA_NUMBER, SCHEMA_INTEGER, schema_emit_integer},
    {SCHEMA_INTEGER | SCHEMA_NUMBER, SCHEMA_INTEGER | SCHEMA_NUMBER, schema_emit_number},
};

static enum weir_status emit_types(struct schema *schema, const struct schema_list *list,
                                   uint32_t from, uint32_t to, struct weir_error *err)
{
    unsigned types;
    bool found;
    enum weir_status status;
    TRY(schema_types(schema, list, &types, err));
    if (types == 0)
        return schema_nothing(schema, list->items[0].schema, "no type is left");
    TRY(schema_emit_values(schema, list, types, from, to, &found, err));
    for (size_t i = 0; i < sizeof emitters / sizeof emitters[0] && !found; i++) {
        if ((types & emitters[i].types) == emitters[i].type)
            TRY(emitters[i].emit(schema, list, from, to, err));
    }
out:
    return status;
}

static const struct json *find_false(const struct schema_list *list)
{
    for (uint64_t i = 0; i < list->count; i++) {
        if (list->items[i].schema->kind == JSON_FALSE)
            return list->items[i].schema;
    }
    return NULL;
}

/* Fills the rule of a part. */
static enum weir_status emit_part(struct schema *schema, const struct schema_part *part,
                                  struct weir_error *err)
{
    const struct rules_rule rule = schema->builder.rules[part->rule];
    struct schema_list list;
    enum weir_status status;
    schema->builder.rule = part->rule;
    TRY(copy_list(&list, &part->list, err));
    status = schema_list_complete(schema, &list, err);
    if (status == WEIR_OK) {
        const struct json *nothing = find_false(&list), *alternatives = next_union(&list);
        if (nothing != NULL)
            status = schema_nothing(schema, nothing, "false allows nothing");
        else if (alternatives != NULL)
            status = emit_union(schema, &list, alternatives, rule.start, rule.end, err);
        else
            status = emit_types(schema, &list, rule.start, rule.end, err);
    }
    schema_list_release(&list);
out:
    return status;
}

/* ---- rules for all --------------------------------------------------------------------------- */

/* Nothing, a blank, or one or two newlines and up to 20 blanks. */
static enum weir_status fill_space(struct schema *schema, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    enum { BLANKS = 20 };
    struct rules_builder *builder = &schema->builder;
    uint32_t at = from, first;
    enum weir_status status;
    TRY(rules_free(builder, from, to, err));
    TRY(rules_bytes(builder, from, to, " ", 1, err));
    TRY(schema_put(schema, &at, "\n", err));
    first = at;
    TRY(schema_put(schema, &at, "\n", err));
    TRY(rules_free(builder, first, at, err));
    for (int i = 0; i < BLANKS; i++) {
        const uint32_t before = at;
        TRY(rules_free(builder, before, to, err));
        TRY(schema_put(schema, &at, " ", err));
        TRY(rules_bytes(builder, before, at, "\t", 1, err));
    }
    TRY(rules_free(builder, at, to, err));
out:
    return status;
}

static enum weir_status fill_string(struct schema *schema, uint32_t from, uint32_t to,
                                    struct weir_error *err)
{
    uint32_t at = from;
    enum weir_status status;
    TRY(schema_put(schema, &at, "\"", err));
    TRY(rules_call(&schema->builder, at, at, schema->character, err));
    TRY(rules_bytes(&schema->builder, at, to, "\"", 1, err));
out:
    return status;
}

/* What is listed between brackets: nothing, or items, each a key if there are keys, and a value. */
static enum weir_status fill_listing(struct schema *schema, const char *brackets, bool keys,
                                     uint32_t from, uint32_t to, struct weir_error *err)
{
    const char open[2] = {brackets[0]};
    uint32_t at = from, first, close;
    enum weir_status status;
    TRY(rules_node(&schema->builder, &close, err));
    TRY(schema_put(schema, &at, open, err));
    TRY(schema_put_call(schema, &at, schema->space, err));
    TRY(rules_free(&schema->builder, at, close, err));
    TRY(rules_node(&schema->builder, &first, err));
    TRY(rules_free(&schema->builder, at, first, err));
    at = first;
    if (keys) {
        TRY(schema_put_call(schema, &at, schema->string, err));
        TRY(schema_put(schema, &at, ":", err));
        TRY(schema_put_call(schema, &at, schema->space, err));
    }
    TRY(schema_put_call(schema, &at, schema->value, err));
    TRY(rules_free(&schema->builder, at, close, err));
    TRY(schema_put(schema, &at, ",", err));
    TRY(rules_call(&schema->builder, at, first, schema->space, err));
    TRY(schema_put_call(schema, &close, schema->space, err));
    TRY(rules_bytes(&schema->builder, close, to, brackets + 1, 1, err));
out:
    return status;
}

static enum weir_status fill_value(struct schema *schema, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    const uint32_t rules[] = {schema->object, schema->array, schema->string, schema->number};
    enum weir_status status;
    TRY(emit_null(schema, NULL, from, to, err));
    TRY(emit_boolean(schema, NULL, from, to, err));
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        TRY(rules_call(&schema->builder, from, to, rules[i], err));
out:
    return status;
}

static enum weir_status fill_shared(struct schema *schema, struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    struct {
        uint32_t *rule;
        const char *name;
    } names[] = {
        {&schema->space, "space"},   {&schema->character, "character"}, {&schema->string, "string"},
        {&schema->number, "number"}, {&schema->integer, "integer"},     {&schema->value, "value"},
        {&schema->object, "object"}, {&schema->array, "array"},
    };
    enum { RULES = sizeof names / sizeof names[0] };
    struct rules_rule r[RULES];
    enum weir_status status;
    for (size_t i = 0; i < RULES; i++) {
        TRY(add_rule(schema, names[i].name, names[i].rule, err));
        r[i] = builder->rules[*names[i].rule];
    }
    TRY(fill_space(schema, r[0].start, r[0].end, err));
    TRY(schema_emit_character(schema, r[1].start, r[1].end, err));
    TRY(fill_string(schema, r[2].start, r[2].end, err));
    TRY(schema_emit_any_number(schema, false, r[3].start, r[3].end, err));
    TRY(schema_emit_any_number(schema, true, r[4].start, r[4].end, err));
    TRY(fill_value(schema, r[5].start, r[5].end, err));
    TRY(fill_listing(schema, "{}", true, r[6].start, r[6].end, err));
    TRY(fill_listing(schema, "[]", false, r[7].start, r[7].end, err));
out:
    return status;
}

/* ---- open ------------------------------------------------------------------------------------ */

/* A schema without any keyword is an object, as it is for others. */
static enum weir_status root_rule(struct schema *schema, uint32_t *rule, struct weir_error *err)
{
    struct schema_list list = {0};
    if (schema->root->kind == JSON_OBJECT && schema->root->count == 0) {
        *rule = schema->object;
        return WEIR_OK;
    }
    const enum weir_status status =
        schema_list_add(&list, (struct schema_item){schema->root, 0}, err);
    return status != WEIR_OK ? status : schema_rule(schema, &list, rule, err);
}

static enum weir_status compile(struct schema *schema, struct weir_grammar **out,
                                struct weir_error *err)
{
    uint32_t root;
    enum weir_status status;
    TRY(fill_shared(schema, err));
    TRY(root_rule(schema, &root, err));
    for (uint64_t i = 0; i < schema->parts_count; i++) {
        const struct schema_part part = schema->parts[i];
        TRY(emit_part(schema, &part, err));
    }
    struct weir_error inner = {0};
    status = rules_finish(out, &schema->builder, root, &inner);
    if (status == WEIR_ERR_ARGUMENT && schema->why.status != WEIR_OK)
        err_set(err, status, "%s", schema->why.text);
    else if (status != WEIR_OK)
        err_set(err, status, "%s", inner.text);
out:
    return status;
}

enum weir_status weir_grammar_open_schema(struct weir_grammar **out, const char *text,
                                          size_t length, struct weir_error *err)
{
    struct json_document *document;
    struct schema schema = {0};
    enum weir_status status;
    *out = NULL;
    status = json_open(&document, text, length, "schema", err);
    if (status != WEIR_OK)
        return status == WEIR_ERR_FORMAT ? WEIR_ERR_ARGUMENT : status;
    schema.root = json_root(document);
    status = compile(&schema, out, err);
    for (uint64_t i = 0; i < schema.parts_count; i++)
        schema_list_release(&schema.parts[i].list);
    mem_free(schema.parts);
    rules_release(&schema.builder);
    json_close(document);
    return status;
}
