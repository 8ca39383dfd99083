/* SPDX-License-Identifier: MIT
 * Limited texts: a pattern's graph, a count, and how much of the mark was read, walked at once.
 * Knows no JSON. */
#include "grammar/call_limited.h"

#include <string.h>

#include "base/mem.h"
#include "chat/marks.h"
#include "grammar/regex.h"

static const char mark[] = MARK_PARAMETER_END;
enum {
    MARK = sizeof mark - 1,
    BEGIN = MARK, /* beside bytes of the mark that were read: nothing was read at all */
    READS,        /* those, and the beginning */
    PLACES_MAX = 1 << 16,
    EXCEPT_MAX = 32, /* characters that lead elsewhere */
    ASCII = 128,
};

/* Nodes for each place of the graph, number of characters, and what was read last. Beyond what has
 * to be counted all numbers are one. */
struct product {
    struct regex regex;
    const struct schema_limits *limits;
    uint32_t counted; /* numbers told apart, without 0 */
    uint32_t *nodes;  /* [regex.nodes_count][counted + 1][READS] */
    uint32_t *rules;  /* [regex.sets_count][READS]: characters that begin no mark, or nothing */
    bool has_begin;   /* the first character is another matter */
    char except[READS][EXCEPT_MAX];
};

static uint32_t node_at(const struct product *product, uint32_t place, uint32_t count,
                        uint32_t read)
{
    return product->nodes[((size_t)place * (product->counted + 1) + count) * READS + read];
}

/* ---- sets ------------------------------------------------------------------------------------ */

/* Characters that do not lead back to where no mark has begun. */
static void list_exceptions(struct product *product, unsigned nots)
{
    static const char usual[] = "< \t\r\n", words[] = "ntf";
    for (uint32_t read = 0; read < MARK; read++) {
        product->except[read][0] = '<';
        product->except[read][1] = mark[read];
    }
    char *begin = product->except[BEGIN];
    size_t count = call_text_firsts(nots, begin);
    memcpy(begin + count, usual, sizeof usual);
    count += sizeof usual - 1;
    if ((nots & (CALL_TEXT_NOT_NULL | CALL_TEXT_NOT_BOOLEAN)) != 0)
        memcpy(begin + count, words, sizeof words);
}

static enum weir_status take_without(struct code_set *out, const struct code_set *set,
                                     const char *except, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < set->count; i++) {
        const struct code_range range = set->ranges[i];
        uint32_t first = range.first;
        for (uint32_t code = first; code < ASCII && code <= range.last; code++) {
            if (code == 0 || strchr(except, (int)code) == NULL)
                continue;
            if (code > first)
                TRY(code_set_add(out, first, code - 1, err));
            first = code + 1;
        }
        if (first <= range.last)
            TRY(code_set_add(out, first, range.last, err));
    }
out:
    return status;
}

static enum weir_status emit_set_rules(struct schema *schema, struct product *product,
                                       struct weir_error *err)
{
    struct code_set rest = {0};
    enum weir_status status = WEIR_OK;
    const uint32_t current = schema->builder.rule;
    for (uint64_t i = 0; i < product->regex.sets_count; i++) {
        for (uint32_t read = 0; read < READS; read++) {
            uint32_t *rule = &product->rules[i * READS + read];
            code_set_release(&rest);
            TRY(take_without(&rest, &product->regex.sets[i], product->except[read], err));
            TRY(rules_add(&schema->builder, "class", 5, rule, err));
            const struct rules_rule ends = schema->builder.rules[*rule];
            TRY(rules_set(&schema->builder, ends.start, ends.end, &rest, err));
        }
    }
out:
    schema->builder.rule = current;
    code_set_release(&rest);
    return status;
}

/* ---- edges ----------------------------------------------------------------------------------- */

/* An edge of the graph from one number of characters to another. */
static enum weir_status emit_reading(struct schema *schema, const struct product *product,
                                     const struct regex_edge *edge, uint32_t count, uint32_t next,
                                     struct weir_error *err)
{
    const struct code_set *set = &product->regex.sets[edge->set];
    struct rules_builder *builder = &schema->builder;
    enum weir_status status = WEIR_OK;
    for (uint32_t read = 0; read < READS; read++) {
        const uint32_t from = node_at(product, edge->from, count, read);
        const uint32_t rule = product->rules[(size_t)edge->set * READS + read];
        TRY(rules_call(builder, from, node_at(product, edge->to, next, 0), rule, err));
        if (code_set_has(set, '<'))
            TRY(rules_bytes(builder, from, node_at(product, edge->to, next, 1), "<", 1, err));
        const bool goes_on = read > 0 && read + 1 < MARK && code_set_has(set, (uint8_t)mark[read]);
        if (goes_on)
            TRY(rules_bytes(builder, from, node_at(product, edge->to, next, read + 1), &mark[read],
                            1, err));
    }
out:
    return status;
}

static enum weir_status emit_edge(struct schema *schema, const struct product *product,
                                  const struct regex_edge *edge, struct weir_error *err)
{
    const bool is_endless = product->limits->length.most == UINT32_MAX;
    enum weir_status status = WEIR_OK;
    for (uint32_t count = 0; count <= product->counted; count++) {
        if (edge->set == REGEX_FREE) {
            for (uint32_t read = 0; read < READS; read++)
                TRY(rules_free(&schema->builder, node_at(product, edge->from, count, read),
                               node_at(product, edge->to, count, read), err));
            continue;
        }
        if (count == product->counted && !is_endless)
            break;
        const uint32_t next = count < product->counted ? count + 1 : count;
        TRY(emit_reading(schema, product, edge, count, next, err));
    }
out:
    return status;
}

static enum weir_status emit_product(struct schema *schema, const struct product *product,
                                     uint64_t nodes, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    const struct regex *regex = &product->regex;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < nodes; i++)
        TRY(rules_node(&schema->builder, &product->nodes[i], err));
    const uint32_t begin = product->has_begin ? BEGIN : 0;
    TRY(rules_free(&schema->builder, from, node_at(product, regex->start, 0, begin), err));
    for (uint64_t i = 0; i < regex->edges_count; i++)
        TRY(emit_edge(schema, product, &regex->edges[i], err));
    for (uint32_t count = product->limits->length.least; count <= product->counted; count++) {
        for (uint32_t read = 0; read < READS; read++)
            TRY(rules_free(&schema->builder, node_at(product, regex->end, count, read), to, err));
    }
out:
    return status;
}

/* Without a pattern all characters follow one that says nothing. */
static enum weir_status read_pattern(struct schema *schema, const struct schema_limits *limits,
                                     struct regex *regex, struct weir_error *err)
{
    static const char any[] = "^[\\s\\S]*$";
    struct weir_error inner = {0};
    if (limits->pattern_at == NULL)
        return regex_read(regex, any, sizeof any - 1, err);
    const enum weir_status status =
        regex_read(regex, limits->pattern.bytes, limits->pattern.length, &inner);
    const uint64_t steps = limits->pattern.length + regex->nodes_count + regex->edges_count;
    if (schema_charge(schema, steps, err) != WEIR_OK)
        return WEIR_ERR_UNSUPPORTED;
    if (status != WEIR_OK)
        schema_refuse(schema, status, limits->pattern_at, err, "%.120s", inner.text);
    return status;
}

enum weir_status call_limited_emit(struct schema *schema, const struct schema_limits *limits,
                                   unsigned nots, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct product product = {
        .limits = limits,
        .counted = limits->length.most == UINT32_MAX ? limits->length.least : limits->length.most,
        .has_begin = nots != 0,
    };
    enum weir_status status;
    TRY(read_pattern(schema, limits, &product.regex, err));
    const uint64_t nodes = READS * (uint64_t)product.regex.nodes_count * (product.counted + 1ull);
    if (nodes > PLACES_MAX) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "schema: too many characters are counted");
        goto out;
    }
    list_exceptions(&product, nots);
    product.nodes = mem_alloc(nodes, sizeof *product.nodes, err);
    product.rules = mem_alloc(product.regex.sets_count * READS, sizeof *product.rules, err);
    if (product.nodes == NULL || product.rules == NULL)
        TRY(WEIR_ERR_MEMORY);
    TRY(emit_set_rules(schema, &product, err));
    TRY(emit_product(schema, &product, nodes, from, to, err));
out:
    mem_free(product.nodes);
    mem_free(product.rules);
    regex_release(&product.regex);
    return status;
}
