/* SPDX-License-Identifier: MIT
 * Engines when memory runs out: every allocation of opening and running fails once, and running
 * allocates nothing. Run alone: build/tests/weir-test engine_alloc */
#include "golden/fixture.h"

#include <stdlib.h>

#include "alloc.h"

#define NANO    "golden/nano-q4_0.gguf"
#define NANOMOE "golden/nanomoe-f32.gguf"

enum { WIDTH = 64 }; /* of both */

/* Everything that a program does with a model, from the file to the logits. With the MTP block it
 * is the model that has one. */
static void use_a_model(void *argument)
{
    const struct weir_engine_options *options = argument;
    static const float hidden[3 * WIDTH];
    const int32_t tokens[3] = {3, 1, 2};
    struct weir_model *model = NULL;
    struct weir_engine *engine = NULL;
    struct weir_session *session = NULL;
    struct weir_error err = {0};
    enum weir_status status =
        weir_model_open(&model, test_data(options->mtp ? NANOMOE : NANO), NULL, &err);
    if (status == WEIR_OK)
        status = weir_engine_open(&engine, model, options, &err);
    if (status == WEIR_OK)
        status = weir_session_open(&session, engine, &err);
    if (status == WEIR_OK)
        status = weir_session_eval(session, tokens, 3, WEIR_LOGITS_LAST, &err);
    if (status == WEIR_OK && options->mtp)
        status = weir_session_mtp_eval(session, tokens, hidden, 3, WEIR_LOGITS_ALL, &err);
    weir_session_close(session);
    weir_engine_close(engine);
    weir_model_close(model);
    /* A mapping or a stream that fails is an IO error to its caller, the rest are of memory. */
    if (!alloc_failed())
        CHECK_OK(status, &err);
    else if (status != WEIR_OK)
        CHECK(status == WEIR_ERR_MEMORY || status == WEIR_ERR_IO);
}

static const char *const backends[] = {"ref", "cpu"};
enum { BACKENDS = sizeof backends / sizeof backends[0] };

static void check_failures(const char *backend)
{
    struct weir_engine_options options;
    fixture_options(&options);
    options.backend = backend;
    alloc_test(use_a_model, &options);
    options.repack_late = true;
    alloc_test(use_a_model, &options);
    options.load = WEIR_LOAD_READ;
    options.fuse = options.fused_gdn = WEIR_OFF;
    options.sessions_max = 3;
    alloc_test(use_a_model, &options);
}

TEST(engine_alloc_failures_leave_nothing)
{
    for (int i = 0; i < BACKENDS; i++)
        check_failures(backends[i]);
}

static void check_failures_with_mtp(const char *backend)
{
    struct weir_engine_options options;
    fixture_options(&options);
    options.backend = backend;
    options.mtp = true;
    alloc_test(use_a_model, &options);
    options.load = WEIR_LOAD_READ;
    options.fuse = options.fused_gdn = WEIR_OFF;
    alloc_test(use_a_model, &options);
}

TEST(engine_alloc_failures_with_mtp_leave_nothing)
{
    for (int i = 0; i < BACKENDS; i++)
        check_failures_with_mtp(backends[i]);
}

static void print_nothing(void *user, const char *text, size_t length)
{
    (void)user, (void)text, (void)length;
}

static void look_at_a_model(void *argument)
{
    const struct weir_engine_options *options = argument;
    const struct weir_plan_shape shape = {.rows = 2, .sequences = 2, .cached = 5};
    struct weir_model *model = NULL;
    struct weir_memory memory;
    struct weir_error err = {0};
    enum weir_status status =
        weir_model_open(&model, test_data(options->mtp ? NANOMOE : NANO), NULL, &err);
    if (status == WEIR_OK)
        status = weir_model_print_metadata(model, print_nothing, NULL, &err);
    if (status == WEIR_OK)
        status = weir_model_print_weights(model, print_nothing, NULL, &err);
    if (status == WEIR_OK)
        status = weir_memory_estimate(model, options, &memory, &err);
    if (status == WEIR_OK)
        status = weir_model_print_plan(model, options, &shape, print_nothing, NULL, &err);
    weir_model_close(model);
    if (!alloc_failed())
        CHECK_OK(status, &err);
}

TEST(engine_alloc_failures_of_inspection_leave_nothing)
{
    struct weir_engine_options options;
    fixture_options(&options);
    alloc_test(look_at_a_model, &options);
    options.mtp = true;
    alloc_test(look_at_a_model, &options);
}

/* Prefill and decode, several sequences, sampling: no allocation. */
static void check_token_loop(const char *model, bool mtp, const char *backend)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    fixture_options(&options);
    options.backend = backend;
    options.sessions_max = 2;
    options.step_rows_max = 64;
    options.mtp = mtp;
    fixture_open(&fixture, model, &options);
    struct weir_session *other;
    struct weir_sampler *sampler;
    struct weir_sampler_options sampling;
    weir_sampler_options_init(&sampling);
    sampling.seed = test_seed();
    CHECK_OK(weir_session_open(&other, fixture.engine, &err), &err);
    CHECK_OK(weir_sampler_open(&sampler, &sampling, fixture.vocab, 512, NULL, &err), &err);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    CHECK_NO_ALLOC(
        CHECK_OK(weir_session_eval(fixture.session, tokens, 300, WEIR_LOGITS_LAST, &err), &err));
    for (int i = 0; i < 20; i++) {
        int32_t id = 0;
        const float *logits = weir_session_logits(fixture.session, 0);
        CHECK_NO_ALLOC(id = weir_sampler_pick(sampler, logits));
        CHECK_NO_ALLOC(weir_sampler_accept(sampler, id));
        const struct weir_step_item items[2] = {{fixture.session, &id, 1, WEIR_LOGITS_LAST},
                                                {other, tokens + i, 1, WEIR_LOGITS_LAST}};
        CHECK_NO_ALLOC(CHECK_OK(weir_engine_step(fixture.engine, items, 2, &err), &err));
        const float *hidden = weir_session_hidden(fixture.session, 0);
        CHECK((hidden != NULL) == mtp);
        if (mtp)
            CHECK_NO_ALLOC(CHECK_OK(
                weir_session_mtp_eval(fixture.session, &id, hidden, 1, WEIR_LOGITS_ALL, &err),
                &err));
    }
    if (mtp)
        CHECK_NO_ALLOC(CHECK_OK(weir_session_mtp_rewind(fixture.session, 3, &err), &err));
    CHECK_NO_ALLOC(weir_session_reset(fixture.session));
    free(tokens);
    weir_sampler_close(sampler);
    weir_session_close(other);
    fixture_close(&fixture);
}

TEST(engine_alloc_none_in_the_token_loop)
{
    for (int i = 0; i < BACKENDS; i++)
        check_token_loop(test_data(NANO), false, backends[i]);
    for (int i = 0; i < BACKENDS; i++)
        check_token_loop(test_data(NANOMOE), true, backends[i]);
}
