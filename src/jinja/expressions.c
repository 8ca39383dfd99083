/* SPDX-License-Identifier: MIT
 * Parses expressions, loosest first. Knows nothing of statements. */
#include "jinja/parser.h"

#include <string.h>

#include "jinja/builtin.h"
#include "jinja/literals.h"

/* ---- arguments ------------------------------------------------------------------------------- */

static bool at_keyword(const struct parser *parser)
{
    struct lexer ahead = parser->lexer;
    struct lexeme behind;
    return parser->token.kind == LEX_NAME && lexer_next(&ahead, &behind, NULL) == WEIR_OK &&
           lexeme_is(parser->source, &behind, "=");
}

static enum weir_status parse_argument(struct parser *parser, struct node_list *list)
{
    struct node *argument;
    enum weir_status status;
    if (parser_at(parser, "*") || parser_at(parser, "**"))
        return parser_fail(parser, parser->token.at, WEIR_ERR_UNSUPPORTED,
                           "arguments with stars are not supported");
    TRY(parser_node(parser, NODE_ARGUMENT, &argument));
    if (at_keyword(parser)) {
        TRY(parser_name(parser, &argument->text));
        TRY(parser_advance(parser));
    } else if (list->last != NULL && list->last->text.length > 0) {
        TRY(parser_expected(parser, "an argument with a name"));
    }
    TRY(parse_expression(parser, true, &argument->a));
    node_list_add(list, argument);
out:
    return status;
}

static enum weir_status parse_arguments(struct parser *parser, const struct node **out)
{
    struct node_list list = {0};
    enum weir_status status;
    TRY(parser_skip(parser, "("));
    while (!parser_at(parser, ")")) {
        if (list.first != NULL)
            TRY(parser_skip(parser, ","));
        if (parser_at(parser, ")"))
            break;
        TRY(parse_argument(parser, &list));
    }
    TRY(parser_advance(parser));
    *out = list.first;
out:
    return status;
}

enum weir_status parse_parameters(struct parser *parser, const struct node **out)
{
    struct node_list list = {0};
    enum weir_status status;
    TRY(parser_skip(parser, "("));
    while (!parser_at(parser, ")")) {
        struct node *parameter;
        bool taken;
        if (list.first != NULL)
            TRY(parser_skip(parser, ","));
        TRY(parser_node(parser, NODE_PARAMETER, &parameter));
        TRY(parser_name(parser, &parameter->text));
        TRY(parser_skip_if(parser, "=", &taken));
        if (taken)
            TRY(parse_expression(parser, true, &parameter->a));
        node_list_add(&list, parameter);
    }
    TRY(parser_advance(parser));
    *out = list.first;
out:
    return status;
}

/* ---- primaries ------------------------------------------------------------------------------- */

static const struct constant {
    const char *name;
    enum value_kind kind;
    bool truth;
} constants[] = {
    {"true", VALUE_BOOLEAN, true},   {"True", VALUE_BOOLEAN, true}, {"false", VALUE_BOOLEAN, false},
    {"False", VALUE_BOOLEAN, false}, {"none", VALUE_NONE, false},   {"None", VALUE_NONE, false},
};

static enum weir_status parse_name(struct parser *parser, struct node *node)
{
    node->kind = NODE_NAME;
    for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
        if (!parser_at(parser, constants[i].name))
            continue;
        node->kind = NODE_CONSTANT;
        node->value = (struct value){.kind = constants[i].kind, .truth = constants[i].truth};
    }
    return parser_name(parser, &node->text);
}

/* Items up to `end`, whose opening is taken. */
static enum weir_status parse_items(struct parser *parser, const char *end, bool *has_comma,
                                    const struct node **out)
{
    struct node_list list = {0};
    enum weir_status status = WEIR_OK;
    *has_comma = false;
    while (!parser_at(parser, end)) {
        if (list.first != NULL) {
            TRY(parser_skip(parser, ","));
            *has_comma = true;
        }
        if (parser_at(parser, end))
            break;
        const struct node *item;
        struct node *place;
        TRY(parser_node(parser, NODE_ARGUMENT, &place));
        TRY(parse_expression(parser, true, &item));
        place->a = item;
        node_list_add(&list, place);
    }
    TRY(parser_advance(parser));
    *out = list.first;
out:
    return status;
}

/* "(" is taken: an expression, or a tuple. */
static enum weir_status parse_parenthesis(struct parser *parser, struct node *node,
                                          const struct node **out)
{
    bool is_tuple;
    enum weir_status status;
    TRY(parse_items(parser, ")", &is_tuple, &node->a));
    node->kind = NODE_TUPLE;
    *out = node->a != NULL && !is_tuple ? node->a->a : node;
out:
    return status;
}

/* "{" is taken. */
static enum weir_status parse_dict(struct parser *parser, struct node *node)
{
    struct node_list list = {0};
    enum weir_status status = WEIR_OK;
    node->kind = NODE_DICT;
    while (!parser_at(parser, "}")) {
        if (list.first != NULL)
            TRY(parser_skip(parser, ","));
        if (parser_at(parser, "}"))
            break;
        struct node *key, *value;
        TRY(parser_node(parser, NODE_ARGUMENT, &key));
        TRY(parse_expression(parser, true, &key->a));
        TRY(parser_skip(parser, ":"));
        TRY(parser_node(parser, NODE_ARGUMENT, &value));
        TRY(parse_expression(parser, true, &value->a));
        node_list_add(&list, key);
        node_list_add(&list, value);
    }
    TRY(parser_advance(parser));
    node->a = list.first;
out:
    return status;
}

static enum weir_status parse_primary(struct parser *parser, const struct node **out)
{
    struct node *node;
    bool taken;
    enum weir_status status;
    TRY(parser_node(parser, NODE_CONSTANT, &node));
    *out = node;
    switch (parser->token.kind) {
    case LEX_NAME: TRY(parse_name(parser, node)); goto out;
    case LEX_INTEGER:
    case LEX_FLOAT:
    case LEX_STRING: TRY(parse_literal(parser, &node->value)); goto out;
    case LEX_SYMBOL:
    case LEX_END:
    case LEX_TEXT:
    case LEX_PRINT_BEGIN:
    case LEX_PRINT_END:
    case LEX_TAG_BEGIN:
    case LEX_TAG_END: break;
    }
    TRY(parser_skip_if(parser, "(", &taken));
    if (taken) {
        TRY(parse_parenthesis(parser, node, out));
        goto out;
    }
    TRY(parser_skip_if(parser, "[", &taken));
    if (taken) {
        node->kind = NODE_LIST;
        TRY(parse_items(parser, "]", &taken, &node->a));
        goto out;
    }
    TRY(parser_skip_if(parser, "{", &taken));
    if (!taken)
        TRY(parser_expected(parser, "an expression"));
    TRY(parse_dict(parser, node));
out:
    return status;
}

/* ---- what stands behind ---------------------------------------------------------------------- */

static enum weir_status parse_attribute(struct parser *parser, struct node *node)
{
    enum weir_status status;
    TRY(parser_advance(parser));
    if (parser->token.kind == LEX_INTEGER) {
        struct node *index;
        TRY(parser_node(parser, NODE_CONSTANT, &index));
        TRY(parse_literal(parser, &index->value));
        node->kind = NODE_SUBSCRIPT;
        node->b = index;
        goto out;
    }
    node->kind = NODE_ATTRIBUTE;
    TRY(parser_name(parser, &node->text));
out:
    return status;
}

/* A part of a slice, if there is one. */
static enum weir_status parse_bound(struct parser *parser, const struct node **out)
{
    *out = NULL;
    if (parser_at(parser, ":") || parser_at(parser, "]"))
        return WEIR_OK;
    return parse_expression(parser, true, out);
}

static enum weir_status parse_subscript(struct parser *parser, struct node *node)
{
    bool taken;
    enum weir_status status;
    node->kind = NODE_SUBSCRIPT;
    TRY(parser_advance(parser));
    TRY(parse_bound(parser, &node->b));
    if (node->b == NULL && parser_at(parser, "]"))
        TRY(parser_expected(parser, "a key"));
    TRY(parser_skip_if(parser, ":", &taken));
    if (taken) {
        node->kind = NODE_SLICE;
        TRY(parse_bound(parser, &node->c));
        TRY(parser_skip_if(parser, ":", &taken));
        if (taken)
            TRY(parse_bound(parser, &node->d));
    }
    TRY(parser_skip(parser, "]"));
out:
    return status;
}

static enum weir_status parse_call(struct parser *parser, struct node *node)
{
    node->kind = NODE_CALL;
    return parse_arguments(parser, &node->b);
}

static enum weir_status unknown(const struct parser *parser, const char *what, uint32_t at,
                                struct string name)
{
    return parser_fail(parser, at, WEIR_ERR_UNSUPPORTED, "the %s '%.*s' is not known here", what,
                       (int)(name.length < 40 ? name.length : 40), name.bytes);
}

/* Behind "|". */
static enum weir_status parse_filter(struct parser *parser, struct node *node)
{
    const uint32_t at = parser->token.at;
    struct string name;
    enum weir_status status;
    node->kind = NODE_FILTER;
    TRY(parser_name(parser, &name));
    node->builtin = builtin_filter(name);
    if (node->builtin == NULL)
        TRY(unknown(parser, "filter", at, name));
    if (parser_at(parser, "("))
        TRY(parse_arguments(parser, &node->b));
out:
    return status;
}

static enum weir_status parse_behind(struct parser *parser, const struct node **node);

/* The argument of a test without parentheses: "is divisibleby 3". */
static enum weir_status parse_test_argument(struct parser *parser, const struct node **out)
{
    struct node *argument;
    enum weir_status status;
    TRY(parser_node(parser, NODE_ARGUMENT, &argument));
    TRY(parse_primary(parser, &argument->a));
    TRY(parse_behind(parser, &argument->a));
    *out = argument;
out:
    return status;
}

/* Behind "is". */
static enum weir_status parse_test(struct parser *parser, struct node *node,
                                   const struct node **out)
{
    struct string name;
    bool is_not;
    uint32_t at;
    enum weir_status status;
    node->kind = NODE_TEST;
    TRY(parser_skip_if(parser, "not", &is_not));
    at = parser->token.at;
    TRY(parser_name(parser, &name));
    node->builtin = builtin_test(name);
    if (node->builtin == NULL)
        TRY(unknown(parser, "test", at, name));
    if (parser_at(parser, "("))
        TRY(parse_arguments(parser, &node->b));
    else if (node->builtin->required > 0)
        TRY(parse_test_argument(parser, &node->b));
    *out = node;
    if (is_not) {
        struct node *negation;
        TRY(parser_node(parser, NODE_UNARY, &negation));
        negation->operation = OPERATION_NOT;
        negation->a = node;
        *out = negation;
    }
out:
    return status;
}

/* Attributes, subscripts and calls. */
static enum weir_status parse_behind(struct parser *parser, const struct node **node)
{
    static const struct {
        const char *symbol;
        enum weir_status (*parse)(struct parser *parser, struct node *node);
    } forms[] = {{".", parse_attribute}, {"[", parse_subscript}, {"(", parse_call}};
    enum weir_status status = WEIR_OK;
    for (bool found = true; found;) {
        found = false;
        for (size_t i = 0; i < sizeof forms / sizeof forms[0] && !found; i++) {
            struct node *outer;
            if (!parser_at(parser, forms[i].symbol))
                continue;
            TRY(parser_node(parser, NODE_CALL, &outer));
            outer->a = *node;
            TRY(forms[i].parse(parser, outer));
            *node = outer;
            found = true;
        }
    }
out:
    return status;
}

/* Filters, tests, and calls of what they give. */
static enum weir_status parse_filters_behind(struct parser *parser, const struct node **node)
{
    enum weir_status status = WEIR_OK;
    for (;;) {
        const bool is_filter = parser_at(parser, "|"), is_test = parser_at(parser, "is");
        struct node *outer;
        if (!is_filter && !is_test && !parser_at(parser, "("))
            break;
        TRY(parser_node(parser, NODE_CALL, &outer));
        outer->a = *node;
        if (is_filter || is_test)
            TRY(parser_advance(parser));
        *node = outer;
        if (is_filter)
            TRY(parse_filter(parser, outer));
        else if (is_test)
            TRY(parse_test(parser, outer, node));
        else
            TRY(parse_call(parser, outer));
    }
out:
    return status;
}

enum weir_status parse_filters(struct parser *parser, const struct node **out)
{
    struct node *node;
    enum weir_status status;
    TRY(parser_node(parser, NODE_FILTER, &node));
    TRY(parse_filter(parser, node));
    *out = node;
    TRY(parse_filters_behind(parser, out));
    if ((*out)->kind != NODE_FILTER)
        TRY(parser_expected(parser, "a filter"));
out:
    return status;
}

/* ---- operators ------------------------------------------------------------------------------- */

static enum weir_status parse_unary(struct parser *parser, bool filters, const struct node **out)
{
    const bool is_minus = parser_at(parser, "-"), is_plus = parser_at(parser, "+");
    struct node *node;
    enum weir_status status;
    TRY(parser_enter(parser));
    if (is_minus || is_plus) {
        TRY(parser_node(parser, NODE_UNARY, &node));
        node->operation = is_minus ? OPERATION_NEGATE : OPERATION_PLUS;
        TRY(parser_advance(parser));
        TRY(parse_unary(parser, false, &node->a));
        *out = node;
    } else {
        TRY(parse_primary(parser, out));
    }
    TRY(parse_behind(parser, out));
    if (filters)
        TRY(parse_filters_behind(parser, out));
    parser->depth--;
out:
    return status;
}

/* Operators of two operands that group to the left, by how tightly they bind. */
enum { LEVELS = 4, LEVEL_SYMBOLS = 4 };

static const struct {
    const char *symbol;
    enum operation operation;
} levels[LEVELS][LEVEL_SYMBOLS] = {
    {{"+", OPERATION_ADD}, {"-", OPERATION_SUBTRACT}},
    {{"~", OPERATION_CONCATENATE}},
    {{"*", OPERATION_MULTIPLY},
     {"/", OPERATION_DIVIDE},
     {"//", OPERATION_FLOOR},
     {"%", OPERATION_MODULO}},
    {{"**", OPERATION_POWER}},
};

/* The row of the next token in a level; -1: none. */
static int find_operator(const struct parser *parser, int level)
{
    for (int i = 0; i < LEVEL_SYMBOLS && levels[level][i].symbol != NULL; i++) {
        if (parser_at(parser, levels[level][i].symbol))
            return i;
    }
    return -1;
}

static enum weir_status parse_level(struct parser *parser, int level, const struct node **out)
{
    enum weir_status status;
    if (level == LEVELS)
        return parse_unary(parser, true, out);
    TRY(parse_level(parser, level + 1, out));
    for (int row = find_operator(parser, level); row >= 0; row = find_operator(parser, level)) {
        struct node *node;
        TRY(parser_node(parser, NODE_BINARY, &node));
        node->operation = levels[level][row].operation;
        node->a = *out;
        TRY(parser_advance(parser));
        TRY(parse_level(parser, level + 1, &node->b));
        *out = node;
    }
out:
    return status;
}

static const struct {
    const char *symbol;
    enum operation operation;
} comparisons[] = {
    {"==", OPERATION_EQUAL},      {"!=", OPERATION_NOT_EQUAL}, {"<", OPERATION_LESS},
    {"<=", OPERATION_LESS_EQUAL}, {">", OPERATION_GREATER},    {">=", OPERATION_GREATER_EQUAL},
    {"in", OPERATION_IN},
};

/* Takes an operator of comparison, if there is one. */
static enum weir_status take_comparison(struct parser *parser, bool *found, enum operation *out)
{
    *found = false;
    if (parser_at(parser, "not")) {
        struct lexer ahead = parser->lexer;
        struct lexeme behind;
        const enum weir_status status = lexer_next(&ahead, &behind, parser->err);
        *found = status == WEIR_OK && lexeme_is(parser->source, &behind, "in");
        *out = OPERATION_NOT_IN;
        if (status != WEIR_OK || !*found)
            return status;
        parser->lexer = ahead;
        return parser_advance(parser);
    }
    for (size_t i = 0; i < sizeof comparisons / sizeof comparisons[0]; i++) {
        if (!parser_at(parser, comparisons[i].symbol))
            continue;
        *found = true;
        *out = comparisons[i].operation;
        return parser_advance(parser);
    }
    return WEIR_OK;
}

static enum weir_status parse_compare(struct parser *parser, const struct node **out)
{
    struct node_list list = {0};
    struct node *node;
    bool found = true;
    enum weir_status status;
    TRY(parser_node(parser, NODE_COMPARE, &node));
    TRY(parse_level(parser, 0, &node->a));
    while (found) {
        enum operation operation;
        struct node *compared;
        TRY(take_comparison(parser, &found, &operation));
        if (!found)
            break;
        TRY(parser_node(parser, NODE_COMPARED, &compared));
        compared->operation = operation;
        TRY(parse_level(parser, 0, &compared->a));
        node_list_add(&list, compared);
    }
    node->b = list.first;
    *out = list.first == NULL ? node->a : node;
out:
    return status;
}

static enum weir_status parse_not(struct parser *parser, const struct node **out)
{
    struct node *node;
    enum weir_status status;
    if (!parser_at(parser, "not"))
        return parse_compare(parser, out);
    TRY(parser_enter(parser));
    TRY(parser_node(parser, NODE_UNARY, &node));
    node->operation = OPERATION_NOT;
    TRY(parser_advance(parser));
    TRY(parse_not(parser, &node->a));
    *out = node;
    parser->depth--;
out:
    return status;
}

static enum weir_status parse_and(struct parser *parser, const struct node **out)
{
    enum weir_status status;
    TRY(parse_not(parser, out));
    while (parser_at(parser, "and")) {
        struct node *node;
        TRY(parser_node(parser, NODE_AND, &node));
        node->a = *out;
        TRY(parser_advance(parser));
        TRY(parse_not(parser, &node->b));
        *out = node;
    }
out:
    return status;
}

static enum weir_status parse_or(struct parser *parser, const struct node **out)
{
    enum weir_status status;
    TRY(parse_and(parser, out));
    while (parser_at(parser, "or")) {
        struct node *node;
        TRY(parser_node(parser, NODE_OR, &node));
        node->a = *out;
        TRY(parser_advance(parser));
        TRY(parse_and(parser, &node->b));
        *out = node;
    }
out:
    return status;
}

enum weir_status parse_expression(struct parser *parser, bool conditional, const struct node **out)
{
    enum weir_status status;
    TRY(parser_enter(parser));
    TRY(parse_or(parser, out));
    while (conditional && parser_at(parser, "if")) {
        struct node *node;
        bool taken;
        TRY(parser_node(parser, NODE_IF_ELSE, &node));
        node->b = *out;
        TRY(parser_advance(parser));
        TRY(parse_or(parser, &node->a));
        TRY(parser_skip_if(parser, "else", &taken));
        if (taken)
            TRY(parse_expression(parser, true, &node->c));
        *out = node;
    }
    parser->depth--;
out:
    return status;
}

/* ---- tuples and targets ---------------------------------------------------------------------- */

static bool at_end_of_tuple(const struct parser *parser)
{
    const enum lexeme_kind kind = parser->token.kind;
    return kind == LEX_PRINT_END || kind == LEX_TAG_END || kind == LEX_END ||
           parser_at(parser, "=") || parser_at(parser, "in") || parser_at(parser, ")");
}

typedef enum weir_status item_fn(struct parser *parser, bool conditional, const struct node **out);

/* One item, or several with commas between them, which are a tuple. */
static enum weir_status parse_commas(struct parser *parser, bool conditional, item_fn *parse,
                                     const struct node **out)
{
    struct node_list list = {0};
    bool taken = true;
    struct node *tuple;
    enum weir_status status;
    TRY(parser_node(parser, NODE_TUPLE, &tuple));
    while (taken && (list.first == NULL || !at_end_of_tuple(parser))) {
        struct node *item;
        TRY(parser_node(parser, NODE_ARGUMENT, &item));
        TRY(parse(parser, conditional, &item->a));
        node_list_add(&list, item);
        TRY(parser_skip_if(parser, ",", &taken));
    }
    tuple->a = list.first;
    *out = list.first == list.last && !taken ? list.first->a : tuple;
out:
    return status;
}

enum weir_status parse_tuple(struct parser *parser, bool conditional, const struct node **out)
{
    return parse_commas(parser, conditional, parse_expression, out);
}

static enum weir_status parse_target_item(struct parser *parser, bool conditional,
                                          const struct node **out)
{
    struct node *node, *outer;
    enum weir_status status;
    TRY(parser_enter(parser));
    if (parser_at(parser, "(")) {
        TRY(parser_advance(parser));
        TRY(parse_commas(parser, conditional, parse_target_item, out));
        TRY(parser_skip(parser, ")"));
        parser->depth--;
        goto out;
    }
    TRY(parser_node(parser, NODE_NAME, &node));
    TRY(parser_name(parser, &node->text));
    *out = node;
    if (parser_at(parser, ".")) {
        TRY(parser_node(parser, NODE_ATTRIBUTE, &outer));
        TRY(parser_advance(parser));
        outer->a = node;
        TRY(parser_name(parser, &outer->text));
        *out = outer;
    }
    parser->depth--;
out:
    return status;
}

enum weir_status parse_target(struct parser *parser, const struct node **out)
{
    return parse_commas(parser, false, parse_target_item, out);
}
