/* SPDX-License-Identifier: MIT
 * The notation GBNF, read into rules. Knows not how a text is matched.
 *
 * What is repeated is read several times, at the same place of the notation: each time adds nodes
 * of its own. The number of nodes has a limit, so nested repetitions end. The bytes that are read
 * again have one too: a class or a comment may be long, and adds few nodes. */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "grammar/code_set.h"
#include "grammar/cursor.h"
#include "grammar/text_set.h"

enum {
    GBNF_DEPTH_MAX = 100,      /* brackets in brackets */
    GBNF_COPIED_MAX = 1 << 23, /* bytes: more than RULES_NODES_MAX allows of what adds nodes */
};

struct gbnf_name {
    uint32_t rule;
    size_t at; /* where it is first mentioned */
    bool is_defined;
};

struct gbnf {
    struct cursor in;
    uint32_t depth;
    uint64_t copied; /* bytes that were read again */
    struct rules_builder builder;
    struct text_set names;
    struct gbnf_name *named; /* by name */
    uint64_t named_capacity;
};

/* ---- text ------------------------------------------------------------------------------------ */

static enum weir_status refuse_at(const struct gbnf *gbnf, size_t at, const char *what,
                                  struct weir_error *err)
{
    uint32_t line = 1, column = 1;
    for (size_t i = 0; i < at; i++) {
        column = gbnf->in.text[i] == '\n' ? 1 : column + 1;
        line += gbnf->in.text[i] == '\n';
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "grammar, line %u, column %u: %s", line, column, what);
}

static enum weir_status refuse(const struct gbnf *gbnf, const char *what, struct weir_error *err)
{
    return refuse_at(gbnf, gbnf->in.at, what, err);
}

static void skip_comment(struct gbnf *gbnf)
{
    while (!cursor_at_end(&gbnf->in) && cursor_peek(&gbnf->in, 0) != '\n' &&
           cursor_peek(&gbnf->in, 0) != '\r')
        gbnf->in.at++;
}

/* White space and comments; newlines only if a rule cannot end here. */
static void skip_space(struct gbnf *gbnf, bool newlines)
{
    while (!cursor_at_end(&gbnf->in)) {
        const char c = cursor_peek(&gbnf->in, 0);
        if (c == '#')
            skip_comment(gbnf);
        else if (c == ' ' || c == '\t' || (newlines && (c == '\n' || c == '\r')))
            gbnf->in.at++;
        else
            return;
    }
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '-';
}

/* ---- characters ------------------------------------------------------------------------------ */

static enum weir_status read_hex(struct gbnf *gbnf, uint32_t digits, uint32_t *code,
                                 struct weir_error *err)
{
    *code = 0;
    for (uint32_t i = 0; i < digits; i++) {
        const int value = hex_value(cursor_peek(&gbnf->in, 0));
        if (value < 0)
            return refuse(gbnf, "expected a hexadecimal digit", err);
        *code = *code << 4 | (uint32_t)value;
        gbnf->in.at++;
    }
    if (*code > CODE_MAX || code_is_surrogate(*code))
        return refuse(gbnf, "no such code point", err);
    return WEIR_OK;
}

static enum weir_status read_escape(struct gbnf *gbnf, uint32_t *code, struct weir_error *err)
{
    static const struct {
        char letter;
        uint8_t code;
        uint8_t digits; /* or so many hexadecimal digits say the code */
    } escapes[] = {{'n', '\n', 0}, {'r', '\r', 0}, {'t', '\t', 0}, {'\\', '\\', 0}, {'"', '"', 0},
                   {'[', '[', 0},  {']', ']', 0},  {'x', 0, 2},    {'u', 0, 4},     {'U', 0, 8}};
    for (size_t i = 0; i < sizeof escapes / sizeof escapes[0]; i++) {
        if (cursor_peek(&gbnf->in, 1) != escapes[i].letter)
            continue;
        gbnf->in.at += 2;
        *code = escapes[i].code;
        return escapes[i].digits == 0 ? WEIR_OK : read_hex(gbnf, escapes[i].digits, code, err);
    }
    return refuse(gbnf, "unknown escape, expected \\n \\r \\t \\\\ \\\" \\[ \\] \\x \\u or \\U",
                  err);
}

static enum weir_status read_code(struct gbnf *gbnf, uint32_t *code, struct weir_error *err)
{
    if (cursor_at_end(&gbnf->in))
        return refuse(gbnf, "the grammar ends within a literal or class", err);
    if (cursor_peek(&gbnf->in, 0) == '\\')
        return read_escape(gbnf, code, err);
    const size_t bytes =
        code_read(gbnf->in.text + gbnf->in.at, gbnf->in.length - gbnf->in.at, code);
    if (bytes == 0)
        return refuse(gbnf, "not UTF-8", err);
    gbnf->in.at += bytes;
    return WEIR_OK;
}

static enum weir_status read_literal(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    enum weir_status status;
    gbnf->in.at++;
    while (cursor_peek(&gbnf->in, 0) != '"') {
        uint32_t code, next;
        TRY(read_code(gbnf, &code, err));
        TRY(rules_node(&gbnf->builder, &next, err));
        TRY(rules_range(&gbnf->builder, from, next, (struct code_range){code, code}, err));
        from = next;
    }
    gbnf->in.at++;
    TRY(rules_free(&gbnf->builder, from, to, err));
out:
    return status;
}

/* [...], behind its first bracket and circumflex. */
static enum weir_status read_class_ranges(struct gbnf *gbnf, struct code_set *set,
                                          struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    while (cursor_peek(&gbnf->in, 0) != ']') {
        uint32_t first, last;
        TRY(read_code(gbnf, &first, err));
        last = first;
        if (cursor_peek(&gbnf->in, 0) == '-' && cursor_peek(&gbnf->in, 1) != ']') {
            gbnf->in.at++;
            TRY(read_code(gbnf, &last, err));
        }
        if (last < first)
            return refuse(gbnf, "the range of a class ends before it begins", err);
        TRY(code_set_add(set, first, last, err));
    }
    gbnf->in.at++;
out:
    return status;
}

static enum weir_status read_class(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct code_set set = {0};
    enum weir_status status;
    gbnf->in.at++;
    const bool negated = cursor_take(&gbnf->in, "^");
    TRY(read_class_ranges(gbnf, &set, err));
    TRY(code_set_close(&set, negated, err));
    TRY(rules_set(&gbnf->builder, from, to, &set, err));
out:
    code_set_release(&set);
    return status;
}

static enum weir_status read_any(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                 struct weir_error *err)
{
    gbnf->in.at++;
    const enum weir_status status =
        rules_range(&gbnf->builder, from, to, (struct code_range){0, 0xd7ff}, err);
    return status != WEIR_OK
               ? status
               : rules_range(&gbnf->builder, from, to, (struct code_range){0xe000, CODE_MAX}, err);
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* <text> or <[id]>, or not that: !<text>. */
static enum weir_status read_token(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    struct rules_token token = {.negated = cursor_take(&gbnf->in, "!")};
    const size_t begin = gbnf->in.at;
    if (cursor_peek(&gbnf->in, 0) != '<')
        return refuse(gbnf, "expected a token, <text> or <[id]>", err);
    while (!cursor_at_end(&gbnf->in) && cursor_peek(&gbnf->in, 0) != '>' &&
           cursor_peek(&gbnf->in, 0) != '\n')
        gbnf->in.at++;
    if (!cursor_take(&gbnf->in, ">"))
        return refuse_at(gbnf, begin, "a token without its >", err);
    char *text = mem_copy_text(gbnf->in.text + begin, gbnf->in.at - begin, err);
    if (text == NULL)
        return WEIR_ERR_MEMORY;
    unsigned id;
    int read = 0;
    enum weir_status status;
    if (text[1] != '[') {
        token.text = text;
        token.length = gbnf->in.at - begin;
    } else if (gbnf->in.at - begin > 14 || sscanf(text, "<[%9u]>%n", &id, &read) != 1 ||
               (size_t)read != gbnf->in.at - begin) {
        status = refuse_at(gbnf, begin, "expected the id of a token, <[id]>", err);
        goto out;
    } else {
        token.id = (int32_t)id;
    }
    status = rules_token(&gbnf->builder, from, to, &token, err);
out:
    mem_free(text);
    return status;
}

/* ---- expressions ----------------------------------------------------------------------------- */

/* The rule of a name, which is made when it is first mentioned. */
static enum weir_status find_rule(struct gbnf *gbnf, struct gbnf_name **out, struct weir_error *err)
{
    const size_t begin = gbnf->in.at;
    while (is_name(cursor_peek(&gbnf->in, 0)))
        gbnf->in.at++;
    const size_t length = gbnf->in.at - begin;
    const uint64_t known = gbnf->names.count;
    const uint32_t rule = gbnf->builder.rule;
    uint32_t number;
    enum weir_status status;
    TRY(mem_grow(&gbnf->named, &gbnf->named_capacity, known + 1, sizeof *gbnf->named, err));
    TRY(text_set_add(&gbnf->names, (struct span){(const uint8_t *)gbnf->in.text + begin, length},
                     &number, err));
    *out = &gbnf->named[number];
    if (number < known)
        return WEIR_OK;
    **out = (struct gbnf_name){.at = begin};
    TRY(rules_add(&gbnf->builder, gbnf->in.text + begin, length, &(*out)->rule, err));
    gbnf->builder.rule = rule;
out:
    return status;
}

static enum weir_status read_alternates(struct gbnf *gbnf, uint32_t from, uint32_t to, bool nested,
                                        struct weir_error *err);

static enum weir_status read_group(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                   struct weir_error *err)
{
    const size_t begin = gbnf->in.at;
    if (gbnf->depth == GBNF_DEPTH_MAX)
        return refuse(gbnf, "brackets are nested too deeply", err);
    gbnf->depth++;
    gbnf->in.at++;
    const enum weir_status status = read_alternates(gbnf, from, to, true, err);
    gbnf->depth--;
    if (status != WEIR_OK)
        return status;
    return cursor_take(&gbnf->in, ")") ? WEIR_OK
                                       : refuse_at(gbnf, begin, "a bracket without its )", err);
}

static enum weir_status read_call(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                  struct weir_error *err)
{
    struct gbnf_name *name;
    const enum weir_status status = find_rule(gbnf, &name, err);
    return status != WEIR_OK ? status : rules_call(&gbnf->builder, from, to, name->rule, err);
}

static bool begins_primary(const struct gbnf *gbnf)
{
    const char c = cursor_peek(&gbnf->in, 0);
    return !cursor_at_end(&gbnf->in) && (is_name(c) || (c != 0 && strchr("\"[.(<!", c) != NULL));
}

/* One thing that can be repeated. */
static enum weir_status read_primary(struct gbnf *gbnf, uint32_t from, uint32_t to,
                                     struct weir_error *err)
{
    switch (cursor_peek(&gbnf->in, 0)) {
    case '"': return read_literal(gbnf, from, to, err);
    case '[': return read_class(gbnf, from, to, err);
    case '.': return read_any(gbnf, from, to, err);
    case '(': return read_group(gbnf, from, to, err);
    case '<':
    case '!': return read_token(gbnf, from, to, err);
    default: return read_call(gbnf, from, to, err);
    }
}

static enum weir_status read_number(struct gbnf *gbnf, uint32_t *number, struct weir_error *err)
{
    if (!is_digit(cursor_peek(&gbnf->in, 0)))
        return refuse(gbnf, "expected a number", err);
    for (*number = 0; is_digit(cursor_peek(&gbnf->in, 0)); gbnf->in.at++) {
        *number = *number * 10 + (uint32_t)(cursor_peek(&gbnf->in, 0) - '0');
        if (*number > RULES_REPEAT_MAX)
            return refuse(gbnf, "more than 2000 repetitions", err);
    }
    skip_space(gbnf, false);
    return WEIR_OK;
}

/* {m}, {m,} or {m,n}, behind the first bracket. */
static enum weir_status read_counts(struct gbnf *gbnf, struct repeat *out, struct weir_error *err)
{
    enum weir_status status;
    skip_space(gbnf, false);
    TRY(read_number(gbnf, &out->least, err));
    out->most = out->least;
    if (cursor_take(&gbnf->in, ",")) {
        skip_space(gbnf, false);
        out->most = UINT32_MAX;
        if (is_digit(cursor_peek(&gbnf->in, 0)))
            TRY(read_number(gbnf, &out->most, err));
    }
    if (!cursor_take(&gbnf->in, "}"))
        return refuse(gbnf, "expected }", err);
    if (out->most < out->least)
        return refuse(gbnf, "at most fewer repetitions than at least", err);
out:
    return status;
}

static enum weir_status read_repeat(struct gbnf *gbnf, struct repeat *out, struct weir_error *err)
{
    return !cursor_take_repeat(&gbnf->in, out) && cursor_take(&gbnf->in, "{")
               ? read_counts(gbnf, out, err)
               : WEIR_OK;
}

/* Goes from `from` over the first copy, from first_begin to first_end, and over further ones, which
 * are read again at `primary`. */
static enum weir_status add_copies(struct gbnf *gbnf, size_t primary, struct repeat repeat,
                                   uint32_t from, uint32_t first_begin, uint32_t first_end,
                                   uint32_t to, struct weir_error *err)
{
    struct rules_builder *builder = &gbnf->builder;
    const bool endless = repeat.most == UINT32_MAX;
    const uint32_t copies = repeat_copies(repeat);
    uint32_t begin = first_begin, end = first_end;
    enum weir_status status = WEIR_OK;
    if (repeat.least == 0)
        TRY(rules_free(builder, from, to, err));
    for (uint32_t copy = 1; copy <= copies; copy++) {
        if (copy > 1) {
            TRY(rules_node(builder, &begin, err));
            TRY(rules_node(builder, &end, err));
            gbnf->in.at = primary;
            TRY(read_primary(gbnf, begin, end, err));
            gbnf->copied += gbnf->in.at - primary;
            if (gbnf->copied > GBNF_COPIED_MAX)
                return refuse_at(gbnf, primary, "too long with its repetitions", err);
        }
        TRY(rules_free(builder, from, begin, err));
        if (copy >= repeat.least)
            TRY(rules_free(builder, end, to, err));
        from = end;
    }
    if (endless)
        TRY(rules_free(builder, end, begin, err));
out:
    return status;
}

/* One thing and how often it is repeated. */
static enum weir_status read_item(struct gbnf *gbnf, uint32_t from, uint32_t to, bool nested,
                                  struct weir_error *err)
{
    const size_t primary = gbnf->in.at;
    uint32_t begin, end;
    struct repeat repeat;
    enum weir_status status;
    TRY(rules_node(&gbnf->builder, &begin, err));
    TRY(rules_node(&gbnf->builder, &end, err));
    TRY(read_primary(gbnf, begin, end, err));
    skip_space(gbnf, nested);
    TRY(read_repeat(gbnf, &repeat, err));
    const size_t behind = gbnf->in.at;
    TRY(add_copies(gbnf, primary, repeat, from, begin, end, to, err));
    gbnf->in.at = behind;
    skip_space(gbnf, nested);
    if (!cursor_at_end(&gbnf->in) && strchr("*+?{", cursor_peek(&gbnf->in, 0)) != NULL)
        status = refuse(gbnf, "a repetition of nothing", err);
out:
    return status;
}

static enum weir_status read_sequence(struct gbnf *gbnf, uint32_t from, uint32_t to, bool nested,
                                      struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    while (begins_primary(gbnf)) {
        uint32_t next;
        TRY(rules_node(&gbnf->builder, &next, err));
        TRY(read_item(gbnf, from, next, nested, err));
        from = next;
    }
    TRY(rules_free(&gbnf->builder, from, to, err));
out:
    return status;
}

static enum weir_status read_alternates(struct gbnf *gbnf, uint32_t from, uint32_t to, bool nested,
                                        struct weir_error *err)
{
    enum weir_status status;
    do {
        skip_space(gbnf, true);
        TRY(read_sequence(gbnf, from, to, nested, err));
    } while (cursor_take(&gbnf->in, "|"));
out:
    return status;
}

/* ---- rules ----------------------------------------------------------------------------------- */

static enum weir_status read_rule(struct gbnf *gbnf, struct weir_error *err)
{
    struct gbnf_name *name;
    enum weir_status status;
    if (!is_name(cursor_peek(&gbnf->in, 0)))
        return refuse(gbnf, "expected the name of a rule", err);
    TRY(find_rule(gbnf, &name, err));
    if (name->is_defined)
        return refuse(gbnf, "the rule is defined twice", err);
    name->is_defined = true;
    const struct rules_rule rule = gbnf->builder.rules[name->rule];
    gbnf->builder.rule = name->rule;
    skip_space(gbnf, false);
    if (!cursor_take(&gbnf->in, "::="))
        return refuse(gbnf, "expected ::=", err);
    TRY(read_alternates(gbnf, rule.start, rule.end, false, err));
    if (!cursor_at_end(&gbnf->in) && cursor_peek(&gbnf->in, 0) != '\n' &&
        cursor_peek(&gbnf->in, 0) != '\r')
        return refuse(gbnf, "expected the end of the rule", err);
    skip_space(gbnf, true);
out:
    return status;
}

static enum weir_status check_names(const struct gbnf *gbnf, uint32_t *root, struct weir_error *err)
{
    for (uint64_t i = 0; i < gbnf->names.count; i++) {
        if (!gbnf->named[i].is_defined)
            return refuse_at(gbnf, gbnf->named[i].at, "the rule is not defined", err);
    }
    const uint32_t number =
        text_set_find(&gbnf->names, (struct span){(const uint8_t *)"root", strlen("root")});
    *root = number == TEXT_SET_NONE ? RULES_NONE : gbnf->named[number].rule;
    if (*root == RULES_NONE)
        return err_set(err, WEIR_ERR_ARGUMENT, "grammar: no rule root");
    return WEIR_OK;
}

enum weir_status weir_grammar_open_gbnf(struct weir_grammar **out, const char *text, size_t length,
                                        struct weir_error *err)
{
    struct gbnf gbnf = {.in = {.text = text, .length = length}};
    uint32_t root = RULES_NONE;
    enum weir_status status = WEIR_OK;
    *out = NULL;
    skip_space(&gbnf, true);
    while (!cursor_at_end(&gbnf.in))
        TRY(read_rule(&gbnf, err));
    TRY(check_names(&gbnf, &root, err));
    TRY(rules_finish(out, &gbnf.builder, root, err));
out:
    rules_release(&gbnf.builder);
    text_set_release(&gbnf.names);
    mem_free(gbnf.named);
    return status;
}
