/* SPDX-License-Identifier: MIT
 * Parses the headers of safetensors files. Knows no model. */
#include "convert/safetensors.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "convert/hf_json.h"

enum { LENGTH_BYTES = 8 };

/* The element types of the format. Those that are none of ours may belong to tensors that nobody
 * reads; a name that is not here has unknown bytes and only its place is checked. */
static const struct element {
    const char *name;
    uint32_t bits;
    enum dtype dtype;
} elements[] = {
    {"F32", 32, DTYPE_F32},          {"F16", 16, DTYPE_F16},          {"BF16", 16, DTYPE_BF16},
    {"F64", 64, DTYPE_COUNT},        {"I64", 64, DTYPE_COUNT},        {"I32", 32, DTYPE_COUNT},
    {"I16", 16, DTYPE_COUNT},        {"I8", 8, DTYPE_COUNT},          {"U64", 64, DTYPE_COUNT},
    {"U32", 32, DTYPE_COUNT},        {"U16", 16, DTYPE_COUNT},        {"U8", 8, DTYPE_COUNT},
    {"BOOL", 8, DTYPE_COUNT},        {"F8_E4M3", 8, DTYPE_COUNT},     {"F8_E5M2", 8, DTYPE_COUNT},
    {"F8_E8M0", 8, DTYPE_COUNT},     {"F8_E4M3FNUZ", 8, DTYPE_COUNT}, {"C64", 64, DTYPE_COUNT},
    {"F8_E5M2FNUZ", 8, DTYPE_COUNT}, {"F4", 4, DTYPE_COUNT},
};

/* ---- one tensor ------------------------------------------------------------------------------ */

/* Where the entry of a tensor stands, for messages. */
struct place {
    const char *path, *name;
};

static enum weir_status malformed(struct place place, const char *what, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_FORMAT, "%s: tensor %s: %s", place.path, place.name, what);
}

static enum weir_status read_dtype(struct safetensors_tensor *tensor, const json_t *entry,
                                   struct place place, uint32_t *bits, struct weir_error *err)
{
    const char *name = json_string_value(json_object_get(entry, "dtype"));
    if (name == NULL || name[0] == 0 || strlen(name) > SAFETENSORS_DTYPE_MAX)
        return malformed(place, "\"dtype\" is not the name of a type", err);
    snprintf(tensor->dtype_name, sizeof tensor->dtype_name, "%s", name);
    tensor->dtype = DTYPE_COUNT;
    *bits = 0;
    for (size_t i = 0; i < sizeof elements / sizeof elements[0]; i++) {
        if (strcmp(elements[i].name, name) == 0) {
            tensor->dtype = elements[i].dtype;
            *bits = elements[i].bits;
        }
    }
    return WEIR_OK;
}

/* The shape, and the bits of the whole tensor from those of an element. */
static enum weir_status read_shape(struct safetensors_tensor *tensor, const json_t *entry,
                                   struct place place, uint64_t *bits, struct weir_error *err)
{
    const json_t *shape = json_object_get(entry, "shape");
    const size_t dims = json_array_size(shape);
    if (!json_is_array(shape) || dims > SAFETENSORS_DIMS_MAX)
        return malformed(place, "\"shape\" is not a list of at most 8 sizes", err);
    for (size_t i = 0; i < dims; i++) {
        const json_t *size = json_array_get(shape, i);
        if (!json_is_integer(size) || json_integer_value(size) < 0)
            return malformed(place, "\"shape\" holds something that is no size", err);
        tensor->shape[i] = (uint64_t)json_integer_value(size);
        if (!size_mul(*bits, tensor->shape[i], bits))
            return malformed(place, "the shape is too large", err);
    }
    tensor->dims = (uint32_t)dims;
    return WEIR_OK;
}

static enum weir_status read_place(struct safetensors_tensor *tensor, const json_t *entry,
                                   struct place place, uint64_t data_bytes, struct weir_error *err)
{
    const json_t *offsets = json_object_get(entry, "data_offsets");
    const json_t *begin = json_array_get(offsets, 0), *end = json_array_get(offsets, 1);
    if (json_array_size(offsets) != 2 || !json_is_integer(begin) || !json_is_integer(end))
        return malformed(place, "\"data_offsets\" is not a list of two numbers", err);
    const int64_t from = json_integer_value(begin), to = json_integer_value(end);
    if (from < 0 || to < from || (uint64_t)to > data_bytes)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: tensor %s: its data is at %lld to %lld, the file has %llu bytes of it",
                       place.path, place.name, (long long)from, (long long)to,
                       (unsigned long long)data_bytes);
    tensor->offset = (uint64_t)from;
    tensor->bytes = (uint64_t)(to - from);
    return WEIR_OK;
}

static enum weir_status read_tensor(struct safetensors_tensor *tensor, const json_t *entry,
                                    uint64_t data_bytes, const char *path, struct weir_error *err)
{
    const struct place place = {path, tensor->name};
    uint32_t element_bits = 0;
    enum weir_status status;
    TRY(read_dtype(tensor, entry, place, &element_bits, err));
    uint64_t bits = element_bits;
    TRY(read_shape(tensor, entry, place, &bits, err));
    TRY(read_place(tensor, entry, place, data_bytes, err));
    if (element_bits != 0 && (bits % 8 != 0 || bits / 8 != tensor->bytes))
        status = err_set(err, WEIR_ERR_FORMAT,
                         "%s: tensor %s: the shape takes %llu bytes of %s, the data has %llu", path,
                         place.name, (unsigned long long)(bits / 8), tensor->dtype_name,
                         (unsigned long long)tensor->bytes);
out:
    return status;
}

/* ---- a header -------------------------------------------------------------------------------- */

static bool is_tensor(const char *key)
{
    return strcmp(key, "__metadata__") != 0;
}

/* Room for all tensors and their names. */
static enum weir_status list_alloc(struct safetensors *file, json_t *root, struct weir_error *err)
{
    uint64_t count = 0, bytes = 0;
    const char *key;
    json_t *entry;
    json_object_foreach(root, key, entry)
    {
        count += is_tensor(key);
        bytes += is_tensor(key) ? (uint64_t)strlen(key) + 1 : 0;
    }
    file->tensors = mem_alloc(count, sizeof *file->tensors, err);
    file->names = mem_alloc(bytes, 1, err);
    return file->tensors == NULL || file->names == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static enum weir_status list_fill(struct safetensors *file, json_t *root, uint64_t data_bytes,
                                  const char *path, struct weir_error *err)
{
    char *name = file->names;
    const char *key;
    json_t *entry;
    json_object_foreach(root, key, entry)
    {
        if (!is_tensor(key))
            continue;
        const size_t bytes = strlen(key) + 1;
        memcpy(name, key, bytes);
        struct safetensors_tensor *tensor = &file->tensors[file->count++];
        tensor->name = name;
        name += bytes;
        const enum weir_status status = read_tensor(tensor, entry, data_bytes, path, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* By offset; tensors without data before the one that begins at the same place. */
static int tensor_compare(const void *a_pointer, const void *b_pointer)
{
    const struct safetensors_tensor *a = a_pointer, *b = b_pointer;
    if (a->offset != b->offset)
        return a->offset < b->offset ? -1 : 1;
    if (a->bytes != b->bytes)
        return a->bytes < b->bytes ? -1 : 1;
    return strcmp(a->name, b->name);
}

static enum weir_status list_check(struct safetensors *file, const char *path,
                                   struct weir_error *err)
{
    if (file->count > 0)
        qsort(file->tensors, file->count, sizeof *file->tensors, tensor_compare);
    for (uint64_t i = 1; i < file->count; i++) {
        const struct safetensors_tensor *a = &file->tensors[i - 1], *b = &file->tensors[i];
        if (a->offset + a->bytes > b->offset)
            return err_set(err, WEIR_ERR_FORMAT, "%s: tensors %s and %s overlap", path, a->name,
                           b->name);
    }
    return WEIR_OK;
}

enum weir_status safetensors_parse(struct safetensors *out, const uint8_t *header,
                                   size_t header_bytes, uint64_t data_bytes, const char *path,
                                   struct weir_error *err)
{
    struct safetensors file = {0};
    json_t *root = NULL;
    enum weir_status status;
    TRY(hf_json_parse(&root, header, header_bytes, path, err));
    TRY(list_alloc(&file, root, err));
    TRY(list_fill(&file, root, data_bytes, path, err));
    TRY(list_check(&file, path, err));
    for (uint64_t i = 0; i < file.count; i++)
        file.tensors[i].offset += LENGTH_BYTES + header_bytes;
    *out = file;
out:
    json_decref(root);
    if (status != WEIR_OK)
        safetensors_release(&file);
    return status;
}

enum weir_status safetensors_read(struct safetensors *out, const struct file_reader *file,
                                  struct weir_error *err)
{
    *out = (struct safetensors){0};
    uint64_t length;
    if (file->size < LENGTH_BYTES)
        return err_set(err, WEIR_ERR_FORMAT, "%s: %llu bytes are no safetensors file", file->path,
                       (unsigned long long)file->size);
    enum weir_status status = file_reader_at(file, 0, &length, sizeof length, err);
    if (status != WEIR_OK)
        return status;
    length = le64toh(length);
    const uint64_t rest = file->size - LENGTH_BYTES;
    if (length > SAFETENSORS_HEADER_MAX || length > rest)
        return err_set(
            err, WEIR_ERR_FORMAT, "%s: the header has %llu bytes, expected at most %llu",
            file->path, (unsigned long long)length,
            (unsigned long long)(rest < SAFETENSORS_HEADER_MAX ? rest : SAFETENSORS_HEADER_MAX));
    uint8_t *header = mem_alloc(length, 1, err);
    if (header == NULL)
        return WEIR_ERR_MEMORY;
    TRY(file_reader_at(file, LENGTH_BYTES, header, length, err));
    TRY(safetensors_parse(out, header, (size_t)length, rest - length, file->path, err));
out:
    mem_free(header);
    return status;
}

void safetensors_release(struct safetensors *file)
{
    mem_free(file->tensors);
    mem_free(file->names);
    *file = (struct safetensors){0};
}
