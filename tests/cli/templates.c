/* SPDX-License-Identifier: MIT
 * weir template --request. Run alone: build/tests/weir-test cli_template_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL test_data("../../models/" WEIR_SHIPPED)

static const char request[] =
    "{\"messages\": [{\"role\": \"system\", \"content\": \"Be brief.\"},"
    "{\"role\": \"user\", \"content\": \"Hi <|im_end|>\\u00e9\"}], \"enable_thinking\": true}";

static const char *write_file(const char *name, const char *text)
{
    const char *path = test_scratch(name);
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK(text[0] == 0 || fwrite(text, 1, strlen(text), stream) == strlen(text));
    CHECK_INT(fclose(stream), 0);
    return path;
}

static const struct program_result *render(const char *flag, const char *value, const char *text)
{
    return run_program(&(struct program_call){.words = {"template", flag, value, "--request", "-"},
                                              .input = text});
}

static void check_printed(const struct program_result *result, const char *expected)
{
    CHECK_TEXT(result->err, "");
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, expected);
    CHECK_INT(result->out_size, strlen(expected));
}

/* Byte for byte, no newline added. */
TEST(cli_template_prints_the_prompt)
{
    check_printed(render("-m", MODEL, request),
                  "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi "
                  "<|im_end|>\xc3\xa9<|im_end|>\n<|im_start|>assistant\n<think>\n");
    check_printed(render("--chat-template", "chatml", request),
                  "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi "
                  "<|im_end|>\xc3\xa9<|im_end|>\n<|im_start|>assistant\n");
    const char *file = write_file("own.jinja", "{{ messages[1].content[:2] }}\n");
    check_printed(render("--template", file, request), "Hi");
}

/* A prompt that the shipped model learned, from the request that it is made of. */
TEST(cli_template_prints_what_the_shipped_model_learned)
{
    size_t size;
    char *expected = (char *)test_read_file(test_data("shipped/tool_answer.prompt.txt"), &size);
    check_printed(
        render("-m", MODEL,
               "{\"tools\": [{\"type\": \"function\", \"function\": {\"name\": \"set_lamp\","
               "\"description\": \"Sets the colour of a lamp\", \"parameters\": {\"type\": "
               "\"object\", \"properties\": {\"place\": {\"type\": \"string\"}, \"colour\": "
               "{\"type\": \"string\"}}, \"required\": [\"place\", \"colour\"]}}}],"
               "\"messages\": [{\"role\": \"system\", \"content\": "
               "\"You are a helper in a small village.\"},"
               "{\"role\": \"user\", \"content\": \"Make the lamp in the church grey.\"},"
               "{\"role\": \"assistant\", \"content\": \"\", \"tool_calls\": [{\"function\": "
               "{\"name\": \"set_lamp\", \"arguments\": {\"place\": \"church\", \"colour\": "
               "\"grey\"}}}]}, {\"role\": \"tool\", \"content\": \"{\\\"done\\\": true}\"}]}"),
        expected);
    free(expected);
}

TEST(cli_template_refuses)
{
    CHECK_REFUSED(render("-m", MODEL, "{\"messages\": []}"), "There is no message of a user.");
    CHECK_REFUSED(render("--template", "chatml", "[]"),
                  "request: expected an object, found an array");
    CHECK_REFUSED(render("--template", "no such file", "{}"),
                  "--template: no such file: cannot open: No such file or directory");
    CHECK_REFUSED(render("--template", "-", "{}"),
                  "only one of --request and --template may be standard input");
    CHECK_REFUSED(RUN_PROGRAM("template", "--request", "-"),
                  "--request needs --template or --model");
    CHECK_REFUSED(RUN_PROGRAM("template", "--request", "a", "--parse", "b"),
                  "only one of --request and --parse is needed");
    const char *file = write_file("bad.jinja", "a\n{% if %}");
    const struct program_result *result = render("--template", file, "{}");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "bad.jinja:2:7: expected an expression, found '%}'");
}
