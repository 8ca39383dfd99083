/* SPDX-License-Identifier: MIT
 * Runs the quantizer: weir_quantize. A part of a tensor at a time is decoded, encoded by a team of
 * threads and written. Knows neither mixtures nor how a block is made. */
#include <float.h>
#include <math.h>
#include <stdatomic.h>
#include <string.h>

#include "base/mem.h"
#include "base/pool.h"
#include "format/codec.h"
#include "quant/encode.h"
#include "quant/quantize_plan.h"

enum { COPY_BYTES = 1 << 20, IMATRIX_TEXT_MAX = 127 };

/* ---- metadata -------------------------------------------------------------------------------- */

static bool recipe_changes(const struct quantize_plan *plan)
{
    return plan->recipe->dtype != DTYPE_COUNT;
}

static bool key_is_overridden(const struct quantize_plan *plan, struct span key)
{
    for (uint32_t i = 0; i < plan->options->overrides_count; i++) {
        if (quantize_is_override(plan->options->overrides[i], key))
            return true;
    }
    return false;
}

/* Keys that describe the input file, or are written behind all others (gguf.md 4.8). */
static bool key_is_dropped(const struct quantize_plan *plan, struct span key)
{
    return key_is_overridden(plan, key) || span_begins(key, "split.") ||
           span_equals(key, "general.alignment") ||
           (plan->imatrix.count > 0 && span_begins(key, "quantize.imatrix.")) ||
           (recipe_changes(plan) && (span_equals(key, "general.quantization_version") ||
                                     span_equals(key, "general.file_type")));
}

/* Overrides have 64 bits; a reader wants the widths that files have. */
static enum weir_status write_override(struct gguf_writer *writer, const struct gguf_kv *kv,
                                       const char *key, struct weir_error *err)
{
    int64_t integer;
    double real;
    if (kv->type == GGUF_F64 && gguf_kv_float(kv, 0, &real)) {
        if (fabs(real) > FLT_MAX)
            return err_set(err, WEIR_ERR_ARGUMENT, "override of %s: %g does not fit 32 bits", key,
                           real);
        return gguf_writer_f32(writer, key, (float)real, err);
    }
    if (kv->type != GGUF_I64 || !gguf_kv_integer(kv, 0, &integer))
        return gguf_writer_copy(writer, kv, err);
    if (integer >= 0 && integer <= UINT32_MAX)
        return gguf_writer_u32(writer, key, (uint32_t)integer, err);
    if (integer < 0 && integer >= INT32_MIN)
        return gguf_writer_i32(writer, key, (int32_t)integer, err);
    return err_set(err, WEIR_ERR_ARGUMENT, "override of %s: %lld does not fit 32 bits", key,
                   (long long)integer);
}

/* Each overridden key once, however often it was given. */
static enum weir_status write_overrides(const struct quantize_plan *plan,
                                        struct gguf_writer *writer, struct weir_error *err)
{
    const struct weir_quantize_options *options = plan->options;
    for (uint32_t i = 0; i < options->overrides_count; i++) {
        const char *text = options->overrides[i];
        const struct span key = {(const uint8_t *)text, strcspn(text, "=")};
        bool is_first = true;
        for (uint32_t j = 0; j < i; j++)
            is_first &= !quantize_is_override(options->overrides[j], key);
        if (!is_first)
            continue;
        char *name = mem_copy_text(text, key.length, err);
        if (name == NULL)
            return WEIR_ERR_MEMORY;
        const enum weir_status status =
            write_override(writer, gguf_find(plan->gguf, name), name, err);
        mem_free(name);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* A key that the run makes, unless it is overridden. */
static enum weir_status write_u32(const struct quantize_plan *plan, struct gguf_writer *writer,
                                  const char *key, uint32_t value, struct weir_error *err)
{
    if (key_is_overridden(plan, span_from(key)))
        return WEIR_OK;
    return gguf_writer_u32(writer, key, value, err);
}

/* Likewise a text, as long as llama-quantize writes it, but of whole characters: texts of a file
 * are UTF-8. */
static enum weir_status write_cut(const struct quantize_plan *plan, struct gguf_writer *writer,
                                  const char *key, const char *text, struct weir_error *err)
{
    char cut[IMATRIX_TEXT_MAX + 1];
    size_t length = strlen(text);
    if (key_is_overridden(plan, span_from(key)))
        return WEIR_OK;
    if (length > IMATRIX_TEXT_MAX) {
        length = IMATRIX_TEXT_MAX;
        while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
            length--;
    }
    snprintf(cut, sizeof cut, "%.*s", (int)length, text);
    return gguf_writer_text(writer, key, cut, err);
}

static enum weir_status write_imatrix_keys(const struct quantize_plan *plan,
                                           struct gguf_writer *writer, struct weir_error *err)
{
    const struct imatrix *imatrix = &plan->imatrix;
    const char *dataset = imatrix->datasets_count > 0 ? imatrix->datasets[0] : "";
    enum weir_status status;
    TRY(write_cut(plan, writer, "quantize.imatrix.file", plan->options->imatrix, err));
    if (dataset[0] != 0)
        TRY(write_cut(plan, writer, "quantize.imatrix.dataset", dataset, err));
    TRY(write_u32(plan, writer, "quantize.imatrix.entries_count", (uint32_t)plan->imatrix_used,
                  err));
    if (imatrix->chunk_count > 0)
        TRY(write_u32(plan, writer, "quantize.imatrix.chunks_count", imatrix->chunk_count, err));
out:
    return status;
}

static enum weir_status write_keys(const struct quantize_plan *plan, struct gguf_writer *writer,
                                   struct weir_error *err)
{
    const struct gguf *gguf = plan->gguf;
    enum weir_status status = WEIR_OK;
    for (uint64_t i = 0; i < gguf->kv_count; i++) {
        if (!key_is_dropped(plan, gguf->kv[i].key))
            TRY(gguf_writer_copy(writer, &gguf->kv[i], err));
    }
    if (recipe_changes(plan)) {
        TRY(write_u32(plan, writer, "general.quantization_version", GGUF_QUANTIZATION_VERSION,
                      err));
        TRY(write_u32(plan, writer, "general.file_type", (uint32_t)plan->recipe->file_type, err));
    }
    TRY(write_overrides(plan, writer, err));
    if (plan->imatrix.count > 0)
        TRY(write_imatrix_keys(plan, writer, err));
out:
    return status;
}

/* ---- a part of a tensor ---------------------------------------------------------------------- */

enum { SOUND, BAD_INPUT, BAD_OUTPUT };

/* Rows of one matrix, which the threads take one by one. */
struct part {
    const struct gguf_tensor *tensor;
    enum dtype dtype;
    const uint8_t *from;
    uint8_t *to;
    uint64_t rows;
    uint64_t from_bytes, to_bytes; /* of a row */
    const float *importance;       /* [columns], or NULL */
    float *values;                 /* [threads, columns] */
    _Atomic uint64_t next;         /* row that nobody has taken */
    _Atomic int fault;             /* SOUND, or what the last bad row has */
};

static void part_encode(void *user, uint32_t thread)
{
    struct part *part = user;
    const uint64_t columns = part->tensor->ne[0];
    float *values = part->values + thread * columns;
    for (;;) {
        const uint64_t row = atomic_fetch_add_explicit(&part->next, 1, memory_order_relaxed);
        if (row >= part->rows)
            return;
        const uint8_t *from = part->from + row * part->from_bytes;
        uint8_t *to = part->to + row * part->to_bytes;
        if (!codec_row_valid(part->tensor->dtype, from, columns)) {
            atomic_store_explicit(&part->fault, BAD_INPUT, memory_order_relaxed);
            continue;
        }
        codec_decode_row(part->tensor->dtype, from, values, columns);
        encode_row(part->dtype, values, part->importance, to, columns);
        if (!codec_row_valid(part->dtype, to, columns))
            atomic_store_explicit(&part->fault, BAD_OUTPUT, memory_order_relaxed);
    }
}

/* ---- tensors --------------------------------------------------------------------------------- */

/* A file on its way. */
struct job {
    const struct quantize_plan *plan;
    const char *path;
    struct gguf_writer *writer;
    struct pool *pool;
    float *values;     /* [threads, columns_max] */
    float *importance; /* [columns_max] */
    uint8_t *chunk;
    uint64_t done; /* bytes of tensors */
};

static enum weir_status job_progress(const struct job *job, struct weir_error *err)
{
    const struct weir_quantize_options *options = job->plan->options;
    return file_report_progress(job->path, options->progress, options->progress_user, job->done,
                                job->plan->bytes, err);
}

static enum weir_status job_put(struct job *job, const void *data, uint64_t bytes,
                                struct weir_error *err)
{
    const enum weir_status status = gguf_writer_put(job->writer, data, bytes, err);
    job->done += bytes;
    return status == WEIR_OK ? job_progress(job, err) : status;
}

static enum weir_status refuse_values(const struct job *job, const struct quantize_row *row,
                                      int fault, struct weir_error *err)
{
    const struct gguf *gguf = job->plan->gguf;
    if (fault == BAD_OUTPUT)
        return err_set(
            err, WEIR_ERR_FORMAT, "%s: tensor %s: holds numbers too large for the scales of %s",
            gguf->splits[row->tensor->split].path, row->tensor->name, dtype_info(row->dtype)->name);
    return err_set(err, WEIR_ERR_FORMAT, "%s: tensor %s: holds Inf, NaN or an invalid scale",
                   gguf->splits[row->tensor->split].path, row->tensor->name);
}

/* Byte for byte, in parts of whole blocks. */
static enum weir_status copy_tensor(struct job *job, const struct quantize_row *row,
                                    struct weir_error *err)
{
    const struct dtype_info *info = dtype_info(row->dtype);
    const uint8_t *data = gguf_tensor_data(job->plan->gguf, row->tensor);
    const uint64_t step = COPY_BYTES / info->block_bytes;
    const uint64_t blocks = row->bytes / info->block_bytes;
    enum weir_status status = WEIR_OK;
    for (uint64_t first = 0; first < blocks; first += step) {
        const uint64_t count = blocks - first < step ? blocks - first : step;
        const uint8_t *part = data + first * info->block_bytes;
        if (!codec_row_valid(row->dtype, part, count * info->block))
            return refuse_values(job, row, BAD_INPUT, err);
        TRY(job_put(job, part, count * info->block_bytes, err));
        file_map_forget(part, count * info->block_bytes);
    }
out:
    return status;
}

/* One matrix of a tensor: an expert of several, or all there is. */
static enum weir_status encode_matrix(struct job *job, const struct quantize_row *row,
                                      uint64_t matrix, struct weir_error *err)
{
    const struct gguf_tensor *tensor = row->tensor;
    const uint64_t columns = tensor->ne[0], rows = tensor->ne[1];
    const uint64_t step = quantize_chunk_rows(tensor);
    const uint64_t from_bytes = dtype_row_bytes(tensor->dtype, columns);
    const uint8_t *from = gguf_tensor_data(job->plan->gguf, tensor);
    enum weir_status status = WEIR_OK;
    if (row->importance != NULL)
        imatrix_weights(row->importance, matrix % tensor->ne[2] * columns, columns,
                        job->importance);
    for (uint64_t first = 0; first < rows; first += step) {
        struct part part = {
            .tensor = tensor,
            .dtype = row->dtype,
            .from = from + (matrix * rows + first) * from_bytes,
            .to = job->chunk,
            .rows = rows - first < step ? rows - first : step,
            .from_bytes = from_bytes,
            .to_bytes = dtype_row_bytes(row->dtype, columns),
            .importance = row->importance == NULL ? NULL : job->importance,
            .values = job->values,
        };
        pool_run(job->pool, part_encode, &part);
        if (part.fault != SOUND)
            return refuse_values(job, row, part.fault, err);
        file_map_forget(part.from, part.rows * from_bytes);
        TRY(job_put(job, job->chunk, part.rows * part.to_bytes, err));
    }
out:
    return status;
}

static enum weir_status write_tensor(struct job *job, const struct quantize_row *row,
                                     struct weir_error *err)
{
    if (row->dtype == row->tensor->dtype)
        return copy_tensor(job, row, err);
    for (uint64_t matrix = 0; matrix < row->tensor->ne[2] * row->tensor->ne[3]; matrix++) {
        const enum weir_status status = encode_matrix(job, row, matrix, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- the file -------------------------------------------------------------------------------- */

static enum weir_status refuse_own_input(const struct job *job, struct weir_error *err)
{
    const struct gguf *gguf = job->plan->gguf;
    const char *imatrix = job->plan->options->imatrix;
    bool is_input = imatrix != NULL && file_is_same(imatrix, job->path);
    for (uint32_t i = 0; i < gguf->split_count; i++)
        is_input = is_input || file_is_same(gguf->splits[i].path, job->path);
    if (!is_input)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "%s: is read from, so it cannot be written to",
                   job->path);
}

static enum weir_status job_declare(const struct job *job, struct weir_error *err)
{
    for (uint64_t i = 0; i < job->plan->count; i++) {
        const struct quantize_row *row = &job->plan->rows[i];
        const enum weir_status status = gguf_writer_tensor(
            job->writer, row->tensor->name, row->dtype, row->tensor->ne, GGUF_DIMS_MAX, err);
        if (status != WEIR_OK)
            return status;
    }
    return file_check_space(job->path, gguf_writer_size(job->writer), err);
}

static enum weir_status job_allocate(struct job *job, struct weir_error *err)
{
    const struct quantize_plan *plan = job->plan;
    const uint64_t columns = plan->columns_max;
    uint64_t values;
    if (!size_mul(columns, plan->threads, &values))
        return err_set(err, WEIR_ERR_MEMORY, "rows of %llu elements are too long",
                       (unsigned long long)columns);
    job->values = mem_alloc(values, sizeof *job->values, err);
    job->importance = mem_alloc(columns, sizeof *job->importance, err);
    job->chunk = mem_alloc(plan->chunk_bytes, 1, err);
    if (job->values == NULL || job->importance == NULL || job->chunk == NULL)
        return WEIR_ERR_MEMORY;
    return pool_open(&job->pool, plan->threads, err);
}

static enum weir_status job_run(struct job *job, struct weir_error *err)
{
    enum weir_status status;
    TRY(refuse_own_input(job, err));
    TRY(gguf_writer_open(&job->writer, job->path, err));
    TRY(write_keys(job->plan, job->writer, err));
    TRY(job_declare(job, err));
    TRY(job_allocate(job, err));
    TRY(gguf_writer_begin(job->writer, err));
    TRY(job_progress(job, err));
    for (uint64_t i = 0; i < job->plan->count; i++)
        TRY(write_tensor(job, &job->plan->rows[i], err));
    TRY(gguf_writer_commit(job->writer, err));
out:
    pool_close(job->pool);
    mem_free(job->chunk);
    mem_free(job->importance);
    mem_free(job->values);
    gguf_writer_close(job->writer);
    return status;
}

void weir_quantize_options_init(struct weir_quantize_options *options)
{
    *options = (struct weir_quantize_options){.threads = 0};
}

enum weir_status weir_quantize(const char *in, const char *out, const char *type,
                               const struct weir_quantize_options *options, struct weir_error *err)
{
    struct weir_quantize_options defaults;
    struct quantize_plan plan;
    weir_quantize_options_init(&defaults);
    enum weir_status status =
        quantize_plan_open(&plan, in, type, options != NULL ? options : &defaults, err);
    if (status != WEIR_OK)
        return status;
    struct job job = {.plan = &plan, .path = out};
    status = job_run(&job, err);
    quantize_plan_close(&plan);
    return status;
}
