/* SPDX-License-Identifier: MIT
 * Rules in flat form: a graph of nodes whose edges read bytes or call other rules. Owns how rules
 * are built and made ready; knows neither the notation they came from nor tokens.
 *
 * A text belongs to a rule if its bytes lead from the rule's start to its end. An edge may push a
 * node: the text goes on there when the end of what the edge leads to is reached. So a call of a
 * rule is an edge that reads nothing, leads to the rule's start and pushes where to go on; and a
 * character of several bytes is an edge that reads its first byte, leads to nodes that read the
 * others, which all characters share, and pushes likewise. */
#ifndef GRAMMAR_RULES_H
#define GRAMMAR_RULES_H

#include "base/err.h"

enum {
    RULES_SYMBOL_TOKEN = 256,  /* symbols from here on are terminals that are tokens, not bytes */
    RULES_TOKENS_MAX = 256,    /* such terminals of a grammar */
    RULES_NODES_MAX = 1 << 19, /* more than any grammar in use; with their edges some 20 MB */
    RULES_REPEAT_MAX = 2000,   /* llama.cpp's limit */
};
#define RULES_NONE 0u /* no node, no rule: both count from 1 */

/* Reads a symbol of [first, last], or nothing if last < first. */
struct rules_edge {
    uint32_t target;
    uint32_t push; /* or RULES_NONE */
    uint16_t first, last;
};

struct rules_node {
    uint32_t edges;         /* index of the first; those that read a symbol come first */
    uint32_t symbols_count; /* edges that read */
    uint32_t free_count;    /* edges that do not */
    bool ends;
    bool is_ordered; /* first and last symbol of those that read ascend from edge to edge */
};

/* A terminal that is a token: by its id, or by its text if that is not NULL. */
struct rules_token {
    char *text;
    size_t length;
    int32_t id;
    bool negated;
};

/* Made ready: every node leads to an end, and no rule calls itself before it reads. */
struct weir_grammar {
    struct rules_node *nodes; /* [nodes_count]; 0 is none */
    struct rules_edge *edges;
    struct rules_token *tokens;
    uint32_t nodes_count, edges_count, tokens_count;
    uint32_t start;
    uint32_t start_behind; /* the same behind at most two newlines */
    uint32_t classes_count;
    uint16_t classes[RULES_SYMBOL_TOKEN + RULES_TOKENS_MAX]; /* symbols that no edge tells apart */
};

/* ---- building -------------------------------------------------------------------------------- */

struct rules_built_edge {
    uint32_t from;
    struct rules_edge edge;
};

struct rules_rule {
    uint32_t start, end;
    const char *name; /* for messages; borrowed, need not be terminated */
    size_t name_length;
};

/* The last bytes of characters of several bytes. */
struct rules_tail {
    uint8_t first[3], last[3];
    uint32_t length;
    uint32_t node;
};

enum { RULES_TAILS = 64 };

/* Set to zero to begin. A failed call leaves it to rules_release. */
struct rules_builder {
    struct rules_built_edge *edges;
    uint32_t *owners; /* by node: its rule */
    struct rules_rule *rules;
    struct rules_token *tokens;
    uint64_t edges_count, edges_capacity;
    uint64_t nodes_count, owners_capacity;
    uint64_t rules_count, rules_capacity;
    uint64_t tokens_count, tokens_capacity;
    uint32_t rule;                        /* that new nodes belong to */
    uint32_t tail_end;                    /* RULES_NONE: not made yet */
    struct rules_tail tails[RULES_TAILS]; /* the latest */
    uint32_t tails_next;
};

void rules_release(struct rules_builder *builder);

/* What was built so far; and back to that. Tokens stay. */
struct rules_mark {
    uint64_t edges_count, nodes_count, rules_count;
};
struct rules_mark rules_marked(const struct rules_builder *builder);
void rules_back(struct rules_builder *builder, const struct rules_mark *mark);

/* A rule with a start and an end and nothing between them. New nodes belong to it. The name is
 * borrowed. */
enum weir_status rules_add(struct rules_builder *builder, const char *name, size_t name_length,
                           uint32_t *rule, struct weir_error *err);
enum weir_status rules_node(struct rules_builder *builder, uint32_t *node, struct weir_error *err);

/* Each adds paths from one node to another. None adds an edge into `from` or out of `to`, so that
 * what lies between two nodes can be put together of parts. */
enum weir_status rules_free(struct rules_builder *builder, uint32_t from, uint32_t to,
                            struct weir_error *err);
enum weir_status rules_call(struct rules_builder *builder, uint32_t from, uint32_t to,
                            uint32_t rule, struct weir_error *err);
enum weir_status rules_bytes(struct rules_builder *builder, uint32_t from, uint32_t to,
                             const char *text, size_t length, struct weir_error *err);
/* Takes a copy of the terminal's text. */
enum weir_status rules_token(struct rules_builder *builder, uint32_t from, uint32_t to,
                             const struct rules_token *token, struct weir_error *err);

/* Code points. */
struct code_range {
    uint32_t first, last;
};

enum weir_status rules_range(struct rules_builder *builder, uint32_t from, uint32_t to,
                             struct code_range range, struct weir_error *err);

/* Makes a grammar that begins with the rule `root`. WEIR_ERR_ARGUMENT if a rule calls itself before
 * it reads anything, or if no text is complete. */
enum weir_status rules_finish(struct weir_grammar **out, struct rules_builder *builder,
                              uint32_t root, struct weir_error *err);

#endif
