/* SPDX-License-Identifier: MIT
 * Files of importance matrices (gguf.md 4.7). Knows no models and no tensor types but F32. */
#include "format/imatrix.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

/* ---- entries --------------------------------------------------------------------------------- */

void imatrix_init(struct imatrix *imatrix)
{
    *imatrix = (struct imatrix){0};
}

void imatrix_release(struct imatrix *imatrix)
{
    for (uint64_t i = 0; i < imatrix->count; i++) {
        mem_free(imatrix->entries[i]->sums);
        mem_free(imatrix->entries[i]->counts);
        mem_free(imatrix->entries[i]);
    }
    for (uint64_t i = 0; i < imatrix->datasets_count; i++)
        mem_free(imatrix->datasets[i]);
    mem_free(imatrix->entries);
    mem_free(imatrix->datasets);
    names_release(&imatrix->index);
    *imatrix = (struct imatrix){0};
}

/* Takes the entry, also on failure. */
static enum weir_status entry_keep(struct imatrix *imatrix, struct imatrix_entry *entry,
                                   struct weir_error *err)
{
    bool added = false;
    enum weir_status status;
    TRY(mem_grow(&imatrix->entries, &imatrix->capacity, imatrix->count + 1,
                 sizeof(struct imatrix_entry *), err));
    TRY(names_add(&imatrix->index, span_from(entry->name), imatrix->count, &added, err));
    if (!added) {
        status = err_set(err, WEIR_ERR_ARGUMENT, "two entries are named %s", entry->name);
        goto out;
    }
    imatrix->entries[imatrix->count++] = entry;
    return WEIR_OK;
out:
    mem_free(entry->sums);
    mem_free(entry->counts);
    mem_free(entry);
    return status;
}

enum weir_status imatrix_add(struct imatrix *imatrix, const char *name, uint64_t columns,
                             uint64_t matrices, struct imatrix_entry **out, struct weir_error *err)
{
    const size_t length = strlen(name);
    uint64_t values;
    if (length == 0 || length > GGUF_NAME_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "an entry's name has %zu bytes, expected 1 to %d",
                       length, GGUF_NAME_MAX);
    if (columns == 0 || matrices == 0 || !size_mul(columns, matrices, &values))
        return err_set(err, WEIR_ERR_ARGUMENT, "entry %s: empty, or too large", name);
    struct imatrix_entry *entry = mem_alloc(1, sizeof *entry, err);
    if (entry == NULL)
        return WEIR_ERR_MEMORY;
    memcpy(entry->name, name, length);
    entry->columns = columns;
    entry->matrices = matrices;
    entry->sums = mem_alloc(values, sizeof *entry->sums, err);
    entry->counts = mem_alloc(matrices, sizeof *entry->counts, err);
    if (entry->sums == NULL || entry->counts == NULL) {
        mem_free(entry->sums);
        mem_free(entry->counts);
        mem_free(entry);
        return WEIR_ERR_MEMORY;
    }
    const enum weir_status status = entry_keep(imatrix, entry, err);
    if (status == WEIR_OK)
        *out = entry;
    return status;
}

enum weir_status imatrix_add_dataset(struct imatrix *imatrix, struct span name,
                                     struct weir_error *err)
{
    enum weir_status status;
    TRY(mem_grow(&imatrix->datasets, &imatrix->datasets_capacity, imatrix->datasets_count + 1,
                 sizeof(char *), err));
    char *copy = mem_copy_text((const char *)name.data, name.length, err);
    if (copy == NULL)
        return WEIR_ERR_MEMORY;
    imatrix->datasets[imatrix->datasets_count++] = copy;
out:
    return status;
}

struct imatrix_entry *imatrix_find(const struct imatrix *imatrix, const char *name)
{
    const uint64_t i = names_find(&imatrix->index, span_from(name));
    return i == NAMES_NONE ? NULL : imatrix->entries[i];
}

void imatrix_weights(const struct imatrix_entry *entry, uint64_t first, uint64_t count, float *out)
{
    for (uint64_t i = 0; i < count; i++) {
        const float tokens = roundf(entry->counts[(first + i) / entry->columns]);
        out[i] = tokens > 0 ? entry->sums[first + i] / tokens : 1;
    }
}

static bool all_valid(const float *values, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(values[i]) || values[i] < 0)
            return false;
    }
    return true;
}

static enum weir_status entry_check(const struct imatrix_entry *entry, const char *path,
                                    struct weir_error *err)
{
    if (all_valid(entry->sums, entry->columns * entry->matrices) &&
        all_valid(entry->counts, entry->matrices))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_FORMAT,
                   "%s: entry %s: a number is infinite, NaN or negative, expected sums of squares",
                   path, entry->name);
}

/* ---- the GGUF form --------------------------------------------------------------------------- */

static enum weir_status read_keys(struct imatrix *imatrix, const struct gguf *gguf,
                                  struct weir_error *err)
{
    static const char *const required[] = {"imatrix.datasets", "imatrix.chunk_count",
                                           "imatrix.chunk_size"};
    const char *path = gguf_path(gguf);
    struct span type = span_from("imatrix"), dataset;
    enum weir_status status;
    TRY(gguf_get_text(gguf, "general.type", &type, err));
    if (!span_equals(type, "imatrix"))
        return err_set(err, WEIR_ERR_FORMAT, "%s: general.type is \"%.*s\", expected \"imatrix\"",
                       path, (int)(type.length < 60 ? type.length : 60), (const char *)type.data);
    for (size_t i = 0; i < sizeof required / sizeof *required; i++) {
        if (gguf_find(gguf, required[i]) == NULL)
            return err_set(err, WEIR_ERR_FORMAT, "%s: no importance matrix: key %s is missing",
                           path, required[i]);
    }
    TRY(gguf_get_u32(gguf, required[1], &imatrix->chunk_count, err));
    TRY(gguf_get_u32(gguf, required[2], &imatrix->chunk_size, err));
    const struct gguf_kv *datasets = gguf_find(gguf, required[0]);
    if (datasets->type != GGUF_ARRAY || datasets->element != GGUF_STRING)
        return err_set(err, WEIR_ERR_FORMAT, "%s: key %s is no array of strings", path,
                       required[0]);
    uint64_t cursor = 0;
    while (gguf_kv_next_text(datasets, &cursor, &dataset))
        TRY(imatrix_add_dataset(imatrix, dataset, err));
out:
    return status;
}

/* Copies the name of the weight that the tensor tells of; false if the suffix is another. */
static bool weight_name(const struct gguf_tensor *tensor, const char *suffix, char *out)
{
    const size_t length = strlen(tensor->name), suffix_length = strlen(suffix);
    if (length <= suffix_length || strcmp(tensor->name + length - suffix_length, suffix) != 0)
        return false;
    memcpy(out, tensor->name, length - suffix_length);
    out[length - suffix_length] = 0;
    return true;
}

static enum weir_status find_partner(const struct gguf *gguf, const char *name, const char *has,
                                     const char *suffix, const struct gguf_tensor **out,
                                     struct weir_error *err)
{
    char partner[2 * GGUF_NAME_MAX];
    snprintf(partner, sizeof partner, "%s%s", name, suffix);
    *out = gguf_find_tensor(gguf, partner);
    if (*out == NULL)
        return err_set(err, WEIR_ERR_FORMAT, "%s: %s%s has no %s", gguf_path(gguf), name, has,
                       partner);
    return WEIR_OK;
}

static uint64_t rows_of(const struct gguf_tensor *tensor)
{
    return tensor->ne[1] * tensor->ne[2] * tensor->ne[3];
}

static enum weir_status read_entry(struct imatrix *imatrix, const struct gguf *gguf,
                                   const char *name, const struct gguf_tensor *sums,
                                   struct weir_error *err)
{
    const struct gguf_tensor *counts;
    struct imatrix_entry *entry;
    enum weir_status status;
    TRY(find_partner(gguf, name, sums_suffix, counts_suffix, &counts, err));
    if (sums->dtype != DTYPE_F32 || counts->dtype != DTYPE_F32)
        return err_set(err, WEIR_ERR_FORMAT, "%s: entry %s has types %s and %s, expected F32",
                       gguf_path(gguf), name, dtype_info(sums->dtype)->name,
                       dtype_info(counts->dtype)->name);
    const uint64_t matrices = rows_of(sums);
    if (counts->ne[0] * rows_of(counts) != matrices)
        return err_set(err, WEIR_ERR_FORMAT, "%s: entry %s has %llu matrices and %llu counts",
                       gguf_path(gguf), name, (unsigned long long)matrices,
                       (unsigned long long)(counts->ne[0] * rows_of(counts)));
    TRY(imatrix_add(imatrix, name, sums->ne[0], matrices, &entry, err));
    memcpy(entry->sums, gguf_tensor_data(gguf, sums), (size_t)sums->bytes);
    memcpy(entry->counts, gguf_tensor_data(gguf, counts), (size_t)counts->bytes);
    TRY(entry_check(entry, gguf_path(gguf), err));
out:
    return status;
}

static enum weir_status read_gguf(struct imatrix *imatrix, const struct gguf *gguf,
                                  struct weir_error *err)
{
    char name[GGUF_NAME_MAX + 1];
    enum weir_status status;
    TRY(read_keys(imatrix, gguf, err));
    for (uint64_t i = 0; i < gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &gguf->tensors[i], *sums;
        if (weight_name(tensor, sums_suffix, name))
            TRY(read_entry(imatrix, gguf, name, tensor, err));
        else if (weight_name(tensor, counts_suffix, name))
            TRY(find_partner(gguf, name, counts_suffix, sums_suffix, &sums, err));
    }
out:
    return status;
}

static enum weir_status parse_gguf(struct imatrix *imatrix, const uint8_t *data, uint64_t size,
                                   const char *path, struct weir_error *err)
{
    struct gguf *gguf = NULL;
    enum weir_status status;
    TRY(gguf_parse(&gguf, data, size, path, err));
    TRY(read_gguf(imatrix, gguf, err));
out:
    gguf_close(gguf);
    return status;
}

/* ---- the older form -------------------------------------------------------------------------- */

/* Bytes that are still to be read. */
struct cursor {
    const uint8_t *data;
    uint64_t left;
};

static bool take(struct cursor *cursor, uint64_t bytes, const uint8_t **out)
{
    if (cursor->left < bytes)
        return false;
    *out = cursor->data;
    cursor->data += bytes;
    cursor->left -= bytes;
    return true;
}

static bool take_i32(struct cursor *cursor, int32_t *out)
{
    const uint8_t *bytes;
    if (!take(cursor, sizeof *out, &bytes))
        return false;
    memcpy(out, bytes, sizeof *out);
    return true;
}

/* A text behind its length, which is at least `shortest`. */
static bool take_text(struct cursor *cursor, int32_t shortest, struct span *out)
{
    int32_t length;
    if (!take_i32(cursor, &length) || length < shortest ||
        !take(cursor, (uint64_t)length, &out->data))
        return false;
    out->length = (size_t)length;
    return true;
}

static enum weir_status parse_old_entry(struct imatrix *imatrix, struct cursor *cursor,
                                        int32_t number, const char *path, struct weir_error *err)
{
    struct span text;
    int32_t calls, values;
    const uint8_t *data;
    char name[GGUF_NAME_MAX + 1];
    struct imatrix_entry *entry;
    enum weir_status status;
    if (!take_text(cursor, 1, &text) || text.length > GGUF_NAME_MAX ||
        memchr(text.data, 0, text.length) != NULL)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: importance matrix: entry %d has no name of 1 to %d bytes", path, number,
                       GGUF_NAME_MAX);
    memcpy(name, text.data, text.length);
    name[text.length] = 0;
    if (!take_i32(cursor, &calls) || !take_i32(cursor, &values) || values <= 0 ||
        !take(cursor, (uint64_t)values * sizeof(float), &data))
        return err_set(err, WEIR_ERR_FORMAT, "%s: importance matrix: entry %d (%s) is truncated",
                       path, number, name);
    TRY(imatrix_add(imatrix, name, (uint64_t)values, 1, &entry, err));
    memcpy(entry->sums, data, (size_t)values * sizeof(float));
    entry->counts[0] = calls > 0 ? (float)calls : 1;
    TRY(entry_check(entry, path, err));
out:
    return status;
}

static enum weir_status parse_old(struct imatrix *imatrix, const uint8_t *data, uint64_t size,
                                  const char *path, struct weir_error *err)
{
    imatrix->is_old = true;
    struct cursor cursor = {data, size};
    struct span dataset;
    int32_t entries = 0, chunks;
    enum weir_status status = WEIR_OK;
    if (!take_i32(&cursor, &entries) || entries < 1 || (uint64_t)entries > size)
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: no importance matrix: neither a GGUF file nor one that begins with the "
                       "number of its entries",
                       path);
    for (int32_t i = 0; i < entries; i++)
        TRY(parse_old_entry(imatrix, &cursor, i, path, err));
    if (cursor.left == 0)
        return WEIR_OK;
    if (!take_i32(&cursor, &chunks) || chunks < 0 || !take_text(&cursor, 0, &dataset))
        return err_set(err, WEIR_ERR_FORMAT,
                       "%s: importance matrix: the name of the dataset behind the entries is "
                       "truncated",
                       path);
    imatrix->chunk_count = (uint32_t)chunks;
    if (dataset.length > 0)
        TRY(imatrix_add_dataset(imatrix, dataset, err));
out:
    return status;
}

/* ---- both ------------------------------------------------------------------------------------ */

enum weir_status imatrix_parse(struct imatrix *imatrix, const uint8_t *data, uint64_t size,
                               const char *name, struct weir_error *err)
{
    imatrix_init(imatrix);
    const bool is_gguf = size >= 4 && memcmp(data, "GGUF", 4) == 0;
    struct weir_error inner = {0};
    enum weir_status status = is_gguf ? parse_gguf(imatrix, data, size, name, &inner)
                                      : parse_old(imatrix, data, size, name, &inner);
    if (status == WEIR_OK && imatrix->count == 0)
        status = err_set(&inner, WEIR_ERR_FORMAT, "%s: importance matrix without entries", name);
    if (status == WEIR_OK)
        return WEIR_OK;
    imatrix_release(imatrix);
    /* a name given twice is the fault of whoever adds it: here, of the file */
    if (status == WEIR_ERR_ARGUMENT)
        return err_set(err, WEIR_ERR_FORMAT, "%s: %s", name, inner.text);
    return err_set(err, status, "%s", inner.text);
}

enum weir_status imatrix_read(struct imatrix *imatrix, const char *path, struct weir_error *err)
{
    struct file_map map;
    imatrix_init(imatrix);
    enum weir_status status = file_map_open(&map, path, err);
    if (status != WEIR_OK)
        return status;
    status = imatrix_parse(imatrix, map.data, map.size, path, err);
    file_map_close(&map);
    return status;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int compare_names(const void *a, const void *b)
{
    const struct imatrix_entry *const *first = a, *const *second = b;
    return strcmp((*first)->name, (*second)->name);
}

static enum weir_status write_keys(const struct imatrix *imatrix, struct gguf_writer *writer,
                                   struct weir_error *err)
{
    struct span *datasets = mem_alloc(imatrix->datasets_count, sizeof *datasets, err);
    if (datasets == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < imatrix->datasets_count; i++)
        datasets[i] = span_from(imatrix->datasets[i]);
    enum weir_status status;
    TRY(gguf_writer_text(writer, "general.type", "imatrix", err));
    TRY(gguf_writer_texts(writer, "imatrix.datasets", datasets, imatrix->datasets_count, err));
    TRY(gguf_writer_u32(writer, "imatrix.chunk_count", imatrix->chunk_count, err));
    TRY(gguf_writer_u32(writer, "imatrix.chunk_size", imatrix->chunk_size, err));
out:
    mem_free(datasets);
    return status;
}

static enum weir_status declare_entry(const struct imatrix_entry *entry, struct gguf_writer *writer,
                                      struct weir_error *err)
{
    char name[2 * GGUF_NAME_MAX];
    enum weir_status status;
    snprintf(name, sizeof name, "%s%s", entry->name, sums_suffix);
    TRY(gguf_writer_tensor(writer, name, DTYPE_F32,
                           (const uint64_t[]){entry->columns, entry->matrices}, 2, err));
    snprintf(name, sizeof name, "%s%s", entry->name, counts_suffix);
    TRY(gguf_writer_tensor(writer, name, DTYPE_F32, (const uint64_t[]){1, entry->matrices}, 2,
                           err));
out:
    return status;
}

static enum weir_status write_entry(const struct imatrix_entry *entry, struct gguf_writer *writer,
                                    struct weir_error *err)
{
    enum weir_status status;
    TRY(gguf_writer_put(writer, entry->sums, entry->columns * entry->matrices * sizeof *entry->sums,
                        err));
    TRY(gguf_writer_put(writer, entry->counts, entry->matrices * sizeof *entry->counts, err));
out:
    return status;
}

enum weir_status imatrix_write(const struct imatrix *imatrix, const char *path,
                               struct weir_error *err)
{
    struct gguf_writer *writer = NULL;
    enum weir_status status = WEIR_ERR_MEMORY;
    struct imatrix_entry **sorted = mem_alloc(imatrix->count, sizeof *sorted, err);
    if (sorted == NULL)
        goto out;
    for (uint64_t i = 0; i < imatrix->count; i++)
        sorted[i] = imatrix->entries[i];
    qsort(sorted, (size_t)imatrix->count, sizeof *sorted, compare_names);
    TRY(gguf_writer_open(&writer, path, err));
    TRY(write_keys(imatrix, writer, err));
    for (uint64_t i = 0; i < imatrix->count; i++)
        TRY(declare_entry(sorted[i], writer, err));
    TRY(gguf_writer_begin(writer, err));
    for (uint64_t i = 0; i < imatrix->count; i++)
        TRY(write_entry(sorted[i], writer, err));
    TRY(gguf_writer_commit(writer, err));
out:
    gguf_writer_close(writer);
    mem_free(sorted);
    return status;
}
