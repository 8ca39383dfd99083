/* SPDX-License-Identifier: MIT
 * The hyper-parameters of a model, read from the metadata and checked. Section numbers refer to
 * MODEL.md. */
#ifndef MODEL_CONFIG_H
#define MODEL_CONFIG_H

#include "format/gguf.h"
#include "plan/plan.h"

enum { BLOCKS_MAX = 512, EXPERTS_MAX = 4096 };

enum rope_scaling { ROPE_NONE, ROPE_LINEAR, ROPE_YARN };

struct rope_config {
    double base;
    uint32_t width; /* rotated elements of a head, even */
    enum rope_scaling scaling;
    double factor;     /* context extension, > 0; 1 without scaling; YaRN works above 1 only */
    uint32_t original; /* context length that YaRN extends */
    double attn_factor;
};

struct config {
    uint32_t blocks;     /* of the file, MTP blocks included */
    uint32_t layers;     /* of the trunk */
    uint32_t width;      /* d: of the residual stream */
    uint32_t vocab;      /* rows of the embedding */
    uint32_t context;    /* trained */
    float eps;           /* of all norms, and floor of the L2 norm */
    uint32_t ff_width;   /* F; 0 with experts */
    uint32_t heads;      /* n_h: query heads of full attention */
    uint32_t kv_heads;   /* n_kv */
    uint32_t head_width; /* d_h */
    struct rope_config rope;
    uint32_t k_heads;     /* n_k: key heads of the delta net */
    uint32_t v_heads;     /* n_v: value heads, a multiple of n_k */
    uint32_t state_width; /* S: width of both */
    uint32_t conv_taps;   /* K */
    uint32_t conv_width;  /* C: channels of the convolution, (2 n_k + n_v) S */
    enum head_map head_map;
    uint32_t experts;      /* E; 0: a dense feed-forward net */
    uint32_t experts_used; /* k: of a row */
    uint32_t expert_width; /* F_e */
    uint32_t shared_width; /* F_s: of the expert that all rows use */
    bool recurrent[BLOCKS_MAX];
};

/* Reads the configuration of a model of architecture qwen35, qwen35moe or qwen3next. Any other is
 * WEIR_ERR_UNSUPPORTED; a missing key or a value that does not fit the others is WEIR_ERR_FORMAT,
 * naming file and key. */
enum weir_status config_read(struct config *out, const struct gguf *gguf, struct weir_error *err);

/* The file's architecture, if it is one of these; the name outlives the file. Errors as above. */
enum weir_status config_read_architecture(const char **out, const struct gguf *gguf,
                                          struct weir_error *err);

/* Frequencies of the rotary embedding in radians per position, width / 2 of them, and the factor
 * of cosine and sine, with linear or YaRN scaling (Peng et al. 2023, arXiv 2309.00071, sections
 * 3.2 and 3.4) worked in. */
void rope_frequencies(const struct rope_config *rope, double *frequencies, float *magnitude);

#endif
