/* SPDX-License-Identifier: MIT
 * Tests of the reader of tokenizer.json. Run alone: build/tests/weir-test hf_tokenizer_ */
#include "convert/hf_tokenizer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "real_vocab.h"
#include "test.h"

#define SPLIT(expression)                                                                          \
    "{\"type\": \"Sequence\", \"pretokenizers\": [{\"type\": \"Split\", \"pattern\": {\"Regex\": " \
    "\"" expression "\"}, \"behavior\": \"Isolated\"}, {\"type\": \"ByteLevel\"}]}"
#define QWEN35                                                                                     \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?[\\\\p{L}\\\\p{M}]+|\\\\p{N}| "    \
    "?[^\\\\s\\\\p{L}\\\\p{M}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define QWEN2                                                                                      \
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+|\\\\p{N}| "              \
    "?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"

static const char small[] =
    "{\"added_tokens\": [{\"id\": 5, \"content\": \"<end>\", \"special\": true},"
    " {\"id\": 6, \"content\": \"<think>\", \"special\": false, \"lstrip\": true},"
    " {\"id\": 1, \"content\": \"b\", \"special\": true}],"
    " \"normalizer\": {\"type\": \"NFC\"}, \"pre_tokenizer\": " SPLIT(
        QWEN35) ","
                " \"model\": {\"type\": \"BPE\", \"vocab\": {\"a\": 0, \"b\": 1, \"\\u0120a\": 3, "
                "\"ab\": 2},"
                " \"merges\": [\"a b\", [\"\\u0120\", \"a\"]]}}";

static enum weir_status parse(struct hf_tokenizer *tokenizer, const char *json,
                              struct weir_error *err)
{
    return hf_tokenizer_parse(tokenizer, (const uint8_t *)json, strlen(json), 9, "x", err);
}

TEST(hf_tokenizer_lists_tokens)
{
    static const struct {
        const char *text;
        int32_t type;
    } expected[] = {{"a", 1},     {"b", 3},       {"ab", 1},     {"\xc4\xa0\x61", 1}, {"[PAD4]", 5},
                    {"<end>", 3}, {"<think>", 4}, {"[PAD7]", 5}, {"[PAD8]", 5}};
    struct weir_error err = {0};
    struct hf_tokenizer tokenizer;
    CHECK_OK(parse(&tokenizer, small, &err), &err);
    CHECK_TEXT(tokenizer.pretokenizer, "qwen35");
    CHECK_INT(tokenizer.count, 9);
    for (size_t i = 0; i < 9; i++) {
        CHECK(span_equals(tokenizer.tokens[i], expected[i].text));
        CHECK_INT(tokenizer.types[i], expected[i].type);
        CHECK_INT(hf_tokenizer_find(&tokenizer, span_from(expected[i].text)), i);
    }
    CHECK_INT(tokenizer.merges_count, 2);
    CHECK(span_equals(tokenizer.merges[0], "a b"));
    CHECK(span_equals(tokenizer.merges[1], "\xc4\xa0 a"));
    CHECK_INT(hf_tokenizer_find(&tokenizer, span_from("c")), -1);
    CHECK_INT(tokenizer.unusual, 1);
    hf_tokenizer_release(&tokenizer);
}

/* Replaces the first `old` of the small tokenizer. */
static char *changed(const char *old, const char *new)
{
    const char *at = strstr(small, old);
    CHECK(at != NULL);
    char *text = malloc(sizeof small + strlen(new));
    CHECK(text != NULL);
    sprintf(text, "%.*s%s%s", (int)(at - small), small, new, at + strlen(old));
    return text;
}

TEST(hf_tokenizer_knows_the_older_expression)
{
    char *json = changed(SPLIT(QWEN35), SPLIT(QWEN2));
    struct weir_error err = {0};
    struct hf_tokenizer tokenizer;
    CHECK_OK(parse(&tokenizer, json, &err), &err);
    CHECK_TEXT(tokenizer.pretokenizer, "qwen2");
    hf_tokenizer_release(&tokenizer);
    free(json);
}

TEST(hf_tokenizer_refuses)
{
    static const struct {
        const char *old, *new;
        enum weir_status status;
        const char *text;
    } bad[] = {
        {"\"BPE\"", "\"Unigram\"", WEIR_ERR_UNSUPPORTED,
         "x: \"model\" is of another type, expected BPE"},
        {"\"BPE\"", "\"BPE\", \"byte_fallback\": true", WEIR_ERR_UNSUPPORTED,
         "x: \"byte_fallback\" is true, expected false"},
        {"\"BPE\"", "\"BPE\", \"ignore_merges\": true", WEIR_ERR_UNSUPPORTED, "\"ignore_merges\""},
        {"\"BPE\"", "\"BPE\", \"end_of_word_suffix\": \"</w>\"", WEIR_ERR_UNSUPPORTED,
         "x: \"end_of_word_suffix\" is not empty"},
        {"\"NFC\"", "\"Lowercase\"", WEIR_ERR_UNSUPPORTED,
         "x: \"normalizer\" is of another kind, expected NFC or none"},
        {"\"ByteLevel\"", "\"Digits\"", WEIR_ERR_UNSUPPORTED, "\"pre_tokenizer\" is of another"},
        {"\"Split\"", "\"Whitespace\"", WEIR_ERR_UNSUPPORTED, "\"pre_tokenizer\" is of another"},
        {"(?i:'s|", "(?i:", WEIR_ERR_UNSUPPORTED, "expected the expression of Qwen2 or Qwen3.5"},
        {"\"merges\"", "\"others\"", WEIR_ERR_FORMAT, "x: there are no \"merges\""},
        {"\"a b\", [\"\\u0120\", \"a\"]", "", WEIR_ERR_FORMAT, "x: there are no \"merges\""},
        {"\"a b\"", "\"ab\"", WEIR_ERR_FORMAT, "x: entry 0 of \"merges\" is not two texts"},
        {"\"a b\"", "\"a \"", WEIR_ERR_FORMAT, "entry 0 of \"merges\" is not two texts"},
        {"\"a b\"", "\" b\"", WEIR_ERR_FORMAT, "entry 0 of \"merges\" is not two texts"},
        {"\"a b\"", "\"a b c\"", WEIR_ERR_FORMAT, "entry 0 of \"merges\" is not two texts"},
        {"\"a b\"", "7", WEIR_ERR_FORMAT, "entry 0 of \"merges\" is not two texts"},
        {"\"\\u0120\", \"a\"", "\"a\"", WEIR_ERR_FORMAT, "entry 1 of \"merges\" is not two texts"},
        {"\"\\u0120\", \"a\"", "\"a\", \"b \"", WEIR_ERR_FORMAT, "entry 1 of \"merges\" is not"},
        {"\"\\u0120\", \"a\"", "\"a\", 1", WEIR_ERR_FORMAT, "entry 1 of \"merges\" is not two"},
        {"\"ab\": 2", "\"ab\": 9", WEIR_ERR_FORMAT,
         "x: token \"ab\" has no id below 9, the rows of the embedding"},
        {"\"ab\": 2", "\"ab\": -1", WEIR_ERR_FORMAT, "token \"ab\" has no id below 9"},
        {"\"ab\": 2", "\"ab\": 2.0", WEIR_ERR_FORMAT, "token \"ab\" has no id below 9"},
        {"\"ab\": 2", "\"ab\": 3", WEIR_ERR_FORMAT, "x: two tokens have id 3"},
        {"\"id\": 5", "\"id\": 0", WEIR_ERR_FORMAT, "x: two tokens have id 0"},
        {"\"id\": 5", "\"id\": null", WEIR_ERR_FORMAT, "token \"<end>\" has no id below 9"},
        {"\"<end>\"", "5", WEIR_ERR_FORMAT, "x: entry 0 of \"added_tokens\" has no text"},
        {"{\"a\": 0,", "[{\"a\": 0,", WEIR_ERR_FORMAT, "not JSON"},
        {"\"vocab\"", "\"words\"", WEIR_ERR_FORMAT, "x: \"vocab\" is not an object"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char *json = changed(bad[i].old, bad[i].new);
        struct weir_error err = {0};
        struct hf_tokenizer tokenizer;
        const enum weir_status status = parse(&tokenizer, json, &err);
        if (status != bad[i].status || strstr(err.text, bad[i].text) == NULL)
            test_fail(__FILE__, __LINE__, "status %d and \"%s\", expected %d and \"%s\"",
                      (int)status, err.text, (int)bad[i].status, bad[i].text);
        free(json);
    }
}

static void scenario_parse(void *argument)
{
    struct hf_tokenizer tokenizer;
    CHECK_INT(parse(&tokenizer, argument, NULL), alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    if (!alloc_failed())
        hf_tokenizer_release(&tokenizer);
}

TEST(hf_tokenizer_survives_failed_allocations)
{
    char json[sizeof small];
    memcpy(json, small, sizeof json);
    alloc_test(scenario_parse, json);
}

/* ---- a real vocabulary ----------------------------------------------------------------------- */

static json_t *json_text(struct span text)
{
    return json_stringn((const char *)text.data, text.length);
}

/* The tokenizer.json that holds the vocabulary: padding stands nowhere. */
static char *tokenizer_of(const struct tokenizer_source *source)
{
    json_t *root = json_loads(small, 0, NULL), *added = json_array();
    json_t *vocabulary = json_object(), *merges = json_array();
    for (uint32_t id = 0; id < source->tokens_count; id++) {
        const struct span text = source->tokens[id];
        if (source->types[id] == TOKEN_NORMAL)
            json_object_setn_new(vocabulary, (const char *)text.data, text.length,
                                 json_integer(id));
        else if (source->types[id] != TOKEN_UNUSED)
            json_array_append_new(added, json_pack("{s:I, s:o, s:b}", "id", (json_int_t)id,
                                                   "content", json_text(text), "special",
                                                   source->types[id] == TOKEN_CONTROL));
    }
    for (uint32_t i = 0; i < source->merges_count; i++)
        json_array_append_new(merges, json_text(source->merges[i]));
    json_object_set_new(root, "added_tokens", added);
    json_object_set_new(json_object_get(root, "model"), "vocab", vocabulary);
    json_object_set_new(json_object_get(root, "model"), "merges", merges);
    char *json = json_dumps(root, 0);
    CHECK(json != NULL);
    json_decref(root);
    return json;
}

static bool spans_equal(struct span a, struct span b)
{
    return a.length == b.length && memcmp(a.data, b.data, a.length) == 0;
}

/* The 248320 tokens of Qwen3.5. Placeholders of 50 unknown texts are of the type of padding, and
 * come back as such. */
TEST(hf_tokenizer_equals_real_vocabulary)
{
    struct real_vocab vocab;
    const char *problem = real_vocab_load(&vocab, test_shared("vocab"), "qwen35");
    if (problem != NULL)
        test_skip("vocabulary qwen35: %s", problem);
    const struct tokenizer_source *source = &vocab.source;
    struct weir_error err = {0};
    struct hf_tokenizer tokenizer;
    char *json = tokenizer_of(source);
    CHECK_OK(hf_tokenizer_parse(&tokenizer, (const uint8_t *)json, strlen(json),
                                source->tokens_count, "real", &err),
             &err);
    free(json);
    CHECK_INT(tokenizer.count, 248320);
    for (uint32_t id = 0; id < tokenizer.count; id++) {
        CHECK_INT(tokenizer.types[id], source->types[id]);
        const bool is_placeholder = id < 248044 && source->types[id] == TOKEN_UNUSED;
        CHECK(is_placeholder || spans_equal(tokenizer.tokens[id], source->tokens[id]));
    }
    CHECK_INT(tokenizer.merges_count, source->merges_count);
    for (uint32_t i = 0; i < source->merges_count; i++)
        CHECK(spans_equal(tokenizer.merges[i], source->merges[i]));
    CHECK_INT(hf_tokenizer_find(&tokenizer, span_from("<|im_end|>")), source->eos);
    hf_tokenizer_release(&tokenizer);
    real_vocab_release(&vocab);
}
