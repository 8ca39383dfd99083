/* SPDX-License-Identifier: MIT
 * Reads the JSON files of a checkpoint folder. Knows nothing of what the keys mean. */
#include "convert/hf_json.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"

char *hf_path(const char *folder, const char *name, struct weir_error *err)
{
    const size_t folder_length = strlen(folder), name_length = strlen(name);
    char *path = mem_alloc((uint64_t)folder_length + name_length + 2, 1, err);
    if (path == NULL)
        return NULL;
    memcpy(path, folder, folder_length);
    path[folder_length] = '/';
    memcpy(path + folder_length + 1, name, name_length);
    return path;
}

enum weir_status hf_json_parse(json_t **out, const uint8_t *data, size_t size, const char *path,
                               struct weir_error *err)
{
    json_error_t why;
    json_t *root = json_loadb((const char *)data, size, JSON_REJECT_DUPLICATES, &why);
    *out = root;
    if (root == NULL && json_error_code(&why) == json_error_out_of_memory)
        return err_set(err, WEIR_ERR_MEMORY, "%s: out of memory for JSON", path);
    if (root == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: line %d, column %d: not JSON: %s", path, why.line,
                       why.column, why.text);
    if (json_is_object(root))
        return WEIR_OK;
    json_decref(root);
    *out = NULL;
    return err_set(err, WEIR_ERR_FORMAT, "%s: expected a JSON object", path);
}

enum weir_status hf_json_read(json_t **out, const char *folder, const char *name, bool optional,
                              struct weir_error *err)
{
    *out = NULL;
    enum weir_status status = WEIR_ERR_MEMORY;
    uint8_t *data = NULL;
    size_t size;
    char *path = hf_path(folder, name, err);
    if (path == NULL)
        goto out;
    if (optional && !file_exists(path)) {
        status = WEIR_OK;
        goto out;
    }
    TRY(file_read_all(path, HF_JSON_BYTES_MAX, &data, &size, err));
    TRY(hf_json_parse(out, data, size, path, err));
out:
    mem_free(data);
    mem_free(path);
    return status;
}

struct span hf_json_text(const json_t *text)
{
    return (struct span){(const uint8_t *)json_string_value(text), json_string_length(text)};
}

/* ---- values ---------------------------------------------------------------------------------- */

const json_t *hf_find(const struct hf_source *source, const char *key)
{
    const json_t *value = json_object_get(source->first, key);
    if (value == NULL || json_is_null(value))
        value = json_object_get(source->second, key);
    return value == NULL || json_is_null(value) ? NULL : value;
}

static enum weir_status wrong_type(const struct hf_source *source, const char *key,
                                   const char *expected, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" is not %s", source->path, key, expected);
}

enum weir_status hf_get_integer(const struct hf_source *source, const char *key, int64_t low,
                                int64_t high, int64_t *out, struct weir_error *err)
{
    const json_t *value = hf_find(source, key);
    if (value == NULL)
        return WEIR_OK;
    if (!json_is_integer(value))
        return wrong_type(source, key, "a whole number", err);
    const int64_t number = json_integer_value(value);
    if (number < low || number > high)
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" is %lld, expected %lld to %lld",
                       source->path, key, (long long)number, (long long)low, (long long)high);
    *out = number;
    return WEIR_OK;
}

enum weir_status hf_get_real(const struct hf_source *source, const char *key, double low,
                             double high, double *out, struct weir_error *err)
{
    const json_t *value = hf_find(source, key);
    if (value == NULL)
        return WEIR_OK;
    if (!json_is_number(value))
        return wrong_type(source, key, "a number", err);
    const double number = json_number_value(value);
    if (!(number >= low && number <= high))
        return err_set(err, WEIR_ERR_FORMAT, "%s: \"%s\" is %g, expected %g to %g", source->path,
                       key, number, low, high);
    *out = number;
    return WEIR_OK;
}

enum weir_status hf_get_bool(const struct hf_source *source, const char *key, bool *out,
                             struct weir_error *err)
{
    const json_t *value = hf_find(source, key);
    if (value == NULL)
        return WEIR_OK;
    if (!json_is_boolean(value))
        return wrong_type(source, key, "true or false", err);
    *out = json_is_true(value);
    return WEIR_OK;
}

enum weir_status hf_get_text(const struct hf_source *source, const char *key, struct span *out,
                             struct weir_error *err)
{
    const json_t *value = hf_find(source, key);
    if (value == NULL)
        return WEIR_OK;
    if (!json_is_string(value))
        return wrong_type(source, key, "a text", err);
    *out = hf_json_text(value);
    return WEIR_OK;
}
