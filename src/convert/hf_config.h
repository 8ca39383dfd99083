/* SPDX-License-Identifier: MIT
 * config.json of a checkpoint: the shape of the model, and the keys that GGUF files have for it.
 * Knows no tensor. */
#ifndef CONVERT_HF_CONFIG_H
#define CONVERT_HF_CONFIG_H

#include "convert/hf_json.h"
#include "format/gguf.h"
#include "model/config.h"

enum hf_rope { HF_ROPE_DEFAULT, HF_ROPE_LINEAR, HF_ROPE_YARN };

struct hf_config {
    const char *architecture; /* of the GGUF file: "qwen35"; static */
    bool is_next;             /* qwen3next: its linear layers lie otherwise */
    uint32_t layers, context, vocab, embedding;
    uint32_t feed_forward; /* 0: the file does not say; dense models say it */
    uint32_t heads, heads_kv, head_size;
    uint32_t heads_k, heads_v, state, taps;               /* of the linear layers */
    uint32_t experts, experts_used, expert_ff, shared_ff; /* 0: dense */
    uint32_t mtp;                                         /* blocks, as config.json has them */
    bool tied;
    double eps;
    double rope_theta, rope_factor;
    enum hf_rope rope;
    uint32_t rotated, rope_original;
    int32_t sections[4];
    uint32_t interval;
    bool is_regular; /* every interval-th layer has full attention */
    bool recurrent[BLOCKS_MAX];
    int64_t bos, eos, pad; /* -1: none */
};

/* Reads and checks. Models that would compute something else than these architectures, quantized
 * ones too, are WEIR_ERR_UNSUPPORTED. */
enum weir_status hf_config_parse(struct hf_config *out, const json_t *root, const char *path,
                                 struct weir_error *err);
enum weir_status hf_config_read(struct hf_config *out, const char *folder, struct weir_error *err);

/* Gives the writer the keys of the architecture, for `mtp` blocks behind the layers. */
enum weir_status hf_config_write(const struct hf_config *config, uint32_t mtp,
                                 struct gguf_writer *writer, struct weir_error *err);

#endif
