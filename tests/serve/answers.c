/* SPDX-License-Identifier: MIT
 * What a whole server answers: how models are called, bodies that are read or not, probabilities,
 * languages. Run alone: build/tests/weir-test answers_ */
#include "serve/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "alloc.h"
#include "json/json.h"

/* ---- the model ------------------------------------------------------------------------------- */

static void check_told(const struct served *served, const char *path, unsigned status,
                       const char *text)
{
    struct http_response response = served_ask(served, "GET", path, NULL, NULL);
    if (response.status != status || strstr(response.body.data, text) == NULL)
        test_fail(__FILE__, __LINE__, "%s: status %u, no %s in %s", path, response.status, text,
                  response.body.data);
    CHECK(strstr(response.body.data, "models/weir-") == NULL); // nor where it lies
    http_response_release(&response);
}

/* By its file, without the folder, or as the server says. */
TEST(answers_a_model_has_a_name)
{
    static const char *const names[] = {WEIR_SHIPPED, "own/name"};
    for (int i = 0; i < 2; i++) {
        struct served served;
        char text[256];
        served_init(&served);
        served.options.alias = i == 0 ? NULL : names[i];
        served_open(&served);
        snprintf(text, sizeof text, "\"data\":[{\"id\":\"%s\"", names[i]);
        check_told(&served, "/v1/models", 200, text);
        check_told(&served, "/v1/models", 200, "\"parameter_size\":\"4.8M\"");
        snprintf(text, sizeof text, "\"model_alias\":\"%s\"", names[i]);
        check_told(&served, "/props", 200, text);
        check_told(&served, "/props", 200, "\"model_path\":\"" WEIR_SHIPPED "\"");
        check_told(&served, i == 0 ? "/v1/models/" WEIR_SHIPPED : "/v1/models/own%2Fname", 200,
                   "\"object\":\"model\"");
        check_told(&served, i == 0 ? "/models/" WEIR_SHIPPED : "/models/own/name", 200,
                   "\"object\":\"model\"");
        check_told(&served, "/v1/models/other", 404,
                   "{\"error\":{\"code\":404,\"message\":\"The model 'other' does not exist: see "
                   "/v1/models\",\"type\":\"not_found_error\"}}");
        check_told(&served, "/v1/models/", 404, "File Not Found");
        struct http_response response =
            served_post(&served, "/completion", "{\"prompt\":\"a\",\"n_predict\":1}", 200);
        snprintf(text, sizeof text, "\"model\":\"%s\"", names[i]);
        CHECK(strstr(response.body.data, text) != NULL);
        http_response_release(&response);
        served_close(&served);
    }
}

/* Of the shipped model's template, which is in the manner of Qwen's. */
TEST(answers_tell_what_the_template_makes_use_of)
{
    struct served served;
    served_init(&served);
    served_open(&served);
    check_told(&served, "/props", 200,
               "\"chat_template_caps\":{\"supports_object_arguments\":true,"
               "\"supports_parallel_tool_calls\":true,\"supports_preserve_reasoning\":false,"
               "\"supports_string_content\":true,\"supports_system_role\":true,"
               "\"supports_tool_calls\":true,\"supports_tools\":true,"
               "\"supports_typed_content\":true}");
    served_close(&served);
}

/* ---- bodies ---------------------------------------------------------------------------------- */

/* What is coded is not taken for JSON that is bad. */
TEST(answers_bodies_have_no_coding)
{
    static const struct {
        const char *path, *coding;
        unsigned status;
    } cases[] = {
        {"/completion", "gzip", 415},
        {"/v1/messages", "deflate, gzip", 415},
        {"/completion", "identity\r\nContent-Encoding: gzip", 415},
        {"/completion", "gzip\r\nContent-Encoding: identity", 415},
        {"/completion", "identity", 200},
        {"/completion", "Identity", 200},
    };
    struct served served;
    served_init(&served);
    served_open(&served);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char headers[128];
        snprintf(headers, sizeof headers, "Authorization: Bearer k1\r\nContent-Encoding: %s\r\n",
                 cases[i].coding);
        struct http_response response = served_ask(&served, "POST", cases[i].path, headers,
                                                   "{\"prompt\":\"a\",\"n_predict\":1}");
        CHECK_INT(response.status, cases[i].status);
        CHECK(response.status == 200 || strstr(response.body.data, "Content-Encoding: ") != NULL);
        http_response_release(&response);
    }
    served_close(&served);
}

/* As editors of Windows begin their files; a mark alone is no JSON, nor are two. */
TEST(answers_bodies_may_begin_with_a_mark_of_utf8)
{
    static const struct {
        const char *body;
        unsigned status;
    } cases[] = {
        {"\xef\xbb\xbf{\"prompt\":\"a\",\"n_predict\":1}", 200},
        {"\xef\xbb\xbf\xef\xbb\xbf{\"prompt\":\"a\",\"n_predict\":1}", 400},
        {"\xef\xbb\xbf", 400},
        {"\xef\xbb", 400},
        {"{\"prompt\":\"\xef\xbb\xbf\",\"n_predict\":1}", 200},
    };
    struct served served;
    served_init(&served);
    served_open(&served);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_response response =
            served_post(&served, "/completion", cases[i].body, cases[i].status);
        http_response_release(&response);
    }
    served_close(&served);
}

/* Reasoning that may take no tokens has none, asked for or not, and none are counted. */
TEST(answers_of_no_budget_have_no_reasoning)
{
    static const char *const rests[] = {
        "\"thinking_budget_tokens\":0",
        "\"thinking_budget_tokens\":0,\"chat_template_kwargs\":{\"enable_thinking\":true}",
        "\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":0}",
    };
    struct served served;
    served_init(&served);
    served_open(&served);
    for (size_t i = 0; i < sizeof rests / sizeof rests[0]; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"max_tokens\":30,%s}",
                 rests[i]);
        struct http_response response = served_post(&served, "/v1/chat/completions", body, 200);
        CHECK(strstr(response.body.data, "\"reasoning_content\"") == NULL);
        CHECK(strstr(response.body.data, "\"reasoning_tokens\":0}") != NULL);
        http_response_release(&response);
    }
    served_close(&served);
}

/* A model that reasons by itself, behind a template that says nothing of it: in all forms, and
 * whatever requests say. Behind one that has closed the block, the mark is content. */
TEST(answers_tell_reasoning_apart_that_the_reply_opens)
{
#define SAYS                                                                                       \
    "\"max_tokens\":30,\"grammar\":\"root ::= \\\"<think>\\\\nabc\\\\n</think>\\\\n\\\\nHi\\\"\""
#define ASKS  "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]," SAYS
#define MARKS "<think>\\nabc\\n</think>\\n\\nHi"
    static const struct {
        const char *path, *body, *text;
        bool is_closed;
    } cases[] = {
        {"/v1/chat/completions", ASKS "}", "\"content\":\"Hi\",\"reasoning_content\":\"abc\"", 0},
        {"/v1/chat/completions", ASKS ",\"reasoning_effort\":\"none\"}", "\"content\":\"Hi\"", 0},
        {"/v1/chat/completions", ASKS ",\"stream\":true}", "{\"reasoning_content\":\"a", 0},
        {"/v1/chat/completions", ASKS ",\"stream\":true}", "{\"content\":\"H", 0},
        {"/v1/chat/completions", ASKS ",\"reasoning_format\":\"none\"}",
         "\"content\":\"" MARKS "\"", 0},
        {"/v1/messages", ASKS "}", "{\"type\":\"thinking\",\"thinking\":\"abc\"", 0},
        {"/v1/responses", "{\"input\":\"a\"," SAYS "}", "\"text\":\"Hi\"", 0},
        {"/v1/chat/completions", ASKS ",\"reasoning_effort\":\"none\"}",
         "\"content\":\"" MARKS "\"", 1},
    };
#undef MARKS
#undef ASKS
#undef SAYS
    struct served served;
    struct weir_template *chatml;
    struct weir_error err = {0};
    const char *source = weir_template_builtin("chatml");
    CHECK_OK(weir_template_open(&chatml, source, strlen(source), "chatml", &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        served_init(&served);
        served_load(&served);
        if (!cases[i].is_closed)
            served.options.chat_template = chatml;
        CHECK_OK(server_open(&served.server, &served.options, &err), &err);
        served.port = server_port(served.server);
        struct http_response response = served_post(&served, cases[i].path, cases[i].body, 200);
        if (strstr(response.body.data, cases[i].text) == NULL)
            test_fail(__FILE__, __LINE__, "%s %s: no %s in %s", cases[i].path, cases[i].body,
                      cases[i].text, response.body.data);
        CHECK(cases[i].is_closed || strstr(response.body.data, "reasoning_tokens") == NULL ||
              strstr(response.body.data, "\"reasoning_tokens\":0}") == NULL);
        http_response_release(&response);
        served_close(&served);
    }
    weir_template_close(chatml);
}

/* Of the assistant, whose calls may be all that it says, but of nobody else. */
TEST(answers_messages_may_lack_content_of_the_assistant_alone)
{
    static const struct {
        const char *path, *messages;
        unsigned status;
    } cases[] = {
        {"/v1/chat/completions", "{\"role\":\"user\",\"content\":null}", 400},
        {"/v1/messages", "{\"role\":\"user\",\"content\":null}", 400},
        {"/v1/chat/completions",
         "{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,"
         "\"tool_calls\":[{\"id\":\"i\",\"type\":\"function\",\"function\":{\"name\":\"f\","
         "\"arguments\":\"{}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"i\",\"content\":\"b\"}",
         200},
    };
    struct served served;
    served_init(&served);
    served_open(&served);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char body[512];
        snprintf(body, sizeof body, "{\"max_tokens\":1,\"messages\":[%s]}", cases[i].messages);
        struct http_response response = served_post(&served, cases[i].path, body, cases[i].status);
        CHECK(cases[i].status == 200 ||
              strstr(response.body.data, "messages[0]: Field 'content': it is missing or null, "
                                         "expected a text or an array") != NULL);
        http_response_release(&response);
    }
    served_close(&served);
}

/* ---- probabilities --------------------------------------------------------------------------- */

/* Of the draw: the best of a temperature of 0 is sure; of others they are what top_k has left, and
 * the text is the one that there is without. */
TEST(answers_probabilities_are_also_those_of_the_draw)
{
    static const char sure[] = "{\"prompt\":\"Once\",\"n_predict\":3,\"temperature\":0,"
                               "\"n_probs\":4,\"post_sampling_probs\":true}";
    static const char drawn[] = "{\"prompt\":\"Once\",\"n_predict\":8,\"seed\":3,\"top_k\":2,"
                                "\"top_p\":1,\"min_p\":0,\"n_probs\":4%s}";
    struct served served;
    char body[256], content[256];
    served_init(&served);
    served.options.scheduler.speculator.kind = WEIR_DRAFT_NGRAM;
    served_open(&served);
    struct http_response response = served_post(&served, "/completion", sure, 200);
    const char *at = strstr(response.body.data, "\"prob\":");
    CHECK(at != NULL && strstr(at, "\"prob\":1.0,\"top_probs\":[{\"id\":") == at);
    CHECK(strstr(response.body.data, "\"post_sampling_probs\":true") != NULL);
    http_response_release(&response);
    snprintf(body, sizeof body, drawn, "");
    response = served_post(&served, "/completion", body, 200);
    snprintf(content, sizeof content, "%.60s", strstr(response.body.data, "\"content\":"));
    CHECK(strstr(response.body.data, "\"prob\":") == NULL);
    http_response_release(&response);
    snprintf(body, sizeof body, drawn, ",\"post_sampling_probs\":true");
    response = served_post(&served, "/completion", body, 200);
    CHECK(strncmp(strstr(response.body.data, "\"content\":"), content, strlen(content)) == 0);
    uint32_t found = 0;
    double sum = 0;
    for (at = response.body.data; (at = strstr(at, "\"prob\":")) != NULL; found++)
        sum += strtod(at += 7, NULL);
    CHECK_INT(found, 8 * 3); // each token, and the two that are left
    CHECK(sum > 8 && sum < 16 + 1e-4);
    CHECK(strstr(response.body.data, "logprob") == NULL);
    http_response_release(&response);
    served_close(&served);
}

/* What the tokens of a list say together. */
static void add_tokens(struct bytes *out, const struct json *list)
{
    for (uint32_t i = 0; i < list->count; i++) {
        const struct json_text token = json_get(&list->items[i], "token")->text;
        bytes_add(out, token.bytes, token.length);
        CHECK_INT(json_get(&list->items[i], "top_logprobs")->count, 2);
    }
}

/* Of a response they are told of the text alone: not of reasoning, nor of the mark behind it. */
TEST(answers_responses_have_probabilities_of_their_text)
{
    static const char body[] =
        "{\"input\":\"Hello\",\"max_output_tokens\":60,\"temperature\":0,\"top_logprobs\":2,"
        "\"include\":[\"message.output_text.logprobs\"],\"thinking_budget_tokens\":6,"
        "\"chat_template_kwargs\":{\"enable_thinking\":%s}}";
    static const char *const truths[] = {"true", "false"};
    struct served served;
    served_init(&served);
    served_open(&served);
    for (int i = 0; i < 2; i++) {
        struct json_document *document;
        struct weir_error err = {0};
        struct bytes told = {0};
        char text[512];
        snprintf(text, sizeof text, body, truths[i]);
        struct http_response response = served_post(&served, "/v1/responses", text, 200);
        CHECK_OK(json_open(&document, response.body.data, response.body.length, "answer", &err),
                 &err);
        const struct json *output = json_get(json_root(document), "output");
        CHECK_INT(output->count, i == 0 ? 2 : 1);
        const struct json *content =
            &json_get(&output->items[output->count - 1], "content")->items[0];
        const struct json_text said = json_get(content, "text")->text;
        add_tokens(&told, json_get(content, "logprobs"));
        CHECK(said.length > 0 && told.length == said.length);
        CHECK(memcmp(told.data, said.bytes, said.length) == 0);
        bytes_release(&told);
        json_close(document);
        http_response_release(&response);
    }
    served_close(&served);
}

/* ---- several --------------------------------------------------------------------------------- */

static struct bytes several(const struct served *served, const char *body)
{
    struct json_document *document;
    struct bytes choices = {0};
    struct weir_error err = {0};
    struct http_response response = served_post(served, "/v1/completions", body, 200);
    CHECK_OK(json_open(&document, response.body.data, response.body.length, "answer", &err), &err);
    const struct json *all = json_get(json_root(document), "choices");
    CHECK_INT(all->count, 2);
    bytes_add(&choices, all->source.bytes, all->source.length);
    CHECK_OK(bytes_check(&choices, &err), &err);
    json_close(document);
    http_response_release(&response);
    return choices;
}

/* Each of several answers is drawn by a seed, whatever the first one's is: none by chance. */
TEST(answers_of_one_seed_are_the_same)
{
    static const char *const seeds[] = {"7", "-2", "-3"};
    struct served served;
    served_init(&served);
    served_open(&served);
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        char body[256];
        snprintf(body, sizeof body,
                 "{\"prompt\":\"Once upon a time\",\"n\":2,\"seed\":%s,\"temperature\":1.5,"
                 "\"max_tokens\":24,\"ignore_eos\":true}",
                 seeds[i]);
        struct bytes one = several(&served, body), other = several(&served, body);
        CHECK_TEXT(one.data, other.data);
        bytes_release(&other);
        bytes_release(&one);
    }
    served_close(&served);
}

/* ---- what others have asked ------------------------------------------------------------------ */

/* The text of an answer without reasoning, and the tokens of its prompt. */
static struct bytes plain_answer(const struct served *served, const char *question,
                                 const char *members)
{
    char body[512];
    struct json_document *document;
    struct bytes out = {0};
    struct weir_error err = {0};
    snprintf(body, sizeof body,
             "{\"messages\":[{\"role\":\"user\",\"content\":\"%s\"}],\"max_tokens\":12,"
             "\"temperature\":0%s}",
             question, members);
    struct http_response response = served_post(served, "/v1/chat/completions", body, 200);
    CHECK_OK(json_open(&document, response.body.data, response.body.length, "answer", &err), &err);
    const struct json *root = json_root(document);
    const struct json *message = json_get(&json_get(root, "choices")->items[0], "message");
    const struct json_text text = json_get(message, "content")->source;
    const struct json_text tokens = json_get(json_get(root, "usage"), "prompt_tokens")->source;
    bytes_add(&out, tokens.bytes, tokens.length);
    bytes_add(&out, text.bytes, text.length);
    json_close(document);
    http_response_release(&response);
    return out;
}

/* The same question with reasoning, answered as far as that, leaves the words with which an answer
 * without it begins as they are. */
TEST(answers_do_not_depend_on_what_others_began)
{
    static const char with[] =
        ",\"max_completion_tokens\":%d,\"chat_template_kwargs\":{\"enable_thinking\":true}";
    struct served served;
    served_init(&served);
    served_open(&served);
    for (int tokens = 0; tokens < 4; tokens++) {
        char question[64], members[128];
        snprintf(question, sizeof question, "Ring the bell %d times.", tokens);
        snprintf(members, sizeof members, with, tokens);
        struct bytes begun = plain_answer(&served, question, members);
        struct bytes one = plain_answer(&served, question, "");
        struct bytes other = plain_answer(&served, question, ",\"cache_salt\":\"s\"");
        CHECK_TEXT(one.data, other.data);
        bytes_release(&other);
        bytes_release(&one);
        bytes_release(&begun);
    }
    served_close(&served);
}

/* ---- want of memory -------------------------------------------------------------------------- */

/* What the server says up to the end of the connection, without taking memory. */
static void ask_still(const struct served *served, const char *request, char *out, size_t size)
{
    struct http_client client;
    size_t length = 0;
    ssize_t got = 1;
    http_client_open(&client, served->port);
    http_client_say(&client, request);
    for (; got > 0 && length + 1 < size; length += got > 0 ? (size_t)got : 0)
        got = recv(client.fd, out + length, size - length - 1, 0);
    out[length] = 0;
    http_client_close(&client);
}

/* Of an answer, what is the same each time: of each object what stands before "created". */
static void keep_choices(char *text)
{
    char *out = text, *at = text;
    while (at != NULL) {
        char *const json = strstr(at, "{\"choices\"");
        at = json == NULL ? NULL : strstr(json, "\"created\"");
        if (at == NULL)
            break;
        memmove(out, json, (size_t)(at - json));
        out += at - json;
    }
    *out = 0;
}

/* Whichever allocation of a request fails, what is told as if nothing was is all there. */
TEST(answers_lack_nothing_for_want_of_memory)
{
    enum { SIZE = 1 << 16 };
    static const char *const ends[] = {"\"created\"", "data: [DONE]"};
    static char expected[SIZE], got[SIZE];
    struct served served;
    served_init(&served);
    served_open(&served);
    for (int is_stream = 0; is_stream < 2; is_stream++) {
        char body[256], request[512];
        uint64_t failed = 0;
        snprintf(body, sizeof body,
                 "{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}],\"max_tokens\":3,"
                 "\"temperature\":0,\"stream\":%s}",
                 is_stream ? "true" : "false");
        snprintf(request, sizeof request,
                 "POST /v1/chat/completions HTTP/1.1\r\nHost: t\r\nConnection: close\r\n"
                 "Authorization: Bearer k1\r\nContent-Length: %zu\r\n\r\n%s",
                 strlen(body), body);
        ask_still(&served, request, expected, sizeof expected);
        CHECK(strstr(expected, ends[is_stream]) != NULL);
        keep_choices(expected);
        CHECK(strstr(expected, "assistant") != NULL);
        do {
            alloc_fail_after(++failed);
            ask_still(&served, request, got, sizeof got);
            if (strncmp(got, "HTTP/1.1 200", 12) != 0 || strstr(got, ends[is_stream]) == NULL)
                continue;
            keep_choices(got);
            CHECK_TEXT(got, expected);
        } while (alloc_failed());
        alloc_fail_after(0);
        CHECK(failed > 50);
    }
    served_close(&served);
}

/* ---- languages ------------------------------------------------------------------------------- */

/* Tools and a schema together: calls, or a text of the schema, whatever is drawn; also where that
 * text spells out a call. */
TEST(answers_with_tools_and_a_schema_are_of_one)
{
    static const char body[] =
        "{\"messages\":[{\"role\":\"user\",\"content\":\"Make the lamp red.\"}],\"max_tokens\":150,"
        "\"seed\":%d,\"temperature\":1.2,%s\"tools\":[{\"type\":\"function\",\"function\":{"
        "\"name\":"
        "\"set_lamp\",\"description\":\"Sets the lamp\",\"parameters\":{\"type\":\"object\","
        "\"properties\":{\"on\":{\"type\":\"boolean\"}},\"required\":[\"on\"],"
        "\"additionalProperties\":false}}}],\"response_format\":{\"type\":\"json_schema\","
        "\"json_schema\":{\"name\":\"x\",\"schema\":{\"type\":\"object\",\"properties\":{\"a\":{"
        "\"enum\":[\"<tool_call><function=set_lamp></function></tool_call>\"]}},"
        "\"required\":[\"a\"],\"additionalProperties\":false}}}}";
    static const char *const biases[] = {
        "\"parallel_tool_calls\":false,\"logit_bias\":{\"<tool_call>\":100},",
        "\"logit_bias\":{\"<tool_call>\":-100},"};
    struct served served;
    served_init(&served);
    served_open(&served);
    for (int seed = 0; seed < 6; seed++) {
        char text[1024];
        struct json_document *document;
        struct weir_error err = {0};
        snprintf(text, sizeof text, body, seed, biases[seed % 2]);
        struct http_response response = served_post(&served, "/v1/chat/completions", text, 200);
        CHECK_OK(json_open(&document, response.body.data, response.body.length, "answer", &err),
                 &err);
        const struct json *choice = &json_get(json_root(document), "choices")->items[0];
        const struct json *message = json_get(choice, "message");
        const struct json_text content = json_get(message, "content")->text;
        const bool has_calls = json_get(message, "tool_calls") != NULL;
        CHECK(has_calls == (content.length == 0));
        CHECK(has_calls == (seed % 2 == 0));
        CHECK(json_is(json_get(choice, "finish_reason"), has_calls ? "tool_calls" : "stop"));
        CHECK(has_calls || (content.bytes[0] == '{' && memchr(content.bytes, '<', content.length)));
        json_close(document);
        http_response_release(&response);
    }
    served_close(&served);
}
