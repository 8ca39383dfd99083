/* SPDX-License-Identifier: MIT
 * Sessions that go back: what they compute behind it is what they would have computed without the
 * detour, to the bit, by each backend and each level of instructions. Run alone:
 * build/tests/weir-test rewind_ */
#include "golden/fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "golden/engines.h"

enum { LENGTH = 84, ROWS_MAX = WEIR_REWIND_MAX };

static const char *const models[] = {"golden/nano-q4_0.gguf", "golden/nanomoe-q4_0.gguf"};
enum { MODELS = sizeof models / sizeof models[0] };

static void engine_options(struct weir_engine_options *options, int engine, uint32_t rewind_max)
{
    fixture_options(options);
    engines_choose(options, engine);
    options->rewind_max = rewind_max;
}

/* A text, and the logits behind each of its tokens, one by one without marks. */
struct truth {
    uint32_t vocab;
    int32_t tokens[LENGTH];
    float *logits;
};

static void truth_open(struct truth *truth, const char *model, int engine)
{
    struct weir_engine_options options;
    struct fixture fixture;
    engine_options(&options, engine, 0);
    fixture_open(&fixture, model, &options);
    truth->vocab = fixture.vocab;
    for (uint32_t i = 0; i < LENGTH; i++)
        truth->tokens[i] = (int32_t)(rng_bits(test_seed(), 1, i) % truth->vocab);
    truth->logits = fixture_logits(&fixture, truth->tokens, LENGTH, true);
    fixture_close(&fixture);
}

static void check_row(const struct truth *truth, const struct weir_session *session, uint32_t row,
                      uint32_t position, const char *what)
{
    if (memcmp(weir_session_logits(session, row), truth->logits + (size_t)position * truth->vocab,
               truth->vocab * sizeof(float)) != 0)
        test_fail(__FILE__, __LINE__, "%s: logits behind token %u", what, position);
}

/* A round: the next `good` tokens of the text and `bad` others behind them, in steps of `step`
 * rows; then back to the good ones. */
static void round_of(const struct truth *truth, struct weir_session *session, uint32_t good,
                     uint32_t bad, uint32_t step, const char *what)
{
    struct weir_error err = {0};
    int32_t tokens[ROWS_MAX];
    const uint32_t begin = weir_session_position(session);
    for (uint32_t i = 0; i < good + bad; i++)
        tokens[i] = i < good ? truth->tokens[begin + i]
                             : (truth->tokens[(begin + i) % LENGTH] + 1) % (int32_t)truth->vocab;
    CHECK_OK(weir_session_mark(session, &err), &err);
    for (uint32_t done = 0; done < good + bad; done += step) {
        const uint32_t rows = good + bad - done < step ? good + bad - done : step;
        CHECK_OK(weir_session_eval(session, tokens + done, rows, WEIR_LOGITS_ALL, &err), &err);
        for (uint32_t i = 0; i < rows && done + i < good; i++)
            check_row(truth, session, i, begin + done + i, what);
    }
    CHECK_INT(weir_session_position(session), begin + good + bad);
    CHECK_OK(weir_session_rewind(session, begin + good, &err), &err);
    CHECK(memcmp(weir_session_tokens(session), truth->tokens, (begin + good) * sizeof(int32_t)) ==
          0);
}

/* ---- every length, every place --------------------------------------------------------------- */

static void check_all_rounds(int model, int engine)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct truth truth;
    truth_open(&truth, test_data(models[model]), engine);
    engine_options(&options, engine, ROWS_MAX);
    fixture_open(&fixture, test_data(models[model]), &options);
    for (uint32_t rows = 1; rows <= ROWS_MAX; rows++) {
        for (uint32_t good = 0; good <= rows; good++) {
            if (weir_session_position(fixture.session) + rows + 1 > LENGTH)
                weir_session_reset(fixture.session);
            round_of(&truth, fixture.session, good, rows - good, rows, "a round");
        }
    }
    free(truth.logits);
    fixture_close(&fixture);
}

TEST(rewind_to_every_place_of_every_round)
{
    for (int engine = 0; engine < ENGINES; engine++) {
        for (int model = 0; model < MODELS; model++)
            check_all_rounds(model, engine);
    }
}

/* ---- any mixture ----------------------------------------------------------------------------- */

/* A plain step of up to ROWS_MAX tokens of the text, without a mark. */
static void plain_step(const struct truth *truth, struct weir_session *session, uint32_t rows)
{
    struct weir_error err = {0};
    const uint32_t begin = weir_session_position(session);
    weir_session_unmark(session);
    CHECK_OK(weir_session_eval(session, truth->tokens + begin, rows, WEIR_LOGITS_ALL, &err), &err);
    for (uint32_t i = 0; i < rows; i++)
        check_row(truth, session, i, begin + i, "a plain step");
}

/* Rounds in one step or many, with plain steps between them, of an engine with little room. */
static void check_mixture(int model, int engine, uint32_t rewind_max, uint64_t stream)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct truth truth;
    uint64_t draw = 0;
    truth_open(&truth, test_data(models[model]), engine);
    engine_options(&options, engine, rewind_max);
    options.threads = rewind_max == 1 ? 3 : 2;
    fixture_open(&fixture, test_data(models[model]), &options);
    while (weir_session_position(fixture.session) < LENGTH) {
        const uint32_t left = LENGTH - weir_session_position(fixture.session);
        const uint32_t most = left < rewind_max ? left : rewind_max;
        const uint32_t rows = 1 + (uint32_t)(rng_bits(test_seed(), stream, draw++) % most);
        const uint32_t good = (uint32_t)(rng_bits(test_seed(), stream, draw++) % (rows + 1));
        const uint32_t step = 1 + (uint32_t)(rng_bits(test_seed(), stream, draw++) % rows);
        if (rng_bits(test_seed(), stream, draw++) % 4 == 0)
            plain_step(&truth, fixture.session, rows);
        else
            round_of(&truth, fixture.session, good, rows - good, step, "a mixture");
    }
    free(truth.logits);
    fixture_close(&fixture);
}

TEST(rewind_mixed_with_plain_steps)
{
    for (int engine = 0; engine < ENGINES; engine++) {
        for (int model = 0; model < MODELS; model++) {
            check_mixture(model, engine, 1, 10);
            check_mixture(model, engine, 4, 11);
            check_mixture(model, engine, ROWS_MAX, 12);
        }
    }
}

/* Steps of many rows come in chunks, which know nothing of records: those pending are settled. */
TEST(rewind_then_many_rows)
{
    for (int engine = 0; engine < ENGINES; engine++) {
        struct weir_engine_options options;
        struct fixture plain, back;
        struct truth truth;
        struct weir_error err = {0};
        truth_open(&truth, test_data(models[0]), engine);
        engine_options(&options, engine, 0);
        fixture_open(&plain, test_data(models[0]), &options);
        engine_options(&options, engine, 8);
        fixture_open(&back, test_data(models[0]), &options);
        CHECK_OK(weir_session_eval(plain.session, truth.tokens, 5, WEIR_LOGITS_NONE, &err), &err);
        round_of(&truth, back.session, 5, 3, 8, "a prompt");
        weir_session_unmark(back.session);
        CHECK_OK(
            weir_session_eval(plain.session, truth.tokens + 5, LENGTH - 5, WEIR_LOGITS_LAST, &err),
            &err);
        CHECK_OK(
            weir_session_eval(back.session, truth.tokens + 5, LENGTH - 5, WEIR_LOGITS_LAST, &err),
            &err);
        CHECK(memcmp(weir_session_logits(plain.session, 0), weir_session_logits(back.session, 0),
                     truth.vocab * sizeof(float)) == 0);
        free(truth.logits);
        fixture_close(&plain);
        fixture_close(&back);
    }
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void check_says(struct weir_error *err, const char *part)
{
    fixture_check_says(err, WEIR_ERR_ARGUMENT, part);
    *err = (struct weir_error){0};
}

static void check_engine_refused(const struct weir_engine_options *options, const char *part)
{
    struct weir_model *model;
    struct weir_engine *engine;
    struct weir_error err = {0};
    CHECK_OK(weir_model_open(&model, test_data(models[0]), NULL, &err), &err);
    CHECK(weir_engine_open(&engine, model, options, &err) != WEIR_OK && engine == NULL);
    check_says(&err, part);
    weir_model_close(model);
}

TEST(rewind_refuses_what_it_cannot)
{
    static const int32_t tokens[ROWS_MAX] = {1, 2, 3};
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    engine_options(&options, 0, 4);
    fixture_open(&fixture, test_data(models[0]), &options);
    struct weir_session *session = fixture.session;
    CHECK_OK(weir_session_eval(session, tokens, 3, WEIR_LOGITS_NONE, &err), &err);
    weir_session_rewind(session, 2, &err);
    check_says(&err, "cannot go back to 2 tokens, expected 3 to 3");
    CHECK_OK(weir_session_mark(session, &err), &err);
    weir_session_eval(session, tokens, 5, WEIR_LOGITS_NONE, &err);
    check_says(&err, "0 tokens and 5 more behind the mark of a session, expected at most 4");
    CHECK_OK(weir_session_eval(session, tokens, 2, WEIR_LOGITS_NONE, &err), &err);
    const struct weir_step_item item = {session, tokens, 3, WEIR_LOGITS_NONE};
    weir_engine_step(fixture.engine, &item, 1, &err);
    check_says(&err, "2 tokens and 3 more behind the mark");
    weir_session_rewind(session, 2, &err);
    check_says(&err, "expected 3 to 5");
    weir_session_rewind(session, 6, &err);
    check_says(&err, "expected 3 to 5");
    CHECK_INT(weir_session_position(session), 5);
    fixture_close(&fixture);
    engine_options(&options, 0, 0);
    fixture_open(&fixture, test_data(models[0]), &options);
    weir_session_mark(fixture.session, &err);
    check_says(&err, "cannot go back");
    fixture_close(&fixture);
    engine_options(&options, 0, WEIR_REWIND_MAX + 1);
    check_engine_refused(&options, "to go back is 17, expected 0 to 16");
    engine_options(&options, 0, 4);
    options.fused_gdn = WEIR_OFF;
    check_engine_refused(&options, "with the delta rule unfused");
}
