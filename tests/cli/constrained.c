/* SPDX-License-Identifier: MIT
 * weir run with a grammar or a schema: what it writes is right whatever the model would say, with
 * drafts and without. Run alone: build/tests/weir-test constrained_cli */
#include "cli/program.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define MODEL test_data("../../models/" WEIR_SHIPPED)

static void write_text(const char *path, const char *text)
{
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(text, 1, strlen(text), stream), strlen(text));
    CHECK_INT(fclose(stream), 0);
}

TEST(constrained_cli_schema)
{
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":12},"
        "\"age\":{\"type\":\"integer\",\"minimum\":3,\"maximum\":120},"
        "\"kind\":{\"enum\":[\"red\",\"green\"]}},\"required\":[\"name\",\"age\",\"kind\"]}";
    for (int seed = 1; seed <= 5; seed++) {
        char text[16];
        snprintf(text, sizeof text, "%d", seed);
        const struct program_result *result =
            RUN_PROGRAM("run", MODEL, "-p", "Tell me about the fox:", "-s", text, "-j", schema,
                        "--no-display-prompt", "--temp", "1.5", "-n", "200");
        CHECK_INT(result->status, 0);
        json_t *value = json_loads(result->out, 0, NULL);
        if (value == NULL)
            test_fail(__FILE__, __LINE__, "seed %d: %s", seed, result->out);
        const json_int_t age = json_integer_value(json_object_get(value, "age"));
        const char *kind = json_string_value(json_object_get(value, "kind"));
        CHECK_INT(json_object_size(value), 3);
        CHECK(age >= 3 && age <= 120);
        CHECK(strcmp(kind, "red") == 0 || strcmp(kind, "green") == 0);
        CHECK(json_string_value(json_object_get(value, "name")) != NULL);
        json_decref(value);
    }
}

TEST(constrained_cli_grammar_of_a_file)
{
    const char *path = test_scratch("answer.gbnf");
    write_text(path, "root ::= \"yes, \" [a-z]{3} \"!\" # no more\n");
    const struct program_result *result = RUN_PROGRAM(
        "run", MODEL, "-p", "Is it?", "--grammar-file", path, "--no-display-prompt", "--temp", "0");
    CHECK_INT(result->status, 0);
    CHECK_INT(strlen(result->out), 10);
    CHECK(strncmp(result->out, "yes, ", 5) == 0 && strcmp(result->out + 8, "!\n") == 0);
}

/* The text does not depend on who drafts it. */
TEST(constrained_cli_drafts_change_nothing)
{
    static const char *const kinds[] = {"draft-mtp", "ngram-simple"};
    char plain[4096];
    const char *path = test_scratch("list.json");
    write_text(path, "{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":9},"
                     "\"minItems\":3,\"maxItems\":6}");
    const struct program_result *result = RUN_PROGRAM("run", MODEL, "-p", "[\"a\", \"a\", \"a\", ",
                                                      "-s", "3", "-jf", path, "-n", "80");
    CHECK_INT(result->status, 0);
    snprintf(plain, sizeof plain, "%s", result->out);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        result = RUN_PROGRAM("run", MODEL, "-p", "[\"a\", \"a\", \"a\", ", "-s", "3", "-jf", path,
                             "-n", "80", "--spec-type", kinds[i]);
        CHECK_INT(result->status, 0);
        CHECK_TEXT(result->out, plain);
    }
}

/* Only what the grammar leads to can be chosen, so the model does not matter. */
TEST(constrained_cli_tells_of_a_text_that_is_cut)
{
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "-p", "a", "-n", "200", "--no-display-prompt", "--grammar",
                    "root ::= \"x\"{100} p\n"
                    "p ::= \"aaaaaaaaaaaaaaaaaaaaaaaa\" | \"a\" p \"b\" | \"a\" p \"c\"");
    CHECK_INT(result->status, 1);
    CHECK_INT(strspn(result->out, "x"), 100);
    CHECK_HAS(result->err,
              "error: the grammar became too ambiguous: the text ends before it is complete");
}

TEST(constrained_cli_refusals)
{
    CHECK_REFUSED(RUN_PROGRAM("run", MODEL, "-p", "x", "--grammar", "root ::= a"),
                  "grammar, line 1, column 10: the rule is not defined");
    CHECK_REFUSED(
        RUN_PROGRAM("run", MODEL, "-p", "x", "-j", "{\"properties\":{\"a\":{\"not\":{}}}}"),
        "schema, /properties/a/not: the keyword not cannot be kept");
    CHECK_REFUSED(RUN_PROGRAM("run", MODEL, "-p", "x", "-j", "{\"minLength\":3,\"maxLength\":2}"),
                  "schema, /minLength: at least 3 characters, but at most 2");
    CHECK_REFUSED(RUN_PROGRAM("run", MODEL, "-p", "x", "-j", "{}", "--grammar", "root ::= \"a\""),
                  "give only one of --grammar, --grammar-file, --json-schema and "
                  "--json-schema-file");
    CHECK_REFUSED(RUN_PROGRAM("run", MODEL, "-p", "x", "--grammar", "root ::= <no-such-token>"),
                  "grammar: the vocabulary has no token <no-such-token>");
}
