/* SPDX-License-Identifier: MIT
 * A parsed template: nodes in an arena, which nothing changes afterwards. */
#ifndef JINJA_SYNTAX_H
#define JINJA_SYNTAX_H

#include "jinja/arena.h"
#include "jinja/lexer.h"
#include "jinja/value.h"

/* What the fields of a node hold, by its kind. "list" is a node whose brothers follow by `next`;
 * any part may be NULL where it says "or none". */
enum node_kind {
    /* expressions */
    NODE_CONSTANT,  /* value */
    NODE_NAME,      /* text */
    NODE_LIST,      /* a: list of items */
    NODE_TUPLE,     /* a: list of items */
    NODE_DICT,      /* a: list of keys and values in turn */
    NODE_ATTRIBUTE, /* a: object; text */
    NODE_SUBSCRIPT, /* a: object; b: key */
    NODE_SLICE,     /* a: object; b, c, d: from, to, step, or none */
    NODE_CALL,      /* a: what is called; b: list of arguments, or none */
    NODE_FILTER,    /* a: the value, none in a filter block; b: list of arguments; builtin */
    NODE_TEST,      /* the same */
    NODE_ARGUMENT,  /* a: the value; text: its name, empty if it has a place */
    NODE_UNARY,     /* a; operation */
    NODE_BINARY,    /* a, b; operation */
    NODE_COMPARE,   /* a: the first; b: list of COMPARED */
    NODE_COMPARED,  /* a; operation */
    NODE_AND,       /* a, b */
    NODE_OR,        /* a, b */
    NODE_IF_ELSE,   /* a: condition; b: then; c: else, or none */
    /* statements */
    NODE_TEXT,      /* value */
    NODE_PRINT,     /* a */
    NODE_IF,        /* a: condition; b: body; c: the else branch: a list of statements, or none */
    NODE_FOR,       /* a: target; b: what is gone through; c: body; d: condition or none; e: else */
    NODE_SET,       /* a: target; b: value */
    NODE_SET_BLOCK, /* a: target; b: FILTER or none; c: body */
    NODE_MACRO,     /* text: name; a: list of PARAMETER; c: body */
    NODE_PARAMETER, /* text: name; a: default or none */
    NODE_CALL_BLOCK,   /* a: CALL; b: the MACRO that caller() is */
    NODE_FILTER_BLOCK, /* b: FILTER; c: body */
    NODE_WITH,         /* a: list of SET; c: body */
    NODE_SCOPE,        /* c: body that is printed as it is, as that of generation */
    NODE_BREAK,
    NODE_CONTINUE,
};

enum operation {
    OPERATION_ADD,
    OPERATION_SUBTRACT,
    OPERATION_MULTIPLY,
    OPERATION_DIVIDE,
    OPERATION_FLOOR,
    OPERATION_MODULO,
    OPERATION_POWER,
    OPERATION_CONCATENATE,
    OPERATION_EQUAL,
    OPERATION_NOT_EQUAL,
    OPERATION_LESS,
    OPERATION_LESS_EQUAL,
    OPERATION_GREATER,
    OPERATION_GREATER_EQUAL,
    OPERATION_IN,
    OPERATION_NOT_IN,
    OPERATION_NEGATE,
    OPERATION_PLUS,
    OPERATION_NOT,
};

struct node {
    enum node_kind kind;
    enum operation operation;
    uint32_t at; /* in the source, for errors */
    const struct node *next;
    const struct node *a, *b, *c, *d, *e;
    struct string text;
    struct value value;
    const struct builtin *builtin;
};

/* Parses to a list of statements, NULL if there are none. The nodes lie in `arena` and borrow the
 * source. */
enum weir_status parse_template(const struct source *source, struct arena *arena,
                                const struct node **out, struct weir_error *err);

#endif
