/* SPDX-License-Identifier: MIT
 * The older form of logprobs: lists side by side, whose tokens and offsets fit the text. Run alone:
 * build/tests/weir-test token_lists_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "json/json.h"
#include "serve/respond.h"
#include "serve/token_lists.h"

#define MODEL test_data("../../models/" WEIR_SHIPPED)

enum { TOKENS_MAX = 256 };

static struct weir_tokenizer *open_tokenizer(void)
{
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&tokenizer, model, &err), &err);
    weir_model_close(model);
    return tokenizer;
}

/* The lists as JSON, of the tokens of a text. */
static struct json_document *lists_of(const struct weir_tokenizer *tokenizer, const char *before,
                                      const char *text, int32_t *ids, size_t *count)
{
    struct token_lists lists = {.characters = 0};
    struct json_document *document;
    struct bytes out = {0};
    struct weir_error err = {0};
    const struct job_logprob likeliest[] = {{65, -0.5f}, {66, -1.5f}};
    CHECK_OK(weir_tokenizer_encode(tokenizer, text, strlen(text), 0, ids, TOKENS_MAX, count, &err),
             &err);
    CHECK(*count <= TOKENS_MAX);
    token_lists_skip(&lists, before, strlen(before));
    for (size_t i = 0; i < *count; i++) {
        const struct job_event event = {.kind = JOB_TEXT,
                                        .id = ids[i],
                                        .logprob = -0.25f * (float)i,
                                        .likeliest = likeliest,
                                        .likeliest_count = 2};
        token_lists_add(&lists, tokenizer, &event);
    }
    put_open(&out, NULL, '{');
    token_lists_put(&lists, &out);
    put_close(&out, '}');
    CHECK_OK(token_lists_check(&lists, &err), &err);
    CHECK_OK(json_open(&document, out.data, out.length, "lists", &err), &err);
    token_lists_release(&lists);
    bytes_release(&out);
    return document;
}

/* Where so many characters of the text end. */
static const char *behind(const char *text, long characters)
{
    for (; characters > 0; characters--)
        do
            text++;
        while (((uint8_t)*text & 0xc0) == 0x80);
    return text;
}

/* What is a text stands at its offset; what is none has its bytes for a name. */
static void check_text(const struct weir_tokenizer *tokenizer, const char *before, const char *text)
{
    int32_t ids[TOKENS_MAX];
    size_t count;
    struct bytes whole = {0}, pieces = {0};
    bytes_add_text(&whole, before);
    bytes_add_text(&whole, text);
    struct json_document *document = lists_of(tokenizer, before, text, ids, &count);
    const struct json *root = json_root(document);
    const struct json *tokens = json_get(root, "tokens"), *offsets = json_get(root, "text_offset");
    CHECK_INT(tokens->count, count);
    CHECK_INT(offsets->count, count);
    CHECK_INT(json_get(root, "token_logprobs")->count, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t length;
        const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &length);
        const struct json_text name = tokens->items[i].text;
        const char *at = behind(whole.data, strtol(offsets->items[i].text.bytes, NULL, 10));
        const uint64_t place = strlen(before) + pieces.length;
        if (name.length == length)
            CHECK(memcmp(name.bytes, piece, length) == 0 && at == whole.data + place);
        else
            CHECK(memcmp(name.bytes, "bytes:\\x", 8) == 0 && name.length == 6 + 4 * length &&
                  at <= whole.data + place && at + 4 > whole.data + place);
        bytes_add(&pieces, piece, length);
        const struct json *top = &json_get(root, "top_logprobs")->items[i];
        CHECK_INT(top->count, ids[i] == 65 || ids[i] == 66 ? 2 : 3); // and the one chosen
    }
    CHECK_TEXT(pieces.data, text);
    bytes_release(&pieces);
    bytes_release(&whole);
    json_close(document);
}

TEST(token_lists_fit_the_text)
{
    static const char *const words[] = {
        "the boat", " na\xc3\xafve", "\xe6\x97\xa5\xe6\x9c\xac", "\xf0\x9f\x98\xb6", "\n", "\"\\",
        "x"};
    struct weir_tokenizer *tokenizer = open_tokenizer();
    for (uint64_t round = 0; round < 40; round++) {
        struct bytes text = {0};
        for (uint64_t i = 0; i <= round % 8; i++)
            bytes_add_text(
                &text,
                words[rng_bits(test_seed() + round, 7, i) % (sizeof words / sizeof words[0])]);
        check_text(tokenizer,
                   round % 2 == 0 ? ""
                                  : "\xc3\xa9"
                                    "a",
                   text.data);
        bytes_release(&text);
    }
    weir_tokenizer_close(tokenizer);
}

TEST(token_lists_are_as_openai_has_them)
{
    struct weir_tokenizer *tokenizer = open_tokenizer();
    struct token_lists lists = {.characters = 0};
    struct bytes out = {0};
    const int32_t id = weir_tokenizer_find(tokenizer, "a", 1);
    const int32_t likely = weir_tokenizer_find(tokenizer, "b", 1);
    const struct job_logprob likeliest[] = {{likely, -0.5f}};
    CHECK(id >= 0 && likely >= 0);
    token_lists_add(&lists, tokenizer,
                    &(struct job_event){.kind = JOB_TEXT,
                                        .id = id,
                                        .logprob = -1.5f,
                                        .likeliest = likeliest,
                                        .likeliest_count = 1});
    token_lists_add(&lists, tokenizer,
                    &(struct job_event){.kind = JOB_TEXT,
                                        .id = likely,
                                        .logprob = -0.5f,
                                        .likeliest = likeliest,
                                        .likeliest_count = 1});
    token_lists_put(&lists, &out);
    CHECK_TEXT(out.data, "\"tokens\":[\"a\",\"b\"],\"token_logprobs\":[-1.5,-0.5],"
                         "\"top_logprobs\":[{\"b\":-0.5,\"a\":-1.5},{\"b\":-0.5}],"
                         "\"text_offset\":[0,1]");
    token_lists_clear(&lists);
    bytes_clear(&out);
    token_lists_put(&lists, &out);
    CHECK_TEXT(out.data,
               "\"tokens\":[],\"token_logprobs\":[],\"top_logprobs\":[],\"text_offset\":[]");
    token_lists_release(&lists);
    bytes_release(&out);
    weir_tokenizer_close(tokenizer);
}
