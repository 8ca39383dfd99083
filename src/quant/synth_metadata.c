/* SPDX-License-Identifier: MIT
 * The metadata of a made-up model: the keys of the public files in their order. Knows nothing of
 * tensors. */
#include "quant/recipe.h"
#include "quant/synth.h"

#include <string.h>

/* ---- keys ------------------------------------------------------------------------------------ */

struct entry {
    const char *key; /* behind "ARCHITECTURE." */
    uint32_t value;  /* 0: the key is left out */
};

static void key_print(char key[GGUF_NAME_MAX + 1], const struct synth_model *model,
                      const char *rest)
{
    snprintf(key, GGUF_NAME_MAX + 1, "%s.%s", model->size->architecture, rest);
}

static enum weir_status write_entries(struct gguf_writer *writer, const struct synth_model *model,
                                      const struct entry *entries, size_t count,
                                      struct weir_error *err)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].value == 0)
            continue;
        char key[GGUF_NAME_MAX + 1];
        key_print(key, model, entries[i].key);
        const enum weir_status status = gguf_writer_u32(writer, key, entries[i].value, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status write_general(struct gguf_writer *writer, const struct synth_model *model,
                                      struct weir_error *err)
{
    char name[128];
    const struct recipe *mixture = model->mixture;
    const char *type_name = mixture != NULL ? mixture->name : model->type->name;
    const uint32_t file_type =
        mixture != NULL ? (uint32_t)mixture->file_type : model->type->file_type;
    snprintf(name, sizeof name, "synthetic %s %s seed %llu", model->size->name, type_name,
             (unsigned long long)model->seed);
    enum weir_status status;
    TRY(gguf_writer_text(writer, "general.architecture", model->size->architecture, err));
    TRY(gguf_writer_text(writer, "general.type", "model", err));
    TRY(gguf_writer_text(writer, "general.name", name, err));
    TRY(gguf_writer_u32(writer, "general.file_type", file_type, err));
    TRY(gguf_writer_u32(writer, "general.quantization_version", GGUF_QUANTIZATION_VERSION, err));
out:
    return status;
}

static enum weir_status write_sizes(struct gguf_writer *writer, const struct synth_model *model,
                                    struct weir_error *err)
{
    const struct synth_size *size = model->size;
    const struct entry entries[] = {
        {"block_count", model->blocks},
        {"context_length", 262144},
        {"embedding_length", size->embedding},
        {"feed_forward_length", size->feed_forward},
        {"attention.head_count", size->heads},
        {"attention.head_count_kv", size->heads_kv},
        {"attention.key_length", size->head_size},
        {"attention.value_length", size->head_size},
    };
    return write_entries(writer, model, entries, sizeof entries / sizeof *entries, err);
}

static enum weir_status write_rope(struct gguf_writer *writer, const struct synth_model *model,
                                   struct weir_error *err)
{
    char key[GGUF_NAME_MAX + 1];
    enum weir_status status;
    key_print(key, model, "attention.layer_norm_rms_epsilon");
    TRY(gguf_writer_f32(writer, key, 1e-6f, err));
    key_print(key, model, "rope.freq_base");
    TRY(gguf_writer_f32(writer, key, 1e7f, err));
    key_print(key, model, "rope.dimension_count");
    TRY(gguf_writer_u32(writer, key, model->size->rotated, err));
    if (strcmp(model->size->architecture, "qwen3next") == 0)
        return WEIR_OK; /* it has no sections */
    /* The pairs of rotated dimensions, in thirds: 11, 11, 10 of 32. */
    const int32_t pairs = (int32_t)model->size->rotated / 2;
    const int32_t time = (pairs + 2) / 3, height = (pairs - time + 1) / 2;
    const int32_t sections[] = {time, height, pairs - time - height, 0};
    key_print(key, model, "rope.dimension_sections");
    TRY(gguf_writer_i32s(writer, key, sections, 4, err));
out:
    return status;
}

static enum weir_status write_layers(struct gguf_writer *writer, const struct synth_model *model,
                                     struct weir_error *err)
{
    const struct synth_size *size = model->size;
    const struct entry entries[] = {
        {"ssm.conv_kernel", SYNTH_CONV_TAPS},
        {"ssm.state_size", size->state},
        {"ssm.group_count", size->heads_k},
        {"ssm.time_step_rank", size->heads_v},
        {"ssm.inner_size", size->heads_v * size->state},
        {"full_attention_interval", SYNTH_ATTENTION_INTERVAL},
        {"expert_count", size->experts},
        {"expert_used_count", size->experts_used},
        {"expert_feed_forward_length", size->expert_ff},
        {"expert_shared_feed_forward_length", size->shared_ff},
        {"nextn_predict_layers", model->blocks - model->layers},
    };
    return write_entries(writer, model, entries, sizeof entries / sizeof *entries, err);
}

/* ---- vocabulary ------------------------------------------------------------------------------ */

static enum weir_status write_vocabulary(struct gguf_writer *writer,
                                         const struct synth_model *model, struct weir_error *err)
{
    const bool is_next = strcmp(model->size->architecture, "qwen3next") == 0;
    const uint32_t first_special = model->vocab - SYNTH_SPECIAL; /* <|endoftext|> */
    struct synth_vocabulary vocabulary;
    enum weir_status status;
    TRY(synth_vocabulary_init(&vocabulary, model->vocab, err));
    TRY(gguf_writer_text(writer, "tokenizer.ggml.model", "gpt2", err));
    TRY(gguf_writer_text(writer, "tokenizer.ggml.pre", is_next ? "qwen2" : "qwen35", err));
    TRY(gguf_writer_texts(writer, "tokenizer.ggml.tokens", vocabulary.tokens, vocabulary.count,
                          err));
    TRY(gguf_writer_i32s(writer, "tokenizer.ggml.token_type", vocabulary.types, vocabulary.count,
                         err));
    TRY(gguf_writer_texts(writer, "tokenizer.ggml.merges", vocabulary.merges,
                          vocabulary.merges_count, err));
    TRY(gguf_writer_u32(writer, "tokenizer.ggml.eos_token_id", first_special + 2, err));
    TRY(gguf_writer_u32(writer, "tokenizer.ggml.padding_token_id", first_special, err));
    TRY(gguf_writer_bool(writer, "tokenizer.ggml.add_bos_token", false, err));
out:
    synth_vocabulary_release(&vocabulary);
    return status;
}

enum weir_status synth_metadata(struct gguf_writer *writer, const struct synth_model *model,
                                struct weir_error *err)
{
    enum weir_status status;
    TRY(write_general(writer, model, err));
    TRY(write_sizes(writer, model, err));
    TRY(write_rope(writer, model, err));
    TRY(write_layers(writer, model, err));
    TRY(write_vocabulary(writer, model, err));
out:
    return status;
}
