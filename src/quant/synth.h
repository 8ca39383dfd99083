/* SPDX-License-Identifier: MIT
 * Made-up models at real shapes: what is written (shape), what it is called (metadata), and with
 * which values it is filled (fill). */
#ifndef QUANT_SYNTH_H
#define QUANT_SYNTH_H

#include "format/gguf.h"

struct recipe;

/* A row of synth_sizes.def. */
struct synth_size {
    const char *name;
    const char *architecture;
    uint32_t layers, embedding, feed_forward, heads, heads_kv, head_size, rotated;
    uint32_t heads_k, heads_v, state, vocab;
    bool tied;
    uint32_t experts, experts_used, expert_ff, shared_ff;
};

/* A row of synth_types.def. */
struct synth_type {
    const char *name;
    enum dtype dtype;
    uint32_t file_type;
    int32_t scale_at;
    double divisor;
    int32_t offset_at;
    float offset_factor;
    bool has_no_values; /* a block of it is never made up */
};

enum { SYNTH_CONV_TAPS = 4, SYNTH_ATTENTION_INTERVAL = 4 };

struct synth_tensor {
    char name[GGUF_NAME_MAX + 1];
    const struct synth_type *type;
    uint32_t dims;
    uint64_t ne[GGUF_DIMS_MAX];
    bool uniform; /* from low to high, or normal with mean and deviation (blocks: mean 0) */
    double values[2];
};

struct synth_model {
    const struct synth_size *size;
    const struct synth_type *type;        /* of a mixture, of what stays as it was computed */
    const struct synth_type *output_type; /* of a mixture, NULL: by its rules */
    const struct recipe *mixture;         /* NULL: all matrices have the type */
    uint64_t seed;
    uint32_t layers; /* of the trunk */
    uint32_t blocks; /* with the MTP block, if there is one */
    uint32_t vocab;
    bool f32_gates;
    bool is_header; /* by synth_model_init_header */
    struct synth_tensor *tensors;
    uint64_t tensor_count;
};

/* Checks the options and lists the tensors. On failure there is nothing to release. */
enum weir_status synth_model_init(struct synth_model *model,
                                  const struct weir_synth_options *options, struct weir_error *err);
/* The same of a model that is not filled: matrices may have types without values. */
enum weir_status synth_model_init_header(struct synth_model *model,
                                         const struct weir_synth_options *options,
                                         struct weir_error *err);
void synth_model_release(struct synth_model *model);

/* Of a type that weights can have. */
const struct synth_type *synth_type_of(enum dtype dtype);

/* The mixture of that name, or NULL. */
const struct recipe *synth_mixture_find(const char *name);
/* Gives all listed tensors the types of the mixture. */
enum weir_status synth_mixture_apply(struct synth_model *model, const struct recipe *recipe,
                                     struct weir_error *err);

/* Blocks of its type in the tensor: elements, for a float type. */
uint64_t synth_tensor_blocks(const struct synth_tensor *tensor);

enum {
    SYNTH_SPECIAL = 7, /* control and user-defined tokens, the last of a vocabulary */
    SYNTH_MERGES = 26 * 26 + 26,
};

struct synth_vocabulary {
    char *texts; /* of tokens, then of merges */
    size_t used;
    struct span *tokens;
    int32_t *types; /* 1 normal, 3 control, 4 user-defined, as in GGUF files */
    uint32_t count, count_max;
    struct span merges[SYNTH_MERGES]; /* "left right" */
    uint32_t merges_count;
};

/* `count` made-up tokens. On failure there is nothing to release. */
enum weir_status synth_vocabulary_init(struct synth_vocabulary *vocabulary, uint32_t count,
                                       struct weir_error *err);
void synth_vocabulary_release(struct synth_vocabulary *vocabulary);

/* Gives the writer all metadata of `model`, with a vocabulary of made-up tokens. */
enum weir_status synth_metadata(struct gguf_writer *writer, const struct synth_model *model,
                                struct weir_error *err);

/* The bytes of `count` blocks from block `first` on. They depend on the tensor's type and values,
 * on `key` (rng_key of the seed and the number of the tensor), and on the number of the block. */
void synth_fill(const struct synth_tensor *tensor, uint64_t key, uint64_t first, uint64_t count,
                uint8_t *out);

#endif
