/* SPDX-License-Identifier: MIT
 * The tensors of a made-up checkpoint: their names, shapes and rows, drawn as the GGUF tensors that
 * they become and put back into the order and values of checkpoints. Knows no file. */
#include "quant/synth_checkpoint.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "format/codec.h"

enum when { WHEN_ALL, WHEN_THREE_FIVE, WHEN_NEXT, WHEN_STACKED, WHEN_SINGLES };
enum shape { SHAPE_LINE, SHAPE_MATRIX, SHAPE_STACK, SHAPE_TAPS, SHAPE_ONE_ROW };

static const struct source_row {
    enum when when;
    const char *name, *second, *source;
    enum synth_order order;
    enum synth_values values;
    enum shape shape;
} source_rows[] = {
#define SYNTH_CHECKPOINT(when, name, second, source, order, values, shape)                         \
    {WHEN_##when, name, second, source, ORDER_##order, SOURCE_##values, SHAPE_##shape},
#include "quant/synth_checkpoint.def"
};

/* ---- the list -------------------------------------------------------------------------------- */

static bool is_next(const struct synth_model *model)
{
    return strcmp(model->size->architecture, "qwen3next") == 0;
}

/* The number of the block (-1: none), and the name behind it. */
static int64_t block_of(const struct synth_tensor *tensor, const char **rest)
{
    *rest = tensor->name;
    if (strncmp(tensor->name, "blk.", 4) != 0)
        return -1;
    char *end;
    const long block = strtol(tensor->name + 4, &end, 10);
    *rest = end + 1;
    return block;
}

/* Experts come in both forms: stacked in the trunk of Qwen3.5, single elsewhere. */
static bool row_occurs(const struct synth_model *model, enum when when, int64_t block)
{
    const bool singles = is_next(model) || block >= model->layers;
    switch (when) {
    case WHEN_ALL: return true;
    case WHEN_THREE_FIVE: return !is_next(model);
    case WHEN_NEXT: return is_next(model);
    case WHEN_STACKED: return !singles;
    case WHEN_SINGLES: return singles;
    }
    return false;
}

/* The name in the checkpoint, with the prefixes of a model that also sees, or of text alone. */
static void name_print(const struct synth_model *model, const struct source_row *row, int64_t block,
                       uint64_t expert, char out[SYNTH_SOURCE_NAME_MAX + 1])
{
    const bool is_whole =
        strncmp(row->source, "mtp.", 4) == 0 || strncmp(row->source, "lm_head.", 8) == 0;
    const char *trunk = is_next(model) ? "model." : "model.language_model.";
    char prefix[64];
    if (is_whole)
        prefix[0] = 0;
    else if (block < 0)
        snprintf(prefix, sizeof prefix, "%s", trunk);
    else if (block >= model->layers)
        snprintf(prefix, sizeof prefix, "mtp.layers.%d.", (int)(block - model->layers));
    else
        snprintf(prefix, sizeof prefix, "%slayers.%d.", trunk, (int)block);
    const char *star = strchr(row->source, '*');
    if (star == NULL)
        snprintf(out, SYNTH_SOURCE_NAME_MAX + 1, "%s%s", prefix, row->source);
    else
        snprintf(out, SYNTH_SOURCE_NAME_MAX + 1, "%s%.*s%llu%s", prefix, (int)(star - row->source),
                 row->source, (unsigned long long)expert, star + 1);
}

/* Adds the sizes of a dimension more. */
static void shape_add(struct synth_source *source, uint64_t size)
{
    source->shape[source->dims++] = size;
}

static void source_shape(struct synth_source *source, enum shape shape)
{
    const struct synth_tensor *a = source->tensors[0], *b = source->tensors[1];
    const uint64_t slabs = a->dims > 2 ? a->ne[2] : 1;
    const uint64_t rows = (a->dims > 1 ? a->ne[1] : 1) + (b == NULL ? 0 : b->ne[1]);
    const bool is_heads = shape == SHAPE_LINE && source->order == ORDER_HEADS;
    source->width = is_heads ? 1 : a->ne[0];
    source->rows = is_heads ? a->ne[0] : source->order == ORDER_EXPERT ? rows : slabs * rows;
    if (shape == SHAPE_STACK)
        shape_add(source, slabs);
    if (shape == SHAPE_ONE_ROW)
        shape_add(source, 1);
    if (shape == SHAPE_STACK || shape == SHAPE_MATRIX || shape == SHAPE_TAPS)
        shape_add(source, rows);
    if (shape == SHAPE_TAPS)
        shape_add(source, 1);
    shape_add(source, a->ne[0]);
    source->bytes = source->rows * source->width * dtype_info(a->type->dtype)->block_bytes;
}

/* The tensor of block `block` (-1: outside of the blocks) whose name ends so. */
static const struct synth_tensor *find_beside(const struct synth_model *model, int64_t block,
                                              const char *name)
{
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        const char *rest;
        if (block_of(&model->tensors[i], &rest) == block && strcmp(rest, name) == 0)
            return &model->tensors[i];
    }
    return NULL;
}

static enum weir_status sources_add(struct synth_sources *sources, const struct synth_model *model,
                                    const struct synth_tensor *tensor, struct weir_error *err)
{
    const char *rest;
    const int64_t block = block_of(tensor, &rest);
    for (size_t i = 0; i < sizeof source_rows / sizeof source_rows[0]; i++) {
        const struct source_row *row = &source_rows[i];
        if (strcmp(row->name, rest) != 0 || !row_occurs(model, row->when, block))
            continue;
        const uint64_t copies = row->order == ORDER_EXPERT ? tensor->ne[2] : 1;
        const enum weir_status status =
            mem_grow(&sources->list, &sources->capacity, sources->count + copies,
                     sizeof *sources->list, err);
        if (status != WEIR_OK)
            return status;
        for (uint64_t expert = 0; expert < copies; expert++) {
            struct synth_source *source = &sources->list[sources->count++];
            *source =
                (struct synth_source){.order = row->order, .values = row->values, .expert = expert};
            source->tensors[0] = tensor;
            if (row->second != NULL)
                source->tensors[1] = find_beside(model, block, row->second);
            name_print(model, row, block, expert, source->name);
            source_shape(source, row->shape);
        }
    }
    return WEIR_OK;
}

enum weir_status synth_sources_open(struct synth_sources *out, const struct synth_model *model,
                                    struct weir_error *err)
{
    *out = (struct synth_sources){0};
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        const enum weir_status status = sources_add(out, model, &model->tensors[i], err);
        if (status != WEIR_OK) {
            synth_sources_close(out);
            return status;
        }
    }
    return WEIR_OK;
}

void synth_sources_close(struct synth_sources *sources)
{
    mem_free(sources->list);
    *sources = (struct synth_sources){0};
}

/* ---- rows ------------------------------------------------------------------------------------ */

/* A row of one of the GGUF tensors. */
struct target {
    int tensor;
    uint64_t row;
};

/* Value head `head` of a checkpoint is r heads of key head 0, then r of key head 1, and so on; in
 * the file the first head of each key head comes first, then the second of each. */
static uint64_t head_target(const struct synth_size *size, uint64_t head)
{
    const uint64_t r = size->heads_v / size->heads_k;
    return head % r * size->heads_k + head / r;
}

static uint64_t head_row_target(const struct synth_size *size, uint64_t rows, uint64_t head_rows,
                                uint64_t row)
{
    const uint64_t before = rows - size->heads_v * head_rows;
    if (row < before)
        return row;
    const uint64_t head = (row - before) / head_rows;
    return before + head_target(size, head) * head_rows + (row - before) % head_rows;
}

/* Each key head g has its q, its k, then v and z of its r value heads. */
static struct target group_target(const struct synth_size *size, uint64_t row)
{
    const uint64_t S = size->state, keys = size->heads_k * S;
    const uint64_t values = size->heads_v / size->heads_k * S;
    const uint64_t g = row / (2 * (S + values));
    uint64_t i = row % (2 * (S + values));
    if (i < S)
        return (struct target){0, g * S + i};
    i -= S;
    if (i < S)
        return (struct target){0, keys + g * S + i};
    i -= S;
    if (i < values)
        return (struct target){0, 2 * keys + g * values + i};
    return (struct target){1, g * values + (i - values)};
}

static struct target row_target(const struct synth_model *model, const struct synth_source *source,
                                uint64_t row)
{
    const struct synth_size *size = model->size;
    const uint64_t half = source->tensors[0]->ne[1];
    switch (source->order) {
    case ORDER_HEADS: return (struct target){0, head_row_target(size, source->rows, 1, row)};
    case ORDER_HEAD_ROWS:
        return (struct target){0, head_row_target(size, source->rows, size->state, row)};
    case ORDER_GROUPS: return group_target(size, row);
    case ORDER_HALVES: return (struct target){row / half % 2, row / (2 * half) * half + row % half};
    case ORDER_EXPERT: return (struct target){0, source->expert * source->rows + row};
    case ORDER_SAME:
    case ORDER_HEAD_COLUMNS: break;
    }
    return (struct target){0, row};
}

static void columns_restore(const struct synth_size *size, uint32_t bytes, const uint8_t *from,
                            uint8_t *to)
{
    const uint64_t head_bytes = (uint64_t)size->state * bytes;
    for (uint64_t head = 0; head < size->heads_v; head++)
        memcpy(to + head * head_bytes, from + head_target(size, head) * head_bytes, head_bytes);
}

static void values_restore(enum synth_values values, uint8_t *row, uint64_t width)
{
    for (uint64_t i = 0; i < width && values != SOURCE_SAME; i++) {
        float value;
        codec_decode_row(DTYPE_F32, row + 4 * i, &value, 1);
        value = values == SOURCE_NORM ? value - 1 : (float)log(-(double)value);
        codec_encode_floats(DTYPE_F32, &value, row + 4 * i, 1);
    }
}

void synth_source_row(const struct synth_model *model, const struct synth_source *source,
                      uint64_t row, uint8_t *out, uint8_t *scratch)
{
    const struct target target = row_target(model, source, row);
    const struct synth_tensor *tensor = source->tensors[target.tensor];
    const uint64_t key = rng_key(model->seed, (uint64_t)(tensor - model->tensors));
    const bool has_columns = source->order == ORDER_HEAD_COLUMNS;
    assert(source->values == SOURCE_SAME || tensor->type->dtype == DTYPE_F32);
    synth_fill(tensor, key, target.row * source->width, source->width, has_columns ? scratch : out);
    if (has_columns)
        columns_restore(model->size, dtype_info(tensor->type->dtype)->block_bytes, scratch, out);
    values_restore(source->values, out, source->width);
}
