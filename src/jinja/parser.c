/* SPDX-License-Identifier: MIT
 * Parses the statements of a template. Knows nothing of what they do. */
#include "jinja/parser.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { MESSAGE_MAX = 200, SHOWN_MAX = 40 };

/* ---- tokens ---------------------------------------------------------------------------------- */

void node_list_add(struct node_list *list, struct node *node)
{
    if (list->last != NULL)
        list->last->next = node;
    else
        list->first = node;
    list->last = node;
}

enum weir_status parser_node(struct parser *parser, enum node_kind kind, struct node **out)
{
    *out = arena_take(parser->arena, 1, sizeof **out, parser->err);
    if (*out == NULL)
        return WEIR_ERR_MEMORY;
    (*out)->kind = kind;
    (*out)->at = parser->token.at;
    return WEIR_OK;
}

enum weir_status parser_fail(const struct parser *parser, uint32_t at, enum weir_status status,
                             const char *format, ...)
{
    char message[MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    return source_fail(parser->source, at, status, parser->err, "%s", message);
}

enum weir_status parser_expected(const struct parser *parser, const char *what)
{
    const struct lexeme *token = &parser->token;
    if (token->kind == LEX_END)
        return parser_fail(parser, token->at, WEIR_ERR_FORMAT,
                           "expected %s, found the end of the template", what);
    const uint32_t shown = token->length < SHOWN_MAX ? token->length : SHOWN_MAX;
    return parser_fail(parser, token->at, WEIR_ERR_FORMAT, "expected %s, found '%.*s'", what,
                       (int)shown, parser->source->bytes + token->at);
}

enum weir_status parser_enter(struct parser *parser)
{
    if (parser->depth == PARSE_DEPTH_MAX)
        return parser_fail(parser, parser->token.at, WEIR_ERR_UNSUPPORTED,
                           "nested more than %d deep", PARSE_DEPTH_MAX);
    parser->depth++;
    return WEIR_OK;
}

enum weir_status parser_advance(struct parser *parser)
{
    return lexer_next(&parser->lexer, &parser->token, parser->err);
}

bool parser_at(const struct parser *parser, const char *text)
{
    return lexeme_is(parser->source, &parser->token, text);
}

enum weir_status parser_skip_if(struct parser *parser, const char *text, bool *taken)
{
    *taken = parser_at(parser, text);
    return *taken ? parser_advance(parser) : WEIR_OK;
}

enum weir_status parser_skip(struct parser *parser, const char *text)
{
    if (parser_at(parser, text))
        return parser_advance(parser);
    char what[SHOWN_MAX];
    snprintf(what, sizeof what, "'%s'", text);
    return parser_expected(parser, what);
}

enum weir_status parser_name(struct parser *parser, struct string *out)
{
    if (parser->token.kind != LEX_NAME)
        return parser_expected(parser, "a name");
    *out = (struct string){parser->source->bytes + parser->token.at, NULL, parser->token.length};
    return parser_advance(parser);
}

static enum weir_status end_tag(struct parser *parser)
{
    if (parser->token.kind != LEX_TAG_END)
        return parser_expected(parser, "'%}'");
    return parser_advance(parser);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* Whether a tag begins here whose name is one of `names`, which ends with NULL. */
static enum weir_status at_tag(const struct parser *parser, const char *const *names, bool *out)
{
    *out = false;
    if (parser->token.kind != LEX_TAG_BEGIN || names == NULL)
        return WEIR_OK;
    struct lexer ahead = parser->lexer;
    struct lexeme name;
    const enum weir_status status = lexer_next(&ahead, &name, parser->err);
    for (; status == WEIR_OK && *names != NULL; names++)
        *out = *out || lexeme_is(parser->source, &name, *names);
    return status;
}

static enum weir_status parse_statement(struct parser *parser, struct node **out);

static enum weir_status parse_text(struct parser *parser, struct node_list *list)
{
    const struct lexeme token = parser->token;
    struct node *node;
    enum weir_status status = WEIR_OK;
    if (token.length > 0) {
        TRY(parser_node(parser, NODE_TEXT, &node));
        node->value =
            value_string((struct string){parser->source->bytes + token.at, NULL, token.length});
        node_list_add(list, node);
    }
    TRY(parser_advance(parser));
out:
    return status;
}

static enum weir_status parse_print(struct parser *parser, struct node_list *list)
{
    struct node *node;
    enum weir_status status;
    TRY(parser_node(parser, NODE_PRINT, &node));
    TRY(parser_advance(parser));
    TRY(parse_tuple(parser, true, &node->a));
    if (parser->token.kind != LEX_PRINT_END)
        return parser_expected(parser, "'}}'");
    TRY(parser_advance(parser));
    node_list_add(list, node);
out:
    return status;
}

/* Statements up to a tag of one of `ends`, whose "{%" is then taken, or the end of the template. */
static enum weir_status parse_body(struct parser *parser, const char *const *ends,
                                   const struct node **out)
{
    struct node_list list = {0};
    enum weir_status status;
    TRY(parser_enter(parser));
    while (parser->token.kind != LEX_END) {
        bool ended;
        TRY(at_tag(parser, ends, &ended));
        if (ended)
            break;
        if (parser->token.kind == LEX_TEXT) {
            TRY(parse_text(parser, &list));
        } else if (parser->token.kind == LEX_PRINT_BEGIN) {
            TRY(parse_print(parser, &list));
        } else {
            struct node *node = NULL;
            TRY(parser_advance(parser));
            TRY(parse_statement(parser, &node));
            node_list_add(&list, node);
        }
    }
    if (parser->token.kind != LEX_END)
        TRY(parser_advance(parser));
    else if (ends != NULL)
        TRY(parser_expected(parser, ends[0]));
    parser->depth--;
    *out = list.first;
out:
    return status;
}

/* A body with the tag that ends it. */
static enum weir_status parse_whole_body(struct parser *parser, const char *end,
                                         const struct node **out)
{
    const char *const ends[] = {end, NULL};
    enum weir_status status;
    TRY(parse_body(parser, ends, out));
    TRY(parser_advance(parser));
    TRY(end_tag(parser));
out:
    return status;
}

/* ---- statements ------------------------------------------------------------------------------ */

/* The branches of an if are IFs in each other's else: a chain that rendering walks. */
static enum weir_status parse_if(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"endif", "else", "elif", NULL};
    enum weir_status status;
    for (bool more = true; more;) {
        TRY(parse_tuple(parser, false, &node->a));
        TRY(end_tag(parser));
        TRY(parse_body(parser, ends, &node->b));
        more = parser_at(parser, "elif");
        if (more) {
            struct node *branch;
            TRY(parser_node(parser, NODE_IF, &branch));
            TRY(parser_advance(parser));
            node->c = branch;
            node = branch;
        }
    }
    if (parser_at(parser, "else")) {
        TRY(parser_advance(parser));
        TRY(end_tag(parser));
        TRY(parse_whole_body(parser, "endif", &node->c));
        goto out;
    }
    TRY(parser_advance(parser));
    TRY(end_tag(parser));
out:
    return status;
}

static enum weir_status parse_for(struct parser *parser, struct node *node)
{
    static const char *const ends[] = {"endfor", "else", NULL};
    enum weir_status status;
    bool taken;
    TRY(parse_target(parser, &node->a));
    TRY(parser_skip(parser, "in"));
    TRY(parse_tuple(parser, false, &node->b));
    TRY(parser_skip_if(parser, "if", &taken));
    if (taken)
        TRY(parse_expression(parser, true, &node->d));
    if (parser_at(parser, "recursive"))
        TRY(parser_fail(parser, parser->token.at, WEIR_ERR_UNSUPPORTED,
                        "recursive loops are not supported"));
    TRY(end_tag(parser));
    parser->loops++;
    TRY(parse_body(parser, ends, &node->c));
    parser->loops--;
    if (parser_at(parser, "else")) {
        TRY(parser_advance(parser));
        TRY(end_tag(parser));
        TRY(parse_whole_body(parser, "endfor", &node->e));
        goto out;
    }
    TRY(parser_advance(parser));
    TRY(end_tag(parser));
out:
    return status;
}

static enum weir_status parse_set(struct parser *parser, struct node *node)
{
    enum weir_status status;
    bool taken;
    TRY(parse_target(parser, &node->a));
    TRY(parser_skip_if(parser, "=", &taken));
    if (taken) {
        TRY(parse_tuple(parser, true, &node->b));
        TRY(end_tag(parser));
        goto out;
    }
    node->kind = NODE_SET_BLOCK;
    TRY(parser_skip_if(parser, "|", &taken));
    if (taken)
        TRY(parse_filters(parser, &node->b));
    TRY(end_tag(parser));
    TRY(parse_whole_body(parser, "endset", &node->c));
out:
    return status;
}

/* A body that no break or continue leaves. */
static enum weir_status parse_closed_body(struct parser *parser, const char *end,
                                          const struct node **out)
{
    const uint32_t loops = parser->loops;
    parser->loops = 0;
    const enum weir_status status = parse_whole_body(parser, end, out);
    parser->loops = loops;
    return status;
}

static enum weir_status parse_macro(struct parser *parser, struct node *node)
{
    enum weir_status status;
    TRY(parser_name(parser, &node->text));
    TRY(parse_parameters(parser, &node->a));
    TRY(end_tag(parser));
    TRY(parse_closed_body(parser, "endmacro", &node->c));
out:
    return status;
}

static enum weir_status parse_call_block(struct parser *parser, struct node *node)
{
    struct node *caller;
    enum weir_status status;
    TRY(parser_node(parser, NODE_MACRO, &caller));
    caller->text = string_from("caller");
    if (parser_at(parser, "("))
        TRY(parse_parameters(parser, &caller->a));
    TRY(parse_expression(parser, true, &node->a));
    if (node->a->kind != NODE_CALL)
        TRY(parser_fail(parser, node->at, WEIR_ERR_FORMAT, "expected the call of a macro"));
    TRY(end_tag(parser));
    TRY(parse_closed_body(parser, "endcall", &caller->c));
    node->b = caller;
out:
    return status;
}

static enum weir_status parse_filter_block(struct parser *parser, struct node *node)
{
    enum weir_status status;
    TRY(parse_filters(parser, &node->b));
    TRY(end_tag(parser));
    TRY(parse_whole_body(parser, "endfilter", &node->c));
out:
    return status;
}

static enum weir_status parse_with(struct parser *parser, struct node *node)
{
    struct node_list list = {0};
    enum weir_status status = WEIR_OK;
    while (parser->token.kind != LEX_TAG_END) {
        struct node *set;
        if (list.first != NULL)
            TRY(parser_skip(parser, ","));
        TRY(parser_node(parser, NODE_SET, &set));
        TRY(parse_target(parser, &set->a));
        TRY(parser_skip(parser, "="));
        TRY(parse_expression(parser, true, &set->b));
        node_list_add(&list, set);
    }
    node->a = list.first;
    TRY(end_tag(parser));
    TRY(parse_whole_body(parser, "endwith", &node->c));
out:
    return status;
}

static enum weir_status parse_generation(struct parser *parser, struct node *node)
{
    enum weir_status status;
    TRY(end_tag(parser));
    TRY(parse_whole_body(parser, "endgeneration", &node->c));
out:
    return status;
}

static enum weir_status parse_leave(struct parser *parser, struct node *node)
{
    if (parser->loops == 0)
        return parser_fail(parser, node->at, WEIR_ERR_FORMAT, "this is in no loop");
    return end_tag(parser);
}

typedef enum weir_status statement_fn(struct parser *parser, struct node *node);

static const struct statement {
    const char *name;
    enum node_kind kind;
    statement_fn *parse;
} statements[] = {
    {"if", NODE_IF, parse_if},
    {"for", NODE_FOR, parse_for},
    {"set", NODE_SET, parse_set},
    {"macro", NODE_MACRO, parse_macro},
    {"call", NODE_CALL_BLOCK, parse_call_block},
    {"filter", NODE_FILTER_BLOCK, parse_filter_block},
    {"with", NODE_WITH, parse_with},
    {"generation", NODE_SCOPE, parse_generation},
    {"break", NODE_BREAK, parse_leave},
    {"continue", NODE_CONTINUE, parse_leave},
};

/* Behind "{%". */
static enum weir_status parse_statement(struct parser *parser, struct node **out)
{
    for (size_t i = 0; i < sizeof statements / sizeof statements[0]; i++) {
        struct node *node;
        enum weir_status status;
        if (!parser_at(parser, statements[i].name))
            continue;
        TRY(parser_node(parser, statements[i].kind, &node));
        TRY(parser_advance(parser));
        TRY(statements[i].parse(parser, node));
        *out = node;
    out:
        return status;
    }
    if (parser->token.kind != LEX_NAME)
        return parser_expected(parser, "the name of a tag");
    const uint32_t shown = parser->token.length < SHOWN_MAX ? parser->token.length : SHOWN_MAX;
    return parser_fail(parser, parser->token.at, WEIR_ERR_UNSUPPORTED,
                       "the tag '%.*s' is not known here", (int)shown,
                       parser->source->bytes + parser->token.at);
}

enum weir_status parse_template(const struct source *source, struct arena *arena,
                                const struct node **out, struct weir_error *err)
{
    struct parser parser = {
        .source = source, .arena = arena, .lexer = {.source = source}, .err = err};
    enum weir_status status;
    TRY(parser_advance(&parser));
    TRY(parse_body(&parser, NULL, out));
out:
    return status;
}
