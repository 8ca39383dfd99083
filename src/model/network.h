/* SPDX-License-Identifier: MIT
 * Writes the plans of the models: MODEL.md, section by section. */
#ifndef MODEL_NETWORK_H
#define MODEL_NETWORK_H

#include "model/weights.h"
#include "plan/plan.h"

/* Of which products the inputs are summed up for an importance matrix. */
enum collect { COLLECT_NOTHING, COLLECT_BLOCKS, COLLECT_ALL };

struct plan_choices {
    enum dtype cache_k, cache_v; /* F32 or F16 */
    unsigned fuse;               /* enum fuse_set */
    bool hidden;                 /* keep the hidden state of every row, for the MTP block */
    enum collect collect;        /* of the layers; COLLECT_ALL: and of the head */
    uint32_t rewind;             /* tokens that sequences can go back; 0: they cannot */
    uint32_t mtp_vocab; /* tokens that the MTP block has logits of: the first ones; 0: all */
};

/* A forward pass of any number of rows of any number of sequences, with the logits of the rows
 * that are wanted. The weights' sources are indices into weights->list. */
enum weir_status network_plan(struct plan **out, const struct config *config,
                              const struct weights *weights, const struct plan_choices *choices,
                              struct weir_error *err);

/* The block of multi-token prediction alone: from each row's token and the hidden state of the row
 * before it, which comes with the step, to its logits and its own hidden state. The model must have
 * the block (config->blocks > config->layers). */
enum weir_status network_mtp_plan(struct plan **out, const struct config *config,
                                  const struct weights *weights, const struct plan_choices *choices,
                                  struct weir_error *err);

#endif
