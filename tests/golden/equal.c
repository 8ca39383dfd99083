/* SPDX-License-Identifier: MIT
 * Whole models against themselves, to the bit, by each backend and each level of instructions: up
 * to 16 rows at once = one by one, and with any number of rows alone = beside other sequences,
 * fused = unfused, mapped = read, any number of threads; within a bound, many rows at once = one by
 * one, and the backends against each other. Run alone: build/tests/weir-test equal_ */
#include "golden/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/gguf.h"
#include "golden/engines.h"
#include "golden/variants.h"
#include "run/engine.h"

enum { CPU = ENGINES - 1 };

static void engine_options(struct weir_engine_options *options, int engine)
{
    fixture_options(options);
    engines_choose(options, engine);
}

/* Rows of a step: all tokens, as many as must be exact (cpu/kernels.h, EXACT_ROWS), one. */
enum { ALL = 24, EXACT = 16, ONE = 1 };

/* Logits of `count` tokens by steps of up to `rows` rows; malloc. */
static float *logits_by(struct fixture *fixture, const int32_t *tokens, uint32_t count,
                        uint32_t rows)
{
    struct weir_error err = {0};
    const size_t row = fixture->vocab * sizeof(float);
    char *logits = malloc(count * row);
    CHECK(logits != NULL);
    weir_session_reset(fixture->session);
    for (uint32_t i = 0; i < count; i += rows) {
        const uint32_t now = count - i < rows ? count - i : rows;
        CHECK_OK(weir_session_eval(fixture->session, tokens + i, now, WEIR_LOGITS_ALL, &err), &err);
        memcpy(logits + i * row, weir_session_logits(fixture->session, 0), now * row);
    }
    return (float *)(void *)logits;
}

/* Logits of the 24 tokens under some options; malloc. */
static float *logits_under(const char *model, const struct weir_engine_options *options,
                           uint32_t rows, size_t *bytes)
{
    struct fixture fixture;
    uint32_t count;
    fixture_open(&fixture, model, options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    float *logits = logits_by(&fixture, tokens, count, rows);
    *bytes = (size_t)count * fixture.vocab * sizeof(float);
    free(tokens);
    fixture_close(&fixture);
    return logits;
}

static void check_same_bits(const char *model, const struct weir_engine_options *a, uint32_t a_rows,
                            const struct weir_engine_options *b, uint32_t b_rows)
{
    size_t a_bytes, b_bytes;
    float *a_logits = logits_under(model, a, a_rows, &a_bytes);
    float *b_logits = logits_under(model, b, b_rows, &b_bytes);
    CHECK_INT(a_bytes, b_bytes);
    CHECK(memcmp(a_logits, b_logits, a_bytes) == 0);
    free(a_logits);
    free(b_logits);
}

static const char *const quantized[] = {"golden/nano-q4_0.gguf", "golden/nanomoe-q4_0.gguf"};
static const char *const exact[] = {"golden/nano-f32.gguf", "golden/nanomoe-f32.gguf"};
enum { MODELS = 2 }; /* without and with experts */

TEST(equal_few_at_once_are_one_by_one)
{
    for (int i = 0; i < MODELS * ENGINES; i++) {
        const char *model = test_data(quantized[i % MODELS]);
        struct weir_engine_options options;
        engine_options(&options, i / MODELS);
        check_same_bits(model, &options, EXACT, &options, ONE);
        options.cache_k = WEIR_CACHE_F16;
        check_same_bits(model, &options, EXACT, &options, ONE);
    }
}

/* Sums in another order: the reference has one order for any number of rows. */
TEST(equal_many_at_once_are_one_by_one)
{
    for (int i = 0; i < MODELS * ENGINES; i++) {
        const char *model = test_data(exact[i % MODELS]);
        struct weir_engine_options options;
        size_t bytes;
        engine_options(&options, i / MODELS);
        float *many = logits_under(model, &options, ALL, &bytes);
        float *single = logits_under(model, &options, ONE, &bytes);
        const double nmse = test_nmse(many, single, bytes / sizeof *many);
        if (!(nmse <= (i / MODELS == 0 ? 0 : 1e-8)))
            test_fail(__FILE__, __LINE__, "%s %s: NMSE %g", options.backend, options.isa, nmse);
        free(many);
        free(single);
    }
}

TEST(equal_few_at_once_are_one_by_one_with_any_cache)
{
    for (int type = WEIR_CACHE_F32; type <= WEIR_CACHE_Q4_0; type++) {
        for (int i = 0; i < ENGINES; i++) {
            struct weir_engine_options options;
            engine_options(&options, i);
            options.cache_k = (enum weir_cache_type)type;
            options.cache_v = (enum weir_cache_type)((type + 3) % (WEIR_CACHE_Q4_0 + 1));
            check_same_bits(test_data(exact[0]), &options, EXACT, &options, ONE);
        }
    }
}

TEST(equal_fused_is_unfused)
{
    static const enum weir_switch choices[3][2] = {
        {WEIR_OFF, WEIR_ON}, {WEIR_ON, WEIR_OFF}, {WEIR_OFF, WEIR_OFF}};
    for (int i = 0; i < 3 * MODELS; i++) {
        for (int k = 0; k < ENGINES; k++) {
            struct weir_engine_options fused, unfused;
            engine_options(&fused, k);
            engine_options(&unfused, k);
            unfused.fused_gdn = choices[i % 3][0];
            unfused.fuse = choices[i % 3][1];
            check_same_bits(test_data(exact[i / 3]), &fused, ALL, &unfused, ALL);
            check_same_bits(test_data(exact[i / 3]), &fused, EXACT, &unfused, ONE);
        }
    }
}

static void check_threads_and_loading(const char *name, int engine)
{
    struct weir_engine_options one, other;
    engine_options(&one, engine);
    one.threads = 1;
    for (uint32_t threads = 2; threads <= 5; threads++) {
        engine_options(&other, engine);
        other.threads = threads;
        check_same_bits(test_data(name), &one, ALL, &other, ALL);
        check_same_bits(test_data(name), &one, EXACT, &other, ONE);
    }
    engine_options(&other, engine);
    other.threads = 2;
    other.bind = WEIR_OFF;
    check_same_bits(test_data(name), &one, ALL, &other, ALL);
    engine_options(&other, engine);
    other.load = WEIR_LOAD_READ;
    other.check_tensors = true;
    check_same_bits(test_data(name), &one, ALL, &other, ALL);
}

TEST(equal_threads_and_loading_do_not_matter)
{
    for (int i = 0; i < ENGINES; i++) {
        check_threads_and_loading("golden/nano-q8_0.gguf", i);
        check_threads_and_loading("golden/nanomoe-q8_0.gguf", i);
    }
}

/* Logits of 24 tokens by steps of up to `rows` rows, then of a draft by the MTP block if it is
 * there; malloc. */
static float *logits_begun(struct fixture *fixture, const int32_t *tokens, uint32_t rows)
{
    struct weir_error err = {0};
    const size_t row = fixture->vocab * sizeof(float);
    char *logits = malloc((ALL + 1) * row);
    CHECK(logits != NULL);
    for (uint32_t i = 0; i < ALL; i += rows) {
        const uint32_t now = ALL - i < rows ? ALL - i : rows;
        CHECK_OK(weir_session_eval(fixture->session, tokens + i, now, WEIR_LOGITS_ALL, &err), &err);
        memcpy(logits + i * row, weir_session_logits(fixture->session, 0), now * row);
    }
    if (fixture->engine->mtp_exec == NULL)
        return (float *)(void *)realloc(logits, ALL * row);
    CHECK_OK(weir_session_mtp_eval(fixture->session, tokens,
                                   weir_session_hidden(fixture->session, 0), 1, WEIR_LOGITS_ALL,
                                   &err),
             &err);
    memcpy(logits + ALL * row, weir_session_mtp_logits(fixture->session, 0), row);
    return (float *)(void *)logits;
}

/* From weights as they lie in the file for one step, then from those that the backend holds. */
static void check_late(const char *model, bool has_mtp, int engine, uint32_t rows)
{
    struct weir_engine_options options;
    struct fixture at_once, late;
    uint32_t count;
    engine_options(&options, engine);
    options.mtp = has_mtp;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    fixture_open(&at_once, model, &options);
    options.repack_late = true;
    fixture_open(&late, model, &options);
    const bool holds = late.engine->blueprint.backend->hold != NULL;
    CHECK_INT(late.engine->loader.late != NULL, holds);
    float *expected = logits_begun(&at_once, tokens, rows);
    float *logits = logits_begun(&late, tokens, rows);
    CHECK(memcmp(logits, expected, (ALL + has_mtp) * late.vocab * sizeof *logits) == 0);
    CHECK_INT(late.engine->loader.late != NULL, holds && rows == ALL && !has_mtp); /* one step */
    free(logits);
    free(expected);
    free(tokens);
    fixture_close(&at_once);
    fixture_close(&late);
}

TEST(equal_late_weights_are_those_held_at_once)
{
    static const char *const models[] = {"golden/nano-q4_0.gguf", "golden/nanomoe-q4_0.gguf",
                                         "golden/nano-f32.gguf", "golden/nanomoe-f32.gguf"};
    for (int i = 0; i < 4 * ENGINES; i++) {
        check_late(test_data(models[i % 4]), i % 4 > 1, i / 4, ALL);
        check_late(test_data(models[i % 4]), i % 4 > 1, i / 4, EXACT);
        check_late(test_data(models[i % 4]), i % 4 > 1, i / 4, ONE);
    }
}

/* The first step of several of an evaluation, and a call, bring them in before it runs. */
TEST(equal_late_weights_are_held_where_they_are_needed)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    engine_options(&options, CPU);
    options.repack_late = true;
    fixture_open(&fixture, test_data(quantized[0]), &options);
    CHECK_OK(weir_session_eval(fixture.session, tokens, ALL, WEIR_LOGITS_LAST, &err), &err);
    CHECK(fixture.engine->loader.late != NULL);
    CHECK_OK(weir_engine_repack(fixture.engine, &err), &err);
    CHECK(fixture.engine->loader.late == NULL);
    fixture_close(&fixture);
    options.step_rows_max = options.logits_rows_max = EXACT;
    fixture_open(&fixture, test_data(quantized[0]), &options);
    CHECK(fixture.engine->loader.late != NULL);
    CHECK_OK(weir_session_eval(fixture.session, tokens, ALL, WEIR_LOGITS_LAST, &err), &err);
    CHECK(fixture.engine->loader.late == NULL);
    fixture_close(&fixture);
    free(tokens);
}

/* Who is asked how far it is, and ends it after some calls. */
static bool proceeds(void *user, enum weir_stage stage, uint64_t done, uint64_t total)
{
    (void)stage;
    CHECK(done <= total);
    int *calls = user;
    return --*calls != 0;
}

TEST(equal_late_weights_can_be_left_half_held)
{
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture at_once, late;
    uint32_t count;
    int calls = 0;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    engine_options(&options, CPU);
    options.mtp = true;
    fixture_open(&at_once, test_data(exact[1]), &options);
    options.repack_late = true;
    options.progress = proceeds;
    options.progress_user = &calls;
    fixture_open(&late, test_data(exact[1]), &options);
    calls = 5;
    CHECK_INT(weir_engine_repack(late.engine, &err), WEIR_ERR_CANCELLED);
    CHECK(late.engine->loader.late != NULL);
    CHECK_OK(weir_session_eval(late.session, tokens, 3, WEIR_LOGITS_NONE, &err), &err);
    calls = 3; /* a step that waits for weights leaves its session as it was */
    const struct weir_step_item item = {late.session, tokens + 3, 1, WEIR_LOGITS_LAST};
    CHECK_INT(weir_engine_step(late.engine, &item, 1, &err), WEIR_ERR_CANCELLED);
    CHECK_INT(weir_session_position(late.session), 3);
    weir_session_reset(late.session);
    calls = 0;
    float *logits = logits_begun(&late, tokens, ONE);
    float *expected = logits_begun(&at_once, tokens, ONE);
    CHECK(memcmp(logits, expected, (ALL + 1) * late.vocab * sizeof *logits) == 0);
    free(logits);
    free(expected);
    free(tokens);
    fixture_close(&at_once);
    fixture_close(&late);
}

/* Three sequences of different lengths, begun at different steps, interleaved in shared steps:
 * each gets the bits that it gets alone, also in a place that another sequence has left. */
static void check_sequences(const char *model, int engine)
{
    enum { SEQUENCES = 3, TOKENS = 24 };
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    engine_options(&options, engine);
    options.sessions_max = SEQUENCES + 1;
    fixture_open(&fixture, model, &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    float *alone[SEQUENCES];
    for (int s = 0; s < SEQUENCES; s++)
        alone[s] = logits_by(&fixture, tokens + 30 * s, TOKENS, EXACT);
    struct weir_session *sessions[SEQUENCES];
    uint32_t done[SEQUENCES] = {0};
    for (int s = 0; s < SEQUENCES; s++)
        CHECK_OK(weir_session_open(&sessions[s], fixture.engine, &err), &err);
    for (uint32_t round = 0; done[0] < TOKENS || done[1] < TOKENS || done[2] < TOKENS; round++) {
        struct weir_step_item items[SEQUENCES];
        uint32_t used = 0;
        for (uint32_t s = 0; s < SEQUENCES; s++) {
            const uint32_t left = TOKENS - done[s], want = 1 + (round * 7 + s * 3) % 5;
            if (left == 0 || round < s)
                continue;
            items[used++] = (struct weir_step_item){.session = sessions[s],
                                                    .tokens = tokens + 30 * s + done[s],
                                                    .count = want < left ? want : left,
                                                    .logits = WEIR_LOGITS_ALL};
        }
        CHECK_OK(weir_engine_step(fixture.engine, items, used, &err), &err);
        for (uint32_t s = 0, i = 0; s < SEQUENCES; s++) {
            if (i >= used || items[i].session != sessions[s])
                continue;
            for (uint32_t row = 0; row < items[i].count; row++)
                CHECK(memcmp(weir_session_logits(sessions[s], row),
                             alone[s] + (size_t)(done[s] + row) * fixture.vocab,
                             fixture.vocab * sizeof(float)) == 0);
            done[s] += items[i++].count;
        }
    }
    for (int s = 0; s < SEQUENCES; s++) {
        weir_session_close(sessions[s]);
        free(alone[s]);
    }
    free(tokens);
    fixture_close(&fixture);
}

TEST(equal_sequences_in_a_step_do_not_meet)
{
    for (int i = 0; i < MODELS * ENGINES; i++)
        check_sequences(test_data(exact[i % MODELS]), i / MODELS);
}

/* Two sequences in one step, of which the first has more rows than must be exact, of its logits as
 * many or one. */
static void check_many_beside(const char *model, int engine, enum weir_logits logits)
{
    enum { SEQUENCES = 2, MANY = 40 };
    static const uint32_t rows[SEQUENCES] = {MANY, 7};
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    uint32_t count;
    engine_options(&options, engine);
    options.sessions_max = SEQUENCES + 1;
    fixture_open(&fixture, model, &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens300.txt"), &count);
    struct weir_step_item items[SEQUENCES];
    struct weir_session *sessions[SEQUENCES];
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        CHECK_OK(weir_session_open(&sessions[s], fixture.engine, &err), &err);
        items[s] = (struct weir_step_item){.session = sessions[s],
                                           .tokens = tokens + 50 * s,
                                           .count = rows[s],
                                           .logits = s == 0 ? logits : WEIR_LOGITS_ALL};
    }
    CHECK_OK(weir_engine_step(fixture.engine, items, SEQUENCES, &err), &err);
    float *beside[SEQUENCES];
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        const size_t bytes = engine_outs(items[s].logits, rows[s]) * fixture.vocab * sizeof(float);
        beside[s] = malloc(bytes);
        CHECK(beside[s] != NULL);
        memcpy(beside[s], weir_session_logits(sessions[s], 0), bytes);
    }
    for (uint32_t s = 0; s < SEQUENCES; s++) {
        const size_t bytes = engine_outs(items[s].logits, rows[s]) * fixture.vocab * sizeof(float);
        weir_session_reset(fixture.session);
        CHECK_OK(
            weir_session_eval(fixture.session, items[s].tokens, rows[s], items[s].logits, &err),
            &err);
        CHECK(memcmp(beside[s], weir_session_logits(fixture.session, 0), bytes) == 0);
        weir_session_close(sessions[s]);
        free(beside[s]);
    }
    free(tokens);
    fixture_close(&fixture);
}

TEST(equal_many_rows_do_not_meet_others)
{
    for (int i = 0; i < MODELS * ENGINES; i++)
        check_many_beside(test_data(exact[i % MODELS]), i / MODELS, WEIR_LOGITS_ALL);
}

/* BF16 may be multiplied in another way where rows are many. Of the head it is the rows of logits
 * that count, not those of the step, which lie elsewhere. */
TEST(equal_many_rows_with_few_logits_do_not_meet_others)
{
    for (int model = 0; model < MODELS; model++) {
        const char *path = variant_bf16(test_data(exact[model]));
        for (int engine = 0; engine < ENGINES; engine++) {
            check_many_beside(path, engine, WEIR_LOGITS_ALL);
            check_many_beside(path, engine, WEIR_LOGITS_LAST);
        }
    }
}

/* ---- backends -------------------------------------------------------------------------------- */

/* Sums in another order, and other ways to the same functions: 1e-8. Levels that have products of
 * BF16 take attention of many rows over a cache that is not F32 in them: off by up to 4e-5 in the
 * layers of attention (tests/ops/kernel_cases.c), which add some hundredths of all to what is
 * there. */
static double backends_bound(const struct weir_engine_options *options)
{
    const bool may_have_pairs = options->isa == NULL || strcmp(options->isa, "amx") == 0 ||
                                strcmp(options->isa, "v4_bf16") == 0;
    return may_have_pairs && options->cache_k != WEIR_CACHE_F32 ? 1e-6 : 1e-8;
}

TEST(equal_backends_give_the_same_logits)
{
    for (int i = 0; i < 4 * MODELS * ENGINES; i++) {
        struct weir_engine_options one, other;
        const char *model = test_data(exact[i % MODELS]);
        size_t bytes, other_bytes;
        fixture_options(&one);
        engine_options(&other, i / MODELS % ENGINES);
        one.cache_k = one.cache_v = other.cache_k = other.cache_v =
            i / MODELS / ENGINES % 2 ? WEIR_CACHE_F16 : WEIR_CACHE_F32;
        other.fuse = other.fused_gdn = i / MODELS / ENGINES / 2 ? WEIR_OFF : WEIR_ON;
        float *logits = logits_under(model, &one, ALL, &bytes);
        float *other_logits = logits_under(model, &other, ALL, &other_bytes);
        const double nmse = test_nmse(other_logits, logits, bytes / sizeof *logits);
        if (!(nmse <= backends_bound(&other)))
            test_fail(__FILE__, __LINE__, "%s %s: NMSE %g", other.backend, other.isa, nmse);
        free(logits);
        free(other_logits);
    }
}

/* Of heads that are narrower than a block of 8 bits. What is rounded differs by as much as there is
 * to round, some 1e-3; another number's block in its place is another model. */
TEST(equal_backends_agree_on_heads_that_share_blocks)
{
    const char *model = variant_narrow_heads();
    for (int i = 1; i < ENGINES; i++) {
        struct weir_engine_options one, other;
        size_t bytes, other_bytes;
        fixture_options(&one);
        engine_options(&other, i);
        float *logits = logits_under(model, &one, ALL, &bytes);
        float *other_logits = logits_under(model, &other, ALL, &other_bytes);
        const double nmse = test_nmse(other_logits, logits, bytes / sizeof *logits);
        if (!(nmse <= 1e-2))
            test_fail(__FILE__, __LINE__, "%s: NMSE %g", other.isa, nmse);
        free(logits);
        free(other_logits);
    }
}

/* A sum in another order can make a number of a cache fall to the code beside: a step off, counted
 * in deviations of the numbers, of which a block spans about four. It is one of the 32 of its head,
 * in one of 24 rows. */
static double largest_error(enum weir_cache_type a, enum weir_cache_type b)
{
    static const double steps[] = {
        [WEIR_CACHE_F32] = 0,          [WEIR_CACHE_F16] = 0x1p-10,   [WEIR_CACHE_BF16] = 0x1p-7,
        [WEIR_CACHE_Q8_0] = 4.0 / 255, [WEIR_CACHE_Q5_1] = 4.0 / 31, [WEIR_CACHE_Q5_0] = 4.0 / 31,
        [WEIR_CACHE_Q4_1] = 4.0 / 15,  [WEIR_CACHE_Q4_0] = 4.0 / 15,
    };
    const double step = steps[a] > steps[b] ? steps[a] : steps[b];
    return 1e-8 + step * step / (32 * 24);
}

TEST(equal_backends_give_the_same_logits_with_any_cache)
{
    for (int type = WEIR_CACHE_F32; type <= WEIR_CACHE_Q4_0; type++) {
        for (int i = 1; i < ENGINES; i++) {
            struct weir_engine_options one, other;
            size_t bytes, other_bytes;
            fixture_options(&one);
            engine_options(&other, i);
            one.cache_k = other.cache_k = (enum weir_cache_type)type;
            one.cache_v = other.cache_v =
                (enum weir_cache_type)((type + 3) % (WEIR_CACHE_Q4_0 + 1));
            float *logits = logits_under(test_data(exact[0]), &one, ALL, &bytes);
            float *other_logits = logits_under(test_data(exact[0]), &other, ALL, &other_bytes);
            const double nmse = test_nmse(other_logits, logits, bytes / sizeof *logits);
            if (!(nmse <= largest_error(one.cache_k, one.cache_v)))
                test_fail(__FILE__, __LINE__, "%s, type %d: NMSE %g", other.isa, type, nmse);
            free(logits);
            free(other_logits);
        }
    }
}

/* ---- numbers that are none ------------------------------------------------------------------- */

/* The first number of a tensor becomes NaN, of a quantized one the scale of its first block. */
static void spoil(uint8_t *data, const struct gguf_tensor *tensor)
{
    const float single = NAN;
    const uint8_t half[] = {0x00, 0x7e};
    if (tensor->dtype == DTYPE_F32)
        memcpy(data + tensor->offset, &single, sizeof single);
    else
        memcpy(data + tensor->offset, half, sizeof half);
}

static bool is_finite_of(const char *path, int engine)
{
    /* the first row of the embedding too */
    const int32_t tokens[] = {0, 1, 2};
    struct weir_engine_options options;
    struct weir_error err = {0};
    struct fixture fixture;
    engine_options(&options, engine);
    fixture_open(&fixture, path, &options);
    const enum weir_status status =
        weir_session_eval(fixture.session, tokens, 3, WEIR_LOGITS_ALL, &err);
    if (status != WEIR_OK)
        fixture_check_says(&err, WEIR_ERR_FORMAT, " of the logits is not finite");
    fixture_close(&fixture);
    return status == WEIR_OK;
}

/* Layer 0 is recurrent, as 1 and 2 are; 3 is of attention; 4, the MTP block, is not read. */
static bool is_tried(const char *name)
{
    return strncmp(name, "blk.", 4) != 0 || name[4] == '0' || name[4] == '3';
}

/* Spoils one tensor after the other, with none of which there is an answer. */
static void check_spoilt(const char *model, int engine)
{
    size_t size;
    struct weir_error err = {0};
    struct gguf *gguf;
    const char *path = test_scratch("spoilt.gguf");
    CHECK_OK(gguf_open(&gguf, model, &err), &err);
    CHECK(is_finite_of(model, engine));
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        if (!is_tried(tensor->name))
            continue;
        uint8_t *data = test_read_file(model, &size);
        spoil(data, tensor);
        FILE *stream = fopen(path, "wb");
        CHECK(stream != NULL && fwrite(data, 1, size, stream) == size && fclose(stream) == 0);
        free(data);
        if (is_finite_of(path, engine))
            test_fail(__FILE__, __LINE__, "%s %s, %s: NaN gives an answer", engines[engine].backend,
                      engines[engine].isa, tensor->name);
    }
    gguf_close(gguf);
}

TEST(equal_backends_never_answer_from_nan)
{
    static const char *const names[] = {"golden/nano-f32.gguf", "golden/nano-q4_0.gguf",
                                        "golden/nanomoe-f32.gguf"};
    for (int i = 0; i < 3 * ENGINES; i++)
        check_spoilt(test_data(names[i % 3]), i / 3);
}
