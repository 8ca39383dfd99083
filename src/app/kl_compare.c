/* SPDX-License-Identifier: MIT
 * Compares a model with the rows that a base run has saved. */
#include "app/command.h"

#include "app/kl_base.h"
#include "app/kl_report.h"
#include "app/windows.h"
#include "base/err.h"
#include "base/mem.h"

struct comparison {
    const char *path; /* of the base */
    struct kl_base base;
    struct windows windows;
    struct output output;
    struct row_powers powers;
    struct row_distance distances[WINDOWS_ROWS_MAX]; /* of the rows of a step */
    bool valid[WINDOWS_ROWS_MAX];
    struct kl_rows rows;
    double sum; /* of the KL divergence so far */
};

static void score_row(void *user, uint32_t slot, const float *logits, int32_t next)
{
    struct comparison *comparison = user;
    const uint8_t *record = kl_base_record(&comparison->base, comparison->rows.count + slot);
    comparison->valid[slot] = row_compare(record, logits, comparison->base.shape.vocab, next,
                                          &comparison->powers, &comparison->distances[slot]);
}

static enum weir_status take_rows(void *user, uint32_t rows, struct weir_error *err)
{
    struct comparison *comparison = user;
    for (uint32_t slot = 0; slot < rows; slot++) {
        if (!comparison->valid[slot])
            return err_set(err, WEIR_ERR_FORMAT, "%s: row %llu is damaged", comparison->path,
                           (unsigned long long)comparison->rows.count);
        kl_rows_add(&comparison->rows, &comparison->distances[slot]);
        comparison->sum += comparison->distances[slot].kl;
    }
    return WEIR_OK;
}

/* The windows of the base, or as many of them as the flags want. */
static enum weir_status take_windows(struct comparison *comparison, const struct call *call,
                                     struct weir_error *err)
{
    const struct options *options = call->options;
    const struct kl_shape *shape = &comparison->base.shape;
    struct windows *windows = &comparison->windows;
    const uint32_t context = options->engine.context;
    if (context != 0 && context != shape->window)
        return err_set(err, WEIR_ERR_ARGUMENT, "--ctx-size: is %u, but %s has windows of %u",
                       context, comparison->path, shape->window);
    if (options->chunks == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--chunks: 0 windows cannot be compared");
    windows->call = call;
    windows->length = shape->window;
    windows->first = shape->first;
    windows->head = shape->head;
    windows->count = options->chunks > 0 && (uint32_t)options->chunks < shape->windows
                         ? (uint32_t)options->chunks
                         : shape->windows;
    windows->ids.count = (uint64_t)windows->count * windows->length;
    windows->ids.items = mem_alloc(windows->ids.count, sizeof *windows->ids.items, err);
    if (windows->ids.items == NULL)
        return WEIR_ERR_MEMORY;
    for (uint64_t i = 0; i < windows->ids.count; i++)
        windows->ids.items[i] = kl_base_token(&comparison->base, i);
    return loaded_open_model(&windows->loaded, options, call->log, err);
}

static enum weir_status open_engine(struct comparison *comparison, struct weir_error *err)
{
    const enum weir_status status =
        windows_open_engine(&comparison->windows, WEIR_COLLECT_NOTHING, err);
    if (status != WEIR_OK)
        return status;
    const uint32_t vocab = weir_engine_vocab(comparison->windows.loaded.engine);
    if (vocab != comparison->base.shape.vocab)
        return err_set(err, WEIR_ERR_ARGUMENT, "%s: has rows of %u logits, the model's have %u",
                       comparison->path, comparison->base.shape.vocab, vocab);
    const struct windows *windows = &comparison->windows;
    const uint64_t rows = (uint64_t)windows->count * kl_shape_window_rows(&comparison->base.shape);
    row_powers_init(&comparison->powers);
    return kl_rows_init(&comparison->rows, rows, err);
}

static enum weir_status score_all(struct comparison *comparison, struct weir_error *err)
{
    const struct windows_scorer scorer = {score_row, take_rows, comparison};
    struct output *output = &comparison->output;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < comparison->windows.count; i++) {
        TRY(windows_score(&comparison->windows, i, &scorer, err));
        output_print(output, "[%u]%.6f,", i + 1, comparison->sum / (double)comparison->rows.count);
        output_flush(output);
        TRY(output_failed(output, err));
    }
    output_print(output, "\n");
    kl_report_print(&comparison->rows, output);
out:
    return status;
}

enum weir_status kl_compare_run(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct comparison comparison = {
        .path = options->kl != NULL ? options->kl : options->kl_base,
    };
    enum weir_status status;
    TRY(kl_base_open(&comparison.base, comparison.path, err));
    TRY(take_windows(&comparison, call, err));
    TRY(open_engine(&comparison, err));
    TRY(output_open(&comparison.output, NULL, err));
    TRY(score_all(&comparison, err));
    TRY(output_finish(&comparison.output, err));
out:
    output_abandon(&comparison.output);
    kl_rows_release(&comparison.rows);
    windows_close(&comparison.windows);
    kl_base_close(&comparison.base);
    return status;
}
