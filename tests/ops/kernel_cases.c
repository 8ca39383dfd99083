/* SPDX-License-Identifier: MIT
 * The table of cases. A kind of op without a row here fails its test. */
#include "ops/kernel_cases.h"

#include <string.h>

#include "cpu/kernels.h"
#include "quant/encode.h"

/* ---- operands of each kind of op ------------------------------------------------------------- */

#define ROWS                                                                                       \
    {                                                                                              \
        SHAPE_ROWS, FILL_NORMAL                                                                    \
    }
#define FLAT                                                                                       \
    {                                                                                              \
        SHAPE_ROWS_FLAT, FILL_NORMAL                                                               \
    }
#define ONE_NUMBER                                                                                 \
    {                                                                                              \
        SHAPE_ROWS_ONE, FILL_NORMAL                                                                \
    }
#define VECTOR                                                                                     \
    {                                                                                              \
        SHAPE_VECTOR, FILL_NORMAL                                                                  \
    }
#define LONG                                                                                       \
    {                                                                                              \
        SHAPE_VECTOR_FLAT, FILL_NORMAL                                                             \
    }
#define KEYS                                                                                       \
    {                                                                                              \
        SHAPE_ROWS, FILL_KEYS                                                                      \
    }
#define VALUES                                                                                     \
    {                                                                                              \
        SHAPE_ROWS_A_OF_B, FILL_NORMAL                                                             \
    }
#define DECAYS                                                                                     \
    {                                                                                              \
        SHAPE_ROWS_A, FILL_DECAY                                                                   \
    }
#define BETAS                                                                                      \
    {                                                                                              \
        SHAPE_ROWS_A, FILL_SHARE                                                                   \
    }
#define COPY                                                                                       \
    {                                                                                              \
        SHAPE_STATE_COPY, FILL_NORMAL                                                              \
    }
#define STATE                                                                                      \
    {                                                                                              \
        SHAPE_STATE, FILL_NORMAL                                                                   \
    }
#define TURNS                                                                                      \
    {                                                                                              \
        SHAPE_FREQUENCIES, FILL_NORMAL                                                             \
    }
#define CACHE                                                                                      \
    {                                                                                              \
        SHAPE_CACHE, FILL_NORMAL                                                                   \
    }
#define ROUTING                                                                                    \
    {                                                                                              \
        SHAPE_ROUTING_G, FILL_NORMAL                                                               \
    }
#define QUERIES                                                                                    \
    {                                                                                              \
        SHAPE_ROWS_A_OF_W, FILL_NORMAL                                                             \
    }
#define TAPS                                                                                       \
    {                                                                                              \
        SHAPE_TAPS, FILL_NORMAL                                                                    \
    }
#define RECORDS                                                                                    \
    {                                                                                              \
        SHAPE_RECORDS, FILL_SHARE                                                                  \
    }
#define RING                                                                                       \
    {                                                                                              \
        SHAPE_RING, FILL_NORMAL                                                                    \
    }

static const struct operand_form forms[OP_COUNT][OP_OPERANDS_MAX] = {
    [OP_EMBED] = {{SHAPE_MATRIX, FILL_NORMAL}, FLAT},
    [OP_SELECT] = {FLAT, {SHAPE_OUTS, FILL_NORMAL}},
    [OP_MATMUL] = {{SHAPE_MATRIX, FILL_NORMAL},
                   {SHAPE_ROWS_FLAT, FILL_BYTES},
                   {SHAPE_ROWS_A, FILL_NORMAL}},
    [OP_RMS_NORM] = {ROWS, VECTOR, ROWS},
    [OP_L2_NORM] = {ROWS, ROWS},
    [OP_ADD] = {ROWS, ROWS, ROWS},
    [OP_MUL] = {ROWS, ROWS, ROWS},
    [OP_ADD_WEIGHT] = {ROWS, LONG, ROWS},
    [OP_MUL_WEIGHT] = {ROWS, LONG, ROWS},
    [OP_MUL_COLUMN] = {ROWS, ONE_NUMBER, ROWS},
    [OP_MUL_SCALAR] = {ROWS, {SHAPE_NUMBER, FILL_NORMAL}, ROWS},
    [OP_SILU] = {ROWS, ROWS},
    [OP_SIGMOID] = {ROWS, ROWS},
    [OP_SOFTPLUS] = {ROWS, ROWS},
    [OP_COPY] = {ROWS, FLAT},
    [OP_CONCAT] = {ROWS, {SHAPE_ROWS_A, FILL_NORMAL}, {SHAPE_ROWS_JOINED, FILL_NORMAL}},
    [OP_ROPE] = {ROWS, TURNS, ROWS},
    [OP_KV_APPEND] = {ROWS, CACHE},
    [OP_ATTEND] = {QUERIES, CACHE, CACHE, QUERIES},
    [OP_CONV] = {FLAT, TAPS, RING, FLAT},
    [OP_STATE_LOAD] = {STATE, COPY},
    [OP_DELTA_RULE] = {KEYS, KEYS, VALUES, DECAYS, BETAS, COPY, COPY, VALUES},
    [OP_STATE_STORE] = {COPY, STATE},
    [OP_ROUTE] = {FLAT, {SHAPE_ROUTING_A, FILL_NORMAL}, {SHAPE_ROWS_A, FILL_NORMAL}},
    [OP_EXPERT_MATMUL] = {{SHAPE_EXPERTS, FILL_NORMAL},
                          ROUTING,
                          {SHAPE_ROWS_INPUT, FILL_BYTES},
                          {SHAPE_ROWS_G_OF_A, FILL_NORMAL}},
    [OP_EXPERT_SCALE] = {ROWS, ROUTING, {SHAPE_SCALES, FILL_NORMAL}, ROWS},
    [OP_EXPERT_SUM] = {ROWS, {SHAPE_ROWS_G, FILL_SHARE}, {SHAPE_ROWS_A, FILL_NORMAL}},
    [OP_SUM_SQUARES] = {FLAT, {SHAPE_SUMS, FILL_SHARE}},
    [OP_EXPERT_SQUARES] = {{SHAPE_ROWS_INPUT, FILL_NORMAL},
                           ROUTING,
                           {SHAPE_EXPERT_SUMS, FILL_SHARE}},
    [OP_DELTA_RULE_RECORDED] = {KEYS, KEYS, VALUES, DECAYS, BETAS, STATE, RECORDS, VALUES},
    [OP_DELTA_RULE_INPLACE] = {KEYS, KEYS, VALUES, DECAYS, BETAS, STATE, VALUES},
    [OP_CONV_SILU] = {FLAT, TAPS, RING, FLAT},
    [OP_DECAY] = {ROWS, LONG, LONG, ROWS},
    [OP_NORM_ROPE] = {ROWS, VECTOR, TURNS, ROWS},
    [OP_GATED_NORM] = {ROWS, VECTOR, ROWS, ROWS},
    [OP_SIGMOID_MUL] = {ROWS, ROWS, ROWS},
    [OP_SWIGLU] = {ROWS, ROWS, ROWS},
    [OP_ADD_NORM] = {ROWS, ROWS, VECTOR, ROWS, ROWS},
    [OP_ADD_GATED] = {ROWS, ROWS, ONE_NUMBER, ROWS},
};

const struct operand_form *kernel_forms(enum op_kind kind)
{
    return forms[kind];
}

/* ---- steps ----------------------------------------------------------------------------------- */

/* Slots, tokens before, first row, rows. Histories end anywhere in a ring. */
static const struct step_shape_info steps[STEP_SHAPES] = {
    [STEP_ONE] = {"1 row", 1, 1, {{1, 41, 0, 1}}},
    [STEP_FAR] = {"1 row, far", 1, 1, {{1, 1500, 0, 1}}},
    [STEP_LONG] = {"70+20 rows, long", 90, 2, {{1, 4040, 0, 70}, {2, 8150, 70, 20}}},
    [STEP_FIVE] = {"5 rows", 5, 1, {{2, 64, 0, 5}}},
    [STEP_SEVENTEEN] = {"17 rows", 17, 1, {{0, 0, 0, 17}}},
    [STEP_MANY] = {"67 rows", 67, 1, {{3, 100, 0, 67}}},
    [STEP_PANELS] = {"521+16 rows", 537, 2, {{1, 3, 0, 521}, {3, 0, 521, 16}}},
    [STEP_TOKENS] = {"4 sequences",
                     4,
                     4,
                     {{4, 7, 0, 1}, {0, 0, 1, 1}, {3, 130, 2, 1}, {1, 63, 3, 1}}},
    [STEP_DRAFTS] = {"5+1+7 rows", 13, 3, {{1, 20, 0, 5}, {3, 64, 5, 1}, {0, 0, 6, 7}}},
    [STEP_MIXED] = {"1+6+18 rows", 25, 3, {{2, 9, 0, 1}, {0, 0, 1, 6}, {4, 131, 7, 18}}},
    [STEP_CHAIN] = {"1 row, recorded", 1, 1, {{1, 41, 0, 1, 3, 0, true}}},
    [STEP_VERIFY] = {"5 rows, recorded", 5, 1, {{2, 64, 0, 5, 4, 3, true}}},
    [STEP_RECORDED] = {"1+6+18 rows, recorded",
                       25,
                       3,
                       {{2, 9, 0, 1, 0, 0, true},
                        {0, 30, 1, 6, 16, 16, true},
                        {4, 131, 7, 18, 5, 5, false}}},
};

const struct step_shape_info *kernel_step(enum step_shape shape)
{
    return &steps[shape];
}

/* ---- cases ----------------------------------------------------------------------------------- */

/* Elementwise ops and norms: heads, a row, and widths that no vector divides, in views. */
#define SMALL(kind)                                                                                \
    {kind, "head of 21", .G = 3, .W = 21, .step = STEP_MIXED, .gap = 5},                           \
    {                                                                                              \
        kind, "width 1", .G = 1, .W = 1, .step = STEP_FIVE                                         \
    }
#define HEADS(kind)                                                                                \
    SMALL(kind), {kind, "0.8B heads", .G = 8, .W = 256, .step = STEP_FIVE, .gap = 256},            \
        {kind, "4B v heads", .G = 32, .W = 128, .step = STEP_MANY},                                \
    {                                                                                              \
        kind, "0.8B row", .G = 1, .W = 1024, .step = STEP_ONE                                      \
    }
#define WHOLE_ROWS(kind)                                                                           \
    {kind, "width 37", .G = 1, .W = 37, .step = STEP_MIXED},                                       \
        {kind, "width 1", .G = 1, .W = 1, .step = STEP_FIVE},                                      \
        {kind, "4B row", .G = 1, .W = 2560, .step = STEP_SEVENTEEN},                               \
        {kind, "0.8B row", .G = 1, .W = 1024, .step = STEP_ONE},                                   \
    {                                                                                              \
        kind, "35B-A3B v heads", .G = 1, .W = 32, .step = STEP_MANY                                \
    }

/* W keys of G heads, B values of A heads. */
#define RULES(kind)                                                                                \
    {kind, "0.8B", .G = 16, .W = 128, .A = 16, .B = 128, .step = STEP_ONE},                        \
        {kind, "4B", .G = 16, .W = 128, .A = 32, .B = 128, .step = STEP_TOKENS},                   \
        {kind, "4B prompt", .G = 4, .W = 128, .A = 8, .B = 128, .step = STEP_MANY, .timed = 32},   \
        {kind, "long prompt", .G = 1, .W = 128, .A = 2, .B = 64, .step = STEP_PANELS},             \
        {kind, "4B five", .G = 16, .W = 128, .A = 32, .B = 128, .step = STEP_FIVE, .gap = 128},    \
        {kind,                                                                                     \
         "grouped heads",                                                                          \
         .G = 2,                                                                                   \
         .W = 64,                                                                                  \
         .A = 6,                                                                                   \
         .B = 96,                                                                                  \
         .step = STEP_MIXED,                                                                       \
         .head_map = HEAD_MAP_GROUPED},                                                            \
        {kind, "odd heads", .G = 3, .W = 21, .A = 6, .B = 37, .step = STEP_MIXED, .gap = 3},       \
    {                                                                                              \
        kind, "odd prompt", .G = 1, .W = 13, .A = 2, .B = 5, .step = STEP_MANY                     \
    }

#define RECORDED_RULES(kind)                                                                       \
    {kind, "0.8B drafts", .G = 16, .W = 128, .A = 16, .B = 128, .step = STEP_VERIFY},              \
        {kind, "4B chain", .G = 16, .W = 128, .A = 32, .B = 128, .step = STEP_CHAIN},              \
        {kind,                                                                                     \
         "grouped heads",                                                                          \
         .G = 2,                                                                                   \
         .W = 64,                                                                                  \
         .A = 6,                                                                                   \
         .B = 96,                                                                                  \
         .step = STEP_RECORDED,                                                                    \
         .head_map = HEAD_MAP_GROUPED},                                                            \
    {                                                                                              \
        kind, "odd heads", .G = 3, .W = 21, .A = 6, .B = 37, .step = STEP_RECORDED, .gap = 3       \
    }

/* W channels, A taps. */
#define CONVOLUTIONS(kind)                                                                         \
    {kind, "0.8B", .G = 1, .W = 6144, .A = 4, .step = STEP_ONE},                                   \
        {kind, "0.8B prompt", .G = 1, .W = 6144, .A = 4, .step = STEP_MANY},                       \
        {kind, "odd channels", .G = 1, .W = 37, .A = 4, .step = STEP_MIXED},                       \
        {kind, "sequences", .G = 1, .W = 64, .A = 4, .step = STEP_TOKENS},                         \
        {kind, "2 taps", .G = 1, .W = 33, .A = 2, .step = STEP_MIXED},                             \
        {kind, "going back", .G = 1, .W = 37, .A = 4, .step = STEP_MIXED, .rewind = 5},            \
        {kind, "64 taps", .G = 1, .W = 37, .A = 64, .step = STEP_MIXED},                           \
    {                                                                                              \
        kind, "64 taps prompt", .G = 1, .W = 48, .A = 64, .step = STEP_MANY                        \
    }

/* Of heads of W the first 2 A numbers are turned. */
#define TURNED(kind)                                                                               \
    {kind, "0.8B", .G = 8, .W = 256, .A = 32, .step = STEP_FIVE, .gap = 256},                      \
        {kind, "4B prompt", .G = 16, .W = 256, .A = 32, .step = STEP_MANY},                        \
        {kind, "all turned", .G = 2, .W = 64, .A = 32, .step = STEP_TOKENS},                       \
        {kind, "odd head", .G = 3, .W = 21, .A = 5, .step = STEP_MIXED, .gap = 1},                 \
    {                                                                                              \
        kind, "far", .G = 2, .W = 256, .A = 32, .step = STEP_FAR                                   \
    }

const struct kernel_case kernel_cases[] = {
    /* A rows of the table */
    {OP_EMBED, "vocabulary", .G = 1, .W = 1024, .A = 37, .step = STEP_FIVE, .types = TYPES_WEIGHTS},
    {OP_EMBED, "odd", .G = 1, .W = 45, .A = 5, .step = STEP_MIXED, .types = TYPES_FLOATS},
    WHOLE_ROWS(OP_SELECT),

    /* A rows of W columns */
    {OP_MATMUL, "0.8B down, a token", .G = 1, .W = 3584, .A = 48, .step = STEP_ONE,
     .types = TYPES_WEIGHTS, .timed = 1024},
    {OP_MATMUL, "0.8B up", .G = 1, .W = 1024, .A = 64, .step = STEP_MANY, .types = TYPES_COMMON,
     .timed = 3584},
    {OP_MATMUL, "4B up, a token", .G = 1, .W = 2560, .A = 32, .step = STEP_ONE,
     .types = TYPES_COMMON, .timed = 9216},
    {OP_MATMUL, "4B down", .G = 1, .W = 9216, .A = 16, .step = STEP_FIVE, .types = TYPES_COMMON,
     .timed = 2560},
    {OP_MATMUL, "panels", .G = 1, .W = 768, .A = 20, .step = STEP_PANELS, .types = TYPES_COMMON},
    {OP_MATMUL, "wide panels", .G = 1, .W = 1280, .A = 20, .step = STEP_PANELS,
     .types = TYPES_COMMON},
    {OP_MATMUL, "rows left over", .G = 1, .W = 256, .A = 37, .step = STEP_SEVENTEEN,
     .types = TYPES_WEIGHTS},
    {OP_MATMUL, "one row", .G = 1, .W = 512, .A = 1, .step = STEP_MIXED, .types = TYPES_WEIGHTS},
    {OP_MATMUL, "sequences", .G = 1, .W = 512, .A = 100, .step = STEP_TOKENS,
     .types = TYPES_WEIGHTS},
    {OP_MATMUL, "many rows", .G = 1, .W = 256, .A = 70, .step = STEP_MANY, .types = TYPES_WEIGHTS},
    {OP_MATMUL, "drafts", .G = 1, .W = 416, .A = 37, .step = STEP_DRAFTS, .types = TYPES_WEIGHTS},
    {OP_MATMUL, "K drafts", .G = 1, .W = 256, .A = 37, .step = STEP_DRAFTS, .types = TYPES_WEIGHTS},
    {OP_MATMUL, "wide", .G = 1, .W = 16640, .A = 16, .step = STEP_DRAFTS, .types = TYPES_COMMON},
    {OP_MATMUL, "odd width", .G = 1, .W = 45, .A = 19, .step = STEP_MIXED, .types = TYPES_FLOATS},
    {OP_MATMUL, "odd and large", .G = 1, .W = 45, .A = 533, .step = STEP_MIXED,
     .types = TYPES_FLOATS},
    {OP_MATMUL, "large", .G = 1, .W = 1100, .A = 560, .step = STEP_MANY, .types = TYPES_FLOATS},
    {OP_MATMUL, "panels in turns", .G = 1, .W = 256, .A = 70, .step = STEP_PANELS,
     .types = TYPES_FLOATS},
    {OP_MATMUL, "large, to round", .G = 1, .W = 512, .A = 544, .step = STEP_PANELS,
     .types = TYPES_FLOATS, .is_fine = true},
    {OP_MATMUL, "width 1", .G = 1, .W = 1, .A = 3, .step = STEP_FIVE, .types = TYPES_FLOATS},
    {OP_MATMUL, "0.8B betas", .G = 1, .W = 1024, .A = 16, .step = STEP_ONE, .types = TYPES_FLOATS},
    {OP_MATMUL, "router", .G = 1, .W = 2048, .A = 256, .step = STEP_FIVE, .types = TYPES_FLOATS},

    HEADS(OP_RMS_NORM),
    HEADS(OP_L2_NORM),
    HEADS(OP_ADD),
    HEADS(OP_MUL),
    HEADS(OP_ADD_WEIGHT),
    {OP_ADD_WEIGHT, "qwen3next alphas", .G = 16, .W = 2, .step = STEP_MANY, .gap = 2},
    HEADS(OP_MUL_WEIGHT),
    {OP_MUL_WEIGHT, "qwen3next alphas", .G = 16, .W = 2, .step = STEP_MANY, .gap = 2},
    HEADS(OP_MUL_COLUMN),
    HEADS(OP_MUL_SCALAR),
    HEADS(OP_SILU),
    HEADS(OP_SIGMOID),
    HEADS(OP_SOFTPLUS),
    HEADS(OP_COPY),
    {OP_CONCAT, "4B rows", .G = 1, .W = 2560, .A = 2560, .step = STEP_FIVE},
    {OP_CONCAT, "odd rows", .G = 3, .W = 7, .A = 13, .step = STEP_MIXED, .gap = 2},

    TURNED(OP_ROPE),
    {OP_KV_APPEND, "0.8B", .G = 2, .W = 256, .step = STEP_ONE, .types = TYPES_CACHES},
    {OP_KV_APPEND, "4B prompt", .G = 4, .W = 256, .step = STEP_MANY, .types = TYPES_CACHES},
    {OP_KV_APPEND, "odd heads", .G = 3, .W = 21, .step = STEP_MIXED, .types = TYPES_CACHES,
     .gap = 4},

    /* A heads of queries, G of keys */
    {OP_ATTEND, "0.8B", .G = 2, .W = 256, .A = 8, .step = STEP_ONE, .types = TYPES_HALVES},
    {OP_ATTEND, "0.8B far", .G = 2, .W = 256, .A = 8, .step = STEP_FAR, .types = TYPES_CACHES},
    {OP_ATTEND, "4B five", .G = 4, .W = 256, .A = 16, .step = STEP_FIVE, .types = TYPES_HALVES},
    {OP_ATTEND, "35B-A3B", .G = 2, .W = 256, .A = 16, .step = STEP_TOKENS, .types = TYPES_HALVES},
    {OP_ATTEND, "0.8B prompt", .G = 2, .W = 256, .A = 8, .step = STEP_MANY, .types = TYPES_HALVES},
    {OP_ATTEND, "mixed", .G = 2, .W = 64, .A = 6, .step = STEP_MIXED, .types = TYPES_CACHES,
     .gap = 64},
    {OP_ATTEND, "odd heads", .G = 2, .W = 21, .A = 6, .step = STEP_MIXED, .types = TYPES_HALVES,
     .gap = 3},
    {OP_ATTEND, "odd prompt", .G = 1, .W = 5, .A = 11, .step = STEP_MANY, .types = TYPES_HALVES},
    {OP_ATTEND, "heads of one", .G = 3, .W = 40, .A = 3, .step = STEP_SEVENTEEN,
     .types = TYPES_HALVES},
    {OP_ATTEND, "chunks that grow", .G = 1, .W = 32, .A = 3, .step = STEP_LONG,
     .types = TYPES_HALVES},

    CONVOLUTIONS(OP_CONV),
    {OP_STATE_LOAD, "0.8B", .G = 16, .W = 128, .A = 16, .B = 128, .step = STEP_TOKENS},
    {OP_STATE_LOAD, "odd heads", .G = 3, .W = 21, .A = 6, .B = 37, .step = STEP_MIXED},
    RULES(OP_DELTA_RULE),
    {OP_STATE_STORE, "0.8B", .G = 16, .W = 128, .A = 16, .B = 128, .step = STEP_TOKENS},
    {OP_STATE_STORE, "odd heads", .G = 3, .W = 21, .A = 6, .B = 37, .step = STEP_MIXED},

    /* A of W experts */
    {OP_ROUTE, "35B-A3B", .G = 1, .W = 256, .A = 8, .step = STEP_FIVE},
    {OP_ROUTE, "odd", .G = 1, .W = 13, .A = 3, .step = STEP_MIXED},
    {OP_ROUTE, "all", .G = 1, .W = 4, .A = 4, .step = STEP_ONE},
    /* G of B experts of A rows of W columns */
    {OP_EXPERT_MATMUL, "35B-A3B up", .G = 8, .W = 2048, .A = 32, .B = 16, .step = STEP_ONE,
     .types = TYPES_COMMON, .shares_input = true, .timed = 512},
    {OP_EXPERT_MATMUL, "35B-A3B down", .G = 8, .W = 512, .A = 48, .B = 16, .step = STEP_FIVE,
     .types = TYPES_COMMON, .timed = 2048},
    {OP_EXPERT_MATMUL, "prompt", .G = 4, .W = 256, .A = 37, .B = 6, .step = STEP_MANY,
     .types = TYPES_WEIGHTS, .shares_input = true},
    {OP_EXPERT_MATMUL, "mixed", .G = 3, .W = 256, .A = 19, .B = 5, .step = STEP_MIXED,
     .types = TYPES_WEIGHTS},
    {OP_EXPERT_MATMUL, "odd", .G = 3, .W = 45, .A = 7, .B = 5, .step = STEP_MIXED,
     .types = TYPES_FLOATS},
    /* together more than the 512 rows from which on BF16 is multiplied in halves */
    {OP_EXPERT_MATMUL, "many experts", .G = 4, .W = 256, .A = 40, .B = 21, .step = STEP_MIXED,
     .types = TYPES_COMMON},
    {OP_EXPERT_MATMUL, "many and odd", .G = 3, .W = 45, .A = 33, .B = 17, .step = STEP_MANY,
     .types = TYPES_FLOATS, .shares_input = true},
    {OP_EXPERT_SCALE, "35B-A3B", .G = 8, .W = 512, .B = 256, .step = STEP_FIVE},
    {OP_EXPERT_SCALE, "odd", .G = 3, .W = 21, .B = 5, .step = STEP_MIXED, .gap = 2},
    {OP_EXPERT_SUM, "35B-A3B", .G = 8, .W = 2048, .A = 2048, .step = STEP_FIVE},
    {OP_EXPERT_SUM, "odd", .G = 3, .W = 37, .A = 37, .step = STEP_MIXED},
    WHOLE_ROWS(OP_SUM_SQUARES),
    {OP_EXPERT_SQUARES, "35B-A3B", .G = 8, .W = 2048, .B = 16, .step = STEP_FIVE,
     .shares_input = true},
    {OP_EXPERT_SQUARES, "odd", .G = 3, .W = 37, .B = 5, .step = STEP_MIXED},

    RULES(OP_DELTA_RULE_RECORDED),
    RECORDED_RULES(OP_DELTA_RULE_RECORDED),
    RULES(OP_DELTA_RULE_INPLACE),
    CONVOLUTIONS(OP_CONV_SILU),
    HEADS(OP_DECAY),
    {OP_DECAY, "qwen3next alphas", .G = 16, .W = 2, .step = STEP_MANY, .gap = 2},
    TURNED(OP_NORM_ROPE),
    HEADS(OP_GATED_NORM),
    HEADS(OP_SIGMOID_MUL),
    HEADS(OP_SWIGLU),
    SMALL(OP_ADD_NORM),
    {OP_ADD_NORM, "0.8B row", .G = 1, .W = 1024, .step = STEP_ONE},
    {OP_ADD_NORM, "4B rows", .G = 1, .W = 2560, .step = STEP_MANY},
    HEADS(OP_ADD_GATED),
};

const uint32_t kernel_cases_count = sizeof kernel_cases / sizeof kernel_cases[0];

const struct step_shape_info *kernel_case_step(const struct kernel_case *of)
{
    return of->drawn != NULL ? of->drawn : kernel_step(of->step);
}

/* ---- types ----------------------------------------------------------------------------------- */

static bool is_of(enum case_types types, enum dtype dtype)
{
    const enum dtype_family family = dtype_info(dtype)->family;
    switch (types) {
    case TYPES_F32: return dtype == DTYPE_F32;
    case TYPES_WEIGHTS:
        return (family == DTYPE_FAMILY_FLOAT || family == DTYPE_FAMILY_QUANT) &&
               encode_support(dtype) != ENCODE_NOT;
    case TYPES_COMMON:
        return dtype == DTYPE_BF16 || dtype == DTYPE_Q4_0 || dtype == DTYPE_Q4_K ||
               dtype == DTYPE_Q6_K || dtype == DTYPE_Q8_0;
    case TYPES_FLOATS: return family == DTYPE_FAMILY_FLOAT;
    case TYPES_HALVES: return dtype == DTYPE_F32 || dtype == DTYPE_F16;
    case TYPES_CACHES:
        return is_of(TYPES_FLOATS, dtype) || dtype == DTYPE_Q8_0 || dtype == DTYPE_Q4_0 ||
               dtype == DTYPE_Q4_1 || dtype == DTYPE_Q5_0 || dtype == DTYPE_Q5_1;
    }
    return false;
}

uint32_t kernel_case_types(const struct kernel_case *of, enum dtype types[DTYPE_COUNT])
{
    uint32_t count = 0;
    for (int dtype = 0; dtype < DTYPE_COUNT; dtype++) {
        if (is_of(of->types, dtype) && of->W % dtype_info(dtype)->block == 0)
            types[count++] = dtype;
    }
    return count;
}

/* ---- bounds ---------------------------------------------------------------------------------- */

static bool has_many_rows(const struct kernel_case *of)
{
    const struct step_shape_info *step = kernel_case_step(of);
    bool has = false;
    for (uint32_t i = 0; i < step->seqs; i++)
        has |= step->seq[i].rows > EXACT_ROWS;
    return has;
}

/* What goes on tiles if rows are many: of the delta rule keys and values of whole tiles. */
static bool can_be_tiled(const struct kernel_case *of)
{
    const bool is_product = of->kind == OP_MATMUL || of->kind == OP_EXPERT_MATMUL;
    const bool is_rule = of->kind == OP_DELTA_RULE || of->kind == OP_DELTA_RULE_RECORDED ||
                         of->kind == OP_DELTA_RULE_INPLACE;
    return is_product || (is_rule && of->W % 32 == 0 && of->B % 32 == 0);
}

/* Attention of many rows, of levels that have products of BF16, if heads are whole vectors of pairs
 * and the cache is not in F32. */
static bool can_be_paired(const struct kernel_case *of, enum dtype dtype)
{
    return of->kind == OP_ATTEND && of->W % 32 == 0 && dtype != DTYPE_F32;
}

/* A rounding to F32 is off by 2^-24 at most, 2^-24 / sqrt(3) in the mean: squared, 1.2e-15. A
 * function within a few units of the last place stays below some 1e-13. Sums of n numbers in
 * another order are off by about n / 2 such squares, of 10^4 numbers by 6e-12, and more where the
 * sum is small beside its terms. The rule of a state adds up what all rows rounded. The reference
 * rounds weights of attention to F16 where the cache is: (2^-11)^2 / 3 = 8e-8, and so is the
 * query, by whoever computes it. On tiles both sides of a product are rounded to BF16 where a
 * sequence has many rows: by up to 2^-8 of numbers from 1 to 2, squared (2^-8)^2 / 3 / 2 = 2.5e-6
 * for each side in the mean, and some more by chance where there are few numbers. So are the
 * products of a chunk of the delta rule, if keys and values are whole tiles. If one side is BF16
 * already, it is the 2.5e-6 of the other, and would be four times as much if that were cut off.
 * Attention of many rows rounds queries and keys, so a score is off by 5e-6 of the scores' variance
 * (4 of these cases), squared, and so is a weight; then weights and values: 2.5e-5 in all. */
double kernel_case_bound(const struct kernel_case *of, enum dtype dtype, const char *level)
{
    const bool has_tiles = strcmp(level, "amx") == 0 || strcmp(level, "emulated") == 0;
    const bool has_halves = has_tiles || strcmp(level, "v4_bf16") == 0;
    if (of->is_fine && dtype == DTYPE_BF16 && has_halves)
        return 5e-6;
    if (has_many_rows(of) && can_be_tiled(of) && has_tiles)
        return 1.5e-5;
    if (has_many_rows(of) && can_be_paired(of, dtype) && has_halves)
        return 4e-5;
    switch (of->kind) {
    case OP_EMBED:
    case OP_SELECT:
    case OP_ADD:
    case OP_MUL:
    case OP_ADD_WEIGHT:
    case OP_MUL_WEIGHT:
    case OP_MUL_COLUMN:
    case OP_MUL_SCALAR:
    case OP_COPY:
    case OP_CONCAT:
    case OP_KV_APPEND:
    case OP_STATE_LOAD:
    case OP_STATE_STORE:
    case OP_EXPERT_SCALE: return 0;
    case OP_ATTEND: return dtype == DTYPE_F16 ? 1e-6 : 1e-10;
    case OP_DELTA_RULE:
    case OP_DELTA_RULE_RECORDED:
    case OP_DELTA_RULE_INPLACE: return 1e-10;
    case OP_MATMUL:
    case OP_EXPERT_MATMUL: return 1e-11;
    default: return 1e-12;
    }
}
