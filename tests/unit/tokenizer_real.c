/* SPDX-License-Identifier: MIT
 * Tests of the tokenizer on the vocabularies of the public models, against ids of llama.cpp.
 * Skipped where the vocabularies are absent. Run alone: build/tests/weir-test tokenizer_real_ */
#include "test.h"

#include <jansson.h>
#include <string.h>

#include "real_vocab.h"

enum { IDS_MAX = 1 << 16 };

static void refuse_line(void *user, enum weir_log_level level, const char *line)
{
    (void)user, (void)level;
    test_fail(__FILE__, __LINE__, "unexpected warning: %s", line);
}

/* The tokenizer of vocab/NAME.*, with other rules if asked for. Nothing to warn of in it. */
static struct weir_tokenizer *open_real(const char *name, enum pretokenizer rules)
{
    char file[64] = "vocab/";
    strcat(strcat(file, name), ".special.json");
    test_shared(file);
    struct real_vocab vocab;
    const char *problem = real_vocab_load(&vocab, test_shared("vocab"), name);
    if (problem != NULL)
        test_skip("vocabulary %s: %s", name, problem);
    struct weir_error err = {0};
    struct weir_tokenizer *tokenizer;
    vocab.source.pretokenizer = rules;
    vocab.source.log = refuse_line;
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    real_vocab_release(&vocab);
    return tokenizer;
}

static json_t *load_json(const char *path, size_t flags)
{
    json_error_t problem;
    json_t *file = json_load_file(path, JSON_ALLOW_NUL | flags, &problem);
    if (file == NULL)
        test_fail(__FILE__, __LINE__, "%s:%d: %s", path, problem.line, problem.text);
    return file;
}

static void check_ids(const struct weir_tokenizer *tokenizer, const json_t *text,
                      const json_t *expected, unsigned flags)
{
    static int32_t ids[IDS_MAX];
    struct weir_error err = {0};
    size_t count;
    CHECK_OK(weir_tokenizer_encode(tokenizer, json_string_value(text), json_string_length(text),
                                   flags, ids, IDS_MAX, &count, &err),
             &err);
    for (size_t i = 0; i < count && i < json_array_size(expected); i++) {
        const json_int_t id = json_integer_value(json_array_get(expected, i));
        if (ids[i] != id)
            test_fail(__FILE__, __LINE__, "id %zu of \"%.300s\" (flags %u) is %d, expected %lld", i,
                      json_string_value(text), flags, ids[i], (long long)id);
    }
    CHECK_INT(count, json_array_size(expected));
}

static void check_cases(const struct weir_tokenizer *tokenizer, const char *name, size_t count)
{
    json_t *file = load_json(test_data(name), 0);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(file, "cases"), i, item)
    {
        const json_t *text = json_object_get(item, "text"), *ids = json_object_get(item, "ids");
        const json_t *plain = json_object_get(item, "ids_plain");
        check_ids(tokenizer, text, ids, WEIR_ENCODE_PARSE_SPECIAL);
        check_ids(tokenizer, text, plain != NULL ? plain : ids, 0);
    }
    CHECK_INT(i, count);
    json_decref(file);
}

TEST(tokenizer_real_qwen2)
{
    struct weir_tokenizer *tokenizer = open_real("qwen2", PRETOKENIZER_QWEN2);
    check_cases(tokenizer, "tokenizer/llamacpp_qwen2.json", 47);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_real_qwen2_with_newer_rules)
{
    struct weir_tokenizer *tokenizer = open_real("qwen2", PRETOKENIZER_QWEN35);
    check_cases(tokenizer, "tokenizer/llamacpp_qwen35pre_qwen2vocab.json", 51);
    weir_tokenizer_close(tokenizer);
}

TEST(tokenizer_real_qwen35)
{
    struct weir_tokenizer *tokenizer = open_real("qwen35", PRETOKENIZER_QWEN35);
    check_cases(tokenizer, "tokenizer/qwen35_texts.json", 168);
    weir_tokenizer_close(tokenizer);
}

static const json_t *find_case(const json_t *cases, const char *name)
{
    for (size_t i = 0; i < json_array_size(cases); i++) {
        const json_t *item = json_array_get(cases, i);
        if (strcmp(json_string_value(json_object_get(item, "name")), name) == 0)
            return item;
    }
    test_fail(__FILE__, __LINE__, "no prompt %s", name);
}

TEST(tokenizer_real_chat_prompts)
{
    json_t *prompts = load_json(test_shared("vectors/chat/render.json"), JSON_DECODE_INT_AS_REAL);
    json_t *file = load_json(test_data("tokenizer/qwen35_chat_prompts.json"), 0);
    struct weir_tokenizer *tokenizer = open_real("qwen35", PRETOKENIZER_QWEN35);
    size_t i;
    json_t *item;
    json_array_foreach(json_object_get(file, "cases"), i, item)
    {
        const char *name = json_string_value(json_object_get(item, "name"));
        const json_t *prompt = find_case(json_object_get(prompts, "cases"), name);
        check_ids(tokenizer, json_object_get(prompt, "expected"), json_object_get(item, "ids"),
                  WEIR_ENCODE_PARSE_SPECIAL);
    }
    CHECK_INT(i, 49);
    weir_tokenizer_close(tokenizer);
    json_decref(file);
    json_decref(prompts);
}

TEST(tokenizer_real_ends_of_generation)
{
    static const int32_t expected[] = {248044, 248046, 248063, 248064, 248065};
    struct weir_tokenizer *tokenizer = open_real("qwen35", PRETOKENIZER_QWEN35);
    CHECK_INT(weir_tokenizer_size(tokenizer), 248320);
    size_t count = 0;
    for (int32_t id = 0; id < 248320; id++) {
        if (!weir_tokenizer_ends_generation(tokenizer, id))
            continue;
        CHECK(count < 5);
        CHECK_INT(id, expected[count]);
        count++;
    }
    CHECK_INT(count, 5);
    weir_tokenizer_close(tokenizer);
}

/* Every token's text encodes to ids that give the text back, unless it is a part of a character:
 * then the text is not UTF-8. Most texts give the token itself. */
TEST(tokenizer_real_tokens_round_trip)
{
    struct weir_tokenizer *tokenizer = open_real("qwen35", PRETOKENIZER_QWEN35);
    int32_t ids[1024];
    unsigned same = 0;
    for (int32_t id = 0; id < 248077; id++) {
        size_t length, count, written = 0;
        const char *text = weir_tokenizer_piece(tokenizer, id, true, &length);
        CHECK(length <= 1000);
        CHECK_OK(weir_tokenizer_encode(tokenizer, text, length, WEIR_ENCODE_PARSE_SPECIAL, ids,
                                       1024, &count, NULL),
                 &(struct weir_error){0});
        char back[4096];
        for (size_t i = 0; i < count; i++) {
            size_t bytes;
            const char *piece = weir_tokenizer_piece(tokenizer, ids[i], true, &bytes);
            memcpy(back + written, piece, bytes);
            written += bytes;
        }
        struct weir_detokenizer detokenizer = {0};
        char whole[4096];
        size_t valid = weir_detokenizer_push(&detokenizer, text, length, whole);
        valid += weir_detokenizer_finish(&detokenizer, whole + valid);
        if (valid == length && memcmp(whole, text, length) == 0)
            CHECK(written == length && memcmp(back, text, length) == 0);
        same += count == 1 && ids[0] == id;
    }
    CHECK(same > 240000);
    weir_tokenizer_close(tokenizer);
}
