/* SPDX-License-Identifier: MIT
 * The model that ships with weir, whose text means something: its logits against those of the
 * network in torch, the text that it writes, and what quantizing costs it. The files under
 * tests/data/shipped come from tools/train. Run alone: build/tests/weir-test shipped_ */
#include "cli/program.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fixture.h"

#define MODEL test_data("../../models/" WEIR_SHIPPED)

enum { TEXT_MAX = 8192 };

/* ---- logits ---------------------------------------------------------------------------------- */

enum { RECORDED_EVERY = 16 }; /* rows: tools/train/check.py */

static const double logits_nmse_max = 1e-8;

/* Compares the last of every RECORDED_EVERY rows of the file that the program wrote. */
static void check_rows(const char *path, const char *recorded)
{
    uint32_t tokens_count;
    size_t count, recorded_count;
    free(fixture_tokens(test_data("shipped/logits.tokens.txt"), &tokens_count));
    float *rows = fixture_floats(path, &count);
    float *expected = fixture_floats(recorded, &recorded_count);
    const size_t vocab = count / tokens_count, kept = tokens_count / RECORDED_EVERY;
    CHECK(kept > 0 && count == tokens_count * vocab && recorded_count == kept * vocab);
    for (size_t i = 0; i < kept; i++) {
        const float *row = rows + ((i + 1) * RECORDED_EVERY - 1) * vocab;
        CHECK(test_nmse(row, expected + i * vocab, vocab) <= logits_nmse_max);
    }
    free(rows);
    free(expected);
}

/* A second implementation, independent of the engine: tools/train/model.py in float64. */
TEST(shipped_logits_are_those_of_torch)
{
    const char *path = test_scratch("shipped.f32");
    const char *tokens = test_data("shipped/logits.tokens.txt");
    CHECK_INT(RUN_PROGRAM("eval", MODEL, "--backend", "ref", "--tokens", tokens, "--logits", path)
                  ->status,
              0);
    check_rows(path, test_data("shipped/logits.f32"));
    CHECK_INT(RUN_PROGRAM("eval", MODEL, "--backend", "ref", "--tokens", tokens, "--logits", path,
                          "--mtp", "0")
                  ->status,
              0);
    check_rows(path, test_data("shipped/mtp_logits.f32"));
}

/* ---- text ------------------------------------------------------------------------------------ */

/* tests/data/shipped/CASE.prompt.txt and CASE.text.txt. */
static const char *const cases[] = {
    "story",         "questions", "sums",        "json",        "chat",        "chat_json",
    "chat_thinking", "tool_call", "tool_answer", "memory_chat", "memory_book",
};

static const char *case_file(const char *name, const char *part)
{
    char file[64];
    snprintf(file, sizeof file, "shipped/%s.%s.txt", name, part);
    return test_data(file);
}

static char *case_text(const char *name, const char *part)
{
    size_t size;
    return (char *)test_read_file(case_file(name, part), &size);
}

/* Without tiles, which round to BF16. */
#if defined(__aarch64__)
#define LEVEL "neon"
#else
#define LEVEL "v4"
#endif

static void check_text(const char *backend, size_t first)
{
    test_skip_if_sanitized();
    for (size_t i = first; i < sizeof cases / sizeof cases[0]; i++) {
        char *expected = case_text(cases[i], "text");
        const struct program_result *result = RUN_PROGRAM(
            "run", MODEL, "--backend", backend, "--isa", LEVEL, "-bf",
            case_file(cases[i], "prompt"), "--temp", "0", "--no-display-prompt", "--log-disable");
        CHECK_INT(result->status, 0);
        CHECK_INT(result->out_size, strlen(expected) + 1);
        result->out[result->out_size - 1] = 0; /* the newline that ends every output */
        CHECK_TEXT(result->out, expected);
        free(expected);
    }
}

TEST(shipped_text_is_exact)
{
    check_text("ref", 0);
    /* in the story two words are within 0.003 of the logit: rounding to 8 bits may turn them */
    check_text("cpu", 1);
}

/* The word in `text` behind `before`, up to a full stop. */
static void word_behind(char out[64], const char *text, const char *before)
{
    const char *at = strstr(text, before);
    CHECK(at != NULL);
    at += strlen(before);
    const size_t length = strcspn(at, ".");
    CHECK(length > 0 && length < 64);
    snprintf(out, 64, "%.*s", (int)length, at);
}

static uint64_t count_tokens(const char *text)
{
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_tokenizer *tokenizer;
    size_t count;
    CHECK_OK(weir_model_open(&model, MODEL, NULL, &err), &err);
    CHECK_OK(weir_tokenizer_open(&tokenizer, model, &err), &err);
    static int32_t ids[TEXT_MAX];
    CHECK_OK(weir_tokenizer_encode(tokenizer, text, strlen(text), WEIR_ENCODE_PARSE_SPECIAL, ids,
                                   TEXT_MAX, &count, &err),
             &err);
    weir_tokenizer_close(tokenizer);
    weir_model_close(model);
    return count;
}

/* The name is last told more than a thousand tokens before the question. */
static void check_remembered(const char *name, const char *before)
{
    char word[64];
    char *prompt = case_text(name, "prompt"), *text = case_text(name, "text");
    word_behind(word, text, before);
    const char *at = strstr(prompt, word);
    CHECK(at != NULL);
    for (const char *next = at; next != NULL; next = strstr(next + 1, word))
        at = next;
    CHECK(count_tokens(at) > 1000);
    free(prompt);
    free(text);
}

/* With shipped_text_is_exact: that the text holds the name is checked there. */
TEST(shipped_names_are_kept_over_a_thousand_tokens)
{
    check_remembered("memory_chat", "Your name is ");
    check_remembered("memory_book", "The keeper of the book is ");
}

/* ---- drafts ---------------------------------------------------------------------------------- */

/* How many drafts at a place of the chain are accepted, of a hundred. */
static double accepted(const char *report, int draft)
{
    char before[32];
    snprintf(before, sizeof before, "draft %d: ", draft);
    const char *at = strstr(report, before);
    CHECK(at != NULL && strstr(at, "accepted, ") != NULL);
    return strtod(strstr(at, "accepted, ") + strlen("accepted, "), NULL);
}

/* Two prompts of each kind of held-out text; models/README.md has the figures of more. */
TEST(shipped_drafts_are_mostly_accepted)
{
    test_skip_if_sanitized();
    const struct program_result *result =
        RUN_PROGRAM("eval", MODEL, "--tokens", test_data("shipped/drafts.tokens.txt"),
                    "--mtp-acceptance", "3", "-n", "24");
    CHECK_INT(result->status, 0);
    CHECK(accepted(result->out, 1) >= 60);
    CHECK(accepted(result->out, 3) >= 35);
}

/* ---- run without a model --------------------------------------------------------------------- */

TEST(shipped_model_is_taken_where_none_is_named)
{
    char expected[TEXT_MAX];
    const struct program_result *result =
        RUN_PROGRAM("run", MODEL, "-p", "Once", "-n", "20", "--temp", "0");
    CHECK_INT(result->status, 0);
    CHECK(strstr(result->err, "no model is named") == NULL);
    snprintf(expected, sizeof expected, "%s", result->out);
    result = RUN_PROGRAM("run", "-p", "Once", "-n", "20", "--temp", "0");
    CHECK_INT(result->status, 0);
    CHECK_TEXT(result->out, expected);
    CHECK_HAS(result->err, "no model is named: this is /");
    CHECK_HAS(result->err, "/" WEIR_SHIPPED ", which ships with weir");
    const struct program_call call = {
        .words = {"run", "-p", "Once", "-n", "1"},
        .environment = "LLAMA_ARG_MODEL=/nowhere/model.gguf",
    };
    CHECK_INT(run_program(&call)->status, 1);
}

/* What is printed of the model that is named, and of none: the same, and that is told. */
TEST(shipped_model_is_taken_by_all_that_look_at_one)
{
    static const struct {
        const char *words[10];
        bool is_timed;
    } looks[] = {
        {{"tokenize", "-p", "Once upon a time"}, false},
        {{"inspect", "--plan"}, false},
        {{"eval", "-f", "-", "-c", "8"}, false},
        {{"profile", "--dry-run"}, false},
        {{"bench", "-p", "1", "-n", "0", "-r", "1", "-o", "jsonl"}, true},
    };
    static const char text[] = "Once upon a time there was a miller named Flora. She had a mill.";
    for (size_t i = 0; i < sizeof looks / sizeof looks[0]; i++) {
        struct program_call call = {.input = text};
        size_t words = 0;
        for (; looks[i].words[words] != NULL; words++)
            call.words[words] = looks[i].words[words];
        const struct program_result *result = run_program(&call);
        CHECK_INT(result->status, 0);
        CHECK_HAS(result->err, "no model is named: this is /");
        char *without = strdup(result->out);
        CHECK(without != NULL && without[0] != 0);
        call.words[words] = "-m";
        call.words[words + 1] = MODEL;
        result = run_program(&call);
        CHECK_INT(result->status, 0);
        CHECK(strstr(result->err, "no model is named") == NULL);
        if (!looks[i].is_timed)
            CHECK_TEXT(result->out, without);
        free(without);
    }
}

/* ---- quantizing ------------------------------------------------------------------------------ */

enum {
#define RECIPE(id, file_type, type, summary) RECIPE_##id,
#include "quant/recipes.def"
    RECIPES
};

static const char *const recipes[] = {
#define RECIPE(id, file_type, type, summary) #id,
#include "quant/recipes.def"
};

/* What a mixture may cost: its perplexity by that of the shipped file, at most. Found were up to
 * 1.001 with 5 bits and more, 1.009 with 4, 1.035 with 3, 1.071 with 2 and 1.222 with 1 bit, all
 * with an importance matrix; the text is short, so the bounds leave about half as much again. TQ1_0
 * and TQ2_0 are for ternary weights, Q1_0 and Q2_0 for models trained in so few bits: elsewhere
 * they leave nothing (57, 10 and 9 times). F32 may differ where products round what they read. */
static const double ratio_max[RECIPES] = {
    [RECIPE_F32] = 1.002,    [RECIPE_F16] = 1.002,       [RECIPE_BF16] = 1.002,
    [RECIPE_Q8_0] = 1.002,   [RECIPE_Q6_K] = 1.006,      [RECIPE_Q5_K_M] = 1.006,
    [RECIPE_Q5_K_S] = 1.006, [RECIPE_Q5_1] = 1.006,      [RECIPE_Q5_0] = 1.006,
    [RECIPE_Q4_K_M] = 1.02,  [RECIPE_Q4_K_H] = 1.02,     [RECIPE_Q4_K_S] = 1.02,
    [RECIPE_Q4_1] = 1.02,    [RECIPE_Q4_0] = 1.02,       [RECIPE_IQ4_NL] = 1.02,
    [RECIPE_IQ4_XS] = 1.02,  [RECIPE_MXFP4_MOE] = 1.002, [RECIPE_Q3_K_L] = 1.05,
    [RECIPE_Q3_K_M] = 1.05,  [RECIPE_Q3_K_S] = 1.05,     [RECIPE_IQ3_M] = 1.05,
    [RECIPE_IQ3_S] = 1.05,   [RECIPE_IQ3_XS] = 1.05,     [RECIPE_IQ3_XXS] = 1.05,
    [RECIPE_Q2_K] = 1.1,     [RECIPE_Q2_K_S] = 1.1,      [RECIPE_Q2_0] = 14,
    [RECIPE_IQ2_M] = 1.1,    [RECIPE_IQ2_S] = 1.1,       [RECIPE_IQ2_XS] = 1.1,
    [RECIPE_IQ2_XXS] = 1.1,  [RECIPE_TQ2_0] = 80,        [RECIPE_TQ1_0] = 80,
    [RECIPE_IQ1_M] = 1.3,    [RECIPE_IQ1_S] = 1.3,       [RECIPE_Q1_0] = 14,
    [RECIPE_COPY] = 1,
};

/* Of a held-out document of each kind. */
static double perplexity(const char *model)
{
    static const char before[] = "Final estimate: PPL = ";
    const struct program_result *result = RUN_PROGRAM(
        "eval", model, "--tokens", test_data("shipped/held_out.tokens.txt"), "-c", "256");
    CHECK_INT(result->status, 0);
    const char *at = strstr(result->out, before);
    CHECK(at != NULL);
    const double value = strtod(at + strlen(before), NULL);
    CHECK(value > 1);
    return value;
}

TEST(shipped_perplexity_of_every_type)
{
    test_skip_if_sanitized();
    char importance[512], path[512];
    snprintf(importance, sizeof importance, "%s", test_scratch("shipped.imatrix"));
    snprintf(path, sizeof path, "%s", test_scratch("shipped.gguf"));
    CHECK_INT(
        RUN_PROGRAM("imatrix", MODEL, "-f", case_file("memory_book", "prompt"), "-o", importance)
            ->status,
        0);
    const double shipped = perplexity(MODEL);
    size_t shipped_bytes, bytes;
    free(test_read_file(MODEL, &shipped_bytes));
    for (int i = 0; i < RECIPES; i++) {
        CHECK_INT(RUN_PROGRAM("quantize", "--allow-requantize", "--imatrix", importance, MODEL,
                              path, recipes[i])
                      ->status,
                  0);
        free(test_read_file(path, &bytes));
        CHECK((i == RECIPE_Q5_K_M || i == RECIPE_COPY) == (bytes / 1000 == shipped_bytes / 1000));
        const double ratio = perplexity(path) / shipped;
        if (!(ratio <= ratio_max[i]))
            test_fail(__FILE__, __LINE__, "%s: perplexity %.4f times that of the shipped file",
                      recipes[i], ratio);
    }
}
