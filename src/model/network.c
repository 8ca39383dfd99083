/* SPDX-License-Identifier: MIT
 * The forward pass of the models, written straight down as plans of single ops; fuse.c joins them.
 * Knows the architectures, no backend. The letters are those of MODEL.md. */
#include "model/network.h"

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

static bool has(const struct builder *b, enum weight_role which)
{
    return weights_find(b->weights, which, b->layer) != WEIGHT_NONE;
}

static const struct weight *find(const struct builder *b, enum weight_role which)
{
    return &b->weights->list[weights_find(b->weights, which, b->layer)];
}

/* The first `rows` rows of a weight, of each expert's. */
static uint16_t weight_rows(struct builder *b, const char *role, enum weight_role which,
                            uint32_t rows)
{
    const struct weight *w = find(b, which);
    return plan_experts(b->plan, role, b->layer, w->dtype, w->experts, rows, w->width,
                        (uint32_t)(w - b->weights->list));
}

static uint16_t weight(struct builder *b, const char *role, enum weight_role which)
{
    return weight_rows(b, role, which, find(b, which)->rows);
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

/* Whether the inputs of a weight's products are wanted. A head is measured by the model's own rows,
 * not by those of the MTP block, which may share it. */
static bool is_collected(const struct builder *b, const struct weight *w)
{
    const bool is_head =
        w->role == WEIGHT_OUTPUT || w->role == WEIGHT_TOKEN_EMBD || w->role == WEIGHT_MTP_HEAD;
    if (is_head)
        return b->choices->collect == COLLECT_ALL && b->layer == LAYER_NONE;
    return b->choices->collect != COLLECT_NOTHING;
}

/* Sums up what the weight is about to be multiplied with, if that is wanted. `routing` is BUF_NONE
 * for an ordinary matrix. */
static void collect(struct builder *b, const struct weight *w, uint16_t routing, uint16_t x)
{
    if (!is_collected(b, w))
        return;
    const uint16_t sums = plan_sum(b->plan, "collect", b->layer, w->experts, w->width,
                                   (uint32_t)(w - b->weights->list));
    if (routing == BUF_NONE)
        plan_op(b->plan, &(struct op_spec){OP_SUM_SQUARES, "collect", b->layer, {x, sums}});
    else
        plan_op(b->plan,
                &(struct op_spec){OP_EXPERT_SQUARES, "collect", b->layer, {x, routing, sums}});
}

/* Where the op of a weight writes if `y` is to have its factor worked in, if the file has one. */
static uint16_t before_factor(struct builder *b, const struct weight *w, uint16_t y)
{
    return w->scale == WEIGHT_NONE ? y : act_like(b, y);
}

/* y = what before_factor gave, times the factor, or that of each expert of the `routing`, which is
 * BUF_NONE for an ordinary matrix. */
static uint16_t with_factor(struct builder *b, const char *role, const struct weight *w,
                            uint16_t routing, uint16_t product, uint16_t y)
{
    if (w->scale == WEIGHT_NONE)
        return y;
    const enum dtype dtype = b->weights->list[w->scale].dtype;
    const uint16_t factor =
        plan_experts(b->plan, role, b->layer, dtype, w->experts, 1, 1, w->scale);
    if (routing == BUF_NONE)
        plan_op(b->plan, &(struct op_spec){OP_MUL_SCALAR, role, b->layer, {product, factor, y}});
    else
        plan_op(b->plan,
                &(struct op_spec){OP_EXPERT_SCALE, role, b->layer, {product, routing, factor, y}});
    return y;
}

/* y = W x with the first `rows` rows of W, times the factor that the file has for it, if any. */
static uint16_t matmul(struct builder *b, const char *role, enum weight_role which, uint32_t rows,
                       uint16_t x, uint16_t y)
{
    const struct weight *w = find(b, which);
    const uint16_t product = before_factor(b, w, y), matrix = weight_rows(b, role, which, rows);
    collect(b, w, BUF_NONE, x);
    plan_op(b->plan, &(struct op_spec){OP_MATMUL, role, b->layer, {matrix, x, product}});
    return with_factor(b, role, w, BUF_NONE, product, y);
}

/* y = W x in `groups` groups. */
static uint16_t project(struct builder *b, const char *role, enum weight_role which, uint16_t x,
                        uint32_t groups)
{
    const uint32_t rows = find(b, which)->rows;
    return matmul(b, role, which, rows, x, act(b, x, groups, rows / groups));
}

/* A group of y for each expert of the routing: its matrix times its group of x, or the one of x. */
static uint16_t project_routed(struct builder *b, const char *role, enum weight_role which,
                               uint16_t routing, uint16_t x)
{
    const struct weight *w = find(b, which);
    const uint16_t y = act(b, x, b->c->experts_used, w->rows);
    const uint16_t product = before_factor(b, w, y);
    collect(b, w, routing, x);
    plan_op(b->plan,
            &(struct op_spec){
                OP_EXPERT_MATMUL, role, b->layer, {weight(b, role, which), routing, x, product}});
    return with_factor(b, role, w, routing, product, y);
}

static uint16_t concat(struct builder *b, const char *role, uint16_t left, uint16_t right)
{
    if (left == BUF_NONE || right == BUF_NONE)
        return BUF_NONE;
    const uint32_t columns =
        buf_columns(plan_buf(b->plan, left)) + buf_columns(plan_buf(b->plan, right));
    const uint16_t y = act(b, left, 1, columns);
    plan_op(b->plan, &(struct op_spec){OP_CONCAT, role, b->layer, {left, right, y}});
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

/* The delta rule on a state that can go back. There is no plan of single ops for it: the step does
 * what one without records does, to the same bits. */
static uint16_t recorded_rule(struct builder *b, uint16_t q, uint16_t k, uint16_t v, uint16_t g,
                              uint16_t beta)
{
    const uint32_t S = b->c->state_width, heads = b->c->v_heads;
    const uint16_t state = plan_state(b->plan, "gdn.state", b->layer, heads * S, S);
    const uint16_t records =
        plan_records(b->plan, "gdn.records", b->layer, b->choices->rewind, heads, S, S);
    const uint16_t o = act(b, q, heads, S);
    plan_op(b->plan, &(struct op_spec){OP_DELTA_RULE_RECORDED,
                                       "gdn.rule",
                                       b->layer,
                                       {q, k, v, g, beta, state, records, o},
                                       .scale = 1.0f / sqrtf((float)S),
                                       .head_map = b->c->head_map});
    return o;
}

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
                                       .head_map = b->c->head_map});
    plan_op(b->plan, &(struct op_spec){OP_STATE_STORE, "gdn.store", b->layer, {after, state}});
    return o;
}

/* What the mixer projects its input to. */
struct gdn_inputs {
    uint16_t u;     /* channels of the convolution: q, k, v of all heads */
    uint16_t z;     /* output gate, by v-head */
    uint16_t alpha; /* decay, before softplus */
    uint16_t beta;  /* update strength, before the sigmoid */
};

/* Files of the first conversions of qwen3next have one matrix for u and z, whose rows are q k v z
 * of each k-head in turn. */
static void split_legacy_input(struct builder *b, uint16_t x, struct gdn_inputs *in)
{
    const uint32_t n_k = b->c->k_heads, n_v = b->c->v_heads, S = b->c->state_width;
    const uint32_t shared = n_v / n_k * S, stride = 2 * S + 2 * shared;
    const uint16_t all = project(b, "gdn.in", WEIGHT_GDN_IN, x, 1);
    const uint16_t q = plan_view(b->plan, all, 0, n_k, S, stride);
    const uint16_t k = plan_view(b->plan, all, S, n_k, S, stride);
    const uint16_t v = plan_view(b->plan, all, 2 * S, n_k, shared, stride);
    const uint16_t z = plan_view(b->plan, all, 2 * S + shared, n_k, shared, stride);
    in->u = concat(b, "gdn.in", concat(b, "gdn.in", q, k), v);
    in->z = act(b, x, n_v, S);
    plan_op(b->plan, &(struct op_spec){OP_COPY, "gdn.in", b->layer, {z, in->z}});
}

static struct gdn_inputs gdn_project(struct builder *b, uint16_t x)
{
    struct gdn_inputs in;
    const uint32_t n_k = b->c->k_heads, n_v = b->c->v_heads;
    if (has(b, WEIGHT_GDN_IN)) {
        split_legacy_input(b, x, &in);
    } else {
        in.u = project(b, "gdn.qkv", WEIGHT_GDN_QKV, x, 1);
        in.z = project(b, "gdn.z", WEIGHT_GDN_GATE, x, n_v);
    }
    if (has(b, WEIGHT_GDN_BA)) {
        /* for each k-head: beta of its v-heads, then their alpha */
        const uint32_t shared = n_v / n_k;
        const uint16_t both = project(b, "gdn.ba", WEIGHT_GDN_BA, x, 1);
        in.beta = plan_view(b->plan, both, 0, n_k, shared, 2 * shared);
        in.alpha = plan_view(b->plan, both, shared, n_k, shared, 2 * shared);
    } else {
        in.beta = project(b, "gdn.beta", WEIGHT_GDN_BETA, x, 1);
        in.alpha = project(b, "gdn.alpha", WEIGHT_GDN_ALPHA, x, 1);
    }
    return in;
}

static uint16_t gated_delta_net(struct builder *b, uint16_t x)
{
    const uint32_t n_k = b->c->k_heads, n_v = b->c->v_heads, S = b->c->state_width;
    const uint32_t C = b->c->conv_width;
    const struct gdn_inputs in = gdn_project(b, x);

    const uint16_t beta = unary(b, OP_SIGMOID, "gdn.beta", in.beta);
    const uint16_t shifted = with_weight(b, OP_ADD_WEIGHT, "gdn.decay", WEIGHT_GDN_DT, in.alpha);
    const uint16_t step = unary(b, OP_SOFTPLUS, "gdn.decay", shifted);
    const uint16_t g = with_weight(b, OP_MUL_WEIGHT, "gdn.decay", WEIGHT_GDN_A, step);

    const uint16_t ring =
        plan_ring(b->plan, "gdn.ring", b->layer, b->c->conv_taps - 1, b->choices->rewind, C);
    const uint16_t mixed = act(b, x, 1, C);
    plan_op(b->plan,
            &(struct op_spec){OP_CONV,
                              "gdn.conv",
                              b->layer,
                              {in.u, weight(b, "gdn.conv", WEIGHT_GDN_CONV), ring, mixed}});
    const uint16_t w = unary(b, OP_SILU, "gdn.conv", mixed);
    const uint16_t q = l2_norm(b, "gdn.q_norm", plan_view(b->plan, w, 0, n_k, S, S));
    const uint16_t k = l2_norm(b, "gdn.k_norm", plan_view(b->plan, w, n_k * S, n_k, S, S));
    const uint16_t v = plan_view(b->plan, w, 2 * n_k * S, n_v, S, S);

    const uint16_t o = b->choices->rewind > 0 ? recorded_rule(b, q, k, v, g, beta)
                                              : delta_rule(b, q, k, v, g, beta);
    const uint16_t normed = rms_norm(b, "gdn.norm", WEIGHT_GDN_NORM, o);
    const uint16_t gate = unary(b, OP_SILU, "gdn.gate", in.z);
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

static uint16_t swiglu(struct builder *b, const char *role, uint16_t gate, uint16_t up)
{
    return binary(b, OP_MUL, role, unary(b, OP_SILU, role, gate), up);
}

/* The experts that each row is routed to, and the sum of what they give. */
static uint16_t routed_experts(struct builder *b, uint16_t x)
{
    if (x == BUF_NONE)
        return BUF_NONE;
    const uint32_t k = b->c->experts_used, width = b->c->expert_width;
    const uint16_t logits = project(b, "moe.router", WEIGHT_MOE_ROUTER, x, 1);
    const uint16_t routing = plan_routing(b->plan, plan_buf(b->plan, x)->extent, k);
    const uint16_t shares = act(b, x, 1, k);
    plan_op(b->plan, &(struct op_spec){OP_ROUTE, "moe.route", b->layer, {logits, routing, shares}});
    uint16_t gate, up;
    if (has(b, WEIGHT_MOE_GATE)) {
        gate = project_routed(b, "moe.gate", WEIGHT_MOE_GATE, routing, x);
        up = project_routed(b, "moe.up", WEIGHT_MOE_UP, routing, x);
    } else {
        const uint16_t both = project_routed(b, "moe.gate_up", WEIGHT_MOE_GATE_UP, routing, x);
        gate = plan_view(b->plan, both, 0, k, width, 2 * width);
        up = plan_view(b->plan, both, width, k, width, 2 * width);
    }
    const uint16_t gated = swiglu(b, "moe.act", gate, up);
    const uint16_t down = project_routed(b, "moe.down", WEIGHT_MOE_DOWN, routing, gated);
    const uint16_t sum = act(b, x, 1, b->c->width);
    plan_op(b->plan, &(struct op_spec){OP_EXPERT_SUM, "moe.sum", b->layer, {down, shares, sum}});
    return sum;
}

/* The routed experts, and one that every row uses, behind a gate of one number a row. Of that one,
 * what does not need the routing comes first: behind it begins a phase anyway. */
static uint16_t mixture(struct builder *b, uint16_t x)
{
    const uint16_t openness = project(b, "shared.router", WEIGHT_MOE_SHARED_ROUTER, x, 1);
    const uint16_t gate = project(b, "shared.gate", WEIGHT_MOE_SHARED_GATE, x, 1);
    const uint16_t up = project(b, "shared.up", WEIGHT_MOE_SHARED_UP, x, 1);
    const uint16_t gated = swiglu(b, "shared.act", gate, up);
    const uint16_t routed = routed_experts(b, x);
    const uint16_t shared = project(b, "shared.down", WEIGHT_MOE_SHARED_DOWN, gated, 1);
    const uint16_t opened = unary(b, OP_SIGMOID, "shared.open", openness);
    const uint16_t weighted = binary(b, OP_MUL_COLUMN, "shared.open", shared, opened);
    return binary(b, OP_ADD, "shared.add", routed, weighted);
}

static uint16_t feed_forward(struct builder *b, uint16_t x)
{
    if (b->c->experts > 0)
        return mixture(b, x);
    const uint16_t gate = project(b, "ffn.gate", WEIGHT_FFN_GATE, x, 1);
    const uint16_t up = project(b, "ffn.up", WEIGHT_FFN_UP, x, 1);
    return project(b, "ffn.down", WEIGHT_FFN_DOWN, swiglu(b, "ffn.act", gate, up), 1);
}

static uint16_t block(struct builder *b, uint16_t x)
{
    const bool is_recurrent = b->layer < b->c->layers && b->c->recurrent[b->layer];
    const uint16_t y = rms_norm(b, "mixer.norm", WEIGHT_MIXER_NORM, x);
    const uint16_t m = is_recurrent ? gated_delta_net(b, y) : full_attention(b, y);
    const uint16_t r = binary(b, OP_ADD, "mixer.add", x, m);
    const uint16_t f = feed_forward(b, rms_norm(b, "ffn.norm", WEIGHT_FFN_NORM, r));
    return binary(b, OP_ADD, "ffn.add", r, f);
}

/* ---- the whole ------------------------------------------------------------------------------- */

static uint16_t embed(struct builder *b, enum weight_role which)
{
    const struct weight *w = find(b, which);
    const uint16_t x = plan_act(b->plan, EXTENT_ROWS, 1, b->c->width);
    const uint16_t row = before_factor(b, w, x);
    plan_op(b->plan,
            &(struct op_spec){OP_EMBED, "embed", b->layer, {weight(b, "embed", which), row}});
    return with_factor(b, "embed", w, BUF_NONE, row, x);
}

static uint16_t select_outs(struct builder *b, uint16_t x)
{
    const uint16_t wanted = plan_act(b->plan, EXTENT_OUTS, 1, b->c->width);
    plan_op(b->plan, &(struct op_spec){OP_SELECT, "select", b->layer, {x, wanted}});
    return wanted;
}

/* The last norm. If the hidden state of each row is wanted, it comes before the choice of rows;
 * otherwise only the chosen rows are normed. */
static uint16_t final_rows(struct builder *b, enum weight_role norm, uint16_t x, bool keep_hidden)
{
    if (!keep_hidden)
        return rms_norm(b, "head.norm", norm, select_outs(b, x));
    const uint16_t hidden = plan_hidden(b->plan, b->c->width);
    plan_op(b->plan, &(struct op_spec){OP_RMS_NORM,
                                       "head.norm",
                                       b->layer,
                                       {x, weight(b, "head.norm", norm), hidden},
                                       .eps = b->c->eps});
    return select_outs(b, hidden);
}

/* The matrix of the model's head, which may be the embedding's. */
static enum weight_role head_role(const struct builder *b)
{
    return has(b, WEIGHT_OUTPUT) ? WEIGHT_OUTPUT : WEIGHT_TOKEN_EMBD;
}

static enum weir_status builder_open(struct builder *b, const struct config *config,
                                     const struct weights *weights,
                                     const struct plan_choices *choices, struct weir_error *err)
{
    *b = (struct builder){.c = config, .weights = weights, .choices = choices, .layer = LAYER_NONE};
    const enum weir_status status = plan_open(&b->plan, err);
    if (status != WEIR_OK)
        return status;
    double frequencies[HEAD_WIDTH_MAX / 2];
    rope_frequencies(&config->rope, frequencies, &b->magnitude);
    b->frequencies = plan_const(b->plan, frequencies, config->rope.width / 2);
    return WEIR_OK;
}

static enum weir_status builder_finish(struct builder *b, struct plan **out, struct weir_error *err)
{
    plan_fuse(b->plan, b->choices->fuse);
    const enum weir_status status = plan_finish(b->plan, err);
    if (status != WEIR_OK) {
        plan_close(b->plan);
        return status;
    }
    *out = b->plan;
    return WEIR_OK;
}

enum weir_status network_plan(struct plan **out, const struct config *config,
                              const struct weights *weights, const struct plan_choices *choices,
                              struct weir_error *err)
{
    struct builder b;
    *out = NULL;
    const enum weir_status status = builder_open(&b, config, weights, choices, err);
    if (status != WEIR_OK)
        return status;
    uint16_t x = embed(&b, WEIGHT_TOKEN_EMBD);
    for (uint32_t i = 0; i < config->layers; i++) {
        b.layer = (uint16_t)i;
        x = block(&b, x);
    }
    b.layer = LAYER_NONE;
    const uint16_t rows = final_rows(&b, WEIGHT_OUTPUT_NORM, x, choices->hidden);
    matmul(&b, "head", head_role(&b), config->vocab, rows, plan_logits(b.plan, config->vocab));
    return builder_finish(&b, out, err);
}

enum weir_status network_mtp_plan(struct plan **out, const struct config *config,
                                  const struct weights *weights, const struct plan_choices *choices,
                                  struct weir_error *err)
{
    struct builder b;
    *out = NULL;
    const enum weir_status status = builder_open(&b, config, weights, choices, err);
    if (status != WEIR_OK)
        return status;
    b.layer = (uint16_t)config->layers;
    const uint16_t token =
        embed(&b, has(&b, WEIGHT_MTP_EMBD) ? WEIGHT_MTP_EMBD : WEIGHT_TOKEN_EMBD);
    const uint16_t before = plan_input(b.plan, config->width);
    const uint16_t both =
        concat(&b, "mtp.concat", rms_norm(&b, "mtp.token_norm", WEIGHT_MTP_TOKEN_NORM, token),
               rms_norm(&b, "mtp.hidden_norm", WEIGHT_MTP_HIDDEN_NORM, before));
    const uint16_t x = block(&b, project(&b, "mtp.proj", WEIGHT_MTP_PROJ, both, 1));
    const enum weight_role norm =
        has(&b, WEIGHT_MTP_HEAD_NORM) ? WEIGHT_MTP_HEAD_NORM : WEIGHT_OUTPUT_NORM;
    const uint16_t rows = final_rows(&b, norm, x, true);
    const enum weight_role head = has(&b, WEIGHT_MTP_HEAD) ? WEIGHT_MTP_HEAD : head_role(&b);
    const uint32_t vocab = choices->mtp_vocab != 0 ? choices->mtp_vocab : config->vocab;
    matmul(&b, "head", head, vocab, rows, plan_logits(b.plan, vocab));
    return builder_finish(&b, out, err);
}
