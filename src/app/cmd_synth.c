/* SPDX-License-Identifier: MIT
 * weir synth: writes a model of random weights. Knows no shape and no type. */
#include "app/command.h"

#include <stdio.h>
#include <string.h>

#include "app/help.h"
#include "app/output.h"
#include "app/written.h"
#include "base/err.h"

enum weir_status command_synth(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct weir_synth_options synth = options->synth;
    if (options->output == NULL && options->checkpoint == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "no file to write: name one with --out");
    synth.progress = log_progress;
    synth.progress_user = call->log;
    enum weir_status status;
    TRY(output_check_file(options->output, err));
    if (options->output != NULL) {
        TRY(weir_synth(options->output, &synth, err));
        written_model(options->output, call->log);
    }
    if (options->checkpoint != NULL) {
        TRY(weir_synth_checkpoint(options->checkpoint, &synth, err));
        written_folder(options->checkpoint, call->log);
    }
out:
    return status;
}

void sizes_help(struct output *output)
{
    const char *const *names = weir_synth_sizes();
    char text[512] = "Sizes:";
    size_t length = strlen(text);
    for (size_t i = 0; names[i] != NULL && length < sizeof text; i++)
        length += (size_t)snprintf(text + length, sizeof text - length, "%s%s", i == 0 ? " " : ", ",
                                   names[i]);
    output_print(output, "\n");
    help_print_text(output, text);
}
