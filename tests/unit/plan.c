/* SPDX-License-Identifier: MIT
 * Tests of the room plan, and of the plans that the model room writes. Run alone:
 * build/tests/weir-test plan_ */
#include "test.h"

#include <stdlib.h>
#include <string.h>

#include "model/network.h"
#include "plan/plan.h"

/* ---- plans of a model ------------------------------------------------------------------------ */

struct planned {
    struct gguf *gguf;
    struct config config;
    struct weights weights;
    struct plan *plan;
    struct plan *mtp; /* NULL without the block */
};

/* The plans of an engine with the MTP block if the model has it, otherwise of one without. */
static void planned_open(struct planned *planned, const char *name, unsigned fuse)
{
    struct weir_error err = {0};
    struct plan_choices choices = {.cache_k = DTYPE_F32, .cache_v = DTYPE_F16, .fuse = fuse};
    planned->mtp = NULL;
    CHECK_OK(gguf_open(&planned->gguf, test_data(name), &err), &err);
    CHECK_OK(config_read(&planned->config, planned->gguf, &err), &err);
    CHECK_OK(weights_open(&planned->weights, &planned->config, planned->gguf, &err), &err);
    choices.hidden = planned->config.blocks > planned->config.layers;
    CHECK_OK(network_plan(&planned->plan, &planned->config, &planned->weights, &choices, &err),
             &err);
    if (choices.hidden)
        CHECK_OK(
            network_mtp_plan(&planned->mtp, &planned->config, &planned->weights, &choices, &err),
            &err);
}

static void planned_close(struct planned *planned)
{
    plan_close(planned->plan);
    plan_close(planned->mtp);
    weights_close(&planned->weights);
    gguf_close(planned->gguf);
}

/* The first two have MTP blocks, the second and the fourth experts. */
static const char *const models[] = {"golden/nano-f32.gguf", "golden/nanomoe-f32.gguf",
                                     "golden/nano-q4_0.gguf", "golden/nanomoe-q8_0.gguf"};
enum { MODELS = sizeof models / sizeof models[0], MODELS_MTP = 2 };
static const unsigned fuse_sets[] = {0, FUSE_DELTA_RULE, FUSE_OTHERS,
                                     FUSE_DELTA_RULE | FUSE_OTHERS};
enum { FUSE_SETS = sizeof fuse_sets / sizeof fuse_sets[0] };
#define FUSE_ALL (FUSE_DELTA_RULE | FUSE_OTHERS)

static uint32_t count_ops(const struct plan *plan, enum op_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->op_count; i++)
        count += plan->ops[i].kind == kind;
    return count;
}

/* Bytes of the tensors of the MTP block or of the others. */
static uint64_t tensor_bytes(const struct gguf *gguf, bool mtp)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const bool is_mtp = strncmp(gguf->tensors[i].name, "blk.4.", 6) == 0;
        bytes += is_mtp == mtp ? gguf->tensors[i].bytes : 0;
    }
    return bytes;
}

TEST(plan_weight_bytes_are_the_files)
{
    for (size_t i = 0; i < (size_t)MODELS * FUSE_SETS; i++) {
        struct planned planned;
        planned_open(&planned, models[i / FUSE_SETS], fuse_sets[i % FUSE_SETS]);
        const struct gguf *gguf = planned.gguf;
        CHECK_INT(plan_weight_bytes(planned.plan), tensor_bytes(gguf, false));
        CHECK((planned.mtp != NULL) == (i / FUSE_SETS < MODELS_MTP));
        if (planned.mtp != NULL) {
            /* its embedding and its head are the model's; those of nano are the same tensor */
            const struct gguf_tensor *head = gguf_find_tensor(gguf, "output.weight");
            const uint64_t shared = gguf_find_tensor(gguf, "token_embd.weight")->bytes +
                                    (head != NULL ? head->bytes : 0);
            CHECK_INT(plan_weight_bytes(planned.mtp), tensor_bytes(gguf, true) + shared);
        }
        planned_close(&planned);
    }
}

/* The number of ops that write each state, ring and cache; returns how many of these there are. */
static uint32_t check_writers(const struct plan *plan)
{
    uint32_t count = 0;
    for (uint32_t b = 0; b < plan->buf_count; b++) {
        const enum buf_kind kind = (enum buf_kind)plan->bufs[b].kind;
        if (kind != BUF_STATE && kind != BUF_RING && kind != BUF_KV)
            continue;
        uint32_t writers = 0;
        for (uint32_t i = 0; i < plan->op_count; i++) {
            const char *letters = op_info(plan->ops[i].kind)->operands;
            for (uint32_t j = 0; letters[j] != 0; j++)
                writers += plan->ops[i].operand[j] == b && strchr("sthk", letters[j]) != NULL;
        }
        CHECK_INT(writers, 1);
        count++;
    }
    return count;
}

TEST(plan_states_have_one_writer)
{
    for (size_t i = 0; i < (size_t)MODELS_MTP * FUSE_SETS; i++) {
        struct planned planned;
        planned_open(&planned, models[i / FUSE_SETS], fuse_sets[i % FUSE_SETS]);
        CHECK_INT(check_writers(planned.plan), 3 * 2 + 2); /* state and ring; keys and values */
        CHECK_INT(check_writers(planned.mtp), 2);
        planned_close(&planned);
    }
}

TEST(plan_fusion_leaves_nothing_to_fuse)
{
    struct planned fused, unfused;
    planned_open(&fused, models[0], FUSE_ALL);
    planned_open(&unfused, models[0], 0);
    const uint32_t layers = fused.config.layers;
    CHECK_INT(layers, 4);
    CHECK_INT(count_ops(unfused.plan, OP_DELTA_RULE), 3);
    CHECK_INT(count_ops(unfused.plan, OP_STATE_LOAD), 3);
    CHECK_INT(count_ops(unfused.plan, OP_SILU), 3 + 3 + 4);
    CHECK_INT(count_ops(fused.plan, OP_DELTA_RULE_INPLACE), 3);
    CHECK_INT(count_ops(fused.plan, OP_CONV_SILU), 3);
    CHECK_INT(count_ops(fused.plan, OP_DECAY), 3);
    CHECK_INT(count_ops(fused.plan, OP_GATED_NORM), 3);
    CHECK_INT(count_ops(fused.plan, OP_NORM_ROPE), 2);
    CHECK_INT(count_ops(fused.plan, OP_SIGMOID_MUL), 1);
    CHECK_INT(count_ops(fused.plan, OP_SWIGLU), 4);
    CHECK_INT(count_ops(fused.plan, OP_ADD_NORM), 4 + 4);
    CHECK_INT(count_ops(fused.plan, OP_RMS_NORM), 1);
    static const enum op_kind gone[] = {OP_STATE_LOAD, OP_DELTA_RULE, OP_STATE_STORE, OP_CONV,
                                        OP_SILU,       OP_MUL,        OP_SOFTPLUS,    OP_ROPE,
                                        OP_ADD_WEIGHT, OP_MUL_WEIGHT};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        CHECK_INT(count_ops(fused.plan, gone[i]), 0);
    planned_close(&fused);
    planned_close(&unfused);
}

/* Without the hidden states the last sum goes to SELECT, and only the chosen rows are normed. */
TEST(plan_norms_only_what_is_wanted)
{
    struct planned planned;
    planned_open(&planned, models[2], FUSE_ALL);
    CHECK_INT(planned.plan->hidden, BUF_NONE);
    CHECK_INT(count_ops(planned.plan, OP_ADD_NORM), 4 + 3);
    CHECK_INT(count_ops(planned.plan, OP_RMS_NORM), 2);
    planned_close(&planned);
}

TEST(plan_fuses_experts_and_mtp)
{
    struct planned fused, unfused;
    planned_open(&fused, models[1], FUSE_ALL);
    planned_open(&unfused, models[1], 0);
    const struct plan *plain = unfused.plan, *plan = fused.plan;
    CHECK_INT(count_ops(plain, OP_ROUTE), 4);
    CHECK_INT(count_ops(plain, OP_EXPERT_MATMUL), 3 * 4);
    CHECK_INT(count_ops(plain, OP_EXPERT_SUM), 4);
    CHECK_INT(count_ops(plain, OP_MUL_COLUMN), 4);
    CHECK_INT(count_ops(plan, OP_EXPERT_MATMUL), 3 * 4);
    CHECK_INT(count_ops(plan, OP_ADD_GATED), 4);
    CHECK_INT(count_ops(plan, OP_SWIGLU), 2 * 4);
    CHECK_INT(count_ops(plan, OP_SIGMOID_MUL), 1);
    CHECK_INT(count_ops(unfused.mtp, OP_CONCAT), 1);
    CHECK_INT(count_ops(fused.mtp, OP_ADD_GATED), 1);
    CHECK_INT(count_ops(fused.mtp, OP_ADD_NORM), 2);
    CHECK_INT(count_ops(fused.mtp, OP_RMS_NORM), 3);
    static const enum op_kind gone[] = {OP_MUL_COLUMN, OP_MUL, OP_SILU};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        CHECK_INT(count_ops(plan, gone[i]) + count_ops(fused.mtp, gone[i]), 0);
    planned_close(&fused);
    planned_close(&unfused);
}

/* What outlives the step is needed behind the last op. */
static uint32_t needed_until(const struct plan *plan, const struct buf *buf)
{
    return buf->kind == BUF_ACT ? buf->last : plan->op_count;
}

static bool has_place(const struct plan *plan, uint32_t number)
{
    const struct buf *buf = &plan->bufs[number];
    const bool is_kind = buf->kind == BUF_ACT || buf->kind == BUF_LOGITS || buf->kind == BUF_HIDDEN;
    return is_kind && buf->base == number && buf->first != BUF_NONE;
}

/* Two activations that are needed at the same op must not share a byte. */
static void check_places(const struct plan *plan)
{
    const struct plan_limits limits = {.rows = 37, .outs = 5, .seqs = 3, .slots = 3, .context = 99};
    const struct step largest = {.rows = 37, .outs = 5, .seqs = 3};
    uint64_t *offsets = calloc(plan->buf_count, sizeof *offsets);
    uint64_t total, used = 0;
    CHECK(offsets != NULL &&
          plan_place(plan, &limits, &(struct placing){0}, offsets, &total, NULL) == WEIR_OK);
    for (uint32_t a = 0; a < plan->buf_count; a++) {
        const struct buf *x = &plan->bufs[a];
        if (!has_place(plan, a))
            continue;
        const uint64_t x_end = offsets[a] + buf_rows(x, &largest) * buf_row_bytes(x);
        CHECK(x_end <= total && offsets[a] % 64 == 0);
        used += x_end - offsets[a];
        for (uint32_t b = 0; b < a; b++) {
            const struct buf *y = &plan->bufs[b];
            if (!has_place(plan, b) || needed_until(plan, y) < x->first ||
                needed_until(plan, x) < y->first)
                continue;
            const uint64_t y_end = offsets[b] + buf_rows(y, &largest) * buf_row_bytes(y);
            CHECK(x_end <= offsets[b] || y_end <= offsets[a]);
        }
    }
    CHECK(total < used); /* memory is shared */
    free(offsets);
}

TEST(plan_places_without_overlap)
{
    for (size_t i = 0; i < (size_t)MODELS_MTP * FUSE_SETS; i++) {
        struct planned planned;
        planned_open(&planned, models[i / FUSE_SETS], fuse_sets[i % FUSE_SETS]);
        check_places(planned.plan);
        check_places(planned.mtp);
        planned_close(&planned);
    }
}

/* What a token moves, against the formulas of MODEL.md for this shape. */
TEST(plan_traffic_of_a_token)
{
    struct planned planned;
    planned_open(&planned, models[0], FUSE_ALL);
    const struct config *c = &planned.config;
    const struct step_seq seq = {.cached = 100, .rows = 1};
    const struct step step = {.rows = 1, .seqs = 1, .seq = &seq, .outs = 1};
    const struct plan_limits limits = {.rows = 1, .outs = 1, .seqs = 1, .slots = 1, .context = 512};
    struct traffic sum = {{0}, {0}, 0};
    for (uint32_t i = 0; i < planned.plan->op_count; i++)
        op_traffic(planned.plan, &planned.plan->ops[i], &step, &limits, &sum);
    const uint64_t state = 4ull * c->v_heads * c->state_width * c->state_width;
    const uint64_t kv_row = (uint64_t)c->kv_heads * c->head_width * (4 + 2); /* K F32, V F16 */
    CHECK_INT(sum.read[TRAFFIC_WEIGHTS], plan_weight_bytes(planned.plan)); /* tied: head = table */
    CHECK_INT(sum.read[TRAFFIC_EMBEDDING], 4 * c->width);
    CHECK_INT(sum.read[TRAFFIC_STATE], 3 * state);
    CHECK_INT(sum.written[TRAFFIC_STATE], 3 * state);
    CHECK_INT(sum.read[TRAFFIC_CONV], 3 * 3 * 4ull * c->conv_width);
    CHECK_INT(sum.written[TRAFFIC_CONV], 3 * 4ull * c->conv_width);
    CHECK_INT(sum.read[TRAFFIC_KV], 101 * kv_row);
    CHECK_INT(sum.written[TRAFFIC_KV], kv_row);
    CHECK_INT(sum.written[TRAFFIC_LOGITS], 4ull * c->vocab);
    planned_close(&planned);
}

/* Weight bytes that a plan reads in a step of `rows` rows of one sequence. */
static uint64_t weights_read(const struct plan *plan, uint32_t rows, const uint32_t *experts)
{
    const struct step_seq seq = {.cached = 100, .rows = rows};
    const struct step step = {.rows = rows, .seqs = 1, .seq = &seq, .outs = 1, .experts = experts};
    const struct plan_limits limits = {
        .rows = 64, .outs = 1, .seqs = 1, .slots = 1, .context = 512};
    struct traffic sum = {{0}, {0}, 0};
    for (uint32_t i = 0; i < plan->op_count; i++)
        op_traffic(plan, &plan->ops[i], &step, &limits, &sum);
    return sum.read[TRAFFIC_WEIGHTS];
}

/* Of the experts' matrices only those of the experts used are read: 2 of 8 for one row; for more,
 * what is likely, or what the step says for each layer. */
TEST(plan_traffic_of_experts)
{
    struct planned planned;
    planned_open(&planned, models[1], FUSE_ALL);
    const struct config *c = &planned.config;
    const uint64_t expert = 3 * 4ull * c->width * c->expert_width;
    const uint64_t others = plan_weight_bytes(planned.plan) - 4 * 8 * expert -
                            4ull * c->width * c->vocab; /* untied: the embedding is not a weight */
    static const uint32_t counted[5] = {1, 7, 0, 8, 3};
    CHECK_INT(weights_read(planned.plan, 1, NULL), others + 4 * 2 * expert);
    CHECK_INT(weights_read(planned.plan, 2, NULL), others + 4 * 4 * expert); /* 3.5 */
    CHECK_INT(weights_read(planned.plan, 64, NULL), others + 4 * 8 * expert);
    CHECK_INT(weights_read(planned.plan, 9, counted), others + (1 + 7 + 0 + 8) * expert);
    CHECK_INT(weights_read(planned.mtp, 9, counted),
              plan_weight_bytes(planned.mtp) - 4ull * c->width * c->vocab - (8 - 3) * expert);
    planned_close(&planned);
}

/* ---- small plans ----------------------------------------------------------------------------- */

static struct plan *plan_new(void)
{
    struct plan *plan;
    struct weir_error err = {0};
    CHECK_OK(plan_open(&plan, &err), &err);
    return plan;
}

static void check_refused(struct plan *plan, const char *reason)
{
    struct weir_error err = {0};
    CHECK(plan_finish(plan, &err) != WEIR_OK);
    if (strstr(err.text, reason) == NULL)
        test_fail(__FILE__, __LINE__, "\"%s\" does not say \"%s\"", err.text, reason);
    plan_close(plan);
}

TEST(plan_refuses_wrong_operands)
{
    struct plan *plan = plan_new();
    const uint16_t table = plan_weight(plan, "embed", LAYER_NONE, DTYPE_F32, 10, 8, 0);
    const uint16_t x = plan_act(plan, EXTENT_ROWS, 1, 8);
    plan_logits(plan, 10);
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table, table}});
    plan_op(plan, &(struct op_spec){OP_SILU, "act", LAYER_NONE, {x, x}});
    check_refused(plan, "op 0 (EMBED, embed, layer -1): an operand is of the wrong kind");
}

TEST(plan_refuses_reading_before_writing)
{
    struct plan *plan = plan_new();
    const uint16_t w = plan_weight(plan, "head", LAYER_NONE, DTYPE_F32, 10, 8, 0);
    const uint16_t x = plan_act(plan, EXTENT_ROWS, 1, 8);
    plan_op(plan, &(struct op_spec){OP_MATMUL, "head", 3, {w, x, plan_logits(plan, 10)}});
    check_refused(plan, "layer 3): an operand is read before it is written");
}

TEST(plan_refuses_shapes_and_second_writers)
{
    struct plan *plan = plan_new();
    const uint16_t table = plan_weight(plan, "embed", LAYER_NONE, DTYPE_F32, 10, 8, 0);
    const uint16_t x = plan_act(plan, EXTENT_ROWS, 1, 8);
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table, x}});
    plan_op(plan,
            &(struct op_spec){OP_MATMUL, "head", LAYER_NONE, {table, x, plan_logits(plan, 9)}});
    check_refused(plan, "shapes do not agree");
    plan = plan_new();
    const uint16_t table2 = plan_weight(plan, "embed", LAYER_NONE, DTYPE_F32, 10, 8, 0);
    const uint16_t x2 = plan_act(plan, EXTENT_ROWS, 1, 8);
    plan_logits(plan, 10);
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table2, x2}});
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table2, x2}});
    check_refused(plan, "a second writer");
}

TEST(plan_refuses_views_beyond_their_base)
{
    struct plan *plan = plan_new();
    const uint16_t table = plan_weight(plan, "embed", LAYER_NONE, DTYPE_F32, 10, 8, 0);
    const uint16_t x = plan_act(plan, EXTENT_ROWS, 1, 8);
    const uint16_t view = plan_view(plan, x, 4, 2, 2, 4); /* columns 4, 5, 8, 9 of 8 */
    const uint16_t y = plan_act(plan, EXTENT_ROWS, 2, 2);
    plan_logits(plan, 10);
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table, x}});
    plan_op(plan, &(struct op_spec){OP_SILU, "act", LAYER_NONE, {view, y}});
    check_refused(plan, "a view does not fit its base");
}

/* A temporary that something else reads must survive: no rewrite. */
TEST(plan_fusion_keeps_what_others_read)
{
    struct plan *plan = plan_new();
    struct weir_error err = {0};
    const uint16_t w = plan_weight(plan, "embed", LAYER_NONE, DTYPE_F32, 10, 8, 0);
    const uint16_t x = plan_act(plan, EXTENT_ROWS, 1, 8), s = plan_act(plan, EXTENT_ROWS, 1, 8);
    const uint16_t y = plan_act(plan, EXTENT_ROWS, 1, 8), z = plan_act(plan, EXTENT_ROWS, 1, 8);
    const uint16_t o = plan_act(plan, EXTENT_OUTS, 1, 8), logits = plan_logits(plan, 10);
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {w, x}});
    plan_op(plan, &(struct op_spec){OP_SILU, "act", LAYER_NONE, {x, s}});
    plan_op(plan, &(struct op_spec){OP_MUL, "act", LAYER_NONE, {s, x, y}});
    plan_op(plan, &(struct op_spec){OP_ADD, "act", LAYER_NONE, {s, y, z}}); /* reads s too */
    plan_op(plan, &(struct op_spec){OP_SELECT, "select", LAYER_NONE, {z, o}});
    plan_op(plan, &(struct op_spec){OP_MATMUL, "head", LAYER_NONE, {w, o, logits}});
    plan_fuse(plan, FUSE_OTHERS);
    CHECK_OK(plan_finish(plan, &err), &err);
    CHECK_INT(plan->op_count, 6);
    CHECK_INT(count_ops(plan, OP_SWIGLU), 0);
    plan_close(plan);
}

/* ---- routed operands ------------------------------------------------------------------------- */

enum { ROUTED_USED = 8, ROUTED_WIDTH = 32 };

/* A plan that goes through one product with experts. */
struct routed {
    struct plan *plan;
    uint16_t x, scores, routing, shares, stack, product, logits;
};

static void embed_row(struct plan *plan, uint16_t x, uint32_t width)
{
    const uint16_t table =
        plan_weight(plan, "embed", LAYER_NONE, DTYPE_F32, 10, width, plan->buf_count);
    plan_op(plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table, x}});
}

/* Up to the product: `experts` of ROUTED_WIDTH x ROUTED_WIDTH, ROUTED_USED for each row. */
static void routed_open(struct routed *routed, uint32_t experts)
{
    struct plan *plan = routed->plan = plan_new();
    routed->x = plan_act(plan, EXTENT_ROWS, 1, ROUTED_WIDTH);
    routed->scores = plan_act(plan, EXTENT_ROWS, 1, experts);
    routed->routing = plan_routing(plan, EXTENT_ROWS, ROUTED_USED);
    routed->shares = plan_act(plan, EXTENT_ROWS, 1, ROUTED_USED);
    routed->product = plan_act(plan, EXTENT_ROWS, ROUTED_USED, ROUTED_WIDTH);
    routed->stack = plan_experts(plan, "up", 0, DTYPE_F32, experts, ROUTED_WIDTH, ROUTED_WIDTH, 0);
    routed->logits = plan_logits(plan, 10);
    embed_row(plan, routed->x, ROUTED_WIDTH);
    embed_row(plan, routed->scores, experts);
}

static void routed_add_route(const struct routed *routed)
{
    plan_op(
        routed->plan,
        &(struct op_spec){OP_ROUTE, "route", 0, {routed->scores, routed->routing, routed->shares}});
}

static void routed_add_product(const struct routed *routed)
{
    plan_op(routed->plan,
            &(struct op_spec){OP_EXPERT_MATMUL,
                              "up",
                              0,
                              {routed->stack, routed->routing, routed->x, routed->product}});
}

static void routed_finish(const struct routed *routed)
{
    struct plan *plan = routed->plan;
    struct weir_error err = {0};
    const uint16_t sum = plan_act(plan, EXTENT_ROWS, 1, ROUTED_WIDTH);
    const uint16_t rows = plan_act(plan, EXTENT_OUTS, 1, ROUTED_WIDTH);
    const uint16_t head =
        plan_weight(plan, "head", LAYER_NONE, DTYPE_F32, 10, ROUTED_WIDTH, plan->buf_count);
    plan_op(plan,
            &(struct op_spec){OP_EXPERT_SUM, "sum", 0, {routed->product, routed->shares, sum}});
    plan_op(plan, &(struct op_spec){OP_SELECT, "select", LAYER_NONE, {sum, rows}});
    plan_op(plan, &(struct op_spec){OP_MATMUL, "head", LAYER_NONE, {head, rows, routed->logits}});
    CHECK_OK(plan_finish(plan, &err), &err);
}

/* Experts that a product reads for `rows` rows. */
static uint64_t experts_read(const struct routed *routed, uint32_t rows)
{
    const struct plan *plan = routed->plan;
    const struct step_seq seq = {.rows = rows};
    const struct step step = {.rows = rows, .seqs = 1, .seq = &seq};
    const struct plan_limits limits = {.rows = rows, .slots = 1, .context = 1};
    const struct op *op = &plan->ops[0];
    while (op->kind != OP_EXPERT_MATMUL)
        op++;
    const uint64_t bytes = op_operand_traffic(plan, op, 0, &step, &limits).read;
    CHECK_INT(bytes % (4 * ROUTED_WIDTH * ROUTED_WIDTH), 0);
    return bytes / (4 * ROUTED_WIDTH * ROUTED_WIDTH);
}

/* E (1 - (1 - k / E)^T): MODEL.md has 8, 15.8, 23.3, 30.5 for 8 of 256. */
TEST(plan_expected_experts)
{
    static const uint32_t expected[] = {0, 8, 16, 23, 31};
    for (uint32_t experts = ROUTED_USED; experts <= 256; experts *= 2) {
        struct routed routed;
        routed_open(&routed, experts);
        routed_add_route(&routed);
        routed_add_product(&routed);
        routed_finish(&routed);
        uint64_t before = experts_read(&routed, 1);
        CHECK_INT(before, ROUTED_USED);
        for (uint32_t rows = 0; rows < 5 && experts == 256; rows++)
            CHECK_INT(experts_read(&routed, rows), expected[rows]);
        for (uint32_t rows = 2; rows < 4096; rows += 1 + rows / 5) {
            const uint64_t now = experts_read(&routed, rows);
            CHECK(now >= before && now <= experts);
            before = now;
        }
        CHECK_INT(before, experts);
        plan_close(routed.plan);
    }
}

TEST(plan_refuses_wrong_kinds_of_routed_operands)
{
    struct routed routed;
    routed_open(&routed, 16); /* shares in place of expert numbers */
    routed_add_route(&routed);
    routed.routing = routed.shares;
    routed_add_product(&routed);
    check_refused(routed.plan,
                  "op 3 (EXPERT_MATMUL, up, layer 0): an operand is of the wrong kind");
    routed_open(&routed, 16); /* numbers of experts as numbers */
    routed_add_route(&routed);
    routed.x = routed.routing;
    routed_add_product(&routed);
    check_refused(routed.plan, "an operand is of the wrong kind");
    routed_open(&routed, 16); /* a routing that nothing has written */
    routed_add_product(&routed);
    check_refused(routed.plan, "an operand is read before it is written");
    routed_open(&routed, 16);
    routed_add_route(&routed);
    routed_add_route(&routed);
    check_refused(routed.plan, "an operand has a second writer");
    routed_open(&routed, 16); /* the stack in a plain product */
    plan_op(routed.plan, &(struct op_spec){
                             OP_MATMUL,
                             "up",
                             0,
                             {routed.stack, routed.x, plan_act(routed.plan, EXTENT_ROWS, 1, 512)}});
    check_refused(routed.plan, "an operand is of the wrong kind");
}

TEST(plan_refuses_wrong_shapes_of_routed_operands)
{
    struct routed routed;
    routed_open(&routed, 16); /* more shares than expert numbers */
    routed.shares = plan_act(routed.plan, EXTENT_ROWS, 1, ROUTED_USED + 1);
    routed_add_route(&routed);
    check_refused(routed.plan, "shapes do not agree");
    routed_open(&routed, ROUTED_USED - 1); /* more to be chosen than there are */
    routed_add_route(&routed);
    check_refused(routed.plan, "op 2 (ROUTE, route, layer 0): the operands' shapes do not agree");
    routed_open(&routed, 16); /* a group too few in the product */
    routed.product = plan_act(routed.plan, EXTENT_ROWS, ROUTED_USED - 1, ROUTED_WIDTH);
    routed_add_route(&routed);
    routed_add_product(&routed);
    check_refused(routed.plan, "shapes do not agree");
    routed_open(&routed, 16); /* groups that are too narrow */
    routed.product = plan_act(routed.plan, EXTENT_ROWS, ROUTED_USED, ROUTED_WIDTH / 2);
    routed_add_route(&routed);
    routed_add_product(&routed);
    check_refused(routed.plan, "shapes do not agree");
    routed_open(&routed, 16); /* inputs that are too wide */
    routed.x = routed.scores;
    routed.scores = plan_act(routed.plan, EXTENT_ROWS, 1, 16);
    embed_row(routed.plan, routed.scores, 16);
    routed_add_route(&routed);
    routed_add_product(&routed);
    check_refused(routed.plan, "shapes do not agree");
    routed_open(&routed, 16); /* a routing among more experts than there are */
    routed.stack = plan_experts(routed.plan, "up", 0, DTYPE_F32, ROUTED_USED - 1, ROUTED_WIDTH,
                                ROUTED_WIDTH, routed.plan->buf_count);
    routed_add_route(&routed);
    routed_add_product(&routed);
    check_refused(routed.plan, "shapes do not agree");
    routed_open(&routed, 16); /* as many inputs as neither one nor the experts of a row */
    const uint16_t x = routed.x;
    routed.x = plan_act(routed.plan, EXTENT_ROWS, 2, ROUTED_WIDTH);
    plan_op(routed.plan, &(struct op_spec){OP_CONCAT, "two", 0, {x, x, routed.x}});
    routed_add_route(&routed);
    routed_add_product(&routed);
    check_refused(routed.plan, "shapes do not agree");
}

/* The product is of as many groups as the routing has experts; one of them alone is not. */
TEST(plan_refuses_scales_of_other_groups)
{
    struct routed routed;
    routed_open(&routed, 16);
    routed_add_route(&routed);
    struct plan *plan = routed.plan;
    const uint16_t w = plan_experts(plan, "scale", 0, DTYPE_F32, 16, 1, 1, plan->buf_count);
    const uint16_t y = plan_act(plan, EXTENT_ROWS, 1, ROUTED_WIDTH);
    plan_op(plan, &(struct op_spec){OP_EXPERT_SCALE, "scale", 0, {routed.x, routed.routing, w, y}});
    check_refused(plan, "shapes do not agree");
}

/* A factor for each expert: a stack of matrices of one number. */
TEST(plan_refuses_wrong_shapes_of_expert_scales)
{
    static const struct {
        uint32_t experts, rows, width, groups; /* the latter of the result */
        bool fits;
    } cases[] = {
        {16, 1, 1, ROUTED_USED, true},      {16, 2, 1, ROUTED_USED, false},
        {16, 1, 2, ROUTED_USED, false},     {1, 16, 1, ROUTED_USED, false},
        {16, 1, 1, ROUTED_USED - 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct routed routed;
        struct weir_error err = {0};
        routed_open(&routed, 16);
        routed_add_route(&routed);
        routed_add_product(&routed);
        struct plan *plan = routed.plan;
        const uint16_t w = plan_experts(plan, "scale", 0, DTYPE_F32, cases[i].experts,
                                        cases[i].rows, cases[i].width, plan->buf_count);
        const uint16_t y = plan_act(plan, EXTENT_ROWS, cases[i].groups, ROUTED_WIDTH);
        plan_op(plan, &(struct op_spec){
                          OP_EXPERT_SCALE, "scale", 0, {routed.product, routed.routing, w, y}});
        CHECK(plan_finish(plan, &err) != WEIR_OK);
        CHECK((strstr(err.text, "nothing writes the logits") != NULL) == cases[i].fits);
        plan_close(plan);
    }
}

/* One op on activations of 8 and 4 columns, with a result of 8, 12 or 1. */
TEST(plan_refuses_shapes_of_joined_columns)
{
    enum { WIDE = 8, HALF = 4 };
    static const struct {
        enum op_kind kind;
        int operands[4]; /* 0: wide, 1: half, 2: a column; the last is written */
        uint32_t written;
        bool fits;
    } cases[] = {
        {OP_CONCAT, {0, 1, 3}, WIDE + HALF, true},
        {OP_CONCAT, {0, 1, 3}, WIDE, false},
        {OP_COPY, {0, 3}, WIDE, true},
        {OP_COPY, {1, 3}, WIDE, false},
        {OP_MUL_COLUMN, {0, 2, 3}, WIDE, true},
        {OP_MUL_COLUMN, {0, 1, 3}, WIDE, false},
        {OP_MUL_COLUMN, {1, 2, 3}, WIDE, false},
        {OP_ADD_GATED, {0, 0, 2, 3}, WIDE, true},
        {OP_ADD_GATED, {0, 0, 1, 3}, WIDE, false},
        {OP_ADD_GATED, {0, 1, 2, 3}, WIDE, false},
        {OP_ADD_GATED, {1, 0, 2, 3}, WIDE, false},
        {OP_EXPERT_SUM, {0, 1, 3}, WIDE, false},
        {OP_EXPERT_SUM, {0, 2, 3}, WIDE, true},
        {OP_EXPERT_SUM, {0, 2, 3}, HALF, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct plan *plan = plan_new();
        struct weir_error err = {0};
        const uint16_t x[3] = {plan_act(plan, EXTENT_ROWS, 1, WIDE),
                               plan_act(plan, EXTENT_ROWS, 1, HALF),
                               plan_act(plan, EXTENT_ROWS, 1, 1)};
        embed_row(plan, x[0], WIDE);
        embed_row(plan, x[1], HALF);
        embed_row(plan, x[2], 1);
        const uint16_t y = plan_act(plan, EXTENT_ROWS, 1, cases[i].written);
        struct op_spec spec = {.kind = cases[i].kind, .role = "op", .layer = 0};
        for (int j = 0; j < 4; j++)
            spec.operand[j] = cases[i].operands[j] == 3 ? y : x[cases[i].operands[j]];
        plan_op(plan, &spec);
        plan_logits(plan, 10);
        CHECK(plan_finish(plan, &err) != WEIR_OK); /* at the latest: nothing writes the logits */
        CHECK((strstr(err.text, "nothing writes the logits") != NULL) == cases[i].fits);
        plan_close(plan);
    }
}
