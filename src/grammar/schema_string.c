/* SPDX-License-Identifier: MIT
 * Strings of a schema: lengths, patterns, formats, and names that are none of some. Knows no other
 * type.
 *
 * Where it matters what a character is, it has one spelling: itself, or the escape that JSON
 * demands, \n \r \t \b \f or \u00XX. Elsewhere a string may be written with any escapes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grammar/regex.h"
#include "grammar/schema.h"

enum {
    LENGTH_MAX = 1 << 14,  /* characters that are counted */
    PRODUCT_MAX = 1 << 17, /* places of a pattern times lengths */
    ESCAPED_LAST = 0x1f,   /* characters up to this one have no other spelling */
    DELETE = 0x7f,         /* nor has this one, though JSON would allow it */
};

/* ---- characters ------------------------------------------------------------------------------ */

/* What marks begin with is escaped within calls. */
static bool must_escape(const struct schema *schema, uint32_t code)
{
    return code <= ESCAPED_LAST || code == '"' || code == '\\' || code == DELETE ||
           (code == '<' && schema->in_call);
}

static enum weir_status add_escape(struct schema *schema, uint32_t from, uint32_t to, uint32_t code,
                                   struct weir_error *err)
{
    static const char letters[][2] = {{'"', '"'},  {'\\', '\\'}, {'\n', 'n'}, {'\r', 'r'},
                                      {'\t', 't'}, {'\b', 'b'},  {'\f', 'f'}};
    char text[8];
    enum weir_status status;
    snprintf(text, sizeof text, "\\u%04X", code);
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++) {
        if ((uint32_t)letters[i][0] == code)
            snprintf(text, sizeof text, "\\%c", letters[i][1]);
    }
    TRY(rules_bytes(&schema->builder, from, to, text, strlen(text), err));
    if (text[1] == 'u' && code % 16 >= 10) {
        snprintf(text, sizeof text, "\\u%04x", code);
        TRY(rules_bytes(&schema->builder, from, to, text, strlen(text), err));
    }
out:
    return status;
}

/* The escapes of all characters that must be escaped. */
static enum weir_status fill_escapes(struct schema *schema, struct weir_error *err)
{
    const uint32_t current = schema->builder.rule;
    enum weir_status status = WEIR_OK;
    if (schema->escapes != RULES_NONE)
        return status;
    TRY(rules_add(&schema->builder, "escapes", 7, &schema->escapes, err));
    const struct rules_rule rule = schema->builder.rules[schema->escapes];
    for (uint32_t code = 0; code <= DELETE; code++) {
        if (must_escape(schema, code))
            TRY(add_escape(schema, rule.start, rule.end, code, err));
    }
out:
    schema->builder.rule = current;
    return status;
}

static enum weir_status add_escapes_of(struct schema *schema, const struct code_set *set,
                                       uint32_t from, uint32_t to, struct weir_error *err)
{
    bool all = true;
    enum weir_status status = WEIR_OK;
    for (uint32_t code = 0; code <= DELETE; code++)
        all = all && (!must_escape(schema, code) || code_set_has(set, code));
    if (all) {
        TRY(fill_escapes(schema, err));
        return rules_call(&schema->builder, from, to, schema->escapes, err);
    }
    for (uint32_t code = 0; code <= DELETE; code++) {
        if (must_escape(schema, code) && code_set_has(set, code))
            TRY(add_escape(schema, from, to, code, err));
    }
out:
    return status;
}

/* A character of a closed set, in its one spelling. */
static enum weir_status emit_set(struct schema *schema, const struct code_set *set, uint32_t from,
                                 uint32_t to, struct weir_error *err)
{
    static const struct code_range plain[] = {
        {0x20, '"' - 1},     {'"' + 1, '<' - 1},     {'<', '<'},
        {'<' + 1, '\\' - 1}, {'\\' + 1, DELETE - 1}, {DELETE + 1, CODE_MAX}};
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < set->count; i++) {
        for (size_t k = 0; k < sizeof plain / sizeof plain[0]; k++) {
            if (must_escape(schema, plain[k].first))
                continue;
            const struct code_range a = set->ranges[i], b = plain[k];
            const struct code_range both = {a.first > b.first ? a.first : b.first,
                                            a.last < b.last ? a.last : b.last};
            TRY(rules_range(&schema->builder, from, to, both, err));
        }
    }
    TRY(add_escapes_of(schema, set, from, to, err));
out:
    return status;
}

/* Four hexadecimal digits, of which the first two have given ranges. */
static enum weir_status add_hex(struct schema *schema, uint32_t from, uint32_t to,
                                const char *first, const char *second, struct weir_error *err)
{
    static const char any[] = "0123456789abcdefABCDEF";
    const char *const digits[4] = {first, second, any, any};
    uint32_t next;
    enum weir_status status;
    for (int i = 0; i < 4; i++, from = next) {
        next = to;
        if (i < 3)
            TRY(rules_node(&schema->builder, &next, err));
        for (const char *digit = digits[i]; *digit != 0; digit++)
            TRY(rules_bytes(&schema->builder, from, next, digit, 1, err));
    }
out:
    return status;
}

/* Behind \u: a character, or both halves of a surrogate pair. */
static enum weir_status add_unicode(struct schema *schema, uint32_t from, uint32_t to,
                                    struct weir_error *err)
{
    static const char any[] = "0123456789abcdefABCDEF";
    uint32_t half;
    enum weir_status status;
    TRY(add_hex(schema, from, to, "0123456789abcefABCEF", any, err));
    TRY(add_hex(schema, from, to, "dD", "01234567", err));
    TRY(rules_node(&schema->builder, &half, err));
    TRY(add_hex(schema, from, half, "dD", "89abAB", err));
    TRY(schema_put(schema, &half, "\\u", err));
    TRY(add_hex(schema, half, to, "dD", "cdefCDEF", err));
out:
    return status;
}

enum weir_status schema_emit_escape(struct schema *schema, uint32_t from, uint32_t to,
                                    struct weir_error *err)
{
    static const char *const letters[] = {"\"", "\\", "b", "f", "n", "r", "t"};
    uint32_t at = from;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof letters / sizeof letters[0]; i++)
        TRY(rules_bytes(&schema->builder, at, to, letters[i], 1, err));
    TRY(schema_put(schema, &at, "u", err));
    TRY(add_unicode(schema, at, to, err));
out:
    return status;
}

enum weir_status schema_emit_character(struct schema *schema, uint32_t from, uint32_t to,
                                       struct weir_error *err)
{
    struct code_set plain = {0};
    uint32_t at = from;
    enum weir_status status = WEIR_OK;
    for (uint32_t code = 0; code <= DELETE; code++) {
        if (must_escape(schema, code))
            TRY(code_set_add(&plain, code, code, err));
    }
    TRY(code_set_close(&plain, true, err));
    TRY(rules_set(&schema->builder, from, to, &plain, err));
    TRY(schema_put(schema, &at, "\\", err));
    TRY(schema_emit_escape(schema, at, to, err));
out:
    code_set_release(&plain);
    return status;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int compare_names(const void *a_pointer, const void *b_pointer)
{
    return json_text_compare(*(const struct json_text *)a_pointer,
                             *(const struct json_text *)b_pointer);
}

/* Sorted names that begin with the same so many bytes, which lead to a node. */
struct name_group {
    uint64_t first, end;
    size_t depth;
    uint32_t node;
};

struct name_groups {
    struct name_group *items;
    uint64_t count, capacity;
    uint32_t rest; /* behind a character by which a string is none of the names */
};

static enum weir_status add_group(struct name_groups *groups, struct name_group group,
                                  struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&groups->items, &groups->capacity, groups->count + 1, sizeof *groups->items, err);
    if (status == WEIR_OK)
        groups->items[groups->count++] = group;
    return status;
}

/* From the node of a group: each character that goes on in a name leads to a group of its own, all
 * others to the rest. */
static enum weir_status emit_group(struct schema *schema, const struct json_text *names,
                                   struct name_group group, struct name_groups *groups,
                                   uint32_t end, struct weir_error *err)
{
    struct code_set others = {0}, one = {0};
    enum weir_status status = WEIR_OK;
    uint64_t i = group.first;
    if (i < group.end && names[i].length == group.depth)
        i++;
    else
        TRY(rules_bytes(&schema->builder, group.node, end, "\"", 1, err));
    while (i < group.end) {
        uint32_t code;
        struct name_group next = {.first = i};
        const size_t bytes =
            code_read(names[i].bytes + group.depth, names[i].length - group.depth, &code);
        next.depth = group.depth + bytes;
        while (i < group.end && names[i].length >= next.depth &&
               memcmp(names[i].bytes + group.depth, names[next.first].bytes + group.depth, bytes) ==
                   0)
            i++;
        next.end = i;
        TRY(rules_node(&schema->builder, &next.node, err));
        TRY(code_set_add(&others, code, code, err));
        code_set_release(&one);
        TRY(code_set_add(&one, code, code, err));
        TRY(emit_set(schema, &one, group.node, next.node, err));
        TRY(add_group(groups, next, err));
    }
    TRY(code_set_close(&others, true, err));
    TRY(emit_set(schema, &others, group.node, groups->rest, err));
out:
    code_set_release(&others);
    code_set_release(&one);
    return status;
}

enum weir_status schema_emit_other_string(struct schema *schema, const struct json_text *names,
                                          uint64_t count, uint32_t from, uint32_t to,
                                          struct weir_error *err)
{
    struct name_groups groups = {0};
    uint32_t at = from;
    enum weir_status status;
    if (count == 0)
        return rules_call(&schema->builder, from, to, schema->string, err);
    struct json_text *sorted = mem_alloc(count, sizeof *sorted, err);
    if (sorted == NULL)
        return WEIR_ERR_MEMORY;
    memcpy(sorted, names, count * sizeof *sorted);
    qsort(sorted, count, sizeof *sorted, compare_names);
    TRY(schema_put(schema, &at, "\"", err));
    TRY(rules_node(&schema->builder, &groups.rest, err));
    TRY(rules_call(&schema->builder, groups.rest, groups.rest, schema->character, err));
    TRY(rules_bytes(&schema->builder, groups.rest, to, "\"", 1, err));
    TRY(add_group(&groups, (struct name_group){0, count, 0, at}, err));
    for (uint64_t i = 0; i < groups.count; i++)
        TRY(emit_group(schema, sorted, groups.items[i], &groups, to, err));
out:
    mem_free(groups.items);
    mem_free(sorted);
    return status;
}

/* ---- lengths --------------------------------------------------------------------------------- */

static enum weir_status emit_length(struct schema *schema, const struct schema_bounds *lengths,
                                    uint32_t from, uint32_t to, struct weir_error *err)
{
    struct rules_builder *builder = &schema->builder;
    const bool endless = lengths->most == UINT32_MAX;
    const uint32_t counted = endless ? lengths->least : lengths->most;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < counted; i++) {
        if (i >= lengths->least)
            TRY(rules_free(builder, from, to, err));
        TRY(schema_put_call(schema, &from, schema->character, err));
    }
    if (endless)
        TRY(rules_call(builder, from, from, schema->character, err));
    TRY(rules_free(builder, from, to, err));
out:
    return status;
}

/* ---- patterns -------------------------------------------------------------------------------- */

/* A place of a pattern's graph with so many characters read is a node. Beyond what has to be
 * counted all numbers are one. */
struct product {
    const struct regex *regex;
    const struct schema_bounds *lengths;
    uint32_t counted; /* numbers told apart, without 0 */
    uint32_t *nodes;  /* [regex->nodes_count][counted + 1] */
    uint32_t *rules;  /* by set */
};

static enum weir_status emit_set_rules(struct schema *schema, struct product *product,
                                       struct weir_error *err)
{
    const uint32_t current = schema->builder.rule;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < product->regex->sets_count; i++) {
        TRY(rules_add(&schema->builder, "class", 5, &product->rules[i], err));
        const struct rules_rule rule = schema->builder.rules[product->rules[i]];
        TRY(emit_set(schema, &product->regex->sets[i], rule.start, rule.end, err));
        schema->builder.rule = current;
    }
out:
    schema->builder.rule = current;
    return status;
}

static uint32_t product_node(const struct product *product, uint32_t place, uint32_t count)
{
    return product->nodes[(size_t)place * (product->counted + 1) + count];
}

static enum weir_status emit_product_edge(struct schema *schema, const struct product *product,
                                          const struct regex_edge *edge, struct weir_error *err)
{
    const bool endless = product->lengths->most == UINT32_MAX;
    enum weir_status status = WEIR_OK;
    for (uint32_t count = 0; count <= product->counted; count++) {
        const uint32_t from = product_node(product, edge->from, count);
        if (edge->set == REGEX_FREE) {
            TRY(rules_free(&schema->builder, from, product_node(product, edge->to, count), err));
            continue;
        }
        if (count == product->counted && !endless)
            break;
        const uint32_t next = count < product->counted ? count + 1 : count;
        TRY(rules_call(&schema->builder, from, product_node(product, edge->to, next),
                       product->rules[edge->set], err));
    }
out:
    return status;
}

static enum weir_status emit_product(struct schema *schema, const struct product *product,
                                     uint32_t from, uint32_t to, struct weir_error *err)
{
    const struct regex *regex = product->regex;
    const size_t nodes = (size_t)regex->nodes_count * (product->counted + 1);
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < nodes; i++)
        TRY(rules_node(&schema->builder, &product->nodes[i], err));
    TRY(rules_free(&schema->builder, from, product_node(product, regex->start, 0), err));
    for (uint64_t i = 0; i < regex->edges_count; i++)
        TRY(emit_product_edge(schema, product, &regex->edges[i], err));
    for (uint32_t count = product->lengths->least; count <= product->counted; count++)
        TRY(rules_free(&schema->builder, product_node(product, regex->end, count), to, err));
out:
    return status;
}

static enum weir_status emit_pattern(struct schema *schema, const struct json *at,
                                     struct json_text pattern, const struct schema_bounds *lengths,
                                     uint32_t from, uint32_t to, struct weir_error *err)
{
    struct regex regex = {0};
    struct weir_error inner = {0};
    struct product product = {.regex = &regex,
                              .lengths = lengths,
                              .counted =
                                  lengths->most == UINT32_MAX ? lengths->least : lengths->most};
    enum weir_status status = regex_read(&regex, pattern.bytes, pattern.length, &inner);
    const uint64_t steps = pattern.length + regex.nodes_count + regex.edges_count;
    if (schema_charge(schema, steps, err) != WEIR_OK)
        TRY(WEIR_ERR_UNSUPPORTED);
    if (status != WEIR_OK) {
        schema_refuse(schema, status, at, err, "%.120s", inner.text);
        goto out;
    }
    const uint64_t nodes = (uint64_t)regex.nodes_count * (product.counted + 1ull);
    if (nodes > PRODUCT_MAX) {
        status = schema_refuse(schema, WEIR_ERR_UNSUPPORTED, at, err,
                               "the pattern is too long for the lengths beside it");
        goto out;
    }
    product.nodes = mem_alloc(nodes, sizeof *product.nodes, err);
    product.rules = mem_alloc(regex.sets_count, sizeof *product.rules, err);
    if (product.nodes == NULL || product.rules == NULL)
        TRY(WEIR_ERR_MEMORY);
    TRY(emit_set_rules(schema, &product, err));
    TRY(emit_product(schema, &product, from, to, err));
out:
    mem_free(product.nodes);
    mem_free(product.rules);
    regex_release(&regex);
    return status;
}

/* ---- formats --------------------------------------------------------------------------------- */

#define DATE        "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
#define HOUR_MINUTE "([01][0-9]|2[0-3]):[0-5][0-9]"
#define TIME        HOUR_MINUTE ":[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]" HOUR_MINUTE ")"

/* RFC 3339 and RFC 4122; all other formats are annotations. */
static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"uuid", "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"},
};

static const char *format_pattern(const struct json *format)
{
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (json_is(format, formats[i].name))
            return formats[i].pattern;
    }
    return NULL;
}

/* ---- strings --------------------------------------------------------------------------------- */

static enum weir_status take_pattern(const struct schema *schema, const struct json *at,
                                     struct json_text text, const struct json **pattern_at,
                                     struct json_text *pattern, struct weir_error *err)
{
    const bool same = *pattern_at != NULL && pattern->length == text.length &&
                      memcmp(pattern->bytes, text.bytes, text.length) == 0;
    if (*pattern_at != NULL && !same)
        return schema_refuse(schema, WEIR_ERR_UNSUPPORTED, at, err,
                             "more than one pattern or format cannot be kept");
    *pattern_at = at;
    *pattern = text;
    return WEIR_OK;
}

static enum weir_status find_pattern(const struct schema *schema, const struct schema_list *list,
                                     const struct json **at, struct json_text *pattern,
                                     struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < list->count; i++) {
        const struct json *given = schema_get(&list->items[i], "pattern");
        const struct json *format = schema_get(&list->items[i], "format");
        const char *known = format_pattern(format);
        if (given != NULL && given->kind != JSON_STRING)
            return schema_refuse(schema, WEIR_ERR_ARGUMENT, given, err, "pattern is not a string");
        if (given != NULL)
            TRY(take_pattern(schema, given, given->text, at, pattern, err));
        if (known != NULL)
            TRY(take_pattern(schema, format, (struct json_text){known, strlen(known)}, at, pattern,
                             err));
    }
out:
    return status;
}

enum weir_status schema_read_limits(const struct schema *schema, const struct schema_list *list,
                                    struct schema_limits *limits, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    *limits = (struct schema_limits){.length.most = UINT32_MAX};
    for (uint64_t i = 0; i < list->count; i++)
        TRY(schema_narrow(schema, &list->items[i], "minLength", "maxLength", &limits->length, err));
    TRY(find_pattern(schema, list, &limits->pattern_at, &limits->pattern, err));
out:
    return status;
}

enum weir_status schema_emit_string(struct schema *schema, const struct schema_list *list,
                                    uint32_t from, uint32_t to, struct weir_error *err)
{
    struct schema_limits limits;
    uint32_t inside, end;
    enum weir_status status;
    TRY(schema_read_limits(schema, list, &limits, err));
    if (schema_is_nothing(schema, &limits.length, "characters"))
        return WEIR_OK;
    TRY(schema_check_counted(schema, &limits.length, LENGTH_MAX, "characters", err));
    if (limits.length.least == 0 && limits.length.most == UINT32_MAX && limits.pattern_at == NULL)
        return rules_call(&schema->builder, from, to, schema->string, err);
    inside = from;
    TRY(schema_put(schema, &inside, "\"", err));
    TRY(rules_node(&schema->builder, &end, err));
    if (limits.pattern_at != NULL)
        TRY(emit_pattern(schema, limits.pattern_at, limits.pattern, &limits.length, inside, end,
                         err));
    else
        TRY(emit_length(schema, &limits.length, inside, end, err));
    TRY(rules_bytes(&schema->builder, end, to, "\"", 1, err));
out:
    return status;
}
