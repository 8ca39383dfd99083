/* SPDX-License-Identifier: MIT
 * Makes built rules ready: refuses rules that call themselves before they read anything, removes
 * what leads to no end, and lays out what is left. Knows no notation. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "grammar/rules.h"

/* Nodes and rules are found one from the other, so that all passes take time in proportion to the
 * edges. A call may wait for what is not known yet of the rule that it calls. */
struct analysis {
    const struct rules_builder *builder;
    uint32_t nodes_count, edges_count, rules_count;
    uint32_t *begins;         /* [nodes + 1]: where a node's edges begin */
    struct rules_edge *edges; /* by node */
    uint32_t *froms;          /* by edge: its node */
    uint32_t *arrivals;       /* [nodes + 1]: where those that come to a node begin in `arriving` */
    uint32_t *arriving;       /* edges, by the node where the text goes on behind them */
    uint32_t *starts, *ends;  /* by node: the rule that it is the start or end of */
    uint32_t *waiting;        /* by rule: the first edge that waits for it, and one */
    uint32_t *waiting_next;   /* by edge */
    bool *known;              /* by rule: what is waited for has come */
    bool *marked;             /* by node: is found */
    uint32_t *found;          /* [nodes]: those found, in order */
    uint32_t found_count;
    bool *useful;    /* by node: leads to the end of its rule */
    uint32_t *leads; /* by node: one that stands for it; RULES_NONE: not found yet */
};

static bool reads(const struct rules_edge *edge)
{
    return edge->first <= edge->last;
}

static bool is_call(const struct rules_edge *edge)
{
    return !reads(edge) && edge->push != RULES_NONE;
}

/* Where the text goes on behind the edge and what it calls. */
static uint32_t arrival(const struct rules_edge *edge)
{
    return edge->push != RULES_NONE ? edge->push : edge->target;
}

/* ---- graph ----------------------------------------------------------------------------------- */

static void release(struct analysis *a)
{
    mem_free(a->begins);
    mem_free(a->edges);
    mem_free(a->froms);
    mem_free(a->arrivals);
    mem_free(a->arriving);
    mem_free(a->starts);
    mem_free(a->ends);
    mem_free(a->waiting);
    mem_free(a->waiting_next);
    mem_free(a->known);
    mem_free(a->marked);
    mem_free(a->found);
    mem_free(a->useful);
    mem_free(a->leads);
}

static enum weir_status take_memory(struct analysis *a, struct weir_error *err)
{
    const uint64_t nodes = (uint64_t)a->nodes_count + 1, edges = a->edges_count;
    a->begins = mem_alloc(nodes, sizeof *a->begins, err);
    a->edges = mem_alloc(edges, sizeof *a->edges, err);
    a->froms = mem_alloc(edges, sizeof *a->froms, err);
    a->arrivals = mem_alloc(nodes, sizeof *a->arrivals, err);
    a->arriving = mem_alloc(edges, sizeof *a->arriving, err);
    a->starts = mem_alloc(nodes, sizeof *a->starts, err);
    a->ends = mem_alloc(nodes, sizeof *a->ends, err);
    a->waiting = mem_alloc(a->rules_count, sizeof *a->waiting, err);
    a->waiting_next = mem_alloc(edges, sizeof *a->waiting_next, err);
    a->known = mem_alloc(a->rules_count, sizeof *a->known, err);
    a->marked = mem_alloc(nodes, sizeof *a->marked, err);
    a->found = mem_alloc(nodes, sizeof *a->found, err);
    a->useful = mem_alloc(nodes, sizeof *a->useful, err);
    a->leads = mem_alloc(nodes, sizeof *a->leads, err);
    const bool taken = a->begins != NULL && a->edges != NULL && a->froms != NULL &&
                       a->arrivals != NULL && a->arriving != NULL && a->starts != NULL &&
                       a->ends != NULL && a->waiting != NULL && a->waiting_next != NULL &&
                       a->known != NULL && a->marked != NULL && a->found != NULL &&
                       a->useful != NULL && a->leads != NULL;
    return taken ? WEIR_OK : WEIR_ERR_MEMORY;
}

/* Counts in places[key] become where each key's items begin; places[count] the end of all. */
static void counts_to_places(uint32_t *places, uint32_t count)
{
    uint32_t place = 0;
    for (uint32_t i = 0; i <= count; i++) {
        const uint32_t here = places[i];
        places[i] = place;
        place += here;
    }
}

/* Each item was put at places[key]++: back to where they begin. */
static void places_back(uint32_t *places, uint32_t count)
{
    for (uint32_t i = count; i > 0; i--)
        places[i] = places[i - 1];
    places[0] = 0;
}

static void sort_edges(struct analysis *a)
{
    const struct rules_builder *builder = a->builder;
    for (uint32_t i = 0; i < a->edges_count; i++) {
        a->begins[builder->edges[i].from]++;
        a->arrivals[arrival(&builder->edges[i].edge)]++;
    }
    counts_to_places(a->begins, a->nodes_count);
    counts_to_places(a->arrivals, a->nodes_count);
    for (uint32_t i = 0; i < a->edges_count; i++) {
        const struct rules_built_edge *built = &builder->edges[i];
        const uint32_t place = a->begins[built->from]++;
        a->edges[place] = built->edge;
        a->froms[place] = built->from;
        a->arriving[a->arrivals[arrival(&built->edge)]++] = place;
    }
    places_back(a->begins, a->nodes_count);
    places_back(a->arrivals, a->nodes_count);
    for (uint32_t rule = 1; rule < a->rules_count; rule++) {
        a->starts[builder->rules[rule].start] = rule;
        a->ends[builder->rules[rule].end] = rule;
    }
}

/* ---- passes ---------------------------------------------------------------------------------- */

static void begin_pass(struct analysis *a)
{
    memset(a->known, 0, a->rules_count * sizeof *a->known);
    memset(a->waiting, 0, a->rules_count * sizeof *a->waiting);
    memset(a->marked, 0, a->nodes_count * sizeof *a->marked);
    a->found_count = 0;
}

static void find(struct analysis *a, uint32_t node)
{
    if (a->marked[node])
        return;
    a->marked[node] = true;
    a->found[a->found_count++] = node;
}

static void wait_for(struct analysis *a, uint32_t rule, uint32_t edge)
{
    a->waiting_next[edge] = a->waiting[rule];
    a->waiting[rule] = edge + 1;
}

/* What waited for the rule has its other end found: where it goes on, or where it comes from. */
static void make_known(struct analysis *a, uint32_t rule, bool forward)
{
    a->known[rule] = true;
    for (uint32_t next = a->waiting[rule]; next != 0; next = a->waiting_next[next - 1])
        find(a, forward ? a->edges[next - 1].push : a->froms[next - 1]);
}

/* Marks the nodes that are reached from their rule's start before anything is read; known are the
 * rules that may be empty. */
static void find_beginnings(struct analysis *a)
{
    begin_pass(a);
    for (uint32_t rule = 1; rule < a->rules_count; rule++)
        find(a, a->builder->rules[rule].start);
    for (uint32_t i = 0; i < a->found_count; i++) {
        const uint32_t node = a->found[i];
        if (a->ends[node] != RULES_NONE)
            make_known(a, a->ends[node], true);
        for (uint32_t e = a->begins[node]; e < a->begins[node + 1]; e++) {
            const struct rules_edge *edge = &a->edges[e];
            if (reads(edge))
                continue;
            const uint32_t rule = is_call(edge) ? a->starts[edge->target] : RULES_NONE;
            if (rule == RULES_NONE || a->known[rule])
                find(a, arrival(edge));
            else
                wait_for(a, rule, e);
        }
    }
}

/* Lists each rule's calls at its beginning in `waiting` and `waiting_next`, and counts who calls a
 * rule so. */
static void list_beginning_calls(struct analysis *a, uint32_t *callers)
{
    memset(a->waiting, 0, a->rules_count * sizeof *a->waiting);
    for (uint32_t e = 0; e < a->edges_count; e++) {
        const uint32_t node = a->froms[e];
        if (!is_call(&a->edges[e]) || !a->marked[node])
            continue;
        wait_for(a, a->builder->owners[node], e);
        callers[a->starts[a->edges[e].target]]++;
    }
}

/* Takes away the rules that no other calls at its beginning, and their calls, and so on. What is
 * left calls itself, or is called by what does. Returns how many are taken. */
static uint32_t take_away_rules(struct analysis *a, uint32_t *callers)
{
    uint32_t *order = a->found, taken = 0;
    for (uint32_t rule = 1; rule < a->rules_count; rule++) {
        if (callers[rule] == 0)
            order[taken++] = rule;
    }
    for (uint32_t i = 0; i < taken; i++) {
        for (uint32_t next = a->waiting[order[i]]; next != 0; next = a->waiting_next[next - 1]) {
            const uint32_t rule = a->starts[a->edges[next - 1].target];
            if (--callers[rule] == 0)
                order[taken++] = rule;
        }
    }
    return taken;
}

/* Behind find_beginnings. */
static enum weir_status refuse_left_recursion(struct analysis *a, struct weir_error *err)
{
    uint32_t *callers = mem_alloc(a->rules_count, sizeof *callers, err);
    if (callers == NULL)
        return WEIR_ERR_MEMORY;
    list_beginning_calls(a, callers);
    enum weir_status status = WEIR_OK;
    if (take_away_rules(a, callers) + 1 < a->rules_count) {
        uint32_t rule = 1;
        while (callers[rule] == 0)
            rule++;
        const struct rules_rule *left = &a->builder->rules[rule];
        status = err_set(err, WEIR_ERR_ARGUMENT,
                         "grammar: rule %.*s is left-recursive: it calls itself, or rules that do, "
                         "before it reads anything",
                         (int)left->name_length, left->name);
    }
    mem_free(callers);
    return status;
}

/* Marks the nodes from which the end of their rule can be reached; known are the rules that some
 * text belongs to. */
static void find_useful(struct analysis *a)
{
    begin_pass(a);
    for (uint32_t rule = 1; rule < a->rules_count; rule++)
        find(a, a->builder->rules[rule].end);
    if (a->builder->tail_end != RULES_NONE)
        find(a, a->builder->tail_end);
    for (uint32_t i = 0; i < a->found_count; i++) {
        const uint32_t node = a->found[i];
        if (a->starts[node] != RULES_NONE)
            make_known(a, a->starts[node], false);
        for (uint32_t at = a->arrivals[node]; at < a->arrivals[node + 1]; at++) {
            const uint32_t e = a->arriving[at];
            const uint32_t rule = is_call(&a->edges[e]) ? a->starts[a->edges[e].target] : 0;
            if (rule == RULES_NONE || a->known[rule])
                find(a, a->froms[e]);
            else
                wait_for(a, rule, e);
        }
    }
    memcpy(a->useful, a->marked, a->nodes_count * sizeof *a->useful);
}

/* ---- layout ---------------------------------------------------------------------------------- */

static bool is_kept(const struct analysis *a, const struct rules_edge *edge)
{
    return a->useful[edge->target] && a->useful[arrival(edge)];
}

/* A node that only leads on: what leads to it may lead there. */
static uint32_t skip_node(const struct analysis *a, uint32_t node)
{
    uint32_t only = RULES_NONE;
    if (a->ends[node] != RULES_NONE || node == a->builder->tail_end)
        return node;
    for (uint32_t e = a->begins[node]; e < a->begins[node + 1]; e++) {
        const struct rules_edge *edge = &a->edges[e];
        if (!is_kept(a, edge))
            continue;
        if (reads(edge) || is_call(edge) || only != RULES_NONE)
            return node;
        only = edge->target;
    }
    return only == RULES_NONE ? node : only;
}

static uint32_t lead(const struct analysis *a, uint32_t node)
{
    return a->leads[node] != RULES_NONE ? a->leads[node] : skip_node(a, node);
}

/* The node that stands for `node`. A chain may be as long as the notation, and many edges may lead
 * to it: so what was found is kept. A circle of nodes that only lead on leads to no end. */
static uint32_t resolve(struct analysis *a, uint32_t node)
{
    uint32_t last = node, next;
    for (next = lead(a, last); next != last; next = lead(a, last))
        last = next;
    for (; node != last; node = next) {
        next = lead(a, node);
        a->leads[node] = last;
    }
    a->leads[last] = last;
    return last;
}

/* Where the text goes on when the edge's call is over; nothing is kept for a place that does
 * nothing but end, so that rules that call themselves last use no memory for it. */
static uint32_t resolve_push(struct analysis *a, uint32_t push)
{
    if (push == RULES_NONE)
        return RULES_NONE;
    const uint32_t node = resolve(a, push);
    const bool only_ends = a->ends[node] != RULES_NONE && a->begins[node] == a->begins[node + 1];
    return only_ends ? RULES_NONE : node;
}

/* Renumbers: `marked` and `found` are those that the start leads to, `starts` their new numbers. */
static void find_reached(struct analysis *a, uint32_t start)
{
    begin_pass(a);
    find(a, start);
    for (uint32_t i = 0; i < a->found_count; i++) {
        const uint32_t node = a->found[i];
        for (uint32_t e = a->begins[node]; e < a->begins[node + 1]; e++) {
            struct rules_edge *edge = &a->edges[e];
            if (!is_kept(a, edge))
                continue;
            edge->push = resolve_push(a, edge->push);
            edge->target = resolve(a, edge->target);
            find(a, edge->target);
            if (edge->push != RULES_NONE)
                find(a, edge->push);
        }
    }
}

/* Lists the edges of the node that read, or those that do not. */
static uint32_t put_edges(const struct analysis *a, struct weir_grammar *grammar, uint32_t node,
                          const uint32_t *numbers, bool reading)
{
    const uint32_t before = grammar->edges_count;
    for (uint32_t e = a->begins[node]; e < a->begins[node + 1]; e++) {
        struct rules_edge edge = a->edges[e];
        if (!is_kept(a, &edge) || reads(&edge) != reading)
            continue;
        edge.target = numbers[edge.target];
        edge.push = edge.push == RULES_NONE ? RULES_NONE : numbers[edge.push];
        grammar->edges[grammar->edges_count++] = edge;
    }
    return grammar->edges_count - before;
}

/* Two newlines, of which each may be missing, before the start. */
static void put_newlines(struct weir_grammar *grammar)
{
    uint32_t next = grammar->start;
    for (int i = 0; i < 2; i++) {
        const uint32_t node = grammar->nodes_count++;
        grammar->nodes[node] =
            (struct rules_node){.edges = grammar->edges_count, .symbols_count = 1, .free_count = 1};
        grammar->edges[grammar->edges_count++] =
            (struct rules_edge){.target = next, .first = '\n', .last = '\n'};
        grammar->edges[grammar->edges_count++] =
            (struct rules_edge){.target = grammar->start, .first = 1};
        next = node;
    }
    grammar->start_behind = next;
}

static int compare_edges(const void *a_pointer, const void *b_pointer)
{
    const struct rules_edge *a = a_pointer, *b = b_pointer;
    const int order = (a->first > b->first) - (a->first < b->first);
    return order != 0 ? order : (a->last > b->last) - (a->last < b->last);
}

static bool is_ordered(const struct rules_edge *edges, uint32_t count)
{
    uint32_t i = 1;
    while (i < count && edges[i].first >= edges[i - 1].first && edges[i].last >= edges[i - 1].last)
        i++;
    return i >= count;
}

/* Puts the edges that read in order, so that those of a symbol can be found among many: a class may
 * have any number of them. */
static void order_edges(struct weir_grammar *grammar, struct rules_node *node)
{
    struct rules_edge *edges = grammar->edges + node->edges;
    node->is_ordered = is_ordered(edges, node->symbols_count);
    if (node->is_ordered)
        return;
    qsort(edges, node->symbols_count, sizeof *edges, compare_edges);
    node->is_ordered = is_ordered(edges, node->symbols_count);
}

static enum weir_status lay_out(struct analysis *a, struct weir_grammar *grammar, uint32_t start,
                                struct weir_error *err)
{
    enum { NEWLINE_NODES = 2, NEWLINE_EDGES = 4 };
    find_reached(a, resolve(a, start));
    grammar->nodes =
        mem_alloc((uint64_t)a->found_count + 1 + NEWLINE_NODES, sizeof *grammar->nodes, err);
    grammar->edges =
        mem_alloc((uint64_t)a->edges_count + NEWLINE_EDGES, sizeof *grammar->edges, err);
    if (grammar->nodes == NULL || grammar->edges == NULL)
        return WEIR_ERR_MEMORY;
    uint32_t *numbers = a->starts;
    for (uint32_t i = 0; i < a->found_count; i++)
        numbers[a->found[i]] = i + 1;
    for (uint32_t i = 0; i < a->found_count; i++) {
        const uint32_t old = a->found[i];
        struct rules_node *node = &grammar->nodes[i + 1];
        node->ends = a->ends[old] != RULES_NONE || old == a->builder->tail_end;
        node->edges = grammar->edges_count;
        node->symbols_count = put_edges(a, grammar, old, numbers, true);
        order_edges(grammar, node);
        node->free_count = put_edges(a, grammar, old, numbers, false);
    }
    grammar->nodes_count = a->found_count + 1;
    grammar->start = 1;
    put_newlines(grammar);
    return WEIR_OK;
}

/* Symbols between whose numbers no edge begins or ends are one class. */
static void find_classes(struct weir_grammar *grammar)
{
    enum { SYMBOLS = RULES_SYMBOL_TOKEN + RULES_TOKENS_MAX };
    bool begins[SYMBOLS + 1] = {true};
    for (uint32_t e = 0; e < grammar->edges_count; e++) {
        if (reads(&grammar->edges[e])) {
            begins[grammar->edges[e].first] = true;
            begins[grammar->edges[e].last + 1] = true;
        }
    }
    uint32_t class = 0;
    for (uint32_t symbol = 0; symbol < SYMBOLS; symbol++) {
        class += symbol > 0 && begins[symbol];
        grammar->classes[symbol] = (uint16_t) class;
    }
    grammar->classes_count = class + 1;
}

static enum weir_status analyse(struct analysis *a, struct weir_grammar *grammar, uint32_t root,
                                struct weir_error *err)
{
    enum weir_status status;
    TRY(take_memory(a, err));
    sort_edges(a);
    find_beginnings(a);
    TRY(refuse_left_recursion(a, err));
    find_useful(a);
    if (!a->useful[a->builder->rules[root].start])
        return err_set(err, WEIR_ERR_ARGUMENT, "grammar: no text is ever complete");
    TRY(lay_out(a, grammar, a->builder->rules[root].start, err));
    find_classes(grammar);
out:
    return status;
}

enum weir_status rules_finish(struct weir_grammar **out, struct rules_builder *builder,
                              uint32_t root, struct weir_error *err)
{
    *out = NULL;
    struct analysis analysis = {.builder = builder,
                                .nodes_count = (uint32_t)builder->nodes_count,
                                .edges_count = (uint32_t)builder->edges_count,
                                .rules_count = (uint32_t)builder->rules_count};
    struct weir_grammar *grammar = mem_alloc(1, sizeof *grammar, err);
    if (grammar == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status = analyse(&analysis, grammar, root, err);
    release(&analysis);
    if (status != WEIR_OK) {
        weir_grammar_close(grammar);
        return status;
    }
    grammar->tokens = builder->tokens;
    grammar->tokens_count = (uint32_t)builder->tokens_count;
    builder->tokens = NULL;
    builder->tokens_count = builder->tokens_capacity = 0;
    *out = grammar;
    return WEIR_OK;
}

void weir_grammar_close(struct weir_grammar *grammar)
{
    if (grammar == NULL)
        return;
    for (uint32_t i = 0; i < grammar->tokens_count; i++)
        mem_free(grammar->tokens[i].text);
    mem_free(grammar->tokens);
    mem_free(grammar->nodes);
    mem_free(grammar->edges);
    mem_free(grammar);
}
