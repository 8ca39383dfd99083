/* SPDX-License-Identifier: MIT
 * Mixtures: which type each tensor of a model gets (gguf.md 4.1 to 4.5). They are rows of
 * recipes.def. Knows names and shapes of tensors, no data and no file. */
#ifndef QUANT_RECIPE_H
#define QUANT_RECIPE_H

#include <regex.h>

#include "base/text.h"
#include "format/gguf.h"

struct recipe {
    const char *name;
    int64_t file_type;   /* value of general.file_type; below 0: as it is */
    enum dtype dtype;    /* of what no rule names; DTYPE_COUNT: every tensor stays as it is */
    const char *summary; /* bits per weight, and what it is for */
};

/* All recipes, *count of them. */
const struct recipe *recipe_list(size_t *count);

/* By name or alias in any case of letters, or by the number of the file type. */
const struct recipe *recipe_find(const char *name);

/* Prints the rules of one recipe. */
void recipe_print(const struct recipe *recipe, struct printer printer);

/* A tensor whose name the pattern is found in gets the type. */
struct recipe_override {
    regex_t pattern;
    enum dtype dtype;
};

struct recipe_request {
    const struct recipe *recipe;
    uint32_t blocks;  /* layers, MTP blocks included */
    uint32_t gqa;     /* query heads of a key head */
    uint32_t experts; /* of a layer; 0: dense */
    bool imatrix;     /* there is one */
    bool pure;        /* no rules: the recipe's type for all */
    bool keep_output; /* output.weight stays as it is */
    /* of output.weight (or a tied embedding), of the embedding; DTYPE_COUNT: by the rules */
    enum dtype output_type, embedding_type;
    const struct recipe_override *overrides; /* the first that matches decides */
    uint64_t overrides_count;
};

struct recipe_item {
    const struct gguf_tensor *tensor;
    enum dtype dtype; /* the choice; the tensor's own if it stays as it is */
    bool stays;       /* never quantized */
    bool replaced;    /* its rows do not fit the type that was meant */
    bool by_rule;     /* not by an option */
    uint8_t kind;     /* row of recipes.def */
    int32_t layer;    /* N of "blk.N."; -1: none */
};

/* One item for each tensor, in the order of the output file: by layer, then by name. */
void recipe_items(struct recipe_item *items, const struct gguf_tensor *tensors, uint64_t count);

/* Chooses for all tensors of a model, which are in that order. WEIR_ERR_UNSUPPORTED names a tensor
 * whose rows fit neither the type that was meant nor one that could stand in. */
enum weir_status recipe_choose(const struct recipe_request *request, struct recipe_item *items,
                               uint64_t count, struct weir_error *err);

/* Would the type that was chosen for this tensor make nonsense of it without importance? */
bool recipe_needs_importance(const struct recipe *recipe, const struct recipe_item *item);

#endif
