/* SPDX-License-Identifier: MIT
 * The tensors of a checkpoint folder, whatever files they lie in. Knows no model but the prefixes
 * under which checkpoints of one family keep the same names. */
#ifndef CONVERT_CHECKPOINT_H
#define CONVERT_CHECKPOINT_H

#include "base/names.h"
#include "convert/safetensors.h"

struct checkpoint_tensor {
    const struct safetensors_tensor *info;
    /* The name without what wraps the text model: "layers.0.mlp.gate.weight", "lm_head.weight",
     * "mtp.norm.weight", "visual.patch_embed.proj.bias". */
    const char *name;
    uint32_t shard;
    bool used; /* for the user of the checkpoint */
};

struct checkpoint_shard {
    char *path;
    struct safetensors file;
};

struct checkpoint {
    const char *folder; /* as given to checkpoint_open; borrowed */
    struct checkpoint_shard *shards;
    uint64_t shard_count, shard_capacity;
    struct checkpoint_tensor *tensors; /* in the order of the shards' names, then of their data */
    uint64_t count;
    struct names by_name;
    struct file_reader reader; /* of one shard, so that any number of them needs one descriptor */
    uint32_t reader_shard;
};

/* Opens model.safetensors or, without one, the shards of model.safetensors.index.json. Reads the
 * headers alone. All that the index promises must be there. */
enum weir_status checkpoint_open(struct checkpoint *out, const char *folder,
                                 struct weir_error *err);
void checkpoint_close(struct checkpoint *checkpoint);

/* NULL if there is none. */
struct checkpoint_tensor *checkpoint_find(const struct checkpoint *checkpoint, const char *name);

const char *checkpoint_path(const struct checkpoint *checkpoint,
                            const struct checkpoint_tensor *tensor);

/* `bytes` bytes of the tensor's data from byte `from` on, which must be within it. */
enum weir_status checkpoint_read(struct checkpoint *checkpoint,
                                 const struct checkpoint_tensor *tensor, uint64_t from, void *out,
                                 uint64_t bytes, struct weir_error *err);

/* True if `path` is one of the files. */
bool checkpoint_has_file(const struct checkpoint *checkpoint, const char *path);

#endif
