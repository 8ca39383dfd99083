/* SPDX-License-Identifier: MIT
 * weir imatrix: runs a text through a model and writes which columns of its matrices matter. */
#include "app/command.h"

#include "app/interrupt.h"
#include "app/mtp_feed.h"
#include "app/output.h"
#include "app/windows.h"
#include "base/err.h"
#include "base/file.h"

/* What goes through the helpers. */
struct imatrix_run {
    struct windows windows;
    struct weir_imatrix *imatrix;
    struct mtp_feed feed; /* of a model without the block: not opened */
    bool has_mtp;
    enum weir_logits logits; /* of all rows if the head is collected from */
    uint32_t rows_max;       /* of a step */
};

/* One window through the model. */
static enum weir_status eval_window(struct imatrix_run *run, uint32_t number,
                                    struct weir_error *err)
{
    struct windows *windows = &run->windows;
    struct weir_session *session = windows->loaded.session;
    int32_t *tokens = windows->ids.items + (uint64_t)number * windows->length;
    enum weir_status status = WEIR_OK;
    if (windows->head >= 0)
        tokens[0] = windows->head;
    if (run->has_mtp)
        mtp_feed_reset(&run->feed);
    else
        weir_session_reset(session);
    for (uint32_t at = 0; at < windows->length && status == WEIR_OK; at += run->rows_max) {
        const uint32_t left = windows->length - at;
        const uint32_t rows = left < run->rows_max ? left : run->rows_max;
        status = run->has_mtp ? mtp_feed_step(&run->feed, tokens + at, rows, run->logits,
                                              WEIR_LOGITS_NONE, err)
                              : weir_session_eval(session, tokens + at, rows, run->logits, err);
    }
    return status;
}

static enum weir_status collect(struct imatrix_run *run, struct weir_error *err)
{
    const struct windows *windows = &run->windows;
    const struct call *call = windows->call;
    enum weir_status status = WEIR_OK;
    for (uint32_t i = 0; i < windows->count; i++) {
        if (interrupt_requested())
            return WEIR_ERR_CANCELLED;
        TRY(eval_window(run, i, err));
        TRY(weir_imatrix_take(run->imatrix, windows->loaded.engine, windows->length, err));
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
    if (options->prompt_file == NULL && options->in_files.count == 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "no text: name one with --file");
    /* a run may take hours: that the file can be written is tried before */
    struct file_writer writer = {.stream = NULL};
    enum weir_status status;
    TRY(output_check_file(options->output, err));
    TRY(file_writer_open(&writer, options->output, err));
out:
    file_writer_abandon(&writer);
    return status;
}

static enum weir_status run_windows(struct imatrix_run *run, struct weir_error *err)
{
    const struct call *call = run->windows.call;
    const struct options *options = call->options;
    enum weir_status status;
    TRY(windows_read(&run->windows, call, 1, err));
    TRY(windows_open_engine(&run->windows,
                            options->process_output ? WEIR_COLLECT_ALL : WEIR_COLLECT_BLOCKS, err));
    run->logits = options->process_output ? WEIR_LOGITS_ALL : WEIR_LOGITS_NONE;
    const struct weir_engine_options limits =
        loaded_engine_options(options, WINDOWS_ROWS_MAX, call->log);
    run->rows_max = options->process_output ? limits.logits_rows_max : limits.step_rows_max;
    TRY(weir_model_has_mtp(run->windows.loaded.model, &run->has_mtp, err));
    if (run->has_mtp)
        TRY(mtp_feed_open(&run->feed, &run->windows.loaded, run->rows_max, err));
    TRY(collect(run, err));
out:
    return status;
}

enum weir_status command_imatrix(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct imatrix_run run = {.windows = {.call = call}};
    enum weir_status status;
    TRY(check(options, err));
    TRY(weir_imatrix_open(&run.imatrix, err));
    for (uint64_t i = 0; i < options->in_files.count; i++)
        TRY(weir_imatrix_load(run.imatrix, options->in_files.items[i], err));
    if (options->prompt_file != NULL)
        TRY(run_windows(&run, err));
    TRY(weir_imatrix_save(run.imatrix, options->output, options->prompt_file, err));
    report(run.imatrix, options->output, call->log);
out:
    mtp_feed_close(&run.feed);
    weir_imatrix_close(run.imatrix);
    windows_close(&run.windows);
    return status;
}
