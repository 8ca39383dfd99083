/* SPDX-License-Identifier: MIT
 * Kernels of the gated delta net of every level of instructions, against the reference and against
 * themselves: chunks, cuts, company, fused and unfused. Run alone:
 * build/tests/weir-test deltanet_ */
#include "test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "ops/kernel_trial.h"
#include "ref/ref.h"

/* The kernels of the next level that this processor has, from number `at` on; NULL behind the last.
 * For one whose tiles would be trapped `emulated` stands: kernels.c finds the same bits in both. */
static const struct kernels *next_level(uint32_t *at)
{
    enum level_presence presence = LEVEL_ABSENT;
    const struct kernels *kernels;
    do {
        kernels = trial_level((*at)++, &presence);
    } while (kernels != NULL && presence != LEVEL_PRESENT);
    return kernels;
}

static float *random_floats(uint64_t count, uint64_t stream)
{
    float *values = malloc(count * sizeof *values);
    CHECK(values != NULL);
    for (uint64_t i = 0; i < count; i++)
        values[i] = (float)rng_normal(test_seed(), stream, i);
    return values;
}

static struct host_operand groups_of(void *data, uint64_t rows, uint32_t groups, uint32_t width)
{
    return (struct host_operand){.data = data,
                                 .dtype = DTYPE_F32,
                                 .rows = rows,
                                 .width = width,
                                 .groups = groups,
                                 .stride = width,
                                 .pitch = (uint64_t)groups * width * sizeof(float)};
}

/* ---- one layer of the delta rule ------------------------------------------------------------- */

struct shape {
    uint32_t heads_k, heads_v, keys, values;
    enum head_map map;
};

enum { SLOTS = 2 };

struct rule {
    struct shape shape;
    uint32_t rows;
    const struct kernels *kernels; /* NULL: the reference */
    bool unfused;
    float *q, *k, *v, *decay, *beta, *y;
    float *state, *copies; /* [SLOTS][heads_v][values * keys]; twice as many */
    float *scratch;
};

static uint64_t state_floats(const struct shape *shape)
{
    return (uint64_t)shape->heads_v * shape->values * shape->keys;
}

/* q and k of length 1, as the network has them. */
static float *random_units(uint64_t count, uint32_t width, uint64_t stream)
{
    float *values = random_floats(count * width, stream);
    for (uint64_t i = 0; i < count; i++) {
        double squares = 0;
        for (uint32_t n = 0; n < width; n++)
            squares += (double)values[i * width + n] * values[i * width + n];
        for (uint32_t n = 0; n < width; n++)
            values[i * width + n] /= (float)sqrt(squares);
    }
    return values;
}

static void rule_open(struct rule *rule, const struct shape *shape, uint32_t rows)
{
    const uint64_t states = SLOTS * state_floats(shape);
    *rule = (struct rule){.shape = *shape, .rows = rows};
    rule->q = random_units((uint64_t)rows * shape->heads_k, shape->keys, 1);
    rule->k = random_units((uint64_t)rows * shape->heads_k, shape->keys, 2);
    rule->v = random_floats((uint64_t)rows * shape->heads_v * shape->values, 3);
    rule->decay = random_floats((uint64_t)rows * shape->heads_v, 4);
    rule->beta = random_floats((uint64_t)rows * shape->heads_v, 5);
    rule->y = malloc((uint64_t)rows * shape->heads_v * shape->values * sizeof(float));
    rule->state = calloc(states, sizeof(float));
    rule->copies = malloc(2 * states * sizeof(float));
    rule->scratch = aligned_alloc(64, (chunk_floats(shape->keys) + 15) / 16 * 16 * sizeof(float));
    CHECK(rule->y && rule->state && rule->copies && rule->scratch);
    for (uint64_t i = 0; i < (uint64_t)rows * shape->heads_v; i++) {
        rule->decay[i] = -fabsf(rule->decay[i]) / 10;
        rule->beta[i] = 1 / (1 + expf(-rule->beta[i]));
    }
}

static void rule_close(struct rule *rule)
{
    free(rule->q);
    free(rule->k);
    free(rule->v);
    free(rule->decay);
    free(rule->beta);
    free(rule->y);
    free(rule->state);
    free(rule->copies);
    free(rule->scratch);
}

/* Begins anew with other kernels. */
static void rule_restart(struct rule *rule, const struct kernels *kernels, bool unfused)
{
    rule->kernels = kernels;
    rule->unfused = unfused;
    memset(rule->state, 0, SLOTS * state_floats(&rule->shape) * sizeof(float));
}

static void rule_op(struct rule *rule, enum op_kind kind, ref_op_fn *reference,
                    const struct step *step, const struct host_operand *at, uint32_t operands)
{
    const struct op op = {.kind = (uint8_t)kind,
                          .head_map = (uint8_t)rule->shape.map,
                          .scale = 1 / sqrtf((float)rule->shape.keys)};
    struct ref_call by_reference = {.op = &op, .step = step, .rows = rule->rows};
    struct cpu_call call = {.op = &op, .step = step, .scratch = rule->scratch};
    const struct part all = {0, rule->rows, 0, rule->shape.heads_v * rule->shape.values};
    memcpy(by_reference.at, at, operands * sizeof *at);
    memcpy(call.at, at, operands * sizeof *at);
    if (rule->kernels == NULL)
        reference(&by_reference, 0, ref_units(&by_reference));
    else
        rule->kernels->op[kind](&call, &all);
}

/* Rows [row_first, row_first + rows) of each sequence. */
static void rule_step(struct rule *rule, const struct step_seq *seqs, uint32_t count)
{
    const struct shape *shape = &rule->shape;
    const struct step step = {.rows = rule->rows, .seqs = count, .seq = seqs};
    const uint32_t state_rows = shape->heads_v * shape->values;
    struct host_operand at[8] = {
        groups_of(rule->q, rule->rows, shape->heads_k, shape->keys),
        groups_of(rule->k, rule->rows, shape->heads_k, shape->keys),
        groups_of(rule->v, rule->rows, shape->heads_v, shape->values),
        groups_of(rule->decay, rule->rows, 1, shape->heads_v),
        groups_of(rule->beta, rule->rows, 1, shape->heads_v),
        groups_of(rule->state, state_rows, 1, shape->keys),
        groups_of(rule->y, rule->rows, shape->heads_v, shape->values),
    };
    at[5].slot_bytes = state_floats(shape) * sizeof(float);
    if (!rule->unfused) {
        rule_op(rule, OP_DELTA_RULE_INPLACE, ref_delta_rule_inplace, &step, at, 7);
        return;
    }
    const struct host_operand state = at[5], y = at[6];
    at[5] = groups_of(rule->copies, (uint64_t)state_rows * count, 1, shape->keys);
    at[6] = at[5];
    at[6].data += SLOTS * state.slot_bytes;
    at[7] = y;
    const struct host_operand load[] = {state, at[5]}, store[] = {at[6], state};
    rule_op(rule, OP_STATE_LOAD, ref_state_load, &step, load, 2);
    rule_op(rule, OP_DELTA_RULE, ref_delta_rule, &step, at, 8);
    rule_op(rule, OP_STATE_STORE, ref_state_store, &step, store, 2);
}

/* A sequence in slot 0 through steps of these sizes, until 0. Returns what was read, malloc. */
static float *rule_through(struct rule *rule, const uint32_t *sizes)
{
    uint32_t done = 0;
    for (; *sizes != 0; sizes++) {
        const struct step_seq seq = {.cached = done, .row_first = done, .rows = *sizes};
        rule_step(rule, &seq, 1);
        done += *sizes;
    }
    CHECK_INT(done, rule->rows);
    const uint64_t floats = (uint64_t)rule->rows * rule->shape.heads_v * rule->shape.values;
    float *y = malloc(floats * sizeof *y);
    CHECK(y != NULL);
    memcpy(y, rule->y, floats * sizeof *y);
    return y;
}

static uint64_t read_floats(const struct rule *rule)
{
    return (uint64_t)rule->rows * rule->shape.heads_v * rule->shape.values;
}

/* ---- against the reference ------------------------------------------------------------------- */

static const struct shape shapes[] = {
    {2, 2, 128, 128, HEAD_MAP_GROUPED}, {1, 3, 64, 64, HEAD_MAP_TILED},
    {2, 4, 32, 32, HEAD_MAP_GROUPED},   {2, 4, 48, 96, HEAD_MAP_TILED},
    {1, 2, 128, 40, HEAD_MAP_GROUPED},  {2, 2, 21, 37, HEAD_MAP_TILED},
};

/* Sums of up to 64 + 128 products in F32, in another order: relative errors of some 2^-24 sqrt(192)
 * or 8e-7, squared 7e-13, and as much again for what the state has gathered. On tiles both sides of
 * a product are rounded to BF16, as in kernel_case_bound. */
static double most_error(const struct shape *shape, const char *level)
{
    const bool has_tiles = strcmp(level, "amx") == 0 || strcmp(level, "emulated") == 0;
    return has_tiles && shape->keys % 32 == 0 && shape->values % 32 == 0 ? 1.5e-5 : 1.5e-12;
}

static void check_rule(struct rule *rule, const uint32_t *sizes, const char *what)
{
    const struct kernels *kernels;
    rule_restart(rule, NULL, false);
    float *expected = rule_through(rule, sizes);
    for (uint32_t i = 0; (kernels = next_level(&i)) != NULL;) {
        rule_restart(rule, kernels, false);
        float *actual = rule_through(rule, sizes);
        const double nmse = test_nmse(actual, expected, read_floats(rule));
        if (!(nmse <= most_error(&rule->shape, kernels->level)))
            test_fail(__FILE__, __LINE__, "%s, %u rows, level %s: NMSE %g", what, rule->rows,
                      kernels->level, nmse);
        free(actual);
    }
    free(expected);
}

/* What a step leaves behind is read by the one after it. */
TEST(deltanet_chunks_are_the_rule)
{
    static const uint32_t lengths[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 130, 200};
    static const uint32_t before[] = {1, 5, 50, 64};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
            const uint32_t sizes[] = {before[i % 4], lengths[i], 3, 0};
            struct rule rule;
            rule_open(&rule, &shapes[s], before[i % 4] + lengths[i] + 3);
            check_rule(&rule, sizes, "random");
            rule_close(&rule);
        }
    }
}

/* Every tenth number, or all, of decay and beta. */
static void set_gates(struct rule *rule, float decay, uint32_t every, float beta)
{
    for (uint64_t i = 0; i < (uint64_t)rule->rows * rule->shape.heads_v; i++) {
        if (i % every == 0)
            rule->decay[i] = decay;
        if (beta >= 0)
            rule->beta[i] = beta;
    }
}

TEST(deltanet_extreme_gates)
{
    static const float decays[] = {0, -1e-8f, -1e-3f, -1, -2, -20, -50, -1000, -INFINITY};
    static const float betas[] = {-1, 0, 1};
    static const uint32_t sizes[] = {7, 150, 3, 0};
    for (size_t i = 0; i < sizeof decays / sizeof decays[0]; i++) {
        for (size_t b = 0; b < 3; b++) {
            for (uint32_t every = 1; every <= 11; every += 10) {
                struct rule rule;
                rule_open(&rule, &shapes[0], 160);
                set_gates(&rule, decays[i], every, 0.5f);
                /* something to forget, then */
                for (uint64_t n = 30; n < (uint64_t)160 * 2 && betas[b] >= 0; n++)
                    rule.beta[n] = betas[b];
                check_rule(&rule, sizes, "gates");
                rule_close(&rule);
            }
        }
    }
}

/* The same key again and again: the rows of a chunk depend on each other as much as they can. */
TEST(deltanet_identical_keys)
{
    static const uint32_t sizes[] = {100, 0};
    struct rule rule;
    rule_open(&rule, &shapes[0], 100);
    set_gates(&rule, 0, 1, 1);
    for (uint32_t i = 1; i < 100; i++)
        memcpy(rule.k + (uint64_t)i * 256, rule.k, 256 * sizeof *rule.k);
    check_rule(&rule, sizes, "identical keys");
    rule_close(&rule);
}

/* ---- the same bits --------------------------------------------------------------------------- */

static void check_bits(struct rule *rule, const uint32_t *sizes, const uint32_t *others,
                       bool unfused)
{
    const struct kernels *kernels;
    for (uint32_t i = 0; (kernels = next_level(&i)) != NULL;) {
        rule_restart(rule, kernels, false);
        float *one = rule_through(rule, sizes);
        rule_restart(rule, kernels, unfused);
        float *other = rule_through(rule, others);
        CHECK(memcmp(one, other, read_floats(rule) * sizeof *one) == 0);
        free(one);
        free(other);
    }
}

TEST(deltanet_cuts_keep_the_bits)
{
    static const uint32_t uncut[] = {150, 0}, at_chunks[] = {64, 64, 22, 0}, late[] = {128, 22, 0};
    static const uint32_t odd[] = {9, 141, 0}, odd_cut[] = {4, 5, 55, 64, 22, 0};
    static const uint32_t few[] = {128, 16, 6, 0}, fewer[] = {128, 1, 1, 14, 2, 4, 0};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct rule rule;
        rule_open(&rule, &shapes[s], 150);
        check_bits(&rule, uncut, at_chunks, false);
        check_bits(&rule, uncut, late, false);
        check_bits(&rule, odd, odd_cut, false);
        check_bits(&rule, few, fewer, false);
        rule_close(&rule);
    }
}

TEST(deltanet_unfused_is_fused)
{
    static const uint32_t sizes[] = {5, 100, 1, 17, 27, 0};
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        struct rule rule;
        rule_open(&rule, &shapes[s], 150);
        check_bits(&rule, sizes, sizes, true);
        rule_close(&rule);
    }
}

/* Two sequences in one step, with many rows and with few. */
static void check_company(struct rule *rule, const struct kernels *kernels, bool unfused,
                          const struct step_seq seqs[2])
{
    const uint64_t bytes = read_floats(rule) * sizeof(float);
    rule_restart(rule, kernels, unfused);
    rule_step(rule, seqs, 2);
    float *together = malloc(bytes);
    CHECK(together != NULL);
    memcpy(together, rule->y, bytes);
    memset(rule->y, 0, bytes);
    rule_restart(rule, kernels, unfused);
    rule_step(rule, &seqs[1], 1);
    rule_step(rule, &seqs[0], 1);
    CHECK(memcmp(together, rule->y, bytes) == 0);
    free(together);
}

static void check_companies(const struct shape *shape, uint32_t first, uint32_t second)
{
    const struct step_seq seqs[] = {
        {.cached = 3, .rows = first},
        {.cached = 70, .row_first = first, .rows = second, .slot = 1},
    };
    const struct kernels *kernels;
    struct rule rule;
    rule_open(&rule, shape, first + second);
    for (uint32_t i = 0; (kernels = next_level(&i)) != NULL;) {
        check_company(&rule, kernels, false, seqs);
        check_company(&rule, kernels, true, seqs);
    }
    rule_close(&rule);
}

TEST(deltanet_company_keeps_the_bits)
{
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        check_companies(&shapes[s], 80, 1);
        check_companies(&shapes[s], 16, 90);
        check_companies(&shapes[s], 70, 70);
    }
}

/* ---- convolution ----------------------------------------------------------------------------- */

enum { CONV_ROWS = 23, CHANNELS = CONV_BLOCK + 45 };

/* All rows at once, or one by one. Taps, rows that are kept and input as given. */
static void convolve(const struct kernels *kernels, const float *x, const float *taps,
                     uint32_t tap_count, float *y, bool one_by_one)
{
    static const struct op op = {.kind = OP_CONV_SILU};
    float *ring = calloc((uint64_t)tap_count * CHANNELS, sizeof *ring);
    float *scratch = malloc((uint64_t)tap_count * CONV_BLOCK * sizeof *scratch);
    CHECK(ring != NULL && scratch != NULL);
    for (uint32_t row = 0; row < CONV_ROWS; row += one_by_one ? 1 : CONV_ROWS) {
        const struct step_seq seq = {
            .cached = row, .row_first = row, .rows = one_by_one ? 1 : CONV_ROWS};
        const struct step step = {.rows = CONV_ROWS, .seqs = 1, .seq = &seq};
        struct cpu_call call = {.op = &op, .step = &step, .scratch = scratch};
        const struct part all = {0, CONV_ROWS, 0, CHANNELS};
        call.at[0] = groups_of((void *)(uintptr_t)x, CONV_ROWS, 1, CHANNELS);
        call.at[1] = groups_of((void *)(uintptr_t)taps, CHANNELS, 1, tap_count);
        call.at[2] = groups_of(ring, tap_count - 1, 1, CHANNELS);
        call.at[3] = groups_of(y, CONV_ROWS, 1, CHANNELS);
        kernels->op[OP_CONV_SILU](&call, &all);
    }
    free(ring);
    free(scratch);
}

/* In double. */
static float convolved(const float *x, const float *taps, uint32_t tap_count, uint32_t row,
                       uint32_t channel)
{
    double sum = 0;
    for (uint32_t tap = 0; tap < tap_count; tap++) {
        const uint32_t back = tap_count - 1 - tap;
        if (back <= row)
            sum += (double)taps[channel * tap_count + tap] * x[(row - back) * CHANNELS + channel];
    }
    return (float)(sum / (1 + exp(-sum)));
}

TEST(deltanet_convolution_of_any_taps)
{
    enum { TAPS_MAX = 9, COUNT = CONV_ROWS * CHANNELS };
    float *x = random_floats(COUNT, 6), *taps = random_floats(CHANNELS * TAPS_MAX, 7);
    float *y = malloc(COUNT * sizeof *y), *alone = malloc(COUNT * sizeof *y);
    float *expected = malloc(COUNT * sizeof *y);
    const struct kernels *kernels;
    CHECK(y != NULL && alone != NULL && expected != NULL);
    for (uint32_t tap_count = 2; tap_count <= TAPS_MAX; tap_count++) {
        for (uint32_t i = 0; i < COUNT; i++)
            expected[i] = convolved(x, taps, tap_count, i / CHANNELS, i % CHANNELS);
        for (uint32_t i = 0; (kernels = next_level(&i)) != NULL;) {
            convolve(kernels, x, taps, tap_count, y, false);
            convolve(kernels, x, taps, tap_count, alone, true);
            CHECK(memcmp(y, alone, COUNT * sizeof *y) == 0);
            CHECK(test_nmse(y, expected, COUNT) <= 1e-12);
        }
    }
    free(x);
    free(taps);
    free(y);
    free(alone);
    free(expected);
}
