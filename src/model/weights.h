/* SPDX-License-Identifier: MIT
 * The tensors of a file matched with the architecture's weight table. */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "model/config.h"

enum weight_role {
#define WEIGHT(role, name, where, need, form, width, rows) WEIGHT_##role,
#include "model/weights.def"
    WEIGHT_ROLES
};

enum { WEIGHT_NONE = UINT32_MAX };

struct weight {
    const struct gguf_tensor *tensor; /* borrowed from the file */
    enum weight_role role;
    uint32_t layer; /* block number, or blocks for weights of the model */
    uint32_t width, rows;
    uint32_t experts; /* matrices of that shape, one behind the other; or 1 */
    enum dtype dtype; /* it is held in: the tensor's, or what weights_narrow made of it */
    uint64_t bytes;   /* as held */
    uint32_t scale;   /* index of the factor of its products, or WEIGHT_NONE */
};

struct weights {
    struct weight *list; /* in the order of the table, block after block; each before its scale */
    uint32_t count;
    uint32_t *index; /* [blocks + 1][WEIGHT_ROLES] into list, or WEIGHT_NONE */
    uint32_t blocks;
};

/* Finds and checks all weights. WEIR_ERR_FORMAT or WEIR_ERR_UNSUPPORTED naming file and tensor,
 * expected and found, when one is missing, misshapen, of a type that its form does not allow, or
 * when the file has a tensor that the table does not know. */
enum weir_status weights_open(struct weights *out, const struct config *config,
                              const struct gguf *gguf, struct weir_error *err);
void weights_close(struct weights *weights);

/* Lets small F32 matrices (routers, gates) be held in BF16 where that loses nothing: half the bytes
 * of every token, for numbers that mostly were BF16 before they were converted. Reads them,
 * unless there is only the header of a file: then they stay. */
void weights_narrow(struct weights *weights, const struct gguf *gguf);

/* Index into list, or WEIGHT_NONE. `layer` is ignored for weights of the model. */
uint32_t weights_find(const struct weights *weights, enum weight_role role, uint32_t layer);

/* Bytes of those marked in used[count], as held. */
uint64_t weights_bytes(const struct weights *weights, const bool *used);

const char *weight_role_name(enum weight_role role);

#endif
