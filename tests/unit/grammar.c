/* SPDX-License-Identifier: MIT
 * Tests of grammars: notations, refusals, and what texts they take. Run alone:
 * build/tests/weir-test grammar_ */
#include "alloc.h"
#include "grammars.h"
#include "test.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/bytes.h"

/* ---- recorded cases -------------------------------------------------------------------------- */

static void check_text(const char *name, const struct weir_grammar *grammar, const json_t *test)
{
    static const char *const names[] = {[WEIR_MATCH_NOT] = "reject",
                                        [WEIR_MATCH_PREFIX] = "prefix",
                                        [WEIR_MATCH_WHOLE] = "complete"};
    const char *text = json_string_value(json_object_get(test, "text"));
    const char *expected = json_string_value(json_object_get(test, "result"));
    const char *actual = names[grammars_match(grammar, text)];
    if (strcmp(actual, expected) != 0)
        test_fail(__FILE__, __LINE__, "%s: %s: %s, expected %s", name, text, actual, expected);
}

static void check_case(const json_t *recorded)
{
    const char *name = json_string_value(json_object_get(recorded, "name"));
    const json_t *schema = json_object_get(recorded, "schema");
    const char *notation = json_string_value(json_object_get(recorded, "grammar"));
    struct weir_grammar *grammar;
    if (schema != NULL) {
        char *text = json_dumps(schema, JSON_COMPACT);
        grammar = grammars_open_schema(text);
        free(text);
    } else {
        grammar = grammars_open_gbnf(notation);
    }
    size_t i;
    const json_t *test;
    json_array_foreach(json_object_get(recorded, "tests"), i, test)
    {
        check_text(name, grammar, test);
    }
    weir_grammar_close(grammar);
}

TEST(grammar_recorded)
{
    json_t *cases = json_load_file(test_data("grammar/grammar.json"), 0, NULL);
    CHECK(cases != NULL);
    size_t i;
    const json_t *recorded;
    json_array_foreach(json_object_get(cases, "cases"), i, recorded)
    {
        check_case(recorded);
    }
    CHECK_INT(i, 37);
    json_decref(cases);
}

/* ---- notation -------------------------------------------------------------------------------- */

TEST(grammar_gbnf_texts)
{
    static const struct {
        const char *grammar, *text;
        enum weir_match expected;
    } cases[] = {
        {"root ::= \"\"", "", WEIR_MATCH_WHOLE},
        {"root ::= | \"a\" root", "aaaa", WEIR_MATCH_WHOLE},
        {"root ::= x{0}\nx ::= \"a\"", "", WEIR_MATCH_WHOLE},
        {"root ::= x{0}\nx ::= \"a\"", "a", WEIR_MATCH_NOT},
        {"root ::= (\"a\" \"b\"?){2,}", "aba", WEIR_MATCH_WHOLE},
        {"root ::= (\"a\" \"b\"?){2,}", "ab", WEIR_MATCH_PREFIX},
        {"root ::= (\"a\"* | \"b\")", "ab", WEIR_MATCH_NOT},
        {"root ::= (\"a\"* | \"b\")*", "abba", WEIR_MATCH_WHOLE},
        {"root ::= ((\"a\"?)*)*", "aaa", WEIR_MATCH_WHOLE},
        {"root ::= [\\x00-\\x7f]{2}", "\xc3\xa9", WEIR_MATCH_NOT},
        {"root ::= [^a]", "\xf0\x9f\x98\x80", WEIR_MATCH_WHOLE},
        {"root ::= [^a]", "\xf0\x9f", WEIR_MATCH_PREFIX},
        {"root ::= .", "\xed\xa0\x80", WEIR_MATCH_NOT}, /* a surrogate */
        {"root ::= .", "\xc0\x80", WEIR_MATCH_NOT},     /* an overlong form */
        {"root ::= [\\u0400-\\u04FF]+", "\xd0\xb6", WEIR_MATCH_WHOLE},
        {"root ::= [\\u0400-\\u04FF]+", "\xce\xb1", WEIR_MATCH_NOT},
        {"root ::= [\xc3\xa4\xf0\x9f\x98\x80-\xf0\x9f\x98\x82]", "\xf0\x9f\x98\x81",
         WEIR_MATCH_WHOLE},
        {"root ::= a b\na ::= \"x\"?\nb ::= \"x\" | \"y\"", "xx", WEIR_MATCH_WHOLE},
        {"root ::= \"a\" | \"b\" endless\nendless ::= \"c\" endless", "a", WEIR_MATCH_WHOLE},
        {"root ::= \"a\" | \"b\" endless\nendless ::= \"c\" endless", "b", WEIR_MATCH_NOT},
        {"root ::= \"a\" | <think>", "<think>", WEIR_MATCH_NOT},
        {"root ::= \"a\" # the end", "a", WEIR_MATCH_WHOLE},
        {"\n# first\n\nroot ::=\n  \"a\" |\n  \"b\"\n\n", "b", WEIR_MATCH_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar = grammars_open_gbnf(cases[i].grammar);
        if (grammars_match(grammar, cases[i].text) != cases[i].expected)
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].grammar, cases[i].text);
        weir_grammar_close(grammar);
    }
}

TEST(grammar_gbnf_refusals)
{
    static const struct {
        const char *grammar, *expected;
    } cases[] = {
        {"", "grammar: no rule root"},
        {"a ::= \"x\"", "grammar: no rule root"},
        {"root ::= a", "grammar, line 1, column 10: the rule is not defined"},
        {"root ::= \"a", "grammar, line 1, column 12: the grammar ends within a literal or class"},
        {"root ::= [a", "grammar, line 1, column 12: the grammar ends within a literal or class"},
        {"root ::= [b-a]",
         "grammar, line 1, column 14: the range of a class ends before it begins"},
        {"root ::= \"\\q\"",
         "grammar, line 1, column 11: unknown escape, expected \\n \\r \\t \\\\ "
         "\\\" \\[ \\] \\x \\u or \\U"},
        {"root ::= \"\\ud800\"", "grammar, line 1, column 17: no such code point"},
        {"root ::= \"\\x4\"", "grammar, line 1, column 14: expected a hexadecimal digit"},
        {"root ::= \"a\"{3,2}",
         "grammar, line 1, column 18: at most fewer repetitions than at least"},
        {"root ::= \"a\"{2001}", "grammar, line 1, column 17: more than 2000 repetitions"},
        {"root ::= \"a\"{1", "grammar, line 1, column 15: expected }"},
        {"root ::= *", "grammar, line 1, column 10: expected the end of the rule"},
        {"root ::= \"a\"**", "grammar, line 1, column 14: a repetition of nothing"},
        {"root ::= (\"a\"", "grammar, line 1, column 10: a bracket without its )"},
        {"root = \"a\"", "grammar, line 1, column 6: expected ::="},
        {"root ::= \"a\"\nroot ::= \"b\"", "grammar, line 2, column 5: the rule is defined twice"},
        {"root ::= <a", "grammar, line 1, column 10: a token without its >"},
        {"root ::= <[a]>", "grammar, line 1, column 10: expected the id of a token, <[id]>"},
        {"root ::= !a", "grammar, line 1, column 11: expected a token, <text> or <[id]>"},
        {"root ::= root \"a\" | \"b\"", "grammar: rule root is left-recursive: it calls itself, or "
                                        "rules that do, before it reads anything"},
        {"root ::= \"x\" a\na ::= b? c\nb ::= \"b\"\nc ::= a \"x\" | \"c\"",
         "grammar: rule a is left-recursive: it calls itself, or rules that do, before it reads "
         "anything"},
        {"root ::= \"a\" root", "grammar: no text is ever complete"},
        {"root ::= []", "grammar: no text is ever complete"},
        {"root ::= \"\xff\"", "grammar, line 1, column 11: not UTF-8"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar;
        struct weir_error err = {0};
        const char *text = cases[i].grammar;
        CHECK_INT(weir_grammar_open_gbnf(&grammar, text, strlen(text), &err), WEIR_ERR_ARGUMENT);
        CHECK(grammar == NULL);
        CHECK_TEXT(err.text, cases[i].expected);
    }
}

/* Repetitions in repetitions end with an error, not with all memory. */
TEST(grammar_gbnf_has_a_limit)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    static const char text[] = "root ::= ((\"a\"{2000}){2000}){2000}";
    CHECK_INT(weir_grammar_open_gbnf(&grammar, text, sizeof text - 1, &err), WEIR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "grammar: more than 524287 places");
}

/* What adds few nodes is not read again and again either. */
TEST(grammar_gbnf_copies_so_much_only)
{
    static const char *const repeated[] = {"[", "(\"b\" #"};
    static const char *const ends[] = {"]{2000}", "\n){2000}"};
    for (int i = 0; i < 2; i++) {
        struct bytes text = {0};
        struct weir_grammar *grammar;
        struct weir_error err = {0};
        bytes_add_text(&text, "root ::= ");
        bytes_add_text(&text, repeated[i]);
        for (int k = 0; k < 5000; k++)
            bytes_add_text(&text, "a");
        bytes_add_text(&text, ends[i]);
        CHECK_INT(weir_grammar_open_gbnf(&grammar, text.data, text.length, &err),
                  WEIR_ERR_ARGUMENT);
        CHECK_TEXT(err.text, "grammar, line 1, column 10: too long with its repetitions");
        bytes_release(&text);
    }
}

/* Many ways lead to a long chain of nodes that read nothing: it is not gone along for each. */
TEST(grammar_gbnf_of_a_long_chain)
{
    enum { WAYS = 10000, CHAIN = 100000 };
    struct bytes text = {0};
    char code[8];
    bytes_add_text(&text, "root ::= [b");
    for (int i = 0; i < WAYS; i++) {
        snprintf(code, sizeof code, "\\u%04x", 0x4e00 + 2 * i);
        bytes_add_text(&text, code);
    }
    bytes_add_text(&text, "]");
    for (int i = 0; i < CHAIN; i++)
        bytes_add_text(&text, "\"\"");
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_gbnf(&grammar, text.data, text.length, &err), &err);
    CHECK_INT(grammars_match(grammar, "b"), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(grammar, "\xe4\xb8\x82"), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(grammar, "\xe4\xb8\x81"), WEIR_MATCH_NOT);
    weir_grammar_close(grammar);
    bytes_release(&text);
}

/* Many stacks stand before a class of many characters: it is not gone through for each. */
TEST(grammar_gbnf_of_a_large_class)
{
    enum { STACKS_BITS = 12, CHARACTERS = 100000 };
    struct bytes text = {0};
    char rule[64];
    bytes_add_text(&text, "root ::= r0\n");
    for (int i = 0; i < STACKS_BITS; i++) {
        snprintf(rule, sizeof rule, "r%d ::= \"a\" (r%d \"x\" | r%d \"y\")\n", i, i + 1, i + 1);
        bytes_add_text(&text, rule);
    }
    snprintf(rule, sizeof rule, "r%d ::= [q", STACKS_BITS);
    bytes_add_text(&text, rule);
    for (int i = 0; i < CHARACTERS; i++) {
        snprintf(rule, sizeof rule, "\\U%08x", 0x10000 + 2 * i);
        bytes_add_text(&text, rule);
    }
    bytes_add_text(&text, "]");
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_open_gbnf(&grammar, text.data, text.length, &err), &err);
    for (char c = '!'; c < 'q'; c++)
        CHECK_INT(grammars_match(grammar, (char[]){'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a', 'a',
                                                   'a', 'a', c, 0}),
                  WEIR_MATCH_NOT);
    CHECK_INT(grammars_match(grammar, "aaaaaaaaaaaaqxyxyxyxyxyxy"), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(grammar, "aaaaaaaaaaaaqxyxyxyxyxyx"), WEIR_MATCH_PREFIX);
    CHECK_INT(grammars_match(grammar, "aaaaaaaaaaaaqxyxyxyxyxyxz"), WEIR_MATCH_NOT);
    weir_grammar_close(grammar);
    bytes_release(&text);
}

/* Twice as many stacks with each letter. */
TEST(grammar_too_ambiguous)
{
    struct weir_grammar *grammar =
        grammars_open_gbnf("root ::= (a | b) \"x\"\na ::= \"x\" (a | b) \"y\" | \"x\"\n"
                           "b ::= \"x\" (a | b) \"z\" | \"x\"");
    enum weir_match result;
    struct weir_error err = {0};
    CHECK_INT(weir_grammar_match(grammar, "xxxxxxxxxxxxxxxxxxxxxxx", 23, &result, &err),
              WEIR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "grammar: too ambiguous: the text can be read in more than 8192 ways");
    weir_grammar_close(grammar);
}

/* A rule that calls itself last takes no memory for it, and what is done with is forgotten. */
TEST(grammar_matches_long_texts)
{
    enum { LENGTH = 300000 };
    char *text = malloc(LENGTH);
    struct weir_error err = {0};
    enum weir_match result;
    CHECK(text != NULL);
    struct weir_grammar *grammar = grammars_open_gbnf("root ::= \"a\" root | \"a\"");
    memset(text, 'a', LENGTH);
    CHECK_OK(weir_grammar_match(grammar, text, LENGTH, &result, &err), &err);
    CHECK_INT(result, WEIR_MATCH_WHOLE);
    weir_grammar_close(grammar);
    grammar = grammars_open_gbnf("root ::= (\"(\" root \")\")* \";\"?");
    for (int i = 0; i < LENGTH; i++)
        text[i] = i % 5000 < 2500 ? '(' : ')';
    CHECK_OK(weir_grammar_match(grammar, text, LENGTH, &result, &err), &err);
    CHECK_INT(result, WEIR_MATCH_WHOLE);
    weir_grammar_close(grammar);
    free(text);
}

/* ---- regular expressions --------------------------------------------------------------------- */

/* The text as a string of JSON; none of the texts needs an escape. */
static struct weir_grammar *open_string_schema(const char *pattern)
{
    char schema[256], escaped[128];
    size_t length = 0;
    for (; *pattern != 0 && length + 2 < sizeof escaped; pattern++) {
        if (*pattern == '\\')
            escaped[length++] = '\\';
        escaped[length++] = *pattern;
    }
    snprintf(schema, sizeof schema, "{\"type\":\"string\",\"pattern\":\"^(%.*s)$\"}", (int)length,
             escaped);
    return grammars_open_schema(schema);
}

/* A pattern takes the texts that a string of a schema may be that must match the whole of it. */
TEST(grammar_patterns_are_those_of_schemas)
{
    static const char *const patterns[] = {
        "",
        "a",
        "ab|c",
        "(ab|c)*",
        "[a-c]{2,3}",
        "\\d+",
        "\\w+@\\w",
        "a?b+?c*",
        "(a(b(c)?)?)?",
        "[^a]",
        ".{2}",
        "(\\d{3}-)?\\d",
        "[\\d.]+%?",
        "\\u00e9x|x\\u00e9",
        "yes|no",
    };
    static const char *const texts[] = {
        "",      "a",   "b",     "c",     "ab",        "abc",       "abab",
        "cab",   "12",  "123-4", "a@b",   "\xc3\xa9x", "x\xc3\xa9", "\xc3\xa9",
        "12.5%", "yes", "no",    "yesno", "bbbc",      "ye",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++) {
        struct weir_grammar *pattern = grammars_open_pattern(patterns[i]);
        struct weir_grammar *schema = open_string_schema(patterns[i]);
        for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
            char quoted[32];
            snprintf(quoted, sizeof quoted, "\"%s", texts[k]);
            const enum weir_match begins = grammars_match(schema, quoted);
            snprintf(quoted, sizeof quoted, "\"%s\"", texts[k]);
            const bool is_whole = grammars_match(schema, quoted) == WEIR_MATCH_WHOLE;
            const enum weir_match expected = is_whole ? WEIR_MATCH_WHOLE : begins;
            if (grammars_match(pattern, texts[k]) != expected)
                test_fail(__FILE__, __LINE__, "%s: %s", patterns[i], texts[k]);
        }
        weir_grammar_close(schema);
        weir_grammar_close(pattern);
    }
}

/* With ^ and $ or without, and lines too, which a string of JSON has no bytes for. */
TEST(grammar_patterns_match_the_whole_text)
{
    static const struct {
        const char *pattern, *text;
        enum weir_match expected;
    } cases[] = {
        {"^a$", "a", WEIR_MATCH_WHOLE},
        {"^a", "ab", WEIR_MATCH_NOT},
        {"a$|^b", "b", WEIR_MATCH_WHOLE},
        {"a$|^b", "ab", WEIR_MATCH_NOT},
        {"a\\n[\\t\"]", "a\n\"", WEIR_MATCH_WHOLE},
        {"a\\n[\\t\"]", "a\n", WEIR_MATCH_PREFIX},
        {"a.b", "a\nb", WEIR_MATCH_NOT},
        {"(a{0,40}){40}", "aaaa", WEIR_MATCH_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar = grammars_open_pattern(cases[i].pattern);
        if (grammars_match(grammar, cases[i].text) != cases[i].expected)
            test_fail(__FILE__, __LINE__, "%s: %s", cases[i].pattern, cases[i].text);
        weir_grammar_close(grammar);
    }
}

static void check_no_pattern(const char *text, enum weir_status status, const char *expected)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    CHECK_INT(weir_grammar_open_pattern(&grammar, text, strlen(text), &err), status);
    CHECK(grammar == NULL);
    CHECK_TEXT(err.text, expected);
}

TEST(grammar_pattern_refusals)
{
    char long_class[4096];
    check_no_pattern("(a", WEIR_ERR_UNSUPPORTED, "pattern, byte 3: expected )");
    check_no_pattern("a)", WEIR_ERR_UNSUPPORTED, "pattern, byte 2: a ) without its (");
    check_no_pattern("(?=a)", WEIR_ERR_UNSUPPORTED,
                     "pattern, byte 2: a group that looks around, or has a name");
    check_no_pattern("a\\1", WEIR_ERR_UNSUPPORTED, "pattern, byte 2: an escape that is not known");
    check_no_pattern("\\\x0e", WEIR_ERR_UNSUPPORTED,
                     "pattern, byte 1: an escape that is not known");
    check_no_pattern("((a{0,99}){0,99}){0,99}", WEIR_ERR_UNSUPPORTED,
                     "pattern, byte 4: too many repetitions");
    check_no_pattern("[]", WEIR_ERR_ARGUMENT, "grammar: no text is ever complete");
    snprintf(long_class, sizeof long_class, "[%04000d]{1000}", 0);
    check_no_pattern(long_class, WEIR_ERR_UNSUPPORTED,
                     "pattern, byte 578: too long with its repetitions");
}

static void alloc_pattern(void *argument)
{
    static const char text[] = "(a[^b]|\\d{2,3})*";
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    (void)argument;
    const enum weir_status status =
        weir_grammar_open_pattern(&grammar, text, sizeof text - 1, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    weir_grammar_close(grammar);
}

TEST(grammar_pattern_alloc)
{
    alloc_test(alloc_pattern, NULL);
}

/* ---- want of memory -------------------------------------------------------------------------- */

static void alloc_gbnf(void *argument)
{
    static const char text[] = "root ::= a{2,3} | [^x\\u0444]+ <think> !<[7]>\na ::= \"y\" a?";
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    enum weir_match result;
    (void)argument;
    enum weir_status status = weir_grammar_open_gbnf(&grammar, text, sizeof text - 1, &err);
    if (status == WEIR_OK)
        status = weir_grammar_match(grammar, "yy", 2, &result, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    weir_grammar_close(grammar);
}

TEST(grammar_gbnf_alloc)
{
    alloc_test(alloc_gbnf, NULL);
}
