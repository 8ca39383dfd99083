/* SPDX-License-Identifier: MIT
 * The weights in memory: mapped, or read into huge pages. */
#ifndef RUN_LOADER_H
#define RUN_LOADER_H

#include "model/weights.h"

struct loader {
    const void **address; /* of each weight that a plan reads, by index of weights->list */
    uint8_t *block;       /* weights that were read or narrowed; NULL if all are mapped */
    uint64_t block_bytes;
};

/* Bytes of the weights marked in `used` that take memory besides the mapped file. */
uint64_t loader_copied_bytes(const struct weights *weights, const bool *used, enum weir_load load);

/* Brings the weights marked in `used` into memory as `options` say (load, lock, check_tensors,
 * progress). The gguf must outlive the loader. */
enum weir_status loader_open(struct loader *out, const struct gguf *gguf,
                             const struct weights *weights, const bool *used,
                             const struct weir_engine_options *options, struct weir_error *err);
void loader_close(struct loader *loader);

#endif
