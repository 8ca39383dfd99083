/* SPDX-License-Identifier: MIT
 * One network in several files: what qwen3next, fused experts and scales beside weights mean is
 * that the logits are those of the plain file. Run alone: build/tests/weir-test layouts_ */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "golden/fixture.h"
#include "golden/variants.h"

#define NANO    test_data("golden/nano-f32.gguf")
#define NANOMOE test_data("golden/nanomoe-f32.gguf")

enum { TOKENS = 24 };

/* Logits of the model and of its MTP block if it has one. */
struct rows {
    float *model, *block; /* [TOKENS][vocab] */
    size_t count;         /* numbers of each */
};

/* The MTP logits of `tokens` with the hidden states of the model's last step. */
static void run_block(const struct fixture *fixture, const int32_t *tokens, float *logits)
{
    struct weir_error err = {0};
    const uint32_t width = weir_engine_width(fixture->engine);
    float *before = calloc((size_t)TOKENS * width, sizeof *before);
    CHECK(before != NULL);
    for (uint32_t row = 0; row + 1 < TOKENS; row++)
        memcpy(before + (row + 1) * width, weir_session_hidden(fixture->session, row),
               width * sizeof *before);
    CHECK_OK(weir_session_mtp_eval(fixture->session, tokens, before, TOKENS, WEIR_LOGITS_ALL, &err),
             &err);
    for (uint32_t row = 0; row < TOKENS; row++)
        memcpy(logits + (size_t)row * fixture->vocab,
               weir_session_mtp_logits(fixture->session, row), fixture->vocab * sizeof *logits);
    free(before);
}

/* The block gets the tokens `shift` further on in the vocabulary. */
static struct rows rows_of_shifted(const char *model, const struct weir_engine_options *options,
                                   uint32_t shift)
{
    struct fixture fixture;
    struct rows rows;
    uint32_t count;
    fixture_open(&fixture, model, options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    CHECK_INT(count, TOKENS);
    rows.count = (size_t)TOKENS * fixture.vocab;
    rows.block = calloc(rows.count, sizeof *rows.block);
    CHECK(rows.block != NULL);
    rows.model = fixture_logits(&fixture, tokens, count, false);
    for (uint32_t i = 0; i < count; i++)
        tokens[i] = (int32_t)(((uint32_t)tokens[i] + shift) % fixture.vocab);
    if (options->mtp)
        run_block(&fixture, tokens, rows.block);
    free(tokens);
    fixture_close(&fixture);
    return rows;
}

static struct rows rows_of(const char *model, const struct weir_engine_options *options)
{
    return rows_of_shifted(model, options, 0);
}

static void rows_free(struct rows *rows)
{
    free(rows->model);
    free(rows->block);
}

static void check_same_bits(struct rows a, struct rows b)
{
    CHECK_INT(a.count, b.count);
    CHECK(memcmp(a.model, b.model, a.count * sizeof *a.model) == 0);
    CHECK(memcmp(a.block, b.block, a.count * sizeof *a.block) == 0);
    rows_free(&a);
    rows_free(&b);
}

static const char *const backends[] = {"ref", "cpu"};

enum { BACKENDS = sizeof backends / sizeof backends[0] };

static void plain_options(struct weir_engine_options *options, int backend)
{
    fixture_options(options);
    options->backend = backends[backend];
    options->mtp = true;
}

static void unfused_options(struct weir_engine_options *options, int backend)
{
    plain_options(options, backend);
    options->fuse = options->fused_gdn = WEIR_OFF;
}

/* ---- qwen3next ------------------------------------------------------------------------------- */

/* Heads in another order make the sums of ssm_out run in another order: some 1e-7 of their size,
 * squared and three layers amplified 1e-12 (9e-13 is found). Heads paired wrongly are another
 * model. */
static void check_order_of_heads(int backend)
{
    struct weir_engine_options options;
    plain_options(&options, backend);
    struct rows tiled = rows_of(variant_tiled(), &options);
    struct rows split = rows_of(variant_next(VARIANT_SPLIT), &options);
    struct rows wrong = rows_of(variant_next(VARIANT_WRONG), &options);
    CHECK_INT(split.count, tiled.count);
    CHECK(test_nmse(split.model, tiled.model, tiled.count) <= 4e-12);
    CHECK(test_nmse(split.block, tiled.block, tiled.count) <= 4e-12);
    CHECK(test_nmse(wrong.model, tiled.model, tiled.count) >= 0.1);
    check_same_bits(split, rows_of(variant_next(VARIANT_LEGACY), &options));
    rows_free(&tiled);
    rows_free(&wrong);
}

TEST(layouts_qwen3next_is_qwen35moe)
{
    for (int backend = 0; backend < BACKENDS; backend++)
        check_order_of_heads(backend);
}

TEST(layouts_qwen3next_fused_is_unfused)
{
    for (int i = 0; i < 2 * BACKENDS; i++) {
        struct weir_engine_options fused, unfused;
        plain_options(&fused, i / 2);
        unfused_options(&unfused, i / 2);
        unfused.threads = 3;
        const char *path = variant_next(i % 2 == 0 ? VARIANT_SPLIT : VARIANT_LEGACY);
        check_same_bits(rows_of(path, &fused), rows_of(path, &unfused));
    }
}

/* ---- experts --------------------------------------------------------------------------------- */

TEST(layouts_fused_experts_are_separate_ones)
{
    const char *path = variant_gate_up(NANOMOE);
    for (int backend = 0; backend < BACKENDS; backend++) {
        struct weir_engine_options fused, unfused;
        plain_options(&fused, backend);
        unfused_options(&unfused, backend);
        check_same_bits(rows_of(NANOMOE, &fused), rows_of(path, &fused));
        check_same_bits(rows_of(NANOMOE, &fused), rows_of(path, &unfused));
    }
}

/* ---- types and scales ------------------------------------------------------------------------ */

/* Products with quantized weights are products with what they decode to. */
TEST(layouts_quantized_is_decoded)
{
    static const char *const names[] = {"golden/nano-q4_0.gguf", "golden/nano-q8_0.gguf",
                                        "golden/nanomoe-q4_0.gguf", "golden/nanomoe-q8_0.gguf"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct weir_engine_options options;
        fixture_options(&options);
        check_same_bits(rows_of(test_data(names[i]), &options),
                        rows_of(variant_decoded(test_data(names[i])), &options));
    }
}

TEST(layouts_tiny_quantized_is_decoded)
{
    static const char *const types[] = {"q4_0", "q4_k", "q8_0"};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        struct weir_engine_options options;
        fixture_options(&options);
        const char *path = fixture_synth("tinymoe", types[i]);
        check_same_bits(rows_of(path, &options), rows_of(variant_decoded(path), &options));
    }
}

/* Powers of two are exact in every type and every product. */
static void check_scaled(const char *path, enum dtype dtype)
{
    const char *scaled = variant_scaled(path, dtype);
    for (int backend = 0; backend < BACKENDS; backend++) {
        struct weir_engine_options fused, unfused;
        plain_options(&fused, backend);
        unfused_options(&unfused, backend);
        check_same_bits(rows_of(path, &fused), rows_of(scaled, &fused));
        check_same_bits(rows_of(path, &fused), rows_of(scaled, &unfused));
    }
}

TEST(layouts_scales_are_factors_of_products)
{
    check_scaled(NANO, DTYPE_F32);
    check_scaled(NANOMOE, DTYPE_F32);
    check_scaled(NANOMOE, DTYPE_F16);
    check_scaled(variant_gate_up(NANOMOE), DTYPE_F32);
    check_scaled(variant_next(VARIANT_SPLIT), DTYPE_BF16);
    check_scaled(variant_next(VARIANT_LEGACY), DTYPE_F32);
}

/* ---- optional tensors of the MTP block ------------------------------------------------------- */

/* Its own embedding is the model's with all rows one further on, its own head twice the model's, so
 * that the logits tell whether both are used; without an own norm the model's last one serves. */
static void check_own_tables(const char *path, int backend)
{
    struct weir_engine_options options, unfused;
    plain_options(&options, backend);
    unfused_options(&unfused, backend);
    struct rows plain = rows_of(variant_mtp(path, VARIANT_OWN_NORM), &options);
    struct rows shared = rows_of(variant_mtp(path, VARIANT_NO_NORM), &options);
    struct rows own = rows_of_shifted(variant_mtp(path, VARIANT_OWN_TABLES), &options, 1);
    for (size_t i = 0; i < plain.count; i++)
        own.block[i] /= 2;
    CHECK(memcmp(shared.block, own.block, own.count * sizeof *own.block) == 0);
    CHECK(memcmp(shared.model, own.model, own.count * sizeof *own.model) == 0);
    check_same_bits(plain, shared);
    check_same_bits(rows_of_shifted(variant_mtp(path, VARIANT_OWN_TABLES), &options, 1),
                    rows_of_shifted(variant_mtp(path, VARIANT_OWN_TABLES), &unfused, 1));
    rows_free(&own);
}

TEST(layouts_mtp_block_with_tables_of_its_own)
{
    for (int backend = 0; backend < BACKENDS; backend++) {
        check_own_tables(NANO, backend);
        check_own_tables(NANOMOE, backend);
    }
}
