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
};

static void planned_open(struct planned *planned, const char *name, unsigned fuse)
{
    struct weir_error err = {0};
    const struct plan_choices choices = {.cache_k = DTYPE_F32, .cache_v = DTYPE_F16, .fuse = fuse};
    CHECK_OK(gguf_open(&planned->gguf, test_data(name), &err), &err);
    CHECK_OK(config_read(&planned->config, planned->gguf, &err), &err);
    CHECK_OK(weights_open(&planned->weights, &planned->config, planned->gguf, &err), &err);
    CHECK_OK(network_plan(&planned->plan, &planned->config, &planned->weights, &choices, &err),
             &err);
}

static void planned_close(struct planned *planned)
{
    plan_close(planned->plan);
    weights_close(&planned->weights);
    gguf_close(planned->gguf);
}

static const char *const models[] = {"golden/nano-f32.gguf", "golden/nano-q4_0.gguf",
                                     "golden/nano-q8_0.gguf"};
static const unsigned fuse_sets[] = {0, FUSE_DELTA_RULE, FUSE_OTHERS,
                                     FUSE_DELTA_RULE | FUSE_OTHERS};

static uint32_t count_ops(const struct plan *plan, enum op_kind kind)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->op_count; i++)
        count += plan->ops[i].kind == kind;
    return count;
}

TEST(plan_weight_bytes_are_the_files)
{
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        for (size_t f = 0; f < sizeof fuse_sets / sizeof fuse_sets[0]; f++) {
            struct planned planned;
            planned_open(&planned, models[m], fuse_sets[f]);
            uint64_t bytes = 0; /* all but the MTP block's */
            for (uint64_t i = 0; i < planned.gguf->tensor_count; i++) {
                const struct gguf_tensor *tensor = &planned.gguf->tensors[i];
                bytes += strncmp(tensor->name, "blk.4.", 6) == 0 ? 0 : tensor->bytes;
            }
            CHECK_INT(plan_weight_bytes(planned.plan), bytes);
            planned_close(&planned);
        }
    }
}

/* The number of ops that write each state, ring and cache. */
TEST(plan_states_have_one_writer)
{
    for (size_t f = 0; f < sizeof fuse_sets / sizeof fuse_sets[0]; f++) {
        struct planned planned;
        planned_open(&planned, models[0], fuse_sets[f]);
        const struct plan *plan = planned.plan;
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
        }
        planned_close(&planned);
    }
}

TEST(plan_fusion_leaves_nothing_to_fuse)
{
    struct planned fused, unfused;
    planned_open(&fused, models[0], FUSE_DELTA_RULE | FUSE_OTHERS);
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
    CHECK_INT(count_ops(fused.plan, OP_ADD_NORM), 4 + 3); /* the last block's sum goes to SELECT */
    static const enum op_kind gone[] = {OP_STATE_LOAD, OP_DELTA_RULE, OP_STATE_STORE, OP_CONV,
                                        OP_SILU,       OP_MUL,        OP_SOFTPLUS,    OP_ROPE,
                                        OP_ADD_WEIGHT, OP_MUL_WEIGHT};
    for (size_t i = 0; i < sizeof gone / sizeof gone[0]; i++)
        CHECK_INT(count_ops(fused.plan, gone[i]), 0);
    planned_close(&fused);
    planned_close(&unfused);
}

/* Two activations that are needed at the same op must not share a byte. */
TEST(plan_places_without_overlap)
{
    const struct plan_limits limits = {.rows = 37, .outs = 5, .seqs = 3, .slots = 3, .context = 99};
    const struct step largest = {.rows = 37, .outs = 5, .seqs = 3};
    for (size_t f = 0; f < sizeof fuse_sets / sizeof fuse_sets[0]; f++) {
        struct planned planned;
        planned_open(&planned, models[0], fuse_sets[f]);
        const struct plan *plan = planned.plan;
        uint64_t *offsets = calloc(plan->buf_count, sizeof *offsets);
        uint64_t total, used = 0;
        CHECK(offsets != NULL && plan_place(plan, &limits, offsets, &total));
        for (uint32_t a = 0; a < plan->buf_count; a++) {
            const struct buf *x = &plan->bufs[a];
            if ((x->kind != BUF_ACT && x->kind != BUF_LOGITS) || x->base != a ||
                x->first == BUF_NONE)
                continue;
            const uint64_t x_end = offsets[a] + buf_rows(x, &largest) * buf_row_bytes(x);
            CHECK(x_end <= total && offsets[a] % 64 == 0);
            used += x_end - offsets[a];
            for (uint32_t b = 0; b < a; b++) {
                const struct buf *y = &plan->bufs[b];
                const bool is_act = y->kind == BUF_ACT || y->kind == BUF_LOGITS;
                if (!is_act || y->base != b || y->last < x->first || x->last < y->first)
                    continue;
                const uint64_t y_end = offsets[b] + buf_rows(y, &largest) * buf_row_bytes(y);
                CHECK(x_end <= offsets[b] || y_end <= offsets[a]);
            }
        }
        CHECK(total < used / 4); /* lifetimes are short: memory is shared many times */
        free(offsets);
        planned_close(&planned);
    }
}

/* What a token moves, against the formulas of MODEL.md for this shape. */
TEST(plan_traffic_of_a_token)
{
    struct planned planned;
    planned_open(&planned, models[0], FUSE_DELTA_RULE | FUSE_OTHERS);
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
