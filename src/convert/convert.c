/* SPDX-License-Identifier: MIT
 * Converts a checkpoint folder to a GGUF file: weir_convert. Tensors pass through buffers of a few
 * MB. Of keys it knows those of "general.", of tensors what messages name. */
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/log_line.h"
#include "base/mem.h"
#include "convert/hf_settings.h"
#include "convert/outputs.h"
#include "format/codec.h"

enum { PART_ELEMENTS = 1 << 18 }; /* converted at a time, or one row if that is longer */

/* A file on its way. */
struct job {
    const char *folder, *path;
    const struct weir_convert_options *options;
    struct hf_config config;
    struct checkpoint checkpoint;
    struct outputs outputs;
    struct gguf_writer *writer;
    uint8_t *bytes;           /* as in the checkpoint, and then as in the file */
    float *numbers, *columns; /* decoded, and with their columns in order */
    uint64_t done;            /* bytes of tensors */
};

void weir_convert_options_init(struct weir_convert_options *options)
{
    *options = (struct weir_convert_options){.type = WEIR_CONVERT_AUTO, .mtp = true};
}

/* ---- messages -------------------------------------------------------------------------------- */

__attribute__((format(printf, 3, 4))) static void job_log(const struct job *job,
                                                          enum weir_log_level level,
                                                          const char *format, ...)
{
    va_list args;
    va_start(args, format);
    log_line_args(job->options->log, job->options->log_user, level, format, args);
    va_end(args);
}

static void log_skipped(const struct job *job)
{
    const struct outputs *outputs = &job->outputs;
    if (outputs->vision_skipped > 0)
        job_log(job, WEIR_LOG_INFO, "%llu tensors of the vision part are left out",
                (unsigned long long)outputs->vision_skipped);
    if (outputs->mtp_skipped > 0)
        job_log(job, WEIR_LOG_INFO, "%llu tensors of multi-token prediction are left out",
                (unsigned long long)outputs->mtp_skipped);
    if (outputs->head_skipped > 0)
        job_log(job, WEIR_LOG_INFO, "lm_head.weight is left out: the embedding serves as head");
    if (outputs->mtp == 0 && outputs->mtp_skipped == 0 && job->config.mtp > 0)
        job_log(job, WEIR_LOG_WARNING,
                "warning: config.json names a block of multi-token prediction that the checkpoint "
                "does not have");
}

static enum weir_status job_progress(const struct job *job, struct weir_error *err)
{
    const struct weir_convert_options *options = job->options;
    return file_report_progress(job->path, options->progress, options->progress_user, job->done,
                                job->outputs.bytes, err);
}

/* ---- metadata -------------------------------------------------------------------------------- */

/* general.name: as asked for, or the last part of the folder's path. */
static enum weir_status write_name(struct job *job, struct weir_error *err)
{
    char resolved[PATH_MAX];
    const char *name = job->options->name;
    if (name == NULL && realpath(job->folder, resolved) == NULL)
        return err_set(err, WEIR_ERR_IO, "%s: cannot find the folder", job->folder);
    if (name == NULL)
        name = strrchr(resolved, '/') + 1;
    return gguf_writer_text(job->writer, "general.name", name, err);
}

static uint32_t file_type(enum dtype dtype)
{
    return dtype == DTYPE_F16 ? 1 : dtype == DTYPE_BF16 ? 32 : 0; /* gguf's numbers of mixtures */
}

static enum weir_status write_general(struct job *job, struct weir_error *err)
{
    struct gguf_writer *writer = job->writer;
    enum weir_status status;
    TRY(gguf_writer_text(writer, "general.architecture", job->config.architecture, err));
    TRY(gguf_writer_text(writer, "general.type", "model", err));
    TRY(hf_settings_sampling(job->folder, writer, err));
    TRY(write_name(job, err));
    TRY(gguf_writer_u32(writer, "general.file_type", file_type(job->outputs.main_dtype), err));
    TRY(gguf_writer_u32(writer, "general.quantization_version", GGUF_QUANTIZATION_VERSION, err));
out:
    return status;
}

static enum weir_status write_tokenizer(struct job *job, struct weir_error *err)
{
    struct hf_tokenizer tokenizer;
    enum weir_status status = hf_tokenizer_read(&tokenizer, job->folder, job->config.vocab, err);
    if (status != WEIR_OK)
        return status;
    if (tokenizer.unusual > 0)
        job_log(job, WEIR_LOG_WARNING,
                "warning: %u added tokens take blanks around them or stand for whole words, which "
                "GGUF files cannot say",
                tokenizer.unusual);
    TRY(hf_tokenizer_write(&tokenizer, job->writer, err));
    TRY(hf_settings_tokens(job->folder, &job->config, &tokenizer, job->writer, err));
out:
    hf_tokenizer_release(&tokenizer);
    return status;
}

static enum weir_status job_declare(struct job *job, struct weir_error *err)
{
    for (uint64_t i = 0; i < job->outputs.count; i++) {
        const struct output *output = &job->outputs.list[i];
        const enum weir_status status = gguf_writer_tensor(job->writer, output->name, output->dtype,
                                                           output->ne, output->dims, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

/* ---- data ------------------------------------------------------------------------------------ */

/* Rows of a slab that lie together in one tensor of the checkpoint. */
struct part {
    const struct checkpoint_tensor *tensor;
    uint64_t source_row, rows;
};

static uint64_t part_rows_max(const struct output *output)
{
    return output->width >= PART_ELEMENTS ? 1 : PART_ELEMENTS / output->width;
}

static struct part part_at(const struct job *job, const struct output *output, uint64_t slab,
                           uint64_t row)
{
    const struct transform_run run = transform_row(&job->config, output->map, output->rows, row);
    const uint64_t rows_max = part_rows_max(output);
    const bool is_whole = output->source_count == 1; /* all slabs in one tensor */
    return (struct part){
        .tensor = job->outputs.sources[output->source_first + (is_whole ? 0 : slab)],
        .source_row = run.row + (is_whole ? slab * output->source_rows : 0),
        .rows = run.count < rows_max ? run.count : rows_max,
    };
}

/* From the bytes of the checkpoint to those of the file, in place. */
static enum weir_status part_convert(struct job *job, const struct output *output,
                                     const struct part *part, struct weir_error *err)
{
    const uint64_t width = output->width, count = part->rows * width;
    const enum dtype from = part->tensor->info->dtype;
    const bool has_columns = output->map == MAP_HEAD_COLUMNS;
    if (from == output->dtype && output->values == VALUES_SAME && !has_columns)
        return WEIR_OK;
    codec_decode_row(from, job->bytes, job->numbers, count);
    transform_apply(output->values, job->numbers, count);
    for (uint64_t row = 0; has_columns && row < part->rows; row++)
        transform_columns(&job->config, job->numbers + row * width, job->columns + row * width);
    const float *numbers = has_columns ? job->columns : job->numbers;
    codec_encode_floats(output->dtype, numbers, job->bytes, count);
    if (output->dtype == DTYPE_F16 && !codec_row_valid(DTYPE_F16, job->bytes, count))
        return err_set(err, WEIR_ERR_UNSUPPORTED,
                       "%s: tensor %s has numbers that F16 cannot hold (over 65504, or not finite)",
                       checkpoint_path(&job->checkpoint, part->tensor), part->tensor->info->name);
    return WEIR_OK;
}

static enum weir_status part_write(struct job *job, const struct output *output,
                                   const struct part *part, struct weir_error *err)
{
    const uint32_t from_bytes = dtype_info(part->tensor->info->dtype)->block_bytes;
    const uint32_t to_bytes = dtype_info(output->dtype)->block_bytes;
    const uint64_t count = part->rows * output->width;
    enum weir_status status;
    TRY(job_progress(job, err));
    TRY(checkpoint_read(&job->checkpoint, part->tensor,
                        part->source_row * output->width * from_bytes, job->bytes,
                        count * from_bytes, err));
    TRY(part_convert(job, output, part, err));
    TRY(gguf_writer_put(job->writer, job->bytes, count * to_bytes, err));
    job->done += count * to_bytes;
out:
    return status;
}

static enum weir_status output_write(struct job *job, const struct output *output,
                                     struct weir_error *err)
{
    for (uint64_t slab = 0; slab < output->slabs; slab++) {
        for (uint64_t row = 0; row < output->rows;) {
            const struct part part = part_at(job, output, slab, row);
            const enum weir_status status = part_write(job, output, &part, err);
            if (status != WEIR_OK)
                return status;
            row += part.rows;
        }
    }
    return WEIR_OK;
}

static enum weir_status buffers_alloc(struct job *job, struct weir_error *err)
{
    uint64_t count = PART_ELEMENTS;
    for (uint64_t i = 0; i < job->outputs.count; i++) {
        if (job->outputs.list[i].width > count)
            count = job->outputs.list[i].width;
    }
    job->bytes = mem_alloc(count, sizeof(float), err);
    job->numbers = mem_alloc(count, sizeof(float), err);
    job->columns = mem_alloc(count, sizeof(float), err);
    return job->bytes == NULL || job->numbers == NULL || job->columns == NULL ? WEIR_ERR_MEMORY
                                                                              : WEIR_OK;
}

/* Would the file take the place of one that it is made from? */
static enum weir_status check_path(const struct job *job, struct weir_error *err)
{
    static const char *const names[] = {"config.json",           "tokenizer.json",
                                        "tokenizer_config.json", "generation_config.json",
                                        "chat_template.jinja",   "model.safetensors.index.json"};
    bool is_source = checkpoint_has_file(&job->checkpoint, job->path);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char *path = hf_path(job->folder, names[i], err);
        if (path == NULL)
            return WEIR_ERR_MEMORY;
        is_source = is_source || file_is_same(path, job->path);
        mem_free(path);
    }
    if (is_source)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: cannot be read and written at once", job->path);
    return WEIR_OK;
}

/* ---- the whole ------------------------------------------------------------------------------- */

static enum weir_status job_write(struct job *job, struct weir_error *err)
{
    enum weir_status status;
    TRY(gguf_writer_open(&job->writer, job->path, err));
    TRY(write_general(job, err));
    TRY(hf_config_write(&job->config, job->outputs.mtp, job->writer, err));
    TRY(write_tokenizer(job, err));
    TRY(job_declare(job, err));
    TRY(file_check_space(job->path, gguf_writer_size(job->writer), err));
    TRY(buffers_alloc(job, err));
    TRY(gguf_writer_begin(job->writer, err));
    for (uint64_t i = 0; i < job->outputs.count; i++)
        TRY(output_write(job, &job->outputs.list[i], err));
    TRY(job_progress(job, err));
    TRY(gguf_writer_commit(job->writer, err));
out:
    mem_free(job->bytes);
    mem_free(job->numbers);
    mem_free(job->columns);
    gguf_writer_close(job->writer);
    return status;
}

static enum weir_status check_options(const struct weir_convert_options *options,
                                      struct weir_error *err)
{
    const uint32_t type = (uint32_t)options->type;
    if (type <= WEIR_CONVERT_BF16)
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "the type of the matrices is %u, expected 0 to %d", type,
                   WEIR_CONVERT_BF16);
}

enum weir_status weir_convert(const char *folder, const char *path,
                              const struct weir_convert_options *options, struct weir_error *err)
{
    struct weir_convert_options defaults;
    weir_convert_options_init(&defaults);
    struct job job = {
        .folder = folder, .path = path, .options = options == NULL ? &defaults : options};
    enum weir_status status;
    if (folder[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the name of the checkpoint folder is empty");
    TRY(check_options(job.options, err));
    TRY(hf_config_read(&job.config, folder, err));
    TRY(checkpoint_open(&job.checkpoint, folder, err));
    TRY(outputs_open(&job.outputs, &job.config, &job.checkpoint, job.options->type,
                     job.options->mtp, err));
    TRY(check_path(&job, err));
    log_skipped(&job);
    TRY(job_write(&job, err));
out:
    outputs_close(&job.outputs);
    checkpoint_close(&job.checkpoint);
    return status;
}
