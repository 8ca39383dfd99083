/* SPDX-License-Identifier: MIT
 * Drafts from a part of the vocabulary: the logits are the first of those of the whole head, to the
 * bit, in every type, by each backend and level of instructions, however the weights lie.
 * Run alone: build/tests/weir-test short_head_ */
#include "golden/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/engines.h"
#include "golden/variants.h"
#include "run/engine.h"

/* Rows at once: as few as are exact one by one, and as many as are not. */
enum { FEW = 3, TOKENS = 24, WIDTH_MAX = 256 };

/* What the block gives for the tokens of the whole vocabulary, and hidden states that no model
 * gives, in steps of some and of all. */
struct drafts {
    uint32_t vocab;
    float *logits; /* [FEW + TOKENS][vocab]; malloc */
};

static void put_rows(struct drafts *drafts, struct weir_session *session, const int32_t *tokens,
                     const float *hidden, uint32_t rows, uint32_t at)
{
    struct weir_error err = {0};
    CHECK_OK(weir_session_mtp_rewind(session, 0, &err), &err);
    CHECK_OK(weir_session_mtp_eval(session, tokens, hidden, rows, WEIR_LOGITS_ALL, &err), &err);
    for (uint32_t row = 0; row < rows; row++)
        memcpy(drafts->logits + (size_t)(at + row) * drafts->vocab,
               weir_session_mtp_logits(session, row), drafts->vocab * sizeof(float));
}

static struct drafts drafts_of(const char *model, const struct weir_engine_options *options)
{
    static float hidden[TOKENS * WIDTH_MAX];
    struct fixture fixture;
    struct drafts drafts;
    uint32_t count;
    for (size_t i = 0; i < sizeof hidden / sizeof hidden[0]; i++)
        hidden[i] = (float)((int)(i * 37 % 101) - 50) / 25;
    fixture_open(&fixture, model, options);
    CHECK(weir_engine_width(fixture.engine) <= WIDTH_MAX);
    drafts.vocab = weir_engine_mtp_vocab(fixture.engine);
    drafts.logits = malloc((FEW + TOKENS) * (size_t)drafts.vocab * sizeof *drafts.logits);
    CHECK(drafts.logits != NULL);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    tokens[0] = (int32_t)fixture.vocab - 1;
    if (options
            ->repack_late) { /* the model's first step leaves weights late, the block's does not */
        struct weir_error err = {0};
        CHECK_OK(weir_session_eval(fixture.session, tokens, 1, WEIR_LOGITS_LAST, &err), &err);
    }
    put_rows(&drafts, fixture.session, tokens, hidden, FEW, 0);
    put_rows(&drafts, fixture.session, tokens, hidden, TOKENS, FEW);
    free(tokens);
    fixture_close(&fixture);
    return drafts;
}

/* Asks for `asked` tokens and expects `vocab`. */
static void check_part(const char *model, const struct weir_engine_options *whole, uint32_t asked,
                       uint32_t vocab)
{
    struct weir_engine_options part = *whole;
    part.mtp_vocab = asked;
    struct drafts all = drafts_of(model, whole), some = drafts_of(model, &part);
    CHECK_INT(some.vocab, vocab);
    for (size_t row = 0; row < FEW + TOKENS; row++) {
        if (memcmp(some.logits + row * vocab, all.logits + row * all.vocab,
                   vocab * sizeof(float)) != 0)
            test_fail(__FILE__, __LINE__, "%s, %s %s, row %zu: %u logits of %u differ", model,
                      whole->backend, whole->isa == NULL ? "" : whole->isa, row, vocab, all.vocab);
    }
    free(all.logits);
    free(some.logits);
}

static void block_options(struct weir_engine_options *options, int engine)
{
    fixture_options(options);
    engines_choose(options, engine);
    options->mtp = true;
}

/* A model whose head, which is its embedding, is of that type. */
static const char *model_of(const char *size, const char *type, uint32_t vocab)
{
    struct weir_synth_options synth;
    struct weir_error err = {0};
    const char *path = test_scratch("headed.gguf");
    weir_synth_options_init(&synth);
    synth.size = size;
    synth.type = "q8_0";
    synth.output_type = type;
    synth.layers = 4;
    synth.vocab = vocab;
    synth.mtp = true;
    CHECK_OK(weir_synth(path, &synth, &err), &err);
    return path;
}

/* ---- to the bit ------------------------------------------------------------------------------ */

/* As the backend holds it, as it lies in the file, and first the one and then the other; each type
 * by the best level, and by another one in turn. Both heads have more than 512 rows: fewer of BF16
 * would meet many rows of activations unrounded (cpu/kernels/kernel_product.c). */
TEST(short_head_is_the_beginning_in_every_type)
{
    const char *const *types = weir_synth_types();
    for (int i = 0; types[i] != NULL; i++) {
        const char *model = model_of("tiny", types[i], 1024);
        struct weir_engine_options options;
        block_options(&options, ENGINES - 1);
        check_part(model, &options, 544, 544);
        options.no_repack = true;
        check_part(model, &options, 544, 544);
        options.no_repack = false;
        options.repack_late = true;
        check_part(model, &options, 544, 544);
        block_options(&options, i % ENGINES);
        check_part(model, &options, 513, 544);
    }
}

TEST(short_head_is_the_beginning_by_every_engine)
{
    static const char *const types[] = {"f32", "q4_0", "q5_k"};
    for (int i = 0; i < 3; i++) {
        const char *model = model_of("tiny", types[i], 1024);
        for (int engine = 0; engine < ENGINES; engine++) {
            struct weir_engine_options options;
            block_options(&options, engine);
            options.threads = 1 + (uint32_t)engine % 3;
            check_part(model, &options, 160, 160);
        }
    }
}

TEST(short_head_is_whole_units)
{
    static const uint32_t cases[][3] = {
        /* vocabulary, asked for, given */
        {1024, 0, 1024},  {1024, 1, 32},     {1024, 32, 32},     {1024, 33, 64},
        {1024, 992, 992}, {1024, 993, 1024}, {1024, 1024, 1024}, {1024, UINT32_MAX, 1024},
        {1000, 991, 992}, {1000, 993, 1000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct weir_engine_options options;
        block_options(&options, ENGINES - 1);
        check_part(model_of("nano", "q8_0", cases[i][0]), &options, cases[i][1], cases[i][2]);
    }
}

/* A head and a table of the block's own, a factor behind the product, sums that are collected,
 * ops that are not fused. */
TEST(short_head_of_any_layout)
{
    const char *const models[] = {
        variant_mtp(test_data("golden/nano-f32.gguf"), VARIANT_OWN_TABLES),
        variant_mtp(test_data("golden/nanomoe-f32.gguf"), VARIANT_OWN_TABLES),
        variant_scaled(test_data("golden/nanomoe-f32.gguf"), DTYPE_F32),
    };
    for (int i = 0; i < 3; i++) {
        for (int engine = 0; engine < ENGINES; engine += ENGINES - 1) {
            struct weir_engine_options options;
            block_options(&options, engine);
            check_part(models[i], &options, 480, 480);
            options.fuse = options.fused_gdn = WEIR_OFF;
            options.collect = WEIR_COLLECT_ALL;
            check_part(models[i], &options, 480, 480);
        }
    }
}
