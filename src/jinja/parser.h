/* SPDX-License-Identifier: MIT
 * What the parsers of statements and of expressions share. */
#ifndef JINJA_PARSER_H
#define JINJA_PARSER_H

#include "jinja/syntax.h"

/* Nesting of expressions and statements: bounds the recursion of parsing and of rendering. */
enum { PARSE_DEPTH_MAX = 200 };

struct parser {
    const struct source *source;
    struct arena *arena;
    struct lexer lexer;    /* behind `token` */
    struct lexeme token;   /* the next one */
    uint32_t depth, loops; /* that are open here */
    struct weir_error *err;
};

/* Nodes in their order. */
struct node_list {
    const struct node *first;
    struct node *last;
};

void node_list_add(struct node_list *list, struct node *node);

/* A node at the place of the next token. */
enum weir_status parser_node(struct parser *parser, enum node_kind kind, struct node **out);
/* Refuses what stands at the next token: "expected X, found Y". */
enum weir_status parser_expected(const struct parser *parser, const char *what);
enum weir_status parser_fail(const struct parser *parser, uint32_t at, enum weir_status status,
                             const char *format, ...) __attribute__((format(printf, 4, 5)));
/* One level deeper, or a refusal. The caller counts depth down. */
enum weir_status parser_enter(struct parser *parser);

enum weir_status parser_advance(struct parser *parser);
bool parser_at(const struct parser *parser, const char *text);
/* Takes the next token if it is `text`. */
enum weir_status parser_skip_if(struct parser *parser, const char *text, bool *taken);
enum weir_status parser_skip(struct parser *parser, const char *text);
enum weir_status parser_name(struct parser *parser, struct string *out);

/* An expression; with `conditional` false an "if" behind it is not its own. */
enum weir_status parse_expression(struct parser *parser, bool conditional, const struct node **out);
/* An expression, or a tuple without parentheses. */
enum weir_status parse_tuple(struct parser *parser, bool conditional, const struct node **out);
/* A name, an attribute of a name, or a tuple of names. */
enum weir_status parse_target(struct parser *parser, const struct node **out);
/* "NAME(...)|NAME...", for a filter block: a FILTER whose innermost value is none. */
enum weir_status parse_filters(struct parser *parser, const struct node **out);
/* "(a, b=c)" with names only: parameters of macros. */
enum weir_status parse_parameters(struct parser *parser, const struct node **out);

#endif
