/* SPDX-License-Identifier: MIT
 * The forward pass of qwen35 models, written straight down as a plan of single ops; fuse.c joins
 * them. Knows the architecture, no backend. The letters are those of MODEL.md. */
#include "model/qwen35.h"

#include <math.h>

struct builder {
    struct plan *plan;
    const struct config *c;
    const struct weights *weights;
    const struct plan_choices *choices;
    uint16_t layer; /* LAYER_NONE outside the blocks */
    uint16_t frequencies;
    float magnitude;
};

/* ---- one line an op -------------------------------------------------------------------------- */

static uint16_t weight(struct builder *b, const char *role, enum weight_role which)
{
    const uint32_t source = weights_find(b->weights, which, b->layer);
    const struct weight *w = &b->weights->list[source];
    return plan_weight(b->plan, role, b->layer, w->tensor->dtype, w->rows, w->width, source);
}

/* An activation with rows like those of `like`, in `groups` groups of `width` columns. */
static uint16_t act(struct builder *b, uint16_t like, uint32_t groups, uint32_t width)
{
    if (like == BUF_NONE)
        return BUF_NONE;
    return plan_act(b->plan, (enum extent)plan_buf(b->plan, like)->extent, groups, width);
}

/* An activation of the same rows and columns as `like`. */
static uint16_t act_like(struct builder *b, uint16_t like)
{
    if (like == BUF_NONE)
        return BUF_NONE;
    const struct buf *buf = plan_buf(b->plan, like);
    return act(b, like, buf->groups, buf->width);
}

static uint16_t unary(struct builder *b, enum op_kind kind, const char *role, uint16_t x)
{
    const uint16_t y = act_like(b, x);
    plan_op(b->plan, &(struct op_spec){kind, role, b->layer, {x, y}});
    return y;
}

static uint16_t binary(struct builder *b, enum op_kind kind, const char *role, uint16_t left,
                       uint16_t right)
{
    const uint16_t y = act_like(b, left);
    plan_op(b->plan, &(struct op_spec){kind, role, b->layer, {left, right, y}});
    return y;
}

/* y = W x in `groups` groups. */
static uint16_t project(struct builder *b, const char *role, enum weight_role which, uint16_t x,
                        uint32_t groups)
{
    const uint32_t rows = b->weights->list[weights_find(b->weights, which, b->layer)].rows;
    const uint16_t y = act(b, x, groups, rows / groups);
    plan_op(b->plan, &(struct op_spec){OP_MATMUL, role, b->layer, {weight(b, role, which), x, y}});
    return y;
}

static uint16_t rms_norm(struct builder *b, const char *role, enum weight_role which, uint16_t x)
{
    const uint16_t y = act_like(b, x);
    plan_op(b->plan,
            &(struct op_spec){
                OP_RMS_NORM, role, b->layer, {x, weight(b, role, which), y}, .eps = b->c->eps});
    return y;
}

static uint16_t l2_norm(struct builder *b, const char *role, uint16_t x)
{
    const uint16_t y = act_like(b, x);
    plan_op(b->plan,
            &(struct op_spec){OP_L2_NORM, role, b->layer, {x, y}, .eps = b->c->eps, .scale = 1.0f});
    return y;
}

/* y = x (op) w with a weight vector. */
static uint16_t with_weight(struct builder *b, enum op_kind kind, const char *role,
                            enum weight_role which, uint16_t x)
{
    return binary(b, kind, role, x, weight(b, role, which));
}

static uint16_t rope(struct builder *b, const char *role, uint16_t x)
{
    const uint16_t y = act_like(b, x);
    plan_op(b->plan, &(struct op_spec){
                         OP_ROPE, role, b->layer, {x, b->frequencies, y}, .scale = b->magnitude});
    return y;
}

static uint16_t append(struct builder *b, const char *role, uint16_t x, enum dtype dtype)
{
    const struct config *c = b->c;
    const uint16_t cache = plan_kv(b->plan, role, b->layer, dtype, c->kv_heads, c->head_width);
    plan_op(b->plan, &(struct op_spec){OP_KV_APPEND, role, b->layer, {x, cache}});
    return cache;
}

/* ---- the blocks ------------------------------------------------------------------------------ */

/* The delta rule on the sequence's state: gathered, applied, copied back. */
static uint16_t delta_rule(struct builder *b, uint16_t q, uint16_t k, uint16_t v, uint16_t g,
                           uint16_t beta)
{
    const uint32_t S = b->c->state_width;
    const uint16_t state = plan_state(b->plan, "gdn.state", b->layer, b->c->v_heads * S, S);
    const uint16_t before = plan_state_copy(b->plan, state);
    const uint16_t after = plan_state_copy(b->plan, state);
    const uint16_t o = act(b, q, b->c->v_heads, S);
    plan_op(b->plan, &(struct op_spec){OP_STATE_LOAD, "gdn.load", b->layer, {state, before}});
    plan_op(b->plan, &(struct op_spec){OP_DELTA_RULE,
                                       "gdn.rule",
                                       b->layer,
                                       {q, k, v, g, beta, before, after, o},
                                       .scale = 1.0f / sqrtf((float)S),
                                       .head_map = HEAD_MAP_TILED});
    plan_op(b->plan, &(struct op_spec){OP_STATE_STORE, "gdn.store", b->layer, {after, state}});
    return o;
}

static uint16_t gated_delta_net(struct builder *b, uint16_t x)
{
    const uint32_t n_k = b->c->k_heads, n_v = b->c->v_heads, S = b->c->state_width;
    const uint32_t C = b->c->conv_width;
    const uint16_t u = project(b, "gdn.qkv", WEIGHT_GDN_QKV, x, 1);
    const uint16_t z = project(b, "gdn.z", WEIGHT_GDN_GATE, x, n_v);
    const uint16_t beta_logit = project(b, "gdn.beta", WEIGHT_GDN_BETA, x, 1);
    const uint16_t alpha = project(b, "gdn.alpha", WEIGHT_GDN_ALPHA, x, 1);

    const uint16_t beta = unary(b, OP_SIGMOID, "gdn.beta", beta_logit);
    const uint16_t shifted = with_weight(b, OP_ADD_WEIGHT, "gdn.decay", WEIGHT_GDN_DT, alpha);
    const uint16_t step = unary(b, OP_SOFTPLUS, "gdn.decay", shifted);
    const uint16_t g = with_weight(b, OP_MUL_WEIGHT, "gdn.decay", WEIGHT_GDN_A, step);

    const uint16_t ring = plan_ring(b->plan, "gdn.ring", b->layer, b->c->conv_taps - 1, C);
    const uint16_t mixed = act(b, x, 1, C);
    plan_op(b->plan, &(struct op_spec){OP_CONV,
                                       "gdn.conv",
                                       b->layer,
                                       {u, weight(b, "gdn.conv", WEIGHT_GDN_CONV), ring, mixed}});
    const uint16_t w = unary(b, OP_SILU, "gdn.conv", mixed);
    const uint16_t q = l2_norm(b, "gdn.q_norm", plan_view(b->plan, w, 0, n_k, S, S));
    const uint16_t k = l2_norm(b, "gdn.k_norm", plan_view(b->plan, w, n_k * S, n_k, S, S));
    const uint16_t v = plan_view(b->plan, w, 2 * n_k * S, n_v, S, S);

    const uint16_t o = delta_rule(b, q, k, v, g, beta);
    const uint16_t normed = rms_norm(b, "gdn.norm", WEIGHT_GDN_NORM, o);
    const uint16_t gate = unary(b, OP_SILU, "gdn.gate", z);
    const uint16_t gated = binary(b, OP_MUL, "gdn.gate", normed, gate);
    return project(b, "gdn.out", WEIGHT_GDN_OUT, gated, 1);
}

static uint16_t full_attention(struct builder *b, uint16_t x)
{
    const uint32_t n_h = b->c->heads, n_kv = b->c->kv_heads, d_h = b->c->head_width;
    /* per head: d_h columns of q, then d_h of its gate */
    const uint16_t both = project(b, "attn.q", WEIGHT_ATTN_Q, x, 1);
    const uint16_t k_plain = project(b, "attn.k", WEIGHT_ATTN_K, x, n_kv);
    const uint16_t v = project(b, "attn.v", WEIGHT_ATTN_V, x, n_kv);
    const uint16_t q_plain = plan_view(b->plan, both, 0, n_h, d_h, 2 * d_h);
    const uint16_t gate = plan_view(b->plan, both, d_h, n_h, d_h, 2 * d_h);

    const uint16_t q_normed = rms_norm(b, "attn.q_norm", WEIGHT_ATTN_Q_NORM, q_plain);
    const uint16_t k_normed = rms_norm(b, "attn.k_norm", WEIGHT_ATTN_K_NORM, k_plain);
    const uint16_t q = rope(b, "attn.q_norm", q_normed);
    const uint16_t k = rope(b, "attn.k_norm", k_normed);
    const uint16_t k_cache = append(b, "attn.k_cache", k, b->choices->cache_k);
    const uint16_t v_cache = append(b, "attn.v_cache", v, b->choices->cache_v);

    const uint16_t o = act(b, x, n_h, d_h);
    plan_op(b->plan, &(struct op_spec){OP_ATTEND,
                                       "attn.attend",
                                       b->layer,
                                       {q, k_cache, v_cache, o},
                                       .scale = 1.0f / sqrtf((float)d_h)});
    const uint16_t opened = unary(b, OP_SIGMOID, "attn.gate", gate);
    const uint16_t gated = binary(b, OP_MUL, "attn.gate", o, opened);
    return project(b, "attn.out", WEIGHT_ATTN_OUT, gated, 1);
}

static uint16_t feed_forward(struct builder *b, uint16_t x)
{
    const uint16_t gate = project(b, "ffn.gate", WEIGHT_FFN_GATE, x, 1);
    const uint16_t up = project(b, "ffn.up", WEIGHT_FFN_UP, x, 1);
    const uint16_t opened = unary(b, OP_SILU, "ffn.act", gate);
    const uint16_t gated = binary(b, OP_MUL, "ffn.act", opened, up);
    return project(b, "ffn.down", WEIGHT_FFN_DOWN, gated, 1);
}

static uint16_t block(struct builder *b, uint16_t x)
{
    const uint16_t y = rms_norm(b, "mixer.norm", WEIGHT_MIXER_NORM, x);
    const uint16_t m = b->c->recurrent[b->layer] ? gated_delta_net(b, y) : full_attention(b, y);
    const uint16_t r = binary(b, OP_ADD, "mixer.add", x, m);
    const uint16_t f = feed_forward(b, rms_norm(b, "ffn.norm", WEIGHT_FFN_NORM, r));
    return binary(b, OP_ADD, "ffn.add", r, f);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static uint16_t embed(struct builder *b)
{
    const uint16_t x = plan_act(b->plan, EXTENT_ROWS, 1, b->c->width);
    const uint16_t table = weight(b, "embed", WEIGHT_TOKEN_EMBD);
    plan_op(b->plan, &(struct op_spec){OP_EMBED, "embed", LAYER_NONE, {table, x}});
    return x;
}

static void head(struct builder *b, uint16_t x)
{
    const bool is_tied = weights_find(b->weights, WEIGHT_OUTPUT, 0) == WEIGHT_NONE;
    const uint16_t wanted = plan_act(b->plan, EXTENT_OUTS, 1, b->c->width);
    plan_op(b->plan, &(struct op_spec){OP_SELECT, "select", LAYER_NONE, {x, wanted}});
    const uint16_t h = rms_norm(b, "head.norm", WEIGHT_OUTPUT_NORM, wanted);
    const uint16_t logits = plan_logits(b->plan, b->c->vocab);
    const uint16_t w = weight(b, "head", is_tied ? WEIGHT_TOKEN_EMBD : WEIGHT_OUTPUT);
    plan_op(b->plan, &(struct op_spec){OP_MATMUL, "head", LAYER_NONE, {w, h, logits}});
}

enum weir_status qwen35_plan(struct plan **out, const struct config *config,
                             const struct weights *weights, const struct plan_choices *choices,
                             struct weir_error *err)
{
    struct plan *plan;
    *out = NULL;
    enum weir_status status = plan_open(&plan, err);
    if (status != WEIR_OK)
        return status;
    struct builder b = {.plan = plan, .c = config, .weights = weights, .choices = choices};
    double frequencies[HEAD_WIDTH_MAX / 2];
    rope_frequencies(&config->rope, frequencies, &b.magnitude);
    b.frequencies = plan_const(plan, frequencies, config->rope.width / 2);
    b.layer = LAYER_NONE;
    uint16_t x = embed(&b);
    for (uint32_t i = 0; i < config->layers; i++) {
        b.layer = (uint16_t)i;
        x = block(&b, x);
    }
    b.layer = LAYER_NONE;
    head(&b, x);
    plan_fuse(plan, choices->fuse);
    status = plan_finish(plan, err);
    if (status != WEIR_OK) {
        plan_close(plan);
        return status;
    }
    *out = plan;
    return WEIR_OK;
}
