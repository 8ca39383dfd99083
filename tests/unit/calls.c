/* SPDX-License-Identifier: MIT
 * Tests of the grammar of calls: refusals, cases, the recorded replies, sizes. Run alone:
 * build/tests/weir-test calls_ */
#include "alloc.h"
#include "grammars.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "json/json.h"

/* ---- refusals -------------------------------------------------------------------------------- */

TEST(calls_refusals)
{
    static const struct {
        const char *tools, *only, *expected;
    } cases[] = {
        {"{", NULL, NULL},
        {"{}", NULL, "tools: expected an array, found an object"},
        {"[]", NULL, "tools: there are none"},
        {"[{}]", NULL, "tools: tool 0 has no name"},
        {"[{\"name\":\"a\"}]", "b", "tools: there is no b"},
        {"[{\"name\":\"a\"},{\"function\":{\"name\":\"a\"}}]", NULL,
         "tools: two of them are called a"},
        {"[{\"name\":\"a\"},{\"name\":\"b>\"}]", NULL,
         "tools: tool 1 has a name that no call can hold: 1 to 256 bytes, no angle bracket and no "
         "control character were expected"},
        {"[{\"name\":\"\"}]", NULL, NULL},
        {"[{\"name\":\"a\\n\"}]", NULL, NULL},
        {"[{\"name\":\"a\",\"parameters\":{\"properties\":{\"k\":false},\"required\":[\"k\"]}}]",
         "a", "schema, /properties/k: false allows nothing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar;
        struct weir_error err = {0};
        const struct weir_calls_options options = {.required = true, .only = cases[i].only};
        const char *tools = cases[i].tools;
        CHECK_INT(weir_grammar_open_calls(&grammar, tools, strlen(tools), &options, &err),
                  WEIR_ERR_ARGUMENT);
        CHECK(grammar == NULL && err.text[0] != 0 && err.status == WEIR_ERR_ARGUMENT);
        if (cases[i].expected != NULL)
            CHECK_TEXT(err.text, cases[i].expected);
    }
}

/* ---- cases ----------------------------------------------------------------------------------- */

#define BEGIN   "<tool_call>\n<function=f>\n"
#define END     "</function>\n</tool_call>"
#define P(k, v) "<parameter=" k ">\n" v "\n</parameter>\n"
#define NOW     "<tool_call>\n<function=now>\n" END

/* Of a tool f with one optional parameter p. */
static void check_value(const char *schema, const char *value, enum weir_match expected)
{
    struct bytes tools = {0}, text = {0};
    bytes_add_text(&tools, "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"p\":");
    bytes_add_text(&tools, schema);
    bytes_add_text(&tools, "},\"$defs\":{\"r\":{\"type\":\"array\",\"items\":{\"$ref\":"
                           "\"#/$defs/r\"}}}}}]");
    bytes_add_text(&text, BEGIN "<parameter=p>\n");
    bytes_add_text(&text, value);
    bytes_add_text(&text, "\n</parameter>\n" END);
    struct weir_grammar *grammar = grammars_open_calls(tools.data, NULL);
    const enum weir_match found = grammars_match(grammar, text.data);
    if (found != expected)
        test_fail(__FILE__, __LINE__, "%s, %s: %d", schema, value, (int)found);
    weir_grammar_close(grammar);
    bytes_release(&text);
    bytes_release(&tools);
}

TEST(calls_values)
{
    static const char text[] = "{\"type\":\"string\"}";
    static const char date[] = "{\"type\":\"string\",\"format\":\"date\"}";
    static const char some[] = "{\"type\":\"string\",\"minLength\":2,\"maxLength\":16}";
    static const char list[] = "{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"array\",\"items\":"
                               "{\"type\":\"string\"}}]}";
    static const char flag[] = "{\"anyOf\":[{\"type\":\"string\"},{\"const\":false}]}";
    static const char name[] = "{\"enum\":[\"a b\",\"1\",2,null,\"\"]}";
    static const char refused[] = "{\"type\":\"integer\",\"multipleOf\":3}";
    static const struct {
        const char *schema, *value;
        enum weir_match expected;
    } cases[] = {
        {text, "", WEIR_MATCH_WHOLE},
        {text, "</parameter>", WEIR_MATCH_NOT}, /* that ends the value, and another cannot come */
        {text, "a</parameter>", WEIR_MATCH_WHOLE},
        {text, "a</parameter>\nb", WEIR_MATCH_WHOLE},
        {text, "a\n</parameter>b\n\n", WEIR_MATCH_WHOLE},
        {text, "a\n</parameter>\nb", WEIR_MATCH_NOT},
        {text, "a</parameter> \n\t<parameter=b>", WEIR_MATCH_NOT},
        {text, "a</parameter> </parameter></function>", WEIR_MATCH_NOT},
        {text, "a</parameter> </functio>", WEIR_MATCH_WHOLE},
        {text, "a</parameter>x</tool_call><parameter=b>", WEIR_MATCH_WHOLE},
        {text, "<tool_call>\n<function=f>", WEIR_MATCH_WHOLE},
        {date, "2024-02-30", WEIR_MATCH_WHOLE},
        {date, "2024-13-01", WEIR_MATCH_NOT},
        {some, "a", WEIR_MATCH_NOT},
        {some, "<\xc3\xa9", WEIR_MATCH_WHOLE},
        {some, "</</parameter", WEIR_MATCH_WHOLE},
        {some, "</</parameter>", WEIR_MATCH_NOT},
        {some, "0123456789abcdef", WEIR_MATCH_WHOLE},
        {some, "0123456789abcdefg", WEIR_MATCH_NOT},
        {list, "[\"a\"]", WEIR_MATCH_WHOLE},
        {list, "[a]", WEIR_MATCH_NOT},
        {list, " [1]", WEIR_MATCH_NOT},
        {list, " a[1]", WEIR_MATCH_WHOLE},
        {list, "1", WEIR_MATCH_WHOLE},
        {flag, "false", WEIR_MATCH_WHOLE},
        {flag, "true", WEIR_MATCH_NOT},
        {flag, " true \n", WEIR_MATCH_NOT},
        {flag, " true x", WEIR_MATCH_WHOLE},
        {flag, "tru\n", WEIR_MATCH_WHOLE},
        {flag, "null", WEIR_MATCH_WHOLE},
        {name, "a b", WEIR_MATCH_WHOLE},
        {name, "1", WEIR_MATCH_NOT}, /* it would be read as a number */
        {name, "2", WEIR_MATCH_WHOLE},
        {name, "null", WEIR_MATCH_WHOLE},
        {name, "", WEIR_MATCH_WHOLE},
        {refused, "4", WEIR_MATCH_WHOLE},
        {refused, "4.5", WEIR_MATCH_NOT},
        {"{\"not\":{}}", "any < text", WEIR_MATCH_WHOLE},
        {"{\"type\":\"any\"}", "{", WEIR_MATCH_WHOLE},
        {"{\"type\":\"number\"}", "-1.5e3", WEIR_MATCH_WHOLE},
        {"{\"type\":\"number\"}", " 1", WEIR_MATCH_NOT},
        {"{\"type\":\"object\"}", "{\"a\": \"</param>\"}", WEIR_MATCH_WHOLE},
        {"{\"type\":\"object\"}", "{\"a\": \"</parameter>\"}", WEIR_MATCH_NOT},
        {"{\"type\":\"object\"}", "{\"a\": \"\\u003c/parameter>\"}", WEIR_MATCH_WHOLE},
        {"{\"type\":\"array\",\"items\":{\"maxLength\":3}}", "[\"<b>\"]", WEIR_MATCH_NOT},
        {"{\"type\":\"array\",\"items\":{\"maxLength\":3}}", "[\"\\u003cb>\"]", WEIR_MATCH_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_value(cases[i].schema, cases[i].value, cases[i].expected);
}

TEST(calls_values_that_may_be_null_or_have_marks_around)
{
    static const char maybe[] = "{\"enum\":[\"a\"],\"nullable\":true}";
    static const char maybes[] =
        "{\"type\":\"array\",\"items\":{\"allOf\":[{\"type\":\"integer\"}],"
        "\"minimum\":3,\"nullable\":true}}";
    static const char marked[] =
        "{\"type\":\"integer\",\"minimum\":5,\"description\":\"</parameter>\"}";
    static const struct {
        const char *schema, *value;
        enum weir_match expected;
    } cases[] = {
        {maybe, "null", WEIR_MATCH_WHOLE},
        {maybe, "a", WEIR_MATCH_WHOLE},
        {maybe, "b", WEIR_MATCH_NOT},
        {maybes, "[null,3]", WEIR_MATCH_WHOLE},
        {maybes, "[2]", WEIR_MATCH_NOT},
        {"{\"type\":\"string\",\"nullable\":true}", "any", WEIR_MATCH_WHOLE},
        {"{\"type\":\"integer\",\"nullable\":true}", "null", WEIR_MATCH_WHOLE},
        {"{\"type\":\"integer\",\"nullable\":true}", "x", WEIR_MATCH_NOT},
        {"{\"type\":\"integer\",\"const\":3.0}", "3.0", WEIR_MATCH_WHOLE},
        {marked, "7", WEIR_MATCH_WHOLE},
        {marked, "4", WEIR_MATCH_NOT},
        {"{\"enum\":[[\"</parameter>\"],1]}", "any", WEIR_MATCH_NOT},
        {"{\"enum\":[[\"</parameter>\"],1]}", "[]", WEIR_MATCH_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_value(cases[i].schema, cases[i].value, cases[i].expected);
}

/* What is nested deeper than the reader takes as JSON would be a string. */
TEST(calls_values_are_not_too_deep)
{
    enum { MOST = 32 };
    static const char *const schemas[] = {"{\"$ref\":\"#/$defs/r\"}", "{\"type\":\"array\"}"};
    for (int schema = 0; schema < 2; schema++) {
        for (int depth = MOST; depth <= MOST + 1; depth++) {
            char value[2 * MOST + 3] = "";
            memset(value, '[', (size_t)depth);
            memset(value + depth, ']', (size_t)depth);
            check_value(schemas[schema], value, depth == MOST ? WEIR_MATCH_WHOLE : WEIR_MATCH_NOT);
        }
    }
}

static void check_call(const char *parameters, const char *inside, enum weir_match expected)
{
    struct bytes tools = {0}, text = {0};
    bytes_add_text(&tools, "[{\"name\":\"f\",\"parameters\":");
    bytes_add_text(&tools, parameters);
    bytes_add_text(&tools, "}]");
    bytes_add_text(&text, BEGIN);
    bytes_add_text(&text, inside);
    bytes_add_text(&text, END);
    struct weir_grammar *grammar = grammars_open_calls(tools.data, NULL);
    const enum weir_match found = grammars_match(grammar, text.data);
    if (found != expected)
        test_fail(__FILE__, __LINE__, "%s, %s: %d", parameters, inside, (int)found);
    weir_grammar_close(grammar);
    bytes_release(&text);
    bytes_release(&tools);
}

TEST(calls_of_alternatives)
{
    static const char kinds[] = "{\"required\":[\"kind\"],\"anyOf\":[{\"properties\":{\"kind\":{"
                                "\"const\":\"a\"},\"x\":{\"type\":"
                                "\"integer\"}}},{\"properties\":{\"kind\":{\"const\":\"b\"}}}]}";
    static const char both[] = "{\"oneOf\":[{\"properties\":{\"v\":{\"type\":\"integer\"}}},{"
                               "\"properties\":{\"v\":{\"type\":"
                               "\"null\"}}}]}";
    static const char base[] = "{\"properties\":{\"v\":{\"enum\":[7,8,9]}},"
                               "\"oneOf\":[{\"properties\":{\"v\":"
                               "{\"const\":7}}},{\"properties\":{\"v\":{\"const\":3}}},{"
                               "\"properties\":{\"v\":{\"const\":8}}}]}";
    static const char any[] = "{\"anyOf\":[{\"properties\":{\"v\":{\"const\":7}}},{\"properties\":{"
                              "\"v\":true}}]}";
    static const char far[] = "{\"anyOf\":[{\"$ref\":\"#/$defs/a\"},{\"allOf\":[{\"$ref\":\"#/"
                              "$defs/b\"}]}],\"$defs\":{\"a\":"
                              "{\"properties\":{\"k\":{\"type\":\"string\"}}},\"b\":{\"not\":{},"
                              "\"oneOf\":[{\"properties\":{\"n\":"
                              "{\"type\":\"integer\"}}},{\"$ref\":\"#\"}]}}}";
    static const struct {
        const char *parameters, *inside;
        enum weir_match expected;
    } cases[] = {
        {kinds, P("kind", "a"), WEIR_MATCH_WHOLE},
        {kinds, P("kind", "b") P("x", "1"), WEIR_MATCH_WHOLE},
        {kinds, P("kind", "c"), WEIR_MATCH_NOT},
        {kinds, P("kind", "a") P("x", "y"), WEIR_MATCH_NOT},
        {kinds, "", WEIR_MATCH_NOT},
        {both, P("v", "1"), WEIR_MATCH_WHOLE},
        {both, P("v", "null"), WEIR_MATCH_WHOLE},
        {both, P("v", "true"), WEIR_MATCH_NOT},
        {base, P("v", "7"), WEIR_MATCH_WHOLE},
        {base, P("v", "3"), WEIR_MATCH_NOT},
        {base, P("v", "9"), WEIR_MATCH_NOT},
        {any, P("v", "6"), WEIR_MATCH_WHOLE},
        {far, P("k", "text") P("n", "1"), WEIR_MATCH_WHOLE},
        {far, P("n", "x"), WEIR_MATCH_NOT},
        {far, P("m", "x"), WEIR_MATCH_NOT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_call(cases[i].parameters, cases[i].inside, cases[i].expected);
}

/* Parameters that no schema names may be given where the schema is open for them. */
TEST(calls_of_other_parameters)
{
    static const char open[] = "{\"type\":\"object\"}";
    static const char numbers[] = "{\"properties\":{\"ab\":{\"type\":\"string\"},\"a\\u00e9\":{}},"
                                  "\"additionalProperties\":{\"type\":\"integer\"}}";
    static const char closed[] = "{\"type\":\"object\",\"properties\":{}}";
    static const char refused[] = "{\"type\":\"object\",\"additionalProperties\":false}";
    static const char named[] = "{\"properties\":{\"<\":{},\"k\":{\"type\":\"integer\"}}}";
    static const char needed[] =
        "{\"properties\":{\"k\":{\"type\":\"integer\"}},\"required\":[\"a>\",\"k\"]}";
    static const struct {
        const char *parameters, *inside;
        enum weir_match expected;
    } cases[] = {
        {open, "", WEIR_MATCH_WHOLE},
        {open, P("a b", "text") P("\xc3\xa9", "1"), WEIR_MATCH_WHOLE},
        {open, P("", "text"), WEIR_MATCH_NOT},
        {open, P("a<", "text"), WEIR_MATCH_NOT},
        {open, P("a\x7f", "text"), WEIR_MATCH_NOT},
        {numbers, P("ab", "text") P("a", "1") P("abc", "2") P("b", "3"), WEIR_MATCH_WHOLE},
        {numbers, P("a\xc3\xa9", "text") P("a\xc3\xa8", "1"), WEIR_MATCH_WHOLE},
        {numbers, P("a\xc3\xa8", "text"), WEIR_MATCH_NOT},
        {numbers, P("ab", "text") P("ab", "1"), WEIR_MATCH_NOT},
        {closed, "", WEIR_MATCH_WHOLE},
        {closed, P("a", "text"), WEIR_MATCH_NOT},
        {refused, P("a", "text"), WEIR_MATCH_NOT},
        {named, P("k", "1"), WEIR_MATCH_WHOLE},
        {named, P("k", "x"), WEIR_MATCH_NOT},
        {needed, P("k", "x") P("a", "1"), WEIR_MATCH_WHOLE},
        {needed, "", WEIR_MATCH_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_call(cases[i].parameters, cases[i].inside, cases[i].expected);
}

/* A name that is not known is no longer than the parser of replies reads. */
TEST(calls_of_long_names)
{
    enum { MOST = 64 };
    for (int length = MOST; length <= MOST + 1; length++) {
        struct bytes text = {0};
        bytes_add_text(&text, "<parameter=");
        for (int i = 0; i < length; i++)
            bytes_add_text(&text, "\xf0\x9f\x98\x80");
        bytes_add_text(&text, ">\n\n</parameter>\n");
        check_call("{}", text.data, length == MOST ? WEIR_MATCH_WHOLE : WEIR_MATCH_NOT);
        bytes_release(&text);
    }
}

static const char two_tools[] =
    "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"type\":"
    "\"string\"},\"c\":{\"type\":\"string\"},\"d\":{\"type\":\"string\"}},\"required\":[\"b\","
    "\"a\"]}},{\"name\":\"now\"}]";

TEST(calls_orders)
{
    struct weir_grammar *grammar = grammars_open_calls(two_tools, NULL);
    static const struct {
        const char *text;
        enum weir_match expected;
    } cases[] = {
        {BEGIN P("a", "") P("b", "") END, WEIR_MATCH_WHOLE},
        {BEGIN P("b", "") P("a", "") END, WEIR_MATCH_WHOLE},
        {BEGIN P("b", "") END, WEIR_MATCH_NOT},
        {BEGIN P("b", "") P("b", ""), WEIR_MATCH_NOT},
        {BEGIN P("b", "") P("c", ""), WEIR_MATCH_NOT},
        {BEGIN P("b", "") P("a", "") P("d", "") P("c", "") END, WEIR_MATCH_WHOLE},
        {BEGIN P("b", "") P("a", "") P("d", "") P("d", ""), WEIR_MATCH_NOT},
        {BEGIN P("b", "") P("a", "") P("e", ""), WEIR_MATCH_NOT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK_INT(grammars_match(grammar, cases[i].text), cases[i].expected);
    weir_grammar_close(grammar);
}

/* Where parameters are too many for that, their order is the schema's. */
TEST(calls_orders_of_many_parameters)
{
    struct bytes tools = {0}, text = {0}, other = {0};
    bytes_add_text(&tools, "[{\"name\":\"f\",\"parameters\":{\"properties\":{");
    bytes_add_text(&text, BEGIN);
    bytes_add_text(&other, BEGIN P("p8", "v") P("p7", "v"));
    for (int i = 0; i < 900; i++) {
        char part[128];
        snprintf(part, sizeof part, "%s\"p%d\":{\"type\":\"string\"}", i == 0 ? "" : ",", i);
        bytes_add_text(&tools, part);
        snprintf(part, sizeof part, P("p%d", "v"), i);
        bytes_add_text(&text, i % 3 == 0 ? part : "");
    }
    bytes_add_text(&tools, "}}}]");
    bytes_add_text(&text, END);
    struct weir_grammar *grammar = grammars_open_calls(tools.data, NULL);
    CHECK_INT(grammars_match(grammar, text.data), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(grammar, other.data), WEIR_MATCH_NOT);
    weir_grammar_close(grammar);
    bytes_release(&other);
    bytes_release(&text);
    bytes_release(&tools);
}

TEST(calls_options)
{
    static const struct {
        struct weir_calls_options options;
        const char *text;
        enum weir_match expected;
    } cases[] = {
        {{false, false, NULL}, "", WEIR_MATCH_WHOLE},
        {{false, false, NULL}, "a < b and <tool is not a tag", WEIR_MATCH_WHOLE},
        {{false, false, NULL}, "a <tool_call>", WEIR_MATCH_PREFIX},
        {{false, false, NULL}, "a <tool_call> ", WEIR_MATCH_NOT},
        {{false, false, NULL}, "the form <function=x", WEIR_MATCH_NOT},
        {{false, false, NULL}, "a\n\n" NOW "\n" NOW, WEIR_MATCH_WHOLE},
        {{false, false, NULL}, NOW "\n", WEIR_MATCH_WHOLE},
        {{false, false, NULL}, NOW "\n\n", WEIR_MATCH_NOT},
        {{false, false, NULL}, "<function=now>\n" END, WEIR_MATCH_WHOLE},
        {{false, true, NULL}, "a" NOW "\n", WEIR_MATCH_WHOLE},
        {{false, true, NULL}, NOW "\n<", WEIR_MATCH_NOT},
        {{true, false, NULL}, "", WEIR_MATCH_PREFIX},
        {{true, false, NULL}, "a", WEIR_MATCH_NOT},
        {{true, false, NULL}, NOW "\n" NOW, WEIR_MATCH_WHOLE},
        {{true, false, "now"}, BEGIN, WEIR_MATCH_NOT},
        {{true, false, "now"}, NOW, WEIR_MATCH_WHOLE},
        {{false, false, "f"}, NOW, WEIR_MATCH_NOT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar = grammars_open_calls(two_tools, &cases[i].options);
        if (grammars_match(grammar, cases[i].text) != cases[i].expected)
            test_fail(__FILE__, __LINE__, "case %zu: %s", i, cases[i].text);
        weir_grammar_close(grammar);
    }
}

/* With a schema for content the texts are those of the schema and those of calls, no others: what
 * holds of a text is the more that holds of it there. */
TEST(calls_or_content_of_a_schema)
{
    static const char schema[] =
        "{\"$defs\":{\"t\":{\"type\":\"string\",\"maxLength\":40}},\"type\":\"object\","
        "\"properties\":{\"a\":{\"$ref\":\"#/$defs/t\"},\"b\":{\"type\":[\"integer\",\"null\"]}},"
        "\"required\":[\"a\"],\"additionalProperties\":false}";
    static const char *const texts[] = {
        "{\"a\":\"x </parameter> y\",\"b\":-12}",
        "{\"a\": \"\", \"b\": null}",
        "{\"b\":1}",
        "{\"a\":\"<tool_call><function=now></function>\"}",
        "{\"a\":\"x\"}" NOW,
        NOW "\n" NOW,
        NOW "{\"a\":\"x\"}",
        BEGIN P("a", "x") P("b", "y") END "\n",
        "text",
        "\n{\"a\":\"x\"}",
    };
    struct weir_error err = {0};
    struct weir_grammar *content;
    struct weir_calls_options options = {.required = true};
    CHECK_OK(weir_grammar_open_schema(&content, schema, sizeof schema - 1, &err), &err);
    struct weir_grammar *calls = grammars_open_calls(two_tools, &options);
    options = (struct weir_calls_options){.content = schema, .content_length = sizeof schema - 1};
    struct weir_grammar *either = grammars_open_calls(two_tools, &options);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char text[256];
        for (size_t length = 0; length <= strlen(texts[i]); length++) {
            snprintf(text, sizeof text, "%.*s", (int)length, texts[i]);
            const enum weir_match one = grammars_match(content, text),
                                  other = grammars_match(calls, text);
            if (grammars_match(either, text) != (one > other ? one : other))
                test_fail(__FILE__, __LINE__, "%s", text);
        }
    }
    CHECK_INT(grammars_match(either, texts[0]), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(either, texts[3]), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(either, texts[5]), WEIR_MATCH_WHOLE);
    weir_grammar_close(either);
    weir_grammar_close(calls);
    weir_grammar_close(content);
    options = (struct weir_calls_options){.content = "false", .content_length = 5};
    CHECK_INT(weir_grammar_open_calls(&calls, two_tools, strlen(two_tools), &options, &err),
              WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "schema: false allows nothing");
}

/* ---- recorded replies ------------------------------------------------------------------------ */

/* What the recorded replies have that the one form has not. */
static bool is_formed(const struct json *vector)
{
    static const char *const others[] = {

        "unknown_function",         "unknown_parameter",
        "missing_required",         "bad_int",
        "truncated_in_value",       "truncated_after_function",
        "trailing_text_after_call", "missing_newlines_compact",
        "json_style_call",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (json_is(json_get(vector, "name"), others[i]))
            return false;
    }
    return true;
}

static void check_vector(const struct json *vector)
{
    static const char think_end[] = "</think>\n\n";
    const struct json *tools = json_get(vector, "tools");
    const struct json_text text = json_get(vector, "output")->text;
    char *output = mem_copy_text(text.bytes, text.length, NULL);
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    const char *end = strstr(output, think_end);
    CHECK_OK(
        weir_grammar_open_calls(&grammar, tools->source.bytes, tools->source.length, NULL, &err),
        &err);
    const enum weir_match found =
        grammars_match(grammar, end == NULL ? output : end + sizeof think_end - 1);
    if ((found == WEIR_MATCH_WHOLE) != is_formed(vector))
        test_fail(__FILE__, __LINE__, "%.*s: %d", (int)json_get(vector, "name")->text.length,
                  json_get(vector, "name")->text.bytes, (int)found);
    mem_free(output);
    weir_grammar_close(grammar);
}

TEST(calls_recorded_replies)
{
    struct json_document *document;
    struct weir_error err = {0};
    size_t size;
    uint32_t count = 0;
    uint8_t *text = test_read_file(test_data("chat/parse.json"), &size);
    CHECK_OK(json_open(&document, (char *)text, size, "parse.json", &err), &err);
    free(text);
    const struct json *cases = json_get(json_root(document), "cases");
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct json *tools = json_get(&cases->items[i], "tools");
        if (tools->kind != JSON_ARRAY || tools->count == 0)
            continue;
        check_vector(&cases->items[i]);
        count++;
    }
    CHECK(count >= 30);
    json_close(document);
}

/* ---- sizes ----------------------------------------------------------------------------------- */

/* A schema that leads to itself in many ways has a copy for each depth; where that is too much, the
 * parameter alone is free. */
TEST(calls_schemas_that_recur_in_many_ways)
{
    struct bytes tools = {0};
    bytes_add_text(&tools, "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"p\":{\"$ref\":"
                           "\"#/$defs/d0\"},\"q\":{\"type\":\"integer\"}},\"$defs\":{");
    for (int i = 0; i < 60; i++) {
        char begin[64];
        snprintf(begin, sizeof begin, "%s\"d%d\":{\"type\":\"object\",\"properties\":{",
                 i == 0 ? "" : ",", i);
        bytes_add_text(&tools, begin);
        for (int k = 0; k < 60; k++) {
            char part[64];
            snprintf(part, sizeof part, "%s\"k%d\":{\"$ref\":\"#/$defs/d%d\"}", k == 0 ? "" : ",",
                     k, k);
            bytes_add_text(&tools, part);
        }
        bytes_add_text(&tools, "}}");
    }
    bytes_add_text(&tools, "}}}]");
    const uint64_t begin = clock_ns();
    struct weir_grammar *grammar = grammars_open_calls(tools.data, NULL);
    CHECK(clock_ns() - begin < 10000000000u);
    CHECK_INT(grammars_match(grammar, BEGIN P("p", "{\"any\":1}") P("q", "1") END),
              WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(grammar, BEGIN P("q", "x")), WEIR_MATCH_NOT);
    weir_grammar_close(grammar);
    bytes_release(&tools);
}

/* A few bytes of tools ask for minutes: when the account of work is spent, parameters are free. */
TEST(calls_schemas_that_take_long)
{
    struct bytes tools = {0};
    char part[64];
    bytes_add_text(
        &tools,
        "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"first\":{\"type\":\"integer\"}");
    for (int i = 0; i < 200; i++) {
        snprintf(part, sizeof part, ",\"p%d\":{\"$ref\":\"#/d\"}", i);
        bytes_add_text(&tools, part);
    }
    bytes_add_text(&tools, "},\"d\":{\"allOf\":[{}");
    for (int i = 0; i < 900; i++)
        bytes_add_text(&tools, ",{\"t\":0}");
    bytes_add_text(&tools, "],\"anyOf\":[{}");
    for (int i = 0; i < 256; i++)
        bytes_add_text(&tools, ",{\"t\":1}");
    bytes_add_text(&tools, "]}}}]");
    const uint64_t begin = clock_ns();
    struct weir_grammar *grammar = grammars_open_calls(tools.data, NULL);
    CHECK(clock_ns() - begin < 5000000000u);
    CHECK_INT(grammars_match(grammar, BEGIN P("first", "x")), WEIR_MATCH_NOT);
    CHECK_INT(grammars_match(grammar, BEGIN P("p199", "x") END), WEIR_MATCH_WHOLE);
    weir_grammar_close(grammar);
    bytes_release(&tools);
}

/* ---- allocations ----------------------------------------------------------------------------- */

/* A schema that cannot be kept is refused with its place, and without it where there is no memory
 * for that: this fails in neither case. */
static const struct {
    const char *type;
    bool may_pass;
} alloc_cases[] = {{"\"integer\"", false}, {"\"any\"", true}};

static void alloc_calls(void *argument)
{
    const bool may_pass = alloc_cases[*(const int *)argument].may_pass;
    static const char content[] = "{\"type\":\"array\",\"items\":{\"enum\":[1,\"a\"]}}";
    const struct weir_calls_options options = {.content = content,
                                               .content_length = sizeof content - 1};
    char tools[1024];
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    snprintf(
        tools, sizeof tools,
        "[{\"name\":\"f\",\"parameters\":{\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{"
        "\"anyOf\":[{\"type\":\"string\",\"maxLength\":3},{\"type\":\"array\",\"items\":{"
        "\"type\":\"integer\"}}]},\"c\":{\"enum\":[\"x\",1]},\"d\":{\"type\":%s}},\"required\":["
        "\"a\"]}},{\"name\":\"g\",\"parameters\":{\"anyOf\":[{\"properties\":{\"a\":{\"const\":1}}}"
        ","
        "{\"properties\":{\"a\":{\"nullable\":true,\"type\":\"integer\"}}}],"
        "\"additionalProperties\":{\"type\":\"null\"}}}]",
        alloc_cases[*(const int *)argument].type);
    const enum weir_status status =
        weir_grammar_open_calls(&grammar, tools, strlen(tools), &options, &err);
    CHECK(status == (alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK) ||
          (may_pass && status == WEIR_OK));
    CHECK((grammar == NULL) == (status != WEIR_OK));
    weir_grammar_close(grammar);
}

TEST(calls_alloc)
{
    for (int i = 0; i < 2; i++)
        alloc_test(alloc_calls, &i);
}
