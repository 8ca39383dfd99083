/* SPDX-License-Identifier: MIT
 * weir template --parse. Run alone: build/tests/weir-test cli_parse_ */
#include "cli/program.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "json/json.h"
#include "said.h"

static const char *write_file(const char *name, const char *text, size_t length)
{
    const char *path = test_scratch(name);
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK(length == 0 || fwrite(text, 1, length, stream) == length);
    CHECK_INT(fclose(stream), 0);
    return path;
}

static void check_vector(const struct json *vector)
{
    const struct json_text output = json_get(vector, "output")->text;
    const struct json_text tools = json_get(vector, "tools")->source;
    const bool is_none = json_get(vector, "reasoning_format") != NULL;
    struct program_call call = {
        .words = {"template", "--parse", write_file("said", output.bytes, output.length),
                  "--reasoning",
                  json_get(vector, "enable_thinking")->kind == JSON_TRUE ? "on" : "off",
                  "--reasoning-format", is_none ? "none" : "auto"},
    };
    if (!json_is(json_get(vector, "tool_choice"), "none")) {
        call.words[7] = "--tools";
        call.words[8] = write_file("tools", tools.bytes, tools.length);
    }
    const struct program_result *result = run_program(&call);
    CHECK_TEXT(result->err, "");
    CHECK_INT(result->status, 0);
    struct json_document *printed;
    struct weir_error err = {0};
    CHECK_OK(json_open(&printed, result->out, result->out_size, "printed", &err), &err);
    char *said = said_expected(json_root(printed));
    char *expected = said_expected(json_get(vector, "expected"));
    CHECK_TEXT(said, expected);
    CHECK_INT(json_root(printed)->count, 3);
    mem_free(expected);
    mem_free(said);
    json_close(printed);
}

TEST(cli_parse_prints_the_vectors)
{
    size_t size;
    uint8_t *text = test_read_file(test_data("chat/parse.json"), &size);
    struct json_document *document;
    struct weir_error err = {0};
    CHECK_OK(json_open(&document, (char *)text, size, "parse.json", &err), &err);
    const struct json *cases = json_get(json_root(document), "cases");
    CHECK_INT(cases->count, 43);
    for (uint32_t i = 0; i < cases->count; i++)
        check_vector(&cases->items[i]);
    json_close(document);
    free(text);
}

TEST(cli_parse_reads_standard_input)
{
    struct program_call call = {.words = {"template", "--parse", "-"},
                                .input = "r</think>\"\xff\n"};
    CHECK_TEXT(run_program(&call)->out, "{\"reasoning_content\": \"r\", \"content\": "
                                        "\"\\\"\xef\xbf\xbd\\n\", \"tool_calls\": []}\n");
    call.words[3] = "--reasoning=off";
    CHECK_TEXT(run_program(&call)->out, "{\"reasoning_content\": \"\", \"content\": "
                                        "\"r</think>\\\"\xef\xbf\xbd\\n\", \"tool_calls\": []}\n");
    call.words[3] = "--reasoning-format=deepseek-legacy";
    CHECK_TEXT(run_program(&call)->out,
               "{\"reasoning_content\": \"r\", \"content\": "
               "\"<think>\\nr</think>\\\"\xef\xbf\xbd\\n\", \"tool_calls\": []}\n");
}

TEST(cli_parse_refusals)
{
    const char *tools = write_file("no-tools", "[1]", 3);
    const char *empty = write_file("empty", "", 0);
    CHECK_REFUSED(RUN_PROGRAM("template"),
                  "one of --request, --client-request and --parse is needed");
    CHECK_REFUSED(RUN_PROGRAM("template", "--parse", "-", "--tools", "-"),
                  "only one of --parse and --tools may be standard input");
    CHECK_REFUSED(RUN_PROGRAM("template", "--parse", "/nowhere/a"),
                  "/nowhere/a: cannot open: No such file or directory");
    CHECK_REFUSED(RUN_PROGRAM("template", "--parse", empty, "--tools", tools),
                  "tools: tool 0 has no name");
    CHECK_REFUSED(RUN_PROGRAM("template", "--parse", empty, "--tools", empty),
                  "tools: line 1, column 1: the text ends here: no value");
    CHECK_REFUSED(RUN_PROGRAM("template", "--parse", empty, "--reasoning-format", "x"),
                  "--reasoning-format: 'x' is not one of none|deepseek|deepseek-legacy|auto");
}
