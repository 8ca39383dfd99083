/* SPDX-License-Identifier: MIT
 * Runs a plan op by op on the reference's functions, with operands rounded on the way. */
#include "golden/rounding_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec.h"
#include "golden/fixture.h"
#include "ref/ref.h"
#include "run/engine.h"

/* What a level does to the activations of a product. */
struct rounding {
    bool has_codes;  /* 8 bits, where the matrix has codes */
    bool has_tiles;  /* BF16 for many rows, where it has codes or is BF16, and of the delta rule */
    bool has_halves; /* the same, where it is BF16 */
    bool has_pairs;  /* BF16 for many queries of attention, where the cache is not in F32 */
    const bool *is_many;
};

/* 32 numbers to -127 to 127 and a scale. */
static void round_to_codes(float *x, uint32_t width)
{
    enum { BLOCK = 32 };
    for (uint32_t at = 0; at < width; at += BLOCK) {
        float largest = 0;
        for (uint32_t i = at; i < at + BLOCK; i++)
            largest = fmaxf(largest, fabsf(x[i]));
        const float scale = largest / 127, inverse = scale > 0 ? 127 / largest : 0;
        for (uint32_t i = at; i < at + BLOCK; i++)
            x[i] = roundf(x[i] * inverse) * scale;
    }
}

static void round_to_halves(float *x, uint32_t width)
{
    for (uint32_t i = 0; i < width; i++)
        x[i] = codec_from_bf16(codec_to_bf16(x[i]));
}

static bool is_rule(const struct op *op)
{
    return op->kind == OP_DELTA_RULE || op->kind == OP_DELTA_RULE_INPLACE;
}

/* Operands [first, end) of the op are rounded: what a product multiplies, queries of attention, or
 * queries, keys and values of the delta rule. That the rows of a cache are rounded where they meet
 * many queries is left out: they meet few as they are. */
static void find_rounded(const struct op *op, uint32_t *first, uint32_t *end)
{
    *first = op->kind == OP_MATMUL ? 1 : op->kind == OP_EXPERT_MATMUL ? 2 : 0;
    *end = is_rule(op) ? 3 : *first > 0 || op->kind == OP_ATTEND ? *first + 1 : 0;
}

/* A row of the operand to `kept`, or back. */
static void keep_row(const struct host_operand *x, uint64_t row, float *kept, bool is_back)
{
    for (uint32_t group = 0; group < x->groups; group++, kept += x->width) {
        float *numbers = host_group(x, row, group);
        memcpy(is_back ? numbers : kept, is_back ? kept : numbers, x->width * sizeof *kept);
    }
}

/* `x`: a row, its groups one behind the other. */
static void round_row(const struct rounding *rounding, const struct ref_call *call, uint64_t row,
                      float *x, uint32_t width)
{
    const enum dtype dtype = call->at[0].dtype;
    const bool is_code = !dtype_is_float(dtype), is_bf16 = dtype == DTYPE_BF16;
    const bool is_paired = rounding->has_pairs && call->op->kind == OP_ATTEND &&
                           call->at[0].width % 32 == 0 && call->at[1].dtype != DTYPE_F32 &&
                           call->at[2].dtype != DTYPE_F32;
    const bool can_halve = (rounding->has_tiles && (is_rule(call->op) || is_code || is_bf16)) ||
                           (rounding->has_halves && is_bf16) || is_paired;
    if (can_halve && rounding->is_many[row])
        round_to_halves(x, width);
    else if (is_code && rounding->has_codes)
        round_to_codes(x, width);
}

/* Runs an op on rounded operands and puts back what was there: other ops read it too. */
static void run_op(const struct rounding *rounding, const struct ref_call *call)
{
    float *kept[OP_OPERANDS_MAX] = {NULL};
    uint32_t first, end;
    find_rounded(call->op, &first, &end);
    for (uint32_t i = first; i < end; i++) {
        const struct host_operand *x = &call->at[i];
        const uint32_t width = x->groups * x->width;
        float *rounded = malloc((width + 1) * sizeof *rounded);
        kept[i] = malloc((x->rows * width + 1) * sizeof *kept[i]);
        CHECK(kept[i] != NULL && rounded != NULL);
        for (uint64_t row = 0; row < x->rows; row++) {
            keep_row(x, row, kept[i] + row * width, false);
            memcpy(rounded, kept[i] + row * width, width * sizeof *rounded);
            round_row(rounding, call, row, rounded, width);
            keep_row(x, row, rounded, true);
        }
        free(rounded);
    }
    ref_run_op(call);
    for (uint32_t i = first; i < end; i++) {
        const struct host_operand *x = &call->at[i];
        for (uint64_t row = 0; row < x->rows; row++)
            keep_row(x, row, kept[i] + row * x->groups * x->width, true);
        free(kept[i]);
    }
}

static struct rounding rounding_of(const struct reference_run *run)
{
    const bool has_tiles =
        run->isa != NULL && (strcmp(run->isa, "emulated") == 0 || strcmp(run->isa, "amx") == 0);
    const bool has_halves = run->isa != NULL && strcmp(run->isa, "v4_bf16") == 0;
    return (struct rounding){.has_codes = run->isa != NULL,
                             .has_tiles = has_tiles,
                             .has_halves = has_halves,
                             .has_pairs = has_tiles || has_halves,
                             .is_many = run->is_many};
}

static void run_plan(const struct exec *exec, const struct plan *plan, const struct step *step,
                     const struct rounding *rounding)
{
    for (uint32_t i = 0; i < plan->op_count; i++) {
        struct ref_call call;
        ref_resolve(exec, i, step, &call);
        run_op(rounding, &call);
    }
}

float *reference_run(const struct reference_run *run)
{
    const struct rounding rounding = rounding_of(run);
    struct weir_engine_options options;
    struct fixture fixture;
    uint32_t *out_row = malloc(run->count * sizeof *out_row);
    CHECK(out_row != NULL);
    fixture_options(&options);
    options.cache_k = run->options->cache_k;
    options.cache_v = run->options->cache_v;
    options.mtp = run->hidden != NULL;
    options.mtp_vocab = run->options->mtp_vocab;
    options.threads = 1;
    options.step_rows_max = options.logits_rows_max = options.context = run->count;
    fixture_open(&fixture, run->model, &options);
    for (uint32_t i = 0; i < run->count; i++)
        out_row[i] = i;
    const struct step_seq seq = {.rows = run->count};
    const struct step step = {.rows = run->count,
                              .token = run->tokens,
                              .hidden = run->hidden,
                              .seqs = 1,
                              .seq = &seq,
                              .outs = run->count,
                              .out_row = out_row};
    const struct weir_engine *engine = fixture.engine;
    const bool is_block = run->hidden != NULL;
    const struct exec *exec = is_block ? engine->mtp_exec : engine->exec;
    run_plan(exec, is_block ? engine->blueprint.mtp : engine->blueprint.plan, &step, &rounding);
    const uint32_t vocab = is_block ? weir_engine_mtp_vocab(engine) : weir_engine_vocab(engine);
    const size_t bytes = (size_t)run->count * vocab * sizeof(float);
    float *logits = malloc(bytes);
    CHECK(logits != NULL);
    memcpy(logits, engine->blueprint.backend->logits(exec, 0), bytes);
    free(out_row);
    fixture_close(&fixture);
    return logits;
}
