/* SPDX-License-Identifier: MIT
 * Prompts of /infill, with a vocabulary that has the marks: token by token as the rule says. Run
 * alone: build/tests/weir-test infill_ */
#include "alloc.h"
#include "test.h"

#include <string.h>

#include "base/mem.h"
#include "serve/infill.h"
#include "toy_vocab.h"

static struct weir_tokenizer *open_toy(const char *without)
{
    static const char *const marks[] = {"<|fim_suffix|>", "<|fim_middle|>", "<|repo_name|>",
                                        "<|file_sep|>"};
    static struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_error err = {0};
    toy_vocab_usual(&vocab, PRETOKENIZER_QWEN35); // which has <|fim_prefix|>
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (without == NULL || strcmp(marks[i], without) != 0)
            toy_vocab_add(&vocab, marks[i], TOKEN_CONTROL);
    CHECK_OK(tokenizer_open(&tokenizer, &vocab.source, &err), &err);
    return tokenizer;
}

static enum weir_status read_body(struct prompts *out, const char *body,
                                  const struct weir_tokenizer *tokenizer, struct weir_error *err)
{
    struct json_document *document;
    enum weir_status status = json_open(&document, body, strlen(body), "request", err);
    *out = (struct prompts){0};
    if (status != WEIR_OK)
        return status;
    status = infill_read(out, json_root(document), tokenizer, err);
    json_close(document);
    return status;
}

/* The rule: pieces that begin with a mark, and behind it a text in which there is none. */
struct piece {
    const char *mark, *text;
};

static void check_prompt(const struct weir_tokenizer *tokenizer, const char *body,
                         const struct piece *pieces, size_t count)
{
    struct weir_error err = {0};
    struct prompts prompts;
    int32_t ids[256];
    size_t all = 0;
    CHECK_OK(read_body(&prompts, body, tokenizer, &err), &err);
    for (size_t i = 0; i < count; i++) {
        size_t more = 0;
        if (pieces[i].mark != NULL)
            ids[all++] = weir_tokenizer_find(tokenizer, pieces[i].mark, strlen(pieces[i].mark));
        CHECK_OK(weir_tokenizer_encode(tokenizer, pieces[i].text, strlen(pieces[i].text), 0,
                                       ids + all, 128, &more, &err),
                 &err);
        all += more;
    }
    CHECK_INT(prompts.items[0].count, all);
    CHECK(memcmp(prompts.items[0].ids, ids, all * sizeof *ids) == 0);
    prompts_release(&prompts);
}

static const char full[] =
    "{\"input_extra\":[{\"filename\":\"a.c\",\"text\":\"int a;\\n\"},{\"text\":\"b\"}],"
    "\"input_prefix\":\"if (<|fim_middle|>\",\"input_suffix\":\")\\n\",\"prompt\":\"a\"}";

TEST(infill_prompts_are_as_the_rule_says)
{
    static const struct piece whole[] = {
        {"<|repo_name|>", "myproject\n"},
        {"<|file_sep|>", "a.c\n"},
        {NULL, "int a;\n"},
        {"<|file_sep|>", "tmp\n"},
        {NULL, "b"},
        {"<|file_sep|>", "filename\n"},
        {"<|fim_prefix|>", "if (<|fim_middle|>"},
        {NULL, "a"},
        {"<|fim_suffix|>", ")\n"},
        {"<|fim_middle|>", ""},
    };
    static const struct piece plain[] = {
        {"<|repo_name|>", "myproject\n"}, {"<|file_sep|>", "filename\n"}, {"<|fim_prefix|>", "p"},
        {"<|fim_suffix|>", "s"},          {"<|fim_middle|>", ""},
    };
    static const struct piece no_files[] = {
        {NULL, "int a;\n"},
        {NULL, "b"},
        {"<|fim_prefix|>", "if (<|fim_middle|>"},
        {NULL, "a"},
        {"<|fim_suffix|>", ")\n"},
        {"<|fim_middle|>", ""},
    };
    struct weir_tokenizer *tokenizer = open_toy(NULL);
    check_prompt(tokenizer, full, whole, sizeof whole / sizeof whole[0]);
    check_prompt(tokenizer, "{\"input_prefix\":\"p\",\"input_suffix\":\"s\"}", plain,
                 sizeof plain / sizeof plain[0]);
    weir_tokenizer_close(tokenizer);
    tokenizer = open_toy("<|file_sep|>");
    static struct piece some[sizeof no_files / sizeof no_files[0] + 1] = {
        {"<|repo_name|>", "myproject\n"}};
    memcpy(some + 1, no_files, sizeof no_files);
    check_prompt(tokenizer, full, some, sizeof some / sizeof some[0]);
    weir_tokenizer_close(tokenizer);
}

TEST(infill_refusals)
{
    static const struct {
        const char *without, *body, *text;
    } cases[] = {
        {"<|fim_middle|>", "{}", "Infill is not supported by this model: no <|fim_middle|>"},
        {NULL, "{\"input_extra\":{}}", "Field 'input_extra': type must be array, but is object"},
        {NULL, "{\"input_extra\":[{\"text\":1}]}",
         "Field 'text': type must be string, but is number"},
        {NULL, "{\"input_prefix\":[]}", "Field 'input_prefix': type must be string, but is array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_tokenizer *tokenizer = open_toy(cases[i].without);
        struct weir_error err = {0};
        struct prompts prompts;
        CHECK(read_body(&prompts, cases[i].body, tokenizer, &err) != WEIR_OK);
        CHECK_TEXT(err.text, cases[i].text);
        prompts_release(&prompts);
        weir_tokenizer_close(tokenizer);
    }
}

static void read_full(void *argument)
{
    struct prompts prompts;
    const enum weir_status status = read_body(&prompts, full, argument, NULL);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    prompts_release(&prompts);
}

TEST(infill_under_failing_allocations)
{
    struct weir_tokenizer *tokenizer = open_toy(NULL);
    alloc_test(read_full, tokenizer);
    weir_tokenizer_close(tokenizer);
}
