/* SPDX-License-Identifier: MIT
 * Tests of engines and sessions through the public header: limits, errors, reuse of places, and
 * models that do not fit the weight table. Run alone: build/tests/weir-test engine_ */
#include "golden/fixture.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "run/engine.h"

#define NANO "golden/nano-f32.gguf"

/* ---- sessions -------------------------------------------------------------------------------- */

TEST(engine_refuses_bad_tokens_and_full_contexts)
{
    struct weir_engine_options options;
    struct fixture fixture;
    fixture_options(&options);
    options.context = 8;
    fixture_open(&fixture, test_data(NANO), &options);
    const int32_t tokens[9] = {1, 2, 3, 4, 5, 6, 7, 8, 9};
    const int32_t bad[2] = {3, 1024}, negative[1] = {-1};
    struct weir_error err = {0};
    CHECK(weir_session_eval(fixture.session, bad, 2, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "token 1 of the input is 1024, expected 0 to 1023");
    err = (struct weir_error){0};
    CHECK(weir_session_eval(fixture.session, negative, 1, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "is -1, expected");
    err = (struct weir_error){0};
    CHECK(weir_session_eval(fixture.session, tokens, 9, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FULL, "0 tokens and 9 more, it holds 8");
    err = (struct weir_error){0};
    CHECK(weir_session_eval(fixture.session, tokens, 0, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "no tokens");
    err = (struct weir_error){0};
    CHECK_INT(weir_session_position(fixture.session), 0);
    CHECK(weir_session_logits(fixture.session, 0) == NULL);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 8, WEIR_LOGITS_NONE, &err), &err);
    CHECK_INT(weir_session_position(fixture.session), 8);
    CHECK(weir_session_logits(fixture.session, 0) == NULL);
    CHECK(weir_session_eval(fixture.session, tokens, 1, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FULL, "8 tokens and 1 more");
    fixture_close(&fixture);
}

TEST(engine_reset_and_reused_places_start_from_zero)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    fixture_options(&options);
    fixture_open(&fixture, test_data(NANO), &options);
    const size_t row = fixture.vocab * sizeof(float);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    float *fresh = fixture_logits(&fixture, tokens, 5, false);
    CHECK_OK(weir_session_eval(fixture.session, tokens + 5, 10, WEIR_LOGITS_NONE, &err), &err);
    weir_session_reset(fixture.session);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 5, WEIR_LOGITS_LAST, &err), &err);
    CHECK(memcmp(weir_session_logits(fixture.session, 0), fresh + 4 * fixture.vocab, row) == 0);
    struct weir_session *other;
    CHECK(weir_session_open(&other, fixture.engine, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FULL, "all 1 sessions");
    err = (struct weir_error){0};
    weir_session_close(fixture.session);
    CHECK_OK(weir_session_open(&fixture.session, fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 5, WEIR_LOGITS_LAST, &err), &err);
    CHECK(memcmp(weir_session_logits(fixture.session, 0), fresh + 4 * fixture.vocab, row) == 0);
    free(fresh);
    free(tokens);
    fixture_close(&fixture);
}

TEST(engine_refuses_steps_that_do_not_fit)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    fixture_options(&options);
    options.sessions_max = 2;
    options.step_rows_max = 4;
    options.logits_rows_max = 2;
    fixture_open(&fixture, test_data(NANO), &options);
    struct weir_session *other;
    CHECK_OK(weir_session_open(&other, fixture.engine, &err), &err);
    const int32_t tokens[4] = {1, 2, 3, 4};
    struct weir_step_item items[2] = {{fixture.session, tokens, 3, WEIR_LOGITS_ALL},
                                      {other, tokens, 1, WEIR_LOGITS_LAST}};
    CHECK(weir_engine_step(fixture.engine, items, 2, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "4 rows of logits, expected at most 2");
    err = (struct weir_error){0};
    items[0].logits = WEIR_LOGITS_LAST;
    items[1].count = 2;
    CHECK(weir_engine_step(fixture.engine, items, 2, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "5 tokens, expected at most 4");
    err = (struct weir_error){0};
    items[1] = items[0];
    CHECK(weir_engine_step(fixture.engine, items, 2, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "in the step twice");
    err = (struct weir_error){0};
    items[1] = (struct weir_step_item){other, tokens, 1, WEIR_LOGITS_LAST};
    CHECK_OK(weir_engine_step(fixture.engine, items, 2, &err), &err);
    CHECK(weir_session_logits(other, 0) == weir_session_logits(fixture.session, 0) + fixture.vocab);
    CHECK(weir_session_logits(other, 1) == NULL);
    CHECK_OK(weir_engine_step(fixture.engine, items + 1, 1, &err), &err);
    CHECK(weir_session_logits(fixture.session, 0) == NULL); /* overwritten by the later step */
    weir_session_close(other);
    fixture_close(&fixture);
}

static bool cancel_at_half(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    int *calls = user;
    if (stage != WEIR_STAGE_PREFILL)
        return true;
    (*calls)++;
    return 2 * done < total;
}

TEST(engine_cancelled_prefill_keeps_finished_steps)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    int calls = 0;
    fixture_options(&options);
    options.step_rows_max = 64;
    options.progress = cancel_at_half;
    options.progress_user = &calls;
    fixture_open(&fixture, test_data(NANO), &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    CHECK(weir_session_eval(fixture.session, tokens, 300, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_CANCELLED, "after 192 of 300");
    CHECK_INT(weir_session_position(fixture.session), 192);
    CHECK(calls > 3 * 10); /* between ops too */
    free(tokens);
    fixture_close(&fixture);
}

static bool cancel_when_told(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    int *calls_left = user;
    (void)done, (void)total;
    return stage != WEIR_STAGE_PREFILL || (*calls_left)-- > 0;
}

static bool keep_numbers(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    uint64_t *numbers = user;
    numbers[0] = done;
    numbers[1] = stage == WEIR_STAGE_PREFILL ? total : 0;
    return true;
}

/* A step tells its own numbers, not those of an eval before it. */
TEST(engine_progress_counts_what_runs)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint64_t numbers[2] = {0};
    const int32_t tokens[5] = {1, 2, 3, 4, 5};
    fixture_options(&options);
    options.progress = keep_numbers;
    options.progress_user = numbers;
    fixture_open(&fixture, test_data(NANO), &options);
    CHECK_OK(weir_session_eval(fixture.session, tokens, 5, WEIR_LOGITS_LAST, &err), &err);
    CHECK(numbers[0] == 5 && numbers[1] == 5);
    const struct weir_step_item item = {fixture.session, tokens, 3, WEIR_LOGITS_LAST};
    CHECK_OK(weir_engine_step(fixture.engine, &item, 1, &err), &err);
    CHECK(numbers[0] == 0 && numbers[1] == 3);
    fixture_close(&fixture);
}

/* Cut short after any number of ops, a session is empty and as good as new. */
TEST(engine_step_cut_short_empties_its_session)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    int calls_left = 1 << 30;
    fixture_options(&options);
    options.progress = cancel_when_told;
    options.progress_user = &calls_left;
    fixture_open(&fixture, test_data(NANO), &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    float *expected = fixture_logits(&fixture, tokens, 5, false);
    for (int calls = 0; calls < 70; calls += 7) {
        calls_left = calls;
        CHECK_INT(weir_session_eval(fixture.session, tokens + 5, 9, WEIR_LOGITS_LAST, &err),
                  WEIR_ERR_CANCELLED);
        CHECK_INT(weir_session_position(fixture.session), 0);
        CHECK(weir_session_logits(fixture.session, 0) == NULL);
        err = (struct weir_error){0};
        calls_left = 1 << 30;
        float *logits = fixture_logits(&fixture, tokens, 5, false);
        CHECK(memcmp(logits, expected, 5 * fixture.vocab * sizeof *logits) == 0);
        free(logits);
    }
    free(expected);
    free(tokens);
    fixture_close(&fixture);
}

/* A step that was cut short has written over what others had from the step before. */
TEST(engine_step_cut_short_takes_the_last_results)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    struct weir_session *other;
    const int32_t tokens[3] = {1, 2, 3};
    const struct weir_traffic nothing = {{0}, {0}};
    struct weir_traffic sum = nothing;
    int calls_left = 1 << 30;
    fixture_options(&options);
    options.sessions_max = 2;
    options.mtp = true;
    options.progress = cancel_when_told;
    options.progress_user = &calls_left;
    fixture_open(&fixture, test_data(NANO), &options);
    CHECK_OK(weir_session_open(&other, fixture.engine, &err), &err);
    CHECK_OK(weir_session_eval(other, tokens, 3, WEIR_LOGITS_ALL, &err), &err);
    CHECK(weir_session_logits(other, 2) != NULL && weir_session_hidden(other, 2) != NULL);
    calls_left = 20;
    CHECK_INT(weir_session_eval(fixture.session, tokens, 3, WEIR_LOGITS_ALL, &err),
              WEIR_ERR_CANCELLED);
    CHECK(weir_session_logits(other, 0) == NULL && weir_session_hidden(other, 0) == NULL);
    CHECK_INT(weir_session_position(other), 3);
    weir_engine_step_traffic(fixture.engine, &sum); /* no last step: nothing is added */
    CHECK(memcmp(&sum, &nothing, sizeof sum) == 0);
    weir_session_close(other);
    fixture_close(&fixture);
}

/* A model with a NaN says so, at load if asked to look, else with the first logits. */
TEST(engine_refuses_weights_and_logits_that_are_not_finite)
{
    size_t size;
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    const int32_t token = 3;
    uint8_t *data = test_read_file(test_data(NANO), &size);
    memset(data + size - 64, 0xff, 64); /* the MTP block's last tensor: no plan reads it */
    const float nan_row[16] = {NAN};
    memcpy(data + size / 8, nan_row, sizeof nan_row); /* in the embedding, which is the head */
    const char *path = test_scratch("nan.gguf");
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
    free(data);
    fixture_options(&options);
    fixture_open(&fixture, path, &options);
    CHECK(weir_session_eval(fixture.session, &token, 1, WEIR_LOGITS_LAST, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FORMAT, "row 0 of the logits is not finite");
    fixture_close(&fixture);
    struct weir_model *model;
    struct weir_engine *engine;
    err = (struct weir_error){0};
    options.check_tensors = true;
    CHECK_OK(weir_model_open(&model, path, NULL, &err), &err);
    CHECK(weir_engine_open(&engine, model, &options, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_FORMAT, "tensor token_embd.weight, row ");
    weir_model_close(model);
}

/* ---- memory ---------------------------------------------------------------------------------- */

TEST(engine_memory_is_counted_before_it_is_taken)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_memory memory;
    CHECK_OK(weir_model_open(&model, test_data(NANO), NULL, &err), &err);
    fixture_options(&options);
    options.sessions_max = 3;
    options.context = 100;
    CHECK_OK(weir_memory_estimate(model, &options, &memory, &err), &err);
    /* nano: S 32, 2 v-heads, C 128, 3 recurrent layers; 1 kv head of 32, 1 full layer */
    CHECK_INT(memory.state_session, 3 * (4 * 2 * 32 * 32 + 4 * 3 * 128));
    CHECK_INT(memory.state, 3 * memory.state_session);
    CHECK_INT(memory.kv_per_token, 2 * 4 * 32);
    CHECK_INT(memory.kv, 3 * 100 * memory.kv_per_token);
    CHECK_INT(memory.logits, 64 * 1024 * 4);
    CHECK_INT(memory.total, memory.weights + memory.kv + memory.state + memory.activations +
                                memory.logits + memory.scratch);
    options.context = 1u << 30;
    options.sessions_max = 4096;
    CHECK_OK(weir_memory_estimate(model, &options, &memory, &err), &err); /* told all the same */
    CHECK(memory.kv == memory.kv_per_token * 4096 * (1ull << 30));
    struct weir_engine *engine;
    CHECK(weir_engine_open(&engine, model, &options, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_MEMORY,
                       "a context of 1073741824 tokens in 4096 sessions needs");
    err = (struct weir_error){0};
    options.sessions_max = 64; /* the trained context of 262144 in 64 places: 4 GiB */
    options.context = 0;
    options.step_rows_max = 1;
    options.logits_rows_max = 1;
    CHECK_OK(weir_memory_estimate(model, &options, &memory, &err), &err);
    CHECK(memory.context >= 4096 && memory.context <= 262144);
    weir_model_close(model);
}

/* Bytes of the activations of a plan besides its logits. */
static uint64_t activation_bytes(const struct plan *plan, const struct plan_limits *limits)
{
    uint64_t total;
    uint64_t *offsets = calloc(plan->buf_count, sizeof *offsets);
    CHECK(offsets != NULL &&
          plan_place(plan, limits, &(struct placing){0}, offsets, &total, NULL) == WEIR_OK);
    free(offsets);
    return total - limits->outs * buf_row_bytes(plan_buf(plan, plan->logits));
}

/* The MTP block adds its weights, a cache, and the hidden states that a step of it begins with. */
TEST(engine_memory_of_the_mtp_block)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_model_info info;
    struct weir_memory without, with;
    CHECK_OK(weir_model_open(&model, test_data("golden/nanomoe-f32.gguf"), NULL, &err), &err);
    weir_model_info(model, &info);
    fixture_options(&options);
    options.sessions_max = 3;
    CHECK_OK(weir_memory_estimate(model, &options, &without, &err), &err);
    options.mtp = true;
    CHECK_OK(weir_memory_estimate(model, &options, &with, &err), &err);
    CHECK(without.weights < with.weights);
    CHECK_INT(with.weights, info.tensor_bytes);
    CHECK_INT(without.kv_per_token, 2 * 4 * 32); /* one kv head of 32, one full layer */
    CHECK_INT(with.kv_per_token, 2 * without.kv_per_token);
    CHECK_INT(with.kv, 3 * 512 * with.kv_per_token);
    CHECK_INT(with.state, without.state);
    CHECK_INT(with.logits, 2 * without.logits);
    CHECK_INT(with.scratch, 2 * without.scratch);
    struct weir_engine *engine;
    CHECK_OK(weir_engine_open(&engine, model, &options, &err), &err);
    const struct plan_limits limits = engine->blueprint.limits;
    CHECK_INT(with.activations, activation_bytes(engine->blueprint.plan, &limits) +
                                    activation_bytes(engine->blueprint.mtp, &limits) +
                                    512 * 64 * sizeof(float));
    weir_engine_close(engine);
    options.mtp = false; /* then no row's hidden state is kept */
    CHECK_OK(weir_engine_open(&engine, model, &options, &err), &err);
    CHECK(engine->blueprint.mtp == NULL && engine->blueprint.plan->hidden == BUF_NONE);
    CHECK_INT(without.activations, activation_bytes(engine->blueprint.plan, &limits));
    weir_engine_close(engine);
    weir_model_close(model);
    CHECK_INT(with.total,
              with.weights + with.kv + with.state + with.activations + with.logits + with.scratch);
}

/* Whoever calls is one of the threads, and goes on as it came. */
TEST(engine_leaves_the_affinity_of_its_caller)
{
    cpu_set_t before, after;
    struct weir_error err = {0};
    struct weir_engine_options options;
    struct fixture fixture;
    const int32_t token = 1;
    CHECK_INT(sched_getaffinity(0, sizeof before, &before), 0);
    fixture_options(&options);
    options.bind = WEIR_ON;
    fixture_open(&fixture, test_data(NANO), &options);
    for (int i = 0; i < 3; i++)
        CHECK_OK(weir_session_eval(fixture.session, &token, 1, WEIR_LOGITS_LAST, &err), &err);
    CHECK_INT(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
    fixture_close(&fixture);
    CHECK_INT(sched_getaffinity(0, sizeof after, &after), 0);
    CHECK(CPU_EQUAL(&before, &after));
}

TEST(engine_refuses_processors_that_are_not_there)
{
    struct weir_error err = {0};
    struct weir_engine_options options;
    struct weir_engine *engine;
    struct weir_model *model;
    CHECK_OK(weir_model_open(&model, test_data(NANO), NULL, &err), &err);
    weir_engine_options_init(&options);
    options.cpus[WEIR_CPUS_MAX / 64 - 1] = UINT64_C(1) << 63;
    CHECK_INT(weir_engine_open(&engine, model, &options, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "none of the processors that are named for threads may be used");
    err = (struct weir_error){0};
    options.bind = WEIR_OFF;
    CHECK_INT(weir_engine_open(&engine, model, &options, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "processors are named for threads that are not to be bound");
    weir_model_close(model);
}

TEST(engine_options_are_checked)
{
    static const struct {
        size_t offset;
        uint32_t value;
        const char *text;
    } cases[] = {
        {offsetof(struct weir_engine_options, threads), 5000, "threads is 5000"},
        {offsetof(struct weir_engine_options, sessions_max), 0, "sessions is 0"},
        {offsetof(struct weir_engine_options, step_rows_max), 0, "rows of a step is 0"},
        {offsetof(struct weir_engine_options, logits_rows_max), 600, "rows of logits is 600"},
        {offsetof(struct weir_engine_options, context), UINT32_MAX, "context is 4294967295"},
        {offsetof(struct weir_engine_options, cache_k), 77, "type of cached keys is 77"},
        {offsetof(struct weir_engine_options, load), 9, "choice of loading is 9"},
        {offsetof(struct weir_engine_options, fuse), 9, "choice of fusion is 9"},
        {offsetof(struct weir_engine_options, bind), 9, "choice of binding is 9"},
        {offsetof(struct weir_engine_options, rope_scaling), 999999, "RoPE scaling is 999999"},
    };
    struct weir_error err = {0};
    struct weir_model *model;
    CHECK_OK(weir_model_open(&model, test_data(NANO), NULL, &err), &err);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_engine_options options;
        struct weir_engine *engine;
        fixture_options(&options);
        memcpy((char *)&options + cases[i].offset, &cases[i].value, sizeof cases[i].value);
        err = (struct weir_error){0};
        CHECK(weir_engine_open(&engine, model, &options, &err) != WEIR_OK);
        CHECK(engine == NULL);
        fixture_check_says(&err, WEIR_ERR_ARGUMENT, cases[i].text);
    }
    struct weir_engine_options options;
    struct weir_engine *engine;
    fixture_options(&options);
    options.backend = "abacus";
    err = (struct weir_error){0};
    CHECK(weir_engine_open(&engine, model, &options, &err) != WEIR_OK);
    fixture_check_says(&err, WEIR_ERR_ARGUMENT, "backend \"abacus\" is not in this build");
    weir_model_close(model);
}

/* ---- models that do not fit ------------------------------------------------------------------ */

TEST(engine_names_keys_that_do_not_fit)
{
    static const struct {
        const char *entry;
        enum weir_status status;
        const char *text;
    } cases[] = {
        {"general.architecture=str:llama", WEIR_ERR_UNSUPPORTED,
         "architecture \"llama\" is not supported, expected qwen35"},
        {"general.type=str:mmproj", WEIR_ERR_UNSUPPORTED, "general.type is \"mmproj\""},
        {"qwen35.block_count=int:0", WEIR_ERR_FORMAT, "key qwen35.block_count is 0, expected 1"},
        {"qwen35.block_count=int:600", WEIR_ERR_FORMAT, "is 600, expected 1 to 512"},
        {"qwen35.block_count=str:four", WEIR_ERR_FORMAT, "key qwen35.block_count"},
        {"qwen35.nextn_predict_layers=int:5", WEIR_ERR_FORMAT, "less than block_count 5"},
        {"qwen35.attention.head_count=int:3", WEIR_ERR_FORMAT, "tensor blk.3.attn_q.weight has"},
        {"qwen35.attention.head_count_kv=int:3", WEIR_ERR_FORMAT, "multiple of head_count_kv 3"},
        {"qwen35.attention.value_length=int:16", WEIR_ERR_UNSUPPORTED, "value_length is 16"},
        {"qwen35.attention.causal=bool:false", WEIR_ERR_UNSUPPORTED, "causal is false"},
        {"qwen35.embedding_length_out=int:9", WEIR_ERR_UNSUPPORTED, "embedding_length_out is 9"},
        {"qwen35.attention.layer_norm_rms_epsilon=float:-1", WEIR_ERR_FORMAT,
         "is -1, expected 1e-20 to 1"},
        {"qwen35.rope.dimension_count=int:7", WEIR_ERR_FORMAT, "dimension_count is 7"},
        {"qwen35.rope.dimension_count=int:64", WEIR_ERR_FORMAT, "dimension_count is 64"},
        {"qwen35.rope.freq_base=float:0", WEIR_ERR_FORMAT, "rope.freq_base is 0"},
        {"qwen35.rope.scaling.type=str:longrope", WEIR_ERR_UNSUPPORTED, "is \"longrope\""},
        {"qwen35.ssm.inner_size=int:1", WEIR_ERR_FORMAT, "ssm.inner_size is 1, expected"},
        {"qwen35.ssm.group_count=int:3", WEIR_ERR_FORMAT, "not a multiple of group_count 3"},
        {"qwen35.full_attention_interval=int:0", WEIR_ERR_FORMAT, "interval is 0"},
        {"qwen35.feed_forward_length=int:129", WEIR_ERR_FORMAT,
         "tensor blk.0.ffn_gate.weight has shape [64, 128], expected [64, 129]"},
        {"qwen35.full_attention_interval=int:2", WEIR_ERR_FORMAT,
         "tensor blk.1.attn_q.weight is missing"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        fixture_check_refused(test_data(NANO), &cases[i].entry, 1, NULL, cases[i].status,
                              cases[i].text);
}

/* Writes the nano model with every occurrence of `from` replaced by `to`, of the same length. */
static const char *patched_model(const char *from, const char *to)
{
    size_t size;
    const size_t length = strlen(from);
    CHECK_INT(strlen(to), length);
    uint8_t *data = test_read_file(test_data(NANO), &size);
    uint32_t found = 0;
    for (size_t i = 0; i + length <= size; i++) {
        if (memcmp(data + i, from, length) == 0) {
            memcpy(data + i, to, length);
            found++;
        }
    }
    CHECK(found > 0);
    const char *path = test_scratch("patched.gguf");
    FILE *stream = fopen(path, "wb");
    CHECK(stream != NULL);
    CHECK_INT(fwrite(data, 1, size, stream), size);
    fclose(stream);
    free(data);
    return path;
}

TEST(engine_names_missing_keys_and_tensors)
{
    fixture_check_refused(patched_model("qwen35.ssm.state_size", "qwen35.ssm.state_sizX"), NULL, 0,
                          NULL, WEIR_ERR_FORMAT, "key qwen35.ssm.state_size is missing");
    fixture_check_refused(patched_model("qwen35.rope.freq_base", "qwen35.rope.freq_basX"), NULL, 0,
                          NULL, WEIR_ERR_FORMAT, "key qwen35.rope.freq_base is missing");
    fixture_check_refused(
        patched_model("qwen35.rope.dimension_sections", "qwen35.rope.dimension_sectionX"), NULL, 0,
        NULL, WEIR_ERR_FORMAT, "rope.dimension_sections is missing");
    fixture_check_refused(patched_model("blk.2.ssm_norm.weight", "blk.2.ssm_norm.weighX"), NULL, 0,
                          NULL, WEIR_ERR_FORMAT,
                          "tensor blk.2.ssm_norm.weight is missing, expected with shape [32]");
    fixture_check_refused(patched_model("blk.1.ssm_dt.bias", "blk.1.ssm_dt.biaX"), NULL, 0, NULL,
                          WEIR_ERR_FORMAT, "tensor blk.1.ssm_dt.bias is missing");
}

TEST(engine_names_extra_tensors)
{
    /* The file has four blocks and one of MTP: without the latter its tensors are extra. */
    const char *const overrides[] = {"qwen35.block_count=int:4",
                                     "qwen35.nextn_predict_layers=int:0"};
    fixture_check_refused(test_data(NANO), overrides, 2, NULL, WEIR_ERR_UNSUPPORTED,
                          "tensor blk.4.attn_norm.weight of shape [64] is not part of");
}

/* The tensors that synth writes are the ones that the weight table asks for: two lists, made for
 * opposite directions, that must agree. */
TEST(engine_takes_what_synth_writes)
{
    static const struct {
        const char *size;
        bool mtp, f32_gates;
    } cases[] = {{"nano", false, true}, {"tiny", true, false}, {"0.8B", true, true}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_synth_options synth;
        struct weir_engine_options options;
        struct weir_error err = {0};
        struct fixture fixture;
        const int32_t token = 1;
        weir_synth_options_init(&synth);
        synth.size = cases[i].size;
        synth.type = "q8_0";
        synth.layers = 4;
        synth.vocab = 1024;
        synth.mtp = cases[i].mtp;
        synth.f32_gates = cases[i].f32_gates;
        const char *path = test_scratch("synth.gguf");
        CHECK_OK(weir_synth(path, &synth, &err), &err);
        fixture_options(&options);
        fixture_open(&fixture, path, &options);
        CHECK_OK(weir_session_eval(fixture.session, &token, 1, WEIR_LOGITS_LAST, &err), &err);
        const float *logits = weir_session_logits(fixture.session, 0);
        for (uint32_t j = 0; j < fixture.vocab; j++)
            CHECK(logits[j] > -1e6f && logits[j] < 1e6f);
        fixture_close(&fixture);
    }
}

/* A file that takes the place of the model's, as a download or a quantizer that is done puts it
 * there: what was mapped stays, but to read by the name would give the weights of another. */
TEST(engine_reads_no_other_file_than_it_opened)
{
    const char *path = test_scratch("replaced.gguf");
    struct weir_synth_options synth;
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct weir_model *model;
    struct weir_engine *engine;
    weir_synth_options_init(&synth);
    synth.size = "nano";
    synth.type = "q8_0";
    CHECK_OK(weir_synth(path, &synth, &err), &err);
    CHECK_OK(weir_model_open(&model, path, NULL, &err), &err);
    synth.seed++;
    CHECK_OK(weir_synth(path, &synth, &err), &err);
    fixture_options(&options);
    options.load = WEIR_LOAD_READ;
    CHECK_INT(weir_engine_open(&engine, model, &options, &err), WEIR_ERR_IO);
    CHECK(strstr(err.text, "is another file by now") != NULL);
    options.load = WEIR_LOAD_MAP;
    err = (struct weir_error){0};
    CHECK_OK(weir_engine_open(&engine, model, &options, &err), &err);
    weir_engine_close(engine);
    weir_model_close(model);
}

/* YaRN and linear scaling change the logits; factor 1 and scaling none do not. */
TEST(engine_rope_options_have_effect)
{
    struct weir_engine_options plain, other;
    struct fixture fixture;
    uint32_t count;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    fixture_options(&plain);
    fixture_open(&fixture, test_data(NANO), &plain);
    float *expected = fixture_logits(&fixture, tokens, count, false);
    const size_t bytes = count * fixture.vocab * sizeof(float);
    fixture_close(&fixture);
    for (int i = 0; i < 5; i++) {
        fixture_options(&other);
        other.rope_scaling = i < 2 ? WEIR_ROPE_SCALING_NONE
                                   : (i == 2 ? WEIR_ROPE_SCALING_LINEAR : WEIR_ROPE_SCALING_YARN);
        other.rope_factor = i == 0 ? 0 : 4;
        other.rope_original = i == 4 ? 16 : 0;
        other.rope_base = 0;
        fixture_open(&fixture, test_data(NANO), &other);
        float *logits = fixture_logits(&fixture, tokens, count, false);
        CHECK((memcmp(logits, expected, bytes) == 0) == (i < 2));
        free(logits);
        fixture_close(&fixture);
    }
    free(expected);
    free(tokens);
}
