/* SPDX-License-Identifier: MIT
 * weir imatrix: runs a text through a model and writes which columns of its matrices matter. */
#include "app/command.h"

#include "app/interrupt.h"
#include "app/windows.h"
#include "base/err.h"

/* One window through the model. The head costs, so it is run, for all tokens, only if its matrix is
 * wanted too. */
static enum weir_status eval_window(struct windows *windows, uint32_t number, bool with_head,
                                    struct weir_error *err)
{
    struct weir_session *session = windows->loaded.session;
    int32_t *tokens = windows->ids.items + (uint64_t)number * windows->length;
    enum weir_status status = WEIR_OK;
    if (windows->head >= 0)
        tokens[0] = windows->head;
    weir_session_reset(session);
    if (!with_head)
        return weir_session_eval(session, tokens, windows->length, WEIR_LOGITS_NONE, err);
    for (uint32_t at = 0; at < windows->length && status == WEIR_OK; at += WINDOWS_ROWS_MAX) {
        const uint32_t left = windows->length - at;
        status = weir_session_eval(session, tokens + at,
                                   left < WINDOWS_ROWS_MAX ? left : WINDOWS_ROWS_MAX,
                                   WEIR_LOGITS_ALL, err);
    }
    return status;
}

static enum weir_status collect(struct windows *windows, struct weir_imatrix *imatrix,
                                struct weir_error *err)
{
    const struct call *call = windows->call;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < windows->count; i++) {
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        TRY(eval_window(windows, i, call->options->process_output, err));
        TRY(weir_imatrix_take(imatrix, windows->loaded.engine, windows->length, err));
        log_progress_show(call->log, WEIR_STAGE_PREFILL, (uint64_t)(i + 1) * windows->length,
                          (uint64_t)windows->count * windows->length);
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
    if (options->prompt_file == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no text: name one with --file");
    return WEIR_OK;
}

enum weir_status command_imatrix(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct windows windows = {.call = call};
    struct weir_imatrix *imatrix = NULL;
    enum weir_status status;
    TRY(check(options, err));
    TRY(weir_imatrix_open(&imatrix, err));
    for (uint64_t i = 0; i < options->in_files.count; i++)
        TRY(weir_imatrix_load(imatrix, options->in_files.items[i], err));
    TRY(windows_read(&windows, call, 1, err));
    TRY(windows_open_engine(&windows,
                            options->process_output ? WEIR_COLLECT_ALL : WEIR_COLLECT_BLOCKS, err));
    TRY(collect(&windows, imatrix, err));
    TRY(weir_imatrix_save(imatrix, options->output, options->prompt_file, err));
    report(imatrix, options->output, call->log);
out:
    weir_imatrix_close(imatrix);
    windows_close(&windows);
    return status;
}
