/* SPDX-License-Identifier: MIT
 * Opening models and engines by the flags. Knows not what they are opened for. */
#include "app/loaded.h"

#include "app/output.h"
#include "app/prompt.h"
#include "base/err.h"

enum weir_status loaded_check_target(const struct loaded *loaded, const char *target,
                                     struct weir_error *err)
{
    const struct weir_model *model = loaded->model;
    enum weir_status status = WEIR_OK;
    for (uint32_t k = 0; status == WEIR_OK && weir_model_file(model, k) != NULL; k++)
        status = output_check_target(target, weir_model_file(model, k), err);
    return status;
}

/* Refuses to write results to what the model or the input is read from. */
static enum weir_status check_targets(const struct loaded *loaded, const struct options *options,
                                      struct weir_error *err)
{
    const char *const targets[] = {
        options->output, options->logits,
        options->kl_divergence ? NULL : options->kl_base, /* which is then an input */
    };
    enum weir_status status = WEIR_OK;
    for (size_t i = 0; i < sizeof targets / sizeof targets[0] && status == WEIR_OK; i++) {
        status = prompt_check_target(options, targets[i], err);
        if (status == WEIR_OK)
            status = loaded_check_target(loaded, targets[i], err);
    }
    return status;
}

struct weir_model_options loaded_model_options(const struct options *options, struct log *log)
{
    return (struct weir_model_options){
        .overrides = (const char *const *)options->overrides.items,
        .overrides_count = (uint32_t)options->overrides.count,
        .log = log_sink,
        .log_user = log,
    };
}

enum weir_status loaded_open_model(struct loaded *loaded, const struct options *options,
                                   struct log *log, struct weir_error *err)
{
    if (options->model == NULL)
        return err_set(err, WEIR_ERR_ARGUMENT,
                       "no model: name a GGUF file with --model or as first argument");
    const struct weir_model_options model_options = loaded_model_options(options, log);
    struct weir_error inner = {0};
    const enum weir_status status =
        weir_model_open(&loaded->model, options->model, &model_options, &inner);
    if (status != WEIR_OK)
        return err_set(err, status, "--model: %s", inner.text);
    return check_targets(loaded, options, err);
}

static uint32_t least(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

struct weir_engine_options loaded_engine_options(const struct options *options,
                                                 uint32_t logits_rows, struct log *log)
{
    struct weir_engine_options result = options->engine;
    result.step_rows_max = least(options->engine.step_rows_max, options->batch);
    result.logits_rows_max = least(logits_rows, result.step_rows_max);
    result.progress = log_progress;
    result.progress_user = log;
    return result;
}

enum weir_status loaded_load_engine(struct loaded *loaded,
                                    const struct weir_engine_options *engine_options,
                                    struct log *log, struct weir_error *err)
{
    const enum weir_status status =
        weir_engine_open(&loaded->engine, loaded->model, engine_options, err);
    if (status != WEIR_OK)
        return status;
    struct weir_model_info info;
    const char *isa = weir_engine_isa(loaded->engine);
    weir_model_info(loaded->model, &info);
    log_print(log, WEIR_LOG_INFO,
              "model: %s %s, %.2f M parameters, %.2f MiB; backend %s%s%s, %u threads, context %u",
              info.architecture, info.name[0] != 0 ? info.name : "without a name",
              (double)info.parameters / 1e6, (double)info.tensor_bytes / (1 << 20),
              weir_engine_backend(loaded->engine), isa[0] != 0 ? " " : "", isa,
              weir_engine_threads(loaded->engine), weir_engine_context(loaded->engine));
    return WEIR_OK;
}

enum weir_status loaded_open_engine(struct loaded *loaded,
                                    const struct weir_engine_options *engine_options,
                                    struct log *log, struct weir_error *err)
{
    const enum weir_status status = loaded_load_engine(loaded, engine_options, log, err);
    return status != WEIR_OK ? status : weir_session_open(&loaded->session, loaded->engine, err);
}

void loaded_close_engine(struct loaded *loaded)
{
    weir_session_close(loaded->session);
    weir_engine_close(loaded->engine);
    loaded->session = NULL;
    loaded->engine = NULL;
}

void loaded_close(struct loaded *loaded)
{
    loaded_close_engine(loaded);
    weir_tokenizer_close(loaded->tokenizer);
    weir_model_close(loaded->model);
    *loaded = (struct loaded){0};
}
