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
#include "grammar/call_text.h"
#include "grammar/call_value.h"

enum {
    PARTS_MAX = 1 << 13,
    ITEMS_MAX = 1 << 17, /* of the lists of all parts */
    EDGES_A_NODE = 4,    /* which are a step of work, as a node is */
};

/* ---- parts ----------------------------------------------------------------------------------- */

/* What tells parts apart but for their rules and hashes. */
static uint64_t hash_part(const struct schema_part *part)
{
    const struct schema_list *list = &part->list;
    uint64_t hash = list->count ^ (uint64_t)part->depth << 32 ^ (uint64_t)part->is_parameter << 48;
    for (uint64_t i = 0; i < list->count; i++) {
        hash = (hash ^ (uintptr_t)list->items[i].schema) * 0x9e3779b97f4a7c15u;
        hash = (hash ^ list->items[i].done ^ hash >> 32) * 0x9e3779b97f4a7c15u;
    }
    return hash;
}

static bool same_part(const struct schema_part *a, const struct schema_part *b)
{
    if (a->hash != b->hash || a->depth != b->depth || a->is_parameter != b->is_parameter ||
        a->list.count != b->list.count)
        return false;
    for (uint64_t i = 0; i < a->list.count; i++) {
        if (a->list.items[i].schema != b->list.items[i].schema ||
            a->list.items[i].done != b->list.items[i].done)
            return false;
    }
    return true;
}

static enum weir_status add_rule(struct schema *schema, const char *name, uint32_t *rule,
                                 struct weir_error *err)
{
    return rules_add(&schema->builder, name, strlen(name), rule, err);
}

/* The part's rule, which is made if it is new. Takes its list. */
static enum weir_status find_rule(struct schema *schema, struct schema_part *part, uint32_t *rule,
                                  struct weir_error *err)
{
    const uint32_t current = schema->builder.rule;
    enum weir_status status = WEIR_OK;
    part->hash = hash_part(part);
    for (uint64_t i = 0; i < schema->parts_count; i++) {
        if (same_part(&schema->parts[i], part)) {
            *rule = schema->parts[i].rule;
            goto out;
        }
    }
    if (schema->parts_count == PARTS_MAX) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "schema: more than %d parts", PARTS_MAX);
        goto out;
    }
    if (part->list.count > ITEMS_MAX - schema->items_count) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "schema: more than %d schemas for all parts",
                         ITEMS_MAX);
        goto out;
    }
    TRY(mem_grow(&schema->parts, &schema->parts_capacity, schema->parts_count + 1,
                 sizeof *schema->parts, err));
    TRY(add_rule(schema, "part", rule, err));
    part->rule = *rule;
    schema->items_count += part->list.count;
    schema->parts[schema->parts_count++] = *part;
    part->list = (struct schema_list){0};
out:
    schema->builder.rule = current;
    schema_list_release(&part->list);
    return status;
}

enum weir_status schema_rule(struct schema *schema, struct schema_list *list, uint32_t *rule,
                             struct weir_error *err)
{
    struct schema_part part = {.list = *list, .depth = schema->depth + schema->in_call};
    *list = (struct schema_list){0};
    if (part.list.count > 0)
        return find_rule(schema, &part, rule, err);
    *rule = schema->levels[part.depth].value;
    schema_list_release(&part.list);
    return WEIR_OK;
}

enum weir_status schema_parameter_rule(struct schema *schema, struct schema_list *list,
                                       uint32_t *rule, struct weir_error *err)
{
    struct schema_part part = {.list = *list, .is_parameter = true};
    *list = (struct schema_list){0};
    return find_rule(schema, &part, rule, err);
}

void schema_cut_parts(struct schema *schema, uint64_t count)
{
    while (schema->parts_count > count) {
        struct schema_list *list = &schema->parts[--schema->parts_count].list;
        schema->items_count -= list->count;
        schema_list_release(list);
    }
    if (schema->parts_done > count)
        schema->parts_done = count;
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

const struct json *schema_next_union(struct schema_list *list)
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

enum weir_status schema_list_copy(struct schema_list *to, const struct schema_list *from,
                                  struct weir_error *err)
{
    *to = (struct schema_list){0};
    const enum weir_status status =
        mem_grow(&to->items, &to->capacity, from->count + 1, sizeof *to->items, err);
    if (status != WEIR_OK)
        return status;
    if (from->count > 0)
        memcpy(to->items, from->items, from->count * sizeof *from->items);
    to->count = from->count;
    return WEIR_OK;
}

/* A path over what another list allows where `part` is; without any schema that is any value. Takes
 * the list. */
static enum weir_status emit_choice(struct schema *schema, const struct schema_part *part,
                                    struct schema_list *list, uint32_t from, uint32_t to,
                                    struct weir_error *err)
{
    struct schema_part chosen = {
        .list = *list, .depth = part->depth, .is_parameter = part->is_parameter};
    uint32_t rule = schema_level(schema)->value;
    enum weir_status status = WEIR_OK;
    *list = (struct schema_list){0};
    if (chosen.list.count == 0 && !part->is_parameter)
        schema_list_release(&chosen.list);
    else
        status = find_rule(schema, &chosen, &rule, err);
    if (status == WEIR_OK)
        status = rules_call(&schema->builder, from, to, rule, err);
    return status;
}

/* The list with one alternative more. */
static enum weir_status emit_alternative(struct schema *schema, const struct schema_part *part,
                                         const struct schema_list *list,
                                         const struct json *alternative, uint32_t from, uint32_t to,
                                         struct weir_error *err)
{
    struct schema_list chosen = {0};
    enum weir_status status;
    TRY(schema_list_copy(&chosen, list, err));
    TRY(schema_list_add(&chosen, (struct schema_item){alternative, 0}, err));
    TRY(emit_choice(schema, part, &chosen, from, to, err));
out:
    schema_list_release(&chosen);
    return status;
}

static enum weir_status emit_nullable(struct schema *schema, const struct schema_part *part,
                                      const struct schema_list *list, uint64_t index, uint32_t from,
                                      uint32_t to, struct weir_error *err)
{
    struct schema_list chosen;
    enum weir_status status;
    TRY(schema_choose_null(&chosen, list, index, false, err));
    TRY(emit_choice(schema, part, &chosen, from, to, err));
    TRY(schema_choose_null(&chosen, list, index, true, err));
    TRY(emit_choice(schema, part, &chosen, from, to, err));
out:
    return status;
}

static enum weir_status emit_union(struct schema *schema, const struct schema_part *part,
                                   const struct schema_list *list, const struct json *alternatives,
                                   uint32_t from, uint32_t to, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    if (alternatives->kind != JSON_ARRAY || alternatives->count == 0)
        return schema_refuse(schema, WEIR_ERR_ARGUMENT, alternatives, err,
                             "not an array of schemas");
    for (uint32_t i = 0; i < alternatives->count; i++)
        TRY(emit_alternative(schema, part, list, &alternatives->items[i], from, to, err));
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

enum weir_status schema_emit_types(struct schema *schema, const struct schema_list *list,
                                   unsigned types, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    bool found;
    enum weir_status status;
    TRY(schema_emit_values(schema, list, types, from, to, &found, err));
    if (schema->depth == SCHEMA_LEVELS)
        types &= ~(unsigned)(SCHEMA_OBJECT | SCHEMA_ARRAY);
    for (size_t i = 0; i < sizeof emitters / sizeof emitters[0] && !found; i++) {
        if ((types & emitters[i].types) == emitters[i].type)
            TRY(emitters[i].emit(schema, list, from, to, err));
    }
out:
    return status;
}

static enum weir_status emit_value(struct schema *schema, const struct schema_list *list,
                                   struct rules_rule rule, struct weir_error *err)
{
    unsigned types;
    enum weir_status status;
    TRY(schema_types(schema, list, &types, err));
    if (types == 0)
        return schema_nothing(schema, list->items[0].schema, "no type is left");
    TRY(schema_emit_types(schema, list, types, rule.start, rule.end, err));
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
    schema->depth = part->depth;
    schema->is_parameter = part->is_parameter;
    TRY(schema_list_copy(&list, &part->list, err));
    status = schema_list_complete(schema, &list, err);
    if (status == WEIR_OK) {
        const uint64_t nullable = schema_next_nullable(&list);
        const struct json *nothing = find_false(&list),
                          *alternatives = nullable < list.count ? NULL : schema_next_union(&list);
        if (nothing != NULL)
            status = schema_nothing(schema, nothing, "false allows nothing");
        else if (nullable < list.count)
            status = emit_nullable(schema, part, &list, nullable, rule.start, rule.end, err);
        else if (alternatives != NULL)
            status = emit_union(schema, part, &list, alternatives, rule.start, rule.end, err);
        else if (part->is_parameter)
            status = call_value_emit(schema, &list, rule.start, rule.end, err);
        else
            status = emit_value(schema, &list, rule, err);
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
    if (schema->in_call)
        return call_text_string(schema, at, to, err);
    TRY(rules_call(&schema->builder, at, at, schema->character, err));
    TRY(rules_bytes(&schema->builder, at, to, "\"", 1, err));
out:
    return status;
}

/* What is listed between brackets: nothing, or items, each a key if there are keys, and a value. */
static enum weir_status fill_listing(struct schema *schema, const char *brackets, bool keys,
                                     uint32_t value, struct rules_rule rule, struct weir_error *err)
{
    const char open[2] = {brackets[0]};
    uint32_t at = rule.start, first, close;
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
    TRY(schema_put_call(schema, &at, value, err));
    TRY(rules_free(&schema->builder, at, close, err));
    TRY(schema_put(schema, &at, ",", err));
    TRY(rules_call(&schema->builder, at, first, schema->space, err));
    TRY(schema_put_call(schema, &close, schema->space, err));
    TRY(rules_bytes(&schema->builder, close, rule.end, brackets + 1, 1, err));
out:
    return status;
}

/* Values of a level; brackets hold those of the level `inner`, unless it is none. */
static enum weir_status fill_level(struct schema *schema, uint32_t level, uint32_t inner,
                                   struct weir_error *err)
{
    const struct schema_level *rules = &schema->levels[level];
    const uint32_t value = schema->levels[inner].value;
    const struct rules_rule *all = schema->builder.rules;
    const struct rules_rule any = all[rules->value];
    enum weir_status status;
    TRY(emit_null(schema, NULL, any.start, any.end, err));
    TRY(emit_boolean(schema, NULL, any.start, any.end, err));
    TRY(rules_call(&schema->builder, any.start, any.end, schema->string, err));
    TRY(rules_call(&schema->builder, any.start, any.end, schema->number, err));
    if (level == SCHEMA_LEVELS)
        return WEIR_OK;
    TRY(rules_call(&schema->builder, any.start, any.end, rules->object, err));
    TRY(rules_call(&schema->builder, any.start, any.end, rules->array, err));
    TRY(fill_listing(schema, "{}", true, value, all[rules->object], err));
    TRY(fill_listing(schema, "[]", false, value, all[rules->array], err));
out:
    return status;
}

static enum weir_status fill_levels(struct schema *schema, struct weir_error *err)
{
    const uint32_t last = schema->in_call ? SCHEMA_LEVELS : 0;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i <= last; i++) {
        TRY(add_rule(schema, "value", &schema->levels[i].value, err));
        TRY(add_rule(schema, "object", &schema->levels[i].object, err));
        TRY(add_rule(schema, "array", &schema->levels[i].array, err));
    }
    for (uint32_t i = 0; i <= last; i++)
        TRY(fill_level(schema, i, i < last ? i + 1 : i, err));
out:
    return status;
}

enum weir_status schema_begin(struct schema *schema, struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    struct {
        uint32_t *rule;
        const char *name;
    } names[] = {
        {&schema->space, "space"},   {&schema->character, "character"}, {&schema->string, "string"},
        {&schema->number, "number"}, {&schema->integer, "integer"},
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
    TRY(fill_levels(schema, err));
out:
    return status;
}

enum weir_status schema_fill_parts(struct schema *schema, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    while (schema->parts_done < schema->parts_count) {
        const struct schema_part part = schema->parts[schema->parts_done++];
        const uint64_t nodes = schema->builder.nodes_count, edges = schema->builder.edges_count;
        status = emit_part(schema, &part, err);
        const uint64_t made = schema->builder.nodes_count - nodes +
                              (schema->builder.edges_count - edges) / EDGES_A_NODE;
        const enum weir_status charged = schema_charge(schema, made, err);
        TRY(status != WEIR_OK ? status : charged);
    }
out:
    schema->depth = 0;
    return status;
}

void schema_release(struct schema *schema)
{
    schema_cut_parts(schema, 0);
    mem_free(schema->parts);
    rules_release(&schema->builder);
}

/* ---- open ------------------------------------------------------------------------------------ */

/* A schema without any keyword is an object, as it is for others. */
static enum weir_status root_rule(struct schema *schema, uint32_t *rule, struct weir_error *err)
{
    struct schema_list list = {0};
    if (schema->root->kind == JSON_OBJECT && schema->root->count == 0) {
        *rule = schema->levels[0].object;
        return WEIR_OK;
    }
    const enum weir_status status =
        schema_list_add(&list, (struct schema_item){schema->root, 0}, err);
    return status != WEIR_OK ? status : schema_rule(schema, &list, rule, err);
}

enum weir_status schema_finish(struct schema *schema, struct weir_grammar **out, uint32_t root,
                               struct weir_error *err)
{
    struct weir_error inner = {0};
    const enum weir_status status = rules_finish(out, &schema->builder, root, &inner);
    if (status == WEIR_ERR_ARGUMENT)
        return err_set(err, status, "%s",
                       schema->why.text[0] == 0 ? "schema: nothing is allowed" : schema->why.text);
    return status == WEIR_OK ? status : err_set(err, status, "%s", inner.text);
}

enum weir_status schema_whole(struct schema *schema, uint32_t *rule, struct weir_error *err)
{
    enum weir_status status;
    TRY(schema_begin(schema, err));
    TRY(root_rule(schema, rule, err));
    TRY(schema_fill_parts(schema, err));
out:
    return status;
}

static enum weir_status compile(struct schema *schema, struct weir_grammar **out,
                                struct weir_error *err)
{
    uint32_t root;
    enum weir_status status;
    TRY(schema_whole(schema, &root, err));
    TRY(schema_finish(schema, out, root, err));
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
    status = json_open_given(&document, text, length, "schema", err);
    if (status != WEIR_OK)
        return status;
    schema.root = json_root(document);
    status = compile(&schema, out, err);
    schema_release(&schema);
    json_close(document);
    return status;
}
