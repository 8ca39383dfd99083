/* SPDX-License-Identifier: MIT
 * Regular expressions as grammars: the graph of one becomes a rule. Knows nothing of JSON. */
#include "base/mem.h"
#include "grammar/regex.h"

/* What a graph is put together of: the node of each of its nodes, a rule for each of its sets. */
struct parts {
    uint32_t *nodes, *rules;
};

/* Sets are rules of their own: one may be on thousands of edges. */
static enum weir_status add_sets(struct rules_builder *builder, const struct regex *regex,
                                 struct parts *parts, struct weir_error *err)
{
    static const char name[] = "set";
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < regex->sets_count; i++) {
        TRY(rules_add(builder, name, sizeof name - 1, &parts->rules[i], err));
        const struct rules_rule rule = builder->rules[parts->rules[i]];
        TRY(rules_set(builder, rule.start, rule.end, &regex->sets[i], err));
    }
out:
    return status;
}

static enum weir_status add_graph(struct rules_builder *builder, const struct regex *regex,
                                  struct parts *parts, uint32_t *root, struct weir_error *err)
{
    static const char name[] = "pattern";
    enum weir_status status;
    TRY(rules_add(builder, name, sizeof name - 1, root, err));
    const struct rules_rule rule = builder->rules[*root];
    for (uint32_t i = 0; i < regex->nodes_count; i++)
        TRY(rules_node(builder, &parts->nodes[i], err));
    TRY(rules_free(builder, rule.start, parts->nodes[regex->start], err));
    TRY(rules_free(builder, parts->nodes[regex->end], rule.end, err));
    for (uint64_t i = 0; i < regex->edges_count; i++) {
        const struct regex_edge edge = regex->edges[i];
        const uint32_t from = parts->nodes[edge.from], to = parts->nodes[edge.to];
        if (edge.set == REGEX_FREE)
            TRY(rules_free(builder, from, to, err));
        else
            TRY(rules_call(builder, from, to, parts->rules[edge.set], err));
    }
out:
    return status;
}

enum weir_status weir_grammar_open_pattern(struct weir_grammar **out, const char *pattern,
                                           size_t length, struct weir_error *err)
{
    struct regex regex = {0};
    struct rules_builder builder = {0};
    struct parts parts = {0};
    uint32_t root;
    enum weir_status status;
    *out = NULL;
    TRY(regex_read_whole(&regex, pattern, length, err));
    parts.nodes = mem_alloc(regex.nodes_count, sizeof *parts.nodes, err);
    parts.rules = mem_alloc(regex.sets_count, sizeof *parts.rules, err);
    if (parts.nodes == NULL || parts.rules == NULL)
        TRY(WEIR_ERR_MEMORY);
    TRY(add_sets(&builder, &regex, &parts, err));
    TRY(add_graph(&builder, &regex, &parts, &root, err));
    TRY(rules_finish(out, &builder, root, err));
out:
    mem_free(parts.rules);
    mem_free(parts.nodes);
    rules_release(&builder);
    regex_release(&regex);
    return status;
}
