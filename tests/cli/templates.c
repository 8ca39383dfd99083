/* SPDX-License-Identifier: MIT
 * weir template --request and --client-request. Run alone: build/tests/weir-test cli_template_ */
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

TEST(cli_template_parses_without_tools)
{
    static const char call[] = "<tool_call>\n<function=f>\n</function>\n</tool_call>";
    const char *said = write_file("said.txt", call);
    const char *tools = write_file("tools.json", "[{\"name\": \"f\"}]");
    CHECK_HAS(RUN_PROGRAM("template", "--parse", said, "--tools", tools)->out,
              "\"content\": \"\", \"tool_calls\": [{");
    const struct program_result *result =
        RUN_PROGRAM("template", "--parse", said, "--tools", tools, "--tool-choice", "none");
    CHECK_HAS(result->out, "<function=f>");
    CHECK_HAS(result->out, "\"tool_calls\": []");
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

/* Without a model and without a template it is the shipped one's. */
TEST(cli_template_is_that_of_the_shipped_model)
{
    const struct program_result *result = run_program(
        &(struct program_call){.words = {"template", "--request", "-"}, .input = request});
    CHECK_TEXT(result->err, ""); /* nobody reads along: standard output is no terminal */
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nHi "
                            "<|im_end|>\xc3\xa9<|im_end|>\n<|im_start|>assistant\n<think>\n");
}

static const char shows_variables[] =
    "{{ messages[0].role }} {{ enable_thinking }} {{ preserve_thinking }} {{ x }}";

/* A client's request, with the template above and some flags. */
static const struct program_result *render_client(const char *const flags[4], const char *text)
{
    struct program_call call = {.words = {"template", "--client-request", "-", "--template"},
                                .input = text};
    call.words[4] = write_file("shows.jinja", shows_variables);
    for (size_t i = 0; i < 4; i++)
        call.words[5 + i] = flags[i];
    return run_program(&call);
}

TEST(cli_template_prints_the_prompt_of_a_clients_request)
{
    static const char chat[] =
        "{\"model\": \"m\", \"x\": 1, \"reasoning_effort\": \"none\", \"messages\": "
        "[{\"role\": \"developer\", \"content\": \"a\"}], "
        "\"chat_template_kwargs\": {\"x\": 2}}";
    static const struct {
        const char *flags[4], *expected;
    } cases[] = {
        {{NULL}, "system False  2"},
        {{"--reasoning", "on"}, "system False  2"}, /* the request says it */
        {{"--reasoning-preserve"}, "system False True 2"},
        {{"--chat-template-kwargs", "{\"x\": 3, \"preserve_thinking\": 4}"}, "system False 4 2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_printed(render_client(cases[i].flags, chat), cases[i].expected);
    check_printed(render_client(cases[1].flags, "{\"messages\": [{\"role\": \"user\","
                                                "\"content\": \"a\"}]}"),
                  "user True  ");
    check_printed(run_program(&(struct program_call){
                      .words = {"template", "-m", MODEL, "--client-request", "-"},
                      .input = "{\"messages\": [{\"role\": \"user\", \"content\": "
                               "[{\"type\": \"text\", \"text\": \"Hi\"}]}, {\"role\": "
                               "\"assistant\", \"content\": \"Hel\"}]}"}),
                  "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
                  "Hel");
}

TEST(cli_template_refuses_a_clients_request)
{
    static const char *const flags[4] = {"--chat-template-kwargs", "{\"tools\": []}"};
    static const char *const none[4] = {NULL};
    CHECK_REFUSED(render_client(none, "{}"), "'messages' is required");
    CHECK_REFUSED(
        render_client(none, "{\"messages\": [{\"role\": \"user\"}]}"),
        "messages[0]: Field 'content': it is missing or null, expected a text or an array");
    CHECK_REFUSED(render_client(flags, "{\"messages\": []}"),
                  "variables of the template: 'tools' is a part of the conversation, expected "
                  "further variables");
    CHECK_REFUSED(RUN_PROGRAM("template", "--client-request", "-", "--template", "-"),
                  "only one of --client-request and --template may be standard input");
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
    CHECK_REFUSED(RUN_PROGRAM("template"),
                  "one of --request, --client-request and --parse is needed");
    CHECK_REFUSED(RUN_PROGRAM("template", "--request", "a", "--parse", "b"),
                  "only one of --request, --client-request and --parse is needed");
    CHECK_REFUSED(RUN_PROGRAM("template", "--parse", "a", "--tool-choice", "f"),
                  "--tool-choice: 'f' is neither auto nor none");
    const char *broken = write_file("broken.json", "{");
    char expected[512];
    snprintf(expected, sizeof expected, "%s: line 1, column 2: ", broken);
    CHECK_HAS(RUN_PROGRAM("template", "--request", broken, "--template", "chatml")->err, expected);
    CHECK_HAS(RUN_PROGRAM("template", "--client-request", broken)->err, expected);
    const char *file = write_file("bad.jinja", "a\n{% if %}");
    const struct program_result *result = render("--template", file, "{}");
    CHECK_INT(result->status, 1);
    CHECK_HAS(result->err, "bad.jinja:2:7: expected an expression, found '%}'");
}
