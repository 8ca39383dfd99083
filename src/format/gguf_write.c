/* SPDX-License-Identifier: MIT
 * Writes a GGUF file of version 3: header in memory first, then the data of the tensors in order.
 * Knows nothing of what the keys and tensors mean. */
#include "format/gguf.h"

#include <assert.h>
#include <string.h>

#include "base/mem.h"
#include "base/names.h"

enum { ALIGNMENT = GGUF_ALIGNMENT, HEADER_BYTES = 24, VERSION = 3 };

/* The encoded form of one key-value pair or tensor info. */
struct record {
    uint8_t *data;
    uint64_t length, used; /* used: bytes encoded so far */
};

struct records {
    const char *path; /* of the file, for messages */
    struct record *list;
    uint64_t count, capacity;
    uint64_t bytes;     /* of all */
    struct names names; /* to refuse duplicates */
};

struct gguf_writer {
    struct file_writer file;
    weir_write_fn *write; /* takes the bytes in place of the file; NULL: the file does */
    void *user;
    struct records kvs, infos;
    uint64_t *tensor_bytes; /* of each tensor, without padding */
    uint64_t tensor_capacity;
    uint64_t data_bytes; /* of all tensors, with padding */
    bool begun;
    uint64_t current;     /* tensor that the next byte belongs to */
    uint64_t current_put; /* its bytes that were put */
};

/* ---- records --------------------------------------------------------------------------------- */

static void record_put(struct record *record, const void *data, uint64_t bytes)
{
    assert(record->length - record->used >= bytes);
    if (bytes > 0)
        memcpy(record->data + record->used, data, (size_t)bytes);
    record->used += bytes;
}

static void record_integer(struct record *record, uint64_t value, uint32_t bytes)
{
    uint8_t encoded[8];
    for (uint32_t i = 0; i < 8; i++)
        encoded[i] = (uint8_t)(value >> (8 * i));
    record_put(record, encoded, bytes);
}

static void record_text(struct record *record, const void *data, uint64_t length)
{
    record_integer(record, length, 8);
    record_put(record, data, length);
}

/* Begins a record of `name` followed by `rest` bytes; *out is valid until the next one begins. */
static enum weir_status records_add(struct records *records, struct span name, uint64_t rest,
                                    struct record **out, struct weir_error *err)
{
    if (name.length == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: a name to be written is empty", records->path);
    enum weir_status status;
    TRY(mem_grow(&records->list, &records->capacity, records->count + 1, sizeof *records->list,
                 err));
    struct record *record = &records->list[records->count];
    *record = (struct record){.length = 8 + (uint64_t)name.length + rest};
    record->data = mem_alloc(record->length, 1, err);
    if (record->data == NULL)
        return WEIR_ERR_MEMORY;
    records->bytes += record->length;
    records->count++;
    record_text(record, name.data, name.length);
    bool added;
    TRY(names_add(&records->names, (struct span){record->data + 8, name.length}, 0, &added, err));
    if (!added)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: %.*s is to be written twice", records->path,
                       (int)(name.length < 200 ? name.length : 200), (const char *)name.data);
    *out = record;
out:
    return status;
}

static void records_release(struct records *records)
{
    for (uint64_t i = 0; i < records->count; i++)
        mem_free(records->list[i].data);
    mem_free(records->list);
    names_release(&records->names);
}

/* ---- key-value pairs ------------------------------------------------------------------------- */

static enum weir_status writer_integer(struct gguf_writer *writer, const char *key,
                                       enum gguf_type type, uint64_t value, uint32_t bytes,
                                       struct weir_error *err)
{
    assert(!writer->begun);
    struct record *record;
    const enum weir_status status =
        records_add(&writer->kvs, span_from(key), 4 + bytes, &record, err);
    if (status != WEIR_OK)
        return status;
    record_integer(record, type, 4);
    record_integer(record, value, bytes);
    return WEIR_OK;
}

enum weir_status gguf_writer_u32(struct gguf_writer *writer, const char *key, uint32_t value,
                                 struct weir_error *err)
{
    return writer_integer(writer, key, GGUF_U32, value, 4, err);
}

enum weir_status gguf_writer_u16(struct gguf_writer *writer, const char *key, uint16_t value,
                                 struct weir_error *err)
{
    return writer_integer(writer, key, GGUF_U16, value, 2, err);
}

enum weir_status gguf_writer_i32(struct gguf_writer *writer, const char *key, int32_t value,
                                 struct weir_error *err)
{
    return writer_integer(writer, key, GGUF_I32, (uint32_t)value, 4, err);
}

enum weir_status gguf_writer_f32(struct gguf_writer *writer, const char *key, float value,
                                 struct weir_error *err)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return writer_integer(writer, key, GGUF_F32, bits, 4, err);
}

enum weir_status gguf_writer_bool(struct gguf_writer *writer, const char *key, bool value,
                                  struct weir_error *err)
{
    return writer_integer(writer, key, GGUF_BOOL, value, 1, err);
}

enum weir_status gguf_writer_text(struct gguf_writer *writer, const char *key, const char *value,
                                  struct weir_error *err)
{
    assert(!writer->begun);
    const size_t length = strlen(value);
    struct record *record;
    const enum weir_status status =
        records_add(&writer->kvs, span_from(key), 4 + 8 + (uint64_t)length, &record, err);
    if (status != WEIR_OK)
        return status;
    record_integer(record, GGUF_STRING, 4);
    record_text(record, value, length);
    return WEIR_OK;
}

/* Begins an array whose elements take `bytes` in all. */
static enum weir_status writer_array(struct gguf_writer *writer, const char *key,
                                     enum gguf_type element, uint64_t count, uint64_t bytes,
                                     struct record **out, struct weir_error *err)
{
    assert(!writer->begun);
    const enum weir_status status =
        records_add(&writer->kvs, span_from(key), 4 + 4 + 8 + bytes, out, err);
    if (status != WEIR_OK)
        return status;
    record_integer(*out, GGUF_ARRAY, 4);
    record_integer(*out, element, 4);
    record_integer(*out, count, 8);
    return WEIR_OK;
}

enum weir_status gguf_writer_i32s(struct gguf_writer *writer, const char *key,
                                  const int32_t *values, uint64_t count, struct weir_error *err)
{
    struct record *record;
    const enum weir_status status =
        writer_array(writer, key, GGUF_I32, count, 4 * count, &record, err);
    if (status != WEIR_OK)
        return status;
    for (uint64_t i = 0; i < count; i++)
        record_integer(record, (uint32_t)values[i], 4);
    return WEIR_OK;
}

enum weir_status gguf_writer_texts(struct gguf_writer *writer, const char *key,
                                   const struct span *values, uint64_t count,
                                   struct weir_error *err)
{
    uint64_t bytes = 8 * count;
    for (uint64_t i = 0; i < count; i++)
        bytes += values[i].length;
    struct record *record;
    const enum weir_status status =
        writer_array(writer, key, GGUF_STRING, count, bytes, &record, err);
    if (status != WEIR_OK)
        return status;
    for (uint64_t i = 0; i < count; i++)
        record_text(record, values[i].data, values[i].length);
    return WEIR_OK;
}

enum weir_status gguf_writer_copy(struct gguf_writer *writer, const struct gguf_kv *kv,
                                  struct weir_error *err)
{
    assert(!writer->begun);
    const uint64_t before = kv->type == GGUF_ARRAY ? 4 + 8 : kv->type == GGUF_STRING ? 8 : 0;
    struct record *record;
    const enum weir_status status =
        records_add(&writer->kvs, kv->key, 4 + before + kv->data.length, &record, err);
    if (status != WEIR_OK)
        return status;
    record_integer(record, kv->type, 4);
    if (kv->type == GGUF_ARRAY) {
        record_integer(record, kv->element, 4);
        record_integer(record, kv->count, 8);
    } else if (kv->type == GGUF_STRING) {
        record_integer(record, kv->data.length, 8);
    }
    record_put(record, kv->data.data, kv->data.length);
    return WEIR_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* The bytes of a tensor; refuses a shape that a file cannot hold. */
static enum weir_status tensor_size(const char *name, enum dtype dtype, const uint64_t *ne,
                                    uint32_t dims, uint64_t *out, struct weir_error *err)
{
    const struct dtype_info *info = dtype_info(dtype);
    if (strlen(name) > GGUF_NAME_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "tensor %s: the name is longer than %d bytes", name,
                       GGUF_NAME_MAX);
    if (ne[0] % info->block != 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "tensor %s: rows of %llu elements are not a multiple of the block of %s, %u",
                       name, (unsigned long long)ne[0], info->name, info->block);
    uint64_t bytes = dtype_row_bytes(dtype, ne[0]);
    bool fits = bytes > 0;
    for (uint32_t i = 1; i < dims; i++)
        fits = fits && ne[i] > 0 && size_mul(bytes, ne[i], &bytes);
    if (!fits || bytes > INT64_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "tensor %s: empty, or too large", name);
    *out = bytes;
    return WEIR_OK;
}

enum weir_status gguf_writer_tensor(struct gguf_writer *writer, const char *name, enum dtype dtype,
                                    const uint64_t *ne, uint32_t dims, struct weir_error *err)
{
    assert(!writer->begun);
    assert(dims >= 1 && dims <= GGUF_DIMS_MAX);
    while (dims > 1 && ne[dims - 1] == 1)
        dims--;
    struct records *infos = &writer->infos;
    struct record *record;
    uint64_t bytes = 0, data_bytes;
    enum weir_status status;
    TRY(tensor_size(name, dtype, ne, dims, &bytes, err));
    if (!size_add(writer->data_bytes, size_align(bytes, ALIGNMENT), &data_bytes) ||
        data_bytes > INT64_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "tensor %s: the file becomes too large", name);
    TRY(mem_grow(&writer->tensor_bytes, &writer->tensor_capacity, infos->count + 1,
                 sizeof *writer->tensor_bytes, err));
    TRY(records_add(infos, span_from(name), 4 + 8 * (uint64_t)dims + 4 + 8, &record, err));
    record_integer(record, dims, 4);
    for (uint32_t i = 0; i < dims; i++)
        record_integer(record, ne[i], 8);
    record_integer(record, dtype_info(dtype)->gguf_id, 4);
    record_integer(record, writer->data_bytes, 8);
    writer->tensor_bytes[infos->count - 1] = bytes;
    writer->data_bytes = data_bytes;
out:
    return status;
}

/* ---- the file -------------------------------------------------------------------------------- */

enum weir_status gguf_writer_open(struct gguf_writer **out, const char *path,
                                  struct weir_error *err)
{
    *out = NULL;
    struct gguf_writer *writer = mem_alloc(1, sizeof *writer, err);
    if (writer == NULL)
        return WEIR_ERR_MEMORY;
    const enum weir_status status =
        path == NULL ? WEIR_OK : file_writer_open(&writer->file, path, err);
    if (status != WEIR_OK) {
        mem_free(writer);
        return status;
    }
    writer->kvs.path = writer->infos.path = path == NULL ? "no file" : writer->file.path;
    *out = writer;
    return WEIR_OK;
}

void gguf_writer_send(struct gguf_writer *writer, weir_write_fn *write, void *user)
{
    assert(writer->file.stream == NULL);
    writer->write = write;
    writer->user = user;
}

void gguf_writer_close(struct gguf_writer *writer)
{
    if (writer == NULL)
        return;
    file_writer_abandon(&writer->file);
    records_release(&writer->kvs);
    records_release(&writer->infos);
    mem_free(writer->tensor_bytes);
    mem_free(writer);
}

static uint64_t writer_header_bytes(const struct gguf_writer *writer)
{
    return HEADER_BYTES + writer->kvs.bytes + writer->infos.bytes;
}

uint64_t gguf_writer_size(const struct gguf_writer *writer)
{
    return size_align(writer_header_bytes(writer), ALIGNMENT) + writer->data_bytes;
}

static enum weir_status writer_emit(struct gguf_writer *writer, const void *data, uint64_t bytes,
                                    struct weir_error *err)
{
    if (writer->write == NULL)
        return file_writer_put(&writer->file, data, bytes, err);
    writer->write(writer->user, data, (size_t)bytes);
    return WEIR_OK;
}

/* Writes zeros up to the next multiple of the alignment after `position`. */
static enum weir_status writer_pad(struct gguf_writer *writer, uint64_t position,
                                   struct weir_error *err)
{
    static const uint8_t zeros[ALIGNMENT];
    return writer_emit(writer, zeros, size_align(position, ALIGNMENT) - position, err);
}

static enum weir_status writer_records(struct gguf_writer *writer, const struct records *records,
                                       struct weir_error *err)
{
    for (uint64_t i = 0; i < records->count; i++) {
        const struct record *record = &records->list[i];
        assert(record->used == record->length);
        const enum weir_status status = writer_emit(writer, record->data, record->length, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

enum weir_status gguf_writer_begin(struct gguf_writer *writer, struct weir_error *err)
{
    assert(!writer->begun);
    assert(writer->file.stream != NULL || writer->write != NULL);
    uint8_t bytes[HEADER_BYTES];
    struct record header = {.data = bytes, .length = sizeof bytes};
    record_put(&header, "GGUF", 4);
    record_integer(&header, VERSION, 4);
    record_integer(&header, writer->infos.count, 8);
    record_integer(&header, writer->kvs.count, 8);
    enum weir_status status;
    TRY(writer_emit(writer, bytes, sizeof bytes, err));
    TRY(writer_records(writer, &writer->kvs, err));
    TRY(writer_records(writer, &writer->infos, err));
    TRY(writer_pad(writer, writer_header_bytes(writer), err));
    writer->begun = true;
out:
    return status;
}

enum weir_status gguf_writer_put(struct gguf_writer *writer, const void *data, uint64_t bytes,
                                 struct weir_error *err)
{
    assert(writer->begun);
    const uint8_t *from = data;
    enum weir_status status = WEIR_OK;
    while (bytes > 0) {
        if (writer->current == writer->infos.count)
            return err_set(err, WEIR_ERR_ARGUMENT, "%s: more data than the tensors take",
                           writer->file.path);
        const uint64_t size = writer->tensor_bytes[writer->current];
        const uint64_t left = size - writer->current_put;
        const uint64_t part = bytes < left ? bytes : left;
        TRY(writer_emit(writer, from, part, err));
        from += part;
        bytes -= part;
        writer->current_put += part;
        if (part == left) {
            TRY(writer_pad(writer, size, err));
            writer->current++;
            writer->current_put = 0;
        }
    }
out:
    return status;
}

enum weir_status gguf_writer_finish(struct gguf_writer *writer, struct weir_error *err)
{
    assert(writer->begun);
    if (writer->current < writer->infos.count)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: data of %llu of %llu tensors were written",
                       writer->file.path, (unsigned long long)writer->current,
                       (unsigned long long)writer->infos.count);
    return file_writer_finish(&writer->file, err);
}

enum weir_status gguf_writer_publish(struct gguf_writer *writer, struct weir_error *err)
{
    return file_writer_publish(&writer->file, err);
}

enum weir_status gguf_writer_commit(struct gguf_writer *writer, struct weir_error *err)
{
    const enum weir_status status = gguf_writer_finish(writer, err);
    return status == WEIR_OK ? gguf_writer_publish(writer, err) : status;
}
