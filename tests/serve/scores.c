/* SPDX-License-Identifier: MIT
 * Texts that are scored: echo with logprobs, as harnesses of evaluation ask. Run alone:
 * build/tests/weir-test scores_ */
#include "serve/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static struct json_document *complete(const struct served *served, const char *body)
{
    struct json_document *document;
    struct weir_error err = {0};
    struct http_response response = served_post(served, "/v1/completions", body, 200);
    CHECK_OK(json_open(&document, response.body.data, response.body.length, "answer", &err), &err);
    http_response_release(&response);
    return document;
}

static const struct json *choice_of(const struct json_document *document, uint32_t number)
{
    const struct json *choices = json_get(json_root(document), "choices");
    CHECK(choices != NULL && number < choices->count);
    return &choices->items[number];
}

static const struct json *list_of(const struct json *choice, const char *name)
{
    const struct json *list = json_get(json_get(choice, "logprobs"), name);
    CHECK(list != NULL && list->kind == JSON_ARRAY);
    return list;
}

static void check_same(const struct json *a, const struct json *b)
{
    CHECK_INT(a->source.length, b->source.length);
    CHECK(memcmp(a->source.bytes, b->source.bytes, a->source.length) == 0);
}

/* The ids of all tokens, as a prompt. */
static void put_ids(struct bytes *out, const struct json *choice)
{
    const struct json *content = list_of(choice, "content");
    bytes_add_text(out, "[");
    for (uint32_t i = 0; i < content->count; i++) {
        const struct json_text id = json_get(&content->items[i], "id")->text;
        bytes_add_text(out, i == 0 ? "" : ",");
        bytes_add(out, id.bytes, id.length);
    }
    bytes_add_text(out, "]");
}

static const char *const lists[] = {"tokens", "token_logprobs", "top_logprobs", "text_offset",
                                    "content"};
enum { LISTS = sizeof lists / sizeof lists[0] };

/* A text that was continued and one that is given have the same scores, to the digit; each token of
 * the greedy continuation is the likeliest. */
static void check_continued(const struct served *served, const char *prompt)
{
    struct bytes body = {0};
    char text[1024];
    snprintf(text, sizeof text,
             "{\"prompt\":%s,\"max_tokens\":8,\"echo\":true,\"logprobs\":2,\"temperature\":0,"
             "\"ignore_eos\":true}",
             prompt);
    struct json_document *said = complete(served, text);
    bytes_add_text(&body, "{\"max_tokens\":0,\"echo\":true,\"logprobs\":2,\"prompt\":");
    put_ids(&body, choice_of(said, 0));
    bytes_add_text(&body, "}");
    struct json_document *given = complete(served, body.data);
    check_same(json_get(choice_of(said, 0), "text"), json_get(choice_of(given, 0), "text"));
    for (int i = 0; i < LISTS; i++)
        check_same(list_of(choice_of(said, 0), lists[i]), list_of(choice_of(given, 0), lists[i]));
    const struct json *own = list_of(choice_of(said, 0), "token_logprobs");
    const struct json *likeliest = list_of(choice_of(said, 0), "top_logprobs");
    CHECK(own->items[0].kind == JSON_NULL && likeliest->items[0].kind == JSON_NULL);
    for (uint32_t i = own->count - 8; i < own->count; i++)
        check_same(&own->items[i], &likeliest->items[i].items[0]);
    const struct json *usage = json_get(json_root(given), "usage");
    CHECK(json_text_equals(json_get(usage, "completion_tokens")->text, "0"));
    bytes_release(&body);
    json_close(given);
    json_close(said);
}

TEST(scores_of_a_text_are_those_of_its_continuation)
{
    struct served served;
    struct bytes prompt = {0};
    served_init(&served);
    served_open(&served);
    check_continued(&served, "\"Once upon a time\"");
    check_continued(&served, "\"\xe6\x97\xa5 na\xc3\xafve\"");
    check_continued(&served, "[65]");
    bytes_add_text(&prompt, "\"Once");
    for (int i = 0; i < 60; i++) // longer than a step reads of it, and than a job has events
        bytes_add_text(&prompt, " the boat");
    bytes_add_text(&prompt, "\"");
    check_continued(&served, prompt.data);
    bytes_release(&prompt);
    served_close(&served);
}

/* By text, by ids and in lists of both, however many at once, and again when the prompt is known;
 * the offsets are where the tokens stand. */
TEST(scores_of_a_prompt_are_the_same_however_it_is_given)
{
    static const char tail[] = ",\"max_tokens\":0,\"echo\":true,\"logprobs\":1}";
    static const char plain[] = "\"Once upon a time\"";
    struct served served;
    char body[512];
    struct bytes ids = {0};
    served_init(&served);
    served_open(&served);
    snprintf(body, sizeof body, "{\"prompt\":%s%s", plain, tail);
    struct json_document *first = complete(&served, body);
    put_ids(&ids, choice_of(first, 0));
    const char *const prompts[] = {plain, ids.data};
    for (int i = 0; i < 4; i++) {
        snprintf(body, sizeof body, "{\"prompt\":[%s,%s]%s", prompts[i % 2], prompts[i % 2], tail);
        struct json_document *both = complete(&served, body);
        for (uint32_t number = 0; number < 2; number++)
            for (int list = 0; list < LISTS; list++)
                check_same(list_of(choice_of(first, 0), lists[list]),
                           list_of(choice_of(both, number), lists[list]));
        json_close(both);
    }
    const struct json_text text = json_get(choice_of(first, 0), "text")->text;
    const struct json *tokens = list_of(choice_of(first, 0), "tokens");
    const struct json *offsets = list_of(choice_of(first, 0), "text_offset");
    for (uint32_t i = 0; i < tokens->count; i++) {
        const struct json_text token = tokens->items[i].text;
        const size_t at = strtoul(offsets->items[i].text.bytes, NULL, 10);
        CHECK(at + token.length <= text.length);
        CHECK(memcmp(text.bytes + at, token.bytes, token.length) == 0);
    }
    snprintf(body, sizeof body, "{\"prompt\":[65]%s", tail);
    struct json_document *lone = complete(&served, body); // of which nothing is read
    CHECK_INT(list_of(choice_of(lone, 0), "token_logprobs")->count, 1);
    json_close(lone);
    bytes_release(&ids);
    json_close(first);
    served_close(&served);
}

TEST(scores_have_limits)
{
    static const struct {
        const char *body, *text;
    } cases[] = {
        {"{\"prompt\":\"a b c\",\"max_tokens\":0,\"echo\":true,\"logprobs\":1,"
         "\"post_sampling_probs\":true}",
         "post_sampling_probs cannot be told with echo: a prompt is not drawn"},
        {"{\"prompt\":%s,\"max_tokens\":0,\"echo\":true,\"logprobs\":128}",
         "echo with logprobs: 528384 logprobs of prompts, at most 524288"},
    };
    struct served served;
    struct bytes prompt = {0};
    served_init(&served);
    served.options.scheduler.engine.context = 8192;
    served_open(&served);
    bytes_add_text(&prompt, "[1");
    for (int i = 1; i < 4096; i++)
        bytes_add_text(&prompt, ",1");
    bytes_add_text(&prompt, "]");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bytes body = {0};
        const char *hole = strstr(cases[i].body, "%s");
        bytes_add(&body, cases[i].body, hole == NULL ? 0 : (size_t)(hole - cases[i].body));
        bytes_add_text(&body, hole == NULL ? "" : prompt.data);
        bytes_add_text(&body, hole == NULL ? cases[i].body : hole + 2);
        struct http_response response = served_post(&served, "/v1/completions", body.data, 400);
        CHECK(strstr(response.body.data, cases[i].text) != NULL);
        http_response_release(&response);
        bytes_release(&body);
    }
    bytes_release(&prompt);
    served_close(&served);
}
