/* SPDX-License-Identifier: MIT
 * What vLLM's clients ask for: answers of a language in its spellings, tokens that end a text, and
 * the least number of them. Run alone: build/tests/weir-test guided_ */
#include "serve/served.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json/json.h"

static struct json_document *post(const struct served *served, const char *path, const char *body)
{
    struct json_document *document;
    struct weir_error err = {0};
    struct http_response response = served_post(served, path, body, 200);
    CHECK_OK(json_open(&document, response.body.data, response.body.length, "answer", &err), &err);
    http_response_release(&response);
    return document;
}

static void check_content(const struct served *served, const char *path, const char *body,
                          bool (*is_right)(struct json_text text))
{
    struct json_document *document = post(served, path, body);
    const struct json *root = json_root(document), *choices = json_get(root, "choices");
    const struct json *choice = choices == NULL ? root : &choices->items[0];
    const struct json *message = json_get(choice, "message");
    const struct json *text = json_get(message == NULL ? choice : message, "content");
    text = text == NULL ? json_get(choice, "text") : text;
    if (!is_right(text->text))
        test_fail(__FILE__, __LINE__, "%s: %.*s", body, (int)text->text.length, text->text.bytes);
    json_close(document);
}

static bool is_choice(struct json_text text)
{
    return json_text_equals(text, "y\n\"s") || json_text_equals(text, "n\xc3\xb3");
}

static bool is_date(struct json_text text)
{
    const bool is_long = text.length == 10 && text.bytes[4] == '-' && text.bytes[7] == '-';
    return is_long && strspn(text.bytes, "0123456789-") >= 10;
}

/* However long a small model makes it. */
static bool is_object(struct json_text text)
{
    return text.length >= 2 && text.bytes[0] == '{';
}

static bool is_null(struct json_text text)
{
    return json_text_equals(text, "null");
}

/* Each of them in each API, and the rest of the request is as it ever was. */
TEST(guided_answers_are_of_their_language)
{
    static const struct {
        const char *member;
        bool (*is_right)(struct json_text text);
    } cases[] = {
        {"\"guided_choice\":[\"y\\n\\\"s\",\"n\xc3\xb3\"]", is_choice},
        {"\"guided_regex\":\"^\\\\d{4}-\\\\d\\\\d-\\\\d{2}$\"", is_date},
        {"\"guided_json\":{\"type\":\"null\"}", is_null},
        {"\"guided_json\":\"{\\\"type\\\":\\\"null\\\"}\"", is_null},
        {"\"guided_grammar\":\"root ::= \\\"null\\\"\"", is_null},
        {"\"structured_outputs\":{\"choice\":[\"y\\n\\\"s\",\"n\xc3\xb3\"]}", is_choice},
        {"\"structured_outputs\":{\"regex\":\"\\\\d{4}(-\\\\d\\\\d){2}\"}", is_date},
        {"\"structured_outputs\":{\"json\":{\"enum\":[null]},\"disable_fallback\":true}", is_null},
        {"\"structured_outputs\":{\"json_object\":true,\"disable_any_whitespace\":false}",
         is_object},
        {"\"structured_outputs\":{\"grammar\":\"root ::= \\\"null\\\"\"}", is_null},
    };
    static const char *const apis[][2] = {
        {"/v1/chat/completions", "\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]"},
        {"/v1/completions", "\"prompt\":\"a\""},
        {"/completion", "\"prompt\":\"a\""},
    };
    struct served served;
    served_init(&served);
    served_open(&served);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (size_t k = 0; k < sizeof apis / sizeof apis[0]; k++) {
            char body[512];
            snprintf(body, sizeof body, "{%s,%s,\"max_tokens\":500,\"seed\":%zu}", apis[k][1],
                     cases[i].member, i);
            check_content(&served, apis[k][0], body, cases[i].is_right);
        }
    }
    served_close(&served);
}

/* ---- ends ------------------------------------------------------------------------------------ */

/* The ids that /completion says, greedily; malloc. */
static int32_t *said_ids(const struct served *served, const char *members, uint32_t *count,
                         char *kind, size_t size)
{
    char body[512];
    snprintf(body, sizeof body,
             "{\"prompt\":\"Once upon a time\",\"temperature\":0,\"return_tokens\":true,%s}",
             members);
    struct json_document *document = post(served, "/completion", body);
    const struct json *tokens = json_get(json_root(document), "tokens");
    const struct json_text type = json_get(json_root(document), "stop_type")->text;
    int32_t *ids = malloc((tokens->count + 1) * sizeof *ids);
    CHECK(ids != NULL);
    *count = tokens->count;
    for (uint32_t i = 0; i < tokens->count; i++)
        ids[i] = (int32_t)strtol(tokens->items[i].text.bytes, NULL, 10);
    snprintf(kind, size, "%.*s", (int)type.length, type.bytes);
    json_close(document);
    return ids;
}

/* A text ends at the first token of the list, and is as long as it must be before. */
TEST(guided_texts_end_at_tokens)
{
    struct served served;
    uint32_t count, ended;
    char members[256], kind[32];
    served_init(&served);
    served_open(&served);
    int32_t *ids =
        said_ids(&served, "\"n_predict\":12,\"ignore_eos\":true", &count, kind, sizeof kind);
    CHECK_INT(count, 12);
    uint32_t first = 5;
    for (uint32_t i = 0; i < 5; i++)
        first = first == 5 && ids[i] == ids[5] ? i : first;
    snprintf(members, sizeof members,
             "\"n_predict\":12,\"ignore_eos\":true,\"stop_token_ids\":[3,%d]", (int)ids[5]);
    int32_t *cut = said_ids(&served, members, &ended, kind, sizeof kind);
    CHECK_INT(ended, first + 1);
    CHECK(memcmp(ids, cut, ended * sizeof *ids) == 0);
    CHECK_TEXT(kind, "eos");
    free(cut);
    snprintf(members, sizeof members,
             "\"n_predict\":12,\"ignore_eos\":true,\"min_tokens\":9,\"stop_token_ids\":[%d]",
             (int)ids[5]);
    cut = said_ids(&served, members, &ended, kind, sizeof kind);
    CHECK(ended >= 9);
    for (uint32_t i = 0; i < 9 && i < ended; i++)
        CHECK(cut[i] != ids[5]);
    free(cut);
    free(ids);
    served_close(&served);
}

/* Neither the model nor a text to stop at ends what is not long enough; a language may. */
TEST(guided_texts_have_a_least_length)
{
    struct served served;
    uint32_t count;
    char kind[32];
    served_init(&served);
    served_open(&served);
    free(said_ids(&served, "\"n_predict\":40,\"min_tokens\":40", &count, kind, sizeof kind));
    CHECK_INT(count, 40);
    free(said_ids(&served, "\"n_predict\":40,\"stop\":[\"e\",\" \"]", &count, kind, sizeof kind));
    CHECK(count < 20);
    CHECK_TEXT(kind, "word");
    free(said_ids(&served, "\"n_predict\":40,\"min_tokens\":20,\"stop\":[\"e\",\" \"]", &count,
                  kind, sizeof kind));
    CHECK(count > 20 && count < 40);
    CHECK_TEXT(kind, "word");
    check_content(&served, "/completion",
                  "{\"prompt\":\"a\",\"guided_json\":{\"type\":\"null\"},\"min_tokens\":60,"
                  "\"n_predict\":80}",
                  is_null);
    served_close(&served);
}
