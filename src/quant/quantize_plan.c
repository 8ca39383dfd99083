/* SPDX-License-Identifier: MIT
 * Plans a run of the quantizer. Knows files, options and mixtures; encodes nothing. */
#include "quant/quantize_plan.h"

#include <string.h>

#include "base/cpu.h"
#include "base/mem.h"
#include "model/config.h"
#include "quant/encode.h"

enum {
    CHUNK_VALUES = 1 << 20, /* encoded at a time, if a row is not longer */
    THREADS_MAX = 1024,
    KEY_MAX = 128,
};

/* ---- options --------------------------------------------------------------------------------- */

enum weir_status quantize_find_recipe(const struct recipe **out, const char *type,
                                      struct weir_error *err)
{
    char known[WEIR_ERROR_TEXT_MAX] = "";
    size_t count;
    const struct recipe *recipes = recipe_list(&count);
    *out = recipe_find(type);
    if (*out != NULL)
        return WEIR_OK;
    for (size_t i = 0; i < count; i++) {
        const size_t used = strlen(known);
        snprintf(known + used, sizeof known - used, "%s%s", i == 0 ? "" : ", ", recipes[i].name);
    }
    return err_set(err, WEIR_ERR_ARGUMENT, "unknown type \"%s\", expected one of %s", type, known);
}

bool quantize_is_override(const char *override, struct span key)
{
    return strlen(override) > key.length && memcmp(override, key.data, key.length) == 0 &&
           override[key.length] == '=';
}

/* A type of the options; DTYPE_COUNT if none is named. */
static enum weir_status read_type(enum dtype *out, const char *name, struct weir_error *err)
{
    *out = DTYPE_COUNT;
    return name == NULL ? WEIR_OK : dtype_from_name(out, name, err);
}

static enum weir_status read_pattern(struct recipe_override *out, const char *text,
                                     struct weir_error *err)
{
    const char *equals = strrchr(text, '=');
    if (equals == NULL || equals == text)
        return err_set(err, WEIR_ERR_ARGUMENT, "tensor type \"%s\": expected PATTERN=TYPE", text);
    const enum weir_status status = dtype_from_name(&out->dtype, equals + 1, err);
    if (status != WEIR_OK)
        return status;
    char *pattern = mem_copy_text(text, (size_t)(equals - text), err);
    if (pattern == NULL)
        return WEIR_ERR_MEMORY;
    const int fault = regcomp(&out->pattern, pattern, REG_EXTENDED | REG_NOSUB);
    mem_free(pattern);
    if (fault == 0)
        return WEIR_OK;
    char reason[128];
    regerror(fault, &out->pattern, reason, sizeof reason);
    return err_set(err, fault == REG_ESPACE ? WEIR_ERR_MEMORY : WEIR_ERR_ARGUMENT,
                   "tensor type \"%s\": no regular expression: %s", text, reason);
}

/* What the options ask of the mixture; its patterns are released by patterns_release. */
struct wishes {
    struct recipe_request request;
    struct recipe_override *patterns;
    uint64_t patterns_count;
};

static void wishes_release(struct wishes *wishes)
{
    for (uint64_t i = 0; i < wishes->patterns_count; i++)
        regfree(&wishes->patterns[i].pattern);
    mem_free(wishes->patterns);
}

/* On failure, too, the wishes are to be released. */
static enum weir_status wishes_read(struct wishes *wishes, const struct quantize_plan *plan,
                                    struct weir_error *err)
{
    const struct weir_quantize_options *options = plan->options;
    struct recipe_request *request = &wishes->request;
    enum weir_status status;
    *wishes = (struct wishes){.request = {.recipe = plan->recipe,
                                          .imatrix = options->imatrix != NULL,
                                          .pure = options->pure,
                                          .keep_output = options->keep_output}};
    TRY(read_type(&request->output_type, options->output_type, err));
    TRY(read_type(&request->embedding_type, options->embedding_type, err));
    wishes->patterns = mem_alloc(options->tensor_types_count, sizeof *wishes->patterns, err);
    if (wishes->patterns == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < options->tensor_types_count; i++) {
        TRY(read_pattern(&wishes->patterns[i], options->tensor_types[i], err));
        wishes->patterns_count++;
    }
    request->overrides = wishes->patterns;
    request->overrides_count = wishes->patterns_count;
out:
    return status;
}

/* ---- the model ------------------------------------------------------------------------------- */

/* The value of a key of the architecture; of an array, the one of layer 0. */
static enum weir_status read_count(const struct gguf *gguf, const char *architecture,
                                   const char *name, uint32_t *out, struct weir_error *err)
{
    char key[KEY_MAX];
    int64_t value;
    snprintf(key, sizeof key, "%s.%s", architecture, name);
    const struct gguf_kv *kv = gguf_find(gguf, key);
    if (kv == NULL || kv->type != GGUF_ARRAY)
        return gguf_get_u32(gguf, key, out, err);
    if (kv->count == 0 || !gguf_kv_integer(kv, 0, &value) || value < 0 || value > UINT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s does not begin with an unsigned integer",
                       gguf_path(gguf), key);
    *out = (uint32_t)value;
    return WEIR_OK;
}

static enum weir_status read_model(const struct gguf *gguf, struct recipe_request *request,
                                   struct weir_error *err)
{
    const char *architecture = NULL;
    uint32_t heads = 0;
    enum weir_status status;
    TRY(config_read_architecture(&architecture, gguf, err));
    TRY(read_count(gguf, architecture, "block_count", &request->blocks, err));
    if (request->blocks == 0)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s.block_count is missing, or 0",
                       gguf_path(gguf), architecture);
    TRY(read_count(gguf, architecture, "attention.head_count", &heads, err));
    uint32_t heads_kv = heads;
    TRY(read_count(gguf, architecture, "attention.head_count_kv", &heads_kv, err));
    TRY(read_count(gguf, architecture, "expert_count", &request->experts, err));
    request->gqa = heads_kv == 0 ? 0 : heads / heads_kv;
out:
    return status;
}

/* ---- importance ------------------------------------------------------------------------------ */

static bool name_has_one(const char *name, const char *const *parts, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strstr(name, parts[i]) != NULL)
            return true;
    }
    return false;
}

/* Do the options leave the entry of this tensor? */
static bool importance_wanted(const struct weir_quantize_options *options, const char *name)
{
    if (options->include_weights_count > 0)
        return name_has_one(name, options->include_weights, options->include_weights_count);
    return !name_has_one(name, options->exclude_weights, options->exclude_weights_count);
}

static enum weir_status imatrix_open(struct quantize_plan *plan, struct weir_error *err)
{
    const struct weir_quantize_options *options = plan->options;
    const bool selects = options->include_weights_count > 0 || options->exclude_weights_count > 0;
    if (options->include_weights_count > 0 && options->exclude_weights_count > 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "weights of the importance matrix can be included or excluded, not both");
    if (selects && options->imatrix == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "weights are included or excluded without an importance matrix");
    if (options->imatrix == NULL)
        return WEIR_OK;
    const enum weir_status status = imatrix_read(&plan->imatrix, options->imatrix, err);
    if (status != WEIR_OK)
        return status;
    for (uint64_t i = 0; i < plan->imatrix.count; i++) {
        const struct imatrix_entry *entry = plan->imatrix.entries[i];
        plan->imatrix_used += importance_wanted(options, entry->name);
        plan->memory += (entry->columns * entry->matrices + entry->matrices) * sizeof(float);
    }
    return WEIR_OK;
}

static enum weir_status importance_find(const struct quantize_plan *plan,
                                        const struct recipe_item *item, struct quantize_row *row,
                                        struct weir_error *err)
{
    const struct gguf_tensor *tensor = row->tensor;
    const struct imatrix_entry *entry = importance_wanted(plan->options, tensor->name)
                                            ? imatrix_find(&plan->imatrix, tensor->name)
                                            : NULL;
    const uint64_t expected = tensor->ne[0] * tensor->ne[2];
    const uint64_t found = entry == NULL ? expected : entry->columns * entry->matrices;
    /* The activations that the rows of the embedding meet are none of its columns. */
    if (found != expected && strcmp(tensor->name, "token_embd.weight") == 0)
        entry = NULL;
    else if (found != expected)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: entry %s has %llu values, expected %llu, the columns of the tensor",
                       plan->options->imatrix, tensor->name, (unsigned long long)found,
                       (unsigned long long)expected);
    row->importance = entry;
    const bool required = recipe_needs_importance(plan->recipe, item) ||
                          encode_support(row->dtype) == ENCODE_WEIGHTED;
    if (required && entry == NULL)
        return err_set(
            err, WEIR_ERR_ARGUMENT,
            "tensor %s: type %s needs an importance matrix, and there is no entry for it",
            tensor->name, dtype_info(row->dtype)->name);
    return WEIR_OK;
}

/* ---- rows ------------------------------------------------------------------------------------ */

uint64_t quantize_chunk_rows(const struct gguf_tensor *tensor)
{
    const uint64_t rows = tensor->ne[0] < CHUNK_VALUES ? CHUNK_VALUES / tensor->ne[0] : 1;
    return rows < tensor->ne[1] ? rows : tensor->ne[1];
}

/* Checks that the tensor can be had in its new type. */
static enum weir_status row_check(const struct quantize_plan *plan, const struct recipe_item *item,
                                  struct quantize_row *row, struct weir_error *err)
{
    const struct gguf_tensor *tensor = row->tensor;
    const struct dtype_info *from = dtype_info(tensor->dtype), *to = dtype_info(row->dtype);
    const char *path = plan->gguf->splits[tensor->split].path;
    if (from->family != DTYPE_FAMILY_FLOAT && from->family != DTYPE_FAMILY_QUANT)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: tensor %s has type %s, expected a weight",
                       path, tensor->name, from->name);
    if (from->family == DTYPE_FAMILY_QUANT && !plan->options->allow_requantize)
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: tensor %s is quantized already, as %s: --allow-requantize does it once "
                       "more, and loses more",
                       path, tensor->name, from->name);
    if (encode_support(row->dtype) == ENCODE_NOT)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "tensor %s: type %s cannot be made yet",
                       tensor->name, to->name);
    return to->family == DTYPE_FAMILY_QUANT ? importance_find(plan, item, row, err) : WEIR_OK;
}

static void count_row(struct quantize_plan *plan, const struct quantize_row *row)
{
    const struct gguf_tensor *tensor = row->tensor;
    const uint64_t chunk = quantize_chunk_rows(tensor) * dtype_row_bytes(row->dtype, tensor->ne[0]);
    plan->elements += tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
    plan->bytes += row->bytes;
    if (row->dtype == tensor->dtype)
        return;
    if (tensor->ne[0] > plan->columns_max)
        plan->columns_max = tensor->ne[0];
    if (chunk > plan->chunk_bytes)
        plan->chunk_bytes = chunk;
}

static enum weir_status rows_fill(struct quantize_plan *plan, const struct recipe_item *items,
                                  struct weir_error *err)
{
    for (uint64_t i = 0; i < plan->count; i++) {
        const struct gguf_tensor *tensor = items[i].tensor;
        struct quantize_row *row = &plan->rows[i];
        const uint64_t rows = tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
        *row = (struct quantize_row){.tensor = tensor, .dtype = items[i].dtype};
        /* Q1_0 to F32 makes 28 bytes of one: only a file of exabytes could overflow. */
        row->bytes = dtype_row_bytes(row->dtype, tensor->ne[0]) * rows;
        if (row->dtype != tensor->dtype) {
            const enum weir_status status = row_check(plan, &items[i], row, err);
            if (status != WEIR_OK)
                return status;
        }
        count_row(plan, row);
    }
    return WEIR_OK;
}

/* ---- messages -------------------------------------------------------------------------------- */

static void say(const struct quantize_plan *plan, const char *line)
{
    if (plan->options->log != NULL)
        plan->options->log(plan->options->log_user, WEIR_LOG_WARNING, line);
}

static void warn(const struct quantize_plan *plan, uint64_t count, const char *what)
{
    char line[WEIR_ERROR_TEXT_MAX];
    snprintf(line, sizeof line, "warning: %llu tensors %s", (unsigned long long)count, what);
    if (count > 0)
        say(plan, line);
}

/* Without rules, and so without what could replace them. */
static bool plan_is_uniform(const struct quantize_plan *plan)
{
    return plan->options->pure || plan->recipe->dtype == DTYPE_COUNT ||
           dtype_info(plan->recipe->dtype)->family == DTYPE_FAMILY_FLOAT;
}

static void warn_of_all(const struct quantize_plan *plan, const struct recipe_item *items)
{
    uint64_t replaced = 0, unweighted = 0;
    for (uint64_t i = 0; i < plan->count; i++) {
        const struct quantize_row *row = &plan->rows[i];
        const bool is_encoded = row->dtype != row->tensor->dtype &&
                                dtype_info(row->dtype)->family == DTYPE_FAMILY_QUANT;
        replaced += items[i].replaced;
        unweighted +=
            plan->imatrix.count > 0 && items[i].layer >= 0 && is_encoded && row->importance == NULL;
    }
    if (plan->options->tensor_types_count > 0 && plan_is_uniform(plan))
        say(plan, "warning: patterns have no effect where one type is for all");
    warn(plan, replaced,
         "get a type with smaller blocks, since their rows do not fit the one meant");
    warn(plan, unweighted, "have no entry in the importance matrix");
}

static bool names_tensor(const struct recipe_override *pattern, const struct quantize_plan *plan)
{
    for (uint64_t i = 0; i < plan->count; i++) {
        if (regexec(&pattern->pattern, plan->gguf->tensors[i].name, 0, NULL, 0) == 0)
            return true;
    }
    return false;
}

static void warn_of_patterns(const struct quantize_plan *plan, const struct wishes *wishes)
{
    for (uint64_t i = 0; i < wishes->patterns_count; i++) {
        char line[WEIR_ERROR_TEXT_MAX];
        snprintf(line, sizeof line, "warning: no tensor has a name as in the pattern %s",
                 plan->options->tensor_types[i]);
        if (!names_tensor(&wishes->patterns[i], plan))
            say(plan, line);
    }
}

/* ---- the plan -------------------------------------------------------------------------------- */

static enum weir_status plan_choose(struct quantize_plan *plan, struct wishes *wishes,
                                    struct weir_error *err)
{
    enum weir_status status;
    struct recipe_item *items = mem_alloc(plan->count, sizeof *items, err);
    plan->rows = mem_alloc(plan->count, sizeof *plan->rows, err);
    if (items == NULL || plan->rows == NULL) {
        status = WEIR_ERR_MEMORY;
        goto out;
    }
    TRY(read_model(plan->gguf, &wishes->request, err));
    recipe_items(items, plan->gguf->tensors, plan->count);
    TRY(recipe_choose(&wishes->request, items, plan->count, err));
    TRY(rows_fill(plan, items, err));
    warn_of_all(plan, items);
    warn_of_patterns(plan, wishes);
out:
    mem_free(items);
    return status;
}

static enum weir_status plan_fill(struct quantize_plan *plan, const char *in, const char *type,
                                  struct wishes *wishes, struct weir_error *err)
{
    const struct weir_quantize_options *options = plan->options;
    enum weir_status status;
    TRY(quantize_find_recipe(&plan->recipe, type, err));
    if (options->threads > THREADS_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "the number of threads is %u, expected 0 to %d",
                       options->threads, THREADS_MAX);
    plan->threads = options->threads != 0 ? options->threads : cpu_cores();
    TRY(wishes_read(wishes, plan, err));
    TRY(gguf_open(&plan->gguf, in, err));
    for (uint32_t i = 0; i < options->overrides_count; i++)
        TRY(gguf_override(plan->gguf, options->overrides[i], err));
    plan->count = plan->gguf->tensor_count;
    TRY(imatrix_open(plan, err));
    TRY(plan_choose(plan, wishes, err));
    plan->memory += (plan->threads + 1) * plan->columns_max * sizeof(float) + plan->chunk_bytes;
out:
    return status;
}

enum weir_status quantize_plan_open(struct quantize_plan *plan, const char *in, const char *type,
                                    const struct weir_quantize_options *options,
                                    struct weir_error *err)
{
    struct wishes wishes = {.patterns = NULL};
    *plan = (struct quantize_plan){.options = options};
    imatrix_init(&plan->imatrix);
    const enum weir_status status = plan_fill(plan, in, type, &wishes, err);
    wishes_release(&wishes);
    if (status != WEIR_OK)
        quantize_plan_close(plan);
    return status;
}

void quantize_plan_close(struct quantize_plan *plan)
{
    mem_free(plan->rows);
    imatrix_release(&plan->imatrix);
    gguf_close(plan->gguf);
    *plan = (struct quantize_plan){.options = NULL};
}
