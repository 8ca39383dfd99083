/* SPDX-License-Identifier: MIT
 * The hyper-parameters of a model from its metadata. Knows the keys; of tensors only the
 * embedding, whose rows are the vocabulary, and one that every whole model has. */
#include "model/config.h"

#include <math.h>
#include <stddef.h>
#include <stdio.h>

enum { KEY_MAX = 128 };

static const struct architecture {
    const char *name;
    bool has_experts;  /* in each block, in place of a dense feed-forward net */
    bool has_sections; /* of the rotary embedding, for images */
    enum head_map head_map;
} architectures[] = {
    {"qwen35", false, true, HEAD_MAP_TILED},
    {"qwen35moe", true, true, HEAD_MAP_TILED},
    {"qwen3next", true, false, HEAD_MAP_GROUPED},
};

enum { ARCHITECTURES = sizeof architectures / sizeof architectures[0] };

enum which { WHICH_ALL, WHICH_DENSE, WHICH_EXPERTS };

/* A key of the architecture that must be there, within [low, high]. */
struct key_rule {
    enum which which; /* architectures */
    const char *key;
    size_t offset; /* of a uint32_t in struct config */
    uint32_t low, high;
};

static const struct key_rule key_rules[] = {
    {WHICH_ALL, "block_count", offsetof(struct config, blocks), 1, BLOCKS_MAX},
    {WHICH_ALL, "context_length", offsetof(struct config, context), 1, 1u << 30},
    {WHICH_ALL, "embedding_length", offsetof(struct config, width), 1, 1u << 20},
    {WHICH_DENSE, "feed_forward_length", offsetof(struct config, ff_width), 1, 1u << 24},
    {WHICH_ALL, "attention.head_count", offsetof(struct config, heads), 1, 1u << 12},
    {WHICH_ALL, "attention.head_count_kv", offsetof(struct config, kv_heads), 1, 1u << 12},
    {WHICH_ALL, "attention.key_length", offsetof(struct config, head_width), 2, HEAD_WIDTH_MAX},
    {WHICH_ALL, "rope.dimension_count", offsetof(struct config, rope.width), 2, HEAD_WIDTH_MAX},
    {WHICH_ALL, "ssm.conv_kernel", offsetof(struct config, conv_taps), 2, CONV_TAPS_MAX},
    {WHICH_ALL, "ssm.state_size", offsetof(struct config, state_width), 1, HEAD_WIDTH_MAX},
    {WHICH_ALL, "ssm.group_count", offsetof(struct config, k_heads), 1, 1u << 12},
    {WHICH_ALL, "ssm.time_step_rank", offsetof(struct config, v_heads), 1, 1u << 12},
    {WHICH_EXPERTS, "expert_count", offsetof(struct config, experts), 1, EXPERTS_MAX},
    {WHICH_EXPERTS, "expert_used_count", offsetof(struct config, experts_used), 1, EXPERTS_MAX},
};

/* Where keys are read: the file, and the architecture that its keys begin with. */
struct keys {
    const struct gguf *gguf;
    const struct architecture *architecture;
};

static const char *key_of(char *out, const struct keys *keys, const char *name)
{
    snprintf(out, KEY_MAX, "%s.%s", keys->architecture->name, name);
    return out;
}

/* Like gguf_get_u32, but a per-layer array of equal entries serves too. */
static enum weir_status get_uniform(const struct gguf *gguf, const char *key, uint32_t *out,
                                    struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    if (kv == NULL || kv->type != GGUF_ARRAY)
        return gguf_get_u32(gguf, key, out, err);
    int64_t first = -1;
    for (uint64_t i = 0; i < kv->count; i++) {
        int64_t value;
        if (!gguf_kv_integer(kv, i, &value) || value < 0 || value > UINT32_MAX)
            return err_set(err, WEIR_ERR_FORMAT, "%s: key %s: expected unsigned integers",
                           gguf_path(gguf), key);
        if (i > 0 && value != first)
            return err_set(err, WEIR_ERR_UNSUPPORTED,
                           "%s: key %s differs between layers (%lld and %lld), expected one value",
                           gguf_path(gguf), key, (long long)first, (long long)value);
        first = value;
    }
    if (first < 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is an empty array", gguf_path(gguf), key);
    *out = (uint32_t)first;
    return WEIR_OK;
}

static enum weir_status read_rule(struct config *config, const struct keys *keys,
                                  const struct key_rule *rule, struct weir_error *err)
{
    char key[KEY_MAX];
    key_of(key, keys, rule->key);
    if (gguf_find(keys->gguf, key) == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is missing", gguf_path(keys->gguf), key);
    uint32_t *value = (uint32_t *)(void *)((char *)config + rule->offset);
    const enum weir_status status = get_uniform(keys->gguf, key, value, err);
    if (status != WEIR_OK)
        return status;
    if (*value < rule->low || *value > rule->high)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is %u, expected %u to %u",
                       gguf_path(keys->gguf), key, *value, rule->low, rule->high);
    return WEIR_OK;
}

static enum weir_status read_float(const struct keys *keys, const char *name, double low,
                                   double high, double *out, struct weir_error *err)
{
    char key[KEY_MAX];
    float value = (float)*out;
    const enum weir_status status = gguf_get_f32(keys->gguf, key_of(key, keys, name), &value, err);
    if (status != WEIR_OK)
        return status;
    if (!(value >= low && value <= high))
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is %g, expected %g to %g",
                       gguf_path(keys->gguf), key, (double)value, low, high);
    *out = value;
    return WEIR_OK;
}

static enum weir_status require(const struct keys *keys, const char *name, struct weir_error *err)
{
    char key[KEY_MAX];
    if (gguf_find(keys->gguf, key_of(key, keys, name)) == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is missing", gguf_path(keys->gguf), key);
    return WEIR_OK;
}

static enum weir_status read_rope_scaling(struct rope_config *rope, const struct keys *keys,
                                          struct weir_error *err)
{
    struct span type = {0};
    char key[KEY_MAX];
    enum weir_status status =
        gguf_get_text(keys->gguf, key_of(key, keys, "rope.scaling.type"), &type, err);
    if (status != WEIR_OK)
        return status;
    if (type.data == NULL || span_equals(type, "linear"))
        rope->scaling = ROPE_LINEAR;
    else if (span_equals(type, "none"))
        rope->scaling = ROPE_NONE;
    else if (span_equals(type, "yarn"))
        rope->scaling = ROPE_YARN;
    else
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: key %s is \"%.*s\", expected none, linear or yarn",
                       gguf_path(keys->gguf), key, (int)(type.length < 40 ? type.length : 40),
                       (const char *)type.data);
    return WEIR_OK;
}

static enum weir_status read_rope(struct config *config, const struct keys *keys,
                                  struct weir_error *err)
{
    struct rope_config *rope = &config->rope;
    enum weir_status status;
    double older = 0, factor = 0;
    char key[KEY_MAX];
    rope->base = rope->attn_factor = 1;
    rope->original = config->context;
    TRY(require(keys, "rope.freq_base", err));
    TRY(read_float(keys, "rope.freq_base", 1.0001, 1e18, &rope->base, err));
    TRY(read_rope_scaling(rope, keys, err));
    TRY(read_float(keys, "rope.scale_linear", 0, 1e6, &older, err));
    TRY(read_float(keys, "rope.scaling.factor", 0, 1e6, &factor, err));
    TRY(read_float(keys, "rope.scaling.attn_factor", 0, 1e6, &rope->attn_factor, err));
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "rope.scaling.original_context_length"),
                     &rope->original, err));
    if (factor == 0)
        factor = older;
    rope->factor = factor == 0 || rope->scaling == ROPE_NONE ? 1 : factor;
    if (rope->original == 0)
        rope->original = config->context;
out:
    return status;
}

/* Which layers are recurrent: a list in the file, or every one but each interval-th. */
static enum weir_status read_layer_kinds(struct config *config, const struct keys *keys,
                                         struct weir_error *err)
{
    char key[KEY_MAX];
    uint32_t interval = 4;
    const enum weir_status status =
        gguf_get_u32(keys->gguf, key_of(key, keys, "full_attention_interval"), &interval, err);
    if (status != WEIR_OK)
        return status;
    if (interval == 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is 0, expected at least 1",
                       gguf_path(keys->gguf), key);
    const struct gguf_kv *list =
        gguf_find(keys->gguf, key_of(key, keys, "attention.recurrent_layers"));
    if (list != NULL && list->type == GGUF_ARRAY && list->count < config->layers)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s has %llu entries, expected %u",
                       gguf_path(keys->gguf), key, (unsigned long long)list->count, config->layers);
    for (uint32_t i = 0; i < config->layers; i++) {
        int64_t value = (i + 1) % interval != 0;
        if (list != NULL && !gguf_kv_integer(list, i, &value))
            return err_set(err, WEIR_ERR_FORMAT, "%s: key %s: expected booleans or integers",
                           gguf_path(keys->gguf), key);
        config->recurrent[i] = value != 0;
    }
    return WEIR_OK;
}

static enum weir_status read_blocks(struct config *config, const struct keys *keys,
                                    struct weir_error *err)
{
    char key[KEY_MAX];
    uint32_t mtp = 0;
    const enum weir_status status =
        gguf_get_u32(keys->gguf, key_of(key, keys, "nextn_predict_layers"), &mtp, err);
    if (status != WEIR_OK)
        return status;
    if (mtp >= config->blocks)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is %u, expected less than block_count %u",
                       gguf_path(keys->gguf), key, mtp, config->blocks);
    if (mtp > 1)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: key %s is %u, expected 0 or 1",
                       gguf_path(keys->gguf), key, mtp);
    config->layers = config->blocks - mtp;
    if (mtp > 0 && gguf_find_tensor(keys->gguf, "blk.0.attn_norm.weight") == NULL)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: holds only the MTP block of a model, expected a whole model",
                       gguf_path(keys->gguf));
    return read_layer_kinds(config, keys, err);
}

/* Widths of the experts and of the one that all rows share; what is missing follows from the dense
 * width, as the models' converter leaves it. */
static enum weir_status read_experts(struct config *config, const struct keys *keys,
                                     struct weir_error *err)
{
    char key[KEY_MAX];
    uint32_t dense = 0, groups = 0;
    enum weir_status status = WEIR_OK;
    if (!keys->architecture->has_experts)
        return WEIR_OK;
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "feed_forward_length"), &dense, err));
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "expert_group_count"), &groups, err));
    config->expert_width = dense / config->experts_used;
    config->shared_width = dense;
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "expert_shared_feed_forward_length"),
                     &config->shared_width, err));
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "expert_feed_forward_length"),
                     &config->expert_width, err));
    if (config->experts_used > config->experts)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: expert_used_count is %u, expected at most expert_count %u",
                       gguf_path(keys->gguf), config->experts_used, config->experts);
    if (groups > 1)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: expert_group_count is %u, expected 0 or 1",
                       gguf_path(keys->gguf), groups);
    if (config->expert_width - 1 >= 1u << 24 || config->shared_width - 1 >= 1u << 24)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: experts of width %u and a shared one of %u, expected 1 to 2^24",
                       gguf_path(keys->gguf), config->expert_width, config->shared_width);
out:
    return status;
}

/* Settings of the container's wider family that would change the computation. */
static enum weir_status check_settings(const struct config *config, const struct keys *keys,
                                       struct weir_error *err)
{
    char key[KEY_MAX];
    bool is_causal = true;
    uint32_t width_out = config->width;
    enum weir_status status;
    TRY(gguf_get_bool(keys->gguf, key_of(key, keys, "attention.causal"), &is_causal, err));
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "embedding_length_out"), &width_out, err));
    if (!is_causal)
        status = err_set(err, WEIR_ERR_UNSUPPORTED, "%s: attention.causal is false, expected true",
                         gguf_path(keys->gguf));
    else if (width_out != config->width)
        status = err_set(err, WEIR_ERR_UNSUPPORTED,
                         "%s: embedding_length_out is %u, expected embedding_length %u",
                         gguf_path(keys->gguf), width_out, config->width);
out:
    return status;
}

/* Values that must agree with each other. */
static enum weir_status check_relations(const struct config *config, const struct keys *keys,
                                        struct weir_error *err)
{
    const char *path = gguf_path(keys->gguf);
    uint32_t value_width = config->head_width, inner = config->v_heads * config->state_width;
    const uint32_t expected_inner = inner;
    char key[KEY_MAX];
    enum weir_status status;
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "attention.value_length"), &value_width, err));
    TRY(gguf_get_u32(keys->gguf, key_of(key, keys, "ssm.inner_size"), &inner, err));
    if (value_width != config->head_width)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: attention.value_length is %u, expected key_length %u", path,
                       value_width, config->head_width);
    if (inner != expected_inner)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: ssm.inner_size is %u, expected time_step_rank x state_size = %u", path,
                       inner, expected_inner);
    if (config->heads % config->kv_heads != 0)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: attention.head_count %u is not a multiple of head_count_kv %u", path,
                       config->heads, config->kv_heads);
    if (config->v_heads % config->k_heads != 0)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: ssm.time_step_rank %u is not a multiple of group_count %u", path,
                       config->v_heads, config->k_heads);
    if (config->rope.width % 2 != 0 || config->rope.width > config->head_width)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: rope.dimension_count is %u, expected even and at most key_length %u",
                       path, config->rope.width, config->head_width);
out:
    return status;
}

/* True if pair `i` of the sectioned RoPE takes its position from one of the first three axes, which
 * are the same for text. Pairs go round the axes t h w while the axis' section lasts; what is left
 * over goes to a fourth axis, which is 0 for text. */
static bool pair_has_position(const int64_t *sections, uint32_t i)
{
    const int64_t around = sections[0] + sections[1] + sections[2] + sections[3];
    const int64_t at = around > 0 ? i % around : 0;
    return at < 3 * sections[at % 3];
}

static enum weir_status check_sections(const struct config *config, const struct keys *keys,
                                       struct weir_error *err)
{
    char key[KEY_MAX];
    int64_t sections[4];
    if (!keys->architecture->has_sections)
        return WEIR_OK;
    const struct gguf_kv *kv = gguf_find(keys->gguf, key_of(key, keys, "rope.dimension_sections"));
    if (kv == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is missing", gguf_path(keys->gguf), key);
    if (kv->count != 4)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s has %llu entries, expected 4",
                       gguf_path(keys->gguf), key, (unsigned long long)kv->count);
    for (uint32_t i = 0; i < 4; i++) {
        if (!gguf_kv_integer(kv, i, &sections[i]) || sections[i] < 0 || sections[i] > 1 << 20)
            return err_set(err, WEIR_ERR_FORMAT, "%s: key %s: expected integers of 0 to 2^20",
                           gguf_path(keys->gguf), key);
    }
    for (uint32_t i = 0; i < config->rope.width / 2; i++) {
        if (!pair_has_position(sections, i))
            return err_set(err, WEIR_ERR_UNSUPPORTED,
                           "%s: key %s leaves pair %u to a fourth axis, expected three",
                           gguf_path(keys->gguf), key, i);
    }
    return WEIR_OK;
}

static enum weir_status read_vocab(struct config *config, const struct keys *keys,
                                   struct weir_error *err)
{
    const struct gguf_tensor *table = gguf_find_tensor(keys->gguf, "token_embd.weight");
    if (table == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: tensor token_embd.weight is missing",
                       gguf_path(keys->gguf));
    if (table->ne[1] > INT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: token_embd.weight has %llu rows, at most 2^31-1",
                       gguf_path(keys->gguf), (unsigned long long)table->ne[1]);
    config->vocab = (uint32_t)table->ne[1];
    const struct gguf_kv *tokens = gguf_find(keys->gguf, "tokenizer.ggml.tokens");
    if (tokens != NULL && tokens->count > config->vocab)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: the vocabulary has %llu tokens, token_embd.weight only %u rows",
                       gguf_path(keys->gguf), (unsigned long long)tokens->count, config->vocab);
    return WEIR_OK;
}

/* "qwen35, qwen35moe or qwen3next" */
static void print_architectures(char *out, size_t size)
{
    int used = 0;
    for (int i = 0; i < ARCHITECTURES; i++) {
        const char *before = i == 0 ? "" : i == ARCHITECTURES - 1 ? " or " : ", ";
        used += snprintf(out + used, size - (size_t)used, "%s%s", before, architectures[i].name);
    }
}

static enum weir_status find_architecture(const struct gguf *gguf, const struct architecture **out,
                                          struct weir_error *err)
{
    struct span found = {0}, type = {0};
    char expected[128];
    enum weir_status status;
    TRY(gguf_get_text(gguf, "general.type", &type, err));
    TRY(gguf_get_text(gguf, "general.architecture", &found, err));
    if (type.data != NULL && !span_equals(type, "model"))
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: general.type is \"%.*s\", expected model",
                       gguf_path(gguf), (int)(type.length < 40 ? type.length : 40),
                       (const char *)type.data);
    if (found.data == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key general.architecture is missing",
                       gguf_path(gguf));
    for (*out = architectures; *out < architectures + ARCHITECTURES; ++*out) {
        if (span_equals(found, (*out)->name))
            return WEIR_OK;
    }
    print_architectures(expected, sizeof expected);
    status =
        err_set(err, WEIR_ERR_UNSUPPORTED,
                "%s: architecture \"%.*s\" is not supported, expected %s", gguf_path(gguf),
                (int)(found.length < 40 ? found.length : 40), (const char *)found.data, expected);
out:
    return status;
}

enum weir_status config_read_architecture(const char **out, const struct gguf *gguf,
                                          struct weir_error *err)
{
    const struct architecture *architecture = NULL;
    const enum weir_status status = find_architecture(gguf, &architecture, err);
    if (status == WEIR_OK)
        *out = architecture->name;
    return status;
}

static enum weir_status read_rules(struct config *config, const struct keys *keys,
                                   struct weir_error *err)
{
    const enum which other = keys->architecture->has_experts ? WHICH_DENSE : WHICH_EXPERTS;
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof key_rules / sizeof key_rules[0] && status == WEIR_OK; i++) {
        if (key_rules[i].which != other)
            status = read_rule(config, keys, &key_rules[i], err);
    }
    return status;
}

enum weir_status config_read(struct config *out, const struct gguf *gguf, struct weir_error *err)
{
    struct config config = {0};
    struct keys of = {.gguf = gguf};
    const struct keys *keys = &of;
    enum weir_status status;
    double eps = 0;
    if (gguf->tensor_count == 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: holds no tensors, only metadata and a vocabulary",
                       gguf_path(gguf));
    TRY(find_architecture(gguf, &of.architecture, err));
    TRY(read_rules(&config, keys, err));
    TRY(read_experts(&config, keys, err));
    TRY(require(keys, "ssm.inner_size", err));
    TRY(require(keys, "attention.value_length", err));
    TRY(require(keys, "attention.layer_norm_rms_epsilon", err));
    TRY(read_float(keys, "attention.layer_norm_rms_epsilon", 1e-20, 1, &eps, err));
    TRY(read_rope(&config, keys, err));
    TRY(read_blocks(&config, keys, err));
    TRY(check_sections(&config, keys, err));
    TRY(check_settings(&config, keys, err));
    TRY(check_relations(&config, keys, err));
    TRY(read_vocab(&config, keys, err));
    config.head_map = of.architecture->head_map;
    config.eps = (float)eps;
    config.conv_width = (2 * config.k_heads + config.v_heads) * config.state_width;
    *out = config;
out:
    return status;
}

/* ---- rotary frequencies ---------------------------------------------------------------------- */

/* The pair that turns `rotations` times within the original context, as a real index. */
static double yarn_pair(const struct rope_config *rope, double rotations)
{
    const double two_pi = 6.283185307179586;
    return rope->width * log(rope->original / (rotations * two_pi)) / (2 * log(rope->base));
}

void rope_frequencies(const struct rope_config *rope, double *frequencies, float *magnitude)
{
    const bool is_yarn = rope->scaling == ROPE_YARN && rope->factor > 1;
    /* the paper's alpha and beta: pairs of more than 32 turns keep their frequency, of less than
     * one are interpolated */
    const double low = is_yarn ? fmax(0, floor(yarn_pair(rope, 32))) : 0;
    const double high = is_yarn ? fmin(rope->width - 1, ceil(yarn_pair(rope, 1))) : 0;
    for (uint32_t i = 0; i < rope->width / 2; i++) {
        const double plain = pow(rope->base, -2.0 * i / rope->width);
        const double ramp = (i - low) / fmax(0.001, high - low);
        const double kept = is_yarn ? 1 - fmin(1, fmax(0, ramp)) : 0;
        frequencies[i] = plain * ((1 - kept) / rope->factor + kept);
    }
    *magnitude = (float)(rope->attn_factor * (is_yarn ? 1 + 0.1 * log(rope->factor) : 1));
}
