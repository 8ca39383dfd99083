/* SPDX-License-Identifier: MIT
 * The block of multi-token prediction: its logits, hidden states and drafts against the reference
 * engine's and against themselves, and what its functions refuse. Run alone:
 * build/tests/weir-test mtp_ */
#include "golden/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edited_model.h"

enum { TOKENS = 24, DRAFTS = 4 };

/* ---- prompt and chain ------------------------------------------------------------------------ */

/* All that a prompt and a greedy chain behind it give. */
struct mtp_run {
    uint32_t vocab, width;
    float *hidden;     /* [TOKENS][width]: behind each token, of the model */
    float *logits;     /* [TOKENS + DRAFTS][vocab], of the block */
    float *own_hidden; /* [TOKENS + DRAFTS][width], of the block */
    int32_t next;      /* the model's own choice */
    int32_t draft[DRAFTS];
};

static void run_open(struct mtp_run *run, const struct fixture *fixture)
{
    run->vocab = fixture->vocab;
    run->width = weir_engine_width(fixture->engine);
    run->hidden = malloc(TOKENS * run->width * sizeof *run->hidden);
    run->logits = malloc((TOKENS + DRAFTS) * run->vocab * sizeof *run->logits);
    run->own_hidden = malloc((TOKENS + DRAFTS) * run->width * sizeof *run->own_hidden);
    CHECK(run->hidden != NULL && run->logits != NULL && run->own_hidden != NULL);
}

static void run_close(struct mtp_run *run)
{
    free(run->hidden);
    free(run->logits);
    free(run->own_hidden);
}

static int32_t largest(const float *logits, uint32_t count)
{
    uint32_t at = 0;
    for (uint32_t i = 1; i < count; i++)
        at = logits[i] > logits[at] ? i : at;
    return (int32_t)at;
}

/* One step of the block; its rows go to rows `at` and on. */
static void draft_rows(struct mtp_run *run, struct weir_session *session, const int32_t *tokens,
                       const float *before, uint32_t rows, uint32_t at)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_mtp_eval(session, tokens, before, rows, WEIR_LOGITS_ALL, &err), &err);
    for (uint32_t row = 0; row < rows; row++) {
        memcpy(run->logits + (at + row) * run->vocab, weir_session_mtp_logits(session, row),
               run->vocab * sizeof(float));
        memcpy(run->own_hidden + (at + row) * run->width, weir_session_mtp_hidden(session, row),
               run->width * sizeof(float));
    }
    CHECK(weir_session_mtp_logits(session, rows) == NULL);
    CHECK(weir_session_mtp_hidden(session, rows) == NULL);
}

/* The hidden states before tokens [first, first + rows): those behind the tokens before; malloc. */
static float *hidden_before(const struct mtp_run *run, uint32_t first, uint32_t rows)
{
    float *before = calloc(rows, run->width * sizeof *before);
    CHECK(before != NULL);
    for (uint32_t row = 0; row < rows; row++) {
        if (first + row > 0)
            memcpy(before + row * run->width, run->hidden + (first + row - 1) * run->width,
                   run->width * sizeof *before);
    }
    return before;
}

/* Tokens [first, first + rows) through the model, then through the block. */
static void run_rows(struct mtp_run *run, struct weir_session *session, const int32_t *tokens,
                     uint32_t first, uint32_t rows)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_eval(session, tokens + first, rows, WEIR_LOGITS_LAST, &err), &err);
    for (uint32_t row = 0; row < rows; row++)
        memcpy(run->hidden + (first + row) * run->width, weir_session_hidden(session, row),
               run->width * sizeof *run->hidden);
    CHECK(weir_session_hidden(session, rows) == NULL);
    float *before = hidden_before(run, first, rows);
    draft_rows(run, session, tokens + first, before, rows, first);
    free(before);
}

static void run_chain(struct mtp_run *run, struct weir_session *session)
{
    const float *before = run->hidden + (TOKENS - 1) * run->width;
    int32_t token = run->next = largest(weir_session_logits(session, 0), run->vocab);
    for (uint32_t i = 0; i < DRAFTS; i++) {
        draft_rows(run, session, &token, before, 1, TOKENS + i);
        before = weir_session_mtp_hidden(session, 0); /* overwritten by the step that reads it */
        token = run->draft[i] = largest(run->logits + (TOKENS + i) * run->vocab, run->vocab);
    }
}

/* The 24 tokens in steps of `step`, then the drafts. */
static void run_model(struct mtp_run *run, const char *model,
                      const struct weir_engine_options *options, uint32_t step)
{
    struct fixture fixture;
    uint32_t count;
    fixture_open(&fixture, model, options);
    run_open(run, &fixture);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    CHECK_INT(count, TOKENS);
    for (uint32_t done = 0; done < TOKENS; done += step)
        run_rows(run, fixture.session, tokens, done, step < TOKENS - done ? step : TOKENS - done);
    run_chain(run, fixture.session);
    CHECK_INT(weir_session_position(fixture.session), TOKENS);
    CHECK_INT(weir_session_mtp_position(fixture.session), TOKENS + DRAFTS);
    free(tokens);
    fixture_close(&fixture);
}

static void mtp_options(struct weir_engine_options *options)
{
    fixture_options(options);
    options->mtp = true;
}

/* ---- the reference --------------------------------------------------------------------------- */

static void compare(const char *path, const float *actual, size_t count)
{
    size_t expected_count;
    float *expected = fixture_floats(path, &expected_count);
    CHECK_INT(expected_count, count);
    const double nmse = test_nmse(actual, expected, count);
    if (!(nmse <= 1e-9))
        test_fail(__FILE__, __LINE__, "%s: NMSE %g, expected at most 1e-9", path, nmse);
    free(expected);
}

/* "sampled 94", then "draft 554 1017 769 573". */
static void compare_drafts(const char *path, const struct mtp_run *run)
{
    size_t size;
    int next, draft[DRAFTS];
    char *text = (char *)test_read_file(path, &size);
    CHECK_INT(sscanf(text, "sampled %d draft %d %d %d %d", &next, &draft[0], &draft[1], &draft[2],
                     &draft[3]),
              1 + DRAFTS);
    CHECK_INT(run->next, next);
    for (int i = 0; i < DRAFTS; i++)
        CHECK_INT(run->draft[i], draft[i]);
    free(text);
}

/* `folder` finds the files of the vectors: test_data or test_shared. */
static void check_against_reference(const char *model, const char *(*folder)(const char *name),
                                    const char *stem)
{
    struct weir_engine_options options;
    struct mtp_run run;
    char name[96];
    mtp_options(&options);
    run_model(&run, model, &options, TOKENS);
    snprintf(name, sizeof name, "%s.hidden.f32", stem);
    compare(folder(name), run.hidden, TOKENS * run.width);
    snprintf(name, sizeof name, "%s.mtp_logits.f32", stem);
    compare(folder(name), run.logits, (TOKENS + DRAFTS) * run.vocab);
    snprintf(name, sizeof name, "%s.draft.txt", stem);
    compare_drafts(folder(name), &run);
    run_close(&run);
}

TEST(mtp_logits_and_drafts_match_reference)
{
    check_against_reference(test_data("golden/nano-f32.gguf"), test_data, "golden/nano-f32");
    check_against_reference(test_data("golden/nanomoe-f32.gguf"), test_data, "golden/nanomoe-f32");
}

TEST(mtp_logits_of_tiny_models_match_reference)
{
    check_against_reference(fixture_synth("tiny", "f32"), test_shared, "vectors/logits/tiny-f32");
    check_against_reference(fixture_synth("tinymoe", "f32"), test_shared,
                            "vectors/logits/tinymoe-f32");
}

/* ---- equalities: to the bit ------------------------------------------------------------------ */

enum { MODELS = 4 };

/* The recorded models, and quantized ones made here. */
static const char *model_path(int number)
{
    static const char *const recorded[] = {"golden/nano-f32.gguf", "golden/nanomoe-f32.gguf"};
    static const char *const made[][2] = {{"nano", "q4_0"}, {"nanomoe", "q8_0"}};
    struct weir_synth_options synth;
    struct weir_error err = {0};
    if (number < 2)
        return test_data(recorded[number]);
    const char *path = test_scratch(made[number - 2][0]);
    weir_synth_options_init(&synth);
    synth.size = made[number - 2][0];
    synth.type = made[number - 2][1];
    synth.layers = 4;
    synth.vocab = 1024;
    synth.mtp = true;
    CHECK_OK(weir_synth(path, &synth, &err), &err);
    return path;
}

static void check_same_runs(const struct mtp_run *a, const struct mtp_run *b)
{
    CHECK(memcmp(a->hidden, b->hidden, TOKENS * a->width * sizeof(float)) == 0);
    CHECK(memcmp(a->logits, b->logits, (TOKENS + DRAFTS) * a->vocab * sizeof(float)) == 0);
    CHECK(memcmp(a->own_hidden, b->own_hidden, (TOKENS + DRAFTS) * a->width * sizeof(float)) == 0);
    CHECK_INT(a->next, b->next);
    for (int i = 0; i < DRAFTS; i++)
        CHECK_INT(a->draft[i], b->draft[i]);
}

static void check_same_bits(const char *model, const struct weir_engine_options *a,
                            const struct weir_engine_options *b, uint32_t b_step)
{
    struct mtp_run a_run, b_run;
    run_model(&a_run, model, a, TOKENS);
    run_model(&b_run, model, b, b_step);
    check_same_runs(&a_run, &b_run);
    run_close(&a_run);
    run_close(&b_run);
}

TEST(mtp_one_step_is_many)
{
    for (int m = 0; m < MODELS; m++) {
        struct weir_engine_options options;
        mtp_options(&options);
        check_same_bits(model_path(m), &options, &options, 1);
        options.cache_k = WEIR_CACHE_F16;
        options.cache_v = WEIR_CACHE_F16;
        check_same_bits(model_path(m), &options, &options, 7);
    }
}

TEST(mtp_fused_is_unfused)
{
    for (int m = 0; m < MODELS; m++) {
        struct weir_engine_options fused, unfused;
        mtp_options(&fused);
        mtp_options(&unfused);
        unfused.fuse = WEIR_OFF;
        check_same_bits(model_path(m), &fused, &unfused, TOKENS);
        unfused.fused_gdn = WEIR_OFF;
        check_same_bits(model_path(m), &fused, &unfused, 1);
    }
}

TEST(mtp_threads_and_loading_do_not_matter)
{
    for (int m = 0; m < MODELS; m++) {
        struct weir_engine_options one, other;
        mtp_options(&one);
        mtp_options(&other);
        one.threads = 1;
        other.threads = 3;
        other.load = WEIR_LOAD_READ;
        other.check_tensors = true;
        check_same_bits(model_path(m), &one, &other, TOKENS);
    }
}

/* Keeping every row's hidden state changes none of the model's own logits. */
TEST(mtp_leaves_the_models_logits)
{
    for (int m = 0; m < MODELS; m++) {
        float *logits[2];
        size_t bytes = 0;
        for (int mtp = 0; mtp < 2; mtp++) {
            struct weir_engine_options options;
            struct fixture fixture;
            uint32_t count;
            fixture_options(&options);
            options.mtp = mtp;
            fixture_open(&fixture, model_path(m), &options);
            int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
            logits[mtp] = fixture_logits(&fixture, tokens, count, false);
            bytes = count * fixture.vocab * sizeof(float);
            free(tokens);
            fixture_close(&fixture);
        }
        CHECK(memcmp(logits[0], logits[1], bytes) == 0);
        free(logits[0]);
        free(logits[1]);
    }
}

/* Hidden states are there also for rows whose logits are not wanted. */
TEST(mtp_rows_need_no_logits)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct mtp_run run;
    struct fixture fixture;
    uint32_t count;
    mtp_options(&options);
    fixture_open(&fixture, model_path(1), &options);
    struct weir_session *session = fixture.session;
    run_open(&run, &fixture);
    const size_t row = run.width * sizeof(float);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    run_rows(&run, session, tokens, 0, TOKENS);
    weir_session_reset(session);
    CHECK(weir_session_hidden(session, 0) == NULL && weir_session_mtp_hidden(session, 0) == NULL);
    CHECK_INT(weir_session_mtp_position(session), 0);
    CHECK_OK(weir_session_eval(session, tokens, 5, WEIR_LOGITS_NONE, &err), &err);
    for (uint32_t i = 0; i < 5; i++)
        CHECK(memcmp(run.hidden + i * run.width, weir_session_hidden(session, i), row) == 0);
    float *before = hidden_before(&run, 0, 5);
    CHECK_OK(weir_session_mtp_eval(session, tokens, before, 3, WEIR_LOGITS_NONE, &err), &err);
    CHECK(weir_session_mtp_logits(session, 0) == NULL);
    for (uint32_t i = 0; i < 3; i++)
        CHECK(memcmp(run.own_hidden + i * run.width, weir_session_mtp_hidden(session, i), row) ==
              0);
    CHECK_OK(weir_session_mtp_eval(session, tokens + 3, before + 3 * run.width, 2, WEIR_LOGITS_LAST,
                                   &err),
             &err);
    CHECK(weir_session_mtp_logits(session, 1) == NULL);
    CHECK(memcmp(run.logits + 4 * run.vocab, weir_session_mtp_logits(session, 0),
                 run.vocab * sizeof(float)) == 0);
    free(before);
    free(tokens);
    run_close(&run);
    fixture_close(&fixture);
}

/* ---- going back ------------------------------------------------------------------------------ */

/* After a chain the block goes back and gets the same tokens again, from any position. */
TEST(mtp_rewound_gives_the_same_bits)
{
    static const uint32_t positions[] = {TOKENS, TOKENS - 1, 10, 1, 0};
    for (int m = 0; m < 2; m++) {
        struct weir_engine_options options;
        struct mtp_run first, second;
        struct weir_error err = {0};
        struct fixture fixture;
        uint32_t count;
        mtp_options(&options);
        fixture_open(&fixture, model_path(m), &options);
        run_open(&first, &fixture);
        run_open(&second, &fixture);
        int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
        run_rows(&first, fixture.session, tokens, 0, TOKENS);
        run_chain(&first, fixture.session);
        for (size_t i = 0; i < sizeof positions / sizeof positions[0]; i++) {
            const uint32_t at = positions[i];
            CHECK_OK(weir_session_mtp_rewind(fixture.session, at, &err), &err);
            CHECK_INT(weir_session_mtp_position(fixture.session), at);
            memset(second.logits, 0, (TOKENS + DRAFTS) * second.vocab * sizeof(float));
            if (at < TOKENS) {
                float *before = hidden_before(&first, at, TOKENS - at);
                draft_rows(&second, fixture.session, tokens + at, before, TOKENS - at, at);
                free(before);
            }
            memcpy(second.hidden, first.hidden, TOKENS * first.width * sizeof(float));
            run_chain(&second, fixture.session); /* the model's last logits are still there */
            CHECK(memcmp(first.logits + at * first.vocab, second.logits + at * first.vocab,
                         (TOKENS + DRAFTS - at) * first.vocab * sizeof(float)) == 0);
        }
        CHECK_INT(weir_session_position(fixture.session), TOKENS);
        run_close(&first);
        run_close(&second);
        free(tokens);
        fixture_close(&fixture);
    }
}

/* Two sessions, a few rows of one and then of the other: each gets what it gets alone, in the
 * model's part and in the block's. */
TEST(mtp_sessions_do_not_meet)
{
    for (int m = 0; m < 2; m++) {
        struct weir_engine_options options;
        struct weir_session *sessions[2];
        struct mtp_run alone[2], together[2];
        struct weir_error err = {0};
        struct fixture fixture;
        uint32_t count, done[2] = {0};
        mtp_options(&options);
        options.sessions_max = 2;
        fixture_open(&fixture, model_path(m), &options);
        int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
        sessions[0] = fixture.session;
        CHECK_OK(weir_session_open(&sessions[1], fixture.engine, &err), &err);
        for (int s = 0; s < 2; s++) {
            run_open(&alone[s], &fixture);
            run_open(&together[s], &fixture);
            run_rows(&alone[s], fixture.session, tokens + 50 * s, 0, TOKENS);
            run_chain(&alone[s], fixture.session);
            weir_session_reset(fixture.session);
        }
        for (int round = 0; done[0] < TOKENS || done[1] < TOKENS; round++) {
            for (int s = 0; s < 2; s++) {
                const uint32_t left = TOKENS - done[s], want = 1 + (uint32_t)(round * 3 + s) % 5;
                const uint32_t rows = want < left ? want : left;
                if (rows > 0)
                    run_rows(&together[s], sessions[s], tokens + 50 * s, done[s], rows);
                done[s] += rows;
                if (rows > 0 && done[s] == TOKENS)
                    run_chain(&together[s], sessions[s]);
            }
        }
        weir_session_close(sessions[1]);
        for (int s = 0; s < 2; s++) {
            check_same_runs(&together[s], &alone[s]);
            run_close(&alone[s]);
            run_close(&together[s]);
        }
        free(tokens);
        fixture_close(&fixture);
    }
}

/* Rows of two sessions in one step of the model: each finds its own hidden states. */
TEST(mtp_rows_of_a_shared_step)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct mtp_run alone[2];
    struct fixture fixture;
    struct weir_session *other;
    uint32_t count;
    mtp_options(&options);
    options.sessions_max = 2;
    fixture_open(&fixture, model_path(1), &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    for (int s = 0; s < 2; s++) {
        run_open(&alone[s], &fixture);
        run_rows(&alone[s], fixture.session, tokens + 50 * s, 0, TOKENS);
        weir_session_reset(fixture.session);
    }
    CHECK_OK(weir_session_open(&other, fixture.engine, &err), &err);
    const struct weir_step_item items[2] = {{fixture.session, tokens, 5, WEIR_LOGITS_LAST},
                                            {other, tokens + 50, 3, WEIR_LOGITS_NONE}};
    CHECK_OK(weir_engine_step(fixture.engine, items, 2, &err), &err);
    for (uint32_t s = 0; s < 2; s++) {
        for (uint32_t row = 0; row < items[s].count; row++)
            CHECK(memcmp(weir_session_hidden(items[s].session, row),
                         alone[s].hidden + row * alone[s].width,
                         alone[s].width * sizeof(float)) == 0);
        CHECK(weir_session_hidden(items[s].session, items[s].count) == NULL);
        run_close(&alone[s]);
    }
    weir_session_close(other);
    free(tokens);
    fixture_close(&fixture);
}

/* ---- what is refused ------------------------------------------------------------------------- */

#define CHECK_SAYS(call, expected, text)                                                           \
    do {                                                                                           \
        struct weir_error err_ = {0};                                                              \
        CHECK_INT(call, expected);                                                                 \
        fixture_check_says(&err_, expected, text);                                                 \
    } while (0)

TEST(mtp_needs_the_option_and_the_block)
{
    const int32_t token = 1;
    const float hidden[64] = {0};
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    fixture_options(&options);
    fixture_open(&fixture, model_path(0), &options);
    struct weir_session *session = fixture.session;
    CHECK_SAYS(weir_session_mtp_eval(session, &token, hidden, 1, WEIR_LOGITS_LAST, &err_),
               WEIR_ERR_ARGUMENT, "the engine was opened without the MTP block");
    CHECK_OK(weir_session_eval(session, &token, 1, WEIR_LOGITS_LAST, &err), &err);
    CHECK(weir_session_hidden(session, 0) == NULL);
    CHECK(weir_session_mtp_logits(session, 0) == NULL);
    CHECK(weir_session_mtp_hidden(session, 0) == NULL);
    CHECK_INT(weir_session_mtp_position(session), 0);
    CHECK_SAYS(weir_session_mtp_rewind(session, 1, &err_), WEIR_ERR_ARGUMENT, "it holds 0");
    fixture_close(&fixture);

    struct weir_model *model;
    struct weir_engine *engine;
    options.mtp = true;
    CHECK_OK(weir_model_open(&model, test_data("golden/nano-q4_0.gguf"), NULL, &err), &err);
    CHECK_SAYS(weir_engine_open(&engine, model, &options, &err_), WEIR_ERR_UNSUPPORTED,
               "nano-q4_0.gguf: has no block of multi-token prediction, expected "
               "nextn_predict_layers 1");
    CHECK(engine == NULL);
    weir_model_close(model);
}

TEST(mtp_refuses_what_does_not_fit)
{
    static const int32_t tokens[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, bad[2] = {1, 1024};
    const float hidden[9 * 64] = {0};
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    mtp_options(&options);
    options.context = 8;
    options.step_rows_max = 6;
    options.logits_rows_max = 3;
    fixture_open(&fixture, model_path(0), &options);
    struct weir_session *session = fixture.session;
    CHECK_SAYS(weir_session_mtp_eval(session, tokens, hidden, 7, WEIR_LOGITS_LAST, &err_),
               WEIR_ERR_ARGUMENT, "7 tokens with 1 rows of logits, expected at most 6 and 3");
    CHECK_SAYS(weir_session_mtp_eval(session, tokens, hidden, 4, WEIR_LOGITS_ALL, &err_),
               WEIR_ERR_ARGUMENT, "4 tokens with 4 rows of logits, expected at most 6 and 3");
    CHECK_SAYS(weir_session_mtp_eval(session, tokens, hidden, 1, (enum weir_logits)3, &err_),
               WEIR_ERR_ARGUMENT, "no such choice of logits: 3");
    CHECK_SAYS(weir_session_mtp_eval(session, tokens, hidden, 0, WEIR_LOGITS_ALL, &err_),
               WEIR_ERR_ARGUMENT, "no tokens");
    CHECK_SAYS(weir_session_mtp_eval(session, bad, hidden, 2, WEIR_LOGITS_ALL, &err_),
               WEIR_ERR_ARGUMENT, "token 1 of the input is 1024, expected 0 to 1023");
    CHECK_INT(weir_session_mtp_position(session), 0);
    CHECK_OK(weir_session_mtp_eval(session, tokens, hidden, 6, WEIR_LOGITS_NONE, &err), &err);
    CHECK_SAYS(weir_session_mtp_eval(session, tokens, hidden, 3, WEIR_LOGITS_NONE, &err_),
               WEIR_ERR_FULL, "6 tokens and 3 more, it holds 8");
    CHECK_SAYS(weir_session_mtp_rewind(session, 7, &err_), WEIR_ERR_ARGUMENT,
               "the MTP block cannot go back to 7 tokens, it holds 6");
    CHECK_INT(weir_session_mtp_position(session), 6);
    CHECK_OK(weir_session_mtp_rewind(session, 6, &err), &err);
    CHECK_OK(weir_session_mtp_rewind(session, 5, &err), &err);
    CHECK(weir_session_mtp_hidden(session, 5) !=
          NULL); /* of the last step, which has not changed */
    CHECK_OK(weir_session_mtp_eval(session, tokens, hidden, 3, WEIR_LOGITS_ALL, &err), &err);
    CHECK_INT(weir_session_mtp_position(session), 8);
    CHECK_INT(weir_session_position(session), 0);
    fixture_close(&fixture);
}

/* What a step leaves is gone with the next one of its kind, whosever that is. */
TEST(mtp_results_last_until_the_next_step)
{
    static const int32_t tokens[2] = {1, 2};
    const float hidden[2 * 64] = {0};
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    struct weir_session *other;
    mtp_options(&options);
    options.sessions_max = 2;
    fixture_open(&fixture, model_path(0), &options);
    struct weir_session *session = fixture.session;
    CHECK_OK(weir_session_open(&other, fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(session, tokens, 2, WEIR_LOGITS_ALL, &err), &err);
    CHECK_OK(weir_session_mtp_eval(session, tokens, hidden, 2, WEIR_LOGITS_ALL, &err), &err);
    CHECK(weir_session_logits(session, 1) != NULL && weir_session_hidden(session, 1) != NULL);
    CHECK(weir_session_mtp_hidden(other, 0) == NULL && weir_session_hidden(other, 0) == NULL);
    CHECK_OK(weir_session_eval(other, tokens, 1, WEIR_LOGITS_ALL, &err), &err);
    CHECK(weir_session_logits(session, 0) == NULL && weir_session_hidden(session, 0) == NULL);
    CHECK(weir_session_mtp_logits(session, 1) != NULL);
    CHECK(weir_session_mtp_hidden(session, 1) != NULL);
    CHECK_OK(weir_session_mtp_eval(other, tokens, hidden, 1, WEIR_LOGITS_NONE, &err), &err);
    CHECK(weir_session_mtp_logits(session, 0) == NULL);
    CHECK(weir_session_mtp_hidden(session, 0) == NULL);
    CHECK(weir_session_mtp_hidden(other, 0) != NULL);
    weir_session_close(other);
    fixture_close(&fixture);
}

TEST(mtp_refuses_logits_that_are_not_finite)
{
    static const int32_t tokens[2] = {1, 2};
    const float hidden[2 * 64] = {0};
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    struct edited_model *edited = edited_open(model_path(1));
    edited_floats(edited_find(edited, "blk.4.nextn.shared_head_norm.weight"))[63] = NAN;
    const char *path = edited_write(edited, "nan.gguf");
    edited_close(edited);
    mtp_options(&options);
    fixture_open(&fixture, path, &options);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 2, WEIR_LOGITS_ALL, &err), &err);
    CHECK_SAYS(weir_session_mtp_eval(fixture.session, tokens, hidden, 2, WEIR_LOGITS_ALL, &err_),
               WEIR_ERR_FORMAT, "row 0 of the logits is not finite");
    fixture_close(&fixture);
}
