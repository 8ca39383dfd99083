/* SPDX-License-Identifier: MIT
 * Perplexity of a text or of token ids, and the file of the rows that it was found from. */
#include "app/command.h"

#include <math.h>

#include "app/kl_base.h"
#include "app/logits_row.h"
#include "app/output.h"
#include "app/windows.h"
#include "base/err.h"
#include "base/mem.h"

struct perplexity {
    struct windows windows;
    struct output output;
    struct file_writer base; /* of --kl-divergence-base */
    uint8_t *records;        /* of the rows of a step; NULL if there is no such file */
    uint64_t record_bytes;
    double surprise[WINDOWS_ROWS_MAX]; /* of the rows of a step */
    double sum, squares;               /* of the surprise so far */
    uint64_t count;
};

static void score_row(void *user, uint32_t slot, const float *logits, int32_t next)
{
    struct perplexity *perplexity = user;
    const uint32_t vocab = weir_engine_vocab(perplexity->windows.loaded.engine);
    perplexity->surprise[slot] =
        perplexity->records == NULL
            ? row_surprise(logits, vocab, next)
            : row_encode(logits, vocab, next,
                         perplexity->records + slot * perplexity->record_bytes);
}

static enum weir_status take_rows(void *user, uint32_t rows, struct weir_error *err)
{
    struct perplexity *perplexity = user;
    for (uint32_t slot = 0; slot < rows; slot++) {
        const double surprise = perplexity->surprise[slot];
        perplexity->sum += surprise;
        perplexity->squares += surprise * surprise;
    }
    perplexity->count += rows;
    if (perplexity->records == NULL)
        return WEIR_OK;
    return file_writer_put(&perplexity->base, perplexity->records, rows * perplexity->record_bytes,
                           err);
}

static enum weir_status score_all(struct perplexity *perplexity, struct weir_error *err)
{
    const struct windows_scorer scorer = {score_row, take_rows, perplexity};
    struct output *output = &perplexity->output;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < perplexity->windows.count; i++) {
        TRY(windows_score(&perplexity->windows, i, &scorer, err));
        output_print(output, "[%u]%.4f,", i + 1, exp(perplexity->sum / (double)perplexity->count));
        output_flush(output);
        TRY(output_failed(output, err));
    }
    const double count = (double)perplexity->count;
    const double mean = perplexity->sum / count;
    const double variance = perplexity->squares / count - mean * mean;
    const double deviation = variance > 0 && count > 1 ? sqrt(variance / (count - 1)) : 0;
    output_print(output, "\nFinal estimate: PPL = %.4f +/- %.5f\n", exp(mean),
                 deviation * exp(mean));
out:
    return status;
}

/* ---- the file of the rows -------------------------------------------------------------------- */

static enum weir_status base_begin(struct perplexity *perplexity, struct weir_error *err)
{
    const struct windows *windows = &perplexity->windows;
    const char *path = windows->call->options->kl_base;
    if (path == NULL)
        return WEIR_OK;
    const struct kl_shape shape = {
        .vocab = weir_engine_vocab(windows->loaded.engine),
        .windows = windows->count,
        .window = windows->length,
        .first = windows->first,
        .head = windows->head,
    };
    uint64_t bytes = UINT64_MAX;
    kl_shape_bytes(&shape, &bytes);
    enum weir_status status;
    TRY(file_check_space(path, bytes, err));
    TRY(file_writer_open(&perplexity->base, path, err));
    perplexity->record_bytes = row_record_bytes(shape.vocab);
    perplexity->records = mem_alloc(WINDOWS_ROWS_MAX, perplexity->record_bytes, err);
    if (perplexity->records == NULL)
        return WEIR_ERR_MEMORY;
    TRY(kl_base_put_head(&perplexity->base, &shape, windows->ids.items, err));
out:
    return status;
}

enum weir_status perplexity_run(const struct call *call, struct weir_error *err)
{
    struct perplexity perplexity = {.count = 0};
    enum weir_status status;
    TRY(windows_read(&perplexity.windows, call, 2, err));
    TRY(windows_open_engine(&perplexity.windows, WEIR_COLLECT_NOTHING, err));
    TRY(windows_check_tokens(&perplexity.windows, err));
    TRY(base_begin(&perplexity, err));
    TRY(output_open(&perplexity.output, NULL, err));
    TRY(score_all(&perplexity, err));
    TRY(output_finish(&perplexity.output, err));
    if (perplexity.records != NULL)
        TRY(file_writer_commit(&perplexity.base, err));
out:
    output_abandon(&perplexity.output);
    file_writer_abandon(&perplexity.base);
    mem_free(perplexity.records);
    windows_close(&perplexity.windows);
    return status;
}
