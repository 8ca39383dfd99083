/* SPDX-License-Identifier: MIT
 * The JSON files of a made-up checkpoint, as public ones have them. Knows nothing of tensors. */
#include "quant/synth_checkpoint.h"

#include <string.h>

static bool is_next(const struct synth_model *model)
{
    return strcmp(model->size->architecture, "qwen3next") == 0;
}

/* ---- config.json ----------------------------------------------------------------------------- */

struct entry {
    const char *key;
    uint32_t value; /* 0: the key is left out */
};

static void entries_print(struct synth_text *text, const struct synth_model *model)
{
    const struct synth_size *size = model->size;
    const struct entry entries[] = {
        {"hidden_size", size->embedding},
        {"intermediate_size", size->feed_forward},
        {"num_hidden_layers", model->layers},
        {"num_attention_heads", size->heads},
        {"num_key_value_heads", size->heads_kv},
        {"head_dim", size->head_size},
        {"linear_num_key_heads", size->heads_k},
        {"linear_num_value_heads", size->heads_v},
        {"linear_key_head_dim", size->state},
        {"linear_value_head_dim", size->state},
        {"linear_conv_kernel_dim", SYNTH_CONV_TAPS},
        {"full_attention_interval", SYNTH_ATTENTION_INTERVAL},
        {"num_experts", size->experts},
        {"num_experts_per_tok", size->experts_used},
        {"moe_intermediate_size", size->expert_ff},
        {"shared_expert_intermediate_size", size->shared_ff},
        {"mtp_num_hidden_layers", is_next(model) ? 0 : model->blocks - model->layers},
        {"vocab_size", model->vocab},
        {"max_position_embeddings", 262144},
    };
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        if (entries[i].value > 0)
            synth_text_print(text, "  \"%s\": %u,\n", entries[i].key, entries[i].value);
    }
}

static void layer_types_print(struct synth_text *text, const struct synth_model *model)
{
    synth_text_print(text, "  \"layer_types\": [");
    for (uint32_t i = 0; i < model->layers; i++)
        synth_text_print(text, "%s\"%s_attention\"", i == 0 ? "" : ", ",
                         (i + 1) % SYNTH_ATTENTION_INTERVAL == 0 ? "full" : "linear");
    synth_text_print(text, "],\n");
}

static void rope_print(struct synth_text *text, const struct synth_model *model)
{
    const struct synth_size *size = model->size;
    const double share = (double)size->rotated / size->head_size;
    const uint32_t pairs = size->rotated / 2, time = (pairs + 2) / 3;
    const uint32_t height = (pairs - time + 1) / 2;
    if (is_next(model))
        synth_text_print(text,
                         "  \"rope_theta\": 10000000,\n  \"rope_scaling\": null,\n"
                         "  \"partial_rotary_factor\": %g,\n",
                         share);
    else
        synth_text_print(text,
                         "  \"rope_parameters\": {\"rope_type\": \"default\", \"rope_theta\": "
                         "10000000, \"partial_rotary_factor\": %g, \"mrope_interleaved\": true, "
                         "\"mrope_section\": [%u, %u, %u]},\n",
                         share, time, height, pairs - time - height);
}

void synth_json_config(struct synth_text *text, const struct synth_model *model)
{
    const bool has_experts = model->size->experts > 0, is_flat = is_next(model);
    const char *type = is_flat ? "qwen3_next" : has_experts ? "qwen3_5_moe" : "qwen3_5";
    synth_text_print(text, "{\n  \"model_type\": \"%s\",\n", type);
    if (!is_flat)
        synth_text_print(text, "  \"text_config\": {\n  \"model_type\": \"%s_text\",\n", type);
    entries_print(text, model);
    layer_types_print(text, model);
    rope_print(text, model);
    synth_text_print(text,
                     "  \"hidden_act\": \"silu\",\n  \"attention_bias\": false,\n"
                     "  \"bos_token_id\": null,\n  \"eos_token_id\": %u,\n"
                     "  \"rms_norm_eps\": 1e-06%s,\n  \"tie_word_embeddings\": %s\n}\n",
                     model->vocab - SYNTH_SPECIAL, is_flat ? "" : "}",
                     model->size->tied ? "true" : "false");
}

/* ---- tokenizer.json -------------------------------------------------------------------------- */

/* The texts hold no control character. */
static void string_print(struct synth_text *text, const uint8_t *data, size_t length)
{
    synth_text_print(text, "\"");
    for (size_t i = 0; i < length; i++)
        synth_text_print(text, "%s%c", data[i] == '"' || data[i] == '\\' ? "\\" : "", data[i]);
    synth_text_print(text, "\"");
}

static void added_print(struct synth_text *text, const struct synth_vocabulary *vocabulary)
{
    const uint32_t first = vocabulary->count - SYNTH_SPECIAL;
    synth_text_print(text, "  \"added_tokens\": [");
    for (uint32_t id = first; id < vocabulary->count; id++) {
        synth_text_print(text, "%s\n    {\"id\": %u, \"content\": ", id == first ? "" : ",", id);
        string_print(text, vocabulary->tokens[id].data, vocabulary->tokens[id].length);
        synth_text_print(text,
                         ", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
                         "\"normalized\": false, \"special\": %s}",
                         vocabulary->types[id] == 3 ? "true" : "false");
    }
    synth_text_print(text, "\n  ],\n");
}

static void pretokenizer_print(struct synth_text *text, const struct synth_model *model)
{
    /* A word is of letters, in Qwen3.5 also of marks. */
    const char *mark = is_next(model) ? "" : "\\\\p{M}";
    const char *word = is_next(model) ? "\\\\p{L}+" : "[\\\\p{L}\\\\p{M}]+";
    synth_text_print(text,
                     "  \"normalizer\": {\"type\": \"NFC\"},\n"
                     "  \"pre_tokenizer\": {\"type\": \"Sequence\", \"pretokenizers\": [\n"
                     "    {\"type\": \"Split\", \"pattern\": {\"Regex\": "
                     "\"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?%s|\\\\p{N}|"
                     " ?[^\\\\s\\\\p{L}%s\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|"
                     "\\\\s+(?!\\\\S)|\\\\s+\"}, \"behavior\": \"Isolated\", \"invert\": false},\n"
                     "    {\"type\": \"ByteLevel\", \"add_prefix_space\": false, "
                     "\"trim_offsets\": false, \"use_regex\": false}]},\n"
                     "  \"decoder\": {\"type\": \"ByteLevel\"},\n",
                     word, mark);
}

/* Older files have merges as texts, newer ones as pairs. */
static void merge_print(struct synth_text *text, struct span merge, bool is_pair)
{
    const uint8_t *blank = memchr(merge.data, ' ', merge.length);
    const size_t left = (size_t)(blank - merge.data);
    if (!is_pair) {
        string_print(text, merge.data, merge.length);
        return;
    }
    synth_text_print(text, "[");
    string_print(text, merge.data, left);
    synth_text_print(text, ", ");
    string_print(text, blank + 1, merge.length - left - 1);
    synth_text_print(text, "]");
}

void synth_json_tokenizer(struct synth_text *text, const struct synth_model *model,
                          const struct synth_vocabulary *vocabulary)
{
    synth_text_print(text, "{\n  \"version\": \"1.0\",\n");
    added_print(text, vocabulary);
    pretokenizer_print(text, model);
    synth_text_print(text, "  \"model\": {\"type\": \"BPE\", \"unk_token\": null, "
                           "\"byte_fallback\": false,\n  \"vocab\": {");
    for (uint32_t id = 0; id < vocabulary->count - SYNTH_SPECIAL; id++) {
        synth_text_print(text, "%s", id == 0 ? "\n" : ",\n");
        string_print(text, vocabulary->tokens[id].data, vocabulary->tokens[id].length);
        synth_text_print(text, ": %u", id);
    }
    synth_text_print(text, "},\n  \"merges\": [");
    for (uint32_t i = 0; i < vocabulary->merges_count; i++) {
        synth_text_print(text, "%s", i == 0 ? "\n" : ",\n");
        merge_print(text, vocabulary->merges[i], !is_next(model));
    }
    synth_text_print(text, "]}\n}\n");
}

/* ---- the others ------------------------------------------------------------------------------ */

void synth_json_tokenizer_config(struct synth_text *text)
{
    synth_text_print(text, "{\n  \"add_bos_token\": false,\n  \"bos_token\": null,\n"
                           "  \"eos_token\": \"<|im_end|>\",\n"
                           "  \"pad_token\": \"<|endoftext|>\",\n"
                           "  \"tokenizer_class\": \"Qwen2Tokenizer\"\n}\n");
}

void synth_json_generation(struct synth_text *text, const struct synth_model *model)
{
    const uint32_t first = model->vocab - SYNTH_SPECIAL;
    synth_text_print(text, "{\n  \"eos_token_id\": [%u, %u],\n  \"pad_token_id\": %u\n}\n",
                     first + 2, first, first);
}
