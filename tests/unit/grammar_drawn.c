/* SPDX-License-Identifier: MIT
 * Drawn grammars against a matcher that tries everything: it knows no states, no bytes, and no
 * pruning. Run alone: build/tests/weir-test grammar_drawn_ */
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "grammars.h"

enum {
    NODES_MAX = 256,
    RULES = 3,
    DEPTH = 4,
    TEXT_MAX = 8,
    GRAMMARS = 150,
    TEXTS = 60, /* of each grammar */
};

static const char letters[] = "ab\"";

enum node_kind { LETTER, NOT_LETTER, EMPTY, SEQUENCE, CHOICE, MANY, RULE };

struct node {
    enum node_kind kind;
    bool is_nullable;
    char letter;
    uint32_t first, second; /* nodes; of RULE its number */
};

struct drawn {
    struct node nodes[NODES_MAX];
    uint32_t count;
    uint32_t roots[RULES];
    bool is_nullable[RULES];
    uint64_t stream, index;
};

static uint32_t draw(struct drawn *drawn, uint32_t below)
{
    return (uint32_t)(rng_bits(test_seed(), drawn->stream, drawn->index++) % below);
}

/* ---- drawing --------------------------------------------------------------------------------- */

static uint32_t add(struct drawn *drawn, struct node node)
{
    CHECK(drawn->count < NODES_MAX);
    drawn->nodes[drawn->count] = node;
    return drawn->count++;
}

static uint32_t draw_letter(struct drawn *drawn)
{
    const char letter = letters[draw(drawn, sizeof letters - 1)];
    return add(drawn,
               (struct node){draw(drawn, 5) == 0 ? NOT_LETTER : LETTER, false, letter, 0, 0});
}

/* Rules name later ones, so there is no recursion but the one that `draw_rule` adds. Nothing that
 * may be empty is repeated: that would be recursion on the left. */
static uint32_t draw_node(struct drawn *drawn, uint32_t rule, uint32_t depth)
{
    const uint32_t kind = depth == 0 ? 0 : draw(drawn, 10);
    if (kind == 1)
        return add(drawn, (struct node){EMPTY, true, 0, 0, 0});
    if (kind == 2 && rule + 1 < RULES) {
        const uint32_t named = rule + 1 + draw(drawn, RULES - rule - 1);
        return add(drawn, (struct node){RULE, drawn->is_nullable[named], 0, named, 0});
    }
    if (kind < 4)
        return draw_letter(drawn);
    const uint32_t first = draw_node(drawn, rule, depth - 1);
    const bool is_nullable = drawn->nodes[first].is_nullable;
    if (kind < 6 && !is_nullable)
        return add(drawn, (struct node){MANY, true, 0, first, 0});
    const uint32_t second = draw_node(drawn, rule, depth - 1);
    const bool other = drawn->nodes[second].is_nullable;
    if (kind < 8)
        return add(drawn, (struct node){CHOICE, is_nullable || other, 0, first, second});
    return add(drawn, (struct node){SEQUENCE, is_nullable && other, 0, first, second});
}

/* Half of the rules also begin with a letter and go on as themselves, and then with one more. */
static void draw_rule(struct drawn *drawn, uint32_t rule)
{
    uint32_t root = draw_node(drawn, rule, DEPTH);
    const bool is_nullable = drawn->nodes[root].is_nullable;
    if (draw(drawn, 2) == 0) {
        const uint32_t again = add(drawn, (struct node){RULE, is_nullable, 0, rule, 0});
        const uint32_t last = draw_letter(drawn);
        const uint32_t tail = add(drawn, (struct node){SEQUENCE, false, 0, again, last});
        const uint32_t letter = draw_letter(drawn);
        const uint32_t whole = add(drawn, (struct node){SEQUENCE, false, 0, letter, tail});
        root = add(drawn, (struct node){CHOICE, is_nullable, 0, root, whole});
    }
    drawn->roots[rule] = root;
    drawn->is_nullable[rule] = is_nullable;
}

static void draw_grammar(struct drawn *drawn, uint64_t stream)
{
    *drawn = (struct drawn){.stream = stream};
    for (uint32_t rule = RULES; rule-- > 0;)
        draw_rule(drawn, rule);
}

/* ---- as GBNF --------------------------------------------------------------------------------- */

static void write_node(const struct drawn *drawn, uint32_t number, FILE *to)
{
    const struct node *node = &drawn->nodes[number];
    switch (node->kind) {
    case LETTER: fprintf(to, "\"%s%c\"", node->letter == '"' ? "\\" : "", node->letter); return;
    case NOT_LETTER: fprintf(to, "[^%c]", node->letter); return;
    case EMPTY: fputs("\"\"", to); return;
    case RULE: fputs(node->first == 0 ? "root" : node->first == 1 ? "one" : "two", to); return;
    case MANY:
    case CHOICE:
    case SEQUENCE: break;
    }
    fputs("(", to);
    write_node(drawn, node->first, to);
    if (node->kind != MANY) {
        fputs(node->kind == CHOICE ? " | " : " ", to);
        write_node(drawn, node->second, to);
    }
    fputs(node->kind == MANY ? ")*" : ")", to);
}

static char *write_grammar(const struct drawn *drawn)
{
    static const char *const names[RULES] = {"root", "one", "two"};
    char *text = NULL;
    size_t length;
    FILE *to = open_memstream(&text, &length);
    CHECK(to != NULL);
    for (uint32_t rule = 0; rule < RULES; rule++) {
        fprintf(to, "%s ::= ", names[rule]);
        write_node(drawn, drawn->roots[rule], to);
        fputs("\n", to);
    }
    CHECK_INT(fclose(to), 0);
    return text;
}

/* ---- matching -------------------------------------------------------------------------------- */

struct text {
    char letters[TEXT_MAX];
    uint32_t length;
    bool wants_more; /* somewhere a letter was asked for at its end */
};

static uint32_t ends_of(const struct drawn *drawn, uint32_t number, struct text *text,
                        uint32_t begin);

static uint32_t ends_behind(const struct drawn *drawn, uint32_t number, struct text *text,
                            uint32_t begins)
{
    uint32_t ends = 0;
    for (uint32_t at = 0; at <= text->length; at++) {
        if (begins >> at & 1)
            ends |= ends_of(drawn, number, text, at);
    }
    return ends;
}

static uint32_t ends_of_many(const struct drawn *drawn, uint32_t number, struct text *text,
                             uint32_t begin)
{
    uint32_t ends = 1u << begin, fresh = ends;
    while (fresh != 0) {
        const uint32_t more = ends_behind(drawn, number, text, fresh);
        fresh = more & ~ends;
        ends |= more;
    }
    return ends;
}

/* All places, as bits, where what begins at `begin` can end. */
static uint32_t ends_of(const struct drawn *drawn, uint32_t number, struct text *text,
                        uint32_t begin)
{
    const struct node *node = &drawn->nodes[number];
    switch (node->kind) {
    case LETTER:
    case NOT_LETTER:
        if (begin == text->length) {
            text->wants_more = true;
            return 0;
        }
        return ((text->letters[begin] == node->letter) == (node->kind == LETTER)) << (begin + 1);
    case EMPTY: return 1u << begin;
    case RULE: return ends_of(drawn, drawn->roots[node->first], text, begin);
    case MANY: return ends_of_many(drawn, node->first, text, begin);
    case CHOICE:
        return ends_of(drawn, node->first, text, begin) | ends_of(drawn, node->second, text, begin);
    case SEQUENCE:
        return ends_behind(drawn, node->second, text, ends_of(drawn, node->first, text, begin));
    }
    return 0;
}

static enum weir_match match(const struct drawn *drawn, struct text *text)
{
    text->wants_more = false;
    if (ends_of(drawn, drawn->roots[0], text, 0) >> text->length & 1)
        return WEIR_MATCH_WHOLE;
    return text->wants_more ? WEIR_MATCH_PREFIX : WEIR_MATCH_NOT;
}

/* ---- the test -------------------------------------------------------------------------------- */

static void draw_text(struct drawn *drawn, struct text *text)
{
    text->length = draw(drawn, TEXT_MAX + 1);
    for (uint32_t i = 0; i < text->length; i++)
        text->letters[i] = letters[draw(drawn, sizeof letters - 1)];
}

TEST(grammar_drawn_takes_what_trying_all_takes)
{
    static struct drawn drawn;
    uint32_t seen[3] = {0};
    for (uint32_t number = 0; number < GRAMMARS; number++) {
        struct weir_error err = {0};
        draw_grammar(&drawn, number);
        char *notation = write_grammar(&drawn);
        struct weir_grammar *grammar = grammars_open_gbnf(notation);
        for (uint32_t i = 0; i < TEXTS; i++) {
            struct text text;
            enum weir_match actual;
            draw_text(&drawn, &text);
            const enum weir_match expected = match(&drawn, &text);
            CHECK_OK(weir_grammar_match(grammar, text.letters, text.length, &actual, &err), &err);
            if (actual != expected)
                test_fail(__FILE__, __LINE__, "%.*s: %d, expected %d, by\n%s", (int)text.length,
                          text.letters, (int)actual, (int)expected, notation);
            seen[expected]++;
        }
        weir_grammar_close(grammar);
        free(notation);
    }
    for (int i = 0; i < 3; i++)
        CHECK(seen[i] > GRAMMARS);
}
