/* SPDX-License-Identifier: MIT
 * Made-up models of a mixture: each tensor has the type that weir quantize would give it, without
 * importance. Knows no values. */
#include "quant/recipe.h"
#include "quant/synth.h"

#include <string.h>

#include "base/mem.h"

const struct recipe *synth_mixture_find(const char *name)
{
    const bool is_number = name == NULL || strspn(name, "0123456789") == strlen(name);
    const struct recipe *recipe = is_number ? NULL : recipe_find(name);
    return recipe == NULL || recipe->dtype == DTYPE_COUNT ? NULL : recipe;
}

static void describe(struct gguf_tensor *out, const struct synth_tensor *tensor)
{
    *out = (struct gguf_tensor){.dtype = tensor->type->dtype, .dims = tensor->dims};
    memcpy(out->name, tensor->name, sizeof out->name);
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++)
        out->ne[i] = i < tensor->dims ? tensor->ne[i] : 1;
}

static enum weir_status take_types(struct synth_model *model, const struct recipe *recipe,
                                   const struct recipe_item *items,
                                   const struct gguf_tensor *tensors, struct weir_error *err)
{
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        const struct synth_type *type = synth_type_of(items[i].dtype);
        if (type->has_no_values && !model->is_header)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "%s has %s of type %s, of which no model can be made up", recipe->name,
                           items[i].tensor->name, dtype_info(items[i].dtype)->name);
        model->tensors[items[i].tensor - tensors].type = type;
    }
    return WEIR_OK;
}

enum weir_status synth_mixture_apply(struct synth_model *model, const struct recipe *recipe,
                                     struct weir_error *err)
{
    const struct synth_size *size = model->size;
    const struct recipe_request request = {
        .recipe = recipe,
        .blocks = model->blocks,
        .gqa = size->heads / size->heads_kv,
        .experts = size->experts,
        .output_type = model->output_type == NULL ? DTYPE_COUNT : model->output_type->dtype,
        .embedding_type = DTYPE_COUNT,
    };
    struct gguf_tensor *tensors = mem_alloc(model->tensor_count, sizeof *tensors, err);
    struct recipe_item *items = mem_alloc(model->tensor_count, sizeof *items, err);
    enum weir_status status = WEIR_ERR_MEMORY;
    if (tensors == NULL || items == NULL)
        goto out;
    for (uint64_t i = 0; i < model->tensor_count; i++)
        describe(&tensors[i], &model->tensors[i]);
    recipe_items(items, tensors, model->tensor_count);
    for (uint64_t i = 0; i < model->tensor_count; i++)
        items[i].stays |= items[i].dtype == DTYPE_F32; /* --f32-gates, for one */
    TRY(recipe_choose(&request, items, model->tensor_count, err));
    TRY(take_types(model, recipe, items, tensors, err));
out:
    mem_free(tensors);
    mem_free(items);
    return status;
}
