/* SPDX-License-Identifier: MIT
 * The tensors that a converted file will have, each with its sources in the checkpoint, from the
 * table rename.def. */
#ifndef CONVERT_OUTPUTS_H
#define CONVERT_OUTPUTS_H

#include "convert/checkpoint.h"
#include "convert/transform.h"

struct output {
    char name[GGUF_NAME_MAX + 1];
    enum dtype dtype;
    uint32_t dims;
    uint64_t ne[3];
    enum transform_map map;
    enum transform_values values;
    uint64_t rows, width; /* of each slab: the whole tensor, or an expert */
    uint64_t slabs;
    uint64_t source_rows;  /* of each slab */
    uint64_t source_first; /* in the list of sources: a tensor for all slabs, or one for each */
    uint64_t source_count;
};

struct outputs {
    struct output *list;
    uint64_t count, capacity;
    const struct checkpoint_tensor **sources;
    uint64_t source_count, source_capacity;
    uint32_t mtp;          /* blocks of multi-token prediction: 0 or 1 */
    enum dtype main_dtype; /* that most elements of matrices have */
    uint64_t bytes;        /* of all */
    uint64_t vision_skipped, mtp_skipped, head_skipped; /* tensors left out on purpose */
};

/* Lists and checks: every source is there, has its shape, and a type of number; every tensor of the
 * checkpoint is used or known to be left out. `type` is what matrices become, or each as it is.
 * Without `mtp`, or if the checkpoint has no such block, there is none. */
enum weir_status outputs_open(struct outputs *out, const struct hf_config *config,
                              struct checkpoint *checkpoint, enum weir_convert_type type, bool mtp,
                              struct weir_error *err);
void outputs_close(struct outputs *outputs);

#endif
