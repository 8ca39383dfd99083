/* SPDX-License-Identifier: MIT
 * Tests of importance matrices made by an engine: the sums are those of the products' inputs, the
 * model computes as without, files add up. Run alone: build/tests/weir-test collect_ */
#include "golden/fixture.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alloc.h"
#include "edited_model.h"
#include "format/imatrix.h"
#include "ref/ref.h"
#include "run/engine.h"

enum { TOKENS = 24 };

static void open_collecting(struct fixture *fixture, const char *path, enum weir_collect collect)
{
    struct weir_engine_options options;
    fixture_options(&options);
    options.collect = collect;
    fixture_open(fixture, path, &options);
}

/* Evaluates the 24 tokens in steps of `rows` and returns what the file then holds. */
static struct imatrix collect_tokens(struct fixture *fixture, uint32_t rows, const char *file)
{
    struct weir_error err = {0};
    struct weir_imatrix *imatrix;
    struct imatrix read;
    uint32_t count;
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    CHECK_INT(count, TOKENS);
    CHECK_OK(weir_imatrix_open(&imatrix, &err), &err);
    for (uint32_t at = 0; at < count; at += rows)
        CHECK_OK(weir_session_eval(fixture->session, tokens + at, rows, WEIR_LOGITS_ALL, &err),
                 &err);
    CHECK_OK(weir_imatrix_take(imatrix, fixture->engine, count, &err), &err);
    CHECK_OK(weir_imatrix_save(imatrix, file, "tokens24", &err), &err);
    weir_imatrix_close(imatrix);
    free(tokens);
    CHECK_OK(imatrix_read(&read, file, &err), &err);
    return read;
}

static void check_close(double actual, double expected, const char *what)
{
    /* 24 additions in F32, each off by at most half a unit in the last place of the sum */
    if (!(fabs(actual - expected) <= 24 * 6e-8 * fabs(expected) + 1e-30))
        test_fail(__FILE__, __LINE__, "%s: %.9g, expected %.9g", what, actual, expected);
}

/* Adds the squares of what the op multiplies to sums[matrix][columns + 1], as the file has them. */
static void add_inputs(const struct ref_call *call, double *sums)
{
    const bool is_routed = call->op->kind == OP_EXPERT_MATMUL;
    const struct host_operand *x = &call->at[is_routed ? 2 : 1];
    const uint32_t columns = call->at[0].width;
    for (uint64_t row = 0; row < x->rows; row++) {
        for (uint32_t j = 0; j < (is_routed ? call->at[1].width : 1); j++) {
            const int32_t *experts =
                (const int32_t *)(const void *)(call->at[1].data + row * call->at[1].pitch);
            double *to = sums + (size_t)(is_routed ? experts[j] : 0) * (columns + 1);
            const float *from = host_group(x, row, is_routed && x->groups > 1 ? j : 0);
            for (uint32_t i = 0; i < columns; i++)
                to[i] += (double)from[i] * from[i];
            to[columns]++;
        }
    }
}

static void compare_entry(const struct imatrix *file, const char *name, const double *sums,
                          uint64_t matrices, uint64_t columns)
{
    const struct imatrix_entry *entry = imatrix_find(file, name);
    if (entry == NULL)
        test_fail(__FILE__, __LINE__, "no entry of %s", name);
    CHECK_INT(entry->matrices, matrices);
    CHECK_INT(entry->columns, columns);
    for (uint64_t m = 0; m < matrices; m++) {
        for (uint64_t i = 0; i < columns; i++)
            check_close((double)entry->sums[m * columns + i], sums[m * (columns + 1) + i], name);
        CHECK_INT((int64_t)entry->counts[m], (int64_t)sums[m * (columns + 1) + columns]);
    }
}

/* Runs a plan that collects nothing op by op and compares the inputs of each product of the layers,
 * summed up here, with the file. Returns the number of entries compared. */
static uint64_t compare_inputs(const char *model, const struct imatrix *file)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct step_seq seq = {.rows = TOKENS};
    struct step step = {.rows = TOKENS, .seqs = 1, .seq = &seq};
    uint32_t count;
    uint64_t compared = 0;
    fixture_options(&options);
    fixture_open(&fixture, model, &options);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    step.token = tokens;
    const struct blueprint *blueprint = &fixture.engine->blueprint;
    for (uint32_t i = 0; i < blueprint->plan->op_count; i++) {
        struct ref_call call;
        ref_resolve(fixture.engine->exec, i, &step, &call);
        ref_run_op(&call);
        const bool is_product = call.op->kind == OP_MATMUL || call.op->kind == OP_EXPERT_MATMUL;
        if (!is_product || call.op->layer == LAYER_NONE)
            continue;
        const struct buf *buf = plan_buf(blueprint->plan, call.op->operand[0]);
        double *sums = calloc(buf->stack * (buf->width + 1), sizeof *sums);
        CHECK(sums != NULL);
        add_inputs(&call, sums);
        compare_entry(file, blueprint->weights.list[buf->source].tensor->name, sums, buf->stack,
                      buf->width);
        free(sums);
        compared++;
    }
    free(tokens);
    fixture_close(&fixture);
    return compared;
}

static void check_model(const char *path)
{
    static const uint32_t rows[] = {TOKENS, 1, 8};
    char model[512]; /* the runner's paths do not stay */
    snprintf(model, sizeof model, "%s", path);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct fixture fixture;
        open_collecting(&fixture, model, WEIR_COLLECT_BLOCKS);
        struct imatrix file = collect_tokens(&fixture, rows[i], test_scratch("collected.gguf"));
        CHECK_INT(compare_inputs(model, &file), file.count);
        CHECK_INT(file.chunk_count, 1);
        CHECK_INT(file.chunk_size, TOKENS);
        imatrix_release(&file);
        fixture_close(&fixture);
    }
}

TEST(collect_sums_are_those_of_the_inputs)
{
    check_model(test_data("golden/nano-f32.gguf"));
    const char *moe = test_scratch("nanomoe.gguf");
    struct weir_synth_options synth;
    struct weir_error err = {0};
    weir_synth_options_init(&synth);
    synth.size = "nanomoe";
    synth.type = "q4_0";
    CHECK_OK(weir_synth(moe, &synth, &err), &err);
    check_model(moe);
}

TEST(collect_changes_no_logits)
{
    struct weir_engine_options options;
    struct fixture plain, collecting;
    uint32_t count;
    fixture_options(&options);
    fixture_open(&plain, test_data("golden/nano-q4_0.gguf"), &options);
    open_collecting(&collecting, test_data("golden/nano-q4_0.gguf"), WEIR_COLLECT_ALL);
    int32_t *tokens = fixture_tokens(test_data("golden/tokens24.txt"), &count);
    float *a = fixture_logits(&plain, tokens, count, false);
    float *b = fixture_logits(&collecting, tokens, count, false);
    CHECK(memcmp(a, b, (size_t)count * plain.vocab * sizeof *a) == 0);
    free(a);
    free(b);
    free(tokens);
    fixture_close(&plain);
    fixture_close(&collecting);
}

/* The head is measured on the rows whose logits are wanted; what was taken is gone. */
TEST(collect_head_and_taking_twice)
{
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_imatrix *imatrix;
    struct weir_imatrix_info info;
    open_collecting(&fixture, test_data("golden/nano-f32.gguf"), WEIR_COLLECT_ALL);
    char path[512], both[512];
    snprintf(path, sizeof path, "%s", test_scratch("head.gguf"));
    snprintf(both, sizeof both, "%s", test_scratch("both.gguf"));
    struct imatrix file = collect_tokens(&fixture, TOKENS, path);
    CHECK_INT((int)imatrix_find(&file, "token_embd.weight")->counts[0], TOKENS); /* tied */
    CHECK_OK(weir_imatrix_open(&imatrix, &err), &err);
    CHECK_OK(weir_imatrix_take(imatrix, fixture.engine, TOKENS, &err), &err); /* zeros */
    weir_imatrix_info(imatrix, &info);
    CHECK_INT(info.matrices, file.count);
    CHECK_INT(info.experts_unmet, 0); /* none has experts */
    CHECK_OK(weir_imatrix_load(imatrix, path, &err), &err);
    CHECK_OK(weir_imatrix_load(imatrix, path, &err), &err);
    CHECK_OK(weir_imatrix_save(imatrix, both, NULL, &err), &err);
    weir_imatrix_info(imatrix, &info);
    CHECK_INT(info.experts_unmet, 0);
    CHECK_INT(info.chunks, 3);
    struct imatrix doubled;
    CHECK_OK(imatrix_read(&doubled, both, &err), &err);
    CHECK_INT(doubled.count, file.count);
    CHECK_INT(doubled.datasets_count, 2);
    for (uint64_t i = 0; i < file.count; i++) {
        const struct imatrix_entry *one = file.entries[i];
        const struct imatrix_entry *two = imatrix_find(&doubled, one->name);
        for (uint64_t c = 0; c < one->columns; c++)
            CHECK(two->sums[c] == 2 * one->sums[c]);
        CHECK(two->counts[0] == 2 * one->counts[0]);
    }
    imatrix_release(&doubled);
    imatrix_release(&file);
    weir_imatrix_close(imatrix);
    fixture_close(&fixture);
}

TEST(collect_refuses)
{
    struct weir_engine_options options;
    struct fixture fixture;
    struct weir_error err = {0};
    struct weir_imatrix *imatrix;
    fixture_options(&options);
    fixture_open(&fixture, test_data("golden/nano-f32.gguf"), &options);
    CHECK_OK(weir_imatrix_open(&imatrix, &err), &err);
    CHECK_INT(weir_imatrix_take(imatrix, fixture.engine, 1, &err), WEIR_ERR_ARGUMENT);
    CHECK_TEXT(err.text, "the engine was opened without collecting");
    weir_imatrix_close(imatrix);
    fixture_close(&fixture);
}

/* The MTP block is measured, but its rows say nothing of a head that it shares with the model. */
TEST(collect_leaves_the_head_out_of_the_mtp_block)
{
    static const enum weir_collect choices[] = {WEIR_COLLECT_BLOCKS, WEIR_COLLECT_ALL};
    for (int i = 0; i < 2; i++) {
        struct weir_engine_options options;
        struct weir_imatrix *imatrix;
        struct weir_error err = {0};
        struct fixture fixture;
        fixture_options(&options);
        options.collect = choices[i];
        options.mtp = true;
        fixture_open(&fixture, test_data("golden/nano-f32.gguf"), &options);
        const int32_t tokens[] = {3, 5};
        float before[2 * 64] = {0};
        CHECK_INT(weir_engine_width(fixture.engine), 64);
        CHECK_OK(weir_session_eval(fixture.session, tokens, 2, WEIR_LOGITS_LAST, &err), &err);
        CHECK_OK(weir_session_mtp_eval(fixture.session, tokens, before, 2, WEIR_LOGITS_ALL, &err),
                 &err);
        CHECK_OK(weir_imatrix_open(&imatrix, &err), &err);
        CHECK_OK(weir_imatrix_take(imatrix, fixture.engine, 2, &err), &err);
        const char *path = test_scratch("mtp-head.gguf");
        CHECK_OK(weir_imatrix_save(imatrix, path, NULL, &err), &err);
        struct imatrix file;
        CHECK_OK(imatrix_read(&file, path, &err), &err);
        const struct imatrix_entry *head = imatrix_find(&file, "token_embd.weight");
        CHECK((head != NULL) == (choices[i] == WEIR_COLLECT_ALL));
        CHECK(head == NULL || head->counts[0] == 1); /* the model's one row of logits */
        CHECK(imatrix_find(&file, "blk.4.nextn.eh_proj.weight") != NULL);
        imatrix_release(&file);
        weir_imatrix_close(imatrix);
        fixture_close(&fixture);
    }
}

TEST(collect_refuses_sums_that_are_not_finite)
{
    struct weir_error err = {0};
    struct weir_imatrix *imatrix;
    struct fixture fixture;
    struct edited_model *model = edited_open(test_data("golden/nano-f32.gguf"));
    edited_floats(edited_find(model, "blk.1.attn_norm.weight"))[7] = NAN;
    open_collecting(&fixture, edited_write(model, "nan.gguf"), WEIR_COLLECT_BLOCKS);
    const int32_t token = 3;
    CHECK_OK(weir_session_eval(fixture.session, &token, 1, WEIR_LOGITS_NONE, &err), &err);
    CHECK_OK(weir_imatrix_open(&imatrix, &err), &err);
    CHECK_INT(weir_imatrix_take(imatrix, fixture.engine, 1, &err), WEIR_ERR_FORMAT);
    CHECK(strstr(err.text, "tensor blk.1.attn_qkv.weight was multiplied with Inf or NaN") != NULL);
    weir_imatrix_close(imatrix);
    fixture_close(&fixture);
    edited_close(model);
}

/* What an engine sums counts tokens; the older form counts chunks. */
TEST(collect_refuses_the_older_form)
{
    struct weir_error err = {0};
    struct weir_imatrix *imatrix;
    CHECK_OK(weir_imatrix_open(&imatrix, &err), &err);
    CHECK_INT(weir_imatrix_load(imatrix, test_data("../fuzz/corpus/imatrix/old"), &err),
              WEIR_ERR_UNSUPPORTED);
    CHECK(strstr(err.text, "the older form counts chunks") != NULL);
    weir_imatrix_close(imatrix);
}

/* ---- failing allocations --------------------------------------------------------------------- */

static void make_imatrix(void *argument)
{
    struct fixture *fixture = argument;
    const char *path = test_scratch("alloc.gguf");
    struct weir_imatrix *imatrix;
    enum weir_status status = weir_imatrix_open(&imatrix, NULL);
    if (status == WEIR_OK)
        status = weir_imatrix_take(imatrix, fixture->engine, TOKENS, NULL);
    if (status == WEIR_OK)
        status = weir_imatrix_save(imatrix, path, "text", NULL);
    if (status == WEIR_OK)
        status = weir_imatrix_load(imatrix, path, NULL);
    weir_imatrix_close(imatrix);
    /* a file may also fail to open, which is an error of its own */
    CHECK((status != WEIR_OK) == alloc_failed());
}

TEST(collect_survives_failing_allocations)
{
    struct fixture fixture;
    open_collecting(&fixture, test_data("golden/nano-f32.gguf"), WEIR_COLLECT_BLOCKS);
    alloc_test(make_imatrix, &fixture);
    fixture_close(&fixture);
}
