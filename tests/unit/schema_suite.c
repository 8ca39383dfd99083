/* SPDX-License-Identifier: MIT
 * The JSON Schema Test Suite, as Debian has it (json-schema-test-suite, draft 7): the list
 * tests/data/grammar/schema_suite.txt says of each group whether it is in scope, and of each
 * instance that is judged otherwise why. Run alone: build/tests/weir-test schema_suite
 *
 * A line of the list is FILE | GROUP | in, or FILE | GROUP | refused: REASON, or, under a group,
 * - | INSTANCE | why weir differs. */
#include "test.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITE "/usr/share/json-schema-test-suite/tests/draft7"

enum { TEXT_MAX = 1 << 14, LINE_MAX = 512, ORDERS_MAX = 50000, KEYS_MAX = 16 };

/* ---- instances ------------------------------------------------------------------------------- */

struct writer {
    char text[TEXT_MAX];
    size_t length;
    uint64_t order;  /* which of the orders of all members is written */
    uint64_t orders; /* how many there are */
};

static void put(struct writer *writer, const char *text)
{
    const size_t length = strlen(text);
    CHECK(length < TEXT_MAX - writer->length);
    memcpy(writer->text + writer->length, text, length + 1);
    writer->length += length;
}

static void put_scalar(struct writer *writer, const json_t *value)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    CHECK(text != NULL);
    put(writer, text);
    free(text);
}

static void put_value(struct writer *writer, const json_t *value);

static void put_object(struct writer *writer, json_t *object)
{
    const char *keys[KEYS_MAX], *key;
    json_t *value;
    size_t left = 0;
    json_object_foreach(object, key, value)
    {
        CHECK(left < KEYS_MAX);
        keys[left++] = key;
    }
    put(writer, "{");
    while (left > 0) {
        const size_t at = writer->order % left;
        writer->order /= left;
        writer->orders *= left;
        json_t *name = json_string(keys[at]);
        put_scalar(writer, name);
        json_decref(name);
        put(writer, ":");
        put_value(writer, json_object_get(object, keys[at]));
        keys[at] = keys[--left];
        put(writer, left > 0 ? "," : "");
    }
    put(writer, "}");
}

/* Compact, with the members of all objects in one of their orders. */
static void put_value(struct writer *writer, const json_t *value)
{
    if (json_is_object(value)) {
        json_t *copy = json_copy((json_t *)(uintptr_t)value);
        put_object(writer, copy);
        json_decref(copy);
        return;
    }
    if (!json_is_array(value)) {
        put_scalar(writer, value);
        return;
    }
    size_t i;
    const json_t *item;
    put(writer, "[");
    json_array_foreach(value, i, item)
    {
        put(writer, i > 0 ? "," : "");
        put_value(writer, item);
    }
    put(writer, "]");
}

/* Whether the grammar takes the value in some order of its members: a schema has one, and says
 * nothing of it. */
static bool takes(const struct weir_grammar *grammar, const json_t *value)
{
    struct weir_error err = {0};
    enum weir_match result;
    static struct writer writer;
    uint64_t orders = 1;
    for (uint64_t order = 0; order < orders && order < ORDERS_MAX; order++) {
        writer.length = 0;
        writer.order = order;
        writer.orders = 1;
        put_value(&writer, value);
        orders = writer.orders;
        CHECK_OK(weir_grammar_match(grammar, writer.text, writer.length, &result, &err), &err);
        if (result == WEIR_MATCH_WHOLE)
            return true;
    }
    return false;
}

/* ---- groups ---------------------------------------------------------------------------------- */

struct suite {
    FILE *list;
    char line[LINE_MAX];
    json_t *file; /* groups of the file `name` */
    char name[64];
    uint32_t groups, instances;
};

static void next_line(struct suite *suite)
{
    do {
        if (fgets(suite->line, LINE_MAX, suite->list) == NULL)
            suite->line[0] = 0;
        suite->line[strcspn(suite->line, "\n")] = 0;
    } while (suite->line[0] == '#');
}

/* Cuts off the part of the line up to " | "; returns what is behind it. */
static char *cut(char *line)
{
    char *bar = strstr(line, " | ");
    if (bar == NULL)
        test_fail(__FILE__, __LINE__, "a line of the list: %s", line);
    *bar = 0;
    return bar + 3;
}

/* The instances of a group in scope: judged as the suite does, unless the next line of the list
 * names the instance. */
static void check_instances(struct suite *suite, const char *group_name,
                            const struct weir_grammar *grammar, const json_t *tests)
{
    size_t i;
    const json_t *test;
    json_array_foreach(tests, i, test)
    {
        const char *name = json_string_value(json_object_get(test, "description"));
        const bool valid = json_is_true(json_object_get(test, "valid"));
        char line[LINE_MAX];
        snprintf(line, sizeof line, "%s", suite->line);
        const bool differs = strncmp(line, "- | ", 4) == 0 && strlen(cut(cut(line))) > 0 &&
                             strcmp(line + 4, name) == 0;
        if (takes(grammar, json_object_get(test, "data")) != (valid != differs))
            test_fail(__FILE__, __LINE__, "%s, %s, %s: expected %s", suite->name, group_name, name,
                      valid != differs ? "right" : "wrong");
        suite->instances++;
        if (differs)
            next_line(suite);
    }
}

static void check_group(struct suite *suite, const char *name, const char *verdict,
                        const json_t *group)
{
    struct weir_grammar *grammar;
    struct weir_error err = {0};
    char *schema = json_dumps(json_object_get(group, "schema"),
                              JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
    CHECK(schema != NULL);
    const enum weir_status status =
        weir_grammar_open_schema(&grammar, schema, strlen(schema), &err);
    free(schema);
    next_line(suite);
    if (strncmp(verdict, "refused: ", 9) == 0) {
        CHECK(status == WEIR_ERR_UNSUPPORTED || status == WEIR_ERR_ARGUMENT);
        if (strcmp(err.text, verdict + 9) != 0)
            test_fail(__FILE__, __LINE__, "%s, %s: %s", suite->name, name, err.text);
        return;
    }
    CHECK_TEXT(verdict, "in");
    if (status != WEIR_OK)
        test_fail(__FILE__, __LINE__, "%s, %s: %s", suite->name, name, err.text);
    check_instances(suite, name, grammar, json_object_get(group, "tests"));
    weir_grammar_close(grammar);
}

/* The groups of a file, in its order. */
static void check_file(struct suite *suite)
{
    char path[256], line[LINE_MAX];
    snprintf(path, sizeof path, "%s/%s", SUITE, suite->name);
    suite->file = json_load_file(path, 0, NULL);
    CHECK(suite->file != NULL);
    size_t i;
    const json_t *group;
    json_array_foreach(suite->file, i, group)
    {
        const char *name = json_string_value(json_object_get(group, "description"));
        snprintf(line, sizeof line, "%s", suite->line);
        char *const in_file = cut(line), *const verdict = cut(in_file);
        if (strcmp(line, suite->name) != 0 || strcmp(in_file, name) != 0)
            test_fail(__FILE__, __LINE__, "%s, %s: the list has %s, %s", suite->name, name, line,
                      in_file);
        check_group(suite, name, verdict, group);
        suite->groups++;
    }
    json_decref(suite->file);
}

TEST(schema_suite)
{
    struct suite suite = {.list = fopen(test_data("grammar/schema_suite.txt"), "r")};
    FILE *there = fopen(SUITE "/allOf.json", "r");
    CHECK(suite.list != NULL);
    if (there == NULL) {
        fclose(suite.list);
        test_skip("no %s (Debian: json-schema-test-suite)", SUITE);
    }
    fclose(there);
    next_line(&suite);
    while (suite.line[0] != 0) {
        char line[LINE_MAX];
        snprintf(line, sizeof line, "%s", suite.line);
        cut(line);
        snprintf(suite.name, sizeof suite.name, "%.60s", line);
        check_file(&suite);
    }
    fclose(suite.list);
    CHECK(suite.groups > 120 && suite.instances > 200);
}
