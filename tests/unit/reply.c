/* SPDX-License-Identifier: MIT
 * Tests of taking replies apart. Run alone: build/tests/weir-test reply_ */
#include "alloc.h"
#include "test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "said.h"

/* One tool with parameters of each sort. */
static const char tools[] =
    "[{\"type\": \"function\", \"function\": {\"name\": \"f\", \"parameters\": {\"type\": "
    "\"object\", \"properties\": {\"s\": {\"type\": \"string\"}, \"n\": {\"type\": \"integer\"}, "
    "\"o\": {\"type\": \"object\"}, \"u\": {\"type\": [\"string\", \"null\"]}, \"x\": {}}}}}]";

/* ---- vectors --------------------------------------------------------------------------------- */

static struct json_document *open_vectors(void)
{
    struct json_document *document;
    struct weir_error err = {0};
    size_t size;
    uint8_t *text = test_read_file(test_data("chat/parse.json"), &size);
    CHECK_OK(json_open(&document, (char *)text, size, "parse.json", &err), &err);
    free(text);
    return document;
}

static enum weir_reasoning_format format_of(const struct json *vector)
{
    const struct json *format = json_get(vector, "reasoning_format");
    CHECK(format == NULL || json_is(format, "none"));
    return format == NULL ? WEIR_REASONING_APART : WEIR_REASONING_NONE;
}

static void check_vector(const struct json *vector)
{
    static const uint64_t pieces[] = {0, 1, 2, 3, 7, SAID_RANDOM};
    const struct json_text text = json_get(vector, "output")->text;
    const struct json *list = json_get(vector, "tools");
    const bool has_tools =
        list->kind == JSON_ARRAY && !json_is(json_get(vector, "tool_choice"), "none");
    char *own_tools = mem_copy_text(list->source.bytes, list->source.length, NULL);
    char *expected = said_expected(json_get(vector, "expected"));
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
        const struct said_options options = {
            .tools = has_tools ? own_tools : NULL,
            .in_reasoning = json_get(vector, "enable_thinking")->kind == JSON_TRUE,
            .format = format_of(vector),
            .piece = pieces[i],
        };
        char *said = said_of(text.bytes, text.length, &options);
        said_forget_cuts(said);
        if (strcmp(said, expected) != 0)
            test_fail(__FILE__, __LINE__, "%.*s in pieces of %d: %s, expected %s",
                      (int)json_get(vector, "name")->text.length,
                      json_get(vector, "name")->text.bytes, (int)pieces[i], said, expected);
        mem_free(said);
    }
    mem_free(expected);
    mem_free(own_tools);
}

TEST(reply_vectors_in_any_pieces)
{
    struct json_document *document = open_vectors();
    const struct json *cases = json_get(json_root(document), "cases");
    CHECK_INT(cases->count, 43);
    for (uint32_t i = 0; i < cases->count; i++)
        check_vector(&cases->items[i]);
    json_close(document);
}

/* ---- cases ----------------------------------------------------------------------------------- */

struct reply_case {
    const char *text, *said;
    bool in_reasoning;
    enum weir_reasoning_format format;
    bool is_cut, calls_first, may_reason;
};

static void check_cases(const struct reply_case *cases, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        for (uint64_t piece = 0; piece < 12; piece++) {
            const struct said_options options = {.tools = tools,
                                                 .in_reasoning = cases[i].in_reasoning,
                                                 .format = cases[i].format,
                                                 .piece = piece,
                                                 .is_cut = cases[i].is_cut,
                                                 .calls_first = cases[i].calls_first,
                                                 .may_reason = cases[i].may_reason};
            char *said = said_of(cases[i].text, strlen(cases[i].text), &options);
            CHECK_TEXT(said, cases[i].said);
            mem_free(said);
        }
    }
}

#define CHECK_CASES(cases) check_cases(cases, sizeof cases / sizeof cases[0])

/* A call of f, and what it says. */
#define BEGIN "<tool_call>\n<function=f>\n"
#define END   "</function>\n</tool_call>"
#define CALL  BEGIN "<parameter=s>\na\n</parameter>\n" END
#define SAID  "; \"f\", \"{\\\"s\\\":\\\"a\\\"}\""

TEST(reply_calls_within_reasoning)
{
    static const struct reply_case cases[] = {
        {"r\n" CALL, "\"r\", \"\"" SAID, true, WEIR_REASONING_APART},
        {"r\n" CALL "\n</think>\n\nc", "\"r\", \"c\"" SAID, true, WEIR_REASONING_APART},
        {"r" CALL "c</think>", "\"r\", \"c</think>\"" SAID, true, WEIR_REASONING_APART},
        {"say <tool_call> or <function=f>\n<parameter=s>",
         "\"say <tool_call> or <function=f>\\n"
         "<parameter=s>\", \"\"",
         true, WEIR_REASONING_APART},
        {"\n\n<think>\n\nr\n\n" CALL, "\"r\", \"\"" SAID, true, WEIR_REASONING_APART},
        {"\n<tool_call>\n{\"name\":\"f\"}", "\"\", \"\"; \"f\", \"{}\"", true,
         WEIR_REASONING_APART},
    };
    CHECK_CASES(cases);
}

TEST(reply_formats_of_reasoning)
{
    static const struct reply_case cases[] = {
        {"\nr\n</think>\n\nc", "\"r\", \"c\"", true, WEIR_REASONING_APART},
        {"\nr\n</think>\n\nc", "\"\", \"<think>\\n\\nr\\n</think>\\n\\nc\"", true,
         WEIR_REASONING_NONE},
        {"\nr\n</think>\n\nc", "\"r\", \"<think>\\n\\nr\\n</think>\\n\\nc\"", true,
         WEIR_REASONING_BOTH},
        {"r\n\n", "\"\", \"<think>\\nr\\n\\n\"", true, WEIR_REASONING_NONE},
        {"r\n\n", "\"r\", \"<think>\\nr\\n\\n\"", true, WEIR_REASONING_BOTH},
        {"", "\"\", \"<think>\\n\"", true, WEIR_REASONING_NONE},
        {"", "\"\", \"\"", true, WEIR_REASONING_APART},
        {"r\n" CALL, "\"r\", \"<think>\\nr\"" SAID, true, WEIR_REASONING_BOTH},
        {"r</think>\n" CALL, "\"\", \"<think>\\nr</think>\"" SAID, true, WEIR_REASONING_NONE},
        {"c</think>", "\"\", \"c</think>\"", false, WEIR_REASONING_BOTH},
    };
    CHECK_CASES(cases);
}

TEST(reply_opens_reasoning_where_the_prompt_has_not)
{
#define MAY .may_reason = true
    static const struct reply_case cases[] = {
        {"<think>\nr\n</think>\n\nc", "\"r\", \"c\"", MAY},
        {"<think>\n\n</think>\n\nc", "\"\", \"c\"", MAY},
        {" \r\n\t<think>r</think>c", "\"r\", \"c\"", MAY},
        {"<think>", "\"\", \"\"", MAY},
        {"<think>\nr\n", "\"r\", \"\"", MAY},
        {"<think>\nr\n" CALL, "\"r\", \"\"" SAID, MAY},
        {"<think><think>r</think>c", "\"<think>r\", \"c\"", MAY},
        {"c <think>r</think>", "\"\", \"c <think>r</think>\"", MAY},
        {CALL "<think>", "\"\", \"<think>\"" SAID, MAY},
        {"</think>c", "\"\", \"</think>c\"", MAY},
        {"<thin", "\"\", \"<thin\"", MAY},
        {"<thin", "\"\", \"\"", MAY, .is_cut = true},
        {" \n", "\"\", \" \\n\"", MAY},
        {" \n<thinking>\n", "\"\", \" \\n<thinking>\\n\"", MAY},
        {" <think>\nr\n</think>\n\nc", "\"\", \" <think>\\nr\\n</think>\\n\\nc\"", MAY,
         .format = WEIR_REASONING_NONE},
        {" <think>\nr\n</think>\n\nc", "\"r\", \" <think>\\nr\\n</think>\\n\\nc\"", MAY,
         .format = WEIR_REASONING_BOTH},
        {"<think>r</think>c", "\"\", \"<think>r</think>c\""},
    };
#undef MAY
    CHECK_CASES(cases);
}

TEST(reply_text_around_calls)
{
    static const struct reply_case cases[] = {
        {"a\n\n" CALL "\n" CALL "\n", "\"\", \"a\"" SAID SAID},
        {CALL CALL, "\"\", \"\"" SAID SAID},
        {CALL " \n b", "\"\", \" \\n b\"" SAID},
        {"a\n" CALL "\n\nb", "\"\", \"a\\n\\nb\"" SAID},
        {CALL "\n</tool_call>\n", "\"\", \"</tool_call>\\n\"" SAID},
        {"a\n\n", "\"\", \"a\\n\\n\""},
        {"a\n<tool_call>\n", "\"\", \"a\\n<tool_call>\\n\""},
        {"a\n<tool_call>b", "\"\", \"a\\n<tool_call>b\""},
        {"<<tool_call>" CALL, "\"\", \"<<tool_call>\"" SAID},
        {"the form <function=f> of calls", "\"\", \"the form <function=f> of calls\""},
        {"the form <function=f>", "\"\", \"the form <function=f>\""},
        {"<function=f>\n<param", "\"\", \"\\n<param\"; \"f\", \"{\", \"cut\""},
        {"<function=f></function>.", "\"\", \".\"; \"f\", \"{}\""},
        {"<function=>\n</function>", "\"\", \"<function=>\\n</function>\""},
    };
    CHECK_CASES(cases);
}

/* What a call is as text. */
#define SPELLED                                                                                    \
    "<tool_call>\\n<function=f>\\n<parameter=s>\\na\\n</parameter>\\n</function>\\n</tool_call>"

/* As a text of a schema may spell out calls. */
TEST(reply_calls_come_first_or_are_text)
{
    static const struct reply_case cases[] = {
        {"'" CALL "'", "\"\", \"'" SPELLED "'\"", .calls_first = true},
        {"'<tool_call>{'name':'f'}</tool_call>'", "\"\", \"'<tool_call>{'name':'f'}</tool_call>'\"",
         .calls_first = true},
        {CALL "\n" CALL "\n", "\"\", \"\"" SAID SAID, .calls_first = true},
        {CALL "a" CALL, "\"\", \"a" SPELLED "\"" SAID, .calls_first = true},
        {"r</think>\n\n" CALL, "\"r\", \"<think>\\nr</think>\"" SAID, true, WEIR_REASONING_BOTH,
         .calls_first = true},
        {"r</think>\n\na" CALL, "\"r\", \"a" SPELLED "\"", true, .calls_first = true},
    };
    CHECK_CASES(cases);
}

TEST(reply_ends_of_values)
{
    static const struct reply_case cases[] = {
        {BEGIN "<parameter=s>\na</parameter>b\n</parameter>\n" END,
         "\"\", \"\"; \"f\", \"{\\\"s\\\":\\\"a</parameter>b\\\"}\""},
        {BEGIN "<parameter=s>\n</parameter>\n" END, "\"\", \"\"; \"f\", \"{\\\"s\\\":\\\"\\\"}\""},
        {BEGIN "<parameter=s>\n\n\n</parameter>\n" END,
         "\"\", \"\"; \"f\", \"{\\\"s\\\":\\\"\\\\n\\\"}\""},
        {BEGIN "<parameter=s>a</parameter> <parameter=n>1</parameter>" END,
         "\"\", \"\"; \"f\", \"{\\\"s\\\":\\\"a\\\",\\\"n\\\":1}\""},
        {BEGIN "<parameter=s>\na\n</parameter>",
         "\"\", \"\"; \"f\", \"{\\\"s\\\":\\\"a\\\"\", \"cut\""},
        {BEGIN "<parameter=s>\na\n</parameter", "\"\", \"\"; \"f\", "
                                                "\"{\\\"s\\\":\\\"a\\\\n</parameter\", \"cut\""},
        {BEGIN "<parameter=s>\na\n</parameter>\n</tool_call>", "\"\", \"\"" SAID},
        {BEGIN "<parameter=n>\n1", "\"\", \"\"; \"f\", \"{\\\"n\\\":1\", \"cut\""},
        {BEGIN "<parameter=o>\n{\"a\": [",
         "\"\", \"\"; \"f\", \"{\\\"o\\\":{\\\"a\\\": [\", \"cut\""},
        {BEGIN "<parameter=u>\nnul", "\"\", \"\"; \"f\", \"{\\\"u\\\":\\\"nul\", \"cut\""},
        {BEGIN "<parameter=u>\nnull", "\"\", \"\"; \"f\", \"{\\\"u\\\":null\", \"cut\""},
        {BEGIN "<parameter=a\"b>\n\t\n</parameter>\n" END,
         "\"\", \"\"; \"f\", \"{\\\"a\\\\\\\"b\\\":\\\"\\\\t\\\"}\""},
        {BEGIN "<parameter=x>\n\"q\"\n</parameter>\n<parameter=x>\nq\n</parameter>\n" END,
         "\"\", \"\"; \"f\", \"{\\\"x\\\":\\\"q\\\",\\\"x\\\":\\\"q\\\"}\""},
    };
    CHECK_CASES(cases);
}

/* What does not belong to a call ends it where it stands; nothing that was told is taken back. */
TEST(reply_broken_calls)
{
    static const struct reply_case cases[] = {
        {BEGIN "what\n" END,
         "\"\", \"\\nwhat\\n</function>\\n</tool_call>\"; \"f\", \"{\", \"cut\""},
        {BEGIN "<parameter=s>\na\n</parameter>\n?\n" END,
         "\"\", \"\\n?\\n</function>\\n</tool_call>\"; \"f\", \"{\\\"s\\\":\\\"a\\\"\", \"cut\""},
        {BEGIN "<parameter=s\nx", "\"\", \"\\n<parameter=s\\nx\"; \"f\", \"{\", \"cut\""},
        {BEGIN "<parameter=s>\na\n</parameter>\n</func",
         "\"\", \"\\n</func\"; \"f\", \"{\\\"s\\\":\\\"a\\\"\", \"cut\""},
        {BEGIN CALL, "\"\", \"\"; \"f\", \"{\", \"cut\"" SAID},
        {"<tool_call>\n{\"name\": \"f\"", "\"\", \"<tool_call>\\n{\\\"name\\\": \\\"f\\\"\""},
        {"<tool_call>{\"name\": 1}", "\"\", \"<tool_call>{\\\"name\\\": 1}\""},
        {"<tool_call>{\"name\":\"f\",\"id\":\"1\"}</tool_call>",
         "\"\", \"<tool_call>{\\\"name\\\":\\\"f\\\",\\\"id\\\":\\\"1\\\"}</tool_call>\""},
        {"<tool_call>{'name': 'f'}", "\"\", \"<tool_call>{'name': 'f'}\""},
        {"<tool_call>{x" CALL, "\"\", \"<tool_call>{x\"" SAID},
    };
    CHECK_CASES(cases);
}

TEST(reply_calls_as_objects)
{
    static const struct reply_case cases[] = {
        {"a\n<tool_call>{\"arguments\": {\"n\" : [1, 2.0], \"s\":\"}\"}, "
         "\"name\":\"f\"}\n</tool_call>",
         "\"\", \"a\"; \"f\", \"{\\\"n\\\":[1, 2.0],\\\"s\\\":\\\"}\\\"}\""},
        {"<tool_call>{\"name\":\"f\"}<tool_call>{\"name\":\"f\",\"arguments\":{}}",
         "\"\", \"\"; \"f\", \"{}\"; \"f\", \"{}\""},
    };
    CHECK_CASES(cases);
}

#define CUT false, WEIR_REASONING_APART, true

/* Half a mark is not told where a limit has ended the text. */
TEST(reply_is_cut_without_half_marks)
{
    static const struct reply_case cases[] = {
        {"a\n<tool_call>\n<func", "\"\", \"a\"", CUT},
        {"a\n<tool_call>\n<function=f", "\"\", \"a\"", CUT},
        {"a <", "\"\", \"a \"", CUT},
        {"a <b", "\"\", \"a <b\"", CUT},
        {"a\n\n", "\"\", \"a\"", CUT},
        {"<tool_call>\n{\"name\": \"f\"", "\"\", \"\"", CUT},
        {CALL "\n<tool_", "\"\", \"\"" SAID, CUT},
        {BEGIN "<parameter=s>\na\n</parameter>\n</function>\n</tool", "\"\", \"\"" SAID, CUT},
        {BEGIN "<parameter=s>\na\n</para", "\"\", \"\"; \"f\", \"{\\\"s\\\":\\\"a\", \"cut\"", CUT},
        {BEGIN "<parameter=n>\n1", "\"\", \"\"; \"f\", \"{\\\"n\\\":1\", \"cut\"", CUT},
        {"r\n</thi", "\"r\", \"\"", true, WEIR_REASONING_APART, true},
        {"r\n<tool_call>\n", "\"r\", \"\"", true, WEIR_REASONING_APART, true},
        {"r\n</thi", "\"r\", \"<think>\\nr\"", true, WEIR_REASONING_BOTH, true},
    };
    CHECK_CASES(cases);
}

static void check_begins(const struct json *vector, size_t length, const struct bytes *whole,
                         const struct bytes *begin)
{
    if (begin->length > whole->length ||
        (begin->length > 0 && memcmp(begin->data, whole->data, begin->length) != 0))
        test_fail(__FILE__, __LINE__, "%.*s, cut behind %zu bytes: \"%.*s\"",
                  (int)json_get(vector, "name")->text.length, json_get(vector, "name")->text.bytes,
                  length, (int)begin->length, begin->data);
}

/* Wherever a text is cut, what it has told is the beginning of what it tells. */
TEST(reply_cut_anywhere_begins_alike)
{
    struct json_document *document = open_vectors();
    const struct json *cases = json_get(json_root(document), "cases");
    for (uint32_t i = 0; i < cases->count; i++) {
        const struct json *vector = &cases->items[i];
        const struct json_text text = json_get(vector, "output")->text;
        struct said_options options = {
            .tools = tools, .in_reasoning = json_get(vector, "enable_thinking")->kind == JSON_TRUE};
        struct message whole, begin;
        struct weir_error err = {0};
        options.format = (enum weir_reasoning_format)(i % 3);
        CHECK_OK(said_message(&whole, text.bytes, text.length, &options, &err), &err);
        options.is_cut = true;
        for (size_t length = 0; length <= text.length; length++) {
            CHECK_OK(said_message(&begin, text.bytes, length, &options, &err), &err);
            check_begins(vector, length, &whole.reasoning, &begin.reasoning);
            check_begins(vector, length, &whole.content, &begin.content);
            CHECK(begin.calls_count <= whole.calls_count);
            message_release(&begin);
        }
        message_release(&whole);
    }
    json_close(document);
}

/* A name with a control character is none. */
TEST(reply_names_have_no_control_characters)
{
    static const struct reply_case cases[] = {
        {"<tool_call>\n<function=f\r>\n</function>",
         "\"\", \"<tool_call>\\n<function=f\\r>\\n</function>\""},
        {"<tool_call><function=\033[2J>", "\"\", \"<tool_call><function=\\u001b[2J>\""},
        {"<tool_call><function=f\x7f>", "\"\", \"<tool_call><function=f\x7f>\""},
        {"<tool_call>{\"name\":\"f\\n\"}", "\"\", \"<tool_call>{\\\"name\\\":\\\"f\\\\n\\\"}\""},
        {"<tool_call>{\"name\":\"\\u001b[2J\"}",
         "\"\", \"<tool_call>{\\\"name\\\":\\\"\\\\u001b[2J\\\"}\""},
        {"<tool_call>{\"name\":\"f\x7f\"}", "\"\", \"<tool_call>{\\\"name\\\":\\\"f\x7f\\\"}\""},
        {"<tool_call>{\"name\":\"\xc3\xa9\"}", "\"\", \"\"; \"\xc3\xa9\", \"{}\""},
    };
    CHECK_CASES(cases);
}

static void expect_same(const struct bytes *a, const struct bytes *b)
{
    CHECK_INT(a->length, b->length);
    CHECK(a->length == 0 || memcmp(a->data, b->data, a->length) == 0);
}

/* `begin`, then `count` times the byte `c`, then `end`. */
static struct bytes long_text(const char *begin, char c, size_t count, const char *end)
{
    struct bytes text = {0};
    bytes_add_text(&text, begin);
    for (size_t i = 0; i < count; i++)
        bytes_add(&text, &c, 1);
    bytes_add_text(&text, end);
    return text;
}

/* What is held back is bounded: a value that does not end becomes a string that is told as it
 * comes, an object that does not end is text. */
TEST(reply_holds_back_4_mib_at_most)
{
    enum { COUNT = (4 << 20) + 100 };
    const struct said_options options = {.tools = tools, .piece = 4096};
    struct weir_error err = {0};
    struct message message;
    struct bytes text = long_text(BEGIN "<parameter=n>\n", '1', COUNT, "\n</parameter>\n" END);
    CHECK_OK(said_message(&message, text.data, text.length, &options, &err), &err);
    CHECK_INT(message.calls_count, 1);
    CHECK_INT(message.calls[0].arguments.length, strlen("{\"n\":\"\"}") + COUNT);
    message_release(&message);
    bytes_release(&text);
    text = long_text("<tool_call>{\"name\":\"", '1', COUNT, "\"}</tool_call>");
    CHECK_OK(said_message(&message, text.data, text.length, &options, &err), &err);
    expect_same(&message.content, &text);
    CHECK_INT(message.calls_count, 0);
    message_release(&message);
    bytes_release(&text);
    text = long_text("<tool_call>", '\n', 1000, "<function=f>");
    CHECK_OK(said_message(&message, text.data, text.length, &options, &err), &err);
    expect_same(&message.content, &text);
    message_release(&message);
    bytes_release(&text);
}

/* So many arrays within each other, between `begin` and `end`. */
static struct bytes nested(const char *begin, uint32_t depth, const char *end)
{
    struct bytes text = {0};
    bytes_add_text(&text, begin);
    for (uint32_t i = 0; i < 2 * depth; i++)
        bytes_add_text(&text, i < depth ? "[" : "]");
    bytes_add_text(&text, end);
    return text;
}

static void check_nested_call(const char *begin, uint32_t depth, const char *end,
                              const char *expected_begin, const char *expected_end)
{
    const struct said_options options = {.tools = tools, .piece = 7};
    struct bytes text = nested(begin, depth, end);
    struct bytes expected = nested(expected_begin, depth, expected_end);
    char *said = said_of(text.data, text.length, &options);
    CHECK_TEXT(said, expected.data);
    mem_free(said);
    bytes_release(&expected);
    bytes_release(&text);
}

/* Arguments become a part of requests and of files, which are to be readable as well: a parameter
 * that is too deep for that is a string, an object that is so is text. */
TEST(reply_calls_may_be_embedded)
{
    enum { MAX = 96 };
    for (uint32_t depth = MAX; depth <= MAX + 1; depth++) {
        const bool fits = depth == MAX;
        check_nested_call(BEGIN "<parameter=x>\n", depth, "\n</parameter>\n" END,
                          fits ? "\"\", \"\"; \"f\", \"{\\\"x\\\":"
                               : "\"\", \"\"; \"f\", \"{\\\"x\\\":\\\"",
                          fits ? "}\"" : "\\\"}\"");
        check_nested_call("<tool_call>{\"name\":\"f\",\"arguments\":{\"x\":", depth - 2, "}}",
                          fits ? "\"\", \"\"; \"f\", \"{\\\"x\\\":"
                               : "\"\", \"<tool_call>{\\\"name\\\":\\\"f\\\","
                                 "\\\"arguments\\\":{\\\"x\\\":",
                          fits ? "}\"" : "}}\"");
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void ignore(void *user, const struct weir_reply_event *event)
{
    (void)user;
    (void)event;
}

static enum weir_status open_with(const char *own_tools, struct weir_reply **out,
                                  struct weir_error *err)
{
    struct weir_reply_options options;
    weir_reply_options_init(&options);
    options.tools = own_tools;
    options.tools_length = strlen(own_tools);
    options.event = ignore;
    return weir_reply_open(out, &options, err);
}

TEST(reply_refuses_what_is_no_list_of_tools)
{
    static const struct {
        const char *tools, *message;
    } cases[] = {
        {"{}", "tools: expected an array, found an object"},
        {"[{\"name\": \"a\"}, {\"function\": {}}]", "tools: tool 1 has no name"},
        {"[7]", "tools: tool 0 has no name"},
        {"[", "tools: line 1, column 2: the text ends here: no value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_reply *reply;
        struct weir_error err = {0};
        CHECK_INT(open_with(cases[i].tools, &reply, &err), WEIR_ERR_ARGUMENT);
        CHECK_INT(err.status, WEIR_ERR_ARGUMENT);
        CHECK_TEXT(err.text, cases[i].message);
        CHECK(reply == NULL);
    }
    weir_reply_close(NULL);
}

TEST(reply_ends_once)
{
    struct weir_reply *reply;
    struct weir_error err = {0};
    CHECK_OK(open_with("null", &reply, &err), &err);
    weir_reply_close(reply);
    CHECK_OK(open_with("[]", &reply, &err), &err);
    CHECK_OK(weir_reply_push(reply, "", 0, &err), &err);
    CHECK_OK(weir_reply_finish(reply, &err), &err);
    CHECK_INT(weir_reply_push(reply, "a", 1, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "the reply has ended before");
    CHECK_INT(weir_reply_finish(reply, NULL), WEIR_ERR_ARGUMENT);
    CHECK_INT(weir_reply_cut(reply, NULL), WEIR_ERR_ARGUMENT);
    weir_reply_close(reply);
}

static void take_apart(void *argument)
{
    (void)argument;
    static const char text[] = "r\n</think>\n\na" CALL BEGIN "<parameter=o>\n{}\n</parameter>\n" END
                               "<tool_call>{\"name\":\"f\",\"arguments\":{\"a\":1}}";
    const struct said_options options = {.tools = tools, .in_reasoning = true, .piece = 30};
    struct message message;
    struct weir_error err = {0};
    const enum weir_status status = said_message(&message, text, sizeof text - 1, &options, &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    CHECK_INT(err.status, status);
    CHECK(message.calls_count == 3 || alloc_failed());
    message_release(&message);
}

TEST(reply_under_failing_allocations)
{
    alloc_test(take_apart, NULL);
}

/* ---- properties ------------------------------------------------------------------------------ */

struct draw {
    uint64_t stream, index;
};

static uint64_t draw(struct draw *draw, uint64_t below)
{
    return rng_bits(test_seed(), draw->stream, draw->index++) % below;
}

/* A word that stands nowhere else in the text: digits, of which marks have none. */
static void add_word(struct bytes *out, uint64_t number)
{
    char word[32];
    snprintf(word, sizeof word, "%llu,", 1000000 + (unsigned long long)number);
    bytes_add_text(out, word);
}

/* A mark, now and then with a byte lost, doubled or changed. */
static void add_mark(struct bytes *out, struct draw *choices, const char *mark)
{
    const size_t length = strlen(mark);
    const bool is_whole = length == 0 || draw(choices, 100) >= 15;
    const size_t at = is_whole ? length : draw(choices, length);
    bytes_add(out, mark, at);
    if (at == length)
        return;
    const uint64_t edit = draw(choices, 3);
    if (edit == 1)
        bytes_add(out, mark + at, 1);
    if (edit == 2)
        bytes_add(out, "<", 1);
    bytes_add(out, mark + at + (edit != 1), length - at - (edit != 1));
}

/* Texts in the form that models write, with marks that are damaged or at the wrong place. Each word
 * is there once. Returns the number of words. */
static uint64_t add_reply(struct bytes *out, struct draw *choices)
{
    static const char *const pieces[] = {
        "</think>",
        "\n",
        "\n\n",
        "<tool_call>\n",
        "<function=f>\n",
        "<parameter=s>\n",
        "<parameter=",
        ">\n",
        " ",
        "\n</parameter>",
        "\n",
        "</function>\n",
        "</tool_call>",
        "<function=",
        "{\"name\":\"",
        "\",\"arguments\":{}}",
        "<think>",
        "<",
        "<parameter=o>\n",
    };
    static const char *const calls[] = {
        "<tool_call>\n",    "<function=f>\n", "<parameter=s>\n", "",
        "\n</parameter>\n", "</function>\n",  "</tool_call>",
    };
    uint64_t words = 0;
    for (uint64_t n = draw(choices, 12); n > 0; n--) {
        const bool is_call = draw(choices, 3) == 0;
        for (size_t i = 0; is_call && i < sizeof calls / sizeof calls[0]; i++) {
            add_mark(out, choices, calls[i]);
            if (calls[i][0] == 0)
                add_word(out, words++);
        }
        const size_t piece = draw(choices, sizeof pieces / sizeof pieces[0]);
        if (!is_call)
            add_mark(out, choices, pieces[piece]);
        if (draw(choices, 2) == 0)
            add_word(out, words++);
    }
    return words;
}

static void check_words(const char *said, uint64_t words, const struct bytes *text)
{
    for (uint64_t i = 0; i < words; i++) {
        struct bytes word = {0};
        add_word(&word, i);
        const char *first = strstr(said, word.data);
        if (first == NULL || strstr(first + 1, word.data) != NULL)
            test_fail(__FILE__, __LINE__, "%s of \"%s\" in %s", word.data, text->data, said);
        bytes_release(&word);
    }
}

/* Any split gives the same, and what is no mark is there once. */
TEST(reply_loses_nothing_however_it_is_cut)
{
    uint64_t calls = 0, cut = 0;
    for (uint64_t stream = 0; stream < 4000; stream++) {
        struct draw choices = {.stream = stream};
        struct bytes text = {0};
        const uint64_t words = add_reply(&text, &choices);
        struct said_options options = {
            .tools = tools, .in_reasoning = stream % 2, .stream = stream};
        options.format = stream % 3 == 0 ? WEIR_REASONING_NONE : WEIR_REASONING_APART;
        char *whole = said_of(text.data, text.length, &options);
        check_words(whole, words, &text);
        calls += strstr(whole, "; ") != NULL;
        cut += strstr(whole, "cut") != NULL;
        for (int i = 0; i < 3; i++) {
            options.piece = i == 0 ? 1 : SAID_RANDOM;
            options.stream = 3 * stream + (uint64_t)i;
            char *said = said_of(text.data, text.length, &options);
            CHECK_TEXT(said, whole);
            mem_free(said);
        }
        mem_free(whole);
        bytes_release(&text);
    }
    CHECK(calls > 500 && cut > 200);
}

/* A format says where reasoning goes, and changes nothing else: BOTH has the reasoning of APART and
 * the content of NONE, and all three the same calls. */
TEST(reply_formats_agree)
{
    for (uint64_t stream = 0; stream < 2000; stream++) {
        struct draw choices = {.stream = stream};
        struct bytes text = {0};
        struct message said[3];
        struct weir_error err = {0};
        add_reply(&text, &choices);
        for (int format = 0; format < 3; format++) {
            const struct said_options options = {
                .tools = tools, .in_reasoning = true, .format = (enum weir_reasoning_format)format};
            CHECK_OK(said_message(&said[format], text.data, text.length, &options, &err), &err);
        }
        const struct message *both = &said[WEIR_REASONING_BOTH];
        expect_same(&both->reasoning, &said[WEIR_REASONING_APART].reasoning);
        expect_same(&both->content, &said[WEIR_REASONING_NONE].content);
        CHECK_INT(said[WEIR_REASONING_NONE].reasoning.length, 0);
        for (int format = 0; format < 2; format++) {
            CHECK_INT(said[format].calls_count, both->calls_count);
            for (uint64_t i = 0; i < both->calls_count; i++)
                expect_same(&said[format].calls[i].arguments, &both->calls[i].arguments);
        }
        for (int format = 0; format < 3; format++)
            message_release(&said[format]);
        bytes_release(&text);
    }
}

/* The white space before a mark that the text begins with; SIZE_MAX: it does not. */
static size_t white_before_think(const struct bytes *text)
{
    size_t at = 0;
    while (at < text->length && json_is_white(text->data[at]))
        at++;
    const bool opens = text->length - at >= strlen("<think>") &&
                       memcmp(text->data + at, "<think>", strlen("<think>")) == 0;
    return opens ? at : SIZE_MAX;
}

/* A mark that the text begins with leads into reasoning as the prompt's does; without it nothing
 * is another for having been possible. */
TEST(reply_opens_reasoning_as_a_prompt_does)
{
    uint64_t opened = 0;
    for (uint64_t stream = 0; stream < 4000; stream++) {
        struct draw choices = {.stream = stream};
        struct bytes text = {0};
        bytes_add_text(&text, stream % 2 == 0 ? "" : "\n<think>");
        add_reply(&text, &choices);
        const size_t white = white_before_think(&text);
        const bool opens = white != SIZE_MAX;
        const size_t from = opens ? white : 0;
        struct said_options options = {
            .tools = tools, .in_reasoning = opens, .format = WEIR_REASONING_APART};
        char *expected = said_of(text.data + from, text.length - from, &options);
        options.in_reasoning = false;
        options.may_reason = true;
        options.piece = SAID_RANDOM;
        options.stream = stream;
        char *said = said_of(text.data, text.length, &options);
        CHECK_TEXT(said, expected);
        opened += opens;
        mem_free(said);
        mem_free(expected);
        bytes_release(&text);
    }
    CHECK(opened > 2000 && opened < 3000);
}

/* Without tools all is text, and where reasoning is not told apart, all of it. */
TEST(reply_without_tools_is_the_text)
{
    for (uint64_t stream = 0; stream < 500; stream++) {
        struct draw choices = {.stream = stream};
        struct bytes text = {0};
        struct message message;
        struct weir_error err = {0};
        const bool in_reasoning = stream % 2 == 1;
        const struct said_options options = {.in_reasoning = in_reasoning,
                                             .may_reason = stream % 4 >= 2,
                                             .format = WEIR_REASONING_NONE,
                                             .piece = SAID_RANDOM,
                                             .stream = stream};
        bytes_add_text(&text, in_reasoning ? "<think>\n" : "");
        const size_t begin = text.length;
        add_reply(&text, &choices);
        CHECK_OK(said_message(&message, text.data + begin, text.length - begin, &options, &err),
                 &err);
        CHECK_INT(message.reasoning.length + message.calls_count, 0);
        CHECK_INT(message.content.length, text.length);
        CHECK(text.length == 0 || memcmp(message.content.data, text.data, text.length) == 0);
        message_release(&message);
        bytes_release(&text);
    }
}

/* Text is told as soon as nothing that may follow makes a mark of it. */
TEST(reply_holds_back_only_what_may_be_a_mark)
{
    struct weir_reply *reply;
    struct weir_error err = {0};
    struct message message = {0};
    struct weir_reply_options options;
    weir_reply_options_init(&options);
    options.tools = tools;
    options.tools_length = sizeof tools - 1;
    options.event = message_add;
    options.event_user = &message;
    static const char *const steps[][2] = {
        {"a <", "a "},        {"tool", "a "},           {"s> \n", "a <tools> "},
        {"\n", "a <tools> "}, {"b", "a <tools> \n\nb"},
    };
    CHECK_OK(weir_reply_open(&reply, &options, &err), &err);
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        CHECK_OK(weir_reply_push(reply, steps[i][0], strlen(steps[i][0]), &err), &err);
        CHECK_TEXT(message.content.data, steps[i][1]);
    }
    CHECK_OK(weir_reply_push(reply, "\n<tool_call>\n<function=f>", 25, &err), &err);
    CHECK_INT(message.calls_count, 1);
    CHECK_TEXT(message.calls[0].arguments.data, "{");
    CHECK_OK(weir_reply_push(reply, "\n<parameter=s>\nab\n</par", 23, &err), &err);
    CHECK_TEXT(message.calls[0].arguments.data, "{\"s\":\"ab");
    CHECK_TEXT(message.content.data, "a <tools> \n\nb");
    weir_reply_close(reply);
    message_release(&message);
}
