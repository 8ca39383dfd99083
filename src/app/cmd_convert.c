/* SPDX-License-Identifier: MIT
 * weir convert: makes a GGUF file of a checkpoint folder. Knows no format. */
#include "app/command.h"

#include "app/output.h"
#include "app/written.h"
#include "base/err.h"

enum weir_status command_convert(const struct call *call, struct weir_error *err)
{
    struct weir_convert_options convert = call->options->convert;
    if (call->options->checkpoint == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no checkpoint: name a folder with --model or as first argument");
    if (call->options->output == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no file to write: name one with --outfile or as second argument");
    convert.log = log_sink;
    convert.log_user = call->log;
    convert.progress = log_progress;
    convert.progress_user = call->log;
    enum weir_status status;
    TRY(output_check_file(call->options->output, err));
    TRY(weir_convert(call->options->checkpoint, call->options->output, &convert, err));
    written_model(call->options->output, call->log);
out:
    return status;
}
