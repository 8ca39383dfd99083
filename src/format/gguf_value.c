/* SPDX-License-Identifier: MIT
 * Metadata values of a GGUF file: types, typed reads, overrides. Knows nothing of what a key means,
 * except that some describe the file itself. */
#include "format/gguf_parse.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const struct {
    const char *name;
    uint32_t bytes; /* 0: not fixed */
    bool is_integer, is_signed;
} gguf_types[GGUF_TYPE_COUNT] = {
    [GGUF_U8] = {"u8", 1, true, false},    [GGUF_I8] = {"i8", 1, true, true},
    [GGUF_U16] = {"u16", 2, true, false},  [GGUF_I16] = {"i16", 2, true, true},
    [GGUF_U32] = {"u32", 4, true, false},  [GGUF_I32] = {"i32", 4, true, true},
    [GGUF_F32] = {"f32", 4, false, false}, [GGUF_BOOL] = {"bool", 1, false, false},
    [GGUF_STRING] = {"string", 0},         [GGUF_ARRAY] = {"array", 0},
    [GGUF_U64] = {"u64", 8, true, false},  [GGUF_I64] = {"i64", 8, true, true},
    [GGUF_F64] = {"f64", 8, false, false},
};

uint32_t gguf_shape_dims(const uint64_t *ne, uint32_t dims)
{
    while (dims > 1 && ne[dims - 1] == 1)
        dims--;
    return dims;
}

void gguf_format_shape(const uint64_t *ne, uint32_t dims, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "[");
    for (uint32_t i = 0; i < dims && used < size; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%llu", i == 0 ? "" : ", ",
                                 (unsigned long long)ne[i]);
    if (used < size)
        snprintf(out + used, size - used, "]");
}

const char *gguf_type_name(enum gguf_type type)
{
    return gguf_types[type].name;
}

uint32_t gguf_type_bytes(enum gguf_type type)
{
    return gguf_types[type].bytes;
}

/* ---- elements -------------------------------------------------------------------------------- */

bool gguf_kv_integer(const struct gguf_kv *kv, uint64_t i, int64_t *out)
{
    const uint32_t bytes = gguf_types[kv->element].bytes;
    const uint64_t at = kv->type == GGUF_ARRAY ? i * bytes : 0;
    if (kv->element == GGUF_BOOL) {
        *out = kv->data.data[at] != 0;
        return true;
    }
    if (!gguf_types[kv->element].is_integer)
        return false;
    uint64_t value = gguf_load(kv->data.data + at, bytes);
    if (gguf_types[kv->element].is_signed) {
        const uint64_t sign = UINT64_C(1) << (8 * bytes - 1);
        value = (value ^ sign) - sign;
    } else if (value > INT64_MAX) {
        return false;
    }
    *out = (int64_t)value;
    return true;
}

bool gguf_kv_unsigned(const struct gguf_kv *kv, uint64_t i, uint64_t *out)
{
    if (kv->element != GGUF_U64)
        return false;
    *out = gguf_load(kv->data.data + (kv->type == GGUF_ARRAY ? i * 8 : 0), 8);
    return true;
}

bool gguf_kv_float(const struct gguf_kv *kv, uint64_t i, double *out)
{
    if (kv->element != GGUF_F32 && kv->element != GGUF_F64)
        return false;
    const uint32_t bytes = gguf_types[kv->element].bytes;
    const uint64_t bits =
        gguf_load(kv->data.data + (kv->type == GGUF_ARRAY ? i * bytes : 0), bytes);
    if (kv->element == GGUF_F64) {
        memcpy(out, &bits, sizeof *out);
        return true;
    }
    const uint32_t bits32 = (uint32_t)bits;
    float value;
    memcpy(&value, &bits32, sizeof value);
    *out = value;
    return true;
}

bool gguf_kv_next_text(const struct gguf_kv *kv, uint64_t *cursor, struct span *out)
{
    if (kv->type != GGUF_ARRAY || kv->element != GGUF_STRING)
        return false;
    /* Checked again, since the bytes were copied after they had been parsed. */
    const uint64_t size = kv->data.length;
    if (*cursor >= size || size - *cursor < 8)
        return false;
    const uint64_t length = gguf_load(kv->data.data + *cursor, 8);
    if (length > size - *cursor - 8)
        return false;
    *out = (struct span){kv->data.data + *cursor + 8, (size_t)length};
    *cursor += 8 + length;
    return true;
}

/* ---- typed reads ----------------------------------------------------------------------------- */

static enum weir_status refuse_type(const struct gguf_kv *kv, const char *path,
                                    const char *expected, struct weir_error *err)
{
    const bool is_array = kv->type == GGUF_ARRAY;
    return err_set(err, WEIR_ERR_FORMAT, "%s: key %.*s has type %s%s, expected %s", path,
                   (int)(kv->key.length < 80 ? kv->key.length : 80), (const char *)kv->key.data,
                   is_array ? "array of " : "", gguf_type_name(kv->element), expected);
}

enum weir_status gguf_kv_u32(const struct gguf_kv *kv, const char *path, uint32_t *out,
                             struct weir_error *err)
{
    if (!gguf_types[kv->type].is_integer)
        return refuse_type(kv, path, "an integer", err);
    int64_t value;
    if (!gguf_kv_integer(kv, 0, &value))
        value = INT64_MAX; /* a u64 above that: as far out of range */
    if (value < 0 || value > UINT32_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %.*s is %lld, expected 0 to %u", path,
                       (int)(kv->key.length < 80 ? kv->key.length : 80), (const char *)kv->key.data,
                       (long long)value, UINT32_MAX);
    *out = (uint32_t)value;
    return WEIR_OK;
}

enum weir_status gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *out,
                              struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    return kv == NULL ? WEIR_OK : gguf_kv_u32(kv, gguf_path(gguf), out, err);
}

enum weir_status gguf_get_f32(const struct gguf *gguf, const char *key, float *out,
                              struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    if (kv == NULL)
        return WEIR_OK;
    double value;
    if (kv->type == GGUF_ARRAY || !gguf_kv_float(kv, 0, &value))
        return refuse_type(kv, gguf_path(gguf), "a float", err);
    if (isfinite(value) && fabs(value) > FLT_MAX)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is %g, out of the range of f32",
                       gguf_path(gguf), key, value);
    *out = (float)value;
    return WEIR_OK;
}

enum weir_status gguf_get_bool(const struct gguf *gguf, const char *key, bool *out,
                               struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    if (kv == NULL)
        return WEIR_OK;
    if (kv->type != GGUF_BOOL)
        return refuse_type(kv, gguf_path(gguf), "bool", err);
    *out = kv->data.data[0] != 0;
    return WEIR_OK;
}

enum weir_status gguf_get_text(const struct gguf *gguf, const char *key, struct span *out,
                               struct weir_error *err)
{
    const struct gguf_kv *kv = gguf_find(gguf, key);
    if (kv == NULL)
        return WEIR_OK;
    if (kv->type != GGUF_STRING)
        return refuse_type(kv, gguf_path(gguf), "string", err);
    *out = kv->data;
    return WEIR_OK;
}

/* ---- overrides ------------------------------------------------------------------------------- */

/* A value as the text of an override gives it, encoded as in a file. */
struct override {
    enum gguf_type type;
    uint8_t encoded[8];
    struct span data; /* the text itself, or `encoded` */
};

static void override_encode(struct override *override, enum gguf_type type, uint64_t bits)
{
    override->type = type;
    for (uint32_t i = 0; i < 8; i++)
        override->encoded[i] = (uint8_t)(bits >> (8 * i));
    override->data = (struct span){override->encoded, gguf_type_bytes(type)};
}

static bool override_int(struct override *override, const char *value)
{
    char *end;
    errno = 0;
    const long long number = strtoll(value, &end, 10);
    override_encode(override, GGUF_I64, (uint64_t)number);
    return end != value && *end == 0 && errno == 0;
}

static bool override_float(struct override *override, const char *value)
{
    char *end;
    const double number = strtod(value, &end);
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    override_encode(override, GGUF_F64, bits);
    return end != value && *end == 0 && isfinite(number);
}

static bool override_bool(struct override *override, const char *value)
{
    const bool is_true = strcmp(value, "true") == 0;
    override_encode(override, GGUF_BOOL, is_true);
    return is_true || strcmp(value, "false") == 0;
}

static bool override_str(struct override *override, const char *value)
{
    override->type = GGUF_STRING;
    override->data = span_from(value);
    return true;
}

static const struct {
    const char *name;
    bool (*parse)(struct override *override, const char *value);
} override_types[] = {
    {"int:", override_int},
    {"float:", override_float},
    {"bool:", override_bool},
    {"str:", override_str},
};

static bool override_parse(struct override *override, const char *type_and_value)
{
    for (size_t i = 0; i < sizeof override_types / sizeof *override_types; i++) {
        const size_t length = strlen(override_types[i].name);
        if (strncmp(type_and_value, override_types[i].name, length) == 0)
            return override_types[i].parse(override, type_and_value + length);
    }
    return false;
}

/* Keys that say how the file is laid out were obeyed when it was opened. */
static bool key_is_layout(struct span key)
{
    return span_equals(key, "general.alignment") ||
           (key.length > 6 && memcmp(key.data, "split.", 6) == 0);
}

/* Copies key and value into memory of the gguf, and makes *kv of them. */
static enum weir_status override_keep(struct gguf_internal *internal, struct span key,
                                      const struct override *override, struct gguf_kv *kv,
                                      struct weir_error *err)
{
    enum weir_status status;
    TRY(mem_grow(&internal->overrides, &internal->overrides_capacity, internal->overrides_count + 1,
                 sizeof *internal->overrides, err));
    uint8_t *kept = mem_alloc((uint64_t)key.length + override->data.length, 1, err);
    if (kept == NULL)
        return WEIR_ERR_MEMORY;
    internal->overrides[internal->overrides_count++] = kept;
    memcpy(kept, key.data, key.length);
    memcpy(kept + key.length, override->data.data, override->data.length);
    *kv = (struct gguf_kv){
        .key = {kept, key.length},
        .type = override->type,
        .element = override->type,
        .count = 1,
        .data = {kept + key.length, override->data.length},
    };
out:
    return status;
}

enum weir_status gguf_override(struct gguf *gguf, const char *text, struct weir_error *err)
{
    struct gguf_internal *internal = gguf->internal;
    const char *equals = strchr(text, '=');
    struct override override;
    if (equals == NULL || equals == text || !override_parse(&override, equals + 1))
        return err_set(
            err, WEIR_ERR_ARGUMENT,
            "override \"%s\": expected KEY=TYPE:VALUE, TYPE one of int, float, bool, str", text);
    const struct span key = {(const uint8_t *)text, (size_t)(equals - text)};
    if (key_is_layout(key))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "override \"%s\": the key describes the layout of the file", text);
    struct gguf_kv kv;
    enum weir_status status;
    TRY(override_keep(internal, key, &override, &kv, err));
    const uint64_t i = names_find(&internal->keys, key);
    if (i != NAMES_NONE) {
        kv.key = gguf->kv[i].key;
        gguf->kv[i] = kv;
        return WEIR_OK;
    }
    bool added;
    TRY(mem_grow(&gguf->kv, &internal->kv_capacity, gguf->kv_count + 1, sizeof *gguf->kv, err));
    TRY(names_add(&internal->keys, kv.key, gguf->kv_count, &added, err));
    gguf->kv[gguf->kv_count++] = kv;
out:
    return status;
}
