/* SPDX-License-Identifier: MIT
 * From metadata to tokenizer and sampling defaults: vocabulary-only files written by the tests.
 * Run alone: build/tests/weir-test vocab_ */
#include "test.h"

#include <stdio.h>
#include <string.h>

#include "format/gguf.h"

/* What a file of the tests says; a NULL text or a count of 0 leaves the key out. */
struct vocab_file {
    const char *model, *pre, *merges[2];
    const char *sequence;
    int32_t types[5], suppressed[3];
    uint32_t types_count, suppressed_count;
    uint32_t eos;
    bool tokens_are_numbers;
};

static const struct vocab_file usual = {.model = "gpt2",
                                        .pre = "qwen2",
                                        .merges = {"a b", "ab c"},
                                        .types = {1, 1, 1, 1, 1},
                                        .types_count = 5,
                                        .eos = 2};

static struct span span_of(const char *text)
{
    return (struct span){(const uint8_t *)text, strlen(text)};
}

/* Five tokens a b c ab abc. */
static const char *write_file(const struct vocab_file *file)
{
    const struct span tokens[5] = {span_of("a"), span_of("b"), span_of("c"), span_of("ab"),
                                   span_of("abc")};
    const char *path = test_scratch("vocab.gguf");
    struct weir_error err = {0};
    struct gguf_writer *writer;
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    CHECK_OK(gguf_writer_text(writer, "general.architecture", "qwen35", &err), &err);
    if (file->model != NULL)
        CHECK_OK(gguf_writer_text(writer, "tokenizer.ggml.model", file->model, &err), &err);
    if (file->pre != NULL)
        CHECK_OK(gguf_writer_text(writer, "tokenizer.ggml.pre", file->pre, &err), &err);
    if (file->tokens_are_numbers)
        CHECK_OK(gguf_writer_i32s(writer, "tokenizer.ggml.tokens", file->types, 5, &err), &err);
    else
        CHECK_OK(gguf_writer_texts(writer, "tokenizer.ggml.tokens", tokens, 5, &err), &err);
    if (file->types_count > 0)
        CHECK_OK(gguf_writer_i32s(writer, "tokenizer.ggml.token_type", file->types,
                                  file->types_count, &err),
                 &err);
    if (file->merges[0] != NULL) {
        const struct span merges[2] = {span_of(file->merges[0]), span_of(file->merges[1])};
        CHECK_OK(gguf_writer_texts(writer, "tokenizer.ggml.merges", merges, 2, &err), &err);
    }
    if (file->suppressed_count > 0)
        CHECK_OK(gguf_writer_i32s(writer, "tokenizer.ggml.suppress_tokens", file->suppressed,
                                  file->suppressed_count, &err),
                 &err);
    CHECK_OK(gguf_writer_u32(writer, "tokenizer.ggml.eos_token_id", file->eos, &err), &err);
    if (file->sequence != NULL) {
        CHECK_OK(gguf_writer_text(writer, "general.sampling.sequence", file->sequence, &err), &err);
        CHECK_OK(gguf_writer_f32(writer, "general.sampling.temp", 0.25f, &err), &err);
        CHECK_OK(gguf_writer_u32(writer, "general.sampling.top_k", 7, &err), &err);
        CHECK_OK(gguf_writer_text(writer, "general.sampling.top_p", "many", &err), &err);
    }
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    return path;
}

/* What the log said, one line a message. */
struct messages {
    char text[1024];
};

static void keep_line(void *user, enum weir_log_level level, const char *line)
{
    struct messages *messages = user;
    const size_t used = strlen(messages->text);
    (void)level;
    snprintf(messages->text + used, sizeof messages->text - used, "%s\n", line);
}

static enum weir_status open_vocab(const struct vocab_file *file, struct weir_model **model,
                                   struct weir_tokenizer **tokenizer, struct messages *messages,
                                   struct weir_error *err)
{
    const struct weir_model_options options = {.log = keep_line, .log_user = messages};
    messages->text[0] = 0;
    CHECK_OK(weir_model_open(model, write_file(file), &options, err), err);
    return weir_tokenizer_open(tokenizer, *model, err);
}

static void check_refused(const struct vocab_file *file, const char *text)
{
    struct messages messages;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    CHECK(open_vocab(file, &model, &tokenizer, &messages, &err) != WEIR_OK);
    CHECK(tokenizer == NULL);
    if (strstr(err.text, text) == NULL || strstr(err.text, "vocab.gguf") == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, text);
    weir_model_close(model);
}

TEST(vocab_file_gives_a_tokenizer)
{
    struct messages messages;
    int32_t ids[8];
    size_t count;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    CHECK_OK(open_vocab(&usual, &model, &tokenizer, &messages, &err), &err);
    CHECK_TEXT(messages.text, "253 of 256 byte values have no token: text loses them\n");
    CHECK_INT(weir_tokenizer_size(tokenizer), 5);
    CHECK(weir_tokenizer_ends_generation(tokenizer, 2));
    CHECK_OK(weir_tokenizer_encode(tokenizer, "abcab", 5, 0, ids, 8, &count, &err), &err);
    CHECK(count == 2 && ids[0] == 4 && ids[1] == 3);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
}

TEST(vocab_files_that_do_not_fit_are_named)
{
    struct vocab_file file = usual;
    file.model = "llama";
    check_refused(&file, "tokenizer \"llama\" is not supported, expected gpt2");
    file.model = NULL;
    check_refused(&file, "key tokenizer.ggml.model is missing");
    file = usual;
    file.merges[0] = NULL;
    check_refused(&file, "key tokenizer.ggml.merges is missing");
    file = usual;
    file.types_count = 4;
    check_refused(&file, "key tokenizer.ggml.token_type has 4 entries, expected 5");
    file = usual;
    file.tokens_are_numbers = true;
    check_refused(&file, "key tokenizer.ggml.tokens: expected an array of strings");
}

TEST(vocab_oddities_are_warned_of)
{
    struct messages messages;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct vocab_file file = usual;
    file.pre = "new-rules";
    CHECK_OK(open_vocab(&file, &model, &tokenizer, &messages, &err), &err);
    CHECK(strstr(messages.text, "pre-tokenizer \"new-rules\" is unknown, using qwen35\n") != NULL);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
    file = usual;
    file.eos = 5;
    CHECK_OK(open_vocab(&file, &model, &tokenizer, &messages, &err), &err);
    CHECK(strstr(messages.text, "eos_token_id is 5, out of the 5 tokens: ignored") != NULL);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
}

TEST(vocab_suppressed_tokens_are_never_sampled)
{
    struct messages messages;
    const int32_t *ids;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    struct weir_sampler *sampler;
    struct weir_sampler_options options;
    struct vocab_file file = usual;
    memcpy(file.suppressed, (int32_t[]){3, -4, 99}, sizeof file.suppressed);
    file.suppressed_count = 3;
    CHECK_OK(open_vocab(&file, &model, &tokenizer, &messages, &err), &err);
    CHECK_INT(weir_tokenizer_suppressed(tokenizer, &ids), 1);
    CHECK_INT(ids[0], 3);
    weir_sampler_options_init(&options);
    options.temperature = 0;
    CHECK_OK(weir_sampler_open(&sampler, &options, 5, 16, tokenizer, &err), &err);
    CHECK_INT(weir_sampler_pick(sampler, (const float[]){0, 1, 2, 9, 3}), 4);
    weir_sampler_close(sampler);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
}

/* Keys of another type than expected count as absent: a recommendation is not worth an error. */
TEST(vocab_recommends_sampling)
{
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_sampler_options options;
    struct vocab_file file = usual;
    file.sequence = "kt";
    CHECK_OK(weir_model_open(&model, write_file(&file), NULL, &err), &err);
    weir_sampler_options_init(&options);
    weir_sampler_options_from_model(&options, model);
    CHECK_TEXT(options.chain, "kt");
    CHECK(options.temperature == 0.25f && options.top_k == 7 && options.top_p == 0.95f);
    weir_model_close(model);
}
