/* SPDX-License-Identifier: MIT
 * Reads files of weir.profile/1. What comes from them is checked before it is kept. */
#include "app/profile_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

/* ---- costs ----------------------------------------------------------------------------------- */

struct cost cost_none(void)
{
    return (struct cost){.has_times = true, .has_interval = true, .has_instructions = true};
}

bool cost_add(struct cost *sum, const struct cost *op)
{
    sum->has_times &= op->has_times;
    sum->has_interval &= op->has_interval;
    sum->has_instructions &= op->has_instructions;
    return size_add(sum->read, op->read, &sum->read) &&
           size_add(sum->written, op->written, &sum->written) &&
           size_add(sum->ns, op->ns, &sum->ns) && size_add(sum->ns_low, op->ns_low, &sum->ns_low) &&
           size_add(sum->ns_high, op->ns_high, &sum->ns_high) &&
           size_add(sum->instructions, op->instructions, &sum->instructions);
}

/* ---- fields ---------------------------------------------------------------------------------- */

/* An object of the file, and what messages call it. */
struct place {
    const json_t *object;
    const char *path;
    int64_t step, op; /* -1: of none */
};

static enum weir_status refuse(const struct place *place, const char *key, const char *expected,
                               struct weir_error *err)
{
    char where[64] = "";
    if (place->op >= 0)
        snprintf(where, sizeof where, "step %lld, op %lld: ", (long long)place->step + 1,
                 (long long)place->op + 1);
    else if (place->step >= 0)
        snprintf(where, sizeof where, "step %lld: ", (long long)place->step + 1);
    return err_set(err, WEIR_ERR_FORMAT, "%s: %s\"%s\" is not %s", place->path, where, key,
                   expected);
}

/* A missing or null field leaves *out as it is, unless it is required. */
static enum weir_status get_integer(const struct place *place, const char *key, bool is_required,
                                    int64_t high, int64_t *out, struct weir_error *err)
{
    char expected[64];
    const json_t *value = json_object_get(place->object, key);
    if (!is_required && (value == NULL || json_is_null(value)))
        return WEIR_OK;
    snprintf(expected, sizeof expected, "a whole number from 0 to %lld", (long long)high);
    if (!json_is_integer(value) || json_integer_value(value) < 0 ||
        json_integer_value(value) > high)
        return refuse(place, key, expected, err);
    *out = json_integer_value(value);
    return WEIR_OK;
}

static enum weir_status get_bytes(const struct place *place, const char *key, uint64_t *out,
                                  struct weir_error *err)
{
    int64_t bytes = 0;
    const enum weir_status status = get_integer(place, key, true, INT64_MAX, &bytes, err);
    *out = (uint64_t)bytes;
    return status;
}

/* Milliseconds as nanoseconds, of which they have whole ones. */
static enum weir_status get_ms(const struct place *place, const char *key, uint64_t *out,
                               bool *is_there, struct weir_error *err)
{
    const json_t *value = json_object_get(place->object, key);
    *is_there = value != NULL && !json_is_null(value);
    if (!*is_there)
        return WEIR_OK;
    const double ms = json_number_value(value);
    if (!json_is_number(value) || !(ms >= 0 && ms <= 1e12))
        return refuse(place, key, "a number from 0 to 1e12, or null", err);
    *out = (uint64_t)(ms * 1e6 + 0.5);
    return WEIR_OK;
}

/* A text that stands in a line of output. */
static enum weir_status get_name(const struct place *place, const char *key, const char **out,
                                 struct weir_error *err)
{
    const json_t *value = json_object_get(place->object, key);
    const char *text = json_string_value(value);
    const size_t length = text == NULL ? 0 : json_string_length(value);
    bool is_name = length > 0 && length <= PROFILE_FILE_NAME_MAX;
    for (size_t i = 0; is_name && i < length; i++)
        is_name = text[i] > ' ' && text[i] < 0x7f && strchr("\",;\\", text[i]) == NULL;
    if (!is_name)
        return refuse(place, key, "a name", err);
    *out = text;
    return WEIR_OK;
}

static enum weir_status get_times(const struct place *place, struct cost *cost,
                                  struct weir_error *err)
{
    bool has_low = false, has_high = false;
    enum weir_status status;
    TRY(get_ms(place, "ms", &cost->ns, &cost->has_times, err));
    TRY(get_ms(place, "ms_low", &cost->ns_low, &has_low, err));
    TRY(get_ms(place, "ms_high", &cost->ns_high, &has_high, err));
    if (has_low != has_high || (has_low && !cost->has_times) || cost->ns_low > cost->ns_high)
        status = refuse(place, "ms_low", "the lower end of an interval up to \"ms_high\"", err);
    cost->has_interval = has_low;
out:
    return status;
}

/* ---- ops ------------------------------------------------------------------------------------- */

static enum weir_status parse_op(struct file_op *op, const struct place *place, bool is_behind,
                                 struct weir_error *err)
{
    int64_t layer = is_behind ? LAYER_BEHIND : LAYER_BEFORE, instructions = -1;
    enum weir_status status;
    if (!json_is_object(place->object))
        return refuse(place, "ops", "made of objects", err);
    TRY(get_name(place, "kind", &op->kind, err));
    TRY(get_name(place, "role", &op->role, err));
    TRY(get_integer(place, "layer", false, UINT16_MAX, &layer, err));
    TRY(get_bytes(place, "read_bytes", &op->cost.read, err));
    TRY(get_bytes(place, "write_bytes", &op->cost.written, err));
    TRY(get_times(place, &op->cost, err));
    TRY(get_integer(place, "instructions", false, INT64_MAX, &instructions, err));
    op->layer = (int32_t)layer;
    op->cost.has_instructions = instructions >= 0;
    op->cost.instructions = instructions >= 0 ? (uint64_t)instructions : 0;
out:
    return status;
}

static int compare_names(const struct file_op *a, const struct file_op *b)
{
    const int kind = strcmp(a->kind, b->kind), role = strcmp(a->role, b->role);
    const int layer = (a->layer > b->layer) - (a->layer < b->layer);
    return layer != 0 ? layer : kind != 0 ? kind : role;
}

/* By name, then by place. */
static int compare_ops(const void *left, const void *right)
{
    const struct file_op *const *a = left, *const *b = right;
    const int order = compare_names(*a, *b);
    return order != 0 ? order : (*a > *b) - (*a < *b);
}

static enum weir_status number_ops(struct file_step *step, struct weir_error *err)
{
    struct file_op **sorted = mem_alloc(step->op_count, sizeof *sorted, err);
    if (sorted == NULL)
        return WEIR_ERR_MEMORY;
    for (uint32_t i = 0; i < step->op_count; i++)
        sorted[i] = &step->ops[i];
    qsort(sorted, step->op_count, sizeof *sorted, compare_ops);
    for (uint32_t i = 0; i < step->op_count; i++) {
        const bool is_again = i > 0 && compare_names(sorted[i - 1], sorted[i]) == 0;
        sorted[i]->number = is_again ? sorted[i - 1]->number + 1 : 1;
    }
    mem_free(sorted);
    return WEIR_OK;
}

/* All but the times, which a step has of its own. */
static enum weir_status sum_ops(struct file_step *step, const struct place *place,
                                struct weir_error *err)
{
    const struct cost own = step->cost;
    uint64_t bytes;
    bool fits = true;
    step->cost = cost_none();
    for (uint32_t i = 0; i < step->op_count && fits; i++)
        fits = cost_add(&step->cost, &step->ops[i].cost);
    if (!fits || !size_add(step->cost.read, step->cost.written, &bytes))
        return refuse(place, "ops", "with sums of at most 64 bits", err);
    if (own.has_times && !step->cost.has_times)
        return refuse(place, "ms", "null, as that of an op", err);
    step->cost.has_times = own.has_times;
    step->cost.has_interval = own.has_interval;
    step->cost.ns = own.ns;
    step->cost.ns_low = own.ns_low;
    step->cost.ns_high = own.ns_high;
    return WEIR_OK;
}

static enum weir_status parse_ops(struct file_step *step, const struct place *place,
                                  struct weir_error *err)
{
    const json_t *ops = json_object_get(place->object, "ops");
    const size_t count = json_array_size(ops);
    bool is_behind = false;
    enum weir_status status = WEIR_OK;
    if (!json_is_array(ops) || count == 0)
        return refuse(place, "ops", "an array with ops", err);
    step->ops = mem_alloc(count, sizeof *step->ops, err);
    if (step->ops == NULL)
        return WEIR_ERR_MEMORY;
    step->op_count = (uint32_t)count; /* the file's size bounds it */
    for (uint32_t i = 0; i < step->op_count; i++) {
        const struct place at = {json_array_get(ops, i), place->path, place->step, i};
        TRY(parse_op(&step->ops[i], &at, is_behind, err));
        is_behind |= step->ops[i].layer >= 0;
    }
    TRY(sum_ops(step, place, err));
    TRY(number_ops(step, err));
out:
    return status;
}

/* ---- steps ----------------------------------------------------------------------------------- */

static void drop_interval(struct cost *cost)
{
    cost->has_interval = false;
    cost->ns_low = cost->ns_high = 0;
}

static void drop_intervals(struct file_step *step)
{
    drop_interval(&step->cost);
    for (uint32_t i = 0; i < step->op_count; i++)
        drop_interval(&step->ops[i].cost);
}

static enum weir_status parse_step(struct file_step *step, const struct place *place,
                                   struct weir_error *err)
{
    const json_t *mode = json_object_get(place->object, "mode");
    int64_t context = 0, runs = PROFILE_FILE_RUNS_MIN;
    enum weir_status status;
    if (!json_is_object(place->object))
        return refuse(place, "steps", "made of objects", err);
    step->rows = step->sequences = step->threads = -1;
    TRY(get_integer(place, "context", true, UINT32_MAX, &context, err));
    TRY(get_integer(place, "rows", false, UINT32_MAX, &step->rows, err));
    TRY(get_integer(place, "sequences", false, UINT32_MAX, &step->sequences, err));
    TRY(get_integer(place, "threads", false, UINT32_MAX, &step->threads, err));
    TRY(get_integer(place, "runs", false, UINT32_MAX, &runs, err));
    if (mode != NULL && !json_is_null(mode))
        TRY(get_name(place, "mode", &step->mode, err));
    TRY(get_times(place, &step->cost, err));
    TRY(parse_ops(step, place, err));
    if (runs < PROFILE_FILE_RUNS_MIN)
        drop_intervals(step);
    step->context = (uint32_t)context;
out:
    return status;
}

static enum weir_status parse_steps(struct profile_file *file, const struct place *place,
                                    struct weir_error *err)
{
    const json_t *steps = json_object_get(place->object, "steps");
    const size_t count = json_array_size(steps);
    enum weir_status status = WEIR_OK;
    char expected[64];
    snprintf(expected, sizeof expected, "an array of 1 to %d steps", PROFILE_FILE_STEPS_MAX);
    if (!json_is_array(steps) || count == 0 || count > PROFILE_FILE_STEPS_MAX)
        return refuse(place, "steps", expected, err);
    file->steps = mem_alloc(count, sizeof *file->steps, err);
    if (file->steps == NULL)
        return WEIR_ERR_MEMORY;
    file->step_count = (uint32_t)count;
    for (uint32_t i = 0; i < file->step_count; i++) {
        const struct place at = {json_array_get(steps, i), place->path, i, -1};
        TRY(parse_step(&file->steps[i], &at, err));
    }
out:
    return status;
}

/* As messages are printed: a text that would be cleaned is none. */
static bool is_line(const json_t *value)
{
    char cleaned[PROFILE_FILE_MODEL_MAX + 1];
    const size_t length = json_string_length(value);
    if (!json_is_string(value) || length > PROFILE_FILE_MODEL_MAX)
        return false;
    memcpy(cleaned, json_string_value(value), length + 1);
    text_clean(cleaned);
    return strcmp(cleaned, json_string_value(value)) == 0;
}

static enum weir_status parse_head(struct profile_file *file, const struct place *place,
                                   struct weir_error *err)
{
    const char *schema = json_string_value(json_object_get(place->object, "schema"));
    const json_t *model = json_object_get(place->object, "model");
    if (schema == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: is not a file of weir profile -o json",
                       place->path);
    if (strcmp(schema, PROFILE_SCHEMA) != 0)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: is of the schema \"%.63s\", expected %s",
                       place->path, schema, PROFILE_SCHEMA);
    file->model = json_string_value(model);
    char expected[64];
    snprintf(expected, sizeof expected, "a line of up to %d bytes", PROFILE_FILE_MODEL_MAX);
    return is_line(model) ? WEIR_OK : refuse(place, "model", expected, err);
}

/* ---- files ----------------------------------------------------------------------------------- */

static enum weir_status load(json_t **out, const uint8_t *data, size_t size, const char *path,
                             struct weir_error *err)
{
    json_error_t why;
    *out = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &why);
    if (*out == NULL && json_error_code(&why) == json_error_out_of_memory)
        return err_set(err, WEIR_ERR_MEMORY, "%s: out of memory for JSON", path);
    if (*out == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: line %d, column %d: not JSON: %s", path, why.line,
                       why.column, why.text);
    return WEIR_OK;
}

enum weir_status profile_file_parse(struct profile_file *file, const uint8_t *data, size_t size,
                                    const char *path, struct weir_error *err)
{
    enum weir_status status;
    file->path = path;
    TRY(load(&file->root, data, size, path, err));
    const struct place place = {file->root, path, -1, -1};
    TRY(parse_head(file, &place, err));
    TRY(parse_steps(file, &place, err));
out:
    return status;
}

enum weir_status profile_file_open(struct profile_file *file, const char *path,
                                   struct weir_error *err)
{
    uint8_t *data = NULL;
    size_t size;
    enum weir_status status = file_read_all(path, PROFILE_FILE_BYTES_MAX, &data, &size, err);
    if (status == WEIR_OK)
        status = profile_file_parse(file, data, size, path, err);
    mem_free(data);
    return status;
}

void profile_file_close(struct profile_file *file)
{
    for (uint32_t i = 0; i < file->step_count; i++)
        mem_free(file->steps[i].ops);
    mem_free(file->steps);
    json_decref(file->root);
    *file = (struct profile_file){.path = NULL};
}
