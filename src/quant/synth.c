/* SPDX-License-Identifier: MIT
 * Writes made-up models: weir_synth. Knows neither shapes (synth_shape.c) nor values
 * (synth_fill.c). */
#include "quant/synth.h"

#include "base/file.h"
#include "base/mem.h"
#include "base/rng.h"

enum { PART_BYTES = 1 << 20 }; /* filled and written at a time */

/* A file on its way. */
struct job {
    const struct synth_model *model;
    const struct weir_synth_options *options;
    const char *path;
    struct gguf_writer *writer;
    uint8_t *part;
    uint64_t done, total; /* bytes of tensors */
};

void weir_synth_options_init(struct weir_synth_options *options)
{
    *options = (struct weir_synth_options){.size = "tiny", .type = "q4_0", .seed = 1};
}

static enum weir_status job_declare(struct job *job, struct weir_error *err)
{
    for (uint64_t i = 0; i < job->model->tensor_count; i++) {
        const struct synth_tensor *tensor = &job->model->tensors[i];
        const enum dtype dtype = tensor->type->dtype;
        const enum weir_status status =
            gguf_writer_tensor(job->writer, tensor->name, dtype, tensor->ne, tensor->dims, err);
        if (status != WEIR_OK)
            return status;
        job->total += synth_tensor_blocks(tensor) * dtype_info(dtype)->block_bytes;
    }
    return WEIR_OK;
}

static enum weir_status job_progress(const struct job *job, struct weir_error *err)
{
    const struct weir_synth_options *options = job->options;
    return file_report_progress(job->path, options->progress, options->progress_user, job->done,
                                job->total, err);
}

static enum weir_status job_write_tensor(struct job *job, uint64_t number, struct weir_error *err)
{
    const struct synth_tensor *tensor = &job->model->tensors[number];
    const uint64_t blocks = synth_tensor_blocks(tensor);
    const uint32_t block_bytes = dtype_info(tensor->type->dtype)->block_bytes;
    const uint64_t key = rng_key(job->model->seed, number);
    const uint64_t step = PART_BYTES / block_bytes;
    enum weir_status status = WEIR_OK;
    for (uint64_t first = 0; first < blocks; first += step) {
        const uint64_t count = blocks - first < step ? blocks - first : step;
        TRY(job_progress(job, err));
        synth_fill(tensor, key, first, count, job->part);
        TRY(gguf_writer_put(job->writer, job->part, count * block_bytes, err));
        job->done += count * block_bytes;
    }
out:
    return status;
}

/* All that stands before the weights is with the writer. */
static enum weir_status job_describe(struct job *job, struct weir_error *err)
{
    const enum weir_status status = synth_metadata(job->writer, job->model, err);
    return status == WEIR_OK ? job_declare(job, err) : status;
}

enum weir_status weir_synth_header(const struct weir_synth_options *options, weir_write_fn *write,
                                   void *user, struct weir_error *err)
{
    struct weir_synth_options defaults;
    struct synth_model model = {0};
    weir_synth_options_init(&defaults);
    struct job job = {.model = &model, .options = options != NULL ? options : &defaults};
    enum weir_status status;
    TRY(synth_model_init_header(&model, job.options, err));
    TRY(gguf_writer_open(&job.writer, NULL, err));
    gguf_writer_send(job.writer, write, user);
    TRY(job_describe(&job, err));
    TRY(gguf_writer_begin(job.writer, err));
out:
    gguf_writer_close(job.writer);
    synth_model_release(&model);
    return status;
}

enum weir_status weir_synth(const char *path, const struct weir_synth_options *options,
                            struct weir_error *err)
{
    struct weir_synth_options defaults;
    struct synth_model model = {0};
    weir_synth_options_init(&defaults);
    struct job job = {
        .model = &model, .options = options != NULL ? options : &defaults, .path = path};
    enum weir_status status;
    TRY(synth_model_init(&model, job.options, err));
    TRY(gguf_writer_open(&job.writer, path, err));
    TRY(job_describe(&job, err));
    TRY(file_check_space(job.path, gguf_writer_size(job.writer), err));
    job.part = mem_alloc(PART_BYTES, 1, err);
    if (job.part == NULL) {
        status = WEIR_ERR_MEMORY;
        goto out;
    }
    TRY(gguf_writer_begin(job.writer, err));
    for (uint64_t i = 0; i < model.tensor_count; i++)
        TRY(job_write_tensor(&job, i, err));
    TRY(job_progress(&job, err));
    TRY(gguf_writer_commit(job.writer, err));
out:
    mem_free(job.part);
    gguf_writer_close(job.writer);
    synth_model_release(&model);
    return status;
}
