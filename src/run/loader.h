/* SPDX-License-Identifier: MIT
 * The weights in memory: mapped, or read into huge pages. */
#ifndef RUN_LOADER_H
#define RUN_LOADER_H

#include "backend/backend.h"
#include "model/weights.h"

struct loader {
    const void **address; /* of each weight that a plan reads, by index of weights->list */
    bool *held;           /* of each weight: in the form of the backend */
    uint8_t *block;       /* weights that were copied; NULL if all are mapped */
    uint64_t block_bytes;
};

/* What is to be loaded, and how it is held. Borrowed. */
struct loader_task {
    const struct gguf *gguf; /* must outlive the loader */
    const struct weights *weights;
    const bool *used;     /* by weight: a plan reads it */
    const uint64_t *held; /* by weight: bytes in the form of the backend; 0: as in the file */
    const struct backend *backend;
    struct backend_threads threads; /* as those that will read the weights */
};

/* Bytes of the weights that take memory besides the mapped file. */
uint64_t loader_copied_bytes(const struct weights *weights, const bool *used, const uint64_t *held,
                             enum weir_load load);
/* Bytes of those that stay in it. */
uint64_t loader_mapped_bytes(const struct weights *weights, const bool *used, const uint64_t *held,
                             enum weir_load load);

/* Brings the weights into memory as `options` say (load, lock, check_tensors, progress). */
enum weir_status loader_open(struct loader *out, const struct loader_task *task,
                             const struct weir_engine_options *options, struct weir_error *err);
void loader_close(struct loader *loader);

#endif
