/* SPDX-License-Identifier: MIT
 * Tests of the bytes that an evaluation touches, as numbers: against the sums of the printed plan,
 * and against each other. Run alone: build/tests/weir-test traffic_ */
#include "golden/fixture.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define NANO    "golden/nano-f32.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf"

static const char *const class_names[WEIR_TRAFFIC_CLASSES] = {
    [WEIR_TRAFFIC_WEIGHTS] = "weights", [WEIR_TRAFFIC_EMBEDDING] = "embedding",
    [WEIR_TRAFFIC_KV] = "kv",           [WEIR_TRAFFIC_STATE] = "state",
    [WEIR_TRAFFIC_CONV] = "conv",       [WEIR_TRAFFIC_ACTIVATIONS] = "activations",
    [WEIR_TRAFFIC_LOGITS] = "logits",
};

/* The end of what was printed: longer than the table of sums. */
struct tail {
    char text[4096];
    size_t length;
};

static void keep_tail(void *user, const char *text, size_t length)
{
    struct tail *tail = user;
    CHECK(length < sizeof tail->text / 2);
    if (tail->length + length >= sizeof tail->text) {
        const size_t kept = sizeof tail->text / 2 < tail->length ? sizeof tail->text / 2 : 0;
        memmove(tail->text, tail->text + tail->length - kept, kept);
        tail->length = kept;
    }
    memcpy(tail->text + tail->length, text, length);
    tail->length += length;
    tail->text[tail->length] = 0;
}

static void check_printed(const struct fixture *fixture, const struct weir_engine_options *options,
                          uint32_t cached, uint32_t rows)
{
    struct weir_traffic sum = {{0}, {0}};
    struct weir_error err = {0};
    static struct tail tail;
    tail.length = 0;
    const struct weir_plan_shape shape = {.rows = rows, .sequences = 1, .cached = cached};
    CHECK_OK(weir_engine_traffic(fixture->engine, cached, rows, WEIR_LOGITS_LAST, &sum, &err),
             &err);
    CHECK_OK(weir_model_print_plan(fixture->model, options, &shape, keep_tail, &tail, &err), &err);
    const char *table = strstr(tail.text, "bytes touched");
    CHECK(table != NULL);
    for (int i = 0; i < WEIR_TRAFFIC_CLASSES; i++) {
        char line[64];
        snprintf(line, sizeof line, "\n%-13s %16llu %16llu\n", class_names[i],
                 (unsigned long long)sum.read[i], (unsigned long long)sum.written[i]);
        if (strstr(table, line) == NULL)
            test_fail(__FILE__, __LINE__, "%u rows behind %u: not printed: %s", rows, cached, line);
    }
}

TEST(traffic_of_a_step_is_the_printed_one)
{
    static const char *const models[] = {NANO, NANOMOE};
    static const uint32_t shapes[][2] = {{0, 1}, {0, 17}, {100, 1}, {33, 5}};
    for (int m = 0; m < 2; m++) {
        struct weir_engine_options options;
        struct fixture fixture;
        fixture_options(&options);
        fixture_open(&fixture, test_data(models[m]), &options);
        for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++)
            check_printed(&fixture, &options, shapes[i][0], shapes[i][1]);
        fixture_close(&fixture);
    }
}

/* 150 tokens behind 30, in steps of at most 64 rows that end at multiples of 64. */
TEST(traffic_of_a_prompt_is_that_of_its_steps)
{
    static const uint32_t steps[] = {34, 64, 52};
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_traffic whole = {{0}, {0}}, parts = {{0}, {0}};
    fixture_options(&options);
    options.step_rows_max = 64;
    fixture_open(&fixture, test_data(NANO), &options);
    CHECK_OK(weir_engine_traffic(fixture.engine, 30, 150, WEIR_LOGITS_LAST, &whole, &err), &err);
    uint32_t cached = 30;
    for (int i = 0; i < 3; i++) {
        CHECK_OK(weir_engine_traffic(fixture.engine, cached, steps[i],
                                     i < 2 ? WEIR_LOGITS_NONE : WEIR_LOGITS_LAST, &parts, &err),
                 &err);
        cached += steps[i];
    }
    CHECK(memcmp(&whole, &parts, sizeof whole) == 0);
    /* One row of logits, whatever the number of steps. */
    CHECK_INT(whole.written[WEIR_TRAFFIC_LOGITS], fixture.vocab * sizeof(float));
    fixture_close(&fixture);
}

/* What the last step has touched is what one like it touches: of an evaluation that takes several,
 * the last. */
TEST(traffic_of_the_last_step)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_traffic expected = {{0}, {0}}, sum = {{0}, {0}};
    int32_t tokens[100] = {0};
    fixture_options(&options);
    options.step_rows_max = 64;
    fixture_open(&fixture, test_data(NANO), &options);
    weir_engine_step_traffic(fixture.engine, &sum);
    CHECK(memcmp(&sum, &expected, sizeof sum) == 0);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 100, WEIR_LOGITS_LAST, &err), &err);
    weir_engine_step_traffic(fixture.engine, &sum);
    CHECK_OK(weir_engine_traffic(fixture.engine, 64, 36, WEIR_LOGITS_LAST, &expected, &err), &err);
    CHECK(memcmp(&sum, &expected, sizeof sum) == 0);
    fixture_close(&fixture);
}

/* ---- the block of multi-token prediction ----------------------------------------------------- */

static struct weir_traffic draft_traffic(const char *model,
                                         const struct weir_engine_options *options, uint32_t cached)
{
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_traffic sum = {{0}, {0}};
    fixture_open(&fixture, model, options);
    CHECK_OK(weir_engine_mtp_traffic(fixture.engine, cached, 1, WEIR_LOGITS_LAST, &sum, &err),
             &err);
    fixture_close(&fixture);
    return sum;
}

/* A draft writes one row of logits and of its cache; it has no state. What a draft from a part of
 * the vocabulary does not touch are the rest of the head and of the logits. */
TEST(traffic_of_a_draft)
{
    enum { WIDTH = 64, VOCAB = 1024, PART = 128, CACHED = 100, HEAD_WIDTH = 32 };
    for (int m = 0; m < 2; m++) {
        const char *model = test_data(m == 0 ? NANO : NANOMOE);
        struct weir_engine_options options;
        fixture_options(&options);
        options.mtp = true;
        const struct weir_traffic whole = draft_traffic(model, &options, CACHED);
        options.mtp_vocab = PART;
        const struct weir_traffic part = draft_traffic(model, &options, CACHED);
        const uint64_t row = HEAD_WIDTH * sizeof(float); /* one head of keys, one of values */
        CHECK_INT(whole.written[WEIR_TRAFFIC_KV], 2 * row);
        CHECK_INT(whole.read[WEIR_TRAFFIC_KV], 2 * row * (CACHED + 1));
        CHECK_INT(whole.read[WEIR_TRAFFIC_STATE] + whole.read[WEIR_TRAFFIC_CONV], 0);
        CHECK_INT(whole.read[WEIR_TRAFFIC_EMBEDDING], WIDTH * sizeof(float));
        CHECK_INT(whole.written[WEIR_TRAFFIC_LOGITS], VOCAB * sizeof(float));
        struct weir_traffic expected = whole;
        expected.read[WEIR_TRAFFIC_WEIGHTS] -= (VOCAB - PART) * WIDTH * sizeof(float);
        expected.written[WEIR_TRAFFIC_LOGITS] = PART * sizeof(float);
        CHECK(memcmp(&part, &expected, sizeof part) == 0);
    }
}

struct refusal {
    uint32_t cached, count;
    enum weir_logits logits;
    enum weir_status status;
    const char *says;
};

TEST(traffic_of_drafts_refuses_what_the_block_refuses)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_traffic sum = {{0}, {0}};
    static const struct refusal cases[] = {
        {0, 0, WEIR_LOGITS_LAST, WEIR_ERR_ARGUMENT, "no tokens"},
        {512, 1, WEIR_LOGITS_LAST, WEIR_ERR_FULL, "512 tokens and 1 more, it holds 512"},
        {0, 65, WEIR_LOGITS_ALL, WEIR_ERR_ARGUMENT, "65 tokens with 65 rows of logits"},
        {0, 1, (enum weir_logits)3, WEIR_ERR_ARGUMENT, "no such choice of logits: 3"},
    };
    fixture_options(&options);
    for (int mtp = 0; mtp < 2; mtp++) {
        options.mtp = mtp;
        fixture_open(&fixture, test_data(NANO), &options);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            struct weir_error err = {0};
            CHECK(weir_engine_mtp_traffic(fixture.engine, cases[i].cached, cases[i].count,
                                          cases[i].logits, &sum, &err) != WEIR_OK);
            fixture_check_says(&err, mtp ? cases[i].status : WEIR_ERR_ARGUMENT,
                               mtp ? cases[i].says : "opened without the MTP block");
        }
        fixture_close(&fixture);
    }
}

TEST(traffic_refuses_what_an_evaluation_refuses)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_traffic sum = {{0}, {0}};
    const struct weir_traffic nothing = {{0}, {0}};
    static const struct refusal cases[] = {
        {0, 0, WEIR_LOGITS_LAST, WEIR_ERR_ARGUMENT, "no tokens"},
        {500, 13, WEIR_LOGITS_LAST, WEIR_ERR_FULL, "500 tokens and 13 more, it holds 512"},
        {513, 1, WEIR_LOGITS_LAST, WEIR_ERR_FULL, "513 tokens and 1 more"},
        {0, 65, WEIR_LOGITS_ALL, WEIR_ERR_ARGUMENT, "expected at most 64"},
    };
    fixture_options(&options);
    fixture_open(&fixture, test_data(NANO), &options);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_error err = {0};
        CHECK(weir_engine_traffic(fixture.engine, cases[i].cached, cases[i].count, cases[i].logits,
                                  &sum, &err) != WEIR_OK);
        fixture_check_says(&err, cases[i].status, cases[i].says);
    }
    CHECK(memcmp(&sum, &nothing, sizeof sum) == 0);
    fixture_close(&fixture);
}
