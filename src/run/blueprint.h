/* SPDX-License-Identifier: MIT
 * An engine on paper: config, weights, plan, sizes, before any memory is taken. What
 * weir_engine_open builds and weir_memory_estimate and weir_model_print_plan only look at. */
#ifndef RUN_BLUEPRINT_H
#define RUN_BLUEPRINT_H

#include "backend/backend.h"
#include "model/network.h"
#include "run/model_file.h"

struct blueprint {
    struct config config;
    struct weights weights;
    struct plan *plan;
    struct plan *mtp; /* the plan of the MTP block; NULL unless asked for */
    bool *used;       /* by weight: one of the plans reads it */
    uint64_t *held;   /* by weight: bytes in the form of the backend; 0: as in the file */
    const struct backend *backend;
    uint32_t threads;
    uint16_t *cpus; /* [threads]: where each runs; NULL: anywhere */
    struct plan_limits limits;
    uint32_t rewind; /* tokens that a session can go back */
    struct weir_memory memory;
};

/* Checks the options and the model. A context of 0 becomes the trained one, or what fits into the
 * free memory (said on the model's log). */
enum weir_status blueprint_open(struct blueprint *out, const struct weir_model *model,
                                const struct weir_engine_options *options, struct weir_error *err);
void blueprint_close(struct blueprint *blueprint);

/* WEIR_ERR_MEMORY with the sizes when the free memory is too small. */
enum weir_status blueprint_check_fits(const struct blueprint *blueprint,
                                      const struct weir_engine_options *options,
                                      struct weir_error *err);

#endif
