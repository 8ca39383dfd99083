/* SPDX-License-Identifier: MIT
 * The weights in memory: mapped, or read into huge pages. */
#ifndef RUN_LOADER_H
#define RUN_LOADER_H

#include "backend/backend.h"
#include "model/weights.h"

struct loader {
    const void **address;   /* of each weight that a plan reads, by index of weights->list */
    enum weight_form *form; /* of each weight */
    uint8_t *block;         /* weights that were copied; NULL if all are mapped */
    uint64_t block_bytes;
    struct late *late; /* what is yet to be held; NULL: nothing */
};

/* What is to be loaded, and how it is held. Borrowed until the loader is closed. */
struct loader_task {
    const struct gguf *gguf;
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

/* Brings the weights into memory as `options` say (load, lock, check_tensors, repack_late,
 * progress). */
enum weir_status loader_open(struct loader *out, const struct loader_task *task,
                             const struct weir_engine_options *options, struct weir_error *err);

/* Told that a weight that was late is held now, at its address. */
typedef void loader_held_fn(void *user, uint32_t weight);

/* Brings all that is late into the form of the backend. What is done when `options->progress` ends
 * it (WEIR_ERR_CANCELLED) stays so; the rest is late still. */
enum weir_status loader_hold_late(struct loader *loader, const struct weir_engine_options *options,
                                  loader_held_fn *fn, void *user, struct weir_error *err);
void loader_close(struct loader *loader);

#endif
