/* SPDX-License-Identifier: MIT
 * GGUF files taken apart and put together. Knows no model. */
#include "edited_model.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "format/codec.h"
#include "quant/encode.h"
#include "test.h"

static uint64_t elements_of(const struct edited_tensor *tensor)
{
    return tensor->ne[0] * tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
}

static uint64_t bytes_of(const struct edited_tensor *tensor)
{
    return dtype_row_bytes(tensor->dtype, elements_of(tensor));
}

struct edited_model *edited_open(const char *path)
{
    struct weir_error err = {0};
    struct edited_model *model = calloc(1, sizeof *model);
    CHECK(model != NULL);
    CHECK_OK(gguf_open(&model->gguf, path, &err), &err);
    CHECK(model->gguf->tensor_count < EDITED_TENSORS_MAX);
    for (uint64_t i = 0; i < model->gguf->tensor_count; i++) {
        const struct gguf_tensor *from = &model->gguf->tensors[i];
        struct edited_tensor *to = &model->tensors[model->count++];
        memcpy(to->name, from->name, sizeof to->name);
        memcpy(to->ne, from->ne, sizeof to->ne);
        to->dtype = from->dtype;
        to->dims = from->dims;
        to->bytes = from->bytes;
        to->data = malloc(to->bytes);
        CHECK(to->data != NULL);
        memcpy(to->data, gguf_tensor_data(model->gguf, from), to->bytes);
    }
    return model;
}

void edited_close(struct edited_model *model)
{
    for (uint32_t i = 0; i < model->count; i++)
        free(model->tensors[i].data);
    gguf_close(model->gguf);
    free(model);
}

/* ---- tensors --------------------------------------------------------------------------------- */

static struct edited_tensor *find(const struct edited_model *model, const char *name)
{
    for (uint32_t i = 0; i < model->count; i++) {
        if (strcmp(model->tensors[i].name, name) == 0)
            return (struct edited_tensor *)(uintptr_t)&model->tensors[i];
    }
    return NULL;
}

struct edited_tensor *edited_find(struct edited_model *model, const char *format, ...)
{
    char name[GGUF_NAME_MAX + 1];
    va_list args;
    va_start(args, format);
    vsnprintf(name, sizeof name, format, args);
    va_end(args);
    struct edited_tensor *tensor = find(model, name);
    if (tensor == NULL)
        test_fail(__FILE__, __LINE__, "no tensor %s", name);
    return tensor;
}

bool edited_has(const struct edited_model *model, const char *name)
{
    return find(model, name) != NULL;
}

float *edited_floats(struct edited_tensor *tensor)
{
    CHECK(tensor->dtype == DTYPE_F32);
    return (float *)(void *)tensor->data;
}

struct edited_tensor *edited_put(struct edited_model *model, const char *name, uint64_t ne0,
                                 uint64_t ne1, uint64_t ne2)
{
    struct edited_tensor *tensor = find(model, name);
    if (tensor == NULL) {
        CHECK(model->count < EDITED_TENSORS_MAX);
        tensor = &model->tensors[model->count++];
        *tensor = (struct edited_tensor){0};
        snprintf(tensor->name, sizeof tensor->name, "%s", name);
    }
    free(tensor->data);
    tensor->dtype = DTYPE_F32;
    memcpy(tensor->ne, (const uint64_t[]){ne0, ne1, ne2, 1}, sizeof tensor->ne);
    tensor->dims = ne2 > 1 ? 3 : ne1 > 1 ? 2 : 1;
    tensor->bytes = bytes_of(tensor);
    tensor->data = calloc(1, tensor->bytes);
    CHECK(tensor->data != NULL);
    return tensor;
}

void edited_drop(struct edited_model *model, const char *name)
{
    struct edited_tensor *tensor = edited_find(model, "%s", name);
    const uint32_t at = (uint32_t)(tensor - model->tensors);
    free(tensor->data);
    memmove(tensor, tensor + 1, (--model->count - at) * sizeof *tensor);
}

void edited_rename(struct edited_model *model, const char *from, const char *to)
{
    struct edited_tensor *tensor = edited_find(model, "%s", from);
    snprintf(tensor->name, sizeof tensor->name, "%s", to);
}

void edited_convert(struct edited_tensor *tensor, enum dtype dtype)
{
    const float *floats = edited_floats(tensor);
    uint8_t *data = malloc(dtype_row_bytes(dtype, elements_of(tensor)));
    CHECK(data != NULL);
    codec_encode_floats(dtype, floats, data, elements_of(tensor));
    free(tensor->data);
    tensor->data = data;
    tensor->dtype = dtype;
    tensor->bytes = bytes_of(tensor);
}

void edited_encode(struct edited_tensor *tensor, enum dtype dtype)
{
    const float *floats = edited_floats(tensor);
    const uint64_t width = tensor->ne[0], row_bytes = dtype_row_bytes(dtype, width);
    const uint64_t rows = elements_of(tensor) / width;
    uint8_t *data = malloc(rows * row_bytes);
    CHECK(data != NULL);
    for (uint64_t row = 0; row < rows; row++)
        encode_row(dtype, floats + row * width, NULL, data + row * row_bytes, width);
    free(tensor->data);
    tensor->data = data;
    tensor->dtype = dtype;
    tensor->bytes = bytes_of(tensor);
}

/* ---- keys ------------------------------------------------------------------------------------ */

void edited_set(struct edited_model *model, const char *entry)
{
    struct weir_error err = {0};
    CHECK_OK(gguf_override(model->gguf, entry, &err), &err);
}

void edited_drop_key(struct edited_model *model, const char *key)
{
    CHECK(model->dropped_count < EDITED_DROPS_MAX);
    model->dropped_keys[model->dropped_count++] = key;
}

static bool is_dropped(const struct edited_model *model, struct span key)
{
    for (uint32_t i = 0; i < model->dropped_count; i++) {
        if (span_equals(key, model->dropped_keys[i]))
            return true;
    }
    return false;
}

/* ---- writing --------------------------------------------------------------------------------- */

/* An entry, under the new architecture if it was one of the old. */
static void write_key(const struct edited_model *model, struct gguf_writer *writer,
                      const struct gguf_kv *kv)
{
    static const char architecture_key[] = "general.architecture";
    struct weir_error err = {0};
    struct span old = {0};
    char key[256];
    CHECK_OK(gguf_get_text(model->gguf, architecture_key, &old, &err), &err);
    if (model->architecture == NULL) {
        CHECK_OK(gguf_writer_copy(writer, kv, &err), &err);
    } else if (span_equals(kv->key, architecture_key)) {
        CHECK_OK(gguf_writer_text(writer, architecture_key, model->architecture, &err), &err);
    } else if (kv->key.length > old.length && kv->key.data[old.length] == '.' &&
               memcmp(kv->key.data, old.data, old.length) == 0) {
        const int length =
            snprintf(key, sizeof key, "%s%.*s", model->architecture,
                     (int)(kv->key.length - old.length), (const char *)kv->key.data + old.length);
        struct gguf_kv renamed = *kv;
        renamed.key = (struct span){(const uint8_t *)key, (size_t)length};
        CHECK_OK(gguf_writer_copy(writer, &renamed, &err), &err);
    } else {
        CHECK_OK(gguf_writer_copy(writer, kv, &err), &err);
    }
}

const char *edited_write(const struct edited_model *model, const char *name)
{
    struct weir_error err = {0};
    struct gguf_writer *writer;
    const char *path = test_scratch(name);
    CHECK_OK(gguf_writer_open(&writer, path, &err), &err);
    for (uint64_t i = 0; i < model->gguf->kv_count; i++) {
        if (!is_dropped(model, model->gguf->kv[i].key))
            write_key(model, writer, &model->gguf->kv[i]);
    }
    for (uint32_t i = 0; i < model->count; i++) {
        const struct edited_tensor *tensor = &model->tensors[i];
        CHECK_OK(
            gguf_writer_tensor(writer, tensor->name, tensor->dtype, tensor->ne, tensor->dims, &err),
            &err);
    }
    CHECK_OK(gguf_writer_begin(writer, &err), &err);
    for (uint32_t i = 0; i < model->count; i++)
        CHECK_OK(gguf_writer_put(writer, model->tensors[i].data, model->tensors[i].bytes, &err),
                 &err);
    CHECK_OK(gguf_writer_commit(writer, &err), &err);
    gguf_writer_close(writer);
    return path;
}
