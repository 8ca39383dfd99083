/* SPDX-License-Identifier: MIT
 * weir quantize: writes a model with tensors of other types, or tells what it would write. Knows no
 * type by name. */
#include "app/command.h"

#include <string.h>

#include "app/number.h"
#include "app/output.h"
#include "app/written.h"
#include "base/err.h"
#include "base/mem.h"

/* What the words and flags name. */
struct names {
    const char *in, *out, *type;
    uint32_t threads;
    char *out_made; /* owned */
};

/* "IN TYPE [N]", as llama-quantize takes it, and not "IN OUT TYPE"? A number is N: those of file
 * types stand behind an output that is no type. */
static bool names_lack_out(const struct names *names)
{
    int64_t number;
    return names->out != NULL && weir_quantize_type_name(names->out) != NULL &&
           (names->type == NULL || number_read_integer(names->type, &number) ||
            weir_quantize_type_name(names->type) == NULL);
}

/* Moves what stands one place too early. */
static enum weir_status names_shift(struct names *names, struct weir_error *err)
{
    const char *number = names->type;
    int64_t threads = 0;
    names->type = names->out;
    names->out = NULL;
    if (number == NULL)
        return WEIR_OK;
    if (!number_read_integer(number, &threads) || threads < 0 || threads > INT32_MAX)
        return err_set(err, WEIR_ERR_ARGUMENT, "unknown type \"%s\"; see weir help quantize",
                       number);
    if (names->threads != 0)
        return err_set(err, WEIR_ERR_ARGUMENT, "the number of threads is named twice, as %s and %u",
                       number, names->threads);
    names->threads = (uint32_t)threads;
    return WEIR_OK;
}

static enum weir_status names_read(struct names *names, const struct options *options,
                                   struct weir_error *err)
{
    *names = (struct names){.in = options->model,
                            .out = options->output,
                            .type = options->type,
                            .threads = options->engine.threads};
    if (options->recipe != NULL && names->type != NULL)
        return err_set(err, WEIR_ERR_ARGUMENT, "the type is named twice, as %s and by --recipe %s",
                       names->type, options->recipe);
    if (options->recipe != NULL)
        names->type = options->recipe;
    else if (names_lack_out(names))
        return names_shift(names, err);
    return WEIR_OK;
}

/* "ggml-model-TYPE.gguf" beside the input, which llama-quantize writes if no output is named. */
static enum weir_status names_make_out(struct names *names, struct weir_error *err)
{
    const char *slash = strrchr(names->in, '/');
    const int folder = slash == NULL ? 0 : (int)(slash + 1 - names->in);
    const char *known = weir_quantize_type_name(names->type);
    const char *type = known != NULL ? known : names->type; /* which will be refused */
    const size_t size = (size_t)folder + strlen(type) + 32;
    names->out_made = mem_alloc(size, 1, err);
    if (names->out_made == NULL)
        return WEIR_ERR_MEMORY;
    snprintf(names->out_made, size, "%.*sggml-model-%s.gguf", folder, names->in, type);
    names->out = names->out_made;
    return WEIR_OK;
}

static enum weir_status print_plan(const struct names *names,
                                   const struct weir_quantize_options *quantize,
                                   struct weir_error *err)
{
    struct output output;
    enum weir_status status;
    TRY(output_open(&output, NULL, err));
    if (names->in == NULL)
        TRY(weir_quantize_print_rules(names->type, output_sink, &output, err));
    else
        TRY(weir_quantize_print(names->in, names->type, quantize, output_sink, &output, err));
    return output_finish(&output, err);
out:
    output_abandon(&output);
    return status;
}

static enum weir_status write_model(struct names *names,
                                    const struct weir_quantize_options *quantize, struct log *log,
                                    struct weir_error *err)
{
    enum weir_status status;
    TRY(output_check_file(names->out, err));
    if (names->out == NULL)
        TRY(names_make_out(names, err));
    TRY(weir_quantize(names->in, names->out, names->type, quantize, err));
    written_model(names->out, log);
out:
    return status;
}

static struct weir_quantize_options quantize_options(const struct options *options,
                                                     const struct names *names, struct log *log)
{
    struct weir_quantize_options result = options->quantize;
    result.threads = names->threads;
    result.tensor_types = (const char *const *)options->tensor_types.items;
    result.tensor_types_count = (uint32_t)options->tensor_types.count;
    result.include_weights = (const char *const *)options->include_weights.items;
    result.include_weights_count = (uint32_t)options->include_weights.count;
    result.exclude_weights = (const char *const *)options->exclude_weights.items;
    result.exclude_weights_count = (uint32_t)options->exclude_weights.count;
    result.overrides = (const char *const *)options->overrides.items;
    result.overrides_count = (uint32_t)options->overrides.count;
    result.log = log_sink;
    result.log_user = log;
    result.progress = log_progress;
    result.progress_user = log;
    return result;
}

enum weir_status command_quantize(const struct call *call, struct weir_error *err)
{
    const struct options *options = call->options;
    struct names names;
    enum weir_status status;
    TRY(names_read(&names, options, err));
    const struct weir_quantize_options quantize = quantize_options(options, &names, call->log);
    if (names.in == NULL && !options->dry_run)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no model: name a GGUF file with --model or as first argument");
    if (names.type == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no type: name one behind the files; see weir help quantize");
    if (options->dry_run)
        status = print_plan(&names, &quantize, err);
    else
        status = write_model(&names, &quantize, call->log, err);
out:
    mem_free(names.out_made);
    return status;
}

void quantize_help(struct output *output)
{
    output_print(output, "\nTypes, with bits per weight of a 9B model:\n");
    for (const struct weir_quantize_type *type = weir_quantize_types(); type->name != NULL; type++)
        output_print(output, "  %-10s %s\n", type->name, type->summary);
}
