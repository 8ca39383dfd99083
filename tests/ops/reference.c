/* SPDX-License-Identifier: MIT
 * Reference ops one by one on the worked example of MODEL.md, section 8, computed there in float64
 * to 10 digits, and on cases that can be computed by hand. The bound of 3e-6 is some 20 roundings
 * of F32 at the size of the numbers. Run alone: build/tests/weir-test ops_ */
#include "test.h"

#include <math.h>
#include <string.h>

#include "model/config.h"
#include "ref/ref.h"

enum { SCRATCH = 64 };

/* A dense matrix of rows of `groups` groups. */
static struct host_operand dense(const void *data, uint64_t rows, uint32_t groups, uint32_t width)
{
    return (struct host_operand){.data = (uint8_t *)(uintptr_t)data,
                                 .dtype = DTYPE_F32,
                                 .rows = rows,
                                 .width = width,
                                 .groups = groups,
                                 .stride = width,
                                 .pitch = (uint64_t)groups * width * sizeof(float)};
}

/* A state, ring or cache of one slot. */
static struct host_operand slot(const void *data, uint64_t rows, uint32_t groups, uint32_t width)
{
    struct host_operand operand = dense(data, rows, groups, width);
    operand.slot_bytes = rows * operand.pitch;
    return operand;
}

static void run_op(ref_op_fn *function, struct ref_call *call)
{
    float scratch[SCRATCH];
    call->scratch = scratch;
    function(call, 0, ref_units(call));
    call->scratch = NULL;
}

static void check_near(int line, const char *what, const float *actual, const double *expected,
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!(fabs(actual[i] - expected[i]) <= 3e-6))
            test_fail(__FILE__, line, "%s[%zu] is %.9g, expected %.9g", what, i, (double)actual[i],
                      expected[i]);
    }
}

#define CHECK_NEAR(actual, ...)                                                                    \
    do {                                                                                           \
        static const double near_[] = __VA_ARGS__;                                                 \
        check_near(__LINE__, #actual, actual, near_, sizeof near_ / sizeof near_[0]);              \
    } while (0)

/* ---- gated delta net ------------------------------------------------------------------------- */

static const struct step_seq rows_4_5 = {.cached = 4, .rows = 2};
static const struct step step_4_5 = {.rows = 2, .seqs = 1, .seq = &rows_4_5};

static const float taps[6][4] = {{0.25f, -0.5f, 0.125f, 1}, {-0.125f, 0.25f, 0.5f, 0.75f},
                                 {0.5f, 0, -0.25f, 0.5f},   {0, 0.25f, -0.5f, 1},
                                 {1, -0.5f, 0.25f, 0.5f},   {0.125f, 0.25f, 0.375f, 0.5f}};
static const float u[2][6] = {{0.75f, 1, -0.5f, 1.25f, 2, -0.25f},
                              {-0.5f, 0.25f, 1.5f, -0.75f, 0.5f, 1.75f}};

static void run_conv(enum op_kind kind, ref_op_fn *function, float ring[3][6], float y[2][6])
{
    const struct op op = {.kind = (uint8_t)kind};
    struct ref_call call = {.op = &op, .step = &step_4_5, .rows = 2};
    call.at[0] = dense(u, 2, 1, 6);
    call.at[1] = dense(taps, 6, 1, 4);
    call.at[2] = slot(ring, 3, 1, 6);
    call.at[3] = dense(y, 2, 1, 6);
    run_op(function, &call);
}

TEST(ops_convolution_with_its_ring)
{
    /* the row of position p lies at p mod 3: u_3, u_1, u_2 */
    static const float before[3][6] = {{1.5f, -0.5f, -0.25f, 0.5f, 1, -1},
                                       {0.5f, -1, 0.25f, 1, -0.5f, 0.75f},
                                       {-0.25f, 0.5f, 1, -0.75f, 0.125f, 0.25f}};
    float ring[3][6], y[2][6];
    memcpy(ring, before, sizeof ring);
    run_conv(OP_CONV, ref_conv, ring, y);
    CHECK_NEAR(y[0], {1.1875, 0.75, -0.0625, 0.8125, 0.6875, -0.34375});
    CHECK_NEAR(y[1], {-1.21875, 0.5, 1.375, -1.25, 0.375, 0.5625});
    CHECK(memcmp(ring[0], before[0], sizeof ring[0]) == 0);
    CHECK(memcmp(ring[1], u, sizeof u) == 0);
    memcpy(ring, before, sizeof ring);
    run_conv(OP_CONV_SILU, ref_conv_silu, ring, y);
    CHECK_NEAR(y[0], {0.9099737012, 0.5093840244, -0.03027375527, 0.5627716113, 0.4574697591,
                      -0.1426214782});
    CHECK_NEAR(y[1],
               {-0.278065737, 0.3112296656, 1.097506819, -0.2783751735, 0.222249975, 0.3583298219});
}

TEST(ops_gates_of_the_delta_rule)
{
    static const float a[2] = {0.5f, -2}, b[2] = {0.75f, -0.5f}, dt = 0.25f, rate = -1.5f;
    float g[2], beta[2];
    const struct op op = {.kind = OP_DECAY};
    struct ref_call call = {.op = &op, .step = &step_4_5, .rows = 2};
    call.at[0] = dense(a, 2, 1, 1);
    call.at[1] = dense(&dt, 1, 1, 1);
    call.at[2] = dense(&rate, 1, 1, 1);
    call.at[3] = dense(g, 2, 1, 1);
    run_op(ref_decay, &call);
    CHECK_NEAR(g, {-1.705306509, -0.2403362257});
    call.at[0] = dense(b, 2, 1, 1);
    call.at[1] = dense(beta, 2, 1, 1);
    run_op(ref_sigmoid, &call);
    CHECK_NEAR(beta, {0.6791786992, 0.3775406688});
    CHECK(ref_softplus_of(25.0f) == 25.0f && ref_softplus_of(-120.0f) == 0.0f);
}

TEST(ops_delta_rule_and_gated_norm)
{
    static const float w[2][6] = {
        {0.9099737012f, 0.5093840244f, -0.03027375527f, 0.5627716113f, 0.4574697591f,
         -0.1426214782f},
        {-0.278065737f, 0.3112296656f, 1.097506819f, -0.2783751735f, 0.222249975f, 0.3583298219f}};
    static const float g[2] = {-1.705306509f, -0.2403362257f};
    static const float beta[2] = {0.6791786992f, 0.3775406688f};
    float m[4] = {0.5f, -0.25f, 0.125f, 1}, q[2][2], k[2][2], o[2][2], gated[2][2];
    const struct op norm = {.kind = OP_L2_NORM, .eps = 1e-6f, .scale = 1};
    struct ref_call call = {.op = &norm, .step = &step_4_5, .rows = 2};
    call.at[0] = dense(w, 2, 1, 2); /* a view of the convolution's rows of 6 */
    call.at[0].pitch = sizeof w[0];
    call.at[1] = dense(q, 2, 1, 2);
    run_op(ref_l2_norm, &call);
    call.at[0].data += 2 * sizeof(float);
    call.at[1] = dense(k, 2, 1, 2);
    run_op(ref_l2_norm, &call);
    CHECK_NEAR(q[0], {0.8725882728, 0.4884564526, -0.6662585219, 0.7457208472});
    CHECK_NEAR(k[0], {-0.05371636812, 0.9985562337, 0.9693058883, -0.2458578754});

    const struct op rule = {.kind = OP_DELTA_RULE_INPLACE, .scale = sqrtf(0.5f)};
    call = (struct ref_call){.op = &rule, .step = &step_4_5, .rows = 2};
    call.at[0] = dense(q, 2, 1, 2);
    call.at[1] = dense(k, 2, 1, 2);
    call.at[2] = dense((const float *)w + 4, 2, 1, 2);
    call.at[2].pitch = sizeof w[0];
    call.at[3] = dense(g, 2, 1, 1);
    call.at[4] = dense(beta, 2, 1, 1);
    call.at[5] = slot(m, 2, 1, 2);
    call.at[6] = dense(o, 2, 1, 2);
    run_op(ref_delta_rule_inplace, &call);
    CHECK_NEAR(o[0], {0.1478697268, 0.008419299745, 0.04736010862, -0.1001249493});
    CHECK_NEAR(m, {0.1391852345, 0.214169494, 0.1459994201, -0.05943873444});

    static const float z[4] = {1, -0.5f, -2, 0.25f}, weight[2] = {0.75f, 1.25f};
    const struct op gate = {.kind = OP_GATED_NORM, .eps = 1e-6f};
    call = (struct ref_call){.op = &gate, .step = &step_4_5, .rows = 2};
    call.at[0] = dense(o, 2, 1, 2);
    call.at[1] = dense(weight, 1, 1, 2);
    call.at[2] = dense(z, 2, 1, 2);
    call.at[3] = dense(gated, 2, 1, 2);
    run_op(ref_gated_norm, &call);
    /* o is small, so its norm multiplies the error of o by 10 */
    static const double expected[4] = {0.7741156026, -0.01896849345, -0.1081144705, -0.2245732347};
    for (int i = 0; i < 4; i++)
        CHECK(fabs(gated[i / 2][i % 2] - expected[i]) <= 3e-5);
}

/* Which key head a value head uses: heads of width 1, a state of zero, beta 1 and q = k = 1, so
 * that the output is v times the key's square. */
static void check_head_map(enum head_map map, const float *expected)
{
    static const float k[2] = {1, 2}, v[6] = {1, 1, 1, 1, 1, 1}, g[6] = {0};
    static const float beta[6] = {1, 1, 1, 1, 1, 1};
    static const struct step_seq seq = {.rows = 1};
    static const struct step step = {.rows = 1, .seqs = 1, .seq = &seq};
    float m[6] = {0}, o[6];
    const struct op op = {.kind = OP_DELTA_RULE_INPLACE, .scale = 1, .head_map = (uint8_t)map};
    struct ref_call call = {.op = &op, .step = &step, .rows = 1};
    call.at[0] = call.at[1] = dense(k, 1, 2, 1);
    call.at[2] = dense(v, 1, 6, 1);
    call.at[3] = dense(g, 1, 1, 6);
    call.at[4] = dense(beta, 1, 1, 6);
    call.at[5] = slot(m, 6, 1, 1);
    call.at[6] = dense(o, 1, 6, 1);
    run_op(ref_delta_rule_inplace, &call);
    for (int i = 0; i < 6; i++)
        CHECK(o[i] == expected[i] * expected[i]);
}

TEST(ops_head_maps)
{
    check_head_map(HEAD_MAP_TILED, (const float[]){1, 2, 1, 2, 1, 2});
    check_head_map(HEAD_MAP_GROUPED, (const float[]){1, 1, 1, 2, 2, 2});
}

/* ---- full attention -------------------------------------------------------------------------- */

TEST(ops_rope)
{
    static const struct step_seq seq = {.cached = 7, .rows = 1};
    static const struct step step = {.rows = 1, .seqs = 1, .seq = &seq};
    static const float x[6] = {1, -0.5f, 0.25f, 2, 0.75f, -1.5f};
    const struct rope_config config = {.base = 100, .width = 4, .factor = 1, .attn_factor = 1};
    double frequencies[2];
    float y[6], magnitude;
    rope_frequencies(&config, frequencies, &magnitude);
    CHECK(magnitude == 1);
    const struct op op = {.kind = OP_ROPE, .scale = magnitude};
    struct ref_call call = {.op = &op, .step = &step, .rows = 1};
    call.at[0] = dense(x, 1, 1, 6);
    call.at[1] = dense(frequencies, 1, 1, 2);
    call.at[2] = dense(y, 1, 1, 6);
    run_op(ref_rope, &call);
    CHECK_NEAR(y, {0.5896556047, -1.670856468, 0.8454621623, 1.207575531, 0.75, -1.5});
}

/* Rows at positions 0 and 1 of one sequence, through norm and RoPE, the caches, attention and its
 * gate. Row 0 has queries of zero: only row 1 is compared. */
TEST(ops_attention)
{
    static const struct step_seq seq = {.rows = 2};
    static const struct step step = {.rows = 2, .seqs = 1, .seq = &seq};
    static const float q_norm[4] = {1, 0.5f, 1.5f, -1}, k_norm[4] = {0.75f, 1.25f, -0.5f, 1};
    static const float k[2][4] = {{1, -0.5f, 0.25f, 2}, {-1.5f, 0.5f, 1, 0.75f}};
    static const float v[2][4] = {{1, 2, -1, 0.5f}, {-0.5f, 0.25f, 3, -2}};
    static const float both[2][16] = {
        {0}, {0.5f, -1, 2, 0.25f, 0, 1, -1, 2, 1.5f, 0.75f, -0.5f, -2, -2, 0.5f, 0.25f, -0.75f}};
    static const double frequency = 1;
    float q_turned[2][8], k_turned[2][4], k_cache[2][4], v_cache[2][4], o[2][8], gated[2][8];
    const struct op norm = {.kind = OP_NORM_ROPE, .eps = 1e-6f, .scale = 1};
    struct ref_call call = {.op = &norm, .step = &step, .rows = 2};
    call.at[0] = dense(both, 2, 2, 4);
    call.at[0].stride = 8;
    call.at[0].pitch = sizeof both[0];
    call.at[1] = dense(q_norm, 1, 1, 4);
    call.at[2] = dense(&frequency, 1, 1, 1);
    call.at[3] = dense(q_turned, 2, 2, 4);
    run_op(ref_norm_rope, &call);
    call.at[0] = dense(k, 2, 1, 4);
    call.at[1] = dense(k_norm, 1, 1, 4);
    call.at[3] = dense(k_turned, 2, 1, 4);
    run_op(ref_norm_rope, &call);
    CHECK_NEAR(q_turned[1], {0.5994971994, 0.1306652696, 2.603164514, -0.2169303762, 0.3724514851,
                             1.102388963, -0.5644323612, 1.505152963});

    const struct op append = {.kind = OP_KV_APPEND};
    call = (struct ref_call){.op = &append, .step = &step, .rows = 2};
    call.at[0] = dense(k_turned, 2, 1, 4);
    call.at[1] = slot(k_cache, 2, 1, 4);
    run_op(ref_kv_append, &call);
    call.at[0] = dense(v, 2, 1, 4);
    call.at[1] = slot(v_cache, 2, 1, 4);
    run_op(ref_kv_append, &call);
    CHECK_NEAR(k_cache[0], {0.6507911285, -0.5423259404, -0.1084651881, 1.735443009, -1.125003875,
                            -0.6042631094, -0.4961386941, 0.7442080412});

    const struct op attend = {.kind = OP_ATTEND, .scale = 0.5f};
    call = (struct ref_call){.op = &attend, .step = &step, .rows = 2};
    call.at[0] = dense(q_turned, 2, 2, 4);
    call.at[1] = slot(k_cache, 2, 1, 4);
    call.at[2] = slot(v_cache, 2, 1, 4);
    call.at[3] = dense(o, 2, 2, 4);
    run_op(ref_attend, &call);
    const struct op gate = {.kind = OP_SIGMOID_MUL};
    call = (struct ref_call){.op = &gate, .step = &step, .rows = 2};
    call.at[0] = dense(o, 2, 2, 4);
    call.at[1] = dense(&both[0][4], 2, 2, 4);
    call.at[1].stride = 8;
    call.at[1].pitch = sizeof both[0];
    call.at[2] = dense(gated, 2, 2, 4);
    run_op(ref_sigmoid_mul, &call);
    CHECK_NEAR(gated[1], {0.2883254051, 1.101041924, 0.03467493284, -0.1810760099, 0.07116458919,
                          0.952261743, 0.04197025215, -0.05507232835});
}

/* Without scaling the table of MODEL.md; with YaRN the ends of the ramp keep and divide. */
TEST(ops_rope_frequencies)
{
    struct rope_config config = {
        .base = 1e7, .width = 64, .factor = 1, .original = 262144, .attn_factor = 1};
    double plain[32], yarn[32];
    float magnitude;
    rope_frequencies(&config, plain, &magnitude);
    CHECK(plain[0] == 1 && fabs(plain[1] - 0.604296390238) < 1e-12);
    CHECK(fabs(plain[31] - 1.65481709994e-7) < 1e-17);
    config.scaling = ROPE_LINEAR;
    config.factor = 4;
    rope_frequencies(&config, yarn, &magnitude);
    CHECK(yarn[0] == 0.25 && magnitude == 1);
    config.scaling = ROPE_YARN;
    rope_frequencies(&config, yarn, &magnitude);
    CHECK(fabs(magnitude - (1 + 0.1 * log(4))) < 1e-7);
    CHECK(yarn[0] == plain[0]);
    CHECK(fabs(yarn[14] - 8.6596432336e-4) < 1e-13);
    CHECK(fabs(yarn[18] - 7.21738740431e-5) < 1e-14);
    CHECK(fabs(yarn[22] - 3.84981631515e-6) < 1e-15);
    CHECK(fabs(yarn[31] - plain[31] / 4) < 1e-20);
    for (int i = 1; i < 32; i++)
        CHECK(yarn[i] <= plain[i] && yarn[i] >= plain[i] / 4 * (1 - 1e-12));
}

/* ---- experts --------------------------------------------------------------------------------- */

static struct host_operand numbers(const int32_t *data, uint64_t rows, uint32_t width)
{
    struct host_operand operand = dense(data, rows, 1, width);
    operand.dtype = DTYPE_I32;
    return operand;
}

/* The first row is MODEL.md's; of equal experts the lower number wins; nothing overflows. */
TEST(ops_routing)
{
    enum { ROWS = 6 };
    static const float logits[ROWS][4] = {{0.5f, 2, -1, 1.25f},     {1, -0.5f, 2, 0.25f},
                                          {0.5f, 0.5f, 0.5f, 0.5f}, {-1, 2, 0, 2},
                                          {-1000, 1000, 1000, 999}, {1000, -1000, -1000, -1000}};
    static const int32_t expected[ROWS][2] = {{1, 3}, {2, 0}, {0, 1}, {1, 3}, {1, 2}, {0, 1}};
    int32_t routing[ROWS][2];
    float shares[ROWS][2];
    const struct op op = {.kind = OP_ROUTE};
    struct ref_call call = {.op = &op, .rows = ROWS};
    call.at[0] = dense(logits, ROWS, 1, 4);
    call.at[1] = numbers(&routing[0][0], ROWS, 2);
    call.at[2] = dense(shares, ROWS, 1, 2);
    run_op(ref_route, &call);
    CHECK(memcmp(routing, expected, sizeof routing) == 0);
    CHECK_NEAR(shares[0], {0.6791786992, 0.3208213008, 0.731058578630, 0.268941421370, 0.5, 0.5,
                           0.5, 0.5, 0.5, 0.5, 1, 0});
}

/* The floor under the sum of shares: one of 2^15 equal experts has 2^-15, half of the floor. */
TEST(ops_routing_has_a_floor)
{
    enum { EXPERTS = 1 << 15 };
    static float logits[EXPERTS], scratch[EXPERTS];
    int32_t routing = -1;
    float share = 0;
    const struct op op = {.kind = OP_ROUTE};
    struct ref_call call = {.op = &op, .rows = 1, .scratch = scratch};
    call.at[0] = dense(logits, 1, 1, EXPERTS);
    call.at[1] = numbers(&routing, 1, 1);
    call.at[2] = dense(&share, 1, 1, 1);
    ref_route(&call, 0, 1);
    CHECK_INT(routing, 0);
    CHECK_NEAR(&share, {0.5});
}

static const int32_t routed[2][2] = {{2, 0}, {0, 1}};

/* Three matrices of 2 x 2, two of them for each row: with one input for both, and one for each.
 * However threads cut the rows of the stack, the result is the same. */
TEST(ops_products_with_experts)
{
    static const float w[3][2][2] = {{{1, 2}, {3, 4}}, {{0, 1}, {1, 0}}, {{2, 0}, {0, -1}}};
    static const float shared[2][2] = {{1, 2}, {3, -1}};
    static const float own[2][2][2] = {{{1, 2}, {-1, 1}}, {{0, 1}, {5, 7}}};
    static const float of_shared[2][2][2] = {{{2, -2}, {5, 11}}, {{1, 5}, {-1, 3}}};
    static const float of_own[2][2][2] = {{{2, -2}, {1, 1}}, {{2, 4}, {7, 5}}};
    float y[2][2][2], scratch[SCRATCH];
    const struct op op = {.kind = OP_EXPERT_MATMUL};
    struct ref_call call = {.op = &op, .rows = 2};
    call.at[0] = dense(w, 6, 1, 2);
    call.at[1] = numbers(&routed[0][0], 2, 2);
    call.at[2] = dense(shared, 2, 1, 2);
    call.at[3] = dense(y, 2, 2, 2);
    CHECK_INT(ref_units(&call), 6);
    run_op(ref_expert_matmul, &call);
    CHECK(memcmp(y, of_shared, sizeof y) == 0);
    call.at[2] = dense(own, 2, 2, 2);
    run_op(ref_expert_matmul, &call);
    CHECK(memcmp(y, of_own, sizeof y) == 0);
    for (uint64_t cut = 0; cut <= 6; cut++) {
        memset(y, 0, sizeof y);
        call.scratch = scratch;
        ref_expert_matmul(&call, 0, cut);
        for (uint64_t i = 0; i < 8; i++) { /* what belongs to the other part is untouched */
            const uint64_t unit = 2 * (uint64_t)routed[i / 4][i / 2 % 2] + i % 2;
            CHECK(y[i / 4][i / 2 % 2][i % 2] == (unit < cut ? of_own[i / 4][i / 2 % 2][i % 2] : 0));
        }
        ref_expert_matmul(&call, cut, 6);
        CHECK(memcmp(y, of_own, sizeof y) == 0);
    }
    call.rows = 0;
    CHECK_INT(ref_units(&call), 0);
}

TEST(ops_scales_and_sums_of_experts)
{
    static const float x[2][2][2] = {{{1, 2}, {3, 4}}, {{5, 6}, {7, 8}}};
    static const float w[3] = {0.5f, 10, 4}, shares[2][2] = {{0.75f, 0.25f}, {1, 0}};
    static const float scaled[2][2][2] = {{{4, 8}, {1.5f, 2}}, {{2.5f, 3}, {70, 80}}};
    static const float sums[2][2] = {{1.5f, 2.5f}, {5, 6}};
    float y[2][2][2], sum[2][2];
    const struct op scale = {.kind = OP_EXPERT_SCALE};
    struct ref_call call = {.op = &scale, .rows = 2};
    call.at[0] = dense(x, 2, 2, 2);
    call.at[1] = numbers(&routed[0][0], 2, 2);
    call.at[2] = dense(w, 3, 1, 1);
    call.at[3] = dense(y, 2, 2, 2);
    run_op(ref_expert_scale, &call);
    CHECK(memcmp(y, scaled, sizeof y) == 0);
    const struct op add = {.kind = OP_EXPERT_SUM};
    call = (struct ref_call){.op = &add, .rows = 2};
    call.at[0] = dense(x, 2, 2, 2);
    call.at[1] = dense(shares, 2, 1, 2);
    call.at[2] = dense(sum, 2, 1, 2);
    run_op(ref_expert_sum, &call);
    CHECK(memcmp(sum, sums, sizeof sum) == 0);
}

/* The largest share first: in F32 the sum of these three depends on their order. */
TEST(ops_sum_of_experts_has_an_order)
{
    static const float x[3] = {1, 0x1p-24f, 0x1p-24f}, shares[3] = {1, 1, 1};
    float sum = 0;
    const struct op op = {.kind = OP_EXPERT_SUM};
    struct ref_call call = {.op = &op, .rows = 1};
    call.at[0] = dense(x, 1, 3, 1);
    call.at[1] = dense(shares, 1, 1, 3);
    call.at[2] = dense(&sum, 1, 1, 1);
    run_op(ref_expert_sum, &call);
    CHECK(sum == 1);
}

/* ---- columns --------------------------------------------------------------------------------- */

static const float grid[2][6] = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}};

/* Columns 0, 1 and 3, 4 of the grid. */
static struct host_operand grid_view(void)
{
    struct host_operand view = dense(grid, 2, 2, 2);
    view.stride = 3;
    view.pitch = sizeof grid[0];
    return view;
}

TEST(ops_columns_are_copied_and_joined)
{
    static const float copied[2][4] = {{1, 2, 4, 5}, {7, 8, 10, 11}};
    static const float joined[2][6] = {{-1, -2, 1, 2, 4, 5}, {-3, -4, 7, 8, 10, 11}};
    static const float other[2][2] = {{-1, -2}, {-3, -4}};
    float copy[2][4], join[2][6];
    const struct op copy_op = {.kind = OP_COPY}, concat_op = {.kind = OP_CONCAT};
    struct ref_call call = {.op = &copy_op, .rows = 2};
    call.at[0] = grid_view();
    call.at[1] = dense(copy, 2, 2, 2);
    run_op(ref_copy, &call);
    CHECK(memcmp(copy, copied, sizeof copy) == 0);
    call = (struct ref_call){.op = &concat_op, .rows = 2};
    call.at[0] = dense(other, 2, 1, 2);
    call.at[1] = grid_view();
    call.at[2] = dense(join, 2, 1, 6);
    run_op(ref_concat, &call);
    CHECK(memcmp(join, joined, sizeof join) == 0);
}

/* One number for each row, for all rows, and behind a sigmoid. */
TEST(ops_rows_times_a_number)
{
    static const float column[2] = {2, -1}, number = 0.5f, gate[2] = {0, 100};
    static const float by_column[2][4] = {{2, 4, 8, 10}, {-7, -8, -10, -11}};
    static const float by_number[2][4] = {{0.5f, 1, 2, 2.5f}, {3.5f, 4, 5, 5.5f}};
    static const float b[2][4] = {{2, 4, 6, 8}, {1, 1, 1, 1}};
    static const float gated[2][4] = {{2, 4, 7, 9}, {8, 9, 11, 12}};
    float y[2][4];
    const struct op column_op = {.kind = OP_MUL_COLUMN}, scalar_op = {.kind = OP_MUL_SCALAR};
    const struct op gated_op = {.kind = OP_ADD_GATED};
    struct ref_call call = {.op = &column_op, .rows = 2};
    call.at[0] = grid_view();
    call.at[1] = dense(column, 2, 1, 1);
    call.at[2] = dense(y, 2, 2, 2);
    run_op(ref_mul_column, &call);
    CHECK(memcmp(y, by_column, sizeof y) == 0);
    call.op = &scalar_op;
    call.at[1] = dense(&number, 1, 1, 1);
    run_op(ref_mul_scalar, &call);
    CHECK(memcmp(y, by_number, sizeof y) == 0);
    call.op = &gated_op;
    call.at[1] = dense(b, 2, 2, 2);
    call.at[2] = dense(gate, 2, 1, 1);
    call.at[3] = dense(y, 2, 2, 2);
    run_op(ref_add_gated, &call);
    CHECK(memcmp(y, gated, sizeof y) == 0);
}
