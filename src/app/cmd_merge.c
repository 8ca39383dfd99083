/* SPDX-License-Identifier: MIT
 * weir merge: copies a model of several files into one. */
#include "app/command.h"

#include "app/output.h"
#include "app/written.h"
#include "base/err.h"

enum weir_status command_merge(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    if (options->model == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no model: name the first of its files with --model or as first argument");
    if (options->output == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no file to write: name one with --out or as second argument");
    const struct weir_merge_options merge = {
        .progress = log_progress,
        .progress_user = call->log,
    };
    enum weir_status status;
    TRY(output_check_file(options->output, err));
    TRY(weir_merge(options->model, options->output, &merge, err));
    written_model(options->output, call->log);
out:
    return status;
}
