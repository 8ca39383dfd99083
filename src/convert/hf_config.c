/* SPDX-License-Identifier: MIT
 * Reads config.json. Knows the keys of checkpoints; those of GGUF files are in hf_keys.c. */
#include "convert/hf_config.h"

#include <stddef.h>
#include <string.h>

#include "base/mem.h"

enum { WIDE_MAX = 1 << 24 }; /* with the other limits, all tensors stay below 2^60 bytes */

/* ---- architectures --------------------------------------------------------------------------- */

/* What "model_type" says, of the whole model and of its text part. */
static const struct {
    const char *type, *architecture;
} architectures[] = {
    {"qwen3_5", "qwen35"},        {"qwen3_5_text", "qwen35"},
    {"qwen3_5_moe", "qwen35moe"}, {"qwen3_5_moe_text", "qwen35moe"},
    {"qwen3_next", "qwen3next"},
};

static enum weir_status read_architecture(struct hf_config *config, const struct hf_source *source,
                                          struct weir_error *err)
{
    struct span type = {(const uint8_t *)"", 0};
    const enum weir_status status = hf_get_text(source, "model_type", &type, err);
    if (status != WEIR_OK)
        return status;
    for (size_t i = 0; i < sizeof architectures / sizeof architectures[0]; i++) {
        if (span_equals(type, architectures[i].type))
            config->architecture = architectures[i].architecture;
    }
    if (config->architecture == NULL)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: \"model_type\" is \"%.*s\", expected qwen3_5, qwen3_5_moe or "
                       "qwen3_next",
                       source->path, (int)(type.length < 40 ? type.length : 40),
                       (const char *)type.data);
    config->is_next = strcmp(config->architecture, "qwen3next") == 0;
    return WEIR_OK;
}

/* ---- sizes ----------------------------------------------------------------------------------- */

enum need { ALWAYS, DENSE, EXPERTS, OPTIONAL };

static const struct size_rule {
    const char *key;
    size_t offset; /* of a uint32_t in struct hf_config */
    uint32_t low, high;
    enum need need;
} size_rules[] = {
    {"num_hidden_layers", offsetof(struct hf_config, layers), 1, BLOCKS_MAX - 1, ALWAYS},
    {"max_position_embeddings", offsetof(struct hf_config, context), 1, 1 << 30, ALWAYS},
    {"vocab_size", offsetof(struct hf_config, vocab), 1, WIDE_MAX, ALWAYS},
    {"hidden_size", offsetof(struct hf_config, embedding), 1, 1 << 20, ALWAYS},
    {"intermediate_size", offsetof(struct hf_config, feed_forward), 1, WIDE_MAX, DENSE},
    {"num_attention_heads", offsetof(struct hf_config, heads), 1, 1 << 12, ALWAYS},
    {"num_key_value_heads", offsetof(struct hf_config, heads_kv), 1, 1 << 12, ALWAYS},
    {"head_dim", offsetof(struct hf_config, head_size), 2, HEAD_WIDTH_MAX, ALWAYS},
    {"linear_num_key_heads", offsetof(struct hf_config, heads_k), 1, 1 << 12, ALWAYS},
    {"linear_num_value_heads", offsetof(struct hf_config, heads_v), 1, 1 << 12, ALWAYS},
    {"linear_key_head_dim", offsetof(struct hf_config, state), 1, HEAD_WIDTH_MAX, ALWAYS},
    {"linear_conv_kernel_dim", offsetof(struct hf_config, taps), 2, 64, ALWAYS},
    {"num_experts", offsetof(struct hf_config, experts), 1, EXPERTS_MAX, EXPERTS},
    {"num_experts_per_tok", offsetof(struct hf_config, experts_used), 1, EXPERTS_MAX, EXPERTS},
    {"moe_intermediate_size", offsetof(struct hf_config, expert_ff), 1, WIDE_MAX, EXPERTS},
    {"shared_expert_intermediate_size", offsetof(struct hf_config, shared_ff), 1, WIDE_MAX,
     EXPERTS},
    {"mtp_num_hidden_layers", offsetof(struct hf_config, mtp), 0, BLOCKS_MAX, OPTIONAL},
};

static enum weir_status missing(const struct hf_source *source, const char *key,
                                struct weir_error *err)
{
    return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" is missing", source->path, key);
}

static enum weir_status read_sizes(struct hf_config *config, const struct hf_source *source,
                                   struct weir_error *err)
{
    const bool has_experts = strcmp(config->architecture, "qwen35") != 0;
    for (size_t i = 0; i < sizeof size_rules / sizeof size_rules[0]; i++) {
        const struct size_rule *rule = &size_rules[i];
        if (rule->need == EXPERTS && !has_experts)
            continue;
        const bool needed = rule->need == ALWAYS || rule->need == (has_experts ? EXPERTS : DENSE);
        if (needed && hf_find(source, rule->key) == NULL)
            return missing(source, rule->key, err);
        int64_t value = 0;
        const enum weir_status status =
            hf_get_integer(source, rule->key, rule->low, rule->high, &value, err);
        if (status != WEIR_OK)
            return status;
        const uint32_t size = (uint32_t)value;
        memcpy((char *)config + rule->offset, &size, sizeof size);
    }
    return WEIR_OK;
}

static enum weir_status check_multiple(const struct hf_source *source, const char *key, int64_t of,
                                       int64_t value, struct weir_error *err)
{
    if (value % of == 0)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" is %lld, expected a multiple of %lld",
                   source->path, key, (long long)value, (long long)of);
}

static enum weir_status check_sizes(const struct hf_config *config, const struct hf_source *source,
                                    struct weir_error *err)
{
    int64_t value_width = config->state;
    enum weir_status status;
    TRY(hf_get_integer(source, "linear_value_head_dim", 1, HEAD_WIDTH_MAX, &value_width, err));
    if (value_width != config->state)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: \"linear_value_head_dim\" is %lld, expected linear_key_head_dim %u",
                       source->path, (long long)value_width, config->state);
    TRY(check_multiple(source, "num_attention_heads", config->heads_kv, config->heads, err));
    TRY(check_multiple(source, "linear_num_value_heads", config->heads_k, config->heads_v, err));
    if (config->experts_used > config->experts)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: \"num_experts_per_tok\" is %u, of %u experts there are", source->path,
                       config->experts_used, config->experts);
out:
    return status;
}

/* ---- settings that would change the computation ---------------------------------------------- */

static enum weir_status setting_refused(const struct hf_source *source, const char *key,
                                        const char *found, const char *expected,
                                        struct weir_error *err)
{
    return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: \"%s\" is %s, expected %s", source->path, key,
                   found, expected);
}

static enum weir_status check_switches(const struct hf_source *source, struct weir_error *err)
{
    static const struct {
        const char *key;
        bool expected;
    } switches[] = {
        {"attention_bias", false},
        {"attn_output_gate", true},
        {"norm_topk_prob", true},
        {"use_sliding_window", false},
        {"mtp_use_dedicated_embeddings", false},
    };
    for (size_t i = 0; i < sizeof switches / sizeof switches[0]; i++) {
        const bool expected = switches[i].expected;
        bool value = expected;
        const enum weir_status status = hf_get_bool(source, switches[i].key, &value, err);
        if (status != WEIR_OK)
            return status;
        if (value != expected)
            return setting_refused(source, switches[i].key, value ? "true" : "false",
                                   expected ? "true" : "false", err);
    }
    return WEIR_OK;
}

static enum weir_status check_settings(const struct hf_source *source, struct weir_error *err)
{
    struct span activation = span_from("silu");
    int64_t step = 1;
    enum weir_status status;
    if (hf_find(source, "quantization_config") != NULL)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: \"quantization_config\": the checkpoint is quantized, expected F32, "
                       "F16 or BF16",
                       source->path);
    TRY(check_switches(source, err));
    TRY(hf_get_text(source, "hidden_act", &activation, err));
    TRY(hf_get_integer(source, "decoder_sparse_step", 0, INT32_MAX, &step, err));
    if (!span_equals(activation, "silu"))
        return setting_refused(source, "hidden_act", "something else", "silu", err);
    if (step != 1)
        return setting_refused(source, "decoder_sparse_step", "not 1", "1", err);
    if (json_array_size(hf_find(source, "mlp_only_layers")) > 0)
        return setting_refused(source, "mlp_only_layers", "a list of layers", "none", err);
out:
    return status;
}

/* ---- rotary embedding ------------------------------------------------------------------------ */

static enum weir_status read_rope_type(struct hf_config *config, const struct hf_source *rope,
                                       struct weir_error *err)
{
    static const char *const names[] = {"default", "linear", "yarn"};
    struct span type = span_from("default");
    enum weir_status status;
    TRY(hf_get_text(rope, "type", &type, err));
    TRY(hf_get_text(rope, "rope_type", &type, err));
    for (int i = 0; i < 3; i++) {
        if (span_equals(type, names[i])) {
            config->rope = (enum hf_rope)i;
            return WEIR_OK;
        }
    }
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "%s: \"rope_type\" is \"%.*s\", expected default, linear or yarn", rope->path,
                   (int)(type.length < 40 ? type.length : 40), (const char *)type.data);
out:
    return status;
}

/* Constants that GGUF files do not carry, or in another sense, must be those of the paper. */
static enum weir_status check_yarn(const struct hf_source *rope, struct weir_error *err)
{
    static const char *const refused[] = {"attention_factor", "mscale", "mscale_all_dim"};
    double fast = 32, slow = 1;
    enum weir_status status;
    TRY(hf_get_real(rope, "beta_fast", 32, 32, &fast, err));
    TRY(hf_get_real(rope, "beta_slow", 1, 1, &slow, err));
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (hf_find(rope, refused[i]) != NULL)
            return setting_refused(rope, refused[i], "there", "YaRN's own", err);
    }
out:
    return status;
}

static enum weir_status read_scaling(struct hf_config *config, const struct hf_source *rope,
                                     struct weir_error *err)
{
    int64_t original = config->context;
    config->rope_factor = 1;
    enum weir_status status;
    TRY(read_rope_type(config, rope, err));
    if (config->rope != HF_ROPE_DEFAULT && hf_find(rope, "factor") == NULL)
        return missing(rope, "factor", err);
    if (config->rope != HF_ROPE_DEFAULT)
        TRY(hf_get_real(rope, "factor", 1e-6, 1e6, &config->rope_factor, err));
    if (config->rope == HF_ROPE_YARN)
        TRY(check_yarn(rope, err));
    TRY(hf_get_integer(rope, "original_max_position_embeddings", 1, 1 << 30, &original, err));
    config->rope_original = (uint32_t)original;
out:
    return status;
}

/* The pairs of rotated elements that take the position in time, height and width: in thirds, as 11,
 * 11 and 10 of 32, if the file does not say. */
static enum weir_status read_sections(struct hf_config *config, const struct hf_source *rope,
                                      struct weir_error *err)
{
    const int32_t pairs = (int32_t)config->rotated / 2;
    config->sections[0] = (pairs + 2) / 3;
    config->sections[1] = (pairs - config->sections[0] + 1) / 2;
    config->sections[2] = pairs - config->sections[0] - config->sections[1];
    const json_t *list = hf_find(rope, "mrope_section");
    if (list == NULL)
        return WEIR_OK;
    if (json_array_size(list) != 3)
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"mrope_section\" is not a list of 3 numbers",
                       rope->path);
    for (size_t i = 0; i < 3; i++) {
        const json_t *section = json_array_get(list, i);
        const int64_t size = json_is_integer(section) ? json_integer_value(section) : -1;
        if (size < 0 || size > 1 << 20)
            return err_set(err, WEIR_ERR_FORMAT, "%s: \"mrope_section\" has no number from 0 to %d",
                           rope->path, 1 << 20);
        config->sections[i] = (int32_t)size;
    }
    return WEIR_OK;
}

/* Newer files keep all of it in "rope_parameters", older ones part of it in "rope_scaling" and the
 * rest beside it. */
static enum weir_status read_rope(struct hf_config *config, const struct hf_source *source,
                                  struct weir_error *err)
{
    const json_t *inner = hf_find(source, "rope_parameters");
    if (inner == NULL)
        inner = hf_find(source, "rope_scaling");
    if (inner != NULL && !json_is_object(inner))
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"rope_parameters\" is not an object",
                       source->path);
    const struct hf_source rope = {inner, source->first, source->path};
    double share = 0.25;
    enum weir_status status;
    if (hf_find(&rope, "rope_theta") == NULL)
        return missing(source, "rope_theta", err);
    TRY(hf_get_real(&rope, "rope_theta", 1.0001, 1e18, &config->rope_theta, err));
    TRY(hf_get_real(&rope, "partial_rotary_factor", 0, 1, &share, err));
    config->rotated = (uint32_t)(config->head_size * share);
    if (config->rotated == 0 || config->rotated % 2 != 0)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: \"partial_rotary_factor\" rotates %u of %u, expected an even number",
                       source->path, config->rotated, config->head_size);
    /* What a scaling says stands in its own object, not beside it. */
    const struct hf_source own = {inner, NULL, source->path};
    TRY(read_scaling(config, &own, err));
    TRY(read_sections(config, &own, err));
out:
    return status;
}

/* ---- layers ---------------------------------------------------------------------------------- */

static enum weir_status read_layer_types(struct hf_config *config, const struct hf_source *source,
                                         const json_t *list, struct weir_error *err)
{
    if (json_array_size(list) != config->layers)
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"layer_types\" has %zu entries, expected %u",
                       source->path, json_array_size(list), config->layers);
    for (uint32_t i = 0; i < config->layers; i++) {
        const char *type = json_string_value(json_array_get(list, i));
        const bool is_full = type != NULL && strcmp(type, "full_attention") == 0;
        if (!is_full && (type == NULL || strcmp(type, "linear_attention") != 0))
            return err_set(err, WEIR_ERR_UNSUPPORTED,
                           "%s: \"layer_types\": layer %u is neither linear_attention nor "
                           "full_attention",
                           source->path, i);
        config->recurrent[i] = !is_full;
    }
    return WEIR_OK;
}

/* The distance of layers with full attention, from the first of them. */
static uint32_t interval_guess(const struct hf_config *config)
{
    uint32_t i = 0;
    while (i + 1 < config->layers && config->recurrent[i])
        i++;
    return i + 1;
}

/* Which layers are recurrent, and whether an interval says it all. */
static enum weir_status read_layers(struct hf_config *config, const struct hf_source *source,
                                    struct weir_error *err)
{
    const json_t *list = hf_find(source, "layer_types");
    enum weir_status status = WEIR_OK;
    if (list != NULL)
        TRY(read_layer_types(config, source, list, err));
    int64_t interval = list != NULL ? interval_guess(config) : 4;
    TRY(hf_get_integer(source, "full_attention_interval", 1, BLOCKS_MAX, &interval, err));
    config->interval = (uint32_t)interval;
    config->is_regular = true;
    for (uint32_t i = 0; i < config->layers; i++) {
        const bool by_rule = (i + 1) % config->interval != 0;
        if (list == NULL)
            config->recurrent[i] = by_rule;
        config->is_regular = config->is_regular && config->recurrent[i] == by_rule;
    }
out:
    return status;
}

/* ---- tokens ---------------------------------------------------------------------------------- */

/* An id, or the first of several. */
static enum weir_status read_id(const struct hf_source *source, const char *key, uint32_t vocab,
                                int64_t *out, struct weir_error *err)
{
    const json_t *value = hf_find(source, key);
    *out = -1;
    if (!json_is_array(value))
        return hf_get_integer(source, key, 0, (int64_t)vocab - 1, out, err);
    const json_t *first = json_array_get(value, 0);
    if (!json_is_integer(first) || json_integer_value(first) < 0 ||
        json_integer_value(first) >= vocab)
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" does not begin with a token id below %u",
                       source->path, key, vocab);
    *out = json_integer_value(first);
    return WEIR_OK;
}

enum weir_status hf_config_parse(struct hf_config *out, const json_t *root, const char *path,
                                 struct weir_error *err)
{
    const json_t *text = json_object_get(root, "text_config");
    const struct hf_source source = {text == NULL ? root : text, text == NULL ? NULL : root, path};
    struct hf_config config = {.eps = 1e-6};
    enum weir_status status;
    if (text != NULL && !json_is_object(text))
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"text_config\" is not an object", path);
    TRY(read_architecture(&config, &source, err));
    TRY(check_settings(&source, err));
    TRY(read_sizes(&config, &source, err));
    TRY(check_sizes(&config, &source, err));
    TRY(hf_get_bool(&source, "tie_word_embeddings", &config.tied, err));
    TRY(hf_get_real(&source, "rms_norm_eps", 1e-20, 1, &config.eps, err));
    TRY(read_rope(&config, &source, err));
    TRY(read_layers(&config, &source, err));
    TRY(read_id(&source, "bos_token_id", config.vocab, &config.bos, err));
    TRY(read_id(&source, "eos_token_id", config.vocab, &config.eos, err));
    TRY(read_id(&source, "pad_token_id", config.vocab, &config.pad, err));
    *out = config;
out:
    return status;
}

enum weir_status hf_config_read(struct hf_config *out, const char *folder, struct weir_error *err)
{
    json_t *root = NULL;
    char *path = hf_path(folder, "config.json", err);
    if (path == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status;
    TRY(hf_json_read(&root, folder, "config.json", false, err));
    TRY(hf_config_parse(out, root, path, err));
out:
    json_decref(root);
    mem_free(path);
    return status;
}
