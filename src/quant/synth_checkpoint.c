/* SPDX-License-Identifier: MIT
 * Writes made-up checkpoints: weir_synth_checkpoint. Knows neither names nor orders of tensors
 * (synth_source.c), nor the JSON beside them (synth_json.c). */
#include "quant/synth_checkpoint.h"

#include <endian.h>
#include <stdarg.h>
#include <string.h>

#include "base/folder.h"
#include "base/mem.h"

enum { PART_BYTES = 1 << 20, FILE_NAME_MAX = 64, INDEX_BYTES_MAX = 256 };

#define SHARD_BYTES_MAX (UINT64_C(4) << 30) /* a larger tensor has a shard of its own */

struct job {
    const struct synth_model *model;
    const struct weir_synth_options *options;
    const char *path;
    struct synth_sources sources;
    struct folder_writer folder;
    uint64_t shards, shard_bytes_max;
    uint8_t *part, *scratch;
    uint64_t part_bytes;  /* room for a row at least */
    uint64_t done, total; /* bytes of tensors */
};

/* ---- text ------------------------------------------------------------------------------------ */

void synth_text_print(struct synth_text *text, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (text->status == WEIR_OK)
        text->status = mem_grow(&text->data, &text->capacity, text->length + (uint64_t)length + 1,
                                1, text->err);
    if (text->status != WEIR_OK)
        return;
    va_start(args, format);
    vsnprintf(text->data + text->length, (size_t)length + 1, format, args);
    va_end(args);
    text->length += (uint64_t)length;
}

/* Writes the text as a file of the folder, and releases it. */
static enum weir_status text_write(struct job *job, struct synth_text *text, const char *name,
                                   struct weir_error *err)
{
    struct file_writer file = {0};
    enum weir_status status;
    TRY(text->status);
    TRY(folder_writer_file(&job->folder, name, &file, err));
    TRY(file_writer_put(&file, text->data, text->length, err));
    TRY(file_writer_commit(&file, err));
out:
    file_writer_abandon(&file);
    mem_free(text->data);
    return status;
}

/* ---- shards ---------------------------------------------------------------------------------- */

/* The end of the shard that begins with source `first`: as many as the limit allows, at least
 * one. */
static uint64_t shard_end(const struct job *job, uint64_t first)
{
    const struct synth_source *list = job->sources.list;
    uint64_t i = first, bytes = 0;
    do
        bytes += list[i++].bytes;
    while (i < job->sources.count && bytes + list[i].bytes <= job->shard_bytes_max);
    return i;
}

static void shard_name(const struct job *job, uint64_t shard, char out[FILE_NAME_MAX])
{
    snprintf(out, FILE_NAME_MAX, "model-%05llu-of-%05llu.safetensors",
             (unsigned long long)shard + 1, (unsigned long long)job->shards);
}

static const char *dtype_name(const struct synth_source *source)
{
    return dtype_info(source->tensors[0]->type->dtype)->name;
}

static void header_print(struct synth_text *text, const struct job *job, uint64_t first,
                         uint64_t end)
{
    uint64_t offset = 0;
    synth_text_print(text, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (uint64_t i = first; i < end; i++) {
        const struct synth_source *source = &job->sources.list[i];
        synth_text_print(text, ",\"%s\":{\"dtype\":\"%s\",\"shape\":[", source->name,
                         dtype_name(source));
        for (uint32_t d = 0; d < source->dims; d++)
            synth_text_print(text, "%s%llu", d == 0 ? "" : ",",
                             (unsigned long long)source->shape[d]);
        synth_text_print(text, "],\"data_offsets\":[%llu,%llu]}", (unsigned long long)offset,
                         (unsigned long long)(offset + source->bytes));
        offset += source->bytes;
    }
    synth_text_print(text, "}");
    while (text->status == WEIR_OK && text->length % 8 != 0)
        synth_text_print(text, " "); /* the data is aligned */
}

static enum weir_status job_progress(const struct job *job, struct weir_error *err)
{
    const struct weir_synth_options *options = job->options;
    return file_report_progress(job->path, options->progress, options->progress_user, job->done,
                                job->total, err);
}

static enum weir_status source_write(struct job *job, const struct synth_source *source,
                                     struct file_writer *file, struct weir_error *err)
{
    const uint64_t row_bytes = source->bytes / source->rows;
    const uint64_t rows_max = job->part_bytes / row_bytes;
    enum weir_status status = WEIR_OK;
    for (uint64_t first = 0; first < source->rows; first += rows_max) {
        const uint64_t rows = source->rows - first < rows_max ? source->rows - first : rows_max;
        TRY(job_progress(job, err));
        for (uint64_t row = 0; row < rows; row++)
            synth_source_row(job->model, source, first + row, job->part + row * row_bytes,
                             job->scratch);
        TRY(file_writer_put(file, job->part, rows * row_bytes, err));
        job->done += rows * row_bytes;
    }
out:
    return status;
}

static enum weir_status shard_write(struct job *job, uint64_t shard, uint64_t first, uint64_t end,
                                    struct weir_error *err)
{
    char name[FILE_NAME_MAX];
    struct file_writer file = {0};
    struct synth_text header = {.err = err};
    enum weir_status status;
    header_print(&header, job, first, end);
    TRY(header.status);
    shard_name(job, shard, name);
    TRY(folder_writer_file(&job->folder, name, &file, err));
    const uint64_t length = htole64(header.length);
    TRY(file_writer_put(&file, &length, sizeof length, err));
    TRY(file_writer_put(&file, header.data, header.length, err));
    for (uint64_t i = first; i < end; i++)
        TRY(source_write(job, &job->sources.list[i], &file, err));
    TRY(file_writer_commit(&file, err));
out:
    file_writer_abandon(&file);
    mem_free(header.data);
    return status;
}

/* All shards, and the index of what lies where. */
static enum weir_status shards_write(struct job *job, struct weir_error *err)
{
    struct synth_text index = {.err = err};
    enum weir_status status = WEIR_OK;
    uint64_t first = 0;
    synth_text_print(&index, "{\n  \"metadata\": {\"total_size\": %llu},\n  \"weight_map\": {",
                     (unsigned long long)job->total);
    for (uint64_t shard = 0; first < job->sources.count; shard++) {
        const uint64_t end = shard_end(job, first);
        char name[FILE_NAME_MAX];
        shard_name(job, shard, name);
        for (uint64_t i = first; i < end; i++)
            synth_text_print(&index, "%s\n    \"%s\": \"%s\"", i == 0 ? "" : ",",
                             job->sources.list[i].name, name);
        TRY(shard_write(job, shard, first, end, err));
        first = end;
    }
    synth_text_print(&index, "\n  }\n}\n");
    return text_write(job, &index, "model.safetensors.index.json", err);
out:
    mem_free(index.data);
    return status;
}

/* ---- the folder ------------------------------------------------------------------------------ */

static enum weir_status tokenizer_write(struct job *job, struct weir_error *err)
{
    struct synth_vocabulary vocabulary;
    struct synth_text text = {.err = err};
    const enum weir_status status = synth_vocabulary_init(&vocabulary, job->model->vocab, err);
    if (status != WEIR_OK)
        return status;
    synth_json_tokenizer(&text, job->model, &vocabulary);
    synth_vocabulary_release(&vocabulary);
    return text_write(job, &text, "tokenizer.json", err);
}

static enum weir_status texts_write(struct job *job, struct weir_error *err)
{
    struct synth_text config = {.err = err}, tokens = {.err = err}, generation = {.err = err};
    enum weir_status status;
    synth_json_config(&config, job->model);
    TRY(text_write(job, &config, "config.json", err));
    synth_json_tokenizer_config(&tokens);
    TRY(text_write(job, &tokens, "tokenizer_config.json", err));
    synth_json_generation(&generation, job->model);
    TRY(text_write(job, &generation, "generation_config.json", err));
    TRY(tokenizer_write(job, err));
out:
    return status;
}

static enum weir_status job_prepare(struct job *job, struct weir_error *err)
{
    job->part_bytes = PART_BYTES;
    for (uint64_t i = 0; i < job->sources.count; i++) {
        const struct synth_source *source = &job->sources.list[i];
        const uint64_t row_bytes = source->bytes / source->rows;
        job->total += source->bytes;
        job->part_bytes = row_bytes > job->part_bytes ? row_bytes : job->part_bytes;
    }
    /* at least two, as most public checkpoints have */
    const uint64_t half = job->total / 2;
    job->shard_bytes_max = half < SHARD_BYTES_MAX ? half : SHARD_BYTES_MAX;
    for (uint64_t first = 0; first < job->sources.count; first = shard_end(job, first))
        job->shards++;
    const uint64_t beside = job->sources.count * INDEX_BYTES_MAX;
    const enum weir_status status = file_check_space(job->path, job->total + beside, err);
    if (status != WEIR_OK)
        return status;
    job->part = mem_alloc(job->part_bytes, 1, err);
    job->scratch = mem_alloc(job->part_bytes, 1, err);
    return job->part == NULL || job->scratch == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

static enum weir_status check_type(const struct synth_model *model, struct weir_error *err)
{
    for (uint64_t i = 0; i < model->tensor_count; i++) {
        const struct synth_type *type = model->tensors[i].type;
        if (dtype_info(type->dtype)->family != DTYPE_FAMILY_FLOAT)
            return err_set(err, WEIR_ERR_ARGUMENT,
                           "a checkpoint cannot have type %s, expected f32, f16 or bf16",
                           type->name);
    }
    return WEIR_OK;
}

enum weir_status weir_synth_checkpoint(const char *path, const struct weir_synth_options *options,
                                       struct weir_error *err)
{
    struct weir_synth_options defaults;
    struct synth_model model = {0};
    weir_synth_options_init(&defaults);
    defaults.type = "bf16"; /* the other default is no type of checkpoints */
    struct job job = {
        .model = &model, .options = options != NULL ? options : &defaults, .path = path};
    enum weir_status status;
    TRY(synth_model_init(&model, job.options, err));
    TRY(check_type(&model, err));
    TRY(synth_sources_open(&job.sources, &model, err));
    TRY(job_prepare(&job, err));
    TRY(folder_writer_open(&job.folder, path, err));
    TRY(texts_write(&job, err));
    TRY(shards_write(&job, err));
    TRY(job_progress(&job, err));
    TRY(folder_writer_commit(&job.folder, err));
out:
    folder_writer_abandon(&job.folder);
    mem_free(job.part);
    mem_free(job.scratch);
    synth_sources_close(&job.sources);
    synth_model_release(&model);
    return status;
}
