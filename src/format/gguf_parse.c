/* SPDX-License-Identifier: MIT
 * Parses one GGUF file: header, metadata, tensor infos, and the layout of the data section. Follows
 * no length that it has not compared with the bytes that are left. Knows no other file. */
#include "format/gguf_parse.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum {
    HEADER_BYTES = 24,
    ALIGNMENT_DEFAULT = 32,
    KEY_MAX = 65535,
    TEXT_MAX = 1 << 30,     /* bytes of a string */
    ELEMENTS_MAX = 1 << 30, /* of an array */
    ITEMS_MAX = 1 << 20,    /* key-value pairs, and tensors, of a file */
    METADATA_MAX = 1 << 30, /* bytes up to the last key-value pair; real files have some 10 MB */
    KV_BYTES_MIN = 14,      /* length, a key of one byte, type, a value of one byte */
    INFO_BYTES_MIN = 24,    /* length, no name, dims, type, offset */
};

/* Where parsing is, for reading and for messages. */
struct parser {
    const char *path;
    const uint8_t *data;
    uint64_t size, at;
    const char *section; /* "KV", "tensor info" */
    uint64_t item;       /* number in the section */
    struct span name;    /* of the item, once known */
    struct weir_error *err;
};

/* ---- bytes ----------------------------------------------------------------------------------- */

/* "FILE: KV 3 (some.key): what is wrong". */
__attribute__((format(printf, 2, 3))) static enum weir_status refuse(const struct parser *parser,
                                                                     const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const int shown = parser->name.length < 80 ? (int)parser->name.length : 80;
    if (shown == 0)
        return err_set(parser->err, WEIR_ERR_FORMAT, "%s: %s %llu: %s", parser->path,
                       parser->section, (unsigned long long)parser->item, text);
    return err_set(parser->err, WEIR_ERR_FORMAT, "%s: %s %llu (%.*s): %s", parser->path,
                   parser->section, (unsigned long long)parser->item, shown,
                   (const char *)parser->name.data, text);
}

static uint64_t remaining(const struct parser *parser)
{
    return parser->size - parser->at;
}

static enum weir_status take(struct parser *parser, uint64_t bytes, const uint8_t **out)
{
    if (bytes > remaining(parser))
        return refuse(parser, "truncated: needs %llu bytes at %llu, the file has %llu",
                      (unsigned long long)bytes, (unsigned long long)parser->at,
                      (unsigned long long)parser->size);
    *out = parser->data + parser->at;
    parser->at += bytes;
    return WEIR_OK;
}

static enum weir_status take_integer(struct parser *parser, uint32_t bytes, uint64_t *out)
{
    const uint8_t *data = NULL;
    const enum weir_status status = take(parser, bytes, &data);
    if (status == WEIR_OK)
        *out = gguf_load(data, bytes);
    return status;
}

/* A string of at most `length_max` bytes; `what` names it in messages. */
static enum weir_status take_text(struct parser *parser, uint64_t length_max, const char *what,
                                  struct span *out)
{
    uint64_t length = 0;
    enum weir_status status;
    TRY(take_integer(parser, 8, &length));
    if (length > length_max)
        return refuse(parser, "%s of %llu bytes, at most %llu are allowed", what,
                      (unsigned long long)length, (unsigned long long)length_max);
    TRY(take(parser, length, &out->data));
    out->length = (size_t)length;
out:
    return status;
}

/* The name of a key or tensor: not empty, and no zero byte, which would cut it in C. */
static enum weir_status take_name(struct parser *parser, uint64_t length_max)
{
    struct span name = {0};
    const enum weir_status status = take_text(parser, length_max, "name", &name);
    if (status != WEIR_OK)
        return status;
    if (name.length == 0)
        return refuse(parser, "empty name");
    if (memchr(name.data, 0, name.length) != NULL)
        return refuse(parser, "name with a zero byte");
    parser->name = name;
    return WEIR_OK;
}

static void begin_item(struct parser *parser, const char *section, uint64_t item)
{
    parser->section = section;
    parser->item = item;
    parser->name = (struct span){0};
}

/* ---- header ---------------------------------------------------------------------------------- */

static enum weir_status header_check(const struct parser *parser, uint32_t version)
{
    if (version == 2 || version == 3)
        return WEIR_OK;
    if (version != 0 && (version & 0xffff) == 0)
        return err_set(parser->err, WEIR_ERR_UNSUPPORTED, "%s: file is big endian", parser->path);
    return err_set(parser->err, WEIR_ERR_UNSUPPORTED,
                   "%s: unsupported GGUF version %u (2 and 3 are supported)", parser->path,
                   version);
}

static enum weir_status count_check(const struct parser *parser, const char *what, uint64_t count,
                                    uint64_t bytes_each)
{
    const uint64_t fitting = remaining(parser) / bytes_each;
    const uint64_t max = fitting < ITEMS_MAX ? fitting : ITEMS_MAX;
    if (count <= max)
        return WEIR_OK;
    return err_set(parser->err, WEIR_ERR_FORMAT,
                   "%s: header says %lld %s, at most %llu are possible in %llu bytes", parser->path,
                   (long long)count, what, (unsigned long long)max,
                   (unsigned long long)parser->size);
}

static enum weir_status parse_header(struct parser *parser, struct gguf_part *part,
                                     uint64_t *tensor_count, uint64_t *kv_count)
{
    const uint8_t *data = parser->data;
    if (parser->size >= 4 && memcmp(data, "GGUF", 4) != 0)
        return err_set(parser->err, WEIR_ERR_FORMAT,
                       "%s: not a GGUF file (magic %02X %02X %02X %02X)", parser->path, data[0],
                       data[1], data[2], data[3]);
    if (parser->size < HEADER_BYTES)
        return err_set(parser->err, WEIR_ERR_FORMAT, "%s: truncated header: %llu of %d bytes",
                       parser->path, (unsigned long long)parser->size, HEADER_BYTES);
    enum weir_status status;
    part->version = (uint32_t)gguf_load(data + 4, 4);
    *tensor_count = gguf_load(data + 8, 8);
    *kv_count = gguf_load(data + 16, 8);
    parser->at = HEADER_BYTES;
    TRY(header_check(parser, part->version));
    TRY(count_check(parser, "tensors", *tensor_count, INFO_BYTES_MIN));
    TRY(count_check(parser, "key-value pairs", *kv_count, KV_BYTES_MIN));
out:
    return status;
}

/* ---- key-value pairs ------------------------------------------------------------------------- */

static enum weir_status take_type(struct parser *parser, enum gguf_type *out)
{
    uint64_t type = 0;
    const enum weir_status status = take_integer(parser, 4, &type);
    if (status != WEIR_OK)
        return status;
    if (type >= GGUF_TYPE_COUNT)
        return refuse(parser, "unknown value type %u", (unsigned)type);
    *out = (enum gguf_type)type;
    return WEIR_OK;
}

static enum weir_status take_elements(struct parser *parser, struct gguf_kv *kv)
{
    /* An element is at least as long as its fixed part: a string, as its length. */
    const bool is_text = kv->element == GGUF_STRING;
    const uint32_t bytes_each = is_text ? 8 : gguf_type_bytes(kv->element);
    if (kv->count > ELEMENTS_MAX || kv->count * bytes_each > remaining(parser))
        return refuse(parser, "array of %llu elements (%s) in the %llu bytes that are left",
                      (unsigned long long)kv->count, gguf_type_name(kv->element),
                      (unsigned long long)remaining(parser));
    const uint64_t start = parser->at;
    enum weir_status status = WEIR_OK;
    if (!is_text)
        TRY(take(parser, kv->count * bytes_each, &kv->data.data));
    for (uint64_t i = 0; is_text && i < kv->count; i++) {
        struct span text;
        TRY(take_text(parser, TEXT_MAX, "string", &text));
    }
    kv->data = (struct span){parser->data + start, (size_t)(parser->at - start)};
out:
    return status;
}

static enum weir_status parse_value(struct parser *parser, struct gguf_kv *kv)
{
    enum weir_status status;
    TRY(take_type(parser, &kv->type));
    kv->element = kv->type;
    kv->count = 1;
    if (kv->type == GGUF_STRING)
        return take_text(parser, TEXT_MAX, "string", &kv->data);
    if (kv->type != GGUF_ARRAY) {
        kv->data.length = gguf_type_bytes(kv->type);
        return take(parser, kv->data.length, &kv->data.data);
    }
    TRY(take_type(parser, &kv->element));
    TRY(take_integer(parser, 8, &kv->count));
    if (kv->element == GGUF_ARRAY)
        return refuse(parser, "nested array not supported");
    TRY(take_elements(parser, kv));
out:
    return status;
}

/* Moves the entries off the file, so that they stay readable should the file shrink later. */
static enum weir_status kv_copy(const struct parser *parser, struct gguf_part *part)
{
    if (parser->at > METADATA_MAX)
        return err_set(parser->err, WEIR_ERR_UNSUPPORTED,
                       "%s: metadata of %llu bytes, at most %d are supported", parser->path,
                       (unsigned long long)parser->at, METADATA_MAX);
    part->metadata = mem_alloc(parser->at, 1, parser->err);
    if (part->metadata == NULL)
        return WEIR_ERR_MEMORY;
    memcpy(part->metadata, parser->data, (size_t)parser->at);
    for (uint64_t i = 0; i < part->kv_count; i++) {
        struct gguf_kv *kv = &part->kv[i];
        kv->key.data = part->metadata + (kv->key.data - parser->data);
        kv->data.data = part->metadata + (kv->data.data - parser->data);
    }
    return WEIR_OK;
}

static enum weir_status kv_index(struct parser *parser, struct gguf_part *part)
{
    for (uint64_t i = 0; i < part->kv_count; i++) {
        bool added;
        const enum weir_status status =
            names_add(&part->keys, part->kv[i].key, i, &added, parser->err);
        if (status != WEIR_OK)
            return status;
        begin_item(parser, "KV", i);
        parser->name = part->kv[i].key;
        if (!added)
            return refuse(parser, "duplicate key");
    }
    return WEIR_OK;
}

static enum weir_status parse_metadata(struct parser *parser, struct gguf_part *part,
                                       uint64_t kv_count)
{
    enum weir_status status;
    for (uint64_t i = 0; i < kv_count; i++) {
        begin_item(parser, "KV", i);
        TRY(mem_grow(&part->kv, &part->kv_capacity, i + 1, sizeof *part->kv, parser->err));
        TRY(take_name(parser, KEY_MAX));
        part->kv[i].key = parser->name;
        TRY(parse_value(parser, &part->kv[i]));
        part->kv_count = i + 1;
    }
    TRY(kv_copy(parser, part));
    TRY(kv_index(parser, part));
out:
    return status;
}

static enum weir_status find_alignment(const struct parser *parser, const struct gguf_part *part,
                                       uint64_t *out)
{
    *out = ALIGNMENT_DEFAULT;
    const struct gguf_kv *kv = gguf_part_find(part, "general.alignment");
    if (kv == NULL)
        return WEIR_OK;
    if (kv->type != GGUF_U32)
        return err_set(parser->err, WEIR_ERR_FORMAT,
                       "%s: general.alignment has type %s, expected u32", parser->path,
                       gguf_type_name(kv->type));
    *out = gguf_load(kv->data.data, 4);
    if (*out == 0 || (*out & (*out - 1)) != 0)
        return err_set(parser->err, WEIR_ERR_FORMAT,
                       "%s: general.alignment is %u, expected a power of two", parser->path,
                       (unsigned)*out);
    return WEIR_OK;
}

/* ---- tensors --------------------------------------------------------------------------------- */

static enum weir_status parse_dims(struct parser *parser, struct gguf_tensor *tensor)
{
    enum weir_status status;
    uint64_t dims = 0;
    TRY(take_integer(parser, 4, &dims));
    if (dims > GGUF_DIMS_MAX)
        return refuse(parser, "%u dimensions, at most %d are allowed", (unsigned)dims,
                      GGUF_DIMS_MAX);
    tensor->dims = (uint32_t)dims;
    uint64_t elements = 1;
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++) {
        tensor->ne[i] = 1;
        if (i < dims)
            TRY(take_integer(parser, 8, &tensor->ne[i]));
        if (tensor->ne[i] == 0)
            return refuse(parser, "zero dimension ne[%u]", i);
        if (tensor->ne[i] > INT64_MAX)
            return refuse(parser, "negative dimension ne[%u] = %lld", i, (long long)tensor->ne[i]);
        if (!size_mul(elements, tensor->ne[i], &elements) || elements >= INT64_MAX)
            return refuse(parser, "too many elements: 2^63 or more");
    }
out:
    return status;
}

static enum weir_status parse_dtype(struct parser *parser, struct gguf_tensor *tensor)
{
    uint64_t id = 0;
    const enum weir_status status = take_integer(parser, 4, &id);
    if (status != WEIR_OK)
        return status;
    struct weir_error why = {0};
    if (dtype_from_gguf(&tensor->dtype, (uint32_t)id, &why) != WEIR_OK)
        return refuse(parser, "%s", why.text);
    const struct dtype_info *info = dtype_info(tensor->dtype);
    if (tensor->ne[0] % info->block != 0)
        return refuse(parser, "rows of %llu elements are not a multiple of the block of %s, %u",
                      (unsigned long long)tensor->ne[0], info->name, info->block);
    uint64_t blocks = tensor->ne[0] / info->block;
    for (uint32_t i = 1; i < GGUF_DIMS_MAX; i++)
        blocks *= tensor->ne[i]; /* fewer than the elements, whose product was checked */
    if (!size_mul(blocks, info->block_bytes, &tensor->bytes))
        return refuse(parser, "%llu blocks of %u bytes are too large", (unsigned long long)blocks,
                      info->block_bytes);
    return WEIR_OK;
}

static enum weir_status parse_tensor(struct parser *parser, uint64_t alignment,
                                     struct gguf_tensor *tensor)
{
    enum weir_status status;
    *tensor = (struct gguf_tensor){0};
    TRY(take_name(parser, GGUF_NAME_MAX));
    memcpy(tensor->name, parser->name.data, parser->name.length);
    TRY(parse_dims(parser, tensor));
    TRY(parse_dtype(parser, tensor));
    TRY(take_integer(parser, 8, &tensor->offset));
    if (tensor->offset % alignment != 0)
        return refuse(parser, "offset %llu is not a multiple of the alignment %llu",
                      (unsigned long long)tensor->offset, (unsigned long long)alignment);
out:
    return status;
}

/* Makes the offset one from the start of the file, once the start of the data is known. */
static enum weir_status place_tensor(const struct parser *parser, const struct gguf_part *part,
                                     struct gguf_tensor *tensor)
{
    uint64_t start, end;
    if (!size_add(part->data_start, tensor->offset, &start) ||
        !size_add(start, tensor->bytes, &end))
        return err_set(parser->err, WEIR_ERR_FORMAT,
                       "%s: tensor %s: offset %llu with %llu bytes is out of range", parser->path,
                       tensor->name, (unsigned long long)tensor->offset,
                       (unsigned long long)tensor->bytes);
    if (end > parser->size && !part->is_header)
        return err_set(parser->err, WEIR_ERR_FORMAT,
                       "%s: tensor %s: data ends at %llu, the file has %llu bytes (a download that "
                       "is not complete?)",
                       parser->path, tensor->name, (unsigned long long)end,
                       (unsigned long long)parser->size);
    tensor->offset = start;
    return WEIR_OK;
}

static int compare_offsets(const void *left, const void *right)
{
    const struct gguf_tensor *const *a = left, *const *b = right;
    return ((*a)->offset > (*b)->offset) - ((*a)->offset < (*b)->offset);
}

static const struct gguf_tensor **tensors_by_offset(const struct gguf_part *part,
                                                    struct weir_error *err)
{
    const struct gguf_tensor **sorted = mem_alloc(part->tensor_count, sizeof *sorted, err);
    if (sorted == NULL)
        return NULL;
    bool ascending = true; /* as every writer leaves them */
    for (uint64_t i = 0; i < part->tensor_count; i++) {
        sorted[i] = &part->tensors[i];
        ascending = ascending && (i == 0 || sorted[i]->offset >= sorted[i - 1]->offset);
    }
    if (!ascending)
        qsort(sorted, (size_t)part->tensor_count, sizeof *sorted, compare_offsets);
    return sorted;
}

static enum weir_status check_overlap(const struct parser *parser, const struct gguf_part *part)
{
    const struct gguf_tensor **sorted = tensors_by_offset(part, parser->err);
    if (sorted == NULL)
        return WEIR_ERR_MEMORY;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 1; i < part->tensor_count && status == WEIR_OK; i++) {
        const struct gguf_tensor *a = sorted[i - 1], *b = sorted[i];
        if (b->offset - a->offset < a->bytes)
            status = err_set(parser->err, WEIR_ERR_FORMAT,
                             "%s: tensors %s and %s overlap: %llu bytes at %llu, the other at %llu",
                             parser->path, a->name, b->name, (unsigned long long)a->bytes,
                             (unsigned long long)a->offset, (unsigned long long)b->offset);
    }
    mem_free(sorted);
    return status;
}

static enum weir_status place_tensors(const struct parser *parser, struct gguf_part *part,
                                      uint64_t alignment)
{
    part->data_start = size_align(parser->at, alignment);
    if (part->tensor_count == 0)
        return WEIR_OK; /* a vocabulary, or the first of the splits: it may end here */
    if (part->data_start > parser->size)
        return err_set(parser->err, WEIR_ERR_FORMAT,
                       "%s: truncated: data starts at %llu, the file has %llu bytes", parser->path,
                       (unsigned long long)part->data_start, (unsigned long long)parser->size);
    for (uint64_t i = 0; i < part->tensor_count; i++) {
        const enum weir_status status = place_tensor(parser, part, &part->tensors[i]);
        if (status != WEIR_OK)
            return status;
    }
    return check_overlap(parser, part);
}

/* ---- a file ---------------------------------------------------------------------------------- */

enum weir_status gguf_part_parse(struct gguf_part *part, const char *path, const uint8_t *data,
                                 uint64_t size, struct weir_error *err)
{
    struct parser parser = {.path = path, .data = data, .size = size, .err = err};
    uint64_t tensor_count = 0, kv_count = 0, alignment = 0;
    enum weir_status status;
    TRY(parse_header(&parser, part, &tensor_count, &kv_count));
    TRY(parse_metadata(&parser, part, kv_count));
    TRY(find_alignment(&parser, part, &alignment));
    for (uint64_t i = 0; i < tensor_count; i++) {
        begin_item(&parser, "tensor info", i);
        TRY(mem_grow(&part->tensors, &part->tensor_capacity, i + 1, sizeof *part->tensors, err));
        TRY(parse_tensor(&parser, alignment, &part->tensors[i]));
        part->tensor_count = i + 1;
    }
    TRY(place_tensors(&parser, part, alignment));
out:
    return status;
}

void gguf_part_release(struct gguf_part *part)
{
    mem_free(part->kv);
    names_release(&part->keys);
    mem_free(part->metadata);
    mem_free(part->tensors);
    *part = (struct gguf_part){0};
}

const struct gguf_kv *gguf_part_find(const struct gguf_part *part, const char *key)
{
    const struct span name = span_from(key);
    const uint64_t i = names_find(&part->keys, name);
    return i == NAMES_NONE ? NULL : &part->kv[i];
}
