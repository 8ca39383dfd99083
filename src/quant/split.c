/* SPDX-License-Identifier: MIT
 * Copies a model into several files, or several into one: weir_split and weir_merge. Tensors are
 * moved as they are; knows nothing of what is in them. */
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "format/gguf.h"

enum { PART_BYTES = 1 << 20 }; /* copied between two looks at the progress */

/* One file to be written. */
struct part {
    uint64_t first, end; /* its tensors */
    uint64_t bytes;      /* of the whole file */
    char *path;
    struct gguf_writer *writer; /* open from when the file is begun until all is over */
};

/* All that is to be written: the files of a split model, or a single one. */
struct job {
    struct gguf *gguf;
    bool is_split; /* the files say which of how many they are */
    struct part *parts;
    uint64_t count, capacity;
    weir_progress_fn *progress;
    void *progress_user;
    uint64_t done, total; /* bytes of tensors */
};

void weir_split_options_init(struct weir_split_options *options)
{
    *options = (struct weir_split_options){.tensors_max = 128};
}

static void job_release(struct job *job)
{
    for (uint64_t i = 0; i < job->count; i++) {
        gguf_writer_close(job->parts[i].writer);
        mem_free(job->parts[i].path);
    }
    mem_free(job->parts);
    gguf_close(job->gguf);
}

static enum weir_status job_add(struct job *job, uint64_t first, uint64_t end,
                                struct weir_error *err)
{
    const enum weir_status status =
        mem_grow(&job->parts, &job->capacity, job->count + 1, sizeof *job->parts, err);
    if (status == WEIR_OK)
        job->parts[job->count++] = (struct part){.first = first, .end = end};
    return status;
}

/* ---- the plan -------------------------------------------------------------------------------- */

static enum weir_status refuse_tensor(const struct job *job, const struct gguf_tensor *tensor,
                                      uint64_t bytes_max, struct weir_error *err)
{
    return err_set(err, WEIR_ERR_ARGUMENT,
                   "%s: tensor %s has %llu bytes, but a file may hold no more than %llu",
                   gguf_path(job->gguf), tensor->name, (unsigned long long)tensor->bytes,
                   (unsigned long long)bytes_max);
}

/* Cuts the tensors, in their order, where a file would exceed a limit. */
static enum weir_status job_cut(struct job *job, const struct weir_split_options *options,
                                struct weir_error *err)
{
    const uint64_t tensors_max = options->tensors_max == 0 ? UINT64_MAX : options->tensors_max;
    const uint64_t bytes_max = options->bytes_max == 0 ? UINT64_MAX : options->bytes_max;
    uint64_t first = 0, bytes = 0;
    enum weir_status status;
    if (options->bare_first && job->gguf->tensor_count > 0)
        TRY(job_add(job, 0, 0, err));
    for (uint64_t i = 0; i < job->gguf->tensor_count; i++) {
        const struct gguf_tensor *tensor = &job->gguf->tensors[i];
        const uint64_t padded = size_align(tensor->bytes, GGUF_ALIGNMENT);
        if (padded > bytes_max)
            return refuse_tensor(job, tensor, bytes_max, err);
        if (i > first && (i - first == tensors_max || bytes + padded > bytes_max)) {
            TRY(job_add(job, first, i, err));
            first = i;
            bytes = 0;
        }
        bytes += padded;
    }
    TRY(job_add(job, first, job->gguf->tensor_count, err));
    if (job->count > GGUF_SPLITS_MAX)
        status = err_set(err, WEIR_ERR_ARGUMENT,
                         "%s: would be split into %llu files, at most %d are possible",
                         gguf_path(job->gguf), (unsigned long long)job->count, GGUF_SPLITS_MAX);
out:
    return status;
}

static enum weir_status job_name(struct job *job, const char *prefix, struct weir_error *err)
{
    if (prefix[0] == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the names of the files have an empty prefix");
    const uint64_t length = strlen(prefix);
    for (uint64_t i = 0; i < job->count; i++) {
        char *path = mem_alloc(length + GGUF_SPLIT_SUFFIX_BYTES + 1, 1, err);
        if (path == NULL)
            return WEIR_ERR_MEMORY;
        memcpy(path, prefix, length);
        gguf_split_suffix(path + length, (uint32_t)i, (uint32_t)job->count);
        job->parts[i].path = path;
    }
    return WEIR_OK;
}

/* ---- headers --------------------------------------------------------------------------------- */

/* Where a file's tensors lie is said anew: the keys of splits go, and so does an alignment that is
 * not the writer's. */
static bool key_is_kept(const struct gguf_kv *kv)
{
    int64_t alignment;
    if (span_equals(kv->key, "general.alignment"))
        return gguf_kv_integer(kv, 0, &alignment) && alignment == GGUF_ALIGNMENT;
    return !span_begins(kv->key, "split.");
}

static enum weir_status put_metadata(const struct job *job, struct gguf_writer *writer,
                                     struct weir_error *err)
{
    for (uint64_t i = 0; i < job->gguf->kv_count; i++) {
        const struct gguf_kv *kv = &job->gguf->kv[i];
        const enum weir_status status =
            key_is_kept(kv) ? gguf_writer_copy(writer, kv, err) : WEIR_OK;
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status put_split_keys(const struct job *job, uint64_t no,
                                       struct gguf_writer *writer, struct weir_error *err)
{
    enum weir_status status;
    TRY(gguf_writer_u16(writer, "split.no", (uint16_t)no, err));
    TRY(gguf_writer_u16(writer, "split.count", (uint16_t)job->count, err));
    TRY(gguf_writer_i32(writer, "split.tensors.count", (int32_t)job->gguf->tensor_count, err));
out:
    return status;
}

/* Gives the writer all that file `no` has before its data. */
static enum weir_status part_declare(const struct job *job, uint64_t no, struct gguf_writer *writer,
                                     struct weir_error *err)
{
    const struct part *part = &job->parts[no];
    enum weir_status status;
    if (no == 0)
        TRY(put_metadata(job, writer, err));
    if (job->is_split)
        TRY(put_split_keys(job, no, writer, err));
    for (uint64_t i = part->first; i < part->end; i++) {
        const struct gguf_tensor *tensor = &job->gguf->tensors[i];
        const uint32_t dims = tensor->dims == 0 ? 1 : tensor->dims;
        TRY(gguf_writer_tensor(writer, tensor->name, tensor->dtype, tensor->ne, dims, err));
    }
out:
    return status;
}

/* Finds the sizes of all files without writing any. */
static enum weir_status job_measure(struct job *job, struct weir_error *err)
{
    for (uint64_t i = 0; i < job->count; i++) {
        struct gguf_writer *writer;
        enum weir_status status = gguf_writer_open(&writer, NULL, err);
        if (status != WEIR_OK)
            return status;
        status = part_declare(job, i, writer, err);
        job->parts[i].bytes = gguf_writer_size(writer);
        gguf_writer_close(writer);
        if (status != WEIR_OK)
            return status;
    }
    for (uint64_t i = 0; i < job->gguf->tensor_count; i++)
        job->total += job->gguf->tensors[i].bytes;
    return WEIR_OK;
}

/* ---- writing --------------------------------------------------------------------------------- */

static enum weir_status check_absent(const struct part *part, struct weir_error *err)
{
    if (!file_exists(part->path))
        return WEIR_OK;
    return err_set(err, WEIR_ERR_ARGUMENT, "%s: exists already, and is not replaced", part->path);
}

static enum weir_status job_check(const struct job *job, struct weir_error *err)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < job->count; i++) {
        const enum weir_status status = check_absent(&job->parts[i], err);
        if (status != WEIR_OK)
            return status;
        bytes += job->parts[i].bytes;
    }
    return file_check_space(job->parts[0].path, bytes, err);
}

static enum weir_status job_progress(const struct job *job, struct weir_error *err)
{
    return file_report_progress(job->parts[0].path, job->progress, job->progress_user, job->done,
                                job->total, err);
}

static enum weir_status copy_tensor(struct job *job, struct gguf_writer *writer,
                                    const struct gguf_tensor *tensor, struct weir_error *err)
{
    const uint8_t *data = gguf_tensor_data(job->gguf, tensor);
    enum weir_status status = WEIR_OK;
    for (uint64_t at = 0; at < tensor->bytes; at += PART_BYTES) {
        const uint64_t left = tensor->bytes - at;
        const uint64_t bytes = left < PART_BYTES ? left : PART_BYTES;
        TRY(job_progress(job, err));
        TRY(gguf_writer_put(writer, data + at, bytes, err));
        job->done += bytes;
    }
out:
    return status;
}

static enum weir_status part_write(struct job *job, uint64_t no, struct weir_error *err)
{
    struct part *part = &job->parts[no];
    enum weir_status status;
    TRY(gguf_writer_open(&part->writer, part->path, err));
    TRY(part_declare(job, no, part->writer, err));
    TRY(gguf_writer_begin(part->writer, err));
    for (uint64_t i = part->first; i < part->end; i++)
        TRY(copy_tensor(job, part->writer, &job->gguf->tensors[i], err));
    TRY(gguf_writer_finish(part->writer, err));
out:
    return status;
}

/* Takes back the first `count` files. Returns the one that stays all the same, or NULL. */
static const char *job_retract(const struct job *job, uint64_t count)
{
    const char *left = NULL;
    for (uint64_t i = 0; i < count; i++) {
        if (remove(job->parts[i].path) != 0 && left == NULL)
            left = job->parts[i].path;
    }
    return left;
}

/* Renames all files, or none. */
static enum weir_status job_publish(struct job *job, struct weir_error *err)
{
    struct weir_error inner = {0};
    enum weir_status status = WEIR_OK;
    uint64_t no = 0;
    for (; no < job->count; no++) {
        TRY(check_absent(&job->parts[no], &inner));
        TRY(gguf_writer_publish(job->parts[no].writer, &inner));
    }
    return WEIR_OK;
out:;
    const char *left = job_retract(job, no);
    if (left == NULL)
        return err_set(err, status, "%s", inner.text);
    return err_set(err, status, "%s; %s is there and cannot be removed", inner.text, left);
}

static enum weir_status job_run(struct job *job, struct weir_error *err)
{
    enum weir_status status;
    TRY(job_check(job, err));
    for (uint64_t i = 0; i < job->count; i++)
        TRY(part_write(job, i, err));
    TRY(job_progress(job, err));
    TRY(job_publish(job, err));
out:
    return status;
}

/* ---- split and merge ------------------------------------------------------------------------- */

static enum weir_status split_plan(struct job *job, const char *path, const char *prefix,
                                   const struct weir_split_options *options, struct weir_error *err)
{
    enum weir_status status;
    TRY(gguf_open(&job->gguf, path, err));
    if (job->gguf->tensor_count > INT32_MAX)
        return err_set(err, WEIR_ERR_UNSUPPORTED, "%s: has %llu tensors, split files can hold %d",
                       path, (unsigned long long)job->gguf->tensor_count, INT32_MAX);
    TRY(job_cut(job, options, err));
    TRY(job_name(job, prefix, err));
    TRY(job_measure(job, err));
out:
    return status;
}

static struct weir_split_options split_options(const struct weir_split_options *options)
{
    struct weir_split_options result;
    weir_split_options_init(&result);
    return options == NULL ? result : *options;
}

enum weir_status weir_split(const char *path, const char *prefix,
                            const struct weir_split_options *options, struct weir_error *err)
{
    const struct weir_split_options wanted = split_options(options);
    struct job job = {
        .is_split = true,
        .progress = wanted.progress,
        .progress_user = wanted.progress_user,
    };
    enum weir_status status;
    TRY(split_plan(&job, path, prefix, &wanted, err));
    TRY(job_run(&job, err));
out:
    job_release(&job);
    return status;
}

static void job_print(const struct job *job, struct printer printer)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i < job->count; i++) {
        const struct part *part = &job->parts[i];
        printer.write(printer.user, part->path, strlen(part->path));
        print(printer, " %8llu tensors %16llu bytes\n",
              (unsigned long long)(part->end - part->first), (unsigned long long)part->bytes);
        bytes += part->bytes;
    }
    print(printer, "%llu files, %llu tensors, %llu bytes\n", (unsigned long long)job->count,
          (unsigned long long)job->gguf->tensor_count, (unsigned long long)bytes);
}

enum weir_status weir_split_print(const char *path, const char *prefix,
                                  const struct weir_split_options *options, weir_write_fn *write,
                                  void *user, struct weir_error *err)
{
    const struct weir_split_options wanted = split_options(options);
    struct job job = {.is_split = true};
    enum weir_status status;
    TRY(split_plan(&job, path, prefix, &wanted, err));
    job_print(&job, (struct printer){write, user});
out:
    job_release(&job);
    return status;
}

static enum weir_status merge_plan(struct job *job, const char *path, const char *target,
                                   struct weir_error *err)
{
    enum weir_status status;
    TRY(gguf_open(&job->gguf, path, err));
    if (gguf_find(job->gguf, "split.count") == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: is not split, there is nothing to merge", path);
    TRY(job_add(job, 0, job->gguf->tensor_count, err));
    job->parts[0].path = mem_copy_text(target, strlen(target), err);
    if (job->parts[0].path == NULL)
        return WEIR_ERR_MEMORY;
    TRY(job_measure(job, err));
out:
    return status;
}

enum weir_status weir_merge(const char *path, const char *target,
                            const struct weir_merge_options *options, struct weir_error *err)
{
    struct job job = {0};
    if (options != NULL) {
        job.progress = options->progress;
        job.progress_user = options->progress_user;
    }
    enum weir_status status;
    TRY(merge_plan(&job, path, target, err));
    TRY(job_run(&job, err));
out:
    job_release(&job);
    return status;
}
