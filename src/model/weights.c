/* SPDX-License-Identifier: MIT
 * The tensors of a file matched with the weight table. Knows names and shapes; computes nothing. */
#include "model/weights.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

enum where {
    WHERE_MODEL,
    WHERE_BLOCK,
    WHERE_GDN,
    WHERE_GDN_TILED,
    WHERE_GDN_GROUPED,
    WHERE_ATTN,
    WHERE_FFN,
    WHERE_MOE,
    WHERE_MTP,
};
enum { NEED_REQUIRED = -2, NEED_OPTIONAL = -1 }; /* or the role that makes it needless */
#define NEED_UNLESS(role) WEIGHT_##role
enum form { FORM_MATRIX, FORM_EXPERTS, FORM_VECTOR };

struct rule {
    const char *role;
    const char *name;
    enum where where;
    int need;
    enum form form;
};

static const struct rule rules[WEIGHT_ROLES] = {
#define WEIGHT(role, name, where, need, form, width, rows)                                         \
    [WEIGHT_##role] = {#role, name, WHERE_##where, NEED_##need, FORM_##form},
#include "model/weights.def"
};

const char *weight_role_name(enum weight_role role)
{
    return rules[role].role;
}

/* The shape that the table gives a role under this config. */
static void expected_shape(enum weight_role role, const struct config *c, uint64_t *width,
                           uint64_t *rows)
{
    switch (role) {
#define WEIGHT(role, name, where, need, form, width_, rows_)                                       \
    case WEIGHT_##role:                                                                            \
        *width = (width_);                                                                         \
        *rows = (rows_);                                                                           \
        return;
#include "model/weights.def"
    case WEIGHT_ROLES: return;
    }
}

static bool rule_applies(const struct rule *rule, const struct config *config, uint32_t block)
{
    const bool is_model = block == config->blocks;
    const bool is_mtp = block >= config->layers && !is_model;
    const bool is_gdn = !is_model && !is_mtp && config->recurrent[block];
    switch (rule->where) {
    case WHERE_MODEL: return is_model;
    case WHERE_BLOCK: return !is_model;
    case WHERE_GDN: return is_gdn;
    case WHERE_GDN_TILED: return is_gdn && config->head_map == HEAD_MAP_TILED;
    case WHERE_GDN_GROUPED: return is_gdn && config->head_map == HEAD_MAP_GROUPED;
    case WHERE_ATTN: return !is_model && !is_gdn;
    case WHERE_FFN: return !is_model && config->experts == 0;
    case WHERE_MOE: return !is_model && config->experts > 0;
    case WHERE_MTP: return is_mtp;
    }
    return false;
}

static enum weir_status check_type(const struct gguf *gguf, const struct gguf_tensor *tensor,
                                   const struct rule *rule, struct weir_error *err)
{
    const struct dtype_info *info = dtype_info(tensor->dtype);
    const bool is_float = info->family == DTYPE_FAMILY_FLOAT;
    if (rule->form == FORM_VECTOR && !is_float)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: tensor %s has type %s, expected F32, F16 or BF16", gguf_path(gguf),
                       tensor->name, info->name);
    if (!is_float && info->family != DTYPE_FAMILY_QUANT)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: tensor %s has type %s, which is no type of weights", gguf_path(gguf),
                       tensor->name, info->name);
    return WEIR_OK;
}

enum { SHAPE_BYTES = 96 }; /* four numbers of 20 digits */

static void print_shape(const uint64_t *ne, uint32_t dims, char out[SHAPE_BYTES])
{
    gguf_format_shape(ne, gguf_shape_dims(ne, dims), out, SHAPE_BYTES);
}

/* The shape that a weight should have: {width, rows, experts}. */
static void weight_shape(const struct rule *rule, enum weight_role role, const struct config *c,
                         uint64_t shape[3])
{
    expected_shape(role, c, &shape[0], &shape[1]);
    shape[2] = rule->form == FORM_EXPERTS ? c->experts : 1;
}

static enum weir_status check_shape(const struct gguf *gguf, const struct gguf_tensor *tensor,
                                    const uint64_t shape[3], struct weir_error *err)
{
    const uint64_t *ne = tensor->ne;
    char found[SHAPE_BYTES], expected[SHAPE_BYTES];
    if (ne[0] == shape[0] && ne[1] == shape[1] && ne[2] == shape[2] && ne[3] == 1 &&
        shape[1] * shape[2] <= UINT32_MAX)
        return WEIR_OK;
    print_shape(ne, GGUF_DIMS_MAX, found);
    print_shape(shape, 3, expected);
    return err_set(err, WEIR_ERR_FORMAT, "%s: tensor %s has shape %s, expected %s", gguf_path(gguf),
                   tensor->name, found, expected);
}

static void weight_name(const struct rule *rule, uint32_t block, char name[GGUF_NAME_MAX + 1])
{
    if (rule->where == WHERE_MODEL)
        snprintf(name, GGUF_NAME_MAX + 1, "%s", rule->name);
    else
        snprintf(name, GGUF_NAME_MAX + 1, "blk.%u.%s", block, rule->name);
}

/* The weight that takes the place of this one, if the file has it; its name goes to `name`. */
static bool has_replacement(const struct rule *rule, const struct config *config,
                            const struct gguf *gguf, uint32_t block, char name[GGUF_NAME_MAX + 1])
{
    if (rule->need < 0)
        return false;
    const struct rule *other = &rules[rule->need];
    weight_name(other, block, name);
    return rule_applies(other, config, block) && gguf_find_tensor(gguf, name) != NULL;
}

static enum weir_status refuse_missing(const struct gguf *gguf, const char *name,
                                       const uint64_t shape[3], struct weir_error *err)
{
    char expected[SHAPE_BYTES];
    print_shape(shape, 3, expected);
    return err_set(err, WEIR_ERR_FORMAT, "%s: tensor %s is missing, expected with shape %s",
                   gguf_path(gguf), name, expected);
}

/* Adds the factor of a matrix' products, if the file has one: X.scale beside X.weight. */
static enum weir_status add_scale(struct weights *weights, const struct gguf *gguf,
                                  struct weight *weight, struct weir_error *err)
{
    static const char suffix[] = "weight";
    char name[GGUF_NAME_MAX + 1];
    const size_t stem = strlen(weight->tensor->name) - (sizeof suffix - 1);
    weight->scale = WEIGHT_NONE;
    if (strcmp(weight->tensor->name + stem, suffix) != 0)
        return WEIR_OK;
    snprintf(name, sizeof name, "%.*sscale", (int)stem, weight->tensor->name);
    const struct gguf_tensor *tensor = gguf_find_tensor(gguf, name);
    if (tensor == NULL || rules[weight->role].form == FORM_VECTOR)
        return WEIR_OK;
    const struct rule scale = {.form = FORM_VECTOR};
    enum weir_status status;
    TRY(check_shape(gguf, tensor, (const uint64_t[]){weight->experts, 1, 1}, err));
    TRY(check_type(gguf, tensor, &scale, err));
    weight->scale = weights->count;
    weights->list[weights->count++] = (struct weight){.tensor = tensor,
                                                      .role = weight->role,
                                                      .layer = weight->layer,
                                                      .width = weight->experts,
                                                      .rows = 1,
                                                      .experts = 1,
                                                      .dtype = tensor->dtype,
                                                      .bytes = tensor->bytes,
                                                      .scale = WEIGHT_NONE};
out:
    return status;
}

/* Adds the weight of one role in one block, if the file has it. */
static enum weir_status add_weight(struct weights *weights, const struct config *config,
                                   const struct gguf *gguf, enum weight_role role, uint32_t block,
                                   struct weir_error *err)
{
    const struct rule *rule = &rules[role];
    char name[GGUF_NAME_MAX + 1], other[GGUF_NAME_MAX + 1];
    uint64_t shape[3] = {0};
    weight_name(rule, block, name);
    weight_shape(rule, role, config, shape);
    const struct gguf_tensor *tensor = gguf_find_tensor(gguf, name);
    const bool is_replaced = has_replacement(rule, config, gguf, block, other);
    if (tensor == NULL && (is_replaced || rule->need == NEED_OPTIONAL))
        return WEIR_OK;
    if (tensor == NULL)
        return refuse_missing(gguf, name, shape, err);
    if (is_replaced)
        return err_set(err, WEIR_ERR_FORMAT, "%s: holds tensors %s and %s, expected one of them",
                       gguf_path(gguf), name, other);
    enum weir_status status;
    TRY(check_shape(gguf, tensor, shape, err));
    TRY(check_type(gguf, tensor, rule, err));
    struct weight *weight = &weights->list[weights->count];
    weights->index[(uint64_t)block * WEIGHT_ROLES + role] = weights->count++;
    *weight = (struct weight){.tensor = tensor,
                              .role = role,
                              .layer = block,
                              .width = (uint32_t)shape[0],
                              .rows = (uint32_t)shape[1],
                              .experts = (uint32_t)shape[2],
                              .dtype = tensor->dtype,
                              .bytes = tensor->bytes};
    TRY(add_scale(weights, gguf, weight, err));
out:
    return status;
}

/* True for tensors that belong to a weight without being one: input scales of NVFP4 files, which
 * no engine applies. */
static bool is_companion(const char *name)
{
    const char *suffix = ".input_scale";
    const size_t length = strlen(name), suffix_length = strlen(suffix);
    return length > suffix_length && strcmp(name + length - suffix_length, suffix) == 0;
}

static enum weir_status refuse_extra(const struct gguf *gguf, const struct gguf_tensor *tensor,
                                     struct weir_error *err)
{
    struct span architecture = {0};
    char found[SHAPE_BYTES];
    gguf_get_text(gguf, "general.architecture", &architecture, NULL);
    print_shape(tensor->ne, GGUF_DIMS_MAX, found);
    return err_set(err, WEIR_ERR_UNSUPPORTED,
                   "%s: tensor %s of shape %s is not part of architecture %.*s, expected none of "
                   "that name",
                   gguf_path(gguf), tensor->name, found, (int)architecture.length,
                   (const char *)architecture.data);
}

/* Every tensor of the file must have found its place. */
static enum weir_status check_extra(const struct weights *weights, const struct gguf *gguf,
                                    struct weir_error *err)
{
    uint8_t *used = mem_alloc(gguf->tensor_count, 1, err);
    if (used == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < weights->count; i++)
        used[weights->list[i].tensor - gguf->tensors] = 1;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < gguf->tensor_count && status == WEIR_OK; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i];
        if (!used[i] && !is_companion(tensor->name))
            status = refuse_extra(gguf, tensor, err);
    }
    mem_free(used);
    return status;
}

enum weir_status weights_open(struct weights *out, const struct config *config,
                              const struct gguf *gguf, struct weir_error *err)
{
    struct weights weights = {.blocks = config->blocks};
    const uint64_t cells = ((uint64_t)config->blocks + 1) * WEIGHT_ROLES;
    enum weir_status status = WEIR_ERR_MEMORY;
    *out = (struct weights){0};
    weights.list = mem_alloc(2 * cells, sizeof *weights.list, err); /* each with a scale */
    weights.index = mem_alloc(cells, sizeof *weights.index, err);
    if (weights.list == NULL || weights.index == NULL)
        goto out;
    memset(weights.index, 0xff, (size_t)cells * sizeof *weights.index);
    for (uint32_t block = 0; block <= config->blocks; block++) {
        for (int role = 0; role < WEIGHT_ROLES; role++) {
            if (rule_applies(&rules[role], config, block))
                TRY(add_weight(&weights, config, gguf, (enum weight_role)role, block, err));
        }
    }
    TRY(check_extra(&weights, gguf, err));
    *out = weights;
    return WEIR_OK;
out:
    weights_close(&weights);
    return status;
}

/* True if the lower halves of all floats are 0. */
static bool is_bf16(const uint8_t *data, uint64_t bytes)
{
    for (uint64_t i = 0; i < bytes; i += sizeof(float)) {
        if (data[i] != 0 || data[i + 1] != 0)
            return false;
    }
    return true;
}

void weights_narrow(struct weights *weights, const struct gguf *gguf)
{
    /* no more than the largest router: larger matrices in F32 are a choice */
    const uint64_t bytes_max = 16 << 20;
    for (uint32_t i = 0; i < weights->count; i++) {
        struct weight *weight = &weights->list[i];
        const struct gguf_tensor *tensor = weight->tensor;
        if (rules[weight->role].form == FORM_VECTOR || weight->rows == 1 ||
            tensor->dtype != DTYPE_F32 || tensor->bytes > bytes_max || gguf->is_header ||
            !is_bf16(gguf_tensor_data(gguf, tensor), tensor->bytes))
            continue;
        weight->dtype = DTYPE_BF16;
        weight->bytes = tensor->bytes / 2;
    }
}

void weights_close(struct weights *weights)
{
    mem_free(weights->list);
    mem_free(weights->index);
    *weights = (struct weights){0};
}

uint32_t weights_find(const struct weights *weights, enum weight_role role, uint32_t layer)
{
    const uint32_t block = rules[role].where == WHERE_MODEL ? weights->blocks : layer;
    return weights->index[(uint64_t)block * WEIGHT_ROLES + role];
}

uint64_t weights_bytes(const struct weights *weights, const bool *used)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < weights->count; i++)
        bytes += used[i] ? weights->list[i].bytes : 0;
    return bytes;
}
