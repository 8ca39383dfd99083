/* SPDX-License-Identifier: MIT
 * Tests of how replies are shown: reasoning, content and calls, cleaned for a terminal.
 * Run alone: build/tests/weir-test answer_ */
#include "app/answer.h"

#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "test.h"

enum { EVENTS_MAX = 8 };

struct event {
    enum weir_reply_kind kind;
    const char *text;
};

struct shown {
    bool has_colors, is_cleaned;
    struct event events[EVENTS_MAX]; /* the first without a text ends them */
    const char *text;
    const char *tools; /* whose calls are complete, joined by commas */
};

#define REASONING(text)                                                                            \
    {                                                                                              \
        WEIR_REPLY_REASONING, text                                                                 \
    }
#define CONTENT(text)                                                                              \
    {                                                                                              \
        WEIR_REPLY_CONTENT, text                                                                   \
    }
#define CALL(text)                                                                                 \
    {                                                                                              \
        WEIR_REPLY_CALL, text                                                                      \
    }
#define ARGUMENTS(text)                                                                            \
    {                                                                                              \
        WEIR_REPLY_ARGUMENTS, text                                                                 \
    }
#define CALL_END                                                                                   \
    {                                                                                              \
        WEIR_REPLY_CALL_END, ""                                                                    \
    }

static const struct shown cases[] = {
    {.text = "", .tools = ""},
    {.events = {CONTENT("Hel"), CONTENT("lo")}, .text = "Hello\n", .tools = ""},
    {.events = {CONTENT("Hello\n")}, .text = "Hello\n", .tools = ""},
    {.events = {REASONING("So"), REASONING(" so"), CONTENT("Yes")},
     .text = "[Start thinking]\nSo so\n[End thinking]\n\nYes\n",
     .tools = ""},
    {.has_colors = true,
     .events = {REASONING("So"), CONTENT("Yes")},
     .text = "\033[2m[Start thinking]\nSo\n[End thinking]\033[0m\n\nYes\n",
     .tools = ""},
    {.events = {REASONING("cut")}, .text = "[Start thinking]\ncut\n[End thinking]\n", .tools = ""},
    {.events = {CONTENT("Wait"), CALL("get"), ARGUMENTS("{\"a\":"), ARGUMENTS("1}"), CALL_END,
                CALL("put"), ARGUMENTS("{}"), CALL_END},
     .text = "Wait\n[call get {\"a\":1}]\n[call put {}]\n",
     .tools = "get,put"},
    {.events = {CALL("get"), ARGUMENTS("{}"), CALL_END, CALL("put"), ARGUMENTS("{\"a")},
     .text = "[call get {}]\n[call put {\"a ... cut off]\n",
     .tools = "get"},
    {.events = {CALL("put"), ARGUMENTS("{"), CONTENT("no"), CALL("get"), ARGUMENTS("{}"), CALL_END},
     .text = "[call put { ... cut off]\nno\n[call get {}]\n",
     .tools = "get"},
    {.is_cleaned = true,
     .events = {CONTENT("a\033[2Jb\rc\x7f\302\233\302\240\td\n"), CALL("\033"), CALL_END},
     .text = "a?[2Jb?c??\302\240\td\n[call ? ]\n",
     .tools = "\033"},
    {.events = {CONTENT("a\033[2Jb\r")}, .text = "a\033[2Jb\r\n", .tools = ""},
};
enum { CASES = sizeof cases / sizeof cases[0] };

static void show(struct answer *answer, const struct event *events)
{
    answer_begin(answer);
    for (int i = 0; i < EVENTS_MAX && events[i].text != NULL; i++) {
        const struct weir_reply_event event = {
            .kind = events[i].kind, .text = events[i].text, .length = strlen(events[i].text)};
        answer_event(answer, &event);
    }
}

static void check_tools(const struct answer *answer, const char *expected)
{
    char tools[64] = "";
    CHECK(answer->tools_whole < sizeof tools);
    for (uint64_t i = 0; i < answer->tools_whole; i++)
        tools[i] = answer->tools.data[i] != 0 ? answer->tools.data[i] : ',';
    if (answer->tools_whole > 0)
        tools[answer->tools_whole - 1] = 0;
    CHECK_TEXT(tools, expected);
}

/* One answer for all: nothing of one is left for the next. */
TEST(answer_parts_are_told_apart)
{
    struct answer answer = {.output = NULL};
    struct weir_error err = {0};
    for (int i = 0; i < CASES; i++) {
        const char *path = test_scratch("answer");
        struct output output;
        size_t size;
        CHECK_OK(output_open(&output, path, &err), &err);
        answer.output = &output;
        answer.has_colors = cases[i].has_colors;
        answer.is_cleaned = cases[i].is_cleaned;
        show(&answer, cases[i].events);
        CHECK_OK(answer_end(&answer, &err), &err);
        check_tools(&answer, cases[i].tools);
        CHECK_OK(output_finish(&output, &err), &err);
        char *text = (char *)test_read_file(path, &size);
        CHECK_TEXT(text, cases[i].text);
        free(text);
    }
    answer_release(&answer);
}

static void call_some(void *argument)
{
    static const struct event events[EVENTS_MAX] = {
        CALL("get"), CALL_END, CALL("a-tool-of-a-name-that-needs-some-room"), CALL_END};
    struct output *output = argument;
    struct answer answer = {.output = output};
    show(&answer, events);
    CHECK_INT(answer_end(&answer, NULL), alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    answer_release(&answer);
}

TEST(answer_alloc)
{
    struct weir_error err = {0};
    struct output output;
    CHECK_OK(output_open(&output, test_scratch("answer-alloc"), &err), &err);
    alloc_test(call_some, &output);
    output_abandon(&output);
}
