/* SPDX-License-Identifier: MIT
 * Writes the plan of a qwen35 model: MODEL.md, section by section. */
#ifndef MODEL_QWEN35_H
#define MODEL_QWEN35_H

#include "model/weights.h"
#include "plan/plan.h"

struct plan_choices {
    enum dtype cache_k, cache_v; /* F32 or F16 */
    unsigned fuse;               /* enum fuse_set */
};

/* A forward pass of any number of rows of any number of sequences, with the logits of the rows
 * that are wanted. The weights' sources are indices into weights->list. */
enum weir_status qwen35_plan(struct plan **out, const struct config *config,
                             const struct weights *weights, const struct plan_choices *choices,
                             struct weir_error *err);

#endif
