/* SPDX-License-Identifier: MIT
 * Brings weights into memory. Knows files and pages; neither ops nor what the weights mean. */
#include "run/loader.h"

#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/pool.h"
#include "format/codec.h"

enum {
    LOADER_ALIGNMENT = 64,
    READ_CHUNK = 8 << 20,
    POPULATE_CHUNK = 32 << 20,
    COPY_MAX = 1 << 18,   /* bytes of a weight that is copied out of the map; see copied_bytes */
    PAGE_BYTES = 4096,    /* whole ones for each thread; larger pages are shared */
    HOLD_CHUNK = 1 << 20, /* of the file's pages that a thread keeps while it holds */
};

/* What is held behind the first step: by whom, and where. */
struct late {
    struct loader_task task;
    struct pool *pool;
    uint64_t bytes;  /* of the weights in the file */
    uint8_t **place; /* by weight; NULL: it is not late */
};

/* What loader_open works on, to keep the helpers' arguments few. */
struct loading {
    struct loader *loader;
    const struct loader_task *task;
    const struct weir_engine_options *options;
    struct pool *pool;    /* for what the backend holds in a form of its own; NULL if nothing is */
    bool holds;           /* that is, whether there is a pool */
    bool is_late;         /* what can be held later is */
    uint64_t done, total; /* bytes, for the progress callback */
};

static enum weir_status report(struct loading *loading, uint64_t bytes, struct weir_error *err)
{
    const struct weir_engine_options *options = loading->options;
    loading->done += bytes;
    if (options->progress != NULL &&
        !options->progress(options->progress_user, WEIR_STAGE_LOAD, loading->done, loading->total))
        return err_set(err, WEIR_ERR_CANCELLED, "loading was cancelled");
    return WEIR_OK;
}

static enum weir_status read_tensor(struct loading *loading, const struct gguf_tensor *tensor,
                                    uint8_t *to, struct weir_error *err)
{
    const struct gguf_split *file = &loading->task->gguf->splits[tensor->split];
    for (uint64_t at = 0; at < tensor->bytes; at += READ_CHUNK) {
        const uint64_t left = tensor->bytes - at;
        const uint64_t part = left < READ_CHUNK ? left : READ_CHUNK;
        enum weir_status status =
            file_map_read(&file->map, file->path, tensor->offset + at, to + at, part, err);
        if (status == WEIR_OK)
            status = report(loading, part, err);
        if (status != WEIR_OK)
            return status;
    }
    return WEIR_OK;
}

static enum weir_status copy_tensor(struct loading *loading, const struct gguf_tensor *tensor,
                                    uint8_t *to, struct weir_error *err)
{
    memcpy(to, gguf_tensor_data(loading->task->gguf, tensor), tensor->bytes);
    return report(loading, tensor->bytes, err);
}

/* Encodes an F32 tensor anew in the type that it is held in, which loses nothing. */
static void narrow_tensor(const struct loading *loading, const struct weight *weight, uint8_t *to)
{
    const uint8_t *from = gguf_tensor_data(loading->task->gguf, weight->tensor);
    const uint64_t elements = weight->tensor->bytes / sizeof(float);
    const uint64_t element_bytes = weight->bytes / elements;
    for (uint64_t i = 0; i < elements; i++) {
        float value;
        memcpy(&value, from + i * sizeof value, sizeof value);
        codec_encode_floats(weight->dtype, &value, to + i * element_bytes, 1);
    }
}

static bool is_narrowed(const struct weight *weight)
{
    return weight->dtype != weight->tensor->dtype;
}

struct populating {
    const uint8_t *data;
    uint64_t bytes;
    uint32_t threads;
};

static void populate_share(void *argument, uint32_t thread)
{
    const struct populating *populating = argument;
    uint64_t first, last;
    backend_share(populating->bytes, PAGE_BYTES, thread, populating->threads, &first, &last);
    if (first < last)
        file_map_populate(populating->data + first, last - first);
}

/* Entering pages into the map takes longer than reading them from memory, so threads share it. */
static void populate(const struct loading *loading, const uint8_t *data, uint64_t bytes)
{
    struct populating populating = {data, bytes, loading->task->threads.count};
    if (loading->pool == NULL)
        file_map_populate(data, bytes);
    else
        pool_run(loading->pool, populate_share, &populating);
}

/* Takes a weight where it is mapped. If there is room for all of them its pages are brought in now,
 * so that the first token does not wait for the disk. */
static enum weir_status map_tensor(struct loading *loading, const uint8_t *data, uint64_t bytes,
                                   bool is_roomy, struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint64_t at = 0; at < bytes && status == WEIR_OK; at += POPULATE_CHUNK) {
        const uint64_t left = bytes - at;
        const uint64_t part = left < POPULATE_CHUNK ? left : POPULATE_CHUNK;
        if (is_roomy)
            populate(loading, data + at, part);
        status = report(loading, part, err);
    }
    return status;
}

static bool holds_any(const struct weights *weights, const bool *used, const uint64_t *held)
{
    for (uint32_t i = 0; i < weights->count; i++) {
        if (used[i] && held[i] > 0)
            return true;
    }
    return false;
}

/* Bytes that a weight takes besides the mapped file. If some are held, so that most of the map is
 * not needed, what is small is copied: a page of the map may come with 2 MiB of neighbours. */
static uint64_t copied_bytes(const struct weight *weight, uint64_t held, bool holds,
                             enum weir_load load)
{
    if (held > 0)
        return held;
    const bool is_small = holds && weight->bytes <= COPY_MAX;
    return load == WEIR_LOAD_READ || is_narrowed(weight) || is_small ? weight->bytes : 0;
}

uint64_t loader_copied_bytes(const struct weights *weights, const bool *used, const uint64_t *held,
                             enum weir_load load)
{
    const bool holds = holds_any(weights, used, held);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < weights->count; i++) {
        if (used[i])
            bytes +=
                size_align(copied_bytes(&weights->list[i], held[i], holds, load), LOADER_ALIGNMENT);
    }
    return bytes;
}

uint64_t loader_mapped_bytes(const struct weights *weights, const bool *used, const uint64_t *held,
                             enum weir_load load)
{
    const bool holds = holds_any(weights, used, held);
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < weights->count; i++) {
        if (used[i] && copied_bytes(&weights->list[i], held[i], holds, load) == 0)
            bytes += weights->list[i].bytes;
    }
    return bytes;
}

/* A weight that all threads bring into the form of the backend, one expert after the other. */
struct holding {
    const struct backend *backend;
    const struct weight *weight;
    const uint8_t *from;
    uint8_t *to;
    uint64_t bytes; /* of all experts, held */
    uint32_t threads;
};

/* A thread's rows of one matrix, some at a time: what is held need not stay in memory as the file
 * has it, so its pages come and go, and there are never two copies of much. */
static void hold_rows(const struct holding *holding, const uint8_t *from, uint64_t first,
                      uint64_t last, uint8_t *to)
{
    const struct weight *w = holding->weight;
    const uint64_t row_bytes = dtype_row_bytes(w->dtype, w->width);
    const uint64_t chunk = size_align(HOLD_CHUNK / row_bytes + 1, BACKEND_ROWS_UNIT);
    if (is_narrowed(w)) { /* from memory */
        holding->backend->hold(w->dtype, from, first, last, w->width, to);
        return;
    }
    for (uint64_t row = first; row < last; row += chunk) {
        const uint64_t end = last - row < chunk ? last : row + chunk;
        file_map_populate(from + row * row_bytes, (end - row) * row_bytes);
        holding->backend->hold(w->dtype, from, row, end, w->width, to);
        file_map_forget(from + row * row_bytes, (end - row) * row_bytes);
    }
}

static void hold_share(void *argument, uint32_t thread)
{
    const struct holding *holding = argument;
    const struct weight *w = holding->weight;
    const uint64_t from_bytes = w->bytes / w->experts, to_bytes = holding->bytes / w->experts;
    uint64_t first, last;
    backend_share(w->rows, BACKEND_ROWS_UNIT, thread, holding->threads, &first, &last);
    for (uint32_t e = 0; e < w->experts; e++)
        hold_rows(holding, holding->from + e * from_bytes, first, last, holding->to + e * to_bytes);
}

static enum weir_status hold_tensor(struct loading *loading, uint32_t number, uint8_t *to,
                                    struct weir_error *err)
{
    const struct loader_task *task = loading->task;
    const struct weight *weight = &task->weights->list[number];
    struct holding holding = {
        .backend = task->backend,
        .weight = weight,
        .from = gguf_tensor_data(task->gguf, weight->tensor),
        .to = to,
        .bytes = task->held[number],
        .threads = task->threads.count,
    };
    uint8_t *narrowed = NULL;
    if (is_narrowed(weight)) {
        narrowed = mem_alloc(weight->bytes, 1, err);
        if (narrowed == NULL)
            return WEIR_ERR_MEMORY;
        narrow_tensor(loading, weight, narrowed);
        file_map_forget(holding.from, weight->tensor->bytes);
        holding.from = narrowed;
    }
    pool_run(loading->pool, hold_share, &holding);
    mem_free(narrowed);
    loading->loader->address[number] = to;
    loading->loader->form[number] = WEIGHT_HELD;
    return WEIR_OK;
}

/* Leaves a weight in the file that will be held at `to`. */
static void put_late(struct loading *loading, uint32_t number, uint8_t *to)
{
    struct late *late = loading->loader->late;
    late->place[number] = to;
    late->bytes += loading->task->weights->list[number].bytes;
    loading->loader->form[number] = WEIGHT_LATE;
}

static bool can_wait(const struct loading *loading, uint32_t number)
{
    return loading->is_late && loading->task->held[number] > 0 &&
           !is_narrowed(&loading->task->weights->list[number]);
}

/* Takes weight `number`, at *block if it is copied, which then moves behind it. */
static enum weir_status load_weight(struct loading *loading, uint32_t number, bool is_roomy,
                                    uint8_t **block, struct weir_error *err)
{
    const struct weight *weight = &loading->task->weights->list[number];
    const struct gguf_tensor *tensor = weight->tensor;
    const uint64_t held = loading->task->held[number];
    const bool is_read = loading->options->load == WEIR_LOAD_READ;
    const uint64_t copied = copied_bytes(weight, held, loading->holds, loading->options->load);
    const bool is_late = can_wait(loading, number);
    uint8_t *to = *block;
    *block += size_align(copied, LOADER_ALIGNMENT);
    if (is_late)
        put_late(loading, number, to);
    if (copied == 0 || is_late) {
        const uint8_t *data = gguf_tensor_data(loading->task->gguf, tensor);
        loading->loader->address[number] = data;
        return map_tensor(loading, data, tensor->bytes, is_roomy, err);
    }
    if (held > 0) {
        const enum weir_status status = hold_tensor(loading, number, to, err);
        return status == WEIR_OK ? report(loading, weight->bytes, err) : status;
    }
    loading->loader->address[number] = to;
    if (is_narrowed(weight)) {
        narrow_tensor(loading, weight, to);
        return report(loading, weight->bytes, err);
    }
    return is_read ? read_tensor(loading, tensor, to, err) : copy_tensor(loading, tensor, to, err);
}

/* What is late lies behind the rest: between its matrices each small weight would have a huge page
 * of its own, and the first token wait until these are cleared. */
static enum weir_status load_weights(struct loading *loading, struct weir_error *err)
{
    struct loader *loader = loading->loader;
    const uint64_t available = pages_available();
    const bool is_roomy = available == 0 || loading->total <= available;
    loading->is_late = loading->loader->late != NULL && is_roomy;
    const uint64_t copied = loader_copied_bytes(loading->task->weights, loading->task->used,
                                                loading->task->held, loading->options->load);
    if (copied > 0) {
        loader->block = pages_alloc(copied, NULL);
        if (loader->block == NULL)
            return err_set(err, WEIR_ERR_MEMORY, "out of memory: %llu MiB for weights%s",
                           (unsigned long long)(copied >> 20),
                           loading->holds ? "; --no-repack leaves them in the file" : "");
        loader->block_bytes = copied;
    }
    uint8_t *block = loader->block;
    enum weir_status status = WEIR_OK;
    for (int late = 0; late <= loading->is_late; late++) {
        for (uint32_t i = 0; i < loading->task->weights->count && status == WEIR_OK; i++) {
            if (loading->task->used[i] && can_wait(loading, i) == late)
                status = load_weight(loading, i, is_roomy, &block, err);
        }
    }
    return status;
}

/* What the kernels read, and no page of the file that was copied. */
static enum weir_status lock_weights(const struct loading *loading, struct weir_error *err)
{
    const struct loader *loader = loading->loader;
    enum weir_status locked = WEIR_OK;
    if (loader->block != NULL)
        locked = pages_lock(loader->block, loader->block_bytes, err);
    if (locked != WEIR_OK || loading->options->load == WEIR_LOAD_READ)
        return locked;
    const struct loader_task *task = loading->task;
    for (uint32_t i = 0; i < task->weights->count && locked == WEIR_OK; i++) {
        const struct weight *weight = &task->weights->list[i];
        const bool is_mapped = task->used[i] && copied_bytes(weight, task->held[i], loading->holds,
                                                             loading->options->load) == 0;
        if (is_mapped)
            locked = pages_lock(loader->address[i], weight->bytes, err);
    }
    return locked;
}

static enum weir_status check_weight(struct loading *loading, uint32_t number,
                                     struct weir_error *err)
{
    const struct weight *weight = &loading->task->weights->list[number];
    const bool is_held = loading->loader->form[number] == WEIGHT_HELD;
    const enum dtype dtype = is_held ? weight->tensor->dtype : weight->dtype;
    const uint64_t row_bytes = dtype_row_bytes(dtype, weight->width);
    const uint8_t *data = is_held ? gguf_tensor_data(loading->task->gguf, weight->tensor)
                                  : loading->loader->address[number];
    for (uint64_t row = 0; row < (uint64_t)weight->rows * weight->experts; row++) {
        if (!codec_row_valid(dtype, data + row * row_bytes, weight->width))
            return err_set(err, WEIR_ERR_FORMAT,
                           "%s: tensor %s, row %llu: Inf, NaN or an invalid scale, expected finite "
                           "weights",
                           gguf_path(loading->task->gguf), weight->tensor->name,
                           (unsigned long long)row);
    }
    return report(loading, weight->bytes, err);
}

static enum weir_status load(struct loading *loading, struct weir_error *err)
{
    enum weir_status status = load_weights(loading, err);
    if (status == WEIR_OK && loading->options->lock)
        status = lock_weights(loading, err);
    for (uint32_t i = 0; i < loading->task->weights->count && status == WEIR_OK; i++) {
        if (loading->options->check_tensors && loading->task->used[i])
            status = check_weight(loading, i, err);
    }
    return status;
}

/* Pages of the file come with their neighbours: what is held has some again, from its ends and from
 * the check. */
static void forget_copied(const struct loading *loading)
{
    const struct weights *weights = loading->task->weights;
    const struct loader *loader = loading->loader;
    for (uint32_t i = 0; i < weights->count; i++) {
        const struct gguf_tensor *tensor = weights->list[i].tensor;
        if (loader->address[i] != NULL &&
            loader->address[i] != gguf_tensor_data(loading->task->gguf, tensor))
            file_map_forget(gguf_tensor_data(loading->task->gguf, tensor), tensor->bytes);
    }
}

static void late_close(struct late *late)
{
    if (late == NULL)
        return;
    pool_close(late->pool);
    mem_free(late->place);
    mem_free(late);
}

static enum weir_status late_open(struct late **out, const struct loader_task *task,
                                  struct weir_error *err)
{
    struct late *late = mem_alloc(1, sizeof *late, err);
    if (late == NULL)
        return WEIR_ERR_MEMORY;
    *out = late;
    late->task = *task;
    late->place = mem_alloc(task->weights->count, sizeof *late->place, err);
    return late->place == NULL ? WEIR_ERR_MEMORY : WEIR_OK;
}

/* Weights can be late that are mapped and of which nothing else is asked at once. */
static bool can_be_late(const struct loading *loading)
{
    const struct weir_engine_options *options = loading->options;
    return options->repack_late && loading->holds && options->load == WEIR_LOAD_MAP &&
           !options->lock && !options->check_tensors;
}

/* The pool stays for what is late, if anything is. */
static void keep_late(struct loading *loading)
{
    struct loader *loader = loading->loader;
    if (loader->late != NULL && loader->late->bytes > 0) {
        loader->late->pool = loading->pool;
        loading->pool = NULL;
        return;
    }
    late_close(loader->late);
    loader->late = NULL;
}

enum weir_status loader_open(struct loader *out, const struct loader_task *task,
                             const struct weir_engine_options *options, struct weir_error *err)
{
    const uint32_t count = task->weights->count, passes = 1 + options->check_tensors;
    enum weir_status status = WEIR_OK;
    *out = (struct loader){.address = mem_alloc(count, sizeof *out->address, err),
                           .form = mem_alloc(count, sizeof *out->form, err)};
    struct loading loading = {.loader = out,
                              .task = task,
                              .options = options,
                              .holds = holds_any(task->weights, task->used, task->held),
                              .total = passes * weights_bytes(task->weights, task->used)};
    if (out->address == NULL || out->form == NULL)
        status = WEIR_ERR_MEMORY;
    if (status == WEIR_OK && can_be_late(&loading))
        status = late_open(&out->late, task, err);
    if (status == WEIR_OK && loading.holds)
        status = pool_open_bound(&loading.pool, task->threads.count, task->threads.cpus, err);
    if (status == WEIR_OK)
        status = load(&loading, err);
    if (status == WEIR_OK) {
        forget_copied(&loading);
        keep_late(&loading);
    }
    pool_close(loading.pool);
    if (status != WEIR_OK)
        loader_close(out);
    return status;
}

enum weir_status loader_hold_late(struct loader *loader, const struct weir_engine_options *options,
                                  loader_held_fn *fn, void *user, struct weir_error *err)
{
    struct late *late = loader->late;
    if (late == NULL)
        return WEIR_OK;
    struct loading loading = {.loader = loader,
                              .task = &late->task,
                              .options = options,
                              .pool = late->pool,
                              .total = late->bytes};
    enum weir_status status;
    for (uint32_t i = 0; i < late->task.weights->count; i++) {
        if (late->place[i] == NULL)
            continue;
        TRY(hold_tensor(&loading, i, late->place[i], err));
        fn(user, i);
        late->place[i] = NULL;
        late->bytes -= late->task.weights->list[i].bytes;
        TRY(report(&loading, late->task.weights->list[i].bytes, err));
    }
    forget_copied(&loading);
    late_close(late);
    loader->late = NULL;
    return WEIR_OK;
out:
    return status;
}

void loader_close(struct loader *loader)
{
    late_close(loader->late);
    mem_free(loader->address);
    mem_free(loader->form);
    pages_free(loader->block, loader->block_bytes);
    *loader = (struct loader){0};
}
