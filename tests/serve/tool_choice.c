/* SPDX-License-Identifier: MIT
 * Which tools a model may call: some of those that there are, or none. Run alone:
 * build/tests/weir-test tool_choice_ */
#include "serve/served.h"

#include <stdio.h>
#include <string.h>

#include "json/json.h"

/* Three tools, of which the model would call any; %s: the rest of the request. */
static const char chat[] =
    "{\"messages\":[{\"role\":\"user\",\"content\":\"Make the lamp red.\"}],\"max_tokens\":200,"
    "\"temperature\":1.5,\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"set_lamp\"}},"
    "{\"type\":\"function\",\"function\":{\"name\":\"ring\"}},{\"type\":\"function\",\"function\":"
    "{\"name\":\"send\"}}],%s}";
static const char response[] =
    "{\"input\":\"Make the lamp red.\",\"max_output_tokens\":200,\"temperature\":1.5,\"tools\":["
    "{\"type\":\"function\",\"name\":\"set_lamp\"},{\"type\":\"function\",\"name\":\"ring\"},{"
    "\"type\":"
    "\"function\",\"name\":\"send\"}],%s}";

static struct http_response ask(const struct served *served, bool is_chat, const char *rest,
                                unsigned status)
{
    char body[1024];
    if (is_chat)
        snprintf(body, sizeof body, chat, rest);
    else
        snprintf(body, sizeof body, response, rest);
    return served_post(served, is_chat ? "/v1/chat/completions" : "/v1/responses", body, status);
}

/* How often the name is called. */
static uint32_t calls_of(const struct http_response *answer, const char *name)
{
    char text[64];
    uint32_t count = 0;
    snprintf(text, sizeof text, "\"name\":\"%s\"", name);
    for (const char *at = answer->body.data; (at = strstr(at, text)) != NULL; at++)
        count++;
    return count;
}

/* In either API, and whether one must be called or is, because its mark is that likely. */
TEST(tool_choice_allows_some_tools)
{
    static const char *const choices[2][2] = {
        {"\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"%s\",\"tools\":[{\"type\":"
         "\"function\","
         "\"name\":\"ring\"},{\"type\":\"function\",\"name\":\"send\"}]},",
         "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"%s\",\"tools\":[{\"type\":"
         "\"function\","
         "\"name\":\"ring\"},{\"name\":\"ring\"}]},"},
        {"\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"%s\",\"tools\":"
         "[{"
         "\"type\":\"function\",\"function\":{\"name\":\"send\"}},{\"type\":\"function\","
         "\"function\":{"
         "\"name\":\"ring\"}}]}},",
         "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"%s\",\"tools\":"
         "[{"
         "\"type\":\"function\",\"function\":{\"name\":\"ring\"}}]}},"},
    };
    struct served served;
    uint32_t sent = 0;
    served_init(&served);
    served_open(&served);
    for (int i = 0; i < 32; i++) {
        const bool is_chat = i % 2 == 1, is_lone = i / 2 % 2 == 1, is_required = i / 4 % 2 == 1;
        char choice[512], rest[640];
        snprintf(choice, sizeof choice, choices[is_chat][is_lone],
                 is_required ? "required" : "auto");
        snprintf(rest, sizeof rest, "%s\"logit_bias\":{\"<tool_call>\":100},\"seed\":%d", choice,
                 i);
        struct http_response answer = ask(&served, is_chat, rest, 200);
        CHECK_INT(calls_of(&answer, "set_lamp"), 0);
        CHECK(calls_of(&answer, "ring") + calls_of(&answer, "send") > 0);
        CHECK(!is_lone || calls_of(&answer, "send") == 0);
        sent += calls_of(&answer, "send");
        http_response_release(&answer);
    }
    CHECK(sent > 0);
    struct http_response refused =
        ask(&served, false,
            "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"type\":"
            "\"function\",\"name\":\"other\"}]}",
            400);
    CHECK(strstr(refused.body.data, "tool_choice: there is no tool 'other'") != NULL);
    http_response_release(&refused);
    refused =
        ask(&served, false,
            "\"tool_choice\":{\"type\":\"allowed_tools\",\"mode\":\"auto\",\"tools\":[{\"name\":"
            "\"ring\"},{\"name\":\"ring\"},{\"name\":\"ring\"},{\"name\":\"ring\"}]}",
            400);
    CHECK(strstr(refused.body.data, "tool_choice: 4 allowed_tools of 3 tools") != NULL);
    http_response_release(&refused);
    served_close(&served);
}

/* However likely a call is; but who wants its marks as text is given them. */
TEST(tool_choice_none_begins_no_call)
{
    static const char likely[] = "\"logit_bias\":{\"<tool_call>\":100},\"seed\":%d,%s";
    static const char *const none = "\"tool_choice\":\"none\"";
    static const char *const text = "\"tool_choice\":\"none\",\"parse_tool_calls\":false";
    struct served served;
    served_init(&served);
    served_open(&served);
    for (int i = 0; i < 16; i++) {
        const bool is_chat = i % 2 == 1, is_text = i / 2 % 2 == 1;
        char rest[256];
        snprintf(rest, sizeof rest, likely, i, is_text ? text : none);
        struct http_response answer = ask(&served, is_chat, rest, 200);
        CHECK((strstr(answer.body.data, "<tool_call>") != NULL) == is_text);
        CHECK_INT(calls_of(&answer, "set_lamp") + calls_of(&answer, "ring"), 0);
        http_response_release(&answer);
    }
    served_close(&served);
}
