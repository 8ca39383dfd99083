/* SPDX-License-Identifier: MIT
 * weir synth: writes a model of random weights. Knows no shape and no type. */
#include "app/command.h"

#include "base/err.h"

enum weir_status command_synth(const struct call *call, struct weir_error *err)
{
    struct weir_synth_options synth = call->options->synth;
    if (call->options->output == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no file to write: name one with --out");
    synth.progress = log_progress;
    synth.progress_user = call->log;
    return weir_synth(call->options->output, &synth, err);
}
