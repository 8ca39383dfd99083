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

/* The sums of a plan are its last line. */
struct last_line {
    char text[128];
    size_t used;
    bool is_whole;
};

static void keep_last_line(void *user, const char *text, size_t length)
{
    struct last_line *line = user;
    for (size_t i = 0; i < length; i++) {
        if (line->is_whole)
            line->used = 0;
        line->is_whole = text[i] == '\n';
        if (!line->is_whole && line->used < sizeof line->text)
            line->text[line->used++] = text[i];
    }
}

/* What was planned is what was written. */
static void tell_written(const struct options *options, const struct weir_split_options *split,
                         struct log *log)
{
    struct last_line line = {.used = 0};
    if (weir_split_print(options->model, options->output, split, keep_last_line, &line, NULL) ==
        WEIR_OK)
        log_print(log, WEIR_LOG_INFO, "%s: %.*s", options->output, (int)line.used, line.text);
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
    const enum weir_status status = weir_split(options->model, options->output, &split, err);
    if (status == WEIR_OK)
        tell_written(options, &split, call->log);
    return status;
}
