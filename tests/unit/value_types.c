/* SPDX-License-Identifier: MIT
 * Tests of which JSON the text of a parameter becomes. Run alone:
 * build/tests/weir-test value_types_ */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "chat/value_types.h"

static struct json_document *read(const char *text)
{
    struct json_document *document;
    struct weir_error err = {0};
    CHECK_OK(json_open(&document, text, strlen(text), "text", &err), &err);
    return document;
}

static unsigned types_of(const char *parameters, const char *key)
{
    struct json_document *document = read(parameters);
    const unsigned types =
        value_types(json_root(document), (struct json_text){key, strlen(key)}, NULL);
    json_close(document);
    return types;
}

/* The types of parameter "a" with this schema. */
TEST(value_types_of_schemas)
{
    enum { NUMBER = VALUE_INTEGER | VALUE_FRACTION };
    static const struct {
        const char *schema;
        unsigned types;
    } cases[] = {
        {"{}", VALUE_ANY},
        {"true", VALUE_ANY},
        {"false", 0},
        {"{\"type\":\"string\"}", VALUE_STRING},
        {"{\"type\":\"integer\"}", VALUE_INTEGER},
        {"{\"type\":\"number\"}", NUMBER},
        {"{\"type\":[\"object\",\"null\",\"array\"]}", VALUE_OBJECT | VALUE_NULL | VALUE_ARRAY},
        {"{\"type\":\"unheard of\"}", VALUE_ANY},
        {"{\"type\":\"boolean\",\"nullable\":true}", VALUE_BOOLEAN | VALUE_NULL},
        {"{\"enum\":[\"x\",1,2.5,null]}", VALUE_STRING | NUMBER | VALUE_NULL},
        {"{\"enum\":[1.00,[]],\"type\":\"number\"}", VALUE_INTEGER},
        {"{\"const\":{}}", VALUE_OBJECT},
        {"{\"const\":false}", VALUE_BOOLEAN},
        {"{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"integer\"}]}",
         VALUE_STRING | VALUE_INTEGER},
        {"{\"oneOf\":[{\"$ref\":\"#/$defs/n\"},{\"type\":\"null\"}]}", NUMBER | VALUE_NULL},
        {"{\"allOf\":[{\"type\":[\"string\",\"null\"]},{\"type\":[\"null\",\"array\"]}]}",
         VALUE_NULL},
        {"{\"anyOf\":[]}", VALUE_ANY},
        {"{\"$ref\":\"#/$defs/n\"}", NUMBER},
        {"{\"$ref\":\"#/$defs/s~1~0\"}", VALUE_STRING},
        {"{\"$ref\":\"#/$defs/list/1\"}", VALUE_ARRAY},
        {"{\"$ref\":\"#/$defs/list/2\"}", VALUE_ANY},
        {"{\"$ref\":\"#/$defs/loop\"}", VALUE_ANY},
        {"{\"$ref\":\"#/$defs/many\"}", VALUE_ANY},
        {"{\"$ref\":\"#nowhere\"}", VALUE_ANY},
        {"{\"$ref\":\"http://else.where/\"}", VALUE_ANY},
        {"{\"$ref\":7}", VALUE_ANY},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text,
                 "{\"properties\":{\"a\":%s},\"$defs\":{\"n\":{\"type\":\"number\"},"
                 "\"s/~\":{\"type\":\"string\"},\"list\":[{},{\"type\":\"array\"}],"
                 "\"loop\":{\"$ref\":\"#/$defs/loop\"},\"many\":{\"anyOf\":[%s,%s,%s]}}}",
                 cases[i].schema, "{\"$ref\":\"#/$defs/many\"}", "{\"$ref\":\"#/$defs/many\"}",
                 "{\"$ref\":\"#/$defs/many\"}");
        if (types_of(text, "a") != cases[i].types)
            test_fail(__FILE__, __LINE__, "%s: types %u, expected %u", cases[i].schema,
                      types_of(text, "a"), cases[i].types);
    }
}

TEST(value_types_find_the_parameter)
{
    static const char text[] =
        "{\"$ref\":\"#/$defs/p\",\"allOf\":[{\"properties\":{\"b\":{\"type\":\"null\"}}},"
        "{\"properties\":{\"c\":{\"type\":\"array\"}}}],\"$defs\":{\"p\":{\"properties\":"
        "{\"a\":{\"type\":\"object\"}}}}}";
    CHECK_INT(types_of(text, "a"), VALUE_OBJECT);
    CHECK_INT(types_of(text, "b"), VALUE_NULL);
    CHECK_INT(types_of(text, "c"), VALUE_ARRAY);
    CHECK_INT(types_of(text, "d"), VALUE_STRING);
    CHECK_INT(types_of("{\"additionalProperties\":{\"type\":\"integer\"}}", "a"), VALUE_INTEGER);
    CHECK_INT(types_of("{\"additionalProperties\":true}", "a"), VALUE_STRING);
    CHECK_INT(types_of("{\"$ref\":\"#\"}", "a"), VALUE_STRING);
    CHECK_INT(types_of("{\"anyOf\":[{\"properties\":{\"a\":{\"const\":\"x\"}}},{},{\"properties\":"
                       "{\"a\":{\"const\":1}}}]}",
                       "a"),
              VALUE_STRING | VALUE_INTEGER);
    CHECK_INT(types_of("7", "a"), VALUE_STRING);
    CHECK_INT(value_types(NULL, (struct json_text){"a", 1}, NULL), VALUE_STRING);
}

TEST(value_types_of_texts)
{
    static const struct {
        const char *text;
        unsigned types; /* that take the text as JSON */
    } cases[] = {
        {"12", VALUE_INTEGER},
        {" -3.0\n", VALUE_INTEGER},
        {"3.5", VALUE_FRACTION},
        {"1e3", VALUE_FRACTION},
        {"true", VALUE_BOOLEAN},
        {"null", VALUE_NULL},
        {"[1, \"a\"]", VALUE_ARRAY},
        {"{}", VALUE_OBJECT},
        {"\"a\"", 0},
        {"", 0},
        {"one", 0},
        {"[1", 0},
        {"1 2", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (unsigned type = 1; type < VALUE_ANY; type *= 2)
            CHECK(value_is_json(type, cases[i].text, strlen(cases[i].text)) ==
                  (type == cases[i].types));
    }
    CHECK(value_is_json(VALUE_ANY, "\"a\"", 3) && !value_is_json(VALUE_ANY, "a", 1));
}

TEST(value_types_of_tools)
{
    struct json_document *document =
        read("[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"x\":1}}},"
             "{\"name\":\"g\",\"parameters\":[]},{\"name\":\"h\"}]");
    const struct json *root = json_root(document);
    CHECK_OK(tools_check(root, NULL), &(struct weir_error){0});
    CHECK(json_get(tools_parameters(root, (struct json_text){"f", 1}), "x") != NULL);
    CHECK_INT(tools_parameters(root, (struct json_text){"g", 1})->kind, JSON_ARRAY);
    CHECK(tools_parameters(root, (struct json_text){"h", 1}) == NULL);
    CHECK(tools_parameters(root, (struct json_text){"ff", 2}) == NULL);
    json_close(document);
}
