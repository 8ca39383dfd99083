/* SPDX-License-Identifier: MIT
 * weir imatrix: runs a text through a model and writes which columns of its matrices matter. */
#include "app/command.h"

#include "app/interrupt.h"
#include "app/windows.h"
#include "base/err.h"
#include "base/mem.h"

enum { IMATRIX_CONTEXT = 512, IMATRIX_ROWS_MAX = 64 };

/* One window through the model. Rows of logits are few and the head costs, so it is run, for all
 * tokens, only if its matrix is wanted too. */
static enum weir_status eval_window(const struct loaded *loaded, const struct windows *windows,
                                    uint32_t number, uint32_t rows_max, struct weir_error *err)
{
    const int32_t *tokens = windows_at(windows, number);
    enum weir_status status = WEIR_OK;
    weir_session_reset(loaded->session);
    if (rows_max == 0)
        return weir_session_eval(loaded->session, tokens, windows->size, WEIR_LOGITS_NONE, err);
    for (uint32_t at = 0; at < windows->size && status == WEIR_OK; at += rows_max) {
        const uint32_t left = windows->size - at;
        status = weir_session_eval(loaded->session, tokens + at, left < rows_max ? left : rows_max,
                                   WEIR_LOGITS_ALL, err);
    }
    return status;
}

static enum weir_status collect(const struct loaded *loaded, const struct windows *windows,
                                uint32_t rows_max, struct weir_imatrix *imatrix, struct log *log,
                                struct weir_error *err)
{
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < windows->count; i++) {
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        TRY(eval_window(loaded, windows, i, rows_max, err));
        TRY(weir_imatrix_take(imatrix, loaded->engine, windows->size, err));
        log_progress_show(log, WEIR_STAGE_PREFILL, (uint64_t)(i + 1) * windows->size,
                          (uint64_t)windows->count * windows->size);
    }
out:
    return status;
}

static void report(const struct weir_imatrix *imatrix, const char *path, struct log *log)
{
    struct weir_imatrix_info info;
    weir_imatrix_info(imatrix, &info);
    log_print(log, WEIR_LOG_INFO, "%s: %u matrices, %u chunks of %u tokens", path, info.matrices,
              info.chunks, info.chunk_size);
    if (info.experts_unmet > 0)
        log_print(log, WEIR_LOG_WARNING,
                  "warning: %u experts met no token; more text would give them importances",
                  info.experts_unmet);
}

static enum weir_status check(const struct options *options, struct weir_error *err)
{
    if (options->output == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no file to write: name one with --output-file");
    if (options->chunks == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "--chunks: 0 windows say nothing");
    if (options->prompt_file == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no text: name one with --file");
    return WEIR_OK;
}

enum weir_status command_imatrix(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    const uint32_t context =
        options->engine.context == 0 ? IMATRIX_CONTEXT : options->engine.context;
    struct loaded loaded = {0};
    struct windows windows = {.count = 0};
    struct weir_imatrix *imatrix = NULL;
    enum weir_status status;
    TRY(check(options, err));
    TRY(weir_imatrix_open(&imatrix, err));
    for (uint64_t i = 0; i < options->in_files.count; i++)
        TRY(weir_imatrix_load(imatrix, options->in_files.items[i], err));
    TRY(loaded_open_model(&loaded, options, call->log, err));
    TRY(windows_open(&windows, options, &loaded, context, 1, err));
    struct weir_engine_options engine =
        loaded_engine_options(options, options->process_output ? IMATRIX_ROWS_MAX : 1, call->log);
    engine.context = context;
    engine.collect = options->process_output ? WEIR_COLLECT_ALL : WEIR_COLLECT_BLOCKS;
    TRY(loaded_open_engine(&loaded, &engine, call->log, err));
    call->log->progress_muted = true;
    TRY(collect(&loaded, &windows, options->process_output ? engine.logits_rows_max : 0, imatrix,
                call->log, err));
    TRY(weir_imatrix_save(imatrix, options->output, options->prompt_file, err));
    report(imatrix, options->output, call->log);
out:
    weir_imatrix_close(imatrix);
    loaded_close(&loaded);
    mem_free(windows.ids.items);
    return status;
}
