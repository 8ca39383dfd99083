/* SPDX-License-Identifier: MIT
 * What a run of the quantizer will do, before it does anything: the model opened, every tensor with
 * its new type, every check made that needs no weights. Knows no output file. */
#ifndef QUANT_QUANTIZE_PLAN_H
#define QUANT_QUANTIZE_PLAN_H

#include "format/imatrix.h"
#include "quant/recipe.h"

struct quantize_row {
    const struct gguf_tensor *tensor;
    enum dtype dtype;
    uint64_t bytes;                         /* as that type */
    const struct imatrix_entry *importance; /* NULL: none */
};

struct quantize_plan {
    const struct weir_quantize_options *options;
    const struct recipe *recipe;
    struct gguf *gguf; /* overrides applied */
    struct imatrix imatrix;
    uint64_t imatrix_used;     /* entries that the options leave */
    struct quantize_row *rows; /* in the order of the output file */
    uint64_t count;
    uint32_t threads;
    uint64_t elements, bytes; /* of all tensors, without padding */
    uint64_t columns_max;     /* of the tensors that are encoded; 0: none is */
    uint64_t chunk_bytes;     /* largest part of a tensor that is encoded at a time */
    uint64_t memory;          /* bytes that the run takes */
};

/* On failure there is nothing to close. The options and their texts must outlive the plan. */
enum weir_status quantize_plan_open(struct quantize_plan *plan, const char *in, const char *type,
                                    const struct weir_quantize_options *options,
                                    struct weir_error *err);
void quantize_plan_close(struct quantize_plan *plan);

/* Rows of a tensor's matrix that are encoded at a time. */
uint64_t quantize_chunk_rows(const struct gguf_tensor *tensor);

/* The recipe of a name, or a refusal that lists all. */
enum weir_status quantize_find_recipe(const struct recipe **out, const char *type,
                                      struct weir_error *err);

/* Does the option "KEY=..." replace this key? */
bool quantize_is_override(const char *override, struct span key);

#endif
