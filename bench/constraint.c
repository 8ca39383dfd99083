/* SPDX-License-Identifier: MIT
 * Micro benchmark of constraints: what a grammar adds to the choice of a token from a real
 * vocabulary, each grammar being new to its constraint. Logits are random, so texts are wild.
 *
 * bench-constraint VOCAB_FOLDER NAME      (NAME: qwen35 or qwen2) */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/rng.h"
#include "real_vocab.h"
#include "weir.h"

enum { TOKENS = 300, OUTSTANDING = 2, OF = 256 };

/* As an editor of files has them. */
static const char tools[] = "[{\"name\":\"write_file\",\"parameters\":{\"type\":\"object\","
                            "\"properties\":{\"path\":{\"type\":"
                            "\"string\"},\"text\":{\"type\":\"string\"},\"mode\":{\"enum\":["
                            "\"new\",\"append\"]},\"lines\":{"
                            "\"type\":\"array\",\"items\":{\"type\":\"integer\"}},\"backup\":{"
                            "\"type\":[\"string\",\"null\"]}},"
                            "\"required\":[\"path\",\"text\"]}},{\"name\":\"read_file\","
                            "\"parameters\":{\"type\":\"object\","
                            "\"properties\":{\"path\":{\"type\":\"string\"},\"first\":{\"type\":"
                            "\"integer\",\"minimum\":0}},"
                            "\"required\":[\"path\"]}}]";

enum case_kind { SCHEMA, CALLS, REQUIRED_CALLS };

static const struct {
    const char *name, *schema; /* NULL: any text */
    int32_t top_k;
    enum case_kind kind;
} cases[] = {
    {"none", NULL, 40, SCHEMA},
    {"none", NULL, 0, SCHEMA},
    {"any-object", "{\"type\":\"object\"}", 40, SCHEMA},
    {"any-object", "{\"type\":\"object\"}", 0, SCHEMA},
    {"person",
     "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":200},"
     "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\",\"maxLength\":40},"
     "\"maxItems\":8},\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},"
     "\"mail\":{\"type\":\"string\",\"pattern\":\"^[a-z.]+@[a-z]+\\\\.[a-z]{2,8}$\"}},"
     "\"required\":[\"name\",\"tags\",\"age\",\"mail\"]}",
     40, SCHEMA},
    {"calls", tools, 40, CALLS},
    {"calls", tools, 0, CALLS},
    {"required", tools, 40, REQUIRED_CALLS},
    {"required", tools, 0, REQUIRED_CALLS},
};

/* A few tokens stand out, as they do behind a text. */
static void random_logits(float *logits, uint32_t count, uint64_t step)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t bits = rng_bits(1, step, i);
        logits[i] = (float)(bits >> 40) / (1 << 22) + (bits % OF < OUTSTANDING ? 6 : 0);
    }
}

static double milliseconds(uint64_t begin)
{
    return (double)(clock_ns() - begin) / 1e6;
}

/* Returns the number of tokens up to the end of the text. */
static uint32_t generate(struct weir_sampler *sampler, const struct weir_tokenizer *tokenizer,
                         float *logits, double *sum, double *most)
{
    const uint32_t count = weir_tokenizer_size(tokenizer);
    *sum = *most = 0;
    for (uint32_t step = 0; step < TOKENS; step++) {
        random_logits(logits, count, step);
        const uint64_t begin = clock_ns();
        const int32_t id = weir_sampler_pick(sampler, logits);
        weir_sampler_accept(sampler, id);
        const double ms = milliseconds(begin);
        *sum += ms;
        *most = ms > *most ? ms : *most;
        if (weir_tokenizer_ends_generation(tokenizer, id))
            return step + 1;
    }
    return TOKENS;
}

static enum weir_status open_grammar(size_t number, struct weir_grammar **out,
                                     struct weir_error *err)
{
    const char *text = cases[number].schema;
    const struct weir_calls_options options = {.required = cases[number].kind == REQUIRED_CALLS};
    if (cases[number].kind == SCHEMA)
        return weir_grammar_open_schema(out, text, strlen(text), err);
    return weir_grammar_open_calls(out, text, strlen(text), &options, err);
}

static enum weir_status run_case(size_t number, const struct weir_tokenizer *tokenizer,
                                 float *logits, struct weir_error *err)
{
    const char *schema = cases[number].schema;
    struct weir_grammar *grammar = NULL;
    struct weir_constraint *constraint = NULL;
    struct weir_sampler *sampler = NULL;
    struct weir_sampler_options options;
    weir_sampler_options_init(&options);
    options.seed = 5;
    options.top_k = cases[number].top_k;
    const uint64_t begin = clock_ns();
    enum weir_status status = WEIR_OK;
    if (schema != NULL)
        status = open_grammar(number, &grammar, err);
    if (status == WEIR_OK && schema != NULL)
        status = weir_constraint_open(&constraint, grammar, tokenizer, err);
    const double open = milliseconds(begin);
    if (status == WEIR_OK)
        status = weir_sampler_open(&sampler, &options, weir_tokenizer_size(tokenizer), 4096,
                                   tokenizer, err);
    if (status == WEIR_OK)
        status = weir_sampler_constrain(sampler, constraint, NULL, err);
    if (status == WEIR_OK) {
        double sum, most;
        const uint32_t tokens = generate(sampler, tokenizer, logits, &sum, &most);
        printf("%-10s top_k %2d: open %6.2f ms, %3u tokens, mean %.3f ms, most %.3f ms\n",
               cases[number].name, options.top_k, open, tokens, sum / tokens, most);
    }
    weir_sampler_close(sampler);
    weir_constraint_close(constraint);
    weir_grammar_close(grammar);
    return status;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s VOCAB_FOLDER NAME\n", argv[0]);
        return 2;
    }
    struct real_vocab vocab;
    struct weir_tokenizer *tokenizer = NULL;
    struct weir_error err = {0};
    const char *problem = real_vocab_load(&vocab, argv[1], argv[2]);
    if (problem == NULL && tokenizer_open(&tokenizer, &vocab.source, &err) != WEIR_OK)
        problem = err.text;
    float *logits =
        problem == NULL ? malloc(weir_tokenizer_size(tokenizer) * sizeof *logits) : NULL;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0] && logits != NULL; i++) {
        if (run_case(i, tokenizer, logits, &err) != WEIR_OK)
            problem = err.text;
    }
    if (problem != NULL)
        fprintf(stderr, "%s: %s\n", argv[0], problem);
    free(logits);
    weir_tokenizer_close(tokenizer);
    real_vocab_release(&vocab);
    return problem != NULL;
}
