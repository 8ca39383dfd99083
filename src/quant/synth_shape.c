/* SPDX-License-Identifier: MIT
 * The shape of a made-up model: options checked, tensors listed from the tables. Knows neither
 * files nor values. */
#include "quant/synth.h"

#include <assert.h>
#include <math.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

enum {
    VOCAB_MIN = 965, /* bytes, pairs of letters, letters after a blank, special tokens */
    VOCAB_MAX = 1 << 20,
    LAYERS_MAX = 508, /* llama.cpp reads at most 512 blocks */
};

static const struct synth_size sizes[] = {
#define SYNTH_SIZE(...) {__VA_ARGS__},
#include "quant/synth_sizes.def"
};

static const char *const size_names[] = {
#define SYNTH_SIZE(name, ...) name,
#include "quant/synth_sizes.def"
    NULL,
};

static const struct synth_type types[] = {
#define SYNTH_TYPE(name, dtype, ...)        {name, DTYPE_##dtype, __VA_ARGS__, false},
#define HEADER_TYPE(name, dtype, file_type) {name, DTYPE_##dtype, file_type, -1, 1, -1, 0, true},
#include "quant/synth_types.def"
};

/* Of what a mixture leaves as it was computed. */
static const enum dtype SOURCE_DTYPE = DTYPE_BF16;

static const char *const type_names[] = {
#define SYNTH_TYPE(name, ...) name,
#include "quant/synth_types.def"
    NULL,
};

/* Of headers: those above, and more behind them. */
static const char *const header_type_names[] = {
#define SYNTH_TYPE(name, ...)  name,
#define HEADER_TYPE(name, ...) name,
#include "quant/synth_types.def"
    NULL,
};

/* Where a tensor occurs. */
enum where {
    WHERE_MODEL,
    WHERE_UNTIED,
    WHERE_BLOCK,
    WHERE_FULL,
    WHERE_LINEAR,
    WHERE_LINEAR_SPLIT, /* alpha and beta apart */
    WHERE_LINEAR_FUSED, /* qwen3next: in one matrix */
    WHERE_MOE,
    WHERE_DENSE,
    WHERE_MTP,
};

enum extent {
    EXTENT_NONE,
    EXTENT_EMBEDDING,
    EXTENT_EMBEDDING_TWICE,
    EXTENT_VOCAB,
    EXTENT_QUERY,
    EXTENT_QUERY_GATE, /* queries and their gates */
    EXTENT_KEY,
    EXTENT_HEAD_SIZE,
    EXTENT_TAPS,
    EXTENT_CONV, /* queries, keys and values of a linear layer */
    EXTENT_VALUE,
    EXTENT_HEADS_V,
    EXTENT_HEADS_V_TWICE,
    EXTENT_STATE,
    EXTENT_FEED_FORWARD,
    EXTENT_EXPERTS,
    EXTENT_EXPERT_FF,
    EXTENT_SHARED_FF,
    EXTENT_COUNT
};

enum type_role { TYPE_MATRIX, TYPE_HEAD, TYPE_EMBEDDING, TYPE_GATES, TYPE_F32 };

enum values {
    VALUES_MATRIX, /* normal, deviation 1 / sqrt(inputs), which keeps the size of activations */
    VALUES_EMBEDDING,
    VALUES_NORM,
    VALUES_CONV,
    VALUES_TIME_STEP,
    VALUES_DECAY,
};

static const struct {
    bool uniform;
    double values[2];
} values_table[] = {
    [VALUES_MATRIX] = {false, {0, 0}},    [VALUES_EMBEDDING] = {false, {0, 0.05}},
    [VALUES_NORM] = {false, {1, 0.1}},    [VALUES_CONV] = {false, {0, 0.5}},
    [VALUES_TIME_STEP] = {true, {-4, 1}}, [VALUES_DECAY] = {true, {-4, -0.02}},
};

static const struct row {
    enum where where;
    const char *name;
    enum extent ne[3];
    enum type_role type;
    enum values values;
} rows[] = {
#define SYNTH_TENSOR(where, name, a, b, c, type, values)                                           \
    {WHERE_##where, name, {EXTENT_##a, EXTENT_##b, EXTENT_##c}, TYPE_##type, VALUES_##values},
#include "quant/synth_tensors.def"
};

enum { ROWS = sizeof rows / sizeof *rows };

/* ---- tensors --------------------------------------------------------------------------------- */

static void extents_fill(const struct synth_model *model, uint64_t extents[EXTENT_COUNT])
{
    const struct synth_size *size = model->size;
    const uint64_t by_extent[EXTENT_COUNT] = {
        [EXTENT_EMBEDDING] = size->embedding,
        [EXTENT_EMBEDDING_TWICE] = 2 * size->embedding,
        [EXTENT_VOCAB] = model->vocab,
        [EXTENT_QUERY] = size->heads * size->head_size,
        [EXTENT_QUERY_GATE] = 2 * size->heads * size->head_size,
        [EXTENT_KEY] = size->heads_kv * size->head_size,
        [EXTENT_HEAD_SIZE] = size->head_size,
        [EXTENT_TAPS] = SYNTH_CONV_TAPS,
        [EXTENT_CONV] = (2 * size->heads_k + size->heads_v) * size->state,
        [EXTENT_VALUE] = size->heads_v * size->state,
        [EXTENT_HEADS_V] = size->heads_v,
        [EXTENT_HEADS_V_TWICE] = 2 * size->heads_v,
        [EXTENT_STATE] = size->state,
        [EXTENT_FEED_FORWARD] = size->feed_forward,
        [EXTENT_EXPERTS] = size->experts,
        [EXTENT_EXPERT_FF] = size->expert_ff,
        [EXTENT_SHARED_FF] = size->shared_ff,
    };
    memcpy(extents, by_extent, sizeof by_extent);
}

/* Does the row occur in block `block` (or, below 0, outside of the blocks)? */
static bool row_occurs(const struct synth_model *model, enum where where, int64_t block)
{
    const bool in_block = block >= 0;
    const bool is_mtp = block >= model->layers;
    const bool is_full = is_mtp || (block + 1) % SYNTH_ATTENTION_INTERVAL == 0;
    const bool is_fused = strcmp(model->size->architecture, "qwen3next") == 0;
    switch (where) {
    case WHERE_MODEL: return !in_block;
    case WHERE_UNTIED: return !in_block && !model->size->tied;
    case WHERE_BLOCK: return in_block;
    case WHERE_FULL: return in_block && is_full;
    case WHERE_LINEAR: return in_block && !is_full;
    case WHERE_LINEAR_SPLIT: return in_block && !is_full && !is_fused;
    case WHERE_LINEAR_FUSED: return in_block && !is_full && is_fused;
    case WHERE_MOE: return in_block && model->size->experts > 0;
    case WHERE_DENSE: return in_block && model->size->experts == 0;
    case WHERE_MTP: return is_mtp;
    }
    return false;
}

static const struct synth_type *type_of(const struct synth_model *model, enum type_role role)
{
    const struct synth_type *f32 = &types[0];
    const struct synth_type *head = model->mixture != NULL ? model->type : model->output_type;
    switch (role) {
    case TYPE_MATRIX: return model->type;
    case TYPE_HEAD: return head;
    case TYPE_EMBEDDING: return model->size->tied ? head : model->type;
    case TYPE_GATES: return model->f32_gates ? f32 : model->type;
    case TYPE_F32: break;
    }
    return f32;
}

static void tensor_add(struct synth_model *model, const struct row *row, int64_t block,
                       const uint64_t extents[EXTENT_COUNT])
{
    struct synth_tensor *tensor = &model->tensors[model->tensor_count++];
    if (block < 0)
        snprintf(tensor->name, sizeof tensor->name, "%s", row->name);
    else
        snprintf(tensor->name, sizeof tensor->name, "blk.%d.%s", (int)block, row->name);
    tensor->type = type_of(model, row->type);
    while (tensor->dims < 3 && row->ne[tensor->dims] != EXTENT_NONE) {
        tensor->ne[tensor->dims] = extents[row->ne[tensor->dims]];
        tensor->dims++;
    }
    tensor->uniform = values_table[row->values].uniform;
    tensor->values[0] = values_table[row->values].values[0];
    tensor->values[1] = values_table[row->values].values[1];
    if (row->values == VALUES_MATRIX)
        tensor->values[1] =
            1 / sqrt((double)tensor->ne[0]); /* IEEE 754 defines sqrt, unlike libm's others */
}

static enum weir_status tensors_list(struct synth_model *model, struct weir_error *err)
{
    model->tensors = mem_alloc(((uint64_t)model->blocks + 1) * ROWS, sizeof *model->tensors, err);
    if (model->tensors == NULL)
        return WEIR_ERR_MEMORY;
    uint64_t extents[EXTENT_COUNT];
    extents_fill(model, extents);
    for (int64_t block = -1; block < model->blocks; block++) {
        for (size_t i = 0; i < ROWS; i++) {
            if (row_occurs(model, rows[i].where, block))
                tensor_add(model, &rows[i], block, extents);
        }
    }
    return WEIR_OK;
}

uint64_t synth_tensor_blocks(const struct synth_tensor *tensor)
{
    uint64_t elements = 1;
    for (uint32_t i = 0; i < tensor->dims; i++)
        elements *= tensor->ne[i];
    return elements / dtype_info(tensor->type->dtype)->block;
}

/* ---- options --------------------------------------------------------------------------------- */

const char *const *weir_synth_sizes(void)
{
    return size_names;
}

const char *const *weir_synth_types(void)
{
    return type_names;
}

/* The index of `name`, in any case of letters, or a refusal that lists what there is. */
static enum weir_status name_find(const char *const *names, const char *name, const char *what,
                                  size_t *out, struct weir_error *err)
{
    char known[256] = "";
    for (size_t i = 0; names[i] != NULL; i++) {
        if (name != NULL && strcasecmp(names[i], name) == 0) {
            *out = i;
            return WEIR_OK;
        }
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", names[i]);
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "unknown %s \"%s\", expected one of %s", what,
                   name == NULL ? "" : name, known);
}

const struct synth_type *synth_type_of(enum dtype dtype)
{
    size_t i = 0;
    while (types[i].dtype != dtype) {
        i++;
        assert(i < sizeof types / sizeof types[0]);
    }
    return &types[i];
}

/* The type of that name, if the model can have it, or a refusal that lists those. */
static enum weir_status type_find(const struct synth_model *model, const char *name,
                                  const char *what, const struct synth_type **out,
                                  struct weir_error *err)
{
    const char *const *names = model->is_header ? header_type_names : type_names;
    size_t type = 0;
    const enum weir_status status = name_find(names, name, what, &type, err);
    if (status == WEIR_OK)
        *out = &types[type];
    return status;
}

/* The type of all matrices; or a mixture, which is known by no name of a type: of MXFP4 the mixture
 * has matrices of Q8_0 alone where there are no experts. */
static enum weir_status type_resolve(struct synth_model *model, const char *name,
                                     struct weir_error *err)
{
    struct weir_error refusal = {0};
    if (type_find(model, name, "type", &model->type, &refusal) == WEIR_OK) {
        model->output_type = model->type;
        return WEIR_OK;
    }
    model->mixture = synth_mixture_find(name);
    model->type = synth_type_of(SOURCE_DTYPE);
    if (model->mixture == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s, or a mixture as q4_k_m", refusal.text);
    for (size_t i = 0; header_type_names[i] != NULL; i++) {
        if (types[i].has_no_values && strcasecmp(types[i].name, name) == 0)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "matrices of type %s, of which no model can be made up",
                           dtype_info(types[i].dtype)->name);
    }
    return WEIR_OK;
}

static enum weir_status names_resolve(struct synth_model *model,
                                      const struct weir_synth_options *options,
                                      struct weir_error *err)
{
    size_t size = 0;
    enum weir_status status;
    TRY(name_find(size_names, options->size, "size", &size, err));
    model->size = &sizes[size];
    TRY(type_resolve(model, options->type, err));
    if (options->output_type != NULL)
        TRY(type_find(model, options->output_type, "output type", &model->output_type, err));
out:
    return status;
}

/* Rows are whole blocks: only the smallest sizes and the largest blocks do not go together. */
static enum weir_status blocks_check(const struct synth_model *model, struct weir_error *err)
{
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        const struct synth_tensor *tensor = &model->tensors[i];
        const uint32_t block = dtype_info(tensor->type->dtype)->block;
        if (tensor->ne[0] % block != 0)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "size %s cannot have type %s: %s has rows of %llu, blocks are of %u",
                           model->size->name, tensor->type->name, tensor->name,
                           (unsigned long long)tensor->ne[0], block);
    }
    return WEIR_OK;
}

static enum weir_status model_init(struct synth_model *model,
                                   const struct weir_synth_options *options, bool is_header,
                                   struct weir_error *err)
{
    *model = (struct synth_model){
        .seed = options->seed, .f32_gates = options->f32_gates, .is_header = is_header};
    enum weir_status status;
    TRY(names_resolve(model, options, err));
    model->layers = options->layers == 0 ? model->size->layers : options->layers;
    model->vocab = options->vocab == 0 ? model->size->vocab : options->vocab;
    if (model->layers % SYNTH_ATTENTION_INTERVAL != 0 || model->layers > LAYERS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "layers are %u, expected a multiple of %d up to %d",
                       model->layers, SYNTH_ATTENTION_INTERVAL, LAYERS_MAX);
    if (model->vocab < VOCAB_MIN || model->vocab > VOCAB_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "vocabulary of %u tokens, expected %d to %d",
                       model->vocab, VOCAB_MIN, VOCAB_MAX);
    model->blocks = model->layers + (options->mtp ? 1 : 0);
    TRY(tensors_list(model, err));
    if (model->mixture != NULL)
        TRY(synth_mixture_apply(model, model->mixture, err));
    TRY(blocks_check(model, err));
out:
    if (status != WEIR_OK)
        synth_model_release(model);
    return status;
}

enum weir_status synth_model_init(struct synth_model *model,
                                  const struct weir_synth_options *options, struct weir_error *err)
{
    return model_init(model, options, false, err);
}

enum weir_status synth_model_init_header(struct synth_model *model,
                                         const struct weir_synth_options *options,
                                         struct weir_error *err)
{
    return model_init(model, options, true, err);
}

void synth_model_release(struct synth_model *model)
{
    mem_free(model->tensors);
    model->tensors = NULL;
    model->tensor_count = 0;
}
