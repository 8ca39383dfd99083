/* SPDX-License-Identifier: MIT
 * Tests of constraints over a tokenizer, and of the sampler that keeps to them: each mask against
 * a match of every token's text. Run alone: build/tests/weir-test constraint_ */
#include "alloc.h"
#include "test.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "grammars.h"
#include "run/constraint.h"
#include "toy_vocab.h"

enum { TEXT_MAX = 4096, PADDING = 5 /* logits of no token */ };

struct fixture {
    struct toy_vocab vocab;
    struct weir_tokenizer *tokenizer;
    struct weir_grammar *grammar;
    struct weir_constraint *constraint;
    uint32_t tokens;
};

static void open_grammar(struct fixture *fixture, const char *text)
{
    fixture->grammar = text[0] == '{' ? grammars_open_schema(text) : grammars_open_gbnf(text);
}

static struct fixture *open_fixture(const char *grammar)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct weir_error err = {0};
    CHECK(fixture != NULL);
    toy_vocab_usual(&fixture->vocab, PRETOKENIZER_QWEN35);
    toy_vocab_random(&fixture->vocab, "{}[]\":,ab01 \\\n\xc3\xa9", 200, 3);
    fixture->vocab.source.eos = toy_vocab_add(&fixture->vocab, "<|end|>", TOKEN_CONTROL);
    CHECK_OK(tokenizer_open(&fixture->tokenizer, &fixture->vocab.source, &err), &err);
    fixture->tokens = weir_tokenizer_size(fixture->tokenizer);
    open_grammar(fixture, grammar);
    CHECK_OK(weir_constraint_open(&fixture->constraint, fixture->grammar, fixture->tokenizer, &err),
             &err);
    return fixture;
}

static void close_fixture(struct fixture *fixture)
{
    weir_constraint_close(fixture->constraint);
    weir_grammar_close(fixture->grammar);
    weir_tokenizer_close(fixture->tokenizer);
    free(fixture);
}

static enum weir_match match(const struct fixture *fixture, const char *text, size_t length)
{
    enum weir_match result;
    struct weir_error err = {0};
    CHECK_OK(weir_grammar_match(fixture->grammar, text, length, &result, &err), &err);
    return result;
}

static bool has_bit(const uint64_t *bits, int32_t id)
{
    return bits[id / 64] >> (id % 64) & 1;
}

/* ---- masks ----------------------------------------------------------------------------------- */

/* Whether a token may come behind a text, by its definition. */
static bool may_come(const struct fixture *fixture, const char *text, size_t length, int32_t id)
{
    char longer[TEXT_MAX];
    size_t bytes;
    if (weir_tokenizer_ends_generation(fixture->tokenizer, id))
        return match(fixture, text, length) == WEIR_MATCH_WHOLE;
    const char *piece = weir_tokenizer_piece(fixture->tokenizer, id, false, &bytes);
    memcpy(longer, text, length);
    memcpy(longer + length, piece, bytes);
    return bytes > 0 && match(fixture, longer, length + bytes) != WEIR_MATCH_NOT;
}

static void check_mask(const struct fixture *fixture, const uint64_t *mask, const char *text,
                       size_t length)
{
    for (uint32_t id = 0; id < fixture->tokens; id++) {
        const bool expected = may_come(fixture, text, length, (int32_t)id);
        if (has_bit(mask, (int32_t)id) != expected)
            test_fail(__FILE__, __LINE__, "behind \"%.*s\" token %u is %s", (int)length, text, id,
                      expected ? "refused" : "allowed");
    }
}

/* One of the allowed tokens that do not end generation, or -1. */
static int32_t choose(const struct fixture *fixture, const uint64_t *mask, uint64_t bits)
{
    const uint32_t from = (uint32_t)(bits % fixture->tokens);
    for (uint32_t i = 0; i < fixture->tokens; i++) {
        const int32_t id = (int32_t)((from + i) % fixture->tokens);
        if (has_bit(mask, id) && !weir_tokenizer_ends_generation(fixture->tokenizer, id))
            return id;
    }
    return -1;
}

static void walk(struct fixture *fixture, uint64_t stream, int steps)
{
    struct constraint_cursor cursor;
    struct weir_error err = {0};
    char text[TEXT_MAX];
    size_t length = 0, bytes;
    CHECK_OK(constraint_attach(fixture->constraint, &cursor, false, &err), &err);
    for (int i = 0; i < steps; i++) {
        uint32_t tokens;
        const uint64_t *mask = constraint_mask(&cursor, &tokens);
        CHECK_INT(tokens, fixture->tokens);
        check_mask(fixture, mask, text, length);
        const int32_t id = choose(fixture, mask, rng_bits(test_seed(), stream, (uint64_t)i));
        if (id < 0)
            break;
        const char *piece = weir_tokenizer_piece(fixture->tokenizer, id, false, &bytes);
        memcpy(text + length, piece, bytes);
        length += bytes;
        constraint_accept(&cursor, id);
    }
    constraint_detach(&cursor);
}

static const char *const grammars[] = {
    "root ::= [a-c]{2,5} (\"-\" [0-9]+)* \".\"?",
    "root ::= \"(\" root \")\" | [^()] root | \"x\"",
    "root ::= (\"a\" | \"aa\" | \"ab\" | \"\xc3\xa9\")+ [\\u00e0-\\u4e2d]",
    "{\"type\":\"object\"}",
    ("{\"properties\":{\"a\":{\"type\":\"integer\",\"maximum\":70},\"ab\":{\"maxLength\":4},"
     "\"b\":{}},\"required\":[\"ab\"],\"additionalProperties\":{\"type\":\"null\"}}"),
    "{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"ab\",0,10,\"\\n\"]},\"minItems\":2}",
    "{\"pattern\":\"^a+(b|\\\\s)*$\",\"maxLength\":7}",
};

TEST(constraint_masks_are_those_of_each_token)
{
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++) {
        struct fixture *fixture = open_fixture(grammars[i]);
        for (uint64_t round = 0; round < 1; round++)
            walk(fixture, i * 100 + round, 9);
        close_fixture(fixture);
    }
}

TEST(constraint_names_tokens)
{
    struct fixture *fixture =
        open_fixture("root ::= \"a\" (<think> | !<[98]>) (<|im_start|> | \"</think>\") \"b\"");
    struct constraint_cursor cursor;
    struct weir_error err = {0};
    uint32_t tokens;
    const int32_t think = weir_tokenizer_find(fixture->tokenizer, "<think>", 7);
    const int32_t start = weir_tokenizer_find(fixture->tokenizer, "<|im_start|>", 12);
    const int32_t close = weir_tokenizer_find(fixture->tokenizer, "</think>", 8);
    CHECK(think > 0 && start > 0 && close > 0);
    CHECK_OK(constraint_attach(fixture->constraint, &cursor, false, &err), &err);
    constraint_accept(&cursor, 'a');
    const uint64_t *mask = constraint_mask(&cursor, &tokens);
    CHECK(has_bit(mask, think) && has_bit(mask, 'c') && has_bit(mask, start) && !has_bit(mask, 98));
    CHECK(!has_bit(mask, fixture->vocab.source.eos));
    constraint_accept(&cursor, think);
    mask = constraint_mask(&cursor, &tokens);
    CHECK(has_bit(mask, start) && has_bit(mask, close) && has_bit(mask, '<') &&
          !has_bit(mask, 'b'));
    constraint_accept(&cursor, start);
    mask = constraint_mask(&cursor, &tokens);
    CHECK(has_bit(mask, 'b') && !has_bit(mask, 'a'));
    constraint_accept(&cursor, 'b');
    mask = constraint_mask(&cursor, &tokens);
    for (uint32_t id = 0; id < tokens; id++)
        CHECK_INT(has_bit(mask, (int32_t)id),
                  weir_tokenizer_ends_generation(fixture->tokenizer, (int32_t)id));
    constraint_detach(&cursor);
    close_fixture(fixture);
}

/* More states than there is memory for: what was found is forgotten, and cursors stay where they
 * are. Nothing is allocated. */
TEST(constraint_forgets)
{
    enum { DEPTH = 30000 };
    struct fixture *fixture = open_fixture("root ::= \"(\" root \")\" | \"[\" root \"]\" | \"x\"");
    struct constraint_cursor cursor, other;
    struct weir_error err = {0};
    uint32_t tokens;
    CHECK_OK(constraint_attach(fixture->constraint, &other, false, &err), &err);
    CHECK_OK(constraint_attach(fixture->constraint, &cursor, false, &err), &err);
    constraint_accept(&other, '[');
    const uint64_t before = alloc_count();
    for (uint32_t i = 0; i < DEPTH; i++)
        constraint_accept(&cursor, rng_bits(1, 0, i) & 1 ? '(' : '[');
    constraint_accept(&cursor, 'x');
    for (uint32_t i = DEPTH; i-- > 0;) {
        const int32_t expected = rng_bits(1, 0, i) & 1 ? ')' : ']';
        const uint64_t *mask = constraint_mask(&cursor, &tokens);
        CHECK(has_bit(mask, expected) && !has_bit(mask, ')' + ']' - expected));
        constraint_accept(&cursor, expected);
    }
    CHECK_INT(alloc_count() - before, 0);
    CHECK(has_bit(constraint_mask(&cursor, &tokens), fixture->vocab.source.eos));
    constraint_accept(&other, 'x');
    CHECK(has_bit(constraint_mask(&other, &tokens), ']'));
    CHECK(!has_bit(constraint_mask(&other, &tokens), ')'));
    constraint_detach(&cursor);
    close_fixture(fixture);
}

/* ---- sampler --------------------------------------------------------------------------------- */

static struct weir_sampler *open_sampler(const struct fixture *fixture, uint64_t seed)
{
    struct weir_sampler_options options;
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    weir_sampler_options_init(&options);
    options.seed = seed;
    options.temperature = 2;
    CHECK_OK(weir_sampler_open(&sampler, &options, fixture->tokens + PADDING, 64,
                               fixture->tokenizer, &err),
             &err);
    return sampler;
}

/* Logits of a model that knows nothing. */
static void random_logits(float *logits, uint32_t count, uint64_t seed, uint64_t step)
{
    for (uint32_t i = 0; i < count; i++)
        logits[i] = 4 * (float)rng_uniform(seed, 100 + step, i);
}

/* Generates up to an end, or `most` tokens. */
static size_t generate(const struct fixture *fixture, struct weir_sampler *sampler, uint64_t seed,
                       int most, char *text, bool *ended)
{
    float logits[TOY_TOKENS_MAX + PADDING];
    size_t length = 0, bytes;
    for (uint32_t i = 0; i < PADDING; i++)
        logits[fixture->tokens + i] = -INFINITY;
    *ended = false;
    for (int i = 0; i < most && !*ended; i++) {
        int32_t id = -1;
        random_logits(logits, fixture->tokens, seed, (uint64_t)i);
        CHECK_NO_ALLOC(id = weir_sampler_pick(sampler, logits));
        CHECK_NO_ALLOC(weir_sampler_accept(sampler, id));
        CHECK(id >= 0 && (uint32_t)id < fixture->tokens);
        *ended = weir_tokenizer_ends_generation(fixture->tokenizer, id);
        const char *piece = weir_tokenizer_piece(fixture->tokenizer, id, true, &bytes);
        memcpy(text + length, piece, *ended ? 0 : bytes);
        length += *ended ? 0 : bytes;
    }
    return length;
}

TEST(constraint_sampler_writes_texts_of_the_grammar)
{
    char text[TEXT_MAX];
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++) {
        struct fixture *fixture = open_fixture(grammars[i]);
        for (uint64_t seed = 1; seed < 20; seed++) {
            struct weir_sampler *sampler = open_sampler(fixture, seed);
            struct weir_error err = {0};
            bool ended;
            CHECK_OK(weir_sampler_constrain(sampler, fixture->constraint, NULL, &err), &err);
            const size_t length = generate(fixture, sampler, seed, 60, text, &ended);
            const enum weir_match result = match(fixture, text, length);
            if (result == WEIR_MATCH_NOT || (ended && result != WEIR_MATCH_WHOLE))
                test_fail(__FILE__, __LINE__, "grammar %zu: \"%.*s\"", i, (int)length, text);
            weir_sampler_close(sampler);
        }
        close_fixture(fixture);
    }
}

/* Whether a mask is found first or tokens are asked for one by one, the choice is the same. */
TEST(constraint_mask_or_not_is_the_same_choice)
{
    static const struct {
        float temperature;
        int32_t top_k;
        const char *chain;
    } cases[] = {{0, 40, "edskypmxt"}, {1, 3, "edskypmxt"}, {2, 40, "ekt"}, {1, 40, "kpt"}};
    float logits[TOY_TOKENS_MAX];
    struct weir_error err = {0};
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0] * 4; i++) {
        struct fixture *fixture = open_fixture(grammars[i / 4]);
        struct constraint_cursor cursor;
        struct weir_constraint *other;
        struct weir_sampler *samplers[2];
        struct weir_sampler_options options;
        weir_sampler_options_init(&options);
        options.seed = i;
        options.temperature = cases[i % 4].temperature;
        options.top_k = cases[i % 4].top_k;
        options.presence_penalty = 2;
        snprintf(options.chain, sizeof options.chain, "%s", cases[i % 4].chain);
        CHECK_OK(weir_constraint_open(&other, fixture->grammar, fixture->tokenizer, &err), &err);
        for (int k = 0; k < 2; k++) {
            CHECK_OK(weir_sampler_open(&samplers[k], &options, fixture->tokens, 64,
                                       fixture->tokenizer, &err),
                     &err);
            CHECK_OK(weir_sampler_constrain(samplers[k], k == 0 ? fixture->constraint : other, NULL,
                                            &err),
                     &err);
        }
        CHECK_OK(constraint_attach(other, &cursor, false, &err), &err);
        for (uint64_t step = 0; step < 25; step++) {
            uint32_t tokens;
            random_logits(logits, fixture->tokens, i, step);
            constraint_mask(&cursor, &tokens); /* so the second one knows it */
            CHECK(constraint_knows_mask(&cursor));
            const int32_t id = weir_sampler_pick(samplers[0], logits);
            CHECK_INT(weir_sampler_pick(samplers[1], logits), id);
            weir_sampler_accept(samplers[0], id);
            weir_sampler_accept(samplers[1], id);
            constraint_accept(&cursor, id);
        }
        constraint_detach(&cursor);
        weir_sampler_close(samplers[0]);
        weir_sampler_close(samplers[1]);
        weir_constraint_close(other);
        close_fixture(fixture);
    }
}

static struct weir_sampler *open_constrained(const struct fixture *fixture, uint64_t seed,
                                             int32_t top_k, struct weir_constraint *constraint)
{
    struct weir_sampler_options options;
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    weir_sampler_options_init(&options);
    options.seed = seed;
    options.top_k = top_k;
    snprintf(options.chain, sizeof options.chain, "k");
    CHECK_OK(weir_sampler_open(&sampler, &options, fixture->tokens, 64, fixture->tokenizer, &err),
             &err);
    CHECK_OK(weir_sampler_constrain(sampler, constraint, NULL, &err), &err);
    return sampler;
}

/* Also where just as many are allowed as are kept. */
TEST(constraint_mask_or_not_is_the_same_order)
{
    struct fixture *fixture = open_fixture("root ::= [a-c0-9]");
    struct constraint_cursor cursor;
    struct weir_constraint *other;
    struct weir_error err = {0};
    float logits[TOY_TOKENS_MAX];
    uint32_t tokens;
    int32_t allowed = 0;
    CHECK_OK(weir_constraint_open(&other, fixture->grammar, fixture->tokenizer, &err), &err);
    CHECK_OK(constraint_attach(other, &cursor, false, &err), &err);
    const uint64_t *mask = constraint_mask(&cursor, &tokens);
    for (uint32_t id = 0; id < tokens; id++)
        allowed += has_bit(mask, (int32_t)id);
    CHECK(allowed > 2 && allowed < 200);
    for (int32_t top_k = allowed - 1; top_k <= allowed + 1; top_k++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            /* one that has no masks yet */
            struct weir_constraint *fresh;
            CHECK_OK(weir_constraint_open(&fresh, fixture->grammar, fixture->tokenizer, &err),
                     &err);
            struct weir_sampler *first = open_constrained(fixture, seed, top_k, fresh);
            struct weir_sampler *second = open_constrained(fixture, seed, top_k, other);
            random_logits(logits, fixture->tokens, seed, 0);
            CHECK_INT(weir_sampler_pick(first, logits), weir_sampler_pick(second, logits));
            weir_sampler_close(first);
            weir_sampler_close(second);
            weir_constraint_close(fresh);
        }
    }
    constraint_detach(&cursor);
    weir_constraint_close(other);
    close_fixture(fixture);
}

/* The mark may be split over tokens, and a token may hold its end and more. */
TEST(constraint_begins_behind_a_mark)
{
    struct fixture *fixture = open_fixture("root ::= [ab]{3} \"\\n\"");
    struct weir_error err = {0};
    int found = 0;
    for (uint64_t seed = 1; seed < 150; seed++) {
        char text[TEXT_MAX];
        bool ended;
        struct weir_sampler *sampler = open_sampler(fixture, seed);
        CHECK_OK(weir_sampler_constrain(sampler, fixture->constraint, "aa", &err), &err);
        const size_t length = generate(fixture, sampler, seed, 120, text, &ended);
        text[length] = 0;
        const char *mark = strstr(text, "aa");
        weir_sampler_close(sampler);
        if (mark == NULL || strlen(text) != length)
            continue;
        size_t skip = 2;
        while (skip < 4 && mark[skip] == '\n')
            skip++;
        const enum weir_match result =
            match(fixture, mark + skip, length - (size_t)(mark + skip - text));
        found++;
        if (result == WEIR_MATCH_NOT || (ended && result != WEIR_MATCH_WHOLE))
            test_fail(__FILE__, __LINE__, "seed %d: \"%s\"", (int)seed, text);
    }
    CHECK(found > 10);
    close_fixture(fixture);
}

TEST(constraint_ends_reasoning)
{
    struct fixture *fixture = open_fixture("root ::= [ab]{3}");
    struct weir_error err = {0};
    for (uint32_t budget = 0; budget < 9; budget++) {
        char text[TEXT_MAX];
        bool ended;
        struct weir_sampler *sampler = open_sampler(fixture, budget);
        CHECK_OK(
            weir_sampler_limit_reasoning(sampler, budget, "</think>", " So.</think>\n\n", &err),
            &err);
        CHECK_OK(weir_sampler_constrain(sampler, fixture->constraint, "</think>", &err), &err);
        const size_t length = generate(fixture, sampler, budget, 40, text, &ended);
        text[length] = 0;
        const char *mark = strstr(text, "</think>\n\n");
        CHECK(ended && mark != NULL && strlen(mark) == 13);
        CHECK(strncmp(mark - 4, " So.", 4) == 0);
        CHECK_INT(match(fixture, mark + 10, 3), WEIR_MATCH_WHOLE);
        weir_sampler_close(sampler);
    }
    close_fixture(fixture);
}

/* What is forced waits for the end of a character, and a natural mark ends the watch, as
 * the beginning of a call does. */
TEST(constraint_reasoning_waits_and_ends)
{
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    struct weir_error err = {0};
    float logits[TOY_TOKENS_MAX + PADDING] = {0};
    logits['z'] = INFINITY;
    const int32_t close = weir_tokenizer_find(fixture->tokenizer, "</think>", 8);
    struct weir_sampler *sampler = open_sampler(fixture, 1);
    CHECK_OK(weir_sampler_limit_reasoning(sampler, 2, "</think>", "</think>", &err), &err);
    weir_sampler_accept(sampler, 'x');
    weir_sampler_accept(sampler, 0xe4);
    CHECK_INT(weir_sampler_pick(sampler, logits), 'z');
    weir_sampler_accept(sampler, 0xb8);
    CHECK_INT(weir_sampler_pick(sampler, logits), 'z');
    weir_sampler_accept(sampler, 0xad);
    CHECK_INT(weir_sampler_pick(sampler, logits), close);
    weir_sampler_accept(sampler, close);
    CHECK_INT(weir_sampler_pick(sampler, logits), 'z');
    CHECK_OK(weir_sampler_limit_reasoning(sampler, 2, "</think>", "</think>", &err), &err);
    weir_sampler_accept(sampler, close);
    weir_sampler_accept(sampler, 'x');
    weir_sampler_accept(sampler, 'x');
    CHECK_INT(weir_sampler_pick(sampler, logits), 'z');
    CHECK_OK(weir_sampler_limit_reasoning(sampler, 20, "</think>", "</think>", &err), &err);
    for (const char *at = "<tool<tool_call>"; *at != 0; at++)
        weir_sampler_accept(sampler, *at);
    for (int i = 0; i < 20; i++) {
        CHECK_INT(weir_sampler_pick(sampler, logits), 'z');
        weir_sampler_accept(sampler, 'z');
    }
    CHECK_INT(weir_sampler_limit_reasoning(sampler, 2, "", "</think>", &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "a mark of 0 bytes, expected 1 to 64");
    weir_sampler_close(sampler);
    close_fixture(fixture);
}

TEST(constraint_refusals)
{
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    static const char *const grammars_refused[] = {"root ::= <none>", "root ::= <[99999]>"};
    char expected[2][128] = {"grammar: the vocabulary has no token <none>"};
    snprintf(expected[1], sizeof expected[1], "grammar: token 99999: the vocabulary has %u tokens",
             fixture->tokens);
    for (size_t i = 0; i < 2; i++) {
        struct weir_grammar *grammar = grammars_open_gbnf(grammars_refused[i]);
        struct weir_constraint *constraint;
        struct weir_error err = {0};
        CHECK_INT(weir_constraint_open(&constraint, grammar, fixture->tokenizer, &err),
                  WEIR_ERR_ARGUMENT);
        CHECK(constraint == NULL);
        CHECK_TEXT(err.text, expected[i]);
        weir_grammar_close(grammar);
    }
    close_fixture(fixture);
}

#define AMBIGUOUS "p\np ::= \"aaaaaaaaaaaaaaaaaaaaaaaa\" | \"a\" p \"b\" | \"a\" p \"c\""

/* What is too ambiguous from the beginning is refused; what becomes so ends, and that is told of it
 * alone. */
TEST(constraint_too_ambiguous)
{
    struct fixture *fixture = open_fixture("root ::= \"x\"{100} " AMBIGUOUS);
    struct weir_grammar *grammar = grammars_open_gbnf("root ::= " AMBIGUOUS);
    struct weir_constraint *constraint;
    struct constraint_cursor cursor, other = {.constraint = NULL};
    struct weir_error err = {0};
    uint32_t tokens;
    CHECK_INT(weir_constraint_open(&constraint, grammar, fixture->tokenizer, &err),
              WEIR_ERR_UNSUPPORTED);
    CHECK_TEXT(err.text, "grammar: too ambiguous: a text can begin in more than 8192 ways");
    weir_grammar_close(grammar);

    for (int round = 0; round < 3; round++) {
        int steps = 0;
        if (round == 2)
            CHECK_OK(constraint_attach(fixture->constraint, &other, false, &err), &err);
        CHECK_OK(constraint_attach(fixture->constraint, &cursor, false, &err), &err);
        CHECK(!cursor.is_cut);
        CHECK(!weir_constraint_is_narrow(fixture->constraint));
        for (; steps < 124; steps++) {
            const int32_t next = steps < 100 ? 'x' : 'a';
            const uint64_t *mask = constraint_mask(&cursor, &tokens);
            CHECK_INT(has_bit(mask, next), !has_bit(mask, fixture->vocab.source.eos));
            if (!has_bit(mask, next))
                break;
            CHECK(!cursor.is_cut);
            constraint_accept(&cursor, next);
        }
        CHECK(steps > 108 && steps < 124);
        CHECK(cursor.is_cut);
        CHECK(weir_constraint_is_narrow(fixture->constraint));
        CHECK(!constraint_allows(&cursor, 'a'));
        constraint_accept(&cursor, 'a');
        constraint_mask(&cursor, &tokens);
        CHECK(cursor.is_cut);
        CHECK(!other.is_cut);
        constraint_detach(&cursor);
    }
    constraint_detach(&other);
    close_fixture(fixture);
}

/* Many alternatives that begin alike are not ambiguous yet. */
TEST(constraint_of_many_alternatives)
{
    enum { OBJECTS = 500, BYTES = OBJECTS * 128 };
    static char schema[BYTES];
    int length = snprintf(schema, sizeof schema, "{\"anyOf\":[");
    for (int i = 0; i < OBJECTS; i++)
        length += snprintf(schema + length, sizeof schema - (size_t)length,
                           "%s{\"properties\":{\"a%d\":{\"const\":1},\"b%d\":{\"const\":2},"
                           "\"c%d\":{\"const\":3},\"d%d\":{\"const\":4}},"
                           "\"additionalProperties\":false}",
                           i == 0 ? "" : ",", i, i, i, i);
    snprintf(schema + length, sizeof schema - (size_t)length, "]}");
    struct fixture *fixture = open_fixture(schema);
    struct constraint_cursor cursor;
    struct weir_error err = {0};
    uint32_t tokens;
    static const char text[] = "{\"b77\":2}";
    CHECK_OK(constraint_attach(fixture->constraint, &cursor, false, &err), &err);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        const uint64_t *mask = constraint_mask(&cursor, &tokens);
        CHECK(has_bit(mask, text[i]) && !has_bit(mask, fixture->vocab.source.eos));
        constraint_accept(&cursor, text[i]);
    }
    CHECK(has_bit(constraint_mask(&cursor, &tokens), fixture->vocab.source.eos));
    CHECK(!cursor.is_cut);
    constraint_detach(&cursor);
    close_fixture(fixture);
}

/* What is chosen if a token is wanted most that has the mark "<" and goes on. */
static int32_t pick_mark(const struct fixture *fixture, struct weir_sampler *sampler, int32_t *mark)
{
    float logits[TOY_TOKENS_MAX + PADDING] = {0};
    *mark = weir_tokenizer_find(fixture->tokenizer, "</think>", 8);
    logits[*mark] = INFINITY;
    return weir_sampler_pick(sampler, logits);
}

/* A sampler that waited for its mark chooses freely from then on. */
TEST(constraint_closed_before_its_sampler)
{
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    struct weir_constraint *constraint;
    struct weir_error err = {0};
    int32_t mark;
    struct weir_sampler *sampler = open_sampler(fixture, 1);
    CHECK_OK(weir_constraint_open(&constraint, fixture->grammar, fixture->tokenizer, &err), &err);
    CHECK_OK(weir_sampler_constrain(sampler, constraint, "<", &err), &err);
    CHECK(pick_mark(fixture, sampler, &mark) != mark);
    weir_sampler_accept(sampler, 'x');
    weir_constraint_close(constraint);
    CHECK_INT(pick_mark(fixture, sampler, &mark), mark);
    weir_sampler_accept(sampler, mark);
    CHECK_INT(pick_mark(fixture, sampler, &mark), mark);
    weir_sampler_close(sampler);
    close_fixture(fixture);
}

/* A constraint that could not be set is none. */
static void alloc_behind(void *argument)
{
    const struct fixture *fixture = argument;
    struct weir_error err = {0};
    struct weir_sampler_options options;
    struct weir_sampler *sampler;
    struct weir_constraint *constraint;
    int32_t mark;
    weir_sampler_options_init(&options);
    if (weir_constraint_open(&constraint, fixture->grammar, fixture->tokenizer, &err) != WEIR_OK)
        return;
    if (weir_sampler_open(&sampler, &options, fixture->tokens + PADDING, 64, fixture->tokenizer,
                          &err) == WEIR_OK) {
        const enum weir_status status = weir_sampler_constrain(sampler, constraint, "<", &err);
        CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
        CHECK_INT(pick_mark(fixture, sampler, &mark) == mark, status != WEIR_OK);
        weir_sampler_close(sampler);
    }
    weir_constraint_close(constraint);
}

TEST(constraint_alloc_behind_a_mark)
{
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    alloc_test(alloc_behind, fixture);
    close_fixture(fixture);
}

static void alloc_constraint(void *argument)
{
    const struct fixture *fixture = argument;
    struct weir_constraint *constraint;
    struct weir_sampler *sampler = NULL;
    struct weir_sampler_options options;
    struct weir_error err = {0};
    weir_sampler_options_init(&options);
    enum weir_status status =
        weir_constraint_open(&constraint, fixture->grammar, fixture->tokenizer, &err);
    if (status == WEIR_OK)
        status =
            weir_sampler_open(&sampler, &options, fixture->tokens, 64, fixture->tokenizer, &err);
    if (status == WEIR_OK)
        status = weir_sampler_constrain(sampler, constraint, "</think>", &err);
    if (status == WEIR_OK)
        status = weir_sampler_limit_reasoning(sampler, 3, "</think>", "so</think>", &err);
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
    weir_sampler_close(sampler);
    weir_constraint_close(constraint);
}

TEST(constraint_alloc)
{
    struct fixture *fixture = open_fixture("root ::= \"a\" <think> | !<[7]>");
    alloc_test(alloc_constraint, fixture);
    close_fixture(fixture);
}

/* ---- vocabularies ---------------------------------------------------------------------------- */

/* A text could not end. */
TEST(constraint_needs_a_token_that_ends)
{
    struct toy_vocab *vocab = calloc(1, sizeof *vocab);
    struct weir_tokenizer *tokenizer;
    struct weir_grammar *grammar = grammars_open_gbnf("root ::= \"a\"");
    struct weir_constraint *constraint;
    struct weir_error err = {0};
    CHECK(vocab != NULL);
    toy_vocab_init(vocab, PRETOKENIZER_QWEN35);
    vocab->source.eos = -1;
    CHECK_OK(tokenizer_open(&tokenizer, &vocab->source, &err), &err);
    CHECK_INT(weir_constraint_open(&constraint, grammar, tokenizer, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "grammar: the vocabulary has no token that ends generation");
    weir_grammar_close(grammar);
    weir_tokenizer_close(tokenizer);
    free(vocab);
}

/* What is allowed must be among what is chosen from. */
TEST(constraint_of_more_tokens_than_the_sampler)
{
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    struct weir_sampler_options options;
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    char expected[128];
    weir_sampler_options_init(&options);
    CHECK_OK(
        weir_sampler_open(&sampler, &options, fixture->tokens - 1, 64, fixture->tokenizer, &err),
        &err);
    CHECK_INT(weir_sampler_constrain(sampler, fixture->constraint, NULL, &err), WEIR_ERR_ARGUMENT);
    snprintf(expected, sizeof expected, "a constraint of %u tokens: the sampler chooses among %u",
             fixture->tokens, fixture->tokens - 1);
    CHECK_TEXT(err.text, expected);
    CHECK_OK(weir_sampler_constrain(sampler, NULL, NULL, &err), &err);
    weir_sampler_close(sampler);
    close_fixture(fixture);
}

/* With little room masks are found piece by piece, and what was found is forgotten on the way: they
 * are the same, unless it is told that something was left out. Returns how often it was. */
static int compare_little_room(struct fixture *fixture, struct automaton_size size, uint64_t stream)
{
    struct weir_constraint *little;
    struct constraint_cursor cursors[2], other;
    struct weir_error err = {0};
    int narrow = 0;
    CHECK_OK(constraint_open(&little, fixture->grammar, fixture->tokenizer, size, &err), &err);
    CHECK_OK(constraint_attach(fixture->constraint, &cursors[0], false, &err), &err);
    CHECK_OK(constraint_attach(little, &other, false, &err), &err);
    CHECK_OK(constraint_attach(little, &cursors[1], false, &err), &err);
    for (uint64_t i = 0; i < 60; i++) {
        uint32_t tokens;
        const uint64_t *mask = constraint_mask(&cursors[0], &tokens);
        const uint64_t *same = constraint_mask(&cursors[1], &tokens);
        const size_t bytes = (tokens / 64 + 1) * sizeof *mask;
        const bool is_same = memcmp(mask, same, bytes) == 0;
        CHECK(is_same || weir_constraint_is_narrow(little));
        narrow += weir_constraint_is_narrow(little);
        const int32_t id = choose(fixture, mask, rng_bits(test_seed(), stream, i));
        if (id < 0 || !is_same)
            break;
        constraint_accept(&cursors[0], id);
        constraint_accept(&cursors[1], id);
    }
    weir_constraint_close(little);
    constraint_detach(&cursors[0]);
    return narrow;
}

TEST(constraint_masks_are_the_same_with_little_room)
{
    static const struct automaton_size size = {1 << 9, 1 << 6, 1 << 10};
    static const struct automaton_size less = {1 << 7, 1 << 4, 1 << 6};
    for (size_t i = 0; i < sizeof grammars / sizeof grammars[0]; i++) {
        struct fixture *fixture = open_fixture(grammars[i]);
        CHECK_INT(compare_little_room(fixture, size, 1000 + i), 0);
        CHECK_INT(compare_little_room(fixture, less, 2000 + i), 0);
        close_fixture(fixture);
    }
}

static void *open_and_ask(void *argument)
{
    const struct fixture *fixture = argument;
    struct weir_constraint *constraint;
    struct constraint_cursor cursor;
    struct weir_error err = {0};
    uint32_t tokens;
    CHECK_OK(weir_constraint_open(&constraint, fixture->grammar, fixture->tokenizer, &err), &err);
    CHECK_OK(constraint_attach(constraint, &cursor, false, &err), &err);
    CHECK(has_bit(constraint_mask(&cursor, &tokens), 'a'));
    weir_constraint_close(constraint);
    return NULL;
}

/* Threads share a tokenizer; who comes first makes its tree. */
TEST(constraint_opened_by_threads_at_once)
{
    enum { THREADS = 4 };
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    struct weir_error err = {0};
    pthread_t threads[THREADS];
    weir_constraint_close(fixture->constraint);
    weir_tokenizer_close(fixture->tokenizer);
    fixture->constraint = NULL;
    CHECK_OK(tokenizer_open(&fixture->tokenizer, &fixture->vocab.source, &err), &err);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_create(&threads[i], NULL, open_and_ask, fixture), 0);
    for (int i = 0; i < THREADS; i++)
        CHECK_INT(pthread_join(threads[i], NULL), 0);
    close_fixture(fixture);
}

/* The first of a tokenizer, which makes its tree. */
static void alloc_first(void *argument)
{
    const struct fixture *fixture = argument;
    struct weir_tokenizer *tokenizer;
    struct weir_constraint *constraint = NULL;
    struct weir_error err = {0};
    enum weir_status status = tokenizer_open(&tokenizer, &fixture->vocab.source, &err);
    if (status == WEIR_OK) {
        status = weir_constraint_open(&constraint, fixture->grammar, tokenizer, &err);
        CHECK((constraint == NULL) == (status != WEIR_OK));
        weir_constraint_close(constraint);
        if (status != WEIR_OK) { /* what failed once is made by the next */
            CHECK_OK(weir_constraint_open(&constraint, fixture->grammar, tokenizer, &err), &err);
            weir_constraint_close(constraint);
        }
        weir_tokenizer_close(tokenizer);
    }
    CHECK_INT(status, alloc_failed() ? WEIR_ERR_MEMORY : WEIR_OK);
}

TEST(constraint_alloc_first)
{
    struct fixture *fixture = open_fixture("root ::= \"a\"");
    alloc_test(alloc_first, fixture);
    close_fixture(fixture);
}
