/* SPDX-License-Identifier: MIT
 * What sessions that share an engine must not know of each other, told directly: equal prompts give
 * one answer, whoever drafts for them, and what one session was told is in no other's logits. Run
 * alone: build/tests/weir-test isolation_ */
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "golden/fixture.h"
#include "run/engine.h"

enum { PROMPT = 30, ANSWER = 60, CONTEXT = 160, SESSIONS = 5 };

static const char *const models[] = {"golden/nano-f32.gguf", "golden/nanomoe-f32.gguf"};
static const char *const backends[] = {"ref", "cpu"};
enum { PAIRS = 4 }; /* of a model and a backend */

static void open_engine(struct fixture *fixture, int pair, uint32_t sessions)
{
    struct weir_engine_options options;
    fixture_options(&options);
    options.backend = backends[pair / 2];
    options.context = CONTEXT;
    options.sessions_max = sessions;
    options.step_rows_max = SESSIONS * PROMPT;
    options.logits_rows_max = SESSIONS * WEIR_ROUND_TOKENS_MAX;
    options.rewind_max = WEIR_REWIND_MAX;
    options.mtp = true;
    fixture_open(fixture, test_data(models[pair % 2]), &options);
}

static void make_tokens(int32_t *tokens, uint32_t count, uint64_t number, uint32_t vocab)
{
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(rng_bits(test_seed(), number, i) % vocab);
}

static struct weir_sampler *open_greedy(uint32_t vocab)
{
    struct weir_sampler_options options;
    struct weir_sampler *sampler;
    struct weir_error err = {0};
    weir_sampler_options_init(&options);
    options.temperature = 0;
    CHECK_OK(weir_sampler_open(&sampler, &options, vocab, CONTEXT, NULL, &err), &err);
    return sampler;
}

/* ---- equal prompts --------------------------------------------------------------------------- */

/* One of several that answer the same prompt. */
struct answer {
    struct weir_session *session;
    struct weir_speculator *speculator;
    const int32_t *round; /* of the step that comes */
    uint32_t rows, count;
    int32_t tokens[ANSWER + WEIR_ROUND_TOKENS_MAX];
};

/* Each by another kind of drafts, and two of them by the same, of other lengths. */
static void open_answer(struct answer *answer, struct weir_engine *engine, uint32_t number,
                        struct weir_session *drafter)
{
    static const enum weir_draft_kind kinds[SESSIONS] = {
        WEIR_DRAFT_NONE, WEIR_DRAFT_MTP, WEIR_DRAFT_NGRAM, WEIR_DRAFT_MODEL, WEIR_DRAFT_MTP};
    struct weir_speculator_options options;
    struct weir_error err = {0};
    *answer = (struct answer){.count = 0};
    weir_speculator_options_init(&options);
    options.kind = kinds[number];
    options.drafts_max = 3 + 3 * number;
    options.fixed = number % 2 == 1;
    options.ngram_size = 1;
    options.draft_session = drafter;
    CHECK_OK(weir_session_open(&answer->session, engine, &err), &err);
    CHECK_OK(weir_speculator_open(&answer->speculator, answer->session, &options, &err), &err);
}

/* One step of all that have not said enough. Returns how many did. */
static uint32_t step_answers(struct answer *answers, struct weir_engine *engine,
                             struct weir_sampler *greedy)
{
    struct weir_step_item items[SESSIONS];
    struct answer *speaking[SESSIONS];
    uint32_t count = 0;
    struct weir_error err = {0};
    for (uint32_t i = 0; i < SESSIONS; i++) {
        struct answer *answer = &answers[i];
        if (answer->count >= ANSWER)
            continue;
        CHECK_OK(weir_speculator_draft(answer->speculator, answer->tokens[answer->count - 1],
                                       WEIR_ROUND_TOKENS_MAX, &answer->round, &answer->rows, &err),
                 &err);
        items[count] = (struct weir_step_item){.session = answer->session,
                                               .tokens = answer->round,
                                               .count = answer->rows,
                                               .logits = WEIR_LOGITS_ALL};
        speaking[count++] = answer;
    }
    if (count > 0)
        CHECK_OK(weir_engine_step(engine, items, count, &err), &err);
    for (uint32_t i = 0; i < count; i++) {
        struct answer *answer = speaking[i];
        uint32_t chosen;
        CHECK_OK(weir_speculator_accept(answer->speculator, greedy, 0,
                                        answer->tokens + answer->count, &chosen, &err),
                 &err);
        answer->count += chosen;
    }
    return count;
}

static void answer_alone(int pair, const int32_t *prompt, int32_t *answer)
{
    struct fixture fixture;
    struct weir_error err = {0};
    open_engine(&fixture, pair, 1);
    struct weir_sampler *greedy = open_greedy(fixture.vocab);
    CHECK_OK(weir_session_eval(fixture.session, prompt, PROMPT, WEIR_LOGITS_LAST, &err), &err);
    for (uint32_t i = 0; i < ANSWER; i++) {
        answer[i] = weir_sampler_pick(greedy, weir_session_logits(fixture.session, 0));
        CHECK_OK(weir_session_eval(fixture.session, &answer[i], 1, WEIR_LOGITS_LAST, &err), &err);
    }
    weir_sampler_close(greedy);
    fixture_close(&fixture);
}

static void check_answers(int pair)
{
    struct answer answers[SESSIONS];
    struct weir_step_item items[SESSIONS];
    struct fixture fixture, drafter;
    int32_t prompt[PROMPT], alone[ANSWER];
    struct weir_error err = {0};
    open_engine(&fixture, pair, SESSIONS + 1);
    open_engine(&drafter, pair, 1);
    make_tokens(prompt, PROMPT, 1, fixture.vocab);
    answer_alone(pair, prompt, alone);
    struct weir_sampler *greedy = open_greedy(fixture.vocab);
    for (uint32_t i = 0; i < SESSIONS; i++) {
        open_answer(&answers[i], fixture.engine, i, drafter.session);
        items[i] = (struct weir_step_item){.session = answers[i].session,
                                           .tokens = prompt,
                                           .count = PROMPT,
                                           .logits = WEIR_LOGITS_LAST};
    }
    CHECK_OK(weir_engine_step(fixture.engine, items, SESSIONS, &err), &err);
    for (uint32_t i = 0; i < SESSIONS; i++)
        answers[i].tokens[answers[i].count++] =
            weir_sampler_pick(greedy, weir_session_logits(answers[i].session, 0));
    while (step_answers(answers, fixture.engine, greedy) > 0)
        ;
    for (uint32_t i = 0; i < SESSIONS; i++) {
        CHECK(memcmp(answers[i].tokens, alone, sizeof alone) == 0);
        weir_speculator_close(answers[i].speculator);
        weir_session_close(answers[i].session);
    }
    weir_sampler_close(greedy);
    fixture_close(&drafter);
    fixture_close(&fixture);
}

TEST(isolation_equal_prompts_have_one_answer)
{
    for (int pair = 0; pair < PAIRS; pair++)
        check_answers(pair);
}

/* ---- a code word ----------------------------------------------------------------------------- */

/* What a listener hears beside a session that was told a secret: all its rows of logits. */
struct heard {
    uint32_t vocab, rows;
    float *logits; /* [2 * PROMPT][vocab], then the last of who was told */
};

static void hear(struct heard *heard, const struct weir_session *session, uint32_t rows)
{
    for (uint32_t i = 0; i < rows; i++) {
        CHECK(heard->rows <= 2 * PROMPT);
        memcpy(heard->logits + (size_t)heard->rows++ * heard->vocab,
               weir_session_logits(session, i), heard->vocab * sizeof *heard->logits);
    }
}

/* A step of both; the listener's rows are kept. */
static void step_both(struct heard *heard, struct weir_session *told, const int32_t *secret,
                      struct weir_session *listener, const int32_t *tokens, uint32_t rows)
{
    const struct weir_step_item items[2] = {{told, secret, 2 * rows, WEIR_LOGITS_LAST},
                                            {listener, tokens, rows, WEIR_LOGITS_ALL}};
    struct weir_error err = {0};
    CHECK_OK(weir_engine_step(told->engine, items, 2, &err), &err);
    hear(heard, listener, rows);
}

/* The listener goes on, from a snapshot, in the place of the session that was told. */
static void move_into(struct weir_session **listener, struct weir_session **told,
                      struct weir_cache *cache, const int32_t *tokens, uint32_t count)
{
    struct weir_engine *engine = (*listener)->engine;
    const uint32_t slot = (*told)->slot;
    uint32_t held;
    struct weir_error err = {0};
    CHECK_OK(weir_cache_put(cache, *listener, 0, &err), &err);
    CHECK_OK(weir_cache_put(cache, *told, 0, &err), &err);
    weir_session_close(*told);
    CHECK_OK(weir_session_open(told, engine, &err), &err);
    CHECK_INT((*told)->slot, slot);
    struct weir_session *moved = *told;
    *told = *listener;
    *listener = moved;
    CHECK_OK(weir_cache_get(cache, moved, 0, tokens, count, &held, &err), &err);
    CHECK_INT(held, count - 1);
    weir_session_reset(*told);
}

/* The listener hears the same tokens in each run: beside the secret, and where it was. */
static void listen_to(struct heard *heard, int pair, int32_t word)
{
    const struct weir_cache_options cache_options = {.bytes_max = 1 << 30};
    struct weir_session *told, *listener;
    struct weir_cache *cache;
    struct weir_error err = {0};
    struct fixture fixture;
    int32_t secret[2 * PROMPT], tokens[2 * PROMPT];
    open_engine(&fixture, pair, 3);
    *heard = (struct heard){.vocab = fixture.vocab};
    heard->logits = calloc((size_t)(2 * PROMPT + 1) * fixture.vocab, sizeof *heard->logits);
    CHECK(heard->logits != NULL);
    make_tokens(secret, 2 * PROMPT, 2, fixture.vocab);
    make_tokens(tokens, 2 * PROMPT, 3, fixture.vocab);
    secret[5] = secret[40] = word;
    CHECK_OK(weir_cache_open(&cache, fixture.engine, &cache_options, &err), &err);
    CHECK_OK(weir_session_open(&told, fixture.engine, &err), &err);
    CHECK_OK(weir_session_open(&listener, fixture.engine, &err), &err);
    for (uint32_t at = 0; at < PROMPT; at += PROMPT / 2)
        step_both(heard, told, secret + 2 * at, listener, tokens + at, PROMPT / 2);
    move_into(&listener, &told, cache, tokens, PROMPT + 1);
    for (uint32_t at = PROMPT; at < 2 * PROMPT; at += PROMPT / 2)
        step_both(heard, told, secret + 2 * (at - PROMPT), listener, tokens + at, PROMPT / 2);
    hear(heard, told, 1);
    weir_session_close(told);
    weir_session_close(listener);
    weir_cache_close(cache);
    fixture_close(&fixture);
}

/* Two runs that differ by the word alone: to the last bit the listener cannot tell which it was,
 * and who was told can. */
TEST(isolation_a_code_word_is_in_no_other_logits)
{
    for (int pair = 0; pair < PAIRS; pair++) {
        struct heard one, two;
        listen_to(&one, pair, 7);
        listen_to(&two, pair, 8);
        const size_t rows = (size_t)2 * PROMPT * one.vocab;
        CHECK_INT(one.rows, 2 * PROMPT + 1);
        CHECK(memcmp(one.logits, two.logits, rows * sizeof *one.logits) == 0);
        CHECK(memcmp(one.logits + rows, two.logits + rows, one.vocab * sizeof *one.logits) != 0);
        free(one.logits);
        free(two.logits);
    }
}
