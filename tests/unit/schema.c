/* SPDX-License-Identifier: MIT
 * Tests of JSON schemas: what is refused and why, and texts that the recorded cases do not have.
 * Run alone: build/tests/weir-test schema_ */
#include "alloc.h"
#include "grammars.h"
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/rng.h"

TEST(schema_refusals)
{
    static const struct {
        const char *schema;
        enum weir_status status;
        const char *expected;
    } cases[] = {
        {"{", WEIR_ERR_ARGUMENT, NULL},
        {"3", WEIR_ERR_ARGUMENT, "schema: a number, expected a schema"},
        {"false", WEIR_ERR_ARGUMENT, "schema: false allows nothing"},
        {"{\"type\":\"strin\"}", WEIR_ERR_ARGUMENT, "schema, /type: no such type"},
        {"{\"enum\":[]}", WEIR_ERR_ARGUMENT, "schema, /enum: none of the values listed is allowed"},
        {"{\"enum\":[1],\"type\":\"string\"}", WEIR_ERR_ARGUMENT,
         "schema, /enum: none of the values listed is allowed"},
        {"{\"allOf\":[{\"const\":1},{\"enum\":[2,3]}]}", WEIR_ERR_ARGUMENT,
         "schema, /allOf/0/const: none of the values listed is allowed"},
        {"{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", WEIR_ERR_ARGUMENT,
         "schema: no type is left"},
        {"{\"minLength\":3,\"maxLength\":2}", WEIR_ERR_ARGUMENT,
         "schema, /minLength: at least 3 characters, but at most 2"},
        {"{\"items\":{},\"minItems\":2,\"maxItems\":1}", WEIR_ERR_ARGUMENT,
         "schema, /minItems: at least 2 items, but at most 1"},
        {"{\"minimum\":5,\"maximum\":4.5}", WEIR_ERR_ARGUMENT,
         "schema, /minimum: the least number is above the greatest"},
        {"{\"minimum\":5,\"exclusiveMaximum\":5}", WEIR_ERR_ARGUMENT,
         "schema, /minimum: the least number is above the greatest"},
        {"{\"type\":\"integer\",\"minimum\":1.2,\"maximum\":1.8}", WEIR_ERR_ARGUMENT,
         "schema: nothing is allowed"},
        {"{\"properties\":{\"a\":{}},\"required\":[\"a\",\"b\"]}", WEIR_ERR_ARGUMENT,
         "schema, /required/1: b is required, but not allowed"},
        {"{\"properties\":{\"a/b\":{\"enum\":[]}},\"required\":[\"a/b\"]}", WEIR_ERR_ARGUMENT,
         "schema, /properties/a~1b/enum: none of the values listed is allowed"},
        {"{\"properties\":{\"a\":{\"$ref\":\"#\"}},\"required\":[\"a\"]}", WEIR_ERR_ARGUMENT,
         "schema: nothing is allowed"},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":1,\"exclusiveMaximum\":2}", WEIR_ERR_ARGUMENT,
         "schema: nothing is allowed"},
        {"{\"$ref\":\"#/a\"}", WEIR_ERR_ARGUMENT, "schema, /$ref: $ref leads nowhere"},
        {"{\"minItems\":-1}", WEIR_ERR_ARGUMENT,
         "schema, /minItems: minItems is not a whole number that is at least 0"},
        {"{\"required\":[1]}", WEIR_ERR_ARGUMENT, "schema, /required/0: not a name"},
        {"{\"anyOf\":[]}", WEIR_ERR_ARGUMENT, "schema, /anyOf: not an array of schemas"},
        {"{\"$ref\":\"http://a/b\"}", WEIR_ERR_UNSUPPORTED,
         "schema, /$ref: a $ref that is not a JSON pointer within the schema"},
        {"{\"items\":{\"not\":{}}}", WEIR_ERR_UNSUPPORTED,
         "schema, /items/not: the keyword not cannot be kept"},
        {"{\"uniqueItems\":true}", WEIR_ERR_UNSUPPORTED,
         "schema, /uniqueItems: the keyword uniqueItems cannot be kept"},
        {"{\"enum\":[\"a\"],\"minLength\":1}", WEIR_ERR_UNSUPPORTED,
         "schema, /minLength: the keyword minLength cannot be kept beside enum or const"},
        {"{\"pattern\":\"a\",\"format\":\"date\"}", WEIR_ERR_UNSUPPORTED,
         "schema, /format: more than one pattern or format cannot be kept"},
        {"{\"pattern\":\"a(?=b)\"}", WEIR_ERR_UNSUPPORTED,
         "schema, /pattern: pattern, byte 3: a group that looks around, or has a name"},
        {"{\"pattern\":\"a\\\\1\"}", WEIR_ERR_UNSUPPORTED,
         "schema, /pattern: pattern, byte 2: an escape that is not known"},
        {"{\"maxLength\":99999}", WEIR_ERR_UNSUPPORTED,
         "schema, /maxLength: more than 16384 characters are not counted"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar;
        struct weir_error err = {0};
        const char *text = cases[i].schema;
        const enum weir_status status =
            weir_grammar_open_schema(&grammar, text, strlen(text), &err);
        if (status != cases[i].status)
            test_fail(__FILE__, __LINE__, "%s: %d, %s", text, (int)status, err.text);
        CHECK(grammar == NULL && err.status == status);
        if (cases[i].expected != NULL)
            CHECK_TEXT(err.text, cases[i].expected);
    }
}

/* Empty alternatives make edges, but no nodes. */
TEST(schema_pattern_has_a_limit)
{
    char bars[101], schema[160];
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    memset(bars, '|', 100);
    bars[100] = 0;
    snprintf(schema, sizeof schema, "{\"pattern\":\"^(%s){8000}$\"}", bars);
    CHECK_INT(weir_grammar_open_schema(&grammar, schema, strlen(schema), &err),
              WEIR_ERR_UNSUPPORTED);
    CHECK(strstr(err.text, "too many alternatives") != NULL);
    snprintf(schema, sizeof schema, "{\"pattern\":\"^(%s){600}$\"}", bars);
    grammar = grammars_open_schema(schema);
    CHECK_INT(grammars_match(grammar, "\"\""), WEIR_MATCH_WHOLE);
    weir_grammar_close(grammar);
}

/* Many lists of many schemas, which are all to be gone through. */
TEST(schema_that_takes_long)
{
    struct bytes schema = {0};
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    char part[64];
    bytes_add_text(&schema, "{\"properties\":{\"a\":{}");
    for (int i = 0; i < 4000; i++) {
        snprintf(part, sizeof part, ",\"p%d\":{\"$ref\":\"#/d\"}", i);
        bytes_add_text(&schema, part);
    }
    bytes_add_text(&schema, "},\"d\":{\"allOf\":[{}");
    for (int i = 0; i < 1000; i++)
        bytes_add_text(&schema, ",{\"t\":0}");
    bytes_add_text(&schema, "]}}");
    const uint64_t begin = clock_ns();
    CHECK_INT(weir_grammar_open_schema(&grammar, schema.data, schema.length, &err),
              WEIR_ERR_UNSUPPORTED);
    CHECK(clock_ns() - begin < 3000000000u);
    CHECK_TEXT(err.text, "schema: it takes more than 1048576 steps to go through");
    bytes_release(&schema);
}

/* Values are compared with those of other lists, not with each other. */
TEST(schema_enum_of_many_values)
{
    enum { VALUES = 2000, BYTES = VALUES * 8 + 64 };
    static char schema[BYTES];
    int length = snprintf(schema, sizeof schema, "{\"enum\":[-1");
    for (int i = 0; i < VALUES; i++)
        length += snprintf(schema + length, sizeof schema - (size_t)length, ",%d", i);
    snprintf(schema + length, sizeof schema - (size_t)length, "]}");
    const uint64_t before = alloc_count();
    struct weir_grammar *grammar = grammars_open_schema(schema);
    CHECK(alloc_count() - before < 10 * VALUES);
    CHECK_INT(grammars_match(grammar, "1999"), WEIR_MATCH_WHOLE);
    CHECK_INT(grammars_match(grammar, "2000"), WEIR_MATCH_NOT);
    weir_grammar_close(grammar);
}

/* More than a constraint can tell apart: refused in terms of the schema, not of its states. */
TEST(schema_enum_of_too_many_values)
{
    enum { VALUES = 20000 };
    struct bytes schema = {0};
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    bytes_add_text(&schema, "{\"enum\":[-1");
    for (int i = 0; i < VALUES; i++) {
        char value[16];
        snprintf(value, sizeof value, ",%d", i);
        bytes_add_text(&schema, value);
    }
    bytes_add_text(&schema, "]}");
    CHECK_INT(weir_grammar_open_schema(&grammar, schema.data, schema.length, &err),
              WEIR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "schema, /enum: more than 8000 values cannot be kept");
    bytes_release(&schema);
}

TEST(schema_texts)
{
    static const struct {
        const char *schema, *text;
        enum weir_match expected;
    } cases[] = {
        {"true", "[1, {\"a\":null}]", WEIR_MATCH_WHOLE},
        {"{\"items\":{},\"uniqueItems\":false}", "[\"x\",{}]", WEIR_MATCH_WHOLE},
        {"{\"type\":\"string\"}", "\"\\ud83d\\ude00\"", WEIR_MATCH_WHOLE},
        {"{\"type\":\"string\"}", "\"\\ud83d\"", WEIR_MATCH_NOT},
        {"{\"maxLength\":1}", "\"\xf0\x9f\x98\x80\"", WEIR_MATCH_WHOLE},
        {"{\"maxLength\":1}", "\"\\ud83d\\ude00\"", WEIR_MATCH_WHOLE},
        {"{\"pattern\":\"b\"}", "\"abc\"", WEIR_MATCH_WHOLE},
        {"{\"pattern\":\"^b|c$\"}", "\"bx\"", WEIR_MATCH_WHOLE},
        {"{\"pattern\":\"^b|c$\"}", "\"xb\"", WEIR_MATCH_NOT},
        {"{\"pattern\":\"^\\\\s$\"}", "\"\\n\"", WEIR_MATCH_WHOLE},
        {"{\"pattern\":\"^\\\\s$\"}", "\"\n\"", WEIR_MATCH_NOT},
        {"{\"pattern\":\"^[^a]+$\"}", "\"\\\\\\\"\"", WEIR_MATCH_WHOLE},
        {"{\"pattern\":\"^a*$\",\"minLength\":2,\"maxLength\":3}", "\"aaa\"", WEIR_MATCH_WHOLE},
        {"{\"pattern\":\"^a*$\",\"minLength\":2,\"maxLength\":3}", "\"a\"", WEIR_MATCH_NOT},
        {"{\"pattern\":\"^a*$\",\"minLength\":2,\"maxLength\":3}", "\"aaaa", WEIR_MATCH_NOT},
        {"{\"type\":\"number\",\"minimum\":-1.25,\"exclusiveMaximum\":0.5}", "-1.25",
         WEIR_MATCH_WHOLE},
        {"{\"type\":\"number\",\"minimum\":-1.25,\"exclusiveMaximum\":0.5}", "-1.26",
         WEIR_MATCH_NOT},
        {"{\"type\":\"number\",\"minimum\":-1.25,\"exclusiveMaximum\":0.5}", "0.4999",
         WEIR_MATCH_WHOLE},
        {"{\"type\":\"number\",\"minimum\":-1.25,\"exclusiveMaximum\":0.5}", "0.50",
         WEIR_MATCH_NOT},
        {"{\"minimum\":1e2,\"type\":\"integer\"}", "99", WEIR_MATCH_PREFIX},
        {"{\"minimum\":1e2,\"type\":\"integer\"}", "100", WEIR_MATCH_WHOLE},
        {"{\"properties\":{\"a\":{},\"ab\":{}},\"additionalProperties\":{\"const\":1}}",
         "{\"abc\":1,\"b\":1,\"\":1}", WEIR_MATCH_WHOLE},
        {"{\"properties\":{\"a\":{},\"ab\":{}},\"additionalProperties\":{\"const\":1}}",
         "{\"b\":1,\"ab\":1}", WEIR_MATCH_NOT},
        {"{\"properties\":{\"a\":false,\"b\":{}}}", "{\"b\":1}", WEIR_MATCH_WHOLE},
        {"{\"properties\":{\"a\":false,\"b\":{}}}", "{\"a\":1", WEIR_MATCH_NOT},
        {"{\"type\":\"object\",\"required\":[\"x\"]}", "{\"x\":1,\"y\":2}", WEIR_MATCH_WHOLE},
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"anyOf\":[{\"required\":[\"a\"]}"
         ","
         "{\"required\":[\"b\"]}]}",
         "{\"b\":0}", WEIR_MATCH_WHOLE},
        {"{\"type\":\"object\",\"properties\":{\"a\":{},\"b\":{}},\"anyOf\":[{\"required\":[\"a\"]}"
         ","
         "{\"required\":[\"b\"]}]}",
         "{}", WEIR_MATCH_NOT},
        {"{\"prefixItems\":[{\"const\":1}],\"items\":{\"const\":2}}", "[1,2,2]", WEIR_MATCH_WHOLE},
        {"{\"prefixItems\":[{},{}],\"minItems\":1}", "[1]", WEIR_MATCH_WHOLE},
        {"{\"$defs\":{\"a b\":{\"const\":7}},\"$ref\":\"#/$defs/a%20b\"}", "7", WEIR_MATCH_WHOLE},
        {"{\"const\":\"a\\nb\\\"\"}", "\"a\\nb\\\"\"", WEIR_MATCH_WHOLE},
        {"{\"format\":\"time\",\"type\":\"string\"}", "\"09:05:59.25+02:00\"", WEIR_MATCH_WHOLE},
        {"{\"format\":\"email\",\"type\":\"string\"}", "\"any\"", WEIR_MATCH_WHOLE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_grammar *grammar = grammars_open_schema(cases[i].schema);
        const enum weir_match result = grammars_match(grammar, cases[i].text);
        if (result != cases[i].expected)
            test_fail(__FILE__, __LINE__, "%s: %s: %d", cases[i].schema, cases[i].text,
                      (int)result);
        weir_grammar_close(grammar);
    }
}

/* Numbers with two decimals on both sides of random bounds. */
TEST(schema_number_bounds)
{
    for (uint64_t round = 0; round < 40; round++) {
        const int low = (int)(rng_bits(test_seed(), round, 0) % 4000) - 2000;
        const int high = low + 1 + (int)(rng_bits(test_seed(), round, 1) % 3000);
        const bool open = rng_bits(test_seed(), round, 2) & 1;
        char schema[160];
        snprintf(schema, sizeof schema, "{\"type\":\"number\",\"%s\":%.2f,\"%s\":%.2f}",
                 open ? "exclusiveMinimum" : "minimum", low / 100.0,
                 open ? "exclusiveMaximum" : "maximum", high / 100.0);
        struct weir_grammar *grammar = grammars_open_schema(schema);
        for (uint64_t i = 0; i < 60; i++) {
            const uint64_t bits = rng_bits(test_seed(), round, 10 + i);
            const int around = i % 3 == 0 ? low : i % 3 == 1 ? high : (low + high) / 2;
            const int x = i < 6 ? around + (int)(i / 3) : around + (int)(bits % 400) - 200;
            char text[32];
            snprintf(text, sizeof text, "%.2f", x / 100.0);
            const bool expected =
                strcmp(text, "-0.00") != 0 && (open ? x > low && x < high : x >= low && x <= high);
            if ((grammars_match(grammar, text) == WEIR_MATCH_WHOLE) != expected)
                test_fail(__FILE__, __LINE__, "%s: %s", schema, text);
        }
        weir_grammar_close(grammar);
    }
}

static void alloc_schema(void *argument)
{
    static const char text[] =
        "{\"$defs\":{\"n\":{\"type\":[\"null\",\"number\"],\"maximum\":3}},\"properties\":{\"a\":"
        "{\"anyOf\":[{\"pattern\":\"^[a-c]{2}\\\\d*\",\"maxLength\":5},{\"$ref\":\"#/$defs/n\"}]},"
        "\"b\":{\"allOf\":[{\"items\":{\"enum\":[1,\"x\"]}},{\"maxItems\":3}]}},\"required\":["
        "\"b\"],"
        "\"additionalProperties\":{\"format\":\"date\",\"type\":\"string\"}}";
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    (void)argument;
    const enum weir_status status = weir_grammar_open_schema(&grammar, text, sizeof text - 1, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    weir_grammar_close(grammar);
}

TEST(schema_alloc)
{
    alloc_test(alloc_schema, NULL);
}
