/* SPDX-License-Identifier: MIT
 * Matches the table of tensors with a checkpoint. Reads no data. */
#include "convert/outputs.h"

#include <string.h>

#include "base/mem.h"

enum { SOURCE_NAME_MAX = 128, SHAPE_TEXT_MAX = 200 };

enum where {
    WHERE_MODEL,
    WHERE_UNTIED,
    WHERE_BLOCK,
    WHERE_FULL,
    WHERE_LINEAR,
    WHERE_SPLIT,
    WHERE_NEXT,
    WHERE_MOE,
    WHERE_STACKED,
    WHERE_SINGLES,
    WHERE_DENSE,
    WHERE_MTP,
};

enum form { FORM_MATRIX, FORM_EXPERTS, FORM_VECTOR, FORM_TABLE };

struct rename {
    enum where where;
    const char *name, *source;
    enum transform_map map;
    enum transform_values values;
    enum form form;
};

static const struct rename renames[] = {
#define RENAME(where, name, source, map, values, form, rows, width)                                \
    {WHERE_##where, name, source, MAP_##map, VALUES_##values, FORM_##form},
#include "convert/rename.def"
};

enum { RENAMES = sizeof renames / sizeof renames[0] };

/* Rows and width of each row of the table. */
static void sizes_fill(const struct hf_config *c, uint64_t sizes[RENAMES][2])
{
    const uint64_t from_config[RENAMES][2] = {
#define RENAME(where, name, source, map, values, form, rows, width) {(rows), (width)},
#include "convert/rename.def"
    };
    memcpy(sizes, from_config, sizeof from_config);
}

/* Everything that listing needs. */
struct lister {
    struct outputs *outputs;
    const struct hf_config *config;
    struct checkpoint *checkpoint;
    enum weir_convert_type type;
    uint64_t sizes[RENAMES][2];
    uint64_t elements[DTYPE_COUNT]; /* of matrices */
};

/* ---- where ----------------------------------------------------------------------------------- */

/* What stands before the source of a row in block `block` (below 0: outside of the blocks). */
static void source_prefix(const struct lister *lister, enum where where, int64_t block,
                          char out[SOURCE_NAME_MAX])
{
    const int64_t layers = lister->config->layers;
    if (block < 0)
        out[0] = 0;
    else if (where == WHERE_MTP)
        snprintf(out, SOURCE_NAME_MAX, "mtp.");
    else if (block >= layers)
        snprintf(out, SOURCE_NAME_MAX, "mtp.layers.%d.", (int)(block - layers));
    else
        snprintf(out, SOURCE_NAME_MAX, "layers.%d.", (int)block);
}

/* Has the block all its experts in one tensor? */
static bool is_stacked(const struct lister *lister, int64_t block)
{
    char name[SOURCE_NAME_MAX];
    source_prefix(lister, WHERE_MOE, block, name);
    const size_t used = strlen(name);
    snprintf(name + used, sizeof name - used, "mlp.experts.gate_up_proj");
    return checkpoint_find(lister->checkpoint, name) != NULL;
}

static bool row_occurs(const struct lister *lister, enum where where, int64_t block)
{
    const struct hf_config *config = lister->config;
    const bool in_block = block >= 0;
    const bool is_mtp = block >= config->layers;
    const bool is_linear = in_block && !is_mtp && config->recurrent[block];
    const bool has_experts = in_block && config->experts > 0;
    switch (where) {
    case WHERE_MODEL: return !in_block;
    case WHERE_UNTIED: return !in_block && !config->tied;
    case WHERE_BLOCK: return in_block;
    case WHERE_FULL: return in_block && !is_linear;
    case WHERE_LINEAR: return is_linear;
    case WHERE_SPLIT: return is_linear && !config->is_next;
    case WHERE_NEXT: return is_linear && config->is_next;
    case WHERE_MOE: return has_experts;
    case WHERE_STACKED: return has_experts && is_stacked(lister, block);
    case WHERE_SINGLES: return has_experts && !is_stacked(lister, block);
    case WHERE_DENSE: return in_block && !has_experts;
    case WHERE_MTP: return is_mtp;
    }
    return false;
}

/* ---- sources --------------------------------------------------------------------------------- */

/* Copies the sizes that are not 1: returns their number. */
static uint32_t shape_squeeze(const uint64_t *shape, uint32_t dims, uint64_t *out)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < dims; i++) {
        if (shape[i] != 1)
            out[kept++] = shape[i];
    }
    return kept;
}

static enum weir_status source_check(const struct lister *lister, const struct output *output,
                                     const struct checkpoint_tensor *tensor, struct weir_error *err)
{
    const struct safetensors_tensor *info = tensor->info;
    const char *path = checkpoint_path(lister->checkpoint, tensor);
    const uint64_t expected[] = {output->source_count == 1 ? output->slabs : 1, output->source_rows,
                                 output->width};
    uint64_t a[SAFETENSORS_DIMS_MAX], b[3];
    const uint32_t a_dims = shape_squeeze(info->shape, info->dims, a);
    const uint32_t b_dims = shape_squeeze(expected, 3, b);
    if (info->dtype == DTYPE_COUNT)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: tensor %s has type %s, expected F32, F16 or BF16", path, info->name,
                       info->dtype_name);
    if (a_dims == b_dims && memcmp(a, b, a_dims * sizeof *a) == 0)
        return WEIR_OK;
    char found_text[SHAPE_TEXT_MAX], expected_text[SHAPE_TEXT_MAX];
    gguf_format_shape(info->shape, info->dims, found_text, sizeof found_text);
    gguf_format_shape(b, b_dims, expected_text, sizeof expected_text);
    return err_set(err, WEIR_ERR_FORMAT, "%s: tensor %s has shape %s, expected %s", path,
                   info->name, found_text, expected_text);
}

/* Adds one source, the one of expert `expert` where the name has a star. */
static enum weir_status source_add(struct lister *lister, struct output *output, const char *prefix,
                                   const char *name, uint64_t expert, struct weir_error *err)
{
    struct outputs *outputs = lister->outputs;
    const char *star = strchr(name, '*');
    char full[2 * SOURCE_NAME_MAX];
    if (star == NULL)
        snprintf(full, sizeof full, "%s%s", prefix, name);
    else
        snprintf(full, sizeof full, "%s%.*s%llu%s", prefix, (int)(star - name), name,
                 (unsigned long long)expert, star + 1);
    struct checkpoint_tensor *tensor = checkpoint_find(lister->checkpoint, full);
    if (tensor == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: the checkpoint has no tensor %s",
                       lister->checkpoint->folder, full);
    enum weir_status status;
    TRY(source_check(lister, output, tensor, err));
    TRY(mem_grow(&outputs->sources, &outputs->source_capacity, outputs->source_count + 1,
                 sizeof *outputs->sources, err));
    outputs->sources[outputs->source_count++] = tensor;
    tensor->used = true;
out:
    return status;
}

/* ---- outputs --------------------------------------------------------------------------------- */

static enum dtype output_dtype(const struct lister *lister, const struct output *output,
                               enum form form)
{
    if (form == FORM_VECTOR || form == FORM_TABLE)
        return DTYPE_F32;
    switch (lister->type) {
    case WEIR_CONVERT_F32: return DTYPE_F32;
    case WEIR_CONVERT_F16: return DTYPE_F16;
    case WEIR_CONVERT_BF16: return DTYPE_BF16;
    case WEIR_CONVERT_AUTO: break;
    }
    return lister->outputs->sources[output->source_first]->info->dtype;
}

static void output_shape(struct output *output, enum form form)
{
    output->dims = form == FORM_EXPERTS ? 3 : form == FORM_VECTOR ? 1 : 2;
    output->ne[0] = form == FORM_VECTOR ? output->rows * output->width : output->width;
    output->ne[1] = output->rows;
    output->ne[2] = output->slabs;
}

static enum weir_status output_add(struct lister *lister, const struct rename *row, int64_t block,
                                   struct weir_error *err)
{
    struct outputs *outputs = lister->outputs;
    enum weir_status status;
    TRY(mem_grow(&outputs->list, &outputs->capacity, outputs->count + 1, sizeof *outputs->list,
                 err));
    struct output *output = &outputs->list[outputs->count++];
    *output = (struct output){.map = row->map, .values = row->values};
    output->rows = lister->sizes[row - renames][0];
    output->width = lister->sizes[row - renames][1];
    output->slabs = row->form == FORM_EXPERTS ? lister->config->experts : 1;
    output->source_rows = transform_source_rows(lister->config, row->map, output->rows);
    output->source_first = outputs->source_count;
    output->source_count = row->where == WHERE_SINGLES ? output->slabs : 1;
    char prefix[SOURCE_NAME_MAX], block_name[24] = "";
    source_prefix(lister, row->where, block, prefix);
    for (uint64_t i = 0; i < output->source_count; i++)
        TRY(source_add(lister, output, prefix, row->source, i, err));
    if (block >= 0)
        snprintf(block_name, sizeof block_name, "blk.%d.", (int)block);
    snprintf(output->name, sizeof output->name, "%s%s", block_name, row->name);
    output->dtype = output_dtype(lister, output, row->form);
    output_shape(output, row->form);
    const uint64_t elements = output->slabs * output->rows * output->width;
    if (row->form == FORM_MATRIX || row->form == FORM_EXPERTS)
        lister->elements[output->dtype] += elements;
    outputs->bytes += elements * dtype_info(output->dtype)->block_bytes;
out:
    return status;
}

static enum weir_status list_all(struct lister *lister, struct weir_error *err)
{
    const int64_t blocks = (int64_t)lister->config->layers + lister->outputs->mtp;
    for (int64_t block = -1; block < blocks; block++) {
        for (size_t i = 0; i < RENAMES; i++) {
            if (!row_occurs(lister, renames[i].where, block))
                continue;
            const enum weir_status status = output_add(lister, &renames[i], block, err);
            if (status != WEIR_OK)
                return status;
        }
    }
    for (int i = 0; i < DTYPE_COUNT; i++) {
        if (lister->elements[i] > lister->elements[lister->outputs->main_dtype])
            lister->outputs->main_dtype = (enum dtype)i;
    }
    return WEIR_OK;
}

/* ---- what is left out ------------------------------------------------------------------------ */

static enum weir_status check_unused(struct lister *lister, struct weir_error *err)
{
    struct outputs *outputs = lister->outputs;
    for (uint64_t i = 0; i < lister->checkpoint->count; i++) {
        const struct checkpoint_tensor *tensor = &lister->checkpoint->tensors[i];
        if (tensor->used)
            continue;
        if (span_begins(span_from(tensor->name), "visual.") ||
            span_begins(span_from(tensor->name), "vision_tower."))
            outputs->vision_skipped++;
        else if (span_begins(span_from(tensor->name), "mtp.") && outputs->mtp == 0)
            outputs->mtp_skipped++;
        else if (lister->config->tied && strcmp(tensor->name, "lm_head.weight") == 0)
            outputs->head_skipped++;
        else
            return err_set(err, WEIR_ERR_UNSUPPORTED,
                           "%s: tensor %s is none that a model of architecture %s has",
                           checkpoint_path(lister->checkpoint, tensor), tensor->info->name,
                           lister->config->architecture);
    }
    return WEIR_OK;
}

static bool has_mtp(const struct checkpoint *checkpoint)
{
    for (uint64_t i = 0; i < checkpoint->count; i++) {
        if (span_begins(span_from(checkpoint->tensors[i].name), "mtp."))
            return true;
    }
    return false;
}

enum weir_status outputs_open(struct outputs *out, const struct hf_config *config,
                              struct checkpoint *checkpoint, enum weir_convert_type type, bool mtp,
                              struct weir_error *err)
{
    *out = (struct outputs){.mtp = mtp && has_mtp(checkpoint)};
    struct lister lister = {
        .outputs = out, .config = config, .checkpoint = checkpoint, .type = type};
    if (out->mtp > 0 && config->mtp > 1)
        return err_set(
            err, WEIR_ERR_UNSUPPORTED,
            "%s/config.json: \"mtp_num_hidden_layers\" is %u, at most 1 can be converted",
            checkpoint->folder, config->mtp);
    sizes_fill(config, lister.sizes);
    enum weir_status status;
    TRY(list_all(&lister, err));
    TRY(check_unused(&lister, err));
out:
    if (status != WEIR_OK)
        outputs_close(out);
    return status;
}

void outputs_close(struct outputs *outputs)
{
    mem_free(outputs->list);
    mem_free(outputs->sources);
    *outputs = (struct outputs){0};
}
