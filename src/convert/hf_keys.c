/* SPDX-License-Identifier: MIT
 * Writes the keys of an architecture, in the order in which public files have them. Knows no
 * checkpoint file. */
#include "convert/hf_config.h"

struct entry {
    const char *key; /* behind "ARCHITECTURE." */
    uint32_t value;  /* 0: the key is left out */
};

static const char *key_of(char out[GGUF_NAME_MAX + 1], const struct hf_config *config,
                          const char *rest)
{
    snprintf(out, GGUF_NAME_MAX + 1, "%s.%s", config->architecture, rest);
    return out;
}

static enum weir_status write_entries(const struct hf_config *config, struct gguf_writer *writer,
                                      const struct entry *entries, size_t count,
                                      struct weir_error *err)
{
    for (size_t i = 0; i < count; i++) {
        char key[GGUF_NAME_MAX + 1];
        if (entries[i].value == 0)
            continue;
        const enum weir_status status =
            gguf_writer_u32(writer, key_of(key, config, entries[i].key), entries[i].value, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status write_sizes(const struct hf_config *config, uint32_t mtp,
                                    struct gguf_writer *writer, struct weir_error *err)
{
    const struct entry entries[] = {
        {"block_count", config->layers + mtp},       {"context_length", config->context},
        {"embedding_length", config->embedding},     {"feed_forward_length", config->feed_forward},
        {"attention.head_count", config->heads},     {"attention.head_count_kv", config->heads_kv},
        {"attention.key_length", config->head_size}, {"attention.value_length", config->head_size},
    };
    return write_entries(config, writer, entries, sizeof entries / sizeof *entries, err);
}

static enum weir_status write_scaling(const struct hf_config *config, struct gguf_writer *writer,
                                      struct weir_error *err)
{
    char key[GGUF_NAME_MAX + 1];
    const char *type = config->rope == HF_ROPE_YARN ? "yarn" : "linear";
    enum weir_status status;
    TRY(gguf_writer_text(writer, key_of(key, config, "rope.scaling.type"), type, err));
    TRY(gguf_writer_f32(writer, key_of(key, config, "rope.scaling.factor"),
                        (float)config->rope_factor, err));
    TRY(gguf_writer_u32(writer, key_of(key, config, "rope.scaling.original_context_length"),
                        config->rope_original, err));
out:
    return status;
}

static enum weir_status write_rope(const struct hf_config *config, struct gguf_writer *writer,
                                   struct weir_error *err)
{
    char key[GGUF_NAME_MAX + 1];
    enum weir_status status;
    TRY(gguf_writer_f32(writer, key_of(key, config, "attention.layer_norm_rms_epsilon"),
                        (float)config->eps, err));
    TRY(gguf_writer_f32(writer, key_of(key, config, "rope.freq_base"), (float)config->rope_theta,
                        err));
    TRY(gguf_writer_u32(writer, key_of(key, config, "rope.dimension_count"), config->rotated, err));
    if (!config->is_next) /* which has no sections */
        TRY(gguf_writer_i32s(writer, key_of(key, config, "rope.dimension_sections"),
                             config->sections, 4, err));
    if (config->rope != HF_ROPE_DEFAULT)
        TRY(write_scaling(config, writer, err));
out:
    return status;
}

/* Which layers are recurrent, where no interval says it: one entry a block, 0 for MTP blocks. */
static enum weir_status write_layer_list(const struct hf_config *config, uint32_t mtp,
                                         struct gguf_writer *writer, struct weir_error *err)
{
    int32_t list[BLOCKS_MAX] = {0};
    char key[GGUF_NAME_MAX + 1];
    for (uint32_t i = 0; i < config->layers; i++)
        list[i] = config->recurrent[i];
    return gguf_writer_i32s(writer, key_of(key, config, "attention.recurrent_layers"), list,
                            config->layers + mtp, err);
}

static enum weir_status write_layers(const struct hf_config *config, uint32_t mtp,
                                     struct gguf_writer *writer, struct weir_error *err)
{
    const struct entry entries[] = {
        {"ssm.conv_kernel", config->taps},
        {"ssm.state_size", config->state},
        {"ssm.group_count", config->heads_k},
        {"ssm.time_step_rank", config->heads_v},
        {"ssm.inner_size", config->heads_v * config->state},
        {"full_attention_interval", config->interval},
        {"expert_count", config->experts},
        {"expert_used_count", config->experts_used},
        {"expert_feed_forward_length", config->expert_ff},
        {"expert_shared_feed_forward_length", config->shared_ff},
        {"nextn_predict_layers", mtp},
    };
    enum weir_status status;
    TRY(write_entries(config, writer, entries, sizeof entries / sizeof *entries, err));
    if (!config->is_regular)
        TRY(write_layer_list(config, mtp, writer, err));
out:
    return status;
}

enum weir_status hf_config_write(const struct hf_config *config, uint32_t mtp,
                                 struct gguf_writer *writer, struct weir_error *err)
{
    enum weir_status status;
    TRY(write_sizes(config, mtp, writer, err));
    TRY(write_rope(config, writer, err));
    TRY(write_layers(config, mtp, writer, err));
out:
    return status;
}
