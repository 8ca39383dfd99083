/* SPDX-License-Identifier: MIT
 * weir split: copies a model into several files, or says into which. */
#include "app/command.h"

#include "app/output.h"
#include "base/err.h"

static enum weir_status print_plan(const struct options *options,
                                   const struct weir_split_options *split, struct weir_error *err)
{
    struct output output;
    enum weir_status status;
    TRY(output_open(&output, NULL, err));
    TRY(weir_split_print(options->model, options->output, split, output_sink, &output, err));
    TRY(output_finish(&output, err));
out:
    output_abandon(&output);
    return status;
}

enum weir_status command_split(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct weir_split_options defaults, split = options->split;
    weir_split_options_init(&defaults);
    if (options->merge)
        return command_merge(call, err);
    if (options->model == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no model: name a GGUF file with --model or as first argument");
    if (options->output == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no files to write: name their prefix with --out or as second argument");
    if (split.tensors_max > 0 && split.bytes_max > 0)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "only one of --split-max-tensors and --split-max-size may be given");
    if (split.tensors_max == 0 && split.bytes_max == 0)
        split.tensors_max = defaults.tensors_max;
    if (options->dry_run)
        return print_plan(options, &split, err);
    split.progress = log_progress;
    split.progress_user = call->log;
    return weir_split(options->model, options->output, &split, err);
}
