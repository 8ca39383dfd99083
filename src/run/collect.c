/* SPDX-License-Identifier: MIT
 * Importance matrices from the sums of an engine. Sums are kept in double and become floats when
 * they are written. Knows no text and no quantizer. */
#include <math.h>

#include "base/mem.h"
#include "format/imatrix.h"
#include "run/engine.h"

/* `file` holds names and shapes; its numbers are filled in from `sums` when it is written. */
struct weir_imatrix {
    struct imatrix file;
    double *
        *sums; /* of each entry: [matrices][columns + 1], the number of rows behind the columns */
    uint64_t sums_capacity;
    uint32_t chunks, chunk_size;
};

enum weir_status weir_imatrix_open(struct weir_imatrix **out, struct weir_error *err)
{
    *out = mem_alloc(1, sizeof **out, err);
    if (*out == NULL)
        return WEIR_ERR_MEMORY;
    imatrix_init(&(*out)->file);
    return WEIR_OK;
}

void weir_imatrix_close(struct weir_imatrix *imatrix)
{
    if (imatrix == NULL)
        return;
    for (uint64_t i = 0; i < imatrix->file.count; i++)
        mem_free(imatrix->sums[i]);
    mem_free(imatrix->sums);
    imatrix_release(&imatrix->file);
    mem_free(imatrix);
}

/* ---- adding ---------------------------------------------------------------------------------- */

static uint64_t entry_number(const struct weir_imatrix *imatrix, const struct imatrix_entry *entry)
{
    uint64_t number = 0;
    while (imatrix->file.entries[number] != entry)
        number++;
    return number;
}

/* The sums about a weight, added with zeros if there are none yet. */
static enum weir_status find_sums(struct weir_imatrix *imatrix, const char *name, uint64_t columns,
                                  uint64_t matrices, double **out, struct weir_error *err)
{
    struct imatrix *file = &imatrix->file;
    struct imatrix_entry *entry = imatrix_find(file, name);
    if (entry != NULL && (entry->columns != columns || entry->matrices != matrices))
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "%s: %llu matrices of %llu columns, expected %llu of %llu as before", name,
                       (unsigned long long)matrices, (unsigned long long)columns,
                       (unsigned long long)entry->matrices, (unsigned long long)entry->columns);
    if (entry != NULL) {
        *out = imatrix->sums[entry_number(imatrix, entry)];
        return WEIR_OK;
    }
    enum weir_status status;
    double *sums = NULL;
    TRY(mem_grow(&imatrix->sums, &imatrix->sums_capacity, file->count + 1, sizeof *imatrix->sums,
                 err));
    sums = mem_alloc(matrices, (columns + 1) * sizeof *sums, err);
    if (sums == NULL)
        return WEIR_ERR_MEMORY;
    TRY(imatrix_add(file, name, columns, matrices, &entry, err));
    imatrix->sums[file->count - 1] = *out = sums;
    return WEIR_OK;
out:
    mem_free(sums);
    return status;
}

static enum weir_status take_buffer(struct weir_imatrix *imatrix, const struct weights *weights,
                                    struct state *state, uint16_t number, struct weir_error *err)
{
    const struct buf *buf = plan_buf(state->plan, number);
    const struct weight *weight = &weights->list[buf->source];
    const uint64_t count = (uint64_t)buf->rows * buf->width;
    double *sums;
    enum weir_status status;
    float *taken = mem_alloc(count, sizeof *taken, err);
    if (taken == NULL)
        return WEIR_ERR_MEMORY;
    TRY(find_sums(imatrix, weight->tensor->name, buf->width - 1, buf->rows, &sums, err));
    state_take_sums(state, number, taken);
    for (uint64_t i = 0; i < count; i++) {
        if (!isfinite(taken[i])) {
            status = err_set(err, WEIR_ERR_FORMAT,
                             "tensor %s was multiplied with Inf or NaN, expected numbers: the "
                             "model's weights may hold them (--check-tensors finds them)",
                             weight->tensor->name);
            goto out;
        }
        sums[i] += (double)taken[i];
    }
out:
    mem_free(taken);
    return status;
}

static enum weir_status take_plan(struct weir_imatrix *imatrix, const struct weights *weights,
                                  struct state *state, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < state->plan->buf_count && status == WEIR_OK; i++) {
        if (state->plan->bufs[i].kind == BUF_SUM)
            status = take_buffer(imatrix, weights, state, (uint16_t)i, err);
    }
    return status;
}

enum weir_status weir_imatrix_take(struct weir_imatrix *imatrix, struct weir_engine *engine,
                                   uint32_t tokens, struct weir_error *err)
{
    const struct weights *weights = &engine->blueprint.weights;
    if (engine->options.collect == WEIR_COLLECT_NOTHING)
        return err_set(err, WEIR_ERR_ARGUMENT, "the engine was opened without collecting");
    enum weir_status status = take_plan(imatrix, weights, &engine->state, err);
    if (status == WEIR_OK && engine->mtp_exec != NULL)
        status = take_plan(imatrix, weights, &engine->mtp_state, err);
    if (status != WEIR_OK)
        return status;
    imatrix->chunks++;
    imatrix->chunk_size = tokens > imatrix->chunk_size ? tokens : imatrix->chunk_size;
    return status;
}

static enum weir_status add_entry(struct weir_imatrix *imatrix, const struct imatrix_entry *entry,
                                  struct weir_error *err)
{
    double *sums;
    const enum weir_status status =
        find_sums(imatrix, entry->name, entry->columns, entry->matrices, &sums, err);
    for (uint64_t m = 0; m < entry->matrices && status == WEIR_OK; m++) {
        for (uint64_t i = 0; i < entry->columns; i++)
            *sums++ += (double)entry->sums[m * entry->columns + i];
        *sums++ += (double)entry->counts[m];
    }
    return status;
}

enum weir_status weir_imatrix_load(struct weir_imatrix *imatrix, const char *path,
                                   struct weir_error *err)
{
    struct imatrix loaded;
    enum weir_status status = imatrix_read(&loaded, path, err);
    if (status != WEIR_OK)
        return status;
    if (loaded.is_old) {
        status = err_set(err, WEIR_ERR_UNSUPPORTED,
                         "%s: the older form counts chunks, expected the GGUF form, which counts "
                         "tokens",
                         path);
        goto out;
    }
    for (uint64_t i = 0; i < loaded.count; i++)
        TRY(add_entry(imatrix, loaded.entries[i], err));
    for (uint64_t i = 0; i < loaded.datasets_count; i++)
        TRY(imatrix_add_dataset(&imatrix->file, span_from(loaded.datasets[i]), err));
    imatrix->chunks += loaded.chunk_count;
    if (loaded.chunk_size > imatrix->chunk_size)
        imatrix->chunk_size = loaded.chunk_size;
out:
    imatrix_release(&loaded);
    return status;
}

/* ---- what it holds --------------------------------------------------------------------------- */

void weir_imatrix_info(const struct weir_imatrix *imatrix, struct weir_imatrix_info *out)
{
    *out = (struct weir_imatrix_info){.matrices = (uint32_t)imatrix->file.count,
                                      .chunks = imatrix->chunks,
                                      .chunk_size = imatrix->chunk_size};
    for (uint64_t i = 0; i < imatrix->file.count; i++) {
        const struct imatrix_entry *entry = imatrix->file.entries[i];
        for (uint64_t m = 0; m < entry->matrices && entry->matrices > 1; m++)
            out->experts_unmet += imatrix->sums[i][m * (entry->columns + 1) + entry->columns] == 0;
    }
}

/* Copies an entry with its sums as floats. */
static enum weir_status put_entry(struct imatrix *file, const struct imatrix_entry *entry,
                                  const double *sums, struct weir_error *err)
{
    struct imatrix_entry *made;
    const enum weir_status status =
        imatrix_add(file, entry->name, entry->columns, entry->matrices, &made, err);
    for (uint64_t m = 0; m < entry->matrices && status == WEIR_OK; m++) {
        for (uint64_t i = 0; i < entry->columns; i++)
            made->sums[m * entry->columns + i] = (float)*sums++;
        made->counts[m] = (float)*sums++;
    }
    return status;
}

enum weir_status weir_imatrix_save(const struct weir_imatrix *imatrix, const char *path,
                                   const char *dataset, struct weir_error *err)
{
    const struct imatrix *names = &imatrix->file;
    struct imatrix file;
    enum weir_status status;
    imatrix_init(&file);
    file.chunk_count = imatrix->chunks;
    file.chunk_size = imatrix->chunk_size;
    for (uint64_t i = 0; i < names->count; i++)
        TRY(put_entry(&file, names->entries[i], imatrix->sums[i], err));
    for (uint64_t i = 0; i < names->datasets_count; i++)
        TRY(imatrix_add_dataset(&file, span_from(names->datasets[i]), err));
    if (dataset != NULL)
        TRY(imatrix_add_dataset(&file, span_from(dataset), err));
    TRY(imatrix_write(&file, path, err));
out:
    imatrix_release(&file);
    return status;
}
