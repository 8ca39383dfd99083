/* SPDX-License-Identifier: MIT
 * Models that the vectors do not have, written from the recorded ones: other layouts of the same
 * network. Each function returns a path in the scratch folder. */
#ifndef TESTS_GOLDEN_VARIANTS_H
#define TESTS_GOLDEN_VARIANTS_H

#include "edited_model.h"

/* A small qwen35moe with an MTP block whose linear layers have 2 key heads and 6 value heads, so
 * that no two ways to pair them agree. */
const char *variant_tiled(void);

/* A small qwen35 of 3 key heads and 6 value heads of 16 numbers, whose way out (ssm_out) is Q8_0: a
 * round of heads ends within a block of 8 bits. */
const char *variant_narrow_heads(void);

enum variant_layout {
    VARIANT_SPLIT,  /* attn_qkv and attn_gate, as newer files */
    VARIANT_LEGACY, /* ssm_in */
    VARIANT_WRONG,  /* as the first, but with the value heads in the order of qwen35moe */
};

/* The model of variant_tiled as qwen3next. */
const char *variant_next(enum variant_layout layout);

/* The model at `path`, F32 and with experts, with gate and up of the experts in one tensor. */
const char *variant_gate_up(const char *path);

/* The F32 model at `path` with all its matrices multiplied by powers of two, each expert's by
 * another one, and the inverse as X.scale beside each X.weight, of type `dtype`. */
const char *variant_scaled(const char *path, enum dtype dtype);

enum variant_mtp {
    VARIANT_OWN_NORM,   /* the block has its own copy of the model's last norm */
    VARIANT_NO_NORM,    /* it has none */
    VARIANT_OWN_TABLES, /* nor that, but an embedding whose row i + 1 is the model's row i, and a
                           head that is twice the model's */
};

/* The F32 model at `path`, of 4 layers and the block, with other optional tensors of the block. */
const char *variant_mtp(const char *path, enum variant_mtp variant);

/* The F32 model at `path` with all its tensors in BF16. */
const char *variant_bf16(const char *path);

/* The model at `path` with all its tensors decoded to F32. */
const char *variant_decoded(const char *path);

#endif
